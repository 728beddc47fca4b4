//! Threads that take their work from one queue. The pool puts it there, also a little ahead of their
//! asking, and hears what became of it.

use std::{
    any::Any,
    collections::{BTreeSet, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc::Sender},
    thread,
    time::Instant,
};

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

/// What the pool hears.
pub(super) enum Message<T> {
    /// A task is over. What its thread took next is known by now.
    Ended {
        task: usize,
        end: End<T>,
    },
    /// A thread that had nothing to do has taken a task of which the pool does not know yet.
    Taken,
    Interrupt,
}

/// A task that waits for a thread.
pub(super) struct Job<T> {
    pub(super) task: usize,
    /// When it began, as the pool has it, where it knows that a thread is there for it.
    pub(super) since: Option<Instant>,
    /// Is given when it begins.
    pub(super) run: Box<dyn FnOnce(Instant) -> T + Send>,
}

/// The threads, and the queue in front of them.
pub(super) struct Threads<T> {
    shared: Arc<Shared<T>>,
    outbox: Sender<Message<T>>,
    /// Those that have not been given up.
    count: usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    more: Condvar,
}

struct State<T> {
    queue: VecDeque<Job<T>>,
    /// Tasks that threads have taken and of which the pool does not know yet, and when.
    taken: Vec<(usize, Instant)>,
    /// Tasks whose threads were given up.
    lost: BTreeSet<usize>,
    /// Threads that wait.
    idle: usize,
    /// Nothing comes any more.
    closed: bool,
}

impl<T> State<T> {
    /// The next job and when it begins; whether the pool does not know of it.
    fn take(&mut self) -> Option<(Job<T>, Instant, bool)> {
        let job = self.queue.pop_front()?;
        let since = job.since.unwrap_or_else(Instant::now);
        let is_news = job.since.is_none();
        if is_news {
            self.taken.push((job.task, since));
        }
        Some((job, since, is_news))
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Threads<T> {
    /// None yet; they tell `outbox`.
    pub(super) fn new(outbox: Sender<Message<T>>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            taken: Vec::new(),
            lost: BTreeSet::new(),
            idle: 0,
            closed: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), more: Condvar::new() });
        Self { shared, outbox, count: 0 }
    }

    /// Puts a job at the end of the queue.
    pub(super) fn put(&self, job: Job<T>) {
        self.shared.state().queue.push_back(job);
        self.shared.more.notify_one();
    }

    /// Sees to it that somebody takes one job more than wait, with `most` threads at most.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn make_ready(&mut self, most: usize) -> io::Result<()> {
        let is_ready = {
            let state = self.shared.state();
            state.idle > state.queue.len()
        };
        if is_ready || self.count >= most {
            return Ok(());
        }
        let (shared, outbox) = (Arc::clone(&self.shared), self.outbox.clone());
        thread::Builder::new().name("case".to_owned()).spawn(move || live(&shared, &outbox))?;
        self.count += 1;
        Ok(())
    }

    /// The tasks that threads have taken by themselves since this was last asked, and when.
    pub(super) fn taken(&self) -> Vec<(usize, Instant)> {
        std::mem::take(&mut self.shared.state().taken)
    }

    /// Takes the jobs back that were put ahead and that nobody has taken; how many.
    pub(super) fn withdraw(&self) -> usize {
        let mut state = self.shared.state();
        let before = state.queue.len();
        state.queue.retain(|job| job.since.is_some());
        before - state.queue.len()
    }

    /// Whether nobody is there to take anything.
    pub(super) const fn are_gone(&self) -> bool {
        self.count == 0
    }

    /// Gives the thread up that works at a task: when it ends, it takes no other.
    pub(super) fn give_up(&mut self, task: usize) {
        self.shared.state().lost.insert(task);
        self.count = self.count.saturating_sub(1);
    }
}

impl<T> Drop for Threads<T> {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.more.notify_all();
    }
}

/// What a thread does. The next job is taken before the end of the last is told, so that whoever hears of
/// that can know of the next.
fn live<T>(shared: &Shared<T>, outbox: &Sender<Message<T>>) {
    let mut last: Option<(usize, End<T>)> = None;
    loop {
        let next = {
            let mut state = shared.state();
            let lost = last.as_ref().is_some_and(|(task, _)| state.lost.remove(task));
            if lost || state.closed {
                return tell(outbox, last);
            }
            state.take()
        };
        tell(outbox, last.take());
        let Some((job, since, _)) = next.or_else(|| wait(shared, outbox)) else {
            return;
        };
        let run = AssertUnwindSafe(|| (job.run)(since));
        let end = catch_unwind(run).map_or_else(|panic| End::Panicked(text_of(&*panic)), End::Done);
        last = Some((job.task, end));
    }
}

/// Nobody hears it when the pool is gone.
fn tell<T>(outbox: &Sender<Message<T>>, ended: Option<(usize, End<T>)>) {
    if let Some((task, end)) = ended {
        drop(outbox.send(Message::Ended { task, end }));
    }
}

/// Waits for a job; none when there will be no more.
fn wait<T>(shared: &Shared<T>, outbox: &Sender<Message<T>>) -> Option<(Job<T>, Instant, bool)> {
    let mut state = shared.state();
    state.idle += 1;
    let nothing = |state: &mut State<T>| state.queue.is_empty() && !state.closed;
    state = shared.more.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
    state.idle -= 1;
    if state.closed {
        return None;
    }
    let taken = state.take();
    drop(state);
    if matches!(taken, Some((.., true))) {
        drop(outbox.send(Message::Taken));
    }
    taken
}

/// What a panic says: `panic!` carries a `&str` or a `String`.
fn text_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
