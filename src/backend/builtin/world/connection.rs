//! Connections between chardevs, of one machine or of several: who listens, who comes back, and who
//! is not read.

use serde_json::{Map, Value};

use super::{
    super::{Carrier, far_end::FarEnd, socket::SocketEnd},
    BuiltinWorld,
};
use crate::{
    backend::lower::{self, Socket},
    base::{ChardevId, MachineId, VirtualTime},
    machine::{ChardevState, Input},
    record::{CommandError, Event, EventKind, Place},
    scenario::{Address, Reach},
};

impl<C: Carrier> BuiltinWorld<C> {
    /// A command is to make a socket: where, is kept until it has; or the kernel's refusal.
    pub(super) fn prepare(
        &mut self,
        machine: &MachineId,
        command: &str,
        args: &Map<String, Value>,
    ) -> Option<CommandError> {
        if !matches!(command, "chardev-add" | "chardev-change") {
            return None;
        }
        let local = args.get("id")?.as_str()?;
        let id: ChardevId = machine.qualified(local);
        let socket = lower::added_socket(args)?;
        let process = &self.processes[self.index_of(machine)];
        let asked = command == "chardev-add" && !process.is_frozen() && !process.dead;
        let refusal = if asked && !self.far_ends.contains_key(&id) {
            self.refusal(machine, &id, &socket)
        } else {
            None
        };
        let refused = refusal.map(|reason| CommandError {
            class: "GenericError".to_owned(),
            desc: format!("Failed to add chardev '{local}': {reason}"),
        });
        if refused.is_none() {
            self.added.insert(id, socket);
        }
        refused
    }

    /// What the kernel says to a socket that can't be (QEMU 7.2.22, as run).
    fn refusal(&self, machine: &MachineId, id: &ChardevId, socket: &Socket) -> Option<String> {
        if socket.server {
            // An old path is taken over; a port is not.
            let taken = matches!(socket.address, Address::Tcp { .. })
                && self.sockets.iter().any(|(other, there)| {
                    let at = self.machine_of_chardev(other);
                    there.server && socket.address.collides(machine, &there.address, &at)
                });
            return taken
                .then(|| "Failed to find an available port: Address already in use".to_owned());
        }
        let alone = self.joined.contains(id) && socket.retry.is_none();
        (alone && self.listener(machine, &socket.address).is_none())
            .then(|| connection_failure(&socket.address))
    }

    /// A command made a socket whose far end is to be another chardev.
    pub(super) fn socket_added(&mut self, id: ChardevId, socket: &Socket) {
        let mut end = SocketEnd::new(Some(socket), None);
        end.due = None;
        self.far_ends.insert(id.clone(), FarEnd::Joined(end));
        if !socket.server {
            self.connect(&id);
        }
    }

    fn connect(&mut self, client: &ChardevId) {
        let now = self.clock;
        let machine = self.machine_of_chardev(client);
        let Some(FarEnd::Joined(end)) = self.far_ends.get(client) else {
            return;
        };
        let Some(address) = end.address.clone() else {
            return;
        };
        let server = self.listener(&machine, &address);
        let is_free = |server: &ChardevId| matches!(self.far_ends.get(server), Some(FarEnd::Joined(end)) if end.peer.is_none());
        let free = server.clone().filter(|server| is_free(server));
        let Some(FarEnd::Joined(end)) = self.far_ends.get_mut(client) else {
            return;
        };
        if let Some(server) = free {
            end.connect(server.clone());
            if let Some(FarEnd::Joined(other)) = self.far_ends.get_mut(&server) {
                other.connect(client.clone());
            }
            self.change(&server, ChardevState::Opened);
            self.change(client, ChardevState::Opened);
            return;
        }
        end.due = end.retry.map(|retry| now + retry);
        end.waits = server;
        if end.waits.is_none() && !std::mem::replace(&mut end.told, true) {
            let local = machine.local(client.as_str()).unwrap_or_default();
            let why = connection_failure(&address);
            let text = format!("Unable to connect character device {local}: {why}");
            self.seen.events.push(Event {
                tag: None,
                place: Place::Chardev(client.clone()),
                kind: EventKind::Log(text),
            });
        }
    }

    /// A socket is gone, and with it the connections that waited for it.
    pub(super) fn socket_removed(&mut self, id: &ChardevId) {
        self.sockets.remove(id);
        for far_end in self.far_ends.values_mut() {
            if let FarEnd::Joined(end) = far_end
                && end.waits.as_ref() == Some(id)
            {
                end.waits = None;
            }
        }
    }

