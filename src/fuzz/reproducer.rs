//! Writes a scenario that shows a finding as a file that a person can read and run.

use std::{io, path::Path, sync::Arc};

use serde_json::{Value, json};

use super::{Budget, Court, Finding, Outcomes, Refusal, Shrunk, Verdict, shrink, trial};
use crate::{
    base::CaseId,
    diag::Report,
    file::Scope,
    scenario::{self, Case, Scenario},
};

/// A scenario that is tried again and again while it is made smaller.
#[derive(Clone, Copy, Debug)]
pub struct Exhibit<'a> {
    /// The file: what it names is looked for beside it.
    pub path: &'a Path,
    pub name: &'a str,
    /// The case, of a matrix.
    pub case: &'a CaseId,
    /// Its refusals are data.
    pub probe: bool,
    /// How far what it names is looked for.
    pub scope: Scope,
}

/// How much of everything a scenario has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// `steps`.
    pub steps: usize,
    /// Frames of `send` steps, as they are written.
    pub frames: usize,
    /// `objects`.
    pub objects: usize,
    /// `netdevs`.
    pub netdevs: usize,
    /// `chardevs`.
    pub chardevs: usize,
    /// Lines of the file.
    pub lines: usize,
}

impl Sizes {
    /// The sizes of a tree, written as it is written here.
    #[must_use]
    pub fn of(tree: &Value) -> Self {
        let count = |section: &str| match tree.get(section) {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Object(entries)) => entries.len(),
            _ => 0,
        };
        let steps = tree.get("steps").and_then(Value::as_array);
        let frames = steps
            .into_iter()
            .flatten()
            .filter_map(|step| step.get("frames")?.as_array())
            .map(Vec::len)
            .sum();
        Self {
            steps: count("steps"),
            frames,
            objects: count("objects"),
            netdevs: count("netdevs"),
            chardevs: count("chardevs"),
            lines: scenario::write(tree).lines().count(),
        }
    }
}

/// Tries a tree; none where it is no scenario or has not the case.
///
/// # Errors
/// When there is no descriptor left to watch for an interrupt.
pub fn reproduce(
    court: &Court,
    exhibit: Exhibit<'_>,
    tree: &Value,
) -> io::Result<Option<Outcomes>> {
    let Some(case) = trial::load(tree, exhibit.path, exhibit.name, exhibit.scope)
        .ok()
        .and_then(|scenario| the_case(scenario, exhibit.case))
    else {
        return Ok(None);
    };
    court.try_case(court.summon(case), exhibit.probe).map(Some)
}

/// The case of this name, or the only one: the smaller scenario may have lost its matrix.
pub(super) fn the_case(mut scenario: Scenario, id: &CaseId) -> Option<Case> {
    let case = match scenario.cases.iter().position(|case| case.id == *id) {
        Some(place) => Some(scenario.cases.swap_remove(place)),
        None if scenario.cases.len() == 1 => scenario.cases.pop(),
        None => None,
    };
    case.map(Arc::unwrap_or_clone)
}

/// Makes a scenario smaller in which this was found, as long as it is found.
///
/// # Errors
/// When there is no descriptor left to watch for an interrupt.
pub fn minimise(
    court: &Court,
    exhibit: Exhibit<'_>,
    tree: Value,
    finding: &Finding,
    budget: Budget,
) -> io::Result<Shrunk> {
    let mut error = None;
    let shrunk = shrink(tree, budget, |candidate| match reproduce(court, exhibit, candidate) {
        Ok(None) => Verdict::Invalid,
        Ok(Some(outcomes)) if outcomes.interrupted => Verdict::Stop,
        Ok(Some(outcomes)) if shows(&outcomes, finding) => Verdict::Fails,
        Ok(Some(_)) => Verdict::Differs,
        Err(refused) => {
            error = Some(refused);
            Verdict::Stop
        }
    });
    error.map_or(Ok(shrunk), Err)
}

/// Whether a finding is among what was found.
#[must_use]
pub fn shows(outcomes: &Outcomes, finding: &Finding) -> bool {
    let mut findings = outcomes.findings.iter();
    findings.any(|other| finding.is_shown_by(other))
}

/// A random scenario as it can be committed: it says what it shows, and expects the refusals that
/// the last lane gave.
pub fn finished(mut tree: Value, description: String, refusals: &[Refusal]) -> Value {
    tree["description"] = description.into();
    for refusal in refusals {
        let Some(steps) = tree.get_mut("steps").and_then(Value::as_array_mut) else {
            break;
        };
        let Some(place) = refusal.step.checked_sub(1) else {
            continue;
        };
        match steps.get_mut(place) {
            Some(Value::Object(step)) => {
                step.insert("error".to_owned(), refusal.error.clone());
            }
            Some(step @ Value::String(_)) => {
                let verb = step.as_str().unwrap_or_default().to_owned();
                *step = json!({ verb: null, "error": refusal.error });
            }
            _ => {}
        }
    }
    let refused: serde_json::Map<String, Value> = refusals
        .iter()
        .filter(|refusal| refusal.step == 0)
        .filter_map(|refusal| Some((refusal.subject.clone()?, refusal.error.clone())))
        .collect();
    if !refused.is_empty() {
        tree["expect"] = json!({ "error": refused });
    }
    tree
}

/// The case of a random scenario, which has one.
///
/// # Errors
/// What is wrong with it: then the generator is wrong.
pub fn random_case(tree: &Value, name: &str) -> Result<Option<Case>, Vec<Report>> {
    let path = Path::new(name).with_extension("yaml");
    let scenario = trial::load(tree, &path, name, Scope::Root)?;
    Ok(the_case(scenario, &CaseId::from(name)))
}
