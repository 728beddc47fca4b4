//! A netdev's chain of filters: how a filter gets into it, the walk along it, and injection from
//! the middle (QEMU 10.2.2 `net/filter.c`).

use super::Net;
use crate::{
    base::{Direction, Interface, Quirk},
    machine::{
        NetdevKind,
        core::{ClientKey, ObjectKey, Packet},
        error::{CreateError, generic},
        part::{Base, Class, Verdict},
        property::not_built,
    },
    qapi::Spec,
    record::{Abort, CommandError, DropReason},
};

/// Where in a chain a filter goes.
enum Position {
    Head,
    Tail,
    Beside { filter: ObjectKey, behind: bool },
}

impl Net {
    /// Completes a filter that is already a child of `/objects`: the base's checks, those of its
    /// class, the insertion, in QEMU's order (QEMU 10.2.2 net/filter.c:217-303).
    pub(in crate::machine) fn filter_complete(
        &mut self,
        object: ObjectKey,
        class: Option<&'static Class>,
        spec: &Spec,
    ) -> Result<(), CreateError> {
        let bypasses_chain =
            class.is_some_and(|class| (class.bypasses_chain)(self.core.profile.version(), spec));
        let netdev = self.filter_netdev(spec, bypasses_chain)?;
        let position = self.filter_position(object, netdev, spec)?;
        let Some(class) = class else {
            return Err(not_built(spec).into());
        };
        self.part_add(object, Base::new(Some(netdev), spec), class.make, spec)?;
        let Some(client) = self.core.clients.get_mut(&netdev) else {
            return Ok(());
        };
        let chain = &mut client.chain;
        let at = match position {
            Position::Head => 0,
            Position::Tail => chain.len(),
            Position::Beside { filter, behind } => chain
                .iter()
                .position(|other| *other == filter)
                .map_or(chain.len(), |at| at + usize::from(behind)),
        };
        chain.insert(at, object);
        Ok(())
    }

    /// Hands a packet to the filters of one netdev: from the head for tx, from the tail for rx.
    /// The first that takes it ends the walk (QEMU 10.2.2 net/net.c:657-673).
    pub(super) fn walk(
        &mut self,
        netdev: ClientKey,
        direction: Direction,
        packet: &Packet,
    ) -> Verdict {
        let length = self.chain_length(netdev);
        match direction {
            Direction::Tx => self.walk_steps(netdev, 0..length, direction, packet),
            Direction::Rx => self.walk_steps(netdev, (0..length).rev(), direction, packet),
        }
    }

    /// Injects a packet behind a filter: the filters after it in `direction`, then the receiver
    /// (`qemu_netfilter_pass_to_next`). The packet's sender is the netdev for tx and its peer for
    /// rx. A captured packet needs no receiver to walk. Whatever becomes of it counts as taken, but
    /// an empty packet that no filter took.
    pub(super) fn pass_to_next(
        &mut self,
        filter: ObjectKey,
        direction: Direction,
        packet: Packet,
    ) -> Verdict {
        let by_length = if packet.data.is_empty() { Verdict::Pass } else { Verdict::Take };
        let Some(netdev) = self.base(filter).and_then(|base| base.netdev) else {
            return by_length;
        };
        let sender = self.core.clients.get(&packet.sender);
        let joined = sender.is_some_and(|sender| sender.peer.is_some());
        let beside = packet.captured.is_some() || packet.injector.is_some();
        if !joined && !beside {
            self.core.drop_frame(self.core.object_place(filter), packet.tag, DropReason::NoPeer);
            return by_length;
        }
        let chain = self.core.clients.get(&netdev).map(|client| client.chain.as_slice());
        let here = chain.and_then(|chain| chain.iter().position(|other| *other == filter));
        let Some(here) = here else {
            return by_length;
        };
        let verdict = match direction {
            Direction::Tx => {
                let length = self.chain_length(netdev);
                self.walk_steps(netdev, here + 1..length, direction, &packet)
            }
            Direction::Rx => self.walk_steps(netdev, (0..here).rev(), direction, &packet),
        };
        if verdict == Verdict::Take {
            return verdict;
        }
        if packet.injector.is_some() {
            // The filter that was to inject it is off, or gone.
            let place = self.core.netdev_place(netdev);
            self.core.drop_frame(place, packet.tag, DropReason::Purged);
            return by_length;
        }
        if packet.captured == Some(netdev) {
            let place = self.core.netdev_place(netdev);
            self.core.drop_frame(place, packet.tag, DropReason::AlreadyDelivered);
            return by_length;
        }
        match self.core.clients.get(&packet.sender).and_then(|sender| sender.peer) {
            Some(receiver) => {
                self.queue_send(receiver, packet);
            }
            None => {
                let place = self.core.netdev_place(netdev);
                self.core.drop_frame(place, packet.tag, DropReason::NoPeer);
            }
        }
        by_length
    }

