//! The later versions of the RFC: a redirector that uses the packet socket of its own vhost TAP, and a
//! chardev that is one.

use super::*;
use crate::machine::AfPacketMode;

fn tap(queues: u16, vhost: bool, vnet_hdr_len: usize) -> NetdevKind {
    NetdevKind::Tap { queues, vhost, vnet_hdr_len }
}

/// `vh0` has vhost, `t1` has not; `mq0` has two queues, `vu0` is no TAP.
fn netdevs() -> Vec<NetdevConfig> {
    let nic = NetdevKind::Nic { vnet_hdr_len: 0 };
    vec![
        netdev("vh0", tap(1, true, 0), None),
        netdev("nic0", nic.clone(), Some("vh0")),
        netdev("t1", tap(1, false, 0), None),
        netdev("nic1", nic, Some("t1")),
        netdev("mq0", tap(2, true, 0), None),
        netdev("vu0", NetdevKind::VhostUser, None),
    ]
}

fn rig(version: QemuVersion) -> Rig {
    Rig::with(Profile::new(version), netdevs())
}

fn captured(netdev: &str, direction: Direction, data: &'static [u8], tag: u32) -> Input {
    let frame = Frame::plain(data);
    Input::Captured { netdev: netdev.into(), direction, frame, tag: Some(Tag::sent(tag)) }
}

/// What was injected, and where, since the last look.
fn injected(rig: &mut Rig) -> Vec<(String, Bytes)> {
    let injected = rig.out.iter().filter_map(|output| match output {
        Output::Inject { netdev, frame, .. } => Some((netdev.to_string(), frame.data.clone())),
        _ => None,
    });
    let injected = injected.collect();
    rig.out.clear();
    injected
}

#[rstest]
#[case("filter-redirector", "mq0", "outdev=c0", "multiqueue is not supported")]
#[case("filter-mirror", "vh0", "outdev=c0", "Vhost is not supported")]
#[case("filter-mirror", "vu0", "outdev=c0", "Vhost is not supported")]
#[case("filter-redirector", "vu0", "outdev=c0", "Vhost filter support requires a TAP backend")]
#[case("filter-buffer", "vu0", "interval=1000", "Vhost filter support requires a TAP backend")]
#[case("filter-buffer", "mq0", "interval=1000", "multiqueue is not supported")]
#[case(
    "filter-redirector",
    "vh0",
    "status=on",
    "filter redirector needs 'indev' or 'outdev' at least one property set"
)]
fn v2_refuses(
    #[case] kind: &str,
    #[case] netdev: &str,
    #[case] rest: &str,
    #[case] text: &str,
    #[values(QemuVersion::RfcV2, QemuVersion::RfcV3)] version: QemuVersion,
) {
    let error = rig(version).refusal(&format!("{kind},id=f0,netdev={netdev},{rest}"));
    assert_eq!((error.class.as_str(), error.desc.as_str()), ("GenericError", text));
}

#[rstest]
#[case("filter-redirector", "outdev=c0")]
#[case("filter-redirector", "indev=c0")]
#[case("filter-buffer", "interval=1000")]
fn vhost_is_taken_by_v2_and_v3_alone(#[case] kind: &str, #[case] rest: &str) {
    let option = format!("{kind},id=f0,netdev=vh0,{rest}");
    for version in QemuVersion::ALL {
        let mut rig = rig(version);
        if matches!(version, QemuVersion::RfcV2 | QemuVersion::RfcV3) {
            rig.add(&option);
        } else {
            assert_eq!(rig.refusal(&option).desc, "Vhost is not supported", "{version}");
        }
    }
}

