//! A project in a folder of its own, with secrets beside it, and the binary under a deadline.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// After so long a command hangs. It is killed then, and the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Most memory of a command in KiB: what has no end is not read until memory has.
const MEMORY: u32 = 2_000_000;

/// What must never be seen.
pub(crate) const SECRET: &str = "SECRET-of-somebody-else";

/// A scenario that sends the capture `NAME`.
pub(crate) const CAPTURE: &str = "description: A capture is sent.\nnetdevs: { hn0: {} }\nsteps:\n  \
                                  - send: hn0.guest\n    pcap: NAME\n";

/// A scenario in which nothing happens.
pub(crate) const PLAIN: &str =
    "description: Nothing happens.\nchardevs: { out0: {} }\nsteps:\n  - note: nothing\n";

/// `top/project` is a repository, `top/project/suite` a folder of scenarios.
pub(crate) struct Project {
    _folder: TempDir,
    top: PathBuf,
}

impl Project {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let project = Self { _folder: folder, top };
        fs::create_dir_all(project.path("project/.git")).unwrap();
        fs::create_dir_all(project.path("project/suite")).unwrap();
        project.write("secret.txt", format!("{SECRET}\n"));
        project.write("secret.pcap", capture(SECRET.as_bytes()));
        project.write("project/ours.pcap", capture(b"ours"));
        project
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.top.join(below)
    }

    pub(crate) fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(below), content).unwrap();
    }

    /// A scenario of the suite that sends this capture.
    pub(crate) fn scenario(&self, capture: &str) {
        self.write("project/suite/a.yaml", CAPTURE.replace("NAME", capture));
    }

    /// Runs the binary in the suite.
    pub(crate) fn tapwright(&self, arguments: &[&str]) -> Done {
        self.fed(arguments, b"")
    }

    /// The same with something on standard input.
    pub(crate) fn fed(&self, arguments: &[&str], input: &[u8]) -> Done {
        self.shell("exec \"$@\"", arguments, input)
    }

    /// The same from a script, whose `"$@"` is the command.
    pub(crate) fn shell(&self, script: &str, arguments: &[&str], input: &[u8]) -> Done {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -v {MEMORY}; {script}"))
            .args(["sh", env!("CARGO_BIN_EXE_tapwright")])
            .args(arguments)
            .current_dir(self.path("project/suite"))
            .env("NO_COLOR", "1")
            .env_remove("CI")
            .env_remove("GITHUB_STEP_SUMMARY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Pid::from_raw(i32::try_from(child.id()).unwrap());
        // Whoever wants no input goes away.
        drop(child.stdin.take().unwrap().write_all(input));
        let (over, waits) = channel();
        let waiting = thread::spawn(move || over.send(child.wait_with_output().unwrap()));
        let output = waits.recv_timeout(DEADLINE).unwrap_or_else(|_| {
            kill(process, Signal::SIGKILL).unwrap();
            panic!("tapwright {} does not come to an end", arguments.join(" "));
        });
        waiting.join().unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done {
            command: arguments.join(" "),
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// What a command came to.
pub(crate) struct Done {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// It ended so, and printed nothing that it should not know.
    #[track_caller]
    pub(crate) fn ends(&self, codes: &[i32]) {
        assert!(self.code.is_some_and(|code| codes.contains(&code)), "{codes:?}: {self}");
        for hidden in [&SECRET[..4], "53454352"] {
            assert!(!self.text().contains(hidden), "{hidden}: {self}");
        }
    }

    /// It was refused with exit code 2, and this is said of it, wherever lines are broken.
    #[track_caller]
    pub(crate) fn is_refused(&self, expected: &str) {
        self.ends(&[2]);
        self.says(expected);
    }

    #[track_caller]
    pub(crate) fn says(&self, expected: &str) {
        assert!(self.text().contains(&plain(expected)), "{expected}: {self}");
    }

    fn text(&self) -> String {
        plain(&(self.stdout.clone() + &self.stderr))
    }
}

/// A text without blanks and rules: a drawn message is broken into lines anywhere.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '|').collect()
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, code, stdout, stderr } = self;
        write!(f, "tapwright {command}: {code:?}\n{stdout}{stderr}")
    }
}

/// A pcap with one frame that has this in it.
pub(crate) fn capture(payload: &[u8]) -> Vec<u8> {
    let mut writer = tapwright::capture::ClassicWriter::new(Vec::new()).unwrap();
    let frame = [&[0xff; 12][..], &[0x88, 0xb5], payload].concat();
    writer.packet(Duration::ZERO, &frame).unwrap();
    writer.into_inner()
}

/// The names in a folder.
pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
