//! Which guests run, as the steps of a case ask for it. Messages about frames that did not arrive say
//! it by this.

use super::case::{Case, Verb};
use crate::base::MachineId;

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    Runs,
    /// Its guest does not run, since this step; 0 is the start.
    Stopped(usize),
    /// It waits for a guest.
    Waits {
        /// The guest runs when it has come, if it ran before.
        autostart: bool,
    },
    /// Its guest left in this step.
    Left(usize),
}

/// The state of each machine after so many steps, in the order of the case. A step that is expected to
/// be refused changes nothing.
#[must_use]
pub fn after(case: &Case, steps: usize) -> Vec<(MachineId, RunState)> {
    let start = |stopped, incoming| match (stopped, incoming) {
        (stopped, true) => RunState::Waits { autostart: !stopped },
        (true, false) => RunState::Stopped(0),
        (false, false) => RunState::Runs,
    };
    let machines = case.machines.iter();
    let mut states: Vec<(MachineId, RunState)> = machines
        .map(|machine| (machine.id.clone(), start(machine.stopped, machine.incoming)))
        .collect();
    let done = (1..).zip(&case.steps).take(steps).filter(|(_, step)| step.error.is_none());
    for (number, step) in done {
        let at = |machine: &MachineId| states.iter().position(|(id, _)| id == machine);
        match &step.verb {
            Verb::Qmp { machine, command, .. } => {
                if let Some(at) = at(machine) {
                    states[at].1 = commanded(states[at].1, command, number);
                }
            }
            Verb::Migrate { from, to } => {
                if let (Some(from), Some(to)) = (at(from), at(to)) {
                    let runs = states[from].1 == RunState::Runs
                        && states[to].1 == RunState::Waits { autostart: true };
                    states[to].1 = if runs { RunState::Runs } else { RunState::Stopped(number) };
                    states[from].1 = RunState::Left(number);
                }
            }
            _ => {}
        }
    }
    states
}

/// What a command of QMP makes of a state.
fn commanded(state: RunState, command: &str, step: usize) -> RunState {
    match (command, state) {
        ("stop", RunState::Runs) => RunState::Stopped(step),
        ("stop" | "cont", RunState::Waits { .. }) => {
            RunState::Waits { autostart: command == "cont" }
        }
        ("cont", _) => RunState::Runs,
        _ => state,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        diag::Source,
        scenario::{Disk, parse},
    };

    #[test]
    fn steps_say_which_guest_runs() {
        let nic = "netdevs: { hn0: { mac: \"52:54:00:00:00:01\" } }";
        let text = format!(
            "description: d\nmachines:\n  a: {{ {nic} }}\n  b: {{ incoming: true, {nic} }}\n  \
             c: {{ stopped: true, {nic} }}\nsteps:\n  - stop:\n    machine: b\n  \
             - migrate: {{ from: a, to: b }}\n  - cont:\n    machine: b\n  - stop:\n    \
             machine: b\n  - cont:\n    machine: c\n    error: x\n"
        );
        let source = Arc::new(Source { path: "a.yaml".into(), text });
        let scenario = parse(source, "a", &Disk).expect("a scenario without faults");
        let states = |steps| after(&scenario.cases[0], steps).into_iter().map(|(_, state)| state);
        let (runs, stopped, left) = (RunState::Runs, RunState::Stopped, RunState::Left);
        let waits = |autostart| RunState::Waits { autostart };
        for (steps, expected) in [
            (0, [runs, waits(true), stopped(0)]),
            (1, [runs, waits(false), stopped(0)]),
            (2, [left(2), stopped(2), stopped(0)]),
            (3, [left(2), runs, stopped(0)]),
            (5, [left(2), stopped(4), stopped(0)]),
        ] {
            assert_eq!(states(steps).collect::<Vec<_>>(), expected, "after {steps}");
        }
    }
}
