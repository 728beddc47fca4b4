//! Super-frames on their way to who can't take them.

use tapwright::{
    base::{Direction, VnetHdr},
    record::DropReason,
    scenario::Nic,
};

use crate::{
    Try,
    frame::{broadcast, tcp_v4, tcp_v6},
    lab::Lab,
    world::{World, bridge, empty, link, tap},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("a_guest_gets_segments", a_guest_gets_segments),
    ("a_socket_reads_the_headers", a_socket_reads_the_headers),
    ("a_socket_sees_its_own_segments", a_socket_sees_its_own_segments),
    ("a_link_carries_them_whole", a_link_carries_them_whole),
    ("headers_that_are_refused", headers_that_are_refused),
];

const VIRTIO: Nic = Nic::Virtio { vnet_hdr_len: 12 };

fn header(gso_type: u8, csum_start: u16) -> VnetHdr {
    VnetHdr {
        flags: 1,
        gso_type,
        hdr_len: csum_start + 20,
        gso_size: 1000,
        csum_start,
        csum_offset: 16,
        ..VnetHdr::default()
    }
}

/// A guest without offloads gets segments with whole headers, and packet sockets see those.
fn a_guest_gets_segments(lab: &Lab) {
    for (vnet, frame, headers) in
        [(header(1, 34), tcp_v4(0x99, 2500), 54), (header(4, 54), tcp_v6(0x99, 2500), 74)]
    {
        let mut world = World::with_tap(lab, VIRTIO, &[]);
        assert_eq!(world.host_sends_with(vnet, &frame), Ok(()));
        let seen = world.look();
        let segments = seen.to_guest("hn0");
        let lengths: Vec<_> = segments.iter().map(|segment| segment.data.len() - headers).collect();
        assert_eq!(lengths, [1000, 1000, 500]);
        assert!(segments.iter().all(|segment| segment.vnet.is_zero()));
        assert_eq!(seen.captured(Direction::Tx), segments);
        let tcp = headers - 20;
        let numbers: Vec<_> =
            segments.iter().map(|segment| segment.data[tcp + 4..tcp + 8].to_vec()).collect();
        assert_eq!(numbers, [[0xff, 0xff, 0xff, 0], [0, 0, 2, 0xe8], [0, 0, 6, 0xd0]]);
        let flags: Vec<_> = segments.iter().map(|segment| segment.data[tcp + 13]).collect();
        assert_eq!(flags, [0x90, 0x10, 0x19], "CWR in the first, PSH and FIN in the last");
        for segment in segments {
            assert!(crate::frame::tcp_is_sound(&segment.data), "{:x?}", segment.data);
        }
        world.finish();
    }
}

/// Without a checksum to be done, a packet socket's super-frame is what its headers say.
fn a_socket_reads_the_headers(lab: &Lab) {
    let mut world = World::with_tap(lab, VIRTIO, &[]);
    let vnet = VnetHdr { gso_type: 1, gso_size: 1000, ..VnetHdr::default() };
    assert_eq!(world.host_sends_with(vnet, &tcp_v4(0x10, 1500)), Ok(()));
    let seen = world.look();
    assert_eq!(seen.to_guest("hn0").len(), 2);
    for segment in seen.to_guest("hn0") {
        assert!(crate::frame::tcp_is_sound(&segment.data), "{:x?}", segment.data);
    }
    let refused = Err(DropReason::BadVnetHdr);
    assert_eq!(world.host_sends_with(vnet, &broadcast(1500)), refused);
    world.finish();
}

/// The kernel keeps a sender's frames from itself, but of those that it cuts only the last.
fn a_socket_sees_its_own_segments(lab: &Lab) {
    let mut world = World::with_tap(lab, VIRTIO, &[]);
    assert_eq!(world.injects_with(header(1, 34), &tcp_v4(0x10, 2500)), Ok(()));
    let seen = world.look();
    let segments = seen.to_guest("hn0");
    assert_eq!(segments.len(), 3);
    assert_eq!(seen.captured(Direction::Tx), segments[..2]);
    world.finish();
}

fn a_link_carries_them_whole(lab: &Lab) {
    let mut case = empty();
    case.netdevs.extend((0..2).map(|number| tap(number, VIRTIO, &[])));
    case.links.push(link(None, &[]));
    case.bridges.push(bridge(&["hn0", "hn1"], &["l0.a"]));
    let mut world = World::open(lab, &case);
    for length in [2500, 6000] {
        let frame = tcp_v4(0x18, length);
        assert_eq!(world.guest_sends_with(header(1, 34), &frame), Ok(()));
        let seen = world.look();
        assert_eq!(seen.at("l0.b").len(), 1);
        assert_eq!(seen.at("l0.b"), seen.at("hn0.host"));
        assert_eq!(seen.at("l0.b")[0].data, frame);
        assert_eq!(seen.to_guest("hn1").len(), length.div_ceil(1000));
    }
    world.finish();
}

/// Each is malformed in one way (Linux 6.18 `include/linux/virtio_net.h`).
fn headers_that_are_refused(lab: &Lab) {
    let good = header(1, 34);
    let cases = [
        ("no segment size", VnetHdr { gso_size: 0, ..good }),
        ("a size with another meaning", VnetHdr { gso_size: 0xffff, ..good }),
        ("not TCP's checksum", VnetHdr { csum_offset: 6, ..good }),
        ("a transport header in the network's", VnetHdr { csum_start: 19, ..good }),
        ("only a mark", VnetHdr { gso_type: 0x80, ..good }),
        ("UDP without a checksum", VnetHdr { gso_type: 5, flags: 0, ..good }),
    ];
    let mut world = World::with_tap(lab, VIRTIO, &[]);
    let frame = tcp_v4(0x10, 2500);
    for (what, vnet) in cases {
        let refused = Err(DropReason::BadVnetHdr);
        assert_eq!(world.guest_sends_with(vnet, &frame), refused, "{what}");
        assert_eq!(world.host_sends_with(vnet, &frame), refused, "{what}");
        assert!(world.look().is_empty(), "{what}");
    }
    let short = VnetHdr { hdr_len: 13, ..VnetHdr::default() };
    assert_eq!(world.guest_sends_with(short, &frame), Err(DropReason::BadVnetHdr));
    assert_eq!(world.host_sends_with(short, &frame[..60]), Ok(()));
    world.finish();
}
