//! The commands of a text among the pieces that its form's reader found.

use super::{
    Call,
    find::{Found, find},
    literal::Constants,
    text::line_at,
    verb,
    whose::Names,
};
use crate::import::{
    paste::{Paste, Piece},
    spoken,
};

/// Most lines and commands that are compared to one another.
const MOST_COMPARED: usize = 400_000;
/// Most commands that are named and no step.
const MOST_NAMED: usize = 40;

/// Puts the commands that no reader took among the pieces, each in its order and with its machine, and names
/// those that are not understood. Gives the text without the commands that are understood.
pub(in crate::import) fn merge(paste: &mut Paste, text: &str) -> String {
    let mut names = Names::of(&paste.pieces, text);
    let found = find(text, &|label| names.calls(label));
    if paste.is_followed {
        return followed(paste, text, &found);
    }
    names.listen(text, &found);
    let mut places = matched(&paste.pieces, &found);
    // What a script was followed to stays as it is, and what stands beside it is put around it.
    let of_scripts: Vec<bool> =
        found.iter().map(|one| paste.has_followed(&text[line_at(text, one.span.start)])).collect();
    let own: Vec<usize> =
        places.iter().zip(&of_scripts).filter(|(_, is)| **is).filter_map(|(at, _)| *at).collect();
    let mut loose = places.clone();
    // A function is followed where it is called: the order of the text is none then.
    if !own.is_sorted() {
        let mine = loose.iter_mut().zip(&of_scripts).filter(|(_, is_followed)| **is_followed);
        mine.for_each(|(place, _)| *place = None);
    }
    let held = in_order(&mut paste.pieces, &mut loose);
    for (place, loose) in places.iter_mut().zip(loose) {
        *place = loose.or(*place);
    }
    let mut around = Around::new(paste.pieces.len());
    let blocks = blocks(&found, text);
    for (number, one) in found.iter().enumerate() {
        if of_scripts[number] {
            if let Some(at) = places[number] {
                around.owners[at] = held.get(number).cloned().flatten();
            }
            continue;
        }
        let beside = names.beside(one, text);
        let block = Piece::Block(blocks[number], beside.is_some());
        if let Some(at) = places[number] {
            around.blocks[at] = Some(block);
            let known = one.call.clone().filter(|call| !call.is_open && one.is_given);
            if let Some(call) = known.filter(|_| has_variable(&paste.pieces[at])) {
                paste.pieces[at] = call.piece();
            }
            // A heading that stands above the command before says less than what stands between the two.
            let is_newer = number.checked_sub(1).is_some_and(|last| {
                let has_heading = places[last].is_none_or(|place| {
                    let between = paste.pieces.get(place..at).unwrap_or_default();
                    between.iter().any(|piece| matches!(piece, Piece::Part(_)))
                });
                !has_heading && names.says_between(&found[last], one, text)
            });
            let above = || {
                let above = names.before(one, text);
                above.filter(|_| is_newer || part_at(&paste.pieces, at).is_none())
            };
            let held = held.get(number).cloned().flatten();
            around.owners[at] = beside.or(held).or_else(above);
            around.errors[at] = one.error.clone().map(|(class, text)| Piece::Error(class, text));
        } else {
            let before = places[..number].iter().rev().flatten().next().map(|at| at + 1);
            let after = places[number..].iter().flatten().next().copied();
            let at = before.or(after).unwrap_or(paste.pieces.len());
            let whose = beside.or_else(|| names.before(one, text));
            let mut pieces = added(one, &found, at, whose, paste);
            if let Some(command) = pieces.iter().position(|piece| named(piece).is_some()) {
                pieces.insert(command, block);
            }
            around.inserted.push((at, pieces));
        }
    }
    if !found.is_empty() {
        repeated(text, paste);
    }
    paste.pieces = behind_starts(around.assemble(std::mem::take(&mut paste.pieces)));
    let rest = without(text, &found);
    if found.len().saturating_mul(paste.unread.len()) < MOST_COMPARED {
        paste
            .unread
            .retain(|line| !found.iter().any(|one| is_understood(one) && is_line_of(line, one)));
    }
    rest
}

/// Names what a text has done at another machine too, and does not write out once more.
fn repeated(text: &str, paste: &mut Paste) {
    let repeats = text.lines().filter_map(spoken::repeated);
    for words in repeats.take(MOST_NAMED) {
        paste.commands.push(format!("no step for what is done once more: {words}"));
    }
}

