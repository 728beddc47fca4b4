//! Interfaces that go down, come up, change and vanish.

use tapwright::{
    base::Direction,
    record::{DropReason, EventKind},
    scenario::Nic,
};

use crate::{
    Try,
    frame::{broadcast, tagged},
    lab::Lab,
    world::{Seen, World, empty, link},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("down_and_up", down_and_up),
    ("what_waits_survives_down", what_waits_survives_down),
    ("deleted", deleted),
    ("capture_while_down", capture_while_down),
    ("deleted_while_down", deleted_while_down),
    ("gone_for_every_length", gone_for_every_length),
    ("mtu", mtu),
    ("a_link_follows_its_other_end", a_link_follows_its_other_end),
    ("a_link_is_as_wide_as_its_other_end", a_link_is_as_wide_as_its_other_end),
    ("a_link_goes_with_one_end", a_link_goes_with_one_end),
];

fn notices(seen: &Seen) -> usize {
    seen.said().iter().filter(|event| matches!(event.kind, EventKind::Notice(_))).count()
}

/// EIO and ENETDOWN while down, one ENETDOWN at the machine's socket, and nothing to be mended
/// afterwards.
fn down_and_up(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    world.set_up("hn0.host", false);
    assert_eq!(notices(&world.look()), 1, "one ENETDOWN");
    let down = Err(DropReason::InterfaceDown);
    for length in [14, 60, 9000] {
        assert_eq!(world.guest_sends("hn0", &broadcast(length)), down, "{length} bytes");
        assert_eq!(world.host_sends("hn0.host", &broadcast(length)), down, "{length} bytes");
        assert_eq!(world.injects(&broadcast(length)), down, "{length} bytes");
    }
    // A write looks at the length first, a send at the interface.
    assert_eq!(world.guest_sends("hn0", &broadcast(13)), Err(DropReason::TooShort));
    assert_eq!(world.host_sends("hn0.host", &broadcast(13)), Err(DropReason::InterfaceDown));
    assert!(world.look().is_empty(), "refused sends leave nothing");

    world.set_up("hn0.host", true);
    assert!(world.look().is_empty());
    assert_eq!(world.host_sends("hn0.host", &broadcast(60)), Ok(()));
    assert_eq!(world.injects(&broadcast(60)), Ok(()));
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    let seen = world.look();
    assert_eq!((seen.to_guest("hn0").len(), seen.at("hn0.host").len()), (2, 1));
    world.finish();
}

fn what_waits_survives_down(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    assert_eq!(world.host_sends("hn0.host", &broadcast(60)), Ok(()));
    assert_eq!(world.guest_sends("hn0", &broadcast(61)), Ok(()));
    world.set_up("hn0.host", false);
    let seen = world.look();
    assert_eq!(seen.to_guest("hn0").len(), 1);
    assert_eq!(seen.at("hn0.host").len(), 1);
    assert_eq!(seen.captured(Direction::Tx).len(), 1);
    assert_eq!(seen.captured(Direction::Rx).len(), 1);
    world.finish();
}

/// The TAP's queue is lost, the packet sockets keep what they had.
fn deleted(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    assert_eq!(world.host_sends("hn0.host", &broadcast(60)), Ok(()));
    assert_eq!(world.guest_sends("hn0", &broadcast(61)), Ok(()));
    world.delete("hn0.host");
    let seen = world.look();
    assert_eq!(notices(&seen), 1, "one ENETDOWN");
    assert!(seen.to_guest("hn0").is_empty());
    assert_eq!(seen.at("hn0.host").len(), 1);
    assert_eq!(seen.captured(Direction::Tx).len(), 1);
    assert_eq!(seen.captured(Direction::Rx).len(), 1);
    for length in [13, 60, 9000] {
        let gone = Err(DropReason::InterfaceGone);
        assert_eq!(world.guest_sends("hn0", &broadcast(length)), gone, "{length} bytes");
        assert_eq!(world.host_sends("hn0.host", &broadcast(length)), gone, "{length} bytes");
        assert_eq!(world.injects(&broadcast(length)), gone, "{length} bytes");
    }
    assert!(world.look().is_empty());
    world.capture(false);
    world.capture(true);
    assert_eq!(notices(&world.look()), 1, "there is nothing to capture on");
    world.finish();
}

/// A packet socket that is opened on an interface that is down says so once, and works when it is
/// up.
fn capture_while_down(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    world.capture(false);
    world.set_up("hn0.host", false);
    assert!(world.look().is_empty(), "nobody listens");
    world.capture(true);
    assert_eq!(notices(&world.look()), 1);
    assert_eq!(world.injects(&broadcast(60)), Err(DropReason::InterfaceDown));
    assert!(world.look().is_empty());
    world.set_up("hn0.host", true);
    assert_eq!(world.injects(&broadcast(60)), Ok(()));
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    assert_eq!(world.look().captured(Direction::Rx).len(), 1);
    world.finish();
}

