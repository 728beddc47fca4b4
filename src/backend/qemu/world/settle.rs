//! Waits until the QEMUs of a world rest, and collects the answers that arrive before.

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
            chardev::Out,
            machine::Machine,
            process::End,
            quiescence::{self, Naps, Rest, Threads},
        },
        title::Title,
    },
    base::{MachineId, NetdevId},
    record::{Abort, Answer, Arrival, CommandError, EventKind, Item, NoAnswer, Outcome},
};

/// No event announces that a thread goes to sleep: this is the first pause between two looks at the
/// threads, and each pause is twice the one before.
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Rounds of its main loop, counted over QMP, that bring nothing when QEMU never rests. One takes
/// 50 frames from a TAP, which queues 1,000 (QEMU 7.2.22 `net/tap.c`, `tap_send`), or 4,096 bytes
/// from a chardev, where a frame has at most 69,632 (`NET_BUFSIZE`).
const ROUNDS: usize = 32;

/// Calls of read(2) by its main thread that are more than as many rounds: one has 51 for each TAP.
/// A TAP that is broken is read in every round, and QMP is slow then, since it is read by the byte
/// (QEMU 7.2.22 `monitor/monitor.c`, `monitor_can_read`).
const READS: u64 = 16384;

/// The state of a world that was left alone.
pub(super) enum Quiet {
    /// Nothing moves any more.
    Idle,
    /// The deadline passed first.
    Late,
    /// What comes out has no end.
    Flooded,
}

/// Deaths that have not been reported yet.
pub(super) enum News {
    /// They died of their own actions.
    Died,
    /// One was killed from outside: how.
    Killed(String),
}

impl QemuWorld {
    /// Takes everything that has come anywhere, and sends what finds room; whether anything moved.
    pub(super) fn pump(&mut self) -> Result<bool, BackendError> {
        let mut moved = false;
        for at in 0..self.machines.len() {
            let mut out = Vec::new();
            let pumped = self.machines[at].pump(&mut out);
            self.take_out(at, out);
            moved |= pumped.map_err(|error| system("QEMU", error))?;
        }
        moved |= self.read_dumps()?;
        let mut carried = Vec::new();
        let drained = self.carrier.drain(&mut carried);
        moved |= !carried.is_empty();
        carried.into_iter().for_each(|one| self.take(one));
        drained.map_err(|error| system("reading", error))?;
        Ok(moved)
    }

    /// What came out of a machine; whether that was anything.
    pub(super) fn take_out(&mut self, at: usize, out: Vec<Out>) -> bool {
        let any = !out.is_empty();
        for one in out {
            match one {
                Out::Arrived(port, item, data) => self.arrive(port, item, &data),
                Out::Said(EventKind::Log(text)) => {
                    let text = self.joins.in_words_of_the_scenario(text);
                    self.say(self.machines[at].place(), EventKind::Log(text));
                }
                Out::Said(kind) => self.say(self.machines[at].place(), kind),
                Out::Died => {
                    let taps: Vec<NetdevId> = self.machines[at].taps.keys().cloned().collect();
                    taps.iter().for_each(|netdev| self.let_go(netdev));
                }
            }
        }
        any
    }

