//! The main loop that waits for a reader, the end of a run, the end of QEMU.

use super::*;

const FRAME: usize = 60_000;

/// A mirror whose reader is away, and as many frames as freeze the machine: the fourth.
fn frozen(quirk: Option<Quirk>) -> Rig {
    let mut rig = Rig::new(qemu(quirk));
    rig.add("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=c0");
    rig.state("c0", ChardevState::Stalled);
    for tag in 1..=4 {
        rig.send("n0", &[7; FRAME], tag);
    }
    rig
}

#[test]
fn a_stalled_reader_freezes_the_machine_at_its_buffers_end() {
    let mut rig = frozen(None);
    let is_frozen =
        |output: &Output| matches!(output, Output::Event(Event { kind: EventKind::Frozen, .. }));
    assert_eq!(rig.out.iter().filter(|output| is_frozen(output)).count(), 1);
    // Three frames and the fourth's length word and first buffer leave no space.
    const TAKEN: usize = 3 * (FRAME + 4) + 4 + 36_544;
    assert_eq!(rig.bytes("c0").len(), TAKEN);
    assert_eq!(
        rig.qmp("qom-list", json!({"path": "/objects"})),
        Outcome::Unanswered(NoAnswer::Frozen)
    );
    rig.send("n0", b"late", 5);
    assert!(rig.out.is_empty());
    rig.state("c0", ChardevState::Resumed);
    let answers = |output: &Output| matches!(output, Output::Answer { .. });
    assert_eq!(rig.out.iter().filter(|output| answers(output)).count(), 1);
    let out = std::mem::take(&mut rig.out);
    rig.out = out.clone();
    assert_eq!(rig.bytes("c0").len(), 4 * (FRAME + 4) + 8 - TAKEN);
    rig.out = out;
    assert_eq!(rig.frames("n9").last().map(Bytes::as_ref), Some(&b"late"[..]));
}

#[test]
fn a_mended_machine_does_not_wait() {
    let mut rig = frozen(Some(Quirk::OutdevStallFreezes));
    assert_eq!(rig.bytes("c0").len(), 4 * (FRAME + 4));
    assert!(matches!(rig.qmp("qom-list", json!({"path": "/objects"})), Outcome::Done(_)));
}

#[test]
fn a_reader_that_goes_away_fails_the_write() {
    let mut rig = frozen(None);
    rig.out.clear();
    rig.state("c0", ChardevState::Closed);
    let out = std::mem::take(&mut rig.out);
    rig.out = out.clone();
    assert_eq!(rig.drops(), [(4, DropReason::OutdevBroke)]);
    rig.out = out;
    assert_eq!(rig.frames("n9").len(), 1);
    rig.send("n0", b"next", 5);
    assert_eq!(rig.logs(), ["filter mirror send failed(Operation not permitted)"]);
}

/// A buffer releases this many frames into a chardev that this main loop reads.
fn released_to_itself(quirk: Option<Quirk>, frames: u32) -> Rig {
    let mut rig = Rig::new(qemu(quirk));
    rig.add("filter-buffer,id=b0,netdev=n0,queue=tx,interval=1000");
    rig.add("filter-redirector,id=f0,netdev=n0,queue=tx,outdev=c0");
    rig.state("c0", ChardevState::OwnLoop);
    for tag in 1..=frames {
        rig.send("n0", &[7; FRAME], tag);
    }
    rig.advance(1);
    rig
}

#[test]
fn a_main_loop_waits_for_itself_for_ever() {
    let mut rig = released_to_itself(None, 4);
    assert!(rig.machine.is_frozen());
    assert_eq!(rig.machine.deadline(), None);
    assert_eq!(
        rig.qmp("qom-list", json!({"path": "/objects"})),
        Outcome::Unanswered(NoAnswer::Frozen)
    );
    let mut mended = released_to_itself(Some(Quirk::OutdevStallFreezes), 4);
    assert_eq!(mended.bytes("c0").len(), 4 * (FRAME + 4));
}

