//! Tasks with deadlines on a few threads. A thread that has ended its task takes the next; one that
//! does not end its task is given up, and another takes its place.

use std::{
    any::Any,
    collections::BTreeMap,
    io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    backend::{Alarm, Deadline},
    sys::exhaustion_remedy,
};

/// What runs on a thread.
pub(super) struct Task<T> {
    /// Ends of itself at the deadline, which an interrupt makes pass, or soon after.
    pub(super) run: Box<dyn FnOnce(&Deadline) -> T + Send>,
}

/// How a task ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End<T> {
    /// With this.
    Done(T),
    /// With a panic that says this.
    Panicked(String),
    /// Not at all: its thread was given up.
    Hung,
    /// It did not begin, since there was no thread for it: why, and what to do about it.
    NotStarted(String),
}

/// What the pool says, in order, on the thread that called it. Tasks are named by their place in
/// the order in which they were given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signal<T> {
    /// A task begins.
    Started(usize),
    /// A task is over.
    Ended { task: usize, end: End<T>, duration: Duration },
    /// A task has been running for so long: a multiple of the time after which one is slow.
    Slow { task: usize, running: Duration },
    /// The run was interrupted while so many tasks ran; no other begins.
    Interrupted { running: usize },
}

/// Whether more tasks begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// They do.
    Go,
    /// Those that run are the last.
    Stop,
}

/// How many and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Tasks at once.
    pub(super) jobs: NonZeroUsize,
    /// How long a task may run.
    pub(super) timeout: Duration,
    /// After how long a task is slow: told then, and again after as long.
    pub(super) slow_after: Option<Duration>,
    /// How long after its deadline, or after an interrupt, a task may take to end of itself.
    pub(super) grace: Duration,
    /// The next task begins before the listener has heard of the end of the last: where the listener
    /// never has enough.
    pub(super) eager: bool,
}

enum Message<T> {
    Ended { task: usize, end: End<T> },
    Interrupt,
}

/// Work for a thread of the pool.
type Work = Box<dyn FnOnce() + Send>;

/// Runs tasks on threads, and tells one listener in one order.
pub(super) struct Pool<T> {
    limits: Limits,
    /// Threads that wait for their next task. They end when the pool lets go of them.
    idle: Vec<Sender<Work>>,
    outbox: Sender<Message<T>>,
    inbox: Receiver<Message<T>>,
    running: BTreeMap<usize, Running>,
    interrupted: bool,
    /// Raised by an interrupt: every task's deadline has it.
    alarm: Arc<Alarm>,
}

struct Running {
    /// The thread that it runs on; none where there was none to be had.
    thread: Option<Sender<Work>>,
    since: Instant,
    /// When its thread is given up.
    until: Instant,
    /// For how long it is running when it is next told to be slow.
    slow: Option<Duration>,
}

/// What is due for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// It is slow.
    Slow,
    /// It is given up.
    End,
}

impl Running {
    /// What is due next, and when.
    fn next(&self) -> (Instant, Due) {
        let end = (self.until, Due::End);
        let slow = self.slow.and_then(|slow| self.since.checked_add(slow));
        slow.map_or(end, |slow| end.min((slow, Due::Slow)))
    }
}

