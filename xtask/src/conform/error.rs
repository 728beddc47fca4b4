//! Answers to commands: class, text, return.

use serde_json::{Value, json};
use tapwright::{
    base::{Profile, Quirk},
    machine::NOT_BUILT,
    record::{CommandError, NoAnswer, Outcome},
};

use super::{
    Verdict,
    record::{ErrorRecord, RecordError, Refusal, profile},
    setup::{self, Bench},
};

pub(super) fn replay(record: &ErrorRecord) -> Result<Verdict, RecordError> {
    let profile = profile(&record.qemu)?;
    let outcome = match ask(record, &profile)? {
        Asked::Answered(outcome) => outcome,
        Asked::Before(verdict) => return Ok(verdict),
    };
    if let Some(what) = not_built(&outcome) {
        return Ok(Verdict::NotBuilt(what));
    }
    let intended = intended(record);
    let mut differences =
        compare(&outcome, record.class.as_deref(), record.desc.as_deref(), intended.as_ref());
    if let (Some(expected), Outcome::Done(returned)) = (&record.returned, &outcome) {
        differences.extend(compare_return(&record.cmd, returned, expected));
    }
    if let (Some("FROZEN"), Some(Refusal { class, desc })) = (record.class.as_deref(), &intended)
        && let Asked::Answered(survivor) =
            ask(record, &profile.without([Quirk::CompareErrorFreezes]))?
    {
        let found = compare(&survivor, class.as_deref(), desc.as_deref(), None).into_iter();
        differences.extend(found.map(|text| format!("one that goes on: {text}")));
    }
    Ok(verdict(differences))
}

/// What came of a record's commands.
enum Asked {
    /// The answer to the one that is measured.
    Answered(Outcome),
    /// One before it went another way.
    Before(Verdict),
}

fn ask(record: &ErrorRecord, profile: &Profile) -> Result<Asked, RecordError> {
    let mut bench = Bench::new(setup::machine(&record.setup, profile.clone())?)?;
    setup::listeners().for_each(|server| bench.host.listen(&server, &server));
    for pre in &record.pre {
        let outcome = bench.qmp(&pre.cmd, &pre.args);
        if let Some(what) = not_built(&outcome) {
            return Ok(Asked::Before(Verdict::NotBuilt(what)));
        }
        let differences = compare(&outcome, pre.class.as_deref(), pre.desc.as_deref(), None);
        if !differences.is_empty() {
            let before = differences.into_iter().map(|text| format!("before, {}: {text}", pre.cmd));
            return Ok(Asked::Before(Verdict::Disagree(before.collect())));
        }
    }
    Ok(Asked::Answered(bench.qmp(&record.cmd, &record.args)))
}

/// What a QEMU that survives would have answered. It was measured on a build of 10.2 that does; 7.2
/// has another text for a chardev that is in use (QEMU 7.2 chardev/char-fe.c).
fn intended(record: &ErrorRecord) -> Option<Refusal> {
    let mut intended = record.intended.clone()?;
    let in_use = |desc: &String| {
        let desc = desc.strip_prefix("chardev ")?;
        Some(format!("Device {}", desc.replace(" already in use", " in use")))
    };
    if record.qemu.starts_with("7.2")
        && let Some(desc) = intended.desc.as_ref().and_then(in_use)
        && desc.ends_with(" is in use")
    {
        intended.desc = Some(desc);
    }
    Some(intended)
}

pub(super) fn verdict(differences: Vec<String>) -> Verdict {
    if differences.is_empty() { Verdict::Agree } else { Verdict::Disagree(differences) }
}

/// What the machine says it has not, when that is its answer.
pub(super) fn not_built(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Refused(error) if error.class == NOT_BUILT => Some(error.desc.clone()),
        _ => None,
    }
}

