//! The frames of a connection that are held until they are compared.

use std::{collections::VecDeque, ops::Range};

use super::{
    Rules, datagram,
    packet::{Packet, after},
    pairwise,
    stream::{self, Stream},
};
use crate::{
    base::{Tag, VirtualTime},
    machine::colo::flag,
    record::{CheckpointCause, CheckpointRequest, Connection as Ends, Fate, Side},
};

/// What a comparison leads to, in order.
#[derive(Debug)]
pub(super) enum Effect {
    /// A primary's frame goes on.
    Release { packet: Box<Packet>, fate: Fate, with: Option<Tag> },
    /// A secondary's frame is done with.
    Spend { tag: Option<Tag>, fate: Fate, with: Option<Tag> },
    /// The guests have gone apart.
    Ask(Box<CheckpointRequest>),
}

/// What is held of a connection and known of it.
#[derive(Debug)]
pub(super) struct Connection {
    ends: Ends,
    /// TCP pair by pair: by sequence number, the lowest first. Everything else: the oldest first.
    pub(super) primary: VecDeque<Packet>,
    pub(super) secondary: VecDeque<Packet>,
    /// The sequence number that pairs have been compared up to.
    pub(super) compared: Option<u32>,
    /// What each guest has acknowledged.
    pub(super) primary_ack: Option<u32>,
    pub(super) secondary_ack: Option<u32>,
    /// What a comparison of the whole stream knows.
    pub(super) stream: Stream,
}

impl Connection {
    pub(super) fn new(packet: &Packet) -> Self {
        Self {
            ends: packet.connection(),
            primary: VecDeque::new(),
            secondary: VecDeque::new(),
            compared: None,
            primary_ack: None,
            secondary_ack: None,
            stream: Stream::default(),
        }
    }