/// What is down can't go down again.
fn deleted_while_down(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    world.set_up("hn0.host", false);
    world.set_up("hn0.host", false);
    assert_eq!(notices(&world.look()), 1);
    world.delete("hn0.host");
    assert!(world.look().is_empty());
    world.finish();
}

/// But for a write of nothing, which never reaches the driver.
fn gone_for_every_length(lab: &Lab) {
    for (nic, nothing) in [
        (Nic::Plain, DropReason::TooShort),
        (Nic::Virtio { vnet_hdr_len: 12 }, DropReason::InterfaceGone),
    ] {
        let mut world = World::with_tap(lab, nic, &[]);
        world.delete("hn0.host");
        assert_eq!(world.guest_sends("hn0", &[]), Err(nothing), "{nic:?}");
        let gone = Err(DropReason::InterfaceGone);
        assert_eq!(world.guest_sends("hn0", &[0]), gone, "{nic:?}");
        assert_eq!(world.host_sends("hn0.host", &[]), gone, "{nic:?}");
        assert!(world.set_mtu("hn0.host", 1500).is_err());
        assert!(world.carrier().link_del(&"hn0.host".into()).is_err());
        world.finish();
    }
}

/// The MTU bounds what is sent to the guest, and is itself between 68 and 65,521.
fn mtu(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    for mtu in [600, 68, 9000, 65_521, 1500] {
        world.set_mtu("hn0.host", mtu).unwrap();
        assert!(world.look().is_empty(), "a change of the MTU is silent");
        let longest = usize::try_from(mtu).unwrap() + 14;
        assert_eq!(world.host_sends("hn0.host", &broadcast(longest)), Ok(()), "MTU {mtu}");
        let longer = broadcast(longest + 1);
        assert_eq!(world.host_sends("hn0.host", &longer), Err(DropReason::TooLong), "MTU {mtu}");
        assert_eq!(world.guest_sends("hn0", &longer), Ok(()), "MTU {mtu}");
        assert_eq!(world.look().to_guest("hn0")[0].data.len(), longest, "MTU {mtu}");
    }
    for mtu in [67, 65_522, 65_535] {
        let refused = world.set_mtu("hn0.host", mtu).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput, "MTU {mtu}");
    }
    assert_eq!(world.host_sends("hn0.host", &broadcast(1514)), Ok(()), "the MTU is as it was");
    world.finish();
}

/// An end whose other end is down has no carrier: what it takes goes nowhere.
fn a_link_follows_its_other_end(lab: &Lab) {
    let mut case = empty();
    case.links.push(link(None, &[]));
    let mut world = World::open(lab, &case);
    world.set_up("l0.b", false);
    assert!(world.look().is_empty());
    assert_eq!(world.host_sends("l0.b", &broadcast(60)), Err(DropReason::InterfaceDown));
    assert_eq!(world.host_sends("l0.a", &broadcast(60)), Err(DropReason::InterfaceDown));
    assert!(world.look().is_empty());
    world.set_up("l0.b", true);
    for (from, to) in [("l0.a", "l0.b"), ("l0.b", "l0.a")] {
        assert_eq!(world.host_sends(from, &broadcast(60)), Ok(()));
        assert_eq!(world.look().at(to).len(), 1, "{from} to {to}");
    }
    world.finish();
}

/// What the other end would not take is told, a tag that it can't take out too.
fn a_link_is_as_wide_as_its_other_end(lab: &Lab) {
    let mut case = empty();
    case.links.push(link(None, &[]));
    let mut world = World::open(lab, &case);
    world.set_mtu("l0.a", 9000).unwrap();
    assert!(world.set_mtu("l0.a", 65_536).is_err());
    for (frame, told, arrive) in [
        (broadcast(1518), Ok(()), 1),
        (broadcast(1519), Err(DropReason::TooLong), 0),
        (tagged(1518), Ok(()), 1),
        (tagged(1519), Err(DropReason::TooLong), 0),
        (tagged(20), Ok(()), 1),
        (tagged(19), Err(DropReason::TooShort), 0),
    ] {
        assert_eq!(world.host_sends("l0.a", &frame), told, "{} B", frame.len());
        assert_eq!(world.look().at("l0.b").len(), arrive, "{} B", frame.len());
    }
    world.finish();
}

fn a_link_goes_with_one_end(lab: &Lab) {
    let mut case = empty();
    case.links.push(link(None, &[]));
    let mut world = World::open(lab, &case);
    world.delete("l0.a");
    assert!(world.look().is_empty());
    for port in ["l0.a", "l0.b"] {
        assert_eq!(world.host_sends(port, &broadcast(60)), Err(DropReason::InterfaceGone));
    }
    world.finish();
}
