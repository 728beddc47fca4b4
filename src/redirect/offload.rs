//! A redirector whose frames never leave the kernel: filters of traffic control mirror them from one
//! interface to the other. What is left to do here is to put the filters back when an interface comes
//! back, to say what the kernel has counted, and to take them away at the end.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};

use super::{
    End, Notice, RedirectError, Status,
    capture::resolve,
    config::Config,
    counter::{Counters, DropReason},
    metrics::Metrics,
    mirred::{Counted, Filter, Hook, Mirred},
    notice::Valve,
    signal::{Asked, Signals},
    watch::{Found, Named, Watch, is_gone},
};
use crate::{
    base::Queue,
    sys::{Granted, InterfaceIndex, InterfaceName},
};

/// A redirector that the kernel does the work of.
#[derive(Debug)]
pub struct Offload {
    mirred: Mirred,
    input: Named,
    output: Named,
    /// Those that the filters now are on; none where an interface is gone.
    bound: Option<(InterfaceIndex, InterfaceIndex)>,
    hooks: &'static [Hook],
    /// The hooks of the input were not there before.
    made_hooks: bool,
    /// Of filters that are gone.
    before: Counted,
    /// What was last read of those that are.
    last: Counted,
    input_reconnects: u64,
    output_reconnects: u64,
    watch: Watch,
    metrics: Option<Metrics>,
    signals: Signals,
    valve: Valve,
    /// Held for as long as the filters are this process's.
    _claim: UnixListener,
}

/// What a descriptor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Signals,
    Watch,
    Metrics,
}

impl Offload {
    /// Sets the filters, and takes over those that a process left that was killed. To be called while
    /// the process has one thread.
    ///
    /// # Errors
    /// [`RedirectError::NoOffload`] for what the kernel can't be asked to do;
    /// [`RedirectError::KernelLacks`] where it can't do it; what is refused, and by whom.
    pub fn open(granted: Granted, config: &Config) -> Result<Self, RedirectError> {
        let (from, to) = ends(config)?;
        let signals = Signals::take_over()?;
        // What changes from here on is told.
        let watch = Watch::open().map_err(RedirectError::system("rtnetlink"))?;
        let input = resolve(config, true, from)?;
        let output = resolve(config, false, to)?;
        let metrics = match &config.metrics {
            None => None,
            Some(path) => {
                let what = path.display().to_string();
                Some(Metrics::open(path).map_err(RedirectError::system(what))?)
            }
        };
        let mut offload = Self {
            mirred: Mirred::open(granted).map_err(RedirectError::system("rtnetlink"))?,
            input: Named::new(from.clone(), input),
            output: Named::new(to.clone(), output),
            bound: None,
            hooks: match config.queue {
                Queue::All => &Hook::BOTH,
                Queue::Rx => &[Hook::Ingress],
                Queue::Tx => &[Hook::Egress],
            },
            made_hooks: false,
            before: Counted::default(),
            last: Counted::default(),
            input_reconnects: 0,
            output_reconnects: 0,
            watch,
            metrics,
            signals,
            valve: Valve::new(Instant::now()),
            _claim: claim(from, to)?,
        };
        offload.set(input, output).map_err(|error| lacking(from, error))?;
        Ok(offload)
    }

