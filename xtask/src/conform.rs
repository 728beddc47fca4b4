//! Replays measured records of real QEMU against the machine. What a record holds is described in
//! `fixtures/qemu/README.md`.

pub(crate) mod ask;
mod cli;
mod datapath;
mod error;
mod hex;
mod host;
mod observation;
mod record;
mod setup;
mod tap;

use std::{collections::BTreeSet, fs, io::Write, path::PathBuf, process::ExitCode};

use record::{Record, RecordError};
use tap::Taps;

/// What replaying one record came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The machine did what QEMU did.
    Agree,
    /// It did not; what differs.
    Disagree(Vec<String>),
    /// The record is about something that the machine has not; what.
    NotBuilt(String),
}

/// The sums over all records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) agree: usize,
    pub(crate) disagree: usize,
    pub(crate) not_built: usize,
}

/// Why the files can't be replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConformError {
    #[error("{}: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{}:{line}: {source}", file.display())]
    Record { file: PathBuf, line: usize, source: RecordError },
    #[error("{}: {source}", file.display())]
    TearDown { file: PathBuf, source: RecordError },
    #[error("can't print: {0}")]
    Print(#[from] std::io::Error),
}

/// Replays the files, prints each disagreement, and last the sums.
pub(crate) fn run(files: &[PathBuf]) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match replay(files, &mut out) {
        Ok(Tally { disagree: 0, .. }) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            // Nothing is left to do when standard error is closed as well.
            let _ = writeln!(std::io::stderr(), "conform: {error}");
            ExitCode::from(2)
        }
    }
}

/// Replays the files into `out`.
pub(crate) fn replay(files: &[PathBuf], out: &mut dyn Write) -> Result<Tally, ConformError> {
    let mut tally = Tally::default();
    let mut taps = Taps::default();
    let mut warned = BTreeSet::new();
    // Isolation may hide a directory, so the files are read before the first TAP needs it.
    let texts = files
        .iter()
        .map(|file| {
            fs::read_to_string(file)
                .map_err(|source| ConformError::Read { file: file.clone(), source })
        })
        .collect::<Result<Vec<_>, _>>()?;
    for (file, text) in files.iter().zip(texts) {
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |source| ConformError::Record { file: file.clone(), line: at + 1, source };
            let record = Record::parse(line).map_err(wrong)?;
            if let Some(warning) = record.warning().map_err(wrong)?
                && warned.insert(warning.clone())
            {
                writeln!(out, "note: {warning}")?;
            }
            let verdict = record.replay(&mut taps).map_err(wrong)?;
            if let Some(note) = taps.take_note() {
                writeln!(out, "note: {note}")?;
            }
            match verdict {
                Verdict::Agree => tally.agree += 1,
                Verdict::NotBuilt(_) => tally.not_built += 1,
                Verdict::Disagree(differences) => {
                    tally.disagree += 1;
                    let place = format!("{}:{}", file.display(), at + 1);
                    writeln!(out, "{place}: disagree: {}", record.case())?;
                    for difference in differences {
                        writeln!(out, "    {difference}")?;
                    }
                }
            }
        }
        taps.close().map_err(|source| ConformError::TearDown { file: file.clone(), source })?;
    }
    let Tally { agree, disagree, not_built } = tally;
    writeln!(out, "agree {agree}, disagree {disagree}, not built {not_built}")?;
    Ok(tally)
}

#[cfg(test)]
mod tests;
