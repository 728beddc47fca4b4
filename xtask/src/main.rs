//! The project's own tasks.

mod fixtures;

use std::{path::Path, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Remake the captures in fixtures/pcaps.
    Fixtures,
}

fn main() -> ExitCode {
    let Cli {
        task: Task::Fixtures,
    } = Cli::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    match fixtures::run(root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn say_error(error: &dyn std::error::Error) {
    use std::io::Write;
    drop(writeln!(std::io::stderr(), "error: {error}"));
}
