//! The words of a shell's line: quotes, variables, arrays, lists of commands. Not a shell: what it
//! would have to run or to know from elsewhere becomes a placeholder, `${NAME}` in the language of
//! scenarios.

use std::{collections::BTreeMap, iter::Peekable, str::Chars};

use super::limit::{MAX_DEPTH, MAX_WRITTEN, PasteError};

/// What the paste has set, and what it uses without setting.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    set: BTreeMap<String, Vec<String>>,
    /// Names of placeholders, each with how the paste has it, in the order of use.
    pub(super) unset: Vec<(String, String)>,
    /// The name of each placeholder, by how the paste has it.
    names: BTreeMap<String, String>,
    /// Bytes that variables have written so far.
    written: usize,
    /// How many texts are read that stand in one another.
    depth: usize,
    /// The limit that was passed; nothing is written any more.
    pub(super) excess: Option<PasteError>,
}

impl Variables {
    /// Whether this many more bytes may be written.
    fn afford(&mut self, bytes: usize) -> bool {
        self.written = self.written.saturating_add(bytes);
        if self.written > MAX_WRITTEN {
            let written = self.written;
            self.excess.get_or_insert(PasteError::Written { written });
        }
        self.excess.is_none()
    }
}

/// A command of a line, as words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    pub(super) words: Vec<String>,
    /// Where its output goes, as written.
    pub(super) redirections: Vec<String>,
}

/// Whether a text that grows ends inside quotes or an array: what was looked at once is not looked
/// at again.
#[derive(Debug)]
pub(super) struct Openness {
    /// Bytes that were looked at.
    seen: usize,
    quote: Option<char>,
    depth: usize,
    /// The next character means itself.
    escaped: bool,
    here: Here,
    /// As it was behind the last character that is no blank.
    before_blanks: Here,
}

#[derive(Clone, Copy, Debug)]
struct Here {
    previous: char,
    in_comment: bool,
}

impl Default for Openness {
    fn default() -> Self {
        let here = Here { previous: ' ', in_comment: false };
        Self { seen: 0, quote: None, depth: 0, escaped: false, here, before_blanks: here }
    }
}

impl Openness {
    /// The text must begin with what it was before.
    pub(super) fn of(&mut self, text: &str) -> bool {
        for c in text.get(self.seen..).unwrap_or_default().chars() {
            self.next(c);
            if !c.is_whitespace() {
                self.before_blanks = self.here;
            }
        }
        self.seen = text.len();
        self.quote.is_some() || self.depth > 0
    }

    /// The blanks at the end of a text that is not open were taken off.
    pub(super) fn trimmed(&mut self, text: &str) {
        if text.len() < self.seen {
            (self.seen, self.here) = (text.len(), self.before_blanks);
        }
    }

    fn next(&mut self, c: char) {
        if std::mem::take(&mut self.escaped) || self.here.in_comment && c != '\n' {
            return;
        }
        self.here.in_comment = false;
        match (self.quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => self.quote = None,
            (Some('\''), _) => {}
            (_, '\\') => self.escaped = true,
            (Some(_), _) => {}
            (None, '\'' | '"') => self.quote = Some(c),
            (None, '#') if self.here.previous.is_whitespace() => self.here.in_comment = true,
            (None, '(') if self.here.previous == '=' || self.depth > 0 => self.depth += 1,
            (None, ')') => self.depth = self.depth.saturating_sub(1),
            (None, _) => {}
        }
        self.here.previous = c;
    }
}

/// The commands of a line; assignments go to the variables.
pub(super) fn read(text: &str, variables: &mut Variables) -> Vec<Simple> {
    if variables.depth >= MAX_DEPTH {
        variables.excess.get_or_insert(PasteError::TooDeep);
        return Vec::new();
    }
    variables.depth += 1;
    let commands = commands(text, variables);
    variables.depth -= 1;
    commands
}

fn commands(text: &str, variables: &mut Variables) -> Vec<Simple> {
    let mut reader = Reader {
        characters: text.chars().peekable(),
        variables,
        commands: vec![Simple::default()],
        word: None,
        quoted: false,
    };
    reader.run();
    let mut commands = reader.commands;
    commands.retain(|command| !command.words.is_empty());
    commands
}

struct Reader<'a> {
    characters: Peekable<Chars<'a>>,
    variables: &'a mut Variables,
    commands: Vec<Simple>,
    word: Option<String>,
    /// Something of the word was quoted, so that it is a word even if it is empty.
    quoted: bool,
}

