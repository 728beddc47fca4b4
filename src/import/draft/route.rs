//! Which machine each piece of a paste belongs to.

use serde_json::{Map, Value, json};

use super::{
    migration,
    owner::{self, Given},
};

use crate::{
    import::{
        limit::{MAX_PARTS, PasteError},
        machine::{Machine, shown},
        part,
        paste::Piece,
        step::Step,
    },
    qapi::Options,
    scenario,
};

/// Machines in the making, and what is none of their steps.
#[derive(Default)]
pub(super) struct Route {
    pub(super) machines: Vec<Machine>,
    /// Each way to go on, of several: its title, and its steps as a scenario has them.
    pub(super) ways: Vec<(String, Vec<String>)>,
    /// The machine that the heading above names.
    part: Option<String>,
    /// The title of the way that is being read.
    way: Option<String>,
    /// What stands below this heading is another machine that the same heading named before.
    again: bool,
    /// Whether any heading names a machine.
    named: bool,
    parts: usize,
    /// How many pieces were given to machines.
    pieces: usize,
    /// The commands, each as long as its machine may change.
    given: Vec<Given>,
    /// The block of the command that follows, and whether its machine is named beside it.
    block: Option<(usize, bool)>,
}

/// Command lines that declare a netdev or a chardev twice, where each has the options of two: behind a second
/// `-name`, or where only the options of a text are known.
pub(super) fn apart(pieces: Vec<Piece>, is_salvaged: bool) -> Vec<Piece> {
    let mut out = Vec::new();
    for piece in pieces {
        let Piece::CommandLine { mut words, whole } = piece else {
            out.push(piece);
            continue;
        };
        while let Some(at) =
            second(&words).filter(|at| is_salvaged || !whole || words[*at] == "-name")
        {
            let rest = words.split_off(at);
            out.push(Piece::CommandLine { words, whole });
            out.push(Piece::Part(None));
            words = rest;
        }
        out.push(Piece::CommandLine { words, whole });
    }
    out
}

/// Where a second machine's options begin in one command line: at its `-name`, else at the netdev or chardev
/// that is declared again.
fn second(words: &[String]) -> Option<usize> {
    let mut declared: Vec<(&str, String)> = Vec::new();
    let mut again = None;
    for (at, pair) in words.windows(2).enumerate() {
        let kind = pair[0].trim_start_matches('-');
        let id = Options::read(&pair[1], "type").id().map(str::to_owned);
        let Some(id) = id.filter(|_| matches!(kind, "netdev" | "chardev")) else {
            continue;
        };
        if declared.contains(&(kind, id.clone())) {
            again.get_or_insert(at);
        }
        declared.push((kind, id));
    }
    let again = again?;
    let names = words.iter().enumerate().filter(|(_, word)| *word == "-name").map(|(at, _)| at);
    names.skip(1).find(|at| *at <= again).or(Some(again))
}

/// Gives each piece to its machine.
pub(super) fn route(pieces: Vec<Piece>) -> Result<Route, PasteError> {
    let several = ways(&pieces) > 1;
    let named = pieces.iter().any(|piece| matches!(piece, Piece::Part(Some(_))));
    let mut route = Route { named, ..Route::default() };
    for piece in pieces {
        match piece {
            Piece::Part(part) => {
                route.part = part;
                route.again = false;
            }
            Piece::Branch(title) => route.way = title.filter(|_| several),
            Piece::Block(number, is_marked) => route.block = Some((number, is_marked)),
            piece => route.take(piece),
        }
        if route.parts > MAX_PARTS {
            return Err(PasteError::TooMany);
        }
    }
    route.settle();
    Ok(route)
}

/// How many ways to go on have commands.
fn ways(pieces: &[Piece]) -> usize {
    let (mut count, mut open) = (0, false);
    for piece in pieces {
        match piece {
            Piece::Branch(title) => open = title.is_some(),
            Piece::Command(..) | Piece::ObjectAdd(_) | Piece::CommandLine { .. } if open => {
                count += 1;
                open = false;
            }
            _ => {}
        }
    }
    count
}

