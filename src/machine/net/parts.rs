//! How a part is reached: every call of one is here. A part can't reach another, because it has
//! nothing but the tables in its hands while it works; what it leaves to be done is carried out
//! when it has returned, and may well reach it again.

use bytes::Bytes;

use super::{Net, Slot};
use crate::{
    base::{Direction, Tag, VirtualTime},
    machine::{
        ColoEvent,
        core::{ChardevKey, ClientKey, ObjectKey},
        part::{Action, Base, Captured, Context, Make, Part, Read, Verdict},
    },
    qapi::Spec,
    record::{CommandError, DropReason},
};

impl Net {
    /// Calls a part, if the object has one, and carries out what it leaves.
    pub(super) fn act<T>(
        &mut self,
        key: ObjectKey,
        call: impl FnOnce(&mut dyn Part, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let (done, actions) = self.call(key, call)?;
        self.carry_out(key, actions);
        Some(done)
    }

    /// Calls a part, and gives what it leaves too.
    pub(super) fn call<T>(
        &mut self,
        key: ObjectKey,
        call: impl FnOnce(&mut dyn Part, &mut Context<'_>) -> T,
    ) -> Option<(T, Vec<Action>)> {
        let slot = self.parts.get_mut(&key)?;
        let mut cx = Context::new(&mut self.core, key, &mut slot.base);
        let done = call(slot.part.as_mut(), &mut cx);
        Some((done, cx.actions))
    }

    /// Carries out what a part left, in order. What an action leaves in turn comes before the rest.
    pub(super) fn carry_out(&mut self, key: ObjectKey, actions: Vec<Action>) {
        if actions.is_empty() {
            return;
        }
        let mut waiting = actions;
        waiting.reverse();
        let mut last = Verdict::Take;
        while let Some(action) = waiting.pop() {
            match action {
                Action::PassOn(direction, packet) => {
                    last = self.pass_to_next(key, direction, packet);
                }
                Action::Receive(packet) => {
                    let left = self.call(key, |part, cx| part.receive(cx, &packet));
                    waiting.extend(left.into_iter().flat_map(|(_, actions)| actions).rev());
                }
                Action::Resume => {
                    let left = self.call(key, |part, cx| part.resume(cx, last));
                    waiting.extend(left.into_iter().flat_map(|(_, actions)| actions).rev());
                }
                Action::Approach(direction, packet) => self.approach(key, direction, &packet),
                Action::Drop(tag, reason) => {
                    self.core.drop_frame(self.core.object_place(key), tag, reason);
                }
                Action::HangUp(chardev) => self.hang_up(chardev),
                Action::Listen(chardev, true) => self.chardev_reads(chardev, key),
                Action::Listen(chardev, false) => self.core.chardev_unread(chardev, key),
                Action::Crash(assertion) => self.crash(assertion),
            }
        }
    }

    pub(in crate::machine) fn part_add(
        &mut self,
        key: ObjectKey,
        mut base: Base,
        make: Make,
        spec: &Spec,
    ) -> Result<(), CommandError> {
        let part = make(&mut Context::new(&mut self.core, key, &mut base), spec)?;
        let inputs = part.inputs();
        self.parts.insert(key, Slot { base, part });
        for chardev in inputs {
            self.chardev_reads(chardev, key);
        }
        self.act(key, |part, cx| part.complete(cx, spec)).unwrap_or(Ok(()))
    }

    /// Removes an object, whose part lets go of everything first, while it is in its chain (QEMU
    /// 10.2.2 net/filter.c:306-321).
    pub(in crate::machine) fn object_remove(&mut self, key: ObjectKey) {
        self.act(key, |part, cx| part.cleanup(cx));
        let netdev = self.parts.remove(&key).and_then(|slot| slot.base.netdev);
        if let Some(client) = netdev.and_then(|netdev| self.core.clients.get_mut(&netdev)) {
            client.chain.retain(|other| *other != key);
        }
        self.core.objects.remove(&key);
    }

    pub(super) fn base(&self, key: ObjectKey) -> Option<&Base> {
        self.parts.get(&key).map(|slot| &slot.base)
    }

    /// Whether an object works: it is not one that only exists.
    pub(in crate::machine) fn has_part(&self, key: ObjectKey) -> bool {
        self.parts.contains_key(&key)
    }

    /// A property of an object was set.
    pub(in crate::machine) fn part_changed(
        &mut self,
        key: ObjectKey,
        property: &str,
        value: &serde_json::Value,
    ) {
        self.in_thread_of(key, |part, cx| {
            cx.base.apply(property, value);
            part.changed(cx);
        });
    }

    /// Bytes for a part from a chardev that it reads; `false` discards the rest of the read.
    pub(super) fn part_read(
        &mut self,
        key: ObjectKey,
        chardev: ChardevKey,
        mut data: Bytes,
        tag: Option<Tag>,
    ) -> bool {
        loop {
            let read = self.in_thread_of(key, |part, cx| part.read(cx, chardev, &mut data, tag));
            match read {
                Some(Read::More) => {}
                Some(Read::Done) | None => return true,
                Some(Read::Discard) => return false,
            }
        }
    }

    /// A chardev that a part reads, or would read, was closed.
    pub(super) fn part_closed(&mut self, key: ObjectKey, chardev: ChardevKey) {
        self.in_thread_of(key, |part, cx| part.closed(cx, chardev));
    }

    /// The far end of a chardev reads again, or has gone.
    pub(super) fn parts_writable(&mut self, chardev: ChardevKey) {
        let users = self.core.chardevs.get(&chardev).map(|held| held.users.clone());
        for key in users.into_iter().flatten() {
            self.in_thread_of(key, |part, cx| part.writable(cx, chardev));
        }
    }

    /// Whether a part reads this chardev by its properties and yet never will again.
    pub(super) fn is_deaf(&self, key: ObjectKey, chardev: ChardevKey) -> bool {
        self.parts.get(&key).is_some_and(|slot| slot.part.is_deaf(chardev))
    }

    /// A copy that the packet socket took: each chardev and each part that captures there gets it, in
    /// order of creation.
    pub(in crate::machine) fn captured(&mut self, copy: &Captured) {
        self.chardevs_capture(copy);
        for key in self.part_keys() {
            self.act(key, |part, cx| part.captured(cx, copy));
        }
    }

    /// The VM was stopped, or goes on: each part is notified, in order of creation.
    pub(in crate::machine) fn run_state(&mut self) {
        for key in self.part_keys() {
            self.in_thread_of(key, |part, cx| part.run_state(cx));
        }
    }

    /// Whether a filter holds the packets that go in this direction.
    pub(super) fn holds_packets(&self, key: ObjectKey, direction: Direction) -> bool {
        self.parts.get(&key).is_some_and(|Slot { base, part }| {
            part.holds_packets() && base.on && base.queue.handles(direction)
        })
    }

    /// Whether a client's descriptor is read though the VM is stopped and what was read last waits:
    /// for a filter of its chain that works on.
    pub(super) fn reads_while_stopped(&self, key: ClientKey) -> bool {
        let chain = self.core.clients.get(&key).map(|client| client.chain.as_slice());
        let mut filters = chain.into_iter().flatten().filter_map(|filter| self.base(*filter));
        !self.core.running && filters.any(|base| base.on && base.enable_when_stopped)
    }

    /// An input is about to be handled.
    pub(in crate::machine) fn stir(&mut self) {
        self.hub_sends = 0;
        for slot in self.parts.values_mut() {
            slot.part.stirred(&self.core);
        }
    }

    /// Frames that a part holds when the run ends, and why they went no further.
    pub(in crate::machine) fn unfinished(&mut self, key: ObjectKey) -> Vec<(Tag, DropReason)> {
        self.parts.get_mut(&key).map(|slot| slot.part.unfinished()).unwrap_or_default()
    }

    /// When something is due: a part that can act now, or an announcement.
    pub(in crate::machine) fn next_deadline(&self) -> Option<VirtualTime> {
        let parts = self.next_part().into_iter();
        parts.chain(self.next_announcement()).min()
    }

    /// Does what is due: announcements, then parts.
    pub(in crate::machine) fn wake(&mut self) {
        self.announce_due();
        self.wake_parts();
    }

    /// When the next part that can act now wants to be woken.
    fn next_part(&self) -> Option<VirtualTime> {
        let stopped = self.core.dead || self.core.freeze.is_some();
        let acts = |slot: &&Slot| !stopped || (slot.part.own_thread() && !self.core.dead);
        self.parts.values().filter(acts).filter_map(|slot| slot.part.deadline(&self.core)).min()
    }

    /// Wakes the parts whose time has come, the earliest first, then in order of creation. A main
    /// loop that waits keeps its own parts waiting too.
    fn wake_parts(&mut self) {
        let mut woken: Vec<_> =
            self.parts.keys().filter_map(|key| Some((self.due(*key)?, *key))).collect();
        woken.sort_unstable();
        for (_, key) in woken {
            let frozen = self.core.freeze.is_some();
            let waits = self.core.dead || frozen && !self.has_own_thread(key);
            // What an earlier one did may have put it off.
            if !waits && self.due(key).is_some() {
                self.in_thread_of(key, |part, cx| part.due(cx));
            }
        }
    }

    /// When a part wanted to be woken, if that is not in the future.
    fn due(&self, key: ObjectKey) -> Option<VirtualTime> {
        let deadline = self.parts.get(&key)?.part.deadline(&self.core);
        deadline.filter(|deadline| *deadline <= self.core.now)
    }

    /// Passes on what COLO's frame says: first to the objects beside the chains in order of
    /// creation, then to each netdev's filters in the order of its chain (QEMU 10.2.2
    /// net/net.c:1617-1634, net/colo-compare.c:902-925). A primary, which compares, notifies only
    /// its comparers of a checkpoint (QEMU 10.2.2 migration/colo.c:754-765 is the secondary's): a
    /// rewriter that it has from its own time as a secondary goes on as before.
    pub(in crate::machine) fn colo(&mut self, event: ColoEvent) {
        let mut beside = self.part_keys();
        beside.retain(|key| self.base(*key).is_some_and(|base| base.netdev.is_none()));
        for key in &beside {
            self.in_thread_of(*key, |part, cx| part.colo(cx, event));
        }
        if event == ColoEvent::Failover || beside.is_empty() {
            self.colo_filters(event);
        }
    }

    /// Tells the filters alone, as Xen's COLO does on the secondary.
    pub(in crate::machine) fn colo_filters(&mut self, event: ColoEvent) {
        let chains = self.core.clients.values().flat_map(|client| &client.chain);
        for key in chains.copied().collect::<Vec<ObjectKey>>() {
            self.in_thread_of(key, |part, cx| part.colo(cx, event));
        }
    }

    /// Whether a chardev is served by an iothread.
    pub(in crate::machine) fn is_beside_main_loop(&self, chardev: ChardevKey) -> bool {
        let users = self.core.chardevs.get(&chardev).map(|held| held.users.as_slice());
        users.into_iter().flatten().any(|user| self.has_own_thread(*user))
    }

    /// An iothread reads a chardev until nothing is left.
    pub(in crate::machine) fn iothread_turn(&mut self, chardev: ChardevKey) {
        let before = std::mem::replace(&mut self.core.beside_main_loop, true);
        while !self.core.dead && self.chardev_turn(chardev) {}
        self.core.beside_main_loop = before;
    }

    fn has_own_thread(&self, key: ObjectKey) -> bool {
        self.parts.get(&key).is_some_and(|slot| slot.part.own_thread())
    }

    /// Calls a part as the thread that it runs in: what an iothread does comes out at once,
    /// whatever the main loop waits for.
    fn in_thread_of<T>(
        &mut self,
        key: ObjectKey,
        call: impl FnOnce(&mut dyn Part, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let own_thread = self.parts.get(&key)?.part.own_thread();
        let before = std::mem::replace(&mut self.core.beside_main_loop, own_thread);
        let done = self.act(key, call);
        self.core.beside_main_loop = before;
        done
    }

    fn part_keys(&self) -> Vec<ObjectKey> {
        self.parts.keys().copied().collect()
    }
}
