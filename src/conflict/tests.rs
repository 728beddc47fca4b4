//! Surveys of small tables, and those of each object as reviewed snapshots.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::Value;

use super::*;
use crate::{
    base::{Profile, QemuVersion},
    record::CommandError,
};

fn survey(table: ObjectTable, version: QemuVersion) -> Survey {
    Survey::of(table, &[Profile::new(version)]).unwrap()
}

fn first(qom_type: &str) -> ObjectTable {
    tables(qom_type).swap_remove(0)
}

/// The arguments of an `object-add`, whatever their order.
fn key(args: &serde_json::Map<String, Value>) -> String {
    let sorted: BTreeMap<_, _> = args.iter().collect();
    format!("{sorted:?}")
}

/// Whether an `object-add` is a combination of a table.
fn has(table: &ObjectTable, args: &serde_json::Map<String, Value>) -> bool {
    let known = |name: &str| {
        let fixed = table.fixed.iter().any(|(fixed, _)| *fixed == name);
        fixed || table.axes.iter().any(|axis| axis.name == name)
    };
    let given = |name: &str| args.get(name).cloned();
    args["qom-type"] == table.qom_type
        && args.keys().all(|name| name == "qom-type" || known(name))
        && table.fixed.iter().all(|(name, cell)| cell.value() == given(name))
        && table.axes.iter().all(|axis| {
            let mut values = axis.values.iter();
            values.any(|cell| cell.value() == given(axis.name))
        })
}

#[rstest]
fn a_summary_says_of_each_combination_what_came_of_it(
    #[values("filter-redirector", "filter-mirror", "filter-buffer", "colo-compare")] kind: &str,
) {
    let survey = survey(first(kind), QemuVersion::RfcV1);
    let summary = Summary::of(&survey);
    let mut decided = vec![0; summary.rules.len()];
    for (row, outcome) in survey.rows.iter().enumerate() {
        let said = survey.table.arguments(row);
        let mut accepted = summary.accepted.iter();
        let accepted = accepted.any(|cube| survey.table.holds(cube, row));
        assert_eq!(accepted, survey.is_plain(*outcome), "{said:?}");
        match summary.decides(&survey, row) {
            Some(rule) => {
                assert_eq!(summary.rules[rule].outcome, *outcome, "{said:?}");
                decided[rule] += 1;
            }
            None => assert!(survey.is_plain(*outcome), "{said:?}"),
        }
    }
    let said: Vec<usize> = summary.rules.iter().map(|rule| rule.decides).collect();
    assert_eq!(decided, said);
}

/// `scenarios/conflicts/matrix.snap` was made by running the scenario; a person reviewed it.
#[test]
fn the_reviewed_matrix_says_the_same() {
    let snapshot = include_str!("../../scenarios/conflicts/matrix.snap");
    let survey = survey(first("filter-redirector"), QemuVersion::RfcV1);
    let replies: BTreeMap<String, &Reply> = (0..survey.rows.len())
        .map(|row| {
            let reply = &survey.outcomes[survey.rows[row]][0];
            (key(&survey.table.arguments(row)), reply)
        })
        .collect();
    let mut lines = snapshot.lines().skip_while(|line| !line.starts_with("| netdev"));
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_start_matches("| ");
        line.splitn(7, '|').map(|cell| cell.trim().to_owned()).collect()
    };
    let names = cells(lines.next().unwrap());
    let mut compared = 0;
    for line in lines {
        let values = cells(line);
        let [given @ .., outcome] = values.as_slice() else {
            panic!("{line}");
        };
        let of = |axis: &str| -> Option<&str> {
            let at = names.iter().position(|name| name == axis).unwrap();
            Some(given[at].as_str()).filter(|text| *text != "null")
        };
        let args: serde_json::Map<String, Value> =
            [("qom-type", "filter-redirector"), ("id", "f0")]
                .into_iter()
                .chain(
                    ["netdev", "queue", "in_netdev", "out_netdev", "indev", "outdev"]
                        .into_iter()
                        .filter_map(|axis| Some((axis, of(axis)?))),
                )
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
        let said = match replies[&key(&args)] {
            Reply::Accepted => "ok".to_owned(),
            Reply::Refused(error) => error.to_string(),
            Reply::Dies { words, .. } => words.clone(),
            Reply::Freezes { .. } => "freezes".to_owned(),
        };
        assert_eq!(said, *outcome, "{line}");
        compared += 1;
    }
    assert_eq!(compared, 1800);
}

