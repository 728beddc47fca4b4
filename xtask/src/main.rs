//! The project's own chores: `cargo xtask ci`, `test`, `arch`, `conform`, `fixtures`.

mod arch;
mod chore;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The project's own chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Format, clippy, arch, deny, doc, test: what CI runs.
    Ci,
    /// Every test.
    Test {
        /// Handed to the test runner.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// The import table: which part may know which.
    Arch,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Ci => chore::ci(),
        Chore::Test { filter } => chore::test(&filter),
        Chore::Arch => arch::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
