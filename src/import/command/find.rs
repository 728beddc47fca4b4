//! All monitor commands of a text, in its order, whatever they stand in.

use std::ops::Range;

use serde_json::Value;

use super::{
    Call,
    call::{self, Context},
    literal::Constants,
    object,
    text::{closed, line_at, opened, quoted, unescaped},
    tool::{self, Argument},
    verb,
};
use crate::import::{
    block, hmp, line,
    qmp::{self, Message},
};

/// Most commands of a text.
const MOST: usize = 10_000;
/// Most bytes of an object before the command in it that may say whose it is.
const MOST_BESIDE: usize = 400;
/// Most times that one name is looked at in prose.
const MOST_NAMED: usize = 500;
/// Most columns of a command that is named.
const SHOWN: usize = 160;

/// A command in a text.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) span: Range<usize>,
    /// None where only its name is understood.
    pub(super) call: Option<Call>,
    /// Its name, in QMP.
    pub(super) name: String,
    /// It is given there, and not only named.
    pub(super) is_given: bool,
    /// What stands around it and may name its machine.
    pub(super) near: String,
    /// QEMU's answer was this error: class and text.
    pub(super) error: Option<(Option<String>, String)>,
    /// As it is written.
    pub(super) written: String,
}

/// The commands of a text, in its order.
pub(super) fn find(text: &str) -> Vec<Found> {
    let constants = constants(text);
    let mut finder = Finder { text, constants: &constants, found: Vec::new(), taken: Vec::new() };
    finder.objects();
    finder.prompts();
    finder.tools();
    finder.strings();
    finder.methods();
    finder.lines();
    finder.mentions();
    let mut found = finder.found;
    found.sort_by_key(|one| one.span.start);
    announced(&mut found);
    answers(text, &mut found);
    found
}

/// Names of a text that have one string or number: `NAME = "x"`, `const name = 'x'`, `NAME=x`.
fn constants(text: &str) -> Constants {
    let (mut all, mut twice) = (Constants::new(), Vec::new());
    for line in text.lines() {
        let line = line.trim().trim_end_matches(';');
        let line =
            ["const ", "let ", "var ", "my ", "local ", "export ", "readonly ", "static ", "set "]
                .iter()
                .fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let name = name.trim_end_matches([' ', ':', '?']).trim_start_matches(['$', '%', '@']);
        let name = name.split([':', ' ']).next().unwrap_or(name);
        let name = name.rsplit('.').next().unwrap_or(name);
        let value = value.trim();
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
        let plain = value.trim_matches(['"', '\'']);
        let is_plain = plain.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:".contains(c));
        if is_word(name)
            && !plain.is_empty()
            && is_plain
            && !name.starts_with(|c: char| c.is_ascii_digit())
        {
            let is_quoted = plain.len() + 2 == value.len();
            let is_literal = is_quoted
                || value.parse::<f64>().is_ok()
                || !line.contains(" =") && !line.contains('(');
            if is_literal
                && all.insert(name.to_owned(), plain.to_owned()).is_some_and(|old| old != plain)
            {
                twice.push(name.to_owned());
            }
        }
    }
    for name in twice {
        all.remove(&name);
    }
    all
}

/// Most bytes between the name of a command in a log and the command itself.
const MOST_APART: usize = 300;

/// Drops what a log says of a command before it has the command: `Sending command 'cont'`.
fn announced(found: &mut Vec<Found>) {
    let is_alone = |one: &Found| {
        one.call.as_ref().is_none_or(|call| call.args.is_empty() && call.option.is_none())
    };
    let mut at = 0;
    while at + 1 < found.len() {
        let (one, next) = (&found[at], &found[at + 1]);
        let is_near = next.span.start - one.span.start < MOST_APART;
        let is_object = next.written.contains("execute");
        let is_name = !one.written.contains("execute") && is_alone(one);
        if is_near && is_object && is_name && one.name == next.name {
            found.remove(at);
        } else {
            at += 1;
        }
    }
}

