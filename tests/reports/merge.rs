//! Shards, merged.

use std::fs;

use rstest::rstest;
use serde_json::Value;
use test_support::Project;

use crate::{
    scenario::{FAILS, MANY, NEEDS_HOST},
    whole::{json, mixed, redacted},
};

/// Each shard's report; those of `without` are not there.
fn shards(project: &Project, of: usize, without: &[usize]) -> Vec<String> {
    let mut files = Vec::new();
    for index in (1..=of).filter(|index| !without.contains(index)) {
        let file = format!("shard-{index}.json");
        project.tapwright(&[
            "run",
            "--backend=sim",
            "--ci",
            &format!("--partition=hash:{index}/{of}"),
            &format!("--report=json={file}"),
        ]);
        files.push(file);
    }
    files
}

fn merge<'a>(files: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let files = files.iter().map(String::as_str);
    ["merge"].into_iter().chain(files).chain(more.iter().copied()).collect()
}

/// What can't be used is counted, and is no case of those that were to run.
#[test]
fn a_run_of_files_that_are_wrong_is_merged() {
    let project = Project::suite(&[("a.yaml", "description: x\nstep: []\nstap: []\n")]);
    assert_eq!(project.exit(&["run", "--backend=sim", "--report=json=one.json"]), 2);
    let output = project.tapwright(&["merge", "one.json"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("] 0 cases run: 0 passed, 0 failed, 3 invalid,"), "{text}");
}

#[rstest]
#[case(&[("many.yaml", MANY), ("a.yaml", FAILS), ("b.yaml", NEEDS_HOST)], 1)]
#[case(&[("b.yaml", NEEDS_HOST), ("c.yaml", NEEDS_HOST)], 3)]
#[case(&[("many.yaml", MANY)], 0)]
fn shards_merge_into_the_run_that_was_not_split(#[case] files: &[(&str, &str)], #[case] code: i32) {
    let project = Project::suite(files);
    project.exit(&["run", "--backend=sim", "--accept"]);
    assert_eq!(project.exit(&["run", "--backend=sim", "--ci", "--report=json=one.json"]), code);
    let shards = shards(&project, 3, &[]);
    let output = project.tapwright(&merge(&shards, &["--report=json=all.json"]));
    assert_eq!(output.status.code(), Some(code));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let (one, all) = (json(&project, "one.json"), json(&project, "all.json"));
    let cases = |record: &Value| {
        let mut cases: Vec<String> = record["cases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|case| {
                let mut case = case.clone();
                case["seconds"] = 0.into();
                case.to_string()
            })
            .collect();
        cases.sort();
        cases
    };
    assert_eq!(cases(&one), cases(&all));
    let sums = |record: &Value| {
        let mut sums = record["sums"].clone();
        sums["seconds"] = 0.into();
        sums
    };
    assert_eq!(sums(&one), sums(&all));
}

#[test]
fn what_is_odd_about_shards_is_told_and_what_is_there_is_merged() {
    let project = Project::suite(&[("many.yaml", MANY)]);
    project.exit(&["run", "--backend=sim", "--accept"]);
    let mut files = shards(&project, 4, &[2]);
    fs::copy(project.path().join(&files[0]), project.path().join("again.json")).unwrap();
    fs::write(project.path().join("killed.json"), "").unwrap();
    files.extend(["again.json".to_owned(), "killed.json".to_owned()]);
    let output = project.tapwright(&merge(&files, &["--report=junit=all.xml"]));
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!("odd", String::from_utf8(output.stderr).unwrap());
    let told = redacted(&String::from_utf8(output.stdout).unwrap());
    assert!(told.lines().last().unwrap().contains("cases run:"), "{told}");
    let xml = project.read("all.xml");
    assert!(xml.contains("TW-E062") && xml.contains("TW-E061"), "{xml}");
}

#[test]
fn a_merged_run_is_told_in_every_format() {
    let project = mixed();
    let files = shards(&project, 2, &[]);
    for (format, beginning) in [
        ("human", " "),
        ("json", "{\"type\":\"run-started\""),
        ("junit", "<?xml"),
        ("github", "::stop-commands::"),
    ] {
        let output = project.tapwright(&merge(&files, &["--format", format]));
        assert_eq!(output.status.code(), Some(1), "{format}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with(beginning), "{format}: {text}");
    }
}
