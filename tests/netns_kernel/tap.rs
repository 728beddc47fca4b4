//! What a write to a TAP's descriptor does.

use tapwright::{
    base::{Direction, VnetHdr},
    record::{DropReason, EventKind},
    scenario::Nic,
};

use crate::{
    Try,
    frame::{broadcast, double_tagged, tagged},
    lab::Lab,
    world::World,
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("too_long_to_be_recorded", too_long_to_be_recorded),
    ("lengths", |lab| lengths(lab, Nic::Plain)),
    ("lengths_behind_a_header", |lab| lengths(lab, Nic::Virtio { vnet_hdr_len: 12 })),
    ("tags_are_put_back", tags_are_put_back),
    ("short_tagged_frames_are_told", short_tagged_frames_are_told),
    ("vnet_headers", vnet_headers),
    ("nothing_is_padded_to_the_guest", nothing_is_padded_to_the_guest),
];

/// Below 14 bytes EINVAL; above, anything goes, whatever the MTU, unpadded and uncut.
fn lengths(lab: &Lab, nic: Nic) {
    let mut world = World::with_tap(lab, nic, &[]);
    for length in [0, 1, 13] {
        let sent = world.guest_sends("hn0", &broadcast(length));
        assert_eq!(sent, Err(DropReason::TooShort), "{length} bytes");
        assert!(world.look().is_empty(), "{length} bytes");
    }
    for length in [14, 59, 60, 1500, 1514, 1515, 1518, 9000, 65_535, 70_000] {
        let frame = broadcast(length);
        assert_eq!(world.guest_sends("hn0", &frame), Ok(()), "{length} bytes");
        let seen = world.look();
        for frames in [seen.at("hn0.host"), seen.captured(Direction::Rx)] {
            assert_eq!(frames.len(), 1, "{length} bytes");
            assert_eq!(frames[0].data, frame, "{length} bytes");
            assert!(frames[0].vnet.is_zero(), "{length} bytes");
        }
        assert!(seen.to_guest("hn0").is_empty(), "the host's stack is silent");
    }
    world.finish();
}

fn tags_are_put_back(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    for frame in [tagged(20), tagged(64), tagged(1518), double_tagged(64), double_tagged(1522)] {
        assert_eq!(world.guest_sends("hn0", &frame), Ok(()));
        let seen = world.look();
        assert_eq!(seen.at("hn0.host")[0].data, frame);
        assert_eq!(seen.captured(Direction::Rx)[0].data, frame);
    }
    world.finish();
}

/// The kernel takes the tag out only when the inner type and 2 bytes more are there, and drops the
/// frame else without a word (Linux 6.18 `net/core/skbuff.c`, `skb_vlan_untag`); the carrier has
/// one.
fn short_tagged_frames_are_told(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    for length in 14..20 {
        for frame in [tagged(length), double_tagged(length)] {
            let sent = world.guest_sends("hn0", &frame);
            assert_eq!(sent, Err(DropReason::TooShort), "{length} bytes");
            assert!(world.look().is_empty(), "{length} bytes");
        }
    }
    world.set_up("hn0.host", false);
    let sent = world.guest_sends("hn0", &tagged(19));
    assert_eq!(sent, Err(DropReason::InterfaceDown));
    world.finish();
}

/// What of a guest's virtio-net header packet sockets show.
fn vnet_headers(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Virtio { vnet_hdr_len: 12 }, &[]);
    let checksum = VnetHdr { flags: 1, csum_start: 34, csum_offset: 16, ..VnetHdr::default() };
    let gso = VnetHdr { gso_type: 1, hdr_len: 54, gso_size: 100, ..checksum };
    let zero = VnetHdr::default();
    let cases = [
        ("a checksum to be done", checksum, 60, Ok(checksum)),
        ("a super-frame", gso, 1000, Ok(VnetHdr { hdr_len: 1000, ..gso })),
        ("below a page", gso, 4031, Ok(VnetHdr { hdr_len: 4031, ..gso })),
        ("a page", gso, 4032, Ok(gso)),
        ("of more than a page", gso, 20_000, Ok(gso)),
        ("no longer than a segment", gso, 60, Ok(checksum)),
        ("checksum verified", VnetHdr { flags: 2, ..zero }, 60, Ok(zero)),
        ("merged buffers", VnetHdr { num_buffers: 9, ..zero }, 60, Ok(zero)),
        ("csum_start beyond the frame", VnetHdr { csum_start: 200, ..checksum }, 60, Err(())),
        ("an unknown gso_type", VnetHdr { gso_type: 9, ..zero }, 60, Err(())),
    ];
    for (what, header, length, expected) in cases {
        let sent = world.guest_sends_with(header, &broadcast(length));
        let seen = world.look();
        match expected {
            Ok(header) => {
                assert_eq!(sent, Ok(()), "{what}");
                assert_eq!(seen.at("hn0.host")[0].vnet, header, "{what}");
                assert_eq!(seen.captured(Direction::Rx)[0].vnet, header, "{what}");
            }
            Err(()) => {
                assert_eq!(sent, Err(DropReason::BadVnetHdr), "{what}");
                assert!(seen.is_empty(), "{what}");
            }
        }
    }
    let mut tagged_frame = tagged(80);
    tagged_frame[18..].fill(0);
    let header = VnetHdr { csum_start: 38, ..checksum };
    assert_eq!(world.guest_sends_with(header, &tagged_frame), Ok(()));
    assert_eq!(world.look().at("hn0.host")[0].vnet, header, "offsets count the tag");
    world.finish();
}

/// A frame that does not fit into what a recorder can hold is never passed on cut off.
fn too_long_to_be_recorded(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    assert_eq!(world.guest_sends("hn0", &broadcast(131_072)), Ok(()));
    assert_eq!(world.look().at("hn0.host")[0].data.len(), 131_072);
    assert_eq!(world.guest_sends("hn0", &broadcast(131_073)), Ok(()));
    let seen = world.look();
    let truncated = EventKind::Dropped(DropReason::Truncated);
    assert_eq!(seen.said().len(), 2, "the machine's socket and the recorder");
    assert!(seen.said().iter().all(|event| event.kind == truncated));
    assert!(seen.at("hn0.host").is_empty() && seen.captured(Direction::Rx).is_empty());
    world.finish();
}

/// A reader of the TAP gets what was sent; it is QEMU that pads (QEMU 10.2.2 `net/tap.c`).
fn nothing_is_padded_to_the_guest(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    assert_eq!(world.host_sends("hn0.host", &broadcast(14)), Ok(()));
    assert_eq!(world.look().to_guest("hn0")[0].data, broadcast(14));
    world.finish();
}
