//! The part of a source that a report shows: the lines around its labels, long ones cut, and what
//! acts on a terminal as escapes. A file may be one line of a megabyte; nobody reads that, and to
//! draw it takes seconds. The drawing of reports reads it.

use std::{collections::BTreeSet, ops::Range};

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::{Label, Span};
use crate::terminal::is_control;

/// A line of more bytes is cut.
const LONG: usize = 400;
/// What is left of it on either side of a label.
const AROUND: usize = 60;
/// Most bytes under which a label is drawn in a line that is cut.
const LABELLED: usize = 100;
/// Lines before and after a label's, as the drawing has them.
const BESIDE: usize = 1;
/// A label over more lines is drawn under its first one, and labels that are further apart are
/// drawn each by itself.
const TALL: usize = 40;
/// What stands where a part of a line is left out.
const CUT: &str = " ... ";

/// Lines of a source, each at its place: those between that are not shown are empty.
pub(super) struct Excerpt {
    name: String,
    text: String,
    /// The number of the first line, from 0.
    first: usize,
    /// What of the source the text is made of, in order.
    pieces: Vec<Piece>,
    /// Where the labels are in the text.
    pub(super) spans: Vec<Span>,
}

/// A part of a line, as it stands there or as an escape.
struct Piece {
    /// Where it begins in the text.
    at: usize,
    /// How long it is there.
    length: usize,
    source: Range<usize>,
    /// Where its line begins in the source.
    line: usize,
}

impl Excerpt {
    pub(super) fn of(name: String, lines: &Lines<'_>, labels: &[Label]) -> Self {
        let spans: Vec<Span> = labels.iter().map(|label| lines.bounded(label.span)).collect();
        let shown = lines.shown(&spans);
        let first = shown.first().copied().unwrap_or(0);
        let mut excerpt =
            Self { name, text: String::new(), first, pieces: Vec::new(), spans: Vec::new() };
        for number in first..=shown.last().copied().unwrap_or(first) {
            if shown.contains(&number) {
                excerpt.line(lines, number, &spans);
            }
            if lines.end(number) < lines.text.len() {
                excerpt.text.push('\n');
            }
        }
        excerpt.spans = spans.into_iter().map(|span| excerpt.here(span)).collect();
        excerpt
    }

    fn line(&mut self, lines: &Lines<'_>, number: usize, spans: &[Span]) {
        let line = lines.starts[number]..lines.end(number);
        let mut end = line.start;
        for part in lines.parts(number, spans) {
            if part.start > end {
                self.text.push_str(CUT);
            }
            self.part(lines.text, part.clone(), line.start);
            end = part.end;
        }
        if end < line.end {
            self.text.push_str(CUT);
        }
    }

    /// Its tabs stay, and so does what belongs to the end of a line, of which nothing is drawn.
    fn part(&mut self, text: &str, part: Range<usize>, line: usize) {
        let source = part.start..part.start;
        self.pieces.push(Piece { at: self.text.len(), length: 0, source, line });
        let mut previous = '\0';
        for (offset, c) in text[part.clone()].char_indices() {
            let start = part.start + offset;
            let source = start..start + c.len_utf8();
            let at = self.text.len();
            let ends_line =
                c == '\r' && matches!(text.as_bytes().get(source.end), None | Some(b'\n'));
            match c {
                '\t' => self.text.push(c),
                _ if ends_line => self.text.push(' '),
                _ if is_control(c, previous) => self.text.extend(c.escape_default()),
                _ => self.text.push(c),
            }
            previous = c;
            let length = self.text.len() - at;
            match self.pieces.last_mut() {
                Some(last) if last.length == last.source.len() && length == source.len() => {
                    last.source.end = source.end;
                    last.length += length;
                }
                _ => self.pieces.push(Piece { at, length, source, line }),
            }
        }
    }

    /// Where a span of the source is in the text.
    fn here(&self, span: Span) -> Span {
        let position = |at: usize| {
            if let Some(piece) = self.pieces.iter().find(|one| one.source.contains(&at)) {
                return Some(piece.at + (at - piece.source.start).min(piece.length));
            }
            let before = self.pieces.iter().rev().find(|one| one.source.end == at)?;
            Some(before.at + before.length)
        };
        let start = position(span.start).unwrap_or(self.text.len());
        Span { start, end: position(span.end).unwrap_or(start).max(start) }
    }

