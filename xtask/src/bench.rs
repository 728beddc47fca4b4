//! `cargo xtask bench`: what things cost, each beside something that the reader knows the price of.
//!
//! A time alone says little on a machine that does other work. So a row runs its subject and its
//! baseline in turn and tells the ratio of each pair; noise that both meet drops out of it. That is
//! also why this is no criterion benchmark: criterion measures one function for a while, then the
//! next, and has no ratio of two. Nothing here fails because something was slow.

mod captures;
mod case;
mod colo;
mod compare;
pub(crate) mod count;
mod course;
mod growth;
mod kernel;
mod lap;
mod load;
mod machine;
mod process;
mod redirect;
mod report;
mod segment;
mod start;
mod suite;
mod transcript;

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::PathBuf,
    process::{Command, ExitStatus},
};

use tapwright::{
    backend::{BackendError, netns},
    machine::ConfigError,
    sys::{InterfaceNameError, Isolated, TapError, isolate},
};

use compare::Traffic;
use lap::Row;
use load::Load;
use report::{Measured, Report};

/// Every row: its name, and what sets it up.
const ROWS: &[(&str, Build)] = &[
    ("machine, 64 B", |_| machine::machine(64)),
    ("machine, 1500 B", |_| machine::machine(1500)),
    ("captured, 64 B", |_| machine::captured(64)),
    ("sim, 64 B", |_| machine::sim(64)),
    ("sim, 1500 B", |_| machine::sim(1500)),
    ("colo", |_| colo::row()),
    ("colo-compare/QEMU, equal", |lab| compare::row(&lab.qemu, Traffic::Equal)),
    ("colo-compare/QEMU, in pieces", |lab| compare::row(&lab.qemu, Traffic::Pieces)),
    ("colo-compare/QEMU 11.1, equal", |lab| compare::row(&lab.newest, Traffic::Equal)),
    ("colo-compare/QEMU 11.1, in pieces", |lab| compare::row(&lab.newest, Traffic::Pieces)),
    ("transcript", |_| transcript::row()),
    ("TAP to chardev, 64 B", |lab| kernel::row(lab, 64)),
    ("TAP to chardev, 1500 B", |lab| kernel::row(lab, 1500)),
    ("redirect/mirred, 64 B", |lab| redirect::beside_mirred(lab, Load::Frames(64))),
    ("redirect/mirred, 1514 B", |lab| redirect::beside_mirred(lab, Load::Frames(1514))),
    ("redirect/mirred, super-frames", |lab| redirect::beside_mirred(lab, Load::SuperFrames)),
    ("redirect --offload/mirred, 64 B", |lab| {
        redirect::offload_beside_mirred(lab, Load::Frames(64))
    }),
    ("redirect --offload/mirred, 1514 B", |lab| {
        redirect::offload_beside_mirred(lab, Load::Frames(1514))
    }),
    ("redirect/mirred, p50 of a frame", |lab| redirect::latency(lab, 0.5)),
    ("redirect/mirred, p99 of a frame", |lab| redirect::latency(lab, 0.99)),
    ("redirect/loop, 64 B", |lab| redirect::beside_loop(lab, Load::Frames(64))),
    ("redirect/loop, 1514 B", |lab| redirect::beside_loop(lab, Load::Frames(1514))),
    ("redirect/loop, super-frames", |lab| redirect::beside_loop(lab, Load::SuperFrames)),
    ("redirect/QEMU, 64 B", |lab| redirect::beside_qemu(lab, &lab.qemu, Load::Frames(64))),
    ("redirect/QEMU, 1514 B", |lab| redirect::beside_qemu(lab, &lab.qemu, Load::Frames(1514))),
    ("redirect/QEMU, super-frames", |lab| redirect::beside_qemu(lab, &lab.qemu, Load::SuperFrames)),
    ("redirect/QEMU 11.1, 64 B", |lab| redirect::beside_qemu(lab, &lab.newest, Load::Frames(64))),
    ("redirect/QEMU 11.1, 1514 B", |lab| {
        redirect::beside_qemu(lab, &lab.newest, Load::Frames(1514))
    }),
    ("redirect/QEMU 11.1, super-frames", |lab| {
        redirect::beside_qemu(lab, &lab.newest, Load::SuperFrames)
    }),
    ("case", case::row),
    ("QEMU start", start::row),
    ("suite on netns", |lab| suite::netns(lab, "all processors", 2.0, &["--backend", "netns"])),
    ("suite on netns, fresh", |lab| {
        suite::netns(lab, "fresh worlds", 0.8, &["--backend", "netns", "--fresh"])
    }),
    ("suite on netns, 1 worker", |lab| {
        suite::netns(lab, "one worker", None, &["--backend", "netns", "-j", "1"])
    }),
    ("suite on netns, 16 workers", |lab| {
        suite::netns(lab, "16 workers", None, &["--backend", "netns", "-j", "16"])
    }),
    ("suite on sim", |lab| suite::sim(lab, "all processors", &["--backend", "sim"])),
    ("suite on sim, 1 worker", |lab| {
        suite::sim(lab, "one worker", &["--backend", "sim", "-j", "1"])
    }),
    ("suite on sim, 16 workers", |lab| {
        suite::sim(lab, "16 workers", &["--backend", "sim", "-j", "16"])
    }),
    ("suite and a shell script", |_| suite::beside_shell(100.0)),
    ("suite and pytest", |_| suite::beside_pytest(50.0)),
    ("diff and tcpdump", |_| captures::row("tcpdump", Some(5.0))),
    ("diff and tshark", |_| captures::row("tshark", None)),
    ("check", |_| process::row("check of a scenario", &["check"])),
    ("run of one case", |_| process::row("run of one case on sim", &["run", "--backend", "sim"])),
];

