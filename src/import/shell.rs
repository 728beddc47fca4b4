//! Shell text to commands: rable parses it, this expands it. Nothing is run: what a command would
//! have to find out becomes a placeholder, `${NAME}` in the language of scenarios. Of branches the
//! first that holds something of QEMU's is followed, and the others are listed.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use rable::{Node, NodeKind};

use super::{
    flag,
    limit::{MAX_DEPTH, MAX_WRITTEN, PasteError},
    part,
};
use output::print;

mod branch;
mod grammar;
mod output;
mod talk;
mod word;

pub(super) use talk::{Place, Talk, has_talker, opens_socket, talks};

/// Bytes that a command costs of what a paste may grow to.
const OF_A_COMMAND: usize = 16;
/// Deepest nesting of commands, those of functions that are called among them.
const MAX_LEVEL: usize = 64;
/// Most turns of a loop.
const MAX_TURNS: usize = 64;

/// The words that each variable holds.
type Variables = BTreeMap<String, Vec<String>>;

/// What the paste has set, and what it uses without setting.
#[derive(Debug, Default)]
pub(super) struct Shell {
    set: Variables,
    /// The names that are set, in their order, and those that are used.
    order: Vec<String>,
    used: BTreeSet<String>,
    functions: Vec<(String, Rc<Node>, Rc<str>)>,
    called: BTreeSet<String>,
    /// `$1`, `$2`, ... of the functions that are being called.
    arguments: Vec<Vec<String>>,
    /// Names of placeholders, each with how the paste has it, in the order of use.
    pub(super) unset: Vec<(String, String)>,
    /// The name of each placeholder, by how the paste has it.
    names: BTreeMap<String, String>,
    /// Branches: which were followed, and what stands in the others.
    pub(super) branches: Vec<String>,
    /// What the command in a `$( )` prints; none outside of one.
    printed: Option<Printed>,
    commands: Vec<Simple>,
    part: Option<String>,
    /// Where the command stands that is being read, and where the functions are called that it stands in.
    at: Option<Place>,
    calls: Vec<Place>,
    /// What is read by the command that is being read, as far as it is known.
    input: Option<String>,
    /// The sockets that descriptors lead to.
    descriptors: BTreeMap<String, String>,
    /// The functions that take something to a socket.
    talking: BTreeSet<String>,
    /// The programs that run the text which is being read, such as `ssh HOST`.
    near: Vec<String>,
    /// What is being read is a way that the script may not go.
    is_aside: bool,
    /// What is set for each machine of a setup, where a branch for each set something and started nothing.
    roles: Vec<(Option<String>, Variables)>,
    /// Bytes that variables have written so far.
    written: usize,
    /// How many texts are read that stand in one another, and how many commands.
    depth: usize,
    level: usize,
    /// The limit that was passed; nothing is written any more.
    pub(super) excess: Option<PasteError>,
}

/// What a command prints, as long as that is known.
#[derive(Debug, Default)]
struct Printed {
    text: String,
    unknown: bool,
}

/// A command, as words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    pub(super) words: Vec<String>,
    /// Where its output goes.
    pub(super) redirections: Vec<String>,
    /// Its here-document.
    pub(super) here: Option<String>,
    /// The machine of a setup that its branch is for, such as `primary`.
    pub(super) part: Option<String>,
    /// What it writes to a monitor.
    pub(super) talk: Option<Talk>,
    /// Where it stands, and where the functions are called that it stands in.
    pub(super) places: Vec<Place>,
    /// It is of a way that the script may not go.
    pub(super) is_aside: bool,
}

/// The commands of a text; assignments and functions go to the shell.
pub(super) fn read(text: &str, shell: &mut Shell) -> Vec<Simple> {
    let outer = std::mem::take(&mut shell.commands);
    let roles = std::mem::take(&mut shell.roles);
    if roles.is_empty() {
        shell.text(text);
    }
    for (role, set) in roles {
        let part = std::mem::replace(&mut shell.part, role.clone());
        shell.set = set;
        shell.text(text);
        shell.roles.push((role, shell.set.clone()));
        shell.part = part;
    }
    std::mem::replace(&mut shell.commands, outer)
}

