//! An event of a record as JSON members.

use serde::{Deserialize, Serialize};

use crate::{
    base::Tag,
    frame::hex,
    record::{CheckpointCause, CheckpointRequest, Event, EventKind, Step},
    wording::{self, Requests},
};

/// Something that explains the record: what an object, a port or the machine did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventRecord {
    /// The step, 0 for the set-up.
    pub step: usize,
    /// The frame: `#1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<String>,
    /// Where.
    pub place: String,
    /// Of `seen`: `tx` or `rx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Of `released` and `spent`: its counterpart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// Of `checkpoint`: between whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionRecord>,
    /// Of `checkpoint`: what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseRecord>,
    /// Of `rewritten` and `checkpoint`: the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Of `rewritten`: the field before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<u64>,
    /// Of `rewritten`: the field after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u64>,
    /// Of `checkpoint`: the first byte that differs, the primary's and the secondary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<[u8; 2]>,
    /// Of `checkpoint`: the primary's frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// Of `checkpoint`: the secondary's frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<String>,
    /// Of `checkpoint`: since when the frame is held, in seconds of the machine's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<f64>,
    /// Of `checkpoint`: for how long, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<f64>,
    /// Of `checkpoint`: whether anybody is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<bool>,
    /// What happened: `seen`, `consumed`, `released`, `spent`, `checkpoint`, `queued`, `rewritten`,
    /// `dropped`, `impaired`, `log`, `crash`, `frozen`, `thawed`, `notice`.
    pub event: String,
    /// Of `seen`: the frame's bytes, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Of `released` and `spent`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<String>,
    /// Of `dropped`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of `impaired`: what was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Of `checkpoint`, `log`, `crash` and `notice`: in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A connection, from the guest's point of view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ConnectionRecord {
    /// IPv4's protocol number.
    pub protocol: u8,
    /// The guest's address.
    pub source: String,
    /// The client's address.
    pub destination: String,
    /// Both ports, the guest's first, where the protocol has ports.
    pub ports: Option<[u16; 2]>,
}

/// What made a comparer ask for a checkpoint. Offsets count from the Ethernet header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CauseRecord {
    /// `bytes`, `lengths`, `sizes` or `ack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
    /// The primary's offset, length, size or acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<u64>,
    /// The secondary's offset, length or size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<u64>,
    /// TCP's sequence numbers of the two bytes, the primary's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<[u32; 2]>,
    /// What both guests have acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub both: Option<u64>,
    /// Whose frame waited too long: `primary` or `secondary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed_out: Option<String>,
    /// Whose queue is full: `primary` or `secondary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_full: Option<String>,
}

/// What happened in a step.
pub(super) fn of_step<'t>(
    step: &'t Step,
    requests: &'t Requests<'t>,
) -> impl Iterator<Item = EventRecord> + 't {
    step.events.iter().map(|event| record(step.index, event, requests))
}

fn record(step: usize, event: &Event, requests: &Requests<'_>) -> EventRecord {
    let mut record = EventRecord {
        step,
        frame: text(event.tag),
        place: event.place.to_string(),
        event: wording::name(&event.kind).to_owned(),
        ..EventRecord::default()
    };
    match &event.kind {
        EventKind::Seen { direction, data } => {
            record.direction = direction.map(|direction| direction.to_string());
            record.data = Some(hex(data));
        }
        EventKind::Released { fate, with } | EventKind::Spent { fate, with } => {
            record.with = text(*with);
            record.fate = Some(fate.to_string());
        }
        EventKind::Checkpoint(request) => checkpoint(&mut record, request, requests),
        EventKind::Rewritten { field, old, new } => {
            record.field = Some((*field).to_string());
            record.old = Some(u64::from(*old));
            record.new = Some(u64::from(*new));
        }
        EventKind::Dropped(reason) => record.reason = Some(reason.to_string()),
        EventKind::Impaired(done) => record.what = Some(done.to_string()),
        EventKind::Log(text) | EventKind::Crash(text) | EventKind::Notice(text) => {
            record.text = Some(text.clone());
        }
        EventKind::Consumed | EventKind::Queued | EventKind::Frozen | EventKind::Thawed => {}
    }
    record
}

/// Who asks for a checkpoint, and what for.
fn checkpoint(record: &mut EventRecord, request: &CheckpointRequest, requests: &Requests<'_>) {
    let connection = &request.connection;
    record.connection = Some(ConnectionRecord {
        protocol: connection.protocol,
        source: connection.source.to_string(),
        destination: connection.destination.to_string(),
        ports: connection.ports.map(|(from, to)| [from, to]),
    });
    record.cause = Some(cause(&request.cause));
    record.field = requests.field(request).map(str::to_owned);
    record.bytes = requests.bytes(request);
    record.text = Some(requests.describe(request));
    record.primary = text(request.primary);
    record.secondary = text(request.secondary);
    record.since = Some(request.since.elapsed().as_secs_f64());
    record.held = Some(request.at.since(request.since).as_secs_f64());
    record.told = Some(request.told);
}

fn cause(cause: &CheckpointCause) -> CauseRecord {
    let differs = |what: &str, primary: u64| CauseRecord {
        differs: Some(what.to_owned()),
        primary: Some(primary),
        ..CauseRecord::default()
    };
    match cause {
        CheckpointCause::Bytes { primary, secondary, seq } => CauseRecord {
            secondary: Some(*secondary as u64),
            seq: *seq,
            ..differs("bytes", *primary as u64)
        },
        CheckpointCause::Lengths { primary, secondary } => CauseRecord {
            secondary: Some(*secondary as u64),
            ..differs("lengths", *primary as u64)
        },
        CheckpointCause::Sizes { primary, secondary } => {
            CauseRecord { secondary: Some(*secondary as u64), ..differs("sizes", *primary as u64) }
        }
        CheckpointCause::Acknowledges { primary, both } => {
            CauseRecord { both: Some(u64::from(*both)), ..differs("ack", u64::from(*primary)) }
        }
        CheckpointCause::TimedOut(side) => {
            CauseRecord { timed_out: Some(side.to_string()), ..CauseRecord::default() }
        }
        CheckpointCause::QueueFull(side) => {
            CauseRecord { queue_full: Some(side.to_string()), ..CauseRecord::default() }
        }
    }
}

fn text(tag: Option<Tag>) -> Option<String> {
    tag.map(|tag| tag.to_string())
}
