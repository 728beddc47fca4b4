//! Words: quotes, variables, arrays, what a function of the paste prints.

use rable::{Node, NodeKind};

use super::{MAX_WRITTEN, Printed, Shell, assignment, grammar};

/// Deepest nesting of an arithmetic expression.
const MAX_TERMS: usize = 32;

/// Words in the making.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    word: Option<String>,
    /// The quotes that are open.
    quote: Option<char>,
}

impl Words {
    fn word(&mut self) -> &mut String {
        self.word.get_or_insert_default()
    }

    fn end(&mut self) {
        self.done.extend(self.word.take());
    }

    /// A character that means itself. `${` is a reference in a scenario, unless it is escaped.
    fn literal(&mut self, c: char) {
        let word = self.word();
        if c == '{' && word.ends_with('$') && !word.ends_with("$$") {
            word.push('$');
        }
        word.push(c);
    }

    /// Text of a word as it is written.
    fn written(&mut self, text: &str) {
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            match (self.quote, c) {
                (None, '\'' | '"') => {
                    self.quote = Some(c);
                    self.word();
                }
                (Some(open), c) if open == c => self.quote = None,
                (None, '\\') => match characters.next() {
                    Some('\n') | None => {}
                    Some(c) => self.literal(c),
                },
                (Some('"'), '\\') => match characters.next() {
                    Some('\n') | None => {}
                    Some(c) => {
                        if !matches!(c, '$' | '`' | '"' | '\\') {
                            self.literal('\\');
                        }
                        self.literal(c);
                    }
                },
                (_, c) => self.literal(c),
            }
        }
    }

    /// What a variable holds; outside of quotes it is split into words.
    fn insert(&mut self, words: &[String], all: bool) {
        let quoted = self.quote.is_some();
        let split: Vec<String> = match words {
            words if quoted && !all => vec![words.join(" ")],
            [one] if !quoted => one.split_whitespace().map(str::to_owned).collect(),
            words => words.to_vec(),
        };
        for (number, part) in split.iter().enumerate() {
            if number > 0 {
                self.end();
            }
            self.word().push_str(part);
        }
    }
}

impl Shell {
    /// The words that these become.
    pub(super) fn words(&mut self, nodes: &[Node]) -> Vec<String> {
        let mut words = Words::default();
        for node in nodes {
            self.word(node, &mut words);
            words.quote = None;
            words.end();
        }
        words.done
    }

    /// A word that isn't split.
    pub(super) fn one(&mut self, node: &Node) -> String {
        let mut words = Words::default();
        self.word(node, &mut words);
        words.end();
        words.done.join(" ")
    }

    /// A here-document: variables, and no quotes.
    pub(super) fn document(&mut self, text: &str) -> String {
        let quoted = format!("x \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        match grammar::parse(&quoted).first().map(|node| &node.kind) {
            Some(NodeKind::Command { words, .. }) if words.len() == 2 => self.one(&words[1]),
            _ => text.to_owned(),
        }
    }

    /// The words of a text that stands inside a word or an array.
    pub(super) fn inner(&mut self, text: &str) -> Vec<String> {
        if !self.deeper() {
            return Vec::new();
        }
        let words = match grammar::parse(&format!("x {text}")).first().map(|node| &node.kind) {
            Some(NodeKind::Command { words, .. }) => self.words(words.get(1..).unwrap_or_default()),
            _ => text.split_whitespace().map(str::to_owned).collect(),
        };
        self.depth -= 1;
        words
    }

    fn word(&mut self, node: &Node, words: &mut Words) {
        let NodeKind::Word { value, parts, .. } = &node.kind else {
            return;
        };
        // As `ps` shows it, without the quotes that a shell would need.
        if value.starts_with("{\"") && value.ends_with('}') {
            value.chars().for_each(|c| words.literal(c));
            return;
        }
        let mut at = 0;
        for (number, part) in parts.iter().enumerate() {
            if let NodeKind::WordLiteral { value: text } = &part.kind {
                words.written(text);
                at += text.len();
                continue;
            }
            // What is written here ends where the next text begins.
            let rest = value.get(at..).unwrap_or_default();
            let length = match parts.get(number + 1).map(|next| &next.kind) {
                Some(NodeKind::WordLiteral { value: text }) => rest.rfind(text.as_str()),
                Some(_) => rest.get(1..).and_then(|rest| rest.find('$')).map(|at| at + 1),
                None => None,
            };
            let written = &rest[..length.unwrap_or(rest.len())];
            at += written.len();
            self.part_of_word(part, written, words);
        }
    }

