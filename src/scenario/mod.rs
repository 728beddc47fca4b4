//! The language: YAML to a tree that knows where everything stands, the table of keys, and the
//! checked [`Case`].

mod address;
mod budget;
mod case;
mod context;
mod fault;
mod fields;
mod impairment;
mod key;
mod load;
mod lower;
mod matrix;
mod node;
mod remark;
pub mod run_state;
mod schema;
mod stack;
mod suggest;
pub mod tree;
mod value;
mod write;
mod yaml;

#[cfg(test)]
mod tests;

pub use address::{Address, Reach, retry};
pub use case::{
    Bridge, BridgeChange, BridgePort, Burst, Case, Chardev, ChardevFar, ColoEvent, ExpectError,
    Expectation, Expectations, ExpectedFrames, KnownBug, Link, LinkEnd, LinkSet, Machine, Netdev,
    NetdevType, Nic, Object, ObjectForm, Outgoing, Route, Scenario, SnapshotRules, Step, Verb,
    Wiring,
};
pub use context::{Anywhere, Disk, Files, MAX_CAPTURED, disk};
pub use fault::EXPLANATIONS;
pub use impairment::{Impair, Impairment, Share, Way};
pub use key::QMP_VERBS;
pub(crate) use key::{CHARDEV, LONE_VERBS, NETDEV};
pub use key::{Key, KeyMap, KeyType, VERB_NAMES, key_table};
pub use load::{load, load_found, parse};
pub use remark::remarks;
pub use schema::schema;
pub use stack::{Client, PortStack};
pub(crate) use suggest::{list, nearest};
pub use write::write;
