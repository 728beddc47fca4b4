//! What reaches the machines: inputs from the queue, commands and timers.

use super::{
    super::{Carrier, process::Process},
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
        self.feed(at, Input::Command { id, command })?;
        Ok(match self.answered.take_if(|(answered, _)| *answered == id) {
            Some((_, answer)) => answer,
            None => Answer {
                command: title.text,
                subject: title.subject,
                outcome: Outcome::Unanswered(NoAnswer::Frozen),
            },
        })
    }

    /// Gives a machine one input and carries its outputs out.
    pub(super) fn feed(&mut self, at: usize, input: Input) -> Result<(), BackendError> {
        self.storm.count(self.processes[at].id(), &input);
        let mut outputs = std::mem::take(&mut self.outputs);
        self.processes[at].handle(self.clock, input, &mut outputs);
        let result = outputs.drain(..).try_for_each(|output| self.carry_out(at, output));
        self.outputs = outputs;
        self.tell_readers(at);
        self.follow_run_state(at);
        result
    }

    pub(super) fn index_of(&self, machine: &MachineId) -> usize {
        self.processes.iter().position(|process| process.id() == machine).unwrap_or(0)
    }

    /// The machine that a qualified id belongs to, and the id as that machine knows it.
    pub(super) fn local<T: From<String>>(&self, qualified: &str) -> (usize, T) {
        let mut processes = self.processes.iter().enumerate();
        let found = processes.find_map(|(at, process)| Some((at, process.id().local(qualified)?)));
        let (at, local) = found.unwrap_or((0, qualified));
        (at, T::from(local.to_owned()))
    }

    /// The machine that a qualified id belongs to.
    pub(super) fn owner(&self, qualified: &str) -> &Process {
        let owns = |process: &&Process| process.id().local(qualified).is_some();
        self.processes.iter().find(owns).unwrap_or(&self.processes[0])
    }

    /// One pass over all sources; whether anything moved.
    pub(super) fn pass(&mut self) -> Result<bool, BackendError> {
        let mut moved = false;
        while let Some((at, input)) = self.queue.pop_front() {
            moved = true;
            self.feed(at, input)?;
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
                self.feed(at, Input::Tick)?;
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
