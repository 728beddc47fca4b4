//! The framing of chardev streams and of `-netdev socket`: `[u32 length][frame]`, or with a
//! virtio-net header length `[u32 length][u32 vnet length][frame]`, all big endian (QEMU 10.2.2
//! `net/net.c` `net_fill_rstate`, `net/filter-mirror.c` `filter_send`).

use bytes::{BufMut, Bytes, BytesMut};

use crate::base::{NET_BUFSIZE, Origin, Tag};

/// What a stream that announces a frame longer than [`NET_BUFSIZE`] leaves on standard error (QEMU
/// 10.2.2 `net/net.c:2155`).
pub const OVERSIZE_LOG: &str = "serious error: oversized packet received,connection terminated.";

/// The words in front of a frame's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes that follow the words.
    pub length: u32,
    /// How many of them are a virtio-net header; none where the stream does not say.
    pub vnet_len: Option<u32>,
}

impl Head {
    /// Bytes of a word.
    const WORD: usize = 4;

    /// Bytes of the words, with or without that of the virtio-net header.
    #[must_use]
    pub const fn bytes(vnet: bool) -> usize {
        if vnet { 2 * Self::WORD } else { Self::WORD }
    }

    /// Writes the words to the beginning of a buffer that has room for them.
    ///
    /// # Panics
    /// When it has not.
    pub fn write(self, to: &mut [u8]) {
        to[..Self::WORD].copy_from_slice(&self.length.to_be_bytes());
        if let Some(vnet_len) = self.vnet_len {
            to[Self::WORD..2 * Self::WORD].copy_from_slice(&vnet_len.to_be_bytes());
        }
    }

    /// Reads the words at the beginning of a stream; none while they are not complete. Of one that is
    /// too long the first word is enough.
    #[must_use]
    pub fn read(bytes: &[u8], vnet: bool) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk().map(word)?;
        let short = Self { length, vnet_len: None };
        if !vnet || short.is_oversize() {
            return Some(short);
        }
        let (vnet_len, _) = rest.split_first_chunk().map(word)?;
        Some(Self { length, vnet_len: Some(vnet_len) })
    }

    /// Whether the frame is longer than a stream may have it.
    #[must_use]
    pub const fn is_oversize(self) -> bool {
        self.length as usize > NET_BUFSIZE
    }
}

fn word<'a>((word, rest): (&[u8; Head::WORD], &'a [u8])) -> (u32, &'a [u8]) {
    (u32::from_be_bytes(*word), rest)
}

/// The words in front of a frame's bytes, each as QEMU writes it: one write a word. A length beyond
/// `u32` is cut, as QEMU's conversion to `uint32_t` does.
pub fn words(length: usize, vnet_len: Option<u32>) -> impl Iterator<Item = Bytes> {
    let head = Head { length: length as u32, vnet_len };
    let mut both = BytesMut::zeroed(Head::bytes(vnet_len.is_some()));
    head.write(&mut both);
    let mut both = both.freeze();
    std::iter::from_fn(move || (!both.is_empty()).then(|| both.split_to(Head::WORD)))
}

/// A whole framed unit in one buffer, for writers at a chardev's far end.
#[must_use]
pub fn encode(frame: &[u8], vnet_len: Option<u32>) -> Bytes {
    let mut bytes = BytesMut::with_capacity(Head::bytes(true) + frame.len());
    words(frame.len(), vnet_len).for_each(|word| bytes.put(word));
    bytes.put(frame);
    bytes.freeze()
}

/// How faithful a [`Reassembler`] is to QEMU's weak points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strictness {
    /// An empty frame ends only when a further byte is processed; else it is refused at once.
    pub empty_waits: bool,
    /// A length over [`NET_BUFSIZE`] is found out only when that many bytes have come; else when
    /// its word is complete.
    pub oversize_late: bool,
}

/// What a [`Reassembler`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A complete frame, possibly empty.
    Frame {
        /// Its bytes.
        data: Bytes,
        /// The virtio-net header length that the stream announced; 0 without that word.
        vnet_len: u32,
        /// The tag of the bytes that its length word began with.
        tag: Option<Tag>,
    },
    /// An empty frame, where those are refused.
    Empty { tag: Option<Tag> },
    /// The stream is broken: the frame is longer than [`NET_BUFSIZE`]. The rest of the input was
    /// discarded.
    Oversize {
        /// The length that was announced.
        length: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Length,
    VnetLength,
    Data,
}

