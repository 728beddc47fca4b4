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

mod grammar;
mod word;

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
                self.command(assignments, words, redirects);
            }
            NodeKind::Pipeline { commands, .. } => {
                if self.printed.is_none() && self.monitor_input(commands, source) {
                    return;
                }
                for command in commands {
                    self.node(command, source);
                }
            }
            NodeKind::List { items } => {
                for item in items {
                    self.node(&item.command, source);
                }
            }
            NodeKind::If { condition, then_body, else_body, .. } => {
                let condition = condition.source_text(source);
                self.branch(condition, then_body, else_body.as_deref(), source);
            }
            NodeKind::While { body, .. }
            | NodeKind::Until { body, .. }
            | NodeKind::Select { body, .. }
            | NodeKind::ForArith { body, .. }
            | NodeKind::Subshell { body, .. }
            | NodeKind::BraceGroup { body, .. } => self.node(body, source),
            NodeKind::For { var, words, body, .. } => {
                let turns = self.words(words.as_deref().unwrap_or_default());
                let known = turns.len() <= MAX_TURNS && !turns.is_empty();
                if known && !turns.iter().any(|turn| turn.contains("${")) {
                    for turn in turns {
                        self.assign(var, vec![turn]);
                        self.node(body, source);
                    }
                } else {
                    self.node(body, source);
                }
            }
            NodeKind::Case { word, patterns, .. } => self.case(word, patterns, source),
            NodeKind::Function { name, body } => {
                self.functions.retain(|(other, ..)| other != name);
                self.functions.push((name.clone(), Rc::new((**body).clone()), Rc::clone(source)));
            }
            NodeKind::Coproc { command: inner, .. }
            | NodeKind::Negation { pipeline: inner }
            | NodeKind::Time { pipeline: inner, .. } => self.node(inner, source),
            _ => {}
        }
    }

    /// `echo cont | socat - unix:...`: what is printed goes to a monitor.
    fn monitor_input(&mut self, commands: &[Node], source: &Rc<str>) -> bool {
        let Some((last, before)) = commands.split_last() else {
            return false;
        };
        let NodeKind::Command { words, .. } = &last.kind else {
            return false;
        };
        let text = last.source_text(source);
        let tool = text.split_whitespace().next().and_then(|word| word.rsplit('/').next());
        if !matches!(tool, Some("nc" | "ncat" | "netcat" | "socat" | "telnet")) || before.is_empty()
        {
            return false;
        }
        self.printed = Some(Printed::default());
        before.iter().for_each(|node| self.node(node, source));
        let Some(printed) = self.printed.take().filter(|printed| !printed.unknown) else {
            return false;
        };
        let lines = printed.text.lines().map(|line| match line.trim_start() {
            line if line.is_empty() || line.starts_with(['{', '(']) => format!("{line}\n"),
            line => format!("(qemu) {line}\n"),
        });
        let here = Some(lines.collect());
        let words = self.words(words);
        let part = self.part.clone();
        self.commands.push(Simple { words, here, part, ..Simple::default() });
        true
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
        match (words.first().map(String::as_str), words.get(1).map(String::as_str)) {
            (None, _) => return,
            (Some("eval"), _) => return self.text(&words[1..].join(" ")),
            (Some("set"), Some("--")) => {
                self.arguments.pop();
                self.arguments.push(words[2..].to_vec());
                return;
            }
            (Some("shift"), number) => {
                let number = number.and_then(|number| number.parse().ok()).unwrap_or(1);
                if let Some(arguments) = self.arguments.last_mut() {
                    arguments.drain(..arguments.len().min(number));
                }
                return;
            }
            (Some(name), _) if self.call(name, &words[1..]) => return,
            _ => {}
        }
        let (here, redirections) = self.redirections(redirects);
        if let Some(printed) = &mut self.printed {
            match print(&words, here.as_deref()) {
                Some(text) => printed.text.push_str(&text),
                None => printed.unknown = true,
            }
            return;
        }
        let part = self.part.clone();
        self.commands.push(Simple { words, redirections, here, part });
    }

    /// Calls a function of the paste's.
    fn call(&mut self, name: &str, arguments: &[String]) -> bool {
        let mut functions = self.functions.iter();
        let Some((_, body, source)) = functions.find(|(other, ..)| other == name).cloned() else {
            return false;
        };
        self.called.insert(name.to_owned());
        self.arguments.push(arguments.to_vec());
        self.node(&body, &source);
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

    /// `if`: the first branch that holds something of QEMU's, and what the others hold.
    fn branch(&mut self, condition: &str, then: &Node, other: Option<&Node>, source: &Rc<str>) {
        let condition = condition.split_whitespace().collect::<Vec<_>>().join(" ");
        let condition = condition.trim_end_matches(';').to_owned();
        let of = |node: &Node| flag::is_qemus(node.source_text(source));
        let (here, there) = (of(then), other.is_some_and(of));
        // `if [ "$1" = primary ]; then qemu ...; else qemu ...; fi` starts two machines.
        let role = part::in_words(&condition);
        if let (Some(role), Some(other), true, true) = (role, other, here, there) {
            let outer = self.part.replace(role.clone());
            self.node(then, source);
            self.part = part::other(&role);
            self.node(other, source);
            self.part = outer;
            return;
        }
        match other {
            Some(other) if there && !here => {
                self.branches.push(format!("where `{condition}` is false"));
                self.node(other, source);
            }
            _ => {
                if here || other.is_some() || then.source_text(source).contains('=') {
                    self.branches.push(format!("where `{condition}` holds"));
                }
                self.node(then, source);
                if let Some(other) = other {
                    self.aside(other.source_text(source));
                }
            }
        }
    }

    /// Lists what stands in a branch that isn't followed.
    fn aside(&mut self, text: &str) {
        if !self.afford(text.len()) {
            return;
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "else");
        self.branches.extend(lines.map(|line| format!("  not: {line}")));
    }

    /// Whether a text has something of QEMU's, or calls a function of the paste that has.
    fn leads_to_qemu(&self, text: &str, depth: usize) -> bool {
        let calls = |text: &str| {
            let mut words = flag::tokens(text).take(MAX_TURNS);
            words.any(|word| {
                let mut functions = self.functions.iter();
                functions.any(|(name, body, source)| {
                    name == word && self.leads_to_qemu(body.source_text(source), depth + 1)
                })
            })
        };
        flag::is_qemus(text) || depth < MAX_DEPTH / 4 && calls(text)
    }

    /// `case`: the branch of the word where that is known, each where they are the machines of a
    /// setup, else the first that holds something of QEMU's.
    fn case(&mut self, word: &Node, patterns: &[rable::CasePattern], source: &Rc<str>) {
        let subject = self.one(word);
        let named = |case: &rable::CasePattern| {
            let mut names = case.patterns.iter();
            let text = |node: &Node| match &node.kind {
                NodeKind::Word { value, .. } => value.trim_matches(['"', '\'']).to_owned(),
                _ => node.source_text(source).to_owned(),
            };
            names.find_map(|node| part::in_words(&text(node)))
        };
        let bodies = patterns.iter().filter_map(|case| Some((case, case.body.as_ref()?)));
        let of_qemu: Vec<_> =
            bodies.filter(|(_, body)| self.leads_to_qemu(body.source_text(source), 0)).collect();
        let roles = of_qemu.iter().filter(|(case, _)| named(case).is_some()).count();
        if roles > 1 {
            let before = self.set.clone();
            for (case, body) in of_qemu {
                let count = self.commands.len();
                self.set.clone_from(&before);
                let outer = std::mem::replace(&mut self.part, named(case));
                self.node(body, source);
                let starts = self.commands[count..].iter().flat_map(|command| &command.words);
                if !starts.into_iter().any(|word| flag::is_net(word) || flag::is_program(word)) {
                    self.roles.push((self.part.clone(), self.set.clone()));
                }
                self.part = outer;
            }
            return;
        }
        let is_subject = |case: &rable::CasePattern| {
            let mut names = case.patterns.iter();
            names
                .any(|node| matches!(&node.kind, NodeKind::Word { value, .. } if *value == subject))
        };
        let known = patterns.iter().find(|case| is_subject(case));
        let known = known.and_then(|case| case.body.as_ref());
        let first = of_qemu.first().map(|(_, body)| *body);
        let first = first.or_else(|| patterns.iter().find_map(|case| case.body.as_ref()));
        let Some(taken) = known.or(first) else {
            return;
        };
        self.node(taken, source);
        for (_, body) in of_qemu.into_iter().filter(|(_, body)| !std::ptr::eq(*body, taken)) {
            self.branches.push(format!("of the cases of {subject}, the first"));
            self.aside(body.source_text(source));
        }
    }
}

