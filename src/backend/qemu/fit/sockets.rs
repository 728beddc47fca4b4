//! Which joins of sockets are the same over unix sockets and by the wall's clock.

use serde_json::{Map, Value};

use crate::{
    backend::{
        lower::{self, Socket},
        qemu::command,
    },
    base::{ChardevId, MachineId},
    scenario::{Address, Case, ChardevFar, Verb},
};

/// Why a case's sockets can't be joined.
pub(super) fn unfit(case: &Case) -> Option<String> {
    let added: Vec<(&MachineId, ChardevId, Socket)> = added(case).collect();
    let is_joined = |far: &ChardevFar| matches!(far, ChardevFar::Joined(_));
    let clients = || {
        let sockets = case.chardevs.iter();
        sockets.filter(|chardev| !chardev.server && is_joined(&chardev.far))
    };
    let mut alone = clients().filter(|client| {
        let is_there = |other: &ChardevId| case.chardevs.iter().any(|one| one.id == *other);
        let meets = matches!(&client.far, ChardevFar::Joined(other) if is_there(other));
        !meets && !command::reconnects(&client.options)
    });
    if let Some(client) = alone.next() {
        return Some(format!("chardev {}: its server comes later", client.id));
    }
    let comes_again = clients().any(|client| command::reconnects(&client.options))
        || added.iter().any(|(_, _, socket)| !socket.server && socket.retry.is_some());
    let advances = !super::advances(case).is_zero();
    if comes_again && advances && added.iter().any(|(_, _, socket)| socket.server) {
        return Some("a client tries again by the wall's clock here".to_owned());
    }
    let mut taken =
        added.iter().filter(|(machine, id, socket)| collides(case, machine, id, socket, &added));
    let (_, id, _) = taken.next()?;
    Some(format!("chardev {id}: no real port is taken"))
}

/// Whether a server that a step makes finds its port taken.
fn collides(
    case: &Case,
    machine: &MachineId,
    id: &ChardevId,
    socket: &Socket,
    added: &[(&MachineId, ChardevId, Socket)],
) -> bool {
    let meets = |at: &MachineId, other: &ChardevId, address: &Address| {
        matches!(address, Address::Tcp { .. })
            && other != id
            && socket.address.collides(machine, address, at)
    };
    let declared = case.chardevs.iter().any(|one| {
        let address = one.address.as_ref().filter(|_| one.server);
        address.is_some_and(|address| meets(&one.machine, &one.id, address))
    });
    let later = |(at, other, there): &(&MachineId, ChardevId, Socket)| {
        there.server && meets(at, other, &there.address)
    };
    socket.server && (declared || added.iter().any(later))
}

/// The sockets that steps make.
fn added(case: &Case) -> impl Iterator<Item = (&MachineId, ChardevId, Socket)> {
    let of = |args: &Map<String, Value>| {
        let id = args.get("id")?.as_str()?.to_owned();
        Some((id, lower::added_socket(args)?))
    };
    case.steps.iter().filter_map(move |step| match &step.verb {
        Verb::Qmp { machine, command, args } if command == "chardev-add" => {
            let (id, socket) = of(args)?;
            Some((machine, machine.qualified(&id), socket))
        }
        _ => None,
    })
}
