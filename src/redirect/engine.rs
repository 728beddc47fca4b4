//! The loop: frames are taken as long as the output takes them, and everything else waits for its
//! event, with one poll(2) for all. There is one thread; a redirector has one direction.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, ppoll},
    sys::{prctl::set_timerslack, time::TimeSpec},
    unistd::read,
};

use super::{
    End, Notice, RedirectError, Status,
    capture::Capture,
    config::Config,
    counter::{Counters, DropReason},
    held::Held,
    link::{Change, Link},
    metrics::Metrics,
    notice::Valve,
    outlet::{self, Interface, Put},
    receive::{Reading, Window},
    signal::{Asked, Signals},
    watch::{Found, Watch},
};
use crate::{
    machine::framing::OVERSIZE_LOG,
    sys::{Batch, Granted, unread_by_peer},
};

/// A redirector that is open.
#[derive(Debug)]
pub struct Redirector {
    input: Input,
    output: Output,
    held: Held,
    batch: Batch,
    counters: Counters,
    /// None where no end is an interface.
    watch: Option<Watch>,
    metrics: Option<Metrics>,
    signals: Signals,
    drain: Duration,
    valve: Valve,
    /// Blocks and reads since the kernel's counters were last read.
    rounds: u32,
}

#[derive(Debug)]
enum Input {
    Interface(Capture),
    Stream(Link, Window),
}

#[derive(Debug)]
enum Output {
    Interface(Interface),
    Stream(Link),
}

/// Why the frames pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// There is more to do; other events may be looked at in between.
    None,
    /// The input has nothing.
    Idle,
    /// The input is given until then to have more.
    Gathering(Instant),
    /// The output takes no more: until it can be written to, or until then.
    Blocked(Option<Instant>),
}

/// What a descriptor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Signals,
    Watch,
    Metrics,
    Input,
    Output,
}

/// What is asked for to capture no more.
const FILTER: &str = "a packet socket's filter";

/// More than the kernel keeps a block for.
const RETIRED: Duration = Duration::from_millis(100);

/// How long an input that is busy is given to have more.
const GATHERING: Duration = Duration::from_micros(50);

/// How late a wait may end, in nanoseconds. The kernel's default, 50 microseconds, would double
/// [`GATHERING`].
const SLACK: libc::c_ulong = 1;

/// Blocks or reads between two looks at other events.
const ROUNDS: u32 = 16;

/// Blocks or reads after which the kernel's counters are read, before their 32 bits are full.
const COUNTED: u32 = 1 << 16;

impl Redirector {
    /// Opens both ends and everything else that needs privileges, and takes over the process's
    /// signals. To be called while the process has one thread.
    ///
    /// # Errors
    /// What is refused, and by whom.
    pub fn open(granted: Granted, config: &Config) -> Result<Self, RedirectError> {
        let signals = Signals::take_over()?;
        set_timerslack(SLACK)
            .map_err(|errno| RedirectError::system("prctl, PR_SET_TIMERSLACK")(errno.into()))?;
        let has_interface =
            [&config.input, &config.output].iter().any(|end| matches!(end, End::Netdev(_)));
        // What changes from here on is told.
        let watch = has_interface.then(Watch::open).transpose();
        let injects = matches!(config.output, End::Netdev(_));
        Ok(Self {
            watch: watch.map_err(RedirectError::system("rtnetlink"))?,
            input: match &config.input {
                End::Netdev(name) => Input::Interface(Capture::open(granted, config, name)?),
                End::Chardev(chardev) => Input::Stream(
                    Link::open(chardev)?,
                    Window::new(config.vnet_hdr_support, injects),
                ),
            },
            output: match &config.output {
                End::Netdev(name) => Output::Interface(Interface::open(granted, config, name)?),
                End::Chardev(chardev) => Output::Stream(Link::open(chardev)?),
            },
            metrics: match &config.metrics {
                None => None,
                Some(path) => {
                    let what = path.display().to_string();
                    Some(Metrics::open(path).map_err(RedirectError::system(what))?)
                }
            },
            held: Held::default(),
            batch: Batch::default(),
            counters: Counters::default(),
            signals,
            drain: config.drain,
            valve: Valve::new(Instant::now()),
            rounds: 0,
        })
    }

