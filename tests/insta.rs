//! insta's own tool reviews the same files: the real `cargo insta` on a project of scenarios.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;
use test_support::tapwright;

const ONE: &str = "\
description: What the guest sends reaches the host.
netdevs:
  hn0: {}
steps:
  - send: hn0.guest
    frames: [{ eth: { type: 0x88b5 }, payload: one }]
";

const MATRIX: &str = "\
description: What the host sends reaches the guest.
matrix: { size: [1, 100] }
netdevs:
  hn0: {}
steps:
  - send: hn0.host
    frames: [{ eth: { type: 0x88b5 }, payload: { fill: 0x5a, len: \"${size}\" } }]
";

/// A cargo project with scenarios in it, since insta's tool works on those.
fn project() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    write(
        "Cargo.toml",
        "[package]\nname = \"suite\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n",
    );
    write("src/lib.rs", "");
    write("scenarios/one.yaml", ONE);
    write("scenarios/deep/matrix.yaml", MATRIX);
    directory
}

/// insta's tool; none, said aloud, where it is not installed.
fn insta(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("cargo-insta")
        .args(arguments)
        .current_dir(directory)
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("CI")
        .output();
    match output {
        Err(error) => {
            drop(writeln!(
                std::io::stderr(),
                "WARNING: SKIPPED: cargo-insta does not run ({error}); \
                 install it: cargo install cargo-insta --locked --version 1.49.0"
            ));
            None
        }
        Ok(output) => {
            let text = told(&output);
            assert!(output.status.success(), "{text}");
            Some(text)
        }
    }
}

fn told(output: &Output) -> String {
    let (out, errors) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(errors))
}

fn run(directory: &Path, how: &[&str], code: i32) {
    let output = tapwright(directory, &[&["run", "--backend", "sim", "scenarios"], how].concat());
    assert_eq!(output.status.code(), Some(code), "{}", told(&output));
}

#[test]
fn what_cargo_insta_accepts_passes() {
    let directory = project();
    let path = directory.path();
    run(path, &[], 5);
    let Some(listed) = insta(path, &["pending-snapshots"]) else {
        return;
    };
    for snapshot in ["scenarios/one.snap", "scenarios/deep/matrix.snap"] {
        assert!(listed.contains(snapshot), "{listed}");
    }
    insta(path, &["accept"]);
    run(path, &["--ci"], 0);
    assert!(!path.join("scenarios/one.snap.new").exists());

    let scenario = path.join("scenarios/deep/matrix.yaml");
    fs::write(&scenario, MATRIX.replace("0x5a", "0xa5")).expect("written");
    run(path, &[], 1);
    insta(path, &["accept", "--snapshot", "scenarios/deep/matrix.snap"]);
    run(path, &["--ci"], 0);
}

#[test]
fn what_cargo_insta_rejects_stays_as_it_was() {
    let directory = project();
    let path = directory.path();
    run(path, &["--accept"], 0);
    let snapshot = path.join("scenarios/one.snap");
    let reviewed = fs::read_to_string(&snapshot).expect("a snapshot");
    let scenario = path.join("scenarios/one.yaml");
    fs::write(&scenario, ONE.replace("one }", "two }")).expect("written");
    run(path, &[], 1);
    if insta(path, &["reject"]).is_none() {
        return;
    }
    assert!(!path.join("scenarios/one.snap.new").exists());
    let after = fs::read_to_string(&snapshot).expect("a snapshot");
    assert_eq!(after, reviewed);
    fs::write(&scenario, ONE).expect("written");
    run(path, &["--ci"], 0);
}
