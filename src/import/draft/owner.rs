//! Whose each command is, where the text does not say it beside the command: an object, a netdev, a chardev or a NIC
//! that only one machine has tells more than the prose above. What names something that its machine never had is
//! said.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::route::shown_command;
use crate::{
    import::{machine::Machine, object, part, paste::Piece, step::Step},
    qapi::{Options, Properties},
};

/// A command, or the error that answers the one before it, as long as its machine may still change.
#[derive(Debug)]
pub(super) struct Given {
    /// The machine that the text's headings and order give it.
    pub(super) at: usize,
    pub(super) piece: Piece,
    /// Where it stands in the paste.
    pub(super) order: usize,
    /// Commands of one block are typed at one machine.
    pub(super) block: Option<usize>,
    /// What stands beside the command names its machine.
    pub(super) is_marked: bool,
    /// Nothing names its machine.
    pub(super) is_assumed: bool,
    /// How many notes its machine had before it.
    pub(super) notes: usize,
}

/// Gives each command to its machine, and says of which commands the machine has not what they name.
pub(super) fn settle(machines: &[Machine], given: &mut [Given]) -> Vec<(usize, String)> {
    let mut unknowns = Vec::new();
    let mut have: Vec<BTreeSet<String>> = machines.iter().map(Machine::ids).collect();
    let mut is_migrated = false;
    let mut from = 0;
    while from < given.len() {
        let block = given[from].block;
        let same = |one: &&Given| {
            block.is_some() && one.block == block || matches!(one.piece, Piece::Error(..))
        };
        let to = from + 1 + given[from + 1..].iter().take_while(same).count();
        assign(machines, &have, &mut given[from..to], is_migrated);
        for at in from..to {
            let is_refused =
                matches!(given.get(at + 1), Some(Given { piece: Piece::Error(..), .. }));
            if !is_refused {
                let text = unknown(&given[at], &have, machines);
                unknowns.extend(text.map(|text| (at, text)));
                let (machine, piece) = (given[at].at, &given[at].piece);
                have[machine].extend(adds(piece));
            }
            is_migrated |= matches!(&given[at].piece, Piece::Command(name, _) if name == "migrate");
        }
        from = to;
    }
    by_pairs(machines, given);
    unknowns
}

/// Gives a block of commands to the one machine that has all that they name.
fn assign(machines: &[Machine], have: &[BTreeSet<String>], block: &mut [Given], is_migrated: bool) {
    let mut own: BTreeSet<String> = BTreeSet::new();
    let mut all: Option<BTreeSet<usize>> = None;
    let mut each: Vec<Option<BTreeSet<usize>>> = Vec::new();
    for one in block.iter() {
        let ids: Vec<String> =
            names(&one.piece).into_iter().filter(|id| !own.contains(id)).collect();
        own.extend(adds(&one.piece));
        let has_all = |at: &usize| !ids.is_empty() && ids.iter().all(|id| have[*at].contains(id));
        let known: BTreeSet<usize> = match migrates(&one.piece, machines).filter(|_| !is_migrated) {
            Some(known) => known,
            None => (0..machines.len()).filter(has_all).collect(),
        };
        let known = Some(known).filter(|known| !known.is_empty() && !one.is_marked);
        if let Some(known) = &known {
            all = Some(all.map_or_else(|| known.clone(), |all| &all & known));
        }
        each.push(known);
    }
    let one_of = |set: &BTreeSet<usize>| set.first().copied().filter(|_| set.len() == 1);
    let Some(all) = all else { return };
    let mut last = None;
    for (one, known) in block.iter_mut().zip(each) {
        if let (Piece::Error(..), Some(at)) = (&one.piece, last) {
            one.at = at;
            continue;
        }
        // Where no machine has all that the block names, each command is told by its own.
        let target = match all.is_empty() {
            true => known.as_ref().filter(|known| !known.contains(&one.at)).and_then(one_of),
            false => one_of(&all),
        };
        if let Some(at) = target.filter(|_| !one.is_marked) {
            // What is said of a command that is another machine's stands behind what is said of that one.
            if at != one.at {
                one.notes = usize::MAX;
            }
            one.at = at;
            one.is_assumed = false;
        }
        last = Some(one.at);
    }
}

