//! A client's exchange with a service: what it asks, how far it is, and why it failed. The verb
//! `client` runs one.

use std::net::SocketAddrV4;

use bytes::Bytes;
use smoltcp::{iface::SocketHandle, socket::tcp};

use super::service::{read, write};

/// What a client is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub to: SocketAddrV4,
    pub send: Bytes,
    /// What it must receive; anything if this is none.
    pub expect: Option<Bytes>,
    /// The connection ends with the exchange; otherwise a later call to the same address continues
    /// with it.
    pub close: bool,
}

pub type Outcome = Result<Done, Refusal>;

/// An exchange that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Bytes that were sent and acknowledged.
    pub sent: usize,
    /// Bytes that were received.
    pub received: usize,
    /// The connection has ended.
    pub closed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The answer to the first segment was a reset.
    #[error("{to} refused the connection")]
    Refused { to: SocketAddrV4 },
    /// A reset ended the connection.
    #[error("{to} reset the connection after {received} B were received")]
    Reset {
        to: SocketAddrV4,
        /// Bytes of this exchange.
        received: usize,
    },
    /// The other side ended before everything had come.
    #[error("{to} ended the connection after {received} of {expected} B")]
    Ended {
        to: SocketAddrV4,
        /// Bytes of this exchange.
        received: usize,
        /// Bytes that were expected.
        expected: usize,
    },
    /// What came is not what was expected.
    #[error("byte {offset} from {to} is {actual}, expected {expected}")]
    WrongData {
        to: SocketAddrV4,
        /// From 0.
        offset: usize,
        /// `0x41`.
        actual: String,
        /// `0x42`, or `the end`.
        expected: String,
    },
    /// Nothing moves any more, or the time is up, and it is not done.
    #[error("{to} did not {missing} {within}")]
    TimedOut {
        to: SocketAddrV4,
        /// What did not happen.
        missing: String,
        /// How long, in words: `within 3s` on the machine's clock.
        within: String,
    },
}

impl Refusal {
    /// Its class, as an answer prints it.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "ConnectionRefused",
            Self::Reset { .. } => "ConnectionReset",
            Self::Ended { .. } => "ConnectionEnded",
            Self::WrongData { .. } => "WrongData",
            Self::TimedOut { .. } => "TimedOut",
        }
    }
}

/// An exchange on its way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) handle: SocketHandle,
    call: Call,
    written: usize,
    received: Vec<u8>,
    /// Bytes of those that are known to be the expected ones.
    right: usize,
    /// The handshake was done when it was last looked at.
    established: bool,
    /// The state when it was last looked at.
    before: tcp::State,
    pub(super) outcome: Option<Outcome>,
}

impl Exchange {
    pub(super) const fn new(handle: SocketHandle, call: Call, state: tcp::State) -> Self {
        Self {
            handle,
            call,
            written: 0,
            received: Vec::new(),
            right: 0,
            established: false,
            before: state,
            outcome: None,
        }
    }

    /// Reads and writes as far as the connection allows; whether it did anything.
    pub(super) fn go_on(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        if self.outcome.is_some() {
            return false;
        }
        let sent = write(socket, &self.call.send[self.written..]);
        self.written += sent;
        let mut moved = sent > 0;
        moved |= read(socket, &mut self.received);
        self.established |= socket.may_send() || socket.may_recv();
        self.outcome = self.judge(socket);
        self.before = socket.state();
        match &self.outcome {
            None if self.wants_to_close(socket) => {
                socket.close();
                self.before = socket.state();
                true
            }
            // A client that gets the wrong answer hangs up.
            Some(Err(Refusal::WrongData { .. } | Refusal::Ended { .. })) => {
                socket.abort();
                true
            }
            _ => moved,
        }
    }

    /// The time is up.
    pub(super) fn give_up(&mut self, socket: &mut tcp::Socket<'_>, within: String) -> Outcome {
        if let Some(outcome) = self.outcome.clone() {
            return outcome;
        }
        let missing = if !self.established {
            "answer".to_owned()
        } else if self.written < self.call.send.len() || socket.send_queue() > 0 {
            let taken = self.written.saturating_sub(socket.send_queue());
            format!("acknowledge more than {taken} of {} B", self.call.send.len())
        } else if self.lacks() > 0 {
            let (received, expected) = (self.received.len(), self.expected());
            format!("send more than {received} of {expected} B")
        } else {
            "end the connection".to_owned()
        };
        // A connection that is to be continued stays open if it works, however slow it is.
        if self.call.close || !self.established {
            socket.abort();
        }
        let to = self.call.to;
        let refusal = Refusal::TimedOut { to, missing, within };
        self.outcome = Some(Err(refusal.clone()));
        Err(refusal)
    }

    fn expected(&self) -> usize {
        self.call.expect.as_ref().map_or(0, Bytes::len)
    }

    fn lacks(&self) -> usize {
        self.expected().saturating_sub(self.received.len())
    }

    /// Everything of ours is there, and everything expected came.
    fn is_through(&self, socket: &tcp::Socket<'_>) -> bool {
        self.established
            && self.written == self.call.send.len()
            && socket.send_queue() == 0
            && self.lacks() == 0
    }

    fn wants_to_close(&self, socket: &tcp::Socket<'_>) -> bool {
        self.call.close
            && matches!(socket.state(), tcp::State::Established | tcp::State::CloseWait)
            && self.is_through(socket)
    }

    fn judge(&mut self, socket: &tcp::Socket<'_>) -> Option<Outcome> {
        let (to, received) = (self.call.to, self.received.len());
        if let Some(refusal) = self.wrong_data() {
            return Some(Err(refusal));
        }
        let state = socket.state();
        // Both sides had ended: what closes it then is the last acknowledgement.
        let in_order = matches!(self.before, tcp::State::LastAck | tcp::State::TimeWait);
        if state == tcp::State::Closed && !in_order {
            return Some(Err(if self.established {
                Refusal::Reset { to, received }
            } else {
                Refusal::Refused { to }
            }));
        }
        let closed = matches!(state, tcp::State::Closed | tcp::State::TimeWait);
        let ended = closed || state == tcp::State::CloseWait && !socket.can_recv();
        if ended && self.lacks() > 0 {
            let expected = self.expected();
            return Some(Err(Refusal::Ended { to, received, expected }));
        }
        let done = if self.call.close { closed } else { self.is_through(socket) };
        done.then_some(Ok(Done { sent: self.written, received, closed: ended }))
    }

    fn wrong_data(&mut self) -> Option<Refusal> {
        let expect = self.call.expect.as_ref()?;
        let new = self.right..self.received.len();
        self.right = new.end;
        let wrong = new
            .into_iter()
            .find(|at| expect.get(*at).copied() != self.received.get(*at).copied())?;
        Some(Refusal::WrongData {
            to: self.call.to,
            offset: wrong,
            actual: format!("0x{:02x}", self.received[wrong]),
            expected: expect
                .get(wrong)
                .map_or_else(|| "the end".to_owned(), |byte| format!("0x{byte:02x}")),
        })
    }
}
