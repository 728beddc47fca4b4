//! Descriptors whose close is slow, closed on other threads. Packet sockets are such.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// A descriptor whose close waits for all processors: a packet socket's takes 8 to 16 ms (Linux
/// 6.18 `net/packet/af_packet.c`, `packet_release`, which calls `synchronize_net`). So it is closed
/// on another thread; threads that close at the same time share one such wait.
///
/// Until then the descriptor keeps its namespace, and nothing else.
#[derive(Debug)]
pub(super) struct SlowToClose {
    /// None only while it is dropped.
    fd: Option<OwnedFd>,
}

impl SlowToClose {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd: Some(fd) }
    }

    /// Closes it here, and waits.
    pub(super) fn close(mut self) {
        drop(self.fd.take());
    }

    /// The descriptor, whoever closes it.
    fn into_fd(mut self) -> Option<OwnedFd> {
        self.fd.take()
    }
}

impl AsFd for SlowToClose {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("the descriptor is only taken out by drop").as_fd()
    }
}

impl Drop for SlowToClose {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            CLOSERS.close_soon(vec![fd]);
        }
    }
}

/// Closes descriptors on other threads, and returns before they are closed.
pub(super) fn close_soon(all: impl IntoIterator<Item = SlowToClose>) {
    let all: Vec<OwnedFd> = all.into_iter().filter_map(SlowToClose::into_fd).collect();
    CLOSERS.close_soon(all);
}

/// Returns when every descriptor is closed that was to be closed soon. The end of the process would
/// close them one after another.
pub fn wait_for_closes() {
    CLOSERS.wait();
}

/// Most threads that close at the same time.
const THREADS: usize = 64;

/// Most descriptors that wait for a thread. Each keeps its namespace; who brings one more closes it.
const WAITING: usize = 256;

/// How long a thread waits for its next descriptor before it ends. It keeps the namespace of the thread
/// that started it.
const IDLE: Duration = Duration::from_millis(20);

/// A thread that closes needs next to no stack.
const STACK: usize = 64 << 10;

static CLOSERS: Closers =
    Closers { state: Mutex::new(State::NEW), more: Condvar::new(), done: Condvar::new() };

/// The threads that close. There are as many as are needed, and none where nothing is closed.
struct Closers {
    state: Mutex<State>,
    /// A descriptor waits.
    more: Condvar,
    /// Nothing waits, and nothing is being closed.
    done: Condvar,
}

struct State {
    waiting: VecDeque<OwnedFd>,
    threads: usize,
    /// Those that wait for a descriptor.
    idle: usize,
    /// Somebody waits until everything is closed.
    hurried: bool,
}

impl State {
    const NEW: Self = Self { waiting: VecDeque::new(), threads: 0, idle: 0, hurried: false };

    /// Whether another thread would be of use: a descriptor waits about as long as one close takes.
    fn lacks_threads(&self) -> bool {
        let served = if self.hurried { self.idle } else { self.threads };
        self.threads < THREADS && self.waiting.len() > served
    }

    fn is_at_rest(&self) -> bool {
        self.waiting.is_empty() && self.threads == self.idle
    }
}

impl Closers {
    fn close_soon(&'static self, all: Vec<OwnedFd>) {
        let beyond: Vec<OwnedFd> = {
            let mut state = self.state();
            let mut all = all.into_iter();
            let room = WAITING.saturating_sub(state.waiting.len());
            state.waiting.extend(all.by_ref().take(room));
            self.serve(&mut state);
            // Without a thread nobody would ever close them.
            let unserved =
                if state.threads == 0 { state.waiting.drain(..).collect() } else { Vec::new() };
            unserved.into_iter().chain(all).collect()
        };
        drop(beyond);
    }

    /// Sees to it that somebody closes what waits.
    fn serve(&'static self, state: &mut State) {
        while state.lacks_threads() {
            let closer = thread::Builder::new().name("close".to_owned()).stack_size(STACK);
            if closer.spawn(|| self.live()).is_err() {
                break;
            }
            state.threads += 1;
        }
        if !state.waiting.is_empty() && state.idle > 0 {
            self.more.notify_one();
        }
    }

    /// What a thread does.
    fn live(&'static self) {
        let mut state = self.state();
        loop {
            if let Some(fd) = state.waiting.pop_front() {
                self.serve(&mut state);
                drop(state);
                drop(fd);
                state = self.state();
                continue;
            }
            state.idle += 1;
            if state.is_at_rest() {
                self.done.notify_all();
            }
            let waited =
                self.more.wait_timeout_while(state, IDLE, |state| state.waiting.is_empty());
            let (mut woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            woken.idle -= 1;
            if timeout.timed_out() {
                woken.threads -= 1;
                return;
            }
            state = woken;
        }
    }

    fn wait(&'static self) {
        let mut state = self.state();
        state.hurried = true;
        self.serve(&mut state);
        let waited = self.done.wait_while(state, |state| !state.is_at_rest());
        waited.unwrap_or_else(PoisonError::into_inner).hurried = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::{CLOSERS, SlowToClose, THREADS, WAITING, close_soon, wait_for_closes};

    #[test]
    fn everything_is_closed_when_that_was_waited_for() {
        let pipes: Vec<_> = (0..100).map(|_| io::pipe().unwrap()).collect();
        let (readers, writers): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
        let mut writers = writers.into_iter().map(|writer| SlowToClose::new(writer.into()));
        drop(writers.next());
        close_soon(writers);
        wait_for_closes();
        for mut reader in readers {
            assert_eq!(reader.read(&mut [0]).unwrap(), 0, "the other end is closed");
        }
        let state = CLOSERS.state();
        assert!(state.is_at_rest() && state.threads <= THREADS && state.waiting.len() <= WAITING);
    }
}
