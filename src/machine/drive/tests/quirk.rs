//! Each quirk, with it and without it.

use super::*;

#[rstest]
#[case::quirk(None, 0)]
#[case::mended(Some(Quirk::IndevDeafAfterClose), 1)]
fn an_indev_after_its_first_client(#[case] without: Option<Quirk>, #[case] frames: usize) {
    let mut rig = Rig::new(qemu(without));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0");
    rig.write("c0", encode(b"cut", None).slice(..5), 1);
    rig.state("c0", ChardevState::Closed).state("c0", ChardevState::Opened);
    assert_eq!(rig.drops(), [(1, DropReason::Incomplete)]);
    rig.write("c0", encode(b"next", None), 2);
    assert_eq!(rig.frames("n0").len(), frames);
    let deaf = if frames == 0 { vec![(2, DropReason::Deaf)] } else { vec![] };
    assert_eq!(rig.residue(), deaf);
}

#[rstest]
#[case::quirk(qemu(None), &["in"])]
#[case::mended(qemu(Some(Quirk::OffIndevInjects)), &[])]
#[case::qemu_11_1(Profile::new(QemuVersion::Qemu111), &[])]
#[case::ideal(Profile::new(QemuVersion::Ideal), &[])]
fn an_indev_whose_filter_is_off(#[case] profile: Profile, #[case] meanwhile: &[&str]) {
    let mut rig = Rig::new(profile);
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0,status=off");
    rig.write("c0", encode(b"in", None), 1);
    assert_eq!(rig.frames("n0"), meanwhile);
    assert_eq!(rig.drops(), []);
    rig.qmp("qom-set", set("status", "on"));
    let waited = if meanwhile.is_empty() { vec!["in"] } else { vec![] };
    assert_eq!(rig.frames("n0"), waited);
    rig.qmp("qom-set", set("status", "off"));
    rig.write("c0", encode(b"unread", None), 2);
    rig.state("c0", ChardevState::Closed);
    let lost = if meanwhile.is_empty() { vec![(2, DropReason::NoReader)] } else { vec![] };
    assert_eq!(rig.drops(), lost, "what a client leaves behind is lost");
}

/// Measured on QEMU 11.1.3, where a filter that was off meanwhile does the same.
#[rstest]
#[case::qemu_11_1(QemuVersion::Qemu111, &["abcXYZ", "next"])]
#[case::rfc(QemuVersion::RfcV1, &["abcXYZ", "next"])]
#[case::ideal(QemuVersion::Ideal, &["next"])]
fn half_a_frame_that_a_client_left(
    #[case] version: QemuVersion,
    #[case] expected: &[&str],
    #[values(false, true)] off: bool,
) {
    let mut rig = Rig::new(Profile::new(version));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0");
    rig.write("c0", encode(b"abcdef", None).slice(..7), 1);
    if off {
        rig.qmp("qom-set", set("status", "off"));
    }
    rig.state("c0", ChardevState::Closed).state("c0", ChardevState::Opened);
    rig.qmp("qom-set", set("status", "on"));
    // The rest is six bytes where nothing is left of the first client.
    if expected.len() == 2 {
        rig.write("c0", Bytes::from_static(b"XYZ"), 2);
    } else {
        assert_eq!(rig.drops(), [(1, DropReason::Incomplete)]);
    }
    rig.write("c0", encode(b"next", None), 3);
    assert_eq!(rig.frames("n0"), expected);
}

/// Measured on QEMU 11.1.3: the next client does not mend it, switching it off and on does.
#[test]
fn a_broken_stream_is_read_again_when_its_filter_was_off() {
    let mut rig = Rig::new(Profile::new(QemuVersion::Qemu111));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0");
    rig.write("c0", vec![0xff; 4].into(), 1).write("c0", vec![0; 70_000].into(), 1);
    rig.write("c0", encode(b"deaf", None), 2);
    rig.qmp("qom-set", set("status", "on"));
    assert_eq!(rig.frames("n0"), [] as [Bytes; 0]);
    rig.qmp("qom-set", set("status", "off"));
    rig.qmp("qom-set", set("status", "on"));
    assert_eq!(rig.frames("n0"), ["deaf"]);
}

