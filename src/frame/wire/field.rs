//! A field of a header: its name, its place in the bytes, and its format. Each protocol's table is
//! made of these.

use std::ops::Range;

use super::value::Format;

/// What is known of a field before any frame is seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Def {
    pub(super) name: &'static str,
    /// Its bytes from the start of its header; empty where the length varies.
    pub(super) at: Range<usize>,
    /// The bits of those bytes, taken as one big-endian number, that are the field's; all of them
    /// if none.
    pub(super) bits: Option<u32>,
    pub(super) format: Format,
}

/// A field that has its bytes to itself.
pub(super) const fn whole(name: &'static str, at: Range<usize>, format: Format) -> Def {
    Def { name, at, bits: None, format }
}

/// A field of some bits.
pub(super) const fn bits(name: &'static str, at: Range<usize>, bits: u32, format: Format) -> Def {
    Def { name, at, bits: Some(bits), format }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// One of [`FIELD_NAMES`](super::FIELD_NAMES); a header that occurs twice has its names twice.
    pub name: &'static str,
    /// Its bytes in the frame; fields of less than a byte share theirs. Empty for options, payload
    /// and padding that are not there.
    pub range: Range<usize>,
    bytes: &'a [u8],
    def: &'static Def,
}

impl<'a> Field<'a> {
    pub(super) fn new(def: &'static Def, frame: &'a [u8], range: Range<usize>) -> Self {
        Self { name: def.name, bytes: &frame[range.clone()], range, def }
    }

    pub(super) fn at(def: &'static Def, frame: &'a [u8], start: usize) -> Self {
        Self::new(def, frame, start + def.at.start..start + def.at.end)
    }

    /// Its bytes, with the bits of its neighbours where it shares them.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its value as text: decimal, `0x` hexadecimal, addresses, names of flags, TCP options; bytes
    /// as hexadecimal with runs; `none` for no bytes at all.
    #[must_use]
    pub fn value(&self) -> String {
        self.def.format.render(self.bytes, self.def.bits)
    }

    /// Its value as a number; of a field of more than four bytes the last four.
    #[must_use]
    pub fn number(&self) -> u32 {
        super::value::number(self.bytes, self.def.bits)
    }

    /// Whether it may have any length.
    pub(in crate::frame) fn is_variable(&self) -> bool {
        self.def.at.is_empty()
    }

    /// Whether it is bytes without a meaning of their own.
    pub(in crate::frame) fn is_raw(&self) -> bool {
        self.def.format == Format::Bytes
    }

    /// Whether it is a group of its own in a hexadecimal dump.
    pub(super) fn is_group(&self) -> bool {
        self.is_variable()
            || matches!(self.def.format, Format::Ipv4 | Format::Ipv6)
            || self.name == "arp.target_mac"
            || self.name.ends_with(".type") && self.range.len() == 2
    }

    /// Whether it has the same value as a field of the same name.
    pub(in crate::frame) fn same_value(&self, other: &Field<'_>) -> bool {
        match self.def.bits {
            Some(bits) => {
                super::value::number(self.bytes, Some(bits))
                    == super::value::number(other.bytes, Some(bits))
            }
            None => self.bytes == other.bytes,
        }
    }

    /// The bytes that its place would hold with the value `text`: the inverse of
    /// [`value`](Self::value). None when the text is no value of this field.
    pub(in crate::frame) fn parse(&self, text: &str) -> Option<Vec<u8>> {
        self.def.format.parse(text, self.bytes.len(), self.def.bits)
    }

    /// The bits of each of its bytes that belong to the field.
    pub(in crate::frame) fn own_bits(&self) -> Vec<u8> {
        match self.def.bits {
            None => vec![0xff; self.bytes.len()],
            Some(bits) => bits.to_be_bytes()[4 - self.bytes.len()..].to_vec(),
        }
    }
}
