//! The shipped suite on each backend, by the command that the README shows.

use std::{
    io::Write,
    process::{Command, Output},
};

fn tapwright(arguments: &[&str]) -> Output {
    let out = tempfile::tempdir().expect("a temporary folder");
    Command::new(env!("CARGO_BIN_EXE_tapwright"))
        .args(["run", "scenarios", "--ci", "--out"])
        .arg(out.path())
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary starts")
}

/// Passes, or can't run here at all and says why.
#[track_caller]
fn passes(output: &Output) {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => assert!(stdout.contains(" 0 failed") || stderr.contains(" 0 failed")),
        Some(3) => drop(writeln!(std::io::stderr(), "skipped: {stderr}")),
        code => panic!("exit code {code:?}\n{stdout}\n{stderr}"),
    }
}

#[test]
fn the_suite_passes_in_memory() {
    let output = tapwright(&["--backend", "sim"]);
    assert_eq!(output.status.code(), Some(0));
    passes(&output);
}

#[test]
fn the_suite_passes_on_real_taps() {
    passes(&tapwright(&[]));
}

#[test]
fn memory_and_real_taps_agree() {
    passes(&tapwright(&["--agree", "sim,netns"]));
}

#[test]
fn nothing_flakes_when_it_is_repeated() {
    passes(&tapwright(&["--repeat", "3"]));
}
