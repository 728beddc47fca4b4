//! What the rewriter knows of a TCP connection, and what a segment does to it (QEMU 10.2.2
//! net/filter-rewriter.c:71-250).
//!
//! Two guests answer one client. Each has chosen its own initial sequence number; the client knows
//! the primary's, the rewriter's guest is the secondary. `offset` is the secondary's numbers less
//! the primary's: it is added to the acknowledgements that the guest gets, and taken off the
//! numbers that it sends. All arithmetic is modulo 2^32.

use crate::{
    base::{Profile, Quirk},
    machine::{
        colo::{TcpHeader, flag},
        core::Packet,
    },
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// The guest opens.
    SynSent,
    /// The client opens.
    SynReceived,
    Established,
    /// The client has closed.
    CloseWait,
    /// And so has the guest.
    LastAck,
    /// The guest has closed.
    FinWait1,
}

/// A connection, from the guest's point of view.
#[derive(Debug, Default)]
pub(super) struct Connection {
    state: State,
    offset: u32,
    /// QEMU's note of the guest's FIN.
    fin_ack: u32,
    /// Initial sequence numbers of the client and of the guest, once seen.
    client_isn: Option<u32>,
    guest_isn: Option<u32>,
    close: Close,
    /// Segments of the client that came before the guest's answer, where that is mended.
    pub(super) held: Vec<Packet>,
}

/// How far a connection is closed, each direction by itself (RFC 9293 section 3.6).
#[derive(Debug, Default)]
struct Close {
    guest_first: bool,
    client: Half,
    guest: Half,
}

#[derive(Debug, Default)]
struct Half {
    /// The sequence number of its FIN, as its sender counts.
    fin: Option<u32>,
    acknowledged: bool,
}

impl Half {
    fn acknowledge(&mut self, ack: u32) {
        self.acknowledged |= self.fin.is_some_and(|fin| ack == fin.wrapping_add(1));
    }
}

/// A TCP segment as far as it matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) tcp: TcpHeader,
    /// Bytes of payload.
    pub(super) payload: u32,
}

impl Segment {
    const fn has(&self, flags: u8) -> bool {
        self.tcp.has(flags)
    }

    /// The sequence number of its FIN, if it has one.
    fn fin(&self) -> Option<u32> {
        self.has(flag::FIN).then(|| self.tcp.seq.wrapping_add(self.payload))
    }
}

/// What is done with a segment.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Added to the acknowledgement of a client's segment, taken off the sequence number of a
    /// guest's. 0 leaves every byte alone.
    pub(super) shift: u32,
    /// The connection is over.
    pub(super) forget: bool,
    /// The segment waits in `held`.
    pub(super) hold: bool,
    /// What was held can go on.
    pub(super) release: bool,
    /// What was held belongs to an earlier connection and goes nowhere.
    pub(super) lost: Vec<Packet>,
}

impl Connection {
    /// A segment of the client, on its way to the guest.
    pub(super) fn client_sends(&mut self, profile: &Profile, segment: &Segment) -> Verdict {
        let tcp = segment.tcp;
        let (syn, ack) = (tcp.has(flag::SYN), tcp.has(flag::ACK));
        let mut verdict = Verdict::default();
        if syn && ack && self.state == State::SynSent {
            self.state = State::Established;
            if !profile.has(Quirk::RewriterGuestOpens) {
                let guest = self.guest_isn.unwrap_or(0);
                self.offset = guest.wrapping_sub(tcp.ack.wrapping_sub(1));
            }
        }
        if syn && !ack {
            verdict.lost = self.client_opens(profile, tcp.seq);
        }
        if ack && !syn && self.state == State::SynReceived {
            let early = self.guest_isn.is_none() && !tcp.has(flag::RST);
            if early && !profile.has(Quirk::RewriterEarlyAck) {
                verdict.hold = true;
                return verdict;
            }
            self.offset = self.offset.wrapping_sub(tcp.ack.wrapping_sub(1));
            self.state = State::Established;
        }
        if ack && self.translates(profile, syn) {
            verdict.shift = self.offset;
        }
        let seen = tcp.ack.wrapping_add(verdict.shift);
        if ack && !syn && self.state == State::LastAck && seen == self.fin_ack.wrapping_add(1) {
            self.state = State::Closed;
            verdict.forget = true;
        }
        if tcp.has(flag::FIN) {
            if self.state == State::Established && profile.has(Quirk::RewriterPassiveClose) {
                self.state = State::CloseWait;
            }
            if self.state == State::FinWait1 {
                self.state = State::Closed;
                verdict.forget = true;
            }
        }
        self.close.client.fin = segment.fin().or(self.close.client.fin);
        if ack {
            self.close.guest.acknowledge(seen);
        }
        verdict.forget |= self.is_over(profile, segment);
        verdict
    }

