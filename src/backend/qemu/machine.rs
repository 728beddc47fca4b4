//! A QEMU process with the far ends, TAP wires and answers that belong to it alone. `QemuWorld`
//! pumps one for each machine of a case.

use std::{collections::BTreeMap, io, os::fd::AsFd};

use bytes::Bytes;
use nix::{
    poll::{PollFd, PollFlags},
    sys::signal::Signal,
};
use serde_json::{Map, Value};

use super::{
    chardev::{Cutter, FarEnd, Out},
    process::{End, Process},
    qmp::{Qmp, QmpError},
    quiescence::Threads,
    stream::Stream,
};
use crate::{
    backend::title::Title,
    base::{ChardevId, Frame, MachineId, NetdevId, PortId, QemuVersion},
    record::{Abort, Answer, EventKind, Item, NoAnswer, Outcome, Place},
};

/// A QEMU process, and everything that is connected to it alone.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) id: MachineId,
    /// The QEMU whose option parser decides what a text means.
    pub(super) parser: QemuVersion,
    process: Process,
    qmp: Qmp,
    threads: Threads,
    pub(super) taps: BTreeMap<NetdevId, Tap>,
    pub(super) ends: BTreeMap<ChardevId, FarEnd>,
    /// Objects that a text made, and the text.
    pub(super) by_option: BTreeMap<String, String>,
    /// Commands that it was too frozen to answer; what another QEMU answered in its place.
    late: BTreeMap<u64, (Title, Option<Outcome>)>,
    answers: BTreeMap<u64, Outcome>,
    /// A command whose answer only shows that the main loop goes round.
    ping: Option<u64>,
    rounds: usize,
    frozen: bool,
    death: Option<Death>,
}

/// The guest's side of a TAP.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) port: PortId,
    pub(super) wire: Stream,
    pub(super) cutter: Cutter,
}

#[derive(Debug)]
struct Death {
    end: End,
    told: bool,
    /// It was the answer to a command.
    answered: bool,
}

impl Machine {
    /// A machine that has just been started.
    ///
    /// # Errors
    /// Why it does not run.
    pub(super) fn new(
        id: MachineId,
        parser: QemuVersion,
        mut process: Process,
        mut qmp: Qmp,
        taps: BTreeMap<NetdevId, Tap>,
    ) -> Result<Self, String> {
        process.ask(&mut qmp, "qmp_capabilities", None)?;
        Ok(Self {
            id,
            parser,
            threads: Threads::of_qemu(&process).map_err(|error| error.to_string())?,
            process,
            qmp,
            taps,
            ends: BTreeMap::new(),
            by_option: BTreeMap::new(),
            late: BTreeMap::new(),
            answers: BTreeMap::new(),
            ping: None,
            rounds: 0,
            frozen: false,
            death: None,
        })
    }

    /// Takes everything that has come, and sends what finds room now; whether anything moved.
    ///
    /// # Errors
    /// When it does not speak QMP, or its exit status can't be had.
    pub(super) fn pump(&mut self, out: &mut Vec<Out>) -> io::Result<bool> {
        let before = out.len();
        let answers = self.qmp.read().map_err(io::Error::other::<QmpError>)?;
        let mut moved = self.qmp.has_more();
        for (number, outcome) in answers {
            if self.ping.take_if(|ping| *ping == number).is_some() {
                self.rounds += 1;
            } else {
                moved = true;
                self.answers.insert(number, outcome);
            }
        }
        out.extend(
            self.process.read_lines().into_iter().map(|line| Out::Said(EventKind::Log(line))),
        );
        for tap in self.taps.values_mut() {
            moved |= tap.read(out);
        }
        for end in self.ends.values_mut() {
            moved |= end.pump(out)?;
        }
        if self.qmp.is_closed() && self.death.is_none() {
            let end = self.process.end()?;
            self.death = Some(Death { end, told: false, answered: false });
            // What it wrote before it ended.
            for end in self.ends.values_mut() {
                end.pump(out)?;
            }
            out.extend(
                self.process.read_lines().into_iter().map(|line| Out::Said(EventKind::Log(line))),
            );
            out.push(Out::Died);
        }
        Ok(moved || out.len() > before)
    }

    /// What to wait for until something can move.
    pub(super) fn awaited<'a>(&'a self, waiting: &mut Vec<PollFd<'a>>) {
        if self.death.is_none() {
            waiting.push(PollFd::new(self.qmp.as_fd(), PollFlags::POLLIN));
            let stderr = self.process.stderr();
            waiting.extend(stderr.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            waiting.extend(self.taps.values().map(|tap| tap.wire.awaited(true)));
        }
        for end in self.ends.values() {
            if let Some(stream) = end.served()
                && (!end.stalled || stream.is_blocked())
            {
                waiting.push(stream.awaited(!end.stalled));
            }
        }
    }

    /// Where something that is about the whole machine happens.
    pub(super) fn place(&self) -> Place {
        if self.id.is_named() { Place::Named(self.id.clone()) } else { Place::Machine }
    }

    /// Its threads, while it lives.
    pub(super) fn threads(&self) -> Option<&Threads> {
        self.death.is_none().then_some(&self.threads)
    }

