//! The chores themselves: each runs cargo or one of this crate's parts, and says what failed. `main` calls
//! them by name.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A chore that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChoreError {
    #[error("`{command}` failed: {status}")]
    Failed { command: String, status: std::process::ExitStatus },
    #[error("`{command}` could not be started: {source}")]
    NotStarted { command: String, source: io::Error },
    #[error("{path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} can't be written: {source}")]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(
        "{0} is nothing that `cargo xtask dist` made, so its folder is not emptied: name another"
    )]
    NotOurs(PathBuf),
    #[error("{path}: {reason}")]
    Scenario { path: PathBuf, reason: String },
    #[error("the suite: {0}")]
    Suite(String),
    #[error("not what the code makes of them now, `cargo xtask docs` writes them: {0:?}")]
    Stale(Vec<PathBuf>),
    #[error("{path} has no place for the table of profiles: put {marks:?} around it")]
    NoMarks { path: PathBuf, marks: [&'static str; 2] },
    #[error("{0}")]
    Differs(String),
    #[error("{0} line(s) that these rules do not allow")]
    Arch(usize),
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where cargo builds, and what chores make goes.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Everything that CI runs; the test runner's closing line is the last on standard output.
pub(crate) fn ci() -> Result<(), ChoreError> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[])?;
    crate::arch::run()?;
    crate::generate::check()?;
    deny()?;
    cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "--deny warnings")])?;
    // The tests' own closing line is the last one.
    let compared = crate::qemu::compare::all()?;
    for one in &compared {
        anstream::eprintln!("xtask: {one}");
    }
    count()?;
    test(&[])?;
    match compared.iter().find(|one| one.fails()) {
        Some(one) => Err(ChoreError::Differs(one.to_string())),
        None => Ok(()),
    }
}

/// Instructions are counted where valgrind is; a count that has grown fails.
fn count() -> Result<(), ChoreError> {
    if !crate::bench::count::is_possible() {
        anstream::eprintln!(
            "xtask: WARNING: SKIPPED: counting instructions, since valgrind does not run; install it \
             (Debian: valgrind)"
        );
        return Ok(());
    }
    cargo(&["xtask", "bench", "--count"], &[])
}

/// Every test: units, documentation, the suite on each backend, the command line.
pub(crate) fn test(filter: &[String]) -> Result<(), ChoreError> {
    tell_of_qemu();
    cargo(&["test", "--workspace", "--doc"], &[])?;
    let mut all = vec!["test", "--workspace", "--lib", "--bins", "--tests"];
    if !filter.is_empty() {
        all.push("--");
        all.extend(filter.iter().map(String::as_str));
    }
    cargo(&all, &[])
}

/// The trial of `tests/redirect/soak.rs`, which runs for ten seconds with the other tests, for longer.
pub(crate) fn soak(minutes: u64) -> Result<(), ChoreError> {
    let seconds = minutes.saturating_mul(60).to_string();
    let trial = ["test", "--test", "redirect", "--", "soak::"];
    cargo(&trial, &[("TAPWRIGHT_SOAK_SECONDS", &seconds)])
}

/// Tests with a real QEMU skip themselves where there is none; that is not to be overlooked.
fn tell_of_qemu() {
    let program = std::env::var_os("TAPWRIGHT_QEMU").unwrap_or_else(|| "qemu-system-x86_64".into());
    let version = Command::new(&program)
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success());
    match version {
        Some(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            anstream::eprintln!("xtask: tests run {}", text.lines().next().unwrap_or_default());
        }
        None => anstream::eprintln!(
            "xtask: WARNING: SKIPPED: every test with a real QEMU, since {} does not run; install it \
             (Debian: qemu-system-x86) or name another with TAPWRIGHT_QEMU",
            program.to_string_lossy()
        ),
    }
}

/// cargo-deny takes minutes to build, so it runs where it is installed. Advisories need the network
/// and are left out.
fn deny() -> Result<(), ChoreError> {
    if runs("cargo-deny") {
        return cargo(&["deny", "check", "bans", "licenses", "sources"], &[]);
    }
    anstream::eprintln!("xtask: cargo-deny is not installed: licences and sources not checked");
    Ok(())
}

/// Whether a program is here, and says its version.
pub(crate) fn runs(program: impl AsRef<OsStr>) -> bool {
    let mut command = Command::new(program);
    let run = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

pub(crate) fn cargo(args: &[&str], environment: &[(&str, &str)]) -> Result<(), ChoreError> {
    anstream::eprintln!("xtask: cargo {}", args.join(" "));
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).envs(environment.iter().copied()).current_dir(root());
    run(&format!("cargo {}", args.join(" ")), &mut command)
}

/// Runs a command that must succeed; its name is for messages.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<(), ChoreError> {
    let status = command
        .status()
        .map_err(|source| ChoreError::NotStarted { command: name.to_owned(), source })?;
    if status.success() {
        Ok(())
    } else {
        let command = name.to_owned();
        Err(ChoreError::Failed { command, status })
    }
}

/// What a command says that must succeed; its name is for messages.
pub(crate) fn said(name: &str, command: &mut Command) -> Result<String, ChoreError> {
    let output = command.stderr(Stdio::inherit()).output();
    let output =
        output.map_err(|source| ChoreError::NotStarted { command: name.to_owned(), source })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let (command, status) = (name.to_owned(), output.status);
        Err(ChoreError::Failed { command, status })
    }
}
