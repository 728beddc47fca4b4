//! Drives the real binary in temporary directories: exit codes, what is printed, what is written.

use std::{collections::BTreeSet, fs};

use rstest::rstest;
use serde_json::Value;
use test_support::Project;

/// A scenario in which nothing happens; its snapshot has no frame.
const PASSES: &str = "description: Nothing happens.\ntags: [quick]\nsteps:\n  - note: nothing\n";
/// A scenario that expects what can't come.
const FAILS: &str = "description: Something is expected.\nchardevs:\n  out0: {}\nsteps:\n  \
                     - note: nothing\n  - expect: { out0: 1 }\n";
/// A scenario that `sim` can't run: the host answers.
const NEEDS_HOST: &str = "description: The host answers.\nnetdevs:\n  hn0: { type: tap, address: \
                          [10.0.0.1/24] }\nsteps:\n  - note: nothing\n";
/// A scenario of many cases.
const MANY: &str = "description: Many.\nmatrix:\n  n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]\n\
                    steps:\n  - note: number ${n}\n";
/// A scenario with two faults.
const INVALID: &str = "description: Two faults.\nnetdevz: {}\nsteps:\n  - sent: hn0.guest\n";
/// A scenario whose expectation fails, as it is known to.
const KNOWN_BUG: &str = "description: A known bug.\nprofile: qemu-10.2\nchardevs:\n  out0: {}\n\
                         steps:\n  - note: nothing\n  - expect: { out0: 1 }\nknown_bug:\n  \
                         id: bug-1\n  profiles: [qemu-10.2]\n  reason: It is lost.\n";

fn stdout(project: &Project, arguments: &[&str]) -> String {
    test_support::stdout(&project.tapwright(arguments))
}

fn lines(project: &Project, arguments: &[&str]) -> Vec<Value> {
    let text = stdout(project, arguments);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every file below the suite but the scenarios themselves.
fn written(project: &Project) -> BTreeSet<String> {
    fs::read_dir(project.path().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".yaml"))
        .collect()
}

fn sim<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "--backend", "sim"], more].concat()
}

#[test]
fn a_new_case_is_pending_then_accepted_then_passes() {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    assert_eq!(project.exit(&sim(&[])), 5);
    assert_eq!(written(&project), BTreeSet::from(["a.snap.new".to_owned()]));
    assert_eq!(project.exit(&sim(&["--accept"])), 0);
    assert_eq!(written(&project), BTreeSet::from(["a.snap".to_owned()]));
    assert_eq!(project.exit(&sim(&[])), 0);
    assert_eq!(written(&project), BTreeSet::from(["a.snap".to_owned()]));
}

#[rstest]
#[case(&[("a.yaml", FAILS)], &[], 1)]
#[case(&[("a.yaml", FAILS), ("b.yaml", PASSES)], &[], 1)]
#[case(&[("a.yaml", PASSES)], &["--ci"], 1)]
#[case(&[("a.yaml", INVALID), ("b.yaml", FAILS)], &[], 2)]
#[case(&[("a.yaml", PASSES)], &["nowhere"], 2)]
#[case(&[("a.yaml", PASSES)], &["--no-such-option"], 2)]
#[case(&[("a.yaml", PASSES)], &["--partition", "hash:3/2"], 2)]
#[case(&[("a.yaml", PASSES)], &["--profile", "qemu-1.0"], 2)]
#[case(&[("a.yaml", PASSES)], &["--ci", "--accept"], 2)]
#[case(&[("a.yaml", NEEDS_HOST)], &[], 3)]
#[case(&[("a.yaml", NEEDS_HOST), ("b.yaml", PASSES)], &[], 5)]
#[case(&[("a.yaml", PASSES)], &["-k", "other"], 4)]
#[case(&[("a.yaml", PASSES)], &["--tag", "!quick"], 4)]
#[case(&[("notes.txt", "")], &[], 4)]
#[case(&[("a.yaml", PASSES)], &["--list"], 0)]
#[case(&[("a.yaml", PASSES)], &["--tag", "quick", "--accept"], 0)]
fn a_run_exits_with_the_code_that_says_how_it_went(
    #[case] files: &[(&str, &str)],
    #[case] arguments: &[&str],
    #[case] code: i32,
) {
    assert_eq!(Project::suite(files).exit(&sim(arguments)), code);
}

