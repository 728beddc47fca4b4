//! What breaks: interfaces that go down, are deleted and come back; peers that stall, reset and send
//! garbage. Frames are lost and counted, and neither memory nor the log grows.

use std::{
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use tapwright::sys::{Tap, TapHeader};

use crate::{
    Try,
    lab::{
        LONGEST, Lab, Redirect, accept, assert_accounted, counter, frame, is_empty, number,
        read_frame, readable, receive, write_frame,
    },
    stream::client,
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("an_input_that_goes_down_comes_back", an_input_that_goes_down),
    ("an_output_that_goes_down_comes_back", an_output_that_goes_down),
    ("an_input_that_is_deleted_comes_back", an_input_that_is_deleted),
    ("an_output_that_is_deleted_comes_back", an_output_that_is_deleted),
    ("a_reader_that_stalls_costs_frames_and_no_memory", a_reader_that_stalls),
    ("a_guest_that_stalls_costs_frames_and_no_memory", a_guest_that_stalls),
    ("a_reader_that_resets_again_and_again", a_reader_that_resets),
    ("a_writer_of_garbage_again_and_again", a_writer_of_garbage),
    ("interfaces_that_come_and_go_again_and_again", interfaces_that_come_and_go),
    ("who_stalls_at_the_end_is_not_waited_for", who_stalls_at_the_end),
    ("a_client_that_does_not_try_again_ends", a_client_that_does_not_try_again),
    ("who_has_nothing_to_do_does_nothing", who_has_nothing_to_do),
    ("privileges_are_gone_and_not_missed", privileges_are_gone),
];

const TAP_TO_TAP: [&str; 6] = ["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx"];

fn passes(from: &Tap, to: &Tap, number: u32) {
    from.write(&[], &frame(number, 64)).unwrap();
    assert_eq!(receive(to).1, frame(number, 64));
}

/// What memory may do between two looks at a process that does the same all the time, in KiB: pages
/// of its code and its stack that had not been used before.
const NOISE: u64 = 512;

fn an_input_that_goes_down(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let mut redirect = lab.redirect(&TAP_TO_TAP);
    for number in 0..3 {
        passes(&from, &to, number);
        lab.set_up("tap0", false);
        redirect.line("tap0: the interface went down");
        lab.set_up("tap0", true);
        redirect.line("tap0: the interface is up again");
    }
    passes(&from, &to, 3);
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/out/packets"), 4);
    assert_accounted(&counters);
}

fn an_output_that_goes_down(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let mut redirect = lab.redirect(&TAP_TO_TAP);
    passes(&from, &to, 1);
    lab.set_up("tap1", false);
    redirect.line("tap1: the interface went down");
    for number in 0..10 {
        from.write(&[], &frame(number, 64)).unwrap();
    }
    redirect.until("interface_down 10");
    lab.set_up("tap1", true);
    passes(&from, &to, 2);
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/drops/interface_down"), 10);
    assert_accounted(&counters);
}

fn an_input_that_is_deleted(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let mut redirect = lab.redirect(&TAP_TO_TAP);
    passes(&from, &to, 1);
    lab.delete(from);
    redirect.line("tap0: the interface is gone");
    let from = lab.tap("tap0", TapHeader::None);
    redirect.line("tap0: the interface is back");
    passes(&from, &to, 2);
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/in/reconnects"), 1);
    assert_accounted(&counters);
}

fn an_output_that_is_deleted(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let mut redirect = lab.redirect(&TAP_TO_TAP);
    passes(&from, &to, 1);
    lab.delete(to);
    redirect.line("tap1: the interface is gone");
    for number in 0..10 {
        from.write(&[], &frame(number, 64)).unwrap();
    }
    redirect.until("interface_gone 10");
    let to = lab.tap("tap1", TapHeader::None);
    redirect.line("tap1: the interface is back");
    passes(&from, &to, 2);
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/out/reconnects"), 1);
    assert_accounted(&counters);
}

/// The smallest ring.
const SMALL: [&str; 2] = ["--backlog", "256"];

fn a_reader_that_stalls(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("out");
    let outdev = format!("unix:{},server", path.display());
    let arguments = ["--in-netdev", "tap0", "--outdev", &outdev, "--queue", "rx"];
    let mut redirect = lab.redirect(&[&arguments[..], &SMALL].concat());
    let mut stream = client(&path, &mut redirect);
    let mut sent = 0;
    let mut flood = |frames: u32| {
        for _ in 0..frames {
            tap.write(&[], &frame(sent, 1514)).unwrap();
            sent += 1;
        }
    };
    // What ring and socket hold, then more.
    redirect.until_after("stalls", || flood(100));
    flood(2_000);
    let before = redirect.memory();
    flood(20_000);
    redirect.until_after("kernel_dropped_packets", || flood(100));
    assert!(redirect.memory() <= before + NOISE, "{before} KiB grew to {}", redirect.memory());
    // What was kept comes whole and in order; what follows comes too, once there is room.
    let mut arrived = Vec::new();
    let mut last = u32::MAX;
    while last == u32::MAX || readable(stream.as_fd(), Duration::ZERO) {
        let (_, data) = read_frame(&mut stream, false);
        last = number(&data);
        assert_eq!(data, frame(last, 1514));
        arrived.push(last);
    }
    let marker = 1_000_000;
    while last != marker {
        tap.write(&[], &frame(marker, 64)).unwrap();
        sent += 1;
        let (_, data) = read_frame(&mut stream, false);
        last = number(&data);
        arrived.push(last);
    }
    assert!(arrived.is_sorted(), "frames keep their order");
    drop(stream);
    redirect.line(": disconnected");
    let counters = redirect.end();
    assert!(counter(&counters, "/in/kernel_drops") > 0);
    let taken = counter(&counters, "/in/packets") + counter(&counters, "/in/kernel_drops");
    assert_eq!(taken, u64::from(sent), "{counters}");
    assert_accounted(&counters);
}

fn a_guest_that_stalls(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("in");
    let indev = format!("unix:{},server", path.display());
    let mut redirect = lab.redirect(&["--indev", &indev, "--out-netdev", "tap0"]);
    let mut stream = client(&path, &mut redirect);
    for number in 0..20_000 {
        write_frame(&mut stream, &frame(number, 64), None);
    }
    redirect.until("in 20000 packets");
    let before = redirect.memory();
    for number in 20_000..60_000 {
        write_frame(&mut stream, &frame(number, 64), None);
    }
    redirect.until("in 60000 packets");
    assert!(redirect.memory() <= before + NOISE, "{before} KiB grew to {}", redirect.memory());
    // The guest has a thousand frames in its queue, and reads them.
    let mut arrived = 0;
    while !is_empty(&tap) {
        assert_eq!(receive(&tap).1, frame(arrived, 64));
        arrived += 1;
    }
    assert_eq!(arrived, 1000);
    write_frame(&mut stream, &frame(60_000, 64), None);
    assert_eq!(receive(&tap).1, frame(60_000, 64));
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/drops/tx_queue_full"), 59_000);
    assert_accounted(&counters);
}

fn a_reader_that_resets(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("out");
    let outdev = format!("unix:{},server", path.display());
    let arguments = ["--in-netdev", "tap0", "--outdev", &outdev, "--queue", "rx"];
    let redirect = lab.redirect(&[&arguments[..], &SMALL].concat());
    let mut sent = 0;
    let mut round = || {
        // It goes with what it has not read, and in the middle of a frame.
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        stream.write_all(b"nobody reads this").unwrap();
        let mut first = [0; 7];
        // Until it is connected, frames are nobody's.
        let until = Instant::now() + LONGEST;
        while !readable(stream.as_fd(), Duration::ZERO) {
            assert!(Instant::now() < until, "no frame reaches client {sent}");
            tap.write(&[], &frame(sent, 1514)).unwrap();
            sent += 1;
        }
        stream.read_exact(&mut first).unwrap();
    };
    (0..100).for_each(|_| round());
    let before = redirect.memory();
    (0..1_000).for_each(|_| round());
    assert!(redirect.memory() <= before + NOISE, "{before} KiB grew to {}", redirect.memory());
    redirect.signal(nix::sys::signal::Signal::SIGTERM);
    let (code, counters, said) = redirect.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.len() < 20_000, "{} bytes of log", said.len());
    let taken = counter(&counters, "/in/packets") + counter(&counters, "/in/kernel_drops");
    assert_eq!(taken, u64::from(sent), "{counters}");
    assert_eq!(counter(&counters, "/out/reconnects"), 1_099);
    assert_accounted(&counters);
}