#[test]
fn a_main_loop_reads_its_own_chardevs_between_two_inputs() {
    let mut rig = released_to_itself(None, 3);
    for tag in 4..=6 {
        rig.send("n0", &[7; FRAME], tag);
    }
    rig.advance(2);
    assert_eq!(rig.bytes("c0").len(), 6 * (FRAME + 4));
    // Another reader counts again from nothing.
    rig.state("c0", ChardevState::Resumed);
    rig.advance(3);
    assert!(!rig.machine.is_frozen());
}

#[test]
fn two_readers_that_are_away_are_waited_for_in_turn() {
    let mut rig = frozen(None);
    rig.send("n9", b"x", 5);
    rig.qmp(
        "object-add",
        json!({"qom-type": "filter-mirror", "id": "m1", "netdev": "n0",
        "queue": "rx", "outdev": "c1"}),
    );
    rig.state("c1", ChardevState::Stalled);
    for tag in 6..=9 {
        rig.send("n9", &[8; FRAME], tag);
    }
    rig.state("c1", ChardevState::Closed);
    rig.out.clear();
    rig.state("c0", ChardevState::Resumed);
    let drops = rig.drops();
    assert_eq!(drops, [(9, DropReason::OutdevBroke)]);
}

#[test]
fn what_a_frozen_machine_holds_still_waits() {
    let mut rig = frozen(None);
    rig.send("n0", b"late", 5);
    let residue = rig.residue();
    assert!(residue.contains(&(4, DropReason::Frozen)), "{residue:?}");
    assert!(residue.contains(&(5, DropReason::Frozen)), "{residue:?}");
}

#[test]
fn the_residue_names_what_waits_where() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0,outdev=c1");
    rig.qmp("stop", json!({}));
    rig.write("c0", encode(b"queued", None), 1);
    rig.write("c0", encode(b"half", None).slice(..6), 2);
    rig.write("c1", Bytes::from_static(b"nobody reads an outdev"), 3);
    rig.send("n0", b"waits", 4).send("n0", b"unread", 5);
    let mut residue = rig.residue();
    residue.sort();
    let purged = DropReason::Purged;
    assert_eq!(
        residue,
        [
            (1, purged),
            (2, DropReason::Incomplete),
            (3, DropReason::NoReader),
            (4, purged),
            (5, purged),
        ]
    );
}

#[test]
fn a_dead_machine_closes_everything_and_answers_nothing() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=mux");
    // Ctrl-A twice is one Ctrl-A for the filter; then x ends QEMU.
    rig.write("mux", Bytes::from_static(&[0, 0, 0, 1, 1, 1, 1, 1, b'x']), 1);
    assert_eq!(rig.frames("n0"), ["\x01"]);
    // Nobody reads it yet, and so it does not either.
    let mut rig = Rig::new(qemu(None));
    rig.write("mux", Bytes::from_static(&[1, b'x']), 1);
    assert!(rig.out.is_empty());
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=mux");
    rig.qmp("query-status", json!({}));
    let crash = EventKind::Crash("QEMU: Terminated".to_owned());
    let is_crash = |output: &Output| matches!(output, Output::Event(event) if event.kind == crash);
    assert!(rig.out.iter().any(is_crash));
    let closed = rig.out.iter().filter(|output| matches!(output, Output::ChardevClosed { .. }));
    assert_eq!(closed.count(), 3);
    let closed = rig.out.iter().filter(|output| matches!(output, Output::StreamClosed { .. }));
    assert_eq!(closed.count(), 2);
    rig.out.clear();
    assert_eq!(rig.qmp("stop", json!({})), Outcome::Unanswered(NoAnswer::Dead));
    rig.send("n0", b"x", 2);
    assert_eq!(rig.drops(), [(2, DropReason::MachineDead)]);
}

