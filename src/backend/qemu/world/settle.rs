//! When a world has come to rest, and the answers that come before.

use std::{
    io,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};
use serde_json::{Map, Value};

use super::{QemuWorld, longest_command, system};
use crate::{
    backend::{
        BackendError, Deadline,
        builtin::Carrier,
        qemu::{
            machine::Out,
            rest::{self, Naps, Rest},
        },
        title::Title,
    },
    base::NetdevId,
    record::{Abort, Answer, Arrival, Item, Outcome, Place},
};

/// No event tells that a thread goes to sleep: so long after a look at them comes the next, and
/// twice as long after each.
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Rounds of its main loop, told by QMP, that bring nothing when QEMU never rests. One takes 50 frames
/// from a TAP, which queues 1,000 (QEMU 7.2.22 `net/tap.c`, `tap_send`), or 4,096 bytes from a
/// chardev, where a frame has at most 69,632 (`NET_BUFSIZE`).
const ROUNDS: usize = 32;

/// How it is with a world that was left to itself.
pub(super) enum Quiet {
    /// Nothing moves any more.
    Idle,
    /// Nothing moves until somebody reads what QEMU writes.
    Frozen,
    /// QEMU is no more, and all that it left is taken.
    Dead,
    /// The deadline passed first.
    Late,
}

impl QemuWorld {
    /// Takes everything that has come anywhere, and sends what finds room; whether anything moved.
    pub(super) fn pump(&mut self) -> Result<bool, BackendError> {
        let mut out = Vec::new();
        let pumped = self.machine.pump(&mut out);
        for one in out {
            match one {
                Out::Arrived(port, item, data) => self.arrive(port, item, &data),
                Out::Said(kind) => self.say(Place::Machine, kind),
                Out::Died => {
                    let taps: Vec<NetdevId> = self.machine.taps.keys().cloned().collect();
                    taps.iter().for_each(|netdev| self.let_go(netdev));
                }
            }
        }
        let mut moved = pumped.map_err(|error| system("QEMU", error))?;
        moved |= self.read_dumps()?;
        let mut carried = Vec::new();
        let drained = self.carrier.drain(&mut carried);
        moved |= !carried.is_empty();
        carried.into_iter().for_each(|one| self.take(one));
        drained.map_err(|error| system("reading", error))?;
        Ok(moved)
    }

    /// What dumps have written. It is no frame's end, so no frame is looked for in it.
    fn read_dumps(&mut self) -> Result<bool, BackendError> {
        let mut moved = false;
        for dump in &mut self.dumps {
            let bytes = dump
                .read()
                .map_err(|error| system(dump.port.as_str(), error))?;
            if !bytes.is_empty() {
                moved = true;
                self.seen.arrivals.push(Arrival {
                    port: dump.port.clone(),
                    item: Item::Bytes(bytes.into()),
                    tag: None,
                    at: self.clock,
                });
            }
        }
        Ok(moved)
    }

