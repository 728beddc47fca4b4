//! Where two records differ, as pure functions: which frame, which field, which bytes.
//!
//! The passes of [`compare()`], in their order:
//!
//! 1. `capture_digest`: frames of capture files that are not those that were reviewed; without their
//!    bytes nothing else of a section can be read.
//! 2. `comparison`: steps by title (`align`); in each what was sent, written and answered.
//! 3. `port`: what came out of each port: `framing_fault` takes wrong length words out first, `align`
//!    lines up what is left, `reorder` finds what only changed its order, `fields` says what differs in
//!    a frame, `trace` what the machine knows of its way.
//! 4. `number`: which of the frames that were sent each difference is about.
//! 5. `misplaced`: what is missing here and too much there is one difference.
//! 6. `explanation`: what explains the records, where nothing else differs.
//!
//! [`compare_probes`] compares a table of probes, and [`compare_captures`] two captures of any length, by the
//! same passes. A [`Mismatch`] is what was found, as data;
//! `wording` says it, [`render`] and [`hexdump`] lay it out.

mod align;
mod capture_digest;
mod captures;
mod comparison;
mod explanation;
mod fields;
mod found;
mod frame_pair;
mod framing_fault;
mod hexdump;
mod mismatch;
mod misplaced;
mod number;
mod port;
mod probe;
mod render;
mod reorder;
#[cfg(test)]
mod tests;
mod trace;
mod wording;

pub use captures::{CaptureCounts, CaptureRules, CompareError, compare_captures};
pub use comparison::{Rules, compare, compare_sections, disagreement, disagreement_but};
pub use frame_pair::FramePair;
pub use hexdump::hexdump;
pub use mismatch::{Difference, FieldDifference, Mismatch, Seat, Trace, What};
pub use probe::compare_probes;
pub use render::{render, render_explained, side_by_side};
pub use wording::Wording;
