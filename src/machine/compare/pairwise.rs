//! TCP as QEMU compares it: the two packets with the lowest sequence numbers, pair by pair (QEMU
//! 10.2.2 net/colo-compare.c:351-500).

use super::{
    Rules,
    connection::{Connection, Effect, difference, release, spend},
    packet::{Packet, Segment, after},
};
use crate::{
    base::Tag,
    record::{CheckpointCause, Fate},
};

/// What a pair leads to.
enum Verdict {
    FreeBoth,
    FreePrimary,
    FreeSecondary,
    Different(CheckpointCause),
}

pub(super) fn compare(connection: &mut Connection, rules: &Rules, effects: &mut Vec<Effect>) {
    let both_ack = both_ack(connection, rules);
    let mut primary: Option<Packet> = None;
    loop {
        // What is in hand stays there until it is released; what is not, is taken.
        let Some(mut p) = primary.take().or_else(|| connection.primary.pop_front()) else {
            return;
        };
        let Some(mut s) = connection.secondary.pop_front() else {
            connection.primary.push_front(p);
            return;
        };
        let (Some(p_seg), Some(s_seg)) = (p.segment.clone(), s.segment.clone()) else {
            return;
        };
        let compared = |end: u32| connection.compared.is_some_and(|to| !after(end, to));
        let p_fate = done_with(&p_seg, compared(p_seg.seq_end));
        let s_fate = done_with(&s_seg, compared(s_seg.seq_end));
        if let Some(fate) = s_fate {
            effects.push(spend(&s, fate, s_seg.done_with));
        }
        match p_fate {
            Some(fate) => effects.push(release(p, fate, p_seg.done_with.or(s.tag()))),
            None if s_fate.is_some() => primary = Some(p),
            None => match mark(&mut p, &mut s, both_ack) {
                Verdict::FreeBoth => {
                    mark_compared(connection, p_seg.seq_end, rules);
                    effects.push(spend(&s, Fate::Matched, p.tag()));
                    effects.push(release(p, Fate::Matched, s.tag()));
                    continue;
                }
                Verdict::FreePrimary => {
                    mark_compared(connection, p_seg.seq_end, rules);
                    effects.push(release(p, Fate::Matched, s.tag()));
                }
                Verdict::FreeSecondary => {
                    mark_compared(connection, s_seg.seq_end, rules);
                    effects.push(spend(&s, Fate::Matched, p.tag()));
                    primary = Some(p);
                    continue;
                }
                Verdict::Different(cause) => {
                    effects.push(connection.request(cause, Some(&p), Some(&s)));
                    connection.primary.push_front(p);
                    connection.secondary.push_front(s);
                    return;
                }
            },
        }
        if s_fate.is_none() {
            connection.secondary.push_front(s);
        }
    }
}

/// Why a packet needs no comparison. That all of its bytes were compared, as parts of several
/// packets of the other side, is noticed only when the next one comes.
fn done_with(segment: &Segment, compared: bool) -> Option<Fate> {
    if segment.is_empty() {
        return Some(Fate::NoPayload);
    }
    let fate = if segment.done >= segment.length { Fate::Matched } else { Fate::Repeated };
    compared.then_some(fate)
}

/// QEMU takes a sequence number of 0 for "nothing compared yet".
fn mark_compared(connection: &mut Connection, end: u32, rules: &Rules) {
    connection.compared = (end != 0 || !rules.seq_zero_unset).then_some(end);
}

/// The lower of what both guests have acknowledged; QEMU compares as if numbers did not wrap, and
/// begins at 0. None: a guest has acknowledged nothing yet.
fn both_ack(connection: &Connection, rules: &Rules) -> Option<u32> {
    let (primary, secondary) = (connection.primary_ack, connection.secondary_ack);
    if rules.last_ack {
        return Some(primary.unwrap_or(0).min(secondary.unwrap_or(0)));
    }
    let (primary, secondary) = (primary?, secondary?);
    Some(if after(primary, secondary) { secondary } else { primary })
}

/// Compares two packets with payload (QEMU 10.2.2 net/colo-compare.c:351-397). That both begin at
/// the same byte of the stream is not checked.
fn mark(p: &mut Packet, s: &mut Packet, both_ack: Option<u32>) -> Verdict {
    let (Some(one), Some(other)) = (p.segment.clone(), s.segment.clone()) else {
        return Verdict::FreeBoth;
    };
    if one.seq == other.seq
        && one.seq_end == other.seq_end
        && run(p, one.at, one.length)
            .is_some_and(|run_p| run(s, other.at, one.length).is_some_and(|run_s| run_p == run_s))
    {
        return Verdict::FreeBoth;
    }
    let within = !after(one.seq_end, other.seq_end);
    let count = if within {
        one.length.saturating_sub(one.done)
    } else {
        other.length.saturating_sub(other.done)
    };
    let (p_at, s_at) = (one.at + one.done, other.at + other.done);
    // Bytes beyond a frame's end, which QEMU reads, are never equal.
    let equal = match (run(p, p_at, count), run(s, s_at, count)) {
        (Some(run_p), Some(run_s)) => run_p == run_s,
        _ => false,
    };
    if !equal {
        let rest = |packet: &Packet, at: usize| -> Vec<u8> {
            let end = packet.end.min(at.saturating_add(count));
            packet.data().get(at..end).unwrap_or_default().to_vec()
        };
        let (run_p, run_s) = (rest(p, p_at), rest(s, s_at));
        return Verdict::Different(difference((p, &run_p), (s, &run_s), (p_at, s_at), 0..0));
    }
    if !within {
        advance(p, count, s.tag());
        return Verdict::FreeSecondary;
    }
    match both_ack {
        Some(both) if after(one.ack, both) => {
            Verdict::Different(CheckpointCause::Acknowledges { primary: one.ack, both })
        }
        None => Verdict::Different(CheckpointCause::Acknowledges { primary: one.ack, both: 0 }),
        Some(_) => {
            advance(s, count, p.tag());
            Verdict::FreePrimary
        }
    }
}

fn advance(packet: &mut Packet, count: usize, with: Option<Tag>) {
    if let Some(segment) = &mut packet.segment {
        segment.done += count;
        segment.done_with = with;
    }
}

fn run(packet: &Packet, at: usize, count: usize) -> Option<&[u8]> {
    let end = at.checked_add(count)?;
    packet.data().get(at..end).filter(|_| end <= packet.end)
}
