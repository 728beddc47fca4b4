//! A fresh network namespace with TAPs, and redirectors that run in it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            net::{UnixListener, UnixStream},
            process::ExitStatusExt,
        },
    },
    path::PathBuf,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tapwright::{
    backend::netns::Network,
    machine::framing::encode,
    sys::{InterfaceIndex, Isolated, PacketOptions, PacketSocket, Tap, TapHeader, enter_fresh},
};
use test_support::command;

/// A namespace that holds what a trial makes in it.
pub(crate) struct Lab {
    pub(crate) isolated: Isolated,
    pub(crate) network: Network,
}

/// How long anything may take before the trial has failed.
pub(crate) const LONGEST: Duration = Duration::from_secs(180);

impl Lab {
    /// The calling thread's namespace from now on.
    pub(crate) fn new(isolated: Isolated) -> Self {
        enter_fresh(&isolated).unwrap();
        let network = Network::open(&isolated).unwrap();
        Self { isolated, network }
    }

    /// A TAP that is up.
    pub(crate) fn tap(&self, name: &str, header: TapHeader) -> Tap {
        let tap = Tap::create(&self.isolated, &name.parse().unwrap(), header, false).unwrap();
        self.set_up(name, true);
        tap
    }

    /// Deletes an interface. To close its descriptor alone would leave it for as long as a child that
    /// another trial starts has a copy.
    pub(crate) fn delete(&self, tap: Tap) {
        self.network.delete(self.network.index(tap.name()).unwrap()).unwrap();
    }

    pub(crate) fn set_up(&self, name: &str, up: bool) {
        let index = self.network.index(&name.parse().unwrap()).unwrap();
        self.network.set_up(index, up).unwrap();
    }

    /// A packet socket on an interface: what the host sends and sees there.
    pub(crate) fn host(&self, name: &str) -> PacketSocket {
        let index = InterfaceIndex::of(&name.parse().unwrap()).unwrap();
        PacketSocket::open(&self.isolated, index, PacketOptions::default()).unwrap()
    }

    /// A name for a socket that nothing else has.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.isolated.directory().join(self.isolated.unique(name))
    }

    /// A redirector, once it is ready.
    pub(crate) fn redirect(&self, arguments: &[&str]) -> Redirect {
        let mut redirect = self.start(arguments);
        redirect.line("redirect: ready");
        redirect
    }

    /// A redirector that may not become ready.
    pub(crate) fn start(&self, arguments: &[&str]) -> Redirect {
        let mut child = command(self.isolated.directory(), &["redirect"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Redirect {
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            child,
            said: String::new(),
            notices: 0,
        }
    }
}

/// What a child writes, line by line, read as it comes: a pipe that is full would stop the child.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sends, receives) = channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = String::new();
        while pipe.read_line(&mut line).is_ok_and(|read| read > 0) {
            // A trial that has ended wants no more, but the child may still write.
            let _ = sends.send(std::mem::take(&mut line));
        }
    });
    receives
}

/// A redirector that runs.
pub(crate) struct Redirect {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// What it has said, as far as it is no more than [`REMEMBERED`].
    said: String,
    /// Lines of it that nobody asked for.
    notices: u64,
}

/// Bytes: enough for every trial but those that run for hours.
const REMEMBERED: usize = 1 << 20;

/// What a line with counters has.
const COUNTERS: &str = "redirect: in ";

impl Redirect {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard error that holds this. Lines before it are gone.
    pub(crate) fn line(&mut self, part: &str) -> String {
        let until = Instant::now() + LONGEST;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.stderr.recv_timeout(left) {
                Ok(line) => {
                    self.hear(&line);
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(error) => panic!("no line has '{part}', {error}:\n{}", self.said),
            }
        }
    }

    fn hear(&mut self, line: &str) {
        self.notices += u64::from(!line.contains(COUNTERS));
        if self.said.len() > REMEMBERED {
            self.said.clear();
        }
        self.said += line;
    }

