//! A section read back: its observed half as a transcript. Read by the comparison.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use bytes::Bytes;

use super::{
    SectionError,
    arrived::Arrived,
    error::Reason,
    line::{
        parse_accounting, parse_described, parse_refusal, parse_return, parse_seconds, parse_size,
        parse_source, parse_vnet,
    },
    repeat::Counter,
    title,
    token::{self, take_bracketed, take_word, unquote},
    write::{framing_name, sha},
};
use crate::{
    base::{CaseId, Frame, PortId, Profile, Tag, VirtualTime, VnetHdr},
    frame,
    reading::{kind_of_name, number_of, padded_base},
    record::{
        Accounting, Answer, Deed, Event, EventKind, Framing, Outcome, Place, Port, PortKind,
        SentFrame, SourceFrame, Step, Transcript,
    },
};

/// Finds the bytes of a frame that lives in a capture file.
pub type Resolve<'a> = &'a dyn Fn(&SourceFrame) -> Option<Bytes>;

/// Reads the observed half of a section back into a transcript. Empty returns of commands, tags,
/// times within a step and everything explained, but for the clock and the sums, are not in a
/// section; the backend is called `snapshot`.
///
/// # Errors
/// With the line, from 1, that is not a transcript's; or when a frame of a capture file is not the
/// one that was reviewed.
pub fn parse(
    text: &str,
    case: CaseId,
    profile: Profile,
    resolve: Resolve<'_>,
) -> Result<Transcript, SectionError> {
    let mut parser = Parser {
        resolve,
        transcript: Transcript {
            case,
            profile,
            backend: "snapshot",
            ports: Vec::new(),
            steps: Vec::new(),
            accounting: Accounting::default(),
            duration: Duration::ZERO,
        },
        sent: BTreeMap::new(),
        arrived: Arrived::default(),
        port: None,
        hex: None,
        left: MOST,
    };
    for (index, line) in text.lines().enumerate() {
        let at = |reason: Reason| SectionError::at(index + 1, line, reason);
        if !line.trim_start().starts_with('|') {
            parser.end_hex().map_err(at)?;
        }
        parser.line(line).map_err(at)?;
    }
    let last = text.lines().count();
    parser.end_hex().map_err(|reason| SectionError::at(last, "", reason))?;
    parser.finish().map_err(|reason| SectionError::at(last, "", reason))
}

/// What a section may stand for: a line of twenty bytes can name a million frames or 16 MiB.
#[derive(Clone, Copy)]
struct Amount {
    /// Frames that were sent or came.
    frames: usize,
    /// Bytes of those that are not another's.
    bytes: usize,
}

/// The most that is read.
const MOST: Amount = Amount { frames: 2_000_000, bytes: 192 << 20 };

/// Bytes in hexadecimal that the lines below announce.
struct Hex {
    target: Target,
    size: usize,
    text: String,
}

enum Target {
    Sent {
        tags: RangeInclusive<u32>,
        counter: Option<Counter>,
        port: PortId,
        vnet: VnetHdr,
    },
    Written,
    New {
        port: usize,
        vnet: VnetHdr,
        /// Its length, where a file has only the beginning of it.
        whole: Option<usize>,
    },
    Raw {
        port: usize,
    },
}

struct Parser<'a> {
    resolve: Resolve<'a>,
    transcript: Transcript,
    sent: BTreeMap<u32, Bytes>,
    arrived: Arrived,
    /// The port whose list goes on.
    port: Option<usize>,
    hex: Option<Hex>,
    left: Amount,
}

/// Ends a line's parsing with a reason.
fn wrong<T>(reason: impl Into<Reason>) -> Result<T, Reason> {
    Err(reason.into())
}

