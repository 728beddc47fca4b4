//! Texts of one form: which form it is, and the texts that it holds.

use std::collections::BTreeSet;

use super::{MAX_INNER, MAX_TEXTS, Piece, Reader, prose::is_prose};
use crate::import::{
    block::{paragraphs, regions, unnumbered},
    code,
    data::{self, Item},
    flag, hcl,
    libvirt::{self, Domain},
    make, part, setting,
    shell::{self, Simple, Talk},
    table, trace,
};

impl Reader {
    pub(super) fn text(&mut self, text: &str) {
        self.inner = self.inner.saturating_add(text.len());
        if self.depth >= MAX_TEXTS || self.inner > MAX_INNER {
            self.paste.unread.extend(text.lines().map(str::to_owned));
            return;
        }
        self.depth += 1;
        if libvirt::is_domain(text) {
            let Domain { words, left_out } = libvirt::read(text);
            self.paste.pieces.push(Piece::CommandLine { words, whole: true });
            self.paste.unread.extend(left_out);
        } else {
            for region in regions(text) {
                self.region(&region);
            }
        }
        self.depth -= 1;
    }

    /// A text of one form: what stands in a fence of Markdown, or between two.
    fn region(&mut self, text: &str) {
        if let Some(text) = self.patched(text).or_else(|| unnumbered(text)) {
            return self.region(&text);
        }
        if let Some(text) = hcl::filled(text) {
            return self.region(&text);
        }
        if let Some(text) = self.traced(text).or_else(|| self.tabled(text)) {
            return self.region(&text);
        }
        if let Some(items) = data::read(text, &mut self.shell) {
            return self.items(items);
        }
        if let Some(settings) = setting::read(text) {
            return self.settings(settings);
        }
        let mut branches = Vec::new();
        let converted = make::shell_text(text, &mut branches);
        self.paste.branches.extend(branches);
        if let Some(converted) = converted {
            let talks = self.talks.len();
            self.plain(&converted);
            if self.talks.len() > talks {
                self.paste.followed.extend(make::talking(text).into_iter().map(str::to_owned));
            }
            return;
        }
        if shell::talks(text) {
            return self.plain(text);
        }
        let paragraphs = paragraphs(text);
        let is_code: Vec<bool> =
            paragraphs.iter().map(|text| code::is_code(text) && !is_prose(text)).collect();
        let any = is_code.contains(&true);
        // What stands between lists of programs is read as one.
        let mut between = String::new();
        for (text, is_code) in paragraphs.iter().zip(is_code) {
            if is_code {
                self.plain(&std::mem::take(&mut between));
                self.program(text);
                continue;
            }
            // What a program's other lines define may be used by its lists.
            if any && !flag::is_qemus(text) {
                self.program(text);
            }
            between += text;
        }
        self.plain(&between);
    }

    fn plain(&mut self, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        self.lines(&lines);
    }

    /// The text that a patch leaves; what it takes away is named.
    fn patched(&mut self, text: &str) -> Option<String> {
        if !text.lines().any(|line| line.starts_with("@@ ")) {
            return None;
        }
        let mut out = String::new();
        for line in text.lines() {
            let heads = ["@@", "---", "+++", "diff ", "index "];
            if heads.iter().any(|head| line.starts_with(head)) || line.starts_with('-') {
                self.paste.unread.push(line.to_owned());
                continue;
            }
            out.push_str(line.strip_prefix(['+', ' ']).unwrap_or(line));
            out.push('\n');
        }
        Some(out)
    }

    /// The text without the lines in which strace shows the start of a program of QEMU's.
    fn traced(&mut self, text: &str) -> Option<String> {
        let starts = |line: &str| {
            let words = trace::started(line)?;
            words.first().is_some_and(|word| flag::is_program(word)).then_some(words)
        };
        if !text.lines().any(|line| starts(line).is_some()) {
            return None;
        }
        let mut rest = String::new();
        for line in text.lines() {
            match starts(line) {
                Some(words) => {
                    let words = words.iter().map(|word| word.replace("${", "$${")).collect();
                    self.take(Simple { words, ..Simple::default() });
                }
                None if trace::started(line).is_some() => self.paste.unread.push(line.to_owned()),
                None => rest += &format!("{line}\n"),
            }
        }
        Some(rest)
    }

    /// The text without the tables that have a column for each machine.
    fn tabled(&mut self, text: &str) -> Option<String> {
        let lines: Vec<&str> = text.lines().collect();
        let (mut rest, mut at, mut is_any) = (String::new(), 0, false);
        while at < lines.len() {
            let Some((columns, taken)) = table::read(&lines[at..]) else {
                rest += &format!("{}\n", lines[at]);
                at += 1;
                continue;
            };
            for column in columns {
                self.names.push(column.name.clone());
                self.paste.pieces.push(Piece::Part(Some(column.name)));
                self.lines(&[&column.options]);
            }
            self.paste.pieces.push(Piece::Part(None));
            (at, is_any) = (at + taken, true);
        }
        is_any.then_some(rest)
    }

    fn program(&mut self, text: &str) {
        for command in self.code.read(text, &mut self.shell) {
            self.take(command);
        }
    }

    /// The options of machines, each of its name.
    fn settings(&mut self, settings: Vec<(Option<String>, String)>) {
        for (name, options) in settings {
            self.names.extend(name.clone());
            self.paste.pieces.push(Piece::Part(name));
            for command in shell::read(&options, &mut self.shell) {
                self.take(command);
            }
        }
        self.paste.pieces.push(Piece::Part(None));
    }

    fn items(&mut self, items: Vec<Item>) {
        let names = items.iter().map(|item| match item {
            Item::Words(_, names) | Item::Text(_, names) => data::machine_of(names),
            Item::Talk(..) => None,
        });
        let names: Vec<Option<String>> = names.collect();
        let several = names.iter().flatten().collect::<BTreeSet<_>>().len() > 1;
        for (item, name) in items.into_iter().zip(names) {
            if let Some(name) = name.filter(|name| several || part::in_words(name).is_some()) {
                self.paste.pieces.push(Piece::Part(Some(name)));
            }
            match item {
                Item::Words(words, _) => {
                    if let Some(command) = code::command(words, &mut self.shell) {
                        self.take(command);
                    }
                }
                Item::Text(text, _) => self.text(&text),
                Item::Talk(said, near) => {
                    let talk = Some(Talk { said, near });
                    self.take(Simple { talk, ..Simple::default() });
                }
            }
        }
    }

    pub(super) fn lines(&mut self, lines: &[&str]) {
        let mut at = 0;
        while at < lines.len() {
            at += self.piece(&lines[at..]).max(1);
        }
    }

    /// What is defined and never used.
    pub(super) fn rest(&mut self) {
        let mut commands = self.code.rest(&mut self.shell);
        commands.extend(self.shell.rest());
        for command in commands {
            self.take(command);
        }
    }
}
