//! A text of a form that nobody foresaw: its options are known wherever they stand, and make the command
//! lines that the form's own reader would have found.

use std::ops::Range;

use super::{
    audit::{self, Mention},
    flag,
    paste::is_without,
};

/// Signs with which lines begin that say nothing to a program.
const COMMENTS: &[&str] = &["#", "//", ";", "--", "::", "%", "<!--", "rem ", "REM ", "dnl "];

/// Most bytes of a line that is read as a sentence.
const MOST_PROSE: usize = 1000;

/// Names and values of the options of a text that are whole and no comments.
pub(super) fn options(text: &str) -> Vec<(String, String)> {
    spans(text).into_iter().filter_map(|(_, mention)| mention.option).collect()
}

/// The options of a text that are no comments.
fn spans(text: &str) -> Vec<(Range<usize>, Mention)> {
    let mut found = audit::spans(text);
    found.retain(|(span, _)| {
        let line = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let before = text[line..span.start].trim_start();
        let end = text[span.start..].find('\n').map_or(text.len(), |end| span.start + end);
        let is_comment = COMMENTS.iter().any(|sign| before.starts_with(sign));
        let whole = &text[line..end];
        !is_comment && !is_said(before) && (whole.len() > MOST_PROSE || !is_without(whole))
    });
    found
}

/// Whether a line is what QEMU says of an option, `qemu-system-x86_64: -netdev ...: no such file`.
fn is_said(before: &str) -> bool {
    let last = before.split_whitespace().next_back();
    last.and_then(|word| word.strip_suffix(':')).is_some_and(flag::is_program)
}

/// The text with a command line in place of each group of lines that have options or begin a program;
/// the others are left as they are. Where only one program begins, all options are its.
pub(super) fn rewrite(text: &str) -> String {
    let options = spans(text);
    let mut groups = vec![Group::default()];
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let lines = start..start + line.len();
        start = lines.end;
        let goes_through = |span: &Range<usize>| span.start < lines.start && span.end > lines.start;
        let is_inside = options.iter().any(|(span, _)| goes_through(span));
        let mut begins = options.iter().filter(|(span, _)| lines.contains(&span.start)).peekable();
        let program = flag::tokens(line).find(|word| is_program(word));
        if !is_inside && begins.peek().is_none() && program.is_none() {
            groups.push(Group { lines: line.to_owned(), ..Group::default() });
            groups.push(Group::default());
            continue;
        }
        // A program's name after options begins another command line.
        if program.is_some() && groups.last().is_some_and(|group| !group.words.is_empty()) {
            groups.push(Group::default());
        }
        let Some(group) = groups.last_mut() else { continue };
        group.program = program.map(str::to_owned).or(group.program.take());
        group.lines.push_str(line);
        group.words.extend(begins.map(|(_, mention)| mention.as_words()));
    }
    let begin = |group: &&mut Group| group.program.is_some();
    if groups.iter_mut().filter(begin).count() == 1 {
        let apart = groups.iter_mut().filter(|group| group.program.is_none());
        let apart: Vec<String> = apart.flat_map(Group::options).collect();
        if let Some(group) = groups.iter_mut().find(begin) {
            group.words.extend(apart);
        }
    }
    groups.iter().map(Group::text).collect()
}

/// The options of a text without anything that stands between them.
pub(super) fn alone(text: &str) -> String {
    let words: Vec<String> =
        spans(text).into_iter().map(|(_, mention)| mention.as_words()).collect();
    words.join(" ")
}

fn is_program(word: &str) -> bool {
    flag::is_program(word) && word.contains("qemu-")
}

/// Lines that make one command line.
#[derive(Default)]
struct Group {
    program: Option<String>,
    words: Vec<String>,
    /// As they are written.
    lines: String,
}

impl Group {
    /// Takes its options, and with them its lines.
    fn options(&mut self) -> Vec<String> {
        if !self.words.is_empty() {
            self.lines.clear();
        }
        std::mem::take(&mut self.words)
    }

    fn text(&self) -> String {
        if self.words.is_empty() {
            return self.lines.clone();
        }
        let words: Vec<&str> = self.program.iter().chain(&self.words).map(String::as_str).collect();
        words.join(" ") + "\n\n"
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::arguments_as_elements(
        "<exec executable=\"qemu-system-x86_64\">\n <arg value=\"-netdev\"/>\n <arg value=\"tap,id=a\"/>\n</exec>\n",
        "qemu-system-x86_64 -netdev 'tap,id=a'\n\n</exec>\n"
    )]
    #[case::text_of_elements(
        "<string>-netdev</string>\n<string>tap,id=a</string>\n",
        "-netdev 'tap,id=a'\n\n"
    )]
    #[case::audit(
        "argc=3 a0=\"qemu-system-arm\" a1=\"-netdev\" a2=\"tap,id=a\"\n",
        "qemu-system-arm -netdev 'tap,id=a'\n\n"
    )]
    #[case::callouts(
        "qemu-system-arm \\\n -netdev tap,id=a \\ <1>\n -nic user <2>\nso\n",
        "qemu-system-arm -netdev 'tap,id=a' -nic 'user'\n\nso\n"
    )]
    #[case::two_programs(
        "qemu-system-arm -nic user. qemu-system-arm\nqemu-system-x86_64 -nic tap",
        "qemu-system-arm -nic 'user'\n\nqemu-system-x86_64 -nic 'tap'\n\n"
    )]
    #[case::prose(
        "the program qemu-system-arm\nis there\n",
        "the program qemu-system-arm\nis there\n"
    )]
    #[case::a_comment("# -netdev tap,id=a\n", "# -netdev tap,id=a\n")]
    fn options_become_command_lines(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(rewrite(text), expected);
    }
}