#[test]
fn null_consumes_and_a_tap_pads() {
    let tap = NetdevKind::Tap { queues: 1, vhost: false, vnet_hdr_len: 0 };
    let nic = NetdevKind::Nic { vnet_hdr_len: 0 };
    let mut rig =
        Rig::with(qemu(None), vec![netdev("t0", tap, None), netdev("nic", nic, Some("t0"))]);
    rig.add("filter-mirror,id=m0,netdev=t0,outdev=null");
    let data = Bytes::from_static(b"short");
    rig.input(Input::NetdevFrame { netdev: "t0".into(), data, tag: Some(Tag::sent(1)) });
    let consumed =
        |output: &Output| matches!(output, Output::Event(Event { kind: EventKind::Consumed, .. }));
    assert_eq!(rig.out.iter().filter(|output| consumed(output)).count(), 1);
    assert_eq!(rig.frames("nic")[0].len(), 60);
    let data = Bytes::from_static(b"reply");
    rig.input(Input::NetdevFrame { netdev: "nic".into(), data, tag: Some(Tag::sent(2)) });
    assert_eq!(rig.frames("t0"), ["reply"]);
}

#[test]
fn hubs_joined_in_a_ring_come_to_rest() {
    let port = |id: &str, hub, peer| netdev(id, NetdevKind::Hubport { hub }, peer);
    let mut rig = Rig::with(
        qemu(None),
        vec![
            netdev("n0", NetdevKind::Socket, None),
            port("p0", 0, Some("n0")),
            port("a0", 0, None),
            port("a1", 1, Some("a0")),
            port("b0", 0, None),
            port("b1", 1, Some("b0")),
        ],
    );
    rig.send("n0", b"storm", 1);
    assert!(rig.drops().iter().any(|(_, reason)| *reason == DropReason::Purged));
}

#[rstest]
#[case::duplicate(vec![netdev("n0", NetdevKind::User, None), netdev("n0", NetdevKind::User, None)],
    "two netdevs have the id 'n0'")]
#[case::unknown(vec![netdev("n0", NetdevKind::User, Some("zz"))],
    "'n0' is joined to 'zz', which is not among the netdevs before it")]
fn a_contradictory_configuration(#[case] netdevs: Vec<NetdevConfig>, #[case] text: &str) {
    let error = Machine::new(Config { netdevs, ..Config::default() }).unwrap_err();
    assert_eq!(error.to_string(), text);
}

#[test]
fn hubs_joined_by_three_links_come_to_rest() {
    let mut netdevs = vec![
        netdev("n0", NetdevKind::Socket, None),
        netdev("in", NetdevKind::Hubport { hub: 0 }, Some("n0")),
    ];
    for link in ["x", "y", "z"] {
        let (near, far) = (format!("{link}0"), format!("{link}1"));
        netdevs.push(netdev(&near, NetdevKind::Hubport { hub: 0 }, None));
        netdevs.push(netdev(&far, NetdevKind::Hubport { hub: 1 }, Some(&near)));
    }
    let mut rig = Rig::with(qemu(None), netdevs);
    rig.send("n0", b"round", 1);
    let purged = rig.drops().contains(&(1, DropReason::Purged));
    assert!(purged);
}

#[test]
fn what_was_dropped_behind_a_blocked_write_keeps_its_reason() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=c0")
        .add("filter-redirector,id=r0,netdev=n0,queue=tx,outdev=away");
    rig.state("c0", ChardevState::Stalled);
    for tag in 1..=4 {
        rig.send("n0", &[7; FRAME], tag);
    }
    let expected = [(4, DropReason::Frozen), (4, DropReason::OutdevClosed)];
    assert_eq!(rig.residue(), expected);
}

/// An injection that the kernel refused is accounted for whatever has become of the machine.
#[test]
fn a_failed_injection_is_accounted_for() {
    let failed = |tag| Input::InjectFailed {
        netdev: "n0".into(),
        object: "m0".into(),
        reason: DropReason::InterfaceDown,
        tag: Some(Tag::sent(tag)),
    };
    let mut rig = frozen(None);
    rig.input(failed(9));
    let waits = rig.residue().contains(&(9, DropReason::Frozen));
    assert!(waits);
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=tx,indev=mux");
    rig.state("mux", ChardevState::Opened);
    rig.write("mux", Bytes::from_static(&[1, b'x']), 1);
    rig.out.clear();
    rig.input(failed(9));
    assert_eq!(rig.drops(), [(9, DropReason::InterfaceDown)]);
}
