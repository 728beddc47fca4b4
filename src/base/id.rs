use std::{fmt, sync::Arc};

/// Declares a cheap, ordered name type; the types can't be mixed up.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
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
    /// One case: the scenario's path below the suite without its extension, then, when there is a
    /// matrix, `@` and the combination: `redirector/queue@queue=tx,vhost=on`.
    CaseId
}
