//! A run for programs that read the Test Anything Protocol: version 14
//! (<https://testanything.org/tap-version-14-specification.html>), as prove and Meson read it, and the
//! kernel's, version 1 (Linux 6.18 `Documentation/dev-tools/ktap.rst`), as kselftest prints it. A
//! scenario's file is a test point, and its cases are the points of its subtest.

use std::{
    collections::BTreeMap,
    env,
    io::{self, Write},
};

use super::{
    failure,
    record::{CaseRecord, CaseStatus, RunRecord, SeverityRecord},
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Tap14(Reader),
    Kernel,
}

/// Who reads version 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Any,
    /// Test::Harness fails whatever names a version above 13 (3.44, Debian 12). To version 13 a subtest
    /// is a comment and lines without meaning.
    Harness,
}

impl Reader {
    /// By the variable that Test::Harness sets for the tests that it starts.
    pub(super) fn of_the_environment() -> Self {
        match env::var_os("HARNESS_ACTIVE") {
            Some(_) => Self::Harness,
            None => Self::Any,
        }
    }
}

/// What a test point came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Point {
    Passed,
    Skipped(String),
    /// It fails, as is known of it.
    Known(String),
    Failed,
}

/// Writes a run: its version, its plan, a test point for each file, and one for each thing that is
/// wrong with the run itself.
pub(super) fn write(record: &RunRecord, dialect: Dialect, out: &mut dyn Write) -> io::Result<()> {
    let record = &*record.visible();
    let files = files(record);
    let errors: Vec<_> =
        record.diagnostics.iter().filter(|one| one.severity == SeverityRecord::Error).collect();
    writeln!(out, "{}", dialect.version())?;
    let count = files.len() + errors.len();
    match count {
        0 => writeln!(out, "1..0 # SKIP {}", record.sums.outcome())?,
        _ => writeln!(out, "1..{count}")?,
    }
    let several =
        files.values().any(|cases| cases.iter().any(|case| case.backend != cases[0].backend));
    let mut number = 0;
    for (file, cases) in files {
        number += 1;
        subtest(file, &cases, several, dialect, out)?;
        let points: Vec<Point> = cases.iter().map(|case| Point::of(case)).collect();
        let point = Point::of_all(&points);
        writeln!(out, "{}", dialect.point(&point, number, file))?;
    }
    for error in errors {
        number += 1;
        let name = error.file.as_deref().unwrap_or("run");
        writeln!(out, "{}", dialect.point(&Point::Failed, number, name))?;
        explain(&error.code, &error.message, &error.rendered, "", dialect, out)?;
    }
    if record.sums.totals.interrupted {
        writeln!(out, "Bail out! the run was interrupted")?;
    }
    Ok(())
}

/// The cases of each file, by name.
fn files(record: &RunRecord) -> BTreeMap<&str, Vec<&CaseRecord>> {
    let mut files: BTreeMap<&str, Vec<&CaseRecord>> = BTreeMap::new();
    for case in &record.cases {
        files.entry(&case.scenario).or_default().push(case);
    }
    for cases in files.values_mut() {
        cases.sort_by(|a, b| (&a.case, &a.backend).cmp(&(&b.case, &b.backend)));
    }
    files
}

fn subtest(
    file: &str,
    cases: &[&CaseRecord],
    several: bool,
    dialect: Dialect,
    out: &mut dyn Write,
) -> io::Result<()> {
    let indent = dialect.indent();
    match dialect {
        Dialect::Tap14(_) => writeln!(out, "# Subtest: {}", dialect.name(file))?,
        Dialect::Kernel => writeln!(out, "{indent}{}", dialect.version())?,
    }
    writeln!(out, "{indent}1..{}", cases.len())?;
    for (case, number) in cases.iter().zip(1..) {
        let name = match several {
            true => format!("{} [{}]", case.case, case.backend),
            false => case.case.clone(),
        };
        let point = Point::of(case);
        let line = dialect.point(&point, number, &name);
        let why = || {
            let (kind, message) = failure::first(case);
            let text = format!("{}\n{}", case.place(), failure::of_case(case).plain());
            (kind.to_owned(), message.to_owned(), text)
        };
        match (dialect, &point) {
            // What explains a point stands before it there.
            (Dialect::Kernel, Point::Failed) => {
                let (kind, message, text) = why();
                explain(&kind, &message, &text, indent, dialect, out)?;
                writeln!(out, "{indent}{line}")?;
            }
            (Dialect::Tap14(_), Point::Failed) => {
                let (kind, message, text) = why();
                writeln!(out, "{indent}{line}")?;
                explain(&kind, &message, &text, indent, dialect, out)?;
            }
            _ => writeln!(out, "{indent}{line}")?,
        }
    }
    Ok(())
}

/// Why a point failed: a block of YAML, each text of it as JSON has it, or comments.
fn explain(
    kind: &str,
    message: &str,
    text: &str,
    indent: &str,
    dialect: Dialect,
    out: &mut dyn Write,
) -> io::Result<()> {
    match dialect {
        Dialect::Tap14(_) => {
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            writeln!(out, "{indent}  ---")?;
            writeln!(out, "{indent}  kind: {}", quoted(kind))?;
            writeln!(out, "{indent}  message: {}", quoted(message))?;
            writeln!(out, "{indent}  output:")?;
            for line in text.lines() {
                writeln!(out, "{indent}    - {}", quoted(line))?;
            }
            writeln!(out, "{indent}  ...")
        }
        Dialect::Kernel => {
            writeln!(out, "{indent}# {kind}: {message}")?;
            text.lines().try_for_each(|line| writeln!(out, "{indent}# {line}"))
        }
    }
}