    /// What dumps have written. It is no frame's end, so no frame is looked for in it.
    fn read_dumps(&mut self) -> Result<bool, BackendError> {
        let mut moved = false;
        for dump in &mut self.dumps {
            let bytes = dump.read().map_err(|error| system(dump.port.as_str(), error))?;
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

    /// Carries everything as far as it goes: see the backend's documentation. What a machine died
    /// of is not reported yet.
    pub(super) fn quiesce(&mut self, deadline: &Deadline) -> Result<Quiet, BackendError> {
        self.quiesce_until(deadline, |_| false)
    }

    /// As [`QemuWorld::quiesce`], or only until this holds.
    pub(super) fn quiesce_until(
        &mut self,
        deadline: &Deadline,
        holds: impl Fn(&mut Self) -> bool,
    ) -> Result<Quiet, BackendError> {
        let mut pause = SHORTEST_PAUSE;
        let mut seen: Option<Naps> = None;
        let mut rounds = self.rounds();
        let mut began: Option<Naps> = None;
        let mut reads: Option<Vec<u64>> = None;
        loop {
            if holds(self) {
                return Ok(Quiet::Idle);
            }
            // Looked at first: what came out before that is taken now.
            let rest = quiescence::look(self.machines.iter().filter_map(Machine::threads))
                .map_err(|error| system("looking at QEMU's threads", error))?;
            let mut rested = None;
            if self.pump()? {
                (pause, seen, began, reads) = (SHORTEST_PAUSE, None, None, None);
                rounds = self.rounds();
            } else {
                match rest {
                    Rest::Idle => rested = Some(Vec::new()),
                    Rest::Napping(naps) => match &seen {
                        Some(earlier) if earlier.all_tried_again(&naps) => {
                            rested = Some(naps.away().collect());
                        }
                        Some(earlier) if earlier.alone(&naps) => {}
                        _ => seen = Some(naps),
                    },
                    Rest::Busy(now) => {
                        began = began.filter(|began| began.goes_on(&now));
                        let before = began.get_or_insert_with(|| now.clone());
                        let reads = reads.get_or_insert_with(|| self.reads());
                        rested = self.never_rests(&self.gone_round(&rounds, reads), before, &now);
                        if pause == LONGEST_PAUSE {
                            self.machines.iter_mut().for_each(Machine::ping);
                        }
                    }
                }
            }
            if let Some(frozen) = rested {
                if !self.take_closings() {
                    self.freeze(&frozen);
                    return Ok(Quiet::Idle);
                }
                (pause, seen) = (SHORTEST_PAUSE, None);
            }
            if self.flood.is_over() {
                return Ok(Quiet::Flooded);
            }
            if deadline.passed() {
                return Ok(Quiet::Late);
            }
            self.poll(&deadline.or_at(Instant::now() + pause))?;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Far ends that QEMUs which live on have closed; whether there was one.
    fn take_closings(&mut self) -> bool {
        let mut any = false;
        for at in 0..self.machines.len() {
            let mut out = Vec::new();
            self.machines[at].closings(&mut out);
            any |= self.take_out(at, out);
        }
        any
    }

    /// Sets for each machine that lives whether it is frozen.
    fn freeze(&mut self, frozen: &[bool]) {
        let mut frozen = frozen.iter().copied();
        let mut news = Vec::new();
        for machine in self.machines.iter_mut().filter(|one| !one.is_dead()) {
            let new = machine.freeze(frozen.next().unwrap_or_default());
            news.extend(new.map(|kind| (machine.place(), kind)));
        }
        for (place, kind) in news {
            self.say(place, kind);
        }
    }

    /// How many rounds each main loop has reported.
    fn rounds(&self) -> Vec<usize> {
        self.machines.iter().map(Machine::rounds).collect()
    }

    /// How often each main thread has called read(2).
    fn reads(&self) -> Vec<u64> {
        let threads = self.machines.iter().map(Machine::threads);
        threads.map(|threads| threads.map_or(0, Threads::reads)).collect()
    }

    /// For each machine that lives, whether its main loop has gone round [`ROUNDS`] times since.
    fn gone_round(&self, rounds: &[usize], reads: &[u64]) -> Vec<bool> {
        let now = self.reads();
        let machines = self.machines.iter().zip(rounds).zip(reads.iter().zip(&now));
        machines
            .filter(|((machine, _), _)| !machine.is_dead())
            .map(|((machine, rounds), (before, now))| {
                machine.rounds() - rounds >= ROUNDS || now.saturating_sub(*before) >= READS
            })
            .collect()
    }

    /// Whether QEMUs that do not rest have settled all the same, because those that run have gone
    /// round often enough: the main loop, which a broken descriptor keeps running for good, or the
    /// thread that the main thread waits for. If so, whether each of those that live is frozen.
    fn never_rests(&self, turned: &[bool], began: &Naps, now: &Naps) -> Option<Vec<bool>> {
        // A thread that was seen once, or twice alike, proves nothing: it may just have been woken.
        if !turned.contains(&true) && !began.turned(now, ROUNDS as u64) {
            return None;
        }
        let stuck: Vec<bool> = began.stuck(now, ROUNDS as u64).collect();
        let mut each = turned.iter().zip(&stuck);
        each.all(|(turned, stuck)| *stuck || *turned).then_some(stuck)
    }

    /// Reports the machines that have died since the last report.
    pub(super) fn tell_deaths(&mut self) -> Option<News> {
        let mut news = None;
        for at in 0..self.machines.len() {
            let mut out = Vec::new();
            if let Some(End { how, itself }) = self.machines[at].news_of_death(&mut out) {
                let text = itself.clone().unwrap_or_else(|| how.clone());
                self.say(self.machines[at].place(), EventKind::Crash(text));
                news = match (news, itself) {
                    (Some(News::Killed(first)), _) => Some(News::Killed(first)),
                    (_, None) => Some(News::Killed(how)),
                    (_, Some(_)) => Some(News::Died),
                };
            }
            self.take_out(at, out);
        }
        news
    }

    /// Waits until something can be read or written anywhere, or the deadline.
    pub(super) fn poll(&self, deadline: &Deadline) -> Result<(), BackendError> {
        let reading = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut waiting: Vec<PollFd<'_>> = self.carrier.descriptors().map(reading).collect();
        waiting.extend(deadline.alarm().map(reading));
        for machine in &self.machines {
            machine.awaited(&mut waiting);
        }
        let left = deadline
            .time()
            .map(|until| TimeSpec::from_duration(until.saturating_duration_since(Instant::now())));
        match ppoll(&mut waiting, left, None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(system("ppoll", errno)),
        }
    }

    /// Gives a machine a command and waits for its answer.
    pub(super) fn ask(
        &mut self,
        at: usize,
        command: &str,
        args: &Map<String, Value>,
        title: Title,
    ) -> Result<Answer, BackendError> {
        let outcome = match self.machines[at].answer_of_the_dead() {
            Some(outcome) => outcome,
            None => self.outcome(at, command, args, &title)?,
        };
        let outcome = match outcome {
            Outcome::Refused(error) => Outcome::Refused(CommandError {
                desc: self.joins.in_words_of_the_scenario(error.desc),
                ..error
            }),
            other => other,
        };
        self.link()?;
        let Title { text, subject } = title;
        Ok(Answer { command: text, subject, outcome })
    }

    /// Clients of sockets find who listens now.
    pub(super) fn link(&self) -> Result<(), BackendError> {
        let lives = |id: &MachineId| {
            let mut machines = self.machines.iter();
            machines.any(|machine| machine.id == *id && !machine.is_dead())
        };
        self.joins.link(lives).map_err(|error| system("joining sockets", error))
    }

    fn outcome(
        &mut self,
        at: usize,
        command: &str,
        args: &Map<String, Value>,
        title: &Title,
    ) -> Result<Outcome, BackendError> {
        let number = self.machines[at].command(command, args);
        let within = longest_command();
        loop {
            let quiet = self.quiesce(&within)?;
            let machine = &mut self.machines[at];
            if let Some(outcome) = machine.answer(number) {
                return Ok(outcome);
            }
            if machine.is_dead() {
                return Ok(Outcome::Aborts(Abort {
                    assertion: machine.last_words(),
                    survivor: None,
                }));
            }
            if machine.is_frozen() {
                machine.answers_late(number, title.clone());
                return Ok(Outcome::Unanswered(NoAnswer::Frozen));
            }
            match quiet {
                // An answer that takes a timer is still to come.
                Quiet::Idle if !within.passed() => self.poll(&within)?,
                Quiet::Flooded => {
                    let what = format!("{command}: what comes out of QEMU has no end");
                    return Err(system(&what, io::ErrorKind::QuotaExceeded));
                }
                _ => {
                    let what = format!("{command}: QEMU does not answer");
                    return Err(system(&what, io::ErrorKind::TimedOut));
                }
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

    /// Beginnings of frames whose rest has not arrived.
    pub(super) fn flush_rests(&mut self) {
        let mut rests = Vec::new();
        let machines = self.machines.iter_mut();
        for end in machines.flat_map(|machine| machine.ends.values_mut()) {
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