/// Compares an outcome with a measured class and text.
pub(super) fn compare(
    outcome: &Outcome,
    class: Option<&str>,
    desc: Option<&str>,
    intended: Option<&Refusal>,
) -> Vec<String> {
    // The machine knows no folder but that of the run.
    let desc = &desc.unwrap_or_default().replace("@D/", "");
    let refused = |error: &CommandError, class: Option<&str>, desc: &str| {
        Some(error.class.as_str()) == class && error.desc == desc
    };
    let agrees = match (class, outcome) {
        (None, Outcome::Done(_)) => true,
        (Some("CRASH"), Outcome::Aborts(abort)) => {
            let survives = intended.is_none_or(|intended| {
                let desc = intended.desc.as_deref().unwrap_or_default();
                let survivor = abort.survivor.as_ref();
                survivor.is_some_and(|error| refused(error, intended.class.as_deref(), desc))
            });
            mask_crash(&abort.assertion) == mask_crash(desc) && survives
        }
        // How it died was compared where it did; a record repeats that for each later command.
        (Some("CRASH"), Outcome::Unanswered(NoAnswer::Dead)) => true,
        (Some("FROZEN"), Outcome::Unanswered(NoAnswer::Frozen)) => true,
        (class, Outcome::Refused(error)) => refused(error, class, desc),
        _ => false,
    };
    if agrees {
        return Vec::new();
    }
    let expected = match class {
        None => "done".to_owned(),
        Some(class) => format!("{class}: {desc}"),
    };
    vec![format!("QEMU:    {expected}"), format!("machine: {}", outcome)]
}

/// Compares what a command returned. Lists whose order is a hash table's are compared as sets, and
/// paths of sockets and terminals are not compared.
pub(super) fn compare_return(command: &str, returned: &Value, expected: &Value) -> Vec<String> {
    let (returned, expected) = (settle(command, returned), settle(command, expected));
    if returned == expected {
        return Vec::new();
    }
    vec![format!("QEMU returned:    {expected}"), format!("machine returned: {returned}")]
}

fn settle(command: &str, value: &Value) -> Value {
    let Value::Array(items) = value else {
        return match value {
            Value::String(text) => text.replace("@D/", "").into(),
            // The terminal's number is the host's.
            Value::Object(members) if members.contains_key("pty") => json!({"pty": "pty"}),
            other => other.clone(),
        };
    };
    let mut items = items.clone();
    match command {
        "query-chardev" => {
            for item in &mut items {
                if let Some(filename) = item.get_mut("filename") {
                    *filename = mask_address(filename.as_str().unwrap_or_default()).into();
                }
            }
            items.sort_by_key(|item| item["label"].to_string());
        }
        // The kernel's number of the thread.
        "query-iothreads" => {
            for item in &mut items {
                item["thread-id"] = Value::Null;
            }
        }
        "qom-list" => items.sort_by_key(|item| item["name"].to_string()),
        _ => {}
    }
    Value::Array(items)
}

/// `disconnected:unix:/some/path,server=on` without its address.
fn mask_address(filename: &str) -> String {
    let (prefix, rest) = match filename.strip_prefix("disconnected:") {
        Some(rest) => ("disconnected:", rest),
        None => ("", filename),
    };
    let scheme = rest.split(':').next().unwrap_or_default();
    // TCP and unix sockets are one kind of chardev.
    format!("{prefix}{}", if scheme == "tcp" { "unix" } else { scheme })
}

/// A crash's text without what differs from build to build and run to run: the exit code, the
/// program, addresses, source paths and lines. Who dies of a bad address says nothing but the code.
pub(super) fn mask_crash(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| {
        let address = word.starts_with("0x");
        let exit = word.starts_with("rc=");
        let program = word.starts_with("qemu") && word.ends_with(':');
        !(address || exit || program)
    });
    let words = text.starts_with("rc=-11").then_some("SIGSEGV").into_iter().chain(words);
    let words = words.map(|word| match word.find(".c:").or_else(|| word.find(".h:")) {
        Some(dot) => {
            let start = word[..dot].rfind('/').map_or(0, |slash| slash + 1);
            let tail = word[dot + 3..].trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{}{tail}", &word[start..dot + 2])
        }
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}
