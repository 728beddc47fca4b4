//! Random scenarios and shrinking, through the real binary.

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use tapwright::{fuzz, scenario};
use test_support::{stdout, tapwright};

#[test]
fn everything_that_is_made_passes_check() {
    let directory = tempfile::tempdir().unwrap();
    for seed in 1..=4 {
        for case in 1..=150 {
            let path = directory.path().join(format!("{seed}-{case}.yaml"));
            fs::write(path, scenario::write(&fuzz::scenario(seed, case))).unwrap();
        }
    }
    let output = tapwright(directory.path(), &["check", "."]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stdout(&output), "600 cases checked\n", "{told}");
}

#[test]
fn a_case_is_the_same_alone_and_among_others_whatever_would_run_it() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = tapwright(directory.path(), &[&["fuzz", "--seed", "9"], arguments].concat());
        assert!(output.status.success());
        stdout(&output)
    };
    let listed = run(&["--cases", "40", "--list", "--format", "json", "--agree", "sim,qemu"]);
    let lines: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 40);
    assert_eq!(lines[16]["scenario"], fuzz::scenario(9, 17));
    assert_eq!(run(&["--print", "17"]), scenario::write(&fuzz::scenario(9, 17)));
}

#[test]
fn a_run_of_nothing_but_one_backend_compares_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let output = tapwright(directory.path(), &["fuzz", "--agree", "sim,sim"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("TW-E005"));
}

/// A scenario with much in it that has nothing to do with what fails.
const BROKEN: &str = r#"
description: The outdev gets all frames that the guest sends.
tags: [redirector]
matrix: { queue: [tx, rx] }
netdevs:
  hn0: { type: tap, mtu: 9000 }
  hn1: { type: tap }
chardevs:
  out0: {}
  out1: { connected: false }
objects:
  - filter-mirror,id=m0,netdev=hn1,outdev=out1
  - filter-redirector,id=f0,netdev=hn0,queue=${queue},outdev=out0
steps:
  - send: hn1.guest
    frames: [{ payload: "elsewhere" }]
  - send: hn0.guest
    frames:
      - payload: "first"
      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 1, dport: 2 }
        payload: { fill: 0x55, len: 900 }
  - qom-set: { path: /objects/f0, property: status, value: "off" }
  - send: hn0.guest
    frames: [{ payload: "lost" }, { payload: "also lost" }]
  - note: and now the other way
  - send: hn0.host
    frames: [{ payload: "back" }]
expect:
  out0: 4
  hn0.guest: 1
"#;

fn minimised(text: &str, arguments: &[&str]) -> (String, Output) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.yaml"), text).unwrap();
    let arguments = [&["minimise", "a.yaml", "--backend", "sim"], arguments].concat();
    let output = tapwright(directory.path(), &arguments);
    let made = fs::read_to_string(directory.path().join("a.min.yaml")).unwrap_or_default();
    (made, output)
}

#[test]
fn a_broken_scenario_becomes_a_tiny_one_that_is_broken_in_the_same_way() {
    let (made, output) = minimised(BROKEN, &["-k", "queue=rx"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told = stdout(&output);
    insta::assert_snapshot!(format!("{told}\n{made}"));
    // It fails as the whole did, and nothing more can be taken from it.
    let (again, output) = minimised(&made, &["--format", "json"]);
    let line: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&*again, line["text"].as_str()), (&*made, Some("sim: too few frames at out0")));
}

/// What a run prints, without how long it took.
fn without_times(text: &str) -> String {
    let timed = |line: &str| match (line.find("[ "), line.find("s]")) {
        (Some(begin), Some(end)) if begin < end => {
            format!("{}[TIME]{}", &line[..begin], &line[end + 2..])
        }
        _ => line.to_owned(),
    };
    text.lines().map(|line| timed(line) + "\n").collect()
}

