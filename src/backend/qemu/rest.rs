//! Whether QEMU's threads have anything to do, as the kernel tells it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    thread,
};

#[cfg(target_arch = "x86_64")]
use nix::libc::SYS_poll;
use nix::libc::{SYS_clock_nanosleep, SYS_nanosleep, SYS_ppoll, c_long};

/// poll(2), by which an iothread with a context of GLib's waits. Other architectures have none: GLib
/// waits by ppoll(2) there, whose arguments do not show for how long.
#[cfg(target_arch = "x86_64")]
const POLL: Option<c_long> = Some(SYS_poll);
#[cfg(not(target_arch = "x86_64"))]
const POLL: Option<c_long> = None;

/// The milliseconds that 100 µs are rounded up to at most.
const SOON: u64 = 2;

/// How often who naps must have gone to sleep again until what it does is sure to have been tried
/// again: an iothread may be woken once for something else.
const TRIES: u64 = 2;

/// How much deeper in its stack than in its main loop a main thread waits when it does so elsewhere.
/// Measured on Debian's QEMU 7.2.22: 992 bytes at least; where its main loop itself waits with and
/// without a time limit differs by less than 256.
const DEEPER: u64 = 512;

/// What processes were seen doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// A thread runs, or may; the first look.
    Busy(Naps),
    /// There was an instant at which every thread of every process waited for an event.
    Idle,
    /// So it was, but for threads that nap and main threads that are away. Who naps is in a write to
    /// a chardev that has no room, which is tried again every 100 µs, in whatever way this QEMU does
    /// that (QEMU 7.2.22 `net/filter-mirror.c`, `filter_send`; `chardev/char.c`,
    /// `qemu_chr_write_buffer`, which sets a timer where it runs in a coroutine): a main thread, or an
    /// iothread. Which main thread is away waits for
    /// another thread, as `object-del` of a colo-compare does for its iothread.
    Napping(Naps),
}

/// All threads, of which some nap or are away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naps(Vec<Scan>);

/// What QEMU's iothreads are named with, so that they are told from its thread of RCU, which has no
/// name of its own and sleeps for reasons of its own (`debug-threads=on`; QEMU 7.2.22 `iothread.c`).
const IOTHREAD: &str = "IO ";

/// The threads of a process.
#[derive(Debug)]
pub(super) struct Threads {
    main: String,
    tasks: PathBuf,
    /// Where in its stack the main thread waits in its main loop.
    home: u64,
}

/// What a thread was seen doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Thread {
    /// State S of proc_pid_stat(5): it waits, and nothing has woken it.
    waits: bool,
    /// It will try again soon what it could not do.
    naps: bool,
    /// It is a main thread that waits elsewhere than in its main loop.
    away: bool,
    /// It is neither a main thread nor an iothread, and sleeps for a while.
    pauses: bool,
    /// How often it has given up its processor to wait.
    switches: u64,
    place: Option<Place>,
}

/// Where a thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The system call.
    call: c_long,
    /// For ppoll(2): until a time. For poll(2): until soon.
    timed: bool,
    stack: u64,
}

impl Place {
    /// Whether this is a main loop that would wait at `home`.
    fn is_home(self, home: u64) -> bool {
        self.call == SYS_ppoll && home.saturating_sub(self.stack) < DEEPER
    }

    const fn is_sleep(self) -> bool {
        self.call == SYS_nanosleep || self.call == SYS_clock_nanosleep
    }

    /// Whether this is an iothread that soon goes on by itself.
    fn ends_soon(self) -> bool {
        self.is_sleep() || Some(self.call) == POLL && self.timed
    }
}

type Scan = BTreeMap<String, Thread>;

impl Threads {
    /// The threads of a process that has nothing to do but what it is doing: its main thread waits
    /// in its main loop, or soon will.
    ///
    /// # Errors
    /// When the kernel does not let us look, or the process ends.
    pub(super) fn of(process: u32) -> io::Result<Self> {
        let main = process.to_string();
        let mut threads = Self {
            tasks: Path::new("/proc").join(&main).join("task"),
            main,
            home: 0,
        };
        loop {
            let seen = threads.scan()?;
            let main = seen.get(&threads.main).ok_or(io::ErrorKind::NotFound)?;
            let polls = |place: &Place| main.waits && place.call == SYS_ppoll;
            if let Some(place) = main.place.filter(polls) {
                threads.home = place.stack;
                return Ok(threads);
            }
            thread::yield_now();
        }
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
            let syscall = unless_gone(fs::read_to_string(task.path().join("syscall")))?;
            if let Some((status, syscall)) = status.zip(syscall) {
                let name = task.file_name().to_string_lossy().into_owned();
                let mut thread = Thread::read(&status, &syscall);
                if let Some(place) = thread.place {
                    if name == self.main {
                        thread.away = !place.is_home(self.home);
                        let limited = place.is_sleep() || place.call == SYS_ppoll && place.timed;
                        thread.naps = thread.away && limited;
                    } else {
                        let named = field(&status, "Name:").starts_with(IOTHREAD);
                        thread.naps = named && place.ends_soon();
                        thread.pauses = !named && place.is_sleep();
                    }
                }
                seen.insert(name, thread);
            }
        }
        Ok(seen)
    }
}

