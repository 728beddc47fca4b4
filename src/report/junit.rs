//! JUnit XML in the shape that CI systems read: the elements and attributes of Jenkins's junit-10.xsd
//! (xunit-plugin) and no others.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use chrono::DateTime;
use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use super::{
    failure,
    record::{CaseRecord, CaseStatus, FailingRecord, RunRecord},
};
use crate::terminal::visible_lines;

/// Bytes of a text that are kept: parsers refuse nodes of some megabytes (libxml2: ten), and nobody
/// reads them in a browser.
const LONGEST: usize = 64 * 1024;

/// Writes a run as JUnit: a suite for each directory of scenarios, a test case for each case.
pub(super) fn write(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let record = &*record.visible();
    let mut report = Report::new("tapwright");
    report.set_time(seconds(record.sums.seconds));
    report.add_test_suites(suites(record));
    let text = report.to_string().map_err(io::Error::other)?;
    // quick-junit counts skipped test cases on the root too, where the schema has no such attribute.
    let skipped = format!(" skipped=\"{}\"", report.skipped);
    out.write_all(text.replacen(&skipped, "", 1).as_bytes())
}

fn suites(record: &RunRecord) -> Vec<TestSuite> {
    let mut groups: BTreeMap<(String, &str), Vec<&CaseRecord>> = BTreeMap::new();
    for case in &record.cases {
        let group = (directory(&case.case).to_owned(), case.backend.as_str());
        groups.entry(group).or_default().push(case);
    }
    let mut backends: Vec<&str> = groups.keys().map(|(_, backend)| *backend).collect();
    backends.sort_unstable();
    backends.dedup();
    let several = backends.len() > 1;
    let mut suites: Vec<TestSuite> = groups
        .into_iter()
        .map(|((name, backend), mut cases)| {
            cases.sort_by(|a, b| a.case.cmp(&b.case));
            let name = if several { format!("{name} [{backend}]") } else { name };
            let mut suite = suite(&name, record);
            suite.add_property(("backend", backend));
            suite.set_time(cases.iter().map(|case| seconds(case.seconds)).sum());
            let prefix = if several { Some(backend) } else { None };
            suite.add_test_cases(cases.into_iter().map(|case| test_case(case, prefix)));
            suite
        })
        .collect();
    suites.extend(whole_run(record));
    suites
}

/// What is wrong with the run and not with a case.
fn whole_run(record: &RunRecord) -> Option<TestSuite> {
    let error = |name: &str, ty: &str, message: &str, text: &str| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type(printable(ty)).set_message(line(message)).set_description(printable(text));
        let mut case = TestCase::new(printable(name), status);
        case.set_classname("tapwright");
        case
    };
    let mut cases: Vec<TestCase> = record
        .diagnostics
        .iter()
        .map(|one| {
            let name = one.file.as_deref().unwrap_or("run");
            error(name, &one.code, &one.message, &one.rendered)
        })
        .collect();
    if record.sums.totals.interrupted {
        let sums = super::human::sum(&record.sums);
        cases.push(error("run", "interrupted", "the run was interrupted", &sums));
    }
    if cases.is_empty() {
        return None;
    }
    let mut suite = suite("tapwright", record);
    suite.add_test_cases(cases);
    Some(suite)
}

fn suite(name: &str, record: &RunRecord) -> TestSuite {
    let mut suite = TestSuite::new(printable(name));
    suite.add_property(("tapwright", record.tapwright.as_str()));
    if let Ok(started) = DateTime::parse_from_rfc3339(&record.started) {
        suite.set_timestamp(started);
    }
    if let Some(shard) = record.run.partition {
        suite.add_property(("partition", shard.to_string().as_str()));
    }
    suite
}

fn test_case(case: &CaseRecord, prefix: Option<&str>) -> TestCase {
    let mut test = TestCase::new(printable(&case.case), status(case));
    test.set_time(seconds(case.seconds));
    let class = scenario(&case.case).replace('/', ".");
    test.set_classname(printable(
        &prefix.into_iter().chain([class.as_str()]).collect::<Vec<_>>().join("."),
    ));
    if !case.notes.is_empty() {
        test.set_system_out(printable(&case.notes.join("\n")));
    }
    test
}

