//! What the kernel's vhost-net does with a guest's frames, where there is one: as a TAP does whose
//! descriptor is read and written, but for what is said here.

use tapwright::{
    base::{Direction, VnetHdr},
    record::DropReason,
    scenario::Nic,
    sys::Isolated,
};

use crate::{KernelTry, frame::broadcast, world::World};

pub(crate) const TRIALS: &[(&str, KernelTry)] = &[
    ("lengths", lengths),
    ("a_burst_is_longer_than_the_ring", a_burst_is_longer_than_the_ring),
    ("a_header_goes_through", a_header_goes_through),
    ("a_guest_without_headers_has_none", a_guest_without_headers_has_none),
    ("a_bad_header_is_taken_and_lost", a_bad_header_is_taken_and_lost),
    ("a_checksum_beyond_the_end_wedges", a_checksum_beyond_the_end_wedges),
    ("down_and_up", down_and_up),
    ("deleted", deleted),
    ("stopped_and_started", stopped_and_started),
    ("the_machine_writes_past_it", the_machine_writes_past_it),
];

const NEEDS_CSUM: u8 = 1;
const VIRTIO: Nic = Nic::Virtio { vnet_hdr_len: 12 };

/// Nothing is padded or cut in either direction.
fn lengths(isolated: &Isolated) {
    let mut world = World::served(isolated, Nic::Plain);
    for length in [0, 1, 13] {
        let sent = world.guest_sends("hn0", &broadcast(length));
        assert_eq!(sent, Err(DropReason::TooShort), "{length} bytes");
        assert!(world.look().is_empty(), "{length} bytes");
    }
    for length in [14, 59, 60, 1514, 1515, 2036, 2037, 9000, 65_535] {
        let frame = broadcast(length);
        assert_eq!(world.guest_sends("hn0", &frame), Ok(()), "{length} bytes");
        let seen = world.look();
        for frames in [seen.at("hn0.host"), seen.captured(Direction::Rx)] {
            assert_eq!(frames.len(), 1, "{length} bytes");
            assert_eq!(frames[0].data, frame, "{length} bytes");
        }
    }
    assert_eq!(world.guest_sends("hn0", &broadcast(70_000)), Err(DropReason::TooLong));
    world.set_mtu("hn0.host", 9000).unwrap();
    for length in [14, 59, 60, 1514, 2036, 2037, 4084, 4085, 9014] {
        let frame = broadcast(length);
        assert_eq!(world.host_sends("hn0.host", &frame), Ok(()), "{length} bytes");
        let seen = world.look();
        assert_eq!(seen.to_guest("hn0").len(), 1, "{length} bytes");
        assert_eq!(seen.to_guest("hn0")[0].data, frame, "{length} bytes");
        assert_eq!(seen.captured(Direction::Tx)[0].data, frame, "{length} bytes");
    }
    world.finish();
}

/// What finds no receive buffer waits in the TAP's queue.
fn a_burst_is_longer_than_the_ring(isolated: &Isolated) {
    let mut world = World::served(isolated, Nic::Plain);
    let frames: Vec<Vec<u8>> = (60..960).map(broadcast).collect();
    for frame in &frames {
        assert_eq!(world.host_sends("hn0.host", frame), Ok(()));
    }
    let seen = world.look();
    let came: Vec<&[u8]> = seen.to_guest("hn0").iter().map(|frame| &*frame.data).collect();
    assert!(came.iter().copied().eq(frames.iter().map(Vec::as_slice)), "{} came", came.len());
    world.finish();
}

fn a_header_goes_through(isolated: &Isolated) {
    let mut world = World::served(isolated, VIRTIO);
    let vnet = VnetHdr { flags: NEEDS_CSUM, csum_start: 34, csum_offset: 6, ..VnetHdr::default() };
    assert_eq!(world.guest_sends_with(vnet, &broadcast(100)), Ok(()));
    assert_eq!(world.look().captured(Direction::Rx)[0].vnet, vnet);
    assert_eq!(world.host_sends("hn0.host", &broadcast(100)), Ok(()));
    // The number of buffers that it took is none of the frame's.
    assert!(world.look().to_guest("hn0")[0].vnet.is_zero());
    world.finish();
}

fn a_guest_without_headers_has_none(isolated: &Isolated) {
    let mut world = World::served(isolated, Nic::Plain);
    let vnet = VnetHdr { flags: NEEDS_CSUM, csum_start: 34, csum_offset: 6, ..VnetHdr::default() };
    assert_eq!(world.guest_sends_with(vnet, &broadcast(100)), Ok(()));
    assert!(world.look().captured(Direction::Rx)[0].vnet.is_zero());
    world.finish();
}

