//! What an object that works is made of, and everything that reaches it other than through a
//! netdev's chain: bytes of the chardevs it reads, time, changed properties, events of COLO.

use bytes::Bytes;

use super::{
    ColoEvent,
    compare::Compare,
    core::{ChardevKey, Core, ObjectKey},
    filter::Filter,
};
use crate::{
    base::{Tag, VirtualTime},
    record::DropReason,
};

/// The working part of an object.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) class: &'static PartClass,
    pub(super) state: PartState,
}

/// What each class of part keeps.
#[derive(Debug)]
pub(super) enum PartState {
    Filter(Filter),
    Compare(Box<Compare>),
}

/// What any part can be asked and told.
#[derive(Debug)]
pub(super) struct PartClass {
    /// It runs in an iothread: a main loop that waits for a reader does not stop it.
    pub(super) own_thread: bool,
    /// Bytes from a chardev that it reads; `false` discards the rest of the read.
    pub(super) read: fn(&mut Core, ObjectKey, ChardevKey, Bytes, Option<Tag>) -> bool,
    /// A chardev that it reads was closed.
    pub(super) closed: fn(&mut Core, ObjectKey, ChardevKey),
    /// A chardev that it holds takes bytes again, or its far end has gone.
    pub(super) writable: fn(&mut Core, ObjectKey, ChardevKey),
    /// Whether it reads this chardev by its properties and yet never will again.
    pub(super) is_deaf: fn(&Core, ObjectKey, ChardevKey) -> bool,
    /// A property was set at run time.
    pub(super) changed: fn(&mut Core, ObjectKey),
    /// COLO tells it something.
    pub(super) colo: fn(&mut Core, ObjectKey, ColoEvent),
    /// When it wants to be woken.
    pub(super) deadline: fn(&Core, ObjectKey) -> Option<VirtualTime>,
    /// The time that it wanted has come.
    pub(super) due: fn(&mut Core, ObjectKey),
    /// Frames that it holds when the run ends, and why they went no further.
    pub(super) unfinished: fn(&mut Core, ObjectKey) -> Vec<(Tag, DropReason)>,
    /// Lets go of everything; the object is about to go.
    pub(super) cleanup: fn(&mut Core, ObjectKey),
}