#[rstest]
fn v2_captures_what_goes_to_the_guest(
    #[values("tx", "all", "rx")] queue: &str,
    #[values(false, true)] stopped: bool,
) {
    let mut rig = rig(QemuVersion::RfcV2);
    rig.add(&format!("filter-redirector,id=f0,netdev=vh0,queue={queue},outdev=c0"));
    let opened = |output: &Output| matches!(output, Output::Capture { netdev, on: true } if netdev.as_str() == "vh0");
    assert!(rig.out.iter().any(opened));
    if stopped {
        rig.qmp("stop", json!({}));
    }
    rig.out.clear();
    rig.input(captured("vh0", Direction::Rx, b"from the guest", 1));
    rig.input(captured("t1", Direction::Tx, b"elsewhere", 2));
    rig.input(captured("vh0", Direction::Tx, b"to the guest", 3));
    let expected = if queue == "rx" { Vec::new() } else { encode(b"to the guest", None).to_vec() };
    assert_eq!(rig.bytes("c0"), expected);
}

#[test]
fn without_its_quirk_v2_captures_by_queue() {
    let profile = Profile::new(QemuVersion::RfcV2).without([Quirk::CaptureHostToGuestOnly]);
    let mut rig = Rig::with(profile, netdevs());
    rig.add("filter-redirector,id=f0,netdev=vh0,queue=rx,outdev=c0");
    rig.input(captured("vh0", Direction::Rx, b"from the guest", 1));
    assert_eq!(rig.bytes("c0"), encode(b"from the guest", None));
}

#[test]
fn v1_can_have_the_quirk() {
    let profile = Profile::new(QemuVersion::RfcV1).with([Quirk::CaptureHostToGuestOnly]);
    let mut rig = Rig::with(profile, netdevs());
    rig.add("filter-redirector,id=f0,netdev=vh0,in_netdev=vh0,outdev=c0");
    rig.input(captured("vh0", Direction::Rx, b"from the guest", 1));
    rig.input(captured("vh0", Direction::Tx, b"to the guest", 2));
    assert_eq!(rig.bytes("c0"), encode(b"to the guest", None));
}

#[rstest]
fn v2_injects_what_indev_receives(#[values("tx", "all", "rx")] queue: &str) {
    let mut rig = rig(QemuVersion::RfcV2);
    rig.add(&format!("filter-redirector,id=f0,netdev=vh0,queue={queue},indev=c0"));
    rig.write("c0", encode(b"one", None), 1);
    assert_eq!(injected(&mut rig), [("vh0".to_owned(), Bytes::from("one"))]);
    rig.qmp("stop", json!({}));
    rig.write("c0", encode(b"two", None), 2);
    assert_eq!(injected(&mut rig), [("vh0".to_owned(), Bytes::from("two"))]);
    rig.qmp("qom-set", set("status", "off"));
    rig.write("c0", encode(b"three", None), 3);
    assert_eq!(injected(&mut rig), []);
    rig.qmp("qom-set", set("status", "on"));
    assert_eq!(injected(&mut rig).len(), 1, "it waited");
    rig.write("c0", encode(b"", None), 4);
    rig.write("c0", encode(b"x", None), 4);
    assert!(rig.drops().contains(&(4, DropReason::Empty)));
    rig.qmp("object-del", json!({"id": "f0"}));
    assert!(rig.out.iter().any(|output| matches!(output, Output::Capture { on: false, .. })));
}

#[test]
fn v2_works_without_vhost_as_ever() {
    let mut rig = rig(QemuVersion::RfcV2);
    rig.add("filter-redirector,id=f0,netdev=t1,queue=tx,outdev=c0");
    rig.add("filter-redirector,id=f1,netdev=t1,queue=tx,indev=c1");
    assert!(!rig.out.iter().any(|output| matches!(output, Output::Capture { .. })));
    rig.write("c1", encode(&[7; 60], None), 1);
    assert_eq!(rig.frames("nic1"), [Bytes::from(vec![7; 60])]);
    let data = Bytes::from(vec![5; 60]);
    rig.input(Input::NetdevFrame { netdev: "t1".into(), data: data.clone(), tag: None });
    assert_eq!(rig.bytes("c0"), encode(&data, None));
}

