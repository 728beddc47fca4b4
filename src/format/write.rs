//! A record as text: a section of a snapshot without its heading. Read by the store, which keeps it, and
//! by whoever shows a record whole.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    line::ABORTS,
    repeat::{Repeat, repeats},
    title,
    token::{self, hex_lines, quote, quote_word},
};
use crate::{
    base::{Frame, Origin, PortId, Tag, VirtualTime, VnetHdr},
    frame,
    reading::{
        Entry, Label, Reading, StepReading,
        framing::{self, Cut},
        number_of,
    },
    record::{
        Accounting, Answer, Deed, EventKind, Framing, Outcome, Port, PortKind, SourceFrame, Step,
    },
    wording::{self, FateWords, Form, Requests, folded, of_machine, remark, seconds, vnet_words},
};

/// Columns of a port's name, at least.
const PORT_WIDTH: usize = 10;

/// Room for the text of most records, in bytes.
const LENGTH: usize = 2048;

/// Where the lines of a step's sent frames begin.
const SENT_INDENT: usize = 6;

/// A transcript as text: a section of a snapshot, without its heading. [`parse`](super::parse)
/// reads the observed half back without loss; lines that begin with `~` and the last line explain.
#[must_use]
pub fn text(reading: &Reading) -> String {
    let (ports, labels) = (reading.ports(), reading.labels());
    let widest = ports.iter().map(|port| port.id.as_str().chars().count()).max();
    let mut writer = Writer {
        out: ports_line(ports, LENGTH),
        width: widest.unwrap_or(0).clamp(PORT_WIDTH, token::COLUMN),
        vnet_len: vec![VnetHdr::LONG; ports.len()],
        clock: VirtualTime::ZERO,
        requests: Requests::of(reading.transcript()),
    };
    for step in reading.steps() {
        writer.step(ports, &step, &labels[step.at]);
    }
    writer.accounting(reading.transcript().accounting);
    writer.out
}

/// `ports: hn0.guest hn0.host out0=plain`: what the rest can't be read without.
fn ports_line(ports: &[Port], room: usize) -> String {
    let words: Vec<_> = ports
        .iter()
        .map(|port| {
            let name = quote_word(port.id.as_str(), &['=']);
            match port.kind {
                PortKind::Guest | PortKind::Host | PortKind::LinkEnd => name.into_owned(),
                PortKind::Chardev(framing) => format!("{name}={}", framing_name(framing)),
                PortKind::File => format!("{name}={}", framing_name(Framing::Pcap)),
            }
        })
        .collect();
    let mut out = String::with_capacity(room);
    token::wrap(&mut out, "ports:", "ports:", &words);
    out
}

/// The framing as a scenario writes it.
pub(super) const fn framing_name(framing: Framing) -> &'static str {
    match framing {
        Framing::Plain => "plain",
        Framing::Vnet => "vnet",
        Framing::Raw => "raw",
        Framing::Pcap => "pcap",
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of a frame: names it where its bytes live in a
/// capture file.
pub(crate) fn sha(data: &[u8]) -> String {
    frame::hex(&Sha256::digest(data)[..8])
}

/// `vnet ..., SUMMARY, N B`: what is said of bytes that stand in the line below.
fn described(vnet: VnetHdr, data: &[u8]) -> String {
    let summary = frame::summary(data);
    let size = data.len();
    match vnet.is_zero() {
        true => format!("{summary}, {size} B"),
        false => format!("{}, {summary}, {size} B", vnet_words(vnet)),
    }
}

struct Writer<'t> {
    out: String,
    width: usize,
    /// For each port: the vnet length word that goes without saying.
    vnet_len: Vec<usize>,
    clock: VirtualTime,
    requests: Requests<'t>,
}