impl Thread {
    /// From the texts of its `status` and `syscall` in `/proc` (proc_pid_status(5),
    /// proc_pid_syscall(5)).
    fn read(status: &str, syscall: &str) -> Self {
        let words: Vec<&str> = syscall.split_whitespace().collect();
        let place = match words[..] {
            [number, .., stack, _] => number.parse().ok().zip(hexadecimal(stack)),
            _ => None,
        };
        let place = place.map(|(call, stack)| {
            let limit = words.get(3).and_then(|limit| hexadecimal(limit));
            let timed = match limit {
                Some(limit) if Some(call) == POLL => (1..=SOON).contains(&limit),
                limit => limit.is_some_and(|limit| limit != 0),
            };
            Place { call, timed, stack }
        });
        Self {
            waits: field(status, "State:").starts_with('S') && place.is_some(),
            naps: false,
            away: false,
            pauses: false,
            place,
            switches: field(status, "voluntary_ctxt_switches:")
                .parse()
                .unwrap_or_default(),
        }
    }

    const fn turned(&self, now: &Self, rounds: u64) -> bool {
        now.switches >= self.switches + rounds
    }
}

/// A field of a thread's `status`.
fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let mut lines = status.lines();
    lines
        .find_map(|line| line.strip_prefix(name))
        .map_or("", str::trim)
}

/// What these processes do. All are looked at twice: where no thread ran in between, all waited at
/// once.
///
/// # Errors
/// When the kernel does not let us look: see ptrace(2), `PTRACE_MODE_ATTACH_REALCREDS`.
pub(super) fn look<'a>(processes: impl Iterator<Item = &'a Threads> + Clone) -> io::Result<Rest> {
    let scan = || {
        processes
            .clone()
            .map(Threads::scan)
            .collect::<io::Result<Vec<_>>>()
    };
    let first = scan()?;
    let first = Naps(first);
    if first.0.iter().any(BTreeMap::is_empty) || first.any(|thread| !thread.waits) {
        return Ok(Rest::Busy(first));
    }
    // A main thread may wait for one that pauses, and it goes on by itself then.
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

    /// Of which processes, in the order of [`look`], the main thread is away.
    pub(super) fn away(&self) -> impl Iterator<Item = bool> {
        let away = |scan: &Scan| scan.values().any(|thread| thread.away);
        self.0.iter().map(away)
    }

    /// Whether a thread went round so often: an iothread that polls for room in a chardev hardly ever
    /// waits. Given that [`Naps::goes_on`].
    pub(super) fn turned(&self, now: &Self, rounds: u64) -> bool {
        let mut scans = self.0.iter().zip(&now.0);
        scans.any(|(then, now)| {
            let mut threads = then.values().zip(now.values());
            threads.any(|(then, now)| then.turned(now, rounds))
        })
    }

    /// Of which processes, given that [`Naps::goes_on`], the main thread has waited all the time
    /// for another, while those that ran went round `rounds` times.
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

    /// Whether threads are as they were, but for those that nap and of which `so` holds.
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

/// A number as `0x7ffc`.
fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
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

    use rstest::rstest;

    use super::*;

    const WAITING: &str = "Name:\tqemu\nState:\tS (sleeping)\nvoluntary_ctxt_switches:\t62\n";

    #[rstest]
    #[case::in_ppoll(WAITING, "271 0x5592b326f110 0x4 0x0 0x0 0x8 0x0 0x7ffc 0x7f22", true)]
    #[case::just_woken(WAITING, "running\n", false)]
    #[case::runs("State:\tR (running)\n", "271 0x0 0x7ffc 0x7f22", false)]
    #[case::stopped("State:\tt (tracing stop)\n", "271 0x0 0x7ffc 0x7f22", false)]
    fn a_thread(#[case] status: &str, #[case] syscall: &str, #[case] waits: bool) {
        let thread = Thread::read(status, syscall);
        assert_eq!(thread.waits, waits);
        if waits {
            let place = Place {
                call: 271,
                timed: false,
                stack: 0x7ffc,
            };
            assert_eq!((thread.switches, thread.place), (62, Some(place)));
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[rstest]
    #[case::a_write_that_found_no_room("0x1", true)]
    #[case::for_ever("0xffffffff", false)]
    #[case::a_timer_of_its_own("0xbb8", false)]
    #[case::not_at_all("0x0", false)]
    fn an_iothread(#[case] limit: &str, #[case] naps: bool) {
        let syscall = format!("7 0x7fc978001bd0 0x2 {limit} 0x0 0x0 0x0 0x7fc9 0x7fc9");
        let thread = Thread::read(WAITING, &syscall);
        assert_eq!(thread.place.map(Place::ends_soon), Some(naps));
    }

    #[rstest]
    #[case::the_loop(SYS_ppoll, true, 0x7000, true)]
    #[case::the_loop_without_timers(SYS_ppoll, false, 0x7040, true)]
    #[case::a_loop_in_a_filter(SYS_ppoll, true, 0x7000 - 992, false)]
    #[case::a_loop_in_a_command(SYS_ppoll, false, 0x7000 - 992, false)]
    #[case::a_sleep(230, true, 0x7000, false)]
    fn home(#[case] call: c_long, #[case] timed: bool, #[case] stack: u64, #[case] is: bool) {
        assert_eq!(Place { call, timed, stack }.is_home(0x7000), is);
    }

    #[test]
    fn who_waits_elsewhere_than_at_home_is_away_and_who_ended_does_not_rest() {
        let mut command = Command::new("cat");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
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
        later.0[1]
            .values_mut()
            .for_each(|thread| thread.switches += TRIES);
        assert!(naps.all_tried_again(&later));
        later.0[0]
            .values_mut()
            .for_each(|thread| thread.switches += 1);
        assert!(!naps.alone(&later) && !naps.all_tried_again(&later));
        assert!(naps.stuck(&naps, 9).eq([false, false]), "it tries again");
        naps.0[1]
            .values_mut()
            .for_each(|thread| thread.naps = false);
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