/// The number of each command's block: between those of one stand other commands, answers and prompts, and no words.
fn blocks(found: &[Found], text: &str) -> Vec<usize> {
    let is_answer = |line: &str| {
        let begins = ["{", "(qemu)", "<-", "->", "Error:", "```", "//"];
        begins.iter().any(|mark| line.starts_with(mark))
    };
    let is_word = |word: &str| word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    let mut number = 0;
    let mut numbers = Vec::new();
    for (at, one) in found.iter().enumerate() {
        let end = at.checked_sub(1).map_or(0, |before| found[before].span.end);
        let between = text.get(end..one.span.start).unwrap_or_default();
        let mut lines: Vec<&str> = between.split('\n').map(str::trim).collect();
        // What stands before the command in its line, if that is not the line of the one before it.
        let last = if lines.len() > 1 { lines.pop().unwrap_or_default() } else { "" };
        let has_words = |line: &&str| !is_answer(line) && line.split_whitespace().any(is_word);
        if lines.iter().any(has_words)
            || last.split_whitespace().filter(|word| is_word(word)).count() > 2
        {
            number += 1;
        }
        numbers.push(number);
    }
    numbers
}

/// Whether a command was read with a variable in it that its form's reader knows nothing of.
fn has_variable(piece: &Piece) -> bool {
    let is_one = |text: &str| {
        text.split('$').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    match piece {
        Piece::ObjectAdd(text) => is_one(text),
        Piece::Command(_, args) => args.values().any(|value| value.as_str().is_some_and(is_one)),
        _ => false,
    }
}

/// What is left of a text whose program was followed: its commands are among the pieces.
fn followed(paste: &mut Paste, text: &str, found: &[Found]) -> String {
    for one in found.iter().filter(|one| verb::is_name(&one.name)) {
        if !paste.pieces.iter().any(|piece| named(piece) == Some(&qmp_name(&one.name))) {
            name(one, found, paste);
        }
    }
    without(text, found)
}

/// A text without the commands that are understood.
fn without(text: &str, found: &[Found]) -> String {
    let mut rest = text.to_owned();
    for one in found.iter().filter(|one| is_understood(one)).rev() {
        rest.replace_range(one.span.clone(), "");
    }
    rest
}

fn is_understood(one: &Found) -> bool {
    one.is_given && one.call.as_ref().is_some_and(|call| !call.is_open)
}

/// The pieces of a command that no reader took: none where it is only named.
fn added(
    one: &Found,
    found: &[Found],
    at: usize,
    whose: Option<String>,
    paste: &mut Paste,
) -> Vec<Piece> {
    let Some(call) = one.call.as_ref().filter(|call| one.is_given && !call.is_open) else {
        let turns = turns(one, paste);
        if turns.is_empty() {
            name(one, found, paste);
        }
        return turns;
    };
    let mut pieces = Vec::new();
    pieces.extend(whose.clone().map(|name| Piece::Part(Some(name))));
    pieces.push(call.clone().piece());
    pieces.extend(one.error.clone().map(|(class, text)| Piece::Error(class, text)));
    if whose.is_some() && at < paste.pieces.len() {
        pieces.push(Piece::Part(part_at(&paste.pieces, at)));
    }
    pieces
}

/// What is put around the pieces of a paste.
struct Around {
    /// The pieces before each place, in their order.
    inserted: Vec<(usize, Vec<Piece>)>,
    /// The machine of each command, where what stands beside it says another than the heading above.
    owners: Vec<Option<String>>,
    /// The error that each command was answered with.
    errors: Vec<Option<Piece>>,
    /// The block of each command.
    blocks: Vec<Option<Piece>>,
}

impl Around {
    fn new(pieces: usize) -> Self {
        let (owners, errors) = (vec![None; pieces], vec![None; pieces]);
        Self { inserted: Vec::new(), owners, errors, blocks: vec![None; pieces] }
    }

    fn assemble(mut self, pieces: Vec<Piece>) -> Vec<Piece> {
        let is_error = |piece: &Piece| matches!(piece, Piece::Error(..));
        let answered: Vec<bool> = pieces.iter().skip(1).map(is_error).collect();
        let mut out = Vec::new();
        let mut part = None;
        let mut inserted = self.inserted.into_iter().peekable();
        for (at, piece) in pieces.into_iter().enumerate() {
            // An error that follows is the answer of the command before it.
            while let Some((_, more)) =
                inserted.next_if(|(place, _)| *place <= at && !is_error(&piece))
            {
                out.extend(more);
            }
            if let Piece::Part(name) = &piece {
                part.clone_from(name);
            }
            let owner = self.owners[at].take().filter(|owner| part.as_ref() != Some(owner));
            let error = self.errors[at].take().filter(|_| answered.get(at) != Some(&true));
            let back = owner.is_some().then(|| Piece::Part(part.clone()));
            out.extend(owner.map(|owner| Piece::Part(Some(owner))));
            out.extend(self.blocks[at].take());
            out.push(piece);
            out.extend(error);
            out.extend(back);
        }
        inserted.for_each(|(_, more)| out.extend(more));
        out
    }
}

/// The turns of a loop that give a command, as its shell wrote them out.
fn turns(one: &Found, paste: &mut Paste) -> Vec<Piece> {
    let none = Constants::new();
    let mut turns = Vec::new();
    if !one.call.as_ref().is_some_and(|call| call.is_open) {
        return turns;
    }
    paste.unread.retain(|line| {
        let call = verb::typed(line, &none);
        match call.filter(|call| !call.is_open && call.name == one.name) {
            Some(call) => {
                turns.push(call.piece());
                false
            }
            None => true,
        }
    });
    turns
}

/// The pieces, with commands that stand before every command line behind them: a function of a script is read
/// where it is called.
fn behind_starts(pieces: Vec<Piece>) -> Vec<Piece> {
    let is_line = |piece: &Piece| matches!(piece, Piece::CommandLine { .. } | Piece::Section(_));
    let Some(first) = pieces.iter().position(is_line) else {
        return pieces;
    };
    let is_command = |piece: &Piece| matches!(piece, Piece::Command(..) | Piece::ObjectAdd(_));
    let is_whole = matches!(pieces[first], Piece::CommandLine { whole: true, .. });
    let early = pieces[..first].iter().rposition(is_command).filter(|_| is_whole);
    let Some(last) = early else {
        return pieces;
    };
    let mut rest = pieces;
    // The error that follows is the command's, and the heading behind it ends there.
    let mut end = last + 1;
    while matches!(rest.get(end), Some(Piece::Error(..) | Piece::Part(None))) {
        end += 1;
    }
    let early: Vec<Piece> = rest.drain(..end).collect();
    // Before all that the text has below it.
    let next = rest.iter().position(is_command).unwrap_or(rest.len());
    let is_block = |at: &usize| matches!(rest.get(*at), Some(Piece::Block(..)));
    let next = next.checked_sub(1).filter(is_block).unwrap_or(next);
    let back = part_at(&rest, next);
    let early = std::iter::once(Piece::Part(None)).chain(early).chain([Piece::Part(back)]);
    drop(rest.splice(next..next, early));
    rest
}

/// Whether a line that nobody read is the command.
fn is_line_of(line: &str, one: &Found) -> bool {
    line.split_whitespace().collect::<Vec<_>>().join(" ").contains(&one.written)
}

/// Puts the commands that readers took into the order of the text: those of a program are read before what stands
/// between. Gives the machine of the heading that each stood below, where they change places.
fn in_order(pieces: &mut [Piece], places: &mut [Option<usize>]) -> Vec<Option<String>> {
    let mut slots: Vec<usize> = places.iter().flatten().copied().collect();
    // What is an answer, or one of several ways, stays with what it is about.
    let is_bound = |piece: &Piece| matches!(piece, Piece::Error(..) | Piece::Branch(Some(_)));
    if slots.is_sorted() || pieces.iter().any(is_bound) {
        return Vec::new();
    }
    let held = places.iter().map(|at| part_at(pieces, (*at)?)).collect();
    slots.sort_unstable();
    let commands: Vec<Piece> = places.iter().flatten().map(|at| pieces[*at].clone()).collect();
    let taken = places.iter_mut().filter(|at| at.is_some());
    for ((slot, command), at) in slots.into_iter().zip(commands).zip(taken) {
        pieces[slot] = command;
        *at = Some(slot);
    }
    held
}

/// The heading's machine at a place.
fn part_at(pieces: &[Piece], at: usize) -> Option<String> {
    let mut parts = pieces[..at].iter().rev();
    parts.find_map(|piece| match piece {
        Piece::Part(part) => Some(part.clone()),
        _ => None,
    })?
}

/// The piece of each command that a reader took: none is of two commands.
fn matched(pieces: &[Piece], found: &[Found]) -> Vec<Option<usize>> {
    let mut used = vec![false; pieces.len()];
    let mut next = 0;
    let mut places = vec![None; found.len()];
    for is_exact in [true, false] {
        for (number, one) in found.iter().enumerate() {
            if places[number].is_some() {
                continue;
            }
            if !is_exact {
                next = places[..number].iter().rev().flatten().next().map_or(0, |at| at + 1);
            }
            let is = |at: &usize| !used[*at] && is_of(&pieces[*at], one, is_exact);
            let place =
                (next..pieces.len()).find(is).or_else(|| (0..next.min(pieces.len())).find(is));
            if let Some(mut at) = place {
                used[at] = true;
                // A loop gives the command several times.
                let is_loop = |call: &Call| call.is_open;
                while one.call.as_ref().is_some_and(is_loop)
                    && pieces.get(at + 1).and_then(named) == named(&pieces[at])
                    && !used[at + 1]
                {
                    at += 1;
                    used[at] = true;
                }
                next = at + 1;
                places[number] = Some(at);
            }
        }
    }
    places
}

/// Whether a piece is the command: the same, or one of its name whose arguments a program computes.
fn is_of(piece: &Piece, found: &Found, is_exact: bool) -> bool {
    let Some(call) = &found.call else {
        return !is_exact && named(piece).is_some_and(|name| name == qmp_name(&found.name));
    };
    if !is_exact && (call.is_open || !found.is_given) {
        return named(piece).is_some_and(|name| name == call.name);
    }
    let id = |text: &str| crate::qapi::Options::read(text, "qom-type").id().map(str::to_owned);
    match (piece, &call.option) {
        (Piece::ObjectAdd(text), Some(option)) => {
            text == option || !is_exact && id(text) == id(option)
        }
        (Piece::Command(name, args), None) => {
            let mut keys = ["id", "path", "name", "uri"]
                .iter()
                .filter(|key| args.contains_key(**key))
                .peekable();
            let is_known = keys.peek().is_some();
            let is_same = keys.all(|key| call.args.get(*key) == args.get(*key))
                && call.args.get("property") == args.get("property");
            *name == call.name && (*args == call.args || !is_exact && is_known && is_same)
        }
        _ => false,
    }
}

/// The name of the command that a piece is, in QMP.
pub(super) fn named(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::ObjectAdd(_) => Some("object-add"),
        Piece::Command(name, _) => Some(name.split(' ').next().unwrap_or(name)),
        _ => None,
    }
}

