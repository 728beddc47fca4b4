use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, ChildStderr, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use test_support::{Project, code, stderr, stdout};

const FAILS: &str = "description: Something is expected.\nnamespaces: [far]\nnetdevs:\n  hn0: {}\n\
                     chardevs:\n  out0: {}\nlinks:\n  l0: { ends: [{ name: near }, { name: end, netns: far }] }\n\
                     steps:\n  - note: nothing\n  - expect: { out0: 1 }\n";
const PASSES: &str =
    "description: Nothing happens.\nnetdevs:\n  hn0: {}\nsteps:\n  - note: nothing\n";

/// A run that waits at a case that failed.
struct Paused {
    project: Project,
    run: Child,
    errors: BufReader<ChildStderr>,
    /// What it said.
    said: String,
}

impl Paused {
    /// None, said aloud, where there are no TAPs.
    fn at(project: Project) -> Option<Self> {
        let mut run = project
            .command(&["run", "--pause-on-fail", "--out", "out", "scenarios"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(run.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("to go on: ") {
            if errors.read_line(&mut said).unwrap() == 0 {
                assert_eq!(run.wait().unwrap().code(), Some(3), "{said}");
                drop(writeln!(std::io::stderr(), "skipped: {said}"));
                return None;
            }
        }
        Some(Self { project, run, errors, said })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.run.id().try_into().unwrap())
    }

    fn state(&self) -> PathBuf {
        self.project.path().join(format!("out/paused-{}.json", self.pid()))
    }

    /// Its exit, what it printed and what else it said.
    fn ends(mut self) -> (Project, Option<i32>, String) {
        let mut text = String::new();
        let mut out = self.run.stdout.take().unwrap();
        out.read_to_string(&mut text).unwrap();
        self.errors.read_to_string(&mut text).unwrap();
        let exit = self.run.wait().unwrap().code();
        assert!(!self.state().exists());
        (self.project, exit, text)
    }
}

fn two() -> Project {
    Project::new(&[("scenarios/a-fails.yaml", FAILS), ("scenarios/b-passes.yaml", PASSES)])
}

#[test]
fn commands_run_inside_and_the_run_goes_on_when_a_shell_has_been_left() {
    let Some(paused) = Paused::at(two()) else {
        return;
    };
    let said = &paused.said;
    assert!(said.contains("paused: a-fails [netns]"), "{said}");
    assert!(said.contains("out0: expected 1 frame(s), got 0"), "{said}");
    assert!(said.contains("    hn0.host is tap"), "{said}");
    let script = "pwd; ls; cat /proc/net/dev; cat /sys/class/net/tap0/ifalias; \
                  echo case $TAPWRIGHT_CASE; exit 7";
    let inside = ["enter", "a-fails", "--out", "out", "--", "sh", "-c", script];
    let output = paused.project.tapwright(&inside);
    let (text, errors) = (stdout(&output), stderr(&output));
    assert_eq!(code(&output), 7, "{text}{errors}");
    let folder = paused.project.path().join("out/a-fails").canonicalize().unwrap();
    assert!(text.starts_with(folder.to_str().unwrap()), "{text}");
    assert!(text.contains("\ncase.pcapng\n"), "{text}");
    for interface in ["tap0:", "l0.near:", "lo:"] {
        assert!(text.contains(interface), "{text}");
    }
    assert!(!text.contains("l0.end:"), "{text}");
    if !errors.contains("/sys shows the host's") {
        assert!(text.contains("\nhn0.host\n"), "{text}{errors}");
    }
    assert!(text.ends_with("case a-fails\n"), "{text}");
    // The case is still there for the next command.
    let again = paused.project.tapwright(&["enter", "--out", "out", "--", "true"]);
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    // A shell without input is left at once.
    let left = paused.project.command(&["enter", "--out", "out"]).env("SHELL", "/bin/sh").output();
    assert_eq!(code(&left.unwrap()), 0);
    let (_, exit, text) = paused.ends();
    assert_eq!(exit, Some(1), "{text}");
    assert!(text.contains("2 cases run: 0 passed, 1 failed, 0 skipped, 1 pending"), "{text}");
}

#[test]
fn another_namespace_of_the_case_can_be_entered() {
    let Some(mut paused) = Paused::at(two()) else {
        return;
    };
    assert!(paused.said.contains("    l0.end is l0.end in far\n"), "{}", paused.said);
    let inside = ["enter", "--out", "out", "--netns", "far", "--", "cat", "/proc/net/dev"];
    let output = paused.project.tapwright(&inside);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{text}{}", stderr(&output));
    assert!(text.contains("l0.end:") && !text.contains("l0.near:"), "{text}");
    paused.run.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(paused.ends().1, Some(1));
}

#[test]
fn enter_pressed_in_the_run_goes_on() {
    let Some(mut paused) = Paused::at(two()) else {
        return;
    };
    let mut keys = paused.run.stdin.take().unwrap();
    keys.write_all(b"\n").unwrap();
    assert_eq!(paused.ends().1, Some(1));
}

#[test]
fn an_interrupt_ends_the_run_and_the_pause() {
    let Some(paused) = Paused::at(two()) else {
        return;
    };
    kill(paused.pid(), Signal::SIGTERM).unwrap();
    assert_eq!(paused.ends().1, Some(130));
}

#[test]
fn nothing_of_a_run_that_was_killed_can_be_entered() {
    let Some(mut paused) = Paused::at(two()) else {
        return;
    };
    assert!(paused.state().exists());
    paused.run.kill().unwrap();
    paused.run.wait().unwrap();
    let output = paused.project.tapwright(&["enter", "--out", "out", "--", "true"]);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(stderr(&output).contains("TW-E050"), "{}", stderr(&output));
    assert!(!paused.state().exists());
}

#[test]
fn a_record_that_is_not_its_snapshot_pauses_too() {
    let project = two();
    let passes = project.path().join("scenarios/b-passes.yaml");
    fs::remove_file(project.path().join("scenarios/a-fails.yaml")).unwrap();
    let accepted = project.tapwright(&["run", "--accept", "scenarios"]);
    if code(&accepted) == 3 {
        return;
    }
    let text = fs::read_to_string(&passes).unwrap();
    fs::write(&passes, text.replace("note: nothing", "note: something")).unwrap();
    let Some(mut paused) = Paused::at(project) else {
        return;
    };
    assert!(paused.said.contains("paused: b-passes [netns]"), "{}", paused.said);
    paused.run.stdin.take().unwrap().write_all(b"\n").unwrap();
    let (_, exit, text) = paused.ends();
    assert_eq!(exit, Some(1), "{text}");
}

#[test]
fn in_memory_there_is_nothing_to_enter() {
    let project = two();
    let output = project.tapwright(&["run", "--backend", "sim", "--pause-on-fail"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("TW-E053"), "{}", stderr(&output));
}