/// Cuts frames out of a byte stream, given in slices of any size. A frame that lies within one
/// slice is shared, not copied.
#[derive(Debug)]
pub struct Reassembler {
    vnet: bool,
    strictness: Strictness,
    expect: Expect,
    /// Bytes of the current word, big endian, and how many there are.
    word: u32,
    word_bytes: usize,
    length: u32,
    vnet_len: u32,
    partial: BytesMut,
    /// Whether a byte of the current unit has come, and the tag of the first one.
    begun: bool,
    owner: Option<Tag>,
    /// Tags of other bytes of the current unit.
    mixed: Vec<Tag>,
    /// A tag whose latest byte was swallowed by the unit of another tag; more of its bytes may
    /// follow.
    held: Option<Tag>,
    /// Tags whose bytes ended inside a unit that belongs to another tag.
    lost: Vec<Tag>,
}

impl Reassembler {
    /// A reassembler at the start of a stream; `vnet` says whether the second word is expected.
    #[must_use]
    pub fn new(vnet: bool, strictness: Strictness) -> Self {
        Self {
            vnet,
            strictness,
            expect: Expect::Length,
            word: 0,
            word_bytes: 0,
            length: 0,
            vnet_len: 0,
            partial: BytesMut::new(),
            begun: false,
            owner: None,
            mixed: Vec::new(),
            held: None,
            lost: Vec::new(),
        }
    }

    /// Whether the second word is expected from the next unit on.
    pub fn set_vnet(&mut self, vnet: bool) {
        self.vnet = vnet;
    }

    /// Takes bytes off the front of `input` until a unit is complete; `None` when `input` is used
    /// up. All of `input` carries `tag`.
    pub fn next(&mut self, input: &mut Bytes, tag: Option<Tag>) -> Option<Unit> {
        // QEMU's loop runs only while input remains, so an empty frame at its end stays pending.
        while !input.is_empty() {
            self.note(tag);
            match self.expect {
                Expect::Length => {
                    let Some(length) = self.gather_word(input) else {
                        continue;
                    };
                    self.length = length;
                    self.vnet_len = 0;
                    self.expect = if self.vnet { Expect::VnetLength } else { Expect::Data };
                    let head = Head { length, vnet_len: None };
                    if head.is_oversize() && !self.strictness.oversize_late {
                        return Some(self.oversize(input, tag));
                    }
                }
                Expect::VnetLength => {
                    let Some(vnet_len) = self.gather_word(input) else {
                        continue;
                    };
                    self.vnet_len = vnet_len;
                    self.expect = Expect::Data;
                }
                Expect::Data => {
                    let missing = self.length as usize - self.partial.len();
                    let take = missing.min(input.len());
                    if self.partial.len() + take > NET_BUFSIZE {
                        return Some(self.oversize(input, tag));
                    }
                    if let Some(unit) = self.gather_data(input, take, tag) {
                        return Some(unit);
                    }
                }
            }
            if self.expect == Expect::Data && self.length == 0 && !self.strictness.empty_waits {
                let tag = self.finish(input, tag);
                return Some(Unit::Empty { tag });
            }
        }
        None
    }

    /// Tags whose bytes were swallowed by a frame of another tag, since the last call.
    pub fn take_lost(&mut self) -> Vec<Tag> {
        std::mem::take(&mut self.lost)
    }

    /// Forgets an unfinished unit and returns the tags of its bytes.
    pub fn reset(&mut self) -> Vec<Tag> {
        let tags = self
            .owner
            .take()
            .into_iter()
            .chain(self.mixed.drain(..))
            .chain(self.held.take())
            .collect();
        self.begun = false;
        self.expect = Expect::Length;
        self.word_bytes = 0;
        self.partial.clear();
        tags
    }

    fn note(&mut self, tag: Option<Tag>) {
        if let Some(held) = self.held.take()
            && Some(held) != tag
        {
            self.lost.push(held);
        }
        if !self.begun {
            self.begun = true;
            self.owner = tag;
        } else if tag != self.owner
            && let Some(tag) = tag
            && !self.mixed.contains(&tag)
        {
            self.mixed.push(tag);
        }
    }

