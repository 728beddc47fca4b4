//! A case that failed is held until a person has seen enough, and how another process finds it.
//!
//! The run leaves a file beside its captures, which says which thread holds the case. What says
//! that somebody is inside is a connection to an abstract socket in the case's own network
//! namespace: it ends with the process that made it, however that ends, and nothing is left of it.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::read,
};
use serde::{Deserialize, Serialize};

use super::output;
use crate::{
    backend::{Deadline, Exposed},
    file::{self, Care, Scope},
    runner::{Held, Pause},
    sys::Tenant,
    terminal::visible,
};

/// Most bytes of the file of a case that is held.
const MAX_STATE: usize = 1 << 20;

/// What is said at the door by who comes for a command alone.
const COMMAND: &[u8] = b"c";

/// How a case that is held is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// By a shell, in which a person looks around: when it is left, the case has been looked at.
    Shell,
    /// By one command: others may follow.
    Command,
}

fn knock_at(door: &SocketAddr, visit: Visit) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect_addr(door)?;
    if visit == Visit::Command {
        stream.write_all(COMMAND)?;
    }
    Ok(stream)
}

/// The abstract socket's name.
const DOOR: &str = "tapwright";

/// A case that is held, as its file says it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PausedCase {
    pub(super) case: String,
    pub(super) backend: String,
    /// The run.
    pub(super) process: i32,
    /// The case's own thread, which is in its namespaces.
    pub(super) thread: i32,
    /// When that thread started, in clock ticks since the machine did.
    pub(super) started: u64,
    pub(super) directory: PathBuf,
    /// The case's extra network namespaces, mounted in the run's mount namespace.
    pub(super) namespaces: BTreeMap<String, PathBuf>,
}

impl PausedCase {
    pub(super) const fn tenant(&self) -> Tenant {
        Tenant { process: self.process, thread: self.thread, started: self.started }
    }

    /// Knocks from inside the case's network namespace: while the stream is open the case is held.
    pub(super) fn knock(visit: Visit) -> io::Result<UnixStream> {
        knock_at(&SocketAddr::from_abstract_name(DOOR)?, visit)
    }
}

/// The cases that are held, by the files in a folder. Files of runs that were killed are removed.
pub(super) fn paused(out: &Path) -> io::Result<Vec<PausedCase>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if !name.is_some_and(|name| name.starts_with("paused-") && name.ends_with(".json")) {
            continue;
        }
        let Ok(bytes) = file::read_found(&path, Scope::Root, MAX_STATE) else {
            // Its run has just gone on, or it is no file of a run.
            continue;
        };
        match serde_json::from_slice::<PausedCase>(&bytes) {
            Ok(case) if case.tenant().is_alive() => found.push(case),
            _ => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
    }
    found.sort_by_key(|case| case.process);
    Ok(found)
}

/// Holds cases, and says how to get in.
pub(super) struct Holder {
    pub(super) out: PathBuf,
}

impl Pause for Holder {
    fn hold(&self, held: &Held, deadline: &Deadline) {
        if let Err(error) = self.try_hold(held, deadline) {
            let (case, error) = (visible(&held.case), visible(error));
            output::note(format_args!("{case} can't be paused: {error}"));
        }
    }
}

impl Holder {
    fn try_hold(&self, held: &Held, deadline: &Deadline) -> io::Result<()> {
        let exposed = held.exposed.as_ref();
        let exposed = exposed.map_err(|reason| io::Error::other(reason.clone()))?;
        // The calling thread is in the case's network namespace, and so is a socket of it.
        let door = UnixListener::bind_addr(&SocketAddr::from_abstract_name(DOOR)?)?;
        let state = StateFile::write(&self.out, &self.state(held, exposed)?)?;
        output::note(format_args!("{}", self.announcement(held, exposed)));
        let waited = wait(&door, io::stdin().as_fd(), deadline.alarm());
        drop(state);
        waited
    }

    fn state(&self, held: &Held, exposed: &Exposed) -> io::Result<PausedCase> {
        let Tenant { process, thread, started } = Tenant::current()?;
        let capture = held.capture.as_ref().ok().and_then(|path| path.parent());
        let directory = std::path::absolute(capture.unwrap_or(&self.out))?;
        Ok(PausedCase {
            case: held.case.to_string(),
            backend: held.backend.to_owned(),
            process,
            thread,
            started,
            directory,
            namespaces: exposed.namespaces.iter().cloned().collect(),
        })
    }

    fn announcement(&self, held: &Held, exposed: &Exposed) -> String {
        let mut text = format!("paused: {} [{}]\n", visible(&held.case), held.backend);
        for problem in &held.problems {
            text += &format!("    {}\n", visible(problem));
        }
        for interface in &exposed.interfaces {
            let place = match &interface.namespace {
                Some(name) => format!(" in {}", visible(name)),
                None => String::new(),
            };
            let (port, name) = (visible(&interface.port), visible(&interface.name));
            text += &format!("    {port} is {name}{place}\n");
        }
        match &held.capture {
            Ok(path) => text += &format!("    capture: {}\n", visible(path.display())),
            Err(reason) => text += &format!("    no capture: {}\n", visible(reason)),
        }
        let out = if self.out == Path::new(DEFAULT_OUT) {
            String::new()
        } else {
            format!(" --out {}", visible(self.out.display()))
        };
        text += &format!("    to get in: tapwright enter{out}\n");
        text + "    to go on: leave that shell, or press Enter here"
    }
}

/// Where captures go, and where `enter` looks, unless told otherwise.
pub(super) const DEFAULT_OUT: &str = "target/tapwright";

/// Removed on drop.
struct StateFile(PathBuf);

