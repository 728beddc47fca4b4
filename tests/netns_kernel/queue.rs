//! Bursts: what waits where, and what is lost.

use tapwright::{
    backend::netns::Network,
    base::Direction,
    record::{DropReason, EventKind},
    scenario::Nic,
    sys::{
        InterfaceIndex, Isolated, PacketOptions, PacketSocket, PacketStatistics, Tap, TapHeader,
        enter_fresh,
    },
};

use crate::{
    KernelTry, Try,
    frame::broadcast,
    lab::Lab,
    world::{World, bridge, empty, tap},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("a_tap_holds_a_thousand", a_tap_holds_a_thousand),
    ("what_a_bridge_overflows_is_said", what_a_bridge_overflows_is_said),
    ("a_host_tells_its_own_losses", a_host_tells_its_own_losses),
    ("a_burst_before_a_socket_closes", a_burst_before_a_socket_closes),
    ("small_frames_from_the_guest", |lab| from_the_guest(lab, 60, 1500)),
    ("large_frames_from_the_guest", |lab| from_the_guest(lab, 1514, 1500)),
    ("jumbo_frames_from_the_guest", |lab| from_the_guest(lab, 9000, 1000)),
    ("super_frames_from_the_guest", |lab| from_the_guest(lab, 65_000, 300)),
];

/// However much it was: a closed socket's frames are lost.
fn a_burst_before_a_socket_closes(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    for _ in 0..1500 {
        assert_eq!(world.guest_sends("hn0", &broadcast(1514)), Ok(()));
    }
    world.capture(false);
    let seen = world.look();
    assert_eq!(seen.at("hn0.host").len(), 1500);
    assert!(seen.captured(Direction::Rx).is_empty());
    world.finish();
}

pub(crate) const KERNEL_TRIALS: &[(&str, KernelTry)] =
    &[("a_small_buffer_tells_its_losses", a_small_buffer_tells_its_losses)];

/// The queue's ring of 1,000 gives its places back in steps of 16 reads, and at its end (Linux 6.18
/// `include/linux/ptr_ring.h`, `__ptr_ring_discard_one`).
fn a_tap_holds_a_thousand(lab: &Lab) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    let mut read = 0;
    for before in [0, 5, 15, 16, 17, 500] {
        for _ in 0..before {
            assert_eq!(world.host_sends("hn0.host", &broadcast(60)), Ok(()));
        }
        read += world.look().to_guest("hn0").len();
        let room = 1000 - (read % 1000) % 16;
        let sent: Vec<_> =
            (0..1500).map(|_| world.host_sends("hn0.host", &broadcast(60))).collect();
        assert!(sent[..room].iter().all(Result::is_ok), "after {read} reads");
        let refused = Err(DropReason::TxQueueFull);
        assert!(sent[room..].iter().all(|sent| *sent == refused), "after {read} reads");
        let seen = world.look();
        assert_eq!(seen.to_guest("hn0").len(), room, "after {read} reads");
        assert_eq!(seen.captured(Direction::Tx).len(), 1500, "packet sockets see them all");
        assert!(seen.said().is_empty(), "told by the sends already");
        read += room;
    }
    world.finish();
}

/// What comes over a bridge can't be told by the send.
fn what_a_bridge_overflows_is_said(lab: &Lab) {
    let mut case = empty();
    case.netdevs.extend((0..2).map(|number| tap(number, Nic::Plain, &[])));
    case.bridges.push(bridge(&["hn0", "hn1"], &[]));
    let mut world = World::open(lab, &case);
    for _ in 0..1500 {
        assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    }
    let seen = world.look();
    assert_eq!(seen.at("hn0.host").len(), 1500);
    assert_eq!(seen.to_guest("hn1").len(), 1000);
    let full = EventKind::Dropped(DropReason::TxQueueFull);
    assert_eq!(seen.said().len(), 500);
    assert!(seen.said().iter().all(|event| event.kind == full));
    world.finish();
}

/// Also when it was a bridge that filled the queue.
fn a_host_tells_its_own_losses(lab: &Lab) {
    let mut case = empty();
    case.netdevs.extend((0..2).map(|number| tap(number, Nic::Plain, &[])));
    case.bridges.push(bridge(&["hn0", "hn1"], &[]));
    let mut world = World::open(lab, &case);
    for _ in 0..999 {
        assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    }
    assert_eq!(world.host_sends("hn1.host", &broadcast(60)), Ok(()));
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    let full = Err(DropReason::TxQueueFull);
    assert_eq!(world.host_sends("hn1.host", &broadcast(60)), full);
    let seen = world.look();
    assert_eq!(seen.to_guest("hn1").len(), 1000);
    assert_eq!(seen.said().len(), 1, "the one that came over the bridge");
    world.finish();
}

/// PACKET_STATISTICS counts the lost frames among all, and anew after each look.
fn a_small_buffer_tells_its_losses(isolated: &Isolated) {
    enter_fresh(isolated).unwrap();
    let network = Network::open(isolated).unwrap();
    let tap = Tap::create(isolated, &"tap0".parse().unwrap(), TapHeader::None, true).unwrap();
    network.set_up(network.index(tap.name()).unwrap(), true).unwrap();
    let index = InterfaceIndex::of(tap.name()).unwrap();
    let options = PacketOptions { receive_buffer: 20_000, ..PacketOptions::default() };
    let mut socket = PacketSocket::open(isolated, index, options).unwrap();
    assert_eq!(socket.receive_buffer().unwrap(), 40_000, "the kernel doubles it");
    for _ in 0..500 {
        tap.write(&[], &broadcast(60)).unwrap();
    }
    let mut delivered = 0;
    while socket.recv().unwrap().is_some() {
        delivered += 1;
    }
    assert!((1..500).contains(&delivered), "{delivered} delivered");
    let expected = PacketStatistics { packets: 500, drops: 500 - delivered };
    assert_eq!(socket.statistics().unwrap(), expected);
    assert_eq!(socket.statistics().unwrap(), PacketStatistics::default());
}

/// No burst overflows a recorder, whatever the system allows as a receive buffer.
fn from_the_guest(lab: &Lab, length: usize, count: usize) {
    let mut world = World::with_tap(lab, Nic::Plain, &[]);
    for _ in 0..count {
        assert_eq!(world.guest_sends("hn0", &broadcast(length)), Ok(()));
    }
    let seen = world.look();
    assert_eq!(seen.at("hn0.host").len(), count);
    assert_eq!(seen.captured(Direction::Rx).len(), count);
    assert!(seen.said().is_empty());
    world.finish();
}
