//! Frames on their way out: injected on an interface, or written to a stream.

use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{
    RedirectError,
    capture::resolve,
    config::Config,
    counter::{Counters, DropReason},
    held::Held,
    link::Link,
    watch::{Found, Named, is_gone},
};
use crate::sys::{Batch, Granted, Injector, InjectorOptions, InterfaceName, Unit};

/// How putting frames out went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// All have gone, or are given up.
    Done,
    /// The output takes no more now: until it can be written to, or until then.
    Blocked(Option<Instant>),
    /// The connection broke.
    Broken(Errno),
}

/// An interface on which frames are injected.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) injector: Injector,
    pub(super) named: Named,
    queue: Queue,
}

/// What is known of the interface's queue. It tells when it is full, and not when it is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Open,
    /// Full since then.
    Full(Instant),
    /// Full for so long that it is not waited for.
    Stuck,
}

/// How long a full queue is waited for, and how long between two attempts.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_micros(100);

impl Interface {
    pub(super) fn open(
        granted: Granted,
        config: &Config,
        name: &InterfaceName,
    ) -> Result<Self, RedirectError> {
        let index = resolve(config, false, name)?;
        let vnet_hdr = config.vnet_hdr_support;
        // What a header asks for, the kernel does on the way through the discipline only.
        let options = InjectorOptions { vnet_hdr, bypass: !config.qdisc && !vnet_hdr };
        let injector = Injector::open(granted, index, options);
        Ok(Self {
            injector: injector
                .map_err(RedirectError::system(format!("a packet socket on {name}")))?,
            named: Named::new(name.clone(), index),
            queue: Queue::Open,
        })
    }

    /// Sends what is held.
    pub(super) fn put(
        &mut self,
        batch: &mut Batch,
        memory: &[u8],
        held: &mut Held,
        counters: &mut Counters,
    ) -> Put {
        while !held.is_empty() {
            match batch.send(&self.injector, memory, held.rest()) {
                Ok(count) => {
                    self.queue = Queue::Open;
                    let bytes = held.rest().iter().take(count).map(Unit::len);
                    counters.output.packets += count as u64;
                    counters.output.bytes += bytes.sum::<usize>() as u64;
                    held.advance(count);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS | Errno::EAGAIN) => {
                    if let Some(until) = self.wait(counters) {
                        return Put::Blocked(Some(until));
                    }
                    counters.drop_frames(DropReason::TxQueueFull, held.rest().len());
                    held.advance(held.rest().len());
                }
                Err(errno) => {
                    counters.drop_frames(reason(errno), 1);
                    held.advance(1);
                }
            }
        }
        Put::Done
    }

    /// Until when a full queue is waited for now; none when that took too long.
    fn wait(&mut self, counters: &mut Counters) -> Option<Instant> {
        let now = Instant::now();
        let since = match self.queue {
            Queue::Open => {
                counters.stalls += 1;
                now
            }
            Queue::Full(since) => since,
            Queue::Stuck => return None,
        };
        let goes_on = now.duration_since(since) < PATIENCE;
        self.queue = if goes_on { Queue::Full(since) } else { Queue::Stuck };
        goes_on.then(|| now + PAUSE)
    }

    /// Looks whether the interface is still the one of its name, and injects on that one.
    pub(super) fn look(&mut self) -> std::io::Result<Found> {
        let found = self.named.look()?;
        if let Found::Other(index) = found {
            match self.injector.bind(index) {
                Ok(()) => self.named.bind(index),
                // It has gone again, and that is told too.
                Err(error) if is_gone(&error) => return Ok(Found::Same),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

fn reason(errno: Errno) -> DropReason {
    match errno {
        Errno::ENETDOWN => DropReason::InterfaceDown,
        Errno::ENXIO | Errno::ENODEV => DropReason::InterfaceGone,
        Errno::EMSGSIZE => DropReason::TooLong,
        Errno::EINVAL => DropReason::Invalid,
        _ => DropReason::Refused,
    }
}

/// Writes what is held to a connection, if there is one.
pub(super) fn write(
    link: &Link,
    batch: &mut Batch,
    memory: &[u8],
    held: &mut Held,
    counters: &mut Counters,
) -> Put {
    let Some(stream) = link.connected() else {
        give_up(held, counters, DropReason::NotConnected);
        return Put::Done;
    };
    while !held.is_empty() {
        let written = held.written();
        let rest = held.rest().iter().enumerate().map(|(number, unit)| {
            let begun = if number == 0 { written } else { 0 };
            unit.start + begun..unit.end
        });
        match batch.write(&stream, memory, rest) {
            Ok(bytes) => held.advance_bytes(bytes, |unit| counters.output.add(unit.len())),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                counters.stalls += 1;
                return Put::Blocked(None);
            }
            Err(errno) => return Put::Broken(errno),
        }
    }
    Put::Done
}

/// Gives up what is held, of which the first frame may have been written in part.
pub(super) fn give_up(held: &mut Held, counters: &mut Counters, reason: DropReason) {
    let cut = usize::from(held.written() > 0);
    counters.drop_frames(DropReason::Disconnected, cut);
    counters.drop_frames(reason, held.rest().len() - cut);
    held.advance(held.rest().len());
}
