//! Whether QEMU's threads have anything left to do, as `/proc` shows it. The QEMU world asks before
//! it takes a step for settled.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use nix::libc::SYS_ppoll;

use super::{LONGEST_COMMAND, process::Process};

mod task;

use task::{Thread, WaitSite, field};

/// How often a napping thread must have gone to sleep again before its write is sure to have been
/// retried: an iothread may be woken once for something else.
const TRIES: u64 = 2;

/// What processes were seen doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// A thread runs, or may; the first look.
    Busy(Naps),
    /// There was an instant at which every thread of every process waited for an event.
    Idle,
    /// All threads waited, apart from threads that nap and main threads that are away. A thread
    /// that naps, a main thread or an iothread, is in a write to a chardev without room, which is
    /// retried every 100 µs (QEMU 7.2.22 `net/filter-mirror.c`, `filter_send`; `chardev/char.c`,
    /// `qemu_chr_write_buffer`, which sets a timer if it runs in a coroutine). A main thread waits
    /// for that in ppoll(2), since 11.1 in io_uring_enter(2). A main thread that
    /// is away waits for another thread, as `object-del` of a colo-compare does for its iothread.
    Napping(Naps),
}

/// All threads, some of which nap or are away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naps(Vec<Scan>);

/// What the names of QEMU's iothreads begin with. Its RCU thread has no name and sleeps for reasons
/// of its own (`debug-threads=on`; QEMU 7.2.22 `iothread.c`).
const IOTHREAD: &str = "IO ";

/// The threads of a process.
#[derive(Debug)]
pub(super) struct Threads {
    main: String,
    tasks: PathBuf,
    /// Where in its stack the main thread waits in its main loop.
    home: u64,
}

type Scan = BTreeMap<String, Thread>;

impl Threads {
    /// The threads of a process that has nothing to do but what it is doing: its main thread waits
    /// in its main loop, or soon will.
    ///
    /// # Errors
    /// When the kernel does not let us look, or the process ends; [`io::ErrorKind::TimedOut`] when
    /// its main thread never waits, as QEMU's does.
    fn of(process: u32, until: Instant) -> io::Result<Self> {
        let main = process.to_string();
        let mut threads =
            Self { tasks: Path::new("/proc").join(&main).join("task"), main, home: 0 };
        loop {
            let seen = threads.scan()?;
            let main = seen.get(&threads.main).ok_or(io::ErrorKind::NotFound)?;
            let polls = |site: &WaitSite| main.waits && site.call == SYS_ppoll;
            if let Some(site) = main.site.filter(polls) {
                threads.home = site.stack;
                return Ok(threads);
            }
            if Instant::now() >= until {
                let text = format!("process {process} does not wait for events as QEMU does");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            thread::yield_now();
        }
    }

    /// Those of a QEMU that has answered.
    ///
    /// # Errors
    /// See [`Threads::of`]; [`io::ErrorKind::NotFound`] if the kernel did not report who answered.
    pub(super) fn of_qemu(process: &Process) -> io::Result<Self> {
        let id = process.id().ok_or(io::ErrorKind::NotFound)?;
        Self::of(id, Instant::now() + LONGEST_COMMAND)
    }

    /// How often the main thread has called read(2) so far, whatever came of it (proc_pid_io(5),
    /// `syscr`); 0 for a process that has ended.
    pub(super) fn reads(&self) -> u64 {
        let io = fs::read_to_string(self.tasks.join(&self.main).join("io"));
        field(&io.unwrap_or_default(), "syscr:").parse().unwrap_or_default()
    }

    /// Each thread, one after the other; none for a process that has ended.
    fn scan(&self) -> io::Result<Scan> {
        let mut seen = Scan::new();
        let Some(tasks) = unless_gone(fs::read_dir(&self.tasks))? else {
            return Ok(seen);
        };
        for task in tasks {
            let Some(task) = unless_gone(task)? else {
                continue;
            };
            let status = unless_gone(fs::read_to_string(task.path().join("status")))?;
            let syscall = match fs::read_to_string(task.path().join("syscall")) {
                Err(error) if is_refused_by_the_dying(&error, &task.path()) => None,
                read => unless_gone(read)?,
            };
            if let Some((status, syscall)) = status.zip(syscall) {
                let name = task.file_name().to_string_lossy().into_owned();
                let mut thread = Thread::read(&status, &syscall);
                if let Some(site) = &mut thread.site {
                    if name == self.main {
                        thread.away = !site.is_home(self.home);
                        thread.naps = thread.away && site.is_limited();
                    } else {
                        let named = field(&status, "Name:").starts_with(IOTHREAD);
                        if let Some(limit) = site.limit.filter(|_| named) {
                            let read = unless_gone(read_memory(&task.path(), limit))?;
                            read.into_iter().for_each(|bytes| site.look_at_limit(bytes));
                        }
                        thread.naps = named && site.ends_soon();
                        thread.pauses = !named && site.is_sleep();
                    }
                }
                seen.insert(name, thread);
            }
        }
        Ok(seen)
    }
}

/// What these processes do. All are looked at twice: where no thread ran in between, all waited at
/// once.
///
/// # Errors
/// When the kernel does not let us look: see ptrace(2), `PTRACE_MODE_ATTACH_REALCREDS`.
pub(super) fn look<'a>(processes: impl Iterator<Item = &'a Threads> + Clone) -> io::Result<Rest> {
    let scan = || processes.clone().map(Threads::scan).collect::<io::Result<Vec<_>>>();
    let first = scan()?;
    let first = Naps(first);
    if first.0.iter().any(BTreeMap::is_empty) || first.any(|thread| !thread.waits) {
        return Ok(Rest::Busy(first));
    }
    // A main thread may wait for one that pauses, and then continues without any event.
    let waits_for_a_pause = |scan: &Scan| {
        scan.values().any(|thread| thread.away) && scan.values().any(|thread| thread.pauses)
    };
    if first.0.iter().any(waits_for_a_pause) {
        return Ok(Rest::Busy(first));
    }
    let second = Naps(scan()?);
    Ok(match first.since(&second, |then, now| now >= then) {
        false => Rest::Busy(first),
        true if first.any(|thread| thread.naps || thread.away) => Rest::Napping(first),
        true => Rest::Idle,
    })
}

