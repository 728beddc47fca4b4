//! Frames at each kind of port.

use bytes::Bytes;
use rstest::rstest;
use serde_json::json;

use super::{Rig, frame};
use crate::{
    backend::{Action, World},
    base::{Frame, Tag, VirtualTime, VnetHdr},
    record::{DropReason, EventKind, Place},
};

const PLAIN: &str = "netdevs: {hn0: {type: tap}}";
const VHOST: &str = "netdevs: {hn0: {type: tap, vhost: true}}";
const LONG: &str = "long enough that nothing is padded to 60 bytes";

#[rstest]
#[case::from_the_guest("hn0.guest", "hn0.host")]
#[case::from_the_host("hn0.host", "hn0.guest")]
fn a_frame_crosses_the_machine(
    #[case] from: &str,
    #[case] to: &str,
    #[values(PLAIN, VHOST)] netdevs: &str,
) {
    let mut rig = Rig::new(netdevs);
    rig.send(from, LONG);
    rig.send(from, LONG);
    let seen = rig.look();
    let expected = [1, 2].map(|number| (frame(LONG), Tag::sent(number)));
    assert_eq!(seen.frames(to), expected);
    assert_eq!(seen.arrivals.len(), 2);
    assert!(seen.drops().is_empty());
}

/// A link that is down in the machine stops what passes the machine only.
#[rstest]
#[case::plain(PLAIN, 0)]
#[case::vhost(VHOST, 1)]
fn under_vhost_nothing_enters_the_machine(#[case] netdevs: &str, #[case] arrive: usize) {
    let mut rig = Rig::new(netdevs);
    rig.qmp("set_link", &json!({"name": "hn0", "up": false}));
    rig.send("hn0.guest", LONG);
    assert_eq!(rig.world.queue.len(), 1 - arrive);
    assert_eq!(rig.look().frames("hn0.host").len(), arrive);
    rig.send("hn0.host", LONG);
    assert_eq!(rig.look().frames("hn0.guest").len(), arrive);
}

#[test]
fn a_short_frame_reaches_a_plain_guest_padded_and_a_vhost_guest_as_it_is() {
    for (netdevs, length) in [(PLAIN, 60), (VHOST, 15)] {
        let mut rig = Rig::new(netdevs);
        rig.send("hn0.host", "x");
        assert_eq!(rig.look().frames("hn0.guest")[0].0.data.len(), length);
    }
}

#[test]
fn a_virtio_nic_s_header_goes_through_the_machine() {
    let mut rig = Rig::new("netdevs: {hn0: {type: tap, nic: virtio, vnet_hdr_len: 10}}");
    let vnet = VnetHdr { flags: 1, csum_start: 34, csum_offset: 6, ..VnetHdr::default() };
    let data = frame(LONG).data;
    rig.send_frame("hn0.guest", &Frame { vnet, data });
    let arrived = rig.look().frames("hn0.host");
    assert_eq!(arrived[0].0.vnet, vnet);
    assert_eq!(arrived[0].0.data, frame(LONG).data);
}

#[test]
fn a_link_s_end_reaches_the_other_and_a_bridge_s_guest() {
    let mut rig = Rig::new(
        "netdevs: {hn0: {type: tap}}
links: {l0: {ends: [{name: a}, {name: b}]}}
bridges: {br0: {ports: [hn0, l0.b]}}",
    );
    let stranger = b"\x52\x54\0\0\0\x99\x02\0\0\0\0\x77\x88\xb5";
    let data = [&stranger[..], LONG.as_bytes()].concat();
    rig.send_frame("l0.a", &Frame::plain(data.clone()));
    let seen = rig.look();
    for port in ["l0.b", "hn0.guest"] {
        assert_eq!(seen.frames(port), [(Frame::plain(data.clone()), Tag::sent(1))], "{port}");
    }
    assert_eq!(seen.arrivals.len(), 2);
}

#[test]
fn a_refused_frame_is_dropped_at_its_place_with_the_carrier_s_reason() {
    let mut rig = Rig::new(VHOST);
    let short = Frame::plain(Bytes::from_static(b"short"));
    rig.send_frame("hn0.guest", &short);
    rig.send_frame("hn0.host", &short);
    rig.send("nowhere", LONG);
    let seen = rig.look();
    assert!(seen.arrivals.is_empty());
    let events: Vec<_> =
        seen.events.into_iter().map(|event| (event.tag, event.place, event.kind)).collect();
    let dropped =
        |number, place, reason| (Some(Tag::sent(number)), place, EventKind::Dropped(reason));
    assert_eq!(
        events,
        [
            dropped(1, Place::Tap("hn0".into()), DropReason::TooShort),
            dropped(2, Place::Port("hn0.host".into()), DropReason::TooShort),
            dropped(3, Place::Port("nowhere".into()), DropReason::InterfaceGone),
        ]
    );
}

#[test]
fn what_a_packet_socket_injects_keeps_its_number_and_is_never_captured() {
    let mut rig = Rig::new(
        "netdevs: {hn0: {type: tap, vhost: true}}
chardevs: {in0: {}, out0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,in_netdev=hn0,outdev=out0
  - filter-redirector,id=f1,netdev=hn0,queue=tx,indev=in0,out_netdev=hn0",
    );
    rig.send("in0", LONG);
    let seen = rig.look();
    assert_eq!(seen.frames("hn0.guest"), [(frame(LONG), Tag::sent(1))]);
    assert!(seen.bytes("out0").is_empty());
    rig.send("hn0.host", LONG);
    let seen = rig.look();
    assert_eq!(seen.bytes("out0"), super::framed(LONG));
    assert_eq!(seen.frames("hn0.guest"), [(frame(LONG), Tag::sent(2))]);
}

#[test]
fn what_arrives_after_the_clock_moved_bears_its_time() {
    let mut rig = Rig::new(PLAIN);
    let millisecond = std::time::Duration::from_millis(1);
    rig.act(Action::Advance(millisecond));
    rig.look();
    rig.act(Action::Advance(millisecond / 2));
    rig.look();
    rig.send("hn0.guest", LONG);
    let now = VirtualTime::ZERO + millisecond * 3 / 2;
    assert_eq!(rig.look().arrivals[0].at, now);
    assert_eq!(rig.world.now(), now);
}

#[test]
fn a_removed_netdev_s_guest_gets_end_of_file() {
    let mut rig = Rig::new(PLAIN);
    rig.qmp("netdev_del", &json!({"id": "hn0"}));
    assert!(rig.look().has_eof("hn0.guest"));
    rig.send("hn0.guest", LONG);
    assert_eq!(rig.look().frames("hn0.host").len(), 0);
}