impl Shell {
    /// Whether so many bytes more may be written.
    fn afford(&mut self, bytes: usize) -> bool {
        self.written = self.written.saturating_add(bytes);
        if self.written > MAX_WRITTEN {
            let written = self.written;
            self.excess.get_or_insert(PasteError::Written { written });
        }
        self.excess.is_none()
    }

    /// What a variable holds.
    pub(super) fn value(&self, name: &str) -> Option<&[String]> {
        self.set.get(name).map(Vec::as_slice)
    }

    /// Whether a script's own arguments, as it has set them, hold something of QEMU's.
    pub(super) fn has_arguments(&self) -> bool {
        self.arguments.iter().flatten().any(|word| flag::is_qemus(word))
    }

    /// Whether the paste defines a function of this name.
    pub(super) fn has_function(&self, name: &str) -> bool {
        self.functions.iter().any(|(other, ..)| other == name)
    }

    /// Sets a variable from elsewhere, such as an `environment:` of YAML.
    pub(super) fn assign(&mut self, name: &str, words: Vec<String>) {
        if self.afford(words.iter().map(|word| word.len() + 1).sum()) {
            if !self.set.contains_key(name) {
                self.order.push(name.to_owned());
            }
            self.set.insert(name.to_owned(), words);
        }
    }

    /// What is defined, holds something of QEMU's and was never used: functions that nothing in the
    /// paste calls, and variables.
    pub(super) fn rest(&mut self) -> Vec<Simple> {
        for (name, body, source) in self.functions.clone() {
            if !self.called.contains(&name) && flag::is_qemus(body.source_text(&source)) {
                self.called.insert(name.clone());
                let outer = std::mem::replace(&mut self.part, part::in_words(&name));
                self.node(&body, &source);
                self.part = outer;
            }
        }
        for (name, body, source) in self.functions.clone() {
            let text = body.source_text(&source);
            let takes = ["$1", "${1", "$@", "$*", "$2"].iter().any(|mark| text.contains(mark));
            if !self.called.contains(&name) && !takes && self.leads_to_talk(text) {
                self.called.insert(name.clone());
                if self.follow_aside(&body, &source) {
                    self.branches.push(format!(
                        "`{name}`, below the others: whether and when it is called is not in the text"
                    ));
                }
            }
        }
        for name in self.order.clone() {
            let value = self.set.get(&name).map(|words| words.join(" ")).unwrap_or_default();
            if !self.used.contains(&name) && flag::is_qemus(&value) {
                self.used.insert(name.clone());
                let words = self.set.get(&name).cloned().unwrap_or_default();
                let words = match words.as_slice() {
                    [one] => one.split_whitespace().map(str::to_owned).collect(),
                    _ => words,
                };
                self.commands.push(Simple { words, part: self.part.clone(), ..Simple::default() });
            }
        }
        std::mem::take(&mut self.commands)
    }

    /// Whether this may be read, one deeper than what it stands in.
    fn deeper(&mut self) -> bool {
        if self.depth >= MAX_DEPTH {
            self.excess.get_or_insert(PasteError::TooDeep);
            return false;
        }
        self.depth += 1;
        true
    }

    fn text(&mut self, text: &str) {
        if !self.deeper() {
            return;
        }
        let source: Rc<str> = text.into();
        for node in &grammar::parse(text) {
            self.node(node, &source);
        }
        self.depth -= 1;
    }

    fn node(&mut self, node: &Node, source: &Rc<str>) {
        if !self.afford(OF_A_COMMAND) {
            return;
        }
        if self.level >= MAX_LEVEL {
            self.excess.get_or_insert(PasteError::TooDeep);
            return;
        }
        self.level += 1;
        self.kind(node, source);
        self.level -= 1;
    }