impl Naps {
    /// Whether the threads that nap have all tried again since, and nap once more, and no other
    /// thread has run.
    pub(super) fn all_tried_again(&self, now: &Self) -> bool {
        self.since(now, |then, now| now >= then + TRIES)
    }

    /// Whether no other thread has run.
    pub(super) fn alone(&self, now: &Self) -> bool {
        self.since(now, |then, now| now >= then)
    }

    /// Whether the main thread is away, for each process in the order of [`look`].
    pub(super) fn away(&self) -> impl Iterator<Item = bool> {
        let away = |scan: &Scan| scan.values().any(|thread| thread.away);
        self.0.iter().map(away)
    }

    /// Whether a thread went round this often: an iothread that polls for room in a chardev hardly
    /// ever waits. Requires [`Naps::goes_on`].
    pub(super) fn turned(&self, now: &Self, rounds: u64) -> bool {
        let mut scans = self.0.iter().zip(&now.0);
        scans.any(|(then, now)| {
            let mut threads = then.values().zip(now.values());
            threads.any(|(then, now)| then.turned(now, rounds))
        })
    }

    /// For each process, whether its main thread has waited all the time for another, while the
    /// threads that ran went round `rounds` times. Requires [`Naps::goes_on`].
    pub(super) fn stuck<'a>(&'a self, now: &'a Self, rounds: u64) -> impl Iterator<Item = bool> {
        let is_stuck = move |(then, now): (&Scan, &Scan)| {
            let still = |(then, now): (&Thread, &Thread)| {
                then == now && now.waits || then.turned(now, rounds)
            };
            let waits = now.values().any(|thread| thread.away && !thread.naps);
            waits && then.values().zip(now.values()).all(still)
        };
        self.0.iter().zip(&now.0).map(is_stuck)
    }

    /// Whether the same threads live, and the same main threads are away as they were.
    pub(super) fn goes_on(&self, now: &Self) -> bool {
        let same = |(then, now): (&Thread, &Thread)| then == now || !then.away && !now.away;
        let threads = |(then, now): (&Scan, &Scan)| {
            then.keys().eq(now.keys()) && then.values().zip(now.values()).all(same)
        };
        self.0.len() == now.0.len() && self.0.iter().zip(&now.0).all(threads)
    }

    fn any(&self, is: impl Fn(&Thread) -> bool) -> bool {
        self.0.iter().flat_map(BTreeMap::values).any(is)
    }

    /// Whether threads are unchanged, apart from those that nap and for which `so` holds.
    fn since(&self, now: &Self, so: impl Fn(u64, u64) -> bool) -> bool {
        let same = |(then, now): (&Thread, &Thread)| {
            let Thread { switches, .. } = *if then.naps { now } else { then };
            Thread { switches, ..*then } == *now && (!then.naps || so(then.switches, switches))
        };
        let threads = |(then, now): (&Scan, &Scan)| {
            then.keys().eq(now.keys()) && then.values().zip(now.values()).all(same)
        };
        self.0.len() == now.0.len() && self.0.iter().zip(&now.0).all(threads)
    }
}