fn a_writer_of_garbage(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("in");
    let indev = format!("unix:{},server", path.display());
    let mut redirect = lab.redirect(&["--indev", &indev, "--out-netdev", "tap0"]);
    let round = || {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        write_frame(&mut stream, &frame(1, 64), None);
        stream.write_all(&[0xff; 1000]).unwrap();
        // It is hung up on: with a reset, for there is more than was read.
        let end = stream.read(&mut [0]);
        assert!(!matches!(end, Ok(1..)), "{end:?}");
        assert_eq!(receive(&tap).1, frame(1, 64), "what came before is right");
    };
    round();
    redirect.line("a frame of 4294967295 bytes was announced");
    let line = redirect.line(": disconnected");
    assert!(line.contains("serious error: oversized packet received,connection terminated."));
    (0..100).for_each(|_| round());
    let before = redirect.memory();
    (0..2_000).for_each(|_| round());
    assert!(redirect.memory() <= before + NOISE, "{before} KiB grew to {}", redirect.memory());
    let mut stream = UnixStream::connect(&path).unwrap();
    write_frame(&mut stream, &frame(2, 64), None);
    assert_eq!(receive(&tap).1, frame(2, 64));
    redirect.signal(nix::sys::signal::Signal::SIGTERM);
    let (code, counters, said) = redirect.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.len() < 20_000, "{} bytes of log", said.len());
    assert_eq!(counter(&counters, "/in/bad_length"), 2_101);
    assert_eq!(counter(&counters, "/out/packets"), 2_102);
    assert_accounted(&counters);
}

