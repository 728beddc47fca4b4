//! `in_netdev` and `out_netdev`.

use super::*;

fn rig(version: QemuVersion) -> Rig {
    let tap = |vhost| NetdevKind::Tap { queues: 1, vhost, vnet_hdr_len: 0 };
    let nic = NetdevKind::Nic { vnet_hdr_len: 0 };
    Rig::with(
        Profile::new(version),
        vec![
            netdev("t0", tap(true), None),
            netdev("nic0", nic.clone(), Some("t0")),
            netdev("t1", tap(false), None),
            netdev("nic1", nic, Some("t1")),
            netdev("n0", NetdevKind::Socket, None),
        ],
    )
}

fn captured(netdev: &str, direction: Direction, data: &'static [u8], tag: u32) -> Input {
    let frame = Frame::plain(data);
    Input::Captured { netdev: netdev.into(), direction, frame, tag: Some(Tag::sent(tag)) }
}

#[rstest]
#[case(
    "",
    "GenericError",
    "filter redirector needs 'indev', 'outdev', 'in_netdev' or \
    'out_netdev' at least one property set"
)]
#[case(
    "in_netdev=t0,out_netdev=t1,indev=c0",
    "GenericError",
    "'in_netdev' and 'out_netdev' are mutually exclusive for filter redirector"
)]
#[case(
    "in_netdev=zz,indev=zz",
    "GenericError",
    "'in_netdev' and 'indev' are mutually exclusive for filter redirector"
)]
#[case(
    "out_netdev=zz,outdev=zz,indev=zz",
    "GenericError",
    "'out_netdev' and 'outdev' are mutually exclusive for filter redirector"
)]
#[case(
    "indev=zz,outdev=zz",
    "GenericError",
    "'indev' and 'outdev' could not be same for filter redirector"
)]
#[case("in_netdev=zz,outdev=yy", "DeviceNotFound", "IN netdev 'zz' not found")]
#[case("in_netdev=n0,outdev=yy", "GenericError", "IN netdev 'n0' is not a TAP")]
#[case("indev=zz,out_netdev=yy", "DeviceNotFound", "IN Device 'zz' not found")]
#[case("indev=c0,out_netdev=nic0", "GenericError", "OUT netdev 'nic0' is not a TAP")]
#[case("in_netdev=t0,outdev=yy", "DeviceNotFound", "OUT Device 'yy' not found")]
fn refusals(#[case] properties: &str, #[case] class: &str, #[case] text: &str) {
    let comma = if properties.is_empty() { "" } else { "," };
    let option = format!("filter-redirector,id=f0,netdev=t1{comma}{properties}");
    let error = rig(QemuVersion::RfcV1).refusal(&option);
    assert_eq!((error.class.as_str(), error.desc.as_str()), (class, text));
}

#[test]
fn only_the_rfc_has_the_properties_and_only_with_them_vhost_will_do() {
    let option = "filter-redirector,id=f0,netdev=t0,in_netdev=t0,outdev=c0";
    let error = rig(QemuVersion::Qemu102).refusal(option);
    assert_eq!(error.desc, "Invalid parameter 'in_netdev'");
    let mut rig = rig(QemuVersion::RfcV1);
    let chardevs_only = "filter-redirector,id=f0,netdev=t0,outdev=c0";
    assert_eq!(rig.refusal(chardevs_only).desc, "Vhost is not supported");
    rig.add(option);
}

#[test]
fn a_captured_frame_is_framed_to_outdev_in_the_directions_of_queue() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add("filter-redirector,id=f0,netdev=t0,queue=rx,in_netdev=t0,outdev=c0");
    assert!(matches!(rig.out[0], Output::Capture { on: true, .. }));
    rig.input(captured("t0", Direction::Rx, b"abc", 1));
    rig.input(captured("t0", Direction::Tx, b"other", 2));
    rig.input(captured("t1", Direction::Rx, b"elsewhere", 3));
    assert_eq!(rig.bytes("c0"), encode(b"abc", None));
    rig.qmp("qom-set", set("status", "off"));
    rig.input(captured("t0", Direction::Rx, b"abc", 4));
    assert_eq!(rig.drops(), [(4, DropReason::CapturedWhileOff)]);
    rig.qmp("qom-set", set("status", "on"));
    let said = "1 captured frames were discarded while the status was off";
    let notice = |output: &Output| matches!(output, Output::Event(Event { kind: EventKind::Notice(text), .. }) if text == said);
    assert!(rig.out.iter().any(notice));
    rig.out.clear();
    rig.qmp("object-del", json!({"id": "f0"}));
    assert!(matches!(rig.out[0], Output::Capture { on: false, .. }));
}

