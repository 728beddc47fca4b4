use std::io;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Reporter;
use crate::runner::RunEvent;

/// A bar below the lines of another reporter; on a terminal only.
pub struct Progress<R> {
    below: R,
    bar: ProgressBar,
}

impl<R: Reporter> Progress<R> {
    /// Draws on standard error when that is a terminal, else nowhere.
    pub fn new(below: R) -> Self {
        Self::on(below, ProgressDrawTarget::stderr())
    }

    fn on(below: R, target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), target);
        // A template that is refused would leave indicatif's own style, which is as good.
        if let Ok(style) = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {msg}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix("Running");
        Self { below, bar }
    }
}

impl<R: Reporter> Reporter for Progress<R> {
    fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        match event {
            RunEvent::Started { cases, .. } => self.bar.set_length(*cases as u64),
            RunEvent::CaseStarted { case } => self.bar.set_message(case.to_string()),
            RunEvent::CaseFinished(_) => self.bar.inc(1),
            RunEvent::Interrupted { .. } => {}
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
        fn event(&mut self, _: &RunEvent) -> io::Result<()> {
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
        assert_eq!(
            (progress.bar.position(), progress.bar.length()),
            (11, Some(11))
        );
        assert!(progress.bar.is_finished());
    }
}
