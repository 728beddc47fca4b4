//! Instructions, counted: what one packet, and one small case, cost whatever else the machine does.
//!
//! Valgrind counts a run of this program that does a thing so many times, and one that does it twice
//! as many times. What a start costs drops out of the difference. `xtask/instructions.json` has what was
//! counted when it was last accepted.

use std::{collections::BTreeMap, fs, hint::black_box, io::Write, path::PathBuf, process::Command};

use bytes::Bytes;
use serde_json::json;
use tapwright::{
    backend::{Backend, Deadline, Sim},
    base::VirtualTime,
    format,
    machine::{
        Input, Machine, Output,
        framing::{Reassembler, Strictness, encode},
    },
    runner::exec,
};

use super::{
    BenchError, case, io_error,
    machine::{FILTERED, GUEST, chain, frame, taken},
    segment::{ACK, SYN, Segment},
};

/// How much more than accepted is too much, in percent.
const TOLERANCE: u64 = 5;

/// One unit of work; it fails when what came of it is not what must come.
type Work = Box<dyn FnMut() -> Result<(), BenchError>>;

/// What sets it up.
type Build = fn() -> Result<Work, BenchError>;

/// Everything that is counted: its name, what one is, how often it is done, and what sets it up.
const COUNTED: &[(&str, &str, u32, Build)] = &[
    ("mirror", "packet", 2_000, || one_filter("filter-mirror")),
    ("redirector", "packet", 2_000, || one_filter("filter-redirector")),
    ("rewriter", "packet", 2_000, rewriter),
    ("compare", "pair of packets", 2_000, compare),
    ("framing", "packet", 2_000, framing),
    ("case", "small case on sim", 100, small_case),
];

/// Instructions by name.
type Table = BTreeMap<String, u64>;

/// What became of a count: what was accepted, and what was counted now.
struct Counted {
    name: &'static str,
    of: &'static str,
    accepted: Option<u64>,
    now: u64,
}

impl Counted {
    /// How much more it is than was accepted, in percent.
    fn growth(&self) -> Option<f64> {
        let accepted = self.accepted.filter(|accepted| *accepted > 0)?;
        Some((self.now as f64 / accepted as f64 - 1.0) * 100.0)
    }

    fn has_grown(&self) -> bool {
        let most = |accepted: u64| accepted + accepted * TOLERANCE / 100;
        self.accepted.is_some_and(|accepted| self.now > most(accepted))
    }

    fn line(&self) -> String {
        let growth = self.growth().map_or_else(
            || "not accepted yet".to_owned(),
            |growth| format!("{growth:+.1} % of what was accepted"),
        );
        format!("{:16}{:>12}  a {}, {growth}", self.name, self.now, self.of)
    }
}

/// Does a thing that is counted, so many times.
pub(super) fn work(name: &str, times: u32) -> Result<(), BenchError> {
    let (.., build) = COUNTED
        .iter()
        .find(|(known, ..)| *known == name)
        .ok_or_else(|| BenchError::Wrong(format!("nothing that is counted is called {name}")))?;
    let mut work = build()?;
    (0..times).try_for_each(|_| work())
}

/// Whether valgrind runs here.
pub(crate) fn is_possible() -> bool {
    crate::chore::runs("valgrind")
}

/// Counts, and prints the table; with `accept` what was counted is what is accepted from now on.
/// Fails where something has grown by more than the tolerance.
pub(super) fn run(accept: bool, out: &mut dyn Write) -> Result<(), BenchError> {
    if !is_possible() {
        return Err(BenchError::Skipped(
            "instructions are counted by valgrind, which does not run here (Debian: apt-get install \
             valgrind)"
                .to_owned(),
        ));
    }
    let file = crate::chore::root().join("xtask/instructions.json");
    let accepted = read(&file)?;
    let mut all = Vec::new();
    for (name, of, times, _) in COUNTED {
        let (few, many) = (instructions(name, *times)?, instructions(name, 2 * times)?);
        let now = many.saturating_sub(few) / u64::from(*times);
        let counted = Counted { name, of, accepted: accepted.get(*name).copied(), now };
        writeln!(out, "{}", counted.line()).map_err(io_error("standard output"))?;
        all.push(counted);
    }
    if accept {
        let table: Table = all.iter().map(|one| (one.name.to_owned(), one.now)).collect();
        let text = serde_json::to_string_pretty(&table)
            .map_err(|error| io_error("xtask/instructions.json")(error.into()))?;
        return fs::write(&file, text + "\n").map_err(io_error("xtask/instructions.json"));
    }
    let grown: Vec<&str> = all.iter().filter(|one| one.has_grown()).map(|one| one.name).collect();
    if grown.is_empty() { Ok(()) } else { Err(BenchError::Grown(grown.join(", "))) }
}

fn read(file: &PathBuf) -> Result<Table, BenchError> {
    let text = fs::read_to_string(file).map_err(io_error("xtask/instructions.json"))?;
    serde_json::from_str(&text)
        .map_err(|error| BenchError::Wrong(format!("xtask/instructions.json: {error}")))
}

