//! What a send on a packet socket of a TAP does.

use tapwright::{
    base::{Direction, VnetHdr},
    record::DropReason,
    scenario::Nic,
};

use crate::{
    Try,
    frame::{broadcast, double_tagged, tagged},
    lab::Lab,
    world::World,
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("lengths", |lab| lengths(lab, Nic::Plain)),
    ("lengths_behind_a_header", |lab| lengths(lab, Nic::Virtio { vnet_hdr_len: 10 })),
    ("tags_go_inline", tags_go_inline),
    ("vnet_headers_are_carried_out", vnet_headers_are_carried_out),
    ("who_sees_what", who_sees_what),
    ("a_closed_socket_captures_nothing", a_closed_socket_captures_nothing),
];

/// From 14 bytes to MTU + 14.
fn lengths(lab: &Lab, nic: Nic) {
    let mut world = World::with_tap(lab, nic, &[]);
    for (length, reason) in [
        (0, DropReason::TooShort),
        (13, DropReason::TooShort),
        (1515, DropReason::TooLong),
        (9000, DropReason::TooLong),
        (65_535, DropReason::TooLong),
    ] {
        assert_eq!(world.host_sends("hn0.host", &broadcast(length)), Err(reason), "{length}");
        assert_eq!(world.injects(&broadcast(length)), Err(reason), "{length}");
        assert!(world.look().is_empty(), "{length} bytes");
    }
    for length in [14, 59, 60, 1500, 1514] {
        let frame = broadcast(length);
        assert_eq!(world.host_sends("hn0.host", &frame), Ok(()), "{length} bytes");
        let seen = world.look();
        for frames in [seen.to_guest("hn0"), seen.captured(Direction::Tx)] {
            assert_eq!(frames.len(), 1, "{length} bytes");
            assert_eq!(frames[0].data, frame, "{length} bytes");
            assert!(frames[0].vnet.is_zero(), "{length} bytes");
        }
        assert!(seen.at("hn0.host").is_empty(), "{length} bytes");
    }
    world.finish();
}

/// A tag travels in the frame, and makes room for itself when it is the usual one.
fn tags_go_inline(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    for frame in [tagged(18), tagged(64), tagged(1518), double_tagged(22), double_tagged(1514)] {
        assert_eq!(world.host_sends("hn0.host", &frame), Ok(()));
        let seen = world.look();
        assert_eq!(seen.to_guest("hn0")[0].data, frame);
        assert_eq!(seen.captured(Direction::Tx)[0].data, frame);
    }
    for frame in [tagged(1519), double_tagged(1515), double_tagged(1518)] {
        assert_eq!(world.host_sends("hn0.host", &frame), Err(DropReason::TooLong));
        assert!(world.look().is_empty());
    }
    world.finish();
}

/// Towards a guest without offloads, checksums are filled in and super-frames cut before any packet
/// socket sees them.
fn vnet_headers_are_carried_out(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Virtio { vnet_hdr_len: 12 }, &[]);
    let checksum = VnetHdr { flags: 1, csum_start: 34, csum_offset: 16, ..VnetHdr::default() };
    assert_eq!(world.host_sends_with(checksum, &broadcast(60)), Ok(()));
    let seen = world.look();
    let frame = seen.to_guest("hn0")[0];
    assert!(frame.vnet.is_zero());
    assert_ne!(frame.data[50..52], broadcast(60)[50..52], "the checksum is filled in");
    assert_eq!(seen.captured(Direction::Tx), [frame]);

    let malformed = VnetHdr { csum_start: 200, ..checksum };
    assert_eq!(world.host_sends_with(malformed, &broadcast(60)), Err(DropReason::BadVnetHdr));
    assert!(world.look().is_empty());
    world.finish();
}

/// The sender never sees its own frame; the other sockets do; the host's stack never does.
fn who_sees_what(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    assert_eq!(world.injects(&broadcast(60)), Ok(()));
    let seen = world.look();
    assert_eq!(seen.to_guest("hn0").len(), 1);
    assert!(seen.captured(Direction::Tx).is_empty(), "not its own injection");
    assert!(seen.at("hn0.host").is_empty(), "the recorder ignores what goes out");

    assert_eq!(world.host_sends("hn0.host", &broadcast(60)), Ok(()));
    let seen = world.look();
    assert_eq!((seen.to_guest("hn0").len(), seen.captured(Direction::Tx).len()), (1, 1));
    world.finish();
}

fn a_closed_socket_captures_nothing(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    world.capture(false);
    world.capture(true);
    let seen = world.look();
    assert_eq!((seen.at("hn0.host").len(), seen.captured(Direction::Rx).len()), (1, 0));
    world.capture(false);
    assert_eq!(world.injects(&broadcast(60)), Err(DropReason::InterfaceGone));
    world.finish();
}