    /// Lines on standard error, so far as they have been read, that are no counters.
    pub(crate) fn notices(&self) -> u64 {
        self.notices
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Ends it with SIGTERM, and gives its counters.
    pub(crate) fn end(self) -> Value {
        self.signal(Signal::SIGTERM);
        let (code, counters, said) = self.ended();
        assert_eq!(code, Some(0), "{said}");
        counters
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        assert_eq!(self.child.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
    }

    /// Its counters that are not zero, in a line.
    pub(crate) fn counters(&mut self) -> String {
        self.signal(Signal::SIGUSR1);
        self.line(COUNTERS)
    }

    /// Asks for its counters until they are as they should be; it has nothing else to do meanwhile.
    pub(crate) fn until(&mut self, part: &str) {
        self.until_after(part, || {});
    }

    /// The same, with something to do before it is asked again.
    pub(crate) fn until_after(&mut self, part: &str, mut meanwhile: impl FnMut()) {
        let until = Instant::now() + LONGEST;
        while !self.counters().contains(part) {
            assert!(Instant::now() < until, "never '{part}':\n{}", self.said);
            meanwhile();
        }
    }

    /// The first word behind a name of its `status` in /proc.
    pub(crate) fn status_text(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// The same as a number.
    pub(crate) fn status(&self, name: &str) -> u64 {
        self.status_text(name).parse().unwrap()
    }

    /// Its memory that is in use, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Waits until it has ended: its exit code, its counters, and what it said.
    pub(crate) fn ended(mut self) -> (Option<i32>, Value, String) {
        let until = Instant::now() + LONGEST;
        let mut out = String::new();
        for (from, to) in [(&self.stderr, &mut self.said), (&self.stdout, &mut out)] {
            loop {
                match from.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(line) => *to += &line,
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{to}"),
                }
            }
        }
        let status = self.child.wait().unwrap();
        let counters = serde_json::from_str(&out).unwrap_or(Value::Null);
        (status.code(), counters, std::mem::take(&mut self.said))
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A frame that says its number in every byte that may differ.
pub(crate) fn frame(number: u32, length: usize) -> Vec<u8> {
    let mut frame = vec![(number as u8) ^ 0x5a; length];
    frame[..14].copy_from_slice(b"\x52\x54\x00\x12\x34\x56\x02\x00\x00\x00\x00\x01\x88\xb5");
    if let Some(place) = frame.get_mut(14..18) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    frame
}

/// The number that a frame says.
pub(crate) fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[14..18].try_into().unwrap())
}

/// Waits until a descriptor is readable; whether it is.
pub(crate) fn readable(fd: BorrowedFd<'_>, longest: Duration) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::try_from(longest).unwrap()).unwrap() > 0
}

/// The next client of a socket.
pub(crate) fn accept(listener: &UnixListener) -> UnixStream {
    assert!(readable(listener.as_fd(), LONGEST), "nobody connects");
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LONGEST)).unwrap();
    stream
}

/// The next frame for a TAP's guest: header, frame.
pub(crate) fn receive(tap: &Tap) -> (Vec<u8>, Vec<u8>) {
    let mut header = vec![0; tap.header().len()];
    let mut frame = vec![0; 70_000];
    loop {
        if let Some(length) = tap.read(&mut header, &mut frame).unwrap() {
            frame.truncate(length);
            return (header, frame);
        }
        assert!(readable(tap.as_fd(), LONGEST), "no frame");
    }
}

/// Whether nothing waits for a TAP's guest.
pub(crate) fn is_empty(tap: &Tap) -> bool {
    !readable(tap.as_fd(), Duration::ZERO)
}

/// The next frame of a stream, with its virtio-net header's length where that is in it.
pub(crate) fn read_frame(stream: &mut UnixStream, vnet: bool) -> (Option<u32>, Vec<u8>) {
    let mut word = || {
        let mut word = [0; 4];
        stream.read_exact(&mut word).unwrap();
        u32::from_be_bytes(word)
    };
    let length = word();
    let vnet_len = vnet.then(&mut word);
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).unwrap();
    (vnet_len, frame)
}

pub(crate) fn write_frame(stream: &mut UnixStream, frame: &[u8], vnet_len: Option<u32>) {
    stream.write_all(&encode(frame, vnet_len)).unwrap();
}

/// A counter by its path in the object.
pub(crate) fn counter(counters: &Value, path: &str) -> u64 {
    let value = counters.pointer(path);
    value.and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {counters}"))
}

/// At its end: every frame that came in went out or was dropped for a reason.
pub(crate) fn assert_accounted(counters: &Value) {
    let drops = counters["drops"].as_object().unwrap();
    let drops: u64 = drops.values().map(|count| count.as_u64().unwrap()).sum();
    let [taken, gone, held] =
        ["/in/packets", "/out/packets", "/queue/packets"].map(|path| counter(counters, path));
    assert_eq!((taken, 0), (gone + drops, held), "{counters}");
}