#[rstest]
#[case("run")]
#[case("check")]
#[case("list")]
fn where_no_case_is_selected_that_is_said(#[case] command: &str) {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    let output = project.tapwright(&[command, "--tag", "quik"]);
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no case is selected"), "{text}");
}

#[rstest]
#[case(&["--agree", "sim"])]
#[case(&["--agree", "sim,sim"])]
fn a_backend_is_not_compared_with_itself(#[case] arguments: &[&str]) {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    assert_eq!(project.exit(&[&["run"], arguments].concat()), 2);
}

/// Where only one QEMU is run, several are refused before anything is opened.
#[rstest]
#[case(&["run", "--backend", "qemu"])]
#[case(&["run", "--agree", "sim,netns"])]
#[case(&["fuzz", "--agree", "sim,qemu"])]
#[case(&["minimise", "scenarios/a.yaml"])]
#[case(&["export", "scenarios/a.yaml"])]
fn several_qemus_are_refused_where_one_is_run(#[case] command: &[&str]) {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    let output = project.tapwright(&[command, &["--qemu", "a", "--qemu", "b"]].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("TW-E007") && text.contains("--qemu is given 2 times"), "{text}");
    assert!(text.contains("tapwright run --agree sim,qemu --qemu A --qemu B"), "{text}");
}

#[test]
fn ci_never_writes_a_snapshot() {
    let project = Project::suite(&[("a.yaml", PASSES), ("b.yaml", FAILS)]);
    let run = |arguments: &[&str]| {
        let output = project.command(arguments).env("CI", "true").output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, told) = run(&sim(&[]));
    assert_eq!(code, Some(1));
    assert!(told.contains("run it where you can review"), "{told}");
    assert_eq!(run(&sim(&["--accept"])).0, Some(2));
    assert_eq!(written(&project), BTreeSet::new());
}

#[test]
fn what_fails_its_own_expectations_is_never_proposed() {
    let project = Project::suite(&[("a.yaml", FAILS)]);
    assert_eq!(project.exit(&sim(&["--accept"])), 1);
    assert_eq!(written(&project), BTreeSet::new());
}

#[test]
fn a_changed_record_fails_and_is_proposed() {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    project.exit(&sim(&["--accept"]));
    let scenario = project.path().join("scenarios/a.yaml");
    fs::write(scenario, PASSES.replace("note: nothing", "note: something")).unwrap();
    assert_eq!(project.exit(&sim(&["--ci"])), 1);
    assert_eq!(written(&project), BTreeSet::from(["a.snap".to_owned()]));
    let told = project.tapwright(&sim(&[]));
    assert_eq!(told.status.code(), Some(1));
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(text.ends_with("accept it: tapwright review\n"), "{text}");
    assert_eq!(written(&project), BTreeSet::from(["a.snap".to_owned(), "a.snap.new".to_owned()]));
}

#[test]
fn a_known_bug_passes_until_it_is_gone() {
    let project = Project::suite(&[("a.yaml", KNOWN_BUG)]);
    assert_eq!(project.exit(&sim(&["--accept"])), 0);
    let output = stdout(&project, &sim(&[]));
    assert!(output.contains("KNOWN BUG") && output.contains("1 passed (1 known bug)"), "{output}");
    let mended = KNOWN_BUG.replace("out0: 1", "out0: 0");
    fs::write(project.path().join("scenarios/a.yaml"), mended).unwrap();
    let output = stdout(&project, &sim(&[]));
    assert!(output.contains("the known bug 'bug-1' is gone"), "{output}");
}

#[test]
fn another_profile_leaves_the_snapshot_aside() {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    assert_eq!(project.exit(&sim(&["--profile", "qemu-7.2"])), 0);
    assert_eq!(written(&project), BTreeSet::new());
}