pub(super) fn qmp_name(name: &str) -> String {
    match name {
        "object_add" | "object_del" | "x_colo_lost_heartbeat" => name.replace('_', "-"),
        other => other.to_owned(),
    }
}

/// Names a command that is no step, once, unless the scenario has its like.
fn name(one: &Found, found: &[Found], paste: &mut Paste) {
    let reason = match &one.call {
        Some(call) if call.is_open => "an argument is computed",
        _ if one.is_given => "its arguments are not understood",
        _ => "the text only mentions it",
    };
    let is_mention = !one.is_given;
    // A command that is only named is known by one of its name, and one with arguments by its like.
    let same = |other: &Call| match &one.call {
        Some(call) => {
            call.args == other.args && call.option == other.option && call.name == other.name
        }
        None => qmp_name(&one.name) == other.name,
    };
    let is_like = |piece: &Piece| match &one.call {
        Some(call) => call.clone().piece() == *piece,
        None => named(piece) == Some(&qmp_name(&one.name)),
    };
    let is_known = is_mention
        && (found.iter().any(|other| other.is_given && other.call.as_ref().is_some_and(same))
            || paste.pieces.iter().any(is_like));
    let line = format!("no step for {}: {reason}", one.written);
    if !is_known && !paste.commands.contains(&line) && paste.commands.len() < MOST_NAMED {
        paste.commands.push(line);
    }
}
