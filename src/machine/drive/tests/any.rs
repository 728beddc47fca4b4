//! Whatever reaches a machine: it does not panic, and loses no frame without a word.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::machine::colo::sample::Sample;

#[derive(Clone, Debug)]
enum Any {
    Stream(bool, Vec<u8>),
    Chardev(&'static str, Vec<u8>),
    State(&'static str, ChardevState),
    Qmp(&'static str, Value),
    Add(String),
    Advance(u64),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let framed =
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|data| encode(&data, None).to_vec());
    let raw = prop::collection::vec(prop::sample::select(vec![0, 0, 0, 1, 5, 255]), 1..60);
    let long = (60_000_usize..90_000).prop_map(|length| vec![0; length]);
    prop_oneof![6 => framed, 2 => raw, 1 => long]
}

/// A segment of one connection, with numbers that often fit.
fn segment() -> impl Strategy<Value = Any> {
    let number = || prop::sample::select(vec![0, 1, 1999, 2000, 5001, 9000, 9001, u32::MAX]);
    (any::<bool>(), 0_u8..32, number(), number()).prop_map(|(from_guest, flags, seq, ack)| {
        let sample = Sample { from_guest, ..Sample::client(flags, seq, ack) };
        Any::Stream(from_guest, encode(&sample.bytes(), None).to_vec())
    })
}

fn input() -> impl Strategy<Value = Any> {
    let chardev = || prop::sample::select(vec!["c0", "c1", "away", "null", "mux", "none"]);
    let state = prop::sample::select(vec![
        ChardevState::Opened,
        ChardevState::Closed,
        ChardevState::HalfClosed,
        ChardevState::Stalled,
        ChardevState::Resumed,
        ChardevState::OwnLoop,
    ]);
    let command = prop::sample::select(vec![
        ("stop", json!({})),
        ("cont", json!({})),
        ("object-del", json!({"id": "f0"})),
        ("object-del", json!({"id": "f1"})),
        ("netdev_del", json!({"id": "n0"})),
        ("set_link", json!({"name": "h0", "up": false})),
        ("set_link", json!({"name": "h0", "up": true})),
        ("qom-set", set("status", "off")),
        ("qom-set", set("queue", "tx")),
        ("chardev-remove", json!({"id": "c1"})),
        ("xen-colo-do-checkpoint", json!({})),
    ]);
    let filter = (0..3, chardev(), chardev(), prop::sample::select(vec!["rx", "tx", "all"]));
    let filter = filter.prop_map(|(n, indev, outdev, queue)| {
        format!("filter-redirector,id=f{n},netdev=n0,queue={queue},indev={indev},outdev={outdev}")
    });
    let passive = (
        0..3,
        prop::sample::select(vec!["rx", "tx", "all"]),
        prop::sample::select(vec![
            "filter-buffer,interval=5000",
            "filter-dump,file=x.pcap",
            "filter-dump,file=no/x.pcap",
            "filter-replay",
        ]),
    );
    let passive =
        passive.prop_map(|(n, queue, class)| format!("{class},id=f{n},netdev=n0,queue={queue}"));
    let rewriter = (0..3, prop::sample::select(vec!["rx", "tx", "all"]))
        .prop_map(|(n, queue)| format!("filter-rewriter,id=f{n},netdev=n0,queue={queue}"));
    prop_oneof![
        1 => passive.prop_map(Any::Add),
        1 => (1_u64..20).prop_map(Any::Advance),
        1 => rewriter.prop_map(Any::Add),
        4 => segment(),
        4 => (any::<bool>(), bytes()).prop_map(|(guest, data)| Any::Stream(guest, data)),
        4 => (chardev(), bytes()).prop_map(|(chardev, data)| Any::Chardev(chardev, data)),
        2 => (chardev(), state).prop_map(|(chardev, state)| Any::State(chardev, state)),
        1 => command.prop_map(|(name, args)| Any::Qmp(name, args)),
        2 => filter.prop_map(Any::Add),
    ]
}

fn tag_of(output: &Output) -> Option<Tag> {
    match output {
        Output::NetdevFrame { tag, .. }
        | Output::ChardevBytes { tag, .. }
        | Output::Inject { tag, .. } => *tag,
        Output::Event(Event { tag, kind: EventKind::Dropped(_) | EventKind::Consumed, .. }) => *tag,
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_tag_ends_somewhere(
        version in prop::sample::select(QemuVersion::ALL.to_vec()),
        inputs in prop::collection::vec(input(), 1..40),
    ) {
        let mut rig = Rig::new(Profile::new(version));
        let mut sent = BTreeSet::new();
        for (at, any) in inputs.into_iter().enumerate() {
            let number = at as u32 + 1;
            let tag = Some(Tag::sent(number));
            if matches!(&any, Any::Stream(_, data) | Any::Chardev(_, data) if !data.is_empty()) {
                sent.insert(Tag::sent(number));
            }
            match any {
                Any::Stream(guest, data) => {
                    let netdev = if guest { "n9" } else { "n0" }.into();
                    rig.input(Input::StreamBytes { netdev, data: data.into(), tag });
                }
                Any::Chardev(chardev, data) => {
                    rig.write(chardev, data.into(), number);
                }
                Any::State(chardev, state) => {
                    rig.state(chardev, state);
                }
                Any::Qmp(name, args) => {
                    rig.qmp(name, args);
                }
                Any::Add(option) => {
                    rig.command(Command::ObjectOption(option));
                }
                Any::Advance(millis) => {
                    rig.advance(millis);
                }
            }
        }
        let mut ended: BTreeSet<Tag> = rig.out.iter().filter_map(tag_of).collect();
        ended.extend(rig.machine.residue().into_iter().filter_map(|event| event.tag));
        let lost: Vec<&Tag> = sent.difference(&ended).collect();
        prop_assert!(lost.is_empty(), "{lost:?}");
    }
}