#[test]
fn the_header_travels_with_vnet_hdr_support() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add("filter-redirector,id=f0,netdev=t0,in_netdev=t0,outdev=c0,vnet_hdr_support=on");
    rig.add("filter-redirector,id=f1,netdev=t0,indev=c1,out_netdev=t0,vnet_hdr_support=on");
    let vnet = VnetHdr { flags: 1, csum_start: 34, ..VnetHdr::default() };
    let frame = Frame { vnet, data: Bytes::from_static(b"frame") };
    let netdev = NetdevId::from("t0");
    rig.input(Input::Captured {
        netdev,
        direction: Direction::Tx,
        frame: frame.clone(),
        tag: None,
    });
    let framed = rig.bytes("c0");
    assert_eq!(framed[..8], [0, 0, 0, 15, 0, 0, 0, 10]);
    rig.write("c1", framed.into(), 1);
    let injected = rig.out.iter().find_map(|output| match output {
        Output::Inject { frame, .. } => Some(frame.clone()),
        _ => None,
    });
    assert_eq!(injected, Some(frame));
    rig.out.clear();
    rig.write("c1", encode(b"tiny", Some(10)), 2);
    assert_eq!(rig.drops(), [(2, DropReason::BadVnetHdr)]);
}

#[test]
fn a_captured_frame_that_nobody_takes_was_already_delivered() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add("filter-mirror,id=m0,netdev=t1,outdev=c0");
    rig.add("filter-redirector,id=f0,netdev=t1,in_netdev=t1");
    rig.add("filter-mirror,id=m1,netdev=t1,outdev=c1");
    rig.input(captured("t1", Direction::Rx, b"rx", 1));
    assert_eq!(rig.drops(), [(1, DropReason::AlreadyDelivered)]);
    rig.input(captured("t1", Direction::Rx, b"rx", 2));
    assert_eq!(rig.bytes("c0"), encode(b"rx", None));
    rig.input(captured("t1", Direction::Tx, b"tx", 3));
    assert_eq!(rig.bytes("c1"), encode(b"tx", None));
}

#[test]
fn a_frame_captured_elsewhere_is_delivered() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add("filter-redirector,id=f0,netdev=t1,in_netdev=t0");
    rig.input(captured("t0", Direction::Tx, b"to the guest", 1));
    assert_eq!(rig.frames("nic1"), ["to the guest"]);
    rig.input(captured("t0", Direction::Rx, b"to the host", 2));
    assert_eq!(rig.frames("t1"), ["to the host"]);
}

#[test]
fn a_tap_that_qemu_reads_is_not_taken_twice() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add("filter-redirector,id=f0,netdev=t1,queue=tx,in_netdev=t1,outdev=c0");
    let data = Bytes::from_static(&[5; 64]);
    rig.input(Input::NetdevFrame { netdev: "t1".into(), data: data.clone(), tag: None });
    assert_eq!(rig.frames("nic1"), [data]);
}

#[test]
fn out_netdev_takes_from_the_chain_and_from_indev() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add("filter-redirector,id=f0,netdev=t1,queue=rx,indev=c0,out_netdev=t0");
    let data = Bytes::from_static(b"from the guest of t1");
    rig.input(Input::NetdevFrame { netdev: "nic1".into(), data, tag: None });
    rig.write("c0", encode(b"from indev", None), 1);
    let injected: Vec<Bytes> = rig
        .out
        .drain(..)
        .filter_map(|output| match output {
            Output::Inject { frame, .. } => Some(frame.data),
            _ => None,
        })
        .collect();
    assert_eq!(injected, ["from the guest of t1", "from indev"]);
    rig.qmp("qom-set", set("status", "off"));
    rig.write("c0", encode(b"off", None), 2);
    assert_eq!(rig.drops(), []);
    rig.qmp("qom-set", set("status", "on"));
    let waited =
        |output: &Output| matches!(output, Output::Inject { frame, .. } if frame.data == "off");
    assert!(rig.out.iter().any(waited), "what was sent while the filter was off waited");
}

#[test]
fn the_packet_socket_closes_with_its_last_user() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add("filter-redirector,id=f0,netdev=t0,in_netdev=t0,outdev=c0");
    rig.add("filter-redirector,id=f1,netdev=t0,in_netdev=t0,outdev=c1");
    for (id, closes) in [("f0", false), ("f1", true)] {
        rig.qmp("object-del", json!({"id": id}));
        let closed = |output: &Output| matches!(output, Output::Capture { on: false, .. });
        assert_eq!(rig.out.iter().any(closed), closes, "{id}");
    }
}

const CAPTURES: &str = "filter-redirector,id=f0,netdev=t0,queue=tx,in_netdev=t0,outdev=c0";

