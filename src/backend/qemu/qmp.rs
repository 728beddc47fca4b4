//! The client's side of a QMP connection that never blocks. A machine has one for commands.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use serde_json::{Map, Value, json};

use super::stream::Stream;
use crate::record::{CommandError, Outcome};

/// The longest answer that is taken. `qom-list-types`, the longest that a scenario may ask for, is
/// some tens of thousands of bytes.
const LONGEST: usize = 16 << 20;

/// QEMU did not speak QMP.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// A line is no JSON object.
    #[error("QMP: this is no answer: {0}")]
    Line(String),
    /// An answer without an end.
    #[error("QMP: an answer of more than {LONGEST} bytes")]
    TooLong,
}

/// The client's side of a QMP connection (QEMU `docs/interop/qmp-spec.rst`): one JSON object a
/// line.
#[derive(Debug)]
pub struct Qmp {
    stream: Stream,
    input: Vec<u8>,
    last: u64,
    closed: bool,
    speaker: Option<u32>,
}

impl Qmp {
    /// Speaks over a connected socket.
    ///
    /// # Errors
    /// When it can't be made non-blocking.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        let stream = Stream::new(socket)?;
        stream.ask_for_senders()?;
        Ok(Self { stream, input: Vec::new(), last: 0, closed: false, speaker: None })
    }

    /// Sends a command; its number is that of its answer.
    pub fn send(&mut self, command: &str, args: Option<&Map<String, Value>>) -> u64 {
        self.last += 1;
        let mut line = json!({"execute": command, "id": self.last});
        if let Some(args) = args {
            line["arguments"] = Value::Object(args.clone());
        }
        self.stream.write(format!("{line}\n").as_bytes());
        self.last
    }

    /// The answers that have come, with the numbers of their commands; it does not wait. Greeting
    /// and events are passed over.
    ///
    /// # Errors
    /// When what came is no QMP.
    pub fn read(&mut self) -> Result<Vec<(u64, Outcome)>, QmpError> {
        self.stream.flush();
        if self.speaker.is_none() {
            self.speaker = self.stream.sender();
        }
        if !self.closed {
            self.closed = self.stream.read(&mut self.input);
        }
        let mut answers = Vec::new();
        let whole = self.input.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.input.drain(..whole).collect();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            answers.extend(answer(line)?);
        }
        if self.input.len() > LONGEST {
            return Err(QmpError::TooLong);
        }
        Ok(answers)
    }

    /// The number of the process that wrote here first, in this process's pid namespace; none
    /// before that was read.
    #[must_use]
    pub const fn speaker(&self) -> Option<u32> {
        self.speaker
    }

    /// Whether there may be more to read, since not all was taken that had come.
    pub(super) const fn has_more(&self) -> bool {
        self.stream.has_more()
    }

    /// Whether QEMU closed the connection: it ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

impl AsFd for Qmp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn answer(line: &[u8]) -> Result<Option<(u64, Outcome)>, QmpError> {
    let broken = || QmpError::Line(String::from_utf8_lossy(line).trim_end().to_owned());
    let mut value: Value = serde_json::from_slice(line).map_err(|_| broken())?;
    let Some(id) = value.get("id").and_then(Value::as_u64) else {
        return Ok(None);
    };
    if let Some(error) = value.get("error") {
        let text = |key: &str| error.get(key)?.as_str().map(str::to_owned);
        let (class, desc) = text("class").zip(text("desc")).ok_or_else(broken)?;
        return Ok(Some((id, Outcome::Refused(CommandError { class, desc }))));
    }
    let value = value.get_mut("return").ok_or_else(broken)?.take();
    Ok(Some((id, Outcome::Done(value))))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn answers_are_told_from_events_and_may_come_in_pieces() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut qmp = Qmp::new(ours).unwrap();
        assert_eq!(qmp.send("query-status", None), 1);
        let mut sent = [0; 64];
        let length = theirs.read(&mut sent).unwrap();
        let expected = "{\"execute\":\"query-status\",\"id\":1}\n";
        assert_eq!(&sent[..length], expected.as_bytes());
        let text = "{\"QMP\": {}}\r\n{\"event\": \"STOP\"}\r\n{\"return\": {}, \"id\": 1}\r\n\
                    {\"id\": 2, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\r\n";
        let (one, two) = text.split_at(30);
        theirs.write_all(one.as_bytes()).unwrap();
        assert_eq!(qmp.read().unwrap(), []);
        theirs.write_all(two.as_bytes()).unwrap();
        let refused = CommandError { class: "GenericError".into(), desc: "no".into() };
        assert_eq!(
            qmp.read().unwrap(),
            [(1, Outcome::Done(json!({}))), (2, Outcome::Refused(refused))]
        );
        assert_eq!(qmp.speaker(), Some(std::process::id()));
        drop(theirs);
        assert_eq!(qmp.read().unwrap(), []);
        assert!(qmp.is_closed());
    }

    #[test]
    fn who_never_falls_silent_is_read_by_the_piece() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut qmp = Qmp::new(ours).unwrap();
        let flood = std::thread::spawn(move || {
            let mut theirs = theirs;
            let event = "{\"event\": \"STOP\"}\r\n".repeat(4096);
            while theirs.write_all(event.as_bytes()).is_ok() {}
        });
        // It comes back each time, though there is no end.
        while !qmp.has_more() {
            assert_eq!(qmp.read().unwrap(), []);
        }
        drop(qmp);
        flood.join().unwrap();
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut qmp = Qmp::new(ours).unwrap();
        theirs.write_all(b"hello\n").unwrap();
        assert!(matches!(qmp.read(), Err(QmpError::Line(line)) if line == "hello"));
    }
}
