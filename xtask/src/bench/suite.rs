//! Cases a second, as a whole process: beside a bare loop that makes a namespace with two TAPs and drops
//! it, and beside what people use for such a test without tapwright (`others/`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use tapwright::sys::{Isolated, Tap, TapHeader};
use tempfile::TempDir;

use super::{
    BenchError, Lab, io_error,
    lap::{Lap, Row, keeping, timed},
};

/// Cases of a run on netns.
const ON_NETNS: u32 = 400;

/// Cases of a run on sim.
const ON_SIM: u32 = 4_000;

/// Most cases of one file on sim: a suite has many files of a few cases.
const OF_A_FILE: u32 = 100;

/// Namespaces that the bare loop makes.
const BARE: u32 = 400;

/// Tests of one lap of a shell script, which takes seconds for what we do in milliseconds.
const SCRIPTS: u32 = 4;

/// Tests of one lap of pytest, in one process.
const PYTESTS: u32 = 10;

const SHELL: &str = include_str!("others/redirect.sh");
const PYTEST: &str = include_str!("others/test_redirect.py");

/// What comes out of the script's second pair of interfaces, as tcpdump words it.
const REVIEWED: &str = "\
ARP, Request who-has 10.9.9.9 tell 10.9.9.1, length 28
\t0x0000:  0001 0800 0604 0001 0200 0000 0001 0a09
\t0x0010:  0901 0000 0000 0000 0a09 0909
";

/// The same test as a scenario, many times.
fn scenario(cases: u32) -> String {
    let numbers: Vec<String> = (1..=cases).map(|number| number.to_string()).collect();
    format!(
        "description: What a guest sends is captured and taken to a chardev, beside another TAP.\n\
         matrix: {{ number: [{}] }}\n\
         profile: rfc\n\
         netdevs: {{ hn0: {{ vhost: true }}, hn1: {{ vhost: true }} }}\n\
         chardevs: {{ out0: {{}} }}\n\
         objects:\n\
         \x20 - filter-redirector,id=f0,netdev=hn0,queue=rx,in_netdev=hn0,outdev=out0\n\
         steps:\n\
         \x20 - send: hn0.guest\n\
         \x20   frames: [{{ ipv4: {{ src: 10.9.9.1, dst: 10.9.9.9 }}, udp: {{ sport: 1, dport: 9 }}, payload: \"case ${{number}}\" }}]\n\
         expect: {{ out0: 1 }}\n",
        numbers.join(", ")
    )
}

/// A run of many cases, beside the bare loop. `options` go to `tapwright run`.
fn beside_bare(
    lab: &Lab,
    what: &'static str,
    (cases, of_a_file, goal): (u32, u32, Option<f64>),
    options: &'static [&'static str],
) -> Result<Row, BenchError> {
    let subject = runs(cases, of_a_file, options)?;
    Ok(Row {
        subject: (what, subject),
        baseline: ("a namespace with two TAPs, made and dropped", bare(lab.isolated()?.clone())),
        of: "case",
        count: cases,
        baseline_count: BARE,
        goal,
    })
}

pub(super) fn netns(
    lab: &Lab,
    what: &'static str,
    goal: impl Into<Option<f64>>,
    options: &'static [&'static str],
) -> Result<Row, BenchError> {
    beside_bare(lab, what, (ON_NETNS, ON_NETNS, goal.into()), options)
}

pub(super) fn sim(
    lab: &Lab,
    what: &'static str,
    options: &'static [&'static str],
) -> Result<Row, BenchError> {
    beside_bare(lab, what, (ON_SIM, OF_A_FILE, None), options)
}

/// Beside a shell script with ip, tcpdump and cmp.
pub(super) fn beside_shell(goal: f64) -> Result<Row, BenchError> {
    let folder = folder()?;
    let (script, reviewed) = (folder.path().join("redirect.sh"), folder.path().join("reviewed"));
    write(&script, SHELL)?;
    write(&reviewed, REVIEWED)?;
    let mut number = 0;
    let baseline = move || {
        timed(|| {
            for _ in 0..SCRIPTS {
                number += 1;
                let name = format!("bench{number}");
                others(&mut apart("bash", &[&script, Path::new(&name), &reviewed]))?;
            }
            Ok(())
        })
    };
    Ok(Row {
        subject: ("run on netns", runs(ON_NETNS, ON_NETNS, &["--backend", "netns"])?),
        baseline: ("a script with ip, tcpdump and cmp", keeping(folder, Box::new(baseline))),
        of: "case",
        count: ON_NETNS,
        baseline_count: SCRIPTS,
        goal: Some(goal),
    })
}

