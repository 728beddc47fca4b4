//! Links, bridges and extra namespaces.

use tapwright::{
    base::{Direction, VnetHdr},
    scenario::Nic,
};

use crate::{
    Try,
    frame::{ALL, GUEST, broadcast, sized, tagged},
    lab::Lab,
    world::{World, bridge, empty, link, tap},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("a_link_carries_its_first_frame", a_link_carries_its_first_frame),
    ("a_link_into_another_namespace", a_link_into_another_namespace),
    ("a_bridge_floods_and_learns", a_bridge_floods_and_learns),
    ("a_bridge_between_a_tap_and_a_link", a_bridge_between_a_tap_and_a_link),
    ("a_bridge_drops_what_it_must", a_bridge_drops_what_it_must),
    ("vnet_headers_beyond_a_bridge", vnet_headers_beyond_a_bridge),
    ("a_bridge_port_that_is_down", a_bridge_port_that_is_down),
    ("a_tap_in_another_namespace", a_tap_in_another_namespace),
];

const TYPE: [u8; 2] = [0x88, 0xb5];
const SECOND: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];

/// Not so when only IFF_RUNNING is waited for.
fn a_link_carries_its_first_frame(lab: &Lab) {
    for _ in 0..20 {
        let mut case = empty();
        case.links.push(link(None, &[]));
        let mut world = World::open(lab, &case);
        for (from, to) in [("l0.a", "l0.b"), ("l0.b", "l0.a")] {
            for frame in [broadcast(60), tagged(64), broadcast(1514)] {
                assert_eq!(world.host_sends(from, &frame), Ok(()));
                let seen = world.look();
                assert_eq!(seen.at(to).len(), 1, "{from} to {to}");
                assert_eq!(seen.at(to)[0].data, frame);
                assert!(seen.at(to)[0].vnet.is_zero());
                assert!(seen.at(from).is_empty());
            }
        }
        world.finish();
    }
}

fn a_link_into_another_namespace(lab: &Lab) {
    let mut case = empty();
    case.namespaces.push("client".to_owned());
    case.links.push(link(Some("client"), &[]));
    let mut world = World::open(lab, &case);
    for (from, to) in [("l0.a", "l0.b"), ("l0.b", "l0.a")] {
        assert_eq!(world.host_sends(from, &broadcast(60)), Ok(()));
        assert_eq!(world.look().at(to).len(), 1, "{from} to {to}");
    }
    world.set_up("l0.b", false);
    world.set_up("l0.b", true);
    assert_eq!(world.host_sends("l0.a", &broadcast(60)), Ok(()));
    assert_eq!(world.look().at("l0.b").len(), 1);
    world.finish();
}

/// To a stranger and to all: everywhere else. To somebody who has spoken: there.
fn a_bridge_floods_and_learns(lab: &Lab) {
    let mut case = empty();
    case.netdevs.extend((0..3).map(|number| tap(number, Nic::Plain, &[])));
    case.bridges.push(bridge(&["hn0", "hn1", "hn2"], &[]));
    let mut world = World::open(lab, &case);
    let counts = |world: &mut World| {
        let seen = world.look();
        ["hn0", "hn1", "hn2"].map(|netdev| seen.to_guest(netdev).len())
    };
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    assert_eq!(counts(&mut world), [0, 1, 1], "to all");
    assert_eq!(world.guest_sends("hn0", &sized(SECOND, GUEST, &TYPE, 60)), Ok(()));
    assert_eq!(counts(&mut world), [0, 1, 1], "to a stranger");
    assert_eq!(world.guest_sends("hn1", &sized(GUEST, SECOND, &TYPE, 60)), Ok(()));
    assert_eq!(counts(&mut world), [1, 0, 0], "to the first, who has spoken");
    assert_eq!(world.guest_sends("hn0", &sized(SECOND, GUEST, &TYPE, 60)), Ok(()));
    assert_eq!(counts(&mut world), [0, 1, 0], "to the second, who has spoken");
    assert_eq!(world.guest_sends("hn2", &sized(SECOND, GUEST, &TYPE, 60)), Ok(()));
    assert_eq!(counts(&mut world), [0, 1, 0], "and the first seems to have moved");
    assert_eq!(world.guest_sends("hn1", &sized(GUEST, SECOND, &TYPE, 60)), Ok(()));
    assert_eq!(counts(&mut world), [0, 0, 1], "so it is found there");
    assert_eq!(world.guest_sends("hn2", &sized(GUEST, GUEST, &TYPE, 60)), Ok(()));
    assert_eq!(counts(&mut world), [0, 0, 0], "not back where it came from");
    world.finish();
}

