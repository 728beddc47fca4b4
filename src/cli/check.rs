//! The command `check`: scenarios read and their objects tried, and nothing run.

use std::sync::Arc;

use serde_json::json;

use super::{
    Stop,
    output::{self, Format},
    remark::{MAX_REPORTS, remarks},
    slip::slip,
    suite::SuiteArgs,
};
use crate::{
    backend::{Action, Backend, BackendError, Deadline, Sim},
    base::ObjectId,
    diag::{Code, Report, Source},
    record::{Answer, CommandError, Outcome},
    report,
    runner::{self, Exit},
    scenario::{Case, ExpectError, Object},
    terminal::visible,
};

/// Checks scenarios without running them.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    suite: SuiteArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn run(args: &CheckArgs) -> Result<Exit, Stop> {
    let scenarios = match args.suite.load() {
        Ok(scenarios) => scenarios,
        Err(stop) if args.format == Format::Json => return told(&stop.reports, args.format),
        Err(stop) => return Err(stop),
    };
    let cases = runner::select(scenarios, &args.suite.selection(), None);
    if cases.is_empty() {
        return Ok(Exit::NothingSelected);
    }
    let mut reports = Found::default();
    let mut unchecked = Vec::new();
    for planned in &cases {
        if reports.is_full(&planned.case) {
            continue;
        }
        match dry_run(&planned.case) {
            Ok(found) => reports.merge(found),
            Err(BackendError::Case(report)) => reports.merge(vec![*report]),
            Err(error) => unchecked.push((planned.case.id.clone(), error.to_string())),
        }
    }
    if !reports.all.is_empty() {
        return told(&reports.all, args.format);
    }
    let remarks = remarks(cases.iter().map(|planned| &*planned.case));
    if args.format == Format::Human {
        output::reports(&remarks);
    }
    let text: String = match args.format {
        Format::Human => unchecked
            .iter()
            .map(|(case, reason)| {
                let (case, reason) = (visible(case), visible(reason));
                format!("{case}: its objects were not tried: {reason}\n")
            })
            .chain([format!("{} checked\n", counted(cases.len(), "case"))])
            .collect(),
        Format::Json => remarks
            .iter()
            .map(report::diagnostic)
            .chain(unchecked.iter().map(|(case, reason)| {
                json!({ "type": "not-tried", "case": case.as_str(), "reason": reason })
            }))
            .chain([json!({ "type": "checked", "cases": cases.len() })])
            .map(|line| output::json_line(&line))
            .collect(),
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

fn counted(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Reports on standard output as JSON, else where diagnostics go.
fn told(reports: &[Report], format: Format) -> Result<Exit, Stop> {
    if format == Format::Human {
        return Err(Stop::invalid(reports.to_vec()));
    }
    let line = |one| output::json_line(&report::diagnostic(one));
    output::print(&reports.iter().map(line).collect::<String>())?;
    Ok(Exit::Invalid)
}

/// What is wrong with the cases, those of a file one after the other.
#[derive(Default)]
struct Found {
    all: Vec<Report>,
    /// Where those of the file begin whose case is looked at.
    begin: usize,
    source: Option<Arc<Source>>,
}

impl Found {
    /// Whether nothing more is reported of a case's file.
    fn is_full(&mut self, case: &Case) -> bool {
        let same = self.source.as_ref().is_some_and(|source| Arc::ptr_eq(source, &case.source));
        if !same {
            self.source = Some(Arc::clone(&case.source));
            self.begin = self.all.len();
        }
        self.all.len() - self.begin >= MAX_REPORTS
    }

    /// The cases of a matrix usually have their faults in common.
    fn merge(&mut self, found: Vec<Report>) {
        for report in found {
            let of_file = &self.all[self.begin..];
            if of_file.len() < MAX_REPORTS && !of_file.contains(&report) {
                self.all.push(report);
            }
        }
    }
}

/// Creates the case's objects in memory and reports what comes otherwise than the scenario says.
/// Probes, and what a known bug is about, are data: any answer is right.
pub(super) fn dry_run(case: &Case) -> Result<Vec<Report>, BackendError> {
    let mut world = Sim.open(case)?;
    let mut reports = Vec::new();
    for object in &case.objects {
        let answer = world.act(Action::ObjectAdd(object))?;
        world.settle(&Deadline::NEVER)?;
        let expected = object.id.as_ref().and_then(|id| {
            let errors = &case.expect.errors;
            errors.iter().find(|(expected, _)| expected == id).map(|(_, error)| error)
        });
        let free = case.known_bug.is_some() || (case.steps.is_empty() && expected.is_none());
        if let Some(answer) = answer
            && !free
        {
            reports.extend(judge(case, object, &answer, expected));
        }
    }
    Ok(reports)
}

/// The objects that are refused, each with QEMU's text.
pub(super) fn refusals(case: &Case) -> Result<Vec<(String, String)>, BackendError> {
    let mut world = Sim.open(case)?;
    let mut refused = Vec::new();
    for object in &case.objects {
        let answer = world.act(Action::ObjectAdd(object))?;
        world.settle(&Deadline::NEVER)?;
        if let (Some(id), Some(Outcome::Refused(error))) =
            (&object.id, answer.map(|answer| answer.outcome))
        {
            refused.push((id.to_string(), error.desc));
        }
    }
    Ok(refused)
}

/// The expectation that an object is refused with this text, as a scenario writes it.
fn expectation(object: &Object, text: &str) -> String {
    let id = object.id.as_ref().map_or("ID", ObjectId::as_str);
    format!("{{error: {{{id}: {}}}}}", json!(text))
}

/// What to do about an object that is refused with this text.
fn remedy(case: &Case, object: &Object, text: &str) -> String {
    let meant = format!("where this is meant, say so: expect: {}", expectation(object, text));
    match slip(case, object) {
        Some(slip) if slip.ends_with('?') => format!("{slip} Or, {meant}"),
        Some(slip) => format!("{slip}; {meant}"),
        None => meant,
    }
}

fn judge(
    case: &Case,
    object: &Object,
    answer: &Answer,
    expected: Option<&ExpectError>,
) -> Option<Report> {
    let refusal = match &answer.outcome {
        Outcome::Refused(error) => Some(error.clone()),
        Outcome::Aborts(abort) => {
            Some(CommandError { class: "CRASH".to_owned(), desc: abort.assertion.clone() })
        }
        Outcome::Done(_) | Outcome::Unanswered(_) => None,
    };
    let profile = case.profile_of(&object.machine);
    match (expected, refusal) {
        (None, None) => None,
        (None, Some(error)) => {
            let remedy = remedy(case, object, &error.desc);
            Some(
                Report::error(Code("TW-R001"), error.desc)
                    .at(&case.source, object.span, format!("{profile} refuses this object"))
                    .with_help(remedy),
            )
        }
        // A later step may be what is refused.
        (Some(_), None) if !case.steps.is_empty() => None,
        (Some(expected), None) => Some(
            Report::error(Code("TW-R002"), "the object is not refused")
                .at(&case.source, expected.span, format!("{profile} was to say this"))
                .at(&case.source, object.span, "and creates the object")
                .with_help(
                    "take it out of `expect: error:`, or name a `profile` that refuses the object",
                ),
        ),
        (Some(expected), Some(error)) => (!expected.is_met_by(&answer.outcome)).then(|| {
            Report::error(Code("TW-R002"), "the object is refused with another text")
                .at(&case.source, expected.span, "expected")
                .at(&case.source, object.span, format!("{profile} says: {error}"))
                .with_help(format!(
                    "where what it says is right, write that: {}",
                    expectation(object, &error.desc)
                ))
        }),
    }
}
