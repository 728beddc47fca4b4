//! The filters, one file each. A filter is a type that is a [`Part`](super::part::Part), and a row
//! here.

mod buffer;
mod dump;
mod mirror;
mod redirector;
mod replay;
mod rewriter;

pub(super) use redirector::{check_alone, netdev_not_a_tap, netdev_not_found};

use super::part::Class;

/// The filters that are built.
static CLASSES: &[Class] = &[
    Class { bypasses_chain: buffer::bypasses_chain, ..Class::new("filter-buffer", buffer::make) },
    Class { refused: dump::refused, ..Class::new("filter-dump", dump::make) },
    Class::new("filter-mirror", mirror::make),
    Class {
        bypasses_chain: redirector::bypasses_chain,
        ..Class::new("filter-redirector", redirector::make)
    },
    Class::new("filter-replay", replay::make),
    Class::new("filter-rewriter", rewriter::make),
];

/// The class of a QOM type, if it is a filter that is built.
pub(super) fn class(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qapi::any_object_type;

    #[test]
    fn every_class_is_a_type_of_filter() {
        for class in CLASSES {
            let kind = any_object_type(class.name);
            assert!(kind.is_some_and(|kind| kind.is_filter()), "{}", class.name);
        }
    }
}
