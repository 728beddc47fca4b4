//! What the inputs bring: bytes to frames, frames to packets of a connection, and the effects of
//! their comparison (QEMU 10.2.2 net/colo-compare.c:244-314, 844-885, 1149-1179).

use bytes::Bytes;

use super::{
    Compare, Rules,
    connection::{Connection, Effect},
    create,
    packet::{Arrived, Packet},
    sender::{Entry, Line},
};
use crate::{
    base::{Quirk, Tag},
    machine::{
        core::ChardevKey,
        framing::{OVERSIZE_LOG, Reassembler, Unit},
        part::{Action, Context, Read},
    },
    record::{DropReason, EventKind, Fate, Side},
};

/// One of a comparer's inputs.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) chardev: ChardevKey,
    pub(super) reassembler: Reassembler,
    /// It is never read again.
    pub(super) deaf: bool,
    pub(super) name: &'static str,
}

/// The inputs of a comparer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Guest(Side),
    Notify,
}

impl Compare {
    fn input(&mut self, chardev: ChardevKey) -> Option<(From, &mut Input)> {
        let inputs = [
            (From::Guest(Side::Primary), Some(&mut self.primary_in)),
            (From::Guest(Side::Secondary), Some(&mut self.secondary_in)),
            (From::Notify, self.notify_in.as_mut()),
        ];
        let mut inputs = inputs.into_iter();
        inputs
            .find_map(|(from, input)| Some((from, input.filter(|input| input.chardev == chardev)?)))
    }

    /// One unit of an input's stream.
    pub(super) fn read_input(
        &mut self,
        cx: &mut Context<'_>,
        chardev: ChardevKey,
        data: &mut Bytes,
        tag: Option<Tag>,
    ) -> Read {
        if cx.is_dead_to(data, tag) {
            return Read::Discard;
        }
        let Some((from, input)) = self.input(chardev) else {
            return Read::Discard;
        };
        let name = input.name;
        match cx.next_unit(&mut input.reassembler, data, tag) {
            None => return Read::Done,
            Some(Unit::Frame { data, vnet_len, tag }) => {
                cx.seen(None, data.clone(), tag);
                let arrived = Arrived { data, vnet_len, tag, at: cx.core.now };
                match from {
                    From::Guest(side) => self.take(cx, side, arrived),
                    From::Notify => self.message(cx, &arrived),
                }
            }
            Some(Unit::Empty { tag }) => cx.drop_frame(tag, DropReason::Empty),
            Some(Unit::Oversize { .. }) => {
                cx.log(None, OVERSIZE_LOG);
                cx.log(None, format!("colo-compare {name} error"));
                self.broken_stream(cx, chardev);
                return Read::Discard;
            }
        }
        Read::More
    }

    /// An input's connection is over. QEMU does not notice, and puts the next client's bytes behind
    /// what this one cut.
    pub(super) fn input_closed(&mut self, cx: &mut Context<'_>, chardev: ChardevKey) {
        if cx.has(Quirk::CompareKeepsHalfFrame) {
            return;
        }
        let Some((_, input)) = self.input(chardev) else {
            return;
        };
        for tag in input.reassembler.reset() {
            cx.drop_frame(Some(tag), DropReason::Incomplete);
        }
    }

    /// After an oversized frame QEMU reads the input no more but leaves the connection open;
    /// mended, it closes it.
    fn broken_stream(&mut self, cx: &mut Context<'_>, chardev: ChardevKey) {
        if !cx.has(Quirk::OversizeFoundLate) {
            return cx.then(Action::HangUp(chardev));
        }
        if let Some((_, input)) = self.input(chardev) {
            input.deaf = true;
        }
        if let Some(chardev) = cx.core.chardevs.get_mut(&chardev) {
            chardev.reader = None;
        }
    }

    /// A frame of one of the guests.
    fn take(&mut self, cx: &mut Context<'_>, side: Side, arrived: Arrived) {
        if arrived.data.is_empty() {
            if cx.has(Quirk::CompareEmptyFrameAborts) {
                cx.event(arrived.tag, EventKind::Consumed);
                let assertion = "net/colo.c:51: parse_packet_early: Assertion `data' failed.";
                return cx.then(Action::Crash(assertion));
            }
            return cx.drop_frame(arrived.tag, DropReason::Empty);
        }
        let limit = create::queue_limit(cx.core, self.queue_limit);
        let rules = Rules::of(cx.core, limit);
        let packet = Packet::read(arrived.clone(), &rules);
        let found = packet.and_then(|packet| {
            let connection = packet.key()?;
            Some((connection, packet))
        });
        let Some((connection, packet)) = found else {
            // Nothing that is compared: the primary's goes on past everything that is held.
            let fate = Fate::NotCompared;
            return match side {
                Side::Primary => self.release(cx, arrived, fate, None),
                Side::Secondary => {
                    cx.event(arrived.tag, EventKind::Spent { fate, with: None });
                }
            };
        };
        self.stir(cx.core.now);
        let (connection, forgotten) =
            self.connections.entry(connection, || Connection::new(&packet));
        let mut effects = Vec::new();
        let refused = connection.insert(side, packet, &rules, &mut effects);
        connection.compare(&rules, &mut effects);
        for tag in forgotten.iter().flat_map(Connection::tags) {
            cx.drop_frame(Some(tag), DropReason::TooManyConnections);
        }
        if let Err(tag) = refused {
            let reason = match side {
                Side::Primary => DropReason::PrimaryQueueFull,
                Side::Secondary => DropReason::SecondaryQueueFull,
            };
            cx.drop_frame(tag, reason);
        }
        self.carry_out(cx, effects);
    }

    pub(super) fn carry_out(&mut self, cx: &mut Context<'_>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Release { packet, fate, with } => {
                    self.release(cx, packet.arrived, fate, with);
                }
                Effect::Spend { tag, fate, with } => {
                    cx.event(tag, EventKind::Spent { fate, with });
                }
                Effect::Ask(request) => self.ask(cx, *request),
            }
        }
    }

    /// A primary's frame goes on to outdev, with its own virtio-net header (QEMU 10.2.2
    /// net/colo-compare.c:300-314).
    fn release(&mut self, cx: &mut Context<'_>, frame: Arrived, fate: Fate, with: Option<Tag>) {
        cx.event(frame.tag, EventKind::Released { fate, with });
        let vnet_len = self.vnet.then_some(frame.vnet_len);
        let Some(entry) = Entry::new(frame.data, vnet_len, frame.tag) else {
            return;
        };
        let failed = self.send(cx, Line::Out, entry).is_err();
        // QEMU does not check whether a packet was sent that is not compared.
        if failed && fate != Fate::NotCompared {
            cx.log(frame.tag, "colo send primary packet failed");
        }
    }
}
