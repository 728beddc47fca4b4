use std::{
    hash::{BuildHasher, RandomState},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anstream::AutoStream;
use clap::ColorChoice;
use console::{Key, Term};

use super::{Stop, review};
use crate::{
    diag::{self, Diagnose, Report, Style},
    report::{self, Events, Github, Human, Json, ReportKind, record::RunRecord},
    runner::{self, Exit},
    scenario::{self, Files},
};

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Human,
    /// An object on each line
    Json,
}

/// How a command tells a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RunFormat {
    /// For people
    Human,
    /// An object on each line
    Json,
    /// JUnit XML, at the end
    Junit,
    /// For people, and annotations of a GitHub workflow at the end
    Github,
}

impl RunFormat {
    /// The format of a list of cases.
    pub(super) const fn of_list(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Human | Self::Junit | Self::Github => Format::Human,
        }
    }
}

/// Annotations of a GitHub workflow, around a report for people.
pub(super) fn github(out: impl Write) -> Github<impl Write> {
    let root = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    Github::new(out, root, token())
}

/// A word that the text of a packet can't know beforehand.
fn token() -> String {
    let hash = RandomState::new().hash_one(std::process::id());
    format!("tapwright-{hash:016x}")
}

/// Draws reports where a run that goes on tells them.
pub(super) fn run_reports(format: RunFormat, reports: &[Report]) -> Result<(), Stop> {
    if format != RunFormat::Json {
        self::reports(reports);
        return Ok(());
    }
    let line = |one| format!("{}\n", report::diagnostic(one));
    print(&reports.iter().map(line).collect::<String>())
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
        RunFormat::Github => github(&mut out).run(record),
    };
    match told.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritable(error)),
        _ => Ok(()),
    }
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
pub(super) fn stdout() -> impl Write {
    AutoStream::auto(io::stdout())
}

/// Standard output for programs. JSON has no styles to look for, and looking costs more than all else.
pub(super) fn lines() -> impl Write {
    io::stdout()
}

/// Draws reports on standard error. Where that is closed nobody can be told.
pub(super) fn reports(reports: &[Report]) {
    let stream = io::stderr();
    let style = match AutoStream::choice(&stream) {
        anstream::ColorChoice::Never => Style::Plain,
        _ => Style::Fancy,
    };
    let text = diag::render(reports, style);
    drop(AutoStream::auto(stream).write_all(text.as_bytes()));
}

/// Writes to standard output. A reader that went away wants no more, and that is no failure.
///
/// # Errors
/// When it can't be written.
pub(super) fn print(text: &str) -> Result<(), Stop> {
    let mut out = stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
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
