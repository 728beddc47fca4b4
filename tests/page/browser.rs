//! A browser without a window, driven by the DevTools protocol over a pair of pipes.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where a browser is looked for, the first that is there.
const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// After which a browser that does not answer is given up.
const SILENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    input: File,
    messages: Receiver<Value>,
    session: Option<String>,
    next: u64,
    /// What was logged, and what went wrong, since the last page was opened.
    pub(crate) complaints: Vec<Value>,
    events: Vec<Value>,
    /// Its profile, gone with it.
    _directory: TempDir,
}

/// The browser's program; none where there is none.
pub(crate) fn program() -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    let directories: Vec<PathBuf> = env::split_paths(&paths).collect();
    let mut candidates =
        NAMES.iter().flat_map(|name| directories.iter().map(move |directory| directory.join(name)));
    candidates.find(|path| path.is_file())
}

impl Browser {
    pub(crate) fn start(program: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["in", "out"] {
            mkfifo(&at(name), Mode::S_IRWXU).unwrap();
        }
        // The protocol speaks on the descriptors 3 and 4, which a shell can give.
        let child = Command::new("sh")
            .args(["-c", r#"exec "$@" 3<"$TW_IN" 4>"$TW_OUT""#, "sh"])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", at("profile").display()))
            .env("TW_IN", at("in"))
            .env("TW_OUT", at("out"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = File::options().write(true).open(at("in")).unwrap();
        let output = File::open(at("out")).unwrap();
        let mut browser = Self {
            child,
            input,
            messages: heard(output),
            session: None,
            next: 0,
            complaints: Vec::new(),
            events: Vec::new(),
            _directory: directory,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &target);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            browser.call(domain, &json!({}));
        }
        browser
    }

    /// Carries out a command and waits for its answer.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.hear();
            if answer["id"] == json!(id) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Opens a page and waits until it is loaded, with everything it wants.
    pub(crate) fn open(&mut self, url: &str) {
        self.complaints.clear();
        self.events.clear();
        let gone = self.call("Page.navigate", &json!({ "url": url }));
        // Within a page, as to another packet of it, nothing is loaded.
        if gone.get("loaderId").is_none() {
            return;
        }
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            self.hear();
        }
    }

    /// Which addresses the page asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        let asked =
            self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        asked
            .filter_map(|event| event["params"]["request"]["url"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
        });
        let result = self.call("Runtime.evaluate", &params);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    fn hear(&mut self) -> Value {
        let message = self.messages.recv_timeout(SILENCE).expect("the browser answers");
        let method = message["method"].as_str().unwrap_or_default();
        match method {
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded" => {
                self.complaints.push(message.clone());
            }
            _ => {}
        }
        if !method.is_empty() {
            self.events.push(message.clone());
        }
        message
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Messages end with a zero byte.
fn heard(output: File) -> Receiver<Value> {
    let (sender, messages) = mpsc::channel();
    thread::spawn(move || {
        for message in BufReader::new(output).split(0).map_while(Result::ok) {
            let sent = serde_json::from_slice(&message).map(|value| sender.send(value));
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
    });
    messages
}