impl<T: Send + 'static> Pool<T> {
    /// # Errors
    /// When there is no descriptor left.
    pub(super) fn new(limits: Limits) -> io::Result<Self> {
        let (outbox, inbox) = channel();
        Ok(Self {
            limits,
            idle: Vec::new(),
            outbox,
            inbox,
            running: BTreeMap::new(),
            interrupted: false,
            alarm: Arc::new(Alarm::new()?),
        })
    }

    /// What interrupts the run, from any thread.
    pub(super) fn interrupter(&self) -> impl Fn() + Send + 'static {
        let outbox = self.outbox.clone();
        // The pool is gone when nobody receives: then there is nothing to interrupt.
        move || drop(outbox.send(Message::Interrupt))
    }

    /// Runs the tasks and returns when all are over, or given up.
    pub(super) fn run(
        mut self,
        tasks: impl IntoIterator<Item = Task<T>>,
        mut listener: impl FnMut(Signal<T>) -> Flow,
    ) {
        let mut waiting = tasks.into_iter().enumerate().fuse();
        let mut flow = Flow::Go;
        loop {
            flow = self.fill(&mut waiting, &mut listener, flow);
            let Some(signal) = self.next_signal() else {
                return;
            };
            if matches!(signal, Signal::Interrupted { .. }) {
                flow = Flow::Stop;
            }
            if self.limits.eager && matches!(signal, Signal::Ended { .. }) {
                flow = self.fill(&mut waiting, &mut listener, flow);
            }
            flow = flow.and(listener(signal));
        }
    }

    /// Starts tasks until there are as many as may run.
    fn fill(
        &mut self,
        waiting: &mut impl Iterator<Item = (usize, Task<T>)>,
        listener: &mut impl FnMut(Signal<T>) -> Flow,
        mut flow: Flow,
    ) -> Flow {
        while flow == Flow::Go && self.running.len() < self.limits.jobs.get() {
            let Some((number, task)) = waiting.next() else {
                break;
            };
            flow = flow.and(listener(Signal::Started(number)));
            self.start(number, task);
        }
        flow
    }

    fn start(&mut self, number: usize, task: Task<T>) {
        let since = Instant::now();
        let deadline = since + self.limits.timeout;
        let until = deadline + self.limits.grace;
        let outbox = self.outbox.clone();
        let deadline = Deadline::at(deadline).or_alarm(&self.alarm);
        let work = Box::new(move || {
            let run = AssertUnwindSafe(|| (task.run)(&deadline));
            let end =
                catch_unwind(run).map_or_else(|panic| End::Panicked(text_of(&*panic)), End::Done);
            // Nobody receives when this task was given up.
            drop(outbox.send(Message::Ended { task: number, end }));
        });
        let thread = match self.give(work) {
            Ok(thread) => Some(thread),
            Err(error) => {
                let remedy = exhaustion_remedy(&error).map(|remedy| format!("; {remedy}"));
                let remedy = remedy.unwrap_or_default();
                let end = End::NotStarted(format!("no thread could be started: {error}{remedy}"));
                drop(self.outbox.send(Message::Ended { task: number, end }));
                None
            }
        };
        let slow = self.limits.slow_after;
        self.running.insert(number, Running { thread, since, until, slow });
    }

    /// Gives work to a thread that waits, or to a new one.
    fn give(&mut self, mut work: Work) -> io::Result<Sender<Work>> {
        while let Some(thread) = self.idle.pop() {
            match thread.send(work) {
                Ok(()) => return Ok(thread),
                Err(SendError(unsent)) => work = unsent,
            }
        }
        let (thread, inbox) = channel::<Work>();
        let live = move || inbox.into_iter().for_each(|work| work());
        thread::Builder::new().name("case".to_owned()).spawn(live)?;
        match thread.send(work) {
            Ok(()) => Ok(thread),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits for the next thing to say; nothing when no task runs.
    fn next_signal(&mut self) -> Option<Signal<T>> {
        loop {
            let (until, first, due) = self
                .running
                .iter()
                .map(|(task, running)| (running.next(), *task))
                .map(|((at, due), task)| (at, task, due))
                .min()?;
            match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                // A task that was given up may still end; it has been reported.
                Ok(Message::Ended { task, end }) => {
                    let thread = self.running.get_mut(&task).and_then(|one| one.thread.take());
                    self.idle.extend(thread);
                    if let Some(signal) = self.end(task, end) {
                        return Some(signal);
                    }
                }
                Ok(Message::Interrupt) if self.interrupted => {}
                Ok(Message::Interrupt) => return Some(self.interrupt()),
                Err(RecvTimeoutError::Timeout) if due == Due::Slow => {
                    if let Some(signal) = self.slow(first) {
                        return Some(signal);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return self.end(first, End::Hung),
                Err(RecvTimeoutError::Disconnected) => unreachable!("the pool holds a sender"),
            }
        }
    }

    fn slow(&mut self, task: usize) -> Option<Signal<T>> {
        let after = self.limits.slow_after?;
        let slow = &mut self.running.get_mut(&task)?.slow;
        let running = (*slow)?;
        *slow = running.checked_add(after);
        Some(Signal::Slow { task, running })
    }

    fn end(&mut self, task: usize, end: End<T>) -> Option<Signal<T>> {
        let running = self.running.remove(&task)?;
        Some(Signal::Ended { task, end, duration: running.since.elapsed() })
    }

    fn interrupt(&mut self) -> Signal<T> {
        self.interrupted = true;
        self.alarm.raise();
        let last = Instant::now() + self.limits.grace;
        for running in self.running.values_mut() {
            running.until = running.until.min(last);
        }
        Signal::Interrupted { running: self.running.len() }
    }
}

impl Flow {
    fn and(self, other: Self) -> Self {
        if self == Self::Go { other } else { Self::Stop }
    }
}

/// What a panic says: `panic!` carries a `&str` or a `String`.
fn text_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn limits(jobs: usize) -> Limits {
        Limits {
            jobs: NonZeroUsize::new(jobs).unwrap(),
            timeout: Duration::from_secs(600),
            slow_after: None,
            grace: Duration::ZERO,
            eager: false,
        }
    }

    fn task<T>(run: impl FnOnce(&Deadline) -> T + Send + 'static) -> Task<T> {
        Task { run: Box::new(run) }
    }

    fn ends<T: Send + 'static>(
        pool: Pool<T>,
        tasks: Vec<Task<T>>,
        flow: Flow,
    ) -> Vec<(usize, End<T>)> {
        let mut ends = Vec::new();
        pool.run(tasks, |signal| {
            if let Signal::Ended { task, end, .. } = signal {
                ends.push((task, end));
                return flow;
            }
            Flow::Go
        });
        ends
    }

    #[test]
    fn one_job_runs_the_tasks_in_order() {
        let tasks = (0..3).map(|number| task(move |_| number)).collect();
        let ends = ends(Pool::new(limits(1)).unwrap(), tasks, Flow::Go);
        assert_eq!(ends, [(0, End::Done(0)), (1, End::Done(1)), (2, End::Done(2))]);
    }

    #[test]
    fn as_many_tasks_as_jobs_run_at_once_and_no_more() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let together = Arc::new(Barrier::new(3));
        let tasks = (0..6)
            .map(|_| {
                let (now, most, together) = (now.clone(), most.clone(), together.clone());
                task(move |_| {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    together.wait();
                    now.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        assert_eq!(ends(Pool::new(limits(3)).unwrap(), tasks, Flow::Go).len(), 6);
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_panic_is_an_end_and_the_next_task_runs() {
        let tasks = vec![task(|_| panic!("the {} broke", "invariant")), task(|_| 1)];
        let ends = ends(Pool::new(limits(1)).unwrap(), tasks, Flow::Go);
        assert_eq!(ends, [(0, End::Panicked("the invariant broke".into())), (1, End::Done(1))]);
    }

    #[test]
    fn a_task_that_never_ends_is_given_up_and_its_place_is_free() {
        let (release, held) = channel::<()>();
        let tasks = vec![task(move |_| assert!(held.recv().is_err())), task(|_| ())];
        let limits = Limits { timeout: Duration::from_millis(20), ..limits(1) };
        let ends = ends(Pool::new(limits).unwrap(), tasks, Flow::Go);
        assert_eq!(ends.first(), Some(&(0, End::Hung)));
        assert_eq!(ends.len(), 2);
        drop(release);
    }

    #[test]
    fn a_task_that_is_slow_is_told_again_and_again_until_it_ends() {
        let (release, held) = channel::<()>();
        let slow_after = Duration::from_millis(1);
        let limits = Limits { slow_after: Some(slow_after), ..limits(1) };
        let mut release = Some(release);
        let mut told = Vec::new();
        let tasks = vec![task(move |_| assert!(held.recv().is_err()))];
        Pool::new(limits).unwrap().run(tasks, |signal| {
            if let Signal::Slow { task, running } = signal {
                told.push((task, running));
                if told.len() == 3 {
                    drop(release.take());
                }
            }
            Flow::Go
        });
        let expected = [(0, slow_after), (0, 2 * slow_after), (0, 3 * slow_after)];
        assert_eq!(told[..3], expected);
    }

    #[test]
    fn a_thread_takes_the_next_task_also_after_a_panic() {
        let id = || thread::current().id();
        let tasks =
            vec![task(move |_| Some(id())), task(|_| panic!("no")), task(move |_| Some(id()))];
        let ends = ends(Pool::new(limits(1)).unwrap(), tasks, Flow::Go);
        let [(_, End::Done(first)), (_, End::Panicked(_)), (_, End::Done(last))] = &ends[..] else {
            panic!("{ends:?}");
        };
        assert_eq!(first, last);
    }

    #[test]
    fn an_eager_pool_starts_the_next_task_first() {
        let tasks: Vec<_> = (0..2).map(|number| task(move |_| number)).collect();
        let mut told = Vec::new();
        Pool::new(Limits { eager: true, ..limits(1) }).unwrap().run(tasks, |signal| {
            told.push(match signal {
                Signal::Started(task) => format!("started {task}"),
                Signal::Ended { task, .. } => format!("ended {task}"),
                other => format!("{other:?}"),
            });
            Flow::Go
        });
        assert_eq!(told, ["started 0", "started 1", "ended 0", "ended 1"]);
    }

    #[test]
    fn nothing_begins_after_a_stop() {
        let tasks = (0..3).map(|number| task(move |_| number)).collect();
        assert_eq!(ends(Pool::new(limits(1)).unwrap(), tasks, Flow::Stop), [(0, End::Done(0))]);
    }

    #[test]
    fn an_interrupt_is_said_once_and_gives_up_what_does_not_end() {
        let pool = Pool::new(limits(1)).unwrap();
        let interrupt = pool.interrupter();
        let (release, held) = channel::<()>();
        let tasks = vec![
            task(move |_| {
                interrupt();
                interrupt();
                assert!(held.recv().is_err());
            }),
            task(|_| ()),
        ];
        let mut signals = Vec::new();
        pool.run(tasks, |signal| {
            signals.push(match signal {
                Signal::Started(task) => format!("started {task}"),
                Signal::Ended { task, end, .. } => format!("{task} {end:?}"),
                Signal::Slow { task, .. } => format!("{task} slow"),
                Signal::Interrupted { running } => format!("interrupted {running}"),
            });
            Flow::Go
        });
        assert_eq!(signals, ["started 0", "interrupted 1", "0 Hung"]);
        drop(release);
    }

    #[test]
    fn an_interrupt_makes_every_deadline_pass() {
        let pool = Pool::new(Limits { grace: Duration::from_secs(600), ..limits(1) }).unwrap();
        let interrupt = pool.interrupter();
        let tasks = vec![task(move |deadline: &Deadline| {
            let before = deadline.passed();
            interrupt();
            let mut waiting = [PollFd::new(deadline.alarm().unwrap(), PollFlags::POLLIN)];
            poll(&mut waiting, PollTimeout::NONE).unwrap();
            (before, deadline.passed())
        })];
        assert_eq!(ends(pool, tasks, Flow::Go), [(0, End::Done((false, true)))]);
    }

    #[test]
    fn a_task_is_told_its_deadline() {
        let tasks = vec![task(|deadline: &Deadline| deadline.passed())];
        let limits =
            Limits { timeout: Duration::ZERO, grace: Duration::from_secs(600), ..limits(1) };
        assert_eq!(ends(Pool::new(limits).unwrap(), tasks, Flow::Go), [(0, End::Done(true))]);
    }
}