impl StateFile {
    fn write(out: &Path, case: &PausedCase) -> io::Result<Self> {
        fs::create_dir_all(out)?;
        let path = out.join(format!("paused-{}.json", case.process));
        // Whole or not at all: a reader takes half of it for a stale one.
        file::replace(&path, &serde_json::to_vec(case)?, Care::Quick)?;
        Ok(Self(path))
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        // One that is left is recognised as stale.
        drop(fs::remove_file(&self.0));
    }
}

/// Who is inside.
struct Guest {
    stream: UnixStream,
    visit: Visit,
}

impl Guest {
    /// Whether it is still inside, after something could be read from it.
    fn stays(&mut self) -> bool {
        let mut said = [0; COMMAND.len()];
        match self.stream.read(&mut said) {
            Ok(0) => false,
            Ok(_) => {
                self.visit = Visit::Command;
                true
            }
            Err(error) => error.kind() == io::ErrorKind::Interrupted,
        }
    }
}

/// Waits until a shell was left and nobody is inside any more, Enter is pressed, or the alarm is
/// raised. A command that ends lets nothing go on: it may be the first of several. Input that has ended is no wish to go on: a run without a terminal waits for its guests.
fn wait(
    door: &UnixListener,
    input: BorrowedFd<'_>,
    alarm: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut guests: Vec<Guest> = Vec::new();
    let mut looked_at = false;
    let mut input = Some(input);
    loop {
        let ends = [Some(door.as_fd()), input, alarm];
        let guest_fds = guests.iter().map(|guest| Some(guest.stream.as_fd()));
        let mut polled: Vec<PollFd<'_>> = ends
            .into_iter()
            .chain(guest_fds)
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut polled, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let mut ready = polled.iter().map(|one| one.any() == Some(true));
        let mut next = || ready.next().unwrap_or_default();
        let (knocked, typed) = (next(), input.is_some() && next());
        let alarmed = alarm.is_some() && next();
        let said: Vec<bool> = guests.iter().map(|_| next()).collect();
        if alarmed {
            return Ok(());
        }
        if let Some(fd) = input.filter(|_| typed) {
            match line(fd)? {
                Some(true) => return Ok(()),
                Some(false) => {}
                None => input = None,
            }
        }
        let mut said = said.into_iter();
        guests.retain_mut(|guest| {
            let stays = !said.next().unwrap_or_default() || guest.stays();
            looked_at |= !stays && guest.visit == Visit::Shell;
            stays
        });
        if knocked {
            guests.push(Guest { stream: door.accept()?.0, visit: Visit::Shell });
        } else if guests.is_empty() && looked_at {
            return Ok(());
        }
    }
}

/// Whether a line was completed; none at the end of the input.
fn line(input: BorrowedFd<'_>) -> io::Result<Option<bool>> {
    let mut buffer = [0; 256];
    match read(input, &mut buffer) {
        Ok(0) => Ok(None),
        Ok(count) => Ok(Some(buffer[..count].contains(&b'\n'))),
        Err(Errno::EINTR) => Ok(Some(false)),
        // The terminal is another's: a run in the background.
        Err(Errno::EIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn door(name: &str) -> (UnixListener, SocketAddr) {
        let name = format!("{DOOR} {name} {}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        (UnixListener::bind_addr(&address).unwrap(), address)
    }

    #[test]
    fn enter_goes_on() {
        let (door, _) = door("enter");
        let (input, mut typed) = io::pipe().unwrap();
        typed.write_all(b"\n").unwrap();
        wait(&door, input.as_fd(), None).unwrap();
    }

    #[test]
    fn the_last_guest_that_leaves_lets_it_go_on_and_the_end_of_input_does_not() {
        let (door, address) = door("guests");
        let (input, typed) = io::pipe().unwrap();
        drop(typed);
        let first = UnixStream::connect_addr(&address).unwrap();
        let second = UnixStream::connect_addr(&address).unwrap();
        let waits = thread::spawn(move || wait(&door, input.as_fd(), None));
        drop(first);
        assert!(!waits.is_finished());
        drop(second);
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn a_command_that_ends_leaves_the_case_held() {
        let (door, address) = door("commands");
        let (input, mut typed) = io::pipe().unwrap();
        let waits = thread::spawn(move || wait(&door, input.as_fd(), None));
        for _ in 0..3 {
            let mut visitor = knock_at(&address, Visit::Command).unwrap();
            visitor.shutdown(std::net::Shutdown::Write).unwrap();
            // The end of it has been seen: the other side is closed, and not that of the door.
            assert_eq!(visitor.read(&mut [0]).unwrap(), 0);
            assert!(!waits.is_finished());
        }
        typed.write_all(b"\n").unwrap();
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn an_alarm_ends_it() {
        let (door, address) = door("alarm");
        let _guest = UnixStream::connect_addr(&address).unwrap();
        let (input, _typed) = io::pipe().unwrap();
        let (alarm, raise) = io::pipe().unwrap();
        drop(raise);
        wait(&door, input.as_fd(), Some(alarm.as_fd())).unwrap();
    }

    #[test]
    fn what_a_killed_run_left_is_no_paused_case_and_is_removed() {
        let out = tempfile::tempdir().unwrap();
        let tenant = Tenant::current().unwrap();
        let case = |started| PausedCase {
            case: "a".to_owned(),
            backend: "netns".to_owned(),
            process: tenant.process,
            thread: tenant.thread,
            started,
            directory: out.path().to_owned(),
            namespaces: BTreeMap::new(),
        };
        let _alive = StateFile::write(out.path(), &case(tenant.started)).unwrap();
        assert_eq!(paused(out.path()).unwrap().len(), 1);
        let stale = StateFile::write(out.path(), &case(tenant.started + 1)).unwrap();
        assert!(paused(out.path()).unwrap().is_empty());
        assert!(!stale.0.exists());
    }
}
