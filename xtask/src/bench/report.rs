//! What was measured, as it is printed, stored as JSON and written to docs/performance.md.

use std::{fs, io::Write, path::Path};

use serde::Serialize;

use super::{BenchError, growth::Growth, io_error};

const PAGE: &str = "\
# What things cost

`cargo xtask bench --docs` measured this page. Each row runs its subject and a baseline in turn, and *speed* is how
many times as fast as its baseline the subject is: the median of the laps, and the quartiles. Times depend on the
machine, here one with two processors; ratios hardly do. `cargo xtask bench --count` counts instructions
instead, which depend on nothing else that runs; `xtask/instructions.json` has those that were accepted.

| row | speed | quartiles | goal | subject | baseline |
|---|---:|---|---:|---|---|
";

const GROWTH: &str = "
## How it grows

Whole processes of `tapwright`, each size once. Memory is the most that the process had.

| work | how many | time for each | memory |
|---|---:|---:|---:|
";

/// Rows that miss their goal on two processors: what bounds them, and what was tried.
const BOUNDS: &[(&str, &str)] = &[
    ("redirect/QEMU, super-frames", COPIES),
    ("redirect/QEMU 11.1, super-frames", COPIES),
    (
        "suite on netns, fresh",
        "processor time: 1.6 ms a case, of which 0.3 ms are ours, against 1.0 ms of the bare loop for its namespace and \
     two TAPs. The rest is the kernel's, for what a case has beside these: three packet sockets, addresses, queues \
     and switching on, which dismantling has to undo. 2, 4 and 8 workers are equally fast. Packet sockets that are \
     closed by threads which are used again, one request for all settings of a namespace, and settings of the \
     host's stack only where it has addresses brought it from 0.44 to 0.57",
    ),
];

const COPIES: &str = "copying: nearly 64 KiB go into the ring, into the socket, and out of it to the reader, which are \
     the kernel's copies and half of QEMU's time. For a frame of 1,514 bytes it is system calls that QEMU has for \
     each, and the redirector for a hundred";

/// Median and quartiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    /// Of at least one value.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            let last = values.len().saturating_sub(1);
            values.get(last * quarter / 4).copied().unwrap_or(f64::NAN)
        };
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

/// What became of a row. Times are nanoseconds for each `of`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Measured {
    Times {
        subject: (&'static str, Spread),
        baseline: (&'static str, Spread),
        /// How many times as fast as the baseline the subject is, lap by lap.
        speed: Spread,
        /// What `speed` is to be.
        goal: Option<f64>,
        of: &'static str,
        laps: usize,
    },
    Skipped {
        reason: String,
    },
}

impl Measured {
    pub(super) fn skipped(reason: String) -> Self {
        Self::Skipped { reason }
    }
}

/// All rows, in order.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    rows: Vec<ReportRow>,
    pub(super) growth: Vec<Growth>,
}

#[derive(Debug, Serialize)]
struct ReportRow {
    name: &'static str,
    measured: Measured,
    /// What bounds a row that misses its goal.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<&'static str>,
}

/// What is known to bound a row, where it misses its goal.
fn bound(name: &str, measured: &Measured) -> Option<&'static str> {
    let missed = matches!(
        measured,
        Measured::Times { speed, goal: Some(goal), .. } if speed.median < *goal
    );
    let known = BOUNDS.iter().find(|(row, _)| missed && *row == name);
    known.map(|(_, bound)| *bound)
}

pub(super) fn head(out: &mut dyn Write) -> Result<(), BenchError> {
    writeln!(
        out,
        "{:30}{:>8}  {:17}{:10}subject and baseline",
        "row", "speed", "(quartiles)", "goal"
    )
    .map_err(io_error("standard output"))
}

