//! A migration from one machine to another, as far as a network notices it: the source stops, its
//! guests are the destination's, and they announce themselves there.

use super::{super::Carrier, BuiltinWorld};
use crate::{
    backend::{BackendError, Title, title::migrate_title},
    base::{MachineId, NetdevId, PortId},
    machine::{Command, Halt, Migrated, NOT_BUILT},
    record::{Answer, CommandError, Outcome},
};

impl<C: Carrier> BuiltinWorld<C> {
    /// What the source refuses it does not begin, and neither what the destination would not take
    /// (QEMU finds that nobody listens, and the source runs on).
    pub(super) fn migrate(
        &mut self,
        from: &MachineId,
        to: &MachineId,
    ) -> Result<Answer, BackendError> {
        let title = migrate_title(from, to);
        let (source, destination) = (self.index_of(from), self.index_of(to));
        let refused = |class: &str, desc: String| {
            let Title { text, subject } = title.clone();
            let error = CommandError { class: class.to_owned(), desc };
            Ok(Answer { command: text, subject, outcome: Outcome::Refused(error) })
        };
        for (process, machine) in
            [(&self.processes[source], from), (&self.processes[destination], to)]
        {
            if process.is_frozen() {
                let desc =
                    format!("tapwright does not migrate while the main loop of {machine} waits");
                return refused(NOT_BUILT, desc);
            }
        }
        let leaver = &self.processes[source];
        let (halt, clock) = (leaver.halt(), leaver.vm_clock(self.clock));
        let leaves = !leaver.dead && matches!(halt, None | Some(Halt::Paused | Halt::Prelaunch));
        let taker = &self.processes[destination];
        if leaves && (taker.dead || !matches!(taker.halt(), Some(Halt::Inmigrate { .. }))) {
            return refused("GenericError", format!("{to} waits for no migration"));
        }
        let left = self.command(source, title.clone(), Command::MigrateOut)?;
        let Outcome::Done(_) = left.outcome else {
            return Ok(left);
        };
        self.move_guests(source, destination);
        self.command(destination, title, Command::MigrateIn(Migrated { halt, clock }))
    }

    /// The guests of one machine become those of the netdevs of the same ids of another. What a guest
    /// had given to a vhost-net that has stopped is in its memory, and goes with it.
    fn move_guests(&mut self, source: usize, destination: usize) {
        let (from, to) =
            (self.processes[source].id().clone(), self.processes[destination].id().clone());
        for netdev in self.taps.keys().cloned().collect::<Vec<_>>() {
            let Some(local) = from.local(netdev.as_str()) else {
                continue;
            };
            let target: NetdevId = to.qualified(local);
            let Some(tap) = self.taps.get(&target) else {
                continue;
            };
            let port = tap.guest_port.clone();
            self.traffic.move_guest(&PortId::guest(&netdev), &port, destination);
            let ring = self.unsent.get_mut(&netdev).map(std::mem::take).unwrap_or_default();
            for (frame, tag) in ring {
                self.send(&port, &frame, tag, None);
            }
        }
    }
}
