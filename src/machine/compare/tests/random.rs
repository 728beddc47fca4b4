//! Any traffic: the engine agrees with the model, a mended comparer keeps every packet and its
//! order, and every packet is accounted for.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{model::Model, *};

/// What a test does next.
#[derive(Clone)]
enum Act {
    Primary(Vec<u8>),
    Secondary(Vec<u8>),
    Checkpoint,
}

/// A line for each, so that a failing input can be read.
impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (side, frame) = match self {
            Self::Primary(frame) => ("primary", frame),
            Self::Secondary(frame) => ("secondary", frame),
            Self::Checkpoint => return f.write_str("checkpoint"),
        };
        let protocol = frame[23];
        write!(f, "{side} protocol {protocol}")?;
        if protocol != 6 {
            return write!(f, " {:x?}", &frame[14..]);
        }
        let long = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap_or_default());
        let (seq, ack, flags) = (long(38), long(42), frame[47]);
        write!(f, " seq {seq} ack {ack} flags {flags:x} {:x?}", &frame[54..])
    }
}

/// The bytes that a guest sends: the secondary's differ at some places.
fn stream(primary: bool, from: usize, length: usize, wrong: usize) -> Vec<u8> {
    let byte = |at: usize| b'a' + (at * 7 % 5) as u8 + u8::from(!primary && at == wrong);
    (from..from + length).map(byte).collect()
}

fn segment(wrong: usize, base: u32) -> impl Strategy<Value = (bool, Vec<u8>)> {
    let acks = prop_oneof![6 => Just(5), 1 => Just(6), 1 => Just(4), 1 => Just(u32::MAX - 1)];
    let flags = prop_oneof![12 => Just(ACK), 1 => Just(ACK | SYN), 1 => Just(SYN), 1 => Just(0x04)];
    (any::<bool>(), 0_usize..14, 0_usize..7, acks, flags, 0_u8..8).prop_map(
        move |(primary, from, length, ack, flags, pad)| {
            let payload = stream(primary, from, length, wrong);
            let mut frame = tcp(base.wrapping_add(from as u32), &payload, ack, flags);
            if pad == 0 {
                frame.extend([0; 6]);
            }
            (primary, frame)
        },
    )
}

fn datagram() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let protocols = prop_oneof![3 => Just(17_u8), 1 => Just(1), 1 => Just(47)];
    (any::<bool>(), protocols, 0_u16..2, 0_u8..3).prop_map(|(primary, protocol, id, text)| {
        let body = [3, 232, 7, 208, 0, 9, 0, 0, text];
        (primary, ip(protocol, id, &body))
    })
}

fn acts() -> impl Strategy<Value = (Vec<Act>, u32)> {
    let bases = prop_oneof![Just(100), Just(u32::MAX - 5), Just(1)];
    (bases, 0_usize..60).prop_flat_map(|(base, wrong)| {
        let frame = prop_oneof![5 => segment(wrong, base).boxed(), 3 => datagram().boxed()];
        let act = prop_oneof![
            20 => frame.prop_map(|(primary, frame)| if primary {
                Act::Primary(frame)
            } else {
                Act::Secondary(frame)
            }),
            1 => Just(Act::Checkpoint),
        ];
        let limits = prop_oneof![4 => Just(1024_u32), 1 => Just(2)];
        (proptest::collection::vec(act, 1..50), limits)
    })
}

