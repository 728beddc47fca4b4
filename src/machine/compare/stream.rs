//! TCP as a mended comparer sees it: each of the primary's packets, in the order in which they
//! came, goes on when the secondary has sent the same bytes at the same place of the stream,
//! however it cut them, and has acknowledged as much.

use super::{
    connection::{Connection, Effect, difference, release, spend},
    packet::{Packet, Segment, after},
};
use crate::{
    base::Tag,
    machine::colo::flag,
    record::{CheckpointCause, Fate, Side},
};

/// A stretch of the stream this far behind its end is forgotten, so that numbers don't wrap.
const REMEMBERED: u32 = 1 << 30;

/// What is known of a connection's stream beyond the packets that are held.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Stretches that were compared or made equal: first number, number behind the last.
    compared: Vec<(u32, u32)>,
    /// Whether the secondary has sent anything.
    secondary_seen: bool,
    /// The numbers that the guests began with.
    primary_begin: Option<u32>,
    secondary_begin: Option<u32>,
}

/// A SYN with a new number begins a connection anew: what was known of the last one says nothing.
pub(super) fn begins(connection: &mut Connection, side: Side, segment: &Segment) {
    if segment.flags & flag::SYN == 0 {
        return;
    }
    let stream = &mut connection.stream;
    let begin = match side {
        Side::Primary => &mut stream.primary_begin,
        Side::Secondary => &mut stream.secondary_begin,
    };
    if begin.replace(segment.seq) == Some(segment.seq) {
        return;
    }
    match side {
        Side::Primary => stream.compared.clear(),
        Side::Secondary => connection.secondary_ack = None,
    }
}

pub(super) fn compare(connection: &mut Connection, effects: &mut Vec<Effect>) {
    connection.stream.secondary_seen |= !connection.secondary.is_empty();
    loop {
        spend_secondary(connection, None, effects);
        let Some(primary) = connection.primary.front() else {
            return;
        };
        let Some(segment) = primary.segment.clone() else {
            return;
        };
        let Found::Equal(fate, with) = search(connection, primary, &segment) else {
            break;
        };
        if !acknowledged(connection, &segment) {
            break;
        }
        let Some(primary) = connection.primary.pop_front() else {
            return;
        };
        connection.stream.add(segment.seq, segment.seq_end);
        let tag = primary.tag();
        effects.push(release(primary, fate, with));
        spend_secondary(connection, tag, effects);
    }
    // The first waits; a difference is one all the same, there or behind it.
    effects.extend(connection.primary.iter().find_map(|primary| {
        match search(connection, primary, primary.segment.as_ref()?) {
            Found::Different(at, cause) => {
                let secondary = connection.secondary.get(at);
                Some(connection.request(cause, Some(primary), secondary))
            }
            Found::Equal(..) | Found::Missing => None,
        }
    }));
}

/// A packet went on because a checkpoint made the guests equal: the secondary is as far as it says.
pub(super) fn flushed(connection: &mut Connection, primary: &Packet) {
    let Some(segment) = &primary.segment else {
        return;
    };
    connection.stream.add(segment.seq, segment.seq_end);
    connection.stream.secondary_seen = true;
    let known = connection.secondary_ack;
    if segment.flags & flag::ACK != 0 && known.is_none_or(|known| after(segment.ack, known)) {
        connection.secondary_ack = Some(segment.ack);
    }
}

/// What the secondary has to say about a primary's packet.
enum Found {
    Equal(Fate, Option<Tag>),
    /// Some of its bytes have not arrived; those that have are equal.
    Missing,
    /// The packet with this index says otherwise.
    Different(usize, CheckpointCause),
}

/// Whether the client may learn what this packet acknowledges: only what both guests have.
fn acknowledged(connection: &Connection, segment: &Segment) -> bool {
    if segment.flags & flag::ACK == 0 {
        return connection.stream.secondary_seen;
    }
    connection.secondary_ack.is_some_and(|both| !after(segment.ack, both))
}