    /// Waits for what is to be said or done until a signal ends it. `tell` learns what happens.
    ///
    /// # Errors
    /// The system's for what can't be gone on after.
    pub fn run(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<(), RedirectError> {
        tell(Notice::Offloaded);
        tell(Notice::Ready);
        loop {
            for source in self.wait()? {
                match source {
                    Source::Signals => match self.signals.next()? {
                        None => {}
                        Some(Asked::End) => return Ok(()),
                        Some(Asked::Counters) => {
                            let status = Notice::Status(Box::new(self.status()?));
                            self.valve.say(status, tell);
                        }
                    },
                    Source::Watch => self.look(tell)?,
                    Source::Metrics => self.serve()?,
                }
            }
        }
    }

    /// Which of them have something.
    fn wait(&self) -> Result<Vec<Source>, RedirectError> {
        let mut watched: Vec<(Source, BorrowedFd<'_>)> =
            vec![(Source::Signals, self.signals.as_fd()), (Source::Watch, self.watch.as_fd())];
        let asking = self.metrics.iter().flat_map(Metrics::descriptors);
        watched.extend(asking.map(|fd| (Source::Metrics, fd)));
        let mut polled: Vec<PollFd<'_>> =
            watched.iter().map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        let until = self.metrics.as_ref().and_then(Metrics::deadline);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match ppoll(&mut polled, left.map(TimeSpec::from_duration), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(RedirectError::system("poll")(errno.into())),
        }
        let is_ready = polled.iter().map(|fd| fd.any().unwrap_or(false));
        let found = watched.iter().zip(is_ready).filter(|(_, is_ready)| *is_ready);
        let late = (left == Some(Duration::ZERO)).then_some(Source::Metrics);
        Ok(found.map(|((source, _), _)| *source).chain(late).collect())
    }

    /// Answers those who ask for the counters.
    fn serve(&mut self) -> Result<(), RedirectError> {
        let text = self.status()?.prometheus();
        if let Some(metrics) = &mut self.metrics {
            metrics.serve(Instant::now(), &text);
        }
        Ok(())
    }

    /// Looks for interfaces that have gone or come back, and puts the filters where they belong now.
    fn look(&mut self, tell: &mut dyn FnMut(Notice)) -> Result<(), RedirectError> {
        self.watch.drain().map_err(RedirectError::system("rtnetlink"))?;
        let mut comes_back = false;
        for is_input in [true, false] {
            let (named, reconnects) = match is_input {
                true => (&mut self.input, &mut self.input_reconnects),
                false => (&mut self.output, &mut self.output_reconnects),
            };
            let name = named.name.to_string();
            let found = named.look().map_err(RedirectError::system(name.clone()))?;
            if let Found::Other(index) = found {
                named.bind(index);
                *reconnects += 1;
                comes_back = true;
            }
            if let Some(notice) = found.notice(name) {
                self.valve.say(notice, tell);
            }
        }
        if !comes_back {
            return Ok(());
        }
        let (Some(from), Some(to)) = (self.input.bound(), self.output.bound()) else {
            return Ok(());
        };
        match self.set(from, to) {
            // One of them has gone again, and that is told too.
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(lacking(&self.input.name, error)),
            Ok(()) => Ok(()),
        }
    }

    /// Sets the filters between these two, in place of those that were set before.
    fn set(&mut self, from: InterfaceIndex, to: InterfaceIndex) -> io::Result<()> {
        self.read()?;
        self.before.add(std::mem::take(&mut self.last));
        if self.bound.is_none_or(|(bound, _)| bound != from) {
            self.made_hooks = self.mirred.add_hooks(from)?;
        }
        self.bound = Some((from, to));
        // Whoever left filters of ours had made the hooks, if they say so.
        self.made_hooks |= self.take_away(from)?;
        for hook in self.hooks {
            let others = self.mirred.filters(from, *hook)?;
            // Before all others where it can be, since another one may keep frames to itself.
            let is_free = |priority: &u32| others.iter().all(|it| it.priority() != *priority);
            let priority = (1..=u32::from(u16::MAX)).find(is_free);
            let priority = priority.ok_or(Errno::ENOSPC)?;
            let cookie = cookie(self.made_hooks, &self.output.name);
            self.mirred.add(from, *hook, priority, to, &cookie)?;
        }
        Ok(())
    }

    /// Takes away the filters of this pair of interfaces; whether one of them says that the hooks were
    /// made for it.
    fn take_away(&self, from: InterfaceIndex) -> io::Result<bool> {
        let mut made_hooks = false;
        for hook in Hook::BOTH {
            for filter in self.ours(from, hook)? {
                made_hooks |= filter.cookie() == cookie(true, &self.output.name);
                self.mirred.delete(from, hook, &filter)?;
            }
        }
        Ok(made_hooks)
    }

    fn ours(&self, from: InterfaceIndex, hook: Hook) -> io::Result<Vec<Filter>> {
        let mut filters = self.mirred.filters(from, hook)?;
        let cookies = [true, false].map(|made_hooks| cookie(made_hooks, &self.output.name));
        filters.retain(|filter| cookies.iter().any(|cookie| filter.cookie() == cookie));
        Ok(filters)
    }

    /// Reads what the kernel has counted at the filters that are set.
    fn read(&mut self) -> io::Result<()> {
        let Some((from, _)) = self.bound else {
            return Ok(());
        };
        let mut now = Counted::default();
        for hook in Hook::BOTH {
            match self.ours(from, hook) {
                Ok(filters) => filters.iter().for_each(|filter| now.add(filter.counted)),
                // With the interface, what was counted since the last look is gone.
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // Filters that are gone count nothing.
        if now.packets >= self.last.packets {
            self.last = now;
        }
        Ok(())
    }

    /// What the kernel has counted.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn status(&mut self) -> Result<Status, RedirectError> {
        self.read().map_err(RedirectError::system("the counters of traffic control"))?;
        let mut all = self.before;
        all.add(self.last);
        let mut counters = Counters::default();
        counters.input_reconnects = self.input_reconnects;
        counters.output_reconnects = self.output_reconnects;
        (counters.input.packets, counters.input.bytes) = (all.packets, all.bytes);
        counters.output.packets = all.packets.saturating_sub(all.refused);
        let refused = usize::try_from(all.refused).unwrap_or(usize::MAX);
        counters.drop_frames(DropReason::Refused, refused);
        Ok(Status { counters, offloaded: true, ..Status::default() })
    }

    /// Takes the filters away, and the hooks where they were made for them and nobody else has a filter
    /// there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn close(mut self) -> Result<(), RedirectError> {
        let name = self.input.name.to_string();
        self.remove().map_err(RedirectError::system(name))
    }

    fn remove(&mut self) -> io::Result<()> {
        let Some((from, _)) = self.bound.take() else {
            return Ok(());
        };
        let removed = self.take_away(from).and_then(|_| {
            let mut others = false;
            for hook in Hook::BOTH {
                others |= !self.mirred.filters(from, hook)?.is_empty();
            }
            if self.made_hooks && !others { self.mirred.delete_hooks(from) } else { Ok(()) }
        });
        // They went with the interface.
        removed.or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })
    }
}

