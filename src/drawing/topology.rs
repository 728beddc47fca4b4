//! A case's topology as data: what each picture is drawn of, and what reports carry.

use serde::{Deserialize, Serialize};

/// What a case declares, and how it is joined. Names are those of the case: `primary/hn0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Topology {
    /// The QEMU that is modelled.
    pub profile: String,
    /// The host side; empty where it is only the host's ports.
    pub networks: Vec<Network>,
    /// In the order of declaration.
    pub machines: Vec<Machine>,
    /// What joins parts that stand in different places.
    pub joints: Vec<Joint>,
}

/// A network namespace of the host side.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Network {
    /// Its name; none for the scenario's own.
    pub name: Option<String>,
    /// In the order of declaration.
    pub bridges: Vec<Bridge>,
    /// Ends of links.
    pub ends: Vec<End>,
    /// As `TO via HOP`.
    pub routes: Vec<String>,
}

/// A bridge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bridge {
    /// Its name.
    pub id: String,
    /// CIDR.
    pub addresses: Vec<String>,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct End {
    /// Its port.
    pub port: Port,
    /// CIDR.
    pub addresses: Vec<String>,
}

/// A port, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Port {
    /// Its name.
    pub id: String,
    /// Its stack, what impairs it.
    pub notes: Vec<String>,
}

/// One QEMU process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Machine {
    /// Its name; empty for the only one.
    pub name: String,
    /// The QEMU that it models, where that is not the case's.
    pub profile: Option<String>,
    /// A netdev each, with its filters.
    pub chains: Vec<Chain>,
    /// In the order of declaration.
    pub chardevs: Vec<Chardev>,
    /// Objects that are on no netdev.
    pub objects: Vec<Object>,
}

/// A netdev and its filters, from the host to the guest: the order in which `tx` passes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Chain {
    /// The netdev.
    pub netdev: String,
    /// `tap tap0`, `hubport`, `user`, and what is not by default.
    pub detail: Vec<String>,
    /// The host's port, where it is a TAP.
    pub host: Option<Port>,
    /// The hub, where it is a hubport.
    pub hub: Option<u32>,
    /// The guest's port, where it is a TAP.
    pub guest: Option<Port>,
    /// In the order of the chain.
    pub filters: Vec<Object>,
    /// The step that adds it.
    pub added: Option<usize>,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Object {
    /// Its id; `?` where that can't be read.
    pub id: String,
    /// `qom-type`.
    pub kind: String,
    /// Which way it filters, where it is a filter.
    pub filtered: Option<Filtered>,
    /// What it reads and writes, in the order of its properties.
    pub wires: Vec<Wire>,
    /// Properties that say more: `status=off`, `vnet_hdr_support=on`.
    pub notes: Vec<String>,
    /// The step that adds it.
    pub added: Option<usize>,
    /// The refusal that is expected of it.
    pub refused: Option<String>,
}

/// `queue=`, as seen from the netdev.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Filtered {
    /// What the netdev sends: from the host to the guest.
    Tx,
    /// What is sent to the netdev: from the guest to the host.
    Rx,
    /// Both.
    All,
}

/// What an object reads or writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Wire {
    /// The property: `outdev`.
    pub property: String,
    /// From the object's point of view.
    pub way: Way,
    /// What `target` is.
    pub kind: WireKind,
    /// Its name.
    pub target: String,
}

/// Which way frames go, from an object's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Way {
    /// Into it.
    In,
    /// Out of it.
    Out,
    /// Both.
    Both,
}

/// What is at the other end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum WireKind {
    /// A chardev.
    Chardev,
    /// A netdev's TAP, by AF_PACKET.
    Netdev,
    /// A file, which is a port.
    File,
}

/// A character device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Chardev {
    /// Its id.
    pub id: String,
    /// `socket server 0.0.0.0:9003`.
    pub detail: String,
    /// What is at its far end.
    pub far: Far,
    /// The step that adds it.
    pub added: Option<usize>,
}

/// What is at the far end of a chardev.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Far {
    /// A port of its own name.
    Port {
        /// `plain`, `vnet`, `raw`.
        framing: String,
        /// Whether somebody is there from the start.
        connected: bool,
    },
    /// Another chardev: there is a joint.
    Joined,
    /// Nobody can be.
    Nobody,
    /// The chardev itself is not there: an object names it in vain.
    Undeclared,
}

/// Two things that are joined.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Joint {
    /// The names of both: chardevs, ends of links, a bridge and a port.
    pub ends: [String; 2],
    /// What joins them.
    pub kind: JointKind,
}

/// What joins two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum JointKind {
    /// A connection of two chardevs, the server's first.
    Chardevs,
    /// A pair of interfaces.
    Link,
    /// A bridge, first, holds an interface.
    Bridge,
}

impl Filtered {
    /// QEMU's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tx => "tx",
            Self::Rx => "rx",
            Self::All => "all",
        }
    }
}

impl Machine {
    /// An id as the machine itself knows it.
    #[must_use]
    pub fn local<'a>(&self, id: &'a str) -> &'a str {
        id.strip_prefix(self.name.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(id)
    }

    /// Every object, those of the chains first.
    pub fn all_objects(&self) -> impl Iterator<Item = &Object> {
        self.chains.iter().flat_map(|chain| &chain.filters).chain(&self.objects)
    }
}

impl Object {
    /// `filter-mirror tx`.
    #[must_use]
    pub fn detail(&self) -> String {
        match self.filtered {
            Some(filtered) => format!("{} {}", self.kind, filtered.as_str()),
            None => self.kind.clone(),
        }
    }

    /// What stands beside it: its notes, the step that adds it, its refusal.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = self.notes.clone();
        remarks.extend(self.added.map(|step| format!("added in step {step}")));
        remarks.extend(self.refused.as_ref().map(|text| format!("refused: {text}")));
        remarks
    }
}

impl Chardev {
    /// The name of the port at its far end.
    #[must_use]
    pub fn port(&self) -> Option<&str> {
        matches!(self.far, Far::Port { .. }).then_some(self.id.as_str())
    }
}
