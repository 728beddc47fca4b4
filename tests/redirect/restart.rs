//! A redirector that is killed and started again under traffic: what is lost is known, and nothing
//! else happens: no frame twice, none changed, none in another place.

use std::{
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use tapwright::sys::{Tap, TapHeader};

use crate::{
    Try,
    lab::{LONGEST, Lab, assert_accounted, counter, frame, number, receive},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("the_one_that_captures", the_one_that_captures),
    ("the_one_that_injects", the_one_that_injects),
];

/// Frames that may be on their way at once: fewer than a TAP's queue, and a socket, hold.
const WINDOW: u32 = 50;

/// The last frame, which is sent until it has arrived.
const LAST: u32 = u32::MAX;

const SIZE: usize = 200;

/// How frames are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// As fast as they arrive.
    Window,
    /// So many that do not arrive, then none.
    Lost(u32),
    /// No more.
    End,
}

/// Frames that are sent while nobody captures, or nobody injects.
const LOST: u32 = 200;

/// What the sender and the receiver know of each other.
struct Traffic {
    /// The number of the last frame that arrived, or that is not waited for.
    arrived: AtomicU32,
    pace: Mutex<Pace>,
    changed: Condvar,
}

impl Traffic {
    fn set(&self, pace: Pace) {
        *self.pace.lock().unwrap() = pace;
        self.changed.notify_all();
    }

    /// Sends what does not arrive, and no more until [`Traffic::set`].
    fn lose(&self) {
        self.set(Pace::Lost(LOST));
        let pace = self.pace.lock().unwrap();
        let goes_on = |pace: &mut Pace| *pace != Pace::Lost(0);
        let waited = self.changed.wait_timeout_while(pace, LONGEST, goes_on).unwrap();
        assert!(!waited.1.timed_out(), "nobody sends");
    }
}

/// Ends the traffic with the one who holds it: where one of them fails, the others must not go on.
struct Ends<'a>(&'a Traffic);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.set(Pace::End);
    }
}

/// Sends numbered frames without a pause, as fast as they arrive, and while `work` runs; the numbers
/// of those that arrived, and how many were sent.
fn under_traffic(from: &Tap, to: &Tap, work: impl FnOnce(&Traffic)) -> (Vec<u32>, u64) {
    let traffic = Traffic {
        arrived: AtomicU32::new(0),
        pace: Mutex::new(Pace::Window),
        changed: Condvar::new(),
    };
    let (told, tells) = mpsc::channel();
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut next: u32 = 1;
            let send = |number| from.write(&[], &frame(number, SIZE)).unwrap();
            loop {
                let mut pace = traffic.pace.lock().unwrap();
                match *pace {
                    Pace::Window => {
                        drop(pace);
                        let ahead = next.saturating_sub(traffic.arrived.load(Ordering::SeqCst));
                        if ahead >= WINDOW {
                            thread::yield_now();
                            continue;
                        }
                    }
                    Pace::Lost(0) => {
                        drop(traffic.changed.wait(pace).unwrap());
                        continue;
                    }
                    Pace::Lost(left) => {
                        // What is lost is not waited for. What was sent before may still arrive, and
                        // must not be what is waited for then.
                        traffic.arrived.fetch_max(next, Ordering::SeqCst);
                        *pace = Pace::Lost(left - 1);
                        traffic.changed.notify_all();
                    }
                    Pace::End => break,
                }
                send(next);
                next += 1;
            }
            send(LAST);
            u64::from(next)
        });
        let receiving = scope.spawn(|| {
            let _ends = Ends(&traffic);
            let mut arrived = Vec::new();
            loop {
                let (_, data) = receive(to);
                let got = number(&data);
                assert_eq!(data, frame(got, SIZE));
                if got == LAST {
                    return arrived;
                }
                arrived.push(got);
                traffic.arrived.fetch_max(got, Ordering::SeqCst);
                // Nobody listens after the end.
                let _ = told.send(got);
            }
        });
        let ends = Ends(&traffic);
        // Some frames before, and some after.
        wait(&tells, 500);
        work(&traffic);
        wait(&tells, 500);
        drop(ends);
        let sent = sending.join().unwrap();
        (receiving.join().unwrap(), sent)
    })
}