    /// See [`Process::signal_qemu`]; nothing once it is known to be dead.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.is_dead() { Ok(()) } else { self.process.signal_qemu(signal) }
    }

    pub(super) const fn is_dead(&self) -> bool {
        self.death.is_some()
    }

    /// What a command gets that is given to a machine which has died: after one that killed it, the
    /// same again.
    pub(super) fn answer_of_the_dead(&self) -> Option<Outcome> {
        let death = self.death.as_ref()?;
        Some(if death.answered {
            Outcome::Aborts(Abort { assertion: death.end.cause().to_owned(), survivor: None })
        } else {
            Outcome::Unanswered(NoAnswer::Dead)
        })
    }

    /// How it died, once; its ports have ended too.
    pub(super) fn news_of_death(&mut self, out: &mut Vec<Out>) -> Option<End> {
        let death = self.death.as_mut().filter(|death| !death.told)?;
        death.told = true;
        let end = death.end.clone();
        let guests = self.taps.values().map(|tap| tap.port.clone());
        out.extend(guests.map(|port| Out::Arrived(port, Item::Eof, Bytes::new())));
        self.closings(out);
        Some(end)
    }

    /// Why it died during a command, as the answer to that command: neither the death nor what
    /// ended with it is reported again.
    pub(super) fn last_words(&mut self) -> String {
        let Some(death) = &mut self.death else {
            return String::new();
        };
        (death.told, death.answered) = (true, true);
        for end in self.ends.values_mut() {
            end.forget();
        }
        death.end.cause().to_owned()
    }

    /// Whether its main loop was found frozen last.
    pub(super) const fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The far ends that it has closed. A QEMU that is about to die closes them too, so that this
    /// is asked for once it rests, or once its death has been reported.
    pub(super) fn closings(&mut self, out: &mut Vec<Out>) {
        if self.death.as_ref().is_some_and(|death| !death.told) {
            return;
        }
        for end in self.ends.values_mut() {
            for _ in 0..end.take_closings() {
                out.push(Out::Arrived(end.port.clone(), Item::Eof, Bytes::new()));
            }
        }
    }

    /// The main loop is found frozen, or not; what is new of that.
    pub(super) fn freeze(&mut self, frozen: bool) -> Option<EventKind> {
        let is_new = std::mem::replace(&mut self.frozen, frozen) != frozen;
        is_new.then_some(if frozen { EventKind::Frozen } else { EventKind::Thawed })
    }

    /// Gives it a command; the number of its answer.
    pub(super) fn command(&mut self, command: &str, args: &Map<String, Value>) -> u64 {
        self.qmp.send(command, Some(args))
    }

    /// Asks for a sign that its main loop goes round, unless one is awaited.
    pub(super) fn ping(&mut self) {
        if self.ping.is_none() {
            self.ping = Some(self.qmp.send("query-status", None));
        }
    }

    /// How many such signs have come.
    pub(super) const fn rounds(&self) -> usize {
        self.rounds
    }

    /// The answer to a command, when it has come.
    pub(super) fn answer(&mut self, number: u64) -> Option<Outcome> {
        self.answers.remove(&number)
    }

    /// Nobody waits for this answer any longer; it is reported when it arrives.
    pub(super) fn answers_late(&mut self, number: u64, title: Title) {
        self.late.insert(number, (title, None));
    }

    /// What the answer that was awaited last will have been.
    pub(super) fn will_have_answered(&mut self, outcome: Outcome) {
        if let Some(mut last) = self.late.last_entry() {
            last.get_mut().1 = Some(outcome);
        }
    }

    /// Answers to earlier commands.
    pub(super) fn late_answers(&mut self) -> Vec<Answer> {
        let answers = std::mem::take(&mut self.answers);
        let late = answers.into_iter().filter_map(|(number, outcome)| {
            let (Title { text, subject }, instead) = self.late.remove(&number)?;
            Some(Answer { command: text, subject, outcome: instead.unwrap_or(outcome) })
        });
        late.collect()
    }

    /// A command of our own before the scenario begins, which must succeed.
    pub(super) fn must(
        &mut self,
        command: &str,
        args: Option<&Map<String, Value>>,
    ) -> Result<(), String> {
        match self.process.ask(&mut self.qmp, command, args)? {
            Outcome::Done(_) => Ok(()),
            Outcome::Refused(error) => Err(format!("{command}: {error}")),
            other => Err(format!("{command}: {other:?}")),
        }
    }

    /// Ends it and returns what failed.
    pub(super) fn finish(mut self) -> Option<String> {
        self.process.kill()
    }
}

impl Tap {
    /// Reads what came out at the guest's side.
    fn read(&mut self, out: &mut Vec<Out>) -> bool {
        let sent = self.wire.flush();
        self.wire.read(&mut self.cutter.bytes);
        let mut whole = Vec::new();
        self.cutter.cut(&mut whole);
        for bytes in whole {
            let data = Bytes::from(bytes).slice(4..);
            let item = Item::Frame(Frame::plain(data.clone()));
            out.push(Out::Arrived(self.port.clone(), item, data));
        }
        sent
    }
}
