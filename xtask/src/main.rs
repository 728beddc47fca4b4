//! Tasks around tapwright that are no part of it.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

mod conform;

#[derive(Parser)]
enum Task {
    /// Replays what real QEMU answered against the machine.
    Conform {
        /// Files of measured records.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    match Task::parse() {
        Task::Conform { files } => conform::run(&files),
    }
}