    /// Brings a packet to a filter, through the nearest filter before it, in this direction, that holds
    /// packets; without one, at once.
    pub(super) fn approach(&mut self, filter: ObjectKey, direction: Direction, packet: &Packet) {
        let netdev = self.base(filter).and_then(|base| base.netdev);
        let client = netdev.and_then(|netdev| Some((netdev, self.core.clients.get(&netdev)?)));
        let Some((netdev, client)) = client else {
            return;
        };
        let chain = &client.chain;
        let Some(here) = chain.iter().position(|other| *other == filter) else {
            return;
        };
        let holds = |at: &usize| self.holds_packets(chain[*at], direction);
        let walked = match direction {
            Direction::Tx => (0..here)
                .rev()
                .find(holds)
                .map(|at| self.walk_steps(netdev, at..here + 1, direction, packet)),
            Direction::Rx => (here + 1..chain.len())
                .find(holds)
                .map(|at| self.walk_steps(netdev, (here..at + 1).rev(), direction, packet)),
        };
        match walked {
            None => {
                self.act(filter, |part, cx| part.receive(cx, packet));
            }
            Some(Verdict::Pass) => {
                self.core.drop_frame(self.core.object_place(filter), packet.tag, DropReason::Off);
            }
            Some(Verdict::Take) => {}
        }
    }

    fn walk_steps(
        &mut self,
        netdev: ClientKey,
        steps: impl Iterator<Item = usize>,
        direction: Direction,
        packet: &Packet,
    ) -> Verdict {
        for at in steps {
            let chain = self.core.clients.get(&netdev).map(|client| &client.chain);
            let Some(key) = chain.and_then(|chain| chain.get(at)).copied() else {
                continue;
            };
            let called = self.call(key, |part, cx| {
                if !cx.base.on || !cx.base.queue.handles(direction) {
                    return Verdict::Pass;
                }
                cx.seen(Some(direction), packet.data.clone(), packet.tag);
                part.receive(cx, packet)
            });
            if let Some((verdict, actions)) = called {
                self.carry_out(key, actions);
                if verdict == Verdict::Take {
                    return verdict;
                }
            }
        }
        Verdict::Pass
    }

    fn chain_length(&self, netdev: ClientKey) -> usize {
        self.core.clients.get(&netdev).map_or(0, |client| client.chain.len())
    }

    /// The base's checks of `netdev`, in QEMU's order.
    fn filter_netdev(&self, spec: &Spec, bypasses_chain: bool) -> Result<ClientKey, CommandError> {
        let id = spec.text("netdev").unwrap_or_default();
        // A NIC is no network backend (QEMU 10.2.2 net/filter.c:231-237).
        let client = self
            .core
            .clients
            .iter()
            .find(|(_, client)| {
                client.id.as_str() == id && !matches!(client.kind, NetdevKind::Nic { .. })
            })
            .ok_or_else(|| generic("Parameter 'netdev' expects a network backend id"))?;
        match client.1.kind {
            NetdevKind::Tap { queues, .. } if queues > 1 => {
                Err(generic("multiqueue is not supported"))
            }
            NetdevKind::Tap { vhost: true, .. } | NetdevKind::VhostUser if !bypasses_chain => {
                Err(generic("Vhost is not supported"))
            }
            NetdevKind::VhostUser
                if self.core.profile.version().interface() == Some(Interface::OwnVhostTap) =>
            {
                Err(generic("Vhost filter support requires a TAP backend"))
            }
            _ => Ok(*client.0),
        }
    }

    fn filter_position(
        &self,
        object: ObjectKey,
        netdev: ClientKey,
        spec: &Spec,
    ) -> Result<Position, CreateError> {
        let id = match spec.text("position").unwrap_or("tail") {
            "head" => return Ok(Position::Head),
            "tail" => return Ok(Position::Tail),
            other => other.strip_prefix("id=").ok_or_else(|| {
                generic("Parameter 'position' expects 'head', 'tail' or 'id=<id>'")
            })?,
        };
        let Some(key) = self.core.object_of(id) else {
            return Err(generic(format!("filter '{id}' not found")).into());
        };
        let elsewhere = generic(format!("filter '{id}' belongs to a different netdev"));
        let is_filter = self.core.objects.get(&key).is_some_and(|object| object.kind.is_filter());
        if !is_filter && self.core.has(Quirk::PositionCastAborts) {
            return Err(CreateError::Aborts(Abort {
                assertion: "include/net/filter.h:18:NETFILTER: Object is not an instance of type \
                            netfilter"
                    .to_owned(),
                survivor: Some(elsewhere),
            }));
        }
        // The object itself is found too; it has no netdev yet.
        match self.base(key) {
            Some(base) if base.netdev == Some(netdev) && key != object => {
                Ok(Position::Beside { filter: key, behind: spec.text("insert") != Some("before") })
            }
            _ => Err(elsewhere.into()),
        }
    }
}
