//! Records as text, and what of them is read back.

use std::time::Duration;

use serde_json::json;

use super::{
    fixture::{
        arrival, bytes_at, ethernet, event, frame_at, framed, sent, step, tcp, text, transcript,
    },
    parse,
};
use crate::{
    base::{Frame, VirtualTime, VnetHdr},
    reading::framing,
    record::{
        Abort, Answer, CommandError, Deed, DropReason, EventKind, Framing, Item, NoAnswer, Outcome,
        SentFrame, SourceFrame,
    },
    wording::folded,
};

fn answer(command: &str, outcome: Outcome) -> Answer {
    Answer { command: command.into(), subject: None, outcome }
}

fn refused(desc: &str) -> Outcome {
    Outcome::Refused(CommandError { class: "GenericError".into(), desc: desc.into() })
}

#[test]
fn frames_that_arrive_as_they_were_sent() {
    let arp = b"\xff\xff\xff\xff\xff\xff\x52\x54\x00\x12\x34\x56\x08\x06\x00\x01\x08\x00\x06\x04\
        \x00\x01\x52\x54\x00\x12\x34\x56\x0a\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x02";
    let other = ethernet(b"\x00");
    let mut first = step(1, "send hn0.guest");
    first.sent = vec![sent(1, "hn0.guest", arp), sent(2, "hn0.guest", &other)];
    first.arrivals = vec![
        bytes_at("out0", &framed(arp)[..4]),
        frame_at("hn0.host", arp),
        bytes_at("out0", &framed(arp)[4..]),
        bytes_at("out0", &framed(&other)),
        frame_at("hn0.host", &other),
    ];
    let mut third = step(3, "send hn0.guest");
    third.sent = vec![sent(3, "hn0.guest", &other)];
    third.arrivals = vec![frame_at("hn0.host", &other)];
    let middle = step(2, "qom-set f0.status = off");
    let record = transcript(vec![step(0, "set-up"), first, middle, third]);
    insta::assert_snapshot!(text(&record), @"
    ports: hn0.guest hn0.host out0=plain vnet0=vnet raw0=raw x.pcap=pcap
    [1] send hn0.guest
          #1 ARP who-has 10.0.0.2 tell 10.0.0.1, 42 B
             | ffffffffffff525400123456 0806 0001080006040001525400123456 0a000001 000000000000 0a000002
          #2 0x88b5, 15 B
             | ffffffffffff525400123456 88b5 00
        hn0.host   <- #1 #2
        out0       <- #1 #2
    [2] qom-set f0.status = off
    [3] send hn0.guest
          #3 0x88b5, 15 B
             | ffffffffffff525400123456 88b5 00
        hn0.host   <- #3
    accounted: 3 sent, 5 arrivals, 0 dropped, 0 unexplained
    ");
}

#[test]
fn what_a_step_did_is_not_read_off_its_title() {
    let frame = ethernet(b"");
    let mut only = step(1, "send hn0.guest");
    only.sent = vec![sent(1, "hn0.guest", &frame)];
    only.deed = Deed::Other;
    let record = transcript(vec![only]);
    assert!(text(&record).contains("      #1 at hn0.guest 0x88b5, 14 B\n"), "{}", text(&record));
}

#[test]
fn frames_that_arrive_otherwise() {
    let (short, segment) = (ethernet(b"abc"), tcp(1000, 4001));
    let mut padded = short.clone();
    padded.resize(60, 0);
    let vnet = VnetHdr { flags: 1, csum_start: 34, csum_offset: 16, ..VnetHdr::default() };
    let with_header = |data: &[u8]| Frame { vnet, data: data.to_vec().into() };
    let on_vnet = |frame: &Frame, len| framing::encode(Framing::Vnet, frame, Some(len));
    let mut first = step(1, "send hn0.guest");
    first.sent = vec![
        sent(1, "hn0.guest", &short),
        sent(2, "hn0.guest", &segment),
        sent(3, "hn0.host", &ethernet(&[0x5a; 40])),
        SentFrame { frame: with_header(&segment), ..sent(4, "hn0.guest", &[]) },
        SentFrame {
            source: Some(SourceFrame {
                file: std::path::Path::new("http.pcap").into(),
                number: 12,
            }),
            ..sent(5, "hn0.guest", &ethernet(b"from a file"))
        },
    ];
    first.arrivals = vec![
        frame_at("hn0.host", &padded),
        frame_at("hn0.host", &tcp(1000, 5001)),
        frame_at("hn0.host", &ethernet(b"never sent")),
        frame_at("hn0.host", &short),
        frame_at("hn0.host", &short),
        arrival("hn0.host", Item::Frame(with_header(&segment))),
        bytes_at("vnet0", &on_vnet(&Frame::plain(short.clone()), 12)),
        bytes_at("vnet0", &on_vnet(&Frame::plain(short.clone()), 0)),
        bytes_at("vnet0", &on_vnet(&with_header(&segment), 10)),
        bytes_at("raw0", &[0x5a; 20]),
        arrival("raw0", Item::Eof),
    ];
    insta::assert_snapshot!(text(&transcript(vec![first])), @"
    ports: hn0.guest hn0.host out0=plain vnet0=vnet raw0=raw x.pcap=pcap
    [1] send hn0.guest
          #1 0x88b5, 17 B
             | ffffffffffff525400123456 88b5 616263
          #2 IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP [ACK] seq 1000 ack 4001 win 8192, 0 B payload, 54 B
             | 525400123457525400123456 0800 4500002800010000400666cd 0a000001 0a000002
             | 0fa00050000003e800000fa15010200000000000
          #3 at hn0.host 0x88b5, 54 B
             | ffffffffffff525400123456 88b5 (5a*40)
          #4 vnet flags=1 csum_start=34 csum_offset=16, IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP [ACK] seq 1000 ack 4001 win 8192, 0 B payload, 54 B
             | 525400123457525400123456 0800 4500002800010000400666cd 0a000001 0a000002
             | 0fa00050000003e800000fa15010200000000000
          #5 http.pcap[12] sha=969414309cb6cfb4 0x88b5, 25 B
        hn0.host   <- #1 padded to 60
                   <- #2 with tcp.ack 4001 -> 5001
                   <- #1 padded to 24 with payload 61626300000000000000 -> 6e657665722073656e74
                   <- #1 #1
                   <- #4 vnet flags=1 csum_start=34 csum_offset=16
        vnet0      <- #1
                   <- vnet_len=0
                   <- #1
                   <- vnet_len=10
                   <- #2 vnet flags=1 csum_start=34 csum_offset=16
        raw0       <- raw 20 B
                      | (5a*20)
                   <- eof
    accounted: 3 sent, 5 arrivals, 0 dropped, 0 unexplained
    ");
}

#[test]
fn long_lists_are_ranges_and_lines_are_wrapped() {
    let frames: Vec<_> = (0..64_u8).map(|n| ethernet(&[n, 1])).collect();
    let mut first = step(1, "send hn0.guest");
    first.sent = (1..).zip(&frames).map(|(n, data)| sent(n, "hn0.guest", data)).collect();
    let in_order = frames.iter().map(|data| frame_at("hn0.host", data));
    let every_other = frames.iter().step_by(2).map(|data| bytes_at("out0", &framed(data)));
    first.arrivals = in_order.chain(every_other).collect();
    let text = text(&transcript(vec![first]));
    let lists: Vec<_> = text.lines().filter(|line| line.contains("<-")).collect();
    insta::assert_snapshot!(lists.join("\n"), @"
    hn0.host   <- #1-#64
    out0       <- #1 #3 #5 #7 #9 #11 #13 #15 #17 #19 #21 #23 #25 #27 #29 #31 #33 #35 #37 #39 #41 #43 #45 #47
               <- #49 #51 #53 #55 #57 #59 #61 #63
    ");
}

#[test]
fn a_frame_that_is_cut_by_a_step() {
    let (one, two) = (framed(&ethernet(b"one")), framed(&ethernet(b"two")));
    let mut first = step(1, "send hn0.guest");
    first.sent = vec![sent(1, "hn0.guest", &ethernet(b"one"))];
    first.arrivals = vec![bytes_at("out0", &one[..10])];
    let mut second = step(2, "chardev-resume out0");
    second.arrivals =
        vec![bytes_at("out0", &one[10..]), bytes_at("out0", &two[..7]), arrival("out0", Item::Eof)];
    insta::assert_snapshot!(text(&transcript(vec![first, second])), @"
    ports: hn0.guest hn0.host out0=plain vnet0=vnet raw0=raw x.pcap=pcap
    [1] send hn0.guest
          #1 0x88b5, 17 B
             | ffffffffffff525400123456 88b5 6f6e65
        out0       <- begun 10 B
    [2] chardev-resume out0
        out0       <- #1
                   <- raw 7 B
                      | 00000011ffffff
                   <- eof
    accounted: 3 sent, 5 arrivals, 0 dropped, 0 unexplained
    ");
}

#[test]
fn answers_and_what_explains() {
    let mut setup = step(0, "set-up");
    setup.answers = vec![
        answer("object-add f0", Outcome::Done(json!({}))),
        answer("object-add f1", refused("Parameter 'netdev' is missing\nTry help")),
    ];
    let mut first = step(1, "qom-get f0.status");
    first.answers = vec![answer("qom-get f0.status", Outcome::Done(json!({"status": "on"})))];
    let mut second = step(2, "object-del f0");
    second.answers = vec![
        answer("object-del f0", Outcome::Unanswered(NoAnswer::Frozen)),
        answer(
            "object-add c0",
            Outcome::Aborts(Abort { assertion: "s->x != NULL".into(), survivor: None }),
        ),
    ];
    second.clock = VirtualTime::ZERO + Duration::from_secs(3);
    second.events = vec![
        event(None, "f0", EventKind::Log("odd: \u{7}".into())),
        event(Some(3), "f0", EventKind::Dropped(DropReason::OutdevClosed)),
        event(Some(1), "f0", EventKind::Dropped(DropReason::OutdevClosed)),
        event(Some(2), "f0", EventKind::Dropped(DropReason::OutdevClosed)),
        event(None, "f0", EventKind::Dropped(DropReason::Off)),
        event(Some(4), "c0", EventKind::Consumed),
        event(Some(4), "c0", EventKind::Queued),
        event(Some(3), "rew0", EventKind::Rewritten { field: "tcp.ack", old: 1001, new: 5001 }),
        event(Some(3), "rew0", EventKind::Rewritten { field: "tcp.sack", old: 1011, new: 5011 }),
        event(Some(2), "rew0", EventKind::Rewritten { field: "tcp.seq", old: 9001, new: 1 }),
        event(None, "c0", EventKind::Crash("qemu: assertion `x' failed".into())),
    ];
    let mut third = step(3, "write out0");
    third.written = Some(vec![0, 0, 0, 9].into());
    insta::assert_snapshot!(text(&transcript(vec![setup, first, second, third])), @r#"
    ports: hn0.guest hn0.host out0=plain vnet0=vnet raw0=raw x.pcap=pcap
    [0] set-up
        !! [object-add f1] GenericError: "Parameter 'netdev' is missing\nTry help"
    [1] qom-get f0.status
        -> {"status":"on"}
    [2] object-del f0
        !! no answer: the main loop is frozen
        !! [object-add c0] aborts: s->x != NULL (this QEMU aborts here; refused)
        crash: qemu: assertion `x' failed
        ~ clock 3 s
        ~ #2 tcp.seq 9001 -> 1 by rew0
        ~ #3 tcp.ack 1001 -> 5001, tcp.sack 1011 -> 5011 by rew0
        ~ consumed #4 by c0
        ~ drop a frame at f0: off
        ~ drop #1-#3 at f0: outdev-closed
        ~ log: "odd: \u0007"
    [3] write out0
          wrote 4 B
             | 00000009
        ~ clock 0 s
    accounted: 3 sent, 5 arrivals, 0 dropped, 0 unexplained
    "#);
}

#[test]
fn frames_that_are_sent_again_stand_once() {
    let data = ethernet(b"again");
    let mut send = step(1, "send hn0.guest, burst");
    send.sent = (1..=3)
        .map(|number| sent(number, "hn0.guest", &data))
        .chain([sent(4, "hn0.guest", &ethernet(b"other"))])
        .collect();
    let record = transcript(vec![send]);
    let text = text(&record);
    assert_eq!(text.matches("0x88b5").count(), 2, "{text}");
    assert!(text.contains("      #1-#3 0x88b5, 19 B\n"), "{text}");
    let back = parse(&text, record.case.clone(), record.profile.clone(), &|_| None).unwrap();
    assert_eq!(back.steps[0].sent, record.steps[0].sent);
}

#[test]
fn frames_that_count_up_stand_once() {
    let frames = |count: u16, by: u16| {
        let data = move |number: u16| {
            let mut data = ethernet(b"..number").to_vec();
            data[14..16].copy_from_slice(&(0x00f8 + by * number).to_be_bytes());
            data
        };
        let mut send = step(1, "send hn0.guest, burst");
        send.sent = (0..count)
            .map(|number| sent(u32::from(number) + 1, "hn0.guest", &data(number)))
            .collect();
        transcript(vec![send])
    };
    for (record, lines) in
        [(frames(15, 1), 15), (frames(16, 1), 1), (frames(300, 1), 1), (frames(40, 2), 40)]
    {
        let text = text(&record);
        assert_eq!(text.matches("0x88b5").count(), lines, "{text}");
        let back = parse(&text, record.case.clone(), record.profile.clone(), &|_| None).unwrap();
        assert_eq!(back.steps[0].sent, record.steps[0].sent);
    }
    let text = text(&frames(300, 1));
    assert!(text.contains("      #1-#300 counting 14..16 0x88b5, 22 B\n"), "{text}");
    let outside = text.replace("14..16", "21..23");
    let record = frames(1, 1);
    let parsed = parse(&outside, record.case.clone(), record.profile, &|_| None);
    assert!(parsed.is_err());
}

#[test]
fn a_word_that_stands_there_many_times_is_counted() {
    let words = |times: usize| vec!["write 1".to_owned(); times];
    assert_eq!(folded(words(4)), words(4));
    let mixed = [words(5), vec!["host 1".to_owned()], words(1)].concat();
    assert_eq!(folded(mixed), ["write 1 x5", "host 1", "write 1"]);
}
