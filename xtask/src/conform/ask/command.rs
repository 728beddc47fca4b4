//! Answers to commands.

use serde_json::{Map, Value, json};

use super::{
    AskError, Lab, Place, Question,
    process::{Answer, Asked, Line, Silence},
};
use crate::conform::record::{ErrorRecord, RecordError};

/// The class of a death.
pub(super) const CRASH: &str = "CRASH";

/// Class and text of a QEMU that does not answer again, by what SIGTERM does to it.
const FROZEN: (&str, &str) = ("FROZEN", "QMP does not answer, and SIGTERM does not end it");
const SILENT: (&str, &str) = ("SILENT", "QMP does not answer, and SIGTERM ends it");

pub(super) fn ask(
    lab: &Lab,
    place: &Place,
    question: &Question,
    record: &ErrorRecord,
) -> Result<Map<String, Value>, AskError> {
    let mut qemu = start(lab, place, &record.setup)?;
    let mut line = question.without(&["class", "desc", "return", "intended"], &lab.version.text);
    // Its warnings.
    qemu.settle()?;
    qemu.take_said();
    for (at, pre) in record.pre.iter().enumerate() {
        let answer = qemu.command(&pre.cmd, &pre.args)?;
        let (class, desc) = class_and_desc(&answer, &mut qemu)?;
        let Some(asked) = line.get_mut("pre").and_then(|pre| pre.get_mut(at)) else {
            continue;
        };
        let Some(asked) = asked.as_object_mut() else {
            continue;
        };
        asked.shift_remove("class");
        asked.shift_remove("desc");
        if !class.is_null() {
            asked.insert("class".to_owned(), class);
            asked.insert("desc".to_owned(), desc);
        }
    }
    let answer = qemu.command(&record.cmd, &record.args)?;
    let (class, desc) = class_and_desc(&answer, &mut qemu)?;
    let is_lost = matches!(answer, Answer::Died | Answer::Frozen);
    line.insert("class".to_owned(), class);
    line.insert("desc".to_owned(), desc);
    if let Answer::Done(value) = answer
        && value != json!({})
    {
        line.insert("return".to_owned(), value);
    }
    // What a build that survives would say can't be measured on one that dies or freezes.
    if let Some(intended) = question.line.get("intended").filter(|_| is_lost) {
        line.insert("intended".to_owned(), intended.clone());
    }
    Ok(line)
}

fn class_and_desc(answer: &Answer, qemu: &mut Asked<'_>) -> Result<(Value, Value), AskError> {
    Ok(match answer {
        Answer::Done(_) => (Value::Null, Value::Null),
        Answer::Refused(error) => (error.class.as_str().into(), error.desc.as_str().into()),
        Answer::Died => (CRASH.into(), qemu.death().into()),
        Answer::Frozen => {
            let (class, desc) = match qemu.terminate()? {
                Silence::Frozen => FROZEN,
                Silence::Ended => SILENT,
            };
            (class.into(), desc.into())
        }
    })
}

/// The set-ups of `fixtures/qemu/README.md`.
fn start<'a>(lab: &Lab, place: &'a Place, setup: &str) -> Result<Asked<'a>, AskError> {
    let machine = if setup == "pc" { "pc" } else { "none" };
    let mut line = Line::new(place).machine(machine);
    chardevs(&mut line, lab.version.major);
    line.push("-object", "iothread,id=io0");
    match setup {
        "std" => {
            line.socket("n0", "A")?;
            for option in [
                "hubport,id=h0,hubid=0,netdev=n0",
                "hubport,id=h1,hubid=0",
                "socket,id=n1,udp=127.0.0.1:9,localaddr=127.0.0.1:0",
                "hubport,id=n1x,hubid=7",
                "hubport,id=n2,hubid=1",
                "hubport,id=n2b,hubid=1",
                "user,id=u0",
                "stream,id=s0,server=on,addr.type=unix,addr.path=@D/s0",
                "dgram,id=d0,local.type=inet,local.host=127.0.0.1,local.port=0,\
                 remote.type=inet,remote.host=127.0.0.1,remote.port=9",
            ] {
                line.push("-netdev", option);
            }
        }
        "tap" => line.push("-netdev", TAP),
        "tapmq" => line.push("-netdev", &format!("{TAP},queues=2")),
        "vhu" => line.vhost_user("v0")?,
        "pc" => {
            line.word("-S");
            line.socket("n0", "A")?;
            line.push("-device", "e1000,id=nic0,netdev=n0,romfile=");
        }
        other => return Err(RecordError::Setup(other.to_owned()).into()),
    }
    let mut qemu = line.start(lab)?;
    match qemu.death() {
        None => Ok(qemu),
        Some(death) => Err(AskError::NotStarted(death)),
    }
}

/// The netdev on a real TAP.
pub(super) const TAP: &str = "tap,id=t0,ifname=tap0,script=no,downscript=no";

/// The chardevs that are always there.
fn chardevs(line: &mut Line<'_>, major: u64) {
    for number in 0..=8 {
        let path = format!("socket,id=c{number},path=@D/c{number},server=on,wait=off");
        line.push("-chardev", &path);
    }
    // `reconnect`, in seconds, went with 10 (QEMU 10.2.2 `docs/about/removed-features.rst`).
    let reconnect = if major < 10 { "reconnect=60" } else { "reconnect-ms=60000" };
    for chardev in [
        "null,id=cnull",
        "udp,id=cudp,host=127.0.0.1,port=9",
        "file,id=cfile,path=@D/cfile",
        "ringbuf,id=cring",
        "socket,id=cmux,path=@D/cmux,server=on,wait=off,mux=on",
        "socket,id=ctcp,host=127.0.0.1,port=0,server=on,wait=off",
        &format!("socket,id=crec,path=@D/nobody,{reconnect}"),
        "pty,id=cpty",
    ] {
        line.push("-chardev", chardev);
    }
}
