//! Packets, each once for the whole page: what is said of one when it is opened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use crate::{
    frame::{self, Dissection},
    terminal::visible,
};

/// Bytes in a line of a dump.
const LINE: usize = 16;

/// The packets of a page, by their bytes.
#[derive(Default)]
pub(super) struct Packets {
    places: BTreeMap<Vec<u8>, usize>,
    bytes: Vec<Vec<u8>>,
    /// What stands on the page and leads to one.
    linked: BTreeSet<String>,
}

/// A packet, opened.
pub(super) struct Packet {
    pub(super) number: usize,
    /// A line.
    pub(super) summary: String,
    /// Bytes.
    pub(super) length: usize,
    /// Markup: its layers and fields.
    pub(super) fields: String,
    /// Markup: its dump.
    pub(super) dump: String,
}

impl Packets {
    /// The number of a packet; none where the digits are none.
    pub(super) fn number(&mut self, hex: &str) -> Option<usize> {
        let bytes = frame::parse_hex(hex).ok()?;
        Some(self.of_bytes(&bytes))
    }

    /// The number of a packet.
    pub(super) fn of_bytes(&mut self, bytes: &[u8]) -> usize {
        if let Some(place) = self.places.get(bytes) {
            return *place;
        }
        let place = self.bytes.len();
        self.places.insert(bytes.to_vec(), place);
        self.bytes.push(bytes.to_vec());
        place
    }

    /// A line about a packet.
    pub(super) fn summary(&self, number: usize) -> String {
        let bytes = &self.bytes[number];
        format!("{}, {} B", frame::summary(bytes), bytes.len())
    }

    /// What leads to a packet.
    pub(super) fn href(number: usize) -> String {
        format!("#p{number}")
    }

    /// This stands on the page, so that what it leads to must, too.
    pub(super) fn link(&mut self, href: &str) {
        self.linked.insert(href.to_owned());
    }

    /// The packets that something leads to.
    pub(super) fn opened(&self) -> impl Iterator<Item = Packet> {
        let all = self.bytes.iter().enumerate();
        let linked = all.filter(|(number, _)| self.linked.contains(&Self::href(*number)));
        linked.map(|(number, bytes)| Packet {
            number,
            summary: frame::summary(bytes),
            length: bytes.len(),
            fields: fields(bytes),
            dump: dump(bytes, &[]),
        })
    }
}

/// Layers and fields with their bytes. The last layer has no name of its own.
fn fields(bytes: &[u8]) -> String {
    let mut out = String::new();
    for layer in &Dissection::of(bytes).layers {
        if layer.range.is_empty() {
            continue;
        }
        let range = &layer.range;
        put(&mut out, format_args!("<b>{}</b>  {}..{}\n", layer.name, range.start, range.end));
        for field in layer.fields.iter().filter(|field| !field.range.is_empty()) {
            let name = field.name.rsplit('.').next().unwrap_or(field.name);
            let (value, range) = (field.value(), &field.range);
            let value = escaped(&value);
            put(
                &mut out,
                format_args!("  {name:<16} {value}  <i>{}..{}</i>\n", range.start, range.end),
            );
        }
    }
    out
}

/// A dump as `hexdump -C` prints it: lines that repeat the one before are a star. Bytes at the
/// places `marked` are marked.
pub(super) fn dump(bytes: &[u8], marked: &[bool]) -> String {
    let mut out = String::new();
    let (mut before, mut starred): (Option<&[u8]>, bool) = (None, false);
    for (at, line) in bytes.chunks(LINE).enumerate() {
        let start = at * LINE;
        let marks = |offset: usize| marked.get(start + offset).copied().unwrap_or(false);
        let is_marked = (0..line.len()).any(marks);
        if before == Some(line) && !is_marked && line.len() == LINE {
            if !starred {
                out.push_str("*\n");
            }
            starred = true;
            continue;
        }
        (before, starred) = (Some(line), false);
        put(&mut out, format_args!("{start:04x} "));
        for (offset, byte) in line.iter().enumerate() {
            let gap = if offset == LINE / 2 { " " } else { "" };
            if marks(offset) {
                put(&mut out, format_args!("{gap} <mark>{byte:02x}</mark>"));
            } else {
                put(&mut out, format_args!("{gap} {byte:02x}"));
            }
        }
        let missing = LINE - line.len();
        let gap = if line.len() <= LINE / 2 && missing > 0 { 1 } else { 0 };
        put(&mut out, format_args!("{:width$}  ", "", width = missing * 3 + gap));
        let text: String = line
            .iter()
            .map(|byte| match byte {
                0x20..0x7f => char::from(*byte),
                _ => '.',
            })
            .collect();
        out.push_str(&escaped(&text));
        out.push('\n');
    }
    out
}

/// Text in markup.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).to_string().chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Writing into a String can't fail.
fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(arguments);
    debug_assert!(written.is_ok(), "a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_addresses_a_gap_and_text() {
        let mut bytes: Vec<u8> = (0x3a..0x4c).collect();
        bytes.extend([0; 46]);
        bytes.push(b'<');
        assert_eq!(
            dump(&bytes, &[]),
            "0000  3a 3b 3c 3d 3e 3f 40 41  42 43 44 45 46 47 48 49  :;&lt;=&gt;?@ABCDEFGHI\n\
             0010  4a 4b 00 00 00 00 00 00  00 00 00 00 00 00 00 00  JK..............\n\
             0020  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  ................\n\
             *\n\
             0040  3c                                                &lt;\n"
        );
    }

    #[test]
    fn what_differs_is_marked() {
        assert_eq!(
            dump(&[1, 2], &[false, true]),
            "0000  01 <mark>02</mark>                                             ..\n"
        );
    }

    #[test]
    fn the_same_bytes_are_one_packet() {
        let mut packets = Packets::default();
        assert_eq!(packets.number("ff00"), Some(0));
        assert_eq!(packets.number("aa"), Some(1));
        assert_eq!(packets.number("ff00"), Some(0));
        assert_eq!(packets.number("no"), None);
    }

    #[test]
    fn only_what_something_leads_to_is_on_the_page() {
        let mut packets = Packets::default();
        packets.number("ff00");
        packets.number("aa");
        packets.link(&Packets::href(1));
        let opened: Vec<usize> = packets.opened().map(|packet| packet.number).collect();
        assert_eq!(opened, [1]);
    }
}