impl Point {
    fn of(case: &CaseRecord) -> Self {
        match case.status {
            CaseStatus::Passed | CaseStatus::Accepted => Self::Passed,
            CaseStatus::KnownBug => {
                let id = case.known_bug.as_deref().unwrap_or_default();
                Self::Known(format!("the known bug {id} is still there"))
            }
            CaseStatus::Skipped => Self::Skipped(case.reason.clone().unwrap_or_default()),
            CaseStatus::Interrupted => {
                Self::Skipped("the run was interrupted before it was over".to_owned())
            }
            CaseStatus::Pending
            | CaseStatus::Failed
            | CaseStatus::Invalid
            | CaseStatus::Internal => Self::Failed,
        }
    }

    /// Of a file: what is known to fail does not fail it, and what was skipped is told where nothing
    /// else ran.
    fn of_all(points: &[Self]) -> Self {
        if points.contains(&Self::Failed) {
            return Self::Failed;
        }
        match points.first() {
            Some(Self::Skipped(reason))
                if points.iter().all(|point| matches!(point, Self::Skipped(_))) =>
            {
                Self::Skipped(reason.clone())
            }
            _ => Self::Passed,
        }
    }
}

impl Dialect {
    /// The first line.
    fn version(self) -> &'static str {
        match self {
            Self::Kernel => "KTAP version 1",
            Self::Tap14(Reader::Harness) => "TAP version 13",
            Self::Tap14(_) => "TAP version 14",
        }
    }

    /// What stands before the lines of a subtest.
    fn indent(self) -> &'static str {
        match self {
            Self::Tap14(_) => "    ",
            Self::Kernel => "  ",
        }
    }

    fn point(self, point: &Point, number: usize, name: &str) -> String {
        let ok = match (self, point) {
            (Self::Tap14(_), Point::Known(_)) | (_, Point::Failed) => "not ok",
            _ => "ok",
        };
        let dash = match self {
            Self::Tap14(_) => " -",
            Self::Kernel => "",
        };
        let directive = match (self, point) {
            (_, Point::Passed | Point::Failed) => String::new(),
            (_, Point::Skipped(reason)) => format!(" # SKIP {}", self.name(reason)),
            (Self::Tap14(_), Point::Known(bug)) => format!(" # TODO {}", self.name(bug)),
            // What fails as expected is ok to the kernel's readers.
            (Self::Kernel, Point::Known(bug)) => format!(" # XFAIL {}", self.name(bug)),
        };
        format!("{ok} {number}{dash} {}{directive}", self.name(name))
    }

    /// A name or a reason: a `#` begins a directive where nothing escapes it.
    fn name(self, text: &str) -> String {
        match self {
            Self::Tap14(_) => text.replace('\\', "\\\\").replace('#', "\\#"),
            // Nothing can be escaped.
            Self::Kernel => text.replace('#', "No. "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Events, fixture, record::Collector};

    fn told(dialect: Dialect) -> String {
        let record = Collector::of(&fixture::run(), Events::OfFailures);
        let mut out = Vec::new();
        write(&record, dialect, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cases_are_points_of_their_files() {
        insta::assert_snapshot!("tap", told(Dialect::Tap14(Reader::Any)));
    }

    #[test]
    fn a_harness_is_given_the_version_that_it_takes() {
        let plain = told(Dialect::Tap14(Reader::Any));
        let harness = told(Dialect::Tap14(Reader::Harness));
        assert_eq!(harness, plain.replace("TAP version 14", "TAP version 13"));
    }

    #[test]
    fn the_kernel_reads_comments_before_each_point() {
        insta::assert_snapshot!("ktap", told(Dialect::Kernel));
    }

    #[test]
    fn a_name_is_no_directive() {
        let name = "a#b\\ # TODO c";
        let of = |dialect: Dialect| dialect.point(&Point::Passed, 1, name);
        assert_eq!(of(Dialect::Tap14(Reader::Any)), "ok 1 - a\\#b\\\\ \\# TODO c");
        assert_eq!(of(Dialect::Kernel), "ok 1 aNo. b\\ No.  TODO c");
    }

    #[test]
    fn a_file_fails_with_one_of_its_cases_and_is_skipped_with_all_of_them() {
        let skipped = || Point::Skipped("no QEMU".to_owned());
        let known = Point::Known("a bug".to_owned());
        assert_eq!(Point::of_all(&[skipped(), skipped()]), skipped());
        assert_eq!(Point::of_all(&[skipped(), known]), Point::Passed);
        assert_eq!(Point::of_all(&[Point::Passed, Point::Failed, skipped()]), Point::Failed);
    }

    #[test]
    fn a_run_of_nothing_is_skipped() {
        let mut record = Collector::of(&fixture::run(), Events::OfFailures);
        record.cases.clear();
        record.diagnostics.clear();
        record.sums.exit_code = 4;
        record.sums.totals.interrupted = false;
        let mut out = Vec::new();
        write(&record, Dialect::Kernel, &mut out).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&out),
            "KTAP version 1\n1..0 # SKIP no case is selected\n"
        );
    }
}
