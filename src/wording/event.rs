//! An event of a record, in words. Read by the text of a section, by the timeline of a page, and by what the
//! comparison knows of a frame's way.

use super::Requests;
use crate::{
    base::Tag,
    record::{Event, EventKind, Place},
};

/// What became of a frame at a place: `dropped`, ` at f0`, `: off`.
pub(crate) struct FateWords {
    /// What happened.
    pub(crate) verb: &'static str,
    /// Where.
    place: String,
    /// Why, or what was done.
    detail: String,
    /// Its counterpart.
    with: Option<Tag>,
}

impl FateWords {
    /// Of what becomes of frames; none of anything else.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let none = String::new;
        let (preposition, detail, with) = match &event.kind {
            EventKind::Seen { .. } | EventKind::Queued => ("at", none(), None),
            EventKind::Consumed => ("by", none(), None),
            EventKind::Released { fate, with } | EventKind::Spent { fate, with } => {
                ("by", fate.to_string(), *with)
            }
            EventKind::Dropped(reason) => ("at", reason.to_string(), None),
            EventKind::Impaired(done) => ("at", done.to_string(), None),
            EventKind::Rewritten { .. }
            | EventKind::Checkpoint(_)
            | EventKind::Log(_)
            | EventKind::Crash(_)
            | EventKind::Frozen
            | EventKind::Thawed
            | EventKind::Notice(_) => return None,
        };
        let place = format!(" {preposition} {}", event.place);
        Some(Self { verb: name(&event.kind), place, detail, with })
    }

    /// ` at f0: off`: what stands behind the frames that it is about.
    pub(crate) fn place_and_detail(&self) -> String {
        format!("{}{}", self.place, after_colon(&self.detail))
    }

    /// `dropped at f0: off`.
    pub(crate) fn sentence(&self) -> String {
        let with = self.with.map_or_else(String::new, |tag| format!(" with {tag}"));
        format!("{}{}{with}", self.verb, self.place_and_detail())
    }

    /// `dropped at f0 in step 3: off`.
    pub(crate) fn in_step(&self, step: usize) -> String {
        format!("{}{} in step {step}{}", self.verb, self.place, after_colon(&self.detail))
    }

    /// `delayed at impair in step 3`: what was done, where that is all.
    pub(crate) fn done_in_step(&self, step: usize) -> String {
        format!("{}{} in step {step}", self.detail, self.place)
    }
}

fn after_colon(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

/// The word for what happened, which programs read too.
pub(crate) const fn name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Seen { .. } => "seen",
        EventKind::Consumed => "consumed",
        EventKind::Released { .. } => "released",
        EventKind::Spent { .. } => "spent",
        EventKind::Checkpoint(_) => "checkpoint",
        EventKind::Queued => "queued",
        EventKind::Rewritten { .. } => "rewritten",
        EventKind::Dropped(_) => "dropped",
        EventKind::Impaired(_) => "impaired",
        EventKind::Log(_) => "log",
        EventKind::Crash(_) => "crash",
        EventKind::Frozen => "frozen",
        EventKind::Thawed => "thawed",
        EventKind::Notice(_) => "notice",
    }
}

/// A field that a rewriter changed: `tcp.ack 1 -> 2`; sets of bits in hexadecimal, where that is asked for.
pub(crate) fn rewritten(field: &str, old: u32, new: u32, bits_in_hex: bool) -> String {
    match field {
        "tcp.flags" | "ipv4.options" if bits_in_hex => format!("{field} {old:#x} -> {new:#x}"),
        _ => format!("{field} {old} -> {new}"),
    }
}

/// How a remark is written.
#[derive(Clone, Copy)]
pub(crate) enum Form<'f> {
    /// In a line of a section: texts from outside are quoted so, and a crash has a line of another kind.
    Section(&'f dyn Fn(&str) -> String),
    /// In a sentence for people.
    Sentence,
}

/// What an object, a port or the machine said, and whether it is one to look at.
pub(crate) fn remark(
    event: &Event,
    requests: &Requests<'_>,
    form: Form<'_>,
) -> Option<(String, bool)> {
    let place = &event.place;
    let text = |text: &str| match form {
        Form::Section(quote) => quote(text),
        Form::Sentence => text.to_owned(),
    };
    Some(match (&event.kind, form) {
        (EventKind::Checkpoint(request), Form::Section(_)) => {
            (format!("checkpoint asked by {place}: {}", requests.describe(request)), true)
        }
        (EventKind::Checkpoint(request), Form::Sentence) => {
            (asked(&place.to_string(), &requests.describe(request)), true)
        }
        (EventKind::Log(said), Form::Section(_)) => {
            (format!("log{}: {}", of_machine(place.machine()), text(said)), false)
        }
        (EventKind::Log(said), Form::Sentence) => (format!("log: {}", text(said)), false),
        (EventKind::Notice(said), _) => (format!("notice at {place}: {}", text(said)), false),
        (EventKind::Frozen, _) => (frozen(place), true),
        (EventKind::Thawed, _) => (format!("thawed: {place}"), false),
        (EventKind::Crash(assertion), Form::Sentence) => {
            (format!("crash{}: {assertion}", of_machine(place.machine())), true)
        }
        _ => return None,
    })
}

/// Who asked for a checkpoint, and what for.
pub(crate) fn asked(place: &str, request: &str) -> String {
    format!("{place} asked for a checkpoint: {request}")
}

/// Which machine, where there are several.
pub(crate) fn of_machine(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(" {name}"))
}

/// What the main loop waits for: a chardev's reader, or in an object what never comes.
fn frozen(place: &Place) -> String {
    match place {
        Place::Object(_) => format!("frozen: waits in {place} for ever"),
        _ => format!("frozen: waits for {place}"),
    }
}
