//! Command lines.

use serde_json::{Map, Value};

use super::{AskError, Lab, Place, Question, command::CRASH, process::Line};
use crate::conform::record::CliRecord;

pub(super) fn ask(
    lab: &Lab,
    place: &Place,
    question: &Question,
    record: &CliRecord,
) -> Result<Map<String, Value>, AskError> {
    let mut command = Line::new(place).machine("none");
    for word in &record.args {
        command.word(&place.expand(word));
    }
    let mut qemu = command.start(lab)?;
    qemu.settle()?;
    let rc = qemu.code();
    let printed: String = qemu.take_said().iter().map(|line| format!("{line}\n")).collect();
    let (class, desc) = match rc {
        None | Some(0) => (Value::Null, Value::Null),
        Some(code) if code < 0 => {
            let how = format!("rc={code} {}", printed.trim_end());
            (CRASH.into(), how.into())
        }
        Some(_) => ("CLI".into(), printed.as_str().into()),
    };
    let mut line = question.without(&["class", "desc", "rc", "stderr"], &lab.version.text);
    line.insert("class".to_owned(), class);
    line.insert("desc".to_owned(), desc);
    line.insert("rc".to_owned(), rc.into());
    line.insert("stderr".to_owned(), printed.into());
    Ok(line)
}
