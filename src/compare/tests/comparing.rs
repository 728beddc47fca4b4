use super::*;
use crate::{
    base::VnetHdr,
    compare::{What, render},
    record::{Answer, CommandError, DropReason, Outcome},
};

fn differs(expected: &Transcript, actual: &Transcript) -> Option<Mismatch> {
    compare(&text(expected), actual, Rules::default())
}

/// One step at `hn0.host` with these frames.
fn receiving(frames: &[Vec<u8>]) -> Transcript {
    let mut only = step(5, "send hn0.guest");
    only.sent = vec![sent(1, "hn0.guest", &frames[0])];
    only.arrivals = frames.iter().map(|data| frame_at("hn0.host", data)).collect();
    transcript(vec![only])
}

#[test]
fn a_field_that_changed_is_named_with_its_bytes_and_its_way() {
    let right = tcp(1000, 4001);
    let mut expected = receiving(&[tcp(1, 1), tcp(2, 1), right.clone(), tcp(3, 1)]);
    expected.steps[0].sent = vec![sent(3, "hn0.guest", &right)];
    let mut actual = expected.clone();
    let wrong = Item::Frame(Frame::plain(tcp(1000, 5001)));
    let arrival = &mut actual.steps[0].arrivals[2];
    (arrival.item, arrival.tag) = (wrong, Some(Tag::sent(3)));
    let seen = |data: &[u8]| EventKind::Seen { direction: None, data: data.to_vec().into() };
    actual.steps[0].events =
        vec![event(Some(3), "red0", seen(&right)), event(Some(3), "rew0", seen(&right))];
    let mismatch = differs(&expected, &actual).unwrap();
    insta::assert_snapshot!(render(&mismatch), @"
    hn0.host   frame 3 of 4 (#3)
      tcp.ack   4001 -> 5001     bytes 42..46
      last right at red0 in step 5, changed in rew0
    ");
    assert_eq!(mismatch.differences[0].line, 15);
    insta::assert_snapshot!(serde_json::to_string(&mismatch).unwrap(), @r#"{"expected":"snapshot","actual":"sim","differences":[{"step":5,"title":"send hn0.guest","line":15,"port":"hn0.host","what":{"kind":"frame","frame":3,"of":4,"sent":3,"fields":[{"name":"tcp.ack","expected":"4001","actual":"5001","bytes":[42,46]}],"trace":{"last_right":"red0","step":5,"changed_in":"rew0"},"came":3},"frames":{"expected":"52540012345752540012345608004500002800010000400666cd0a0000010a0000020fa00050000003e800000fa15010200000000000","actual":"52540012345752540012345608004500002800010000400666cd0a0000010a0000020fa00050000003e8000013895010200000000000"}}]}"#);
}

#[test]
fn a_frame_changed_before_any_object_saw_it_was_last_right_where_it_was_sent() {
    let expected = receiving(&[tcp(1, 4001)]);
    let mut actual = expected.clone();
    actual.steps[0].arrivals[0] = frame_at("hn0.host", &tcp(1, 5001));
    actual.steps[0].arrivals[0].tag = Some(Tag::sent(1));
    let data = tcp(1, 5001).into();
    actual.steps[0].events = vec![event(Some(1), "f0", EventKind::Seen { direction: None, data })];
    insta::assert_snapshot!(render(&differs(&expected, &actual).unwrap()), @"
    hn0.host   frame 1 of 1 (#1)
      tcp.ack   4001 -> 5001     bytes 42..46
      last right at hn0.guest in step 5
    ");
}

#[test]
fn a_missing_frame_does_not_shift_the_others() {
    let frames: Vec<_> = (1..=6).map(|ack| tcp(ack, ack)).collect();
    let mut expected = receiving(&frames);
    expected.steps[0].sent =
        vec![sent(1, "hn0.guest", &frames[0]), sent(2, "hn0.guest", &frames[2])];
    let mut actual = expected.clone();
    actual.steps[0].arrivals.remove(2);
    actual.steps[0].arrivals[3] = frame_at("hn0.host", &tcp(5, 9));
    actual.steps[0].arrivals.push(frame_at("hn0.host", &ethernet(b"more")));
    actual.steps[0].events =
        vec![event(Some(2), "f0", EventKind::Dropped(DropReason::OutdevClosed))];
    insta::assert_snapshot!(render(&differs(&expected, &actual).unwrap()), @"
    hn0.host   frame 3 of 6 (#2) is missing: IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP [ACK] seq 3 ack 3 win 8192, 0 B payload
      dropped at f0 in step 5: outdev-closed
    hn0.host   frame 5 of 6 (#2)
      tcp.ack   5 -> 9     bytes 42..46
    hn0.host   frame 6 of 6 was not expected: 0x88b5
    ");
}

#[test]
fn frames_that_changed_places() {
    let frames = [ethernet(b"one"), ethernet(b"two"), ethernet(b"three, and longer")];
    let expected = receiving(&frames);
    let mut actual = expected.clone();
    actual.steps[0].arrivals.rotate_left(1);
    let mismatch = differs(&expected, &actual).unwrap();
    assert_eq!(mismatch.differences.len(), 1, "{}", render(&mismatch));
    assert!(matches!(mismatch.differences[0].what, What::Moved { frame: 1, of: 3, came: 3, .. }));
}

#[test]
fn what_stands_beside_a_frame_is_compared() {
    let expected = receiving(&[tcp(1, 1)]);
    let mut actual = expected.clone();
    let vnet = VnetHdr { flags: 1, csum_start: 34, ..VnetHdr::default() };
    let with_header = Frame { vnet, data: tcp(1, 1).into() };
    actual.steps[0].arrivals = vec![arrival("hn0.host", Item::Frame(with_header))];
    insta::assert_snapshot!(render(&differs(&expected, &actual).unwrap()), @"
    hn0.host   frame 1 of 1 (#1)
      vnet.flags        0 -> 1
      vnet.csum_start   0 -> 34
    ");
}

#[test]
fn answers_bytes_and_crashes() {
    let refused = |desc: &str| {
        Outcome::Refused(CommandError { class: "GenericError".into(), desc: desc.into() })
    };
    let answer = |outcome| Answer { command: "object-add f0".into(), subject: None, outcome };
    let mut first = step(1, "object-add f0");
    first.answers = vec![answer(refused("Device 'hn9' not found"))];
    first.arrivals = vec![bytes_at("raw0", b"abc"), arrival("raw0", Item::Eof)];
    let expected = transcript(vec![first.clone(), step(2, "stop")]);
    first.answers.clear();
    first.arrivals = vec![bytes_at("raw0", b"abd")];
    let mut second = step(2, "stop");
    second.events = vec![event(None, "f0", EventKind::Crash("qemu: s->x != NULL".into()))];
    let actual = transcript(vec![first, second]);
    insta::assert_snapshot!(render(&differs(&expected, &actual).unwrap()), @"
    step 1, line 11: object-add f0
    object-add f0
      snapshot   GenericError: Device 'hn9' not found
      sim        ok
    raw0   bytes
      snapshot   616263
      sim        616264
                      ^ differs from character 6 on
    raw0   bytes
      snapshot   eof
      sim        nothing
    step 2, line 12: stop
    crash
      snapshot   none
      sim        qemu: s->x != NULL
    ");
}

#[test]
fn steps_are_lined_up_by_what_they_do() {
    let expected = transcript(vec![step(1, "send hn0.guest"), step(2, "qom-set f0.status = off")]);
    let mut sending = step(2, "send hn0.guest");
    sending.arrivals = vec![frame_at("hn0.host", &tcp(1, 1))];
    let actual = transcript(vec![step(1, "stop"), sending, step(3, "qom-set f0.status = off")]);
    insta::assert_snapshot!(render(&differs(&expected, &actual).unwrap()), @"
    step 1, line 11: stop
    the step is only in: sim
    step 2, line 12: send hn0.guest
    hn0.host   frame 1 of 1 was not expected: IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP [ACK] seq 1 ack 1 win 8192, 0 B payload
    ");
}

#[test]
fn masks_and_ports_that_are_left_out() {
    let expected = receiving(&[tcp(1, 1)]);
    let actual = receiving(&[tcp(1, 1), tcp(1, 1)]);
    let without = ["hn0.host".into()];
    assert_eq!(compare(&text(&expected), &actual, Rules { masks: &[], without: &without }), None);
    let mut other = receiving(&[tcp(1, 1)]);
    other.steps[0].arrivals = vec![frame_at("hn0.host", &tcp(1, 2))];
    let masks = ["tcp.ack".to_owned()];
    assert_eq!(compare(&text(&expected), &other, Rules { masks: &masks, without: &[] }), None);
    assert!(compare(&text(&expected), &other, Rules::default()).is_some());
    assert!(text(&other).contains("with tcp.ack 1 -> 2"), "masks never touch what is written");
}

#[test]
fn what_explains_is_compared_where_the_objects_are_built_in() {
    let mut expected = receiving(&[tcp(1, 1)]);
    expected.steps[0].events = vec![
        event(Some(1), "f0", EventKind::Consumed),
        event(None, "f0", EventKind::Log("first".into())),
        event(None, "f0", EventKind::Log("second".into())),
    ];
    let mut actual = expected.clone();
    actual.steps[0].events = vec![
        event(Some(1), "f0", EventKind::Consumed),
        event(Some(1), "f0", EventKind::Dropped(DropReason::Off)),
        event(None, "f0", EventKind::Log("second".into())),
    ];
    actual.accounting.dropped = 9;
    assert_eq!(differs(&expected, &expected.clone()), None);
    let mismatch = differs(&expected, &actual).unwrap();
    assert_eq!(mismatch.differences[0].line, 15);
    insta::assert_snapshot!(render(&mismatch), @"
    explained differs: send hn0.guest
      - log: first
      - accounted: 3 sent, 5 arrivals, 0 dropped, 0 unexplained
      + drop #1 at f0: off
      + accounted: 3 sent, 5 arrivals, 9 dropped, 0 unexplained
    ");
    let of_all = [String::from("tcp.seq")];
    let masked = Rules { masks: &of_all, ..Rules::default() };
    assert_eq!(compare(&text(&expected), &actual, masked), None);
    assert_eq!(disagreement(&expected, &actual), None);
    actual.backend = "qemu";
    assert_eq!(differs(&expected, &actual), None);
}

#[test]
fn what_explains_in_another_order_differs() {
    let said = |texts: [&str; 2]| {
        let mut record = receiving(&[tcp(1, 1)]);
        record.steps[0].events =
            texts.map(|text| event(None, "f0", EventKind::Log(text.into()))).into();
        record
    };
    let mismatch = differs(&said(["first", "second"]), &said(["second", "first"])).unwrap();
    insta::assert_snapshot!(render(&mismatch), @"
    explained differs: send hn0.guest
      - log: first
      - log: second
      - accounted: 3 sent, 5 arrivals, 0 dropped, 0 unexplained
      + log: second
      + log: first
      + accounted: 3 sent, 5 arrivals, 0 dropped, 0 unexplained
    ");
}

#[test]
fn backends_that_disagree_are_named() {
    let expected = receiving(&[tcp(1, 1)]);
    let mut actual = expected.clone();
    actual.backend = "netns";
    actual.steps[0].arrivals.clear();
    let mismatch = disagreement(&expected, &actual).unwrap();
    assert_eq!((mismatch.expected.as_str(), mismatch.actual.as_str()), ("sim", "netns"));
}

#[test]
fn a_section_that_was_edited_is_a_mismatch_with_its_line() {
    let actual = receiving(&[tcp(1, 1)]);
    let section = text(&actual).replace("<- #1", "<- #7");
    let mismatch = compare(&section, &actual, Rules::default()).unwrap();
    insta::assert_snapshot!(render(&mismatch), @"the snapshot can't be used: line 6 of the section, 'hn0.host   <- #7': no frame #7 was sent");
}

#[test]
fn a_capture_file_that_changed_is_a_mismatch() {
    let mut expected = receiving(&[tcp(1, 1)]);
    let source =
        crate::record::SourceFrame { file: std::path::Path::new("a.pcap").into(), number: 3 };
    expected.steps[0].sent[0].source = Some(source);
    let mut actual = expected.clone();
    actual.steps[0].sent[0].frame = Frame::plain(tcp(1, 2));
    let mismatch = differs(&expected, &actual).unwrap();
    insta::assert_snapshot!(render(&mismatch), @"
    hn0.guest   #1 was sent differently
      sha of a.pcap[3]   60d7d8101fed3bfc -> 5330917610576fd8
    ");
    let (difference, step) = (&mismatch.differences[0], &actual.steps[0]);
    assert_eq!((difference.step, difference.line), (step.index, step.line));
}

/// Another packet of the capture, the capture by another name, and one packet less.
#[test]
fn another_choice_of_a_capture_is_a_mismatch() {
    let mut expected = receiving(&[tcp(1, 1)]);
    let source = |file: &str, number| {
        let file = std::path::Path::new(file).into();
        Some(crate::record::SourceFrame { file, number })
    };
    expected.steps[0].sent[0].source = source("a.pcap", 3);
    let mut again = sent(2, "hn0.guest", &tcp(1, 2));
    again.source = source("a.pcap", 4);
    expected.steps[0].sent.push(again);
    let mut actual = expected.clone();
    actual.steps[0].sent.pop();
    actual.steps[0].sent[0].source = source("a.pcap", 4);
    actual.steps[0].sent[0].frame = Frame::plain(tcp(1, 2));
    insta::assert_snapshot!(render(&differs(&expected, &actual).unwrap()), @"
    hn0.guest   #1 was sent differently
      capture            a.pcap[3] -> a.pcap[4]
      sha of a.pcap[4]   60d7d8101fed3bfc -> 5330917610576fd8
    sent frames
      snapshot   2
      sim        1
    ");
    let mut actual = expected.clone();
    actual.steps[0].sent[0].source = source("b.pcap", 3);
    insta::assert_snapshot!(render(&differs(&expected, &actual).unwrap()), @"
    hn0.guest   #1 was sent differently
      capture   a.pcap[3] -> b.pcap[3]
    ");
}

#[test]
fn the_fate_of_a_missing_frame_is_that_of_the_one_that_was_lost() {
    let mut expected = receiving(&[tcp(1, 1), tcp(1, 1)]);
    let again = sent(2, "hn0.guest", &tcp(1, 1));
    expected.steps[0].sent.push(again);
    let mut actual = expected.clone();
    actual.steps[0].arrivals.pop();
    let fate = |events: Vec<Event>| {
        let mut actual = actual.clone();
        actual.steps[0].events = events;
        match differs(&expected, &actual).unwrap().differences.remove(0).what {
            What::Missing { fate, .. } => fate,
            other => panic!("{other:?}"),
        }
    };
    let seen = || EventKind::Seen { direction: None, data: tcp(1, 1).into() };
    let dropped = || EventKind::Dropped(DropReason::Off);
    assert_eq!(
        fate(vec![event(Some(1), "f0", seen()), event(Some(2), "f1", dropped())]),
        Some("dropped at f1 in step 5: off".into())
    );
    assert_eq!(
        fate(vec![event(Some(1), "f0", seen()), event(Some(1), "c0", EventKind::Consumed)]),
        Some("consumed by c0 in step 5".into())
    );
    assert_eq!(fate(vec![event(Some(1), "f0", seen())]), Some("last seen at f0 in step 5".into()));
    assert_eq!(fate(vec![]), None);
}
