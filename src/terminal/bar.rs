//! Where progress bars are drawn.

use std::io;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

use super::{fence::fenced, visible};

/// How often a bar is drawn at most, in a second.
const RATE: u8 = 20;

/// Standard error if that is a terminal that can move its cursor, otherwise nowhere. The texts of a
/// bar are fenced; only the bar itself moves the cursor.
#[must_use]
pub fn bar_target() -> ProgressDrawTarget {
    if ProgressDrawTarget::stderr().is_hidden() {
        return ProgressDrawTarget::hidden();
    }
    ProgressDrawTarget::term_like_with_hz(Box::new(Fenced(Term::buffered_stderr())), RATE)
}

/// A terminal that is given harmless text only.
#[derive(Debug)]
struct Fenced<T>(T);

impl<T: TermLike> TermLike for Fenced<T> {
    fn width(&self) -> u16 {
        self.0.width()
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(&fenced(&visible(text).to_string()))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // The bar's own way to the beginning of its line.
        if text == "\r" {
            return self.0.write_str(text);
        }
        self.0.write_str(&fenced(&visible(text).to_string()))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use indicatif::{ProgressBar, ProgressStyle};

    use super::*;

    /// What is written, with cursor movements left out.
    #[derive(Debug, Default)]
    struct Paper(Mutex<String>);

    impl TermLike for &'static Paper {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_bar_says_does_not_act() {
        let paper: &'static Paper = Box::leak(Box::default());
        let target = ProgressDrawTarget::term_like(Box::new(Fenced(paper)));
        let bar = ProgressBar::with_draw_target(Some(3), target);
        bar.set_style(ProgressStyle::with_template("{pos}/{len} {msg}").unwrap());
        bar.set_message("a\u{1b}]0;x\u{7}\u{9b}2J\u{202e}##[error]");
        bar.tick();
        let written = paper.0.lock().unwrap().replace('\r', "");
        assert!(
            written.contains(r"0/3 a\u{1b}]0;x\u{7}\u{9b}2J\u{202e}##\u{5b}error]"),
            "{written:?}"
        );
        assert!(!written.contains(char::is_control), "{written:?}");
    }
}
