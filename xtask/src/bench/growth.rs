//! How time and memory grow with the work: cases of a run, frames of a case, packets of two captures.

use std::{
    ffi::OsString,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use super::{BenchError, captures, io_error, report::time, suite};

/// What one size took.
#[derive(Debug, Serialize)]
pub(super) struct Size {
    /// How many there were.
    count: u32,
    /// Nanoseconds for each.
    each: f64,
    /// The most memory that the process had, in KiB.
    peak: u64,
}

/// A kind of work in several sizes.
#[derive(Debug, Serialize)]
pub(super) struct Growth {
    name: &'static str,
    of: &'static str,
    sizes: Vec<Size>,
}

impl Growth {
    /// The rows of a table in Markdown.
    pub(super) fn rows(&self) -> String {
        let row = |size: &Size| {
            let Size { count, each, peak } = size;
            let (name, mebibytes) = (self.name, peak / 1024);
            format!("| {name} | {count} {}s | {} | {mebibytes} MiB |\n", self.of, time(*each))
        };
        self.sizes.iter().map(row).collect()
    }
}

/// What a child that measures another says.
#[derive(Deserialize, Serialize)]
struct Peak {
    nanoseconds: u64,
    kibibytes: u64,
}

type Prepare = fn(&Path, u32) -> Result<Vec<OsString>, BenchError>;

/// Name, what there are many of, the sizes, and what makes the arguments of `tapwright`.
const WORK: &[(&str, &str, &[u32], Prepare)] = &[
    ("cases on sim", "case", &[1_000, 10_000, 100_000], cases),
    ("frames of a case on sim", "frame", &[10_000, 100_000, 1_000_000], frames),
    ("packets of two captures", "packet", &[10_000, 100_000, 1_000_000, 10_000_000], packets),
];

/// Measures everything, and prints it.
pub(super) fn run(
    wanted: impl Fn(&str) -> bool,
    out: &mut dyn Write,
) -> Result<Vec<Growth>, BenchError> {
    let print = io_error("standard output");
    let mut all = Vec::new();
    for (name, of, sizes, prepare) in WORK.iter().filter(|(name, ..)| wanted(name)) {
        let mut growth = Growth { name, of, sizes: Vec::new() };
        for &count in *sizes {
            let folder = tempfile::tempdir().map_err(io_error("a folder"))?;
            let arguments = prepare(folder.path(), count)?;
            let Peak { nanoseconds, kibibytes } = measured(&arguments)?;
            let each = nanoseconds as f64 / f64::from(count);
            let first = growth.sizes.first();
            let (time, memory) = first.map_or((1.0, 1.0), |first| {
                (each / first.each, kibibytes as f64 / first.peak as f64)
            });
            writeln!(
                out,
                "{name:30}{count:>10} {of}s, {:>9.2} µs each ({time:.2} times the first), peak {} MiB \
                 ({memory:.2} times)",
                each / 1e3,
                kibibytes / 1024
            )
            .map_err(&print)?;
            growth.sizes.push(Size { count, each, peak: kibibytes });
        }
        all.push(growth);
    }
    Ok(all)
}

/// A child of ours runs the program as its only child: the kernel keeps the peak of all children.
fn measured(arguments: &[OsString]) -> Result<Peak, BenchError> {
    let own = std::env::current_exe().map_err(io_error("this program"))?;
    let output = Command::new(own)
        .args(["bench", "--peak-of"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(io_error("this program"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said)
        .map_err(|error| BenchError::Wrong(format!("{error}: {said} ({})", output.status)))
}

/// Runs `tapwright` with these arguments, and says how long it took and how much memory it had.
pub(super) fn peak_of(arguments: &[OsString], out: &mut dyn Write) -> Result<(), BenchError> {
    let began = Instant::now();
    let status = Command::new(suite::program()?)
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .map_err(io_error("tapwright"))?;
    if !status.success() {
        return Err(BenchError::Wrong(format!("tapwright {arguments:?} ended with {status}")));
    }
    let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let usage =
        getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|errno| io_error("rusage")(errno.into()))?;
    let peak = Peak { nanoseconds, kibibytes: usage.max_rss().unsigned_abs() };
    let text = serde_json::to_string(&peak).map_err(|error| io_error("rusage")(error.into()))?;
    writeln!(out, "{text}").map_err(io_error("standard output"))
}

/// Files of a hundred cases each.
fn cases(folder: &Path, count: u32) -> Result<Vec<OsString>, BenchError> {
    suite::cases(folder, count, 100)?;
    let words = ["run", "--backend", "sim", "--accept"].map(OsString::from);
    Ok([&words[..], &[folder.into()]].concat())
}

fn frames(folder: &Path, count: u32) -> Result<Vec<OsString>, BenchError> {
    let file = folder.join("frames.yaml");
    let text = format!(
        "description: Many frames through a mirror.\n\
         netdevs: {{ hn0: {{}} }}\n\
         chardevs: {{ out0: {{}} }}\n\
         objects:\n\
         \x20 - filter-mirror,id=f0,netdev=hn0,queue=rx,outdev=out0\n\
         steps:\n\
         \x20 - send: hn0.guest\n\
         \x20   repeat: {count}\n\
         \x20   frames: [{{ ipv4: {{ src: 10.0.0.1, dst: 10.0.0.2 }}, udp: {{ sport: 4000, dport: 9 }}, payload: \
         \"number ${{i}}\" }}]\n\
         expect: {{ out0: {count} }}\n"
    );
    write(&file, &text)?;
    Ok(["run", "--backend", "sim", "--accept"]
        .map(OsString::from)
        .into_iter()
        .chain([file.into()])
        .collect())
}

fn packets(folder: &Path, count: u32) -> Result<Vec<OsString>, BenchError> {
    let (left, right) = (folder.join("a.pcap"), folder.join("b.pcap"));
    captures::write(&left, count)
        .and_then(|()| captures::write(&right, count))
        .map_err(io_error("a capture"))?;
    Ok(vec!["diff".into(), left.into(), right.into()])
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(io_error("a scenario"))
}
