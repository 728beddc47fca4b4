//! Tasks with deadlines on a few threads. A thread that has ended its task takes the next; one that
//! does not end its task is given up, and another takes its place.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

pub(super) use super::threads::End;
use super::threads::{Job, Message, Threads};
use crate::{
    backend::{Alarm, Deadline},
    sys::exhaustion_remedy,
};

/// What runs on a thread.
pub(super) struct Task<T> {
    /// Ends of itself at the deadline, which an interrupt makes pass, or soon after.
    pub(super) run: Box<dyn FnOnce(&Deadline) -> T + Send>,
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
    /// The next task begins before the listener has heard of the end of the last, and threads find the
    /// next ones without asking: where the listener never has enough.
    pub(super) eager: bool,
}

/// Tasks that wait for each thread of an eager pool.
const AHEAD: usize = 2;

/// Runs tasks on threads, and tells one listener in one order.
pub(super) struct Pool<T> {
    limits: Limits,
    threads: Threads<T>,
    outbox: Sender<Message<T>>,
    inbox: Receiver<Message<T>>,
    running: BTreeMap<usize, Running>,
    /// How many tasks were put ahead and have not begun, as far as is known here.
    ahead: usize,
    /// What is to be told before anything else happens.
    signals: VecDeque<Signal<T>>,
    interrupted: bool,
    /// Raised by an interrupt: every task's deadline has it.
    alarm: Arc<Alarm>,
}

