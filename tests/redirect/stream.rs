//! Streams: what a TAP brings is framed, what is framed reaches a TAP's guest.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    process::Command,
};

use nix::sys::signal::Signal;
use tapwright::{
    machine::framing::encode,
    sys::{TapHeader, unread_by_peer},
};

use crate::{
    Try,
    lab::{
        LONGEST, Lab, Redirect, accept, assert_accounted, counter, frame, is_empty, read_frame,
        readable, receive, write_frame,
    },
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("a_tap_to_a_unix_server", a_tap_to_a_unix_server),
    ("a_tap_to_a_unix_client", a_tap_to_a_unix_client),
    ("a_tap_to_a_tap_over_tcp", a_tap_to_a_tap_over_tcp),
    ("a_stream_in_any_pieces_to_a_tap", a_stream_in_any_pieces_to_a_tap),
    ("headers_travel_both_ways", headers_travel_both_ways),
    ("tags_are_put_back_before_a_stream", tags_are_put_back_before_a_stream),
    ("a_stream_to_a_stream", a_stream_to_a_stream),
    ("a_second_client_waits_for_the_first_one_to_go", a_second_client_waits),
    ("counters_are_told_in_three_forms", counters_are_told_in_three_forms),
    ("frames_of_nobody_are_dropped_and_counted", frames_of_nobody),
    ("a_connection_in_progress_is_none", a_connection_in_progress_is_none),
];

/// A server's client, once it is one.
pub(crate) fn client(path: &std::path::Path, redirect: &mut Redirect) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LONGEST)).unwrap();
    redirect.line(": connected");
    stream
}

fn a_tap_to_a_unix_server(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("out");
    let outdev = format!("unix:{},server,nowait", path.display());
    let mut redirect = lab.redirect(&["--in-netdev", "tap0", "--outdev", &outdev, "--queue", "rx"]);
    let mut stream = client(&path, &mut redirect);
    for (number, size) in [14, 60, 64, 1514].into_iter().enumerate() {
        let sent = frame(number as u32, size);
        tap.write(&[], &sent).unwrap();
        assert_eq!(read_frame(&mut stream, false), (None, sent));
    }
    let counters = redirect.end();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the stream ends behind the last frame");
    assert_eq!(counter(&counters, "/out/bytes"), 14 + 60 + 64 + 1514);
    assert_accounted(&counters);
}

fn a_tap_to_a_unix_client(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("out");
    let outdev = format!("unix:{},reconnect-ms=10", path.display());
    // Nobody listens yet.
    let mut redirect = lab.redirect(&["--in-netdev", "tap0", "--outdev", &outdev, "--queue", "rx"]);
    let listener = UnixListener::bind(&path).unwrap();
    for number in 0..3 {
        let mut stream = accept(&listener);
        redirect.line(": connected");
        tap.write(&[], &frame(number, 64)).unwrap();
        assert_eq!(read_frame(&mut stream, false), (None, frame(number, 64)));
        drop(stream);
        redirect.line(": disconnected");
    }
    let counters = redirect.end();
    assert!(counter(&counters, "/out/reconnects") >= 2, "{counters}");
    assert_accounted(&counters);
}

fn a_tap_to_a_tap_over_tcp(lab: &Lab) {
    lab.set_up("lo", true);
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let injects = ["--indev", "tcp:127.0.0.1:9003,server", "--out-netdev", "tap1"];
    let mut injects = lab.redirect(&injects);
    let captures = ["--in-netdev", "tap0", "--outdev", "tcp:127.0.0.1:9003", "--queue", "rx"];
    let mut captures = lab.redirect(&captures);
    // Before its own side is connected too, frames are nobody's.
    captures.line(": connected");
    injects.line(": connected");
    for number in 0..50 {
        let sent = frame(number, 64 + number as usize * 29);
        from.write(&[], &sent).unwrap();
        assert_eq!(receive(&to).1, sent);
    }
    assert_accounted(&captures.end());
    injects.line(": disconnected");
    let counters = injects.end();
    assert_eq!(counter(&counters, "/out/packets"), 50);
    assert_accounted(&counters);
    assert!(TcpStream::connect("127.0.0.1:9003").is_err());
}

