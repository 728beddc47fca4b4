//! The base of all filters: a netdev's chain, the walk along it, injection from the middle, and the
//! table of filter classes (QEMU 10.2.2 `net/filter.c`).

use bytes::Bytes;

use super::{
    ColoEvent, NetdevKind,
    buffer::{self, Buffer},
    core::{ClientKey, Core, ObjectKey, generic},
    dump::{self, Dump},
    mirror::{self, Mirror},
    netqueue::Packet,
    part::{Part, PartClass, PartState},
    property::{self, Spec},
    redirector::{self, Redirector},
    replay,
    rewriter::{self, Rewriter},
};
use crate::{
    base::{Direction, Queue, Quirk, Tag, VirtualTime},
    record::{Abort, CommandError, DropReason, EventKind, Outcome},
};

/// A filter in place.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) class: &'static FilterClass,
    /// The netdev whose chain it is in.
    pub(super) netdev: ClientKey,
    pub(super) queue: Queue,
    pub(super) on: bool,
    pub(super) vnet_hdr_support: bool,
    pub(super) state: FilterState,
}

impl Filter {
    /// Where a packet goes on that the filter took before: as `queue` says now, and where that says
    /// nothing, away from its sender (QEMU 10.2.2 net/filter.c:64-120).
    pub(super) fn onward(&self, sender: ClientKey) -> Direction {
        match self.queue {
            Queue::Tx => Direction::Tx,
            Queue::Rx => Direction::Rx,
            Queue::All if sender == self.netdev => Direction::Tx,
            Queue::All => Direction::Rx,
        }
    }
}

/// What each class of filter keeps.
#[derive(Debug)]
pub(super) enum FilterState {
    /// Setup has not come that far, or there is nothing to keep.
    Unset,
    Buffer(Buffer),
    Dump(Dump),
    Mirror(Mirror),
    Redirector(Box<Redirector>),
    Rewriter(Box<Rewriter>),
}

/// What makes a filter its class. How to add one: the map in [`super`].
#[derive(Debug)]
pub(super) struct FilterClass {
    /// Its QOM type.
    pub(super) name: &'static str,
    /// Checks and takes hold of what it needs; the object is in place but in no chain.
    pub(super) setup: fn(&mut Core, ObjectKey, &Spec) -> Result<(), CommandError>,
    /// A packet reached it: 0 passes it on, anything else ends the walk.
    pub(super) receive: fn(&mut Core, ObjectKey, &Packet) -> isize,
    /// Bytes from the chardev it reads; `false` discards the rest of the read.
    pub(super) read: fn(&mut Core, ObjectKey, Bytes, Option<Tag>) -> bool,
    /// The chardev it reads was closed.
    pub(super) closed: fn(&mut Core, ObjectKey),
    /// A live property changed.
    pub(super) changed: fn(&mut Core, ObjectKey),
    /// When it wants to be woken.
    pub(super) deadline: fn(&Core, ObjectKey) -> Option<VirtualTime>,
    /// The time that it wanted has come.
    pub(super) due: fn(&mut Core, ObjectKey),
    /// COLO tells it something.
    pub(super) colo: fn(&mut Core, ObjectKey, ColoEvent),
    /// Frames that it holds when the run ends, and why they went no further.
    pub(super) unfinished: fn(&mut Core, ObjectKey) -> Vec<(Tag, DropReason)>,
    /// Lets go of everything; it is still in its chain.
    pub(super) cleanup: fn(&mut Core, ObjectKey),
    /// Its creation was refused after QEMU had made the object; what setup had taken hold of is
    /// cleaned up already.
    pub(super) refused: fn(&mut Core),
}

/// The filters that are built.
pub(super) static CLASSES: &[&FilterClass] = &[
    &buffer::CLASS,
    &dump::CLASS,
    &mirror::CLASS,
    &redirector::CLASS,
    &replay::CLASS,
    &rewriter::CLASS,
];

