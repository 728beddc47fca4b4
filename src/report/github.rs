//! Annotations of GitHub workflows, and the human report around them.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    Event, Human, Reporter, failure,
    record::{
        CaseRecord, CaseStatus, Collector, DiagnosticRecord, RunFacts, RunRecord, SeverityRecord,
    },
};
use crate::{runner::RunEvent, terminal::Fence};

/// The human report, then an annotation for each case that failed and each pending snapshot.
///
/// What is printed before the annotations may hold text of packets, and a line that begins with `::`
/// is a command for the runner wherever it comes from: so commands are stopped while it is printed
/// (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).
#[derive(Debug)]
pub struct Github<W: Write> {
    human: Human<Fence<W>>,
    collector: Collector,
    /// What paths of annotations are counted from.
    root: Option<PathBuf>,
    /// What makes commands work again; nobody else may know it.
    token: String,
}

impl<W: Write> Github<W> {
    /// Writes to `out`; annotations name files from `root` on, where they are below it.
    pub fn new(out: Fence<W>, root: Option<PathBuf>, token: String) -> Self {
        Self { human: Human::new(out), collector: Collector::new(RunFacts::default()), root, token }
    }

    /// Tells a run that is over.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn run(&mut self, record: &RunRecord) -> io::Result<()> {
        self.stop_commands()?;
        self.human.run(record)?;
        self.annotate(record)
    }

    fn stop_commands(&mut self) -> io::Result<()> {
        let line = format!("::stop-commands::{}\n", self.token);
        self.human.out().commands(&line)
    }

    fn annotate(&mut self, record: &RunRecord) -> io::Result<()> {
        let (token, text) = (&self.token, annotations(record, self.root.as_deref()));
        let out = self.human.out();
        out.commands(&format!("::{token}::\n{text}"))?;
        out.flush()
    }
}

impl<W: Write> Reporter for Github<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if matches!(event, RunEvent::Started { .. }) {
            self.stop_commands()?;
        }
        self.human.event(event)?;
        let Some(record) = self.collector.event(event.clone()).cloned() else {
            return Ok(());
        };
        self.annotate(&record)
    }
}

/// An annotation for each diagnostic, each case that failed and each pending snapshot: commands, to be
/// written by [`Fence::commands`].
#[must_use]
pub fn annotations(record: &RunRecord, root: Option<&Path>) -> String {
    let record = record.visible();
    let diagnostics = record.diagnostics.iter().map(|one| diagnostic(one, root));
    let mut cases: Vec<&CaseRecord> = record.cases.iter().collect();
    cases.sort_by(|a, b| a.case.cmp(&b.case));
    let cases = cases.into_iter().filter_map(|one| case(one, root));
    diagnostics.chain(cases).collect()
}

fn case(case: &CaseRecord, root: Option<&Path>) -> Option<String> {
    let (level, message) = match case.status {
        CaseStatus::Pending => {
            ("notice", "its snapshot waits for a review: tapwright review".to_owned())
        }
        _ if case.is_bad() => ("error", failure::of_case(case).into_plain()),
        _ => return None,
    };
    let title = format!("{} [{}]", case.case, case.backend);
    let place = Some((case.scenario.as_str(), case.line));
    Some(command(level, place, root, &title, &message))
}

fn diagnostic(diagnostic: &DiagnosticRecord, root: Option<&Path>) -> String {
    let level = match diagnostic.severity {
        SeverityRecord::Advice => "notice",
        SeverityRecord::Warning => "warning",
        SeverityRecord::Error => "error",
    };
    let file = diagnostic.file.as_deref();
    let place = file.map(|file| (file, diagnostic.line()));
    command(level, place, root, &diagnostic.code, &diagnostic.rendered)
}

/// `::error file=FILE,line=LINE,title=TITLE::MESSAGE`.
fn command(
    level: &str,
    place: Option<(&str, Option<usize>)>,
    root: Option<&Path>,
    title: &str,
    message: &str,
) -> String {
    let mut properties = String::new();
    if let Some((file, line)) = place {
        properties += &format!("file={},", property(&below(file, root)));
        properties += &line.map_or_else(String::new, |line| format!("line={line},"));
    }
    properties += &format!("title={}", property(title));
    format!("::{level} {properties}::{}\n", data(message.trim_end()))
}

/// The file from the root of the repository on, where it is in it.
fn below(file: &str, root: Option<&Path>) -> String {
    let absolute = std::path::absolute(file).ok();
    let relative = root.and_then(|root| absolute.as_ref()?.strip_prefix(root).ok());
    relative.map_or_else(|| file.to_owned(), |path| path.display().to_string())
}

/// As the toolkit of GitHub's actions escapes a message (`@actions/core`, command.ts).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The same for a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn told(run: &[Event]) -> String {
        let out = || Fence::new(anstream::StripStream::new(Vec::new()));
        let mut github = Github::new(out(), None, "TOKEN".to_owned());
        for event in run {
            github.event(event).unwrap();
        }
        let out = std::mem::replace(github.human.out(), out());
        String::from_utf8(out.into_inner().into_inner()).unwrap()
    }

    #[test]
    fn failures_are_annotated_after_the_human_report() {
        insta::assert_snapshot!(told(&fixture::run()));
    }

    #[test]
    fn commands_are_stopped_while_others_are_heard() {
        let text = told(&fixture::run());
        assert!(text.starts_with("::stop-commands::TOKEN\n"), "{text}");
        let (before, after) = text.split_once("\n::TOKEN::\n").unwrap();
        assert!(!before.contains("::error"), "{before}");
        assert!(after.lines().all(|line| line.starts_with("::")), "{after}");
    }

    #[test]
    fn what_has_a_meaning_for_the_runner_is_escaped() {
        let text = command("error", Some(("a,b:c", Some(7))), None, "d,e", "50%\r\nf:g,h\n");
        let expected = "::error file=a%2Cb%3Ac,line=7,title=d%2Ce::50%25%0D%0Af:g,h\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_file_is_named_from_the_root_of_the_repository() {
        let here = std::env::current_dir().unwrap();
        let root = here.parent().unwrap();
        let expected = Path::new(here.file_name().unwrap()).join("a.yaml");
        assert_eq!(below("a.yaml", Some(root)), expected.display().to_string());
        assert_eq!(below("/elsewhere/a.yaml", Some(root)), "/elsewhere/a.yaml");
    }
}
