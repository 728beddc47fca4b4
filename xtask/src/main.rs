//! The project's own chores: `cargo xtask ci`, `test`, `arch`, `conform`, `fixtures`.

mod arch;
mod chore;
mod conform;
mod fixtures;

use std::{path::PathBuf, process::ExitCode};

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
    /// Replays what real QEMU answered against the machine.
    Conform {
        /// Files of measured records.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Remakes the captures in fixtures/pcaps.
    Fixtures,
}

fn main() -> ExitCode {
    match Arguments::parse().chore {
        Chore::Ci => exit(chore::ci()),
        Chore::Test { filter } => exit(chore::test(&filter)),
        Chore::Arch => exit(arch::run()),
        Chore::Conform { files } => conform::run(&files),
        Chore::Fixtures => exit(fixtures::run(chore::root())),
    }
}

fn exit<E: std::error::Error>(done: Result<(), E>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
