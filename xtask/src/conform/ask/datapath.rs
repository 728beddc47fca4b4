//! Topologies and steps.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use super::{
    AskError, Lab, MONITOR, Place, Question,
    process::{Answer, Asked, Line, refusal},
    system,
};
use crate::conform::{
    datapath::{LISTENED, NO_PEER, WITH_GUEST},
    hex,
    record::{DatapathRecord, RecordError, StepRecord},
    setup::parse_chardev,
};

/// Most looks at a chardev whose client has connected; each is a round of QEMU's main loop.
const MAX_LOOKS: usize = 1000;

/// QEMU's timers go off late, each a little more than the one before, since they are set again when
/// they go off. A wait that ends with one's time includes it.
const LATE: Duration = Duration::from_millis(50);

/// Stands among the refusals of filters for a QEMU that did not answer.
const FROZEN: &str = "FROZEN";

pub(super) fn ask(
    lab: &Lab,
    place: &Place,
    question: &Question,
    record: &DatapathRecord,
) -> Result<Map<String, Value>, AskError> {
    let paths = paths(place, record)?;
    let mut qemu = start(lab, place, record)?;
    for name in &record.connected {
        connect(&mut qemu, &paths, name)?;
        accepted(&mut qemu, name)?;
    }
    let mut refused: Vec<Value> = Vec::new();
    for filter in &record.filters {
        match qemu.command("object-add", filter)? {
            Answer::Done(_) => {}
            Answer::Refused(error) => refused.push(error.desc.into()),
            Answer::Died => refused.push(qemu.death().into()),
            Answer::Frozen => refused.push(FROZEN.into()),
        }
    }
    qemu.settle()?;
    // Warnings of its start.
    qemu.take_said();
    qemu.ends.take();
    let mut steps = Vec::new();
    // What comes of a timer between two steps depends on how long they last.
    let timed = has_timers(record);
    for (at, step) in record.steps.iter().enumerate() {
        let mut answers = question.line["steps"][at].as_object().cloned().unwrap_or_default();
        for key in ["return", "error", "out", "eof", "stderr", "crash", "content"] {
            answers.shift_remove(key);
        }
        let until = timed.then(|| Instant::now() + LISTENED);
        take_step(&mut qemu, &paths, step, until, &mut answers)?;
        steps.push(Value::Object(answers));
    }
    let mut line = question.without(&["add_errors"], &lab.version.text);
    if !refused.is_empty() {
        line.insert("add_errors".to_owned(), refused.into());
    }
    line.insert("steps".to_owned(), steps.into());
    line.insert("alive".to_owned(), qemu.is_alive()?.into());
    Ok(line)
}

fn start<'a>(lab: &Lab, place: &'a Place, record: &DatapathRecord) -> Result<Asked<'a>, AskError> {
    let mut line = Line::new(place).machine("none");
    if record.iothread {
        line.push("-object", "iothread,id=io0");
    }
    for chardev in record.chardevs.values() {
        line.push("-chardev", text(chardev)?);
    }
    line.socket("n0", "A")?;
    match record.topology.as_str() {
        NO_PEER => {}
        WITH_GUEST => {
            line.push("-netdev", "hubport,id=h0,hubid=0,netdev=n0");
            line.socket("n9", "P")?;
            line.push("-netdev", "hubport,id=h9,hubid=0,netdev=n9");
        }
        other => return Err(RecordError::Topology(other.to_owned()).into()),
    }
    for word in &record.extra {
        line.word(&place.expand(word));
    }
    let mut qemu = line.start(lab)?;
    match qemu.death() {
        None => Ok(qemu),
        Some(death) => Err(AskError::NotStarted(death)),
    }
}

/// The sockets that chardevs listen on.
fn paths(place: &Place, record: &DatapathRecord) -> Result<BTreeMap<String, PathBuf>, AskError> {
    let mut paths = BTreeMap::new();
    for chardev in record.chardevs.values() {
        let (config, path) = parse_chardev(text(chardev)?)?;
        if let Some(path) = path {
            paths.insert(config.id.as_str().to_owned(), place.expand(&path).into());
        }
    }
    Ok(paths)
}

fn text(chardev: &Value) -> Result<&str, RecordError> {
    chardev.as_str().ok_or_else(|| RecordError::Chardev(chardev.to_string()))
}