/// What the engine released and how often it asked, after each act.
fn run(profile: Profile, acts: &[Act], limit: u32) -> (Rig, Vec<(Vec<u32>, usize)>) {
    let mut rig = Rig::with(profile, &format!(",max_queue_size={limit}"));
    let mut steps = Vec::new();
    for act in acts {
        match act {
            Act::Primary(frame) => rig.pri(frame),
            Act::Secondary(frame) => rig.sec(frame),
            Act::Checkpoint => rig.send("ntf", b"COLO_CHECKPOINT"),
        };
        let seen = rig.look();
        steps.push((seen.released(), seen.asked()));
    }
    (rig, steps)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_the_model((acts, limit) in acts(), is_ideal: bool) {
        let profile = if is_ideal { ideal() } else { qemu() };
        let (_, steps) = run(profile, &acts, limit);
        let mut model = Model::new(is_ideal, limit as usize);
        for ((number, act), step) in (1..).zip(&acts).zip(steps) {
            match act {
                Act::Primary(frame) => model.frame(true, number, frame),
                Act::Secondary(frame) => model.frame(false, number, frame),
                Act::Checkpoint => model.checkpoint(),
            }
            let expected = (
                std::mem::take(&mut model.released),
                std::mem::take(&mut model.asked),
            );
            prop_assert_eq!(step, expected, "act {} {:?}", number, act);
        }
    }

    /// With a checkpoint at the end every packet of the primary has come out once, and the packets
    /// of a connection in the order in which they went in.
    #[test]
    fn a_mended_comparer_loses_doubles_and_reorders_nothing((mut acts, limit) in acts()) {
        acts.push(Act::Checkpoint);
        let (_, steps) = run(ideal(), &acts, limit);
        let released: Vec<u32> = steps.into_iter().flat_map(|(released, _)| released).collect();
        let mut sent: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        let mut of: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (number, act) in (1..).zip(&acts) {
            if let Act::Primary(frame) = act {
                let connection = frame[23..24].to_vec();
                sent.entry(connection.clone()).or_default().push(number);
                of.insert(number, connection);
            }
        }
        let mut came: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for number in released {
            let connection = of.get(&number);
            prop_assert!(connection.is_some(), "{} is not the primary's", number);
            came.entry(connection.unwrap().clone()).or_default().push(number);
        }
        prop_assert_eq!(came, sent);
    }

    /// Whatever the bytes and the far ends do: each number ends in an output or an event.
    #[test]
    fn every_frame_ends_somewhere(
        (acts, limit) in acts(),
        is_ideal: bool,
        trouble in proptest::collection::vec((0_usize..50, 0_usize..7), 0..6),
    ) {
        let profile = if is_ideal { ideal() } else { qemu() };
        let mut rig = Rig::with(profile, &format!(",max_queue_size={limit}"));
        let mut outputs = Vec::new();
        for (at, act) in acts.iter().enumerate() {
            for (_, kind) in trouble.iter().filter(|(when, _)| *when == at) {
                match kind {
                    0 => rig.state("out", ChardevState::Stalled),
                    1 => rig.state("out", ChardevState::Resumed),
                    2 => rig.state("out", ChardevState::Closed),
                    3 => rig.state("out", ChardevState::Opened),
                    4 => { rig.write("pri", &b"\0\0\0\x09half"[..]); }
                    5 => rig.state("sec", ChardevState::Closed),
                    _ => { rig.qmp("object-del", json!({"id": "cc0"})); }
                }
            }
            match act {
                Act::Primary(frame) => rig.pri(frame),
                Act::Secondary(frame) => rig.sec(frame),
                Act::Checkpoint => rig.send("ntf", b"COLO_CHECKPOINT"),
            };
            outputs.append(&mut rig.look().0);
        }
        let last = rig.tags;
        let mut ended: Vec<u32> = Vec::new();
        for output in &outputs {
            ended.extend(match output {
                Output::ChardevBytes { tag, .. } => number(*tag),
                Output::Event(event) => match event.kind {
                    EventKind::Dropped(_) | EventKind::Consumed | EventKind::Spent { .. } => {
                        number(event.tag)
                    }
                    _ => None,
                },
                _ => None,
            });
        }
        ended.extend(rig.residue().into_iter().map(|(tag, _)| tag));
        let lost: Vec<u32> = (1..=last).filter(|tag| !ended.contains(tag)).collect();
        prop_assert!(lost.is_empty(), "{:?} of {}", lost, last);
    }
}