fn a_stream_in_any_pieces_to_a_tap(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("in");
    let indev = format!("unix:{},server", path.display());
    let mut redirect = lab.redirect(&["--indev", &indev, "--out-netdev", "tap0"]);
    let mut stream = client(&path, &mut redirect);
    let frames: Vec<Vec<u8>> = (0..40).map(|number| frame(number, 20 + number as usize)).collect();
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| encode(frame, None)).collect();
    for byte in &bytes {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.write_all(&bytes).unwrap();
    for sent in frames.iter().chain(&frames) {
        assert_eq!(&receive(&tap).1, sent);
    }
    // Empty, too short, and longer than the interface has them; then one that is right.
    for wrong in [&[][..], &[0; 13], &[0; 1515]] {
        write_frame(&mut stream, wrong, None);
    }
    write_frame(&mut stream, &frames[0], None);
    assert_eq!(receive(&tap).1, frames[0]);
    let counters = redirect.end();
    for reason in ["empty", "invalid", "too_long"] {
        assert_eq!(counter(&counters, &format!("/drops/{reason}")), 1, "{counters}");
    }
    assert_accounted(&counters);
    assert!(is_empty(&tap));
}

fn headers_travel_both_ways(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::Long);
    let path = lab.path("both");
    let server = format!("unix:{},server", path.display());
    for length in [10_u32, 12] {
        let arguments = [
            "--in-netdev",
            "tap0",
            "--outdev",
            &server,
            "--queue",
            "rx",
            "--vnet-hdr-support",
            "on",
            "--vnet-hdr-len",
            &length.to_string(),
        ];
        let mut redirect = lab.redirect(&arguments);
        let mut stream = client(&path, &mut redirect);
        // NEEDS_CSUM of a UDP datagram behind a VLAN's tag, which the kernel takes out.
        let plain = frame(1, 100);
        let sent = [&plain[..12], &[0x81, 0, 0, 5, 8, 0], &plain[14..]].concat();
        tap.write(&[1, 0, 0, 0, 0, 0, 38, 0, 6, 0, 0, 0], &sent).unwrap();
        let (vnet_len, data) = read_frame(&mut stream, true);
        assert_eq!(vnet_len, Some(length));
        let (header, data) = data.split_at(length as usize);
        assert_eq!(header[..10], [1, 0, 0, 0, 0, 0, 38, 0, 6, 0]);
        assert_eq!(data, sent);
        assert_accounted(&redirect.end());
    }
    let arguments = ["--indev", &server, "--out-netdev", "tap0", "--vnet-hdr-support", "on"];
    let mut redirect = lab.redirect(&arguments);
    let mut stream = client(&path, &mut redirect);
    // Headers of every length that QEMU has; of the longer ones, the rest is left out.
    for length in [0_usize, 10, 12, 20, 24] {
        let sent = frame(length as u32, 80);
        let data = [&vec![0; length][..], &sent].concat();
        write_frame(&mut stream, &data, Some(length as u32));
        assert_eq!(receive(&tap).1, sent, "{length}");
    }
    // A header that the frame can't have, and one that asks for nonsense.
    write_frame(&mut stream, &frame(1, 80), Some(81));
    write_frame(
        &mut stream,
        &[&[0, 0x44, 0, 0, 0, 0, 0, 0, 0, 0][..], &frame(1, 80)].concat(),
        Some(10),
    );
    let last = frame(9, 80);
    write_frame(&mut stream, &last, Some(0));
    assert_eq!(receive(&tap).1, last);
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/drops/bad_vnet_hdr"), 1, "{counters}");
    assert_eq!(counter(&counters, "/drops/invalid"), 1, "{counters}");
    assert_accounted(&counters);
}

fn tags_are_put_back_before_a_stream(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("out");
    let outdev = format!("unix:{},server", path.display());
    let mut redirect = lab.redirect(&["--in-netdev", "tap0", "--outdev", &outdev, "--queue", "rx"]);
    let mut stream = client(&path, &mut redirect);
    let plain = frame(1, 64);
    let sent = [&plain[..12], &[0x81, 0, 0x60, 0x64], &plain[12..]].concat();
    tap.write(&[], &sent).unwrap();
    tap.write(&[], &plain).unwrap();
    assert_eq!(read_frame(&mut stream, false).1, sent);
    assert_eq!(read_frame(&mut stream, false).1, plain);
    assert_accounted(&redirect.end());
}