type Build = fn(&Lab) -> Result<Row, BenchError>;

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rows whose name contains this; all when it is left out.
    row: Option<String>,
    /// Pairs of subject and baseline, after one that is not counted.
    #[arg(long, default_value_t = 15)]
    laps: usize,
    /// How long a redirector runs at 80 % of its peak, in seconds [default: 60, and 10 with one lap]
    #[arg(long)]
    steady: Option<u64>,
    /// The QEMU whose start, and whose redirector, is measured.
    #[arg(long, default_value = "qemu-system-x86_64")]
    qemu: PathBuf,
    /// The newest QEMU, whose redirector is measured too: by default as `cargo xtask qemu 11.1` unpacks
    /// it.
    #[arg(long)]
    newest_qemu: Option<PathBuf>,
    /// Counts instructions instead, with valgrind; fails when one takes 5 % more than was accepted.
    #[arg(long)]
    count: bool,
    /// With --count: what is counted is accepted.
    #[arg(long, requires = "count")]
    accept: bool,
    /// What is counted, done --times times: what --count runs under valgrind.
    #[arg(long, hide = true, requires = "times")]
    work: Option<String>,
    #[arg(long, hide = true)]
    times: Option<u32>,
    /// Arguments of tapwright: how long it takes and how much memory it has.
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true)]
    peak_of: Option<Vec<OsString>>,
    /// Writes docs/performance.md too.
    #[arg(long, conflicts_with = "row")]
    docs: bool,
}

/// What rows are built in.
struct Lab {
    isolated: Result<Isolated, String>,
    qemu: PathBuf,
    newest: PathBuf,
}

impl Lab {
    fn isolated(&self) -> Result<&Isolated, BenchError> {
        self.isolated.as_ref().map_err(|reason| BenchError::Skipped(reason.clone()))
    }
}

/// Why a row, or the report, could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{0}")]
    Skipped(String),
    #[error("{0}")]
    Backend(#[from] BackendError),
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Name(#[from] InterfaceNameError),
    #[error("{0}")]
    Tap(#[from] TapError),
    #[error("the scenario is wrong: {0}")]
    Scenario(String),
    #[error("the work went wrong: {0}")]
    Wrong(String),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error(
        "more than 5 % more instructions than were accepted: {0}; mend it, or accept it with `cargo xtask \
         bench --count --accept`"
    )]
    Grown(String),
    #[error("the optimised build ended with {0}")]
    Release(ExitStatus),
}

/// Measures, prints the table, and writes `target/bench/report.json`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BenchError> {
    if cfg!(debug_assertions) {
        return optimised();
    }
    if let (Some(name), Some(times)) = (&arguments.work, arguments.times) {
        return count::work(name, times);
    }
    if let Some(command) = &arguments.peak_of {
        return growth::peak_of(command, &mut io::stdout().lock());
    }
    if arguments.count {
        return count::run(arguments.accept, &mut io::stdout().lock());
    }
    let lab = Lab {
        // Before any thread, and before paths are opened: what it hides nobody here needs.
        isolated: isolate()
            .map_err(|error| netns::unavailable(&error))
            .and_then(|isolated| netns::probe(&isolated).map(|_| isolated))
            .map_err(|error| error.to_string()),
        qemu: arguments.qemu.clone(),
        newest: arguments
            .newest_qemu
            .clone()
            .unwrap_or_else(|| crate::chore::target_folder().join("qemu/sid/qemu-system-x86_64")),
    };
    let wanted = |name: &str| arguments.row.as_deref().is_none_or(|part| name.contains(part));
    let mut report = Report::default();
    let mut out = io::stdout().lock();
    report::head(&mut out)?;
    for (name, build) in ROWS.iter().filter(|(name, _)| wanted(name)) {
        let measured = match build(&lab).and_then(|row| row.measure(arguments.laps)) {
            Ok(measured) => measured,
            Err(BenchError::Skipped(reason)) => Measured::skipped(reason),
            Err(error) => return Err(error),
        };
        report.add(name, measured, &mut out)?;
    }
    if wanted("redirect") {
        let steady = arguments.steady.unwrap_or(if arguments.laps > 1 { 60 } else { 10 });
        match redirect::steady(&lab, steady) {
            Ok(line) => writeln!(out, "\n{line}").map_err(io_error("standard output"))?,
            Err(BenchError::Skipped(_)) => {}
            Err(error) => return Err(error),
        }
    }
    writeln!(out).map_err(io_error("standard output"))?;
    report.growth = growth::run(wanted, &mut out)?;
    if arguments.docs {
        let page = crate::chore::root().join("docs/performance.md");
        fs::write(&page, report.page()).map_err(io_error("docs/performance.md"))?;
    }
    let file = crate::chore::root().join("target/bench/report.json");
    report.write(&file)?;
    writeln!(out, "\nwritten to {}", file.display()).map_err(io_error("standard output"))
}

/// The same command, built with optimisation: other numbers mean nothing.
fn optimised() -> Result<(), BenchError> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Both at once: they share what they are made of.
    let built = Command::new(program)
        .args(["build", "--release", "--package", "tapwright", "--package", "xtask"])
        .current_dir(crate::chore::root())
        .status()
        .map_err(io_error("cargo"))?;
    if !built.success() {
        return Err(BenchError::Release(built));
    }
    let status = Command::new(crate::chore::target_folder().join("release/xtask"))
        .args(std::env::args_os().skip(1))
        .current_dir(crate::chore::root())
        .status()
        .map_err(io_error("the optimised build"))?;
    if status.success() { Ok(()) } else { Err(BenchError::Release(status)) }
}

fn io_error(what: &'static str) -> impl Fn(io::Error) -> BenchError {
    move |source| BenchError::Io { what, source }
}
