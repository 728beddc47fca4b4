//! `filter-rewriter`: brings the TCP numbers of COLO's two guests together (QEMU 10.2.2
//! `net/filter-rewriter.c`). It stands in the secondary's chain: [`connection`] says what a segment
//! does, [`edit`] changes its bytes.

mod connection;
mod edit;

use std::collections::VecDeque;

use crate::{
    base::{Direction, Profile, Quirk, Tag},
    machine::{
        ColoEvent,
        colo::{self, Headers, Key, Table, TcpHeader},
        core::{Packet, QUEUE_LIMIT},
        part::{Action, Context, Part, Verdict},
    },
    qapi::Spec,
    record::{CommandError, DropReason, EventKind},
};
use connection::{Connection, Segment};
use edit::Edit;

/// What an empty packet runs into (QEMU 7.2.22 and 10.2.2; measured).
const EMPTY_ASSERTION: &str = "net/colo.c:51: parse_packet_early: Assertion `data' failed.";

#[derive(Debug)]
struct Rewriter {
    /// Its machine's, which never changes.
    profile: Profile,
    connections: Table<Connection>,
    /// Connections that are not known yet are left alone.
    failover: bool,
    /// Segments that wait for their sender to be allowed to send.
    waiting: VecDeque<Packet>,
    delivering: bool,
    /// What it goes on with, the next one last: a segment that it passes on may come back to it,
    /// and all that this one leads to comes first.
    steps: Vec<Step>,
}

/// What a rewriter goes on with.
#[derive(Debug)]
enum Step {
    /// Sends on what waits.
    Flush,
    /// What was held of a connection reaches it again.
    Release(Key),
    /// What is held at its end goes nowhere.
    End,
}

/// No checks of its own.
pub(super) fn make(cx: &mut Context<'_>, _: &Spec) -> Result<Box<dyn Part>, CommandError> {
    let profile = cx.core.profile.clone();
    let limit = profile.has(Quirk::RewriterForgetsAll).then_some(colo::LIMIT);
    Ok(Box::new(Rewriter {
        profile,
        connections: Table::new(limit),
        failover: false,
        waiting: VecDeque::new(),
        delivering: false,
        steps: Vec::new(),
    }))
}

impl Part for Rewriter {
    /// Takes every TCP segment and sends it on itself; everything else passes
    /// (QEMU 10.2.2 net/filter-rewriter.c:252-327).
    fn receive(&mut self, cx: &mut Context<'_>, packet: &Packet) -> Verdict {
        if packet.data.is_empty() {
            if !cx.has(Quirk::RewriterEmptyFrameAborts) {
                return Verdict::Pass;
            }
            cx.then(Action::Crash(EMPTY_ASSERTION));
            cx.then(Action::Drop(packet.tag, DropReason::MachineDead));
            return Verdict::Take;
        }
        let vnet = if cx.base.vnet_hdr_support { cx.vnet_hdr_len() } else { 0 };
        let tags = !cx.has(Quirk::RewriterIgnoresVlan);
        let Some(headers) = Headers::read(&packet.data, vnet, tags).filter(Headers::is_tcp) else {
            return Verdict::Pass;
        };
        let of_netdev = cx.base.netdev == Some(packet.sender);
        let direction = if of_netdev { Direction::Tx } else { Direction::Rx };
        let Some((connection, verdict, forgotten)) = self.judge(packet, &headers, direction) else {
            return Verdict::Pass;
        };
        report_forgotten(cx, forgotten);
        drop_all(cx, verdict.lost);
        if verdict.hold {
            cx.event(packet.tag, EventKind::Queued);
            return Verdict::Take;
        }
        let mut packet = Packet { resume: None, ..packet.clone() };
        if verdict.shift != 0 {
            self.translate(cx, &mut packet, &headers, (direction, verdict.shift));
        }
        if verdict.release {
            self.steps.push(Step::Release(connection));
        }
        self.send(cx, packet);
        if verdict.release {
            cx.then(Action::Resume);
        }
        Verdict::Take
    }

