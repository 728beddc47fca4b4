//! From TAP to TAP: one guest's frames reach another guest.

use tapwright::sys::{TapHeader, enter_fresh};

use crate::{
    Try,
    lab::{Lab, assert_accounted, counter, frame, is_empty, receive},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("every_size_arrives_as_it_was_sent", every_size_arrives_as_it_was_sent),
    ("tags_stay_in_their_place", tags_stay_in_their_place),
    ("queue_says_which_frames", queue_says_which_frames),
    ("super_frames_keep_their_header", super_frames_keep_their_header),
    ("a_two_way_pair_makes_no_loop", a_two_way_pair_makes_no_loop),
    ("what_is_held_is_sent_on_at_the_end", what_is_held_is_sent_on_at_the_end),
    ("another_interface_if_it_is_asked_for", another_interface_if_it_is_asked_for),
    ("a_named_namespace_is_entered", a_named_namespace_is_entered),
];

fn every_size_arrives_as_it_was_sent(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let redirect = lab.redirect(&["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx"]);
    let sizes = (14..=1514).chain([60, 1514, 14]);
    let mut bytes = 0;
    for (number, size) in sizes.clone().enumerate() {
        let sent = frame(number as u32, size);
        from.write(&[], &sent).unwrap();
        assert_eq!(receive(&to).1, sent, "{size}");
        bytes += size as u64;
    }
    assert!(is_empty(&from) && is_empty(&to));
    let counters = redirect.end();
    assert_accounted(&counters);
    for end in ["in", "out"] {
        assert_eq!(counter(&counters, &format!("/{end}/packets")), sizes.clone().count() as u64);
        assert_eq!(counter(&counters, &format!("/{end}/bytes")), bytes);
    }
}

fn tags_stay_in_their_place(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let redirect = lab.redirect(&["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx"]);
    let plain = frame(1, 200);
    for tags in [&[0x8100_u32 << 16 | 0x6064][..], &[0x88a8 << 16 | 7, 0x8100 << 16 | 9]] {
        let tags: Vec<u8> = tags.iter().flat_map(|tag| tag.to_be_bytes()).collect();
        let sent = [&plain[..12], &tags, &plain[12..]].concat();
        from.write(&[], &sent).unwrap();
        assert_eq!(receive(&to).1, sent);
    }
    assert_accounted(&redirect.end());
}

fn queue_says_which_frames(lab: &Lab) {
    for (queue, expected) in [("rx", &[1_u32][..]), ("tx", &[0]), ("all", &[0, 1])] {
        enter_fresh(&lab.isolated).unwrap();
        let lab = Lab::new(lab.isolated.clone());
        let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
        let redirect =
            lab.redirect(&["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", queue]);
        let host = lab.host("tap0");
        // To the guest, which gets it, and from the guest.
        host.send(&[0; 10], &frame(0, 100)).unwrap();
        assert_eq!(receive(&from).1, frame(0, 100));
        from.write(&[], &frame(1, 100)).unwrap();
        for number in expected {
            assert_eq!(receive(&to).1, frame(*number, 100), "{queue}");
        }
        let counters = redirect.end();
        assert_eq!(counter(&counters, "/in/packets"), expected.len() as u64, "{queue}");
        assert!(is_empty(&from) && is_empty(&to), "{queue}");
    }
}

/// A TCP segment of 3000 bytes that its guest left to the device to segment, and its header.
fn super_frame() -> (Vec<u8>, Vec<u8>) {
    let mut frame = frame(1, 14 + 20 + 20 + 3000);
    frame[12..14].copy_from_slice(&[8, 0]);
    let length = (frame.len() - 14) as u16;
    frame[14..34].copy_from_slice(&[
        0x45,
        0,
        (length >> 8) as u8,
        length as u8,
        0,
        1,
        0,
        0,
        64,
        6,
        0,
        0,
        10,
        0,
        0,
        1,
        10,
        0,
        0,
        2,
    ]);
    let sum = checksum(&frame[14..34], 0);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[34..54].copy_from_slice(&[
        0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x10, 0, 0, 0, 0, 0,
    ]);
    // Only the pseudo header's sum is in it.
    let pseudo = [10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0x0b, 0xcc];
    let sum = !checksum(&pseudo, 0);
    frame[50..52].copy_from_slice(&sum.to_be_bytes());
    // NEEDS_CSUM, TCPv4; lengths and offsets little endian.
    let header = vec![1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0];
    (header, frame)
}