/// What QEMU answers below a command, if it is an error.
fn answers(text: &str, found: &mut [Found]) {
    for at in 0..found.len() {
        let next = found.get(at + 1).map_or(text.len(), |next| next.span.start);
        let end = line_at(text, found[at].span.end.min(text.len())).end;
        let between = text.get(end..next.max(end)).unwrap_or_default();
        // QMP does not answer what is typed for a person, and a reply has the id of its command.
        let is_human = text[..found[at].span.start].trim_end().ends_with("(qemu)");
        let command = text.get(found[at].span.clone()).unwrap_or_default();
        let is_its = |reply: &str| {
            let reply: Option<Value> = serde_json::from_str(reply).ok();
            let id = reply.and_then(|reply| reply.get("id")?.as_str().map(str::to_owned));
            id.is_none_or(|id| command.contains(&id))
        };
        let mut lines = between.lines().map(str::trim).filter(|line| !line.is_empty()).take(2);
        let error = |line: &str| {
            let escaped = line.contains("\\\"error\\\"").then(|| unescaped(line).0);
            let line = escaped.as_deref().unwrap_or(line);
            let begins = ["{\"error\"", "{'error'", "{\"id\"", "{ \"id\"", "{ \"error\""];
            if line.contains("error")
                && !is_human
                && let Some(at) = begins.iter().find_map(|begin| line.find(begin))
                && let Some(length) = closed(&line[at..])
                && is_its(&line[at..at + length])
                && let Some((Message::Error(class, text), _)) = qmp::read(&[&line[at..at + length]])
            {
                return Some((Some(class), text));
            }
            let plain = line.find("Error: ").map(|at| &line[at..])?;
            hmp::error(plain).map(|(class, text)| (class.map(str::to_owned), text.to_owned()))
        };
        if found[at].is_given && found[at].call.is_some() {
            found[at].error = lines.find_map(error);
        }
    }
}

struct Finder<'a> {
    text: &'a str,
    constants: &'a Constants,
    found: Vec<Found>,
    taken: Vec<Range<usize>>,
}