/// With `b0` before `f0` in the direction of `queue`, which is behind it in the list for rx.
fn buffered(queue: &str, of_buffer: &str) -> Rig {
    let mut rig = rig(QemuVersion::RfcV2);
    let buffer = format!("filter-buffer,id=b0,netdev=vh0,queue={of_buffer},interval=1000000");
    let redirector = format!("filter-redirector,id=f0,netdev=vh0,queue={queue},indev=c0");
    let order = if queue == "rx" { [redirector, buffer] } else { [buffer, redirector] };
    order.iter().for_each(|option| {
        rig.add(option);
    });
    rig.out.clear();
    rig.write("c0", encode(b"one", None), 1);
    rig
}

#[rstest]
#[case("tx", "tx")]
#[case("tx", "all")]
#[case("rx", "rx")]
#[case("all", "tx")]
#[case("all", "all")]
fn a_buffer_before_it_holds_what_is_injected(#[case] queue: &str, #[case] of_buffer: &str) {
    let mut rig = buffered(queue, of_buffer);
    assert_eq!(injected(&mut rig), []);
    rig.advance(1000);
    assert_eq!(injected(&mut rig), [("vh0".to_owned(), Bytes::from("one"))]);
    // Its clock is the VM's, and stands with it.
    rig.write("c0", encode(b"two", None), 2);
    rig.qmp("stop", json!({}));
    rig.advance(5000);
    assert_eq!(injected(&mut rig), []);
    rig.qmp("cont", json!({}));
    rig.advance(1000);
    assert_eq!(injected(&mut rig), [("vh0".to_owned(), Bytes::from("two"))]);
    // Switched off it lets go at once, and then stands in nobody's way.
    rig.write("c0", encode(b"three", None), 3);
    let off = json!({"path": "/objects/b0", "property": "status", "value": "off"});
    rig.qmp("qom-set", off);
    rig.write("c0", encode(b"four", None), 4);
    let names: Vec<Bytes> = injected(&mut rig).into_iter().map(|(_, data)| data).collect();
    assert_eq!(names, ["three", "four"]);
}

#[rstest]
#[case("tx", "rx")]
#[case("rx", "tx")]
#[case("all", "rx")]
fn a_buffer_of_the_other_direction_does_not(#[case] queue: &str, #[case] of_buffer: &str) {
    let mut rig = buffered(queue, of_buffer);
    assert_eq!(injected(&mut rig), [("vh0".to_owned(), Bytes::from("one"))]);
}

#[test]
fn a_buffer_behind_it_does_not_and_of_two_before_it_the_nearest_does() {
    let mut rig = rig(QemuVersion::RfcV2);
    rig.add("filter-buffer,id=b0,netdev=vh0,queue=tx,interval=9000000");
    rig.add("filter-buffer,id=b1,netdev=vh0,queue=tx,interval=1000000");
    rig.add("filter-redirector,id=f0,netdev=vh0,queue=tx,indev=c0");
    rig.add("filter-buffer,id=b2,netdev=vh0,queue=tx,interval=9000000");
    rig.write("c0", encode(b"one", None), 1);
    assert_eq!(injected(&mut rig), []);
    rig.advance(1000);
    assert_eq!(injected(&mut rig), [("vh0".to_owned(), Bytes::from("one"))]);
}

#[test]
fn what_a_buffer_lets_go_for_a_filter_that_is_gone_is_dropped() {
    let mut rig = buffered("tx", "tx");
    rig.qmp("object-del", json!({"id": "f0"}));
    rig.out.clear();
    rig.advance(1000);
    assert_eq!(rig.drops(), [(1, DropReason::Purged)]);
}