fn checksum(bytes: &[u8], start: u32) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn super_frames_keep_their_header(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::Short), lab.tap("tap1", TapHeader::Short));
    let on = ["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx"];
    let redirect = lab.redirect(&[&on[..], &["--vnet-hdr-support", "on"]].concat());
    let (header, sent) = super_frame();
    from.write(&header, &sent).unwrap();
    // The second TAP's guest takes no super-frames, so the kernel segments by the header's word, and
    // completes the checksums.
    let mut payload = Vec::new();
    while payload.len() < 3000 {
        let (_, segment) = receive(&to);
        assert!(segment.len() <= 1514, "{}", segment.len());
        let length = (segment.len() - 34) as u16;
        let pseudo = [&segment[26..34], &[0, 6], &length.to_be_bytes()].concat();
        let start = u32::from(!checksum(&pseudo, 0));
        assert_eq!(checksum(&segment[34..], start), 0);
        payload.extend_from_slice(&segment[54..]);
    }
    assert_eq!(payload, sent[54..]);
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/in/checksum_partial"), 1);
    assert_accounted(&counters);

    // Without the header it is longer than any frame that the interfaces have.
    let redirect = lab.redirect(&on);
    from.write(&header, &sent).unwrap();
    let plain = frame(2, 100);
    from.write(&[0; 10], &plain).unwrap();
    assert_eq!(receive(&to).1, plain);
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/drops/truncated"), 1);
    assert_accounted(&counters);
}

/// Two redirectors between the same TAPs, whose injections other sockets see.
fn a_two_way_pair_makes_no_loop(lab: &Lab) {
    let (one, other) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let pair = [("tap0", "tap1"), ("tap1", "tap0")].map(|(from, to)| {
        lab.redirect(&["--in-netdev", from, "--out-netdev", to, "--queue", "rx", "--qdisc"])
    });
    for number in 0..100 {
        let (there, back) = (frame(2 * number, 64), frame(2 * number + 1, 64));
        one.write(&[], &there).unwrap();
        assert_eq!(receive(&other).1, there);
        other.write(&[], &back).unwrap();
        assert_eq!(receive(&one).1, back);
    }
    for redirect in pair {
        let counters = redirect.end();
        assert_eq!(counter(&counters, "/in/packets"), 100);
        assert_accounted(&counters);
    }
    assert!(is_empty(&one) && is_empty(&other));

    // A witness that injections are seen: with queue=tx one of them is captured.
    let tx = ["--in-netdev", "tap1", "--out-netdev", "tap0", "--queue", "tx"];
    for (qdisc, expected) in [(&["--qdisc"][..], 1), (&[], 0)] {
        let there = ["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx"];
        let injects = lab.redirect(&[&there[..], qdisc].concat());
        let sees = lab.redirect(&tx);
        one.write(&[], &frame(1, 64)).unwrap();
        assert_eq!(receive(&other).1, frame(1, 64));
        injects.end();
        let counters = sees.end();
        assert_eq!(counter(&counters, "/in/packets"), expected);
        if expected == 1 {
            assert_eq!(receive(&one).1, frame(1, 64));
        }
    }
}

fn what_is_held_is_sent_on_at_the_end(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let redirect = lab.redirect(&["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx"]);
    for number in 0..700 {
        from.write(&[], &frame(number, 64)).unwrap();
    }
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/out/packets"), 700);
    for number in 0..700 {
        assert_eq!(receive(&to).1, frame(number, 64));
    }
    assert!(is_empty(&to));
}

fn another_interface_if_it_is_asked_for(lab: &Lab) {
    let from = lab.tap("tap0", TapHeader::None);
    lab.set_up("lo", true);
    let ends = ["--in-netdev", "tap0", "--out-netdev", "lo", "--queue", "rx"];
    let (code, _, said) = lab.start(&ends).ended();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("OUT netdev 'lo' is not a TAP"), "{said}");
    let redirect = lab.redirect(&[&ends[..], &["--any-interface"]].concat());
    from.write(&[], &frame(1, 64)).unwrap();
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/out/packets"), 1);
}

fn a_named_namespace_is_entered(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let thread = nix::unistd::gettid();
    let path = format!("/proc/{}/task/{thread}/ns/net", std::process::id());
    // Elsewhere there are no such interfaces.
    let ends = ["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx"];
    let isolated = lab.isolated.clone();
    let (redirect, refused) = std::thread::spawn(move || {
        let elsewhere = Lab::new(isolated);
        let inside = elsewhere.redirect(&[&ends[..], &["--netns", &path]].concat());
        (inside, elsewhere.start(&ends).ended())
    })
    .join()
    .unwrap();
    assert!(refused.2.contains("IN netdev 'tap0' not found"), "{}", refused.2);
    from.write(&[], &frame(1, 64)).unwrap();
    assert_eq!(receive(&to).1, frame(1, 64));
    assert_accounted(&redirect.end());
}
