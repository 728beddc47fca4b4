//! Files that are none, that are too long, and that are not what they say.

use std::{
    fs,
    io::{self, Write},
    os::unix::{fs::symlink, net::UnixListener},
    path::PathBuf,
    thread,
};

use nix::{sys::stat::Mode as Permissions, unistd::mkfifo};
use tempfile::TempDir;

use super::*;
use crate::{file::Kind, sys::Escape};

/// The content, or why there is none.
fn outcome(read: Result<Vec<u8>, FileError>) -> String {
    match read {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(FileError::Outside { escape, .. }) => format!("outside: {escape:?}"),
        Err(error) => format!("! {error}"),
    }
}

/// A project with a folder, and a neighbour.
fn project() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().canonicalize().unwrap();
    fs::create_dir_all(top.join("project/.git")).unwrap();
    fs::create_dir_all(top.join("project/suite")).unwrap();
    for file in ["secret", "project/x", "project/suite/x"] {
        fs::write(top.join(file), file).unwrap();
    }
    (folder, top)
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let (_folder, top) = project();
    mkfifo(&top.join("fifo"), Permissions::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(top.join("socket")).unwrap();
    for (path, expected) in [
        (top.join("fifo"), "! it is a pipe (FIFO)"),
        (top.join("socket"), "! it is a socket"),
        (top.clone(), "! it is a directory"),
        (top.join("gone"), "! there is no such file"),
        ("/dev/zero".into(), "! it is a device"),
        ("/dev/null".into(), "! it is a device"),
        ("/proc/version".into(), "! it is a file of /proc, and not one that is kept"),
        ("/sys/kernel/uevent_seqnum".into(), "! it is a file of /sys, and not one that is kept"),
    ] {
        let link = top.join("project/link");
        symlink(&path, &link).unwrap();
        for read in [read(&path, 9), read(&link, 9), read_input(&path, 9), read_input(&link, 9)] {
            assert_eq!(outcome(read), expected, "{}", path.display());
        }
        let found = read_found(&link, Scope::Anywhere, 9);
        assert_eq!(outcome(found), expected, "{}", path.display());
        let found = read_found(&link, Scope::Root, 9);
        assert!(matches!(found, Err(FileError::Outside { .. })), "{}: {found:?}", path.display());
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn a_file_is_read_up_to_its_limit_and_no_further() {
    let (_folder, top) = project();
    let path = top.join("secret");
    assert_eq!(outcome(read(&path, 6)), "secret");
    assert_eq!(outcome(read(&path, 5)), "! it has more than 5 bytes");
    // Nobody has room for this one.
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let expected = "! it has more than 5 bytes";
    assert_eq!(outcome(read(&path, 5)), expected);
    assert_eq!(outcome(read_input(&path, 5)), expected);
}

#[test]
fn reading_stops_at_the_limit_whatever_a_size_said() {
    assert_eq!(outcome(bounded(&b"1234"[..], 0, 4)), "1234");
    for size in [0, 2, 4, 1 << 60] {
        let read = bounded(io::repeat(b'x'), size, 4);
        assert_eq!(outcome(read), "! it has more than 4 bytes", "{size}");
    }
}

#[test]
fn more_than_a_file_has_is_not_believed() {
    assert_eq!(outcome(honest(b"grown".to_vec(), 9)), "grown");
    let expected =
        "! it gave more bytes than it has: it was changed while it was read, or is no real file";
    assert_eq!(outcome(honest(b"status\n".to_vec(), 0)), expected);
}

#[test]
fn a_link_of_a_folder_is_followed_as_far_as_its_root() {
    let (_folder, top) = project();
    let suite = top.join("project/suite");
    for (link, target, expected) in [
        ("in", "../x", "project/x"),
        ("out", "../../secret", "outside: Link(\"suite/out\")"),
        ("gone", "nothing", "! there is no such file"),
    ] {
        symlink(target, suite.join(link)).unwrap();
        assert_eq!(outcome(read_found(&suite.join(link), Scope::Root, 99)), expected);
    }
    assert_eq!(outcome(read_found(&suite.join("x"), Scope::Root, 99)), "project/suite/x");
    assert_eq!(outcome(read_found(&suite.join("out"), Scope::Anywhere, 99)), "secret");
    // A person's own word.
    assert_eq!(outcome(read(&suite.join("out"), 99)), "secret");
}

#[test]
fn what_a_scenario_names_is_below_its_root() {
    let (_folder, top) = project();
    let scenario = top.join("project/suite/a.yaml");
    let named = |name: &str, scope| outcome(read_named(&scenario, Path::new(name), scope, 99));
    assert_eq!(named("x", Scope::Root), "project/suite/x");
    assert_eq!(named("../x", Scope::Root), "project/x");
    assert_eq!(named("../../secret", Scope::Root), format!("outside: {:?}", Escape::Parent));
    let absolute = top.join("project/x");
    let absolute = absolute.to_str().unwrap();
    assert_eq!(named(absolute, Scope::Root), format!("outside: {:?}", Escape::Absolute));
    assert_eq!(named("../../secret", Scope::Anywhere), "secret");
    assert_eq!(named(absolute, Scope::Anywhere), "project/x");
}

#[test]
fn a_scenario_in_no_project_has_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let suite = folder.path().join("suite");
    fs::create_dir(&suite).unwrap();
    fs::write(folder.path().join("x"), "x").unwrap();
    fs::write(suite.join("y"), "y").unwrap();
    let named = |name: &str| read_named(&suite.join("a.yaml"), Path::new(name), Scope::Root, 9);
    assert_eq!(outcome(named("y")), "y");
    let Err(error @ FileError::Outside { .. }) = named("../x") else {
        panic!("a file outside was read");
    };
    let root = suite.canonicalize().unwrap();
    let expected =
        format!("it is not below the root '{}': its `..` lead above that", root.display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_pipe_of_a_shell_is_input_and_is_waited_for() {
    let (reader, mut writer) = io::pipe().unwrap();
    let name = |reader: &io::PipeReader| {
        let number = std::os::fd::AsRawFd::as_raw_fd(reader);
        PathBuf::from(format!("/dev/fd/{number}"))
    };
    let path = name(&reader);
    assert_eq!(outcome(read(&path, 9)), format!("! it is {}", Kind::Pipe));
    let waits = thread::spawn(move || outcome(read_input(&path, 9)));
    writer.write_all(b"late").unwrap();
    drop(writer);
    assert_eq!(waits.join().unwrap(), "late");
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"0123456789").unwrap();
    assert_eq!(outcome(read_input(&name(&reader), 9)), "! it has more than 9 bytes");
}
