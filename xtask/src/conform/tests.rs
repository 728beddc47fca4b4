//! What the comparison with records says: that fixtures agree, and what a line that is none or disagrees gets.

use std::path::Path;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/qemu").join(name)
}

/// Replays one file of the fixtures; the printed disagreements are the test's message.
fn agrees(name: &str) {
    let mut out = Vec::new();
    let tally = replay(&[fixture(name)], &mut out).unwrap();
    let printed = String::from_utf8(out).unwrap();
    assert!(tally.disagree == 0 && tally.agree > 0, "{printed}");
}

/// Replays lines of records.
fn lines(lines: &[&str]) -> Result<(Tally, String), ConformError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let mut out = Vec::new();
    replay(&[file], &mut out).map(|tally| (tally, String::from_utf8(out).unwrap()))
}

#[test]
fn errors_of_7_2_agree() {
    agrees("errors-7.2.jsonl");
}

#[test]
fn errors_of_10_2_agree() {
    agrees("errors-10.2.jsonl");
}

#[test]
fn what_10_0_answered_agrees() {
    agrees("errors-10.0.jsonl");
    agrees("datapath-10.0.jsonl");
}

#[test]
fn what_11_1_answered_agrees() {
    agrees("errors-11.1.jsonl");
    agrees("datapath-11.1.jsonl");
}

/// A QEMU that does not answer again is told from one that refuses, by what it should have answered.
#[test]
fn who_freezes_is_held_to_what_one_says_that_goes_on() {
    let record = r#"{"case": "made up", "qemu": "11.1.3", "setup": "std", "cmd": "object-add",
        "args": {"qom-type": "colo-compare", "id": "cc", "primary_in": "nope", "secondary_in": "c1",
        "outdev": "c2", "iothread": "io0"}, "class": "FROZEN", "desc": "", "intended":
        {"class": "GenericError", "desc": "Device 'nope' not found"}}"#;
    let record = record.replace('\n', "");
    assert_eq!(lines(&[&record]).unwrap().0.agree, 1);
    let (tally, printed) = lines(&[&record.replace("nope' not", "hope' not")]).unwrap();
    assert_eq!(tally.disagree, 1);
    assert!(printed.contains("one that goes on: "), "{printed}");
    let (tally, _) = lines(&[&record.replace("11.1.3", "10.2.2")]).unwrap();
    assert_eq!(tally.disagree, 1, "10.2 dies");
}

#[test]
fn datapath_of_7_2_agrees() {
    agrees("datapath-7.2.jsonl");
}

#[test]
fn compare_of_7_2_agrees() {
    agrees("compare-7.2.jsonl");
}

#[test]
fn datapath_of_10_2_agrees() {
    agrees("datapath-10.2.jsonl");
}

#[test]
fn rewriter_7_2() {
    agrees("rewriter-7.2.jsonl");
}

#[test]
fn buffers_dumps_and_replays_of_7_2_agree() {
    agrees("buffer-7.2.jsonl");
}

#[test]
fn taps_are_counted_and_noted_once() {
    let mut out = Vec::new();
    let files = ["7.2", "10.0", "10.2", "11.1"].map(|of| fixture(&format!("tap-{of}.jsonl")));
    let tally = replay(&files, &mut out).unwrap();
    assert_eq!((tally.agree, tally.disagree), (0, 0));
    let printed = String::from_utf8(out).unwrap();
    assert_eq!(printed.matches("note:").count(), 1);
    let last = format!("agree 0, disagree 0, not built {}", tally.not_built);
    assert_eq!(printed.lines().last(), Some(last.as_str()));
}

/// It is held against the nearest, and that is said once.
#[test]
fn a_version_without_a_profile_is_held_against_the_nearest() {
    let record = r#"{"case": "made up", "qemu": "10.1.2", "setup": "std", "cmd": "object-del",
        "args": {"id": "x"}, "class": "GenericError", "desc": "object 'x' not found"}"#;
    let record = record.replace('\n', "");
    let (tally, printed) = lines(&[&record, &record]).unwrap();
    assert_eq!(tally.agree, 2, "{printed}");
    let note =
        "note: QEMU 10.1.2 has no profile: its records are held against qemu-10.0, the nearest";
    assert_eq!(printed.matches(note).count(), 1, "{printed}");
}

