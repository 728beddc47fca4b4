//! Standard output and standard error. Every command writes to them here, through a
//! [`Fence`]: what comes from outside never acts on a terminal or in a log.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt,
    hash::{BuildHasher, RandomState},
    io::{self, IsTerminal, Write},
    panic,
    path::{Path, PathBuf},
    thread,
};

use anstream::AutoStream;
use clap::ColorChoice;
use console::{Key, Term};
use serde_json::Value;

use super::{Stop, review};
use crate::{
    diag::{self, Diagnose, Report, Style},
    report::{self, Events, Github, Human, Json, ReportKind, record::RunRecord},
    runner::{self, Exit},
    scenario::{self, Files},
    terminal::{self, Fence, visible, visible_lines},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Human,
    /// One JSON object per line
    Json,
}

/// The format in which a command reports a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RunFormat {
    /// For people
    Human,
    /// One JSON object per line
    Json,
    /// JUnit XML, at the end
    Junit,
    /// For people, with annotations for a GitHub workflow at the end
    Github,
    /// The Test Anything Protocol, version 14, at the end: for Meson and prove
    Tap,
    /// The kernel's TAP, version 1, at the end: for kselftest
    Ktap,
}

impl RunFormat {
    /// The format of a list of cases.
    pub(super) const fn of_list(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Human | Self::Junit | Self::Github | Self::Tap | Self::Ktap => Format::Human,
        }
    }
}

/// Annotations of a GitHub workflow, around a report for people.
pub(super) fn github() -> Github<impl Write> {
    let root = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    Github::new(stdout(), root, token())
}

/// Prints commands for the runner of a GitHub workflow: see [`report::annotations`].
///
/// # Errors
/// When it can't be written.
pub(super) fn commands(text: &str) -> Result<(), Stop> {
    let mut out = stdout();
    let written = out.commands(text).and_then(|()| out.flush());
    ended(written)
}

/// A word that the text of a packet can't know beforehand.
fn token() -> String {
    let hash = RandomState::new().hash_one(std::process::id());
    format!("tapwright-{hash:016x}")
}

/// Draws reports beside the events of a run that continues.
pub(super) fn run_reports(format: RunFormat, reports: &[Report]) -> Result<(), Stop> {
    if format != RunFormat::Json {
        self::reports(reports);
        return Ok(());
    }
    print(&reports.iter().map(|one| json_line(&report::diagnostic(one))).collect::<String>())
}

/// An object as a line of JSON that a terminal may show.
pub(super) fn json_line(value: &Value) -> String {
    format!("{}\n", terminal::json(&value.to_string()))
}

/// Tells a run that is over.
///
/// # Errors
/// When it can't be written.
pub(super) fn whole(format: RunFormat, record: &RunRecord) -> Result<(), Stop> {
    let mut out = stdout();
    let told = match format {
        RunFormat::Human => Human::new(&mut out).run(record),
        RunFormat::Json => Json::new(lines(), Events::OfFailures).run(record),
        RunFormat::Junit => ReportKind::Junit.write(record, &mut out),
        RunFormat::Tap => ReportKind::Tap.write(record, &mut out),
        RunFormat::Ktap => ReportKind::Ktap.write(record, &mut out),
        RunFormat::Github => github().run(record),
    };
    ended(told.and_then(|()| out.flush()))
}

/// Settles when colours are used, for the whole process.
pub(super) fn color(choice: ColorChoice) {
    let choice = match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Standard output, without styles where they are not wanted.
pub(super) fn stdout() -> Fence<impl Write> {
    Fence::new(AutoStream::auto(io::stdout()))
}

/// Standard output for programs. JSON has no styles to look for, and looking costs more than
/// everything else.
pub(super) fn lines() -> Fence<impl Write> {
    Fence::new(io::stdout())
}

/// Standard error, without styles where they are not wanted.
fn stderr() -> Fence<impl Write> {
    Fence::new(AutoStream::auto(io::stderr()))
}

/// Draws reports on standard error. If that is closed, nobody can be informed.
pub(super) fn reports(reports: &[Report]) {
    if reports.is_empty() {
        return;
    }
    let style = match AutoStream::choice(&io::stderr()) {
        anstream::ColorChoice::Never => Style::Plain,
        _ => Style::Fancy,
    };
    let text = diag::render(reports, style);
    tell(&text);
}

/// Says something beside what a command prints, after the program's name. Values of it are
/// [`visible`].
pub(super) fn note(text: fmt::Arguments<'_>) {
    tell(&format!("tapwright: {text}\n"));
}

/// Writes to standard error. If that is closed, nobody can be informed.
fn tell(text: &str) {
    let mut out = stderr();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Says what a panic says through the fence. It names the thread, which is called as its case, and
/// may quote what the case is about.
pub(super) fn fence_panics() {
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let trace = Backtrace::capture();
        let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
        tell(&panicked(
            thread.name(),
            panic.location().map(ToString::to_string),
            panic.payload_as_str(),
            trace,
        ));
    }));
}

