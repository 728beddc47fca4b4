//! `xtask vm`: a command in a VM, its output, its exit status, what it may write, and what is left of a VM
//! that is ended. Skipped with a reason where Debian's archive is out of reach and no kernel is there.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write, pipe},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// The exit statuses of timeout(1).
const DEADLINE: i32 = 124;
const FAILED: i32 = 125;

fn xtask() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("vm");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a VM can't be had here, which is said.
fn is_skipped(output: &Output) -> bool {
    let stderr = text(&output.stderr);
    let reasons = [
        "can't be reached",
        "can't be started",
        "keys of Debian",
        "does not run",
        "not started here",
    ];
    let out_of_reach = output.status.code() == Some(FAILED)
        && reasons.iter().any(|reason| stderr.contains(reason));
    if out_of_reach {
        drop(writeln!(std::io::stderr(), "skipped: {}", stderr.trim()));
    }
    out_of_reach
}

/// The folder that a VM may write.
fn target() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"))
}

#[test]
fn a_command_runs_as_outside_on_a_kernel_with_vhost_net() {
    let folder = tempfile::tempdir_in(target()).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("read"), "what is outside\n").unwrap();
    let script = r#"
        pwd; echo "$GREETING" "$1"; cat "$2/read"
        echo "to stderr" >/dev/stderr
        echo kept > kept
        echo lost > "$2/lost" && cat "$2/lost"
        if echo lost 2>/dev/null > /etc/lost; then echo "/etc can be written"; fi
        [ -c /dev/vhost-net ] && [ -c /dev/net/tun ] && echo devices
        cut -d ' ' -f 1-2 /proc/version
        sleep 1000 &
        exit 42"#;
    let output = xtask()
        .args(["--", "sh", "-c", script, "sh", "it's one"])
        .arg(outside.path())
        .current_dir(folder.path())
        .env("GREETING", "a  b")
        .output()
        .unwrap();
    if is_skipped(&output) {
        return;
    }
    let folder_seen = fs::canonicalize(folder.path()).unwrap();
    let expected = format!(
        "{}\na  b it's one\nwhat is outside\nlost\ndevices\nLinux version\n",
        folder_seen.display()
    );
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
    assert!(text(&output.stderr).ends_with("to stderr\n"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(fs::read_to_string(folder.path().join("kept")).unwrap(), "kept\n");
    assert!(!outside.path().join("lost").exists());
}

#[test]
fn a_vm_ends_at_its_deadline() {
    let output = xtask().args(["--timeout", "0", "--", "true"]).output().unwrap();
    if is_skipped(&output) {
        return;
    }
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(DEADLINE), "{stderr}");
    assert!(
        stderr.contains("the VM was ended before the command, after 0 s (--timeout)"),
        "{stderr}"
    );
}

#[test]
fn nothing_is_left_of_a_vm_whose_starter_is_killed() {
    // Whoever is started inherits descriptor 9: it is at its end when nobody of them is left.
    let (mut alive, held) = pipe().unwrap();
    let mut starter = Command::new("sh")
        .args(["-c", "exec 9>&0 </dev/null; exec \"$0\" vm -- sh -c 'echo here; sleep 1000'"])
        .arg(env!("CARGO_BIN_EXE_xtask"))
        .stdin(held)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(starter.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line.is_empty() {
        let output = starter.wait_with_output().unwrap();
        assert!(is_skipped(&output), "{}", text(&output.stderr));
        return;
    }
    assert_eq!(line, "here\n");
    starter.kill().unwrap();
    starter.wait().unwrap();
    assert_eq!(alive.read(&mut [0]).unwrap(), 0);
}

#[test]
fn what_can_t_be_had_is_said_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let output = xtask()
        .args(["--kernel", "sid", "--mirror", "http://127.0.0.1:1/debian", "--", "true"])
        .env("CARGO_TARGET_DIR", folder.path())
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(FAILED));
    if !stderr.contains("can't be reached") {
        assert!(is_skipped(&output), "{stderr}");
        return;
    }
    assert!(stderr.contains("--mirror; nothing but `cargo xtask vm` needs it"), "{stderr}");
    let output = xtask().args(["--kernel", "../sid", "--", "true"]).output().unwrap();
    assert!(text(&output.stderr).contains("is not the name of a suite of Debian"));
}
