//! filter-rewriter in its machine: what it takes, what waits, COLO's events. What a segment does to
//! its connection is tested beside that.

use proptest::prelude::*;

use super::*;
use crate::machine::{
    ColoEvent,
    colo::{
        flag::{ACK, SYN},
        sample::Sample,
    },
};

const REWRITER: &str = "filter-rewriter,id=f0,netdev=n0,queue=all";

fn ideal() -> Profile {
    Profile::new(QemuVersion::Ideal)
}

impl Rig {
    fn rewriter(profile: Profile) -> Self {
        let mut rig = Self::new(profile);
        rig.add(REWRITER);
        rig
    }

    /// Sends a segment from its side; what comes out at the other.
    fn pass(&mut self, sample: &Sample) -> Vec<Bytes> {
        self.pass_bytes(sample.from_guest, &sample.bytes())
    }

    fn pass_bytes(&mut self, from_guest: bool, data: &[u8]) -> Vec<Bytes> {
        let (from, to) = if from_guest { ("n9", "n0") } else { ("n0", "n9") };
        self.send(from, data, 1);
        self.frames(to)
    }

    fn handshake(&mut self, primary: u32, secondary: u32) -> &mut Self {
        for sample in Sample::handshake(primary, secondary) {
            self.pass(&sample);
        }
        self
    }

    fn colo(&mut self, event: ColoEvent) {
        let outcome = self.command(Command::Colo(event));
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
}

#[rstest]
#[case::arp("525400000002 525400000001 0806", 46)]
#[case::ipv6("525400000002 525400000001 86dd 60000000", 40)]
#[case::udp(
    "525400000002 525400000001 0800 4500001c 00014000 40110000 0a000009 0a000002 0fa00050 0008",
    0
)]
#[case::short("5254", 0)]
fn what_is_no_tcp_passes_at_once(#[case] head: &str, #[case] zeros: usize) {
    let digits: Vec<u8> = head.bytes().filter(|byte| *byte != b' ').collect();
    let digit = |at: usize| (digits[at] as char).to_digit(16).unwrap() as u8;
    let mut frame: Vec<u8> =
        (0..digits.len() / 2).map(|at| digit(2 * at) << 4 | digit(2 * at + 1)).collect();
    frame.resize(frame.len() + zeros, 0);
    for from_guest in [false, true] {
        let mut rig = Rig::rewriter(qemu(None));
        rig.qmp("stop", Value::Null);
        rig.pass_bytes(false, &frame);
        rig.qmp("cont", Value::Null);
        assert_eq!(rig.frames("n9"), [&frame], "it waits for the guest alone");
        assert_eq!(rig.pass_bytes(from_guest, &frame), [&frame]);
    }
}

/// Three segments of a stopped VM and one after it runs again.
#[rstest]
#[case::quirk(vec![], &[], &[3, 0, 1, 2])]
#[case::in_order(vec![Quirk::QueueOvertakes], &[], &[0, 1, 2, 3])]
#[case::mended(vec![Quirk::RewriterStrandsQueue], &[0, 1, 2], &[3])]
fn a_stopped_guest(
    #[case] without: Vec<Quirk>,
    #[case] after_cont: &[u8],
    #[case] after_next: &[u8],
) {
    let mut rig = Rig::rewriter(Profile::new(QemuVersion::Qemu102).without(without));
    let segment = |number: u8| Sample::client(ACK, 2000, 1).payload(&[number]);
    let numbers = |frames: Vec<Bytes>| -> Vec<u8> {
        frames.iter().filter_map(|frame| frame.last().copied()).collect()
    };
    rig.qmp("stop", Value::Null);
    for number in 0..3 {
        assert!(rig.pass(&segment(number)).is_empty());
    }
    rig.qmp("cont", Value::Null);
    assert_eq!(numbers(rig.frames("n9")), after_cont);
    assert_eq!(numbers(rig.pass(&segment(3))), after_next);
}

#[test]
fn a_rewriter_that_goes_sends_what_waits() {
    let mut rig = Rig::rewriter(qemu(None));
    rig.add("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=c0");
    rig.qmp("stop", Value::Null);
    let segment = Sample::client(ACK, 2000, 1);
    rig.pass(&segment);
    rig.qmp("object-del", json!({"id": "f0"}));
    assert_eq!(rig.bytes("c0"), encode(&segment.bytes(), None), "the next filter sees it");
    rig.qmp("cont", Value::Null);
    assert_eq!(rig.frames("n9"), [segment.bytes()]);
    assert_eq!(rig.residue(), []);
}

