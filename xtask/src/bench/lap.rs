//! A row of the table: a subject and its baseline, each done once a lap, in turn. Every other file of
//! the bench makes some.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{
    BenchError,
    report::{Measured, Spread},
};

/// Does its work once and says how long that took; what it needs to prepare is not counted.
pub(super) type Lap = Box<dyn FnMut() -> Result<Duration, BenchError>>;

/// A lap that works in a folder, which is gone with it.
pub(super) fn keeping(folder: TempDir, mut lap: Lap) -> Lap {
    Box::new(move || {
        let _kept = &folder;
        lap()
    })
}

/// A subject and what it is compared with.
pub(super) struct Row {
    /// What the subject is, in a few words.
    pub(super) subject: (&'static str, Lap),
    pub(super) baseline: (&'static str, Lap),
    /// What a lap does many of: a frame, a case.
    pub(super) of: &'static str,
    /// How many of them the subject's lap does.
    pub(super) count: u32,
    /// How many the baseline's does: cheap things are done more often, so that the clock sees them.
    pub(super) baseline_count: u32,
    /// How many times as fast as its baseline the subject is to be.
    pub(super) goal: Option<f64>,
}

impl Row {
    /// Runs the two in turn, so that both meet the same noise.
    pub(super) fn measure(mut self, laps: usize) -> Result<Measured, BenchError> {
        let mut pairs = Vec::new();
        for lap in 0..=laps.max(1) {
            let baseline = nanoseconds((self.baseline.1)()?, self.baseline_count);
            let subject = nanoseconds((self.subject.1)()?, self.count);
            // The first one fills caches and makes directories.
            if lap > 0 {
                pairs.push((subject, baseline));
            }
        }
        Ok(Measured::Times {
            subject: (self.subject.0, Spread::of(pairs.iter().map(|pair| pair.0))),
            baseline: (self.baseline.0, Spread::of(pairs.iter().map(|pair| pair.1))),
            speed: Spread::of(pairs.iter().map(|(subject, baseline)| baseline / subject)),
            goal: self.goal,
            of: self.of,
            laps: pairs.len(),
        })
    }
}

fn nanoseconds(time: Duration, count: u32) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(count.max(1))
}

/// How long some work takes.
pub(super) fn timed(work: impl FnOnce() -> Result<(), BenchError>) -> Result<Duration, BenchError> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}
