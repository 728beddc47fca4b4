//! What a step brought to light, compared with what was measured.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value;
use tapwright::record::Outcome;

use super::{
    error::{compare_return, mask_crash},
    hex,
    record::{RecordError, StepRecord},
};

/// Whether frames go round for ever, through chardevs that are joined in a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ring {
    #[default]
    None,
    /// Since this step: how often they came round depends on the host.
    Begins,
    /// Since an earlier one.
    GoesOn,
}

impl Ring {
    /// Whether an endpoint received the same, as far as a ring lets anybody say.
    fn agrees(self, got: &[u8], expected: &[u8]) -> bool {
        match self {
            Self::None => got == expected,
            Self::Begins => {
                let both = got.len().min(expected.len());
                got.is_empty() == expected.is_empty() && got[..both] == expected[..both]
            }
            Self::GoesOn => got.is_empty() == expected.is_empty(),
        }
    }
}

/// What a step brought to light.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) out: BTreeMap<String, Vec<Bytes>>,
    pub(super) eof: BTreeSet<String>,
    pub(super) stderr: Vec<String>,
    pub(super) crash: Option<String>,
    pub(super) ring: Ring,
}

impl Seen {
    /// Adds what came later.
    pub(super) fn join(&mut self, later: Self) {
        for (endpoint, mut bytes) in later.out {
            self.out.entry(endpoint).or_default().append(&mut bytes);
        }
        self.eof.extend(later.eof);
        self.stderr.extend(later.stderr);
        self.crash = self.crash.take().or(later.crash);
        self.ring = self.ring.max(later.ring);
    }
}

/// The refused filters, in order. Each entry of the record names a text somewhere in it.
pub(super) fn add_errors(expected: &Value, refused: &[String]) -> Vec<String> {
    let entries: Vec<String> = match expected {
        Value::Null => Vec::new(),
        Value::Array(entries) => entries.iter().map(text_of).collect(),
        Value::Object(entries) => entries.values().map(text_of).collect(),
        other => vec![text_of(other)],
    };
    let same = entries.len() == refused.len()
        && entries.iter().zip(refused).all(|(entry, refused)| entry.contains(refused.as_str()));
    if same {
        return Vec::new();
    }
    vec![format!("filters refused: QEMU {entries:?}, machine {refused:?}")]
}

fn text_of(entry: &Value) -> String {
    match entry {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(" "),
        Value::Object(items) => items.values().map(text_of).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Whether bytes begin as a file of filter-dump does (QEMU 10.2.2 net/dump.c).
pub(super) fn is_pcap(bytes: &[u8]) -> bool {
    bytes.starts_with(&0xa1b2_c3d4_u32.to_ne_bytes())
}

/// A file of filter-dump with its records' times, which are those of the run, at zero; any other
/// file as it is.
fn without_times(mut file: Vec<u8>) -> Vec<u8> {
    const HEADER: usize = 24;
    const RECORD: usize = 16;
    let mut at = HEADER;
    while is_pcap(&file) && at + RECORD <= file.len() {
        file[at..at + 8].fill(0);
        let kept = u32::from_ne_bytes([file[at + 8], file[at + 9], file[at + 10], file[at + 11]]);
        at = at.saturating_add(RECORD).saturating_add(kept as usize);
    }
    file
}

pub(super) fn compare(
    step: &StepRecord,
    seen: Seen,
    answer: Option<Outcome>,
    contents: &BTreeMap<String, Vec<u8>>,
) -> Result<Vec<String>, RecordError> {
    let mut differences = Vec::new();
    let endpoints: BTreeSet<&String> = step.out.keys().chain(seen.out.keys()).collect();
    for endpoint in endpoints {
        let expected = match step.out.get(endpoint) {
            Some(text) => hex::decode(text)?,
            None => Vec::new(),
        };
        let got = seen.out.get(endpoint).map(|parts| parts.concat()).unwrap_or_default();
        if !seen.ring.agrees(&got, &expected) {
            differences.push(format!("{endpoint}: QEMU    {}", hex::show(&expected)));
            differences.push(format!("{endpoint}: machine {}", hex::show(&got)));
        }
    }
    let expected: BTreeSet<String> = step.eof.iter().cloned().collect();
    // The kernel may close what a dead process had open later than the recorder listened.
    let late = seen.crash.is_some() && expected.is_subset(&seen.eof);
    if expected != seen.eof && !late {
        differences.push(format!("end of file: QEMU {expected:?}, machine {:?}", seen.eof));
    }
    let printed = seen.stderr.join("\n");
    let expected = plain_stderr(&step.stderr);
    if printed != expected {
        differences.push(format!("standard error: QEMU {expected:?}, machine {printed:?}"));
    }
    let expected = step.crash.as_ref().filter(|crash| **crash != Value::Bool(false)).map(text_of);
    // A record may say only that QEMU died.
    let unsaid = expected.as_deref() == Some("true");
    let same = match (&expected, &seen.crash) {
        (Some(expected), Some(crash)) => unsaid || mask_crash(expected) == mask_crash(crash),
        (expected, crash) => expected.is_none() && crash.is_none(),
    };
    if !same {
        differences.push(format!("crash: QEMU {expected:?}, machine {:?}", seen.crash));
    }
    if let Some(content) = &step.content {
        let got = contents.get(&step.ep).cloned().unwrap_or_default();
        if without_times(got.clone()) != without_times(hex::decode(content)?) {
            differences.push(format!("file: QEMU {content}, machine {}", hex::show(&got)));
        }
    }
    differences.extend(answer.map(|answer| compare_answer(step, &answer)).unwrap_or_default());
    Ok(differences)
}

/// A refusal stands under `error` or where the return would; its text is somewhere in there.
fn compare_answer(step: &StepRecord, answer: &Outcome) -> Vec<String> {
    let agrees = match (answer, &step.returned, &step.error) {
        (Outcome::Done(value), Some(expected), None) => {
            return compare_return(&step.ep, value, expected);
        }
        (Outcome::Done(_), None, None) => true,
        (Outcome::Refused(error), _, Some(expected))
        | (Outcome::Refused(error), Some(expected), None) => {
            text_of(expected).contains(error.desc.as_str())
        }
        (Outcome::Aborts(_), _, _) => step.crash.is_some(),
        _ => false,
    };
    if agrees {
        return Vec::new();
    }
    let (returned, error) = (&step.returned, &step.error);
    vec![format!("answer: QEMU {returned:?} {error:?}, machine {}", answer)]
}

/// Standard error without the program's name in front of its lines.
pub(super) fn plain_stderr(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.strip_prefix("qemu-system-x86_64: ").unwrap_or(line);
        line.strip_prefix("qemu: ").unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}