fn a_stream_to_a_stream(lab: &Lab) {
    let (from, to) = (lab.path("in"), lab.path("out"));
    let [indev, outdev] = [&from, &to].map(|path| format!("unix:{},server", path.display()));
    let arguments = ["--indev", &indev, "--outdev", &outdev, "--vnet-hdr-support", "on"];
    let mut redirect = lab.redirect(&arguments);
    let mut source = client(&from, &mut redirect);
    let mut sink = client(&to, &mut redirect);
    for number in 0..20 {
        let sent = frame(number, 1000);
        write_frame(&mut source, &sent, Some(number));
        assert_eq!(read_frame(&mut sink, true), (Some(number), sent));
    }
    assert_accounted(&redirect.end());
}

fn a_second_client_waits(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("in");
    let indev = format!("unix:{},server", path.display());
    let mut redirect = lab.redirect(&["--indev", &indev, "--out-netdev", "tap0"]);
    let mut first = client(&path, &mut redirect);
    let mut second = UnixStream::connect(&path).unwrap();
    write_frame(&mut second, &frame(2, 64), None);
    write_frame(&mut first, &frame(1, 64), None);
    assert_eq!(receive(&tap).1, frame(1, 64));
    assert!(is_empty(&tap) && unread_by_peer(&second).unwrap() > 0);
    // A frame that its connection cuts is no part of the next connection.
    first.write_all(&encode(&frame(3, 64), None)[..30]).unwrap();
    drop(first);
    redirect.line(": disconnected");
    redirect.line(": connected");
    assert_eq!(receive(&tap).1, frame(2, 64));
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/in/incomplete"), 1);
    assert_eq!(counter(&counters, "/in/reconnects"), 1);
    assert_accounted(&counters);
}

fn counters_are_told_in_three_forms(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let path = lab.path("metrics");
    let metrics = format!("unix:{}", path.display());
    let arguments =
        ["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx", "--metrics", &metrics];
    let mut redirect = lab.redirect(&arguments);
    from.write(&[], &frame(1, 64)).unwrap();
    receive(&to);
    redirect.signal(Signal::SIGUSR1);
    let line = redirect.line("redirect: in ");
    assert!(line.contains("in 1 packets 64 bytes, out 1 packets 64 bytes, 0 held"), "{line}");
    // Clients that ask for nothing keep nobody from asking, and cost what few of them cost.
    let _silent: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut asking = UnixStream::connect(&path).unwrap();
    asking.write_all(b"GET /metrics HTTP/1.1\r\nHost: tap\r\n\r\n").unwrap();
    assert!(readable(asking.as_fd(), LONGEST));
    let mut answer = String::new();
    asking.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\ntapwright_redirect_packets_total{end=\"out\"} 1\n"), "{answer}");
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/out/packets"), 1);
    assert!(!path.exists());
}

fn frames_of_nobody(lab: &Lab) {
    let tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("out");
    let outdev = format!("unix:{},server", path.display());
    let mut redirect = lab.redirect(&["--in-netdev", "tap0", "--outdev", &outdev, "--queue", "rx"]);
    for number in 0..100 {
        tap.write(&[], &frame(number, 64)).unwrap();
    }
    // Once it has taken all of them.
    redirect.until("not_connected 100");
    let mut stream = client(&path, &mut redirect);
    tap.write(&[], &frame(100, 64)).unwrap();
    assert_eq!(read_frame(&mut stream, false).1, frame(100, 64));
    let counters = redirect.end();
    assert_eq!(counter(&counters, "/drops/not_connected"), 100);
    assert_accounted(&counters);
}

/// The other host does not answer.
fn a_connection_in_progress_is_none(lab: &Lab) {
    let (from, _host) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let address = ["address", "add", "192.0.2.1/24", "dev", "tap1"];
    assert!(Command::new("ip").args(address).status().unwrap().success());
    let outdev = "tcp:192.0.2.2:9003,reconnect=3600";
    let mut redirect = lab.redirect(&["--in-netdev", "tap0", "--queue", "rx", "--outdev", outdev]);
    from.write(&[], &frame(1, 64)).unwrap();
    redirect.until("not_connected 1");
    redirect.signal(Signal::SIGTERM);
    let (_, counters, said) = redirect.ended();
    assert!(!said.contains(": connected"), "{said}");
    assert_accounted(&counters);
}