/// A bridge forwards what an interface receives, unpadded and with its tag; what a packet socket
/// sends on a port goes out of that port only.
fn a_bridge_between_a_tap_and_a_link(lab: &Lab) {
    let mut case = empty();
    case.netdevs.push(tap(0, Nic::Plain, &[]));
    case.links.push(link(None, &[]));
    case.bridges.push(bridge(&["hn0"], &["l0.a"]));
    let mut world = World::open(lab, &case);
    world.capture(true);
    for frame in [broadcast(14), tagged(64), broadcast(1514)] {
        assert_eq!(world.guest_sends("hn0", &frame), Ok(()));
        let seen = world.look();
        assert_eq!(seen.at("hn0.host")[0].data, frame);
        assert_eq!(seen.at("l0.b")[0].data, frame);
        assert!(seen.at("l0.a").is_empty(), "l0.a sends it, and receives nothing");

        assert_eq!(world.host_sends("l0.b", &frame), Ok(()));
        let seen = world.look();
        assert_eq!(seen.at("l0.a")[0].data, frame);
        assert_eq!(seen.to_guest("hn0")[0].data, frame);
        assert_eq!(seen.captured(Direction::Tx)[0].data, frame);
        assert!(seen.at("hn0.host").is_empty());
    }
    // A TAP takes more than the MTU from the guest; a bridge forwards up to MTU + 18, and does not
    // count a tag that the kernel has taken out.
    for (frame, forwarded) in
        [(broadcast(1518), 1), (broadcast(1519), 0), (tagged(1522), 1), (tagged(1523), 0)]
    {
        assert_eq!(world.guest_sends("hn0", &frame), Ok(()));
        let seen = world.look();
        assert_eq!(seen.at("hn0.host").len(), 1, "{} bytes", frame.len());
        assert_eq!(seen.at("l0.b").len(), forwarded, "{} bytes", frame.len());
    }

    assert_eq!(world.host_sends("hn0.host", &sized(ALL, SECOND, &TYPE, 60)), Ok(()));
    let seen = world.look();
    assert_eq!((seen.to_guest("hn0").len(), seen.at("l0.b").len()), (1, 0));
    world.finish();
}

/// IEEE 802.1D reserved addresses, but for the first where there is no spanning tree, and sources
/// that can't be one (Linux 6.18 `net/bridge/br_input.c`, `br_handle_frame`).
fn a_bridge_drops_what_it_must(lab: &Lab) {
    let mut case = empty();
    case.netdevs.extend((0..2).map(|number| tap(number, Nic::Plain, &[])));
    case.bridges.push(bridge(&["hn0", "hn1"], &[]));
    let mut world = World::open(lab, &case);
    let reserved = |last| [0x01, 0x80, 0xc2, 0x00, 0x00, last];
    for (to, from, forwarded) in [
        (reserved(0x00), GUEST, 1),
        (reserved(0x01), GUEST, 0),
        (reserved(0x02), GUEST, 0),
        (reserved(0x0e), GUEST, 0),
        (reserved(0x0f), GUEST, 0),
        (reserved(0x10), GUEST, 1),
        (SECOND, [0; 6], 0),
        (SECOND, ALL, 0),
        (SECOND, reserved(0x10), 0),
    ] {
        let frame = sized(to, from, &TYPE, 60);
        assert_eq!(world.guest_sends("hn0", &frame), Ok(()));
        let seen = world.look();
        assert_eq!(seen.at("hn0.host").len(), 1, "{to:x?} from {from:x?}");
        assert_eq!(seen.to_guest("hn1").len(), forwarded, "{to:x?} from {from:x?}");
    }
    world.finish();
}

/// A link carries an unfinished checksum and a super-frame on; towards a guest without offloads
/// they are finished.
fn vnet_headers_beyond_a_bridge(lab: &Lab) {
    let mut case = empty();
    case.netdevs.push(tap(0, Nic::Virtio { vnet_hdr_len: 12 }, &[]));
    case.netdevs.push(tap(1, Nic::Virtio { vnet_hdr_len: 12 }, &[]));
    case.links.push(link(None, &[]));
    case.bridges.push(bridge(&["hn0", "hn1"], &["l0.a"]));
    let mut world = World::open(lab, &case);
    let header = VnetHdr { flags: 1, csum_start: 34, csum_offset: 16, ..VnetHdr::default() };
    assert_eq!(world.guest_sends_with(header, &broadcast(60)), Ok(()));
    let seen = world.look();
    assert_eq!(seen.at("l0.b")[0].vnet, header);
    assert_eq!(seen.at("l0.b")[0].data, broadcast(60));
    let finished = seen.to_guest("hn1")[0];
    assert!(finished.vnet.is_zero());
    assert_ne!(finished.data[50..52], broadcast(60)[50..52]);
    world.finish();
}

fn a_bridge_port_that_is_down(lab: &Lab) {
    let mut case = empty();
    case.netdevs.extend((0..2).map(|number| tap(number, Nic::Plain, &[])));
    case.bridges.push(bridge(&["hn0", "hn1"], &[]));
    let mut world = World::open(lab, &case);
    world.set_up("hn1.host", false);
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    assert!(world.look().to_guest("hn1").is_empty());
    world.set_up("hn1.host", true);
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    assert_eq!(world.look().to_guest("hn1").len(), 1);
    world.finish();
}

fn a_tap_in_another_namespace(lab: &Lab) {
    let mut case = empty();
    case.namespaces.push("other".to_owned());
    let mut netdev = tap(0, Nic::Plain, &[]);
    if let tapwright::scenario::NetdevType::Tap { netns, .. } = &mut netdev.kind {
        *netns = Some("other".to_owned());
    }
    case.netdevs.push(netdev);
    let mut world = World::open(lab, &case);
    world.capture(true);
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    assert_eq!(world.host_sends("hn0.host", &broadcast(61)), Ok(()));
    let seen = world.look();
    assert_eq!((seen.at("hn0.host").len(), seen.to_guest("hn0").len()), (1, 1));
    assert_eq!(seen.captured(Direction::Rx).len(), 1);
    world.finish();
}