impl Drop for Offload {
    fn drop(&mut self) {
        // After an error, as far as it can be done; the next one of this pair takes the rest over.
        let _ = self.remove();
    }
}

/// The two interfaces, where the kernel can do all that is asked for.
fn ends(config: &Config) -> Result<(&InterfaceName, &InterfaceName), RedirectError> {
    let reason = match (&config.input, &config.output) {
        _ if config.vnet_hdr_support => {
            "with --vnet-hdr-support on frames get a header that the kernel does not write for itself"
        }
        (End::Netdev(from), End::Netdev(to)) => return Ok((from, to)),
        _ => "one end is a socket",
    };
    Err(RedirectError::NoOffload { reason })
}

/// Says whose a filter is, in the 16 bytes that the kernel keeps for that: whether the hooks were made for
/// it, and the name of the interface that it mirrors to, which has 15 bytes at most.
fn cookie(made_hooks: bool, to: &InterfaceName) -> Vec<u8> {
    let mut cookie = vec![if made_hooks { b'T' } else { b't' }];
    cookie.extend(to.as_str().as_bytes());
    cookie.resize(1 + InterfaceName::MAX, 0);
    cookie
}

/// Only one process may have the filters of a pair of interfaces: an abstract socket of this name, which
/// belongs to the network namespace as they do, and goes with the process.
fn claim(from: &InterfaceName, to: &InterfaceName) -> Result<UnixListener, RedirectError> {
    let name = format!("tapwright redirect --offload {from} {to}");
    let claimed =
        SocketAddr::from_abstract_name(&name).and_then(|address| UnixListener::bind_addr(&address));
    claimed.map_err(RedirectError::system(format!("an offload from {from} to {to}")))
}

/// What it means that traffic control refuses.
fn lacking(name: &InterfaceName, source: io::Error) -> RedirectError {
    let what = name.to_string();
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENOSYS) => {
            RedirectError::KernelLacks { what, source }
        }
        _ => RedirectError::System { what, source },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{diag::Diagnose, redirect::Properties};

    #[rstest]
    #[case("tap0", None, Some("unix:/a,server"), None, "one end is a socket")]
    #[case("tap0", Some("tap1"), None, Some("on"), "with --vnet-hdr-support on")]
    fn what_the_kernel_can_not_do(
        #[case] from: &str,
        #[case] out_netdev: Option<&str>,
        #[case] outdev: Option<&str>,
        #[case] vnet: Option<&str>,
        #[case] reason: &str,
    ) {
        let config = Config::read(&Properties {
            in_netdev: Some(from.to_owned()),
            out_netdev: out_netdev.map(str::to_owned),
            outdev: outdev.map(str::to_owned),
            vnet_hdr_support: vnet.map(str::to_owned),
            ..Properties::default()
        });
        let error = ends(&config.unwrap()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(error.report().code.to_string(), "TW-R013");
    }

    #[rstest]
    #[case(Errno::ENOENT, "TW-E102")]
    #[case(Errno::EOPNOTSUPP, "TW-E102")]
    #[case(Errno::EPERM, "TW-E100")]
    fn what_a_refusal_means(#[case] errno: Errno, #[case] code: &str) {
        let error = lacking(&"tap0".parse().unwrap(), errno.into());
        assert_eq!(error.report().code.to_string(), code);
    }

    #[test]
    fn a_cookie_has_the_longest_name() {
        let cookie = cookie(true, &"abcdefghijklmno".parse().unwrap());
        assert_eq!(cookie, b"Tabcdefghijklmno");
    }
}
