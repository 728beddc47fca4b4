//! Events of COLO's frame, which runs outside of the net layer, on their way to the machines.

use super::{super::Carrier, BuiltinWorld};
use crate::{
    backend::{BackendError, Title},
    base::{MachineId, PortId},
    machine::{self, Command},
    scenario::ColoEvent,
};

impl<C: Carrier> BuiltinWorld<C> {
    /// A checkpoint reaches the comparing machine first, whose held packets leave before the other
    /// side has confirmed (QEMU 10.2.2 `migration/colo.c:405-524`), then the others, whose filters
    /// forget how the guests differed (`migration/colo.c:754-765`). A failover reaches the filters
    /// of the secondary only (`migration/colo.c:118`): a primary that loses its secondary doesn't
    /// notify its filters. The secondary is the machine that doesn't compare.
    pub(super) fn colo(
        &mut self,
        event: ColoEvent,
        machine: Option<&MachineId>,
    ) -> Result<(), BackendError> {
        let chosen: Vec<usize> = match machine {
            Some(machine) => vec![self.index_of(machine)],
            None => {
                let all = 0..self.processes.len();
                let (comparing, others): (Vec<usize>, Vec<usize>) =
                    all.partition(|at| self.processes[*at].compares());
                match event {
                    ColoEvent::Checkpoint => [comparing, others].concat(),
                    // Alone, a machine is the one that is meant.
                    ColoEvent::Failover if others.is_empty() => comparing,
                    ColoEvent::Failover => others,
                }
            }
        };
        for at in chosen {
            let title = Title { text: format!("colo {}", event.name()), subject: None };
            let told = match event {
                ColoEvent::Checkpoint => machine::ColoEvent::Checkpoint,
                ColoEvent::Failover => machine::ColoEvent::Failover,
            };
            self.command(at, title, Command::Colo(told))?;
            if event == ColoEvent::Checkpoint {
                self.copy_guests(at);
            }
        }
        Ok(())
    }

    /// A checkpoint brings the primary's memory and devices to the secondary: its guests become
    /// what the primary's guests on netdevs of the same id are.
    fn copy_guests(&mut self, to: usize) {
        let of = |at: usize| &self.processes[at];
        let primary = (0..self.processes.len()).find(|at| of(*at).compares() && !of(*at).dead);
        let Some(primary) = primary.filter(|_| !of(to).compares() && !of(to).dead) else {
            return;
        };
        let (from, to) = (of(primary).id().clone(), of(to).id().clone());
        let guests = self.taps.values().map(|tap| tap.guest_port.clone());
        for port in guests.collect::<Vec<_>>() {
            if let Some(local) = to.local(port.as_str()) {
                let source = PortId::from(from.qualified::<String>(local));
                self.traffic.copy_guest(&source, &port);
            }
        }
    }
}