impl Core {
    pub(super) fn part_class(&self, key: ObjectKey) -> Option<&'static PartClass> {
        self.objects.get(&key)?.part.as_ref().map(|part| part.class)
    }

    /// Bytes for a part from a chardev that it reads; `false` discards the rest of the read.
    pub(super) fn part_read(
        &mut self,
        key: ObjectKey,
        chardev: ChardevKey,
        data: Bytes,
        tag: Option<Tag>,
    ) -> bool {
        self.in_thread_of(key, |core, class| (class.read)(core, key, chardev, data, tag))
            .unwrap_or(true)
    }

    /// Tells a part that a chardev it reads was closed.
    pub(super) fn part_closed(&mut self, key: ObjectKey, chardev: ChardevKey) {
        self.in_thread_of(key, |core, class| (class.closed)(core, key, chardev));
    }

    /// Tells the holders of a chardev that its far end reads again, or has gone.
    pub(super) fn parts_writable(&mut self, chardev: ChardevKey) {
        let users = self.chardevs.get(&chardev).map(|held| held.users.clone());
        for key in users.into_iter().flatten() {
            self.in_thread_of(key, |core, class| (class.writable)(core, key, chardev));
        }
    }

    pub(super) fn part_changed(&mut self, key: ObjectKey) {
        self.in_thread_of(key, |core, class| (class.changed)(core, key));
    }

    /// Whether a part reads this chardev by its properties and yet never will again.
    pub(super) fn is_deaf(&self, key: ObjectKey, chardev: ChardevKey) -> bool {
        self.part_class(key).is_some_and(|class| (class.is_deaf)(self, key, chardev))
    }

    /// Removes an object, which lets go of everything first.
    pub(super) fn object_remove(&mut self, key: ObjectKey) {
        if let Some(class) = self.part_class(key) {
            (class.cleanup)(self, key);
        }
        self.objects.remove(&key);
    }

    /// When the next part that can act now wants to be woken.
    pub(super) fn next_deadline(&self) -> Option<VirtualTime> {
        let stopped = self.dead || self.freeze.is_some();
        let wanted = self.objects.keys().filter_map(|key| {
            let class = self.part_class(*key)?;
            let acts = !stopped || (class.own_thread && !self.dead);
            acts.then(|| (class.deadline)(self, *key)).flatten()
        });
        wanted.min()
    }

    /// Wakes the parts whose time has come, the earliest first, then in order of creation. A main
    /// loop that waits keeps its own parts waiting too.
    pub(super) fn wake_parts(&mut self) {
        let due = |core: &Self, key: ObjectKey| {
            let class = core.part_class(key)?;
            (class.deadline)(core, key).filter(|deadline| *deadline <= core.now)
        };
        let keys = self.objects.keys().copied();
        let mut woken: Vec<_> =
            keys.filter_map(|key| due(self, key).map(|deadline| (deadline, key))).collect();
        woken.sort_unstable();
        for (_, key) in woken {
            let frozen = self.freeze.is_some();
            let waits =
                self.dead || frozen && !self.part_class(key).is_some_and(|class| class.own_thread);
            // What an earlier one did may have put it off.
            if !waits && due(self, key).is_some() {
                self.in_thread_of(key, |core, class| (class.due)(core, key));
            }
        }
    }

    /// Tells what COLO's frame tells: first the objects beside the chains in order of creation, then
    /// each netdev's filters in the order of its chain (QEMU 10.2.2 net/net.c:1617-1634,
    /// net/colo-compare.c:902-925). Of a checkpoint a primary, which compares, tells its comparers only
    /// (QEMU 10.2.2 migration/colo.c:754-765 is the secondary's): a rewriter that it has from its own
    /// time as a secondary goes on as before.
    pub(super) fn colo(&mut self, event: ColoEvent) {
        let beside = self.objects.keys().copied();
        let beside = beside.filter(|key| self.filter(*key).is_none());
        for key in beside.collect::<Vec<ObjectKey>>() {
            self.in_thread_of(key, |core, class| (class.colo)(core, key, event));
        }
        let mut objects = self.objects.values();
        let compares = objects.any(|object| object.kind.name == "colo-compare");
        if event == ColoEvent::Failover || !compares {
            self.colo_filters(event);
        }
    }

    /// Tells the filters alone, as Xen's COLO does on the secondary.
    pub(super) fn colo_filters(&mut self, event: ColoEvent) {
        let chains = self.clients.values().flat_map(|client| &client.chain);
        for key in chains.copied().collect::<Vec<ObjectKey>>() {
            self.in_thread_of(key, |core, class| (class.colo)(core, key, event));
        }
    }

    /// Whether a chardev is served by an iothread.
    pub(super) fn is_beside_main_loop(&self, chardev: ChardevKey) -> bool {
        let users = self.chardevs.get(&chardev).map(|held| held.users.as_slice());
        users
            .into_iter()
            .flatten()
            .any(|user| self.part_class(*user).is_some_and(|class| class.own_thread))
    }

    /// An iothread reads a chardev until nothing is left.
    pub(super) fn iothread_turn(&mut self, chardev: ChardevKey) {
        let before = std::mem::replace(&mut self.beside_main_loop, true);
        while !self.dead && self.chardev_turn(chardev) {}
        self.beside_main_loop = before;
    }

    /// Does something as the thread that a part runs in: what an iothread does comes out at once,
    /// whatever the main loop waits for.
    fn in_thread_of<T>(
        &mut self,
        key: ObjectKey,
        act: impl FnOnce(&mut Self, &'static PartClass) -> T,
    ) -> Option<T> {
        let class = self.part_class(key)?;
        let before = std::mem::replace(&mut self.beside_main_loop, class.own_thread);
        let done = act(self, class);
        self.beside_main_loop = before;
        Some(done)
    }
}
