//! The bar below the human report.

use std::{
    fmt::{self, Write},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{Event, Reporter};
use crate::{
    base::CaseId,
    runner::RunEvent,
    terminal::{bar_target, visible},
};

/// How often the times are drawn again.
const TICK: Duration = Duration::from_millis(500);
/// Cases that are named; how many more there are is told.
const NAMED: usize = 3;

/// A bar below the lines of another reporter, with what is running and for how long; on a terminal
/// only.
pub struct Progress<R> {
    below: R,
    bar: ProgressBar,
    running: Arc<Mutex<Running>>,
}

/// What is running, the longest first.
#[derive(Debug, Default)]
struct Running(Vec<(CaseId, Instant)>);

impl Running {
    /// `a 12s, b 3s and 2 more`.
    fn draw(&self, out: &mut dyn Write) -> fmt::Result {
        for (at, (case, since)) in self.0.iter().take(NAMED).enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(out, "{comma}{} {}s", visible(case), since.elapsed().as_secs())?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(out, " and {more} more"),
        }
    }
}

impl<R: Reporter> Progress<R> {
    /// Draws on standard error when that is a terminal, else nowhere.
    pub fn new(below: R) -> Self {
        Self::on(below, bar_target())
    }

    fn on(below: R, target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let running = Arc::<Mutex<Running>>::default();
        // A template that is refused would leave indicatif's own style, which is as good.
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {running}")
        {
            let shown = Arc::clone(&running);
            let draw = move |_: &ProgressState, out: &mut dyn Write| {
                let running = shown.lock().unwrap_or_else(PoisonError::into_inner);
                // The bar is drawn again at the next tick, if a terminal can't be written at all.
                _ = running.draw(out);
            };
            bar.set_style(style.progress_chars("=> ").with_key("running", draw));
        }
        bar.set_prefix("Running");
        Self { below, bar, running }
    }

    fn running(&self, change: impl FnOnce(&mut Vec<(CaseId, Instant)>)) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut running.0);
    }
}

impl<R: Reporter> Reporter for Progress<R> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            RunEvent::Started { cases, .. } => {
                self.bar.set_length(*cases as u64);
                if !self.bar.is_hidden() {
                    self.bar.enable_steady_tick(TICK);
                }
            }
            RunEvent::CaseStarted { case } => {
                self.running(|running| running.push((case.clone(), Instant::now())));
                self.bar.tick();
            }
            RunEvent::CaseFinished(over) => {
                self.running(|running| running.retain(|(case, _)| case.as_str() != over.case));
                self.bar.inc(1);
            }
            RunEvent::CaseSlow { .. } | RunEvent::Interrupted { .. } => {}
            RunEvent::Finished { .. } => self.bar.finish_and_clear(),
        }
        self.bar.suspend(|| self.below.event(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    struct Count(usize);

    impl Reporter for Count {
        fn event(&mut self, _: &Event) -> io::Result<()> {
            self.0 += 1;
            Ok(())
        }
    }

    #[test]
    fn every_event_goes_on_and_the_bar_counts_the_cases() {
        let mut progress = Progress::on(Count(0), ProgressDrawTarget::hidden());
        let events = fixture::run();
        for event in &events {
            progress.event(event).unwrap();
        }
        assert_eq!(progress.below.0, events.len());
        assert_eq!((progress.bar.position(), progress.bar.length()), (11, Some(11)));
        assert!(progress.bar.is_finished());
        assert!(progress.running.lock().unwrap().0.is_empty());
    }

    #[test]
    fn what_is_running_is_named_with_its_time() {
        let now = Instant::now();
        let ago = |case: &str, seconds| {
            let since = now.checked_sub(Duration::from_secs(seconds)).unwrap();
            (CaseId::from(case), since)
        };
        let mut running = Running(vec![ago("a", 3600), ago("b", 60)]);
        let text = |running: &Running| {
            let mut text = String::new();
            running.draw(&mut text).unwrap();
            text
        };
        let two = text(&running);
        assert!(two.starts_with("a 36") && two.contains(", b 6"), "{two}");
        running.0.extend([ago("c", 5), ago("d", 4), ago("e", 3)]);
        let five = text(&running);
        assert!(five.contains(", c ") && five.ends_with(" and 2 more"), "{five}");
    }
}
