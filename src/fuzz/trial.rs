//! Runs a random scenario on the backends and judges it: whether they agree, and whether each keeps
//! the rules that every run keeps. The campaign and the reduction ask here.

use std::{borrow::Cow, io, num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::finding::{Fates, Finding, Ways, discrepancy, of_attempt, word};
use crate::{
    backend::uses_af_packet,
    base::Profile,
    compare::{self, Rules},
    diag::{Report, Source},
    file::Scope,
    reading::Reading,
    record::{Outcome, Step, Transcript},
    runner::{Attempt, FailureKind, Lane, Trial, TrialLimits, try_cases},
    scenario::{self, Case, Scenario},
    sys::Interrupt,
};

/// Where scenarios are tried, and what counts as wrong.
#[derive(Clone)]
pub struct Court {
    /// The lanes. Each record is compared with the first.
    pub lanes: Vec<Lane>,
    /// All run as this QEMU, where a real one is among them.
    pub profile: Option<Profile>,
    /// How long an execution may take.
    pub timeout: Duration,
    /// Ends everything.
    pub interrupt: Option<Interrupt>,
    /// Whether a refusal that the scenario does not expect is wrong. It is not in a random one.
    pub refusals: bool,
    /// The reviewed record that the first lane's is held against.
    pub snapshot: Option<String>,
}

/// What came of a scenario on all lanes.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    /// What was wrong, the first thing first.
    pub findings: Vec<Finding>,
    /// Why a lane did not run it: its place, and the reason.
    pub skipped: Vec<(usize, String)>,
    /// Places of the lanes that ran it.
    pub ran: Vec<usize>,
    /// What commands came to on the last lane that ran it.
    pub answers: Answers,
    /// What was refused on that lane, by step; an object of the set-up by its id.
    pub refusals: Vec<Refusal>,
    /// It was interrupted.
    pub interrupted: bool,
}

/// How many commands were carried out and refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Objects that were made.
    pub made: usize,
    /// Commands that were refused.
    pub refused: usize,
    /// Frames that were sent.
    pub sent: usize,
}

/// A command that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The step, from 1; 0 for the set-up.
    pub step: usize,
    /// What it was about.
    pub subject: Option<String>,
    /// The error as a scenario expects it: a text, or class and text.
    pub error: Value,
}

/// A tree as a scenario, under a name.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(tree: &Value, path: &Path, name: &str, scope: Scope) -> Result<Scenario, Vec<Report>> {
    let source = Source { path: path.to_owned(), text: scenario::write(tree) };
    scenario::parse(Arc::new(source), name, scenario::disk(scope))
}

impl Court {
    /// The case as it is tried here: under the QEMU's profile, where there is one. What that QEMU
    /// can't be asked is required of it, so that every lane skips the case and says why.
    #[must_use]
    pub fn summon(&self, mut case: Case) -> Arc<Case> {
        if let Some(profile) = &self.profile {
            if !profile.version().has_af_packet() && uses_af_packet(&case) {
                case.requires.insert("in_netdev".to_owned());
            }
            case.profile = profile.clone();
        }
        Arc::new(case)
    }

    /// Tries many cases and tells what came of each; see [`try_cases`].
    ///
    /// # Errors
    /// When there is no descriptor left to tell of an interrupt.
    pub fn try_all(
        &self,
        jobs: NonZeroUsize,
        cases: impl Iterator<Item = Arc<Case>>,
        mut listener: impl FnMut(usize, Outcomes) -> bool,
    ) -> io::Result<bool> {
        let limits = TrialLimits { jobs, timeout: self.timeout };
        let trials = cases.map(|case| Trial { case, probe: false });
        let interrupt = self.interrupt.as_ref();
        try_cases(&self.lanes, limits, trials, interrupt, |place, attempts| {
            listener(place, self.judge(None, &attempts))
        })
    }

    /// Tries one case.
    ///
    /// # Errors
    /// When there is no descriptor left to tell of an interrupt.
    pub fn try_case(&self, case: Arc<Case>, probe: bool) -> io::Result<Outcomes> {
        let limits = TrialLimits {
            jobs: NonZeroUsize::new(self.lanes.len()).unwrap_or(NonZeroUsize::MIN),
            timeout: self.timeout,
        };
        let mut outcomes = Outcomes::default();
        let trial = std::iter::once(Trial { case: Arc::clone(&case), probe });
        let interrupt = self.interrupt.as_ref();
        let interrupted = try_cases(&self.lanes, limits, trial, interrupt, |_, attempts| {
            outcomes = self.judge(Some(&case), &attempts);
            true
        })?;
        outcomes.interrupted |= interrupted;
        Ok(outcomes)
    }

    /// What came of a case; none is known of a random one, which has nothing that is kept of it.
    fn judge(&self, case: Option<&Case>, attempts: &[Attempt]) -> Outcomes {
        let rules = case.map(rules).unwrap_or_default();
        let mut outcomes = Outcomes::default();
        let mut records: Vec<(&str, &Reading, bool)> = Vec::new();
        for (place, (lane, attempt)) in self.lanes.iter().zip(attempts).enumerate() {
            let name = lane.backend.name();
            match attempt {
                Attempt::Skipped(reason) => outcomes.skipped.push((place, reason.clone())),
                Attempt::Interrupted => outcomes.interrupted = true,
                Attempt::Executed(executed) => {
                    if let Some(reason) = beyond(executed.failures.iter().map(|one| &one.kind)) {
                        outcomes.skipped.push((place, reason));
                        continue;
                    }
                    outcomes.ran.push(place);
                    outcomes.answers = answers(executed.reading.transcript());
                    outcomes.refusals = refusals(executed.reading.transcript());
                    let stormed = attempt_has(attempt, &["storm", "late"]);
                    records.push((name, &executed.reading, stormed));
                }
                _ => outcomes.ran.push(place),
            }
            outcomes.findings.extend(of_attempt(case, name, attempt, self.refusals));
        }
        // A storm is the scenario's own doing, as long as no lane comes to an end. A real QEMU
        // does not count: it goes on until the deadline.
        let endless = |attempt: &Attempt| attempt_has(attempt, &["storm", "late"]);
        if attempts.iter().all(endless) && attempts.iter().any(|one| attempt_has(one, &["storm"])) {
            outcomes.findings.retain(|finding| !matches!(finding.kind(), "storm" | "late"));
        }
        if let (Some(section), Some((lane, reading, _))) = (&self.snapshot, records.first()) {
            outcomes.findings.extend(against(case, section, lane, reading));
        }
        if let [(first, reference, stormed), others @ ..] = records.as_slice() {
            for (second, other, also) in others {
                let stormed = *stormed || *also;
                outcomes.findings.extend(disagreements(
                    [first, second],
                    [*reference, *other],
                    stormed,
                    rules,
                ));
            }
        }
        outcomes
    }
}

