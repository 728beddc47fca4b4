//! The command `diff`: two captures, packet by packet.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    CliError, Stop,
    output::{self, Format},
};
use crate::{
    capture::{Stream, StreamError},
    compare::{
        CaptureCounts, CaptureRules, CompareError, Difference, Mismatch, compare_captures, render,
    },
    diag::Diagnose,
    file, frame,
    report::painted,
    runner::Exit,
    scenario::nearest,
    terminal::visible,
    wording::Text,
};

/// Compares two captures packet by packet: which is lost, extra, late, swapped or changed, and in
/// which field and bytes. Each is read once and may be of any length; times are not compared. The
/// exit code is 0 when they are the same, and 1 when they differ.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The capture as it should be, pcap or pcapng; - for standard input
    expected: PathBuf,
    /// The capture as it is; - for standard input
    actual: PathBuf,
    /// Fields that are not compared, such as ipv4.id,ipv4.checksum
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    mask: Vec<String>,
    /// Fields by which a packet is known, such as ipv4.id,tcp.seq: packets in which they are equal
    /// are the same packet, changed or not [default: all bytes]
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    key: Vec<String>,
    /// A packet that comes up to so many packets later is late, and not lost
    #[arg(long, value_name = "PACKETS", default_value_t = 1000)]
    window: usize,
    /// Differences that are shown; all are counted
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    most: usize,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl DiffArgs {
    /// What the two captures are called.
    fn names(&self) -> [String; 2] {
        [&self.expected, &self.actual].map(|path| visible(&path.display()).to_string())
    }
}

pub(super) fn run(args: &DiffArgs) -> Result<Exit, Stop> {
    let [masks, key] = [fields("--mask", &args.mask)?, fields("--key", &args.key)?];
    if file::is_stdin(&args.expected) && file::is_stdin(&args.actual) {
        return Err(Stop::invalid(vec![CliError::StdinTwice.report()]));
    }
    let (expected, actual) = (opened(&args.expected)?, opened(&args.actual)?);
    let rules = CaptureRules { masks: &masks, key: &key, window: args.window };
    let mut out: Box<dyn Write> = match args.format {
        Format::Human => Box::new(BufWriter::new(output::stdout())),
        Format::Json => Box::new(BufWriter::new(output::lines())),
    };
    let mut told = 0_usize;
    let counts = compare_captures(expected, actual, rules, |difference| {
        told += 1;
        match args.format {
            Format::Human if told > args.most => Ok(()),
            Format::Human => out.write_all(painted(&drawn(args, difference)).as_bytes()),
            Format::Json => writeln!(out, "{}", line(&difference)),
        }
    });
    let written = match counts {
        Ok(counts) => match args.format {
            Format::Human => writeln!(out, "{}", summary(args, counts)),
            Format::Json => writeln!(out, "{}", json_summary(args, counts)),
        }
        .map(|()| counts.is_same()),
        Err(CompareError::Told(error)) => Err(error),
        Err(CompareError::Expected(error)) => return broken(&args.expected, error, out),
        Err(CompareError::Actual(error)) => return broken(&args.actual, error, out),
    };
    match written.and_then(|is_same| out.flush().map(|()| is_same)) {
        Ok(true) => Ok(Exit::Success),
        Ok(false) => Ok(Exit::Failed),
        // A reader that went away has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Failed),
        Err(error) => Err(output::unwritable(error)),
    }
}

/// Names of fields, each of which there is.
fn fields<'a>(option: &'static str, names: &'a [String]) -> Result<Vec<&'a str>, Stop> {
    let unknown = |name: &&str| !frame::FIELD_NAMES.contains(name);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.iter().find(|name| unknown(name)) {
        None => Ok(names),
        Some(name) => {
            let all = frame::FIELD_NAMES.iter().copied();
            let near = nearest(name, all.clone());
            let known = near.unwrap_or_else(|| all.collect::<Vec<_>>().join(", "));
            let error = CliError::NoSuchField { option, name: (*name).to_owned(), known };
            Err(Stop::invalid(vec![error.report()]))
        }
    }
}

fn opened(path: &Path) -> Result<Stream<File>, Stop> {
    let path = path.to_owned();
    let file = match file::open_input(&path) {
        Ok(file) => file,
        Err(source) => {
            return Err(Stop::invalid(vec![CliError::NoCapture { path, source }.report()]));
        }
    };
    Stream::new(file).map_err(|source| {
        Stop::invalid(vec![CliError::CaptureBroken { path, source: source.into() }.report()])
    })
}

/// What was found before stays told.
fn broken(path: &Path, source: StreamError, mut out: Box<dyn Write>) -> Result<Exit, Stop> {
    let flushed = out.flush();
    let error = CliError::CaptureBroken { path: path.to_owned(), source: source.into() };
    flushed.map_err(output::unwritable)?;
    Err(Stop::invalid(vec![error.report()]))
}

fn drawn(args: &DiffArgs, difference: Difference) -> Text {
    let [expected, actual] = args.names();
    render(&Mismatch { expected, actual, differences: vec![difference] })
}

fn line(difference: &Difference) -> Value {
    let mut what = json!(difference.what);
    if let Some(what) = what.as_object_mut() {
        // How many packets there are is not known before the end.
        what.remove("of");
    }
    json!({ "type": "difference", "what": what, "frames": difference.frames })
}

fn summary(args: &DiffArgs, counts: CaptureCounts) -> String {
    let [a, b] = args.names();
    if counts.is_same() {
        return format!("{a} and {b} have the same {} packets", counts.same);
    }
    let CaptureCounts { same, changed, missing, extra, moved, expected, actual, beyond_window } =
        counts;
    let more = (changed + missing + extra + moved).saturating_sub(args.most);
    let more = match more {
        0 => String::new(),
        more => format!("  and {more} more differences: --most shows them\n"),
    };
    let more = match beyond_window {
        true => format!(
            "{more}  more packets in a row differ than --window {} lines up: a longer one may tell more\n",
            args.window
        ),
        false => more,
    };
    format!(
        "{more}{expected} packets in {a}, {actual} in {b}: {same} the same, {changed} changed, {missing} \
         missing, {extra} extra, {moved} in another place"
    )
}

fn json_summary(args: &DiffArgs, counts: CaptureCounts) -> Value {
    let CaptureCounts { same, changed, missing, extra, moved, expected, actual, beyond_window } =
        counts;
    json!({
        "type": "summary",
        "expected": { "file": args.expected, "packets": expected },
        "actual": { "file": args.actual, "packets": actual },
        "same": same, "changed": changed, "missing": missing, "extra": extra, "moved": moved,
        "beyond_window": beyond_window,
    })
}
