//! The writer in front of standard output and standard error.

use std::{
    io::{self, Write},
    mem, str,
};

use super::is_control;

/// Passes text, lines, tabs and colours, and writes everything else that acts on a terminal as an
/// escape: the notation is [`visible`](super::visible)'s, and bytes that are no text are `\xff`.
///
/// - Of escape sequences it passes `SGR` (ECMA-48, 8.3.117) for colours of the text and the weight of
///   its letters, which is what styles of this program are made of. Nothing that hides text or paints
///   behind it.
/// - A line that begins with `::` and a word is a command for the runner of a GitHub workflow,
///   whatever blanks are before it, and so is `##[` anywhere in a line, as `##vso[` and `##teamcity[`
///   are for others. They are broken by an escape. The program's own commands go through
///   [`Fence::commands`].
///
/// It is the last of the fences: values are made fit where they enter a line.
#[derive(Debug)]
pub struct Fence<W: Write> {
    out: W,
    line: Line,
    previous: char,
    /// The beginning of a character or of an escape sequence, whose rest has not been written yet.
    held: Vec<u8>,
}

/// How far a line is on its way to a command for a CI system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing but blanks.
    #[default]
    Start,
    /// After them a colon.
    Colon,
    /// Two.
    Colons,
    /// Anything else.
    Inside,
    /// A `#`.
    Hash,
    /// `##`, and perhaps a word.
    Hashes,
}

impl Line {
    /// Takes the next character; whether it would make a command of the line.
    pub(super) fn then(&mut self, c: char) -> bool {
        let is_command = match *self {
            Self::Colons => c.is_ascii_alphabetic(),
            Self::Hashes => c == '[',
            _ => false,
        };
        *self = match (*self, c) {
            (_, '\n') => Self::Start,
            (Self::Start, c) if c.is_whitespace() => Self::Start,
            (Self::Start, ':') => Self::Colon,
            (Self::Colon, ':') => Self::Colons,
            (Self::Hash | Self::Hashes, '#') => Self::Hashes,
            (Self::Hashes, c) if c.is_ascii_alphabetic() => Self::Hashes,
            (_, '#') => Self::Hash,
            _ => Self::Inside,
        };
        is_command
    }
}

/// What an escape character begins.
enum Escape {
    /// A colour or a weight, of this many bytes.
    Style(usize),
    /// What would be one, if it went on so.
    Open,
    /// Anything else.
    Other,
}

/// Most bytes of a style that are waited for.
const LONGEST_STYLE: usize = 32;

impl<W: Write> Fence<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out, line: Line::Start, previous: '\0', held: Vec::new() }
    }

    /// Writes workflow commands of this program: lines that begin with `::`. Their parts are
    /// escaped as the runner wants it; what acts on a terminal is fenced here too.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn commands(&mut self, text: &str) -> io::Result<()> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        // The colons that begin a line are the program's.
        while !rest.is_empty() {
            let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
            let (line, others) = rest.split_at(end);
            rest = others;
            self.line = Line::Inside;
            let taken = self.put(line, &mut out);
            self.put_escaped(&line[taken..], &mut out);
        }
        self.out.write_all(&out)
    }

    #[must_use]
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Puts a text; how many bytes of it were taken. The others are the beginning of a style.
    fn put(&mut self, text: &str, out: &mut Vec<u8>) -> usize {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if self.line == Line::Inside {
                let end = rest.bytes().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
                if end > 0 {
                    let (plain, others) = rest.split_at(end);
                    self.previous = plain.chars().next_back().unwrap_or(self.previous);
                    out.extend_from_slice(plain.as_bytes());
                    rest = others;
                    continue;
                }
            }
            if c == '\u{1b}' {
                match escape(rest.as_bytes()) {
                    Escape::Style(length) => {
                        out.extend_from_slice(&rest.as_bytes()[..length]);
                        rest = &rest[length..];
                        continue;
                    }
                    Escape::Open => break,
                    Escape::Other => {}
                }
            }
            self.put_char(c, out);
            rest = &rest[c.len_utf8()..];
        }
        text.len() - rest.len()
    }

    fn put_char(&mut self, c: char, out: &mut Vec<u8>) {
        let previous = mem::replace(&mut self.previous, c);
        let is_command = self.line.then(c);
        if is_command {
            out.extend(c.escape_unicode().map(|escaped| escaped as u8));
        } else if is_control(c, previous) && !matches!(c, '\n' | '\t') {
            out.extend(c.escape_default().map(|escaped| escaped as u8));
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// Puts what does not go on, as if it began nothing.
    fn put_escaped(&mut self, text: &str, out: &mut Vec<u8>) {
        text.chars().for_each(|c| self.put_char(c, out));
    }

    fn put_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            self.line.then('\\');
            self.previous = '\0';
            out.extend(format!("\\x{byte:02x}").into_bytes());
        }
    }

    /// Puts bytes; those at their end that may go on are held.
    fn put_all(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        loop {
            let (text, wrong) = match str::from_utf8(bytes) {
                Ok(text) => (text, None),
                Err(error) => {
                    let (valid, rest) = bytes.split_at(error.valid_up_to());
                    let text = str::from_utf8(valid).unwrap_or_default();
                    (text, Some((rest, error.error_len())))
                }
            };
            let taken = self.put(text, out);
            let open = &text[taken..];
            match wrong {
                None => return self.held.extend_from_slice(open.as_bytes()),
                Some((rest, None)) => {
                    self.put_escaped(open, out);
                    return self.held.extend_from_slice(rest);
                }
                Some((rest, Some(length))) => {
                    self.put_escaped(open, out);
                    self.put_bytes(&rest[..length], out);
                    bytes = &rest[length..];
                }
            }
        }
    }
}