/// Waits until so many more frames have arrived.
fn wait(tells: &mpsc::Receiver<u32>, frames: usize) {
    tells.try_iter().for_each(drop);
    (0..frames).for_each(|_| {
        tells.recv_timeout(LONGEST).unwrap();
    });
}

/// The frames that are missing, which follow each other.
fn missing(arrived: &[u32], sent: u64) -> u64 {
    assert_eq!(arrived[0], 1);
    let gaps: Vec<(u32, u32)> = arrived
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|(one, other)| *other != one + 1)
        .collect();
    assert!(gaps.iter().all(|(one, other)| one < other), "none comes twice or late: {gaps:?}");
    assert_eq!(gaps.len(), 1, "one gap: {gaps:?}");
    // The last one counts as sent and has no number.
    assert_eq!(u64::from(arrived[arrived.len() - 1]), sent - 1, "all after the gap arrive");
    u64::from(gaps[0].1 - gaps[0].0 - 1)
}

/// Frames that came from a TAP's guest, by the interface's own count.
fn received(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}:"))).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn the_one_that_captures(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let path = lab.path("wire");
    let (indev, outdev) =
        (format!("unix:{},server", path.display()), format!("unix:{}", path.display()));
    let mut injects = lab.redirect(&["--indev", &indev, "--out-netdev", "tap1"]);
    let captures = ["--in-netdev", "tap0", "--outdev", &outdev, "--queue", "rx"];
    let first = lab.redirect(&captures);
    injects.line(": connected");
    let mut second = None;
    let (arrived, sent) = under_traffic(&from, &to, |traffic| {
        first.kill();
        injects.line(": disconnected");
        traffic.lose();
        second = Some(lab.redirect(&captures));
        injects.line(": connected");
        traffic.set(Pace::Window);
    });
    assert_eq!(received("tap0"), sent);
    let lost = missing(&arrived, sent);
    let captured = second.unwrap().end();
    injects.line(": disconnected");
    let injected = injects.end();
    assert_accounted(&captured);
    assert_accounted(&injected);
    // The one that goes on knows what arrived, and that at most a frame was cut.
    assert_eq!(counter(&injected, "/out/packets"), arrived.len() as u64 + 1);
    assert_eq!(counter(&injected, "/out/packets") + lost, sent);
    assert!(counter(&injected, "/in/incomplete") <= 1);
    assert_eq!(counter(&injected, "/in/reconnects"), 1);
    assert_eq!(counter(&captured, "/in/kernel_drops"), 0);
}

fn the_one_that_injects(lab: &Lab) {
    let (from, to) = (lab.tap("tap0", TapHeader::None), lab.tap("tap1", TapHeader::None));
    let path = lab.path("wire");
    let indev = format!("unix:{},server", path.display());
    let outdev = format!("unix:{},reconnect-ms=1", path.display());
    let injects = ["--indev", &indev, "--out-netdev", "tap1"];
    let mut first = lab.redirect(&injects);
    let mut captures = lab.redirect(&["--in-netdev", "tap0", "--outdev", &outdev, "--queue", "rx"]);
    first.line(": connected");
    let mut second = None;
    let (arrived, sent) = under_traffic(&from, &to, |traffic| {
        first.kill();
        captures.line(": disconnected");
        traffic.lose();
        second.insert(lab.redirect(&injects)).line(": connected");
        traffic.set(Pace::Window);
    });
    let lost = missing(&arrived, sent);
    let captured = captures.end();
    let injected = second.unwrap().end();
    assert_accounted(&captured);
    assert_accounted(&injected);
    // All were captured. What was written to the one that was killed and not injected is the rest.
    assert_eq!(counter(&captured, "/in/packets"), sent, "{captured}");
    let drops =
        counter(&captured, "/drops/not_connected") + counter(&captured, "/drops/disconnected");
    let written = counter(&captured, "/out/packets");
    assert_eq!(written + drops, sent);
    assert!(drops <= lost && lost - drops <= written - arrived.len() as u64, "{lost} {captured}");
    // The socket of one that dies may take a connection a moment longer than the process has lived.
    assert!(counter(&captured, "/out/reconnects") >= 1);
}
