//! Chardevs and who is at their far ends.

use serde_json::json;

use super::{Rig, drops, framed};
use crate::{
    backend::Action,
    base::{Origin, PortId, Tag},
    record::{DropReason, Place},
};

const OUTDEV: &str = "netdevs: {hn0: {type: tap}}
chardevs: {out0: {}}
objects: [\"filter-redirector,id=f0,netdev=hn0,queue=tx,outdev=out0\"]";

const LONG: [&str; 3] = [
    "the first, too long to be padded to 60 bytes, so it is whole",
    "the second, too long to be padded to 60 bytes, so it is whole",
    "the third, too long to be padded to 60 bytes, so it is whole",
];

fn out0() -> PortId {
    "out0".into()
}

#[test]
fn a_frame_sent_at_a_chardev_is_framed_and_a_frame_at_an_outdev_too() {
    let mut rig = Rig::new(
        "netdevs: {hn0: {type: tap}}
chardevs: {in0: {}, out0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,indev=in0
  - filter-redirector,id=f1,netdev=hn0,queue=tx,outdev=out0",
    );
    rig.send("in0", LONG[0]);
    let seen = rig.look();
    assert_eq!(seen.bytes("out0"), framed(LONG[0]));
    assert!(seen.arrivals.iter().all(|one| one.tag == Some(Tag::sent(1))));
}

#[test]
fn joined_chardevs_read_what_the_other_writes() {
    let mut rig = Rig::new(
        "netdevs: {hn0: {type: tap}, hn1: {type: tap}}
chardevs: {a: {server: on, path: wire}, b: {path: wire}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,outdev=a
  - filter-redirector,id=f1,netdev=hn1,queue=rx,indev=b",
    );
    rig.send("hn0.host", LONG[0]);
    let seen = rig.look();
    assert_eq!(seen.frames("hn1.host"), [(super::frame(LONG[0]), Tag::sent(1))]);
    assert_eq!(seen.arrivals.len(), 1);
}

#[test]
fn a_stalled_port_reads_when_it_resumes() {
    let mut rig = Rig::new(OUTDEV);
    rig.act(Action::ChardevStall(&out0()));
    rig.look();
    rig.send("hn0.host", LONG[0]);
    rig.send("hn0.host", LONG[1]);
    assert!(rig.look().arrivals.is_empty());
    rig.act(Action::ChardevResume(&out0()));
    let seen = rig.look();
    assert_eq!(seen.bytes("out0"), [framed(LONG[0]), framed(LONG[1])].concat());
    rig.send("hn0.host", LONG[2]);
    assert_eq!(rig.look().bytes("out0"), framed(LONG[2]));
}

#[test]
fn what_a_stalled_port_never_reads_is_dropped_once_a_frame() {
    for closes in [true, false] {
        let mut rig = Rig::new(OUTDEV);
        rig.act(Action::ChardevStall(&out0()));
        rig.look();
        rig.send("hn0.host", LONG[0]);
        rig.send("hn0.host", LONG[1]);
        rig.look();
        let dropped = if closes {
            rig.act(Action::ChardevClose { port: &out0(), half: false });
            let seen = rig.look();
            assert!(seen.arrivals.is_empty());
            assert!(rig.finish().events.is_empty());
            seen.events
        } else {
            rig.finish().events
        };
        assert_eq!(drops(&dropped), [1, 2].map(|number| (Tag::sent(number), DropReason::NoReader)));
        assert!(dropped.iter().all(|event| event.place == Place::Port(out0())));
    }
}

#[test]
fn a_second_client_waits_its_turn() {
    let mut rig = Rig::new(OUTDEV);
    let close = |rig: &mut Rig| {
        rig.act(Action::ChardevClose { port: &out0(), half: false });
        rig.look();
    };
    rig.act(Action::ChardevOpen(&out0()));
    rig.look();
    rig.send("hn0.host", LONG[0]);
    assert_eq!(rig.look().bytes("out0"), framed(LONG[0]));
    close(&mut rig);
    rig.send("hn0.host", LONG[1]);
    assert_eq!(rig.look().bytes("out0"), framed(LONG[1]));
    close(&mut rig);
    rig.send("hn0.host", LONG[2]);
    let seen = rig.look();
    assert!(seen.arrivals.is_empty());
    assert_eq!(seen.drops(), [(Tag::sent(3), DropReason::OutdevClosed)]);
    rig.send("out0", LONG[0]);
    assert_eq!(rig.look().events[0].place, Place::Port(out0()));
}

#[test]
fn nothing_is_sent_where_no_client_is() {
    let mut rig = Rig::new(
        "netdevs: {hn0: {type: tap}}
chardevs: {in0: {connected: false}}
objects: [\"filter-redirector,id=f0,netdev=hn0,queue=rx,indev=in0\"]",
    );
    rig.send("in0", LONG[0]);
    rig.write("in0", b"bytes");
    let written = Tag(Origin::Written(1));
    let seen = rig.look();
    assert_eq!(seen.drops(), [Tag::sent(1), written].map(|tag| (tag, DropReason::ChardevClosed)));
    rig.act(Action::ChardevOpen(&"in0".into()));
    rig.send("in0", LONG[1]);
    assert_eq!(rig.look().frames("hn0.host").len(), 1);
}

#[test]
fn an_added_chardev_has_a_port_until_it_is_removed() {
    let mut rig = Rig::new("netdevs: {hn0: {type: tap}}");
    let socket = json!({
        "type": "socket",
        "data": {"addr": {"type": "unix", "data": {"path": "late"}}, "server": true, "wait": false}
    });
    rig.qmp("chardev-add", &json!({"id": "late", "backend": socket}));
    let filter = json!({
        "qom-type": "filter-redirector", "id": "f0", "netdev": "hn0", "queue": "tx",
        "outdev": "late"
    });
    rig.qmp("object-add", &filter);
    rig.act(Action::ChardevOpen(&"late".into()));
    rig.look();
    rig.send("hn0.host", LONG[0]);
    assert_eq!(rig.look().bytes("late"), framed(LONG[0]));
    rig.qmp("object-del", &json!({"id": "f0"}));
    rig.qmp("chardev-remove", &json!({"id": "late"}));
    rig.look();
    rig.send("late", LONG[1]);
    let seen = rig.look();
    assert_eq!(seen.drops(), [(Tag::sent(2), DropReason::ChardevClosed)]);
}

#[test]
fn an_added_chardev_never_takes_another_port_s_name() {
    let mut rig = Rig::new("netdevs: {hn0: {type: tap}}");
    let backend = json!({"type": "null", "data": {}});
    rig.qmp("chardev-add", &json!({"id": "hn0.guest", "backend": backend}));
    rig.send("hn0.guest", LONG[0]);
    assert_eq!(rig.look().frames("hn0.host").len(), 1);
}