impl Route {
    fn take(&mut self, piece: Piece) {
        if let Some(title) = self.way.clone() {
            return self.aside(format!("one of several ways to go on: {title}"), piece);
        }
        let whole = matches!(piece, Piece::CommandLine { whole: true, .. });
        let at = match (self.of_part(), whole) {
            (Some(at), true)
                if self.machines[at].whole || !self.machines[at].netdevs.is_empty() =>
            {
                // Another command line below the same heading is another machine's.
                self.part = None;
                self.add_machine()
            }
            (Some(at), _) => at,
            (None, true) if self.waits_for(&piece) => self.machines.len() - 1,
            (None, true) => self.add_machine(),
            (None, false) if self.part.is_some() || self.machines.is_empty() => self.add_machine(),
            (None, false) => self.machines.len() - 1,
        };
        if let Piece::CommandLine { words, whole: false } = &piece
            && self.named
            && declares_again(&self.machines[at], words)
        {
            self.again = true;
        }
        // Options that collide with the machine's are another machine's.
        let collides = matches!(&piece, Piece::CommandLine { words, whole: false }
            if !self.named && declares_again(&self.machines[at], words) && !self.has_all(at, words));
        let at = if collides { self.add_machine() } else { at };
        if self.again {
            let part = self.part.as_deref().unwrap_or("machine");
            return self.aside(format!("the text has {part} once more"), piece);
        }
        if let Piece::CommandLine { words, whole: false } = &piece
            && self.has_all(at, words)
        {
            self.machines[at].notes.push("its options stand in the text once more".to_owned());
            return;
        }
        let is_command = matches!(piece, Piece::Command(..) | Piece::ObjectAdd(_));
        if is_command || matches!(piece, Piece::Error(..)) {
            let is_assumed =
                is_command && self.named && self.part.is_none() && self.machines.len() > 1;
            let (block, is_marked) = self.block.take().unzip();
            let is_marked = is_marked.unwrap_or_default();
            let (order, notes) = (self.pieces, self.machines[at].notes.len());
            self.given.push(Given { at, piece, order, block, is_marked, is_assumed, notes });
            self.parts += 1;
            self.pieces += 1;
            return;
        }
        let machine = &mut self.machines[at];
        let before = machine.parts();
        give(piece, machine, self.pieces);
        self.parts += machine.parts() - before;
        self.pieces += 1;
    }

    /// Gives the commands to their machines. What is said of each stands in the order of the text.
    fn settle(&mut self) {
        let mut unknowns = owner::settle(&self.machines, &mut self.given).into_iter().peekable();
        let mut longer = vec![0; self.machines.len()];
        for (number, one) in std::mem::take(&mut self.given).into_iter().enumerate() {
            let machine = &mut self.machines[one.at];
            let end = one.notes.saturating_add(longer[one.at]).min(machine.notes.len());
            let later = machine.notes.split_off(end);
            if one.is_assumed && !machine.assumed {
                machine.assumed = true;
                machine.notes.push(
                    "no heading says which machine its commands are for: they stand below its command line"
                        .to_owned(),
                );
            }
            give(one.piece, machine, one.order);
            let unknown = unknowns.next_if(|(at, _)| *at == number);
            machine.notes.extend(unknown.map(|(_, text)| text));
            longer[one.at] += machine.notes.len() - end;
            machine.notes.extend(later);
        }
    }

    fn add_machine(&mut self) -> usize {
        let mut machine = Machine::default();
        machine.part.clone_from(&self.part);
        self.machines.push(machine);
        self.machines.len() - 1
    }

    /// Whether the last machine is the text of a file that this command line reads.
    fn waits_for(&self, piece: &Piece) -> bool {
        let reads = |words: &[String]| words.iter().any(|word| word == "-readconfig");
        let last = self.machines.last();
        last.is_some_and(|last| last.sections && !last.whole)
            && matches!(piece, Piece::CommandLine { words, .. } if reads(words))
    }

    /// The machine that the heading names: by a heading above it, its name, or its objects.
    fn of_part(&self) -> Option<usize> {
        let part = self.part.as_deref()?;
        let last = |is: &dyn Fn(&Machine) -> bool| self.machines.iter().rposition(is);
        let has =
            |machine: &Machine, kind: &str| machine.objects.iter().any(|object| object.is_a(kind));
        last(&|machine| machine.part.as_deref() == Some(part))
            .or_else(|| last(&|machine| machine.name.as_deref() == Some(part)))
            .or_else(|| {
                last(&|machine| {
                    machine.part.as_deref().and_then(part::in_words).as_deref() == Some(part)
                })
            })
            .or_else(|| {
                let kind = match part {
                    "primary" => "colo-compare",
                    "secondary" => "filter-rewriter",
                    _ => return None,
                };
                last(&|machine| machine.part.is_none() && has(machine, kind))
            })
    }