/// A scenario that was reviewed with one text, and sends another now.
fn reviewed(directory: &Path, scenario: &str, before: &str, after: &str) -> (String, Output) {
    let run = |arguments: &[&str]| tapwright(directory, arguments);
    fs::write(directory.join("a.yaml"), scenario.replace("TEXT", before)).unwrap();
    let accepted = run(&["run", "a.yaml", "--backend", "sim", "--accept"]);
    assert_eq!(accepted.status.code(), Some(0), "{}", stdout(&accepted));
    fs::write(directory.join("a.yaml"), scenario.replace("TEXT", after)).unwrap();
    let told = run(&["minimise", "a.yaml", "--backend", "sim"]);
    assert_eq!(told.status.code(), Some(0), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(stdout(&told).contains("differs from the snapshot"), "{}", stdout(&told));
    let made = fs::read_to_string(directory.join("a.min.yaml")).unwrap();
    (made, run(&["run", "a.min.yaml", "--backend", "sim", "--ci"]))
}

#[test]
fn what_differs_from_its_snapshot_differs_when_it_is_small() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = "description: A difference.\nnetdevs: { hn0: {}, hn1: {} }\nsteps:\n  - send: \
                    hn1.guest\n    frames: [{ payload: x }]\n  - send: hn0.guest\n    frames: \
                    [{ payload: a }, { payload: TEXT }, { payload: z }]\n";
    let (made, run) = reviewed(directory.path(), scenario, "b", "c");
    assert_eq!(run.status.code(), Some(1), "{}", stdout(&run));
    let snapshot = fs::read_to_string(directory.path().join("a.min.snap")).unwrap();
    insta::assert_snapshot!(format!("{made}\n{snapshot}\n{}", without_times(&stdout(&run))));
    assert!(!directory.path().join("a.min.snap.new").exists());
}

#[test]
fn a_frame_that_is_missing_against_the_snapshot_is_missing_when_it_is_small() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = "description: A frame is missing.\nnetdevs: { hn0: {} }\nchardevs: { out0: {} }\n\
                    objects: [\"filter-redirector,id=f0,netdev=hn0,outdev=out0,status=TEXT\"]\n\
                    steps:\n  - send: hn0.guest\n    frames: [{ payload: a }, { payload: b }]\n";
    let (made, run) = reviewed(directory.path(), scenario, "on", "off");
    assert_eq!(run.status.code(), Some(1), "{}", stdout(&run));
    assert!(made.contains("filter-redirector"), "{made}");
    assert!(stdout(&run).contains("out0"), "{}", stdout(&run));
}

#[test]
fn too_few_frames_keep_what_should_bring_them() {
    // What a mirror copies to a comparer comes out of that only if both are there.
    let text = "description: A filter that is off.\nnetdevs: { hn0: {}, hn1: {} }\nchardevs: { out0: \
                {}, out1: {} }\nobjects:\n  - filter-mirror,id=m1,netdev=hn1,outdev=out1\n  - \
                filter-redirector,id=f0,netdev=hn0,queue=rx,outdev=out0,status=off\nsteps:\n  - \
                send: hn0.guest\n    frames: [{ payload: a }, { payload: b }]\nexpect: { out0: 2 }\n";
    let (made, output) = minimised(text, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(made.contains("id=f0") && !made.contains("m1"), "{made}");
    // The reason is still the reason: without it nothing fails.
    let directory = tempfile::tempdir().unwrap();
    for (status, exit) in [(",status=off", 1), ("", 5)] {
        fs::write(directory.path().join("b.yaml"), made.replace(",status=off", status)).unwrap();
        let run = tapwright(directory.path(), &["run", "b.yaml", "--backend", "sim"]);
        assert_eq!(run.status.code(), Some(exit), "{}", stdout(&run));
    }
}

#[test]
fn a_budget_ends_the_search() {
    let (made, output) = minimised(BROKEN, &["--budget", "3"]);
    assert!(stdout(&output).contains("after 3 runs; the budget is spent"), "{}", stdout(&output));
    assert!(!made.is_empty());
}

#[test]
fn what_does_not_fail_is_not_made_smaller() {
    let (made, output) =
        minimised("description: Nothing happens.\nsteps:\n  - note: nothing\n", &[]);
    assert_eq!((output.status.code(), made.as_str()), (Some(4), ""));
    assert!(String::from_utf8_lossy(&output.stderr).contains("TW-E020"));
}
