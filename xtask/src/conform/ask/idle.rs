//! Whether a process has come to rest.

use std::{fs, io};

/// Whether every thread of a process sleeps (proc_pid_stat(5), state `S`).
///
/// Who is woken is runnable before the call that woke it returns, so what sleeps after something was
/// written to it has dealt with that, or does not look at it.
pub(super) fn is_asleep(pid: u32) -> io::Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = match fs::read_to_string(thread?.path().join("stat")) {
            Ok(stat) => stat,
            // It has just ended.
            Err(error) if error.raw_os_error() == Some(ESRCH) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if state(&stat) != Some('S') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// errno(3): no such process.
const ESRCH: i32 = 3;

/// The letter behind the name, which may itself hold spaces and brackets.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{self, Command, Stdio},
    };

    use super::*;

    #[test]
    fn the_state_stands_behind_the_name() {
        assert_eq!(state("7 (a) b) S 1 2"), Some('S'));
        assert_eq!(state("7"), None);
    }

    #[test]
    fn who_runs_is_not_asleep() {
        assert!(!is_asleep(process::id()).unwrap());
    }

    #[test]
    fn who_waits_for_input_falls_asleep() {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        while !is_asleep(child.id()).unwrap() {
            std::thread::yield_now();
        }
        child.stdin.take().unwrap().write_all(b"end").unwrap();
        assert!(child.wait().unwrap().success());
    }
}