/// The machines that a migration may begin at, or that may wait for one: those with `-incoming` wait.
fn migrates(piece: &Piece, machines: &[Machine]) -> Option<BTreeSet<usize>> {
    let Piece::Command(name, _) = piece else { return None };
    let waits = |at: &usize| machines[*at].incoming.is_some();
    let waiting: BTreeSet<usize> = (0..machines.len()).filter(waits).collect();
    if waiting.is_empty() {
        return None;
    }
    match name.as_str() {
        "migrate" => Some(
            (0..machines.len())
                .filter(|at| !waiting.contains(at) && !machines[*at].is_empty())
                .collect(),
        ),
        "migrate-incoming" => Some(waiting),
        _ => None,
    }
}

/// What a step names and its machine never had, as it is said.
fn unknown(one: &Given, have: &[BTreeSet<String>], machines: &[Machine]) -> Option<String> {
    let machine = &machines[one.at];
    let (is_step, shown) = match &one.piece {
        Piece::ObjectAdd(text) => (true, format!("object-add {text}")),
        Piece::Command(name, args) => {
            (Step::of_command(name, args.clone()).is_some(), shown_command(name, args))
        }
        _ => (false, String::new()),
    };
    if !is_step || !(machine.whole || machine.sections) {
        return None;
    }
    // QEMU makes names with dots for what has none: `e1000.0`.
    let is_missing = |id: &&String| !have[one.at].contains(*id) && !id.contains(['.', '$', '/']);
    let missing: Vec<String> = names(&one.piece).iter().filter(is_missing).cloned().collect();
    let listed = missing.join(", ");
    (!missing.is_empty())
        .then(|| format!("the machine has no {listed}, which a step names: {shown}"))
}

/// What a heading calls by a part that no machine has is the other machine's, where two machines are there and one
/// of them has the other part.
fn by_pairs(machines: &[Machine], given: &mut [Given]) {
    let declared: Vec<usize> = (0..machines.len()).filter(|at| !machines[*at].is_empty()).collect();
    for one in given.iter_mut().filter(|one| machines[one.at].is_empty()) {
        let Some(other) = machines[one.at].part.as_deref().and_then(part::other) else { continue };
        let has = |at: &&usize| {
            let names = machines[**at].part.iter().chain(&machines[**at].name);
            names.filter_map(|name| part::in_words(name)).any(|part| part == other)
        };
        if let ([_, _], Some(pair)) = (declared.as_slice(), declared.iter().find(has)) {
            one.at = declared.iter().find(|at| *at != pair).copied().unwrap_or(one.at);
            one.notes = usize::MAX;
        }
    }
}

/// What a command names: objects, netdevs, chardevs and NICs.
fn names(piece: &Piece) -> Vec<String> {
    let text = |args: &Map<String, Value>, key: &str| {
        args.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    match piece {
        Piece::ObjectAdd(option) => of_object(&object::of_step(&json!(option))),
        Piece::Command(name, args) => match name.as_str() {
            "object-add" => Step::of_command(name, args.clone())
                .map_or_else(Vec::new, |step| of_object(&object::of_step(&step.value))),
            "object-del" | "chardev-remove" | "chardev-change" | "chardev-send-break"
            | "netdev_del" | "device_del" => text(args, "id").into_iter().collect(),
            "device_add" => text(args, "netdev").into_iter().collect(),
            "set_link" => text(args, "name").into_iter().collect(),
            "qom-set" | "qom-get" => {
                let path = text(args, "path").unwrap_or_default();
                let inner = path
                    .strip_prefix("/objects/")
                    .or_else(|| path.strip_prefix("/machine/peripheral/"));
                let id = inner.unwrap_or(&path).split('/').next().unwrap_or_default();
                (!id.is_empty()).then(|| id.to_owned()).into_iter().collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn of_object(properties: &Properties) -> Vec<String> {
    let mut ids: Vec<String> = object::names(properties).into_iter().map(|(_, id)| id).collect();
    let members = properties.members();
    let position = members.iter().find(|member| member.name == "position");
    let beside = position.and_then(|member| member.text()?.strip_prefix("id=").map(str::to_owned));
    ids.extend(beside);
    ids
}

/// What a command adds.
fn adds(piece: &Piece) -> Option<String> {
    match piece {
        Piece::ObjectAdd(option) => Options::read(option, "qom-type").id().map(str::to_owned),
        Piece::Command(name, args) => {
            let is_add =
                matches!(name.as_str(), "object-add" | "chardev-add" | "netdev_add" | "device_add");
            args.get("id").filter(|_| is_add)?.as_str().map(str::to_owned)
        }
        _ => None,
    }
}
