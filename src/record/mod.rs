//! What a run leaves behind, as data: observations, answers, events, the transcript. It crosses
//! backend, runner, snapshot and report; nothing here does anything.

mod answer;
mod checkpoint;
mod event;
mod transcript;

pub use answer::{Abort, Answer, CommandError, NoAnswer, Outcome};
pub use checkpoint::{CheckpointCause, CheckpointRequest, Connection, Fate, Side};
pub use event::{DropReason, Event, EventKind, Impaired, Place};
pub use transcript::{
    Accounting, Arrival, Deed, Framing, Item, Port, PortKind, SentFrame, SourceFrame, Step,
    Transcript,
};
