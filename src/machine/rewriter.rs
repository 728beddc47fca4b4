//! `filter-rewriter`: brings the TCP numbers of COLO's two guests together (QEMU 10.2.2
//! `net/filter-rewriter.c`). It stands in the secondary's chain: [`connection`] says what a segment
//! does, [`edit`] changes its bytes.

mod connection;
mod edit;

use std::collections::VecDeque;

use super::{
    ColoEvent,
    colo::{self, Headers, Key, Table, TcpHeader},
    core::{Core, ObjectKey},
    filter::{FilterClass, FilterState},
    netqueue::{Packet, QUEUE_LIMIT},
    property::Spec,
};
use crate::{
    base::{Direction, Profile, Quirk, Tag},
    record::{CommandError, DropReason, EventKind},
};
use connection::{Connection, Segment, Verdict};
use edit::Edit;

pub(super) static CLASS: FilterClass = FilterClass {
    name: "filter-rewriter",
    setup,
    receive,
    read: |_, _, _, _| true,
    closed: |_, _| {},
    changed: |_, _| {},
    deadline: |_, _| None,
    due: |_, _| {},
    colo,
    unfinished,
    cleanup,
    refused: |_| {},
};

/// What an empty packet runs into (QEMU 7.2.22 and 10.2.2; measured).
const EMPTY_ASSERTION: &str = "net/colo.c:51: parse_packet_early: Assertion `data' failed.";

/// What a rewriter keeps.
#[derive(Debug)]
pub(super) struct Rewriter {
    /// Its machine's, which never changes.
    profile: Profile,
    connections: Table<Connection>,
    /// Connections that are not known yet are left alone.
    failover: bool,
    /// Segments that wait for their sender to be allowed to send.
    waiting: VecDeque<Packet>,
    delivering: bool,
}

/// No checks of its own.
fn setup(core: &mut Core, key: ObjectKey, _: &Spec) -> Result<(), CommandError> {
    let profile = core.profile.clone();
    let limit = profile.has(Quirk::RewriterForgetsAll).then_some(colo::LIMIT);
    let rewriter = Rewriter {
        profile,
        connections: Table::new(limit),
        failover: false,
        waiting: VecDeque::new(),
        delivering: false,
    };
    if let Some(filter) = core.filter_mut(key) {
        filter.state = FilterState::Rewriter(Box::new(rewriter));
    }
    Ok(())
}

fn state(core: &mut Core, key: ObjectKey) -> Option<&mut Rewriter> {
    match &mut core.filter_mut(key)?.state {
        FilterState::Rewriter(rewriter) => Some(rewriter),
        _ => None,
    }
}

/// Takes every TCP segment and sends it on itself; everything else passes
/// (QEMU 10.2.2 net/filter-rewriter.c:252-327).
fn receive(core: &mut Core, key: ObjectKey, packet: &Packet) -> isize {
    if packet.data.is_empty() {
        if core.has(Quirk::RewriterEmptyFrameAborts) {
            core.crash(EMPTY_ASSERTION);
            core.drop_frame(core.object_place(key), packet.tag, DropReason::MachineDead);
            return 1;
        }
        return 0;
    }
    let Some(filter) = core.filter(key) else {
        return 0;
    };
    let netdev = filter.netdev;
    let vnet = if filter.vnet_hdr_support { core.vnet_hdr_len(netdev) } else { 0 };
    let tags = !core.has(Quirk::RewriterIgnoresVlan);
    let Some(headers) = Headers::read(&packet.data, vnet, tags).filter(Headers::is_tcp) else {
        return 0;
    };
    let direction = if packet.sender == netdev { Direction::Tx } else { Direction::Rx };
    let Some(rewriter) = state(core, key) else {
        return 0;
    };
    let Some((connection, verdict, forgotten)) = rewriter.judge(packet, &headers, direction) else {
        return 0;
    };
    tell_forgotten(core, key, forgotten);
    drop_all(core, key, verdict.lost);
    if verdict.hold {
        core.event(core.object_place(key), packet.tag, EventKind::Queued);
        return 1;
    }
    let mut packet = Packet { resume: None, ..packet.clone() };
    if verdict.shift != 0 {
        translate(core, key, &mut packet, &headers, (direction, verdict.shift));
    }
    send(core, key, packet);
    let Some(rewriter) = state(core, key) else {
        return 1;
    };
    if verdict.release {
        let held = rewriter.connections.get_mut(connection);
        let held = held.map(|known| std::mem::take(&mut known.held));
        for packet in held.unwrap_or_default() {
            receive(core, key, &packet);
        }
    }
    1
}

impl Rewriter {
    /// The packet's connection, what the packet does to it, and the connections that were
    /// forgotten for it; none when the packet is none of the rewriter's business.
    fn judge(
        &mut self,
        packet: &Packet,
        headers: &Headers,
        direction: Direction,
    ) -> Option<(Key, Verdict, Vec<Connection>)> {
        let data = &packet.data[..];
        let mangles = self.profile.has(Quirk::RewriterManglesFragments);
        if !mangles && edit::is_no_segment(data, headers) {
            return None;
        }
        let tcp = TcpHeader::read(data, headers.transport)?;
        // From the guest's point of view.
        let key = match direction {
            Direction::Tx => Key::of_answer(data, headers)?,
            Direction::Rx => Key::of(data, headers)?,
        };
        if self.failover {
            self.connections.get_mut(key)?;
        }
        let (connection, forgotten) = self.connections.entry(key, Connection::default);
        let payload = edit::payload(data, headers, &tcp);
        let segment = Segment { tcp, payload };
        let mut verdict = match direction {
            Direction::Tx => connection.client_sends(&self.profile, &segment),
            Direction::Rx => connection.guest_sends(&self.profile, &segment),
        };
        if verdict.hold {
            connection.held.push(packet.clone());
        }
        if verdict.forget {
            let gone = self.connections.remove(key);
            verdict.lost.extend(gone.into_iter().flat_map(|gone| gone.held));
        }
        Some((key, verdict, forgotten))
    }
}

