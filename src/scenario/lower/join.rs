//! Joins chardevs: a client and the server that its address reaches. Lowering the root calls it
//! once all chardevs are known.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    chardev::Half,
    object::{Added, Uses},
};
use crate::{
    base::{ChardevId, MachineId},
    diag::Span,
    scenario::{
        address::{Address, Reach, retry},
        case::{Chardev, ChardevFar, Wiring},
        fault::Fault,
        fields::Fields,
        node::short,
    },
};

/// A socket of the scenario.
struct Socket<'a> {
    machine: &'a MachineId,
    id: &'a ChardevId,
    address: &'a Address,
    server: bool,
    /// Where it is declared; none when a step adds it.
    declared: Option<Span>,
}

/// Every chardev with its far end, and which have another chardev there, those that steps add too.
pub(super) fn join(
    root: &Fields<'_>,
    halves: Vec<Half>,
    added: &[Added],
    uses: &Uses,
) -> (Vec<Chardev>, BTreeSet<ChardevId>) {
    let sockets = sockets(&halves, added);
    servers(root, &sockets);
    // For each client, the server that it reaches.
    let servers: Vec<Option<usize>> =
        sockets.iter().map(|client| server_of(root, &sockets, client)).collect();
    clients(root, &sockets, &servers, &halves);
    let partner = |at: usize| {
        let server = servers[at];
        let clients = || (0..sockets.len()).filter(|client| servers[*client] == Some(at));
        // A declared socket exists from the start.
        let first = clients().find(|client| sockets[*client].declared.is_some());
        server.or(first).or_else(|| clients().next())
    };
    let mut joined = BTreeSet::new();
    let mut far_ends = Vec::new();
    for (at, socket) in sockets.iter().enumerate() {
        if let Some(other) = partner(at) {
            far_ends.push((socket.id.clone(), &sockets[other]));
            if socket.declared.is_none() {
                joined.insert(socket.id.clone());
            }
        }
    }
    let far: Vec<ChardevFar> = halves
        .iter()
        .map(|half| {
            let other =
                far_ends.iter().find(|(id, _)| *id == half.chardev.id).map(|(_, other)| *other);
            far_end(root, half, other, uses)
        })
        .collect();
    joined.extend(
        halves
            .iter()
            .zip(&far)
            .filter(|(_, far)| matches!(far, ChardevFar::Joined(_)))
            .map(|(half, _)| half.chardev.id.clone()),
    );
    let chardevs = halves.into_iter().zip(far).map(|(half, far)| Chardev { far, ..half.chardev });
    (chardevs.collect(), joined)
}

/// What is declared comes first, then what steps add under another id or address.
fn sockets<'a>(halves: &'a [Half], added: &'a [Added]) -> Vec<Socket<'a>> {
    let declared = halves.iter().filter_map(|Half { chardev, .. }| {
        Some(Socket {
            machine: &chardev.machine,
            id: &chardev.id,
            address: chardev.address.as_ref()?,
            server: chardev.server,
            declared: Some(chardev.span),
        })
    });
    let mut sockets: Vec<Socket<'a>> = declared.collect();
    for Added { machine, id, socket, .. } in added {
        let Some((address, server)) = socket else {
            continue;
        };
        let again = |other: &Socket<'_>| {
            other.id == id && other.address == address && other.server == *server
        };
        if !sockets.iter().any(again) {
            sockets.push(Socket { machine, id, address, server: *server, declared: None });
        }
    }
    sockets
}

/// Reports servers that can't both listen.
fn servers(root: &Fields<'_>, sockets: &[Socket<'_>]) {
    let listening: Vec<(&Socket<'_>, Span)> = sockets
        .iter()
        .filter(|socket| socket.server)
        .filter_map(|socket| Some((socket, socket.declared?)))
        .collect();
    for (at, (one, span)) in listening.iter().enumerate() {
        let first = listening[..at]
            .iter()
            .find(|(other, _)| one.address.collides(one.machine, other.address, other.machine));
        if let Some((_, first)) = first {
            let reason = format!("two servers share the address {}", shown(one));
            let help = "let one of them be the client: leave `server` out there";
            fault(root, *span, reason, help, *first);
        }
    }
}

/// The server that a client reaches: one of its very address before one that listens on any, one
/// that is declared before one that a step adds.
fn server_of(root: &Fields<'_>, sockets: &[Socket<'_>], client: &Socket<'_>) -> Option<usize> {
    if client.server {
        return None;
    }
    let reached: Vec<(usize, (bool, Reach))> = sockets
        .iter()
        .enumerate()
        .filter(|(_, server)| server.server)
        .filter_map(|(at, server)| {
            let reach = client.address.reaches(client.machine, server.address, server.machine)?;
            Some((at, (server.declared.is_some(), reach)))
        })
        .collect();
    let best = reached.iter().map(|(_, rank)| *rank).max()?;
    let mut servers = reached.iter().filter(|(_, rank)| *rank == best);
    let (first, _) = servers.next()?;
    if let (Some((other, _)), Some(span), Some(related)) =
        (servers.next(), client.declared, sockets[*first].declared)
        && sockets[*first].machine != sockets[*other].machine
    {
        let (one, other) = (&sockets[*first], &sockets[*other]);
        let reason = format!(
            "{} could mean {} or {}, which both listen there",
            shown(client),
            one.id,
            other.id
        );
        let help = "give the servers the addresses of their machines instead of 0.0.0.0: a client \
                    finds the one with its own text";
        fault(root, span, reason, help, related);
    }
    Some(*first)
}

