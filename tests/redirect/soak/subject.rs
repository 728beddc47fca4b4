//! What a soak has its faults in: redirectors with the guests and peers around them. Each does a fault a
//! round, sees that all is well again, and knows where every frame went.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Instant,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};
use tapwright::{
    machine::framing::encode,
    sys::{Tap, TapHeader},
};

use crate::lab::{LONGEST, Lab, Redirect, frame, is_empty, number, readable, receive, write_frame};

/// Bytes of a frame.
const SIZE: usize = 1000;

/// Frames that are sent to an end that is not there.
const FEW: u32 = 10;

/// More than a TAP's queue holds.
const MANY: u32 = 1_500;

/// Where the frames went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) arrived: u64,
    pub(super) dropped: u64,
    /// While nobody captured.
    pub(super) unseen: u64,
    /// A peer had them, and went without reading them.
    pub(super) thrown: u64,
}

impl Tally {
    fn assert_adds_up(self) -> Self {
        let Self { sent, arrived, dropped, unseen, thrown } = self;
        assert_eq!(sent, arrived + dropped + unseen + thrown, "{self:?}");
        self
    }
}

/// Redirectors and who is around them.
pub(super) trait Subject {
    /// Does one fault, and leaves with everything as it was.
    fn round(&mut self, lab: &Lab, round: u32);

    fn redirects(&mut self) -> Vec<&mut Redirect>;

    /// Those of them that were there from the beginning.
    fn lasting(&mut self) -> Vec<&mut Redirect> {
        self.redirects()
    }

    fn end(self: Box<Self>) -> Tally;
}

/// The counters of a line.
struct Counts(String);

impl Counts {
    fn of(redirect: &mut Redirect) -> Self {
        Self(redirect.counters())
    }

    /// Ends a redirector; how many frames it dropped.
    fn at_end(mut redirect: Redirect) -> u64 {
        let dropped = Self::of(&mut redirect).dropped();
        redirect.end();
        dropped
    }

    /// The number behind a name; those that are zero are not in the line.
    fn get(&self, name: &str) -> u64 {
        let behind = self.0.split([',', ':']).find_map(|part| part.trim().strip_prefix(name));
        let number = behind.and_then(|rest| rest.split_whitespace().next());
        number.map_or(0, |number| number.parse().unwrap())
    }

    fn taken(&self) -> u64 {
        self.get("in ")
    }

    fn gone(&self) -> u64 {
        self.get("out ")
    }

    fn kernel_drops(&self) -> u64 {
        self.get("kernel_dropped_packets ")
    }

    /// Frames that came in, or would have, and did not go out.
    fn dropped(&self) -> u64 {
        self.kernel_drops() + self.taken() - self.gone()
    }

    /// Nothing is on its way any more.
    fn is_quiet(&self, sent: u64) -> bool {
        self.taken() + self.kernel_drops() == sent && self.0.contains(" 0 held")
    }
}

/// Asks a redirector for its counters until they are as they should be.
fn until(redirect: &mut Redirect, what: &str, mut is: impl FnMut(&Counts) -> bool) -> Counts {
    let end = Instant::now() + LONGEST;
    loop {
        let counts = Counts::of(redirect);
        if is(&counts) {
            return counts;
        }
        assert!(Instant::now() < end, "never {what}: {}", counts.0);
    }
}

/// Takes what waits for a TAP's guest, which follows what came before; how many frames.
fn drain(tap: &Tap) -> u64 {
    let (mut count, mut last) = (0, None);
    while !is_empty(tap) {
        let (_, data) = receive(tap);
        let got = number(&data);
        assert_eq!(data, frame(got, SIZE));
        assert!(last < Some(got), "{got} comes behind {last:?}");
        (count, last) = (count + 1, Some(got));
    }
    count
}

/// From TAP to TAP.
pub(super) struct Between {
    redirect: Redirect,
    taps: Option<(Tap, Tap)>,
    sent: u64,
    arrived: u64,
    input_reconnects: u64,
    output_reconnects: u64,
}