fn a_bad_header_is_taken_and_lost(isolated: &Isolated) {
    let mut world = World::served(isolated, VIRTIO);
    let vnet = VnetHdr { gso_type: 9, gso_size: 1000, ..VnetHdr::default() };
    assert_eq!(world.guest_sends_with(vnet, &broadcast(100)), Err(DropReason::BadVnetHdr));
    assert!(world.look().is_empty());
    assert_eq!(world.guest_sends("hn0", &broadcast(100)), Ok(()));
    assert_eq!(world.look().at("hn0.host").len(), 1);
    world.finish();
}

/// Good frames behind it never go out; those for the guest are not concerned.
fn a_checksum_beyond_the_end_wedges(isolated: &Isolated) {
    let mut world = World::served(isolated, VIRTIO);
    let vnet =
        VnetHdr { flags: NEEDS_CSUM, csum_start: 4000, csum_offset: 6, ..VnetHdr::default() };
    assert_eq!(world.guest_sends_with(vnet, &broadcast(100)), Err(DropReason::BadVnetHdr));
    for _ in 0..2 {
        assert_eq!(world.guest_sends("hn0", &broadcast(100)), Err(DropReason::Wedged));
    }
    assert!(world.look().is_empty());
    assert_eq!(world.host_sends("hn0.host", &broadcast(100)), Ok(()));
    assert_eq!(world.look().to_guest("hn0").len(), 1);
    world.finish();
}

/// A frame that is sent meanwhile is used up, and does not come late.
fn down_and_up(isolated: &Isolated) {
    let mut world = World::served(isolated, Nic::Plain);
    world.set_up("hn0.host", false);
    world.look();
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Err(DropReason::InterfaceDown));
    assert_eq!(world.host_sends("hn0.host", &broadcast(60)), Err(DropReason::InterfaceDown));
    world.set_up("hn0.host", true);
    assert!(world.look().at("hn0.host").is_empty());
    assert_eq!(world.guest_sends("hn0", &broadcast(61)), Ok(()));
    assert_eq!(world.host_sends("hn0.host", &broadcast(62)), Ok(()));
    let seen = world.look();
    assert_eq!(seen.at("hn0.host").len(), 1);
    assert_eq!(seen.to_guest("hn0")[0].data, broadcast(62));
    world.finish();
}

fn deleted(isolated: &Isolated) {
    let mut world = World::served(isolated, Nic::Plain);
    world.delete("hn0.host");
    for _ in 0..300 {
        assert_eq!(world.guest_sends("hn0", &broadcast(60)), Err(DropReason::InterfaceGone));
    }
    assert_eq!(world.host_sends("hn0.host", &broadcast(60)), Err(DropReason::InterfaceGone));
    world.carrier().hold(&"hn0".into(), true);
    world.carrier().hold(&"hn0".into(), false);
    assert!(world.look().to_guest("hn0").is_empty());
    world.finish();
}

/// What is for the guest waits in the TAP's queue.
fn stopped_and_started(isolated: &Isolated) {
    let mut world = World::served(isolated, Nic::Plain);
    for _ in 0..3 {
        world.carrier().hold(&"hn0".into(), true);
        for length in 60..70 {
            assert_eq!(world.host_sends("hn0.host", &broadcast(length)), Ok(()));
        }
        assert!(world.look().to_guest("hn0").is_empty());
        world.carrier().hold(&"hn0".into(), false);
        assert_eq!(world.guest_sends("hn0", &broadcast(80)), Ok(()));
        let seen = world.look();
        assert_eq!(seen.to_guest("hn0").len(), 10);
        assert_eq!(seen.at("hn0.host").len(), 1);
    }
    world.finish();
}

/// As QEMU's announcements do, also while vhost-net is stopped.
fn the_machine_writes_past_it(isolated: &Isolated) {
    let mut world = World::served(isolated, Nic::Plain);
    let frame = tapwright::base::Frame::plain(broadcast(60));
    for stopped in [false, true] {
        world.carrier().hold(&"hn0".into(), stopped);
        assert_eq!(world.carrier().send_from_machine(&"hn0".into(), &frame), Ok(()));
        assert_eq!(world.look().at("hn0.host").len(), 1, "stopped: {stopped}");
    }
    world.finish();
}