    fn part_of_word(&mut self, part: &Node, written: &str, words: &mut Words) {
        match &part.kind {
            NodeKind::ParamExpansion { param, op, arg } => {
                self.parameter(param, op.as_deref(), arg.as_deref().unwrap_or(""), words);
            }
            NodeKind::ParamIndirect { param, .. } => match self.keys(param) {
                Some(keys) => words.insert(&keys, true),
                None => self.placeholder("", written, words),
            },
            NodeKind::ParamLength { param } => {
                let name = param.trim_end_matches("[@]").trim_end_matches("[*]");
                match self.set.get(name).map(Vec::len) {
                    Some(length) => words.word().push_str(&length.to_string()),
                    None => self.placeholder("", written, words),
                }
            }
            NodeKind::CommandSubstitution { command, .. } => {
                let outer = self.printed.replace(Printed::default());
                let source = written.into();
                let depth = self.calls.len();
                self.calls.extend(self.at.clone());
                self.node(command, &source);
                self.calls.truncate(depth);
                let printed = std::mem::replace(&mut self.printed, outer);
                let known = printed.filter(|it| !it.unknown && !it.text.is_empty());
                match known.map(|it| it.text) {
                    Some(text) if self.afford(text.len()) => {
                        words.insert(&[text.trim_end_matches('\n').to_owned()], false);
                    }
                    _ => self.placeholder("", written, words),
                }
            }
            NodeKind::ArithmeticExpansion { expression: Some(expression) } => {
                match self.number(expression, 0) {
                    Some(number) => words.word().push_str(&number.to_string()),
                    None => self.placeholder("", written, words),
                }
            }
            NodeKind::AnsiCQuote { decoded: text, .. } => {
                words.word();
                text.chars().for_each(|c| words.literal(c));
            }
            NodeKind::LocaleString { inner: text, .. }
            | NodeKind::BraceExpansion { content: text } => {
                text.chars().for_each(|c| words.literal(c));
            }
            _ => self.placeholder("", written, words),
        }
    }

