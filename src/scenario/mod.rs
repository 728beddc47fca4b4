//! The language: YAML to a tree that knows where everything stands, the table of keys, and the
//! checked [`Case`].

mod case;

pub use case::{
    Bridge, BridgePort, Burst, Case, Chardev, ChardevFar, ExpectError, Expectation, Expectations,
    ExpectedFrames, KnownBug, Link, LinkEnd, LinkSet, Netdev, NetdevType, Nic, Object, ObjectForm,
    Outgoing, Route, Scenario, SnapshotRules, Step, Verb,
};
