//! Everything but TCP: a primary's packet is looked for among the secondary's (QEMU 10.2.2
//! net/colo-compare.c:507-598, 664-695).

use std::ops::Range;

use super::{
    Rules,
    connection::{Connection, Effect, difference, release, spend},
    packet::Packet,
};
use crate::record::{CheckpointCause, Fate};

const ETHERNET: usize = 14;
const ICMP: u8 = 1;
const UDP: u8 = 17;

/// The bytes of a packet that are compared, and where they begin.
struct Compared<'a> {
    at: usize,
    bytes: &'a [u8],
}

pub(super) fn compare(connection: &mut Connection, rules: &Rules, effects: &mut Vec<Effect>) {
    while !connection.secondary.is_empty() {
        let taken = if rules.newest_first {
            connection.primary.pop_back()
        } else {
            connection.primary.pop_front()
        };
        let Some(primary) = taken else { return };
        let equal = |secondary: &Packet| equal(&primary, secondary, rules);
        if let Some(at) = connection.secondary.iter().position(equal) {
            if let Some(secondary) = connection.secondary.remove(at) {
                effects.push(spend(&secondary, Fate::Matched, primary.tag()));
                effects.push(release(primary, Fate::Matched, secondary.tag()));
            }
            continue;
        }
        // The one that was to be equal is the secondary's that came first.
        if let Some(secondary) = connection.secondary.front() {
            let cause = cause(&primary, secondary, rules);
            effects.push(connection.request(cause, Some(&primary), Some(secondary)));
        }
        if rules.newest_first {
            connection.primary.push_back(primary);
        } else {
            connection.primary.push_front(primary);
        }
        return;
    }
}

/// What makes two packets differ.
fn cause(primary: &Packet, secondary: &Packet, rules: &Rules) -> CheckpointCause {
    let (one, other) = both(primary, secondary, rules);
    let sizes = (primary.data().len(), secondary.data().len());
    if asks_sizes(rules)
        && sizes.0 != sizes.1
        && one.at != begin(secondary, whole(primary, rules), rules)
    {
        return CheckpointCause::Sizes { primary: sizes.0, secondary: sizes.1 };
    }
    difference(
        (primary, one.bytes),
        (secondary, other.bytes),
        (one.at, other.at),
        checksum(primary, one.at),
    )
}

/// Where the checksum of UDP or ICMP is in what is compared from `at` on.
fn checksum(packet: &Packet, at: usize) -> Range<usize> {
    let begin = match packet.headers.protocol {
        UDP => 6,
        ICMP => 2,
        _ => return 0..0,
    };
    if packet.later_fragment {
        return 0..0;
    }
    let begin = (packet.headers.transport + begin).saturating_sub(at);
    begin..begin + 2
}

fn equal(primary: &Packet, secondary: &Packet, rules: &Rules) -> bool {
    if asks_sizes(rules) && primary.data().len() != secondary.data().len() {
        return false;
    }
    let (one, other) = both(primary, secondary, rules);
    one.bytes == other.bytes
}

/// QEMU compares the sizes of the frames first, virtio-net headers included.
const fn asks_sizes(rules: &Rules) -> bool {
    rules.vnet_of_primary && rules.padding_counts
}

/// What is compared of each.
fn both<'a>(
    primary: &'a Packet,
    secondary: &'a Packet,
    rules: &Rules,
) -> (Compared<'a>, Compared<'a>) {
    let whole = whole(primary, rules);
    let one = begin(primary, whole, rules);
    let other = if rules.vnet_of_primary { one } else { begin(secondary, whole, rules) };
    (cut(primary, one, rules), cut(secondary, other, rules))
}

/// Whether the whole frame is compared: in QEMU where the primary's is neither UDP nor ICMP.
fn whole(primary: &Packet, rules: &Rules) -> bool {
    let known = primary.later_fragment || matches!(primary.headers.protocol, ICMP | UDP);
    rules.others_whole && !known
}

/// Where what is compared begins by a packet's own headers: else behind that of IPv4.
fn begin(packet: &Packet, whole: bool, rules: &Rules) -> usize {
    let headers = &packet.headers;
    match (whole, rules.vnet_of_primary) {
        (true, _) => headers.ethernet,
        // QEMU counts 14 bytes of Ethernet header whatever is there.
        (false, true) => headers.ethernet + ETHERNET + (headers.transport - headers.network),
        (false, false) => headers.transport,
    }
}

fn cut<'a>(packet: &'a Packet, at: usize, rules: &Rules) -> Compared<'a> {
    let bytes = packet.data().get(at..packet.end).unwrap_or_default();
    let length = if rules.lengths_wrap {
        // QEMU counts what it compares in 16 bits.
        usize::from(bytes.len() as u16)
    } else {
        bytes.len()
    };
    let bytes = bytes.get(..length).unwrap_or_default();
    Compared { at, bytes }
}