    /// Whether a machine has all that these options declare, and they declare something.
    fn has_all(&self, at: usize, words: &[String]) -> bool {
        let mut again = Machine::default();
        again.add_words(words);
        let has_steps = self.given.iter().any(|one| one.at == at);
        !again.is_empty() && !has_steps && self.machines[at].holds(&again)
    }

    /// A piece that is listed in a comment and not carried out.
    fn aside(&mut self, title: String, piece: Piece) {
        self.parts += 1;
        let at = match self.ways.iter().position(|(other, _)| *other == title) {
            Some(at) => at,
            None => {
                self.ways.push((title, Vec::new()));
                self.ways.len() - 1
            }
        };
        let part = self.part.clone();
        let lines = &mut self.ways[at].1;
        match piece {
            Piece::CommandLine { words, .. } => {
                let mut words = words.iter().map(|word| shown(word)).peekable();
                while let Some(word) = words.next() {
                    match words.next_if(|next| word.starts_with('-') && !next.starts_with('-')) {
                        Some(value) => lines.push(format!("{word} {value}")),
                        None => lines.push(word),
                    }
                }
            }
            Piece::ObjectAdd(text) => step(&Step::object_option(&text), part.as_deref(), lines),
            Piece::Command(name, args) => match Step::of_command(&name, args.clone()) {
                Some(made) => step(&made, part.as_deref(), lines),
                None if name == "qmp_capabilities" || name.starts_with("query-") => {}
                None => lines.push(format!("no step for {}", shown_command(&name, &args))),
            },
            Piece::Section(section) => lines.push(format!("-{} {}", section.group, section.text)),
            Piece::Error(_, text) => lines.push(format!("refused: {text}")),
            Piece::Part(_) | Piece::Branch(_) | Piece::Block(..) => {}
        }
    }
}

fn step(step: &Step, machine: Option<&str>, lines: &mut Vec<String>) {
    let text = scenario::write(&json!({ "steps": [step.tree(machine)] }));
    lines.extend(text.lines().skip_while(|line| *line == "steps:").map(str::to_owned));
}

/// Whether options declare a netdev or chardev that the machine has: they are of another one.
fn declares_again(machine: &Machine, words: &[String]) -> bool {
    words.windows(2).any(|pair| {
        let list = match pair[0].trim_start_matches('-') {
            "netdev" => &machine.netdevs,
            "chardev" => &machine.chardevs,
            _ => return false,
        };
        let options = Options::read(&pair[1], "type");
        options.id().is_some_and(|id| list.iter().any(|one| one.id() == Some(id)))
    })
}

fn give(piece: Piece, machine: &mut Machine, order: usize) {
    let is_answer = matches!(piece, Piece::Error(..));
    if !is_answer {
        machine.is_step_last = false;
    }
    match piece {
        Piece::CommandLine { words, whole } => {
            machine.whole |= whole;
            machine.add_words(&words);
            if machine.sections {
                machine.readconfig = None;
            }
        }
        Piece::Section(section) => {
            machine.sections = true;
            machine.readconfig = None;
            machine.add(&section.group, &section.text);
        }
        Piece::ObjectAdd(text) => add_step(Step::object_option(&text), machine, order),
        Piece::Command(name, args) if name == "migrate" => {
            add_step(Step::migrate(args), machine, order);
        }
        Piece::Command(name, args) => match Step::of_command(&name, args.clone()) {
            Some(step) => add_step(step, machine, order),
            None if name == "qmp_capabilities" || name.starts_with("query-") => {}
            None => {
                migration::told(&name, &args, machine);
                let text = |key: &str| args.get(key).and_then(Value::as_str).map(str::to_owned);
                if name == "device_add" {
                    machine.nic_ids.extend(text("id").zip(text("netdev")));
                }
                machine.notes.push(format!("no step for {}", shown_command(&name, &args)));
            }
        },
        Piece::Error(class, text) => match machine.steps.last_mut() {
            Some(step) if machine.is_step_last => step.refused(class, text),
            // The answer to a command that is no step.
            _ => machine.notes.push(format!("the command before was refused: {text}")),
        },
        Piece::Part(_) | Piece::Branch(_) | Piece::Block(..) => {}
    }
}

fn add_step(step: Step, machine: &mut Machine, order: usize) {
    let (step, note) = step.with_own_file();
    machine.notes.extend(note);
    machine.steps.push(Step { order, ..step });
    machine.is_step_last = true;
}

/// A command and its arguments, as a comment has them.
pub(super) fn shown_command(name: &str, args: &Map<String, Value>) -> String {
    match args.is_empty() {
        true => name.to_owned(),
        false => format!("{name} {}", Value::Object(args.clone())),
    }
}