/// How a filter is reached other than through its chain: by its class.
static PART: PartClass = PartClass {
    own_thread: false,
    read: |core, key, _, data, tag| {
        let read = core.filter(key).map(|filter| filter.class.read);
        read.is_none_or(|read| read(core, key, data, tag))
    },
    closed: |core, key, _| tell(core, key, |class| class.closed),
    // Who writes for a filter waits in the write itself.
    writable: |_, _, _| {},
    is_deaf: |core, key, chardev| {
        core.filter(key).is_some_and(|filter| match &filter.state {
            FilterState::Redirector(redirector) => redirector.is_deaf(chardev),
            _ => false,
        })
    },
    changed: |core, key| tell(core, key, |class| class.changed),
    colo: |core, key, event| {
        if let Some(colo) = core.filter(key).map(|filter| filter.class.colo) {
            colo(core, key, event);
        }
    },
    deadline: |core, key| (core.filter(key)?.class.deadline)(core, key),
    due: |core, key| tell(core, key, |class| class.due),
    unfinished: |core, key| {
        let unfinished = core.filter(key).map(|filter| filter.class.unfinished);
        unfinished.map(|held| held(core, key)).unwrap_or_default()
    },
    // A filter cleans up while it is in its chain (QEMU 10.2.2 net/filter.c:306-321).
    cleanup: |core, key| {
        let netdev = core.filter(key).map(|filter| filter.netdev);
        tell(core, key, |class| class.cleanup);
        if let Some(client) = netdev.and_then(|netdev| core.clients.get_mut(&netdev)) {
            client.chain.retain(|other| *other != key);
        }
    },
};

/// Calls a function of a filter's class.
fn tell(core: &mut Core, key: ObjectKey, what: fn(&FilterClass) -> fn(&mut Core, ObjectKey)) {
    if let Some(act) = core.filter(key).map(|filter| what(filter.class)) {
        act(core, key);
    }
}

/// What a filter does about COLO unless its class knows better: a failover switches it off, as
/// `qom-set status` does (QEMU 10.2.2 net/filter.c:323-334).
pub(super) fn colo(core: &mut Core, key: ObjectKey, event: ColoEvent) {
    if event != ColoEvent::Failover {
        return;
    }
    if let Some(object) = core.objects.get_mut(&key) {
        object.values.insert("status", "off".into());
    }
    let was_on =
        core.filter_mut(key).is_some_and(|filter| std::mem::replace(&mut filter.on, false));
    if was_on {
        tell(core, key, |class| class.changed);
    }
}

/// How an object's creation can fail.
#[derive(Debug)]
pub(super) enum CreateError {
    Refused(CommandError),
    Aborts(Abort),
}

impl From<CommandError> for CreateError {
    fn from(error: CommandError) -> Self {
        Self::Refused(error)
    }
}

impl From<CreateError> for Outcome {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Refused(error) => Self::Refused(error),
            CreateError::Aborts(abort) => Self::Aborts(abort),
        }
    }
}

/// Where in a chain a filter goes.
enum Position {
    Head,
    Tail,
    Beside { filter: ObjectKey, behind: bool },
}

