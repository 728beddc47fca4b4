//! A real QEMU: the suite on it, the agreement of the model with it, and its death.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use test_support::command;

fn tapwright() -> Command {
    command(Path::new(env!("CARGO_MANIFEST_DIR")), &["run"])
}

fn run(arguments: &[&str]) -> Output {
    let out = tempfile::tempdir().expect("a temporary folder");
    let mut command = tapwright();
    command.args(["--ci", "--out"]).arg(out.path());
    command.args(arguments).output().expect("the binary starts")
}

/// The text of a run that QEMU took part in; none, said aloud, where there is no QEMU or no TAP.
fn ran(output: &Output) -> Option<String> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(3) {
        drop(writeln!(std::io::stderr(), "skipped: {stderr}"));
        return None;
    }
    Some(stdout + &stderr)
}

#[test]
fn the_suite_passes_on_qemu() {
    let output = run(&["scenarios", "--backend", "qemu"]);
    if let Some(text) = ran(&output) {
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains(" 0 failed"), "{text}");
    }
}

#[test]
fn the_model_agrees_with_qemu() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let table = folder.path().join("table.jsonl");
    let path = table.to_str().expect("a path of ours");
    let output = run(&["scenarios", "--agree", "sim,netns,qemu", "--agree-table", path]);
    if let Some(text) = ran(&output) {
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains(" 0 failed"), "{text}");
        assert!(text.contains("is run under the profile"), "{text}");
        let rows = fs::read_to_string(table).expect("a table");
        let of = |verdict: &str| {
            let verdict = format!(r#""verdict":"{verdict}""#);
            let rows = rows.lines().filter(|row| row.contains(r#"["sim","qemu"]"#));
            rows.filter(|row| row.contains(&verdict)).count()
        };
        assert!(of("agree") > 200 && of("differ") == 0, "{rows}");
    }
}

#[test]
fn no_qemu_is_said_with_what_to_do() {
    let output = run(&["scenarios", "--backend", "qemu", "--qemu", "/nonexistent/qemu"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("/nonexistent/qemu"), "{stderr}");
    assert!(stderr.contains("TAPWRIGHT_QEMU"), "{stderr}");
}

/// A scenario that waits for longer than any test takes, in its second step.
const WAITS: &str = "description: waits in its second step\n\
    requires: [tap]\n\
    profile: PROFILE\n\
    netdevs: {hn0: {type: tap}}\n\
    chardevs: {sink: {backend: file, path: sink}}\n\
    objects: [\"filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=sink\"]\n\
    steps:\n\
    \x20 - send: hn0.host\n\
    \x20   frames: [{payload: first}]\n\
    \x20 - expect: {hn0.guest: 2, within: 50s}\n";

/// Starts such a run; its QEMU, once it has one.
fn waiting(folder: &Path) -> Option<(Child, Pid)> {
    let probe = Command::new("qemu-system-x86_64").arg("--version").output();
    let Ok(version) = probe else {
        drop(writeln!(std::io::stderr(), "skipped: there is no QEMU"));
        return None;
    };
    let newer = String::from_utf8_lossy(&version.stdout).contains("version 10.");
    let profile = if newer { "qemu-10.2" } else { "qemu-7.2" };
    fs::write(folder.join("waits.yaml"), WAITS.replace("PROFILE", profile)).expect("a scenario");
    let mut run = tapwright()
        .arg(folder.join("waits.yaml"))
        .args(["--backend", "qemu", "--ci", "--format", "json", "--out"])
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdout = BufReader::new(run.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("case-started") {
        line.clear();
        if stdout.read_line(&mut line).expect("text") == 0 {
            let status = run.wait().expect("our child");
            drop(writeln!(std::io::stderr(), "skipped: {status}"));
            return None;
        }
    }
    run.stdout = Some(stdout.into_inner());
    let parent = Pid::from_raw(i32::try_from(run.id()).expect("a process id"));
    loop {
        // Between them stands the first process of QEMU's pid namespace.
        let grandchildren = children(parent).into_iter().flat_map(children);
        if let Some(qemu) = grandchildren.into_iter().find(|pid| has_written(*pid)) {
            return Some((run, qemu));
        }
        assert!(run.try_wait().expect("our child").is_none(), "it ended");
        std::thread::yield_now();
    }
}

/// Whether this is QEMU, and the frame of the first step is in the file that it mirrors to.
fn has_written(pid: Pid) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors.flatten().any(|entry| {
        let path = fs::read_link(entry.path()).unwrap_or_default();
        let is_file = path.to_string_lossy().ends_with("-q");
        is_file && fs::metadata(entry.path()).is_ok_and(|file| file.len() > 0)
    })
}

fn children(parent: Pid) -> BTreeSet<Pid> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // proc_pid_stat(5): the name in parentheses, the state, the parent.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        if rest.split_whitespace().nth(1) == Some(&parent.to_string()) {
            found.insert(Pid::from_raw(pid));
        }
    }
    found
}

#[test]
fn the_death_of_qemu_is_reported_with_its_step() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some((run, qemu)) = waiting(folder.path()) else {
        return;
    };
    kill(qemu, Signal::SIGKILL).expect("QEMU runs");
    let output = run.wait_with_output().expect("our child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("QEMU died: signal 9, SIGKILL"), "{text}");
    assert!(text.contains("last seen: step 1: hn0.guest <- "), "{text}");
    assert!(text.contains(r#""event":"crash""#), "{text}");
    assert!(text.contains(r#""step":1"#) || text.contains(r#""step":2"#), "{text}");
}

#[test]
fn qemu_dies_with_tapwright() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some((mut run, qemu)) = waiting(folder.path()) else {
        return;
    };
    run.kill().expect("our child");
    run.wait().expect("our child");
    // The kernel sends the signal while tapwright ends; only its delivery is waited for.
    while fs::read_to_string(format!("/proc/{qemu}/cmdline"))
        .is_ok_and(|words| words.contains("tap,id=hn0"))
    {
        std::thread::yield_now();
    }
}