#[test]
fn while_the_vm_is_stopped_the_packet_socket_is_read_only_with_enable_when_stopped() {
    for (enable, while_stopped) in [("off", ""), ("on", "one")] {
        let mut rig = rig(QemuVersion::RfcV1);
        rig.add(&format!("{CAPTURES},enable_when_stopped={enable}"));
        rig.qmp("stop", json!({}));
        rig.input(captured("t0", Direction::Tx, b"one", 1));
        let framed =
            |data: &[u8]| if data.is_empty() { Vec::new() } else { encode(data, None).to_vec() };
        assert_eq!(
            rig.bytes("c0"),
            framed(while_stopped.as_bytes()),
            "enable_when_stopped={enable}"
        );
        rig.out.clear();
        rig.qmp("cont", json!({}));
        let later = if while_stopped.is_empty() { &b"one"[..] } else { b"" };
        assert_eq!(rig.bytes("c0"), framed(later), "enable_when_stopped={enable}, after cont");
        assert_eq!(rig.drops(), []);
    }
}

#[test]
fn enable_when_stopped_can_be_set_while_the_vm_is_stopped() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add(CAPTURES);
    rig.qmp("stop", json!({}));
    rig.input(captured("t0", Direction::Tx, b"one", 1));
    rig.out.clear();
    rig.qmp("qom-set", set("enable_when_stopped", true));
    assert_eq!(rig.bytes("c0"), encode(b"one", None));
    // Status goes before: what is captured while it is off is discarded, stopped or not.
    rig.qmp("qom-set", set("status", "off"));
    rig.input(captured("t0", Direction::Tx, b"two", 2));
    assert_eq!(rig.drops(), [(2, DropReason::CapturedWhileOff)]);
}

#[test]
fn what_the_socket_of_a_stopped_vm_holds_ends_with_its_filter() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add(CAPTURES);
    rig.qmp("stop", json!({}));
    rig.input(captured("t0", Direction::Tx, b"one", 1));
    rig.qmp("object-del", json!({"id": "f0"}));
    assert_eq!(rig.drops(), [(1, DropReason::CapturedWhileStopped)]);
    let mut rig = self::rig(QemuVersion::RfcV1);
    rig.add(CAPTURES);
    rig.qmp("stop", json!({}));
    rig.input(captured("t0", Direction::Tx, b"one", 1));
    assert_eq!(rig.residue(), [(1, DropReason::CapturedWhileStopped)]);
}

/// A frame that QEMU reads from the TAP `t1`.
fn from_host(byte: u8, tag: u32) -> Input {
    let data = Bytes::from(vec![byte; 60]);
    Input::NetdevFrame { netdev: "t1".into(), data, tag: Some(Tag::sent(tag)) }
}

#[test]
fn outputs_go_on_while_the_vm_is_stopped() {
    let mut rig = rig(QemuVersion::RfcV1);
    rig.add("filter-redirector,id=f0,netdev=t1,queue=tx,outdev=c0");
    rig.add("filter-redirector,id=f1,netdev=t0,indev=c1,out_netdev=t0");
    rig.qmp("stop", json!({}));
    rig.out.clear();
    rig.input(from_host(5, 1));
    assert_eq!(rig.bytes("c0"), encode(&[5; 60], None));
    rig.write("c1", encode(b"injected", None), 2);
    let injected = |output: &Output| matches!(output, Output::Inject { frame, .. } if frame.data == "injected");
    assert!(rig.out.iter().any(injected));
}

/// A frame that no filter took waits for the NIC of a stopped VM, and its TAP is read no more.
#[test]
fn with_enable_when_stopped_the_netdev_is_read_on() {
    for (enable, taken) in [("off", ""), ("on", "second")] {
        let mut rig = rig(QemuVersion::RfcV1);
        rig.add(&format!(
            "filter-redirector,id=f0,netdev=t1,queue=tx,outdev=c0,status=off,\
             enable_when_stopped={enable}"
        ));
        rig.qmp("stop", json!({}));
        let frame = |byte: u8| Bytes::from(vec![byte; 60]);
        rig.input(from_host(1, 1));
        rig.qmp("qom-set", set("status", "on"));
        rig.out.clear();
        rig.input(from_host(2, 2));
        let expected = if taken.is_empty() { Vec::new() } else { encode(&frame(2), None).to_vec() };
        assert_eq!(rig.bytes("c0"), expected, "enable_when_stopped={enable}");
        rig.out.clear();
        rig.qmp("cont", json!({}));
        assert_eq!(rig.frames("nic1"), [frame(1)], "enable_when_stopped={enable}");
    }
}

#[test]
fn only_the_first_version_has_the_properties() {
    for version in QemuVersion::ALL {
        let known = matches!(version, QemuVersion::RfcV1 | QemuVersion::Ideal);
        for property in ["in_netdev=t1", "out_netdev=t1", "enable_when_stopped=on"] {
            let option = format!("filter-redirector,id=f0,netdev=t1,{property},indev=zz,outdev=zz");
            let error = rig(version).refusal(&option).desc;
            assert_eq!(
                !error.starts_with("Invalid parameter"),
                known,
                "{version} {property}: {error}"
            );
        }
    }
}
