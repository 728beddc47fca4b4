//! How a confined program starts and ends, what it is given, and how long it is waited for.

use std::{
    io::{PipeReader, pipe},
    os::{fd::OwnedFd, unix::net::UnixStream},
    thread,
};

use super::*;
use crate::sys::hang_up;

fn launch<'a>(program: &'a str, arguments: &[&'a str]) -> Launch<'a> {
    Launch {
        program: Path::new(program),
        name: OsStr::new(program),
        arguments: arguments.iter().copied().map(OsStr::new).collect(),
        environment: Vec::new(),
        folder: Path::new("/"),
        writable: None,
        inherited: Vec::new(),
    }
}

fn start(launch: &Launch<'_>) -> Confined {
    Confined::start(launch, &Confinement::none()).unwrap()
}

#[test]
fn how_a_program_ended_is_told_exactly() {
    let mut ended = start(&launch("/bin/sh", &["-c", "exit 7"]));
    assert_eq!(ended.wait(None).unwrap().code(), Some(7));
    let mut killed = start(&launch("/bin/sh", &["-c", "kill -ABRT $$"]));
    assert_eq!(killed.wait(None).unwrap().signal(), Some(libc::SIGABRT));
    let mut ignores = start(&launch("/bin/sh", &["-c", "kill -PIPE $$"]));
    assert_eq!(ignores.wait(None).unwrap().signal(), Some(libc::SIGPIPE));
}

#[test]
fn what_can_not_be_started_is_refused_with_the_kernels_words() {
    let refused = Confined::start(&launch("/nonexistent", &[]), &Confinement::none()).unwrap_err();
    assert_eq!(refused.to_string(), "No such file or directory (os error 2)");
    let elsewhere = Launch { folder: Path::new("/nonexistent"), ..launch("/bin/sh", &[]) };
    let refused = Confined::start(&elsewhere, &Confinement::none()).unwrap_err();
    assert!(refused.to_string().starts_with("the folder to run in: "), "{refused}");
}

#[test]
fn a_file_without_an_interpreter_is_a_shells() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    std::fs::write(&path, "exit $1\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut child = start(&launch(path.to_str().unwrap(), &["9"]));
    assert_eq!(child.wait(None).unwrap().code(), Some(9));
}

#[test]
fn a_child_has_the_environment_and_the_descriptors_that_it_was_given() {
    let (mut said, theirs) = pipe().unwrap();
    let (_, another) = pipe().unwrap();
    let number = theirs.as_raw_fd();
    // By its path: `>&` of a POSIX shell knows the numbers up to 9 alone.
    let given = format!("/proc/self/fd/{number}");
    let script = format!("env >{given}; ls /proc/self/fd | tr '\\n' ' ' >{given}");
    let mut child = start(&Launch {
        environment: vec![("ONE".into(), "1".into()), ("PATH".into(), "/usr/bin:/bin".into())],
        inherited: vec![theirs.as_fd()],
        ..launch("/bin/sh", &["-c", &script])
    });
    drop(theirs);
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(child.wait(None).unwrap().success());
    assert!(text.contains("ONE=1\n") && !text.contains("CARGO"), "{text}");
    let open: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
    assert!(open.contains(&number.to_string().as_str()), "{text}");
    assert!(!open.contains(&another.as_raw_fd().to_string().as_str()), "{text}");
}

#[test]
fn a_child_dies_with_the_thread_that_started_it() {
    let (mut reader, writer): (PipeReader, _) = pipe().unwrap();
    let started = thread::spawn(move || {
        let sleep = Launch { inherited: vec![writer.as_fd()], ..launch("/bin/sleep", &["300"]) };
        start(&sleep)
    });
    let mut child = started.join().unwrap();
    // The child had the only other writer: the end of the pipe is its end.
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    assert_eq!(child.wait(None).unwrap().signal(), Some(9));
}

#[test]
fn who_is_not_done_is_waited_for_so_long_and_can_be_killed() {
    let mut child = start(&launch("/bin/sleep", &["300"]));
    let late = child.wait(Some(Duration::ZERO)).unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    child.kill().unwrap();
    assert_eq!(child.wait(None).unwrap().signal(), Some(9));
}

#[test]
fn who_is_hung_up_on_knows_it_at_once_while_children_are_started() {
    let starting = thread::spawn(|| {
        for _ in 0..50 {
            start(&launch("/bin/true", &[])).wait(None).unwrap();
        }
    });
    while !starting.is_finished() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        hang_up(OwnedFd::from(ours));
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    }
    starting.join().unwrap();
}
