use rstest::rstest;
use serde_json::Value;

use test_support::{Project, code, stderr, stdout};

#[test]
fn the_json_has_every_combination_of_every_table() {
    let project = Project::new(&[]);
    let output = project.tapwright(&["conflicts", "--type", "filter-buffer", "--format", "json"]);
    assert_eq!(code(&output), 0);
    let text = stdout(&output);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (heads, rows): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["type"] == "table");
    let told: u64 = heads.iter().map(|head| head["combinations"].as_u64().unwrap()).sum();
    assert_eq!((heads.len(), told), (2, rows.len() as u64));
}

#[rstest]
#[case(&["--profile", "qemu-9"], "unknown profile 'qemu-9'")]
#[case(&["--type", "filter-nope"], "colo-compare and all")]
fn what_there_is_not_is_said(#[case] arguments: &[&str], #[case] expected: &str) {
    let project = Project::new(&[]);
    let output = project.tapwright(&[&["conflicts"], arguments].concat());
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}

#[test]
fn a_profile_that_is_named_twice_is_said() {
    let project = Project::new(&[]);
    let twice = ["--profile", "rfc", "--profile", "qemu-7.2", "--profile", "rfc-v1"];
    let once = &twice[..4];
    let [one, other] = [once, &twice].map(|named| {
        let output =
            project.tapwright(&[&["conflicts", "--type", "filter-mirror"], named].concat());
        assert_eq!(code(&output), 0);
        output
    });
    assert_eq!(stdout(&one), stdout(&other));
    assert_eq!(stderr(&one), "");
    assert_eq!(stderr(&other), "tapwright: the profile rfc is named more than once\n");
}
