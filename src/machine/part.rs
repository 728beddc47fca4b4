//! What a part is: the working side of an object, a filter or a comparer. A part keeps its state in
//! itself, and works on the machine's tables through a [`Context`]. What leads back into the net
//! layer, where the same part may be reached again, it does not do itself: it leaves [`Action`]s,
//! and the net layer carries them out as soon as the part has returned.

use std::fmt::Debug;

use bytes::Bytes;
use serde_json::Value;

use super::{
    ColoEvent,
    chardev::WriteError,
    core::{ChardevKey, ClientKey, Core, ObjectKey, Packet},
    framing::{self, Reassembler, Unit},
};
use crate::{
    base::{Direction, Frame, NetdevId, QemuVersion, Queue, Quirk, Tag, VirtualTime},
    qapi::Spec,
    record::{CommandError, DropReason, EventKind, Place},
};

/// What a filter says to a packet of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on to the next filter.
    Pass,
    /// It ends here: dropped, kept, or passed on in another shape.
    Take,
}

/// How far a part has come with the bytes of a chardev that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// It wants the rest once its actions have been carried out.
    More,
    /// It has taken all of them.
    Done,
    /// The rest of what the chardev has just read is thrown away.
    Discard,
}

/// What a part wants done when it has returned, in order.
#[derive(Debug)]
pub(super) enum Action {
    /// A packet goes on behind this filter: to the filters after it in this direction, then to the
    /// receiver (`qemu_netfilter_pass_to_next`).
    PassOn(Direction, Packet),
    /// A packet that this filter held reaches it again.
    Receive(Packet),
    /// The part goes on: [`Part::resume`].
    Resume,
    /// A packet comes to this filter again, through the filter before it that holds packets.
    Approach(Direction, Packet),
    /// A frame ends at this object.
    Drop(Option<Tag>, DropReason),
    /// QEMU closes its end of a chardev's connection.
    HangUp(ChardevKey),
    /// The part reads this chardev from now on, or leaves what comes where it is.
    Listen(ChardevKey, bool),
    /// QEMU dies.
    Crash(&'static str),
}

/// What every part has, beside what its type keeps: the base of all filters (QEMU 10.2.2
/// `include/net/filter.h`). A part without a netdev stands beside the chains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    /// The netdev whose chain it is in.
    pub(super) netdev: Option<ClientKey>,
    pub(super) queue: Queue,
    pub(super) on: bool,
    pub(super) vnet_hdr_support: bool,
    /// It works on while the VM is stopped, and its netdev is read for it: the redirector of the RFC's
    /// first version.
    pub(super) enable_when_stopped: bool,
}

impl Base {
    pub(super) fn new(netdev: Option<ClientKey>, spec: &Spec) -> Self {
        Self {
            netdev,
            queue: spec.text("queue").and_then(Queue::parse).unwrap_or_default(),
            on: spec.text("status") != Some("off"),
            vnet_hdr_support: spec.flag("vnet_hdr_support"),
            enable_when_stopped: spec.flag("enable_when_stopped"),
        }
    }

    /// Goes by a property that was set.
    pub(super) fn apply(&mut self, property: &str, value: &Value) {
        match (property, value) {
            ("queue", Value::String(queue)) => {
                self.queue = Queue::parse(queue).unwrap_or(self.queue);
            }
            ("status", Value::String(status)) => self.on = status == "on",
            ("vnet_hdr_support", Value::Bool(support)) => self.vnet_hdr_support = *support,
            ("enable_when_stopped", Value::Bool(enable)) => self.enable_when_stopped = *enable,
            _ => {}
        }
    }

    /// Where a packet goes on that the filter took before: as `queue` says now, and where that says
    /// nothing, away from its sender (QEMU 10.2.2 net/filter.c:64-120).
    pub(super) fn onward(&self, sender: ClientKey) -> Direction {
        match self.queue {
            Queue::Tx => Direction::Tx,
            Queue::Rx => Direction::Rx,
            Queue::All if self.netdev == Some(sender) => Direction::Tx,
            Queue::All => Direction::Rx,
        }
    }
}

