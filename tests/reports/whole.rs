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
use quick_xml::events::{BytesStart, Event};
use rstest::rstest;
use serde_json::Value;

use crate::project::{FAILS, INVALID, MANY, NEEDS_HOST, PASSES, Project};

fn mixed() -> Project {
    let project = Project::new(&[
        ("a/fails.yaml", FAILS),
        ("a/new.yaml", PASSES),
        ("b/host.yaml", NEEDS_HOST),
        ("known.yaml", PASSES),
    ]);
    project.exit(&["run", "--backend", "sim", "--accept", "-k", "known"]);
    project
}

fn json(project: &Project, name: &str) -> Value {
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
    insta::assert_snapshot!(
        "junit",
        without_stamp(&redacted(&project.read("out/deep/run.xml")))
    );
    insta::assert_snapshot!("markdown", redacted(&project.read("run.md")));
}

/// The same with what changes from run to run made equal: times, the version.
fn redacted(text: &str) -> String {
    let mut out = String::new();
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut rest = text.as_str();
    // A time has digits, a point and at least three digits.
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let end = from
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        let decimals = number
            .split_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
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
    assert!(
        text.contains("TW-E060") && text.contains("'scenarios'"),
        "{text}"
    );
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
    assert!(
        text.contains("TW-E060") && text.contains("/dev/full"),
        "{text}"
    );
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
    let project = Project::new(&[("a.yaml", PASSES)]);
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
    let project = Project::new(&[("a.yaml", INVALID)]);
    let reports = ["--report=json=run.json", "--report=junit=run.xml"];
    let arguments = [&["run", "--backend=sim"], &reports[..]].concat();
    assert_eq!(project.exit(&arguments), 2);
    let record = json(&project, "run.json");
    assert_eq!(record["sums"]["exit_code"], 2);
    assert_eq!(record["diagnostics"].as_array().unwrap().len(), 2);
    let xml = project.read("run.xml");
    assert!(
        xml.contains("errors=\"2\"") && xml.contains("scenarios/a.yaml"),
        "{xml}"
    );
}

#[test]
fn junit_goes_to_standard_output_whole() {
    let project = mixed();
    let output = project.tapwright(&["run", "--backend=sim", "--format=junit"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("<?xml") && text.ends_with("</testsuites>\n"),
        "{text}"
    );
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
    assert!(
        summary.starts_with("before\n### tapwright: failed\n"),
        "{summary}"
    );
}

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
    ["merge"]
        .into_iter()
        .chain(files)
        .chain(more.iter().copied())
        .collect()
}

#[rstest]
#[case(&[("many.yaml", MANY), ("a.yaml", FAILS), ("b.yaml", NEEDS_HOST)], 1)]
#[case(&[("b.yaml", NEEDS_HOST), ("c.yaml", NEEDS_HOST)], 3)]
#[case(&[("many.yaml", MANY)], 0)]
fn shards_merge_into_the_run_that_was_not_split(#[case] files: &[(&str, &str)], #[case] code: i32) {
    let project = Project::new(files);
    project.exit(&["run", "--backend=sim", "--accept"]);
    assert_eq!(
        project.exit(&["run", "--backend=sim", "--ci", "--report=json=one.json"]),
        code
    );
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
    let project = Project::new(&[("many.yaml", MANY)]);
    project.exit(&["run", "--backend=sim", "--accept"]);
    let mut files = shards(&project, 4, &[2]);
    fs::copy(
        project.path().join(&files[0]),
        project.path().join("again.json"),
    )
    .unwrap();
    fs::write(project.path().join("killed.json"), "").unwrap();
    files.extend(["again.json".to_owned(), "killed.json".to_owned()]);
    let output = project.tapwright(&merge(&files, &["--report=junit=all.xml"]));
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!("odd", String::from_utf8(output.stderr).unwrap());
    let told = redacted(&String::from_utf8(output.stdout).unwrap());
    assert!(
        told.lines().last().unwrap().contains("cases run:"),
        "{told}"
    );
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

/// Each element of Jenkins's junit-10.xsd (xunit-plugin): what it may hold, the attributes that it
/// must have, and those that it may.
const SCHEMA: &[(&str, &[&str], &[&str], &[&str])] = &[
    (
        "testsuites",
        &["testsuite"],
        &[],
        &["name", "time", "tests", "failures", "errors"],
    ),
    (
        "testsuite",
        &[
            "testsuite",
            "properties",
            "testcase",
            "system-out",
            "system-err",
        ],
        &["name", "tests", "failures", "errors"],
        &[
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
    ),
    ("properties", &["property"], &[], &[]),
    ("property", &[], &["name", "value"], &[]),
    (
        "testcase",
        &[
            "skipped",
            "error",
            "failure",
            "rerunFailure",
            "rerunError",
            "flakyFailure",
            "flakyError",
            "system-out",
            "system-err",
        ],
        &["name"],
        &["time", "classname", "group"],
    ),
    ("skipped", &[], &[], &["type", "message"]),
    ("error", &[], &[], &["type", "message"]),
    ("failure", &[], &[], &["type", "message"]),
    ("rerunFailure", RERUN, &["type"], &["message"]),
    ("rerunError", RERUN, &["type"], &["message"]),
    ("flakyFailure", RERUN, &["type"], &["message"]),
    ("flakyError", RERUN, &["type"], &["message"]),
    ("stackTrace", &[], &[], &[]),
    ("system-out", &[], &[], &[]),
    ("system-err", &[], &[], &[]),
];
const RERUN: &[&str] = &["stackTrace", "system-out", "system-err"];

fn check_element(above: Option<&str>, element: &BytesStart<'_>) -> String {
    let name = element.name().as_ref().to_owned();
    let row = |name: &str| {
        SCHEMA
            .iter()
            .find(|(element, ..)| *element == name)
            .unwrap()
    };
    let (_, _, needed, allowed) = row(&name);
    match above {
        None => assert_eq!(name, "testsuites"),
        Some(above) => assert!(row(above).1.contains(&name.as_str()), "{name} in {above}"),
    }
    let attributes: Vec<String> = element
        .attributes()
        .map(|attribute| attribute.unwrap().key.as_ref().to_owned())
        .collect();
    for attribute in &attributes {
        let known = needed.contains(&attribute.as_str()) || allowed.contains(&attribute.as_str());
        assert!(known, "{attribute} of {name}");
    }
    for needed in *needed {
        assert!(
            attributes.iter().any(|attribute| attribute == needed),
            "{needed} of {name}"
        );
    }
    name
}

#[rstest]
#[case(&[("a.yaml", FAILS), ("b.yaml", NEEDS_HOST), ("many.yaml", MANY)])]
#[case(&[("a.yaml", INVALID)])]
#[case(&[])]
fn junit_has_only_what_the_schema_has(#[case] files: &[(&str, &str)]) {
    let project = Project::new(files);
    fs::create_dir_all(project.path().join("scenarios")).unwrap();
    project.exit(&[
        "run",
        "--backend=sim",
        "--repeat=2",
        "--report=junit=run.xml",
    ]);
    let text = project.read("run.xml");
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut open: Vec<String> = Vec::new();
    let mut seen = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) => {
                seen += 1;
                let name = check_element(open.last().map(String::as_str), &element);
                open.push(name);
            }
            Event::Empty(element) => {
                seen += 1;
                check_element(open.last().map(String::as_str), &element);
            }
            Event::End(_) => drop(open.pop()),
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty() && seen > 0);
}
