//! Of several readings of a text, the one that loses least: which options a command line lost, which places are
//! open, which ids are declared twice.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{
    audit::{self, Mention},
    flag,
    paste::{Paste, Piece},
    program, salvage,
    shell::Shell,
    standin,
};
use crate::qapi::Options;

/// How bad a reading is: its faults, and then how little it has. Less is better.
type Faults = (usize, Reverse<usize>);

/// The reading of a text as a program, where that has fewer faults than another one.
pub(super) fn program(text: &str, other: &Paste) -> Option<Paste> {
    let mut shell = Shell::default();
    let program = program::read(text, &mut shell)?;
    let mut paste = Paste::default();
    for command in program.commands {
        paste.pieces.extend(command_line(command.words));
    }
    paste.branches = program.branches;
    paste.remarks = program.remarks;
    paste.unset = shell.unset;
    paste.commented = commented(text, &program.bare);
    let options = salvage::options(&program.bare);
    let expected = flag::tokens(&program.bare).filter(|word| flag::is_net(word)).count();
    if faults(&paste, &options, expected) >= faults(other, &options, expected) {
        return None;
    }
    let is_command = |piece: &&Piece| {
        matches!(piece, Piece::Command(..) | Piece::ObjectAdd(_) | Piece::Error(..))
    };
    paste.pieces.extend(other.pieces.iter().filter(is_command).cloned());
    Some(paste)
}

/// The options that stand in comments of a program.
fn commented(text: &str, bare: &str) -> Vec<Mention> {
    let set_up = audit::mentions(bare);
    audit::mentions(text).into_iter().filter(|mention| !set_up.contains(mention)).collect()
}

/// The options behind the program's name.
fn command_line(mut words: Vec<String>) -> Option<Piece> {
    let first = words.iter().position(|word| word.starts_with('-')).unwrap_or(words.len());
    let program = words.iter().take(first).rposition(|word| flag::is_program(word));
    let whole = program.is_some() || first > 0;
    words.drain(..program.map_or(first, |at| at + 1));
    (!words.is_empty()).then_some(Piece::CommandLine { words, whole })
}

/// Of a text that has these options whole, and so many in all, each of which a loop may make several.
fn faults(paste: &Paste, options: &[(String, String)], expected: usize) -> Faults {
    let mut count = paste.lost(options) + usize::from(paste.is_salvaged);
    let mut found = 0;
    for piece in &paste.pieces {
        let Piece::CommandLine { words, whole } = piece else {
            continue;
        };
        count += usize::from(!whole);
        let mut ids = BTreeSet::new();
        for pair in words.windows(2).filter(|pair| flag::is_net(&pair[0])) {
            found += 1;
            count += usize::from(standin::is_open(&pair[1]));
            let options = Options::read(&pair[1], "type");
            let id =
                options.id().map(|id| (pair[0].trim_start_matches('-').to_owned(), id.to_owned()));
            count += usize::from(id.is_some_and(|id| !ids.insert(id)));
        }
    }
    (count + expected.saturating_sub(found), Reverse(found))
}