/// What stands in a record for what here: the netdev may be a TAP or a socket, filters do not ask.
const NAMES: &[(&str, &str)] =
    &[("n0", "hn0"), ("t0", "hn0"), ("u0", "us0"), ("qmp0", "mon0"), ("cnull", "null0")];

#[rstest]
#[case(
    QemuVersion::Qemu72,
    include_str!("../../fixtures/qemu/errors-7.2.jsonl")
)]
#[case(
    QemuVersion::Qemu102,
    include_str!("../../fixtures/qemu/errors-10.2.jsonl")
)]
#[case(
    QemuVersion::Qemu100,
    include_str!("../../fixtures/qemu/errors-10.0.jsonl")
)]
#[case(
    QemuVersion::Qemu111,
    include_str!("../../fixtures/qemu/errors-11.1.jsonl")
)]
fn a_real_qemu_said_the_same(#[case] version: QemuVersion, #[case] records: &str) {
    let tables: Vec<_> = types().into_iter().flat_map(tables).collect();
    let profile = Profile::new(version);
    let mut compared = 0;
    for line in records.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let own = record["cmd"] == "object-add"
            && record.get("pre").is_none()
            && ["std", "tap"].iter().any(|name| record["setup"] == *name);
        let Some(args) = record["args"].as_object().filter(|_| own) else {
            continue;
        };
        let args = args.iter().map(|(name, value)| (name.clone(), renamed(value))).collect();
        if !tables.iter().any(|table| has(table, &args)) {
            continue;
        }
        let reply = survey::reply(&profile, &args).unwrap();
        let text = |value: &Value| {
            let text = value.as_str().unwrap().to_owned();
            NAMES.iter().fold(text, |text, (theirs, ours)| {
                text.replace(&format!("'{theirs}'"), &format!("'{ours}'"))
                    .replace(&format!("\"{theirs}\""), &format!("\"{ours}\""))
            })
        };
        let error = |of: &Value| CommandError {
            class: of["class"].as_str().unwrap().to_owned(),
            desc: text(&of["desc"]),
        };
        match &reply {
            Reply::Accepted => assert_eq!(record["class"], Value::Null, "{line}"),
            Reply::Refused(refusal) => assert_eq!(*refusal, error(&record), "{line}"),
            Reply::Dies { words, survivor } => {
                assert_eq!(record["class"], "CRASH", "{line}");
                let said = text(&record["desc"]);
                let kept: Vec<&str> =
                    said.split(' ').filter(|word| !word.starts_with("0x")).collect();
                assert!(kept.join(" ").ends_with(words.as_str()), "{line}: {words}");
                // The records of 7.2 have the survivor's words from a build of 10.2.
                let intended = record.get("intended");
                if let Some(intended) = intended.filter(|_| version != QemuVersion::Qemu72) {
                    assert_eq!(*survivor, Some(error(intended)), "{line}");
                }
            }
            Reply::Freezes { survivor } => {
                assert_eq!(record["class"], "FROZEN", "{line}");
                assert_eq!(*survivor, Some(error(&record["intended"])), "{line}");
            }
        }
        compared += 1;
    }
    assert!(compared >= 50, "{compared} records are in the tables");
}

fn renamed(value: &Value) -> Value {
    let known = NAMES.iter().find(|(theirs, _)| *value == *theirs);
    known.map_or_else(|| value.clone(), |(_, ours)| (*ours).into())
}

#[test]
fn every_property_of_a_type_is_tried() {
    for kind in types() {
        let listed = properties(kind);
        let tables = tables(kind);
        let tried = tables.iter().flat_map(|table| {
            let fixed = table.fixed.iter().map(|(name, _)| *name);
            table.axes.iter().map(|axis| axis.name).chain(fixed)
        });
        let tried: Vec<&str> = tried.collect();
        assert!(listed.len() > 4, "{kind}: {listed:?}");
        for name in listed {
            assert!(tried.contains(&name.as_str()), "{kind} has {name}");
        }
    }
}

