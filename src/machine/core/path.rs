//! QOM paths: what `qom-list`, `qom-get`, `qom-set` and a link reach (`object_resolve_path`, QEMU
//! 10.2.2 `qom/object.c`; measured on 7.2.22, 10.0.13 and 11.1.3).

use super::{ChardevKey, Core, ObjectKey};
use crate::base::QemuVersion;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) enum Node {
    Root,
    /// The machine itself, a board without anything on it.
    Machine,
    Objects,
    Chardevs,
    /// What is on the board itself.
    Unattached,
    /// One that has no children here.
    Empty,
    Object(ObjectKey),
    Chardev(ChardevKey),
}

/// A path that leads to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) enum NoNode {
    Missing,
    /// It is the end of several paths.
    Ambiguous,
}

/// The children of the machine that there always are.
pub(in crate::machine) const MACHINE_CONTAINERS: [&str; 3] =
    ["peripheral-anon", "peripheral", "unattached"];

impl Core {
    /// The children of the root, beside the machine, that there are before anything is made.
    pub(in crate::machine) fn root_containers(&self) -> &'static [&'static str] {
        match self.profile.version() {
            QemuVersion::Qemu72 => &["objects", "chardevs"],
            QemuVersion::Qemu111 => &["objects", "chardevs", "backend", "audiodevs"],
            _ => &["objects", "chardevs", "backend"],
        }
    }

    /// An absolute path, or the end of one, when only one thing has that end. Slashes at the end and
    /// several in a row mean nothing.
    pub(in crate::machine) fn resolve(&self, path: &str) -> Result<Node, NoNode> {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        if path.starts_with('/') {
            return self.below_root(&names).ok_or(NoNode::Missing);
        }
        // The end of no path in particular is that of every one.
        if names.is_empty() {
            return Err(NoNode::Ambiguous);
        }
        let parents: [&[&str]; 4] = [&[], &["objects"], &["chardevs"], &["machine"]];
        let mut found = parents.iter().filter_map(|parent| {
            let whole: Vec<&str> = parent.iter().chain(&names).copied().collect();
            self.below_root(&whole)
        });
        match (found.next(), found.next()) {
            (Some(node), None) => Ok(node),
            (None, _) => Err(NoNode::Missing),
            (Some(_), Some(_)) => Err(NoNode::Ambiguous),
        }
    }

    fn below_root(&self, names: &[&str]) -> Option<Node> {
        match *names {
            [] => Some(Node::Root),
            ["machine"] => Some(Node::Machine),
            ["machine", "unattached"] => Some(Node::Unattached),
            ["machine", child] => MACHINE_CONTAINERS.contains(&child).then_some(Node::Empty),
            ["objects"] => Some(Node::Objects),
            ["chardevs"] => Some(Node::Chardevs),
            [name] => self.root_containers().contains(&name).then_some(Node::Empty),
            ["objects", id] => self.object_of(id).map(Node::Object),
            ["chardevs", id] => self.chardev_of(id).map(Node::Chardev),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        base::Profile,
        machine::{CharBackend, ChardevConfig},
    };

    // As 7.2.22, 10.0.13 and 11.1.3 answer.
    #[rstest]
    #[case("/", Ok(Node::Root))]
    #[case("//", Ok(Node::Root))]
    #[case("", Err(NoNode::Ambiguous))]
    #[case("///machine//", Ok(Node::Machine))]
    #[case("machine", Ok(Node::Machine))]
    #[case("machine/peripheral", Ok(Node::Empty))]
    #[case("peripheral", Ok(Node::Empty))]
    #[case("unattached", Ok(Node::Unattached))]
    #[case("/machine/nope", Err(NoNode::Missing))]
    #[case("chardevs", Ok(Node::Chardevs))]
    #[case("/chardevs/objects", Ok(Node::Chardev(ChardevKey(1))))]
    #[case("objects", Err(NoNode::Ambiguous))]
    #[case("/objects", Ok(Node::Objects))]
    #[case("/c0", Err(NoNode::Missing))]
    #[case("c0", Ok(Node::Chardev(ChardevKey(2))))]
    #[case("/objects/c0", Err(NoNode::Missing))]
    fn what_a_path_leads_to(#[case] path: &str, #[case] expected: Result<Node, NoNode>) {
        let mut core = Core::new(Profile::new(QemuVersion::Qemu72));
        for id in ["objects", "c0"] {
            let backend = CharBackend::Null;
            core.chardev_add(&ChardevConfig { id: id.into(), backend, connected: true });
        }
        assert_eq!(core.resolve(path), expected);
    }

    #[rstest]
    #[case(QemuVersion::Qemu72, Err(NoNode::Missing))]
    #[case(QemuVersion::Qemu100, Ok(Node::Empty))]
    #[case(QemuVersion::Qemu111, Ok(Node::Empty))]
    fn a_container_of_newer_versions(
        #[case] version: QemuVersion,
        #[case] expected: Result<Node, NoNode>,
    ) {
        assert_eq!(Core::new(Profile::new(version)).resolve("/backend"), expected);
    }
}