/// Whether a run ended in one of these ways.
fn attempt_has(attempt: &Attempt, words: &[&str]) -> bool {
    match attempt {
        Attempt::Executed(executed) => {
            executed.failures.iter().any(|failure| words.contains(&word(&failure.kind)))
        }
        Attempt::Failed(failure) => words.contains(&word(&failure.kind)),
        _ => false,
    }
}

/// What `sim` says where it does not know the kernel's answer: the case is then not comparable.
fn beyond<'a>(mut kinds: impl Iterator<Item = &'a FailureKind>) -> Option<String> {
    kinds.find_map(|kind| match kind {
        FailureKind::Backend(text) if text.contains("does not know what the kernel makes of") => {
            Some(text.clone())
        }
        _ => None,
    })
}

/// What of a case's record is not compared.
fn rules(case: &Case) -> Rules<'_> {
    Rules { masks: &case.snapshot.masks, without: &case.snapshot.without }
}

/// How a record differs from a section that was reviewed.
fn against(case: Option<&Case>, section: &str, lane: &str, reading: &Reading) -> Vec<Finding> {
    let mismatch = compare::compare(section, reading, case.map(rules).unwrap_or_default());
    mismatch
        .into_iter()
        .flat_map(|mismatch| mismatch.differences)
        .map(|difference| {
            let what = discrepancy(&difference);
            let fates = match &what.port {
                Some(port) if matches!(what.kind, "missing" | "other-port") => {
                    Ways::of(case, reading.transcript(), port).fates
                }
                _ => Fates::new(),
            };
            let lane = lane.to_owned();
            Finding::Snapshot { lane, what, fates }
        })
        .filter(|finding| !matches!(finding, Finding::Snapshot { what, .. } if what.kind == "step"))
        .collect()
}

/// How two records differ, up to where one of them can't be compared any more: QEMU died, or a
/// storm was cut off at some point of its endless way.
fn disagreements(
    [first, second]: [&str; 2],
    [one, other]: [&Reading; 2],
    stormed: bool,
    rules: Rules<'_>,
) -> Vec<Finding> {
    let records = [one.transcript(), other.transcript()];
    let mut steps = comparable(records[0]).min(comparable(records[1]));
    if stormed {
        let shorter = records[0].steps.len().min(records[1].steps.len());
        steps = steps.min(shorter.saturating_sub(1));
    }
    compare::disagreement_but(&first_steps(one, steps), &first_steps(other, steps), rules)
        .into_iter()
        .flat_map(|mismatch| mismatch.differences)
        .map(|difference| Finding::Disagreement {
            first: first.to_owned(),
            second: second.to_owned(),
            what: discrepancy(&difference),
        })
        .collect()
}

/// The record as far as so many steps.
fn first_steps(reading: &Reading, steps: usize) -> Cow<'_, Reading> {
    let transcript = reading.transcript();
    if steps >= transcript.steps.len() {
        return Cow::Borrowed(reading);
    }
    let mut transcript = transcript.clone();
    transcript.steps.truncate(steps);
    Cow::Owned(Reading::of(transcript))
}

/// How many steps of a record can be compared: QEMU does not live on after it aborted.
fn comparable(transcript: &Transcript) -> usize {
    let aborts = |answer: &crate::record::Answer| matches!(answer.outcome, Outcome::Aborts(_));
    let steps = &transcript.steps;
    steps.iter().position(|step| step.answers.iter().any(aborts)).map_or(steps.len(), |at| at + 1)
}

fn answers(transcript: &Transcript) -> Answers {
    let mut counted = Answers { sent: transcript.accounting.sent, ..Answers::default() };
    for answer in transcript.steps.iter().flat_map(|step| &step.answers) {
        match &answer.outcome {
            Outcome::Done(_) if answer.command.starts_with("object-add") => counted.made += 1,
            Outcome::Refused(_) | Outcome::Aborts(_) => counted.refused += 1,
            Outcome::Done(_) | Outcome::Unanswered(_) => {}
        }
    }
    counted
}

fn refusals(transcript: &Transcript) -> Vec<Refusal> {
    let of_step = |step: &Step| -> Vec<Refusal> {
        step.answers
            .iter()
            .filter_map(|answer| {
                let error = match &answer.outcome {
                    Outcome::Refused(error) => Value::from(error.desc.as_str()),
                    Outcome::Aborts(abort) => {
                        json!({ "class": "CRASH", "text": abort.assertion })
                    }
                    Outcome::Done(_) | Outcome::Unanswered(_) => return None,
                };
                Some(Refusal { step: step.index, subject: answer.subject.clone(), error })
            })
            .collect()
    };
    transcript.steps.iter().flat_map(of_step).collect()
}
