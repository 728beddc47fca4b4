//! A QEMU that is asked, and what it is made of.

use std::{
    collections::BTreeMap,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Map, Value, json};
use tapwright::{
    backend::qemu::{Arguments, Process, Qmp},
    record::{CommandError, Outcome},
};

use super::{
    AskError, Lab, MONITOR, Place, endpoint::Endpoints, idle::is_asleep, system, vhost::VhostUser,
};

/// How long a QEMU may be silent before it counts as frozen. It answers within a millisecond, unless
/// its main loop waits for something that does not come.
const SILENT: Duration = Duration::from_secs(4);

/// How long one that is frozen is given to end after SIGTERM.
const TERMINATION: Duration = Duration::from_secs(4);

/// How long a QEMU may go on by itself before what came is taken as all.
const RESTLESS: Duration = Duration::from_secs(2);

/// How many times in a row nothing may happen.
const QUIET: usize = 2;

/// What each QEMU of a record is started with.
const BARE: [&str; 4] = ["-nodefaults", "-no-user-config", "-display", "none"];

/// A QEMU's version.
#[derive(Clone, Debug, Default)]
pub(super) struct Version {
    /// `7.2.22`.
    pub(super) text: String,
    /// 7.
    pub(super) major: u64,
}

/// A command line in the making.
pub(super) struct Line<'a> {
    place: &'a Place,
    arguments: Arguments,
    pub(super) ends: Endpoints,
    vhost: Option<VhostUser>,
    busy: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(place: &'a Place) -> Self {
        let mut arguments = Arguments::default();
        BARE.iter().for_each(|word| arguments.word(word));
        Self { place, arguments, ends: Endpoints::default(), vhost: None, busy: false }
    }

    pub(super) fn machine(mut self, name: &str) -> Self {
        self.push("-machine", name);
        self
    }

    /// A virtual machine whose processor runs never comes to rest.
    pub(super) fn busy(mut self, busy: bool) -> Self {
        self.busy = busy;
        self
    }

    /// An option; `@D` in it is the run's folder.
    pub(super) fn push(&mut self, option: &str, value: &str) {
        self.arguments.push(option, &self.place.expand(value));
    }

    /// An option that stands alone.
    pub(super) fn word(&mut self, option: &str) {
        self.arguments.word(option);
    }

    /// Hands a descriptor over and gives its number in QEMU.
    pub(super) fn inherit(&mut self, fd: OwnedFd) -> i32 {
        self.arguments.inherit(fd)
    }

    /// A socket netdev whose peer is the endpoint of this name.
    pub(super) fn socket(&mut self, netdev: &str, endpoint: &str) -> Result<(), AskError> {
        let theirs = self.ends.pair(endpoint).map_err(system("a socket pair"))?;
        let fd = self.inherit(theirs);
        self.push("-netdev", &format!("socket,id={netdev},fd={fd}"));
        Ok(())
    }

    /// A vhost-user netdev, and its device.
    pub(super) fn vhost_user(&mut self, netdev: &str) -> Result<(), AskError> {
        let path = self.place.folder.join("vhost");
        self.vhost = Some(VhostUser::listen(&path).map_err(system("a vhost-user device"))?);
        self.push("-chardev", "socket,id=vhost,path=@D/vhost");
        self.push("-netdev", &format!("vhost-user,id={netdev},chardev=vhost"));
        Ok(())
    }

    /// Starts QEMU; it has read its whole command line when this returns, or has ended.
    pub(super) fn start(mut self, lab: &Lab) -> Result<Asked<'a>, AskError> {
        let qmp = self.arguments.monitor(MONITOR).map_err(system("QMP"))?;
        self.arguments.write_in(&self.place.folder);
        let process = Process::spawn(&lab.program, &self.arguments).map_err(|error| {
            AskError::NotStarted(format!("{}: {error}", lab.program.name().display()))
        })?;
        // Its ends are QEMU's alone, so that their end of file is QEMU's doing.
        drop(self.arguments);
        let mut asked = Asked {
            place: self.place,
            process,
            qmp,
            ends: self.ends,
            vhost: self.vhost,
            busy: self.busy,
            answers: BTreeMap::new(),
            said: Vec::new(),
            status: None,
            hangs: false,
            moved: false,
        };
        asked.command("qmp_capabilities", &Value::Null)?;
        Ok(asked)
    }
}

