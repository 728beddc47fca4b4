//! JUnit has only what the schema has that CI systems read.

use std::fs;

use quick_xml::events::{BytesStart, Event};
use rstest::rstest;
use test_support::Project;

use crate::scenario::{FAILS, INVALID, MANY, NEEDS_HOST};

/// An element, what it may hold, the attributes that it must have, and those that it may.
type Row = (&'static str, Names, Names, Names);
type Names = &'static [&'static str];

/// Jenkins's junit-10.xsd (xunit-plugin).
const SCHEMA: &[Row] = &[
    ("testsuites", &["testsuite"], &[], &["name", "time", "tests", "failures", "errors"]),
    (
        "testsuite",
        &["testsuite", "properties", "testcase", "system-out", "system-err"],
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
const RERUN: Names = &["stackTrace", "system-out", "system-err"];

fn check_element(above: Option<&str>, element: &BytesStart<'_>) -> String {
    let name = element.name().as_ref().to_owned();
    let row = |name: &str| SCHEMA.iter().find(|(element, ..)| *element == name).unwrap();
    let (_, _, needed, allowed) = row(&name);
    match above {
        None => assert_eq!(name, "testsuites"),
        Some(above) => assert!(row(above).1.contains(&name.as_str()), "{name} in {above}"),
    }
    let attributes: Vec<String> =
        element.attributes().map(|attribute| attribute.unwrap().key.as_ref().to_owned()).collect();
    for attribute in &attributes {
        let known = needed.contains(&attribute.as_str()) || allowed.contains(&attribute.as_str());
        assert!(known, "{attribute} of {name}");
    }
    for needed in *needed {
        assert!(attributes.iter().any(|attribute| attribute == needed), "{needed} of {name}");
    }
    name
}

#[rstest]
#[case(&[("a.yaml", FAILS), ("b.yaml", NEEDS_HOST), ("many.yaml", MANY)])]
#[case(&[("a.yaml", INVALID)])]
#[case(&[])]
fn junit_has_only_what_the_schema_has(#[case] files: &[(&str, &str)]) {
    let project = Project::suite(files);
    fs::create_dir_all(project.path().join("scenarios")).unwrap();
    project.exit(&["run", "--backend=sim", "--repeat=2", "--report=junit=run.xml"]);
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
