//! `tapwright trace`: the ways of frames, and what is not there to be traced. Beside it, what the reports of a
//! failing case say of why.

use std::{fs, path::Path};

use test_support::tapwright;

/// A frame that a TAP refuses, and one that a redirector takes.
const SCENARIO: &str = "\
description: A frame that is too short for the TAP, and one for the outdev.
netdevs:
  hn0: {}
chardevs:
  out0: {}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=rx,outdev=out0,status=off
steps:
  - send: hn0.guest
    frames: [{ hex: \"0102030405060708\" }]
  - expect: { hn0.host: 1 }
  - qom-set: { path: /objects/f0, property: status, value: \"on\" }
  - send: hn0.guest
    frames: [{ ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 4000, dport: 9 } }]
  - colo: checkpoint
";

const MATRIX: &str = "\
description: One frame past a filter.
matrix: { queue: [rx, tx] }
netdevs: { hn0: {} }
chardevs: { out0: {} }
objects: [\"filter-redirector,id=f0,netdev=hn0,queue=${queue},outdev=out0\"]
steps:
  - send: hn0.guest
    frames: [{ ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 4000, dport: 9 } }]
";

fn project() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("why.yaml"), SCENARIO).expect("written");
    fs::write(directory.path().join("both.yaml"), MATRIX).expect("written");
    directory
}

fn traced(directory: &Path, arguments: &[&str], code: i32) -> String {
    let output = tapwright(directory, &[&["trace"], arguments].concat());
    let text = String::from_utf8(output.stdout).expect("text");
    let text = text + &String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn a_frame_is_followed_from_where_it_was_sent() {
    let directory = project();
    insta::assert_snapshot!(traced(directory.path(), &["why.yaml", "#1"], 0), @r##"
#1  shorter than an Ethernet header
  step 1, line 9: send hn0.guest
    sent at hn0.guest
    dropped at tap hn0: too-short
  #1 was dropped at tap hn0: too-short (8 B; a TAP takes 14)
step 5, line 15: colo: checkpoint is heard by no colo-compare, for there is none: no frame is released, and no guest's state is carried over
"##);
    insta::assert_snapshot!(traced(directory.path(), &["why.yaml", "out0"], 0), @r##"
#2  IPv4 10.0.0.1:4000 > 10.0.0.2:9 UDP, 0 B payload
  step 4, line 13: send hn0.guest
    sent at hn0.guest
    consumed by f0
    came out of out0
  #2 came out of out0
step 5, line 15: colo: checkpoint is heard by no colo-compare, for there is none: no frame is released, and no guest's state is carried over
"##);
    insta::assert_snapshot!(traced(directory.path(), &["why.yaml"], 0), @r##"
#1: sent at hn0.guest in step 1, dropped at tap hn0: too-short
#2: sent at hn0.guest in step 4, consumed by f0, came out of out0
step 5, line 15: colo: checkpoint is heard by no colo-compare, for there is none: no frame is released, and no guest's state is carried over
"##);
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let directory = project();
    for (arguments, expected) in [
        (&["why.yaml", "#7"][..], "the case sends no frame #7"),
        (&["why.yaml", "hn0.hots"], "no port 'hn0.hots'; it has hn0.host"),
        (&["why.yaml", "x"], "no port 'x'; it has hn0.guest, hn0.host, out0"),
        (&["both.yaml"], "several cases match: both@queue=rx, both@queue=tx"),
        (
            &["both.yaml", "-k", "queue=rc"],
            "no case of the file matches 'queue=rc'; it has both@queue=rx",
        ),
    ] {
        let text = traced(directory.path(), arguments, 2);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(expected), "{text}");
    }
    let one = traced(directory.path(), &["both.yaml", "-k", "queue=rx", "1"], 0);
    assert!(one.contains("consumed by f0"), "{one}");
}

#[test]
fn every_report_says_why() {
    let directory = project();
    let arguments = [
        "run",
        "--backend",
        "sim",
        "--ci",
        "--format",
        "json",
        "--report",
        "markdown=why.md",
        "--report",
        "html=page",
        "why.yaml",
    ];
    let output = tapwright(directory.path(), &arguments);
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
    let mut problems = lines.filter_map(|line| line.expect("JSON").get("problems").cloned());
    let why = problems.next_back().expect("a failure")[0]["why"][0].clone();
    let outcome = "#1 was dropped at tap hn0: too-short (8 B; a TAP takes 14)";
    assert_eq!(why["outcome"], outcome, "{why}");
    assert_eq!(why["frame"], "#1");
    assert_eq!(why["way"][0]["what"], "sent at hn0.guest");
    assert_eq!(why["way"][1]["what"], "dropped at tap hn0: too-short");
    for report in ["why.md", "page/index.html"] {
        let text = fs::read_to_string(directory.path().join(report)).expect("a report");
        assert!(
            text.contains("was dropped at tap hn0: too-short (8 B; a TAP takes 14)"),
            "{report}"
        );
    }
}
