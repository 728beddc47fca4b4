//! filter-dump: what is in the file, what stops it, and QEMU's descriptor 0.

use super::*;

const DUMP: &str = "filter-dump,id=f0,netdev=n0,file=x.pcap";

impl Rig {
    /// What was written to a file since the last call of any of these.
    fn file(&mut self, name: &str) -> Vec<u8> {
        let taken = std::mem::take(&mut self.out);
        let bytes = |output| match output {
            Output::FileBytes { file, data, .. } if file == name => Some(data),
            _ => None,
        };
        taken.into_iter().filter_map(bytes).flatten().collect()
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Byte for byte what QEMU 7.2.22 wrote for `maxlen=2147483648`, but for the time.
#[test]
fn a_file_is_a_header_and_records_in_the_host_s_order() {
    let mut rig = Rig::new(qemu(None));
    rig.add(&format!("{DUMP},maxlen=2147483648"));
    let version = if cfg!(target_endian = "little") { 0x0004_0002 } else { 0x0002_0004 };
    let header = [0xa1b2_c3d4, version, 0, 0, 0x8000_0000, 1];
    assert_eq!(rig.file("x.pcap"), words(&header));
    rig.advance(1_250).send("n0", &[1; 20], 1);
    let mut record = words(&[1, 250_000, 20, 20]);
    record.extend([1; 20]);
    assert_eq!(rig.file("x.pcap"), record);
}

#[test]
fn a_long_frame_is_cut_and_its_length_is_kept() {
    let mut rig = Rig::new(qemu(None));
    rig.add(&format!("{DUMP},maxlen=100")).file("x.pcap");
    // A later maxlen is only shown (measured on 7.2.22).
    rig.qmp("qom-set", set("maxlen", 10));
    rig.send("n0", &[7; 200], 1);
    let mut record = words(&[0, 0, 100, 200]);
    record.extend([7; 100]);
    assert_eq!(rig.file("x.pcap"), record);
}

/// As QEMU 7.2.22 did it: the second empties the file, and the first goes on behind a hole.
#[rstest]
#[case::of_their_own(false)]
#[case::the_first_is_number_0(true)]
fn two_dumps_of_one_file_have_a_place_each(#[case] number_0: bool) {
    let mut rig = Rig::new(qemu(None));
    if number_0 {
        rig.refusal("filter-dump,id=f0,netdev=nope,file=x.pcap");
    }
    rig.add(DUMP).send("n0", &[1; 8], 1);
    rig.add("filter-dump,id=f1,netdev=n0,file=x.pcap");
    rig.send("n0", &[2; 4], 2).send("n0", &[3; 2], 3);
    let places = rig.out.iter().filter_map(|output| match output {
        Output::FileBytes { at, data, .. } => Some((*at, data.len())),
        _ => None,
    });
    let expected = [(0, 24), (24, 24), (0, 24), (48, 20), (24, 20), (68, 18), (44, 18)];
    assert_eq!(places.collect::<Vec<_>>(), expected);
    let notices = |output: &&Output| matches!(output, Output::Event(event) if matches!(&event.kind, EventKind::Notice(text) if text.starts_with("x.pcap is f0's file too")));
    assert_eq!(rig.out.iter().filter(notices).count(), 1);
}

#[test]
fn the_times_are_the_vm_s() {
    let mut rig = Rig::new(qemu(None));
    rig.add(DUMP).advance(300).qmp("stop", json!({}));
    rig.advance(5_000).file("x.pcap");
    rig.send("n0", b"", 1).send("n0", b"a", 2);
    assert_eq!(rig.file("x.pcap")[..16], words(&[0, 300_000, 0, 0]));
}

#[test]
fn frames_pass_and_off_writes_nothing() {
    let mut rig = Rig::new(qemu(None));
    rig.add(&format!("{DUMP},queue=rx,status=off"));
    assert_eq!(rig.file("x.pcap").len(), 24);
    rig.send("n9", b"a", 1);
    assert!(rig.file("x.pcap").is_empty());
    rig.qmp("qom-set", set("status", "on"));
    rig.send("n0", b"b", 2);
    assert!(rig.file("x.pcap").is_empty());
    rig.send("n9", b"c", 3);
    let out = rig.out.clone();
    assert_eq!(rig.file("x.pcap").len(), 17);
    rig.out = out;
    assert_eq!(rig.frames("n0"), ["c"]);
}

#[rstest]
#[case("no/x.pcap", "No such file or directory")]
#[case("", "No such file or directory")]
#[case(".", "Is a directory")]
fn a_file_that_can_not_be_opened(#[case] file: &str, #[case] reason: &str) {
    let error = Rig::new(qemu(None)).refusal(&format!("filter-dump,id=f0,netdev=n0,file={file}"));
    assert_eq!(error.to_string(), format!("GenericError: net dump: can't open {file}: {reason}"));
}

/// As QEMU 7.2.22, 10.0.13 and 11.1.3 did it: the header's write(2) is not looked at.
#[rstest]
#[case("/dev/null", 0)]
#[case("/dev/zero", 0)]
#[case("/dev/full", 1)]
fn a_device_keeps_nothing(
    #[case] device: &str,
    #[case] complaints: usize,
    #[values(false, true)] number_0: bool,
) {
    let mut rig = Rig::new(qemu(None));
    if number_0 {
        rig.refusal("filter-dump,id=f0,netdev=nope,file=x.pcap");
    }
    rig.add(&format!("filter-dump,id=f0,netdev=n0,file={device}"));
    rig.send("n0", b"a", 1).send("n0", b"b", 2);
    let kept = |output: &&Output| matches!(output, Output::FileBytes { .. });
    assert_eq!(rig.out.iter().filter(kept).count(), 0);
    let complaint = |output: &&Output| matches!(output, Output::Event(event) if matches!(&event.kind, EventKind::Log(text) if text.contains("stopping dump")));
    assert_eq!(rig.out.iter().filter(complaint).count(), complaints);
    assert_eq!(rig.frames("n9"), ["a", "b"]);
}

fn virtio(profile: Profile) -> Rig {
    let tap = NetdevKind::Tap { queues: 1, vhost: false, vnet_hdr_len: 10 };
    let nic = NetdevKind::Nic { vnet_hdr_len: 10 };
    let mut rig = Rig::with(profile, vec![netdev("n0", tap, None), netdev("nic", nic, Some("n0"))]);
    rig.add("filter-redirector,id=r0,netdev=n0,queue=tx,indev=c0");
    rig.add(DUMP).file("x.pcap");
    rig
}

#[rstest]
#[case(QemuVersion::Qemu72, 24)]
#[case(QemuVersion::Qemu102, 14)]
#[case(QemuVersion::Ideal, 14)]
fn the_virtio_net_header_is_left_out(#[case] version: QemuVersion, #[case] expected: u32) {
    let mut rig = virtio(Profile::new(version));
    rig.write("c0", encode(&[0; 24], None), 1);
    let file = rig.file("x.pcap");
    assert_eq!(file[8..16], words(&[expected, expected]));
}

#[rstest]
#[case(QemuVersion::Qemu72, Some(20), false)]
#[case(QemuVersion::Qemu102, None, true)]
#[case(QemuVersion::Ideal, None, false)]
fn a_frame_shorter_than_the_header(
    #[case] version: QemuVersion,
    #[case] written: Option<usize>,
    #[case] dies: bool,
) {
    let mut rig = virtio(Profile::new(version));
    rig.write("c0", encode(b"abcd", None), 1);
    let crashed = rig.out.iter().any(
        |output| matches!(output, Output::Event(event) if matches!(event.kind, EventKind::Crash(_))),
    );
    assert_eq!(crashed, dies);
    assert_eq!(rig.file("x.pcap").len(), written.unwrap_or(0));
    rig.write("c0", encode(&[0; 24], None), 2);
    assert_eq!(rig.file("x.pcap").is_empty(), dies);
}

/// Refused again and again: the first time standard input is closed, then whatever has its number.
#[rstest]
#[case(None, true)]
#[case(Some(Quirk::DumpRefusalClosesStdin), false)]
fn a_refusal_closes_descriptor_0(#[case] mended: Option<Quirk>, #[case] stops: bool) {
    let mut rig = Rig::new(qemu(mended));
    rig.refusal("filter-dump,id=f0,netdev=nope,file=x.pcap");
    rig.add(DUMP);
    rig.send("n0", b"a", 1);
    assert_eq!(rig.file("x.pcap").len(), 24 + 17);
    rig.refusal("filter-dump,id=f1,netdev=n0,file=no/x.pcap");
    rig.send("n0", b"b", 2);
    let stopped = ["network dump write error - stopping dump"];
    assert_eq!(rig.logs(), &stopped[usize::from(!stops)..]);
    rig.send("n0", b"c", 3);
    assert_eq!(rig.file("x.pcap").is_empty(), stops);
}

/// The number goes to the next file, and a dump that has lost it writes there.
#[test]
fn a_dump_writes_where_its_number_leads() {
    let mut rig = Rig::new(qemu(None));
    rig.refusal("filter-dump,id=f0,netdev=nope,file=x.pcap");
    rig.add(DUMP);
    rig.refusal("filter-dump,id=f1,netdev=nope,file=y.pcap");
    rig.add("filter-dump,id=f1,netdev=n0,file=y.pcap,queue=rx");
    rig.out.clear();
    rig.send("n0", b"a", 1);
    assert_eq!(rig.file("y.pcap").len(), 17);
}

/// As measured on 7.2.22: the client that came in while number 0 was free sees its end.
#[test]
fn a_connection_can_be_what_is_closed() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=away");
    rig.refusal("filter-dump,id=f0,netdev=nope,file=x.pcap");
    rig.state("away", ChardevState::Opened);
    rig.refusal("filter-dump,id=f0,netdev=nope,file=x.pcap");
    let closed = |output: &Output| matches!(output, Output::ChardevClosed { chardev } if chardev.as_str() == "away");
    assert!(rig.out.iter().any(closed));
    rig.send("n0", b"a", 1);
    assert_eq!(rig.logs(), ["filter mirror send failed(Operation not permitted)"]);
}

#[test]
fn replay_lets_everything_pass() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-replay,id=f0,netdev=n0");
    rig.send("n0", b"a", 1);
    assert_eq!(rig.frames("n9"), ["a"]);
    rig.send("n9", b"b", 2);
    assert_eq!(rig.frames("n0"), ["b"]);
}
