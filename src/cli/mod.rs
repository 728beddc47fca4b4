//! The command line: one file for each command. Nothing imports it.

mod backends;
mod bundle;
mod check;
mod ci;
mod conflicts;
mod diff;
mod doctor;
mod enter;
mod error;
mod explain;
mod export;
mod fuzz;
mod graph;
mod import;
mod list;
mod merge;
mod minimise;
mod new;
mod number;
mod output;
mod pause;
mod reach;
mod redirect;
mod remark;
mod reporting;
pub mod review;
mod run;
mod schema;
mod slip;
mod suite;
mod trace;
mod watch;

use std::{ffi::OsString, io, panic::catch_unwind};

use clap::{ColorChoice, CommandFactory, Parser, Subcommand};

use crate::{
    diag::{Diagnose, Report},
    runner::Exit,
    sys::{exhaustion_remedy, refuse_beyond_file_size},
    terminal::visible,
};

use error::CliError;
pub use error::EXPLANATIONS;
pub use reach::ReachArgs;

/// Declarative tests for QEMU-style packet redirectors.
#[derive(Debug, Parser)]
#[command(name = "tapwright", version, about)]
struct Cli {
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and compare the results with their snapshots
    Run(run::RunArgs),
    /// Combine the records of several shards into one report
    Merge(merge::MergeArgs),
    /// Open a shell in the namespaces of a case that run --pause-on-fail holds
    Enter(enter::EnterArgs),
    /// Check scenarios without running them: the language, and what QEMU would refuse
    Check(check::CheckArgs),
    /// List cases
    List(list::ListArgs),
    /// Show which combinations of properties QEMU accepts, and which check refuses the others
    Conflicts(conflicts::ConflictsArgs),
    /// Show what this machine can run, and how to add what is missing
    Doctor(doctor::DoctorArgs),
    /// Write a commented scenario to start from
    New(new::NewArgs),
    /// Explain the code of a diagnostic
    Explain(explain::ExplainArgs),
    /// Review pending snapshots
    Review(review::ReviewArgs),
    /// Reduce a failing scenario to the smallest one that still fails in the same way
    Minimise(minimise::MinimiseArgs),
    /// Generate random scenarios, and compare how backends run them
    Fuzz(fuzz::FuzzArgs),
    /// Turn pasted QEMU command lines and monitor commands into a scenario
    Import(import::ImportArgs),
    /// Print a scenario as QEMU command lines and QMP commands, or pack it to share
    Export(export::ExportArgs),
    /// Draw the topology of a scenario
    Graph(graph::GraphArgs),
    /// Show the way of a frame through a case: what each filter and queue did with it
    Trace(trace::TraceArgs),
    /// Compare two captures packet by packet
    Diff(diff::DiffArgs),
    /// Take frames from an interface or a socket to another, for as long as it runs
    Redirect(redirect::RedirectArgs),
    /// Print the JSON Schema of the scenario language, for editors
    Schema(schema::SchemaArgs),
}

/// The command line as data: for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Why a command ended early: what is wrong, and the exit that goes with it.
#[derive(Debug)]
struct Stop {
    exit: Exit,
    reports: Vec<Report>,
}

impl Stop {
    fn invalid(reports: Vec<Report>) -> Self {
        Self { exit: Exit::Invalid, reports }
    }

    /// The system refused something that every run needs. Where the process may not have more of
    /// something, that is the machine's doing, and no fault of tapwright's.
    fn system(what: &'static str, source: io::Error) -> Self {
        let exhausted = exhaustion_remedy(&source).is_some();
        let exit = if exhausted { Exit::Unavailable } else { Exit::Internal };
        Self { exit, reports: vec![CliError::System { what, source }.report()] }
    }

    fn internal(error: &CliError) -> Self {
        Self { exit: Exit::Internal, reports: vec![error.report()] }
    }
}

/// Carries out a command line, its first word the program's name. To be called before any thread is
/// started: a command may have to move the process into namespaces of its own.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    output::fence_panics();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            output::usage(shown(&arguments, &error).as_ref().unwrap_or(&error));
            return if error.use_stderr() { Exit::Invalid } else { Exit::Success };
        }
    };
    output::color(cli.color);
    if let Err(error) = refuse_beyond_file_size() {
        output::reports(&[CliError::System { what: "SIGXFSZ", source: error }.report()]);
        return Exit::Internal;
    }
    // The hook has said what broke; the exit status must be ours, and not the runtime's 101.
    let Ok(done) = catch_unwind(|| carry_out(&cli.command)) else {
        return Exit::Internal;
    };
    match done {
        Ok(Exit::NothingSelected) => {
            output::reports(&[CliError::NothingSelected.report()]);
            Exit::NothingSelected
        }
        Ok(exit) => exit,
        Err(stop) => {
            output::reports(&stop.reports);
            stop.exit
        }
    }
}

fn carry_out(command: &Command) -> Result<Exit, Stop> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Enter(args) => enter::run(args),
        Command::Check(args) => check::run(args),
        Command::List(args) => list::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Conflicts(args) => conflicts::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Review(args) => output::review(args),
        Command::Minimise(args) => minimise::run(args),
        Command::Fuzz(args) => fuzz::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Graph(args) => graph::run(args),
        Command::New(args) => new::run(args),
        Command::Trace(args) => trace::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Redirect(args) => redirect::run(args),
        Command::Schema(args) => schema::run(args),
    }
}

/// The same error of the same command line as a terminal may show it, for its text quotes
/// arguments.
fn shown(arguments: &[OsString], error: &clap::Error) -> Option<clap::Error> {
    let arguments = arguments.iter().map(|argument| visible(argument.display()).to_string());
    let shown = Cli::try_parse_from(arguments).err()?;
    (shown.kind() == error.kind()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_command() {
        insta::assert_snapshot!(Cli::command().term_width(100).render_help());
    }
}