/// A QEMU process. It ends with this value.
pub(super) struct Asked<'a> {
    pub(super) place: &'a Place,
    process: Process,
    qmp: Qmp,
    pub(super) ends: Endpoints,
    vhost: Option<VhostUser>,
    busy: bool,
    answers: BTreeMap<u64, Outcome>,
    /// Lines on standard error since they were last taken.
    said: Vec<String>,
    /// None while it lives.
    status: Option<ExitStatus>,
    /// It once did not answer, and is not asked again.
    hangs: bool,
    /// Whether an endpoint or standard error had anything since this was reset.
    moved: bool,
}

/// What a command came to.
pub(super) enum Answer {
    Done(Value),
    Refused(CommandError),
    /// It died of it.
    Died,
    /// It did not answer, and is not asked again.
    Frozen,
}

/// What became of a QEMU that did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// SIGTERM does not end it.
    Frozen,
    /// SIGTERM ends it.
    Ended,
}

impl Asked<'_> {
    /// Gives a command and waits for its answer.
    pub(super) fn command(&mut self, name: &str, args: &Value) -> Result<Answer, AskError> {
        if self.hangs {
            return Ok(Answer::Frozen);
        }
        let args = self.place.expand_all(args);
        let number = self.qmp.send(name, args.as_object());
        let until = Instant::now() + SILENT;
        loop {
            self.pump()?;
            match self.answers.remove(&number) {
                Some(Outcome::Done(value)) => {
                    return Ok(Answer::Done(self.place.contract_all(&value)));
                }
                Some(Outcome::Refused(error)) => {
                    let desc = self.place.contract(&error.desc);
                    return Ok(Answer::Refused(CommandError { desc, ..error }));
                }
                _ if self.status.is_some() => return Ok(Answer::Died),
                _ if Instant::now() >= until => {
                    self.hangs = true;
                    return Ok(Answer::Frozen);
                }
                _ => self.poll(until)?,
            }
        }
    }

    /// A command that must succeed.
    pub(super) fn must(&mut self, name: &str, args: &Value) -> Result<Value, AskError> {
        match self.command(name, args)? {
            Answer::Done(value) => Ok(value),
            Answer::Refused(error) => Err(AskError::NotStarted(format!("{name}: {error}"))),
            Answer::Died => Err(AskError::NotStarted(self.death().unwrap_or_default())),
            Answer::Frozen => Err(AskError::Silent),
        }
    }

    /// Whether SIGTERM still ends one that does not answer.
    pub(super) fn terminate(&mut self) -> Result<Silence, AskError> {
        let until = Instant::now() + TERMINATION;
        if let Some(id) = self.qmp.speaker().and_then(|id| i32::try_from(id).ok()) {
            match kill(Pid::from_raw(id), Signal::SIGTERM) {
                // It has ended by itself.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(system("SIGTERM")(io::Error::from(errno))),
            }
        }
        while self.status.is_none() && Instant::now() < until {
            self.poll(until)?;
            self.pump()?;
        }
        Ok(if self.status.is_none() { Silence::Frozen } else { Silence::Ended })
    }

    /// Carries everything on until QEMU has dealt with all that it looks at.
    ///
    /// A round is a command, which its main loop answers after it has looked at its descriptors; of
    /// an iothread nothing of that kind can be asked. So then all its threads must sleep, and what
    /// they had to say has come.
    pub(super) fn settle(&mut self) -> Result<(), AskError> {
        let until = Instant::now() + RESTLESS;
        let mut quiet = 0;
        while quiet < QUIET && Instant::now() < until {
            self.moved = false;
            let unread = self.ends.unread();
            self.pump()?;
            if self.status.is_some() || self.hangs {
                return Ok(());
            }
            match self.command("query-status", &Value::Null) {
                Ok(Answer::Died | Answer::Frozen) => return Ok(()),
                other => drop(other?),
            }
            let sleeps = |id| is_asleep(id).unwrap_or(true);
            while !self.busy && !self.qmp.speaker().is_none_or(sleeps) {
                if Instant::now() >= until {
                    return Ok(());
                }
                self.pump()?;
                thread::yield_now();
            }
            self.pump()?;
            let moved = self.moved || self.ends.unread() != unread;
            quiet = if moved { 0 } else { quiet + 1 };
        }
        Ok(())
    }

    /// Time passes; what comes is taken.
    pub(super) fn wait(&mut self, until: Instant) -> Result<(), AskError> {
        while Instant::now() < until && self.status.is_none() {
            self.poll(until)?;
            self.pump()?;
        }
        Ok(())
    }

    /// What it printed since this was last asked, a line each.
    pub(super) fn take_said(&mut self) -> Vec<String> {
        let said = std::mem::take(&mut self.said);
        said.iter().map(|line| self.place.contract(line)).collect()
    }

    /// The code it ended with, or the signal's number below 0; none while it lives.
    pub(super) fn code(&self) -> Option<i32> {
        let status = self.status?;
        Some(status.code().unwrap_or(-status.signal().unwrap_or_default()))
    }

    /// How it died, when it did: its code and what it printed last.
    pub(super) fn death(&mut self) -> Option<String> {
        let code = self.code()?;
        Some(format!("rc={code} {}", self.take_said().join("\n")))
    }

    /// Whether it once did not answer.
    pub(super) const fn is_frozen(&self) -> bool {
        self.hangs
    }

    pub(super) fn is_alive(&mut self) -> Result<bool, AskError> {
        let answer = self.command("query-status", &Value::Null)?;
        Ok(!matches!(answer, Answer::Died | Answer::Frozen))
    }

    /// Takes what has come from everywhere.
    fn pump(&mut self) -> Result<(), AskError> {
        self.moved |= self.ends.pump();
        if let Some(device) = &mut self.vhost {
            device.pump().map_err(system("a vhost-user device"))?;
        }
        let answers = self.qmp.read().map_err(|error| AskError::Qmp(error.to_string()))?;
        self.answers.extend(answers);
        if self.qmp.is_closed() && self.status.is_none() {
            self.status = Some(self.process.wait().map_err(system("waiting for QEMU"))?);
            // What it wrote before it died is there now.
            self.ends.pump();
            self.moved = true;
        }
        let lines = self.process.read_lines();
        self.moved |= !lines.is_empty();
        self.said.extend(lines);
        Ok(())
    }

    /// Waits until something has come.
    fn poll(&self, until: Instant) -> Result<(), AskError> {
        let reads = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut polled = vec![reads(self.qmp.as_fd())];
        polled.extend(self.process.stderr().map(reads));
        polled.extend(self.vhost.as_ref().map(|device| reads(device.fd())));
        polled.extend(self.ends.fds().map(|(fd, blocked)| {
            let room = if blocked { PollFlags::POLLOUT } else { PollFlags::empty() };
            PollFd::new(fd, PollFlags::POLLIN | room)
        }));
        let left = until.saturating_duration_since(Instant::now());
        // Rounded up, so that the end of a wait is not asked for again and again.
        let left = left + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(system("poll")(io::Error::from(errno))),
        }
    }
}

/// Asks a QEMU which it is.
pub(super) fn version(lab: &Lab, place: &Place) -> Result<Version, AskError> {
    let mut asked = Line::new(place).machine("none").start(lab)?;
    let answer = asked.must("query-version", &Value::Object(Map::new()))?;
    let number = |key: &str| answer["qemu"][key].as_u64();
    let (Some(major), Some(minor), Some(micro)) =
        (number("major"), number("minor"), number("micro"))
    else {
        return Err(AskError::Qmp(format!("no version: {answer}")));
    };
    Ok(Version { text: format!("{major}.{minor}.{micro}"), major })
}

/// A refusal as records have it.
pub(super) fn refusal(error: &CommandError) -> Value {
    json!({"class": error.class, "desc": error.desc})
}
