//! Random scenarios and shrinking, through the real binary.

use std::{fs, process::Output};

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