/// Makes a part: checks the type's own properties and takes hold of what the part needs. The object
/// is a child of `/objects` and in no chain. A refusal leaves nothing held.
pub(super) type Make = fn(&mut Context<'_>, &Spec) -> Result<Box<dyn Part>, CommandError>;

/// A type of filter, as the base needs to know it.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) make: Make,
    /// Whether a filter of these properties works beside its chain, so that a netdev with vhost
    /// will do.
    pub(super) bypasses_chain: fn(QemuVersion, &Spec) -> bool,
    /// A filter of the type was refused after QEMU had made the object. Gives a chardev whose
    /// connection is closed by that.
    pub(super) refused: fn(&mut Core) -> Option<ChardevKey>,
}

impl Class {
    /// A type about which there is nothing else to say.
    pub(super) const fn new(name: &'static str, make: Make) -> Self {
        Self { name, make, bypasses_chain: |_, _| false, refused: |_| None }
    }
}

/// A copy of a frame that the machine's packet socket on a TAP took.
#[derive(Clone, Debug)]
pub(super) struct Captured {
    pub(super) netdev: NetdevId,
    pub(super) direction: Direction,
    pub(super) frame: Frame,
    pub(super) tag: Option<Tag>,
}

/// A filter or a comparer. Every method has a default, which does nothing.
pub(super) trait Part: Debug + Send {
    /// It runs in an iothread: a main loop that waits for a reader does not stop it.
    fn own_thread(&self) -> bool {
        false
    }

    /// The chardevs that it reads from its creation on.
    fn inputs(&self) -> Vec<ChardevKey> {
        Vec::new()
    }

    /// Whether it keeps packets of its chain and passes them on later.
    fn holds_packets(&self) -> bool {
        false
    }

    /// The rest of its creation, once its inputs are read. After a refusal it is cleaned up.
    fn complete(&mut self, _cx: &mut Context<'_>, _spec: &Spec) -> Result<(), CommandError> {
        Ok(())
    }

    /// A packet of the chain reached it.
    fn receive(&mut self, _cx: &mut Context<'_>, _packet: &Packet) -> Verdict {
        Verdict::Pass
    }

