//! Notices when a machine feeds itself without end, and names the cycle. `BuiltinWorld` counts
//! every input with it.

use std::collections::VecDeque;

use crate::{
    base::MachineId,
    machine::{Input, Output},
    record::{Event, EventKind, Place},
};

/// Machine inputs of one action beyond which it is a storm.
const LIMIT: usize = 100_000;

/// Inputs that are kept to name the cycle.
const TRAIL: usize = 64;

const TICK: &str = "timer";

/// Notices when a machine feeds itself without end.
#[derive(Debug, Default)]
pub(super) struct Storm {
    inputs: usize,
    /// Timers that were looked at since the clock moved.
    ticks: usize,
    trail: VecDeque<String>,
}

impl Storm {
    /// The scenario acted: what comes now is its doing.
    pub(super) fn calm(&mut self) {
        *self = Self::default();
    }

    /// The clock moved on while the frames that go round still do. Timers that fire each in its
    /// own moment are no cycle.
    pub(super) fn clock_moved(&mut self) {
        self.ticks = 0;
    }

    /// Counts an input of a machine. The names are only kept when the limit is near.
    pub(super) fn count(&mut self, machine: &MachineId, input: &Input) {
        if matches!(input, Input::Tick) {
            self.ticks += 1;
        } else {
            self.note(|| name(machine, input));
        }
    }

    /// Counts a frame that did not come from the machine.
    pub(super) fn note(&mut self, name: impl FnOnce() -> String) {
        self.inputs += 1;
        if self.is_near() {
            self.trail.push_back(name());
        }
    }

    /// Notes by whose doing a frame leaves the machine.
    pub(super) fn follow(&mut self, output: &Output) {
        if !self.is_near() {
            return;
        }
        match output {
            Output::Inject { netdev, object, .. } => {
                self.trail.push_back(format!("{object} injects on {netdev}"));
            }
            Output::Event(Event {
                place: Place::Object(object),
                kind: EventKind::Consumed,
                ..
            }) => self.trail.push_back(format!("{object} takes it")),
            _ => {}
        }
    }

    fn is_near(&self) -> bool {
        self.inputs + TRAIL > LIMIT && self.trail.len() < TRAIL
    }

    /// The cycle, when the limit is passed.
    pub(super) fn cycle(&self) -> Option<Vec<String>> {
        if self.ticks > LIMIT {
            return Some(vec![TICK.to_owned()]);
        }
        (self.inputs > LIMIT).then(|| period(&self.trail))
    }
}

/// Where an input goes in, by its qualified id.
fn name(machine: &MachineId, input: &Input) -> String {
    let qualified = |id: &str| machine.qualified::<String>(id);
    match input {
        Input::NetdevFrame { netdev, .. } => format!("frame at {}", qualified(netdev.as_str())),
        Input::Announce { netdev, .. } => {
            format!("announcement at {}", qualified(netdev.as_str()))
        }
        Input::StreamBytes { netdev, .. } | Input::StreamClosed { netdev } => {
            format!("stream of {}", qualified(netdev.as_str()))
        }
        Input::Captured { netdev, direction, .. } => {
            format!("capture {direction} on {}", qualified(netdev.as_str()))
        }
        Input::InjectFailed { netdev, .. } => {
            format!("injection on {}", qualified(netdev.as_str()))
        }
        Input::ChardevBytes { chardev, .. } | Input::Chardev { chardev, .. } => {
            format!("chardev {}", qualified(chardev.as_str()))
        }
        Input::Command { .. } => "command".to_owned(),
        Input::Tick => TICK.to_owned(),
    }
}

/// The shortest sequence that the trail repeats; the whole trail when it repeats none.
fn period(trail: &VecDeque<String>) -> Vec<String> {
    let length = (1..=trail.len() / 2)
        .find(|length| (*length..trail.len()).all(|at| trail[at] == trail[at - length]))
        .unwrap_or(trail.len());
    trail.iter().take(length).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cycle_is_named_once() {
        let trail: VecDeque<String> = ["a", "b", "c", "a", "b", "c", "a"].map(str::to_owned).into();
        assert_eq!(period(&trail), ["a", "b", "c"]);
    }

    #[test]
    fn a_storm_is_more_than_the_limit() {
        let mut storm = Storm::default();
        for _ in 0..LIMIT {
            storm.count(&MachineId::default(), &Input::Tick);
        }
        assert_eq!(storm.cycle(), None);
        storm.count(&MachineId::default(), &Input::Tick);
        assert_eq!(storm.cycle(), Some(vec!["timer".to_owned()]));
        storm.calm();
        assert_eq!(storm.cycle(), None);
    }

    /// A frame that goes round with a delay is one, however many timers fire meanwhile; timers
    /// are not, each in its own moment.
    #[test]
    fn a_timer_is_counted_in_its_moment_and_a_frame_in_its_step() {
        let mut storm = Storm::default();
        for _ in 0..=LIMIT {
            assert_eq!(storm.cycle(), None);
            storm.count(&MachineId::default(), &Input::Tick);
            storm.note(|| "frame".to_owned());
            storm.clock_moved();
        }
        assert_eq!(storm.cycle(), Some(vec!["frame".to_owned()]));
    }
}