const WRONG: &str = r#"{"case": "made up", "qemu": "10.2.9", "setup": "std", "cmd": "object-del",
    "args": {"id": "x"}, "class": null, "desc": null}"#;

#[test]
fn a_disagreement_shows_both_sides() {
    let (tally, printed) = lines(&[&WRONG.replace('\n', "")]).unwrap();
    assert_eq!(tally, Tally { agree: 0, disagree: 1, not_built: 0 });
    assert!(printed.contains("records.jsonl:1: disagree: made up"), "{printed}");
    assert!(printed.contains("machine: GenericError: object 'x' not found"), "{printed}");
}

#[test]
fn bytes_that_differ_are_seen() {
    let record = r#"{"case": "made up", "qemu": "7.2.0", "topology":
        "A<->n0(socket)=h0 hub0 h9=n9(socket)<->P", "chardevs": {}, "alive": true, "steps":
        [{"op": "bytes", "ep": "A", "data": "00000001(5a*1)", "out": {"P": "000000015b"}}]}"#;
    let (tally, printed) = lines(&[&record.replace('\n', "")]).unwrap();
    assert_eq!(tally.disagree, 1);
    assert!(printed.contains("P: machine 5 B 000000015a"), "{printed}");
}

#[test]
fn what_nobody_can_replay_is_an_error_with_its_place() {
    for (from, to, text) in [
        ("10.2.9", "nine", "'nine' is no version of QEMU, such as 10.2.2"),
        ("\"std\"", "\"attic\"", "unknown setup 'attic'"),
        (
            "{\"case\"",
            "{\"topology\": \"ring\", \"chardevs\": {}, \"steps\": [], \"case\"",
            "unknown topology 'ring'",
        ),
    ] {
        let record = WRONG.replace('\n', "").replace(from, to);
        let error = lines(&["", &record]).unwrap_err().to_string();
        assert!(error.ends_with(&format!("records.jsonl:2: {text}")), "{error}");
    }
}

#[test]
fn what_nobody_knows_of_a_tap_is_an_error_with_its_place() {
    let record = r#"{"case": "made up", "qemu": "7.2.0", "filters": [], "nic": "hub", "vm": "none",
        "step": "frame written to hub peer P", "data": "00"}"#;
    for (from, to, text) in [
        ("7.2.0", "7", "'7' is no version of QEMU, such as 10.2.2"),
        ("\"hub\"", "\"ne2k\"", "unknown nic 'ne2k'"),
        ("\"none\"", "\"paused\"", "unknown state of the VM 'paused'"),
        ("peer P", "peer Q", "unknown step 'frame written to hub peer Q'"),
        ("\"hub\"", "\"e1000\"", "unknown step 'frame written to hub peer P'"),
        ("hub peer P", "chardev c1", "unknown chardev 'c1'"),
        ("\"00\"", "\"0g\"", "not hex: '0g'"),
        (", \"data\": \"00\"", "", "the step has no data"),
    ] {
        let record = record.replace('\n', "").replace(from, to);
        let error = lines(&["", &record]).unwrap_err().to_string();
        assert!(error.ends_with(&format!("records.jsonl:2: {text}")), "{error}");
    }
}

#[test]
fn crashes_are_compared_without_addresses_and_paths() {
    let built = "rc=-6 qemu-system-x86_64: ../src-10.2/util/thread.c:81: f: Assertion `x' failed.";
    let other = "rc=-6 qemu-system-x86_64: ../../util/thread.c:76: f: Assertion `x' failed.";
    assert_eq!(error::mask_crash(built), error::mask_crash(other));
    assert_eq!(error::mask_crash("a.h:18:X: Object 0x55aa is no Y"), "a.h:X: Object is no Y");
    assert_ne!(error::mask_crash(built), error::mask_crash(&built.replace("`x'", "`y'")));
}
