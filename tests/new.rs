//! What `tapwright new` writes is valid, runs in memory, and never takes the place of a file.

use std::fs;

use rstest::rstest;
use test_support::tapwright;

#[rstest]
#[case("redirector")]
#[case("mirror")]
#[case("guest")]
#[case("import")]
#[case("compare")]
#[case("colo")]
#[case("conflict")]
#[case("refusal")]
fn every_kind_is_valid_and_runs(#[case] kind: &str) {
    let folder = tempfile::tempdir().unwrap();
    let exit = |arguments: &[&str]| tapwright(folder.path(), arguments).status.code();
    assert_eq!(exit(&["new", "scenarios/a", "--kind", kind]), Some(0));
    assert_eq!(exit(&["check"]), Some(0));
    // Its own expectations hold, and nobody has reviewed what it records.
    assert_eq!(exit(&["run", "--backend", "sim"]), Some(5));
    assert!(folder.path().join("scenarios/a.snap.new").is_file());
    assert_eq!(exit(&["run", "--backend", "sim", "--accept"]), Some(0));
    assert_eq!(exit(&["run", "--backend", "sim", "--ci"]), Some(0));
}

/// A table of probes under several profiles: each profile has a world of its own.
#[test]
fn what_is_reviewed_of_a_probe_in_several_worlds_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let exit = |arguments: &[&str]| tapwright(folder.path(), arguments).status.code();
    assert_eq!(exit(&["new", "r", "--kind", "refusal"]), Some(0));
    assert_eq!(exit(&["run", "--backend", "sim", "r.yaml"]), Some(5));
    assert_eq!(exit(&["review", "--accept-all"]), Some(0));
    assert_eq!(exit(&["run", "--backend", "sim", "--ci", "r.yaml"]), Some(0));
    fs::remove_file(folder.path().join("r.snap")).unwrap();
    for partition in ["hash:1/2", "hash:2/2"] {
        // 4 where the shard has none of the cases.
        let run = ["run", "--backend", "sim", "r.yaml", "--partition", partition];
        assert!(matches!(exit(&run), Some(4 | 5)), "{partition}");
    }
    assert_eq!(exit(&["review", "--accept-all"]), Some(0));
    assert_eq!(exit(&["run", "--backend", "sim", "--ci", "r.yaml"]), Some(0));
}

#[test]
fn the_help_names_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let output = tapwright(folder.path(), &["new", "--help"]);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn the_commands_that_are_shown_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let output = tapwright(folder.path(), &["new", "it's a test"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(r"tapwright run 'it'\''s a test.yaml'"), "{text}");
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), "mine").unwrap();
    let output = tapwright(folder.path(), &["new", "a"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("'a.yaml' is there already"), "{text}");
    assert_eq!(fs::read_to_string(folder.path().join("a.yaml")).unwrap(), "mine");
}

#[test]
fn where_nothing_can_be_written_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let output = tapwright(folder.path(), &["new", "file/a"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("TW-E022"), "{text}");
}
