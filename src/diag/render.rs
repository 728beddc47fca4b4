//! Draws reports: with source and colours for a terminal, plain, or one line each. The command line
//! and the tests print reports with it.

use std::{error::Error, fmt, sync::Arc};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};

use super::{
    Report, Severity, Source,
    excerpt::{Excerpt, Lines},
};

use crate::terminal::visible;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Colours and lines, for a terminal.
    Fancy,
    /// ASCII without colours, for logs, `NO_COLOR` and snapshots.
    Plain,
    /// `file:line:col: CODE: message`, a line each, as editors read it.
    OneLine,
}

impl Style {
    /// The style for people: colours and lines only on a terminal, and not where `NO_COLOR` is set
    /// to anything but the empty text (<https://no-color.org>).
    #[must_use]
    pub fn for_people(is_terminal: bool, no_color: Option<&str>) -> Self {
        let colours = no_color.is_none_or(str::is_empty);
        if is_terminal && colours { Self::Fancy } else { Self::Plain }
    }
}

/// Columns of a drawn report. Fixed, so that a log doesn't depend on who looked.
const WIDTH: usize = 100;

/// Draws reports in the order given, each ended by a newline, with an empty line between two that
/// are more than a line. What would act on a terminal, in a message or in the text that it points
/// into, is drawn as an escape.
#[must_use]
pub fn render(reports: &[Report], style: Style) -> String {
    if style == Style::OneLine {
        return reports.iter().map(|report| format!("{report}\n")).collect();
    }
    let theme = match style {
        Style::Fancy => GraphicalTheme::unicode(),
        Style::Plain | Style::OneLine => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false);
    // Reports of one source mostly stand together.
    let mut known: Option<(&Arc<Source>, Lines<'_>)> = None;
    let mut drawings = Vec::with_capacity(reports.len());
    for report in reports {
        let mut text = String::new();
        let excerpt = report.source.as_ref().map(|source| {
            let lines = match known.take() {
                Some((of, lines)) if Arc::ptr_eq(of, source) => lines,
                _ => Lines::of(&source.text),
            };
            let name = visible(source.path.display()).to_string();
            let excerpt = Excerpt::of(name, &lines, &report.labels);
            known = Some((source, lines));
            excerpt
        });
        let drawn = Drawn::of(report, excerpt);
        // The handler fails only when its writer does; a `String` takes everything. A report that
        // could not be drawn is still said in one line.
        if handler.render_report(&mut text, &drawn).is_err() {
            text = report.to_string();
        }
        let lines: Vec<&str> = text.trim_matches('\n').lines().map(str::trim_end).collect();
        drawings.push(lines.join("\n") + "\n");
    }
    drawings.join("\n")
}

/// A report in miette's words, of nothing but what a terminal may show.
struct Drawn<'a> {
    report: &'a Report,
    message: String,
    help: Option<String>,
    excerpt: Option<Excerpt>,
}

impl<'a> Drawn<'a> {
    fn of(report: &'a Report, excerpt: Option<Excerpt>) -> Self {
        Self {
            report,
            message: visible(&report.message).to_string(),
            help: report.help.as_ref().map(|help| visible(help).to_string()),
            excerpt,
        }
    }
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.report, f)
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.report.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.report.severity {
            Severity::Advice => miette::Severity::Advice,
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_deref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let spans = self.excerpt.as_ref()?.spans.iter();
        let labels = self.report.labels.iter().zip(spans);
        let labels = labels.enumerate().map(|(number, (label, span))| {
            let (text, span) =
                (visible(&label.text).to_string(), (span.start, span.end - span.start));
            if number == 0 {
                LabeledSpan::new_primary_with_span(Some(text), span)
            } else {
                LabeledSpan::new_with_span(Some(text), span)
            }
        });
        Some(Box::new(labels))
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Arc};

    use super::*;
    use crate::diag::{Code, Source, Span};

    fn report() -> Report {
        let source = Arc::new(Source {
            path: PathBuf::from("suite/a.yaml"),
            text: "description: x\r\nnetdev: {}\r\n".to_owned(),
        });
        Report::error(Code("TW-S999"), "unknown key `netdev`")
            .at(&source, Span { start: 16, end: 22 }, "no such key")
            .with_help("did you mean `netdevs`?")
    }

    #[test]
    fn a_plain_report_has_place_code_message_label_and_help() {
        insta::assert_snapshot!(render(&[report()], Style::Plain));
    }

    #[test]
    fn a_fancy_report_has_colours() {
        let text = render(&[report()], Style::Fancy);
        assert!(text.contains('\u{1b}') && text.contains("suite/a.yaml:2:1"), "{text}");
    }

    #[test]
    fn colours_need_a_terminal_that_wants_them() {
        assert_eq!(Style::for_people(true, None), Style::Fancy);
        assert_eq!(Style::for_people(true, Some("")), Style::Fancy);
        assert_eq!(Style::for_people(true, Some("1")), Style::Plain);
        assert_eq!(Style::for_people(false, None), Style::Plain);
    }

    #[test]
    fn one_line_is_what_editors_read() {
        assert_eq!(
            render(&[report()], Style::OneLine),
            "suite/a.yaml:2:1: TW-S999: unknown key `netdev`\n"
        );
    }

    #[test]
    fn a_report_without_a_place_is_drawn() {
        let text = render(&[Report::error(Code("TW-S999"), "nothing here")], Style::Plain);
        assert!(text.contains("nothing here"), "{text}");
    }

    #[test]
    fn nothing_that_is_reported_acts_on_a_terminal() {
        const BAD: &str = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}";
        let source = Arc::new(Source {
            path: PathBuf::from(format!("{BAD}\n::error::x")),
            text: format!("a: {BAD}\r\n\tb: 1\n"),
        });
        let start = source.text.find("b: 1").unwrap();
        let report = Report::error(Code("TW-S999"), format!("{BAD}\n::error::x"))
            .at(&source, Span { start, end: start + 1 }, format!("{BAD}\nhere"))
            .at(&source, Span { start: 0, end: 1 }, "there")
            .with_help(format!("{BAD}\n::error::x"));
        let text = render(std::slice::from_ref(&report), Style::Plain);
        insta::assert_snapshot!(text);
        for style in [Style::Plain, Style::Fancy, Style::OneLine] {
            let text = render(std::slice::from_ref(&report), style);
            let mut fence = crate::terminal::Fence::new(Vec::new());
            std::io::Write::write_all(&mut fence, text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(fence.into_inner()).unwrap(), text);
        }
    }

    #[test]
    fn a_label_past_the_end_is_drawn_at_the_end() {
        let mut report = report();
        report.labels[0].span = Span { start: 400, end: 500 };
        assert!(render(&[report], Style::Plain).contains("unknown key"));
    }
}
