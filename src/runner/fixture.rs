//! Cases for the tests of this part.

use std::{sync::Arc, time::Duration};

use super::{Executed, Facts, Planned};
use crate::{
    base::Profile,
    diag::Source,
    format,
    reading::Reading,
    record::{Accounting, Framing, Port, PortKind, Step, Transcript},
    scenario::{Case, Expectations, Machine, SnapshotRules},
};

/// A case without netdevs, chardevs, objects and steps.
pub(super) fn case(id: &str) -> Case {
    Case {
        id: id.into(),
        matrix: Vec::new(),
        source: Arc::new(Source { path: "scenarios/a.yaml".into(), text: String::new() }),
        description: String::new(),
        tags: Default::default(),
        profile: Profile::default(),
        requires: Default::default(),
        namespaces: Vec::new(),
        links: Vec::new(),
        bridges: Vec::new(),
        routes: Vec::new(),
        machines: vec![Machine::default()],
        netdevs: Vec::new(),
        chardevs: Vec::new(),
        joined: Default::default(),
        added_chardevs: Default::default(),
        objects: Vec::new(),
        ports: Vec::new(),
        stacks: Vec::new(),
        impair: Vec::new(),
        steps: Vec::new(),
        expect: Expectations::default(),
        snapshot: SnapshotRules::default(),
        known_bug: None,
    }
}

/// A run of it in which nothing happened.
pub(super) fn executed(id: &str) -> Executed {
    let transcript = Transcript {
        case: id.into(),
        profile: Profile::default(),
        backend: "sim",
        ports: vec![Port { id: "out0".into(), kind: PortKind::Chardev(Framing::Plain) }],
        steps: vec![Step { title: "set-up".to_owned(), ..Step::default() }],
        accounting: Accounting::default(),
        duration: Duration::ZERO,
    };
    Executed { reading: Reading::of(transcript), failures: Vec::new(), in_doubt: false }
}

/// It alone, to be run.
pub(super) fn planned(id: &str) -> Planned {
    let case = case(id);
    let facts = Facts {
        sections: [format::section_name(&case.id).to_owned()].into(),
        probes: None,
        profile: case.profile.clone(),
    };
    Planned {
        case: Arc::new(case),
        facts: Arc::new(facts),
        consult: true,
        judged: true,
        unasked: None,
        lanes: None,
    }
}
