//! `--offload`: the kernel takes the frames from TAP to TAP, the redirector sets its filters, puts them
//! back and takes them away, and touches nobody else's.

use std::{io::Write, os::unix::net::UnixStream, process::Command};

use serde_json::Value;
use tapwright::sys::{Tap, TapHeader, enter_fresh};

use crate::{
    Try,
    lab::{Lab, Redirect, counter, frame, is_empty, receive},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("every_size_arrives_and_the_original_goes_its_way", every_size_arrives),
    ("queue_says_which_frames", queue_says_which_frames),
    ("counters_are_those_that_the_kernel_has", counters_are_the_kernels),
    ("what_was_there_before_is_there_afterwards", what_was_there_before),
    ("nothing_is_left_at_the_end", nothing_is_left_at_the_end),
    ("one_that_is_killed_is_taken_over", one_that_is_killed),
    ("interfaces_that_are_deleted_come_back", interfaces_that_are_deleted),
    ("an_output_that_is_down_is_counted", an_output_that_is_down),
    ("what_is_refused", what_is_refused),
    ("another_user_keeps_what_it_needs", another_user),
];

const RX: [&str; 7] = ["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx", "--offload"];

fn taps(lab: &Lab) -> (Tap, Tap) {
    (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None))
}

fn passes(from: &Tap, to: &Tap, number: u32) {
    from.write(&[], &frame(number, 64)).unwrap();
    assert_eq!(receive(to).1, frame(number, 64));
}