#[test]
fn what_no_scenario_uses_is_told_at_the_end_of_a_run() {
    let project = Project::suite(&[("a.yaml", PASSES), ("many.yaml", MANY)]);
    project.exit(&sim(&["--accept"]));
    let unreferenced = |arguments: &[&str]| {
        let lines = lines(&project, &sim(&[arguments, &["--format", "json"]].concat()));
        lines.last().unwrap()["unreferenced"].clone()
    };
    assert_eq!(unreferenced(&[]), 0);
    assert_eq!(unreferenced(&["-k", "n=1"]), 0);
    let scenario = project.path().join("scenarios/many.yaml");
    fs::write(scenario, MANY.replace(", 12", "")).unwrap();
    assert_eq!(unreferenced(&[]), 1);
    assert_eq!(unreferenced(&["scenarios/many.yaml"]), 1);
    assert_eq!(unreferenced(&["scenarios/a.yaml"]), 0);
    assert_eq!(project.exit(&sim(&[])), 0);
    fs::remove_file(project.path().join("scenarios/a.yaml")).unwrap();
    let text = stdout(&project, &sim(&[]));
    assert!(
        text.contains("2 snapshots or sections have no scenario: tapwright review --unreferenced"),
        "{text}"
    );
}

#[test]
fn repeats_are_one_case() {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    let lines = lines(&project, &sim(&["--accept", "--repeat", "20", "--format", "json"]));
    let finished: Vec<&Value> =
        lines.iter().filter(|line| line["type"] == "case-finished").collect();
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0]["runs"]["passed"], 20);
}

#[test]
fn repeats_are_held_against_what_the_first_one_accepted() {
    let project = Project::suite(&[("a.yaml", PASSES), ("many.yaml", MANY)]);
    assert_eq!(project.exit(&sim(&["--accept", "--repeat", "5", "--jobs", "8"])), 0);
    assert_eq!(project.exit(&sim(&["--ci"])), 0);
    assert_eq!(written(&project), BTreeSet::from(["a.snap".to_owned(), "many.snap".to_owned()]));
}

#[test]
fn shards_cover_every_case_exactly_once() {
    let project = Project::suite(&[("many.yaml", MANY), ("a.yaml", PASSES)]);
    let all: Vec<String> = stdout(&project, &["list"]).lines().map(str::to_owned).collect();
    assert_eq!(all.len(), 13);
    let mut shards: Vec<String> = ["hash:1/3", "hash:2/3", "hash:3/3"]
        .iter()
        .flat_map(|shard| {
            let text = stdout(&project, &["list", "--partition", shard]);
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    shards.sort();
    let mut sorted = all;
    sorted.sort();
    assert_eq!(shards, sorted);
}

#[test]
fn every_execution_leaves_its_capture() {
    let project = Project::suite(&[("many.yaml", MANY), ("deep/a.yaml", PASSES)]);
    project.exit(&sim(&["--out", "captures"]));
    let captures = project.path().join("captures");
    // The section header block of pcapng begins every file (draft-ietf-opsawg-pcapng, 4.1).
    let begin = fs::read(captures.join("deep/a/case.pcapng")).unwrap()[..4].to_vec();
    assert_eq!(begin, [0x0a, 0x0d, 0x0d, 0x0a]);
    assert_eq!(fs::read_dir(captures.join("many")).unwrap().count(), 12);
}

#[test]
fn json_lines_tell_the_run() {
    let project = Project::suite(&[("a.yaml", FAILS), ("b.yaml", NEEDS_HOST), ("c.yaml", PASSES)]);
    let lines = lines(&project, &sim(&["--jobs", "1", "--format", "json"]));
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let word = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", word("type"), word("case"), word("status"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "run-started - -",
            "case-started a -",
            "case-finished a failed",
            "case-started b -",
            "case-finished b skipped",
            "case-started c -",
            "case-finished c pending",
            "run-finished - -",
        ]
    );
    assert_eq!(lines[0]["format"], 1);
    assert_eq!(lines[2]["problems"][0]["line"], 6);
    assert_eq!(lines[2]["problems"][0]["message"], "out0: expected 1 frame(s), got 0");
    assert_eq!(lines[7]["exit_code"], 1);
}