/// What a command prints; none where that isn't known.
fn print(words: &[String], here: Option<&str>) -> Option<String> {
    let (first, rest) = words.split_first()?;
    match (first.as_str(), here) {
        ("echo", _) => {
            let options = rest.iter().take_while(|word| matches!(word.as_str(), "-n" | "-e"));
            let options = options.count();
            Some(rest[options..].join(" ") + "\n")
        }
        ("printf", _) => {
            let rest = rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest);
            let (format, values) = rest.split_first()?;
            let format = format.replace("\\n", "\n").replace("%d", "%s").replace("%q", "%s");
            let holes = format.matches("%s").count();
            let mut values = values.iter().map(String::as_str);
            let turns = if holes == 0 { 1 } else { values.len().div_ceil(holes).max(1) };
            if turns.saturating_mul(format.len()) > MAX_WRITTEN {
                return None;
            }
            let mut out = String::new();
            for _ in 0..turns {
                for (number, piece) in format.split("%s").enumerate() {
                    if number > 0 {
                        out.push_str(values.next().unwrap_or(""));
                    }
                    out.push_str(piece);
                }
            }
            Some(out)
        }
        ("cat", Some(text)) => Some(text.to_owned()),
        (":" | "true" | "return" | "exit" | "test" | "[", _) => Some(String::new()),
        _ => None,
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
    fn a_here_document_is_kept() {
        let commands =
            read("P=1\ncat > x <<EOF\na $P\nEOF\nnc <<'E'\n$P\nE\n", &mut Shell::default());
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
