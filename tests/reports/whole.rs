//! Reports of whole runs, by the real binary: what they hold, and what happens where they can't be
//! written.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use test_support::Project;

use crate::scenario::{FAILS, INVALID, NEEDS_HOST, PASSES};

pub(crate) fn mixed() -> Project {
    let project = Project::suite(&[
        ("a/fails.yaml", FAILS),
        ("a/new.yaml", PASSES),
        ("b/host.yaml", NEEDS_HOST),
        ("known.yaml", PASSES),
    ]);
    project.exit(&["run", "--backend", "sim", "--accept", "-k", "known"]);
    project
}

pub(crate) fn json(project: &Project, name: &str) -> Value {
    serde_json::from_str(&project.read(name)).unwrap()
}

#[test]
fn every_report_of_a_run_is_written_though_it_fails() {
    let project = mixed();
    let code = project.exit(&[
        "run",
        "--backend=sim",
        "--jobs=1",
        "--report=json=out/run.json",
        "--report=junit=out/deep/run.xml",
        "--report=markdown=run.md",
    ]);
    assert_eq!(code, 1);
    let record = json(&project, "out/run.json");
    assert_eq!(record["format"], 1);
    assert_eq!(record["sums"]["exit_code"], 1);
    assert_eq!(record["cases"].as_array().unwrap().len(), 4);
    insta::assert_snapshot!("junit", without_stamp(&redacted(&project.read("out/deep/run.xml"))));
    insta::assert_snapshot!("markdown", redacted(&project.read("run.md")));
}

/// The same with what changes from run to run made equal: times, the version.
pub(crate) fn redacted(text: &str) -> String {
    let mut out = String::new();
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut rest = text.as_str();
    // A time has digits, a point and at least three digits.
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        out.push_str(before);
        out.push_str(if decimals >= 3 { "TIME" } else { number });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The same with the time at which the run began.
fn without_stamp(text: &str) -> String {
    let mut out = String::new();
    for (at, piece) in text.split("timestamp=\"").enumerate() {
        match piece.split_once('"') {
            Some((_, rest)) if at > 0 => out += &format!("timestamp=\"WHEN\"{rest}"),
            _ => out += piece,
        }
    }
    out
}

#[test]
fn a_place_that_can_not_be_written_is_told_before_anything_runs() {
    let project = mixed();
    let output = project.tapwright(&["run", "--backend=sim", "--report=json=scenarios"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("TW-E060") && text.contains("'scenarios'"), "{text}");
}

#[test]
fn a_report_that_can_not_be_written_stops_neither_the_run_nor_the_other_reports() {
    let project = mixed();
    let output = project.tapwright(&[
        "run",
        "--backend=sim",
        "--report=json=/dev/full",
        "--report=json=run.json",
    ]);
    assert_eq!(output.status.code(), Some(70));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("TW-E060") && text.contains("/dev/full"), "{text}");
    assert_eq!(json(&project, "run.json")["sums"]["failed"], 1);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("Summary"), "{told}");
}

#[test]
fn nobody_at_standard_output_does_not_cost_the_report() {
    let project = mixed();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = project
        .command(&["run", "--backend=sim", "--report=json=run.json"])
        .stdout(full)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(70));
    assert_eq!(json(&project, "run.json")["sums"]["failed"], 1);
}

#[test]
fn a_run_that_is_interrupted_writes_its_reports() {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    let mut child = project
        .command(&[
            "run",
            "--backend=sim",
            "--format=json",
            "--repeat=100000",
            "--report=json=run.json",
            "--report=junit=run.xml",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = out.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("case-started")));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert!(lines.any(|line| line.contains("run-finished")));
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let record = json(&project, "run.json");
    assert_eq!(record["sums"]["interrupted"], true);
    assert_eq!(record["sums"]["exit_code"], 130);
    assert!(project.read("run.xml").contains("the run was interrupted"));
}

#[test]
fn what_keeps_a_run_from_beginning_is_in_its_reports() {
    let project = Project::suite(&[("a.yaml", INVALID)]);
    let reports = ["--report=json=run.json", "--report=junit=run.xml"];
    let arguments = [&["run", "--backend=sim"], &reports[..]].concat();
    assert_eq!(project.exit(&arguments), 2);
    let record = json(&project, "run.json");
    assert_eq!(record["sums"]["exit_code"], 2);
    assert_eq!(record["diagnostics"].as_array().unwrap().len(), 2);
    let xml = project.read("run.xml");
    assert!(xml.contains("errors=\"2\"") && xml.contains("scenarios/a.yaml"), "{xml}");
}

#[test]
fn junit_goes_to_standard_output_whole() {
    let project = mixed();
    let output = project.tapwright(&["run", "--backend=sim", "--format=junit"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("<?xml") && text.ends_with("</testsuites>\n"), "{text}");
}

#[test]
fn github_gets_annotations_and_a_summary_behind_what_is_there() {
    let project = mixed();
    let summary = project.path().join("summary.md");
    fs::write(&summary, "before\n").unwrap();
    let output = project
        .command(&["run", "--backend=sim", "--jobs=1", "--format=github"])
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("GITHUB_WORKSPACE", project.path().join("scenarios"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let token = text.lines().next().unwrap().rsplit_once(':').unwrap().1;
    insta::assert_snapshot!("github", redacted(&text.replace(token, "TOKEN")));
    let summary = fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("before\n### tapwright: failed\n"), "{summary}");
}
