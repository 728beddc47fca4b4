//! What one thread does, as `/proc` shows it.

#[cfg(target_arch = "x86_64")]
use nix::libc::SYS_poll;
use nix::libc::{SYS_clock_nanosleep, SYS_io_uring_enter, SYS_nanosleep, SYS_ppoll, c_long};

/// poll(2), by which an iothread with a context of GLib's waits where GLib is older than 2.84; a
/// newer one, and one on another architecture, waits by ppoll(2).
#[cfg(target_arch = "x86_64")]
const POLL: Option<c_long> = Some(SYS_poll);
#[cfg(not(target_arch = "x86_64"))]
const POLL: Option<c_long> = None;

/// The milliseconds that 100 µs are rounded up to at most.
const SOON: u64 = 2;

const NANOSECONDS: u64 = 1_000_000;

/// How much deeper in its stack than in its main loop a main thread waits when it does so
/// elsewhere. Measured on Debian's QEMU 7.2.22: 992 bytes at least; where its main loop itself
/// waits with and without a time limit differs by less than 256.
const DEEPER: u64 = 512;

/// What a thread was seen doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thread {
    /// State S of proc_pid_stat(5): it waits, and nothing has woken it.
    pub(super) waits: bool,
    /// It will try again soon what it could not do.
    pub(super) naps: bool,
    /// It is a main thread that waits elsewhere than in its main loop.
    pub(super) away: bool,
    /// It is neither a main thread nor an iothread, and sleeps for a while.
    pub(super) pauses: bool,
    /// How often it has given up its processor to wait.
    pub(super) switches: u64,
    pub(super) site: Option<WaitSite>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WaitSite {
    pub(super) call: c_long,
    /// For ppoll(2): until a time. For poll(2): until soon. For io_uring_enter(2): something was
    /// handed to the kernel with it, which for a wait until a time is its timeout at least (QEMU
    /// 11.1 `util/fdmon-io_uring.c`, `fdmon_io_uring_wait`).
    pub(super) timed: bool,
    pub(super) stack: u64,
    /// For ppoll(2) until a time: the address of how long that is from its beginning, a `timespec`.
    pub(super) limit: Option<u64>,
    /// That this is soon, once it was looked at.
    pub(super) soon: bool,
}

impl WaitSite {
    /// Whether this is a main loop that would wait at `home`.
    pub(super) fn is_home(self, home: u64) -> bool {
        self.call == SYS_ppoll && home.saturating_sub(self.stack) < DEEPER
    }

    pub(super) const fn is_sleep(self) -> bool {
        self.call == SYS_nanosleep || self.call == SYS_clock_nanosleep
    }

    /// Whether this is a main thread, away from its main loop, that may continue without any event.
    pub(super) fn is_limited(self) -> bool {
        self.is_sleep() || self.timed && [SYS_ppoll, SYS_io_uring_enter].contains(&self.call)
    }

    /// Whether this is an iothread that will soon continue without any event.
    pub(super) fn ends_soon(self) -> bool {
        self.is_sleep() || self.soon || Some(self.call) == POLL && self.timed
    }

    /// Takes note of the `timespec` that lies at [`WaitSite::limit`].
    pub(super) fn look_at_limit(&mut self, bytes: [u8; 16]) {
        let (seconds, nanoseconds) = bytes.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(u64::MAX, u64::from_ne_bytes);
        self.soon = number(seconds) == 0 && number(nanoseconds) <= SOON * NANOSECONDS;
    }
}

impl Thread {
    /// From the texts of its `status` and `syscall` in `/proc` (proc_pid_status(5),
    /// proc_pid_syscall(5)).
    pub(super) fn read(status: &str, syscall: &str) -> Self {
        let words: Vec<&str> = syscall.split_whitespace().collect();
        let site = match words[..] {
            [number, .., stack, _] => number.parse().ok().zip(hexadecimal(stack)),
            _ => None,
        };
        let site = site.map(|(call, stack)| {
            let argument = |at: usize| words.get(at).and_then(|word| hexadecimal(word));
            let limit = argument(3).filter(|limit| *limit != 0);
            let timed = if Some(call) == POLL {
                limit.is_some_and(|limit| limit <= SOON)
            } else if call == SYS_io_uring_enter {
                argument(2).is_some_and(|submitted| submitted != 0)
            } else {
                limit.is_some()
            };
            let limit = limit.filter(|_| call == SYS_ppoll);
            WaitSite { call, timed, stack, limit, soon: false }
        });
        Self {
            waits: field(status, "State:").starts_with('S') && site.is_some(),
            naps: false,
            away: false,
            pauses: false,
            site,
            switches: field(status, "voluntary_ctxt_switches:").parse().unwrap_or_default(),
        }
    }

    pub(super) const fn turned(&self, now: &Self, rounds: u64) -> bool {
        now.switches >= self.switches + rounds
    }
}

/// A field of a thread's `status`.
pub(super) fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let mut lines = status.lines();
    lines.find_map(|line| line.strip_prefix(name)).map_or("", str::trim)
}

/// A number as `0x7ffc`.
fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
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
            let site =
                WaitSite { call: 271, timed: false, stack: 0x7ffc, limit: None, soon: false };
            assert_eq!((thread.switches, thread.site), (62, Some(site)));
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
        assert_eq!(thread.site.map(WaitSite::ends_soon), Some(naps));
    }

    #[rstest]
    #[case::a_write_that_found_no_room((0, 1_000_000), true)]
    #[case::a_timer_of_its_own((0, 3_000_000), false)]
    #[case::a_longer_one((1, 0), false)]
    fn an_iothread_of_a_newer_glib(#[case] (seconds, nanoseconds): (u64, u64), #[case] naps: bool) {
        let syscall = "271 0x7fa68c004110 0x3 0x7fa6 0x0 0x8 0x0 0x7fa696428338 0x7fa6984a6efe";
        let mut site =
            Thread::read(WAITING, &syscall.replace("271", &SYS_ppoll.to_string())).site.unwrap();
        assert_eq!((site.limit, site.ends_soon()), (Some(0x7fa6), false));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&seconds.to_ne_bytes());
        bytes[8..].copy_from_slice(&nanoseconds.to_ne_bytes());
        site.look_at_limit(bytes);
        assert_eq!(site.ends_soon(), naps);
    }

    #[rstest]
    #[case::with_a_timeout("0x1", true)]
    #[case::for_an_event("0x0", false)]
    fn a_main_thread_in_io_uring(#[case] submitted: &str, #[case] limited: bool) {
        let call = SYS_io_uring_enter;
        let syscall =
            format!("{call} 0x7 {submitted} 0x1 0x1 0x0 0x8 0x7ffd79788738 0x7fd5eccef43d");
        let site = Thread::read(WAITING, &syscall).site.unwrap();
        assert_eq!((site.is_home(0x7ffd_7978_8738), site.is_limited()), (false, limited));
    }

    #[rstest]
    #[case::the_loop(SYS_ppoll, true, 0x7000, true)]
    #[case::the_loop_without_timers(SYS_ppoll, false, 0x7040, true)]
    #[case::a_loop_in_a_filter(SYS_ppoll, true, 0x7000 - 992, false)]
    #[case::a_loop_in_a_command(SYS_ppoll, false, 0x7000 - 992, false)]
    #[case::a_sleep(230, true, 0x7000, false)]
    fn home(#[case] call: c_long, #[case] timed: bool, #[case] stack: u64, #[case] is: bool) {
        let site = WaitSite { call, timed, stack, limit: None, soon: false };
        assert_eq!(site.is_home(0x7000), is);
    }
}