impl<W: Write> Write for Fence<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = Vec::with_capacity(bytes.len() + 16);
        if self.held.is_empty() {
            self.put_all(bytes, &mut out);
        } else {
            let whole = [&mem::take(&mut self.held), bytes].concat();
            self.put_all(&whole, &mut out);
        }
        self.out.write_all(&out)?;
        Ok(bytes.len())
    }

    /// What was held does not go on.
    fn flush(&mut self) -> io::Result<()> {
        let held = mem::take(&mut self.held);
        if !held.is_empty() {
            let mut out = Vec::new();
            match str::from_utf8(&held) {
                Ok(text) => self.put_escaped(text, &mut out),
                Err(_) => self.put_bytes(&held, &mut out),
            }
            self.out.write_all(&out)?;
        }
        self.out.flush()
    }
}

/// A line of text as a fence passes it.
pub(super) fn fenced(text: &str) -> String {
    let (mut fence, mut out) = (Fence::new(io::sink()), Vec::with_capacity(text.len()));
    let taken = fence.put(text, &mut out);
    fence.put_escaped(&text[taken..], &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a byte inside of a line is itself, whatever stands around it.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t') && byte != b'#'
}

/// What the escape character at the beginning of `bytes` begins.
fn escape(bytes: &[u8]) -> Escape {
    let is_parameter = |byte: &&u8| matches!(byte, b'0'..=b'9' | b';');
    match bytes {
        [0x1b] => Escape::Open,
        [0x1b, b'[', rest @ ..] => {
            let length = rest.iter().take_while(is_parameter).count();
            match rest.get(length) {
                None if length < LONGEST_STYLE => Escape::Open,
                Some(b'm') if is_style(&rest[..length]) => Escape::Style(length + 3),
                _ => Escape::Other,
            }
        }
        _ => Escape::Other,
    }
}

/// Whether parameters of `SGR` colour letters or change their weight, and do nothing else.
fn is_style(parameters: &[u8]) -> bool {
    let mut numbers = parameters.split(|byte| *byte == b';');
    let mut next = || {
        let number = numbers.next()?;
        // Left out, it is 0.
        if number.is_empty() {
            return Some(Ok(0));
        }
        Some(str::from_utf8(number).unwrap_or_default().parse::<u8>())
    };
    while let Some(number) = next() {
        let is_known = match number {
            Ok(0..=4 | 22..=24 | 30..=37 | 39 | 90..=97) => true,
            // A colour of a table, or by its parts.
            Ok(38) => match next() {
                Some(Ok(5)) => matches!(next(), Some(Ok(_))),
                Some(Ok(2)) => (0..3).all(|_| matches!(next(), Some(Ok(_)))),
                _ => false,
            },
            _ => false,
        };
        if !is_known {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use anstyle::{AnsiColor, RgbColor, Style};
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// What comes out, written in these pieces.
    fn fenced(pieces: &[&[u8]]) -> String {
        let mut fence = Fence::new(Vec::new());
        for piece in pieces {
            fence.write_all(piece).unwrap();
        }
        fence.flush().unwrap();
        String::from_utf8(fence.into_inner()).unwrap()
    }

    #[rstest]
    #[case("a\tb\nÄ 日\n", "a\tb\nÄ 日\n")]
    #[case("\u{1b}]0;PWNED\u{7}", r"\u{1b}]0;PWNED\u{7}")]
    #[case("\u{1b}[2J\u{1b}[H\u{1b}c\r", r"\u{1b}[2J\u{1b}[H\u{1b}c\r")]
    #[case("\u{9b}31m\u{90}q\u{7f}", r"\u{9b}31m\u{90}q\u{7f}")]
    #[case("a\u{202e}b\u{2028}\u{feff}", r"a\u{202e}b\u{2028}\u{feff}")]
    #[case::hides("\u{1b}[8mx\u{1b}[7m\u{1b}[41m", r"\u{1b}[8mx\u{1b}[7m\u{1b}[41m")]
    #[case::not_a_style(
        "\u{1b}[38;2;1m\u{1b}[256m\u{1b}[?1m",
        r"\u{1b}[38;2;1m\u{1b}[256m\u{1b}[?1m"
    )]
    #[case("\u{1b}", r"\u{1b}")]
    #[case("\u{1b}[31", r"\u{1b}[31")]
    fn what_acts_is_an_escape(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(fenced(&[text.as_bytes()]), shown);
    }

    #[test]
    fn styles_of_the_program_are_passed() {
        let styles = [
            AnsiColor::Green.on_default().bold(),
            AnsiColor::BrightRed.on_default().dimmed(),
            Style::new().underline().italic(),
            Style::new().fg_color(Some(RgbColor(1, 20, 255).into())),
        ];
        for style in styles {
            let text = format!("{style}a{style:#}\n");
            assert_eq!(fenced(&[text.as_bytes()]), text);
        }
    }

    #[rstest]
    #[case("::error::x\n", "::\\u{65}rror::x\n")]
    #[case("a\n  \t::stop-commands::x", "a\n  \t::\\u{73}top-commands::x")]
    #[case("\u{a0}\u{3000}::error::x", "\u{a0}\u{3000}::\\u{65}rror::x")]
    #[case("\u{1b}[31m::error::x", "\u{1b}[31m::\\u{65}rror::x")]
    #[case("a ##[add-mask]b ##vso[c", r"a ##\u{5b}add-mask]b ##vso\u{5b}c")]
    #[case("###[x", r"###\u{5b}x")]
    #[case::not_a_command("::1 a::b\n# [x] ## [y] #[z]\n", "::1 a::b\n# [x] ## [y] #[z]\n")]
    fn a_line_is_no_command_of_a_ci_system(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(fenced(&[text.as_bytes()]), shown);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(fenced(&bytes), shown);
    }

    #[test]
    fn the_programs_own_commands_are_passed() {
        let mut fence = Fence::new(Vec::new());
        fence.commands("::error title=a\u{1b}::b ##[c]\n::T::\n").unwrap();
        fence.write_all(b"::T::\n").unwrap();
        let text = String::from_utf8(fence.into_inner()).unwrap();
        assert_eq!(text, "::error title=a\\u{1b}::b ##\\u{5b}c]\n::T::\n::\\u{54}::\n");
    }

    #[rstest]
    #[case(b"a\x9b31m\xffb", r"a\x9b31m\xffb")]
    #[case(b"\xe2\x80", r"\xe2\x80")]
    #[case(b"\x1b[\xc2", r"\u{1b}[\xc2")]
    fn bytes_that_are_no_text_are_numbers(#[case] bytes: &[u8], #[case] shown: &str) {
        assert_eq!(fenced(&[bytes]), shown);
        assert_eq!(fenced(&bytes.chunks(1).collect::<Vec<_>>()), shown);
    }

    /// Texts of what matters here.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<String>(),
            proptest::sample::select(vec![
                "\u{1b}[31m",
                "\u{1b}[0m",
                "\u{1b}[",
                "\u{1b}",
                "::",
                "error",
                "##[",
                "\n",
                "\r",
                "\u{9b}",
                "\u{202e}",
                " ",
            ])
            .prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_passes_but_text_lines_and_styles(bytes in any::<Vec<u8>>(), text in texts()) {
            for bytes in [&bytes[..], text.as_bytes()] {
                let shown = fenced(&[bytes]);
                let mut rest = shown.as_str();
                let mut previous = '\0';
                while let Some(c) = rest.chars().next() {
                    if let Escape::Style(length) = escape(rest.as_bytes()) {
                        rest = &rest[length..];
                        continue;
                    }
                    let before = mem::replace(&mut previous, c);
                    prop_assert!(matches!(c, '\n' | '\t') || !is_control(c, before), "{shown:?}");
                    rest = &rest[c.len_utf8()..];
                }
                for line in shown.lines() {
                    let line = anstream::adapter::strip_str(line).to_string();
                    let word = line.trim_start().strip_prefix("::");
                    let is_command = word.is_some_and(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
                    prop_assert!(!is_command && !line.contains("##["), "{line:?}");
                }
                // What has passed once is not changed again.
                prop_assert_eq!(fenced(&[shown.as_bytes()]), shown);
            }
        }

        #[test]
        fn pieces_are_as_the_whole(text in texts(), size in 1..5usize) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(fenced(&pieces), fenced(&[text.as_bytes()]));
        }
    }
}
