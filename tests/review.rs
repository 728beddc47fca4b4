//! `tapwright review` at a terminal: the real binary at a pseudo-terminal of util-linux `script`.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use test_support::{code, tapwright};

const SCENARIO: &str = "\
description: What the guest sends reaches the host.
netdevs:
  hn0: {}
steps:
  - send: hn0.guest
    frames: [{ ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 4000, dport: 9 }, payload: hello }]
";

/// What is said before a key is waited for.
const PROMPT: &str = "(q)uit (?) ";

struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    seen: String,
}

impl Terminal {
    fn open(directory: &Path, command: &str) -> Self {
        // A key that comes before the program reads keys would be seen on the screen.
        let command = format!("stty -echo && exec {command}");
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .current_dir(directory)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script of util-linux starts");
        let keys = child.stdin.take().expect("piped");
        let screen = child.stdout.take().expect("piped");
        Self { child, keys, screen, seen: String::new() }
    }

    /// Everything up to and with the next prompt.
    fn until(&mut self, text: &str) -> String {
        let mut bytes = [0; 1];
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).ends_with(text) {
            let read = self.screen.read(&mut bytes).expect("the screen");
            let so_far = String::from_utf8_lossy(&shown);
            assert!(read > 0, "the end came before '{text}': {so_far}");
            shown.push(bytes[0]);
        }
        let shown = String::from_utf8(shown).expect("text").replace("\r\n", "\n");
        self.seen += &shown;
        shown
    }

    fn press(&mut self, key: &str) {
        self.keys.write_all(key.as_bytes()).expect("a key");
        self.keys.flush().expect("a key");
    }

    /// What came last, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.screen.read_to_string(&mut rest).expect("the screen");
        let status = self.child.wait().expect("it ends");
        (rest.replace("\r\n", "\n"), status.code())
    }
}

#[test]
fn keys_at_a_terminal_show_and_decide() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let run = ["run", "--backend", "sim", "."];
    fs::write(path.join("first.yaml"), SCENARIO).expect("written");
    assert_eq!(code(&tapwright(path, &[&run[..], &["--accept"]].concat())), 0);
    fs::write(path.join("first.yaml"), SCENARIO.replace("hello", "hullo")).expect("written");
    fs::write(path.join("second.yaml"), SCENARIO).expect("written");
    assert_eq!(code(&tapwright(path, &run)), 1);

    let binary = env!("CARGO_BIN_EXE_tapwright");
    let mut terminal = Terminal::open(path, &format!("'{binary}' review"));
    let first = terminal.until(PROMPT);
    assert!(first.contains("\x1b[31m68656c6c6f\x1b[0m -> \x1b[32m68756c6c6f"), "{first}");
    for key in ["h", "\x1b[C", "\x1b[D"] {
        terminal.press(key);
        terminal.until(PROMPT);
    }
    terminal.press("a");
    terminal.until(PROMPT);
    let seen = anstream::adapter::strip_str(&terminal.seen).to_string();
    insta::assert_snapshot!("a_review_at_a_terminal", seen);
    terminal.press("q");
    let (rest, code) = terminal.end();
    assert!(rest.contains("1 accepted, 0 rejected, 1 still pending"), "{rest}");
    assert_eq!(code, Some(0));
    let accepted = fs::read_to_string(path.join("first.snap")).expect("a snapshot");
    assert!(accepted.contains("68756c6c6f"), "{accepted}");
    assert!(!path.join("first.snap.new").exists());
    assert!(path.join("second.snap.new").exists(), "quitting decides nothing");
}

#[test]
fn ctrl_c_ends_a_review_and_decides_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    fs::write(path.join("first.yaml"), SCENARIO).expect("written");
    assert_eq!(code(&tapwright(path, &["run", "--backend", "sim", "."])), 5);
    let binary = env!("CARGO_BIN_EXE_tapwright");
    let mut terminal = Terminal::open(path, &format!("'{binary}' review"));
    terminal.until(PROMPT);
    terminal.press("\x03");
    let (_, code) = terminal.end();
    assert_eq!(code, Some(130));
    assert!(path.join("first.snap.new").exists());
}