/// The text of a panic.
fn panicked(
    thread: Option<&str>,
    place: Option<String>,
    text: Option<&str>,
    trace: Option<String>,
) -> String {
    let thread = visible(thread.unwrap_or("<unnamed>"));
    let place = place.map_or_else(String::new, |place| format!(" at {place}"));
    let text = visible_lines(text.unwrap_or("a panic without a text"));
    let trace = trace.map_or_else(
        || "note: run with `RUST_BACKTRACE=1` to see a backtrace".to_owned(),
        |trace| visible_lines(&trace),
    );
    format!("\nthread '{thread}' panicked{place}:\n{text}\n{trace}\n")
}

/// Prints what is wrong with the command line, or its help.
pub(super) fn usage(error: &clap::Error) {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        tell(&text);
    } else {
        let mut out = stdout();
        // If standard output is closed, nobody can be informed.
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }
}

/// Writes to standard output. A reader that went away wants no more, and that is no failure.
///
/// # Errors
/// When it can't be written.
pub(super) fn print(text: &str) -> Result<(), Stop> {
    let mut out = stdout();
    ended(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes a file to standard output: byte for byte, unless it is shown there, on a terminal or
/// because colours are wanted.
///
/// # Errors
/// When it can't be written.
pub(super) fn document(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout();
    if out.is_terminal() || AutoStream::choice(&out) != anstream::ColorChoice::Never {
        return print(&visible_lines(text));
    }
    ended(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What became of writing to standard output. A reader that went away wants no more.
fn ended(written: io::Result<()>) -> Result<(), Stop> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritable(error)),
        _ => Ok(()),
    }
}

/// What to say when standard output can't be written.
pub(super) fn unwritable(source: io::Error) -> Stop {
    let error = super::CliError::System { what: "writing to standard output", source };
    Stop { exit: Exit::Internal, reports: vec![error.report()] }
}

/// Reviews at the terminal, where there is one.
pub(super) fn review(args: &review::ReviewArgs) -> Result<Exit, Stop> {
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut keys = Keyboard(Term::stdout());
    let desk = review::Desk {
        out: &mut stdout(),
        keys: if interactive { Some(&mut keys) } else { None },
        sections: &|path| sections(path, args.reach.files()),
    };
    match review::run(args, desk) {
        Ok(()) => Ok(Exit::Success),
        Err(error) => Err(Stop::invalid(vec![error.report()])),
    }
}

/// The terminal's keys, each as it is pressed. Ctrl-C ends the process, as everywhere.
struct Keyboard(Term);

impl review::Keys for Keyboard {
    fn next_key(&mut self) -> io::Result<Option<char>> {
        /// What Ctrl-D is while a terminal hands on every key.
        const END_OF_TRANSMISSION: char = '\u{4}';
        match self.0.read_key() {
            Ok(Key::Char(END_OF_TRANSMISSION)) => Ok(None),
            Ok(Key::Char(key)) => Ok(Some(key)),
            Ok(Key::ArrowRight) => Ok(Some('n')),
            Ok(Key::ArrowLeft) => Ok(Some('p')),
            Ok(_) => Ok(Some('?')),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The sections of a scenario's snapshot file; none where the scenario can't be read.
fn sections(path: &Path, files: &dyn Files) -> Option<Vec<String>> {
    let root = path.parent().unwrap_or(Path::new(""));
    let scenario = scenario::load_found(path, root, files).ok()?;
    Some(runner::sections(&scenario))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_its_thread_and_text_without_acting() {
        let text = panicked(
            Some("a\u{1b}]0;x\u{7}\nb"),
            Some("src/x.rs:1:2".to_owned()),
            Some("left: \u{9b}2J\nright: 1"),
            None,
        );
        let expected = "\nthread 'a\\u{1b}]0;x\\u{7}\\nb' panicked at src/x.rs:1:2:\n\
                        left: \\u{9b}2J\nright: 1\n\
                        note: run with `RUST_BACKTRACE=1` to see a backtrace\n";
        assert_eq!(text, expected);
    }
}
