//! Labels, text and comparison of transcripts as pure functions, and the store of snapshot files.
//!
//! - [`text`] and [`parse`]: a transcript as text for review, and its observed half back.

mod align;
mod compare;
mod entries;
mod error;
mod framing;
mod label;
mod lexis;
mod mismatch;
mod parse;
mod text;
mod trace;
mod view;

#[cfg(test)]
mod tests;

pub use compare::{Rules, compare, disagreement};
pub use error::{EXPLANATIONS, SectionError, SnapshotError};
pub use label::Label;
pub use mismatch::{Difference, FieldDifference, Mismatch, Trace, What, render};
pub use parse::{Resolve, parse};
pub use text::text;
