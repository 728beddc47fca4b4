//! Names of netdevs, chardevs, objects, ports, machines and cases, each with a type of its own so
//! that they can't be mixed up. Ids of a machine are local to it or qualified by its name.

use std::{borrow::Borrow, fmt, sync::Arc};

/// Declares a cheap, ordered name type; the types can't be mixed up.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name_type! {
    /// The id of a network backend, QEMU's `-netdev ...,id=`.
    NetdevId
}
name_type! {
    /// The id of a character device, QEMU's `-chardev ...,id=`.
    ChardevId
}
name_type! {
    /// The id of a user-created object, QEMU's `-object ...,id=`.
    ObjectId
}
name_type! {
    /// A place where frames or bytes are sent and recorded: `hn0.guest`, `hn0.host`, `out0`,
    /// `l0.a`.
    PortId
}
name_type! {
    /// The name of a machine; empty for the one machine of a scenario without `machines`.
    ///
    /// Outside a machine, ids of its netdevs, chardevs and objects are qualified: they begin with
    /// its name, `primary/hn0`. Those of the machine without a name are QEMU's own.
    #[derive(Default)]
    MachineId
}
name_type! {
    /// One case: the scenario's path below the suite without its extension, then, when there is a
    /// matrix, `@` and the combination: `redirector/queue@queue=tx,vhost=on`.
    CaseId
}

impl PortId {
    /// Where the guest of a TAP netdev sends and receives.
    #[must_use]
    pub fn guest(netdev: &NetdevId) -> Self {
        Self::from(format!("{netdev}.guest"))
    }

    /// The host's side of a TAP netdev: its interface.
    #[must_use]
    pub fn host(netdev: &NetdevId) -> Self {
        Self::from(format!("{netdev}.host"))
    }
}

impl MachineId {
    /// Whether it is one of several.
    #[must_use]
    pub fn is_named(&self) -> bool {
        !self.0.is_empty()
    }

    /// One of this machine's local ids with the machine's name in front: `primary/f0`.
    #[must_use]
    pub fn qualified<T: From<String> + for<'a> From<&'a str>>(&self, local: &str) -> T {
        if self.is_named() { T::from(format!("{self}/{local}")) } else { T::from(local) }
    }

    /// The local id in a qualified one; none if it belongs to another machine.
    #[must_use]
    pub fn local<'a>(&self, qualified: &'a str) -> Option<&'a str> {
        if !self.is_named() {
            return Some(qualified);
        }
        qualified.strip_prefix(&*self.0)?.strip_prefix('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_named_machine_begin_with_its_name() {
        let primary = MachineId::from("primary");
        let qualified: ObjectId = primary.qualified("f0");
        assert_eq!(qualified.as_str(), "primary/f0");
        assert_eq!(primary.local("primary/f0"), Some("f0"));
        assert_eq!(primary.local("primary2/f0"), None);
        assert_eq!(primary.local("f0"), None);
    }

    #[test]
    fn ids_of_the_only_machine_are_qemus() {
        let only = MachineId::default();
        let qualified: ObjectId = only.qualified("f0");
        assert_eq!(qualified.as_str(), "f0");
        assert_eq!(only.local("a/b"), Some("a/b"));
    }
}
