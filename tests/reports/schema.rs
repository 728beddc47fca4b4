//! What is written for programs is what its schema says: every event and the record of a run of the
//! whole suite in memory, and of runs in which everything goes wrong.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use jsonschema::Validator;
use serde_json::Value;
use test_support::Project;

use crate::scenario::{FAILS, INVALID, MANY, NEEDS_HOST, PASSES};

fn validator(name: &str) -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn check(validator: &Validator, value: &Value) {
    // The quick question first: the suite's events are 100 MB.
    if validator.is_valid(value) {
        return;
    }
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    panic!("{value}\n{}", errors.join("\n"));
}

/// Runs with both, holds them against their schemas, and gives the types of the lines.
fn checked(project: &Project, arguments: &[&str]) -> BTreeSet<String> {
    let reported = ["run", "--format=json", "--events", "--report=json=run.json"];
    let mut child = project
        .command(&[&reported, arguments].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let events = validator("events.schema.json");
    let mut types = BTreeSet::new();
    // Each line while the run goes on.
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let value: Value = serde_json::from_str(&line.unwrap()).unwrap();
        check(&events, &value);
        types.insert(value["type"].as_str().unwrap().to_owned());
    }
    child.wait().unwrap();
    let record: Value = serde_json::from_str(&project.read("run.json")).unwrap();
    check(&validator("run.schema.json"), &record);
    types
}

#[test]
fn every_event_of_the_suite_is_as_its_schema_says() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let project = Project::suite(&[]);
    let types = checked(&project, &["--ci", "--backend=sim", suite.to_str().unwrap()]);
    let expected = ["case-finished", "case-started", "run-finished", "run-started"];
    assert!(expected.iter().all(|name| types.contains(*name)), "{types:?}");
}

#[test]
fn so_is_every_event_of_runs_that_go_wrong() {
    let project = Project::suite(&[
        ("fails.yaml", FAILS),
        ("host.yaml", NEEDS_HOST),
        ("many.yaml", MANY),
        ("new.yaml", PASSES),
    ]);
    project.exit(&["run", "--backend=sim", "--accept", "-k", "many"]);
    let path = project.path().join("scenarios/many.yaml");
    fs::write(path, MANY.replace("number", "nummer")).unwrap();
    checked(&project, &["--backend=sim", "--repeat=2"]);
    let project = Project::suite(&[("invalid.yaml", INVALID)]);
    let types = checked(&project, &["--backend=sim"]);
    assert_eq!(types, BTreeSet::from(["diagnostic".to_owned()]));
}

#[test]
fn a_schema_refuses_what_it_does_not_say() {
    let events = validator("events.schema.json");
    for wrong in [
        r#"{"type":"run-begun"}"#,
        r#"{"type":"case-started"}"#,
        r#"{"type":"case-started","case":7}"#,
        r#"{"type":"interrupted","running":-1}"#,
    ] {
        assert!(!events.is_valid(&serde_json::from_str(wrong).unwrap()), "{wrong}");
    }
    let run = validator("run.schema.json");
    assert!(!run.is_valid(&serde_json::json!({ "format": 1, "cases": [] })));
}
