//! Tens of thousands of packets through a COLO pair: what is held does not grow with what has
//! passed.
//!
//! Alone in its binary, because a process has one peak of memory.

use std::{fs, sync::Arc, time::Duration};

use bytes::Bytes;
use tapwright::{
    backend::{Action, Backend, Deadline, Sim, World},
    base::PortId,
    diag::Source,
    guest::{Call, pattern},
    record::Outcome,
    scenario::{self, Case, Client, Disk},
};

const PACKETS: usize = 25_000;

/// Bytes that the guests echo over one connection.
const PAYLOAD: usize = 60_000;

/// Kibibytes: some twenty bytes for each packet, and so a few kilobytes for each connection.
const GROWTH: u64 = 512;

const PAIR: &str = include_str!("../scenarios/colo/exchange.yaml");

/// The pair of the scenario under a profile.
fn pair(profile: &str) -> Case {
    let source = Source { path: "exchange.yaml".into(), text: PAIR.to_owned() };
    let scenario = scenario::parse(Arc::new(source), "exchange", &Disk).unwrap();
    let mut cases = scenario.cases.into_iter();
    let case = cases.find(|case| case.profile.to_string() == profile);
    case.map(Arc::unwrap_or_clone).unwrap()
}

/// One connection: its data goes through mirror, redirectors, rewriter and comparer, both guests
/// send it back, and it is closed. How many packets that took.
fn exchange(world: &mut dyn World) -> usize {
    let client = Client {
        from: PortId::from("primary/hn0.host"),
        call: Call {
            to: "10.0.0.2:7".parse().unwrap(),
            send: Bytes::from(pattern(0, PAYLOAD)),
            expect: Some(Bytes::from(pattern(0, PAYLOAD))),
            close: true,
        },
        within: Some(Duration::from_secs(1)),
    };
    world.act(Action::Client(&client)).unwrap();
    world.settle(&Deadline::NEVER).unwrap();
    let answer = world.act(Action::ClientAnswer).unwrap().unwrap();
    assert!(matches!(answer.outcome, Outcome::Done(_)), "{answer:?}");
    // Who closed first waits a while for stray segments.
    world.act(Action::Advance(Duration::from_secs(20))).unwrap();
    world.settle(&Deadline::NEVER).unwrap();
    world.observe().sent.len()
}

/// The most memory that this process ever had, in kibibytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_the_packets() {
    let case = pair("ideal");
    let mut world = Sim.open(&case).unwrap();
    for object in &case.objects {
        world.act(Action::ObjectAdd(object)).unwrap();
    }
    world.settle(&Deadline::NEVER).unwrap();
    let mut packets = 0;
    while packets < PACKETS / 10 {
        packets += exchange(world.as_mut());
    }
    let before = peak();
    while packets < PACKETS {
        packets += exchange(world.as_mut());
    }
    let grown = peak() - before;

    assert!(grown < GROWTH, "{grown} KiB more after {packets} packets");
    // Nothing waits in a queue, a comparer, a rewriter, a reassembler or a pipe.
    let residue = world.finish();
    assert_eq!(residue.events, []);
    assert_eq!(residue.errors, Vec::<String>::new());
}