    /// A packet socket of the machine took a copy.
    fn captured(&mut self, _cx: &mut Context<'_>, _copy: &Captured) {}

    /// Bytes from a chardev that it reads; it takes what it uses out of `data`.
    fn read(
        &mut self,
        _cx: &mut Context<'_>,
        _chardev: ChardevKey,
        _data: &mut Bytes,
        _tag: Option<Tag>,
    ) -> Read {
        Read::Done
    }

    /// A chardev that it holds was closed: one that it reads, or one that nobody reads.
    fn closed(&mut self, _cx: &mut Context<'_>, _chardev: ChardevKey) {}

    /// A chardev that it holds takes bytes again, or its far end has gone.
    fn writable(&mut self, _cx: &mut Context<'_>, _chardev: ChardevKey) {}

    /// Whether it reads this chardev by its properties and yet never will again.
    fn is_deaf(&self, _chardev: ChardevKey) -> bool {
        false
    }

    /// A property was set at run time.
    fn changed(&mut self, _cx: &mut Context<'_>) {}

    /// The VM was stopped, or goes on.
    fn run_state(&mut self, _cx: &mut Context<'_>) {}

    /// COLO's frame says something. A failover switches a filter off, as `qom-set status` does
    /// (QEMU 10.2.2 net/filter.c:323-334).
    fn colo(&mut self, cx: &mut Context<'_>, event: ColoEvent) {
        if event == ColoEvent::Failover && cx.switch_off() {
            self.changed(cx);
        }
    }

    fn deadline(&self, _core: &Core) -> Option<VirtualTime> {
        None
    }

    /// The time that it wanted has come.
    fn due(&mut self, _cx: &mut Context<'_>) {}

    /// Something reaches the machine: an input, whatever it is for.
    fn stirred(&mut self, _core: &Core) {}

    /// It left [`Action::Resume`]. `last` is what became of the packet that was passed on before:
    /// an empty one that no filter took counts as not taken.
    fn resume(&mut self, _cx: &mut Context<'_>, _last: Verdict) {}

    /// Frames that it holds when the run ends, and why they went no further.
    fn unfinished(&mut self) -> Vec<(Tag, DropReason)> {
        Vec::new()
    }

    /// Lets go of everything; a filter is still in its chain.
    fn cleanup(&mut self, _cx: &mut Context<'_>) {}
}

/// What a part works with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) core: &'a mut Core,
    /// The object that it is of.
    pub(super) key: ObjectKey,
    pub(super) base: &'a mut Base,
    pub(super) actions: Vec<Action>,
}

impl<'a> Context<'a> {
    pub(super) const fn new(core: &'a mut Core, key: ObjectKey, base: &'a mut Base) -> Self {
        Self { core, key, base, actions: Vec::new() }
    }

    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.core.has(quirk)
    }

    /// Whether the machine is dead and reads nothing; what came ends here then.
    pub(super) fn is_dead_to(&mut self, data: &Bytes, tag: Option<Tag>) -> bool {
        if self.core.dead && !data.is_empty() {
            self.drop_frame(tag, DropReason::MachineDead);
        }
        self.core.dead
    }

    /// The next unit of a stream, taken off the front of `data`; what is lost before it ends here.
    pub(super) fn next_unit(
        &mut self,
        reassembler: &mut Reassembler,
        data: &mut Bytes,
        tag: Option<Tag>,
    ) -> Option<Unit> {
        let unit = reassembler.next(data, tag);
        let reason = match unit {
            Some(Unit::Oversize { .. }) => DropReason::Oversize,
            _ => DropReason::Incomplete,
        };
        for tag in reassembler.take_lost() {
            self.drop_frame(Some(tag), reason);
        }
        unit
    }

    /// Leaves something to be done when the part has returned.
    pub(super) fn then(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn place(&self) -> Place {
        self.core.object_place(self.key)
    }

    pub(super) fn event(&mut self, tag: Option<Tag>, kind: EventKind) {
        self.core.event(self.place(), tag, kind);
    }

    /// A frame ends here.
    pub(super) fn drop_frame(&mut self, tag: Option<Tag>, reason: DropReason) {
        self.core.drop_frame(self.place(), tag, reason);
    }

    /// A line on QEMU's standard error.
    pub(super) fn log(&mut self, tag: Option<Tag>, line: impl Into<String>) {
        self.core.log(self.place(), tag, line);
    }

    /// Records that the object sees a frame.
    pub(super) fn seen(&mut self, direction: Option<Direction>, data: Bytes, tag: Option<Tag>) {
        self.event(tag, EventKind::Seen { direction, data });
    }

    /// What the getter of a property shows.
    pub(super) fn value(&self, property: &str) -> Option<&Value> {
        self.core.objects.get(&self.key)?.values.get(property)
    }

    /// Switches a filter off. Whether it was on.
    pub(super) fn switch_off(&mut self) -> bool {
        if let Some(object) = self.core.objects.get_mut(&self.key) {
            object.values.insert("status", "off".into());
        }
        std::mem::replace(&mut self.base.on, false)
    }

    /// Bytes of the virtio-net header in front of the frames of its netdev.
    pub(super) fn vnet_hdr_len(&self) -> usize {
        self.base.netdev.map_or(0, |netdev| self.core.vnet_hdr_len(netdev))
    }

    /// Writes a frame to a chardev in the filter's framing: each word and the frame is a write of
    /// its own, and the first failure leaves the rest out. Nothing is written for an empty frame.
    pub(super) fn write_frame(
        &mut self,
        outdev: ChardevKey,
        data: &Bytes,
        tag: Option<Tag>,
    ) -> Result<(), WriteError> {
        let length = self.base.vnet_hdr_support.then(|| self.vnet_hdr_len() as u32);
        self.write_framed(outdev, data, length, tag)
    }

    /// [`Context::write_frame`] with the second word given.
    pub(super) fn write_framed(
        &mut self,
        outdev: ChardevKey,
        data: &Bytes,
        vnet_len: Option<u32>,
        tag: Option<Tag>,
    ) -> Result<(), WriteError> {
        if data.is_empty() {
            return Ok(());
        }
        for word in framing::words(data.len(), vnet_len) {
            self.core.chardev_write(outdev, self.key, word, tag)?;
        }
        if !self.core.chardev_write(outdev, self.key, data.clone(), tag)? {
            self.core.event(self.core.chardev_place(outdev), tag, EventKind::Consumed);
        }
        Ok(())
    }

    /// The line that a failed write leaves.
    pub(super) fn log_failed_write(&mut self, error: WriteError, tag: Option<Tag>) {
        self.core.log_failed_write(self.key, error, tag);
    }
}