/// What valgrind counts in a run of this program.
fn instructions(name: &str, times: u32) -> Result<u64, BenchError> {
    let program = std::env::current_exe().map_err(io_error("this program"))?;
    let times = times.to_string();
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args(["bench", "--work", name, "--times", &times])
        .output()
        .map_err(io_error("valgrind"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let counted = || {
        let line =
            said.lines().find(|line| line.contains("I refs:") || line.contains("I   refs:"))?;
        line.rsplit(':').next()?.trim().replace(',', "").parse().ok()
    };
    match counted() {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(BenchError::Wrong(format!("valgrind and {name}: {said}"))),
    }
}

/// A filter takes a frame to its outdev: a write of its length, and one of its bytes.
fn one_filter(kind: &str) -> Result<Work, BenchError> {
    let args =
        json!({"qom-type": kind, "id": "f0", "netdev": FILTERED, "queue": "tx", "outdev": "m0"});
    let mut machine = chain(false, &[args])?;
    let (frame, mut out) = (frame(64), Vec::new());
    Ok(Box::new(move || {
        let data = frame.clone();
        let input = Input::NetdevFrame { netdev: FILTERED.into(), data, tag: None };
        out.clear();
        machine.handle(VirtualTime::ZERO, input, &mut out);
        taken(&out, 2)
    }))
}

/// Gives the machine an input; at least one output must be of a kind.
fn handle(
    machine: &mut Machine,
    input: Input,
    out: &mut Vec<Output>,
    is_wanted: impl Fn(&Output) -> bool,
) -> Result<(), BenchError> {
    out.clear();
    machine.handle(VirtualTime::ZERO, input, out);
    expect(out.iter().any(is_wanted))
}

fn expect(holds: bool) -> Result<(), BenchError> {
    if holds { Ok(()) } else { Err(BenchError::Wrong("not what must come of it".to_owned())) }
}

/// A segment without payload, as a link carries it.
fn padded(segment: Segment) -> Bytes {
    let mut frame = segment.bytes();
    frame.resize(60, 0);
    frame.into()
}

/// The client's segments of a connection whose numbers are shifted.
fn rewriter() -> Result<Work, BenchError> {
    let args = json!({"qom-type": "filter-rewriter", "id": "f0", "netdev": "hn0", "queue": "all"});
    let mut machine = chain(false, &[args])?;
    let mut out = Vec::new();
    // The primary's number is 1,000, the secondary's 5,000.
    for (from_guest, flags, seq, ack) in
        [(false, SYN, 100, 0), (true, SYN | ACK, 5000, 101), (false, ACK, 101, 1001)]
    {
        let netdev = if from_guest { GUEST } else { FILTERED };
        let data = padded(Segment { from_guest, flags, seq, ack, payload: 0 });
        let input = Input::NetdevFrame { netdev: netdev.into(), data, tag: None };
        machine.handle(VirtualTime::ZERO, input, &mut out);
    }
    let sent = padded(Segment { flags: ACK, seq: 101, ack: 1001, ..Segment::default() });
    Ok(Box::new(move || {
        let data = sent.clone();
        let input = Input::NetdevFrame { netdev: FILTERED.into(), data, tag: None };
        let shifted = |output: &Output| match output {
            Output::NetdevFrame { data, .. } => {
                data.get(42..46) == Some(&5001_u32.to_be_bytes()[..])
            }
            _ => false,
        };
        handle(&mut machine, input, &mut out, shifted)
    }))
}

/// A pair of equal datagrams, the primary's first.
fn compare() -> Result<Work, BenchError> {
    let args = json!({"qom-type": "colo-compare", "id": "f0", "primary_in": "m0",
        "secondary_in": "r0", "outdev": "out0", "iothread": "io0"});
    let mut machine = chain(false, &[args])?;
    let mut datagram = padded(Segment::default()).to_vec();
    datagram[23] = 17;
    let (sent, mut out) = (encode(&datagram, None), Vec::new());
    Ok(Box::new(move || {
        let input = |chardev: &str| Input::ChardevBytes {
            chardev: chardev.into(),
            data: sent.clone(),
            tag: None,
        };
        let is_written = |output: &Output| matches!(output, Output::ChardevBytes { .. });
        out.clear();
        machine.handle(VirtualTime::ZERO, input("m0"), &mut out);
        handle(&mut machine, input("r0"), &mut out, is_written)
    }))
}

/// A frame of 64 bytes is framed, and cut out of the stream again.
fn framing() -> Result<Work, BenchError> {
    let frame = frame(64);
    let strictness = Strictness { empty_waits: true, oversize_late: true };
    let mut stream = Reassembler::new(false, strictness);
    Ok(Box::new(move || {
        let mut bytes = encode(black_box(&frame), None);
        let unit = black_box(stream.next(&mut bytes, None));
        expect(unit.is_some() && bytes.is_empty())
    }))
}

/// From the text of a scenario to the text of its record.
fn small_case() -> Result<Work, BenchError> {
    Ok(Box::new(|| {
        let case = case::parse(case::SCENARIO)?;
        let world = Sim.open(&case)?;
        let executed = exec(&case, world, Sim.name(), &Deadline::NEVER);
        let text = format::text(&executed.reading);
        expect(executed.failures.is_empty() && text.contains("r0"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_counted_does_what_it_must() {
        for (name, ..) in COUNTED {
            work(name, 3).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn five_percent_more_is_too_much() {
        let counted = |now| Counted { name: "mirror", of: "packet", accepted: Some(1000), now };
        assert!(!counted(1050).has_grown());
        assert!(counted(1051).has_grown());
        assert!(!counted(500).has_grown());
    }

    #[test]
    fn each_count_was_accepted() {
        let accepted = read(&crate::chore::root().join("xtask/instructions.json")).unwrap();
        let names: Vec<&str> = accepted.keys().map(String::as_str).collect();
        let mut counted: Vec<&str> = COUNTED.iter().map(|(name, ..)| *name).collect();
        counted.sort_unstable();
        assert_eq!(names, counted);
    }
}