/// Changes a segment's numbers and says so.
fn translate(
    core: &mut Core,
    key: ObjectKey,
    packet: &mut Packet,
    headers: &Headers,
    (direction, shift): (Direction, u32),
) {
    let profile = core.profile.clone();
    let place = core.object_place(key);
    let tag = packet.tag;
    let mut edit = Edit::new(&packet.data, headers, &profile);
    match direction {
        Direction::Tx => edit.shift_ack(shift),
        Direction::Rx => edit.shift_seq(shift),
    }
    let (data, changes) = edit.finish();
    packet.data = data;
    for (field, old, new) in changes {
        core.event(place.clone(), tag, EventKind::Rewritten { field, old, new });
    }
}

/// Sends a segment on. QEMU has a queue of its own for that: what may not be sent now waits in it
/// until a later segment is sent, which goes first.
fn send(core: &mut Core, key: ObjectKey, packet: Packet) {
    if !core.has(Quirk::RewriterStrandsQueue) {
        return deliver(core, key, packet);
    }
    let may_send = core.can_send(packet.sender);
    let overtakes = core.has(Quirk::QueueOvertakes);
    let limited = core.has(Quirk::InjectDropsWhenFull);
    let place = core.object_place(key);
    let Some(rewriter) = state(core, key) else {
        return;
    };
    if rewriter.delivering || !may_send {
        let full = limited && rewriter.waiting.len() >= QUEUE_LIMIT;
        let tag = packet.tag;
        if full {
            return core.drop_frame(place, tag, DropReason::QueueFull);
        }
        rewriter.waiting.push_back(packet);
        return core.event(place, tag, EventKind::Queued);
    }
    if overtakes {
        rewriter.waiting.push_front(packet);
    } else {
        rewriter.waiting.push_back(packet);
    }
    flush(core, key);
}

/// Sends on what waits.
fn flush(core: &mut Core, key: ObjectKey) {
    while let Some(rewriter) = state(core, key) {
        if rewriter.delivering {
            return;
        }
        let Some(packet) = rewriter.waiting.pop_front() else {
            return;
        };
        rewriter.delivering = true;
        deliver(core, key, packet);
        if let Some(rewriter) = state(core, key) {
            rewriter.delivering = false;
        }
    }
}

/// Passes a segment to the next filter.
fn deliver(core: &mut Core, key: ObjectKey, packet: Packet) {
    let direction = core.filter(key).map(|filter| filter.onward(packet.sender));
    if let Some(direction) = direction {
        core.pass_to_next(key, direction, packet);
    }
}

/// QEMU 10.2.2 net/filter-rewriter.c:345-364.
fn colo(core: &mut Core, key: ObjectKey, event: ColoEvent) {
    let Some(rewriter) = state(core, key) else {
        return;
    };
    let mut held = Vec::new();
    match event {
        ColoEvent::Checkpoint => {
            for connection in rewriter.connections.values_mut() {
                connection.checkpoint(&rewriter.profile);
                held.append(&mut connection.held);
            }
        }
        ColoEvent::Failover => {
            let mut known = rewriter.connections.values();
            rewriter.failover |= !known.any(Connection::is_shifted);
        }
    }
    for packet in held {
        receive(core, key, &packet);
    }
}

fn tell_forgotten(core: &mut Core, key: ObjectKey, forgotten: Vec<Connection>) {
    if forgotten.is_empty() {
        return;
    }
    let said = format!("the table of connections is full: {} are forgotten", forgotten.len());
    core.event(core.object_place(key), None, EventKind::Notice(said));
    let held = forgotten.into_iter().flat_map(|gone| gone.held).collect();
    drop_all(core, key, held);
}

fn drop_all(core: &mut Core, key: ObjectKey, packets: Vec<Packet>) {
    for packet in packets {
        core.drop_frame(core.object_place(key), packet.tag, DropReason::Purged);
    }
}

fn unfinished(core: &mut Core, key: ObjectKey) -> Vec<(Tag, DropReason)> {
    let Some(rewriter) = state(core, key) else {
        return Vec::new();
    };
    let held = rewriter.connections.values().flat_map(|known| &known.held);
    let packets = rewriter.waiting.iter().chain(held);
    let held = |packet: &Packet| Some((packet.tag?, DropReason::Held));
    packets.filter_map(held).collect()
}

/// What waits is sent on after all; what was held for an answer goes nowhere.
fn cleanup(core: &mut Core, key: ObjectKey) {
    flush(core, key);
    let Some(rewriter) = state(core, key) else {
        return;
    };
    let known = rewriter.connections.clear().into_iter();
    let held = known.flat_map(|known| known.held).collect();
    drop_all(core, key, held);
}