impl Between {
    const NAMES: [&str; 2] = ["soak0", "soak1"];

    pub(super) fn open(lab: &Lab) -> Self {
        let [from, to] = Self::NAMES;
        let taps = Self::NAMES.map(|name| lab.tap(name, TapHeader::None));
        let ends = ["--in-netdev", from, "--out-netdev", to, "--queue", "rx"];
        let redirect = lab.redirect(&ends);
        let [from, to] = taps;
        Self {
            redirect,
            taps: Some((from, to)),
            sent: 0,
            arrived: 0,
            input_reconnects: 0,
            output_reconnects: 0,
        }
    }

    fn send(&mut self, count: u32) {
        let (from, _) = self.taps.as_ref().unwrap();
        for _ in 0..count {
            from.write(&[], &frame(self.sent as u32, SIZE)).unwrap();
            self.sent += 1;
        }
    }

    /// Waits until all that was sent has arrived or is counted.
    fn settle(&mut self) {
        let sent = self.sent;
        let counts = until(&mut self.redirect, "all", |counts| counts.is_quiet(sent));
        self.arrived += drain(&self.taps.as_ref().unwrap().1);
        assert_eq!(self.arrived, counts.gone(), "{}", counts.0);
    }

    /// Deletes an end's TAP and makes another one of its name.
    fn replace(&mut self, lab: &Lab, is_input: bool) {
        let (from, to) = self.taps.take().unwrap();
        let [gone, kept] = if is_input { [from, to] } else { [to, from] };
        let name = gone.name().to_string();
        lab.delete(gone);
        if !is_input {
            for _ in 0..FEW {
                kept.write(&[], &frame(self.sent as u32, SIZE)).unwrap();
                self.sent += 1;
            }
            let sent = self.sent;
            until(&mut self.redirect, "none held", |counts| counts.is_quiet(sent));
        }
        let new = lab.tap(&name, TapHeader::None);
        let (counter, expected) = match is_input {
            true => ("input_reconnects ", &mut self.input_reconnects),
            false => ("output_reconnects ", &mut self.output_reconnects),
        };
        *expected += 1;
        until(&mut self.redirect, counter, |counts| counts.get(counter) == *expected);
        self.taps = Some(if is_input { (new, kept) } else { (kept, new) });
    }
}

impl Subject for Between {
    fn round(&mut self, lab: &Lab, round: u32) {
        match round % 5 {
            0 => [false, true].into_iter().for_each(|up| lab.set_up(Self::NAMES[0], up)),
            1 => {
                lab.set_up(Self::NAMES[1], false);
                self.send(FEW);
                self.settle();
                lab.set_up(Self::NAMES[1], true);
            }
            2 => self.replace(lab, true),
            3 => self.replace(lab, false),
            // The guest stalls.
            _ => self.send(MANY),
        }
        self.settle();
        self.send(FEW);
        let before = self.arrived;
        self.settle();
        assert_eq!(self.arrived, before + u64::from(FEW), "all is well again");
    }

    fn redirects(&mut self) -> Vec<&mut Redirect> {
        vec![&mut self.redirect]
    }

    fn end(self: Box<Self>) -> Tally {
        let Self { redirect, sent, arrived, .. } = *self;
        let dropped = Counts::at_end(redirect);
        Tally { sent, arrived, dropped, ..Tally::default() }.assert_adds_up()
    }
}

/// From a TAP to a socket, whose reader is here.
pub(super) struct Outward {
    redirect: Redirect,
    tap: Tap,
    path: PathBuf,
    stream: UnixStream,
    sent: u64,
    /// Bytes of the stream that were read, and that are thrown away with a connection.
    read: u64,
    thrown: u64,
    reconnects: u64,
}

/// Bytes of a frame in a stream.
const FRAMED: u64 = 4 + SIZE as u64;

