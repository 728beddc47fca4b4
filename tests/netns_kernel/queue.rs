//! Bursts: what waits where, and what is lost.

use tapwright::{base::Direction, record::DropReason, scenario::Nic, sys::Isolated};

use crate::{Try, frame::broadcast, world::World};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("a_tap_holds_a_thousand", a_tap_holds_a_thousand),
    ("small_frames_from_the_guest", |isolated| {
        from_the_guest(isolated, 60, 1500)
    }),
    ("large_frames_from_the_guest", |isolated| {
        from_the_guest(isolated, 1514, 1500)
    }),
    ("jumbo_frames_from_the_guest", |isolated| {
        from_the_guest(isolated, 9000, 1000)
    }),
    ("super_frames_from_the_guest", |isolated| {
        from_the_guest(isolated, 65_000, 300)
    }),
];

/// The queue's ring of 1,000 gives its places back in steps of 16 reads, and at its end (Linux 6.18
/// `include/linux/ptr_ring.h`, `__ptr_ring_discard_one`).
fn a_tap_holds_a_thousand(isolated: &Isolated) {
    let mut world = World::with_tap(isolated, Nic::Plain, &[]);
    let mut read = 0;
    for before in [0, 5, 15, 16, 17, 500] {
        for _ in 0..before {
            assert_eq!(world.host_sends("hn0.host", &broadcast(60)), Ok(()));
        }
        read += world.look().to_guest("hn0").len();
        let room = 1000 - (read % 1000) % 16;
        let sent: Vec<_> = (0..1500)
            .map(|_| world.host_sends("hn0.host", &broadcast(60)))
            .collect();
        assert!(sent[..room].iter().all(Result::is_ok), "after {read} reads");
        let refused = Err(DropReason::TxQueueFull);
        assert!(
            sent[room..].iter().all(|sent| *sent == refused),
            "after {read} reads"
        );
        let seen = world.look();
        assert_eq!(seen.to_guest("hn0").len(), room, "after {read} reads");
        assert_eq!(
            seen.captured(Direction::Tx).len(),
            1500,
            "packet sockets see them all"
        );
        assert!(seen.said().is_empty(), "told by the sends already");
        read += room;
    }
    world.finish();
}

/// No burst overflows a recorder, whatever the system allows as a receive buffer.
fn from_the_guest(isolated: &Isolated, length: usize, count: usize) {
    let mut world = World::with_tap(isolated, Nic::Plain, &[]);
    for _ in 0..count {
        assert_eq!(world.guest_sends("hn0", &broadcast(length)), Ok(()));
    }
    let seen = world.look();
    assert_eq!(seen.at("hn0.host").len(), count);
    assert_eq!(seen.captured(Direction::Rx).len(), count);
    assert!(seen.said().is_empty());
    world.finish();
}