/// Beside pytest with scapy.
pub(super) fn beside_pytest(goal: f64) -> Result<Row, BenchError> {
    // What a distribution installs is for its own Python.
    const PYTHON: &str = "/usr/bin/python3";
    let mut probe = Command::new(PYTHON);
    let there = probe.args(["-c", "import pytest, scapy"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return Err(BenchError::Skipped(
            "pytest and scapy are not here (Debian: python3-pytest, python3-scapy)".to_owned(),
        ));
    }
    let folder = folder()?;
    let script = folder.path().join("test_redirect.py");
    write(&script, PYTEST)?;
    let baseline = move || {
        timed(|| {
            let words = ["-m", "pytest", "-q", "-p", "no:cacheprovider"].map(Path::new);
            let mut all: Vec<&Path> = words.to_vec();
            all.push(&script);
            others(apart(PYTHON, &all).env("COUNT", PYTESTS.to_string()))
        })
    };
    Ok(Row {
        subject: ("run on netns", runs(ON_NETNS, ON_NETNS, &["--backend", "netns"])?),
        baseline: ("pytest with scapy", keeping(folder, Box::new(baseline))),
        of: "case",
        count: ON_NETNS,
        baseline_count: PYTESTS,
        goal: Some(goal),
    })
}

/// A command in network and mount namespaces of its own, whose `/run` is its own too: `ip netns` keeps
/// its names there.
fn apart(program: &str, arguments: &[&Path]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "sh", "-c"]);
    command.arg("mount -t tmpfs none /run && exec \"$@\"").arg("sh").arg(program).args(arguments);
    command
}

fn others(command: &mut Command) -> Result<(), BenchError> {
    let output = command.output().map_err(io_error("unshare"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(BenchError::Wrong(String::from_utf8_lossy(&said).into_owned()))
}

fn folder() -> Result<TempDir, BenchError> {
    tempfile::tempdir().map_err(io_error("a folder"))
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(io_error("a file of the bench"))
}

/// The program, optimised like this one.
pub(super) fn program() -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().map_err(io_error("this program"))?;
    let path = own.with_file_name("tapwright");
    if path.exists() {
        return Ok(path);
    }
    Err(BenchError::Wrong(format!("{} is not there", path.display())))
}

/// A folder of so many cases, so many of them in each file.
pub(super) fn cases(folder: &Path, cases: u32, of_a_file: u32) -> Result<(), BenchError> {
    let text = scenario(of_a_file);
    (0..cases / of_a_file).try_for_each(|at| write(&folder.join(format!("many{at}.yaml")), &text))
}

/// Whole runs of so many cases, so many of them in each file, with their reviewed snapshots.
fn runs(count: u32, of_a_file: u32, options: &'static [&'static str]) -> Result<Lap, BenchError> {
    let folder = folder()?;
    cases(folder.path(), count, of_a_file)?;
    let path = folder.path().to_owned();
    let program = program()?;
    let run = move |more: &[&str]| {
        let output = Command::new(&program)
            .arg("run")
            .arg(&path)
            .args(options)
            .args(more)
            .output()
            .map_err(io_error("tapwright"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() && said.contains(&format!("{count} passed")) {
            return Ok(());
        }
        Err(BenchError::Wrong(format!("{said}{}", String::from_utf8_lossy(&output.stderr))))
    };
    // The snapshots are made by the first one, which is not counted.
    run(&["--accept"])?;
    Ok(keeping(folder, Box::new(move || timed(|| run(&[])))))
}

/// As many threads as there are processors make namespaces, one after the other.
fn bare(isolated: Isolated) -> Lap {
    Box::new(move || {
        let left = AtomicU32::new(BARE);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        timed(|| {
            thread::scope(|scope| {
                let work = || {
                    let one = |left: u32| left.checked_sub(1);
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one).is_ok() {
                        namespace(&isolated)?;
                    }
                    Ok(())
                };
                let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                all.into_iter().try_for_each(|thread| {
                    thread.join().map_err(|_| BenchError::Wrong("a thread panicked".to_owned()))?
                })
            })
        })
    })
}

fn namespace(isolated: &Isolated) -> Result<(), BenchError> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .map_err(|errno| io_error("a namespace")(errno.into()))?;
    for name in ["tap0", "tap1"] {
        Tap::create(isolated, &name.parse()?, TapHeader::None, true)?;
    }
    Ok(())
}