/// Reports clients that can't be served.
fn clients(root: &Fields<'_>, sockets: &[Socket<'_>], servers: &[Option<usize>], halves: &[Half]) {
    let comes_back = |id: &ChardevId| {
        let mut clients = halves.iter().map(|half| &half.chardev);
        let client = clients.find(|chardev| chardev.id == *id);
        client.is_some_and(|chardev| retry(&chardev.options).is_some())
    };
    for (at, client) in sockets.iter().enumerate() {
        let Some(span) = client.declared.filter(|_| !client.server) else {
            continue;
        };
        let earlier = sockets[..at]
            .iter()
            .zip(servers)
            .find(|(other, server)| {
                !other.server
                    && match servers[at] {
                        None => other.address == client.address && server.is_none(),
                        some => **server == some,
                    }
            })
            .and_then(|(other, _)| other.declared);
        let is_port = halves.iter().any(|half| half.chardev.id == *client.id && half.is_port());
        match (servers[at], earlier) {
            (Some(server), Some(other)) => {
                let reason = format!("more than two chardevs share the address {}", shown(client));
                let help = "a server has one client at a time: give each pair its own address";
                let first = sockets[server].declared.filter(|_| server < at);
                let first = first
                    .map_or(other, |first| if first.start < other.start { first } else { other });
                fault(root, span, reason, help, first);
            }
            (Some(server), None)
                if sockets[server].declared.is_none() && !comes_back(client.id) =>
            {
                let reason = format!(
                    "{} listens at {} only once a step has added it",
                    sockets[server].id,
                    shown(client)
                );
                let help = "QEMU would not start: give the client `reconnect-ms`, or let a step \
                            add it too";
                root.fault(span, Fault::Join { reason, help });
            }
            (None, Some(other)) if !client.machine.is_named() => {
                let reason = format!("two clients share the address {}", shown(client));
                fault(root, span, reason, "let one of them listen: `server: on`", other);
            }
            (None, _) if client.machine.is_named() && !is_port => {
                let reason = format!("no chardev of this scenario listens at {}", shown(client));
                let help = "add the server, or, where the scenario itself is to be the server, say \
                            so: `connected: true`";
                root.fault(span, Fault::Join { reason, help });
            }
            _ => {}
        }
    }
}

fn shown(socket: &Socket<'_>) -> String {
    short(&socket.address.to_string())
}

fn fault(root: &Fields<'_>, span: Span, reason: String, help: &'static str, first: Span) {
    let fault = Fault::Join { reason, help };
    root.context().fault_with(span, fault, first, "the first one");
}

fn far_end(root: &Fields<'_>, half: &Half, other: Option<&Socket<'_>>, uses: &Uses) -> ChardevFar {
    let chardev = &half.chardev;
    let packet = chardev.options.contains_key("af-packet-mode");
    if packet || matches!(chardev.backend.as_str(), "null" | "file" | "ringbuf") {
        if half.is_port() {
            let what = if packet { "socket with af-packet-mode" } else { &chardev.backend };
            let reason = format!("the backend {what} has no far end");
            let help = if packet {
                "take `connected` and `framing` out: what is at the other end is the TAP"
            } else {
                "take `connected` and `framing` out, or use the backend socket"
            };
            root.fault(chardev.span, Fault::Join { reason, help });
        }
        return ChardevFar::Nobody;
    }
    // A chardev that only a step adds reaches a port as any client does.
    if let Some(other) = other.filter(|other| other.declared.is_some() || !half.is_port()) {
        if half.is_port() {
            let reason = format!("{} is joined to {}", chardev.id, other.id);
            let help = "take `connected` and `framing` out: they are about a port, and there is \
                        none";
            root.fault(chardev.span, Fault::Join { reason, help });
        }
        return ChardevFar::Joined(other.id.clone());
    }
    ChardevFar::Port {
        connected: half.connected.unwrap_or(true),
        wiring: uses.wiring(&chardev.id, half.framing),
    }
}

/// How frames stand in the bytes of the chardevs that steps add. One that comes back under the id of
/// a declared one is at the same port.
pub(super) fn added_wirings(
    chardevs: &[Chardev],
    added: &[Added],
    uses: &Uses,
) -> BTreeMap<ChardevId, Wiring> {
    let wiring = |id: &ChardevId| {
        let declared = chardevs.iter().find(|chardev| chardev.id == *id);
        match declared.map(|chardev| &chardev.far) {
            Some(ChardevFar::Port { wiring, .. }) => *wiring,
            Some(ChardevFar::Joined(_) | ChardevFar::Nobody) | None => uses.wiring(id, None),
        }
    };
    added.iter().map(|added| (added.id.clone(), wiring(&added.id))).collect()
}
