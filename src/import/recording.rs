//! What a terminal showed, of a recording of what was written to it: `script`, asciinema, `cat -v`. Control
//! sequences move the cursor and erase; a line that the terminal broke is whole again.

use serde_json::Value;
use vte::{Params, Parser, Perform};

use super::qmp::{self, Message};

/// Columns that a terminal may have.
const WIDTHS: std::ops::RangeInclusive<usize> = 20..=1000;
/// Fewest characters of a line that the shell goes on with in the terminal's next one.
const LEAST_WRAPPED: usize = 40;
/// Most columns that a sequence may move the cursor by.
const FARTHEST: usize = 4096;

/// The lines that a terminal showed; none where the text is no recording.
pub(super) fn played(text: &str) -> Option<String> {
    if let Some((written, width)) = cast(text) {
        return Some(shown(&written, width));
    }
    let caret = text.contains("^[[") && text.contains("^M");
    let caret = caret.then(|| {
        let text = text.replace("^[", "\x1b").replace("^H", "\x08").replace("^G", "\x07");
        text.replace("^M", "\r")
    });
    let text = caret.as_deref().unwrap_or(text);
    let returns = || {
        text.match_indices('\r')
            .any(|(at, _)| !text[at..].trim_start_matches('\r').starts_with('\n'))
    };
    (text.contains(['\x1b', '\x08']) || returns()).then(|| shown(text, columns(text)))
}

/// The text without what qmp-shell shows of a command that was typed: `-v` writes it once more, as an object.
pub(super) fn without_echo(text: &str) -> Option<String> {
    if !text.contains("(QEMU)") {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while at < lines.len() {
        out += lines[at];
        out.push('\n');
        let typed = lines[at].split_once("(QEMU)").map(|(_, typed)| typed.trim());
        at += 1;
        let Some(name) = typed.and_then(|typed| typed.split_whitespace().next()) else {
            continue;
        };
        if let Some((Message::Command(shown, _), taken)) = qmp::read(&lines[at..])
            && shown == name
        {
            at += taken;
        }
    }
    Some(out)
}

/// The columns that `script` notes in its first line.
fn columns(text: &str) -> Option<usize> {
    let (_, rest) = text.lines().next()?.split_once("COLUMNS=\"")?;
    rest.split_once('"')?.0.parse().ok()
}

/// What a recording of asciinema has, and its terminal's columns.
fn cast(text: &str) -> Option<(String, Option<usize>)> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let head: Value = serde_json::from_str(lines.next()?).ok()?;
    head.get("version")?.as_u64()?;
    let width = head.get("width").or_else(|| head.get("term")?.get("cols"))?.as_u64()?;
    let mut written = String::new();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let (_, kind, data): (f64, String, String) = serde_json::from_str(line).ok()?;
        if kind == "o" {
            written += &data;
        }
    }
    Some((written, usize::try_from(width).ok()))
}

fn shown(written: &str, width: Option<usize>) -> String {
    let mut screen = Screen {
        width: width.filter(|width| WIDTHS.contains(width)),
        out: String::with_capacity(written.len()),
        ..Screen::default()
    };
    let mut parser: Parser = Parser::new();
    parser.advance(&mut screen, written.as_bytes());
    if !screen.cells.is_empty() {
        screen.end();
    }
    screen.out
}

/// The line that the cursor is in, over as many rows as it takes, and those above it.
#[derive(Default)]
struct Screen {
    width: Option<usize>,
    out: String,
    cells: Vec<char>,
    /// The cell that is written next.
    at: usize,
    /// Where the row begins, if the width is not known.
    row: usize,
    /// The last column was written: the row goes on as long as nothing follows.
    is_full: bool,
    /// The cursor went back to the row's begin, behind a blank at its end.
    wraps: bool,
}

impl Screen {
    fn row(&self) -> usize {
        match self.width {
            Some(width) => (self.at - usize::from(self.is_full)) / width * width,
            None => self.row,
        }
    }

    fn put(&mut self, c: char) {
        if std::mem::take(&mut self.wraps) {
            self.cells.pop();
            self.row = self.cells.len();
            self.at = self.row;
        }
        if self.at >= self.cells.len() {
            self.cells.resize(self.at, ' ');
            self.cells.push(c);
        } else {
            self.cells[self.at] = c;
        }
        self.at += 1;
        self.is_full = self.width.is_some_and(|width| self.at.is_multiple_of(width));
    }

    fn end(&mut self) {
        let line: String = self.cells.drain(..).collect();
        self.out += line.trim_end();
        self.out.push('\n');
        (self.at, self.row, self.is_full, self.wraps) = (0, 0, false, false);
    }

    fn go(&mut self, to: usize) {
        self.at = to;
        self.is_full = false;
    }

    /// Erases from the cursor to the end of its row.
    fn erase_row(&mut self) {
        let end = self.width.map_or(usize::MAX, |width| self.row() + width);
        if end >= self.cells.len() {
            self.cells.truncate(self.at);
        } else {
            self.cells[self.at..end].fill(' ');
        }
    }
}

