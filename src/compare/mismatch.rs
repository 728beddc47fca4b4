//! Where two records differ, as data. Read by whoever judges, reports or shows it.

use serde::{Deserialize, Serialize};

use super::frame_pair::FramePair;

/// Where two records differ. It names the scenario's step and line, the port, the frame, the field
/// and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mismatch {
    /// What the expected side is: `snapshot`, or a backend.
    pub expected: String,
    /// What the actual side is: a backend.
    pub actual: String,
    /// In the order of steps, then of ports. Never empty.
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Difference {
    /// The step, 0 for the set-up.
    pub step: usize,
    /// The step's title.
    pub title: String,
    /// The step's line in the scenario; 0 where the scenario has no such step.
    pub line: usize,
    /// The port, where it is about one.
    pub port: Option<String>,
    /// What differs.
    pub what: What,
    /// The frames it is about; of many differences only the first have them.
    #[serde(default, skip_serializing_if = "FramePair::is_empty")]
    pub frames: FramePair,
}

impl Difference {
    /// One that is about the whole record and no step.
    #[must_use]
    pub(crate) fn of_record(what: What) -> Self {
        Self {
            step: 0,
            title: String::new(),
            line: 0,
            port: None,
            what,
            frames: FramePair::default(),
        }
    }
}

/// The place of a frame at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Seat {
    /// The step.
    pub step: usize,
    /// The step's line in the scenario; 0 where the scenario has no such step.
    pub line: usize,
    /// From 1 in the step.
    pub frame: usize,
}

/// What differs. Frames count from 1 at their port in their step; `sent` is `#n`, where the frame is
/// one that was sent, perhaps with changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A frame is not as expected.
    Frame {
        /// Its place.
        frame: usize,
        /// How many were expected.
        of: usize,
        /// `#n`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<u32>,
        /// What differs in it; never empty.
        fields: Vec<FieldDifference>,
        /// Where it went wrong, when the machine knows.
        trace: Option<Trace>,
        /// Its place among those that came.
        #[serde(default)]
        came: usize,
        /// What an impairment did to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// A frame did not come.
    Missing {
        /// Its place.
        frame: usize,
        /// How many were expected.
        of: usize,
        /// `#n`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<u32>,
        /// The frame in a line.
        summary: String,
        /// What became of it, when the machine knows.
        fate: Option<String>,
    },
    /// A frame came that was not expected.
    Extra {
        /// Its place among those that came.
        frame: usize,
        /// How many came.
        of: usize,
        /// `#n`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<u32>,
        /// The frame in a line.
        summary: String,
        /// Where the same bytes came before, or else beside it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Seat>,
        /// How it came here, when the machine knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// A frame came in another place.
    Moved {
        /// Its place.
        frame: usize,
        /// How many were expected.
        of: usize,
        /// `#n`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<u32>,
        /// Its place among those that came.
        came: usize,
        /// Places of the expected frames that came on its other side.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        passed: Vec<usize>,
        /// The frame in a line.
        summary: String,
        /// What an impairment did to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// A frame came out of the port in another step.
    OtherStep {
        /// Its place.
        frame: usize,
        /// How many were expected.
        of: usize,
        /// `#n`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<u32>,
        /// Where it came.
        came: Seat,
        /// The frame in a line.
        summary: String,
        /// Where it was last seen, when the machine knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// A frame came out of another port.
    OtherPort {
        /// Its place.
        frame: usize,
        /// How many were expected.
        of: usize,
        /// `#n`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<u32>,
        /// The other port.
        port: String,
        /// Its place there.
        came: usize,
        /// The frame in a line.
        summary: String,
        /// Where it was last seen, when the machine knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// The length word before a frame of a chardev is wrong, and with it the stream is as expected
    /// up to the end of the frame.
    Length {
        /// The frame's place.
        frame: usize,
        /// How many were expected.
        of: usize,
        /// `#n`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<u32>,
        /// The word as expected.
        expected: usize,
        /// The word as it is.
        actual: usize,
        /// The word's first byte and one past its last, in what came out of the port in the step.
        bytes: (usize, usize),
    },
    /// A frame was sent differently: the scenario changed.
    Sent {
        /// `#n`.
        number: u32,
        /// What differs in it; never empty.
        fields: Vec<FieldDifference>,
    },
    /// Something else is not as expected.
    Value {
        /// What: a command, `crash`, `bytes`, `eof`, `sent frames`, `written`.
        name: String,
        /// As expected.
        expected: String,
        /// As it is.
        actual: String,
    },
    /// What could be observed is as expected, what explains it is not.
    Explained {
        /// Lines that only the expected side has.
        gone: Vec<String>,
        /// Lines that only the actual side has.
        new: Vec<String>,
    },
    /// The step is only on the expected side.
    StepGone,
    /// The step is only on the actual side.
    StepNew,
    /// The expected section can't be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// A field of a frame that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FieldDifference {
    /// `tcp.ack`.
    pub name: String,
    /// As expected.
    pub expected: String,
    /// As it is.
    pub actual: String,
    /// First byte and one past the last, in the frame as it is; none for what stands beside it.
    pub bytes: Option<(usize, usize)>,
    /// What is known of the value as it is: that a checksum is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// Where a frame was last as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Trace {
    /// The last place that passed it on unchanged: an object, or the port where it was sent.
    pub last_right: String,
    /// The step of that.
    pub step: usize,
    /// The place that changed it, when it is known.
    pub changed_in: Option<String>,
}

impl What {
    /// The number of the frame as it was sent, to be filled in, and the frame's place among those
    /// that were expected or, of one that was not, among those that came.
    pub(super) const fn sent(&mut self) -> Option<(&mut Option<u32>, usize)> {
        match self {
            Self::Frame { sent, frame, .. }
            | Self::Missing { sent, frame, .. }
            | Self::Extra { sent, frame, .. }
            | Self::Moved { sent, frame, .. }
            | Self::OtherStep { sent, frame, .. }
            | Self::OtherPort { sent, frame, .. }
            | Self::Length { sent, frame, .. } => Some((sent, *frame)),
            Self::Sent { .. }
            | Self::Value { .. }
            | Self::Explained { .. }
            | Self::StepGone
            | Self::StepNew
            | Self::Unreadable { .. } => None,
        }
    }
}