fn interfaces_that_come_and_go(lab: &Lab) {
    let (mut from, mut to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let mut redirect = lab.redirect(&TAP_TO_TAP);
    let mut before = 0;
    for round in 1..=60 {
        passes(&from, &to, round);
        lab.delete(from);
        lab.delete(to);
        from = lab.tap("tap0", TapHeader::None);
        to = lab.tap("tap1", TapHeader::None);
        redirect.until(&format!("input_reconnects {round}, output_reconnects {round}\n"));
        if round == 10 {
            before = redirect.memory();
        }
    }
    assert!(redirect.memory() <= before + NOISE, "{before} KiB grew to {}", redirect.memory());
    passes(&from, &to, 99);
    redirect.signal(nix::sys::signal::Signal::SIGTERM);
    let (code, counters, said) = redirect.ended();
    assert_eq!(code, Some(0), "{said}");
    let notices = said.lines().filter(|line| line.contains(": the interface")).count();
    assert!(notices <= 120, "{notices} notices");
    assert_accounted(&counters);
}

fn who_stalls_at_the_end(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("out");
    let outdev = format!("unix:{},server", path.display());
    let arguments = ["--in-netdev", "tap0", "--outdev", &outdev, "--queue", "rx", "--drain", "0"];
    let mut redirect = lab.redirect(&arguments);
    let stream = client(&path, &mut redirect);
    for number in 0..1_000 {
        tap.write(&[], &frame(number, 1514)).unwrap();
    }
    redirect.until("stalls");
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/in/packets"), 1_000);
    assert!(counter(&counters, "/drops/undelivered") > 0);
    assert_accounted(&counters);
    drop(stream);

    // A second signal ends it at once, however long it may take.
    let arguments = [&arguments[..7], &["3600"]].concat();
    let mut redirect = lab.redirect(&arguments);
    let stream = client(&path, &mut redirect);
    for number in 0..1_000 {
        tap.write(&[], &frame(number, 1514)).unwrap();
    }
    redirect.until("stalls");
    redirect.signal(nix::sys::signal::Signal::SIGTERM);
    redirect.line("redirect: ending");
    assert_accounted(&redirect.end());
    drop(stream);
}

fn ends_over(redirect: Redirect) {
    let (code, counters, said) = redirect.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("TW-E101"), "{said}");
    assert_accounted(&counters);
}

fn a_client_that_does_not_try_again(lab: &Lab) {
    let _tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("peer");
    let chardev = format!("unix:{}", path.display());
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for ends in [
        ["--in-netdev", "tap0", "--outdev", &chardev],
        ["--indev", &chardev, "--out-netdev", "tap0"],
    ] {
        let redirect = lab.redirect(&ends);
        drop(accept(&listener));
        ends_over(redirect);
    }
}

/// One that has nothing to do is not even woken while another one works.
fn who_has_nothing_to_do(lab: &Lab) {
    let taps = ["tap0", "tap1", "tap2", "tap3"].map(|name| lab.tap(name, TapHeader::None));
    let busy = lab.redirect(&TAP_TO_TAP);
    let idle = lab.redirect(&["--in-netdev", "tap2", "--out-netdev", "tap3", "--queue", "rx"]);
    passes(&taps[0], &taps[1], 1);
    let looks = |redirect: &Redirect| redirect.status("voluntary_ctxt_switches:");
    let before = (looks(&idle), looks(&busy));
    for number in 0..1_000 {
        passes(&taps[0], &taps[1], number);
    }
    // Many frames meet one that waits.
    assert!(looks(&busy) > before.1 + 100, "{} after {}", looks(&busy), before.1);
    // It may just have been about to wait.
    assert!(looks(&idle) <= before.0 + 2, "{} after {}", looks(&idle), before.0);
    passes(&taps[2], &taps[3], 1);
    idle.end();
    busy.end();
}

/// As another user, and without capabilities, an interface that comes back is used again.
fn privileges_are_gone(lab: &Lab) {
    let (mut from, mut to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    // A user namespace may have no other user.
    let users: &[&[&str]] = match std::env::var_os(crate::INSIDE) {
        None if !lab.isolated.in_user_namespace() => &[&[], &["--user", "nobody"]],
        _ => &[&[]],
    };
    for user in users {
        let mut redirect = lab.redirect(&[&TAP_TO_TAP[..], user].concat());
        for (name, expected) in [
            ("CapPrm:", "0000000000000000"),
            ("CapEff:", "0000000000000000"),
            ("CapInh:", "0000000000000000"),
            ("NoNewPrivs:", "1"),
        ] {
            assert_eq!(redirect.status_text(name), expected, "{name}");
        }
        assert_eq!(redirect.status_text("Uid:") == "0", user.is_empty());
        passes(&from, &to, 1);
        lab.delete(from);
        lab.delete(to);
        from = lab.tap("tap0", TapHeader::None);
        to = lab.tap("tap1", TapHeader::None);
        redirect.until("input_reconnects 1, output_reconnects 1\n");
        passes(&from, &to, 2);
        assert_accounted(&redirect.end());
    }
}