impl Reader<'_> {
    fn run(&mut self) {
        while let Some(c) = self.characters.next() {
            match c {
                '\'' => self.single(),
                '"' => self.double(),
                '\\' => match self.characters.next() {
                    Some('\n') | None => {}
                    Some(c) => self.literal(c),
                },
                '$' => self.dollar(false),
                '`' => self.substitution('`'),
                '#' if self.word.is_none() => {
                    while self.characters.next_if(|c| *c != '\n').is_some() {}
                }
                ';' | '|' | '&' | '\n' => {
                    self.end_word();
                    self.commands.push(Simple::default());
                }
                '>' | '<' => self.redirection(c),
                '(' if self.word.as_deref().is_some_and(|word| word.ends_with('=')) => self.array(),
                c if c.is_whitespace() => self.end_word(),
                c => self.literal(c),
            }
        }
        self.end_word();
    }

    fn word(&mut self) -> &mut String {
        self.word.get_or_insert_default()
    }

    /// A character that means itself. `${` is a reference in a scenario, unless it is escaped.
    fn literal(&mut self, c: char) {
        let word = self.word();
        if c == '{' && word.ends_with('$') && !word.ends_with("$$") {
            word.push('$');
        }
        word.push(c);
    }

    fn single(&mut self) {
        self.quoted = true;
        self.word();
        while let Some(c) = self.characters.next_if(|c| *c != '\'') {
            self.literal(c);
        }
        self.characters.next();
    }

    fn double(&mut self) {
        self.quoted = true;
        self.word();
        while let Some(c) = self.characters.next_if(|c| *c != '"') {
            match c {
                '\\' => match self.characters.peek() {
                    Some('$' | '`' | '"' | '\\') => {
                        if let Some(c) = self.characters.next() {
                            self.literal(c);
                        }
                    }
                    Some('\n') => {
                        self.characters.next();
                    }
                    _ => self.literal('\\'),
                },
                '$' => self.dollar(true),
                '`' => self.substitution('`'),
                c => self.literal(c),
            }
        }
        self.characters.next();
    }

    /// `$NAME`, `${NAME}`, `${NAME:-other}`, `${NAME[@]}`, `$(command)`.
    fn dollar(&mut self, quoted: bool) {
        match self.characters.peek() {
            Some('(') => {
                self.characters.next();
                self.substitution(')');
            }
            Some('{') => {
                self.characters.next();
                let mut inner = String::new();
                while let Some(c) = self.characters.next_if(|c| *c != '}') {
                    inner.push(c);
                }
                self.characters.next();
                self.braced(&inner, quoted);
            }
            Some(c) if c.is_ascii_alphanumeric() || "_@*#?!$".contains(*c) => {
                let mut name = String::new();
                while let Some(c) =
                    self.characters.next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
                {
                    name.push(c);
                }
                if name.is_empty() {
                    name.extend(self.characters.next());
                }
                let written = format!("${name}");
                self.variable(&name, &written, None, quoted);
            }
            _ => self.literal('$'),
        }
    }

    fn braced(&mut self, inner: &str, quoted: bool) {
        let written = format!("${{{inner}}}");
        let length =
            inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
        let (name, rest) = inner.split_at(length);
        let other = rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-'));
        let other = other.or_else(|| rest.strip_prefix(":=")).map(str::to_owned);
        self.variable(name, &written, other, quoted);
    }

    fn variable(&mut self, name: &str, written: &str, other: Option<String>, quoted: bool) {
        let length = |words: &Vec<String>| words.iter().map(|word| word.len() + 1).sum();
        let bytes = self.variables.set.get(name).map_or(0, length);
        if !self.variables.afford(bytes) {
            return;
        }
        match (self.variables.set.get(name).cloned(), other) {
            (Some(words), _) => self.insert(&words, quoted),
            (None, Some(other)) => {
                let mut words = read(&other, self.variables);
                let words = words.pop().unwrap_or_default().words;
                self.insert(&words, quoted);
            }
            (None, None) => self.placeholder(name, written),
        }
    }

    /// What a variable holds; outside of quotes it is split into words.
    fn insert(&mut self, words: &[String], quoted: bool) {
        let split: Vec<String> = match words {
            [one] if !quoted => one.split_whitespace().map(str::to_owned).collect(),
            words => words.to_vec(),
        };
        for (number, part) in split.iter().enumerate() {
            if number > 0 {
                self.end_word();
            }
            self.word().push_str(part);
        }
    }

    fn placeholder(&mut self, name: &str, written: &str) {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let name = match self.variables.names.get(written) {
            Some(name) => name.clone(),
            None => {
                let name = match plain {
                    true => name.to_owned(),
                    false => format!("shell{}", self.variables.unset.len() + 1),
                };
                self.variables.names.insert(written.to_owned(), name.clone());
                self.variables.unset.push((name.clone(), written.to_owned()));
                name
            }
        };
        let text = format!("${{{name}}}");
        self.word().push_str(&text);
    }

    /// A command whose output would stand here.
    fn substitution(&mut self, end: char) {
        let mut inner = String::new();
        let mut depth = 0usize;
        for c in self.characters.by_ref() {
            match c {
                c if c == end && depth == 0 => break,
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            inner.push(c);
        }
        self.placeholder("", &format!("$({inner})"));
    }

    fn redirection(&mut self, c: char) {
        let mut written = String::new();
        // `2>`: the number belongs to it.
        match self.word.take() {
            Some(word) if word.bytes().all(|byte| byte.is_ascii_digit()) => written += &word,
            Some(word) => {
                self.word = Some(word);
                self.end_word();
            }
            None => {}
        }
        written.push(c);
        while let Some(c) = self.characters.next_if(|c| matches!(c, '>' | '&' | '<')) {
            written.push(c);
        }
        while self.characters.next_if(|c| *c == ' ').is_some() {}
        while let Some(c) = self.characters.next_if(|c| !c.is_whitespace() && !";|&".contains(*c)) {
            written.push(c);
        }
        if let Some(command) = self.commands.last_mut() {
            command.redirections.push(written);
        }
    }

    /// `NAME=(...)` and `NAME+=(...)`.
    fn array(&mut self) {
        let name = self.word.take().unwrap_or_default();
        let mut inner = String::new();
        let mut quote = None;
        for c in self.characters.by_ref() {
            match (quote, c) {
                (None, ')') => break,
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
            inner.push(c);
        }
        let words = read(&inner, self.variables).into_iter().flat_map(|command| command.words);
        let name = name.trim_end_matches('=');
        match name.strip_suffix('+') {
            Some(name) => {
                let list = self.variables.set.entry(name.to_owned()).or_default();
                list.extend(words);
            }
            None => {
                let words = words.collect();
                self.variables.set.insert(name.to_owned(), words);
            }
        }
    }

    fn end_word(&mut self) {
        let quoted = std::mem::take(&mut self.quoted);
        let Some(word) = self.word.take().filter(|word| quoted || !word.is_empty()) else {
            return;
        };
        let Some(command) = self.commands.last_mut() else {
            return;
        };
        let first = command.words.is_empty();
        let keyword = |word: &str| matches!(word, "export" | "local" | "readonly" | "declare");
        let leads = first || command.words.iter().all(|word| keyword(word));
        match assignment(&word).filter(|_| leads) {
            Some((name, true, value)) => {
                let old = self.variables.set.get(name).cloned().unwrap_or_default();
                let text = format!("{}{value}", old.join(" "));
                if self.variables.afford(text.len()) {
                    self.variables.set.insert(name.to_owned(), vec![text]);
                }
            }
            Some((name, false, value)) => {
                let value = vec![value.to_owned()];
                self.variables.set.insert(name.to_owned(), value);
            }
            None => command.words.push(word),
        }
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
    #[case("q ''", "[q][]")]
    fn lines_are_words(#[case] line: &str, #[case] expected: &str) {
        let shown: Vec<String> = read(line, &mut Variables::default())
            .iter()
            .map(|command| command.words.iter().map(|word| format!("[{word}]")).collect())
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[rstest]
    #[case("a='x", true)]
    #[case("a=(x", true)]
    #[case("a=(x # y)\n)", false)]
    #[case("it's \"so'\"", true)]
    #[case("a=(x) b", false)]
    fn what_goes_on_is_seen(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(Openness::default().of(text), expected);
        let mut grown = Openness::default();
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        let last = ends.map(|end| grown.of(&text[..end])).last();
        assert_eq!(last, Some(expected), "one character after the other");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,60}") {
            read(&text, &mut Variables::default());
        }
    }
}