    fn resume(&mut self, cx: &mut Context<'_>, _: Verdict) {
        match self.steps.pop() {
            Some(Step::Flush) => {
                let next = self.waiting.pop_front();
                self.delivering = next.is_some();
                if let Some(packet) = next {
                    deliver(cx, packet);
                    self.flush(cx);
                }
            }
            Some(Step::Release(connection)) => {
                let known = self.connections.get_mut(connection);
                let held = known.map(|known| std::mem::take(&mut known.held));
                for packet in held.unwrap_or_default() {
                    cx.then(Action::Receive(packet));
                }
            }
            Some(Step::End) => {
                let known = self.connections.clear().into_iter();
                drop_all(cx, known.flat_map(|known| known.held).collect());
            }
            None => {}
        }
    }

    /// QEMU 10.2.2 net/filter-rewriter.c:345-364.
    fn colo(&mut self, cx: &mut Context<'_>, event: ColoEvent) {
        match event {
            ColoEvent::Checkpoint => {
                for connection in self.connections.values_mut() {
                    connection.checkpoint(&self.profile);
                    for packet in connection.held.drain(..) {
                        cx.then(Action::Receive(packet));
                    }
                }
            }
            ColoEvent::Failover => {
                let mut known = self.connections.values();
                self.failover |= !known.any(Connection::is_shifted);
            }
        }
    }

    fn unfinished(&mut self) -> Vec<(Tag, DropReason)> {
        let held = self.connections.values().flat_map(|known| &known.held);
        let packets = self.waiting.iter().chain(held);
        packets.filter_map(|packet| Some((packet.tag?, DropReason::Held))).collect()
    }

    /// What waits is sent on after all; what was held for an answer goes nowhere.
    fn cleanup(&mut self, cx: &mut Context<'_>) {
        self.steps.push(Step::End);
        self.flush(cx);
        cx.then(Action::Resume);
    }
}

impl Rewriter {
    /// The packet's connection, what the packet does to it, and the connections that were
    /// forgotten for it; none when the packet is none of the rewriter's business.
    fn judge(
        &mut self,
        packet: &Packet,
        headers: &Headers,
        direction: Direction,
    ) -> Option<(Key, connection::Verdict, Vec<Connection>)> {
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

    /// Brings a segment's numbers over to the other guest's count.
    fn translate(
        &self,
        cx: &mut Context<'_>,
        packet: &mut Packet,
        headers: &Headers,
        (direction, shift): (Direction, u32),
    ) {
        let mut edit = Edit::new(&packet.data, headers, &self.profile);
        match direction {
            Direction::Tx => edit.shift_ack(shift),
            Direction::Rx => edit.shift_seq(shift),
        }
        let (data, changes) = edit.finish();
        packet.data = data;
        for (field, old, new) in changes {
            cx.event(packet.tag, EventKind::Rewritten { field, old, new });
        }
    }

    /// Sends a segment on. QEMU has a queue of its own for that: what may not be sent now waits in
    /// it until a later segment is sent, which goes first.
    fn send(&mut self, cx: &mut Context<'_>, packet: Packet) {
        if !cx.has(Quirk::RewriterStrandsQueue) {
            return deliver(cx, packet);
        }
        if self.delivering || !cx.core.can_send(packet.sender) {
            let limited = cx.has(Quirk::InjectDropsWhenFull);
            if limited && self.waiting.len() >= QUEUE_LIMIT {
                return cx.drop_frame(packet.tag, DropReason::QueueFull);
            }
            cx.event(packet.tag, EventKind::Queued);
            return self.waiting.push_back(packet);
        }
        if cx.has(Quirk::QueueOvertakes) {
            self.waiting.push_front(packet);
        } else {
            self.waiting.push_back(packet);
        }
        self.flush(cx);
    }

    /// Sends on what waits.
    fn flush(&mut self, cx: &mut Context<'_>) {
        self.steps.push(Step::Flush);
        cx.then(Action::Resume);
    }
}

/// Passes a segment to the next filter.
fn deliver(cx: &mut Context<'_>, packet: Packet) {
    cx.then(Action::PassOn(cx.base.onward(packet.sender), packet));
}

fn report_forgotten(cx: &mut Context<'_>, forgotten: Vec<Connection>) {
    if forgotten.is_empty() {
        return;
    }
    let notice = format!("the table of connections is full: {} are forgotten", forgotten.len());
    cx.event(None, EventKind::Notice(notice));
    drop_all(cx, forgotten.into_iter().flat_map(|gone| gone.held).collect());
}

fn drop_all(cx: &mut Context<'_>, packets: Vec<Packet>) {
    for packet in packets {
        cx.drop_frame(packet.tag, DropReason::Purged);
    }
}