/// Measured on QEMU 11.1.3.
#[test]
fn a_monitor_is_an_object_and_stays() {
    let mut rig = Rig::new(Profile::new(QemuVersion::Qemu111));
    let Outcome::Done(list) = rig.qmp("qom-list", json!({"path": "/objects"})) else { panic!() };
    let monitor = json!({"name": "compat_monitor0", "type": "child<monitor-qmp>"});
    assert!(list.as_array().unwrap().contains(&monitor), "{list}");
    let Outcome::Refused(error) = rig.qmp("object-del", json!({"id": "compat_monitor0"})) else {
        panic!()
    };
    assert_eq!(error.desc, "Cannot delete the current QMP monitor");
    let mut before = Rig::new(qemu(None));
    let Outcome::Done(list) = before.qmp("qom-list", json!({"path": "/objects"})) else { panic!() };
    assert!(!list.as_array().unwrap().contains(&monitor), "{list}");
}

#[test]
fn a_bogus_length_is_found_late() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0");
    rig.write("c0", Bytes::from_static(&[0xff; 100]), 1);
    assert_eq!(rig.logs(), [] as [&str; 0]);
    rig.write("c0", vec![0; 70_000].into(), 2);
    let closed = rig.out.iter().any(|output| matches!(output, Output::ChardevClosed { .. }));
    assert!(!closed);
    let line = "serious error: oversized packet received,connection terminated.";
    assert_eq!(rig.logs(), [line]);
    rig.write("c0", encode(b"deaf", None), 3);
    assert_eq!(rig.frames("n0"), [] as [Bytes; 0]);
}

#[test]
fn a_mended_indev_refuses_a_bogus_length_and_closes() {
    let mended = [Quirk::OversizeFoundLate, Quirk::IndevDeafAfterClose];
    let mut rig = Rig::new(Profile::new(QemuVersion::Qemu102).without(mended));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0");
    rig.write("c0", Bytes::from_static(&[0xff; 100]), 1);
    let closed = rig.out.iter().any(|output| matches!(output, Output::ChardevClosed { .. }));
    assert!(closed);
    assert_eq!(rig.drops(), [(1, DropReason::Oversize)]);
    rig.state("c0", ChardevState::Opened).write("c0", encode(b"next", None), 2);
    assert_eq!(rig.frames("n0"), ["next"]);
}

#[test]
fn an_empty_frame_wedges_its_direction() {
    let mut rig = Rig::new(qemu(None));
    rig.send("n0", b"", 1);
    assert_eq!(rig.frames("n9"), [] as [Bytes; 0]);
    rig.send("n0", b"a", 2).send("n0", b"b", 3);
    assert_eq!(rig.frames("n9"), [""]);
    rig.send("n9", b"back", 4);
    assert_eq!(rig.frames("n0"), ["back"]);
    let residue = rig.residue();
    assert!(residue.contains(&(2, DropReason::Wedged)), "{residue:?}");
    assert!(residue.contains(&(3, DropReason::Wedged)), "{residue:?}");
}

#[test]
fn a_mended_machine_drops_empty_frames() {
    let mut rig = Rig::new(qemu(Some(Quirk::EmptyFrameWedges)));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=tx,indev=c0");
    rig.send("n0", b"", 1).write("c0", encode(b"", None), 2);
    assert_eq!(rig.drops(), [(1, DropReason::Empty), (2, DropReason::Empty)]);
    rig.send("n0", b"a", 3);
    assert_eq!(rig.frames("n9"), ["a"]);
}

#[rstest]
#[case::quirk(None, "Operation not permitted")]
#[case::mended(Some(Quirk::SendErrorSaysEperm), "Input/output error")]
fn a_failed_write_is_logged(#[case] without: Option<Quirk>, #[case] why: &str) {
    let mut rig = Rig::new(qemu(without));
    rig.add("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=away");
    rig.send("n0", b"a", 1);
    assert_eq!(rig.logs(), [format!("filter mirror send failed({why})")]);
    rig.command(Command::Qmp { name: "object-del".into(), args: json!({"id": "m0"}) });
    rig.add("filter-redirector,id=f0,netdev=n0,queue=tx,outdev=away");
    rig.send("n0", b"a", 2);
    assert_eq!(rig.logs(), [format!("filter redirector send failed({why})")]);
    rig.send("n0", b"a", 3);
    assert_eq!(rig.drops(), [(3, DropReason::OutdevClosed)]);
}