fn search(connection: &Connection, primary: &Packet, segment: &Segment) -> Found {
    if segment.is_empty() {
        return Found::Equal(Fate::NoPayload, None);
    }
    let (mut at, mut fate, mut with) = (segment.seq, Fate::Repeated, None);
    let mut missing = false;
    while after(segment.seq_end, at) {
        if let Some(end) = connection.stream.compared_until(at) {
            at = end;
            continue;
        }
        let holds = |secondary: &Packet| {
            let held = secondary.segment.as_ref();
            held.is_some_and(|held| !after(held.seq, at) && after(held.seq_end, at))
        };
        let Some(index) = connection.secondary.iter().position(holds) else {
            missing = true;
            at = next_known(connection, at, segment.seq_end);
            continue;
        };
        let secondary = &connection.secondary[index];
        let Some(other) = &secondary.segment else {
            return Found::Missing;
        };
        let sent = other.seq_end;
        let end = if after(sent, segment.seq_end) { segment.seq_end } else { sent };
        let end = connection.stream.compared_from(at, end);
        let count = end.wrapping_sub(at) as usize;
        let p_at = segment.at + at.wrapping_sub(segment.seq) as usize;
        let s_at = other.at + at.wrapping_sub(other.seq) as usize;
        let run_p = primary.data().get(p_at..p_at + count).unwrap_or_default();
        let run_s = secondary.data().get(s_at..s_at + count).unwrap_or_default();
        if run_p != run_s {
            let cause = difference((primary, run_p), (secondary, run_s), (p_at, s_at), 0..0);
            return Found::Different(index, cause);
        }
        (at, fate, with) = (end, Fate::Matched, secondary.tag());
    }
    if missing { Found::Missing } else { Found::Equal(fate, with) }
}

/// Where the first stretch begins, between two numbers, of which anything is known; the second one
/// without any.
fn next_known(connection: &Connection, at: u32, end: u32) -> u32 {
    let held = connection.secondary.iter().filter_map(|held| held.segment.as_ref());
    let begins = held.map(|segment| segment.seq);
    first_between(begins, at, connection.stream.compared_from(at, end))
}

/// The first number of several that lies between two; the second one without any.
fn first_between(numbers: impl Iterator<Item = u32>, at: u32, end: u32) -> u32 {
    let within = numbers.filter(|number| after(*number, at) && after(end, *number));
    within.fold(end, |first, number| if after(first, number) { number } else { first })
}

/// Lets go of the secondary's packets that say nothing more: without payload, or all compared.
fn spend_secondary(connection: &mut Connection, with: Option<Tag>, effects: &mut Vec<Effect>) {
    let stream = &connection.stream;
    connection.secondary.retain(|packet| {
        let Some(segment) = &packet.segment else {
            return true;
        };
        let fate = if segment.is_empty() {
            Fate::NoPayload
        } else if !stream.is_compared(segment.seq, segment.seq_end) {
            return true;
        } else if with.is_some() {
            Fate::Matched
        } else {
            Fate::Repeated
        };
        effects.push(spend(packet, fate, with.filter(|_| fate == Fate::Matched)));
        false
    });
}

impl Stream {
    /// Where the compared stretch that holds this number ends.
    fn compared_until(&self, at: u32) -> Option<u32> {
        let holds = |(from, to): &&(u32, u32)| !after(*from, at) && after(*to, at);
        self.compared.iter().find(holds).map(|(_, to)| *to)
    }

    /// Where the first compared stretch between two numbers begins; the second one without any.
    fn compared_from(&self, at: u32, end: u32) -> u32 {
        first_between(self.compared.iter().map(|(from, _)| *from), at, end)
    }

    fn is_compared(&self, from: u32, to: u32) -> bool {
        self.compared_until(from).is_some_and(|end| !after(to, end))
    }

    /// Joins a stretch with those it touches.
    fn add(&mut self, mut from: u32, mut to: u32) {
        if from == to {
            return;
        }
        self.compared.retain(|(other_from, other_to)| {
            let apart = after(*other_from, to) || after(from, *other_to);
            if !apart {
                from = if after(from, *other_from) { *other_from } else { from };
                to = if after(*other_to, to) { *other_to } else { to };
            }
            apart
        });
        if to.wrapping_sub(from) > REMEMBERED {
            from = to.wrapping_sub(REMEMBERED);
        }
        self.compared.push((from, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers wrap in a long connection; what is far behind is forgotten rather than mistaken.
    #[test]
    fn a_connection_of_many_gigabytes() {
        let mut stream = Stream::default();
        let mut at = 5_u32;
        for _ in 0..10_000 {
            let end = at.wrapping_add(1 << 20);
            assert!(!stream.is_compared(at, end));
            stream.add(at, end);
            assert!(stream.is_compared(at, end));
            at = end;
        }
        assert_eq!(stream.compared.len(), 1);
        assert!(!stream.is_compared(at, at.wrapping_add(1)));
    }

    #[test]
    fn stretches_join_where_they_touch() {
        let mut stream = Stream::default();
        for (from, to) in [(10, 20), (30, 40), (u32::MAX, 5), (20, 25), (5, 5)] {
            stream.add(from, to);
        }
        assert_eq!(stream.compared, [(30, 40), (u32::MAX, 5), (10, 25)]);
        stream.add(4, 31);
        assert_eq!(stream.compared, [(u32::MAX, 40)]);
        assert_eq!(stream.compared_until(u32::MAX), Some(40));
        assert_eq!(stream.compared_until(40), None);
    }
}