    fn kind(&mut self, node: &Node, source: &Rc<str>) {
        match &node.kind {
            NodeKind::Command { assignments, words, redirects } => {
                self.at = Some(Place::of(node, source));
                self.command(assignments, words, redirects);
            }
            NodeKind::Pipeline { commands, .. } => {
                if self.fed(commands, source) {
                    return;
                }
                for command in commands {
                    self.node(command, source);
                }
            }
            NodeKind::List { items } => self.list(items, source),
            NodeKind::If { condition, then_body, else_body, .. } => {
                let condition = condition.source_text(source);
                if self.leads_to_talk(condition) {
                    self.asked(node, source);
                }
                self.either(condition, then_body, else_body.as_deref(), source);
            }
            NodeKind::While { condition, body, redirects } => {
                let condition = condition.source_text(source).to_owned();
                if !self.lines_of(&condition, body, redirects, source) {
                    self.node(body, source);
                }
            }
            NodeKind::ForArith { init, cond, incr, body, .. } => {
                let (name, turns) = self.counted(init, cond, incr).unwrap_or_default();
                self.for_each(&name, turns, body, source);
            }
            NodeKind::Until { body, .. }
            | NodeKind::Select { body, .. }
            | NodeKind::Subshell { body, .. }
            | NodeKind::BraceGroup { body, .. } => self.node(body, source),
            NodeKind::For { var, words, body, .. } => {
                let turns = Self::turns(self.words(words.as_deref().unwrap_or_default()));
                self.for_each(var, turns, body, source);
            }
            NodeKind::Case { word, patterns, .. } => self.case(word, patterns, source),
            NodeKind::Function { name, body } => {
                self.hears(name, body.source_text(source));
                self.functions.retain(|(other, ..)| other != name);
                self.functions.push((name.clone(), Rc::new((**body).clone()), Rc::clone(source)));
            }
            NodeKind::Coproc { name, command }
                if !self.coprocess(name.as_deref(), command.source_text(source)) =>
            {
                self.node(command, source);
            }
            NodeKind::Negation { pipeline: inner } | NodeKind::Time { pipeline: inner, .. } => {
                self.node(inner, source)
            }
            _ => {}
        }
    }

    /// Commands one after the other: a list may stand in the one before it, which is no deeper.
    fn list(&mut self, items: &[rable::ListItem], source: &Rc<str>) {
        let mut rest: Vec<&Node> = items.iter().rev().map(|item| &item.command).collect();
        while let Some(node) = rest.pop() {
            match &node.kind {
                NodeKind::List { items } => {
                    rest.extend(items.iter().rev().map(|item| &item.command))
                }
                _ => self.node(node, source),
            }
        }
    }

    /// The turns of a loop, where they are known.
    fn for_each(&mut self, name: &str, turns: Vec<String>, body: &Node, source: &Rc<str>) {
        let is_known = turns.len() <= MAX_TURNS && !turns.is_empty();
        if !is_known || turns.iter().any(|turn| turn.contains("${")) {
            return self.node(body, source);
        }
        for turn in turns {
            self.assign(name, vec![turn]);
            self.node(body, source);
        }
    }

    fn command(&mut self, assignments: &[Node], words: &[Node], redirects: &[Node]) {
        // A loop writes a command as often as it turns.
        let length = |node: &Node| match &node.kind {
            NodeKind::Word { value: text, .. } | NodeKind::HereDoc { content: text, .. } => {
                text.len()
            }
            _ => 0,
        };
        let nodes = assignments.iter().chain(words).chain(redirects);
        if !self.afford(nodes.map(length).sum()) {
            return;
        }
        let place = self.at.clone();
        for node in assignments {
            self.set_by(node);
        }
        let first = words.first().map(|word| self.one(word)).unwrap_or_default();
        if matches!(first.as_str(), "export" | "local" | "readonly" | "declare" | "typeset") {
            for node in &words[1..] {
                self.set_by(node);
            }
            return;
        }
        let words = self.words(words);
        let name = words.first().cloned();
        let is_done = name.is_none_or(|name| {
            self.builtin(&name, &words[1..], redirects)
                || self.call(&name, &words[1..], place.clone())
        });
        if is_done {
            return;
        }
        if self.remote(&words, redirects, place.clone())
            || self.said(&words, redirects, place.clone())
        {
            return;
        }
        let (here, redirections) = self.redirections(redirects);
        if let Some(printed) = &mut self.printed {
            match print(&words, here.as_deref().or(self.input.as_deref())) {
                Some(text) => printed.text.push_str(&text),
                None => printed.unknown = true,
            }
            return;
        }
        let part = self.part.clone();
        let places = self.calls.iter().cloned().chain(place).collect();
        let is_aside = self.is_aside;
        let talk = None;
        self.commands.push(Simple { words, redirections, here, part, talk, places, is_aside });
    }