struct Running {
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
            threads: Threads::new(outbox.clone()),
            outbox,
            inbox,
            running: BTreeMap::new(),
            ahead: 0,
            signals: VecDeque::new(),
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
            if flow == Flow::Stop {
                self.ahead -= self.threads.withdraw();
            }
        }
    }

    /// Starts tasks until there are as many as may run, and puts some ahead in an eager pool.
    fn fill(
        &mut self,
        waiting: &mut impl Iterator<Item = (usize, Task<T>)>,
        listener: &mut impl FnMut(Signal<T>) -> Flow,
        mut flow: Flow,
    ) -> Flow {
        let jobs = self.limits.jobs.get();
        let ahead = if self.limits.eager { AHEAD * jobs } else { 0 };
        while flow == Flow::Go && self.running.len() + self.ahead < jobs + ahead {
            let Some((number, task)) = waiting.next() else {
                break;
            };
            // What was put ahead goes before.
            if self.ahead == 0 && self.running.len() < jobs {
                flow = flow.and(listener(Signal::Started(number)));
                self.start(number, task);
            } else {
                self.threads.put(self.job(number, task, None));
                self.ahead += 1;
            }
        }
        flow
    }

    fn job(&self, task: usize, Task { run }: Task<T>, since: Option<Instant>) -> Job<T> {
        let (timeout, alarm) = (self.limits.timeout, Arc::clone(&self.alarm));
        let run = move |since: Instant| run(&Deadline::at(since + timeout).or_alarm(&alarm));
        Job { task, since, run: Box::new(run) }
    }

    fn start(&mut self, number: usize, task: Task<T>) {
        let since = Instant::now();
        match self.threads.make_ready(self.limits.jobs.get()) {
            Ok(()) => self.threads.put(self.job(number, task, Some(since))),
            Err(error) => {
                let remedy = exhaustion_remedy(&error).map(|remedy| format!("; {remedy}"));
                let remedy = remedy.unwrap_or_default();
                let end = End::NotStarted(format!("no thread could be started: {error}{remedy}"));
                drop(self.outbox.send(Message::Ended { task: number, end }));
            }
        }
        self.run_since(number, since);
    }

    fn run_since(&mut self, task: usize, since: Instant) {
        let until = since + self.limits.timeout + self.limits.grace;
        self.running.insert(task, Running { since, until, slow: self.limits.slow_after });
    }

    /// Takes note of the tasks that were put ahead and that threads have taken.
    fn note_taken(&mut self) {
        for (task, since) in self.threads.taken() {
            self.ahead -= 1;
            self.run_since(task, since);
            self.signals.push_back(Signal::Started(task));
        }
    }

    /// Waits for the next thing to say; nothing when no task runs.
    fn next_signal(&mut self) -> Option<Signal<T>> {
        loop {
            if let Some(signal) = self.signals.pop_front() {
                return Some(signal);
            }
            let next = self.running.iter().map(|(task, running)| (running.next(), *task)).min();
            let received = match next {
                Some(((at, _), _)) => {
                    self.inbox.recv_timeout(at.saturating_duration_since(Instant::now()))
                }
                // A thread that has nothing to do is about to take it.
                None if self.ahead > 0 && !self.threads.are_gone() => {
                    self.inbox.recv().map_err(Into::into)
                }
                None => return None,
            };
            let signal = match (received, next) {
                // A task that was given up may still end; it has been reported.
                (Ok(Message::Ended { task, end }), _) => {
                    self.note_taken();
                    self.end(task, end)
                }
                (Ok(Message::Taken), _) => {
                    self.note_taken();
                    None
                }
                (Ok(Message::Interrupt), _) if self.interrupted => None,
                (Ok(Message::Interrupt), _) => Some(self.interrupt()),
                (Err(RecvTimeoutError::Timeout), Some(((_, Due::Slow), task))) => self.slow(task),
                (Err(RecvTimeoutError::Timeout), Some(((_, Due::End), task))) => {
                    self.give_up(task);
                    self.end(task, End::Hung)
                }
                (Err(_), _) => unreachable!("the pool holds a sender, and waits for what it knows"),
            };
            self.signals.extend(signal);
        }
    }

    /// Goes on without the thread of a task; another takes what was put ahead.
    fn give_up(&mut self, task: usize) {
        self.threads.give_up(task);
        if self.ahead > 0 {
            // Where there is none to be had, those that are there take it.
            _ = self.threads.make_ready(self.limits.jobs.get());
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
        self.ahead -= self.threads.withdraw();
        self.note_taken();
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

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
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
    fn an_eager_pool_runs_every_task_once_however_many_hang() {
        let (release, held) = channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let tasks: Vec<_> = (0..60)
            .map(|number| {
                let held = Arc::clone(&held);
                task(move |_| {
                    if number % 20 == 7 {
                        drop(held.lock().map(|held| held.recv()));
                    }
                    number
                })
            })
            .collect();
        let limits = Limits { timeout: Duration::from_secs(1), eager: true, ..limits(2) };
        let (mut started, mut ended) = (Vec::new(), BTreeMap::new());
        Pool::new(limits).unwrap().run(tasks, |signal| {
            match signal {
                Signal::Started(task) => started.push(task),
                Signal::Ended { task, end, .. } => {
                    assert!(started.contains(&task));
                    assert!(ended.insert(task, end).is_none());
                }
                other => panic!("{other:?}"),
            }
            Flow::Go
        });
        started.sort_unstable();
        assert_eq!(started, (0..60).collect::<Vec<_>>());
        for (task, end) in &ended {
            let expected = if task % 20 == 7 { End::Hung } else { End::Done(*task) };
            assert_eq!((*task, end), (*task, &expected));
        }
        drop(release);
    }

    #[test]
    fn what_was_put_ahead_does_not_begin_after_an_interrupt() {
        let pool = Pool::new(Limits { eager: true, ..limits(1) }).unwrap();
        let interrupt = pool.interrupter();
        let first = task(move |deadline: &Deadline| {
            interrupt();
            let mut waiting = [PollFd::new(deadline.alarm().unwrap(), PollFlags::POLLIN)];
            poll(&mut waiting, PollTimeout::NONE).unwrap();
        });
        let others = (0..8).map(|_| task(|_| ()));
        let mut started = 0;
        pool.run(std::iter::once(first).chain(others), |signal| {
            started += usize::from(matches!(signal, Signal::Started(_)));
            Flow::Go
        });
        assert_eq!(started, 1);
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
