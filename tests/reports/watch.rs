//! `run --watch`: what a change touches runs again, and nothing else.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ExitStatus},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use test_support::Project;

use crate::scenario::PASSES;

/// A scenario that sends what a capture has.
const REPLAYS: &str = "description: A capture.\nnetdevs:\n  hn0: {}\nsteps:\n  - { send: hn0.guest, \
                       pcap: ../captures/some.pcap }\n";

/// After how long a run that says nothing is given up, so that the test fails and does not hang.
const HANGS: Duration = Duration::from_secs(120);

/// A run that watches, with all that it prints.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn new(project: &Project, arguments: &[&str]) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = project
            .command(&[&["run", "--watch"], arguments].concat())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        let (outbox, lines) = channel();
        thread::spawn(move || {
            let told = BufReader::new(reader).lines().map_while(Result::ok);
            // Nobody listens any more when the test is over.
            let _ = told.map(|line| outbox.send(line)).find(Result::is_err);
        });
        Self { child, lines }
    }

    /// The cases that run until it waits, with what they came to.
    fn ran(&self) -> Vec<String> {
        let mut ran = Vec::new();
        loop {
            let line = self.lines.recv_timeout(HANGS);
            let line = line.unwrap_or_else(|error| panic!("{error} after {ran:?}"));
            if line.contains("waiting for a change") {
                ran.dedup();
                return ran;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [word @ ("PASS" | "PENDING" | "FAIL"), "[", _, case] = words.as_slice() {
                ran.push(format!("{word} {case}"));
            }
            if line.contains("TW-S") {
                ran.push("INVALID".to_owned());
            }
            if line.contains("TW-E006") {
                ran.push("NOTHING SELECTED".to_owned());
            }
        }
    }

    fn interrupt(&mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It is gone already where the test came to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn capture(project: &Project, name: &str) {
    let pcaps = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pcaps");
    fs::write(project.path().join("tapwright.toml"), "").unwrap();
    let folder = project.path().join("captures");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(pcaps.join(name), folder.join("some.pcap")).unwrap();
}

#[test]
fn what_a_change_touches_runs_again() {
    let project = Project::suite(&[("a.yaml", PASSES), ("replays.yaml", REPLAYS)]);
    capture(&project, "ping.pcap");
    let suite = project.path().join("scenarios");
    let mut watching = Watching::new(&project, &["--backend=sim", "--jobs=1"]);
    assert_eq!(watching.ran(), ["PENDING a", "PENDING replays"]);

    fs::write(suite.join("a.yaml"), PASSES.replace("note: nothing", "note: something")).unwrap();
    assert_eq!(watching.ran(), ["PENDING a"]);

    capture(&project, "vlan.pcap");
    assert_eq!(watching.ran(), ["PENDING replays"]);

    fs::rename(suite.join("a.snap.new"), suite.join("a.snap")).unwrap();
    assert_eq!(watching.ran(), ["PASS a"]);

    fs::write(suite.join("b.yaml"), "description: x\nstep: []\n").unwrap();
    assert_eq!(watching.ran(), ["INVALID"]);

    fs::write(suite.join("b.yaml"), PASSES).unwrap();
    assert_eq!(watching.ran(), ["PENDING b"]);

    assert_eq!(watching.interrupt().code(), Some(130));
}

#[test]
fn a_selection_of_nothing_is_said_at_once() {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    let mut watching = Watching::new(&project, &["--backend=sim", "-k", "nope"]);
    assert_eq!(watching.ran(), ["NOTHING SELECTED"]);
    fs::write(project.path().join("scenarios/nope.yaml"), PASSES).unwrap();
    assert_eq!(watching.ran(), ["PENDING nope"]);
    fs::write(
        project.path().join("scenarios/a.yaml"),
        PASSES.replace("note: nothing", "note: something"),
    )
    .unwrap();
    assert_eq!(watching.ran(), [""; 0]);
    assert_eq!(watching.interrupt().code(), Some(130));
}

#[test]
fn reports_of_a_whole_run_are_refused() {
    let project = Project::suite(&[("a.yaml", PASSES)]);
    assert_eq!(project.exit(&["run", "--watch", "--report=json=run.json"]), 2);
}
