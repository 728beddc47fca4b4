//! Text and comparison of transcripts as pure functions, and the store of snapshot files.
//!
//! - [`text()`] and [`parse()`]: a transcript as text for review, and its observed half back.
//! - [`ProbeTable`]: the probes of a scenario as one table.
//! - [`compare()`], [`disagreement`], [`render`] and [`hexdump`]: where two records differ, and that
//!   for people.
//! - [`told()`]: what is said of a difference, for other reports than the terminal's.
//! - [`check`]: compares what a run recorded with the scenario's snapshot file, and proposes what
//!   is new; [`pending()`] and [`unreferenced`]: what waits for a review, and what nobody uses.
//! - [`Course`]: a transcript packet by packet, as data.
//! - [`write_pcapng`]: a transcript for Wireshark.

mod align;
mod captured;
mod compare;
mod course;
mod draw;
mod elsewhere;
mod entries;
mod error;
mod explained;
mod fields;
mod file;
mod hexdump;
mod length;
mod lexis;
mod mismatch;
mod number;
mod order;
mod parse;
mod pcapng;
mod pending;
mod port;
mod probe;
mod request;
mod section;
mod series;
mod sides;
mod store;
mod text;
mod title;
mod told;
mod trace;
mod words;

#[cfg(test)]
mod tests;

pub use compare::{Rules, compare, compare_sections, disagreement, disagreement_but};
pub use course::{CamePacket, Course, CourseStep, Fate, FateKind, Said, SentPacket};
pub use draw::{render, render_styled, side_by_side};
pub use error::{EXPLANATIONS, SectionError, SnapshotError};
pub use file::{MAX_BYTES, pending_path, snapshot_path};
pub use hexdump::hexdump;
pub use lexis::numbers;
pub use mismatch::{Difference, FieldDifference, Mismatch, Seat, Trace, What};
pub use parse::{Resolve, parse};
pub use pcapng::write_pcapng;
pub use pending::{PendingSection, Unreferenced, pending, unreferenced};
pub use probe::{ProbeRow, ProbeTable, compare_probes};
pub use request::Requests;
pub use section::{PROBES, Section, SnapFile, section_name};
pub use sides::Sides;
pub use store::{
    Checked, Content, Mode, Recorded, State, Verdict, check, reviewed, reviewed_profile,
};
pub use text::{folded, text};
pub use told::{Told, told};
