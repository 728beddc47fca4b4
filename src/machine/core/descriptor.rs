//! QEMU's descriptor 0, which a refused filter-dump closes by mistake: whatever is opened next, a
//! dump's file or a chardev's connection, takes the number.

use super::{ChardevKey, Core};
use crate::base::Sink;

/// What QEMU's descriptor 0 is. Only files of dumps and connections of chardevs are followed: what
/// else takes a number is never closed by mistake here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::machine) enum DescriptorZero {
    #[default]
    Stdin,
    /// Nothing: the next descriptor that is opened takes the number.
    Free,
    /// The file of a dump, and where in it the next write goes.
    File(String, u64),
    /// A device that a dump writes to.
    Sink(Sink),
    Chardev(ChardevKey),
}

impl Core {
    /// A descriptor is opened; whether it takes number 0, which is free only after a mistake.
    pub(in crate::machine) fn descriptor_opened(&mut self, what: DescriptorZero) -> bool {
        let free = self.descriptor_zero == DescriptorZero::Free;
        if free {
            self.descriptor_zero = what;
        }
        free
    }

    /// A chardev's connection was closed.
    pub(in crate::machine) fn connection_closed(&mut self, chardev: ChardevKey) {
        if self.descriptor_zero == DescriptorZero::Chardev(chardev) {
            self.descriptor_zero = DescriptorZero::Free;
        }
    }

    /// Closes whatever descriptor 0 is. Gives the chardev whose connection that was: its far end
    /// sees the end, and who uses it finds out when it writes.
    pub(in crate::machine) fn close_descriptor_zero(&mut self) -> Option<ChardevKey> {
        match std::mem::replace(&mut self.descriptor_zero, DescriptorZero::Free) {
            DescriptorZero::Chardev(key) => Some(key),
            _ => None,
        }
    }
}
