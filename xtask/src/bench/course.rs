//! A closed loop: frames go in at one end, and are counted at the other. The rows about redirectors and
//! comparers have their subjects between the two.

use std::{
    any::Any,
    io::Read,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    BenchError,
    lap::{Lap, timed},
};

/// Frames whose times are taken.
const PACED: usize = 20_000;

/// Without an arrival for so long, frames were lost.
const LOST: Duration = Duration::from_secs(5);

/// Frames between two looks at what has arrived: the most that are sent at once.
pub(super) const BURST: u64 = 32;

/// Sends so many frames.
type Send = Box<dyn FnMut(usize) -> Result<(), BenchError>>;

/// A way for frames, from where they are sent to where they arrive.
pub(super) struct Course {
    send: Send,
    /// How many frames have arrived.
    pub(super) arrived: Arc<AtomicU64>,
    /// When each frame arrived, while somebody wants to know.
    pub(super) times: Arc<Mutex<Option<Vec<Instant>>>>,
    /// Frames that may be on their way: surely none of so many is dropped.
    window: u64,
    /// What has to live as long.
    kept: Vec<Box<dyn Any>>,
}

impl Course {
    /// `send` sends so many frames, [`BURST`] at most in a lap; whoever counts the arrivals does it in
    /// [`Course::arrived`].
    pub(super) fn new(
        window: u64,
        send: impl FnMut(usize) -> Result<(), BenchError> + 'static,
    ) -> Self {
        let send = Box::new(send);
        Self { send, arrived: Arc::default(), times: Arc::default(), window, kept: Vec::new() }
    }

    /// Something lives as long as the course does.
    pub(super) fn keep(&mut self, something: impl Any) {
        self.kept.push(Box::new(something));
    }

    /// Counts the frames of a stream, each of so many bytes with its framing.
    pub(super) fn read(&mut self, mut stream: UnixStream, each: usize) {
        let counter = Arc::clone(&self.arrived);
        thread::spawn(move || {
            let (mut bytes, mut piece) = (0, vec![0; 256 << 10]);
            while let Ok(read @ 1..) = stream.read(&mut piece) {
                bytes += read as u64;
                counter.store(bytes / each as u64, Ordering::Relaxed);
            }
        });
    }

    pub(super) fn into_lap(mut self, frames: u32) -> Lap {
        Box::new(move || self.lap(frames))
    }

    /// Sends so many frames, and waits for them.
    pub(super) fn lap(&mut self, frames: u32) -> Result<Duration, BenchError> {
        let (start, frames) = (self.arrived.load(Ordering::Relaxed), u64::from(frames));
        let (mut sent, mut seen, mut since) = (0, 0, Instant::now());
        timed(|| {
            loop {
                let arrived = self.arrived.load(Ordering::Relaxed) - start;
                if arrived >= frames {
                    return Ok(());
                }
                if arrived > seen {
                    (seen, since) = (arrived, Instant::now());
                } else if since.elapsed() > LOST {
                    let text = format!("{} of {sent} frames have not arrived", sent - arrived);
                    return Err(BenchError::Wrong(text));
                }
                if sent == frames || sent - arrived + BURST > self.window {
                    thread::yield_now();
                    continue;
                }
                let burst = BURST.min(frames - sent);
                (self.send)(burst as usize)?;
                sent += burst;
            }
        })
    }

    /// The highest rate without loss, in frames a second: the better one of two laps.
    pub(super) fn peak(&mut self, frames: u32) -> Result<f64, BenchError> {
        let fastest = self.lap(frames)?.min(self.lap(frames)?);
        Ok(f64::from(frames) / fastest.as_secs_f64())
    }

    /// Sends frames at a rate; how many, and how many arrived.
    pub(super) fn paced(&mut self, rate: f64, time: Duration) -> Result<(u64, u64), BenchError> {
        let (start, begun) = (self.arrived.load(Ordering::Relaxed), Instant::now());
        let (mut sent, mut skipped) = (0, 0);
        while begun.elapsed() < time {
            let due = (begun.elapsed().as_secs_f64() * rate) as u64 - skipped;
            if sent >= due {
                thread::yield_now();
                continue;
            }
            // After a pause of this process the rest is not sent at once, which would be no pace.
            let burst = (due - sent).min(BURST * BURST);
            skipped += due - sent - burst;
            (self.send)(burst as usize)?;
            sent += burst;
        }
        let (mut arrived, mut since) = (0, Instant::now());
        while arrived < sent && since.elapsed() < LOST {
            let now = self.arrived.load(Ordering::Relaxed) - start;
            if now > arrived {
                (arrived, since) = (now, Instant::now());
            }
            thread::yield_now();
        }
        Ok((sent, arrived))
    }

    /// Sends frames one by one at a rate; the quantile of the times until they arrive, in their order.
    pub(super) fn latency(&mut self, rate: f64, quantile: f64) -> Result<Duration, BenchError> {
        let poisoned = || BenchError::Wrong("the reader of a TAP has failed".to_owned());
        *self.times.lock().map_err(|_| poisoned())? = Some(Vec::with_capacity(PACED));
        let (start, begun) = (self.arrived.load(Ordering::Relaxed), Instant::now());
        let mut sent = Vec::with_capacity(PACED);
        while sent.len() < PACED {
            let on_their_way = sent.len() as u64 - (self.arrived.load(Ordering::Relaxed) - start);
            let is_early = sent.len() as f64 > begun.elapsed().as_secs_f64() * rate;
            // After a pause of this process the rest is not sent at once.
            if is_early || on_their_way >= self.window {
                thread::yield_now();
                continue;
            }
            sent.push(Instant::now());
            (self.send)(1)?;
        }
        let until = Instant::now() + LOST;
        while self.arrived.load(Ordering::Relaxed) - start < PACED as u64 {
            if Instant::now() > until {
                return Err(BenchError::Wrong("frames at half the peak were lost".to_owned()));
            }
            thread::yield_now();
        }
        let arrived = self.times.lock().map_err(|_| poisoned())?.take().unwrap_or_default();
        let mut took: Vec<Duration> =
            sent.iter().zip(&arrived).map(|(from, to)| *to - *from).collect();
        took.sort_unstable();
        let at = (took.len().saturating_sub(1) as f64 * quantile) as usize;
        took.get(at).copied().ok_or_else(|| BenchError::Wrong("no frame arrived".to_owned()))
    }
}
