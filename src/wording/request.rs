//! A comparer's request for a checkpoint, in words.

use std::collections::BTreeMap;

use crate::{
    base::{Tag, VirtualTime},
    frame::Dissection,
    record::{CheckpointCause, CheckpointRequest, SentFrame, Side, Transcript},
};

/// Describes requests; it knows the frames that were sent, for the names of their fields.
#[derive(Debug)]
pub struct Requests<'t> {
    sent: BTreeMap<Tag, &'t SentFrame>,
}

impl<'t> Requests<'t> {
    /// Of the frames of a transcript.
    #[must_use]
    pub fn of(transcript: &'t Transcript) -> Self {
        let sent = transcript.steps.iter().flat_map(|step| &step.sent);
        Self { sent: sent.map(|frame| (frame.tag, frame)).collect() }
    }

    /// `UDP 10.0.0.1:1000 > 10.0.0.2:2000: #1 (primary) and #2 (secondary) differ in payload, byte 42:
    /// 0x41 and 0x42; #1 held since clock 0 s, for 0.9 s`. Of TCP the sequence numbers of the bytes
    /// are told too: QEMU compares bytes that are not of one place in the stream.
    #[must_use]
    pub fn describe(&self, request: &CheckpointRequest) -> String {
        let name = |tag: Option<Tag>, side: Side| {
            tag.map_or_else(|| format!("the {side}'s frame"), |tag| format!("{tag} ({side})"))
        };
        let primary = name(request.primary, Side::Primary);
        let secondary = name(request.secondary, Side::Secondary);
        let what = match &request.cause {
            CheckpointCause::Bytes { primary: at, secondary: other_at, seq } => {
                let field = self.field(request);
                let field = field.map_or_else(|| "at".to_owned(), |field| format!("in {field},"));
                let (one, other) = match seq {
                    Some([one, other]) => (format!(" (seq {one})"), format!(" (seq {other})")),
                    None => (String::new(), String::new()),
                };
                let places = if at == other_at && one == other {
                    format!("byte {at}{one}")
                } else {
                    format!("byte {at}{one} and byte {other_at}{other}")
                };
                let values = self.bytes(request).map_or_else(String::new, |[one, other]| {
                    format!(": {one:#04x} and {other:#04x}")
                });
                format!("{primary} and {secondary} differ {field} {places}{values}")
            }
            CheckpointCause::Lengths { primary: one, secondary: other } => {
                format!("{primary} has {one} B to compare, {secondary} {other} B")
            }
            CheckpointCause::Sizes { primary: one, secondary: other } => {
                format!("{primary} is {one} B long, {secondary} {other} B, with all headers")
            }
            CheckpointCause::Acknowledges { primary: ack, both } => {
                format!("{primary} acknowledges {ack}, the guests together only {both}")
            }
            CheckpointCause::TimedOut(Side::Primary) => {
                format!("{primary} waits for the secondary's longer than compare_timeout")
            }
            CheckpointCause::TimedOut(Side::Secondary) => {
                format!("{secondary} waits for the primary's longer than compare_timeout")
            }
            CheckpointCause::QueueFull(side) => {
                format!("the queue of the {side} is full (max_queue_size)")
            }
        };
        let held = request.primary.or(request.secondary);
        let held = held.map_or_else(String::new, |tag| format!("{tag} "));
        let since = super::seconds(request.since);
        let length = request.at.since(request.since);
        let length = super::seconds(VirtualTime::ZERO + length);
        let told = if request.told { "; told on notify_dev" } else { "" };
        format!(
            "{}: {what}; {held}held since clock {since} s, for {length} s{told}",
            request.connection
        )
    }

    /// The field of the primary's frame, as it was sent, that has the first byte that differs.
    #[must_use]
    pub fn field(&self, request: &CheckpointRequest) -> Option<&'static str> {
        let CheckpointCause::Bytes { primary: at, .. } = request.cause else {
            return None;
        };
        let frame = &self.sent.get(&request.primary?)?.frame;
        let dissection = Dissection::of(&frame.data);
        let field = dissection.fields().find(|field| field.range.contains(&at));
        field.map(|field| field.name)
    }

    /// The first byte that differs, the primary's and the secondary's as they were sent; none where
    /// those don't differ, because it was changed on the way.
    #[must_use]
    pub fn bytes(&self, request: &CheckpointRequest) -> Option<[u8; 2]> {
        let CheckpointCause::Bytes { primary, secondary, .. } = request.cause else {
            return None;
        };
        let byte = |tag: Option<Tag>, at: usize| self.sent.get(&tag?)?.frame.data.get(at).copied();
        let bytes = [byte(request.primary, primary)?, byte(request.secondary, secondary)?];
        (bytes[0] != bytes[1]).then_some(bytes)
    }
}
