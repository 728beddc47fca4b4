//! Of several readings of a text, the one that loses least: which options a command line lost, which places are
//! open, which ids are declared twice.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{
    audit::{self, Mention},
    block, command, flag,
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
    let source = fenced(text);
    let source = source.as_deref().unwrap_or(text);
    let mut shell = Shell::default();
    let program = program::read(source, &mut shell, &started(other))?;
    if program.commands.is_empty() {
        return said(program.steps?, text, other);
    }
    let mut paste = Paste::default();
    for (name, command) in program.commands {
        let Some(line) = command_line(command.words) else { continue };
        paste.pieces.extend(name.map(|name| Piece::Part(Some(name))));
        paste.pieces.push(line);
    }
    paste.branches = program.branches;
    paste.remarks = program.remarks;
    paste.unset = shell.unset;
    paste.commented = commented(source, &program.bare);
    let options = salvage::options(&program.bare);
    let expected = flag::tokens(&program.bare).filter(|word| flag::is_net(word)).count();
    let (own, others) = (faults(&paste, &options, expected), faults(other, &options, expected));
    let steps = program.steps.filter(|steps| has_all(steps, text));
    // Of two alike, the one that says what it follows.
    if own > others {
        return None;
    }
    if let Some(steps) = steps {
        paste.pieces.extend(pieces(steps));
        paste.is_followed = true;
        return Some(paste);
    }
    let commands = other.pieces.iter().filter(|piece| !is_line(piece));
    paste.pieces.extend(commands.filter(|piece| !matches!(piece, Piece::Part(_))).cloned());
    Some(paste)
}

/// What a program says to machines whose command lines stand elsewhere in the text.
fn said(steps: Vec<(Option<String>, Piece)>, text: &str, other: &Paste) -> Option<Paste> {
    if !has_all(&steps, text) {
        return None;
    }
    let mut paste = other.clone();
    paste.pieces.retain(|piece| is_line(piece) || matches!(piece, Piece::Part(_)));
    paste.pieces.extend(pieces(steps));
    paste.is_followed = true;
    Some(paste)
}

fn pieces(steps: Vec<(Option<String>, Piece)>) -> impl Iterator<Item = Piece> {
    steps.into_iter().flat_map(|(name, piece)| [Piece::Part(name), piece])
}

fn is_line(piece: &Piece) -> bool {
    !matches!(piece, Piece::Command(..) | Piece::ObjectAdd(_) | Piece::Error(..) | Piece::Part(_))
}

/// The command lines of a reading, each with its machine where that is named.
fn started(paste: &Paste) -> Vec<(Option<String>, Vec<String>)> {
    let mut part = None;
    let mut all = Vec::new();
    for piece in &paste.pieces {
        match piece {
            Piece::Part(name) => part.clone_from(name),
            Piece::CommandLine { words, .. } => all.push((part.clone(), words.clone())),
            _ => {}
        }
    }
    all
}

/// The programs that stand in the fences of a text, one below the other.
fn fenced(text: &str) -> Option<String> {
    text.contains("```").then(|| {
        let regions = block::regions(text);
        regions.into_iter().filter(|region| program::is_one(region)).collect::<Vec<_>>().join("\n")
    })
}

/// Whether the steps that a program was followed to have each command that its text gives.
fn has_all(steps: &[(Option<String>, Piece)], text: &str) -> bool {
    let said: Vec<&str> = steps.iter().filter_map(|(_, piece)| command::name_of(piece)).collect();
    let given = command::given(text);
    let count = |names: &[&str], name: &str| names.iter().filter(|one| **one == name).count();
    let written: Vec<&str> = given.iter().map(String::as_str).collect();
    !steps.is_empty() && written.iter().all(|name| count(&said, name) >= count(&written, name))
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