/// What `qom-list` shows of an accepted object, but its type.
fn properties(kind: &str) -> Vec<String> {
    let (table, profile) = (first(kind), Profile::default());
    let args = (0..table.combinations())
        .map(|row| table.arguments(row))
        .find(|args| survey::reply(&profile, args).unwrap() == Reply::Accepted);
    survey::listed(&profile, &args.unwrap())
}

#[test]
fn what_a_person_reads() {
    let survey = survey(first("filter-redirector"), QemuVersion::RfcV1);
    let summary = Summary::of(&survey);
    insta::assert_snapshot!("text", text(&survey, &summary));
    insta::assert_snapshot!("markdown", markdown(&survey, &summary));
}

#[rstest]
#[case("text_of_rfc_v2", QemuVersion::RfcV2)]
#[case("text_of_rfc_v3", QemuVersion::RfcV3)]
#[case("text_of_rfc_v4", QemuVersion::RfcV4)]
fn what_a_person_reads_of_a_later_version(#[case] name: &str, #[case] version: QemuVersion) {
    let tables = tables("filter-redirector").into_iter().chain(tables("filter-buffer"));
    let texts = tables.map(|table| {
        let survey = survey(table, version);
        text(&survey, &Summary::of(&survey))
    });
    insta::assert_snapshot!(name, texts.collect::<Vec<_>>().join("\n"));
}

#[rstest]
#[case("from_v1_to_v2", QemuVersion::RfcV2)]
#[case("from_v1_to_v4", QemuVersion::RfcV4)]
fn what_changed_between_the_versions(#[case] name: &str, #[case] version: QemuVersion) {
    let profiles = [QemuVersion::RfcV1, version].map(Profile::new);
    let survey = Survey::of(first("filter-redirector"), &profiles).unwrap();
    let objects = text(&survey, &Summary::of(&survey));
    insta::assert_snapshot!(name, format!("{objects}\n{}", rules_text(&profiles)));
}

#[test]
fn rules_are_compared_where_there_are_two_versions_of_the_rfc() {
    let of = |versions: &[QemuVersion]| {
        let profiles: Vec<Profile> = versions.iter().copied().map(Profile::new).collect();
        (rules_text(&profiles), rules_markdown(&profiles))
    };
    let nothing = (String::new(), String::new());
    assert_eq!(of(&[QemuVersion::RfcV1]), nothing);
    assert_eq!(of(&[QemuVersion::RfcV1, QemuVersion::Ideal]), nothing);
    assert_eq!(of(&[QemuVersion::RfcV1, QemuVersion::Qemu111]), nothing);
    let (text, markdown) = of(&[QemuVersion::RfcV2, QemuVersion::RfcV3]);
    assert!(text.contains("\n  cleanup\n    rfc-v2  -        no such rule\n"), "{text}");
    assert!(markdown.contains("| cleanup | no such rule | follows: "), "{markdown}");
}

#[test]
fn what_differs_between_profiles() {
    let profiles = [QemuVersion::Qemu102, QemuVersion::RfcV1].map(Profile::new);
    let survey = Survey::of(first("filter-redirector"), &profiles).unwrap();
    insta::assert_snapshot!(text(&survey, &Summary::of(&survey)));
}

#[test]
fn a_comparer_that_dies_says_what_it_would_have_said() {
    let survey = survey(first("colo-compare"), QemuVersion::Qemu102);
    insta::assert_snapshot!(text(&survey, &Summary::of(&survey)));
}

#[test]
fn every_combination_is_in_the_json() {
    let survey = survey(first("filter-buffer"), QemuVersion::Qemu72);
    let text = json(&survey, &Summary::of(&survey));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (head, rows) = lines.split_first().unwrap();
    assert_eq!(head["combinations"], rows.len());
    let refused = rows.iter().filter(|row| row["replies"]["qemu-7.2"]["outcome"] == "refused");
    let checks = rows.iter().filter(|row| row["check"] != Value::Null);
    assert_eq!(refused.count(), checks.count());
    insta::assert_snapshot!(format!("{}\n{}", head, rows[2]));
}