#[test]
fn the_header_goes_through_the_buffer() {
    let mut netdevs = netdevs();
    netdevs[0].kind = tap(1, true, 12);
    netdevs[1].kind = NetdevKind::Nic { vnet_hdr_len: 12 };
    let mut rig = Rig::with(Profile::new(QemuVersion::RfcV2), netdevs);
    rig.add("filter-buffer,id=b0,netdev=vh0,queue=tx,interval=1000");
    rig.add("filter-redirector,id=f0,netdev=vh0,queue=tx,indev=c0,vnet_hdr_support=on");
    let vnet = VnetHdr { flags: 1, csum_start: 34, ..VnetHdr::default() };
    let data = [&vnet.to_bytes(10)[..], b"frame"].concat();
    rig.write("c0", encode(&data, Some(10)), 1);
    rig.advance(1);
    let frame = rig.out.iter().find_map(|output| match output {
        Output::Inject { frame, .. } => Some(frame.clone()),
        _ => None,
    });
    assert_eq!(frame, Some(Frame { vnet, data: Bytes::from("frame") }));
    rig.write("c0", encode(b"tiny", Some(10)), 2);
    assert!(rig.drops().contains(&(2, DropReason::BadVnetHdr)));
}

fn packet_chardevs(version: QemuVersion) -> Config {
    let chardev = |id: &str, mode, netdev: &str| ChardevConfig {
        id: id.into(),
        backend: CharBackend::AfPacket { mode, netdev: netdev.into() },
        connected: true,
    };
    Config {
        profile: Profile::new(version),
        netdevs: netdevs(),
        chardevs: vec![
            chardev("cap0", AfPacketMode::Capture, "vh0"),
            chardev("inj0", AfPacketMode::Inject, "vh0"),
            socket("c0", true),
        ],
        ..Config::default()
    }
}

fn v4() -> Rig {
    Rig::of(packet_chardevs(QemuVersion::RfcV4))
}

#[test]
fn the_socket_of_a_chardev_is_open_from_the_start_and_only_v4_has_it() {
    let rig = v4();
    let open: Vec<&str> = rig.machine.packet_sockets().map(NetdevId::as_str).collect();
    assert_eq!(open, ["vh0"]);
    for version in QemuVersion::ALL {
        let machine = Machine::new(packet_chardevs(version));
        assert_eq!(machine.is_ok(), version == QemuVersion::RfcV4, "{version}");
    }
    let mut config = packet_chardevs(QemuVersion::RfcV4);
    config.chardevs[0].backend =
        CharBackend::AfPacket { mode: AfPacketMode::Capture, netdev: "nic0".into() };
    let error = Machine::new(config).unwrap_err().to_string();
    assert_eq!(error, "the packet socket of 'cap0' is bound to 'nic0', which is not a TAP");
}

#[test]
fn what_a_chardev_captures_is_framed_and_waits_for_its_reader() {
    let mut rig = v4();
    rig.input(captured("vh0", Direction::Tx, b"to the guest", 1));
    rig.add("filter-redirector,id=f1,netdev=t1,queue=tx,outdev=c0");
    rig.add("filter-redirector,id=f0,netdev=t1,queue=tx,position=head,indev=cap0");
    rig.input(captured("vh0", Direction::Rx, b"from the guest", 2));
    rig.input(captured("t1", Direction::Tx, b"elsewhere", 3));
    let both = [encode(b"to the guest", None), encode(b"from the guest", None)].concat();
    assert_eq!(rig.bytes("c0"), both);
    rig.qmp("qom-set", set("status", "off"));
    rig.out.clear();
    rig.input(captured("vh0", Direction::Tx, b"later", 4));
    assert_eq!(rig.bytes("c0"), b"");
    rig.qmp("qom-set", set("status", "on"));
    assert_eq!(rig.bytes("c0"), encode(b"later", None));
    let mut unread = v4();
    unread.input(captured("vh0", Direction::Tx, b"for nobody", 5));
    assert_eq!(unread.residue(), [(5, DropReason::NoReader)]);
}

