//! Reads `migrate`, and checks that the guest of one machine can go on in the other.

use super::{expect::Known, machine};
use crate::{
    base::{MachineId, NetdevId, PortId},
    diag::Span,
    scenario::{
        case::{Netdev, NetdevType, Verb},
        fault::Fault,
        fields::Fields,
        key,
        node::Entry,
    },
};

/// `migrate: {from: source, to: dest}`.
pub(super) fn lower(step: &Fields<'_>, entry: &Entry, known: &Known<'_>) -> Option<Verb> {
    let map = Fields::open(step.context(), &entry.value, &key::MIGRATE)?;
    let side = |name| machine::find(&map, map.node(name)?, known.machines);
    let (from, to) = (side("from"), side("to"));
    let (from, to) = (from?, to?);
    let span = map.span_of("to").unwrap_or(entry.key_span);
    let refused = |reason, help| map.fault(span, Fault::Migration { reason, help });
    if from == to {
        refused(
            format!("{from} can't be migrated to itself"),
            "name two machines: `migrate: {from: source, to: dest}`",
        );
    } else if !known.incoming.contains(&to) {
        refused(
            format!("{to} waits for no migration"),
            "add `incoming: true` to that machine: it is QEMU's -incoming",
        );
    } else if let Some(reason) = difference(known.interfaces.netdevs, &from, &to) {
        refused(
            reason,
            "a guest finds the same hardware again: give both machines TAPs of the same ids, with \
             the same `mac` and `nic`",
        );
    }
    note_arrivals(known, &from, &to);
    Some(Verb::Migrate { from, to })
}

/// Later steps may use the guests where they go on.
fn note_arrivals(known: &Known<'_>, from: &MachineId, to: &MachineId) {
    let (stacks, mut arrivals) = (known.stacks.borrow(), known.arrivals.borrow_mut());
    for netdev in known.interfaces.netdevs.iter().filter(|netdev| netdev.machine == *from) {
        let here = PortId::guest(&netdev.id);
        let has_guest = stacks.iter().any(|stack| stack.port == here) || arrivals.contains(&here);
        if let Some(local) = from.local(netdev.id.as_str()).filter(|_| has_guest) {
            let there: NetdevId = to.qualified(local);
            arrivals.insert(PortId::guest(&there));
        }
    }
}

/// A machine that waits for a guest has none of its own.
pub(super) fn check_guest(fields: &Fields<'_>, span: Span, id: &NetdevId) {
    let reason = format!("{id} has a guest already, and its machine waits for one");
    let help = "leave `guest` out here: the guest of an `incoming` machine comes by `migrate`";
    fields.fault(span, Fault::Migration { reason, help });
}

/// How the NICs of two machines differ.
fn difference(netdevs: &[Netdev], from: &MachineId, to: &MachineId) -> Option<String> {
    for (one, other) in [(from, to), (to, from)] {
        for netdev in netdevs.iter().filter(|netdev| netdev.machine == *one) {
            let NetdevType::Tap { mac, nic, .. } = &netdev.kind else {
                continue;
            };
            let local = one.local(netdev.id.as_str()).unwrap_or_default();
            let twin: NetdevId = other.qualified(local);
            let twin = netdevs.iter().find(|netdev| netdev.id == twin).map(|netdev| &netdev.kind);
            return Some(match twin {
                Some(NetdevType::Tap { mac: its, .. }) if its != mac => {
                    format!("the guest's NIC is {mac} at {}, and {its} at {other}", netdev.id)
                }
                Some(NetdevType::Tap { nic: its, .. }) if its != nic => {
                    format!("the guest's NIC at {} is not of the same kind at {other}", netdev.id)
                }
                Some(NetdevType::Tap { .. }) => continue,
                _ => {
                    format!("the guest has a NIC at {}, and none of that id at {other}", netdev.id)
                }
            });
        }
    }
    None
}