impl Outward {
    pub(super) fn open(lab: &Lab, folder: &Path) -> Self {
        let tap = lab.tap("soak2", TapHeader::None);
        let path = folder.join("out");
        let outdev = format!("unix:{},server", path.display());
        let ends = ["--in-netdev", "soak2", "--outdev", &outdev, "--queue", "rx"];
        let mut redirect = lab.redirect(&[&ends[..], &["--backlog", "256"]].concat());
        let stream = Self::connect(&path);
        redirect.line(": connected");
        Self { redirect, tap, path, stream, sent: 0, read: 0, thrown: 0, reconnects: 0 }
    }

    fn connect(path: &Path) -> UnixStream {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    fn send(&mut self, count: u32) {
        for _ in 0..count {
            self.tap.write(&[], &frame(self.sent as u32, SIZE)).unwrap();
            self.sent += 1;
        }
    }

    /// Reads until all that was sent has come or is counted.
    fn settle(&mut self) {
        let Self { redirect, stream, read, thrown, sent, .. } = self;
        let mut piece = vec![0; 64 << 10];
        until(redirect, "all read", |counts| {
            loop {
                match stream.read(&mut piece) {
                    Ok(0) => panic!("it has hung up: {}", counts.0),
                    Ok(count) => *read += count as u64,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}: {}", counts.0),
                }
            }
            counts.is_quiet(*sent) && *read + *thrown == FRAMED * counts.gone()
        });
    }

    /// Bytes that wait to be read.
    fn waiting(&self) -> u64 {
        let mut all = vec![0; 1 << 20];
        match recv(self.stream.as_raw_fd(), &mut all, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok(count) => count as u64,
            Err(Errno::EAGAIN) => 0,
            Err(errno) => panic!("{errno}"),
        }
    }

    /// Breaks the connection off, sends frames to nobody, and connects again.
    fn reconnect(&mut self) {
        self.thrown += self.waiting();
        // What is replaced is closed.
        let (old, _) = UnixStream::pair().unwrap();
        drop(std::mem::replace(&mut self.stream, old));
        self.send(FEW);
        let sent = self.sent;
        until(&mut self.redirect, "none held", |counts| counts.is_quiet(sent));
        self.stream = Self::connect(&self.path);
        self.reconnects += 1;
        let expected = self.reconnects;
        let name = "output_reconnects ";
        until(&mut self.redirect, name, |counts| counts.get(name) == expected);
    }
}

impl Subject for Outward {
    fn round(&mut self, _: &Lab, round: u32) {
        match round % 3 {
            // The reader stalls until the ring is full too.
            0 => {
                let before = Counts::of(&mut self.redirect).kernel_drops();
                let end = Instant::now() + LONGEST;
                while Counts::of(&mut self.redirect).kernel_drops() == before {
                    assert!(Instant::now() < end, "the ring is never full");
                    self.send(200);
                }
            }
            // It resets: it goes without having read what it was sent.
            1 => {
                self.send(FEW);
                let sent = self.sent;
                until(&mut self.redirect, "all written", |counts| counts.is_quiet(sent));
                self.reconnect();
            }
            // It talks where it should listen, and goes.
            _ => {
                self.stream.write_all(b"nobody reads this").unwrap();
                self.reconnect();
            }
        }
        self.settle();
        self.send(FEW);
        let before = self.read;
        self.settle();
        assert_eq!(self.read, before + u64::from(FEW) * FRAMED, "all is well again");
    }

    fn redirects(&mut self) -> Vec<&mut Redirect> {
        vec![&mut self.redirect]
    }

    fn end(self: Box<Self>) -> Tally {
        let Self { redirect, sent, read, thrown, .. } = *self;
        let dropped = Counts::at_end(redirect);
        let [arrived, thrown] = [read, thrown].map(|bytes| bytes / FRAMED);
        Tally { sent, arrived, dropped, thrown, unseen: 0 }.assert_adds_up()
    }
}