#[test]
fn what_is_written_is_collected_and_sent_as_frames() {
    let mut rig = v4();
    rig.add("filter-redirector,id=f0,netdev=t1,queue=tx,outdev=inj0");
    let data = Bytes::from(vec![5; 60]);
    rig.input(Input::NetdevFrame { netdev: "t1".into(), data: data.clone(), tag: None });
    assert_eq!(injected(&mut rig), [("vh0".to_owned(), data.clone())]);
    rig.qmp("stop", json!({}));
    rig.input(Input::NetdevFrame { netdev: "t1".into(), data: data.clone(), tag: None });
    assert_eq!(injected(&mut rig).len(), 1);
    // Nothing can be written to what only captures.
    rig.qmp("object-del", json!({"id": "f0"}));
    rig.add("filter-redirector,id=f0,netdev=t1,queue=tx,outdev=cap0");
    rig.out.clear();
    rig.input(Input::NetdevFrame { netdev: "t1".into(), data, tag: Some(Tag::sent(7)) });
    assert_eq!(rig.drops(), [(7, DropReason::OutdevClosed)]);
}

/// What half a frame would leave: the next frame's bytes for the rest of it.
#[rstest]
#[case(ChardevState::Closed)]
#[case(ChardevState::Opened)]
fn the_end_of_a_connection_throws_away_what_was_collected(#[case] state: ChardevState) {
    let mut rig = v4();
    rig.add("filter-redirector,id=f0,netdev=t1,queue=tx,outdev=inj0,vnet_hdr_support=on");
    // A word too many, of which the socket knows nothing: its frame swallows the next frame's word.
    let frame = |tag| Input::NetdevFrame {
        netdev: "t1".into(),
        data: Bytes::from(vec![9; 60]),
        tag: Some(Tag::sent(tag)),
    };
    rig.input(frame(1));
    assert_eq!(injected(&mut rig)[0].1[..4], [0, 0, 0, 0]);
    rig.state("inj0", state);
    assert_eq!(rig.drops(), [(1, DropReason::Incomplete)]);
}

#[test]
fn v4_refuses_no_descriptor_and_no_packet_socket() {
    let add = |address: Value, mode: &str| {
        let backend = json!({"type": "socket", "data": {"addr": address, "af-packet-mode": mode}});
        json!({"id": "new0", "backend": backend})
    };
    let fd = |name: &str| json!({"type": "fd", "data": {"str": name}});
    let unix = json!({"type": "unix", "data": {"path": "sock"}});
    let text = |rig: &mut Rig, args: Value| match rig.qmp("chardev-add", args) {
        Outcome::Refused(error) => error.desc,
        other => format!("{other:?}"),
    };
    let mut rig = v4();
    let refused =
        |text: &str| format!("Failed to add chardev 'new0': 'af-packet-mode' needs {text}");
    assert_eq!(text(&mut rig, add(unix.clone(), "capture")), refused("an address of type 'fd'"));
    assert_eq!(
        text(&mut rig, add(fd("plain"), "inject")),
        refused("an AF_PACKET socket, and 'plain' is none")
    );
    let error = text(&mut rig, add(fd("vh0"), "both"));
    assert!(error.contains("af-packet-mode") && error.contains("both"), "{error}");
    let mut older = self::rig(QemuVersion::RfcV1);
    let error = text(&mut older, add(fd("vh0"), "capture"));
    assert_eq!(error, "Parameter 'backend.data.af-packet-mode' is unexpected");
    rig.out.clear();
    rig.qmp("chardev-add", add(fd("t1"), "capture"));
    let of_t1 = |on: bool| {
        move |output: &Output| {
            matches!(output, Output::Capture { netdev, on: open }
                if netdev.as_str() == "t1" && *open == on)
        }
    };
    assert!(rig.out.iter().any(of_t1(true)));
    rig.qmp("chardev-remove", json!({"id": "new0"}));
    assert!(rig.out.iter().any(of_t1(false)));
}
