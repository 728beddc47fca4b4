use std::path::{Path, PathBuf};

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/qemu")
        .join(name)
}

/// Replays one file of the fixtures; the printed disagreements are the test's message.
fn tally(name: &str) -> (Tally, String) {
    let mut out = Vec::new();
    let tally = replay(&[fixture(name)], &mut out).unwrap();
    (tally, String::from_utf8(out).unwrap())
}

#[test]
fn errors_of_7_2_agree() {
    let (tally, printed) = tally("errors-7.2.jsonl");
    assert_eq!(tally.disagree, 0, "{printed}");
}

#[test]
fn errors_of_10_2_agree() {
    let (tally, printed) = tally("errors-10.2.jsonl");
    assert_eq!(tally.disagree, 0, "{printed}");
}

#[test]
fn datapath_of_7_2_agrees() {
    let (tally, printed) = tally("datapath-7.2.jsonl");
    assert_eq!(tally.disagree, 0, "{printed}");
}

#[test]
fn datapath_of_10_2_agrees() {
    let (tally, printed) = tally("datapath-10.2.jsonl");
    assert_eq!(tally.disagree, 0, "{printed}");
}