/// From a socket, whose writer is here, to a TAP.
pub(super) struct Inward {
    redirect: Redirect,
    tap: Tap,
    path: PathBuf,
    stream: UnixStream,
    sent: u64,
    arrived: u64,
    cut: u64,
    broken: u64,
}

impl Inward {
    pub(super) fn open(lab: &Lab, folder: &Path) -> Self {
        let tap = lab.tap("soak3", TapHeader::None);
        let path = folder.join("in");
        let indev = format!("unix:{},server", path.display());
        let redirect = lab.redirect(&["--indev", &indev, "--out-netdev", "soak3"]);
        let stream = Self::connect(&path);
        Self { redirect, tap, path, stream, sent: 0, arrived: 0, cut: 0, broken: 0 }
    }

    fn connect(path: &Path) -> UnixStream {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        stream.set_write_timeout(Some(LONGEST)).unwrap();
        stream
    }

    fn send(&mut self, count: u32) {
        for _ in 0..count {
            write_frame(&mut self.stream, &frame(self.sent as u32, SIZE), None);
            self.sent += 1;
        }
    }

    fn settle(&mut self) {
        let Self { redirect, sent, cut, broken, .. } = self;
        let counts = until(redirect, "all injected", |counts| {
            let ends = (counts.get("incomplete_frames "), counts.get("bad_lengths "));
            counts.is_quiet(*sent) && ends == (*cut, *broken)
        });
        self.arrived += drain(&self.tap);
        assert_eq!(self.arrived, counts.gone(), "{}", counts.0);
    }
}

impl Subject for Inward {
    fn round(&mut self, _: &Lab, round: u32) {
        self.send(FEW);
        match round % 4 {
            // It is hung up on.
            0 => {
                self.stream.write_all(&[0xff; 1000]).unwrap();
                let end = self.stream.read(&mut [0]);
                assert!(!matches!(end, Ok(1..)), "{end:?}");
                self.broken += 1;
                self.stream = Self::connect(&self.path);
            }
            // It goes in the middle of a frame.
            1 => {
                self.stream.write_all(&encode(&frame(0, SIZE), None)[..SIZE / 2]).unwrap();
                self.cut += 1;
                self.stream = Self::connect(&self.path);
            }
            // It writes byte for byte.
            2 => {
                for byte in encode(&frame(self.sent as u32, SIZE), None) {
                    self.stream.write_all(&[byte]).unwrap();
                }
                self.sent += 1;
            }
            // The guest stalls.
            _ => self.send(MANY),
        }
        self.settle();
        self.send(FEW);
        let before = self.arrived;
        self.settle();
        assert_eq!(self.arrived, before + u64::from(FEW), "all is well again");
    }

    fn redirects(&mut self) -> Vec<&mut Redirect> {
        vec![&mut self.redirect]
    }

    fn end(self: Box<Self>) -> Tally {
        let Self { redirect, sent, arrived, .. } = *self;
        let dropped = Counts::at_end(redirect);
        Tally { sent, arrived, dropped, ..Tally::default() }.assert_adds_up()
    }
}

/// From TAP to TAP through two redirectors, which are killed in turn.
pub(super) struct Pair {
    captures: Option<Redirect>,
    injects: Option<Redirect>,
    taps: [Tap; 2],
    wire: PathBuf,
    sent: u64,
    arrived: u64,
    unseen: u64,
    kills: u64,
    /// What those that were killed had counted.
    captured: Life,
    injected: Life,
}

/// What a redirector has counted, or several one after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    /// With what the kernel had no room for.
    taken: u64,
    gone: u64,
    dropped: u64,
}

impl Life {
    fn add(&mut self, counts: &Counts) {
        self.taken += counts.taken() + counts.kernel_drops();
        self.gone += counts.gone();
        self.dropped += counts.dropped();
    }
}