    /// Carries everything as far as it goes: see the backend's documentation.
    pub(super) fn quiesce(&mut self, deadline: &Deadline) -> Result<Quiet, BackendError> {
        let mut pause = SHORTEST_PAUSE;
        let mut seen: Option<Naps> = None;
        let mut rounds = self.machine.rounds();
        loop {
            // Looked at first: what came out before that is taken now.
            let rest = rest::look(self.machine.threads().into_iter())
                .map_err(|error| system("looking at QEMU's threads", error))?;
            if self.pump()? {
                (pause, seen) = (SHORTEST_PAUSE, None);
                rounds = self.machine.rounds();
            } else if self.machine.death().is_some() {
                return Ok(Quiet::Dead);
            } else {
                match rest {
                    Rest::Idle => {
                        self.freeze(false);
                        return Ok(Quiet::Idle);
                    }
                    Rest::Napping(naps) => match &seen {
                        Some(earlier) if earlier.all_tried_again(&naps) => {
                            self.freeze(true);
                            return Ok(Quiet::Frozen);
                        }
                        Some(earlier) if earlier.alone(&naps) => {}
                        _ => seen = Some(naps),
                    },
                    // A descriptor that is broken keeps a main loop running for good.
                    Rest::Busy if self.machine.rounds() - rounds >= ROUNDS => {
                        self.freeze(false);
                        return Ok(Quiet::Idle);
                    }
                    Rest::Busy if pause == LONGEST_PAUSE => self.machine.ping(),
                    Rest::Busy => {}
                }
            }
            if deadline.passed() {
                return Ok(Quiet::Late);
            }
            self.poll(&deadline.or_at(Instant::now() + pause))?;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn freeze(&mut self, frozen: bool) {
        if let Some(news) = self.machine.freeze(frozen) {
            self.say(Place::Machine, news);
        }
    }

    /// Waits until something can be read or written anywhere, or the deadline.
    pub(super) fn poll(&self, deadline: &Deadline) -> Result<(), BackendError> {
        let reading = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut waiting: Vec<PollFd<'_>> = self.carrier.descriptors().map(reading).collect();
        waiting.extend(deadline.alarm().map(reading));
        self.machine.awaited(&mut waiting);
        let left = deadline
            .time()
            .map(|until| TimeSpec::from_duration(until.saturating_duration_since(Instant::now())));
        match ppoll(&mut waiting, left, None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(system("ppoll", errno)),
        }
    }

    /// Gives QEMU a command and waits for its answer.
    pub(super) fn ask(
        &mut self,
        command: &str,
        args: &Map<String, Value>,
        title: Title,
    ) -> Result<Answer, BackendError> {
        let outcome = match self.machine.death() {
            Some(how) => aborts(how.to_owned()),
            None => self.outcome(command, args, &title)?,
        };
        let Title { text, subject } = title;
        Ok(Answer {
            command: text,
            subject,
            outcome,
        })
    }

    fn outcome(
        &mut self,
        command: &str,
        args: &Map<String, Value>,
        title: &Title,
    ) -> Result<Outcome, BackendError> {
        let number = self.machine.command(command, args);
        let within = longest_command();
        loop {
            let quiet = self.quiesce(&within)?;
            if let Some(outcome) = self.machine.answer(number) {
                return Ok(outcome);
            }
            match quiet {
                // An answer that takes a timer is still to come.
                Quiet::Idle => self.poll(&within)?,
                Quiet::Frozen => {
                    self.machine.answers_late(number, title.clone());
                    return Ok(Outcome::Unanswered);
                }
                Quiet::Dead => return Ok(aborts(self.machine.last_words())),
                Quiet::Late => {}
            }
            if within.passed() {
                let what = format!("{command}: QEMU does not answer");
                return Err(system(&what, io::ErrorKind::TimedOut));
            }
        }
    }

    /// The clock has moved as far as it was to: the wall's. Whether that was in time.
    pub(super) fn has_advanced(&mut self, deadline: &Deadline) -> Result<bool, BackendError> {
        while let Some(until) = self.advancing {
            if Instant::now() >= until {
                self.advancing = None;
            } else if deadline.passed() {
                return Ok(false);
            } else {
                self.poll(&deadline.or_at(until))?;
                self.pump()?;
            }
        }
        Ok(true)
    }

    /// Beginnings of frames of which no more comes for now.
    pub(super) fn flush_rests(&mut self) {
        let mut rests = Vec::new();
        for end in self.machine.ends.values_mut() {
            if let Some(rest) = end.rest() {
                rests.push(end.arrival(rest));
            }
        }
        for rest in rests {
            if let Out::Arrived(port, item, data) = rest {
                self.arrive(port, item, &data);
            }
        }
    }
}

fn aborts(assertion: String) -> Outcome {
    Outcome::Aborts(Abort {
        assertion,
        survivor: None,
    })
}