fn status(case: &CaseRecord) -> TestCaseStatus {
    let skipped = |ty: &str, message: String| {
        let mut status = TestCaseStatus::skipped();
        status.set_type(ty).set_message(line(&message));
        status
    };
    match case.status {
        CaseStatus::Passed | CaseStatus::Accepted => TestCaseStatus::success(),
        CaseStatus::KnownBug => {
            let id = case.known_bug.as_deref().unwrap_or_default();
            skipped("known-bug", format!("the known bug {id} is still there"))
        }
        CaseStatus::Skipped => skipped("skipped", case.reason.clone().unwrap_or_default()),
        CaseStatus::Interrupted => {
            skipped("interrupted", "the run was interrupted before it was over".to_owned())
        }
        CaseStatus::Pending => {
            let (ty, message) = failure::first(case);
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(ty).set_message(message);
            status
        }
        CaseStatus::Failed => bad(case, NonSuccessKind::Failure),
        CaseStatus::Invalid | CaseStatus::Internal => bad(case, NonSuccessKind::Error),
    }
}

fn bad(case: &CaseRecord, kind: NonSuccessKind) -> TestCaseStatus {
    let (ty, message) = failure::first(case);
    let mut status = TestCaseStatus::non_success(kind);
    status
        .set_type(printable(ty))
        .set_message(line(message))
        .set_description(printable(&format!("{}\n{}", case.place(), failure::of_case(case))))
        .set_rerun_kind(if case.runs.flaky() { FlakyOrRerun::Flaky } else { FlakyOrRerun::Rerun })
        .add_reruns(case.failing.iter().map(|failing| rerun(failing, kind)));
    status
}

/// One of the different ways in which a case failed.
fn rerun(failing: &FailingRecord, kind: NonSuccessKind) -> TestRerun {
    let mut rerun = TestRerun::new(kind);
    let ty = failing.problems.first();
    rerun
        .set_type(printable(ty.map_or("internal", |problem| &problem.kind)))
        .set_message(line(&failing.sentence()))
        .set_stack_trace(printable(failure::of_run(failing).plain()));
    rerun
}

/// `redirector` of `redirector/tx@queue=rx`; `first` of `first`.
fn directory(case: &str) -> &str {
    let scenario = scenario(case);
    scenario.rsplit_once('/').map_or(scenario, |(directory, _)| directory)
}

/// The case's name without the values of its matrix.
fn scenario(case: &str) -> &str {
    case.split_once('@').map_or(case, |(scenario, _)| scenario)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// The first line of a text: parsers turn a newline in an attribute into a space.
fn line(text: &str) -> String {
    printable(text.lines().next().unwrap_or_default())
}

/// A text with only such characters as XML 1.0 has and a terminal may show, the others as `\u{1b}`, and
/// not too long. Without that, quick-junit drops escape sequences and what is in them.
fn printable(text: &str) -> String {
    let cut = text.floor_char_boundary(LONGEST);
    let mut out = visible_lines(&text[..cut]);
    if cut < text.len() {
        out.push_str(&format!("\n... and {} bytes more: see --report json", text.len() - cut));
    }
    out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::report::{Event, Events, fixture, record::Collector};

    fn xml(record: &RunRecord) -> String {
        let mut out = Vec::new();
        write(record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn record(run: &[Event]) -> RunRecord {
        Collector::of(run, Events::OfFailures)
    }

    #[test]
    fn every_kind_of_case_is_told() {
        insta::assert_snapshot!(
            xml(&record(&fixture::run()))
                .replace(&format!("value=\"{}\"", env!("CARGO_PKG_VERSION")), "value=\"VERSION\"")
        );
    }

    #[test]
    fn a_run_that_was_interrupted_is_not_green() {
        let xml = xml(&record(&fixture::interrupted()));
        assert!(xml.contains("message=\"the run was interrupted\""), "{xml}");
        assert!(xml.contains("errors=\"1\""), "{xml}");
    }

    #[test]
    fn cases_of_several_backends_are_told_apart() {
        let mut record = record(&fixture::interrupted());
        record.cases[1] = record.cases[0].clone();
        record.cases[1].backend = "sim".to_owned();
        let xml = xml(&record);
        for text in ["classname=\"sim.a\"", "classname=\"netns.a\"", "a [sim]"] {
            assert!(xml.contains(text), "{text}\n{xml}");
        }
    }

    #[rstest]
    #[case("a\u{1b}[31mb\u{0}\u{ffff}\tc\n", "a\\u{1b}[31mb\\u{0}\\u{ffff}\tc\n")]
    #[case("<\u{1f310}>", "<\u{1f310}>")]
    fn what_xml_has_no_character_for_is_escaped(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(printable(text), expected);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "\u{e4}".repeat(LONGEST);
        let cut = printable(&text);
        assert!(cut.ends_with("bytes more: see --report json"), "{}", cut.len());
        assert!(cut.len() < LONGEST + 100);
    }
}