impl Parser<'_> {
    fn line(&mut self, line: &str) -> Result<(), Reason> {
        let words = line.trim_start();
        let indent = line.len() - words.len();
        if let Some(hex) = words.strip_prefix('|') {
            let Some(open) = &mut self.hex else {
                return wrong("no bytes belong here");
            };
            open.text.push_str(hex);
            return Ok(());
        }
        match indent {
            0 => self.heading(line),
            6 if words.starts_with('#') => self.sent(words),
            6 if words.starts_with("wrote ") => self.written(words),
            _ if self.transcript.steps.is_empty() => wrong("no step has begun"),
            4 if words.starts_with("~ ") => self.explained(&words[2..]),
            4 if words.starts_with("-> ") => self.answer(&words[3..], parse_return),
            4 if words.starts_with("!! ") => self.answer(&words[3..], parse_refusal),
            4 if words.starts_with("crash: ") => self.crash(Place::Machine, &words[7..]),
            4 if words.starts_with("crash ") => self.crash_of(&words[6..]),
            _ => self.arrivals(words),
        }
    }

    /// Takes what is about to be read from what a section may stand for.
    fn take(&mut self, frames: usize, bytes: usize) -> Result<(), Reason> {
        let left = |left: usize, wanted: usize, most: usize, what: &str| {
            let rest = left.checked_sub(wanted);
            rest.ok_or_else(|| format!("a section stands for at most {most} {what}"))
        };
        self.left = Amount {
            frames: left(self.left.frames, frames, MOST.frames, "frames")?,
            bytes: left(self.left.bytes, bytes, MOST.bytes, "bytes of them")?,
        };
        Ok(())
    }

    fn step(&mut self) -> Result<&mut Step, Reason> {
        self.transcript.steps.last_mut().ok_or_else(|| "no step has begun".to_owned())
    }

    fn heading(&mut self, line: &str) -> Result<(), Reason> {
        self.port = None;
        if let Some(ports) = line.strip_prefix("ports:") {
            return self.ports(ports);
        }
        if let Some(sums) = line.strip_prefix("accounted: ") {
            self.transcript.accounting = parse_accounting(sums).ok_or("not a sum of frames")?;
            return Ok(());
        }
        let step = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
        let (index, title) = step.ok_or("neither a step nor a sum")?;
        let index = index.parse().map_err(|_| "not a step's number")?;
        let title = unquote(title).ok_or("not a step's title")?;
        let clock = self.transcript.steps.last().map_or(VirtualTime::ZERO, |step| step.clock);
        self.transcript.steps.push(Step {
            index,
            deed: title::deed(&title),
            title,
            clock,
            ..Step::default()
        });
        Ok(())
    }

    fn ports(&mut self, mut words: &str) -> Result<(), Reason> {
        while let Some(rest) = words.strip_prefix(' ') {
            let (name, rest) = take_word(rest, &['=']).ok_or("not a port")?;
            let id = PortId::from(name);
            let (kind, rest) = match rest.strip_prefix('=') {
                None => (kind_of_name(&id), rest),
                Some(rest) => {
                    let (name, rest) = take_word(rest, &[]).ok_or("not a framing")?;
                    let framing = [Framing::Plain, Framing::Vnet, Framing::Raw, Framing::Pcap]
                        .into_iter()
                        .find(|framing| framing_name(*framing) == name);
                    let kind = match framing.ok_or("not a framing")? {
                        Framing::Pcap => PortKind::File,
                        framing => PortKind::Chardev(framing),
                    };
                    (kind, rest)
                }
            };
            self.transcript.ports.push(Port { id, kind });
            words = rest;
        }
        if words.is_empty() { Ok(()) } else { wrong("not a port") }
    }

    fn sent(&mut self, words: &str) -> Result<(), Reason> {
        let (number, rest) = words.split_once(' ').ok_or("a sent frame without a size")?;
        let tags = sent_numbers(number).ok_or("not a frame's number")?;
        let counter = Counter::parse(rest);
        let rest = counter.as_ref().map_or(rest, |(_, rest)| rest);
        let counter = counter.map(|(counter, _)| counter);
        let (port, rest) = match rest.strip_prefix("at ") {
            Some(rest) => {
                let (port, rest) = take_word(rest, &[]).ok_or("not a port")?;
                (PortId::from(port), rest.strip_prefix(' ').ok_or("a sent frame without a size")?)
            }
            None => match &self.step()?.deed {
                Deed::Sends(port) => (port.clone(), rest),
                _ => return wrong("this step sends nowhere"),
            },
        };
        let source = parse_source(rest);
        let rest = source.as_ref().map_or(rest, |(_, _, rest)| rest);
        let (vnet, size) = parse_described(rest)?;
        let Some((source, expected, _)) = source else {
            if counter.as_ref().is_some_and(|counter| !counter.is_within(size)) {
                return wrong("the number that counts up is not in the frame");
            }
            let sent = Target::Sent { tags, counter, port, vnet };
            return self.open_hex(sent, size);
        };
        let data = (self.resolve)(&source).ok_or_else(|| {
            format!("frame {} of {} can't be found", source.number, source.file.display())
        })?;
        let found = sha(&data);
        if found != expected || data.len() != size {
            return wrong(format!(
                "frame {} of {} is not the reviewed one: its sha is {found}, not {expected}",
                source.number,
                source.file.display()
            ));
        }
        self.push_sent(SentFrame {
            tag: Tag::sent(*tags.start()),
            port,
            frame: Frame { vnet, data },
            source: Some(source),
        })
    }

    fn push_sent(&mut self, sent: SentFrame) -> Result<(), Reason> {
        self.sent.insert(number_of(&sent), sent.frame.data.clone());
        self.step()?.sent.push(sent);
        Ok(())
    }

    fn written(&mut self, words: &str) -> Result<(), Reason> {
        let words = &words["wrote ".len()..];
        let (size, _) = words.split_once(": ").unwrap_or((words, ""));
        let size = parse_size(size).ok_or("not a number of bytes")?;
        self.open_hex(Target::Written, size)
    }

    fn open_hex(&mut self, target: Target, size: usize) -> Result<(), Reason> {
        self.step()?;
        self.hex = Some(Hex { target, size, text: String::new() });
        Ok(())
    }

    fn end_hex(&mut self) -> Result<(), Reason> {
        let Some(Hex { target, size, text }) = self.hex.take() else {
            return Ok(());
        };
        let data = token::parse_hex(text.trim()).ok_or("the bytes above are not hexadecimal")?;
        if data.len() != size {
            return wrong(format!("{size} B were announced, {} follow", data.len()));
        }
        let data = Bytes::from(data);
        match target {
            Target::Sent { tags, counter, port, vnet } => {
                let count = (tags.end() - tags.start()) as usize + 1;
                let copies = if counter.is_some() { count } else { 1 };
                self.take(count, data.len().saturating_mul(copies))?;
                let first = Frame { vnet, data };
                (0..).zip(tags).try_for_each(|(by, number)| {
                    let frame = match &counter {
                        Some(counter) => counter.advance(&first, by),
                        None => first.clone(),
                    };
                    self.push_sent(SentFrame {
                        tag: Tag::sent(number),
                        port: port.clone(),
                        frame,
                        source: None,
                    })
                })
            }
            Target::Written => {
                self.take(0, data.len())?;
                self.step()?.written = Some(data);
                Ok(())
            }
            Target::New { port, whole: Some(whole), .. } => {
                self.take(1, data.len())?;
                self.arrived.record(self.index()?, port, &data, whole)
            }
            Target::New { port, vnet, .. } => self.arrive(port, Frame { vnet, data }),
            Target::Raw { port } => {
                self.take(0, data.len())?;
                self.arrived.raw(self.index()?, port, &data)
            }
        }
    }

    fn answer(
        &mut self,
        words: &str,
        outcome: fn(&str) -> Result<Outcome, Reason>,
    ) -> Result<(), Reason> {
        let step = self.step()?;
        let (command, rest) = match words.strip_prefix('[') {
            Some(rest) => take_bracketed(rest).ok_or("not a command")?,
            None => (step.title.clone(), words),
        };
        step.answers.push(Answer { command, subject: None, outcome: outcome(rest)? });
        Ok(())
    }

    /// The death of one of several machines.
    fn crash_of(&mut self, words: &str) -> Result<(), Reason> {
        let (machine, assertion) = words.split_once(": ").ok_or("not a crash")?;
        self.crash(Place::Named(machine.into()), assertion)
    }

    fn crash(&mut self, place: Place, assertion: &str) -> Result<(), Reason> {
        let assertion = unquote(assertion).ok_or("not an assertion")?;
        let kind = EventKind::Crash(assertion);
        self.step()?.events.push(Event { tag: None, place, kind });
        Ok(())
    }

    fn explained(&mut self, words: &str) -> Result<(), Reason> {
        if let Some(time) = words.strip_prefix("clock ") {
            let time = time.strip_suffix(" s").and_then(parse_seconds).ok_or("not a time")?;
            self.step()?.clock = VirtualTime::ZERO + time;
        }
        Ok(())
    }

    fn index(&self) -> Result<usize, Reason> {
        self.transcript.steps.len().checked_sub(1).ok_or_else(|| "no step has begun".to_owned())
    }

    /// A port's list, or its continuation.
    fn arrivals(&mut self, words: &str) -> Result<(), Reason> {
        let words = if let Some(words) = words.strip_prefix("<- ") {
            words
        } else {
            let (name, rest) = take_word(words, &[]).ok_or("not a port")?;
            let words = rest.trim_start().strip_prefix("<- ").ok_or("not a line of a step")?;
            let position = self.transcript.ports.iter().position(|port| port.id.as_str() == name);
            self.port = Some(position.ok_or_else(|| format!("no port is called {name}"))?);
            words
        };
        let port = self.port.ok_or("it belongs to no port")?;
        let step = self.index()?;
        if words == "eof" {
            return self.arrived.eof(step, port);
        }
        if let Some(size) = words.strip_prefix("raw ") {
            let size = parse_size(size).ok_or("not a number of bytes")?;
            return self.open_hex(Target::Raw { port }, size);
        }
        if let Some(size) = words.strip_prefix("begun ") {
            let size = parse_size(size).ok_or("not a number of bytes")?;
            return self.arrived.begun(step, port, size);
        }
        if let Some(length) = words.strip_prefix("vnet_len=") {
            let length = length.parse().map_err(|_| "not a length")?;
            return self.arrived.vnet_len(port, length);
        }
        if let Some(maxlen) = words.strip_prefix("maxlen=") {
            let maxlen = maxlen.parse().map_err(|_| "not a length")?;
            return self.arrived.pcap(step, port, maxlen);
        }
        if let Some(described) = words.strip_prefix("new ") {
            let (whole, described) = match described.strip_prefix("len=") {
                Some(rest) => {
                    let (whole, rest) = rest.split_once(' ').ok_or("a length alone")?;
                    (Some(whole.parse().map_err(|_| "not a length")?), rest)
                }
                None => (None, described),
            };
            let (vnet, size) = parse_described(described)?;
            return self.open_hex(Target::New { port, vnet, whole }, size);
        }
        self.labelled(port, words)
    }

    /// `#1 #3-#9`, or one frame that is not quite the one that was sent.
    fn labelled(&mut self, port: usize, words: &str) -> Result<(), Reason> {
        let (first, rest) = words.split_once(' ').unwrap_or((words, ""));
        if rest.is_empty() || rest.starts_with('#') {
            for word in words.split(' ') {
                let numbers = token::parse_numbers(word).ok_or("not a frame's number")?;
                for number in numbers {
                    let data = self.sent_data(number)?;
                    self.arrive(port, Frame::plain(data))?;
                }
            }
            return Ok(());
        }
        let number = first.strip_prefix('#').and_then(|number| number.parse().ok());
        let sent = self.sent_data(number.ok_or("not a frame's number")?)?;
        if let Some(length) = rest.strip_prefix("cut to ") {
            let length: usize = length.parse().map_err(|_| "not a length")?;
            let kept = sent.get(..length).ok_or("longer than the frame")?;
            self.take(1, kept.len())?;
            let step = self.index()?;
            return self.arrived.record(step, port, kept, sent.len());
        }
        let (rest, changes) = rest.split_once("with ").unwrap_or((rest, ""));
        let mut rest = rest.trim_end();
        let mut data = sent.to_vec();
        if let Some(padded) = rest.strip_prefix("padded to ") {
            let (length, after) = padded.split_once(' ').unwrap_or((padded, ""));
            let length = length.parse().map_err(|_| "not a length")?;
            (data, _) = padded_base(&sent, length);
            rest = after;
        }
        let vnet = match rest {
            "" => VnetHdr::default(),
            words => parse_vnet(words).ok_or("not a vnet header")?,
        };
        // What is padded or changed has bytes of its own.
        self.take(0, data.len())?;
        if !changes.is_empty() {
            let changes = frame::parse_changes(changes).map_err(|error| error.to_string())?;
            data = frame::patch(&data, &changes).map_err(|error| error.to_string())?;
        }
        self.arrive(port, Frame { vnet, data: data.into() })
    }

    fn sent_data(&self, number: u32) -> Result<Bytes, Reason> {
        self.sent.get(&number).cloned().ok_or_else(|| format!("no frame #{number} was sent"))
    }

    fn arrive(&mut self, port: usize, frame: Frame) -> Result<(), Reason> {
        // Frames of an interface share the bytes of those that were sent.
        let copied = self.transcript.ports[port].kind.framing().is_some();
        self.take(1, if copied { frame.data.len() } else { 0 })?;
        let step = self.index()?;
        self.arrived.frame(step, port, self.transcript.ports[port].kind, frame)
    }

    fn finish(mut self) -> Result<Transcript, Reason> {
        self.arrived.into_steps(&self.transcript.ports, &mut self.transcript.steps)?;
        Ok(self.transcript)
    }
}

/// `#3`, or `#3-#9` of frames that are the same.
fn sent_numbers(word: &str) -> Option<RangeInclusive<u32>> {
    let number = |word: &str| word.strip_prefix('#')?.parse::<u32>().ok();
    let (first, last) = match word.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(word)?, number(word)?),
    };
    (first <= last).then_some(first..=last)
}