    /// `$NAME`, `${NAME[@]}`, `${NAME:-other}`, ...
    fn parameter(&mut self, param: &str, op: Option<&str>, arg: &str, words: &mut Words) {
        let written = match op {
            Some(op) => format!("${{{param}{op}{arg}}}"),
            None if param.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                format!("${param}")
            }
            None if param.len() == 1 => format!("${param}"),
            None => format!("${{{param}}}"),
        };
        let (name, index) = param.split_once('[').unwrap_or((param, ""));
        let all = index.starts_with('@') || param == "@";
        let held = self.held(name, index.trim_end_matches(']'));
        if let Some(held) = &held
            && !self.afford(held.iter().map(|word| word.len() + 1).sum())
        {
            return;
        }
        let text = |held: &[String]| held.join(" ");
        match (op, held) {
            (Some(":+" | "+"), Some(held)) if !text(&held).is_empty() => {
                let other = self.inner(arg);
                words.insert(&other, true);
            }
            (Some(":+" | "+"), held) => {
                words.word();
                // An argument that a call does not give is known to be empty.
                if held.is_none() && name.parse::<usize>().is_err() {
                    self.branches.push(format!("{written} is empty: {name} is not set"));
                }
            }
            (Some(":-" | ":=" | ":?"), Some(held)) if text(&held).is_empty() => {
                let other = self.inner(arg);
                words.insert(&other, true);
            }
            (None | Some(":-" | "-" | ":=" | "=" | ":?" | "?"), Some(held)) => {
                words.insert(&held, all);
            }
            (Some(":-" | "-" | ":=" | "="), None) => {
                let other = self.inner(arg);
                words.insert(&other, true);
            }
            (None | Some(":?" | "?"), None) => self.placeholder(name, &written, words),
            (Some(op), Some(held)) => match changed(&text(&held), op, arg) {
                Some(text) if self.afford(text.len()) => words.insert(&[text], false),
                _ => self.placeholder("", &written, words),
            },
            (Some(_), None) => self.placeholder(name, &written, words),
        }
    }

    /// What a variable holds, or an argument of the function that is called.
    fn held(&mut self, name: &str, index: &str) -> Option<Vec<String>> {
        let arguments = self.arguments.last();
        match name {
            "@" | "*" => return arguments.cloned(),
            "#" => return arguments.map(|all| vec![all.len().to_string()]),
            _ => {}
        }
        if let Ok(number) = name.parse::<usize>() {
            return match number.checked_sub(1) {
                Some(at) => arguments.map(|all| all.get(at).cloned().into_iter().collect()),
                None => None,
            };
        }
        self.used.insert(name.to_owned());
        if !index.is_empty() && !matches!(index, "@" | "*") {
            let key =
                if index.contains('$') { self.inner(index).join(" ") } else { index.to_owned() };
            let key = key.trim_matches(['"', '\'']);
            if let Some(held) = self.set.get(&format!("{name}[{key}]")) {
                return Some(held.clone());
            }
            if let Ok(at) = key.parse::<usize>() {
                return self.set.get(name)?.get(at).map(|one| vec![one.clone()]);
            }
        }
        let held = self.set.get(name)?;
        match index.parse::<usize>() {
            Ok(at) => held.get(at).map(|one| vec![one.clone()]),
            Err(_) => Some(held.clone()),
        }
    }

    /// The keys of `${!NAME[@]}`.
    fn keys(&self, param: &str) -> Option<Vec<String>> {
        let name = param.trim_end_matches("[@]").trim_end_matches("[*]");
        let start = format!("{name}[");
        let all =
            self.order.iter().filter_map(|other| other.strip_prefix(&start)?.strip_suffix(']'));
        let keys: Vec<String> = all.map(str::to_owned).collect();
        match (keys.is_empty(), self.set.get(name)) {
            (false, _) => Some(keys),
            (true, Some(list)) => Some((0..list.len()).map(|at| at.to_string()).collect()),
            (true, None) => None,
        }
    }

    pub(in crate::import) fn named(&mut self, name: &str, written: &str) -> String {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if let Some(name) = self.names.get(written) {
            return format!("${{{name}}}");
        }
        let is_placeholder = plain && self.unset.iter().any(|(other, _)| other == name);
        let name = match plain {
            true => name.to_owned(),
            false => format!("shell{}", self.unset.len() + 1),
        };
        self.names.insert(written.to_owned(), name.clone());
        if !is_placeholder {
            self.unset.push((name.clone(), written.to_owned()));
        }
        format!("${{{name}}}")
    }

    fn placeholder(&mut self, name: &str, written: &str, words: &mut Words) {
        let text = self.named(name, written);
        words.word().push_str(&text);
    }

    /// `NAME=value`, `NAME=(...)`, and both with `+=`.
    pub(super) fn set_by(&mut self, node: &Node) {
        let NodeKind::Word { value: written, .. } = &node.kind else {
            return;
        };
        if let Some((name, adds, list)) = assignment(written)
            && let Some(list) = list.strip_prefix('(')
        {
            let items = self.inner(list.strip_suffix(')').unwrap_or(list));
            for (key, value) in items.iter().filter_map(|item| keyed(item)) {
                self.assign(&format!("{name}[{key}]"), vec![value.to_owned()]);
            }
            let items = items.into_iter().map(|item| match item.strip_prefix('[') {
                Some(rest) => rest.split_once("]=").map_or(item.clone(), |(_, it)| it.to_owned()),
                None => item,
            });
            let old = adds.then(|| self.set.get(name).cloned()).flatten();
            let words = old.into_iter().flatten().chain(items).collect();
            return self.assign(name, words);
        }
        let text = self.one(node);
        // `NAME[1]=value`
        let element = text.split_once('=').and_then(|(name, value)| {
            let (name, _) = name.split_once('[')?;
            Some((name, value))
        });
        if let Some((name, value)) = element.filter(|_| assignment(&text).is_none()) {
            if let Some((key, _)) = text
                .split_once("]=")
                .and_then(|(before, _)| before.split_once('[').map(|(_, key)| (key, before)))
            {
                self.assign(&format!("{name}[{key}]"), vec![value.to_owned()]);
            }
            let mut words = self.set.get(name).cloned().unwrap_or_default();
            words.push(value.to_owned());
            return self.assign(name, words);
        }
        match assignment(&text) {
            Some((name, true, value)) => {
                let mut old = self.set.get(name).cloned().unwrap_or_default();
                match old.first_mut() {
                    Some(first) => first.push_str(value),
                    None => old.push(value.to_owned()),
                }
                self.assign(name, old);
            }
            Some((name, false, value)) => self.assign(name, vec![value.to_owned()]),
            None => {}
        }
    }

    /// The value of an arithmetic expression whose variables are known.
    fn number(&mut self, node: &Node, depth: usize) -> Option<i64> {
        match &node.kind {
            _ if depth > MAX_TERMS => None,
            NodeKind::ArithNumber { value } => value.parse().ok(),
            NodeKind::ArithVar { name } => {
                let held = self.held(name, "")?;
                held.first()?.parse().ok()
            }
            NodeKind::ArithBinaryOp { op, left, right } => {
                let (left, right) = (self.number(left, depth + 1)?, self.number(right, depth + 1)?);
                match op.as_str() {
                    "+" => left.checked_add(right),
                    "-" => left.checked_sub(right),
                    "*" => left.checked_mul(right),
                    "/" => left.checked_div(right),
                    "%" => left.checked_rem(right),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// The key and the value of an item of an array, `[KEY]=VALUE`.
fn keyed(item: &str) -> Option<(&str, &str)> {
    item.strip_prefix('[')?.split_once("]=")
}

/// `${NAME%.c}` and the like, of a text that is known.
fn changed(text: &str, op: &str, arg: &str) -> Option<String> {
    let plain = |pattern: &str| !pattern.contains(['*', '?', '[', '$', '\\', '"', '\'']);
    match op {
        "##" => match arg.strip_prefix('*') {
            Some(end) if plain(end) && !end.is_empty() => {
                Some(text.rsplit_once(end).map_or(text, |(_, rest)| rest).to_owned())
            }
            _ => plain(arg).then(|| text.strip_prefix(arg).unwrap_or(text).to_owned()),
        },
        "#" => match arg.strip_prefix('*') {
            Some(end) if plain(end) && !end.is_empty() => {
                Some(text.split_once(end).map_or(text, |(_, rest)| rest).to_owned())
            }
            _ => plain(arg).then(|| text.strip_prefix(arg).unwrap_or(text).to_owned()),
        },
        "%" | "%%" => match arg.strip_suffix('*') {
            Some(start) if plain(start) && !start.is_empty() => {
                let cut = if op == "%" { text.rsplit_once(start) } else { text.split_once(start) };
                Some(cut.map_or(text, |(before, _)| before).to_owned())
            }
            _ => plain(arg).then(|| text.strip_suffix(arg).unwrap_or(text).to_owned()),
        },
        "/" | "//" => {
            let (from, to) = arg.split_once('/').unwrap_or((arg, ""));
            let known = plain(from)
                && plain(to)
                && !from.is_empty()
                && text.matches(from).count().saturating_mul(to.len()) < MAX_WRITTEN;
            known.then(
                || if op == "/" { text.replacen(from, to, 1) } else { text.replace(from, to) },
            )
        }
        "^^" if arg.is_empty() => Some(text.to_uppercase()),
        ",," if arg.is_empty() => Some(text.to_lowercase()),
        _ => None,
    }
}