    fn gather_word(&mut self, input: &mut Bytes) -> Option<u32> {
        let take = (Head::WORD - self.word_bytes).min(input.len());
        for byte in input.split_to(take) {
            self.word = self.word << 8 | u32::from(byte);
        }
        self.word_bytes += take;
        (self.word_bytes == Head::WORD).then(|| {
            self.word_bytes = 0;
            self.word
        })
    }

    fn gather_data(&mut self, input: &mut Bytes, take: usize, tag: Option<Tag>) -> Option<Unit> {
        let whole = take == self.length as usize;
        let piece = input.split_to(take);
        if !whole {
            if self.partial.is_empty() {
                self.partial.reserve((self.length as usize).min(NET_BUFSIZE));
            }
            self.partial.put(piece);
            if self.partial.len() < self.length as usize {
                return None;
            }
            let data = self.partial.split().freeze();
            return Some(self.frame(data, input, tag));
        }
        Some(self.frame(piece, input, tag))
    }

    fn frame(&mut self, data: Bytes, input: &Bytes, tag: Option<Tag>) -> Unit {
        let vnet_len = self.vnet_len;
        let tag = self.finish(input, tag);
        Unit::Frame { data, vnet_len, tag }
    }

    /// Ends the unit and returns its owner. Frames that also had bytes in it are lost, but for
    /// `tag`, which the input that ends the unit carries: it may go on. Of raw bytes nothing is
    /// lost: the unit used them.
    fn finish(&mut self, input: &Bytes, tag: Option<Tag>) -> Option<Tag> {
        self.expect = Expect::Length;
        self.begun = false;
        for mixed in self.mixed.drain(..) {
            if matches!(mixed.0, Origin::Written(_)) {
                continue;
            }
            if Some(mixed) != tag {
                self.lost.push(mixed);
            } else if input.is_empty() {
                self.held = Some(mixed);
            }
        }
        self.owner.take()
    }

