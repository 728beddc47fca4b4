//! A comparer's request for a checkpoint, in words.

use std::collections::BTreeMap;

use crate::{
    base::Tag,
    frame::Dissection,
    record::{CheckpointCause, CheckpointRequest, SentFrame, Transcript},
};

/// Describes requests; it knows the frames that were sent, for the names of their fields.
pub(super) struct Requests<'t> {
    sent: BTreeMap<Tag, &'t SentFrame>,
}

impl<'t> Requests<'t> {
    pub(super) fn of(transcript: &'t Transcript) -> Self {
        let sent = transcript.steps.iter().flat_map(|step| &step.sent);
        Self {
            sent: sent.map(|frame| (frame.tag, frame)).collect(),
        }
    }

    /// `UDP 10.0.0.1:1000 > 10.0.0.2:2000: #1 and #2 differ in payload, byte 42; held since 0 s`.
    pub(super) fn describe(&self, request: &CheckpointRequest) -> String {
        let name = |tag: Option<Tag>, whose| {
            tag.map_or_else(|| format!("the {whose}'s frame"), |tag| tag.to_string())
        };
        let primary = name(request.primary, "primary");
        let secondary = name(request.secondary, "secondary");
        let what = match &request.cause {
            CheckpointCause::Bytes {
                primary: at,
                secondary: other_at,
            } => {
                let field = self.field(request.primary, *at);
                let places = if at == other_at {
                    format!("byte {at}")
                } else {
                    format!("byte {at} and byte {other_at}")
                };
                match field {
                    Some(field) => format!("{primary} and {secondary} differ in {field}, {places}"),
                    None => format!("{primary} and {secondary} differ at {places}"),
                }
            }
            CheckpointCause::Lengths {
                primary: one,
                secondary: other,
            } => format!("{primary} has {one} B to compare and {secondary} {other} B"),
            CheckpointCause::Acknowledges { primary: ack, both } => {
                format!("{primary} acknowledges {ack}, and both guests {both}")
            }
            CheckpointCause::TimedOut(_) => {
                let held = request.primary.or(request.secondary);
                format!("{} timed out", name(held, "other"))
            }
            CheckpointCause::QueueFull(side) => format!("the {side}'s queue is full"),
        };
        let since = super::text::seconds(request.since);
        let told = if request.told { "" } else { "; nobody is told" };
        format!("{}: {what}; held since {since} s{told}", request.connection)
    }

    /// The field of a sent frame that has this byte.
    fn field(&self, tag: Option<Tag>, at: usize) -> Option<&'static str> {
        let frame = &self.sent.get(&tag?)?.frame;
        let dissection = Dissection::of(&frame.data);
        let field = dissection.fields().find(|field| field.range.contains(&at));
        field.map(|field| field.name)
    }
}