/// What lies at an address in a thread's memory (proc_pid_mem(5)); nothing where it has gone on and
/// the address is no longer mapped.
fn read_memory(task: &Path, address: u64) -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    match File::open(task.join("mem"))?.read_exact_at(&mut bytes, address) {
        Err(error)
            if error.raw_os_error() == Some(nix::libc::EIO)
                || error.kind() == io::ErrorKind::UnexpectedEof =>
        {
            Err(io::ErrorKind::NotFound.into())
        }
        read => read.map(|()| bytes),
    }
}

/// Only root of the host may read what a thread does that is ending and has no memory any more.
fn is_refused_by_the_dying(error: &io::Error, task: &Path) -> bool {
    let has_memory = |status: String| status.contains("\nVmSize:");
    error.kind() == io::ErrorKind::PermissionDenied
        && !fs::read_to_string(task.join("status")).is_ok_and(has_memory)
}

/// A thread may end while it is looked at.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn who_never_waits_for_events_is_not_waited_for_longer_than_that() {
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let late = Threads::of(child.id(), Instant::now()).unwrap_err();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert!(late.to_string().contains(&child.id().to_string()), "{late}");
    }

    #[test]
    fn who_waits_elsewhere_than_at_home_is_away_and_who_ended_does_not_rest() {
        let mut command = Command::new("cat");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let id = child.id();
        let threads = |main: &str| Threads {
            main: main.to_owned(),
            tasks: format!("/proc/{id}/task").into(),
            home: 0,
        };
        // It waits in read: as a main thread it is away, as another one it rests.
        let (main, other) = (threads(&id.to_string()), threads("none"));
        while look([&other].into_iter()).unwrap() != Rest::Idle {
            thread::yield_now();
        }
        let Rest::Napping(naps) = look([&other, &main].into_iter()).unwrap() else {
            panic!("one of them is away");
        };
        assert!(naps.away().eq([false, true]));
        assert!(naps.all_tried_again(&naps), "it does not try again");
        let mut later = naps.clone();
        let mut naps = naps;
        for scan in [&mut naps.0[1], &mut later.0[1]] {
            scan.values_mut().for_each(|thread| thread.naps = true);
        }
        assert!(naps.alone(&later) && !naps.all_tried_again(&later));
        later.0[1].values_mut().for_each(|thread| thread.switches += TRIES);
        assert!(naps.all_tried_again(&later));
        later.0[0].values_mut().for_each(|thread| thread.switches += 1);
        assert!(!naps.alone(&later) && !naps.all_tried_again(&later));
        assert!(naps.stuck(&naps, 9).eq([false, false]), "it tries again");
        naps.0[1].values_mut().for_each(|thread| thread.naps = false);
        let mut later = naps.clone();
        let mut iothread = *naps.0[0].values().next().unwrap();
        naps.0[1].insert("IO".to_owned(), iothread);
        iothread.switches += 8;
        later.0[1].insert("IO".to_owned(), iothread);
        assert!(naps.stuck(&later, 9).eq([false, false]), "it may go on");
        iothread.switches += 1;
        later.0[1].insert("IO".to_owned(), iothread);
        assert!(naps.stuck(&later, 9).eq([false, true]));
        assert!(naps.turned(&later, 9) && !naps.turned(&naps, 9));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(matches!(look([&main].into_iter()).unwrap(), Rest::Busy(_)));
    }
}