    /// A machine closed its end of a connection: the other end sees it.
    pub(super) fn socket_closed(&mut self, id: &ChardevId) {
        let now = self.clock;
        let Some(FarEnd::Joined(end)) = self.far_ends.get_mut(id) else {
            return;
        };
        let Some(peer) = end.peer.clone() else {
            return;
        };
        end.disconnect(now);
        if let Some(FarEnd::Joined(other)) = self.far_ends.get_mut(&peer) {
            other.disconnect(now);
        }
        self.change(&peer, ChardevState::Closed);
        for free in [id, &peer] {
            self.next_client(free);
        }
    }

    /// A server that is free takes the client that has waited for it.
    fn next_client(&mut self, server: &ChardevId) {
        let is_free = matches!(
            self.far_ends.get(server),
            Some(FarEnd::Joined(end)) if end.server && end.peer.is_none()
        );
        let mut clients = self.far_ends.iter();
        let next = clients.find(|(_, far_end)| {
            matches!(far_end, FarEnd::Joined(end) if is_free && end.waits.as_ref() == Some(server))
        });
        if let Some(client) = next.map(|(id, _)| id.clone()) {
            self.connect(&client);
        }
    }

    /// Clients whose time has come try again; whether there was one.
    pub(super) fn retry(&mut self) -> bool {
        let now = self.clock;
        let due: Vec<ChardevId> =
            self.retries().filter(|(_, due)| *due <= now).map(|(id, _)| id.clone()).collect();
        for client in &due {
            self.connect(client);
        }
        !due.is_empty()
    }

    pub(super) fn next_retry(&self) -> Option<VirtualTime> {
        self.retries().map(|(_, due)| due).min()
    }

    /// Clients that connect again. A client of a machine that waits for a reader does so when that
    /// machine continues.
    fn retries(&self) -> impl Iterator<Item = (&ChardevId, VirtualTime)> {
        self.far_ends.iter().filter_map(|(id, far_end)| {
            let FarEnd::Joined(SocketEnd { due: Some(due), .. }) = far_end else {
                return None;
            };
            let process = self.owner(id.as_str());
            (!process.dead && !process.is_frozen()).then_some((id, *due))
        })
    }

    /// Tells the peers of a machine's sockets which of those are read.
    pub(super) fn tell_readers(&mut self, at: usize) {
        if self.joined.is_empty() {
            return;
        }
        let mut told = Vec::new();
        for (id, far_end) in &mut self.far_ends {
            let FarEnd::Joined(end) = far_end else {
                continue;
            };
            let Some(peer) = end.peer.as_ref() else {
                continue;
            };
            let process = &self.processes[at];
            let Some(reads) = process.reads(id, peer) else {
                continue;
            };
            if std::mem::replace(&mut end.reads, reads) != reads {
                told.push((peer.clone(), reads));
            }
        }
        for (peer, state) in told {
            self.change(&peer, state);
        }
    }

    fn change(&mut self, chardev: &ChardevId, state: ChardevState) {
        let (at, chardev) = self.local(chardev.as_str());
        self.queue.push_back((at, Input::Chardev { chardev, state }));
    }

    /// The server that a client of this machine reaches at an address, the surest first.
    fn listener(&self, machine: &MachineId, address: &Address) -> Option<ChardevId> {
        let mut best: Option<(Reach, &ChardevId)> = None;
        for (id, at, server) in self.servers() {
            if let Some(reach) = address.reaches(machine, server, at)
                && best.is_none_or(|(other, _)| reach > other)
            {
                best = Some((reach, id));
            }
        }
        best.map(|(_, id)| id.clone())
    }

    /// Sockets that listen: their machine lives.
    fn servers(&self) -> impl Iterator<Item = (&ChardevId, &MachineId, &Address)> {
        self.far_ends.iter().filter_map(|(id, far_end)| {
            let FarEnd::Joined(end) = far_end else {
                return None;
            };
            let process = self.owner(id.as_str());
            let listens = end.server && !process.dead;
            listens.then_some((id, process.id(), end.address.as_ref()?))
        })
    }

    fn machine_of_chardev(&self, id: &ChardevId) -> MachineId {
        self.owner(id.as_str()).id().clone()
    }
}

/// The text of a connection that fails. A path is gone with its server.
fn connection_failure(address: &Address) -> String {
    let why = match address {
        Address::Unix(_) => "No such file or directory",
        Address::Tcp { .. } => "Connection refused",
    };
    format!("Failed to connect to '{address}': {why}")
}