    /// Takes frames from the input to the output until a signal ends it; what is held then is sent on
    /// before, as far as the output takes it. `tell` learns what happens.
    ///
    /// # Errors
    /// [`RedirectError::Over`] when a client that does not try again has lost its connection; the
    /// system's for what can't be gone on after.
    pub fn run(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<(), RedirectError> {
        tell(Notice::Ready);
        let ended = self.go_on(tell);
        self.give_up()?;
        ended
    }

    /// Gives up what is held and what the ring holds, and counts it.
    fn give_up(&mut self) -> Result<(), RedirectError> {
        loop {
            outlet::give_up(&mut self.held, &mut self.counters, DropReason::Undelivered);
            self.release();
            self.count()?;
            let Self { input: Input::Interface(capture), held, counters, .. } = self else {
                return Ok(());
            };
            capture.ring.stop().map_err(RedirectError::system(FILTER))?;
            let took = capture.fill(held, counters);
            let comes = !took && capture.is_behind() && self.is_retired()?;
            if !took && !comes {
                return Ok(());
            }
        }
    }

    /// Waits until the kernel hands over the block that it holds, which it does in a moment.
    fn is_retired(&self) -> Result<bool, RedirectError> {
        let Input::Interface(capture) = &self.input else {
            return Ok(false);
        };
        let mut polled = [PollFd::new(capture.ring.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut polled, Some(TimeSpec::from_duration(RETIRED)), None) {
            Ok(count) => Ok(count > 0),
            Err(errno) => Err(RedirectError::system("poll")(errno.into())),
        }
    }

    fn go_on(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<(), RedirectError> {
        self.say_connected(tell);
        let mut ends: Option<Instant> = None;
        loop {
            let pause = self.transfer(tell)?;
            if let Some(until) = ends
                && (self.is_drained(pause)? || until <= Instant::now())
            {
                return Ok(());
            }
            let ready = self.wait(pause, ends)?;
            for (source, flags) in ready {
                match source {
                    Source::Signals => match self.signal(tell)? {
                        true if ends.is_some() => return Ok(()),
                        true => ends = Some(self.begin_drain(tell)?),
                        false => {}
                    },
                    Source::Watch => self.look(tell)?,
                    Source::Metrics => self.serve()?,
                    Source::Input => self.input_event(flags)?,
                    Source::Output => self.output_event(flags, tell)?,
                }
            }
            self.advance(tell)?;
        }
    }

    /// Takes frames from one end to the other.
    fn transfer(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<Pause, RedirectError> {
        for _ in 0..ROUNDS {
            if self.held.is_empty() {
                self.release();
                if !self.take(tell)? {
                    return Ok(Pause::Idle);
                }
            }
            let frames = self.held.rest().len();
            match self.put() {
                Put::Done if self.gathers(frames) => {
                    self.release();
                    return Ok(Pause::Gathering(Instant::now() + GATHERING));
                }
                Put::Done => {}
                Put::Blocked(until) => return Ok(Pause::Blocked(until)),
                Put::Broken(errno) => self.lose_output(errno.desc(), tell)?,
            }
        }
        self.rounds += ROUNDS;
        if self.rounds >= COUNTED {
            self.count()?;
        }
        Ok(Pause::None)
    }

    /// Takes what the input has; whether that may have been something.
    fn take(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<bool, RedirectError> {
        let (link, window) = match &mut self.input {
            Input::Interface(capture) => {
                return Ok(capture.fill(&mut self.held, &mut self.counters));
            }
            Input::Stream(link, window) => (link, window),
        };
        let Some(stream) = link.connected() else {
            return Ok(false);
        };
        let reason = match window.fill(stream, &mut self.held, &mut self.counters) {
            Reading::Some => return Ok(true),
            Reading::Nothing => return Ok(false),
            Reading::Ended(None) => "the other end closed it".to_owned(),
            Reading::Ended(Some(errno)) => errno.desc().to_owned(),
            Reading::BadLength(length) => {
                self.counters.bad_length += 1;
                window.reset();
                let chardev = link.chardev().to_string();
                self.valve.say(Notice::BadLength { chardev, length }, tell);
                OVERSIZE_LOG.to_owned()
            }
        };
        self.counters.incomplete += u64::from(window.reset());
        let chardev = link.chardev().to_string();
        let lost = link.lose(&reason);
        self.valve.say(Notice::Disconnected { chardev, reason }, tell);
        // What was cut out before goes on.
        lost.map(|()| true)
    }

    fn gathers(&self, frames: usize) -> bool {
        matches!(&self.input, Input::Interface(capture) if capture.gathers(frames))
    }

    fn put(&mut self) -> Put {
        let Self { input, output, held, batch, counters, .. } = self;
        let memory = match input {
            Input::Interface(capture) => capture.memory(),
            Input::Stream(_, window) => window.memory(),
        };
        match output {
            Output::Interface(interface) => interface.put(batch, memory, held, counters),
            Output::Stream(link) => outlet::write(link, batch, memory, held, counters),
        }
    }

    /// The memory of what has gone out may be used again.
    fn release(&mut self) {
        self.held.clear();
        match &mut self.input {
            Input::Interface(capture) => capture.release(),
            Input::Stream(_, window) => window.compact(),
        }
    }

    fn lose_output(
        &mut self,
        reason: &str,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<(), RedirectError> {
        outlet::give_up(&mut self.held, &mut self.counters, DropReason::NotConnected);
        let Output::Stream(link) = &mut self.output else {
            return Ok(());
        };
        let (chardev, reason) = (link.chardev().to_string(), reason.to_owned());
        let lost = link.lose(&reason);
        self.valve.say(Notice::Disconnected { chardev, reason }, tell);
        lost
    }

    /// Waits until something can be done.
    fn wait(
        &self,
        pause: Pause,
        ends: Option<Instant>,
    ) -> Result<Vec<(Source, PollFlags)>, RedirectError> {
        let (readable, writable) = (PollFlags::POLLIN, PollFlags::POLLOUT);
        let blocked = matches!(pause, Pause::Blocked(_));
        let unread = blocked || matches!(pause, Pause::Gathering(_));
        let mut watched: Vec<(Source, BorrowedFd<'_>, PollFlags)> = Vec::with_capacity(16);
        watched.push((Source::Signals, self.signals.as_fd(), readable));
        watched.extend(self.watch.iter().map(|watch| (Source::Watch, watch.as_fd(), readable)));
        let asking = self.metrics.iter().flat_map(Metrics::descriptors);
        watched.extend(asking.map(|fd| (Source::Metrics, fd, readable)));
        match &self.input {
            // What it holds is readable for as long as it is not taken; errors come anyway.
            Input::Interface(capture) => {
                let flags = if unread { PollFlags::empty() } else { readable };
                watched.push((Source::Input, capture.ring.as_fd(), flags));
            }
            Input::Stream(link, _) => match link.connected() {
                Some(fd) if !blocked => watched.push((Source::Input, fd, readable)),
                Some(_) => {}
                None => {
                    watched.extend(link.awaited().map(|(fd, flags)| (Source::Input, fd, flags)))
                }
            },
        }
        match &self.output {
            Output::Interface(interface) => {
                watched.push((Source::Output, interface.injector.as_fd(), PollFlags::empty()));
            }
            Output::Stream(link) => match link.connected() {
                Some(fd) => {
                    let flags = if blocked { readable | writable } else { readable };
                    watched.push((Source::Output, fd, flags));
                }
                None => {
                    watched.extend(link.awaited().map(|(fd, flags)| (Source::Output, fd, flags)))
                }
            },
        }
        let mut polled: Vec<PollFd<'_>> =
            watched.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
        let timeout = self.timeout(pause, ends).map(TimeSpec::from_duration);
        match ppoll(&mut polled, timeout, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(RedirectError::system("poll")(errno.into())),
        }
        let flags = polled.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        let found = watched.iter().zip(flags).filter(|(_, flags)| !flags.is_empty());
        Ok(found.map(|((source, ..), flags)| (*source, flags)).collect())
    }

    /// How long to wait at most.
    fn timeout(&self, pause: Pause, ends: Option<Instant>) -> Option<Duration> {
        let until = match pause {
            Pause::None => return Some(Duration::ZERO),
            Pause::Idle => None,
            Pause::Gathering(until) => Some(until),
            Pause::Blocked(until) => until,
        };
        let metrics = self.metrics.as_ref().and_then(Metrics::deadline);
        let links = [self.input_link(), self.output_link()].into_iter().flatten();
        let deadlines = links.filter_map(Link::deadline).chain(until).chain(metrics).chain(ends);
        deadlines.min().map(|first| first.saturating_duration_since(Instant::now()))
    }

    fn input_link(&self) -> Option<&Link> {
        match &self.input {
            Input::Stream(link, _) => Some(link),
            Input::Interface(_) => None,
        }
    }

    fn output_link(&self) -> Option<&Link> {
        match &self.output {
            Output::Stream(link) => Some(link),
            Output::Interface(_) => None,
        }
    }

    /// Reads a signal; whether it ends the redirector. One at a time, so that who sends many does not
    /// keep frames from going on.
    fn signal(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<bool, RedirectError> {
        match self.signals.next()? {
            None => Ok(false),
            Some(Asked::End) => Ok(true),
            Some(Asked::Counters) => {
                let status = Notice::Status(Box::new(self.status()?));
                self.valve.say(status, tell);
                Ok(false)
            }
        }
    }

    /// Captures no more; until when what is held may be sent on.
    fn begin_drain(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<Instant, RedirectError> {
        if let Input::Interface(capture) = &self.input {
            capture.ring.stop().map_err(RedirectError::system(FILTER))?;
        }
        self.valve.say(Notice::Draining, tell);
        Ok(Instant::now() + self.drain)
    }

    /// Whether all that was captured or can be read has been sent on. The last block is the kernel's
    /// for a moment after its last frame.
    fn is_drained(&mut self, pause: Pause) -> Result<bool, RedirectError> {
        if pause != Pause::Idle {
            return Ok(false);
        }
        self.count()?;
        Ok(match &self.input {
            Input::Interface(capture) => !capture.is_behind(),
            Input::Stream(..) => true,
        })
    }

    /// Takes the error of an interface that went down, which is told of by rtnetlink too.
    fn input_event(&mut self, flags: PollFlags) -> Result<(), RedirectError> {
        if let Input::Interface(capture) = &self.input
            && flags.contains(PollFlags::POLLERR)
        {
            capture.ring.take_error().map_err(RedirectError::system("a packet socket"))?;
        }
        Ok(())
    }

    fn output_event(
        &mut self,
        flags: PollFlags,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<(), RedirectError> {
        let link = match &self.output {
            Output::Interface(interface) => {
                let taken = interface.injector.take_error();
                return taken.map(drop).map_err(RedirectError::system("a packet socket"));
            }
            Output::Stream(link) => link,
        };
        let (Some(stream), true) = (link.connected(), flags != PollFlags::POLLOUT) else {
            return Ok(());
        };
        // Nobody has to say anything here; what is said all the same would end in a reset.
        let mut said = [0; 4096];
        match read(stream, &mut said) {
            Ok(0) => self.lose_output("the other end closed it", tell),
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            Err(errno) => self.lose_output(errno.desc(), tell),
        }
    }

    /// Looks for interfaces that have gone or come back, after the kernel said that something changed.
    fn look(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<(), RedirectError> {
        if let Some(watch) = &self.watch {
            watch.drain().map_err(RedirectError::system("rtnetlink"))?;
        }
        if let Input::Interface(capture) = &mut self.input {
            let name = capture.named.name.to_string();
            let found = capture.look().map_err(RedirectError::system(name.clone()))?;
            self.counters.input_reconnects += u64::from(matches!(found, Found::Other(_)));
            if let Some(notice) = found.notice(name) {
                self.valve.say(notice, tell);
            }
        }
        if let Output::Interface(interface) = &mut self.output {
            let name = interface.named.name.to_string();
            let found = interface.look().map_err(RedirectError::system(name.clone()))?;
            self.counters.output_reconnects += u64::from(matches!(found, Found::Other(_)));
            if let Some(notice) = found.notice(name) {
                self.valve.say(notice, tell);
            }
        }
        Ok(())
    }

    /// Makes connections, and ends requests for the counters that take too long.
    fn advance(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<(), RedirectError> {
        let now = Instant::now();
        let links = match (&mut self.input, &mut self.output) {
            (Input::Stream(one, _), Output::Stream(other)) => [Some(one), Some(other)],
            (Input::Stream(one, _), _) | (_, Output::Stream(one)) => [Some(one), None],
            _ => [None, None],
        };
        for link in links.into_iter().flatten() {
            if link.connected().is_none() && link.advance(now)? == Change::Connected {
                let chardev = link.chardev().to_string();
                self.valve.say(Notice::Connected { chardev }, tell);
            }
        }
        let late = self.metrics.as_ref().and_then(Metrics::deadline);
        if late.is_some_and(|until| until <= now) { self.serve() } else { Ok(()) }
    }

    /// Answers those who ask for the counters.
    fn serve(&mut self) -> Result<(), RedirectError> {
        let text = self.status()?.prometheus();
        if let Some(metrics) = &mut self.metrics {
            metrics.serve(Instant::now(), &text);
        }
        Ok(())
    }

    /// Says which connections there are from the beginning.
    fn say_connected(&mut self, tell: &mut dyn FnMut(Notice)) {
        let links = [self.input_link(), self.output_link()].into_iter().flatten();
        let connected = links.filter(|link| link.connected().is_some());
        for chardev in connected.map(|link| link.chardev().to_string()) {
            tell(Notice::Connected { chardev });
        }
    }

    /// Reads the kernel's counters.
    fn count(&mut self) -> Result<(), RedirectError> {
        self.rounds = 0;
        match &mut self.input {
            Input::Interface(capture) => capture
                .count(&mut self.counters)
                .map_err(RedirectError::system("the counters of a packet socket")),
            Input::Stream(..) => Ok(()),
        }
    }

    /// The counters, and what is held now.
    ///
    /// # Errors
    /// When the kernel does not tell its own.
    pub fn status(&mut self) -> Result<Status, RedirectError> {
        self.count()?;
        let mut counters = self.counters.clone();
        let mut held = self.held.rest().len() as u64;
        match &self.input {
            Input::Interface(capture) => held += capture.waiting(),
            Input::Stream(link, _) => counters.input_reconnects = link.reconnects(),
        }
        let mut unread = 0;
        if let Output::Stream(link) = &self.output {
            counters.output_reconnects = link.reconnects();
            let asked = link.connected().map(|stream| unread_by_peer(&stream));
            unread = asked.and_then(Result::ok).unwrap_or(0) as u64;
        }
        Ok(Status { counters, held, unread, offloaded: false })
    }
}