impl Writer<'_> {
    fn accounting(&mut self, accounting: Accounting) {
        let Accounting { sent, arrivals, dropped, unexplained } = accounting;
        self.line(format_args!(
            "accounted: {sent} sent, {arrivals} arrivals, {dropped} dropped, {unexplained} \
             unexplained"
        ));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        token::put(&mut self.out, line);
        self.out.push('\n');
    }

    fn step(&mut self, ports: &[Port], step: &StepReading<'_>, labels: &[Vec<Label>]) {
        let record = step.step;
        self.line(format_args!("[{}] {}", record.index, quote(&record.title)));
        for repeat in repeats(&record.sent) {
            self.sent(record, &repeat);
        }
        if let Some(bytes) = &record.written {
            let messages = messages(ports, &record.deed, bytes);
            self.line(format_args!("{:SENT_INDENT$}wrote {} B{messages}", "", bytes.len()));
            self.raw_lines(SENT_INDENT + 3, bytes);
        }
        for answer in step.answers() {
            self.answer(record, answer);
        }
        for (index, entries) in step.entries.iter().enumerate() {
            if !entries.is_empty() {
                self.port(index, &ports[index].id, entries, &labels[index]);
            }
        }
        for (machine, assertion) in step.crashes() {
            let of = of_machine(machine);
            self.line(format_args!("    crash{of}: {}", quote(assertion)));
        }
        self.explained(record);
    }

    fn sent(&mut self, step: &Step, repeat: &Repeat<'_>) {
        let [sent, ..] = repeat.frames else { return };
        let first = number_of(sent);
        let mut number = match repeat.frames.last().map(number_of) {
            Some(last) if last > first => format!("{first}-#{last}"),
            _ => first.to_string(),
        };
        if let Some(counter) = &repeat.counter {
            number += &format!(" {counter}");
        }
        let at = match &step.deed {
            Deed::Sends(port) if *port == sent.port && title::says_whole(port) => String::new(),
            _ => format!("at {} ", quote_word(sent.port.as_str(), &[])),
        };
        let data = &sent.frame.data;
        let source = sent.source.as_ref().map(|source| source_words(source, data));
        let words = described(sent.frame.vnet, data);
        let source_text = source.as_deref().unwrap_or_default();
        self.line(format_args!("{:SENT_INDENT$}#{number} {at}{source_text}{words}", ""));
        if source.is_none() {
            hex_lines(&mut self.out, SENT_INDENT + 3, &frame::hex_groups(data));
        }
    }

    fn answer(&mut self, step: &Step, answer: &Answer) {
        let command = if answer.command == step.title {
            String::new()
        } else {
            format!("[{}] ", token::quote_bracketed(&answer.command))
        };
        match &answer.outcome {
            Outcome::Done(value) => self.line(format_args!("    -> {command}{value}")),
            Outcome::Refused(error) => {
                let class = quote_word(&error.class, &[':']);
                self.line(format_args!("    !! {command}{class}: {}", quote(&error.desc)));
            }
            Outcome::Aborts(abort) => {
                let assertion = quote(&abort.assertion);
                self.line(format_args!("    !! {command}aborts: {assertion}{ABORTS}"));
            }
            Outcome::Unanswered(why) => self.line(format_args!("    !! {command}{why}")),
        }
    }

    fn port(&mut self, index: usize, port: &PortId, entries: &[Entry], labels: &[Label]) {
        let name = quote_word(port.as_str(), &[]);
        let first = format!("    {name:<width$} <-", width = self.width);
        let next = format!("{:width$} <-", "", width = self.width + 4);
        let mut list = List { first, next, numbers: Vec::new() };
        let mut labels = labels.iter();
        for entry in entries {
            match entry {
                Entry::Frame { frame, vnet_len, whole, .. } => {
                    if let Some(len) = vnet_len.filter(|len| *len != self.vnet_len[index]) {
                        self.vnet_len[index] = len;
                        list.line(&mut self.out, format_args!("vnet_len={len}"));
                    }
                    let label = labels.next().unwrap_or(&Label::New);
                    list.frame(&mut self.out, label, frame, *whole);
                }
                Entry::Begun(size) => list.line(&mut self.out, format_args!("begun {size} B")),
                Entry::Pcap(maxlen) => list.line(&mut self.out, format_args!("maxlen={maxlen}")),
                Entry::Raw(bytes) => {
                    list.line(&mut self.out, format_args!("raw {} B", bytes.len()));
                    self.raw_lines(self.width + 8, bytes);
                }
                Entry::Eof => list.line(&mut self.out, format_args!("eof")),
            }
        }
        list.flush(&mut self.out);
    }

    fn raw_lines(&mut self, indent: usize, bytes: &Bytes) {
        hex_lines(&mut self.out, indent, &token::raw_hex(bytes));
    }

    /// The explained half, in an order that no backend's scheduling can change: what was changed in
    /// frames, their fates by place, then what was said, as it was said.
    fn explained(&mut self, step: &Step) {
        if step.clock != self.clock {
            self.clock = step.clock;
            self.line(format_args!("    ~ clock {} s", seconds(step.clock)));
        }
        let mut fates: BTreeMap<_, Vec<Option<Tag>>> = BTreeMap::new();
        let mut rewritten: BTreeMap<_, Vec<String>> = BTreeMap::new();
        let mut said = Vec::new();
        let form = Form::Section(&|text| quote(text).into_owned());
        for event in &step.events {
            match &event.kind {
                EventKind::Seen { .. } | EventKind::Queued => {}
                EventKind::Rewritten { field, old, new } => {
                    let changes =
                        rewritten.entry((event.tag, event.place.to_string())).or_default();
                    changes.push(wording::rewritten(field, *old, *new, true));
                }
                _ => match FateWords::of(event) {
                    Some(words) => {
                        let verb = if words.verb == "dropped" { "drop" } else { words.verb };
                        let fate = (verb, words.place_and_detail());
                        fates.entry(fate).or_default().push(event.tag);
                    }
                    None => said.extend(remark(event, &self.requests, form)),
                },
            }
        }
        for ((tag, place), changes) in rewritten {
            let changes = changes.join(", ");
            self.line(format_args!("    ~ {} {changes} by {place}", tag_words(&[tag])));
        }
        for ((verb, fate), mut tags) in fates {
            // What a comparer lets go has its order, which is that of its outdev.
            if verb != "released" {
                tags.sort_unstable();
            }
            self.line(format_args!("    ~ {verb} {}{fate}", tag_words(&tags)));
        }
        for (line, _) in said {
            self.line(format_args!("    ~ {line}"));
        }
    }
}