/// With `queue=rx` a segment goes on to the filters nearer to the host, and to none beyond.
#[rstest]
#[case::quirk(qemu(None))]
#[case::mended(ideal())]
fn a_segment_goes_on_in_its_direction(#[case] profile: Profile) {
    let mut rig = Rig::new(profile);
    rig.add("filter-mirror,id=m0,netdev=n0,queue=all,outdev=c0")
        .add("filter-rewriter,id=f0,netdev=n0,queue=rx")
        .add("filter-mirror,id=m1,netdev=n0,queue=tx,outdev=c1");
    let segment = Sample::guest(ACK, 9001, 2000).bytes();
    rig.send("n9", &segment, 1);
    let to = |chardev: &str| {
        let sent = |output: &Output| match output {
            Output::ChardevBytes { chardev: to, data, .. } if to.as_str() == chardev => {
                data.to_vec()
            }
            _ => Vec::new(),
        };
        rig.out.iter().flat_map(sent).collect::<Vec<u8>>()
    };
    assert_eq!(to("c0"), encode(&segment, None));
    assert_eq!(to("c1"), b"");
    assert_eq!(rig.frames("n0"), [segment]);
}

#[test]
fn more_than_ten_thousand_do_not_wait() {
    let mut rig = Rig::rewriter(qemu(None));
    rig.qmp("stop", Value::Null);
    let frame = Sample::client(ACK, 2000, 1).bytes();
    for tag in 0..10_002 {
        rig.send("n0", &frame, tag);
    }
    let full = DropReason::QueueFull;
    assert_eq!(rig.drops(), [(10_000, full), (10_001, full)]);
    assert_eq!(rig.residue().len(), 10_000);
}

#[test]
fn an_empty_frame_aborts() {
    let mut rig = Rig::rewriter(qemu(None));
    let both = [encode(b"", None), encode(&Sample::client(ACK, 1, 1).bytes(), None)].concat();
    rig.input(Input::StreamBytes {
        netdev: "n0".into(),
        data: both.into(),
        tag: Some(Tag::sent(1)),
    });
    let crash = |output: &Output| matches!(output, Output::Event(Event { kind: EventKind::Crash(text), .. }) if text.ends_with("parse_packet_early: Assertion `data' failed."));
    assert!(rig.out.iter().any(crash));
    let dead = DropReason::MachineDead;
    assert_eq!(rig.drops(), [(1, dead), (1, dead)], "the empty frame, and what follows it");
}

#[test]
fn a_mended_rewriter_lets_an_empty_frame_pass() {
    let mut rig = Rig::rewriter(qemu(Some(Quirk::RewriterEmptyFrameAborts)));
    rig.send("n0", b"", 1).send("n0", b"", 2);
    assert_eq!(rig.frames("n9"), [""]);
}

/// 16,384 connections beside one that lives, and one more.
#[rstest]
#[case::room_for_one_more(None, 16_384, 9001)]
#[case::quirk(None, 16_385, 5001)]
#[case::mended(Some(Quirk::RewriterForgetsAll), 16_385, 9001)]
fn many_connections(#[case] without: Option<Quirk>, #[case] others: u16, #[case] ack: u32) {
    let mut rig = Rig::rewriter(qemu(without));
    rig.handshake(5000, 9000);
    for port in 10_000..10_000 + others {
        let syn = Sample { port, ..Sample::client(SYN, 1999, 0) };
        assert_eq!(rig.pass(&syn), [syn.bytes()]);
    }
    let expected = Sample::client(ACK, 2000, ack);
    let sent = Sample::client(ACK, 2000, 5001);
    assert_eq!(rig.pass(&sent), [expected.bytes()]);
}

#[test]
fn what_changed_is_told() {
    let mut rig = Rig::rewriter(qemu(None));
    rig.handshake(5000, 9000);
    rig.send("n9", &Sample::guest(ACK, 9001, 2000).bytes(), 7);
    let told = rig.out.iter().find_map(|output| match output {
        Output::Event(event) if matches!(event.kind, EventKind::Rewritten { .. }) => Some(event),
        _ => None,
    });
    let (field, old, new) = ("tcp.seq", 9001, 5001);
    let expected = Event {
        tag: Some(Tag::sent(7)),
        place: crate::record::Place::Object("f0".into()),
        kind: EventKind::Rewritten { field, old, new },
    };
    assert_eq!(told, Some(&expected));
}