    /// The column of a byte of the text in its line of the source, in bytes from 0.
    fn column(&self, at: usize) -> Option<usize> {
        let piece = self.pieces.iter().rev().find(|piece| piece.at <= at)?;
        Some(piece.source.start + (at - piece.at) - piece.line)
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let end = self.text.len().min(span.offset() + span.len());
        let covered = self.text.as_bytes().get(span.offset()..end).unwrap_or_default();
        if covered.iter().filter(|byte| **byte == b'\n').count() > TALL {
            return Err(MietteError::OutOfBounds);
        }
        let contents = self.text.read_span(span, before, after)?;
        // Only what begins at the span itself has a column.
        let column = match before {
            0 => self.column(span.offset()).unwrap_or(contents.column()),
            _ => contents.column(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            contents.data(),
            *contents.span(),
            contents.line() + self.first,
            column,
            contents.line_count() + self.first,
        )))
    }
}

/// A text and where its lines begin.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(behind).collect() }
    }

    /// The line that has a byte, from 0.
    fn number(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// The byte behind a line, without its newline.
    fn end(&self, number: usize) -> usize {
        self.starts.get(number + 1).map_or(self.text.len(), |next| next - 1)
    }

    fn is_long(&self, number: usize) -> bool {
        self.end(number) - self.starts[number] > LONG
    }

    /// A span within the text, and not larger than a person looks at.
    fn bounded(&self, span: Span) -> Span {
        let start = self.text.floor_char_boundary(span.start.min(self.text.len()));
        let end = self.text.floor_char_boundary(span.end.clamp(start, self.text.len()));
        let (first, last) = (self.number(start), self.number(end));
        let end = if last - first > TALL { end.min(self.end(first)) } else { end };
        let end = if self.is_long(first) && self.number(end) == first {
            end.min(self.text.floor_char_boundary(start + LABELLED))
        } else {
            end
        };
        Span { start, end }
    }

    /// The lines that are shown for labels at these places.
    fn shown(&self, spans: &[Span]) -> BTreeSet<usize> {
        let around = |span: &Span| {
            let last = self.number(span.end) + BESIDE;
            self.number(span.start).saturating_sub(BESIDE)..=last.min(self.starts.len() - 1)
        };
        let mut shown: BTreeSet<usize> = spans.iter().flat_map(around).collect();
        if let (Some(first), Some(last)) = (shown.first().copied(), shown.last().copied())
            && last - first <= TALL + 2 * BESIDE
        {
            shown.extend(first..=last);
        }
        shown
    }

    /// The parts of a line that are shown, in order: all of it, or what is around labels.
    fn parts(&self, number: usize, spans: &[Span]) -> Vec<Range<usize>> {
        let line = self.starts[number]..self.end(number);
        if !self.is_long(number) {
            return vec![line];
        }
        let around = |from: usize, to: usize| {
            let from = self.text.floor_char_boundary(from.saturating_sub(AROUND).max(line.start));
            let to = self.text.floor_char_boundary(to.saturating_add(AROUND).min(line.end));
            from..to
        };
        let mut wanted = Vec::new();
        for span in spans {
            let (first, last) = (self.number(span.start), self.number(span.end));
            match (first == number, last == number) {
                (true, true) => wanted.push(around(span.start, span.end)),
                (true, false) => wanted.push(around(span.start, span.start)),
                (false, true) => wanted.push(around(span.end, span.end)),
                (false, false) => {}
            }
        }
        if wanted.is_empty() {
            wanted.push(around(line.start, line.start + AROUND));
        }
        wanted.sort_by_key(|part| part.start);
        let mut parts: Vec<Range<usize>> = Vec::new();
        for part in wanted {
            match parts.last_mut() {
                Some(before) if part.start <= before.end => before.end = before.end.max(part.end),
                _ => parts.push(part),
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn excerpt(text: &str, spans: &[(usize, usize)]) -> Excerpt {
        let label = |(start, end): &(usize, usize)| Label {
            span: Span { start: *start, end: *end },
            text: String::new(),
        };
        let labels: Vec<Label> = spans.iter().map(label).collect();
        Excerpt::of("a.yaml".to_owned(), &Lines::of(text), &labels)
    }

    /// What a label is drawn under.
    fn labelled(excerpt: &Excerpt, number: usize) -> &str {
        let span = excerpt.spans[number];
        &excerpt.text[span.start..span.end]
    }

    #[rstest]
    #[case::in_the_middle("one\ntwo\nthree\nfour\nfive\n", (8, 13), "two\nthree\nfour\n", 1)]
    #[case::at_the_beginning("one\ntwo\nthree\n", (0, 3), "one\ntwo\n", 0)]
    #[case::at_the_end("one\ntwo\nthree", (8, 13), "two\nthree", 1)]
    #[case::behind_the_end("one\ntwo\nthree\n", (90, 99), "three\n", 2)]
    #[case::over_lines("one\ntwo\nthree\nfour\nfive\n", (4, 10), "one\ntwo\nthree\nfour\n", 0)]
    #[case::nothing("", (0, 4), "", 0)]
    #[case::of_control_characters("a\u{1b}b\rc\u{85}d", (0, 1), "a\\u{1b}b\\rc\\u{85}d", 0)]
    fn the_lines_around_a_label_are_shown(
        #[case] text: &str,
        #[case] span: (usize, usize),
        #[case] shown: &str,
        #[case] first: usize,
    ) {
        let excerpt = excerpt(text, &[span]);
        assert_eq!((excerpt.text.as_str(), excerpt.first), (shown, first));
    }

    #[test]
    fn a_long_line_is_cut_around_its_labels_and_keeps_its_columns() {
        let text =
            format!("x\n{}here{}there{}\ny\n", "-".repeat(900), "+".repeat(900), "*".repeat(900));
        let excerpt = excerpt(&text, &[(902, 906), (1806, 1811)]);
        assert!(excerpt.text.len() < 4 * AROUND + 3 * CUT.len() + 20, "{}", excerpt.text);
        assert_eq!((labelled(&excerpt, 0), labelled(&excerpt, 1)), ("here", "there"));
        let columns = excerpt.spans.iter().map(|span| excerpt.column(span.start));
        assert_eq!(columns.collect::<Vec<_>>(), [Some(900), Some(1804)]);
    }

    #[test]
    fn a_label_under_a_long_text_is_cut_too() {
        let excerpt = excerpt(&"\u{e9}".repeat(500_000), &[(99, 900_000)]);
        assert_eq!(labelled(&excerpt, 0).len(), LABELLED);
        assert!(excerpt.text.len() < 400);
    }

    #[test]
    fn a_label_over_many_lines_is_drawn_under_the_first() {
        let excerpt = excerpt(&"line\n".repeat(5000), &[(6, 20_000)]);
        assert_eq!(labelled(&excerpt, 0), "ine");
        assert_eq!(excerpt.text, "line\nline\nline\n");
    }

    #[test]
    fn labels_that_are_far_apart_are_drawn_each_by_itself() {
        let excerpt = excerpt(&"line\n".repeat(5000), &[(10, 14), (20_000, 20_004)]);
        assert_eq!((labelled(&excerpt, 0), labelled(&excerpt, 1)), ("line", "line"));
        let (one, other) = (excerpt.spans[0], excerpt.spans[1]);
        let both = SourceSpan::from((one.start, other.end - one.start));
        assert!(excerpt.read_span(&both, 1, 1).is_err());
        let there = SourceSpan::from((other.start, 4));
        let read = excerpt.read_span(&there, 1, 1).expect("one of them");
        assert_eq!((read.line(), read.data()), (3999, &b"line\nline\nline\n"[..]));
    }

    #[test]
    fn what_acts_is_an_escape_and_ends_of_lines_are_not() {
        let text = "a\r\n\tb\u{1b}[2J\rc\u{202e}\r";
        let excerpt = excerpt(text, &[(5, 6)]);
        assert_eq!(excerpt.text, "a \n\tb\\u{1b}[2J\\rc\\u{202e} ");
        assert_eq!(labelled(&excerpt, 0), "\\u{1b}");
    }

    proptest! {
        #[test]
        fn a_character_is_found_again(source in "[a\\t\r\u{1b}\u{202e}\u{9b}\u{e9}]{0,40}") {
            for (at, c) in source.char_indices() {
                let excerpt = excerpt(&source, &[(at, at + c.len_utf8())]);
                let there = labelled(&excerpt, 0);
                prop_assert!(
                    there == c.to_string() || there == c.escape_default().to_string() || c == '\r'
                );
            }
        }
    }
}