    /// Carries out what changes the shell itself.
    fn builtin(&mut self, name: &str, words: &[String], redirects: &[Node]) -> bool {
        match (name, words) {
            ("exec", []) => self.opens(redirects),
            ("eval", _) => self.text(&words.join(" ")),
            ("set", [first, rest @ ..]) if first == "--" => {
                self.arguments.pop();
                self.arguments.push(rest.to_vec());
            }
            ("unset", _) => words.iter().for_each(|name| drop(self.set.remove(name))),
            ("shift", _) => {
                let number = words.first().and_then(|number| number.parse().ok()).unwrap_or(1);
                if let Some(arguments) = self.arguments.last_mut() {
                    arguments.drain(..arguments.len().min(number));
                }
            }
            _ => return false,
        }
        true
    }

    /// Calls a function of the paste's.
    fn call(&mut self, name: &str, arguments: &[String], place: Option<Place>) -> bool {
        let mut functions = self.functions.iter();
        let Some((_, body, source)) = functions.find(|(other, ..)| other == name).cloned() else {
            return false;
        };
        self.called.insert(name.to_owned());
        self.arguments.push(arguments.to_vec());
        let depth = self.calls.len();
        self.calls.extend(place);
        self.node(&body, &source);
        self.calls.truncate(depth);
        self.arguments.pop();
        true
    }

    fn redirections(&mut self, redirects: &[Node]) -> (Option<String>, Vec<String>) {
        let (mut here, mut written) = (None, Vec::new());
        for redirect in redirects {
            match &redirect.kind {
                NodeKind::HereDoc { content, quoted, .. } => {
                    let text = if *quoted { content.clone() } else { self.document(content) };
                    here = Some(text);
                }
                NodeKind::Redirect { op, target, fd, .. } => {
                    let target = self.one(target);
                    if op == "<<<" {
                        here = Some(target);
                        continue;
                    }
                    let default = i32::from(!op.starts_with('<'));
                    let number = if *fd == default || *fd < 0 || op.starts_with('&') {
                        String::new()
                    } else {
                        fd.to_string()
                    };
                    written.push(format!("{number}{op}{target}"));
                }
                _ => {}
            }
        }
        (here, written)
    }
}