    fn oversize(&mut self, input: &mut Bytes, tag: Option<Tag>) -> Unit {
        self.note(tag);
        input.clear();
        let length = self.length;
        let tags = self.reset();
        self.lost.extend(tags);
        Unit::Oversize { length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QEMU: Strictness = Strictness { empty_waits: true, oversize_late: true };
    const MENDED: Strictness = Strictness { empty_waits: false, oversize_late: false };

    fn feed(reassembler: &mut Reassembler, bytes: &[u8], tag: u32) -> Vec<Unit> {
        let mut input = Bytes::copy_from_slice(bytes);
        std::iter::from_fn(|| reassembler.next(&mut input, Some(Tag::sent(tag)))).collect()
    }

    fn frame(data: &'static [u8], vnet_len: u32, tag: u32) -> Unit {
        Unit::Frame { data: Bytes::from_static(data), vnet_len, tag: Some(Tag::sent(tag)) }
    }

    #[test]
    fn words_are_big_endian_and_separate() {
        let parts: Vec<Bytes> = words(0x0102, Some(12)).collect();
        assert_eq!(parts, [&[0, 0, 1, 2][..], &[0, 0, 0, 12]]);
        assert_eq!(words(1, None).count(), 1);
        assert_eq!(encode(b"xy", None), &[0, 0, 0, 2, b'x', b'y'][..]);
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        for head in [Head { length: 7, vnet_len: None }, Head { length: 9, vnet_len: Some(12) }] {
            let vnet = head.vnet_len.is_some();
            let mut bytes = [0xff; 9];
            head.write(&mut bytes);
            assert_eq!(Head::read(&bytes, vnet), Some(head));
            let whole = Head::bytes(vnet);
            assert_eq!((Head::read(&bytes[..whole - 1], vnet), bytes[whole]), (None, 0xff));
        }
        let oversize = Head::read(&[0xff; 4], true);
        assert!(oversize.is_some_and(Head::is_oversize));
    }

    #[test]
    fn one_byte_at_a_time_is_the_same_as_all_at_once() {
        let stream = [encode(b"abc", Some(9999)), encode(b"d", Some(0))].concat();
        let mut whole = Reassembler::new(true, QEMU);
        let expected = [frame(b"abc", 9999, 1), frame(b"d", 0, 1)];
        assert_eq!(feed(&mut whole, &stream, 1), expected);
        let mut split = Reassembler::new(true, QEMU);
        let units: Vec<Unit> =
            stream.iter().flat_map(|byte| feed(&mut split, &[*byte], 1)).collect();
        assert_eq!(units, expected);
    }

    #[test]
    fn a_frame_within_one_slice_is_shared() {
        let mut input = encode(b"shared", None);
        let inside = input[4..].as_ptr();
        let mut reassembler = Reassembler::new(false, QEMU);
        let Some(Unit::Frame { data, .. }) = reassembler.next(&mut input, None) else {
            panic!("no frame")
        };
        assert_eq!(data.as_ptr(), inside);
    }

    #[test]
    fn an_empty_frame_waits_for_the_next_byte() {
        let mut reassembler = Reassembler::new(false, QEMU);
        assert_eq!(feed(&mut reassembler, &[0; 4], 1), []);
        assert_eq!(feed(&mut reassembler, &[0], 2), [frame(b"", 0, 1)]);
        let mut mended = Reassembler::new(false, MENDED);
        assert_eq!(feed(&mut mended, &[0; 4], 1), [Unit::Empty { tag: Some(Tag::sent(1)) }]);
    }

    #[test]
    fn the_longest_frame_has_69632_bytes() {
        let mut reassembler = Reassembler::new(false, QEMU);
        let longest = encode(&vec![0x5a; NET_BUFSIZE], None);
        assert_eq!(feed(&mut reassembler, &longest, 1).len(), 1);
        let mut over = encode(&vec![0x5a; NET_BUFSIZE + 1], None).to_vec();
        let last = over.split_off(over.len() - 1);
        assert_eq!(feed(&mut reassembler, &over, 1), []);
        let length = NET_BUFSIZE as u32 + 1;
        assert_eq!(feed(&mut reassembler, &last, 2), [Unit::Oversize { length }]);
        assert_eq!(reassembler.take_lost(), [Tag::sent(1), Tag::sent(2)]);
    }

    #[test]
    fn a_mended_reassembler_refuses_the_length_at_once() {
        let mut reassembler = Reassembler::new(true, MENDED);
        let units = feed(&mut reassembler, &[0xff; 4], 1);
        assert_eq!(units, [Unit::Oversize { length: u32::MAX }]);
        assert_eq!(feed(&mut reassembler, &[0, 0, 0, 1, 0, 0, 0, 0, 7], 1).len(), 1);
    }

    #[test]
    fn a_swallowed_tag_is_lost_and_a_split_one_is_not() {
        let mut reassembler = Reassembler::new(false, QEMU);
        assert_eq!(feed(&mut reassembler, &[0, 0, 0, 4, 1], 1), []);
        assert_eq!(feed(&mut reassembler, &[2, 3], 2), []);
        let units = feed(&mut reassembler, &[4, 0, 0, 0, 1, 9], 3);
        assert_eq!(units, [frame(&[1, 2, 3, 4], 0, 1), frame(&[9], 0, 3)]);
        assert_eq!(reassembler.take_lost(), [Tag::sent(2)]);
        assert_eq!(feed(&mut reassembler, &[0, 0], 4), []);
        assert_eq!(reassembler.reset(), [Tag::sent(4)]);
    }

    #[test]
    fn a_mended_reassembler_takes_the_longest_frame() {
        let mut reassembler = Reassembler::new(false, MENDED);
        let longest = encode(&vec![0x5a; NET_BUFSIZE], None);
        let units = feed(&mut reassembler, &longest, 1);
        assert!(matches!(units[..], [Unit::Frame { .. }]));
    }

    #[test]
    fn nothing_of_a_unit_reaches_the_next() {
        let mut reassembler = Reassembler::new(true, QEMU);
        assert_eq!(feed(&mut reassembler, &[9, 9], 1), []);
        reassembler.reset();
        let first = encode(b"a", Some(7));
        assert_eq!(feed(&mut reassembler, &first, 1), [frame(b"a", 7, 1)]);
        reassembler.set_vnet(false);
        let second = encode(b"b", None);
        assert_eq!(feed(&mut reassembler, &second, 1), [frame(b"b", 0, 1)]);
    }
}
