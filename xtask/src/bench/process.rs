//! What it costs to start: a check of one scenario and a run of one case, beside a program that does
//! nothing.

use std::{fs, process::Command};

use super::{
    BenchError, case, io_error,
    lap::{Lap, Row, keeping, timed},
    suite::program,
};

const STARTS: u32 = 20;

/// The words of `tapwright` before the file.
pub(super) fn row(what: &'static str, words: &'static [&'static str]) -> Result<Row, BenchError> {
    let folder = tempfile::tempdir().map_err(io_error("a folder"))?;
    let file = folder.path().join("one.yaml");
    fs::write(&file, case::SCENARIO).map_err(io_error("a scenario"))?;
    let mut subject = Command::new(program()?);
    subject.args(words).arg(&file);
    let mut accept = Command::new(program()?);
    accept.args(["run", "--backend", "sim", "--accept"]).arg(&file);
    accept.output().map_err(io_error("tapwright"))?;
    Ok(Row {
        subject: (what, keeping(folder, starts(subject))),
        baseline: ("true", starts(Command::new("true"))),
        of: "start",
        count: STARTS,
        baseline_count: STARTS,
        goal: None,
    })
}

fn starts(mut command: Command) -> Lap {
    Box::new(move || {
        timed(|| {
            for _ in 0..STARTS {
                let output = command.output().map_err(io_error("a program"))?;
                if !output.status.success() {
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    return Err(BenchError::Wrong(said));
                }
            }
            Ok(())
        })
    })
}
