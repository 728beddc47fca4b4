//! The shipped suite on each backend, by the command that the README shows.

use std::{io::Write, path::Path, process::Output};

use test_support::command;

fn run(arguments: &[&str]) -> Output {
    let out = tempfile::tempdir().expect("a temporary folder");
    command(Path::new(env!("CARGO_MANIFEST_DIR")), &["run", "scenarios", "--ci", "--out"])
        .arg(out.path())
        .args(arguments)
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
    let output = run(&["--backend", "sim"]);
    assert_eq!(output.status.code(), Some(0));
    passes(&output);
}

#[test]
fn the_suite_passes_on_real_taps() {
    passes(&run(&[]));
}

#[test]
fn memory_and_real_taps_agree() {
    passes(&run(&["--agree", "sim,netns"]));
}

#[test]
fn nothing_flakes_when_it_is_repeated() {
    passes(&run(&["--repeat", "3"]));
}