/// The client's ACK comes first: it waits for the guest's answer and follows it.
#[test]
fn a_held_ack_is_released() {
    let mut rig = Rig::rewriter(ideal());
    let [syn, answer, ack] = Sample::handshake(5000, 9000);
    rig.pass(&syn);
    assert!(rig.pass(&ack).is_empty());
    rig.send("n9", &answer.bytes(), 2);
    assert_eq!(rig.frames("n9"), [Sample::client(ACK, 2000, 9001).bytes()]);
    let data = Sample::guest(ACK, 9001, 2000);
    assert_eq!(rig.pass(&data), [Sample::guest(ACK, 5001, 2000).bytes()]);
    assert_eq!(rig.residue(), []);
}

#[rstest]
#[case::end(None)]
#[case::deleted(Some(json!({"id": "f0"})))]
fn a_held_ack_whose_answer_never_comes(#[case] deleted: Option<Value>) {
    let mut rig = Rig::rewriter(ideal());
    let [syn, _, ack] = Sample::handshake(5000, 9000);
    rig.pass(&syn);
    rig.send("n0", &ack.bytes(), 5);
    if let Some(args) = deleted {
        rig.qmp("object-del", args);
        assert_eq!(rig.drops(), [(5, DropReason::Purged)]);
    } else {
        assert_eq!(rig.residue(), [(5, DropReason::Held)]);
    }
}

#[test]
fn a_checkpoint_releases_a_held_ack_untouched() {
    let mut rig = Rig::rewriter(ideal());
    let [syn, _, ack] = Sample::handshake(5000, 9000);
    rig.pass(&syn);
    rig.pass(&ack);
    rig.command(Command::Colo(ColoEvent::Checkpoint));
    assert_eq!(rig.frames("n9"), [ack.bytes()]);
}

#[rstest]
fn a_checkpoint_resets_the_offset(#[values(true, false)] xen: bool) {
    let mut rig = Rig::rewriter(qemu(None));
    rig.handshake(5000, 9000);
    if xen {
        rig.qmp("xen-colo-do-checkpoint", Value::Null);
    } else {
        rig.colo(ColoEvent::Checkpoint);
    }
    let ack = Sample::client(ACK, 2000, 5001);
    assert_eq!(rig.pass(&ack), [ack.bytes()]);
    let data = Sample::guest(ACK, 5001, 2000).payload(b"data");
    assert_eq!(rig.pass(&data), [data.bytes()]);
}

/// A failover while a connection is translated changes nothing; without one, new connections are
/// left alone, known ones stay known.
#[rstest]
#[case::translating(9000, 700)]
#[case::idle(5000, 600)]
fn a_failover(#[case] secondary: u32, #[case] ack: u32) {
    let mut rig = Rig::rewriter(qemu(None));
    rig.handshake(5000, secondary);
    rig.colo(ColoEvent::Failover);
    let status = rig.qmp("qom-get", json!({"path": "/objects/f0", "property": "status"}));
    assert!(matches!(status, Outcome::Done(Value::String(on)) if on == "on"));
    let known = Sample::client(ACK, 2000, 5001);
    let expected = Sample::client(ACK, 2000, secondary + 1);
    assert_eq!(rig.pass(&known), [expected.bytes()]);
    let mut last = Vec::new();
    for sample in Sample::handshake(599, 699) {
        last = rig.pass(&Sample { port: 4001, ..sample });
    }
    let expected = Sample { port: 4001, ..Sample::client(ACK, 2000, ack) };
    assert_eq!(last, [expected.bytes()]);
}

/// A TAP whose frames have a virtio-net header, and its guest.
#[rstest]
#[case::without_support("", 5001)]
#[case::with_support(",vnet_hdr_support=on", 9001)]
fn a_virtio_net_header(#[case] option: &str, #[case] ack: u32) {
    let vnet_hdr_len = 12;
    let tap = NetdevKind::Tap { queues: 1, vhost: false, vnet_hdr_len };
    let nic = NetdevKind::Nic { vnet_hdr_len };
    let netdevs = vec![netdev("n0", tap, None), netdev("g", nic, Some("n0"))];
    let mut rig = Rig::with(qemu(None), netdevs);
    rig.add(&format!("{REWRITER}{option}"));
    let with_header = |sample: Sample| Sample { vnet: vec![0; vnet_hdr_len], ..sample };
    for sample in Sample::handshake(5000, 9000) {
        let netdev = if sample.from_guest { "g" } else { "n0" };
        rig.input(Input::NetdevFrame {
            netdev: netdev.into(),
            data: with_header(sample).bytes().into(),
            tag: None,
        });
    }
    let expected = with_header(Sample::client(ACK, 2000, ack));
    assert_eq!(rig.frames("g").last(), Some(&expected.bytes().into()));
}