impl Pair {
    pub(super) fn open(lab: &Lab, folder: &Path) -> Self {
        let taps = ["soak4", "soak5"].map(|name| lab.tap(name, TapHeader::None));
        let wire = folder.join("wire");
        let mut injects = Self::injects(lab, &wire);
        let captures = Self::captures(lab, &wire);
        injects.line(": connected");
        Self {
            captures: Some(captures),
            injects: Some(injects),
            taps,
            wire,
            sent: 0,
            arrived: 0,
            unseen: 0,
            kills: 0,
            captured: Life::default(),
            injected: Life::default(),
        }
    }

    /// Connected once it is ready.
    fn captures(lab: &Lab, wire: &Path) -> Redirect {
        let outdev = format!("unix:{},reconnect-ms=1", wire.display());
        lab.redirect(&["--in-netdev", "soak4", "--outdev", &outdev, "--queue", "rx"])
    }

    fn injects(lab: &Lab, wire: &Path) -> Redirect {
        let indev = format!("unix:{},server", wire.display());
        lab.redirect(&["--indev", &indev, "--out-netdev", "soak5"])
    }

    fn send(&mut self, count: u32) {
        for _ in 0..count {
            self.taps[0].write(&[], &frame(self.sent as u32, SIZE)).unwrap();
            self.sent += 1;
        }
    }

    /// Sends what arrives.
    fn pass(&mut self) {
        for _ in 0..FEW {
            let number = self.sent as u32;
            self.send(1);
            if !readable(self.taps[1].as_fd(), LONGEST) {
                let counters: Vec<String> =
                    self.redirects().into_iter().map(|redirect| redirect.counters()).collect();
                panic!("frame {number} does not arrive: {counters:#?}");
            }
            assert_eq!(receive(&self.taps[1]).1, frame(number, SIZE));
            self.arrived += 1;
        }
    }

    /// Waits until the one that captures has taken all that was sent while it lived.
    fn captured(&mut self) -> Counts {
        let sent = self.sent - self.unseen - self.captured.taken;
        let captures = self.captures.as_mut().unwrap();
        until(captures, "all taken", |counts| counts.is_quiet(sent))
    }
}

impl Subject for Pair {
    fn round(&mut self, lab: &Lab, round: u32) {
        self.pass();
        self.kills += 1;
        if round.is_multiple_of(2) {
            let mut injects = self.injects.take().unwrap();
            self.injected.add(&Counts::of(&mut injects));
            injects.kill();
            self.send(FEW);
            self.captured();
            self.injects.insert(Self::injects(lab, &self.wire)).line(": connected");
        } else {
            let counts = self.captured();
            self.captured.add(&counts);
            self.captures.take().unwrap().kill();
            self.send(FEW);
            self.unseen += u64::from(FEW);
            self.captures = Some(Self::captures(lab, &self.wire));
        }
        self.pass();
    }

    fn redirects(&mut self) -> Vec<&mut Redirect> {
        self.captures.iter_mut().chain(&mut self.injects).collect()
    }

    /// Neither of them.
    fn lasting(&mut self) -> Vec<&mut Redirect> {
        Vec::new()
    }

    fn end(mut self: Box<Self>) -> Tally {
        let counts = self.captured();
        self.captured.add(&counts);
        let mut injects = self.injects.take().unwrap();
        self.injected.add(&Counts::of(&mut injects));
        self.captures.take().unwrap().end();
        injects.end();
        let Self { sent, arrived, unseen, kills, captured, injected, .. } = *self;
        assert_eq!(arrived, injected.gone);
        // The socket of one that dies may take a connection a moment longer than the process has lived.
        let thrown = captured.gone - injected.taken;
        assert!(thrown <= kills * u64::from(FEW), "{thrown} frames after {kills} kills");
        let dropped = captured.dropped + injected.dropped;
        Tally { sent, arrived, dropped, unseen, thrown }.assert_adds_up()
    }
}
