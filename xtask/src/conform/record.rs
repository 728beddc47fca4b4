//! A line of a record: what was asked of a real QEMU and what it answered, as the files of fixtures/qemu have
//! it. Read by the comparison and by the recorder.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tapwright::{
    backend::{BackendError, qemu::Version},
    base::Profile,
};

use super::{Verdict, cli, datapath, error, tap::Taps};

/// Why a line is no record, or one that nobody knows how to replay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("not a record: {0}")]
    Json(#[from] serde_json::Error),
    #[error("'{0}' is no version of QEMU, such as 10.2.2")]
    Version(String),
    #[error("unknown setup '{0}'")]
    Setup(String),
    #[error("unknown topology '{0}'")]
    Topology(String),
    #[error("unknown step operation '{0}'")]
    Operation(String),
    #[error("unknown endpoint '{0}'")]
    Endpoint(String),
    #[error("unknown chardev '{0}'")]
    Chardev(String),
    #[error("unknown step '{0}'")]
    Step(String),
    #[error("unknown nic '{0}'")]
    Nic(String),
    #[error("unknown state of the VM '{0}'")]
    Vm(String),
    #[error("the step has no data")]
    NoData,
    #[error("unknown command line option '{0}'")]
    Option(String),
    #[error("not hex: '{0}'")]
    Hex(String),
    #[error("the set-up contradicts itself: {0}")]
    Config(#[from] tapwright::machine::ConfigError),
    #[error("{0}")]
    Backend(#[from] BackendError),
    #[error("the interfaces can't be taken down: {0}")]
    Residue(String),
}

/// A measured record; what kind it is shows in its keys.
#[derive(Debug)]
pub(crate) enum Record {
    Error(Box<ErrorRecord>),
    Cli(Box<CliRecord>),
    Datapath(Box<DatapathRecord>),
    Tap(Box<TapRecord>),
}

/// An answer to a command.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorRecord {
    pub(crate) case: String,
    pub(crate) qemu: String,
    pub(crate) setup: String,
    #[serde(default)]
    pub(crate) pre: Vec<CommandRecord>,
    pub(crate) cmd: String,
    #[serde(default)]
    pub(crate) args: Value,
    pub(crate) class: Option<String>,
    pub(crate) desc: Option<String>,
    #[serde(default, rename = "return")]
    pub(crate) returned: Option<Value>,
    #[serde(default)]
    pub(crate) intended: Option<Refusal>,
}

/// A command before the one that is measured.
#[derive(Debug, Deserialize)]
pub(crate) struct CommandRecord {
    pub(crate) cmd: String,
    #[serde(default)]
    pub(crate) args: Value,
    #[serde(default)]
    pub(crate) class: Option<String>,
    #[serde(default)]
    pub(crate) desc: Option<String>,
}

/// Class and text of a refusal.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) class: Option<String>,
    pub(crate) desc: Option<String>,
}

/// A command line and what QEMU printed.
#[derive(Debug, Deserialize)]
pub(crate) struct CliRecord {
    pub(crate) case: String,
    pub(crate) qemu: String,
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) rc: Option<i64>,
    #[serde(default)]
    pub(crate) stderr: String,
}

/// A topology and steps.
#[derive(Debug, Deserialize)]
pub(crate) struct DatapathRecord {
    pub(crate) case: String,
    pub(crate) qemu: String,
    pub(crate) topology: String,
    pub(crate) chardevs: Map<String, Value>,
    #[serde(default)]
    pub(crate) iothread: bool,
    #[serde(default)]
    pub(crate) extra: Vec<String>,
    #[serde(default)]
    pub(crate) filters: Vec<Value>,
    #[serde(default)]
    pub(crate) add_errors: Value,
    pub(crate) steps: Vec<StepRecord>,
    #[serde(default)]
    pub(crate) connected: Vec<String>,
    pub(crate) alive: Option<bool>,
}

/// One step and what came of it.
#[derive(Debug, Deserialize)]
pub(crate) struct StepRecord {
    pub(crate) op: String,
    #[serde(default)]
    pub(crate) ep: String,
    #[serde(default)]
    pub(crate) data: String,
    #[serde(default)]
    pub(crate) args: Value,
    #[serde(default)]
    pub(crate) seconds: f64,
    #[serde(default)]
    pub(crate) out: BTreeMap<String, String>,
    #[serde(default, rename = "return")]
    pub(crate) returned: Option<Value>,
    #[serde(default)]
    pub(crate) error: Option<Value>,
    #[serde(default)]
    pub(crate) eof: Vec<String>,
    #[serde(default)]
    pub(crate) stderr: String,
    #[serde(default)]
    pub(crate) crash: Option<Value>,
    #[serde(default)]
    pub(crate) content: Option<String>,
}

/// One step on a real TAP. What a record does not name was not measured.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TapRecord {
    pub(crate) case: String,
    pub(crate) qemu: String,
    pub(crate) filters: Vec<Value>,
    pub(crate) nic: String,
    pub(crate) vm: String,
    pub(crate) step: String,
    #[serde(default)]
    pub(crate) data: Option<String>,
    #[serde(default)]
    pub(crate) chardevs: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) peer: Option<String>,
    #[serde(default)]
    pub(crate) tap_rx: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) udp_socket: Option<Option<String>>,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) info: String,
}

/// Tells a null, which is a measurement, from a key that is not there.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Record {
    pub(crate) fn parse(line: &str) -> Result<Self, RecordError> {
        let value: Value = serde_json::from_str(line)?;
        let has = |key: &str| value.get(key).is_some();
        Ok(if has("topology") {
            Self::Datapath(Box::new(serde_json::from_value(value)?))
        } else if has("step") {
            Self::Tap(Box::new(serde_json::from_value(value)?))
        } else if value.get("setup").and_then(Value::as_str) == Some("cli") {
            Self::Cli(Box::new(serde_json::from_value(value)?))
        } else {
            Self::Error(Box::new(serde_json::from_value(value)?))
        })
    }

    pub(crate) fn case(&self) -> &str {
        match self {
            Self::Error(record) => &record.case,
            Self::Cli(record) => &record.case,
            Self::Datapath(record) => &record.case,
            Self::Tap(record) => &record.case,
        }
    }

    /// The QEMU that it was measured on.
    fn qemu(&self) -> &str {
        match self {
            Self::Error(record) => &record.qemu,
            Self::Cli(record) => &record.qemu,
            Self::Datapath(record) => &record.qemu,
            Self::Tap(record) => &record.qemu,
        }
    }

    /// A sentence for a version that has no profile.
    pub(crate) fn warning(&self) -> Result<Option<String>, RecordError> {
        let version = version(self.qemu())?;
        let profile = version.profile();
        Ok((!version.is_modelled()).then(|| {
            format!(
                "QEMU {version} has no profile: its records are held against {profile}, the \
                 nearest that is known"
            )
        }))
    }

    pub(crate) fn replay(&self, taps: &mut Taps) -> Result<Verdict, RecordError> {
        match self {
            Self::Error(record) => error::replay(record),
            Self::Cli(record) => cli::replay(record),
            Self::Datapath(record) => datapath::replay(record),
            Self::Tap(record) => taps.replay(record),
        }
    }
}

/// The profile of a QEMU X.Y.Z: X.Y, or where there is none, that of the nearest release.
pub(crate) fn profile(qemu: &str) -> Result<Profile, RecordError> {
    Ok(version(qemu)?.profile())
}

fn version(qemu: &str) -> Result<Version, RecordError> {
    Version::parse(qemu).ok_or_else(|| RecordError::Version(qemu.to_owned()))
}
