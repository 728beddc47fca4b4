//! The command `explain`: the tables of all parts' codes, and one code's text.

use super::{CliError, Stop, output};
use crate::{
    backend, capture,
    diag::{Diagnose, Explanation},
    file, frame, redirect,
    runner::{self, Exit},
    scenario, snapshot,
};

/// Says what a code means.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// A code as diagnostics print it, such as TW-S001 or S001
    code: String,
}

/// What every code begins with.
const PREFIX: &str = "TW-";

const WIDTH: usize = 80;

/// The tables of all parts.
const TABLES: &[&[Explanation]] = &[
    scenario::EXPLANATIONS,
    file::EXPLANATIONS,
    frame::EXPLANATIONS,
    capture::EXPLANATIONS,
    snapshot::EXPLANATIONS,
    backend::netns::EXPLANATIONS,
    backend::qemu::EXPLANATIONS,
    redirect::EXPLANATIONS,
    runner::EXPLANATIONS,
    super::EXPLANATIONS,
];

pub(super) fn run(args: &ExplainArgs) -> Result<Exit, Stop> {
    let mut code = args.code.to_uppercase();
    if !code.starts_with(PREFIX) {
        code.insert_str(0, PREFIX);
    }
    let text = Explanation::find(TABLES, &code)
        .map(|row| format!("{}: {}\n\n{}", row.code, row.title, wrapped(row.text)));
    match text {
        Some(text) => output::print(&text).map(|()| Exit::Success),
        None => Err(Stop::invalid(vec![CliError::NoSuchCode { code: args.code.clone() }.report()])),
    }
}

/// The paragraph in lines of at most [`WIDTH`] columns, where its words allow it.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_too_wide_and_no_word_is_lost() {
        let text = "word ".repeat(100);
        let lines = wrapped(&text);
        assert!(lines.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(lines.split_whitespace().count(), 100);
    }

    #[test]
    fn no_code_is_explained_twice() {
        let mut codes: Vec<&str> =
            TABLES.iter().flat_map(|table| table.iter().map(|row| row.code.0)).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