impl Report {
    /// Takes a row and prints it.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        measured: Measured,
        out: &mut dyn Write,
    ) -> Result<(), BenchError> {
        let line = match &measured {
            Measured::Times { subject, baseline, speed, goal, of, .. } => {
                let quartiles = format!("({}-{})", times(speed.low), times(speed.high));
                let goal = match goal {
                    Some(goal) if speed.median >= *goal => format!("{goal} ok"),
                    Some(goal) => format!("{goal} MISSED"),
                    None => String::new(),
                };
                let rate = rate(subject.1.median);
                let subject = format!("{}{rate}, {}", time(subject.1.median), subject.0);
                let baseline = format!("{}, {}", time(baseline.1.median), baseline.0);
                let speed = times(speed.median);
                format!("{speed:>8}  {quartiles:17}{goal:10}{subject} / {baseline}, a {of}")
            }
            Measured::Skipped { reason } => format!(" SKIPPED  {reason}"),
        };
        let print = io_error("standard output");
        writeln!(out, "{name:30}{line}").map_err(&print)?;
        let bound = bound(name, &measured);
        if let Some(bound) = bound {
            writeln!(out, "{:30}bounded by {bound}", "").map_err(&print)?;
        }
        self.rows.push(ReportRow { name, measured, bound });
        Ok(())
    }

    /// docs/performance.md.
    pub(super) fn page(&self) -> String {
        let mut page = String::from(PAGE);
        for ReportRow { name, measured, .. } in &self.rows {
            page += &match measured {
                Measured::Times { subject, baseline, speed, goal, of, .. } => format!(
                    "| {name} | {} | {} to {} | {} | {} a {of}, {} | {} a {of}, {} |\n",
                    times(speed.median),
                    times(speed.low),
                    times(speed.high),
                    goal.map_or_else(String::new, |goal| goal.to_string()),
                    time(subject.1.median),
                    subject.0,
                    time(baseline.1.median),
                    baseline.0,
                ),
                Measured::Skipped { reason } => {
                    format!("| {name} | | | | not measured: {reason} | |\n")
                }
            };
        }
        for row in &self.rows {
            if let Some(bound) = row.bound {
                page += &format!("\n*{}* misses its goal. What bounds it is {bound}.\n", row.name);
            }
        }
        page += GROWTH;
        for growth in &self.growth {
            page += &growth.rows();
        }
        page
    }

    pub(super) fn write(&self, file: &Path) -> Result<(), BenchError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| BenchError::Io { what: "the report", source: error.into() })?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(io_error("target/bench"))?;
        }
        fs::write(file, text + "\n").map_err(io_error("target/bench/report.json"))
    }
}

/// A ratio of speeds with the digits that mean something.
fn times(speed: f64) -> String {
    match speed {
        small if small < 0.1 => format!("{small:.4}"),
        middle if middle < 20.0 => format!("{middle:.2}"),
        large => format!("{large:.0}"),
    }
}

/// How many a second, where they are many.
fn rate(nanoseconds: f64) -> String {
    if nanoseconds < 1e6 {
        format!(" ({:.0} thousand a second)", 1e6 / nanoseconds)
    } else {
        String::new()
    }
}

/// Nanoseconds in the unit that leaves few digits.
pub(super) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        small if small < 1e4 => format!("{small:.0} ns"),
        middle if middle < 1e7 => format!("{:.1} µs", middle / 1e3),
        large => format!("{:.1} ms", large / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_of_the_sorted_values() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0].into_iter());
        let expected = Spread { low: 2.0, median: 3.0, high: 4.0 };
        assert_eq!(spread, expected);
        assert_eq!(Spread::of([7.0].into_iter()).median, 7.0);
    }

    #[test]
    fn a_row_that_misses_its_goal_says_what_bounds_it() {
        let of = |speed: f64| Measured::Times {
            subject: ("", Spread::of([1.0].into_iter())),
            baseline: ("", Spread::of([1.0].into_iter())),
            speed: Spread::of([speed].into_iter()),
            goal: Some(0.8),
            of: "case",
            laps: 1,
        };
        for (name, text) in BOUNDS {
            assert_eq!(bound(name, &of(0.7)), Some(*text));
            assert_eq!(bound(name, &of(0.8)), None);
        }
        assert_eq!(bound("another row", &of(0.7)), None);
    }

    #[test]
    fn a_skipped_row_is_told_and_stored() {
        let (mut report, mut out) = (Report::default(), Vec::new());
        report.add("QEMU start", Measured::skipped("no QEMU".into()), &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        assert_eq!(printed, "QEMU start                     SKIPPED  no QEMU\n");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bench/report.json");
        report.write(&file).unwrap();
        let stored: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let expected = serde_json::json!({
            "rows": [{"name": "QEMU start", "measured": {"skipped": {"reason": "no QEMU"}}}],
            "growth": [],
        });
        assert_eq!(stored, expected);
    }
}
