//! Storms, machines that are frozen or dead, and what is left at the end.

use serde_json::json;

use super::{Rig, drops, frame, framed};
use crate::{
    backend::{Action, Settled},
    base::{Frame, Origin, PortId, Tag},
    record::{DropReason, EventKind, NoAnswer, Outcome, Place},
};

const LONG: &str = "long enough that nothing is padded to 60 bytes";

#[test]
fn a_storm_names_its_cycle() {
    let mut rig = Rig::new(
        "netdevs: {hn0: {type: tap}}
chardevs: {a: {server: on, path: wire}, b: {path: wire}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,indev=b
  - filter-redirector,id=f1,netdev=hn0,queue=tx,outdev=a",
    );
    rig.send("hn0.host", LONG);
    let Settled::Storm(cycle) = rig.settle() else {
        panic!("a storm");
    };
    assert!(cycle.contains(&"chardev b".to_owned()), "{cycle:?}");
    assert!(cycle.contains(&"f1 takes it".to_owned()), "{cycle:?}");
    assert!(rig.world.queue.is_empty());
}

const MUX: &str = "netdevs: {hn0: {type: tap}}
chardevs: {mux0: {backend: mux}, out0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,indev=mux0,outdev=out0";

/// Ctrl-A x, which ends QEMU.
fn kill(rig: &mut Rig) {
    rig.write("mux0", &[1, b'x']);
    let seen = rig.look();
    let crash = |kind: &EventKind| matches!(kind, EventKind::Crash(_));
    assert!(seen.events.iter().any(|event| crash(&event.kind)));
    for port in ["mux0", "out0", "hn0.guest"] {
        assert!(seen.has_eof(port), "{port}");
    }
}

#[test]
fn a_dead_machine_takes_nothing_and_answers_nothing() {
    let mut rig = Rig::new(MUX);
    kill(&mut rig);
    rig.send("hn0.guest", LONG);
    rig.send("hn0.host", LONG);
    rig.send("out0", LONG);
    let seen = rig.look();
    assert!(seen.arrivals.is_empty());
    assert_eq!(
        seen.drops(),
        [
            (Tag::sent(1), DropReason::MachineDead),
            (Tag::sent(3), DropReason::ChardevClosed),
            (Tag::sent(2), DropReason::MachineDead),
        ]
    );
    assert_eq!(rig.qmp("stop", &json!({})), Outcome::Unanswered(NoAnswer::Dead));
}

const FROZEN: &str = "profile: qemu-10.2
netdevs: {hn0: {type: tap, mtu: 65000}}
chardevs: {out0: {}, in0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,outdev=out0";

fn out0() -> PortId {
    "out0".into()
}

/// Four frames of 60,000 bytes are more than a socket holds.
fn freeze(rig: &mut Rig) {
    rig.act(Action::ChardevStall(&out0()));
    for _ in 0..4 {
        rig.send_frame("hn0.host", &frame(&"z".repeat(60_000)));
        rig.settle();
    }
    let seen = rig.look();
    assert!(seen.arrivals.is_empty());
    let frozen = |event: &crate::record::Event| event.kind == EventKind::Frozen;
    assert!(seen.events.iter().any(frozen));
}

#[test]
fn an_answer_comes_late_after_a_freeze() {
    let mut rig = Rig::new(FROZEN);
    freeze(&mut rig);
    assert_eq!(rig.qmp("stop", &json!({})), Outcome::Unanswered(NoAnswer::Frozen));
    assert_eq!(rig.qmp("cont", &json!({})), Outcome::Unanswered(NoAnswer::Frozen));
    assert!(rig.look().answers.is_empty());
    rig.act(Action::ChardevResume(&out0()));
    let seen = rig.look();
    let answered: Vec<_> = seen
        .answers
        .iter()
        .map(|answer| (answer.command.as_str(), answer.outcome.clone()))
        .collect();
    let done = Outcome::Done(json!({}));
    assert_eq!(answered, [("stop", done.clone()), ("cont", done.clone())]);
    assert_eq!(seen.bytes("out0").len(), 4 * framed(&"z".repeat(60_000)).len());
    assert_eq!(rig.qmp("stop", &json!({})), done);
}

#[test]
fn what_is_still_on_its_way_is_the_residue() {
    let mut rig = Rig::new(
        "netdevs: {hn0: {type: tap}}
chardevs: {in0: {}}
objects: [\"filter-redirector,id=f0,netdev=hn0,queue=rx,indev=in0\"]",
    );
    rig.write("in0", b"\0\0\0\x20half a frame");
    assert!(rig.look().events.is_empty());
    let residue = rig.finish();
    assert!(residue.errors.is_empty());
    let written = Tag(Origin::Written(1));
    assert_eq!(drops(&residue.events), [(written, DropReason::Incomplete)]);
    assert_eq!(residue.events[0].place, Place::Object("f0".into()));
}

#[test]
fn a_frozen_machine_s_frames_are_the_residue() {
    let mut rig = Rig::new(FROZEN);
    freeze(&mut rig);
    rig.send_frame("hn0.guest", &Frame::plain(frame(LONG).data));
    rig.look();
    let dropped = drops(&rig.finish().events);
    for expected in [
        (Tag::sent(1), DropReason::NoReader),
        (Tag::sent(4), DropReason::Frozen),
        (Tag::sent(5), DropReason::Frozen),
    ] {
        assert!(dropped.contains(&expected), "{expected:?} in {dropped:?}");
    }
}

#[test]
fn a_frame_cut_by_a_close_is_dropped_once() {
    let mut rig = Rig::new(FROZEN);
    freeze(&mut rig);
    rig.act(Action::ChardevClose { port: &out0(), half: false });
    let mut dropped = rig.look().drops();
    dropped.sort();
    let mut expected = [1, 2, 3].map(|number| (Tag::sent(number), DropReason::NoReader)).to_vec();
    expected.push((Tag::sent(4), DropReason::OutdevBroke));
    assert_eq!(dropped, expected);
    rig.act(Action::ChardevOpen(&out0()));
    rig.send("hn0.host", LONG);
    assert_eq!(rig.look().bytes("out0"), framed(LONG));
}
