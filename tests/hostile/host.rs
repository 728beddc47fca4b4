//! The part of the host that a scenario tries to reach, and what happened to it.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    errno::Errno,
    sys::{
        inotify::{AddWatchFlags, InitFlags, Inotify},
        stat::Mode,
    },
    unistd::mkfifo,
};
use tempfile::TempDir;

use crate::way::Way;

/// Two folders with a file, a program, a FIFO and a socket in them, watched by the kernel.
pub(crate) struct Host {
    /// Where QEMU can see it.
    out: TempDir,
    /// Below /tmp.
    run: TempDir,
    /// Where tapwright works.
    work: TempDir,
    watch: Inotify,
    listener: UnixListener,
}

/// How a run ended, and what it wrote.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

/// The program that must not run.
const PROGRAM: &str = "run.sh";

/// What is in the file that must not change.
const CONTENT: &str = "the only copy\n";

impl Host {
    pub(crate) fn new() -> Self {
        let built = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(built).expect("the build's folder");
        // A folder for programs, which QEMU has to see. Every other is empty for it.
        let out = TempDir::new_in("/opt").or_else(|_| TempDir::new_in(built)).expect("a folder");
        let run = TempDir::new_in("/tmp").expect("a folder below /tmp");
        let work = TempDir::new_in(built).expect("a folder");
        let program = out.path().join(PROGRAM);
        fs::write(&program, format!("#!/bin/sh\ntouch {}/pwned\n", out.path().display()))
            .expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
        fs::write(out.path().join("victim"), CONTENT).expect("a file");
        mkfifo(&out.path().join("fifo"), Mode::S_IRWXU).expect("a FIFO");
        let listener = UnixListener::bind(run.path().join("host.sock")).expect("a socket");
        listener.set_nonblocking(true).expect("a socket");
        let watch = Inotify::init(InitFlags::IN_NONBLOCK).expect("inotify");
        for folder in [out.path(), run.path()] {
            watch.add_watch(folder, AddWatchFlags::IN_ALL_EVENTS).expect("a watch");
        }
        Self { out, run, work, watch, listener }
    }

    /// Runs a scenario that tries one way.
    pub(crate) fn run(&self, way: &Way, options: &[&str]) -> Run {
        let text = format!("description: tries one thing\nprofile: qemu-7.2\n{}", way.body);
        self.run_text(&text, options)
    }

    pub(crate) fn run_text(&self, scenario: &str, options: &[&str]) -> Run {
        let scenario = self.located(scenario);
        fs::write(self.work.path().join("evil.yaml"), scenario).expect("a scenario");
        let mut command = self.tapwright();
        command.args(["run", "--backend", "qemu", "evil.yaml"]).args(options);
        if !options.contains(&"--timeout") {
            command.args(["--timeout", "20"]);
        }
        self.finished(command)
    }

    /// The scenario that a paste becomes.
    pub(crate) fn import(&self, paste: &str) -> String {
        fs::write(self.work.path().join("paste.txt"), self.located(paste)).expect("a paste");
        let mut command = self.tapwright();
        command.args(["import", "--profile", "qemu-7.2", "--file", "paste.txt"]);
        let output = command.stderr(Stdio::null()).output().expect("tapwright starts");
        String::from_utf8(output.stdout).expect("YAML is text")
    }

    fn located(&self, text: &str) -> String {
        text.replace("@OUT@", &self.out.path().to_string_lossy())
            .replace("@RUN@", &self.run.path().to_string_lossy())
    }

    fn tapwright(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapwright"));
        command.current_dir(self.work.path()).stdin(Stdio::null()).env_remove("CI");
        command
    }

    fn finished(&self, mut command: Command) -> Run {
        let output = command.output().expect("tapwright starts");
        let text = [output.stdout, output.stderr].concat();
        Run { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    /// Anything that was done with what is the host's, reading it and asking for it too.
    pub(crate) fn happened(&self) -> Option<String> {
        self.events(AddWatchFlags::IN_ALL_EVENTS).or_else(|| self.changed())
    }

    /// What was changed, made, run or connected to.
    pub(crate) fn changed(&self) -> Option<String> {
        let changes = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_MOVE;
        let content = fs::read_to_string(self.out.path().join("victim"));
        if content.as_deref().ok() != Some(CONTENT) {
            return Some(format!("the file became {content:?}"));
        }
        if self.out.path().join("pwned").exists() {
            return Some("a file was made".to_owned());
        }
        if self.listener.accept().is_ok() {
            return Some("the host's socket was connected to".to_owned());
        }
        self.events(changes)
    }

    /// What was done of these; the program is not even to be looked into.
    fn events(&self, of: AddWatchFlags) -> Option<String> {
        let is_program = |name: &Option<OsString>| name.as_deref() == Some(OsStr::new(PROGRAM));
        let mut seen = Vec::new();
        loop {
            match self.watch.read_events() {
                Ok(events) => seen.extend(
                    events
                        .into_iter()
                        .filter(|one| one.mask.intersects(of) || is_program(&one.name)),
                ),
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Some(format!("inotify: {errno}")),
            }
        }
        let first = seen.first()?;
        Some(format!("{:?} {:?}", first.name, first.mask))
    }
}