#[test]
fn faults_are_told_together_and_where_they_stand() {
    let project = Project::suite(&[("a.yaml", INVALID), ("b.yaml", INVALID)]);
    let output = project.tapwright(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    for place in ["a.yaml:2:1", "a.yaml:4:5", "b.yaml:2:1", "b.yaml:4:5"] {
        assert!(text.contains(place), "{place}\n{text}");
    }
    let lines = lines(&project, &["check", "--format", "json"]);
    assert!(lines.iter().all(|line| line["type"] == "diagnostic"), "{lines:?}");
    assert_eq!(lines[0]["labels"][0]["start"]["line"], 2);
}

/// Checks a scenario that is refused, with this in what is said of it.
fn refused_with(scenario: &str, help: &str) {
    let project = Project::suite(&[("a.yaml", scenario)]);
    let output = project.tapwright(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.join(" ").contains(help), "{text}");
}

#[rstest]
#[case(
    "up",
    "where what it says is right, write that: {error: {f0: \"Parameter 'queue' does not accept value 'up'\"}}"
)]
#[case("rx", "take it out of `expect: error:`, or name a `profile` that refuses the object")]
fn another_refusal_than_expected_says_what_to_do(#[case] queue: &str, #[case] help: &str) {
    let scenario = format!(
        "description: An object.\nnetdevs: {{ hn0: {{}} }}\nchardevs: {{ out0: {{}} }}\nobjects:\n  \
         - filter-mirror,id=f0,netdev=hn0,outdev=out0,queue={queue}\nexpect:\n  error: {{ f0: It is \
         Monday }}\n"
    );
    refused_with(&scenario, help);
}

/// QEMU's text says which check failed; the help says what was perhaps meant.
#[rstest]
#[case(
    "filter-mirror,id=f0,netdev=hn0,outdve=out0",
    "`filter-mirror` has no `outdve`; did you mean `outdev`?"
)]
#[case(
    "filter-mirror,id=f0,netdev=hn1,outdev=out0",
    "`netdev` names `hn1`, and the netdevs declared are hn0"
)]
#[case(
    "filter-mirror,id=f0,netdev=hn0,outdev=out1",
    "`outdev` names `out1`, and the chardevs declared are out0"
)]
#[case("filter-mirorr,id=f0,netdev=hn0,outdev=out0", "did you mean the type `filter-mirror`?")]
#[case("{ qom-type: filter-mirror, id: f0, netdev: hn0, outdve: out0 }", "did you mean `outdev`?")]
#[case(
    "filter-mirror,id=f0,netdev=hn0,outdev=out0,queue=up",
    "help: where this is meant, say so: expect: {error: {f0: \"Parameter 'queue' does not accept value 'up'\"}}"
)]
fn a_refusal_says_what_was_perhaps_meant(#[case] object: &str, #[case] help: &str) {
    let scenario = format!(
        "description: An object.\nnetdevs: {{ hn0: {{}} }}\nchardevs: {{ out0: {{}} }}\nobjects:\n  \
         - {object}\nsteps:\n  - note: it is there\n"
    );
    refused_with(&scenario, help);
}

#[test]
fn a_code_that_is_printed_is_explained() {
    let project = Project::suite(&[]);
    let output = project.tapwright(&["check", "nowhere"]);
    let text = String::from_utf8(output.stderr).unwrap();
    let code = text.split_whitespace().find(|word| word.starts_with("TW-")).unwrap();
    for written in [code, &code.to_lowercase(), code.trim_start_matches("TW-")] {
        let explained = project.tapwright(&["explain", written]);
        assert_eq!(explained.status.code(), Some(0));
        let text = String::from_utf8(explained.stdout).unwrap();
        assert!(text.starts_with(code), "{written}: {text}");
    }
    assert_eq!(project.exit(&["explain", "TW-Z999"]), 2);
}

#[test]
fn a_case_is_named_alike_from_everywhere() {
    let project = Project::suite(&[("deep/a.yaml", PASSES)]);
    for path in ["scenarios", "scenarios/deep", "scenarios/deep/a.yaml", "."] {
        assert_eq!(stdout(&project, &["list", path]), "deep/a\n", "{path}");
    }
}
