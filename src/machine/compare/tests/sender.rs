//! outdev: absent, slow, gone; and a main loop that waits for somebody else's.

use rstest::rstest;

use super::*;
use crate::machine::{NetdevConfig, NetdevKind};

/// The frames that a slow reader gets: what fitted, then the rest. Frames of 1,400 bytes, as
/// measured: 71 fit in QEMU's order, then the newest.
#[rstest]
#[case::newest_first(&qemu(), true)]
#[case::oldest_first(&without(Quirk::CompareBacklogNewestFirst), false)]
fn a_slow_reader(#[case] profile: &Profile, #[case] reversed: bool) {
    let mut rig = Rig::new(profile.clone());
    rig.state("out", ChardevState::Stalled);
    let sent: Vec<u32> = (0..600).map(|_| rig.pri(&arp(&[0; 1400]))).collect();
    assert_eq!(rig.qmp("query-status", json!({})).clone(), {
        let status = rig.qmp("query-status", json!({}));
        assert!(matches!(status, Outcome::Done(_)), "nothing is frozen");
        status
    });
    let mut got = rig.released();
    let fitted = got.len();
    assert!((70..=72).contains(&fitted), "{fitted} fitted");
    rig.state("out", ChardevState::Resumed);
    got.extend(rig.released());
    got.dedup();
    let mut expected = sent;
    if reversed {
        // The one that was under way is ended first.
        let rest = got.iter().zip(&expected).take_while(|(one, other)| one == other).count();
        assert!(rest - fitted <= 1);
        expected[rest..].reverse();
    }
    assert_eq!(got, expected);
}

#[test]
fn in_ideal_a_slow_reader_holds_nobody_up() {
    let mut rig = Rig::new(ideal());
    rig.state("out", ChardevState::Stalled);
    let sent: Vec<u32> = (0..600).map(|_| rig.pri(&arp(&[0; 1400]))).collect();
    assert_eq!(rig.released(), sent);
}

/// Seen on QEMU 7.2.22: of a frame that is not compared nobody asks whether it was sent.
#[test]
fn an_absent_reader_loses_frames() {
    let mut rig = Rig::new(qemu());
    rig.state("out", ChardevState::Closed);
    let passed = rig.pri(&arp(b"x"));
    assert_eq!(rig.look().drops(), [(passed, DropReason::OutdevClosed)]);
    let released = rig.pri(&udp(b"a"));
    rig.sec(&udp(b"a"));
    let seen = rig.look();
    assert_eq!(seen.drops(), [(released, DropReason::OutdevClosed)]);
    assert_eq!(seen.logs(), ["colo send primary packet failed"]);
    rig.state("out", ChardevState::Opened);
    let next = rig.pri(&arp(b"y"));
    assert_eq!(rig.released(), [next]);
}

#[test]
fn a_slow_reader_that_goes_takes_the_backlog_with_it() {
    let mut rig = Rig::new(qemu());
    rig.state("out", ChardevState::Stalled);
    let sent: Vec<u32> = (0..100).map(|_| rig.pri(&arp(&[0; 4000]))).collect();
    rig.look();
    rig.state("out", ChardevState::Closed);
    let seen = rig.look();
    assert!(seen.logs().is_empty());
    let drops = seen.drops();
    assert!(drops.len() > 40 && drops.len() < sent.len());
    assert!(drops.iter().all(|(_, reason)| *reason == DropReason::OutdevBroke));
}

/// An iothread serves the comparer: a mirror's unread outdev freezes the main loop, not it.
#[test]
fn a_frozen_main_loop_leaves_the_comparer_at_work() {
    let mut rig = Rig::with(qemu(), ",compare_timeout=100,expired_scan_cycle=100");
    let add = |kind: NetdevKind, id: &str, peer: Option<&str>| NetdevConfig {
        id: id.into(),
        kind,
        peer: peer.map(Into::into),
    };
    let mut config = Config {
        profile: qemu(),
        netdevs: vec![
            add(NetdevKind::Socket, "n0", None),
            add(NetdevKind::Hubport { hub: 0 }, "h0", Some("n0")),
            add(NetdevKind::Socket, "n9", None),
            add(NetdevKind::Hubport { hub: 0 }, "h9", Some("n9")),
        ],
        iothreads: vec!["io0".into()],
        ..Config::default()
    };
    config.chardevs = ["pri", "sec", "out", "ntf", "mirror"]
        .map(|id| ChardevConfig {
            id: id.into(),
            backend: CharBackend::Socket { server: true, reconnect: false, monitor: false },
            connected: true,
        })
        .to_vec();
    rig.machine = Machine::new(config).unwrap();
    rig.add(&format!("{COMPARE},compare_timeout=100,expired_scan_cycle=100"));
    rig.add("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=mirror");
    rig.state("mirror", ChardevState::Stalled);
    for _ in 0..70 {
        let data = encode(&[0; 4000], None);
        let netdev = "n0".into();
        rig.input(Input::StreamBytes { netdev, data, tag: None });
    }
    assert_eq!(rig.qmp("query-status", json!({})), Outcome::Unanswered(NoAnswer::Frozen));
    rig.look();
    let released = rig.pri(&udp(b"a"));
    rig.sec(&udp(b"a"));
    assert_eq!(rig.released(), [released]);
    rig.pri(&udp(b"held"));
    rig.advance(200);
    assert_eq!(rig.look().asked(), 1);
    rig.write("sec", &[0; 5][..]);
    assert!(rig.look().crash().is_some());
    assert_eq!(rig.machine.deadline(), None, "a dead machine waits for nothing");
}