#[rstest]
#[case::quirk(None, 2)]
#[case::mended(Some(Quirk::IndevAllInjectsTwice), 1)]
fn queue_all_injects(#[case] without: Option<Quirk>, #[case] copies: usize) {
    let mut rig = Rig::new(qemu(without));
    rig.add("filter-redirector,id=f0,netdev=n0,indev=c0");
    rig.write("c0", encode(b"x", None), 1);
    let frames: Vec<&str> = rig
        .out
        .iter()
        .filter_map(|output| match output {
            Output::NetdevFrame { netdev, .. } => Some(netdev.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(frames, &["n9", "n0"][..copies]);
}

#[test]
fn a_position_beside_an_iothread() {
    let elsewhere = "filter 'io0' belongs to a different netdev";
    let option = "filter-redirector,id=f0,netdev=n0,outdev=c0,position=id=io0";
    let mut rig = Rig::new(qemu(None));
    let outcome = rig.command(Command::ObjectOption(option.to_owned()));
    let Outcome::Aborts(abort) = outcome else { panic!("{outcome:?}") };
    assert_eq!(abort.survivor.map(|error| error.desc).as_deref(), Some(elsewhere));
    let mut mended = Rig::new(qemu(Some(Quirk::PositionCastAborts)));
    assert_eq!(mended.refusal(option).desc, elsewhere);
}

#[test]
fn qom_set_of_the_wiring() {
    let option = "filter-redirector,id=f0,netdev=n0,queue=tx,outdev=c0";
    let mut rig = Rig::new(qemu(None));
    rig.add(option);
    assert!(matches!(rig.qmp("qom-set", set("outdev", "c1")), Outcome::Done(_)));
    let shown = rig.qmp("qom-get", json!({"path": "/objects/f0", "property": "outdev"}));
    assert_eq!(shown, Outcome::Done("c1".into()));
    rig.send("n0", b"a", 1);
    assert_eq!(rig.bytes("c0"), encode(b"a", None));
    let mut mended = Rig::new(qemu(Some(Quirk::QomSetWithoutEffect)));
    mended.add(option);
    let outcome = mended.qmp("qom-set", set("outdev", "c1"));
    let Outcome::Refused(error) = outcome else { panic!("{outcome:?}") };
    let text = "Property 'filter-redirector.outdev' can only be set when the object is created";
    assert_eq!(error.desc, text);
}

#[rstest]
#[case::quirk(None, ["new", "old"])]
#[case::mended(Some(Quirk::QueueOvertakes), ["old", "new"])]
fn a_packet_sent_while_others_wait(#[case] without: Option<Quirk>, #[case] order: [&str; 2]) {
    let mut rig = Rig::new(qemu(without));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0");
    rig.qmp("stop", json!({}));
    rig.write("c0", encode(b"old", None), 1).send("n9", b"new", 2);
    assert_eq!(rig.frames("n0"), [] as [Bytes; 0]);
    rig.qmp("cont", json!({}));
    assert_eq!(rig.frames("n0"), order);
}

#[rstest]
#[case::quirk(None, 1)]
#[case::mended(Some(Quirk::InjectDropsWhenFull), 0)]
fn the_packet_after_ten_thousand(#[case] without: Option<Quirk>, #[case] lost: usize) {
    let mut rig = Rig::new(qemu(without));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0");
    rig.qmp("stop", json!({}));
    let all: Vec<u8> = (0..10_001).flat_map(|_| encode(b"x", None)).collect();
    rig.write("c0", all.into(), 1);
    assert_eq!(rig.drops(), vec![(1, DropReason::QueueFull); lost]);
}

#[rstest]
#[case::quirk(None, &[0, 0])]
#[case::mended(Some(Quirk::VnetSetReachesOutdevOnly), b"ab")]
fn vnet_hdr_support_set_at_run_time(#[case] without: Option<Quirk>, #[case] injected: &[u8]) {
    let mut rig = Rig::new(qemu(without));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0");
    rig.qmp("qom-set", set("vnet_hdr_support", true));
    // Read without the second word, the frame is that word's first two bytes.
    rig.write("c0", encode(b"ab", Some(0)), 1);
    assert_eq!(rig.frames("n0"), [injected]);
}

#[rstest]
#[case::quirk(None, 14)]
#[case::mended(Some(Quirk::IndevIgnoresVnetLen), 4)]
fn an_announced_header_on_a_netdev_without_one(#[case] without: Option<Quirk>, #[case] len: usize) {
    let mut rig = Rig::new(qemu(without));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0,vnet_hdr_support=on");
    rig.write("c0", encode(b"0123456789data", Some(10)), 1);
    assert_eq!(rig.frames("n0")[0].len(), len);
    rig.write("c0", encode(b"data", Some(10)), 2);
    let drops = if len == 4 { vec![(2, DropReason::BadVnetHdr)] } else { vec![] };
    assert_eq!(rig.drops(), drops);
}

#[rstest]
#[case::qemu_7_2(QemuVersion::Qemu72, None, 64)]
#[case::mended(QemuVersion::Qemu72, Some(Quirk::HangupLosesTail), 200)]
#[case::qemu_10_2(QemuVersion::Qemu102, None, 200)]
fn a_burst_before_a_hang_up(
    #[case] version: QemuVersion,
    #[case] without: Option<Quirk>,
    #[case] frames: usize,
) {
    let mut rig = Rig::new(Profile::new(version).without(without));
    rig.add("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=c1");
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=c0");
    rig.state("c1", ChardevState::Stalled).send("n0", &[0; 69_000], 1);
    rig.send("n0", &[0; 69_000], 2).send("n0", &[0; 69_000], 3).send("n0", &[0; 69_000], 4);
    let burst: Vec<u8> = (0..200).flat_map(|_| encode(&[7; 60], None)).collect();
    rig.write("c0", burst.into(), 5).state("c0", ChardevState::Closed);
    assert_eq!(rig.frames("n0").len(), 0);
    rig.state("c1", ChardevState::Resumed);
    assert_eq!(rig.frames("n0").len(), frames);
    assert_eq!(CHR_READ_BUF_LEN / 64, 64);
}

#[rstest]
#[case::qemu_7_2(QemuVersion::Qemu72, false)]
#[case::qemu_10_2(QemuVersion::Qemu102, true)]
fn the_fifth_user_of_a_multiplexer(#[case] version: QemuVersion, #[case] free_again: bool) {
    let mut rig = Rig::new(Profile::new(version));
    for n in 0..4 {
        rig.add(&format!("filter-mirror,id=m{n},netdev=n0,outdev=mux"));
    }
    let text = match version {
        QemuVersion::Qemu72 => "Device 'mux' is in use",
        _ => "too many uses of multiplexed chardev 'mux' (maximum is 4)",
    };
    assert_eq!(rig.refusal("filter-mirror,id=m4,netdev=n0,outdev=mux").desc, text);
    rig.qmp("object-del", json!({"id": "m0"}));
    let outcome =
        rig.command(Command::ObjectOption("filter-mirror,id=m4,netdev=n0,outdev=mux".into()));
    assert_eq!(matches!(outcome, Outcome::Done(_)), free_again);
    for n in 1..5 {
        rig.qmp("object-del", json!({"id": format!("m{n}")}));
    }
    let removed = rig.qmp("chardev-remove", json!({"id": "mux"}));
    assert_eq!(matches!(removed, Outcome::Done(_)), free_again);
}

/// As QEMU 7.2.22 does: writev(2) of nothing returns 0.
#[test]
fn an_empty_frame_wedges_the_way_to_a_tap() {
    let tap = NetdevKind::Tap { queues: 1, vhost: false, vnet_hdr_len: 0 };
    let hub = NetdevKind::Hubport { hub: 0 };
    let mut rig = Rig::with(
        qemu(None),
        vec![
            netdev("t0", tap, None),
            netdev("h0", hub.clone(), Some("t0")),
            netdev("n9", NetdevKind::Socket, None),
            netdev("h9", hub, Some("n9")),
        ],
    );
    rig.add("filter-redirector,id=f0,netdev=t0,queue=rx,indev=c0");
    rig.write("c0", encode(b"", None), 1);
    rig.write("c0", encode(b"a", None), 2).send("n9", b"b", 3);
    assert_eq!(rig.frames("t0"), [] as [Bytes; 0]);
    let residue = rig.residue();
    assert!(residue.contains(&(2, DropReason::Wedged)), "{residue:?}");
}
