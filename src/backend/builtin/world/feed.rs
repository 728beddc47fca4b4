//! What reaches the machines: each input finds its own, each timer is looked at.

use super::{
    super::{
        Carrier,
        process::{Process, machine_of},
    },
    BuiltinWorld,
};
use crate::{
    backend::{BackendError, Title},
    base::{MachineId, VirtualTime},
    machine::{Command, CommandId, Input},
    record::{Answer, NoAnswer, Outcome},
};

impl<C: Carrier> BuiltinWorld<C> {
    /// Gives a machine a command and returns its answer, [`NoAnswer::Frozen`] while the main
    /// loop is frozen.
    pub(super) fn command(
        &mut self,
        at: usize,
        title: Title,
        command: Command,
    ) -> Result<Answer, BackendError> {
        self.command_count += 1;
        let id = CommandId(self.command_count);
        self.commands.insert(id, title.clone());
        self.feed_to(at, Input::Command { id, command })?;
        Ok(match self.answered.take_if(|(answered, _)| *answered == id) {
            Some((_, answer)) => answer,
            None => Answer {
                command: title.text,
                subject: title.subject,
                outcome: Outcome::Unanswered(NoAnswer::Frozen),
            },
        })
    }

    /// Gives one input to the machine that it is for.
    pub(super) fn feed(&mut self, input: Input) -> Result<(), BackendError> {
        let at = machine_of(&input).map_or(0, |name| self.process_named(name));
        self.feed_to(at, input)
    }

    /// Gives a machine one input and carries its outputs out.
    pub(super) fn feed_to(&mut self, at: usize, input: Input) -> Result<(), BackendError> {
        self.storm.count(&input);
        let mut outputs = std::mem::take(&mut self.outputs);
        self.processes[at].handle(self.clock, input, &mut outputs);
        let result = outputs.drain(..).try_for_each(|output| self.carry_out(at, output));
        self.outputs = outputs;
        self.tell_readers(at);
        result
    }

    pub(super) fn process_of(&self, machine: &MachineId) -> usize {
        self.process_named(machine.as_str())
    }

    /// The machine that something belongs to, by its id.
    pub(super) fn process_of_id(&self, id: &str) -> usize {
        id.split_once('/').map_or(0, |(name, _)| self.process_named(name))
    }

    fn process_named(&self, name: &str) -> usize {
        let at = self.processes.iter().position(|process| process.id().as_str() == name);
        at.unwrap_or(0)
    }

    /// One pass over all sources; whether anything moved.
    pub(super) fn pass(&mut self) -> Result<bool, BackendError> {
        let mut moved = false;
        while let Some(input) = self.queue.pop_front() {
            moved = true;
            self.feed(input)?;
            if self.storm.cycle().is_some() {
                return Ok(true);
            }
        }
        let mut carried = std::mem::take(&mut self.carried);
        let drained = self.carrier.drain(&mut carried);
        moved |= !carried.is_empty();
        for one in carried.drain(..) {
            self.take(one);
        }
        self.carried = carried;
        drained.map_err(|source| BackendError::System { what: "reading".to_owned(), source })?;
        for at in 0..self.processes.len() {
            let deadline = self.processes[at].deadline();
            if deadline.is_some_and(|due| due <= self.clock) {
                moved = true;
                self.feed_to(at, Input::Tick)?;
            }
        }
        Ok(moved | self.retry())
    }

    /// The first timer of all machines.
    pub(super) fn next_deadline(&self) -> Option<VirtualTime> {
        let machines = self.processes.iter().filter_map(Process::deadline);
        machines.chain(self.next_retry()).min()
    }
}