fn connect(
    qemu: &mut Asked<'_>,
    paths: &BTreeMap<String, PathBuf>,
    name: &str,
) -> Result<(), AskError> {
    // One that is frozen takes no client, and who waits for that waits for ever.
    if qemu.is_frozen() {
        return Ok(());
    }
    let path = paths.get(name).ok_or_else(|| RecordError::Endpoint(name.to_owned()))?;
    qemu.ends.connect(name, path).map_err(system("connecting to a chardev"))
}

/// Waits until QEMU has taken a client: what is sent to a chardev before that is lost.
pub(super) fn accepted(qemu: &mut Asked<'_>, name: &str) -> Result<(), AskError> {
    for _ in 0..MAX_LOOKS {
        let chardevs = qemu.must("query-chardev", &Value::Null)?;
        let filename = chardevs
            .as_array()
            .into_iter()
            .flatten()
            .find(|chardev| chardev["label"] == name)
            .and_then(|chardev| chardev["filename"].as_str());
        if filename.is_some_and(|filename| !filename.starts_with("disconnected:")) {
            return Ok(());
        }
    }
    Err(AskError::NotAccepted(name.to_owned()))
}

/// Does a step and writes down what came of it.
fn take_step(
    qemu: &mut Asked<'_>,
    paths: &BTreeMap<String, PathBuf>,
    step: &StepRecord,
    until: Option<Instant>,
    answers: &mut Map<String, Value>,
) -> Result<(), AskError> {
    let name = step.ep.as_str();
    let lived = qemu.code().is_none();
    match step.op.as_str() {
        "send" => {
            exists(qemu, name)?;
            qemu.ends.write(name, &hex::decode(&step.data)?);
        }
        "bytes" => {
            exists(qemu, name)?;
            for byte in hex::decode(&step.data)? {
                qemu.ends.write(name, &[byte]);
                // So that QEMU does not read two at once.
                qemu.settle()?;
            }
        }
        "close" => {
            exists(qemu, name)?;
            qemu.ends.close(name);
        }
        "shutwr" => {
            exists(qemu, name)?;
            qemu.ends.half_close(name);
        }
        "conn" => connect(qemu, paths, name)?,
        "qmp" => match qemu.command(name, &step.args)? {
            Answer::Done(value) => drop(answers.insert("return".to_owned(), value)),
            Answer::Refused(error) => drop(answers.insert("error".to_owned(), refusal(&error))),
            Answer::Died | Answer::Frozen => {}
        },
        "wait" => {
            let span = Duration::from_secs_f64(step.seconds.clamp(0.0, 1e6));
            qemu.wait(Instant::now() + span + LATE)?;
        }
        "file" => {
            qemu.settle()?;
            let path = qemu.place.folder.join(name);
            let content = fs::read(path).map_err(system("a chardev's file"))?;
            answers.insert("content".to_owned(), hex::encode(&content).into());
            return Ok(());
        }
        other => return Err(RecordError::Operation(other.to_owned()).into()),
    }
    qemu.settle()?;
    if let Some(until) = until {
        qemu.wait(until)?;
    }
    let (out, mut eof) = qemu.ends.take();
    if lived && qemu.code().is_some() {
        // Its monitor's connection ends with it.
        eof.insert(MONITOR.to_owned());
    }
    let out: Map<String, Value> =
        out.into_iter().map(|(name, bytes)| (name, hex::encode(&bytes).into())).collect();
    answers.insert("out".to_owned(), out.into());
    if !eof.is_empty() {
        answers.insert("eof".to_owned(), json!(eof));
    }
    if let Some(death) = qemu.death().filter(|_| lived) {
        answers.insert("crash".to_owned(), death.into());
        return Ok(());
    }
    let said: Vec<String> = qemu.take_said().iter().map(|line| nameless(line)).collect();
    if !said.is_empty() {
        answers.insert("stderr".to_owned(), said.join("\n").into());
    }
    Ok(())
}

/// Whether an object of the record does something by itself.
fn has_timers(record: &DatapathRecord) -> bool {
    record.filters.iter().any(|filter| {
        let kind = filter["qom-type"].as_str();
        matches!(kind, Some("colo-compare" | "filter-buffer"))
    })
}

/// A line with `qemu` for the program's name, as the steps of records have it.
fn nameless(line: &str) -> String {
    match line.split_once(": ") {
        Some((program, rest)) if program.starts_with("qemu-system-") => format!("qemu: {rest}"),
        _ => line.to_owned(),
    }
}

/// An endpoint that never was is a mistake of the question.
fn exists(qemu: &Asked<'_>, name: &str) -> Result<(), RecordError> {
    if qemu.ends.knows(name) { Ok(()) } else { Err(RecordError::Endpoint(name.to_owned())) }
}
