//! The services of a guest, byte by byte: echo, discard, a source, a fixed answer.

use smoltcp::socket::tcp;

use super::{Respond, ServiceKind};

/// Equal bytes of the pattern that stand together.
const STRIPE: usize = 256;

/// The bytes that a source sends: at offset `n` stands `n / 256`, modulo 256. A byte in the wrong
/// place shows in which stripe it belongs, and a transcript folds each stripe to a few letters.
#[must_use]
pub fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from.saturating_add(length)).map(|at| (at / STRIPE).to_le_bytes()[0]).collect()
}

/// One connection of a service.
#[derive(Debug)]
pub(super) struct Conversation {
    kind: ServiceKind,
    /// Bytes sent so far.
    written: usize,
    /// What was received and not looked at yet, or not sent back yet.
    waiting: Vec<u8>,
    /// Answers that are still to be sent.
    owed: usize,
    answers: usize,
}

impl Conversation {
    pub(super) const fn new(kind: ServiceKind) -> Self {
        Self { kind, written: 0, waiting: Vec::new(), owed: 0, answers: 0 }
    }

    /// Reads and writes as far as the connection allows; whether it did anything.
    pub(super) fn go_on(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        if !socket.is_active() {
            return false;
        }
        let mut moved = false;
        let kind = std::mem::replace(&mut self.kind, ServiceKind::Discard);
        match &kind {
            ServiceKind::Echo => {
                // What was not sent back yet stays in the receive buffer, so the window closes.
                if self.waiting.is_empty() {
                    moved |= read(socket, &mut self.waiting);
                }
                let sent = write(socket, &self.waiting);
                self.waiting.drain(..sent);
                moved |= sent > 0;
            }
            ServiceKind::Discard => {
                moved |= read(socket, &mut self.waiting);
                self.waiting.clear();
            }
            ServiceKind::Source(length) => {
                moved |= read(socket, &mut self.waiting);
                self.waiting.clear();
                moved |= self.source(socket, *length);
            }
            ServiceKind::Respond(respond) => {
                moved |= read(socket, &mut self.waiting);
                moved |= self.respond(socket, respond);
            }
        }
        self.kind = kind;
        if self.is_over(socket) && socket.may_send() {
            socket.close();
            moved = true;
        }
        moved
    }

    fn source(&mut self, socket: &mut tcp::Socket<'_>, length: usize) -> bool {
        let room = socket.send_capacity() - socket.send_queue();
        let sent = write(socket, &pattern(self.written, room.min(length - self.written)));
        self.written += sent;
        sent > 0
    }

    fn respond(&mut self, socket: &mut tcp::Socket<'_>, respond: &Respond) -> bool {
        let Respond { text, after, .. } = respond;
        let mut at = 0;
        while let Some(window) = self.waiting.get(at..at + after.len().max(1)) {
            let ends = window == after;
            self.owed += usize::from(ends);
            at += if ends { after.len() } else { 1 };
        }
        // What is left is shorter than the end of a request.
        self.waiting.drain(..at);
        let mut moved = false;
        while self.owed > 0 {
            let sent = write(socket, &text[self.written..]);
            self.written += sent;
            moved |= sent > 0;
            if self.written < text.len() {
                break;
            }
            self.written = 0;
            self.owed -= 1;
            self.answers += 1;
        }
        moved
    }

    /// Whether this side has nothing more to say.
    fn is_over(&self, socket: &tcp::Socket<'_>) -> bool {
        let ended = !socket.may_recv() && established(socket);
        match &self.kind {
            ServiceKind::Echo => ended && self.waiting.is_empty(),
            ServiceKind::Discard => ended,
            ServiceKind::Source(length) => self.written == *length,
            ServiceKind::Respond(respond) => {
                self.owed == 0 && (ended || respond.close && self.answers > 0)
            }
        }
    }
}

/// Whether the handshake is done.
fn established(socket: &tcp::Socket<'_>) -> bool {
    !matches!(
        socket.state(),
        tcp::State::Closed | tcp::State::Listen | tcp::State::SynSent | tcp::State::SynReceived
    )
}

/// Takes everything that has been received; whether there was anything.
pub(super) fn read(socket: &mut tcp::Socket<'_>, into: &mut Vec<u8>) -> bool {
    let before = into.len();
    while socket.can_recv() {
        let taken = socket.recv(|data| {
            into.extend_from_slice(data);
            (data.len(), data.len())
        });
        if !matches!(taken, Ok(1..)) {
            break;
        }
    }
    into.len() > before
}

/// Gives as much as there is room for; how much that was.
pub(super) fn write(socket: &mut tcp::Socket<'_>, data: &[u8]) -> usize {
    let mut written = 0;
    // The buffer is a ring: at its end it takes the rest with a second call.
    while socket.can_send() && written < data.len() {
        match socket.send_slice(&data[written..]) {
            Ok(sent @ 1..) => written += sent,
            Ok(0) | Err(_) => break,
        }
    }
    written
}
