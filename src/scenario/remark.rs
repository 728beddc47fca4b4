//! What a scenario may mean, and probably does not: warnings beside the errors. Read by `check` and
//! `run`, which print them and go on.

use super::case::{Case, ColoEvent, Verb};
use crate::{
    base::MachineId,
    diag::{Code, Report, Severity},
};

/// What hears of a checkpoint.
const HEARERS: [&str; 2] = ["colo-compare", "filter-rewriter"];

/// Steps of a case that do nothing as things stand.
#[must_use]
pub fn remarks(case: &Case) -> Vec<Report> {
    let unheard = case.steps.iter().filter(|step| match &step.verb {
        Verb::Colo { event: ColoEvent::Checkpoint, machine } => !is_heard(case, machine.as_ref()),
        _ => false,
    });
    unheard
        .map(|step| {
            let needs = "a colo-compare or a filter-rewriter";
            let message = format!("`colo: checkpoint` has no effect without {needs}");
            let help = "a checkpoint brings the guests of the machine that has a colo-compare to \
                        the others; without one the guests stay as they are";
            let report = Report::error(Code("TW-S016"), message)
                .at(&case.source, step.span, "no machine hears of it")
                .with_help(help);
            Report { severity: Severity::Warning, ..report }
        })
        .collect()
}

/// Whether a checkpoint changes anything: a comparer anywhere copies its guests to the machine that
/// is notified, and a rewriter has to be on a machine that is. An object that can't be read may be
/// either.
fn is_heard(case: &Case, machine: Option<&MachineId>) -> bool {
    case.all_objects().any(|object| {
        let notified = machine.is_none_or(|machine| *machine == object.machine);
        match object.properties.qom_type() {
            Some(name) if name == HEARERS[0] => true,
            Some(name) => name == HEARERS[1] && notified,
            None => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::{
        diag::Source,
        scenario::{Disk, parse},
    };

    #[rstest]
    #[case::nobody("", "checkpoint", 1)]
    #[case::rewriter("filter-rewriter,id=r,netdev=hn0", "checkpoint", 0)]
    #[case::rewriter_that_is_notified(
        "filter-rewriter,id=r,netdev=hn0",
        "{event: checkpoint, machine: a}",
        0
    )]
    #[case::rewriter_elsewhere(
        "filter-rewriter,id=r,netdev=hn0",
        "{event: checkpoint, machine: b}",
        1
    )]
    #[case::another_filter("filter-buffer,id=r,netdev=hn0,interval=1", "checkpoint", 1)]
    #[case::another_event("", "failover", 0)]
    fn a_checkpoint_that_nobody_hears_is_remarked(
        #[case] object: &str,
        #[case] colo: &str,
        #[case] expected: usize,
    ) {
        let object = if object.is_empty() { String::new() } else { format!("\"{object}\"") };
        let text = format!(
            "description: d\nmachines:\n  a: {{ netdevs: {{ hn0: {{}} }}, objects: [{object}] }}\n  \
             b: {{ netdevs: {{ hn0: {{}} }} }}\nsteps: [{{ colo: {colo} }}]\n"
        );
        let source = Arc::new(Source { path: "a.yaml".into(), text });
        let scenario = parse(source, "a", &Disk).unwrap();
        let remarks = remarks(&scenario.cases[0]);
        assert_eq!(remarks.len(), expected);
        assert!(remarks.iter().all(|remark| remark.severity == Severity::Warning));
    }
}
