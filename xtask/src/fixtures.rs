//! `cargo xtask fixtures`: remakes the captures in `fixtures/pcaps` with real programs, in network
//! namespaces of their own.
//!
//! The process starts itself again under `unshare`, in a user, a network and a process namespace:
//! no privileges are needed, no interface of the host is seen, and whatever was started there dies
//! with it.

mod captures;
mod lab;
mod readme;

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tapwright::capture::{self, ClassicWriter, Packet};

use captures::{CAPTURES, Capture};
use lab::Lab;

/// Set in the process that runs inside the namespaces.
const INSIDE: &str = "TAPWRIGHT_FIXTURES_INSIDE";

/// Most bytes of one file: a fixture is read by people and fetched with every clone.
const MAX_FILE: usize = 100 * 1024;

/// What is called, and the Debian package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("curl", "curl"),
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("iperf3", "iperf3"),
    ("nsenter", "util-linux"),
    ("ping", "iputils-ping"),
    ("python3", "python3"),
    ("tcpdump", "tcpdump"),
    ("unshare", "util-linux"),
];

/// Why the captures can't be remade.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FixtureError {
    /// Programs that are not installed.
    #[error("not installed: {missing}; try: apt-get install {packages}")]
    Missing {
        /// Their names.
        missing: String,
        /// Debian's packages.
        packages: String,
    },
    /// A program that failed.
    #[error("{command}: {why}")]
    Failed {
        /// The program and its arguments.
        command: String,
        /// Its status and what it said, or why it didn't start.
        why: String,
    },
    /// A file or a pipe.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// tcpdump's output can't be read, or the result can't be written.
    #[error("{file}: {why}")]
    Capture {
        /// The fixture.
        file: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// Remakes every capture below `root`, the top of the repository, and the table that describes
/// them.
///
/// # Errors
/// When a program is missing or fails; then nothing is left half written.
pub(crate) fn run(root: &Path) -> Result<(), FixtureError> {
    if env::var_os(INSIDE).is_none() {
        check_programs()?;
        return run_inside();
    }
    let directory = root.join("fixtures/pcaps");
    let mut made = Vec::new();
    for capture in CAPTURES {
        let packets = record(capture)?;
        say(&format!("{}: {} frames", capture.file, packets.len()))?;
        made.push((capture, packets));
    }
    for (capture, packets) in &made {
        store(&directory, capture, packets)?;
    }
    let counts: Vec<_> = made.iter().map(|(capture, packets)| (*capture, packets.len())).collect();
    write(&directory.join("README.md"), readme::render(&counts)?.as_bytes())
}

fn check_programs() -> Result<(), FixtureError> {
    let paths: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    let missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !paths.iter().any(|path| path.join(program).is_file()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let join = |part: fn(&(&'static str, &'static str)) -> &'static str, by: &str| {
        missing.iter().map(|pair| part(pair)).collect::<Vec<_>>().join(by)
    };
    Err(FixtureError::Missing {
        missing: join(|(program, _)| program, ", "),
        packages: join(|(_, package)| package, " "),
    })
}

/// Starts this program again, with the same arguments, in namespaces of its own. It is not root
/// there but keeps its capabilities: as root tcpdump would try to become somebody else.
fn run_inside() -> Result<(), FixtureError> {
    let program = env::current_exe().map_err(io_error("the path of this program"))?;
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-user=1000", "--keep-caps", "--net", "--pid", "--fork"])
        .args(["--kill-child", "--mount-proc", "--"])
        .arg(program)
        .args(env::args_os().skip(1))
        .env(INSIDE, "1");
    let status = command.status().map_err(|error| failed(&command, error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(&command, status.to_string())) }
}

/// Makes a capture's traffic and returns what tcpdump saw, beginning at the time 0.
fn record(capture: &Capture) -> Result<Vec<Packet>, FixtureError> {
    let lab = Lab::open(capture.family, capture.offloads)?;
    let file = lab.record(capture.filter, || (capture.traffic)(&lab))?;
    let unfit = |why: String| FixtureError::Capture { file: capture.file, why };
    let read = capture::read(&file).map_err(|error| unfit(error.to_string()))?;
    if let Some(broken) = read.broken {
        return Err(unfit(broken.to_string()));
    }
    let mut packets = read.packets;
    packets.retain(|packet| !lab::is_end_mark(&packet.data));
    let start = packets.first().map_or(Duration::ZERO, |packet| packet.time);
    for packet in &mut packets {
        packet.time = packet.time.saturating_sub(start);
    }
    if packets.is_empty() {
        return Err(unfit("nothing was captured".to_owned()));
    }
    Ok(packets)
}

fn store(directory: &Path, capture: &Capture, packets: &[Packet]) -> Result<(), FixtureError> {
    let unfit = |why: String| FixtureError::Capture { file: capture.file, why };
    let mut writer = ClassicWriter::new(Vec::new()).map_err(|error| unfit(error.to_string()))?;
    for packet in packets {
        writer.packet(packet.time, &packet.data).map_err(|error| unfit(error.to_string()))?;
    }
    let file = writer.into_inner();
    if file.len() > MAX_FILE {
        return Err(unfit(format!("{} bytes, and at most {MAX_FILE} are wanted", file.len())));
    }
    write(&directory.join(capture.file), &file)
}

fn write(path: &Path, content: &[u8]) -> Result<(), FixtureError> {
    fs::write(path, content).map_err(io_error(&path.display().to_string()))
}

fn say(line: &str) -> Result<(), FixtureError> {
    writeln!(io::stderr(), "{line}").map_err(io_error("standard error"))
}

fn io_error(what: &str) -> impl FnOnce(io::Error) -> FixtureError {
    let what = what.to_owned();
    move |source| FixtureError::Io { what, source }
}

fn failed(command: &Command, why: String) -> FixtureError {
    let words: Vec<_> = [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    FixtureError::Failed { command: words.join(" "), why: why.trim().to_owned() }
}