/// What stands where a TCP header would is changed or not.
#[rstest]
#[case::later_fragment(0x2003, 0x45)]
#[case::version_6(0, 0x65)]
fn what_has_no_tcp_header(
    #[case] fragment: u16,
    #[case] version: u8,
    #[values(None, Some(Quirk::RewriterManglesFragments))] without: Option<Quirk>,
) {
    let mut rig = Rig::rewriter(qemu(without));
    rig.handshake(5000, 9000);
    let sample = Sample { fragment, ..Sample::client(ACK, 2000, 5001) };
    let mut sent = sample.bytes();
    sent[14] = version;
    let passed = rig.pass_bytes(false, &sent);
    let mut expected = sent;
    if without.is_none() {
        expected[42..46].copy_from_slice(&9001_u32.to_be_bytes());
    }
    assert_eq!(passed, [expected]);
}

#[rstest]
#[case::quirk(None, 5001)]
#[case::mended(Some(Quirk::RewriterIgnoresVlan), 9001)]
fn an_802_1q_connection(#[case] without: Option<Quirk>, #[case] ack: u32) {
    let mut rig = Rig::rewriter(qemu(without));
    let tagged = |sample: Sample, vlan: u8| Sample { tags: vec![0x81, 0, 0, vlan], ..sample };
    for sample in Sample::handshake(5000, 9000) {
        rig.pass(&tagged(sample, 5));
    }
    let sent = Sample::client(ACK, 2000, 5001);
    let expected = tagged(Sample::client(ACK, 2000, ack), 5);
    assert_eq!(rig.pass(&tagged(sent.clone(), 5)), [expected.bytes()]);
    let elsewhere = tagged(sent, 6);
    assert_eq!(rig.pass(&elsewhere), [elsewhere.bytes()]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Mended, the guest gets byte for byte what a client of its own would have sent, and the
    /// client's side what the primary would have sent, whatever the numbers and the checksums.
    #[test]
    fn a_mended_rewriter_hides_the_other_guest(
        primary: u32,
        secondary: u32,
        (from_guest, flags) in (any::<bool>(), prop_oneof![Just(ACK), Just(ACK | 8), Just(ACK | 0x20)]),
        (seq, ack) in any::<(u32, u32)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
        nops in 0_usize..4,
        sack in any::<bool>(),
        damage: u8,
    ) {
        let mut rig = Rig::rewriter(ideal());
        rig.handshake(primary, secondary);
        let offset = secondary.wrapping_sub(primary);
        // The same segment in a world whose guest counts `shift` further.
        let segment = |shift: u32| {
            let mut options = vec![1; nops];
            if sack && !from_guest {
                options.extend([5, 10]);
                options.extend(ack.wrapping_add(9).wrapping_add(shift).to_be_bytes());
                options.extend(ack.wrapping_add(17).wrapping_add(shift).to_be_bytes());
            }
            options.resize(options.len().next_multiple_of(4), 0);
            let (seq, ack) = if from_guest {
                (seq.wrapping_add(shift), ack)
            } else {
                (seq, ack.wrapping_add(shift))
            };
            let sample = Sample { from_guest, options, ..Sample::client(flags, seq, ack) };
            let mut bytes = sample.payload(&payload).bytes();
            if let Some(last) = bytes.last_mut().filter(|_| !payload.is_empty()) {
                *last ^= damage;
            }
            bytes
        };
        let (sent, expected) = if from_guest {
            (segment(offset), segment(0))
        } else {
            (segment(0), segment(offset))
        };
        let passed = rig.pass_bytes(from_guest, &sent);
        prop_assert_eq!(&passed[..], [expected]);
    }

    /// Where no connection was opened there is nothing to translate: no byte changes.
    #[test]
    fn nothing_is_touched_without_a_handshake(
        segments in proptest::collection::vec(
            (any::<bool>(), any::<u8>(), any::<(u32, u32)>(), any::<[u8; 6]>()),
            1..8,
        ),
        version in prop_oneof![Just(QemuVersion::Qemu72), Just(QemuVersion::Ideal)],
    ) {
        let mut rig = Rig::rewriter(Profile::new(version));
        for (from_guest, flags, (seq, ack), noise) in segments {
            let sample = Sample { from_guest, ..Sample::client(flags & !SYN, seq, ack) };
            let mut bytes = sample.bytes();
            // Checksums and the fragment offset may be anything.
            bytes[20..22].copy_from_slice(&noise[..2]);
            bytes[24..26].copy_from_slice(&noise[2..4]);
            bytes[50..52].copy_from_slice(&noise[4..]);
            prop_assert_eq!(rig.pass_bytes(from_guest, &bytes), [bytes]);
        }
    }
}