/// `NAME=value`, or `NAME+=value`.
pub(super) fn assignment(word: &str) -> Option<(&str, bool, &str)> {
    let (name, value) = word.split_once('=')?;
    let (name, adds) = match name.strip_suffix('+') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    good.then_some((name, adds, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn shown(text: &str) -> String {
        let mut shell = Shell::default();
        let mut commands = read(text, &mut shell);
        commands.extend(shell.rest());
        let words =
            commands.iter().map(|command| command.words.iter().map(|word| format!("[{word}]")));
        words.map(Iterator::collect::<String>).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case("a 'b c' \"d e\" f\\ g", "[a][b c][d e][f g]")]
    #[case("N=1; echo x$N \"${N}\"", "[echo][x1][1]")]
    #[case("O='-a b'; q $O \"$O\"", "[q][-a][b][-a b]")]
    #[case("q ${Q:-/opt/q} $U", "[q][/opt/q][${U}]")]
    #[case("a=(x 'y z')\na+=( w )\nq \"${a[@]}\"", "[q][x][y z][w]")]
    #[case("q a 2>&1 | tee log &", "[q][a] [tee][log]")]
    #[case("q '$x' '${y}' # no", "[q][$x][$${y}]")]
    #[case("q $(pwd)/x", "[q][${shell1}/x]")]
    #[case("q \"C:\\Program Files\\q\"", "[q][C:\\Program Files\\q]")]
    #[case("q '{\"a\":true}'", "[q][{\"a\":true}]")]
    #[case("q {\"a\":true,\"b\":\"c\"}", "[q][{\"a\":true,\"b\":\"c\"}]")]
    #[case("q ''", "[q][]")]
    #[case("a=x; a+=y; q $a", "[q][xy]")]
    #[case("f() { echo -n \"$2-$1\"; }; q $(f b 'a c')", "[q][a][c-b]")]
    #[case("f() { printf '%s,' a b; }; q \"$(f)\"", "[q][a,b,]")]
    #[case("eval \"q $(date) a\"", "[q][${shell1}][a]")]
    #[case("c='q a b'; eval exec $c", "[exec][q][a][b]")]
    #[case("for i in 0 1; do q x$i; done", "[q][x0] [q][x1]")]
    #[case("set -- a; set -- \"$@\" b; q \"$@\" $1 $#", "[q][a][b][a][2]")]
    #[case("p=/a/b.c; q ${p##*/} ${p%.c} ${p/a/d} ${p^^}", "[q][b.c][/a/b][/d/b.c][/A/B.C]")]
    #[case("i=1; q $((i + 2)) ${V:+x}y ${W:?no}", "[q][3][y][${W}]")]
    #[case("declare -a a=(x); local b=y; q ${a[0]} $b", "[q][x][y]")]
    #[case("q $'a\\tb'", "[q][a\tb]")]
    #[case("while read l; do q $l; done", "[q][${l}]")]
    #[case("{ a; b\nc && d; }", "[a] [b] [c] [d]")]
    #[case("q (from git) a's", "[q][(from][git)][a's]")]
    #[case("run() { qemu-system-x86_64 -S; }", "[qemu-system-x86_64][-S]")]
    #[case("N='-netdev tap,id=a'", "[-netdev][tap,id=a]")]
    fn lines_are_words(#[case] text: &str, #[case] expected: &str) {
        let shown = shown(text);
        let shown = shown.strip_prefix("[read][l] ").unwrap_or(&shown);
        assert_eq!(shown, expected);
    }

    #[rstest]
    #[case("if a; then q -nic x; else q -nic y; fi", "[q][-nic][x]")]
    #[case("if a; then exit; else q -nic y; fi", "[q][-nic][y]")]
    #[case("case $1 in a) q -nic x;; *) q -nic y;; esac", "[q][-nic][x]")]
    #[case("A=b; case $A in a) q -nic x;; b) q -nic y;; esac", "[q][-nic][y]")]
    fn one_branch_is_followed(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text).trim_start_matches("[exit] "), expected);
    }

    #[test]
    fn branches_of_parts_are_machines() {
        let text = "case $1 in primary) q -nic x;; secondary) q -nic y;; esac\n\
                    if [ $R = slave ]; then q -nic z; else q -nic w; fi";
        let commands = read(text, &mut Shell::default());
        let parts = commands.iter().map(|command| command.part.as_deref().unwrap_or("-"));
        let expected = ["primary", "secondary", "secondary", "primary"];
        assert_eq!(parts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_long_body_is_not_deep() {
        let mut shell = Shell::default();
        let text = format!("if a; then\n{}fi\n", "q x\n".repeat(500));
        assert_eq!(read(&text, &mut shell).len(), 500);
        assert_eq!(shell.excess, None);
    }

    #[test]
    fn a_here_document_is_kept() {
        let commands =
            read("P=1\ncat > x <<EOF\na $P\nEOF\nx <<'E'\n$P\nE\n", &mut Shell::default());
        let here: Vec<_> = commands.iter().map(|command| command.here.as_deref()).collect();
        assert_eq!(here, [Some("a 1\n"), Some("$P\n")]);
        assert_eq!(commands[0].redirections, [">x"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,60}") {
            read(&text, &mut Shell::default());
        }

        #[test]
        fn any_syntax_is_read(text in "([$(){}'\"`;&|<>!=\\[\\] \\na-c/#:+-]|if |fi |case |esac |do |done |<<E|then |in ){0,60}") {
            read(&text, &mut Shell::default());
        }
    }
}