impl Finder<'_> {
    /// Whether a place is in a line that a program skips.
    fn is_comment(&self, at: usize) -> bool {
        let line = self.text[line_at(self.text, at)].trim_start();
        let marks = ["//", "/*", "# ", "#\t", "-- ", ";;", "<!--"];
        // `# virsh ...` is typed by root.
        marks.iter().any(|mark| line.starts_with(mark)) && !line.contains("qemu-monitor-command")
    }

    fn is_free(&self, span: &Range<usize>) -> bool {
        self.taken.len() < MOST
            && !self.taken.iter().any(|other| other.start < span.end && span.start < other.end)
    }

    fn add(
        &mut self,
        span: Range<usize>,
        call: Option<Call>,
        name: &str,
        near: String,
        is_given: bool,
    ) {
        self.taken.push(span.clone());
        if call.as_ref().is_some_and(Call::asks)
            || name.starts_with("query-")
            || name.starts_with("guest-")
        {
            return;
        }
        let lacks =
            |call: &Call| call.args.is_empty() && call.option.is_none() && verb::needs(&call.name);
        let is_given = is_given && !call.as_ref().is_some_and(lacks);
        let written = self.text[span.clone()].split_whitespace().collect::<Vec<_>>().join(" ");
        let written: String = written.chars().take(SHOWN).collect();
        let name = name.to_owned();
        self.found.push(Found { span, call, name, is_given, near, error: None, written });
    }

    fn argument(&mut self, from: usize, argument: Argument) {
        let span = from + argument.start..from + argument.end;
        if self.is_free(&span) {
            let name = argument.call.as_ref().map_or(String::new(), |call| call.name.clone());
            if !name.is_empty() {
                self.add(span, argument.call, &name, argument.near, true);
            }
        }
    }

    /// QMP's objects: `{"execute": "stop"}`, in whatever quotes, and as blocks of YAML.
    fn objects(&mut self) {
        let text = self.text;
        let mut seen: Vec<(Value, Call)> = Vec::new();
        for word in ["execute", "exec-oob"] {
            for (at, _) in text.match_indices(word) {
                let is_inside = |c: char| c.is_alphanumeric() || "_-".contains(c);
                let behind = &text[at + word.len()..];
                let is_key =
                    behind.trim_start_matches(['\\', '"', '\'', ' ', '`']).starts_with([':', '=']);
                if text[..at].ends_with(is_inside) || behind.starts_with(is_inside) || !is_key {
                    continue;
                }
                let Some((span, map, is_open)) = object::object(text, at, self.constants) else {
                    continue;
                };
                let name =
                    map.get("execute").or_else(|| map.get("exec-oob")).and_then(Value::as_str);
                let Some(name) =
                    name.filter(|name| !name.contains(char::is_whitespace)).map(str::to_owned)
                else {
                    continue;
                };
                if !self.is_free(&span) {
                    continue;
                }
                let arguments = map.get("arguments").and_then(Value::as_object).cloned();
                let call = Call::of_qmp(&name, arguments.unwrap_or_default());
                let call = Call { is_open: call.is_open | is_open, ..call };
                // A log may write one message twice.
                if let Some(id) = map.get("id") {
                    let one = (id.clone(), call.clone());
                    if seen.contains(&one) {
                        self.taken.push(span);
                        continue;
                    }
                    seen.push(one);
                }
                let context = Context::of(text, span.start);
                let siblings = opened(text, span.start, '{').map(|open| &text[open..span.start]);
                let siblings = siblings.filter(|siblings| siblings.len() < MOST_BESIDE);
                let near = format!(
                    "{} {} {}",
                    siblings.unwrap_or_default(),
                    context.callee,
                    context.before
                );
                let name = call.name.clone();
                self.add(span, Some(call), &name, near, true);
            }
        }
    }

    /// What is typed behind a prompt.
    fn prompts(&mut self) {
        let text = self.text;
        for (at, prompt) in text.match_indices("(qemu)").chain(text.match_indices("(QEMU)")) {
            let line = line_at(text, at);
            let start = at + prompt.len();
            let rest = &text[start..line.end];
            let before = text[..at].chars().next_back();
            let end = match before.filter(|c| "\"'`".contains(*c)) {
                Some(quote) => rest.find(quote).unwrap_or(rest.len()),
                None => rest
                    .find("</")
                    .or_else(|| {
                        rest.find(" |")
                            .filter(|_| text[line.start..at].trim_start().starts_with('|'))
                    })
                    .unwrap_or(rest.len()),
            };
            let typed = rest[..end].trim().trim_end_matches("\\n").trim_end_matches("\\r").trim();
            let span = start..start + end;
            let is_command = typed.starts_with(|c: char| c.is_ascii_alphabetic());
            if is_command
                && self.is_free(&span)
                && let Some(call) = verb::typed(typed, &Constants::new())
            {
                let name = call.name.clone();
                self.add(span, Some(call), &name, String::new(), true);
            }
        }
    }

    /// Arguments of other programs.
    fn tools(&mut self) {
        let text = self.text;
        let virsh = "qemu-monitor-command";
        for (at, _) in text.match_indices(virsh) {
            if let Some(argument) = tool::of_virsh(text, at + virsh.len(), self.constants) {
                self.argument(0, argument);
            }
        }
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let bare = line.trim_end_matches('\n');
            for argument in
                [tool::of_pipe(bare, self.constants), tool::of_qom(bare)].into_iter().flatten()
            {
                self.argument(start, argument);
            }
            start += line.len();
        }
    }

    /// Strings that are a command, or its name with its arguments behind it.
    fn strings(&mut self) {
        let text = self.text;
        for (at, _) in text.match_indices(['"', '\'', '`']) {
            let first = text[at + 1..].trim_start_matches(['"', '\'', '`', ' ']);
            if !first.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            let name =
                first.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c))).next();
            let Some(name) = name.filter(|name| verb::is_name(name)) else {
                continue;
            };
            let Some((inside, end)) = quoted(text, at) else {
                continue;
            };
            let span = at..end;
            if !self.is_free(&span) {
                continue;
            }
            let inside = inside.trim();
            let context = Context::of(text, at);
            let near = format!("{} {}", context.callee, context.before);
            let is_name = inside == name;
            if let Some(call) = verb::typed(inside, self.constants).filter(|_| !is_name) {
                let name = call.name.clone();
                let is_given = !context.compares() && !self.is_comment(at);
                self.add(span, Some(call), &name, near, is_given);
            } else if is_name
                && context.gives()
                && (verb::is_qmp(name) || verb::typed(name, self.constants).is_some())
            {
                let called = call::call(text, name, end, &context, self.constants);
                let typed = || verb::typed(name, self.constants).map(|call| (call, end));
                match called.filter(|_| verb::is_qmp(name)).or_else(typed) {
                    Some((call, end)) => {
                        let name = call.name.clone();
                        let is_given = !self.is_comment(at);
                        self.add(at..end.max(at + 1), Some(call), &name, near, is_given);
                    }
                    None => self.add(span, None, name, near, true),
                }
            }
        }
    }

    /// Functions that have a command's name.
    fn methods(&mut self) {
        let text = self.text;
        for name in verb::names().filter(|name| verb::is_distinct(name)) {
            let written = name.replace('-', "_");
            for (at, _) in text.match_indices(&format!(".{written}(")) {
                let qmp = written.replace('_', "-");
                let qmp = if verb::is_qmp(&qmp) { qmp } else { name.to_owned() };
                if let Some((call, end)) =
                    call::method(text, &qmp, at + 1 + written.len(), self.constants)
                {
                    let context = Context::of(text, at + 2 + written.len());
                    let span = at + 1..end;
                    if self.is_free(&span) {
                        let is_given = !self.is_comment(at);
                        self.add(span, Some(call), &qmp, context.callee, is_given);
                    }
                }
            }
        }
    }

    /// Lines, cells of tables and items of lists that are a command.
    fn lines(&mut self) {
        let text = self.text;
        let mut start = 0;
        let mut document = None;
        for whole in text.split_inclusive('\n') {
            let (from, line) = (start, whole.trim_end());
            start += whole.len();
            if document == Some(line.trim()) {
                document = None;
            }
            let is_told = document.is_some();
            document =
                document.or_else(|| block::document_mark(line).filter(|_| tool::is_talker(line)));
            let is_row = line.trim_start().starts_with('|');
            let mut at = from;
            for cell in line
                .split('|')
                .map(|cell| cell.split('\t'))
                .flat_map(|cells| cells.collect::<Vec<_>>())
            {
                let span = at..at + cell.len();
                at += cell.len() + 1;
                let (typed, is_item) = unmarked(cell);
                let shift = cell.find(typed).unwrap_or(0);
                let span = span.start + shift..span.start + shift + typed.len();
                if typed.is_empty() || !self.is_free(&span) {
                    continue;
                }
                let name = typed.split(char::is_whitespace).next().unwrap_or(typed);
                if let Some(call) = verb::typed(typed, &Constants::new()) {
                    // `stop` may be a word; in a table it is a command where a cell names a machine.
                    let is_given = (is_told
                        || (verb::is_distinct(name) || name == "migrate") && typed != name
                        || is_row
                        || is_item && typed == name)
                        && !self.is_comment(span.start);
                    if is_given || verb::is_distinct(name) {
                        let name = call.name.clone();
                        self.add(span, Some(call), &name, line.to_owned(), is_given);
                    }
                } else {
                    self.behind(span.start, typed);
                }
            }
        }
    }

    /// A command behind words that say where it goes: `Run QMP    vm1    object-del    id=f0`, `hmp a stop`.
    fn behind(&mut self, start: usize, typed: &str) {
        for (at, _) in typed.match_indices(' ') {
            let rest = typed[at..].trim_start();
            let begin = typed.len() - rest.len();
            let name = rest.split(char::is_whitespace).next().unwrap_or(rest);
            if name.is_empty() || !verb::names().any(|other| other == name) {
                continue;
            }
            let before = &typed[..at];
            let words = before.split_whitespace().count();
            let context = Context::of_line(before);
            let gives =
                context.gives() && words <= 5 && !before.contains(['.', ',', '(', '"', '\'']);
            if let Some(call) = verb::typed(rest, self.constants).filter(|_| gives) {
                let name = call.name.clone();
                return self.add(
                    start + begin..start + typed.len(),
                    Some(call),
                    &name,
                    before.to_owned(),
                    true,
                );
            }
        }
    }

    /// What is named, and no command of a form that is known.
    fn mentions(&mut self) {
        let text = self.text;
        for name in verb::names().filter(|name| verb::is_distinct(name)) {
            for (at, _) in text.match_indices(name).take(MOST_NAMED) {
                let is_inside = |c: char| c.is_alphanumeric() || "_-/.".contains(c);
                let span = at..at + name.len();
                let behind = &text[span.end..];
                let goes_on = behind.starts_with(|c: char| c.is_alphanumeric() || "_-".contains(c));
                let before = &text[..at];
                // What QEMU has, as `query-commands` lists it.
                let is_listed = before.trim_end_matches(['"', ' ']).ends_with("\"name\":");
                if goes_on || before.ends_with(is_inside) || is_listed || !self.is_free(&span) {
                    continue;
                }
                self.add(span, None, name, String::new(), false);
            }
        }
    }
}

