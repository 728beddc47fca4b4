//! Rounds of QEMU's main loop, and what is told by them.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{QemuWorld, longest_command, system};
use crate::{
    backend::{BackendError, Deadline, title::Title},
    record::{Abort, Answer, EventKind, Item, Outcome, Place},
};

/// What a stalled reader has when QEMU may be frozen in a write to it, in bytes. A unix socket takes
/// about 200 kB before a writer finds no room.
const FROZEN_BYTES: usize = 32 << 10;

/// How long QMP is silent then.
const FROZEN_AFTER: Duration = Duration::from_millis(500);

/// How a round of QEMU's main loop ended.
pub(super) enum Round {
    /// It was answered; whether anything moved.
    Answered(bool),
    Frozen,
    Dead,
    Late,
}

impl QemuWorld {
    /// One pass of QEMU's main loop.
    pub(super) fn round(&mut self, deadline: &Deadline) -> Result<Round, BackendError> {
        let mut moved = self.pump()?;
        if self.dead.is_some() {
            return Ok(Round::Dead);
        }
        if self.ping.is_none() {
            self.ping = Some(self.qmp.send("query-status", None));
        }
        if self.surely_frozen {
            return Ok(Round::Frozen);
        }
        let mut silent_since = Instant::now();
        loop {
            if self.pump()? {
                moved = true;
                silent_since = Instant::now();
            }
            if self.dead.is_some() {
                return Ok(Round::Dead);
            }
            if self.ping.is_none() {
                self.freeze(false);
                return Ok(Round::Answered(moved));
            }
            if deadline.passed() {
                return Ok(Round::Late);
            }
            if self.stalled_bytes() >= FROZEN_BYTES && silent_since.elapsed() >= FROZEN_AFTER {
                self.freeze(true);
                return Ok(Round::Frozen);
            }
            self.poll(&deadline.or_at(Instant::now() + FROZEN_AFTER / 4))?;
        }
    }

    fn freeze(&mut self, frozen: bool) {
        self.surely_frozen = frozen;
        if self.frozen != frozen {
            self.frozen = frozen;
            let kind = if frozen {
                EventKind::Frozen
            } else {
                EventKind::Thawed
            };
            self.say(Place::Machine, kind);
        }
    }

    /// Gives QEMU a command and waits for its answer.
    pub(super) fn ask(
        &mut self,
        command: &str,
        args: &Map<String, Value>,
        title: Title,
    ) -> Result<Answer, BackendError> {
        let answer = |outcome| Answer {
            command: title.text.clone(),
            subject: title.subject.clone(),
            outcome,
        };
        if let Some(death) = &self.dead {
            let assertion = death.how.clone();
            let survivor = None;
            return Ok(answer(Outcome::Aborts(Abort {
                assertion,
                survivor,
            })));
        }
        let number = self.qmp.send(command, Some(args));
        let within = longest_command();
        while !self.answers.contains_key(&number) {
            match self.round(&within)? {
                Round::Answered(_) => {}
                Round::Frozen => {
                    self.commands.insert(number, title.clone());
                    return Ok(answer(Outcome::Unanswered));
                }
                Round::Dead => {
                    let said = self.process.assertion().map(str::to_owned);
                    let assertion = match &mut self.dead {
                        Some(death) => {
                            death.told = true;
                            said.unwrap_or_else(|| death.how.clone())
                        }
                        None => String::new(),
                    };
                    let survivor = None;
                    return Ok(answer(Outcome::Aborts(Abort {
                        assertion,
                        survivor,
                    })));
                }
                Round::Late => {
                    return Err(system(
                        &format!("{command}: QEMU does not answer"),
                        io::ErrorKind::TimedOut,
                    ));
                }
            }
        }
        let outcome = self.answers.remove(&number);
        Ok(answer(outcome.unwrap_or(Outcome::Unanswered)))
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

    /// Whether something that was sent is not yet read.
    pub(super) fn is_unread(&self) -> bool {
        // The last one is what QEMU sent.
        let sent = self.unread.split_last().map_or(&[][..], |(_, sent)| sent);
        sent.iter().any(|unread| *unread > 0)
    }

    pub(super) fn flush_rests(&mut self) {
        let rests: Vec<_> = self
            .ends
            .values_mut()
            .filter_map(|end| Some((end.port.clone(), end.rest()?)))
            .collect();
        for (port, rest) in rests {
            let data = Bytes::from(rest);
            self.arrive(port, Item::Bytes(data.clone()), &data);
        }
    }
}