impl Perform for Screen {
    fn print(&mut self, c: char) {
        self.put(c);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end(),
            b'\r' => {
                let long = self.cells.len() - self.row > LEAST_WRAPPED;
                let at_end = self.at == self.cells.len() && self.cells.last() == Some(&' ');
                self.wraps = self.width.is_none() && long && at_end;
                self.go(self.row());
            }
            b'\x08' => self.go(self.at.saturating_sub(1).max(self.row())),
            b'\t' => {
                let end = (self.at / 8 + 1) * 8;
                while self.at < end {
                    self.put(' ');
                }
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, marks: &[u8], _ignore: bool, action: char) {
        if !marks.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|one| one.first()).copied().unwrap_or(0);
        let given = usize::from(first);
        let count = given.clamp(1, FARTHEST);
        self.wraps = false;
        match action {
            'K' if given == 0 => self.erase_row(),
            'K' if given == 2 => {
                self.go(self.row());
                self.erase_row();
            }
            'J' => self.cells.truncate(self.at),
            'C' => self.go(self.at + count),
            'D' => self.go(self.at.saturating_sub(count).max(self.row())),
            'G' => self.go(self.row() + count - 1),
            'A' => {
                let up = self.width.unwrap_or(0) * count;
                if up > 0 && up <= self.at {
                    self.go(self.at - up);
                }
            }
            'P' => {
                let end = self.cells.len().min(self.at + count);
                drop(self.cells.drain(self.at.min(end)..end));
            }
            '@' if self.at < self.cells.len() => {
                let blanks = std::iter::repeat_n(' ', count);
                drop(self.cells.splice(self.at..self.at, blanks));
            }
            'X' => {
                let end = self.cells.len().min(self.at + count);
                self.cells[self.at.min(end)..end].fill(' ');
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::backspace("lss\x08\x1b[K\r\n", "ls\n")]
    #[case::backspace_and_blank("x.p\x08 \x08\x08 \x08y\r\n", "xy\n")]
    #[case::a_letter_in_the_middle("info staus\x08\x08\x1b[Ktus\r\n", "info status\n")]
    #[case::inserted("ab\x08\x1b[@x\r\n", "axb\n")]
    #[case::deleted("abc\x08\x08\x1b[P\r\n", "ac\n")]
    #[case::colours_and_title("\x1b]0;t\x07\x1b[01;32ma\x1b[00m$ \x1b[?2004hb\r\n", "a$ b\n")]
    #[case::progress("10 %\r100 %\r\n", "100 %\n")]
    #[case::carets("^[[1ma^H^[[K^Mb^M\n", "b\n")]
    fn a_terminal_shows(#[case] written: &str, #[case] expected: &str) {
        assert_eq!(played(written).as_deref(), Some(expected));
    }

    /// A shell writes a blank and goes back to it where a line goes on in the next row.
    #[rstest]
    #[case(Some(50))]
    #[case(None)]
    fn a_broken_line_is_whole(#[case] columns: Option<usize>) {
        let (one, other) = ("a".repeat(50), "bcd");
        let head = columns.map_or(String::new(), |all| format!("[COLUMNS=\"{all}\"]\n"));
        let written = format!("{head}{one} \r{other}\r\n");
        assert_eq!(played(&written), Some(format!("{head}{one}{other}\n")));
    }

    #[test]
    fn a_cast_is_played() {
        let text = "{\"version\": 2, \"width\": 80, \"height\": 24}\n[0.1, \"o\", \"$ a\"]\n\
                    [0.2, \"i\", \"x\"]\n[0.3, \"o\", \"\\b\\u001b[Kb\\r\\n\"]\n";
        assert_eq!(played(text).as_deref(), Some("$ b\n"));
    }

    #[test]
    fn what_a_tool_shows_of_a_command_is_no_second_one() {
        let text = "(QEMU) object-del id=a\n{\n \"execute\": \"object-del\",\n \"arguments\": {}\n}\n{\"return\": {}}\n\
                    (QEMU) stop\n{\"execute\": \"cont\"}\n";
        let expected =
            "(QEMU) object-del id=a\n{\"return\": {}}\n(QEMU) stop\n{\"execute\": \"cont\"}\n";
        assert_eq!(without_echo(text).as_deref(), Some(expected));
        assert_eq!(without_echo("(qemu) stop\n"), None);
    }

    #[test]
    fn a_text_is_no_recording() {
        assert_eq!(played("a\r\nb\n"), None);
        assert_eq!(played("[1, 2]\n"), None);
    }

    proptest! {
        #[test]
        fn any_recording_is_played(text in "[ab \\r\\n\\x08\\x1b\\[0-9KCDGAP@XJ;?]{0,80}", width in 20usize..30) {
            shown(&text, Some(width));
            shown(&text, None);
        }
    }
}
