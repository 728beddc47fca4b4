//! Asks for a decision about each pending section, at a terminal. `review` calls it.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::{
    Keys, print,
    shown::{change, drawn, hex, text},
};
use crate::{
    snapshot::{PendingSection, SnapshotError},
    terminal::visible,
};

const HEADING: Style = AnsiColor::Cyan.on_default().bold();

const HELP: &str = "  a   accept: what is proposed becomes the snapshot
  r   reject: the proposal is dropped, the snapshot stays as it is
  s   skip: decide later
  h   the frames that differ, byte for byte
  t   the lines of the transcript that differ, with what explains them
  n   the next one, without a decision (also the right arrow)
  p   the previous one (also the left arrow)
  q   quit; what was decided stays decided
  ?   this help
";

/// A difference of more lines may be longer than a terminal is high.
const LONG: usize = 18;

/// What was decided of a section.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    Accepted,
    Rejected,
    Skipped,
}

impl Decision {
    const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Skipped => "skipped",
        }
    }
}

/// Shows one after the other and does what the keys say, until all are decided, there is no key
/// any more, or `q`.
pub(super) fn ask(
    waiting: &[PendingSection],
    out: &mut dyn Write,
    keys: &mut dyn Keys,
) -> Result<(), SnapshotError> {
    if waiting.is_empty() {
        return print(out, "nothing is pending\n");
    }
    let mut decisions: Vec<Option<Decision>> = vec![None; waiting.len()];
    let (mut at, mut shown) = (0, None);
    loop {
        let section = &waiting[at];
        if shown != Some(at) {
            let (heading, drawn) = (heading(section, at, waiting.len()), drawn(section));
            print(out, &heading)?;
            print(out, &drawn)?;
            if drawn.lines().count() > LONG {
                // Its heading is off the screen by now.
                print(out, &heading)?;
            }
            shown = Some(at);
        }
        print(out, "(a)ccept (r)eject (s)kip (h)ex (n)ext (p)revious (q)uit (?) ")?;
        let key = keys.next_key().map_err(|error| SnapshotError::Read {
            path: "the terminal".into(),
            source: error.into(),
        })?;
        print(out, "\n")?;
        let decision = match key {
            None | Some('q') => break,
            Some('a') => Decision::Accepted,
            Some('r') => Decision::Rejected,
            Some('s') => Decision::Skipped,
            Some(key) => {
                match key {
                    'n' if at + 1 == waiting.len() => print(out, "this is the last one\n")?,
                    'n' => at += 1,
                    'p' if at == 0 => print(out, "this is the first one\n")?,
                    'p' => at -= 1,
                    'h' => print(out, &hex(section))?,
                    't' => print(out, &text(section))?,
                    _ => print(out, HELP)?,
                }
                continue;
            }
        };
        if let Some(before @ (Decision::Accepted | Decision::Rejected)) = decisions[at] {
            print(out, &format!("{} is {} already\n", visible(&section.id), before.word()))?;
            continue;
        }
        match decision {
            Decision::Accepted => section.accept()?,
            Decision::Rejected => section.reject()?,
            Decision::Skipped => {}
        }
        decisions[at] = Some(decision);
        print(out, &format!("{} {}\n", decision.word(), visible(&section.id)))?;
        let open = |place: &usize| decisions[*place].is_none();
        match (at + 1..waiting.len()).chain(0..at).find(open) {
            Some(next) => at = next,
            None => break,
        }
    }
    print(out, &sum(&decisions))
}

/// `[1/3] changed scenarios/queue@queue=tx`.
fn heading(section: &PendingSection, at: usize, of: usize) -> String {
    let place = at + 1;
    let id = visible(&section.id);
    format!("\n{HEADING}[{place}/{of}] {} {id}{HEADING:#}\n", change(section))
}

/// `2 accepted, 1 rejected, 0 still pending`.
fn sum(decisions: &[Option<Decision>]) -> String {
    let count = |one: Decision| {
        let same = decisions.iter().filter(|other| **other == Some(one));
        same.count()
    };
    let (accepted, rejected) = (count(Decision::Accepted), count(Decision::Rejected));
    let pending = decisions.len() - accepted - rejected;
    format!("{accepted} accepted, {rejected} rejected, {pending} still pending\n")
}