/// What `tc` says, or none where there is no `tc`: then there is nobody else's filter either.
fn tc(words: &str) -> Option<String> {
    let output = Command::new("tc").args(words.split(' ')).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "tc {words}: {}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}

/// All that traffic control has on an interface.
fn control(name: &str) -> Option<[String; 3]> {
    let [qdiscs, ingress, egress] = ["qdisc show", "filter show", "filter show"];
    Some([
        tc(&format!("{qdiscs} dev {name}"))?,
        tc(&format!("{ingress} dev {name} ingress"))?,
        tc(&format!("{egress} dev {name} egress"))?,
    ])
}

fn ends(redirect: Redirect) -> Value {
    let counters = redirect.end();
    let [taken, gone] = ["/in/packets", "/out/packets"].map(|path| counter(&counters, path));
    assert_eq!(taken, gone + counter(&counters, "/drops/refused"), "{counters}");
    counters
}

fn every_size_arrives(lab: &Lab) {
    let (from, to) = taps(lab);
    let host = lab.host("tap0");
    let redirect = lab.redirect(&RX);
    let mut host = host;
    for size in 14..=1514 {
        let sent = frame(size as u32, size);
        from.write(&[], &sent).unwrap();
        assert_eq!(receive(&to).1, sent, "{size}");
        let seen = host.recv().unwrap().expect("the host has it too");
        assert_eq!(seen.data, sent);
    }
    assert!(is_empty(&from) && is_empty(&to));
    assert_eq!(counter(&ends(redirect), "/in/packets"), 1501);
}

fn queue_says_which_frames(lab: &Lab) {
    for (queue, expected) in [("rx", &[1_u32][..]), ("tx", &[0]), ("all", &[0, 1])] {
        enter_fresh(&lab.isolated).unwrap();
        let lab = Lab::new(lab.isolated.clone());
        let (from, to) = taps(&lab);
        let options = [&RX[..5], &[queue, "--offload"]].concat();
        let redirect = lab.redirect(&options);
        lab.host("tap0").send(&[0; 10], &frame(0, 100)).unwrap();
        assert_eq!(receive(&from).1, frame(0, 100));
        from.write(&[], &frame(1, 100)).unwrap();
        for number in expected {
            assert_eq!(receive(&to).1, frame(*number, 100), "{queue}");
        }
        assert!(is_empty(&from) && is_empty(&to), "{queue}");
        assert_eq!(counter(&ends(redirect), "/in/packets"), expected.len() as u64, "{queue}");
    }
}

fn counters_are_the_kernels(lab: &Lab) {
    let (from, to) = taps(lab);
    let path = lab.path("metrics");
    let metrics = format!("unix:{}", path.display());
    let mut redirect = lab.start(&[&RX[..], &["--metrics", &metrics]].concat());
    redirect.line("the kernel mirrors the frames; it does not count");
    redirect.line("redirect: ready");
    (0..5).for_each(|number| passes(&from, &to, number));
    let line = redirect.counters();
    assert!(line.contains("in 5 packets 250 bytes, out 5 packets\n"), "{line}");
    let mut asking = UnixStream::connect(&path).unwrap();
    asking.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let answer = std::io::read_to_string(&mut asking).unwrap();
    assert!(answer.contains("\ntapwright_redirect_packets_total{end=\"out\"} 5\n"), "{answer}");
    assert!(!answer.contains("stalls"), "{answer}");
    let counters = ends(redirect);
    assert_eq!(counter(&counters, "/in/packets"), 5);
    assert_eq!(counters.pointer("/out/bytes"), Some(&Value::Null));
    assert_eq!(counters.pointer("/drops/tx_queue_full"), None);
}

fn nothing_is_left_at_the_end(lab: &Lab) {
    let (from, to) = taps(lab);
    let before = control("tap0");
    let redirect = lab.redirect(&RX);
    passes(&from, &to, 1);
    if let Some(now) = control("tap0") {
        assert!(now[0].contains("clsact") && now[1].contains("mirred"), "{now:?}");
    }
    ends(redirect);
    assert_eq!(control("tap0"), before);
    from.write(&[], &frame(2, 64)).unwrap();
    assert!(is_empty(&to), "it mirrors no more");
}

/// Somebody's filter that takes every frame for itself, and lets it go on.
const ACCEPTS: &str = "u32 match u32 0 0 flowid 1:1";

/// A queueing discipline and filters of somebody else, one of which would keep frames to itself.
fn what_was_there_before(lab: &Lab) {
    let (from, to) = taps(lab);
    let _other = lab.tap("tap2", TapHeader::None);
    if tc("qdisc add dev tap0 clsact").is_none() {
        return;
    }
    let keeps = "action mirred egress redirect dev tap2";
    tc(&format!("filter add dev tap0 ingress pref 2 protocol all u32 match u32 0 0 {keeps}"));
    tc(&format!("filter add dev tap0 egress pref 1 protocol all {ACCEPTS}"));
    let before = control("tap0");
    let redirect = lab.redirect(&RX);
    assert_ne!(control("tap0"), before);
    passes(&from, &to, 1);
    ends(redirect);
    assert_eq!(control("tap0"), before);
    // Whatever has our own priority goes first, and is not touched.
    tc(&format!("filter add dev tap0 ingress pref 1 protocol all {ACCEPTS}"));
    let before = control("tap0");
    let redirect = lab.redirect(&[&RX[..5], &["all", "--offload"]].concat());
    ends(redirect);
    assert_eq!(control("tap0"), before);
    // What somebody sets meanwhile stays, and so does what it stands on.
    tc("qdisc del dev tap0 clsact");
    let redirect = lab.redirect(&RX);
    tc(&format!("filter add dev tap0 egress pref 1 protocol all {ACCEPTS}"));
    tc(&format!("filter add dev tap0 ingress pref 2 protocol all {ACCEPTS}"));
    ends(redirect);
    let after = control("tap0").unwrap();
    assert!(after[0].contains("clsact") && after[2].contains("flowid"), "{after:?}");
    assert!(after[1].contains("flowid"), "{after:?}");
    assert!(!after[1].contains("mirred"), "{after:?}");
}

fn one_that_is_killed(lab: &Lab) {
    let (from, to) = taps(lab);
    let before = control("tap0");
    let all = [&RX[..5], &["all", "--offload"]].concat();
    lab.redirect(&all).kill();
    // Its filters go on.
    passes(&from, &to, 1);
    let redirect = lab.redirect(&RX);
    passes(&from, &to, 2);
    lab.host("tap0").send(&[0; 10], &frame(0, 100)).unwrap();
    assert_eq!(receive(&from).1, frame(0, 100));
    assert!(is_empty(&to), "no frame twice, and none that is not asked for any more");
    assert_eq!(counter(&ends(redirect), "/in/packets"), 1);
    assert_eq!(control("tap0"), before);
}

fn interfaces_that_are_deleted(lab: &Lab) {
    let (mut from, mut to) = taps(lab);
    let mut redirect = lab.redirect(&RX);
    passes(&from, &to, 1);
    redirect.until("out 1 packets");
    lab.delete(from);
    redirect.line("tap0: the interface is gone");
    from = lab.tap("tap0", TapHeader::None);
    redirect.line("tap0: the interface is back");
    redirect.until("input_reconnects 1");
    passes(&from, &to, 2);
    lab.delete(to);
    redirect.line("tap1: the interface is gone");
    from.write(&[], &frame(3, 64)).unwrap();
    redirect.until("refused 1");
    to = lab.tap("tap1", TapHeader::None);
    redirect.line("tap1: the interface is back");
    redirect.until("output_reconnects 1");
    passes(&from, &to, 4);
    let counters = ends(redirect);
    assert_eq!(counter(&counters, "/in/packets"), 4);
    assert_eq!(counter(&counters, "/drops/refused"), 1);
}

fn an_output_that_is_down(lab: &Lab) {
    let (from, to) = taps(lab);
    let mut redirect = lab.redirect(&RX);
    lab.set_up("tap1", false);
    redirect.line("tap1: the interface went down");
    (0..3).for_each(|number| from.write(&[], &frame(number, 64)).unwrap());
    redirect.until("refused 3");
    lab.set_up("tap1", true);
    redirect.line("tap1: the interface is up again");
    passes(&from, &to, 4);
    assert_eq!(counter(&ends(redirect), "/out/packets"), 1);
}

fn what_is_refused(lab: &Lab) {
    let (from, to) = taps(lab);
    let path = format!("unix:{},server", lab.path("out").display());
    let first = lab.redirect(&RX);
    let rows: [(&[&str], i32, &str); 4] = [
        (&["--in-netdev", "tap0", "--outdev", &path, "--offload"], 2, "one end is a socket"),
        (&[&RX[..], &["--vnet-hdr-support", "on"]].concat(), 2, "a header"),
        (&[&RX[..], &["--backlog", "256"]].concat(), 2, "cannot be used with"),
        (&RX, 3, "another process has this"),
    ];
    for (arguments, expected, text) in rows {
        let (code, counters, said) = lab.start(arguments).ended();
        assert_eq!(code, Some(expected), "{arguments:?}: {said}");
        assert!(said.replace("\n  | ", " ").contains(text), "{arguments:?}: {said}");
        assert!(counters.is_null(), "{arguments:?}");
    }
    passes(&from, &to, 1);
    ends(first);
}

/// CAP_NET_ADMIN alone, which takes the filters away and puts them back.
fn another_user(lab: &Lab) {
    let (mut from, to) = taps(lab);
    let before = control("tap0");
    let user: &[&str] = match std::env::var_os(crate::INSIDE) {
        None if !lab.isolated.in_user_namespace() => &["--user", "nobody"],
        _ => &[],
    };
    let mut redirect = lab.redirect(&[&RX[..], user].concat());
    assert_eq!(redirect.status_text("CapEff:"), "0000000000001000");
    lab.delete(from);
    from = lab.tap("tap0", TapHeader::None);
    redirect.until("input_reconnects 1");
    passes(&from, &to, 1);
    ends(redirect);
    assert_eq!(control("tap0"), before);
}