/// `: "COLO_CHECKPOINT"`, where all that a step wrote to a chardev is text in its framing.
fn messages(ports: &[Port], deed: &Deed, bytes: &Bytes) -> String {
    let written = |port: &&Port| matches!(deed, Deed::Writes(id) if *id == port.id);
    let framing = ports.iter().find(written).and_then(|port| port.kind.framing());
    let cuts = framing::cut(framing.unwrap_or(Framing::Raw), bytes);
    let texts = cuts.into_iter().map(|cut| match cut {
        Cut::Frame { frame, .. } => frame::message(&frame.data),
        _ => None,
    });
    match texts.collect::<Option<Vec<_>>>() {
        Some(texts) if !texts.is_empty() => format!(": {}", texts.join(", ")),
        _ => String::new(),
    }
}

fn source_words(source: &SourceFrame, data: &[u8]) -> String {
    let file = source.file.to_string_lossy();
    format!("{}[{}] sha={} ", quote_word(&file, &['[']), source.number, sha(data))
}

/// `#1 #3-#9 host 1 host 2 x12`, and how many have no known origin.
fn tag_words(tags: &[Option<Tag>]) -> String {
    let sent: Vec<_> = tags
        .iter()
        .filter_map(|tag| match tag.map(|tag| tag.0) {
            Some(Origin::Sent(number)) => Some(number),
            _ => None,
        })
        .collect();
    let mut words = token::numbers(&sent);
    let others = tags.iter().flatten().filter(|tag| !matches!(tag.0, Origin::Sent(_)));
    words.extend(others.map(ToString::to_string));
    let mut words = folded(words);
    match tags.iter().filter(|tag| tag.is_none()).count() {
        0 => {}
        1 => words.push("a frame".to_owned()),
        count => words.push(format!("{count} frames")),
    }
    words.join(" ")
}

/// What came out of one port: plain matches share lines, anything else has a line of its own.
struct List {
    first: String,
    next: String,
    numbers: Vec<u32>,
}

impl List {
    fn frame(&mut self, out: &mut String, label: &Label, frame: &Frame, whole: Option<usize>) {
        let Frame { vnet, data } = frame;
        let vnet = *vnet;
        if let Label::Cut { number } = label {
            return self.line(out, format_args!("#{number} cut to {}", data.len()));
        }
        let Label::Sent { number, padded, changes } = label else {
            let column = self.next.len() + 1;
            let of = whole.map_or_else(String::new, |whole| format!("len={whole} "));
            self.line(out, format_args!("new {of}{}", described(vnet, data)));
            hex_lines(out, column, &frame::hex_groups(data));
            return;
        };
        if padded.is_none() && changes.is_empty() && vnet.is_zero() {
            self.numbers.push(*number);
            return;
        }
        let mut words = format!("#{number}");
        if let Some(length) = padded {
            token::put(&mut words, format_args!(" padded to {length}"));
        }
        if !vnet.is_zero() {
            token::put(&mut words, format_args!(" {}", vnet_words(vnet)));
        }
        if !changes.is_empty() {
            token::put(&mut words, format_args!(" with {}", frame::render_changes(changes)));
        }
        self.line(out, format_args!("{words}"));
    }

    fn line(&mut self, out: &mut String, words: fmt::Arguments<'_>) {
        self.flush(out);
        let start = self.start();
        token::put(out, format_args!("{start} {words}\n"));
    }

    fn flush(&mut self, out: &mut String) {
        let numbers = std::mem::take(&mut self.numbers);
        if !numbers.is_empty() {
            let start = self.start();
            token::wrap(out, &start, &self.next, &token::numbers(&numbers));
        }
    }

    fn start(&mut self) -> String {
        std::mem::replace(&mut self.first, self.next.clone())
    }
}