impl Core {
    /// Completes a filter that is already a child of `/objects`: the base's checks, the class's
    /// setup, the insertion, in QEMU's order (QEMU 10.2.2 net/filter.c:217-303).
    pub(super) fn filter_complete(
        &mut self,
        object: ObjectKey,
        class: Option<&'static FilterClass>,
        spec: &Spec,
    ) -> Result<(), CreateError> {
        let netdev = self.filter_netdev(spec)?;
        let position = self.filter_position(object, netdev, spec)?;
        let Some(class) = class else {
            return Err(property::not_built(spec).into());
        };
        let filter = Filter {
            class,
            netdev,
            queue: spec.text("queue").and_then(Queue::parse).unwrap_or_default(),
            on: spec.text("status") != Some("off"),
            vnet_hdr_support: spec.flag("vnet_hdr_support"),
            state: FilterState::Unset,
        };
        if let Some(object) = self.objects.get_mut(&object) {
            object.part = Some(Part { class: &PART, state: PartState::Filter(filter) });
        }
        (class.setup)(self, object, spec)?;
        let Some(client) = self.clients.get_mut(&netdev) else {
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
    /// The first result that is not 0 ends the walk (QEMU 10.2.2 net/net.c:657-673).
    pub(super) fn walk(
        &mut self,
        netdev: ClientKey,
        direction: Direction,
        packet: &Packet,
    ) -> isize {
        let length = self.chain_length(netdev);
        match direction {
            Direction::Tx => self.walk_steps(netdev, 0..length, direction, packet),
            Direction::Rx => self.walk_steps(netdev, (0..length).rev(), direction, packet),
        }
    }

    /// Injects a packet behind a filter: the filters after it in `direction`, then the receiver
    /// (`qemu_netfilter_pass_to_next`). The packet's sender is the netdev for tx and its peer for
    /// rx. A captured packet needs no receiver to walk. Gives the result of the filter that ended the
    /// walk, else the packet's length, whatever became of it.
    pub(super) fn pass_to_next(
        &mut self,
        filter: ObjectKey,
        direction: Direction,
        packet: Packet,
    ) -> isize {
        let size = packet.data.len() as isize;
        let Some(netdev) = self.filter(filter).map(|filter| filter.netdev) else {
            return size;
        };
        let sender = self.clients.get(&packet.sender);
        let joined = sender.is_some_and(|sender| sender.peer.is_some());
        if !joined && packet.captured.is_none() {
            self.drop_frame(self.object_place(filter), packet.tag, DropReason::NoPeer);
            return size;
        }
        let chain = self.clients.get(&netdev).map(|client| client.chain.as_slice());
        let here = chain.and_then(|chain| chain.iter().position(|other| *other == filter));
        let Some(here) = here else {
            return size;
        };
        let verdict = match direction {
            Direction::Tx => {
                let length = self.chain_length(netdev);
                self.walk_steps(netdev, here + 1..length, direction, &packet)
            }
            Direction::Rx => self.walk_steps(netdev, (0..here).rev(), direction, &packet),
        };
        if verdict != 0 {
            return verdict;
        }
        if packet.captured == Some(netdev) {
            let place = self.netdev_place(netdev);
            self.drop_frame(place, packet.tag, DropReason::AlreadyDelivered);
            return size;
        }
        match self.clients.get(&packet.sender).and_then(|sender| sender.peer) {
            Some(receiver) => {
                self.queue_send(receiver, packet);
            }
            None => self.drop_frame(self.netdev_place(netdev), packet.tag, DropReason::NoPeer),
        }
        size
    }

    /// Records that a filter sees a frame.
    pub(super) fn seen(
        &mut self,
        filter: ObjectKey,
        direction: Option<Direction>,
        data: Bytes,
        tag: Option<Tag>,
    ) {
        let place = self.object_place(filter);
        self.event(place, tag, EventKind::Seen { direction, data });
    }

    fn walk_steps(
        &mut self,
        netdev: ClientKey,
        steps: impl Iterator<Item = usize>,
        direction: Direction,
        packet: &Packet,
    ) -> isize {
        for at in steps {
            let chain = self.clients.get(&netdev).map(|client| &client.chain);
            let Some(key) = chain.and_then(|chain| chain.get(at)).copied() else {
                continue;
            };
            let Some(filter) = self.filter(key) else {
                continue;
            };
            if !filter.on || !filter.queue.handles(direction) {
                continue;
            }
            let receive = filter.class.receive;
            self.seen(key, Some(direction), packet.data.clone(), packet.tag);
            let verdict = receive(self, key, packet);
            if verdict != 0 {
                return verdict;
            }
        }
        0
    }

    fn chain_length(&self, netdev: ClientKey) -> usize {
        self.clients.get(&netdev).map_or(0, |client| client.chain.len())
    }

    /// The base's checks of `netdev`, in QEMU's order.
    fn filter_netdev(&self, spec: &Spec) -> Result<ClientKey, CommandError> {
        let id = spec.text("netdev").unwrap_or_default();
        // A NIC is no network backend (QEMU 10.2.2 net/filter.c:231-237).
        let client = self
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
            NetdevKind::Tap { vhost: true, .. } | NetdevKind::VhostUser
                if !redirector::bypasses_chain(spec) =>
            {
                Err(generic("Vhost is not supported"))
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
        let Some(key) = self.object_of(id) else {
            return Err(generic(format!("filter '{id}' not found")).into());
        };
        let elsewhere = generic(format!("filter '{id}' belongs to a different netdev"));
        let is_filter = self.objects.get(&key).is_some_and(|object| object.kind.is_filter());
        if !is_filter && self.has(Quirk::PositionCastAborts) {
            return Err(CreateError::Aborts(Abort {
                assertion: "include/net/filter.h:18:NETFILTER: Object is not an instance of type \
                            netfilter"
                    .to_owned(),
                survivor: Some(elsewhere),
            }));
        }
        // The object itself is found too; it has no netdev yet.
        match self.filter(key) {
            Some(filter) if filter.netdev == netdev && key != object => {
                Ok(Position::Beside { filter: key, behind: spec.text("insert") != Some("before") })
            }
            _ => Err(elsewhere.into()),
        }
    }
}