    /// Takes a packet in, or gives its number back when its queue is full: a queue takes one packet
    /// more than its limit (QEMU 10.2.2 net/colo-compare.c:219-242). A mended queue takes it and
    /// asks for a checkpoint.
    pub(super) fn insert(
        &mut self,
        side: Side,
        packet: Packet,
        rules: &Rules,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Option<Tag>> {
        let full = self.queue(side).len() > rules.queue_limit as usize;
        if full && rules.full_drops {
            return Err(packet.tag());
        }
        if full {
            let cause = CheckpointCause::QueueFull(side);
            effects.push(self.ask(cause, Some((side, &packet))));
        }
        let sorted = rules.pairwise && packet.segment.is_some();
        if let Some(segment) = &packet.segment {
            if !rules.pairwise {
                stream::begins(self, side, segment);
            }
            let known = match side {
                Side::Primary => &mut self.primary_ack,
                Side::Secondary => &mut self.secondary_ack,
            };
            let ahead = |known: u32| rules.last_ack || after(segment.ack, known);
            // Without the flag the number means nothing, though QEMU takes it.
            let given = rules.last_ack || segment.flags & flag::ACK != 0;
            if given && known.is_none_or(ahead) {
                *known = Some(segment.ack);
            }
        }
        let queue = self.queue_mut(side);
        let at = match &packet.segment {
            Some(segment) if sorted => {
                // QEMU looks from the highest number down.
                let lower = |held: &Packet| {
                    let held = held.segment.as_ref().map_or(0, |held| held.seq);
                    segment.seq.wrapping_sub(held).cast_signed() >= 0
                };
                queue.iter().rposition(lower).map_or(0, |at| at + 1)
            }
            _ => queue.len(),
        };
        if queue.capacity() == 0 {
            // Of a flood of connections, most hold one packet.
            queue.reserve_exact(1);
        }
        queue.insert(at, packet);
        Ok(())
    }

    pub(super) fn compare(&mut self, rules: &Rules, effects: &mut Vec<Effect>) {
        match (self.ends.protocol, self.ends.ports) {
            (6, Some(_)) if rules.pairwise => pairwise::compare(self, rules, effects),
            (6, Some(_)) => stream::compare(self, effects),
            _ => datagram::compare(self, rules, effects),
        }
    }

    /// The guests are equal again: what the primary sent goes on, what the secondary sent is done
    /// with (QEMU 10.2.2 net/colo-compare.c:1333-1353).
    pub(super) fn flush(&mut self, rules: &Rules, fate: Fate, effects: &mut Vec<Effect>) {
        let mut primary: Vec<Packet> = self.primary.drain(..).collect();
        let sorted = self.ends.protocol == 6 && self.ends.ports.is_some();
        if !sorted && rules.newest_first {
            primary.reverse();
        }
        for packet in primary {
            if !rules.pairwise {
                stream::flushed(self, &packet);
            }
            effects.push(release(packet, fate, None));
        }
        for packet in self.secondary.drain(..) {
            effects.push(spend(&packet, fate, None));
        }
    }

    /// Asks when a packet has waited longer than `limit` (QEMU 10.2.2
    /// net/colo-compare.c:600-662).
    pub(super) fn expired(&self, now: VirtualTime, limit: std::time::Duration) -> Option<Effect> {
        let sides = [(Side::Primary, &self.primary), (Side::Secondary, &self.secondary)];
        sides.into_iter().find_map(|(side, queue)| {
            let oldest = queue.iter().min_by_key(|packet| packet.arrived.at)?;
            let old = oldest.arrived.at + limit < now;
            old.then(|| self.ask(CheckpointCause::TimedOut(side), Some((side, oldest))))
        })
    }

    /// A request about one packet.
    fn ask(&self, cause: CheckpointCause, about: Option<(Side, &Packet)>) -> Effect {
        let (primary, secondary) = match about {
            Some((Side::Primary, packet)) => (Some(packet), None),
            Some((Side::Secondary, packet)) => (None, Some(packet)),
            None => (None, None),
        };
        self.request(cause, primary, secondary)
    }

    /// A request about two packets.
    pub(super) fn request(
        &self,
        cause: CheckpointCause,
        primary: Option<&Packet>,
        secondary: Option<&Packet>,
    ) -> Effect {
        let held = primary.or(secondary);
        Effect::Ask(Box::new(CheckpointRequest {
            connection: self.ends,
            cause,
            primary: primary.and_then(Packet::tag),
            secondary: secondary.and_then(Packet::tag),
            since: held.map_or(VirtualTime::ZERO, |packet| packet.arrived.at),
            at: VirtualTime::ZERO,
            told: false,
        }))
    }

    fn queue(&self, side: Side) -> &VecDeque<Packet> {
        match side {
            Side::Primary => &self.primary,
            Side::Secondary => &self.secondary,
        }
    }

    fn queue_mut(&mut self, side: Side) -> &mut VecDeque<Packet> {
        match side {
            Side::Primary => &mut self.primary,
            Side::Secondary => &mut self.secondary,
        }
    }

    /// When the oldest of what is held arrived.
    pub(super) fn oldest(&self) -> Option<VirtualTime> {
        let held = self.primary.iter().chain(&self.secondary);
        held.map(|packet| packet.arrived.at).min()
    }

    /// Gives back the memory of what was held: a connection is known longer than it is used.
    pub(super) fn trim(&mut self) {
        for queue in [&mut self.primary, &mut self.secondary] {
            if queue.is_empty() {
                *queue = VecDeque::new();
            }
        }
    }

    /// Tags of everything that is held.
    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> {
        self.primary.iter().chain(&self.secondary).filter_map(Packet::tag)
    }
}

pub(super) fn release(packet: Packet, fate: Fate, with: Option<Tag>) -> Effect {
    Effect::Release { packet: Box::new(packet), fate, with }
}

pub(super) fn spend(packet: &Packet, fate: Fate, with: Option<Tag>) -> Effect {
    Effect::Spend { tag: packet.tag(), fate, with }
}

/// Where two runs of bytes differ first, as a request's cause: their bytes, else their lengths. The
/// bytes of a `checksum` only follow from others, which say more.
pub(super) fn difference(
    (primary, from): (&Packet, &[u8]),
    (secondary, to): (&Packet, &[u8]),
    (primary_at, secondary_at): (usize, usize),
    checksum: Range<usize>,
) -> CheckpointCause {
    let differs = |at: &usize| from.get(*at) != to.get(*at);
    let mut both = 0..from.len().min(to.len());
    let told = both.clone().filter(|at| !checksum.contains(at));
    match told.into_iter().find(differs).or_else(|| both.find(differs)) {
        Some(at) => CheckpointCause::Bytes {
            primary: primary.in_frame(primary_at + at),
            secondary: secondary.in_frame(secondary_at + at),
            seq: primary
                .seq_at(primary_at + at)
                .zip(secondary.seq_at(secondary_at + at))
                .map(|(one, other)| [one, other]),
        },
        None => CheckpointCause::Lengths { primary: from.len(), secondary: to.len() },
    }
}
