//! Kills a run with SIGKILL at many moments and looks for anything it left behind.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Moments, counted in lines of the run's event stream; the suite gives several hundred.
const MOMENTS: [usize; 16] = [0, 1, 2, 3, 5, 8, 13, 21, 34, 47, 55, 70, 89, 110, 144, 200];

#[test]
fn a_killed_run_leaves_nothing_behind() {
    if let Some(reason) = cannot_run() {
        drop(writeln!(std::io::stderr(), "skipped: {reason}"));
        return;
    }
    for lines in MOMENTS {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let before = World::look(folder.path());
        let mut run = start(folder.path());
        read_lines(&mut run, lines);
        let group = Pid::from_raw(i32::try_from(run.id()).expect("a process id"));
        kill(group, Signal::SIGKILL).expect("the run is ours");
        run.wait().expect("the run was started by us");
        assert_eq!(kill(group_of(group), None), Err(Errno::ESRCH), "a process outlived the run");
        assert_eq!(World::look(folder.path()), before, "after {lines} lines");
        if has_nameless_files(folder.path()) {
            let left = names_below(&folder.path().join("out"));
            let unfinished: Vec<_> =
                left.iter().filter(|name| !name.ends_with(".pcapng")).collect();
            assert!(unfinished.is_empty(), "after {lines} lines: {unfinished:?}");
        }
    }
}

/// The suite on `netns`, in a process group of its own, its temporary folder watched.
fn start(folder: &Path) -> Child {
    let out = folder.join("out");
    fs::create_dir_all(&out).expect("a folder for captures");
    fs::create_dir_all(folder.join("tmp")).expect("a temporary folder");
    Command::new(env!("CARGO_BIN_EXE_tapwright"))
        .args(["run", "scenarios", "--ci", "--format", "json", "--out"])
        .arg(&out)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TMPDIR", folder.join("tmp"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts")
}

/// Waits for so many lines of the event stream, or its end.
fn read_lines(run: &mut Child, lines: usize) {
    let stdout = run.stdout.take().expect("piped");
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    for _ in 0..lines {
        line.clear();
        if stdout.read_line(&mut line).expect("text") == 0 {
            break;
        }
    }
    run.stdout = Some(stdout.into_inner());
}

fn group_of(leader: Pid) -> Pid {
    Pid::from_raw(-leader.as_raw())
}

fn cannot_run() -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_tapwright"))
        .args(["run", "scenarios", "--ci", "-k", "tx-outdev"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary starts");
    (output.status.code() == Some(3)).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Everything outside the run's own folder that it could leave behind. A namespace is not looked
/// for by itself: only a process, or a mount, could keep one (namespaces(7)).
#[derive(Debug, PartialEq, Eq)]
struct World {
    links: BTreeSet<String>,
    mounts: Vec<String>,
    files: BTreeSet<String>,
}

impl World {
    fn look(folder: &Path) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("our own mounts");
        Self {
            links: names("/sys/class/net".as_ref()),
            mounts: mounts.lines().map(str::to_owned).collect(),
            files: names(&folder.join("tmp"))
                .union(&names("/run/netns".as_ref()))
                .cloned()
                .chain(names("/dev/shm".as_ref()))
                .collect(),
        }
    }
}

/// Whether a file can be written here before it has a name (open(2), `O_TMPFILE`).
fn has_nameless_files(folder: &Path) -> bool {
    let nameless = OFlag::O_TMPFILE.bits();
    fs::File::options().write(true).custom_flags(nameless).open(folder).is_ok()
}

/// The files in a folder and in those in it.
fn names_below(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the run's folder").map(|entry| entry.expect("one"));
    let names = entries.flat_map(|entry| match entry.path().is_dir() {
        true => names_below(&entry.path()),
        false => vec![entry.file_name().to_string_lossy().into_owned()],
    });
    names.collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