/// A line without what marks it up, and whether it is the item of a list.
fn unmarked(line: &str) -> (&str, bool) {
    let mut rest = line.trim();
    rest = line::without_prompt(rest).trim_start_matches(['$', '#', '>', '%', ' ']);
    let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let item = ["- ", "* ", "+ ", "• "].iter().find_map(|mark| rest.strip_prefix(mark));
    let item = item.or_else(|| [". ", ") "].iter().find_map(|mark| number.strip_prefix(mark)));
    rest = item.unwrap_or(rest);
    let typed = rest.trim_matches(|c: char| c.is_whitespace() || "`\"'".contains(c));
    (typed, item.is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let one = |found: Found| match found.call {
            Some(call) if !found.is_given || call.is_open => format!("? {}", call.name),
            Some(call) => match call.option {
                Some(option) => format!("object_add {option}"),
                None => format!("{} {}", call.name, Value::Object(call.args)),
            },
            None => format!("? {}", found.name),
        };
        find(text).into_iter().map(one).collect()
    }

    #[rstest]
    #[case::nested(
        "[{\"vm\": \"a\", \"qmp\": {\"execute\": \"object-del\", \"arguments\": {\"id\": \"f\"}}}]",
        "object-del {\"id\":\"f\"}"
    )]
    #[case::escaped("\"{\\\"execute\\\": \\\"stop\\\"}\\r\\n\"", "stop {}")]
    #[case::escaped_twice("x \\\"{\\\\\\\"execute\\\\\\\": \\\\\\\"stop\\\\\\\"}\\\" y", "stop {}")]
    #[case::yaml(
        "- vm: a\n  qmp:\n    execute: object-del\n    arguments: {id: f}\n",
        "object-del {\"id\":\"f\"}"
    )]
    #[case::javascript(
        "qmp({execute: 'object-del', arguments: {id: 'f'}})",
        "object-del {\"id\":\"f\"}"
    )]
    #[case::prompt_in_a_log("12:00:01 [a] (qemu) object_del f\n", "object-del {\"id\":\"f\"}")]
    #[case::prompt_alone("expect \"(qemu) \"\nsend \"stop\\r\"\n", "stop {}")]
    #[case::shell_of_qmp("(QEMU) object-del id=f\n", "object-del {\"id\":\"f\"}")]
    #[case::in_prose("first ``object-del id=f2``, then", "object-del {\"id\":\"f2\"}")]
    #[case::robot("    Run QMP    vm1    object-del    id=f0\n", "object-del {\"id\":\"f0\"}")]
    #[case::a_helper("hmp a stop\n", "stop {}")]
    #[case::a_table("| 1 | a | `stop` |\n", "stop {}")]
    #[case::a_method(
        "vm.monitor.qom_set('/objects/f', 'status', 'off')",
        "qom-set {\"path\":\"/objects/f\",\"property\":\"status\",\"value\":\"off\"}"
    )]
    #[case::prose("then we use object_add to make it", "? object_add")]
    #[case::a_list_of_commands(
        "{\"return\": [{\"name\": \"object-add\"}, {\"name\": \"stop\"}]}",
        ""
    )]
    #[case::stop_in_prose("It does not stop, and \"cont\" is a word.", "")]
    #[case::agent("{\"execute\": \"guest-ping\"} {\"execute\": \"query-status\"}", "")]
    #[case::written_twice(
        "W {\"execute\": \"stop\", \"id\": \"libvirt-1\"}\nS {\"execute\": \"stop\", \"id\": \"libvirt-1\"}\n",
        "stop {}"
    )]
    fn commands_are_found(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text).join("|"), expected);
    }

    #[test]
    fn an_error_is_the_answer_of_the_command_above_it() {
        let found = find("x (qemu) object_del f\ny Error: no f\n");
        assert_eq!(found[0].error, Some((None, "no f".to_owned())));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(\\{\"execute\": |\"stop\"|\\}|'|\"|\\\\|object_del |f0|\\(qemu\\) |\n|virsh qemu-monitor-command |--hmp |é|- |\\(|\\)|\\.object_add\\(|execute: |,|=){0,24}") {
            find(&text);
        }
    }
}