    /// A segment of the guest, on its way to the client.
    pub(super) fn guest_sends(&mut self, profile: &Profile, segment: &Segment) -> Verdict {
        let tcp = segment.tcp;
        let (syn, ack) = (tcp.has(flag::SYN), tcp.has(flag::ACK));
        let mut verdict = Verdict::default();
        if syn && ack && self.state == State::SynReceived {
            // Until the client's ACK reveals the primary's number, the offset is the secondary's.
            self.offset = tcp.seq;
            self.guest_isn = Some(tcp.seq);
            verdict.release = true;
        }
        if syn && !ack {
            verdict.lost = self.guest_opens(profile, tcp.seq);
        }
        let reset = tcp.has(flag::RST) && !profile.has(Quirk::RewriterIgnoresRst);
        if (ack || reset || syn) && self.translates(profile, syn) {
            verdict.shift = self.offset;
        }
        let seen = tcp.seq.wrapping_sub(verdict.shift);
        if ack && tcp.has(flag::FIN) && self.state == State::CloseWait {
            self.fin_ack = seen;
            self.state = State::LastAck;
        }
        let bare_fin = tcp.has(flag::FIN) && !ack;
        if bare_fin && self.state == State::Established && profile.has(Quirk::RewriterActiveClose) {
            self.state = State::FinWait1;
        }
        if let Some(fin) = segment.fin() {
            self.close.guest_first |= self.close.client.fin.is_none();
            self.close.guest.fin = Some(fin);
        }
        if ack {
            self.close.client.acknowledge(tcp.ack);
        }
        verdict.forget |= self.is_over(profile, segment);
        verdict
    }

    /// Both guests have the same state again, and so the same numbers. What was held can go on.
    pub(super) fn checkpoint(&mut self, profile: &Profile) {
        let opening = matches!(self.state, State::SynReceived | State::SynSent);
        if opening && !profile.has(Quirk::RewriterCheckpointInHandshake) {
            self.state = State::Established;
        }
        let offset = std::mem::take(&mut self.offset);
        let fin = &mut self.close.guest.fin;
        *fin = fin.map(|fin| fin.wrapping_sub(offset));
    }

    /// Whether its numbers differ between the guests.
    pub(super) const fn is_shifted(&self) -> bool {
        self.offset != 0
    }

    /// A SYN of the client: a new connection, or the same one's again.
    fn client_opens(&mut self, profile: &Profile, isn: u32) -> Vec<Packet> {
        let again = self.client_isn == Some(isn);
        let mut lost = Vec::new();
        if !again {
            self.client_isn = Some(isn);
            self.guest_isn = None;
            self.close = Close::default();
            lost = std::mem::take(&mut self.held);
        }
        if profile.has(Quirk::RewriterSynAgain) {
            self.state = State::SynReceived;
        } else if !again {
            self.state = State::SynReceived;
            self.offset = 0;
        }
        lost
    }

    /// A SYN of the guest.
    fn guest_opens(&mut self, profile: &Profile, isn: u32) -> Vec<Packet> {
        if self.state == State::Closed {
            self.state = State::SynSent;
            self.guest_isn = Some(isn);
            return Vec::new();
        }
        let fresh = self.guest_isn.is_some_and(|known| known != isn);
        if !fresh || profile.has(Quirk::RewriterGuestOpens) {
            return Vec::new();
        }
        let before = std::mem::replace(
            self,
            Self { state: State::SynSent, guest_isn: Some(isn), ..Self::default() },
        );
        before.held
    }

    /// Whether the offset applies to a segment; one of the handshake, or not.
    fn translates(&self, profile: &Profile, syn: bool) -> bool {
        let open = self.state != State::SynReceived;
        if syn {
            open && !profile.has(Quirk::RewriterGuestOpens)
        } else {
            open || profile.has(Quirk::RewriterHalfOpenShift)
        }
    }

    /// Whether a segment ends the connection, as a mended rewriter sees it.
    fn is_over(&self, profile: &Profile, segment: &Segment) -> bool {
        let missed = if self.close.guest_first {
            Quirk::RewriterActiveClose
        } else {
            Quirk::RewriterPassiveClose
        };
        let closed = self.close.client.acknowledged && self.close.guest.acknowledged;
        let reset = segment.has(flag::RST) && !profile.has(Quirk::RewriterIgnoresRst);
        reset || (closed && !profile.has(missed))
    }
}

#[cfg(test)]
mod tests;
