//! The project's own chores: `cargo xtask ci`, `test`, `soak`, `arch`, `conform`, `fixtures`,
//! `bench`, `schema`, `docs`, `dist`, `qemu`, `vm`.

mod arch;
mod bench;
mod chore;
mod conform;
mod debian;
mod dist;
mod fixtures;
mod generate;
mod qemu;
mod quirk;
mod reference;
mod vm;
mod words;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The project's own chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Format, clippy, arch, deny, doc, QEMUs of the archive, instructions, test: what CI runs.
    Ci,
    /// Every test.
    Test {
        /// Handed to the test runner.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// Faults without a pause around `tapwright redirect`: every frame is accounted for, and nothing grows.
    Soak {
        /// For how long.
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
    /// The import table: which part may know which.
    Arch,
    /// Replays what real QEMU answered against the machine; with --record, asks a QEMU.
    Conform {
        /// Files of measured records; with --record, the one that is written.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Asks a QEMU what the records ask, and writes its answers.
        #[arg(long)]
        record: bool,
        /// The QEMU that is asked.
        #[arg(long, requires = "record", default_value = "qemu-system-x86_64")]
        qemu: PathBuf,
        /// Records whose questions are asked; by default those of the newest version in
        /// fixtures/qemu.
        #[arg(long, requires = "record", value_name = "FILE")]
        questions: Vec<PathBuf>,
    },
    /// Remakes the captures in fixtures/pcaps.
    Fixtures,
    /// What things cost, as ratios; fails only when the work goes wrong, never because it is slow.
    Bench(bench::Arguments),
    /// The command itself, as the benchmarks start it.
    #[command(hide = true, disable_help_flag = true)]
    Tapwright {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Writes docs/scenario.schema.json.
    Schema,
    /// Writes what is made from the code's tables: the schema, docs/language.md, docs/profiles.md.
    Docs,
    /// Makes what is released: completions, man pages, a tarball, a .deb, checksums; says what can't
    /// be made here, and why.
    Dist(dist::Arguments),
    /// Unpacks a QEMU as Debian ships it, without installing anything; the last line is the path of its
    /// launcher, for --qemu.
    Qemu(qemu::Arguments),
    /// Runs a command in a VM whose kernel is another of Debian's, with vhost-net; without KVM too, and
    /// without installing anything.
    Vm(vm::Arguments),
}

fn main() -> ExitCode {
    match Arguments::parse().chore {
        Chore::Ci => exit(chore::ci()),
        Chore::Test { filter } => exit(chore::test(&filter)),
        Chore::Soak { minutes } => exit(chore::soak(minutes)),
        Chore::Arch => exit(arch::run()),
        Chore::Conform { files, record: false, .. } => conform::run(&files),
        Chore::Conform { files, qemu, questions, .. } => {
            conform::ask::run(&qemu, &questions, &files)
        }
        Chore::Fixtures => exit(fixtures::run(chore::root())),
        Chore::Bench(arguments) => exit(bench::run(&arguments)),
        Chore::Tapwright { arguments } => {
            let words = [OsString::from("tapwright")].into_iter().chain(arguments);
            tapwright::cli::main(words).code().into()
        }
        Chore::Schema => exit(generate::write_schema()),
        Chore::Docs => exit(generate::write_all()),
        Chore::Dist(arguments) => exit(dist::run(&arguments)),
        Chore::Qemu(arguments) => exit(qemu::run(&arguments)),
        Chore::Vm(arguments) => vm::run(&arguments),
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
