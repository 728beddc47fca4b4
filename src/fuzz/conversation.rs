//! Connections between a client and a guest of which there are two: the primary's and the
//! secondary's, whose numbers may differ.

use serde_json::{Map, Value, json};

use super::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    Client,
    Guest,
}

/// A TCP connection as it goes on.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    number: usize,
    client_isn: u32,
    primary_isn: u32,
    secondary_isn: u32,
    opener: Speaker,
    /// Segments so far.
    turn: usize,
    /// How far each has come: bytes of its stream, SYN and FIN included.
    client_at: u32,
    guest_at: u32,
    /// All payload is this byte, or else what the place in the stream says.
    fill: Option<u8>,
    last: Vec<Segment>,
}

/// A part of a connection.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) from: Speaker,
    pub(super) flags: &'static str,
    /// Where it begins, in bytes of the sender's stream.
    pub(super) at: u32,
    /// What it acknowledges of the other's.
    pub(super) ack: u32,
    /// Bytes of payload.
    pub(super) length: u32,
}

/// Initial sequence numbers that are worth a look: 0, and those that a connection soon passes.
const NUMBERS: &[u32] =
    &[0, 1, 1000, 5000, 0x7fff_fff0, 0x8000_0000, 0xffff_fff0, 0xffff_fffe, 0xffff_ffff];

impl Conversation {
    pub(super) fn new(number: usize, rng: &mut Rng) -> Self {
        let mut isn = || rng.pick(NUMBERS).copied().unwrap_or_default();
        let (client_isn, primary_isn, secondary_isn) = (isn(), isn(), isn());
        Self {
            number,
            client_isn,
            primary_isn,
            secondary_isn: if rng.chance(15) { primary_isn } else { secondary_isn },
            opener: if rng.chance(80) { Speaker::Client } else { Speaker::Guest },
            turn: 0,
            client_at: 0,
            guest_at: 0,
            fill: rng.chance(30).then_some(0x78),
            last: Vec::new(),
        }
    }

    /// The next segment: mostly what makes sense now.
    pub(super) fn next(&mut self, rng: &mut Rng) -> Segment {
        if rng.chance(8)
            && let Some(again) = rng.pick(&self.last)
        {
            return again.clone();
        }
        let other = match self.opener {
            Speaker::Client => Speaker::Guest,
            Speaker::Guest => Speaker::Client,
        };
        let turn = if rng.chance(4) { 3 } else { self.turn };
        self.turn += 1;
        match turn {
            0 => self.say(self.opener, "S", 0),
            1 => self.say(other, "SA", 0),
            2 => self.say(self.opener, "A", 0),
            _ => {
                let from = *rng.pick(&[Speaker::Client, Speaker::Guest]).unwrap_or(&self.opener);
                self.go_on(from, rng)
            }
        }
    }

    /// Something that this side sends once the connection stands.
    pub(super) fn go_on(&mut self, from: Speaker, rng: &mut Rng) -> Segment {
        let length = rng.number(&[1, 2, 5, 10, 13, 24, 40, 200, 1400]);
        let length = u32::try_from(length).unwrap_or(1);
        match rng.below(100) {
            0..45 => self.say(from, "PA", length),
            45..60 => self.say(from, "A", length),
            60..82 => self.say(from, "A", 0),
            82..92 => self.say(from, "FA", 0),
            92..94 => self.say(from, "FPA", length),
            94..96 => self.say(from, "R", 0),
            96..97 => self.say(from, "RA", 0),
            97..98 => self.say(from, "S", 0),
            98..99 => self.say(from, "SA", 0),
            _ => self.say(from, "", 0),
        }
    }

    fn say(&mut self, from: Speaker, flags: &'static str, length: u32) -> Segment {
        let (own, other) = match from {
            Speaker::Client => (&mut self.client_at, self.guest_at),
            Speaker::Guest => (&mut self.guest_at, self.client_at),
        };
        let segment = Segment { from, flags, at: *own, ack: other, length };
        let one = u32::from(flags.contains(['S', 'F']));
        *own = own.wrapping_add(length).wrapping_add(one);
        self.last.push(segment.clone());
        segment
    }

    /// A segment as a frame, with the primary's numbers or the secondary's.
    pub(super) fn frame(&self, segment: &Segment, secondary: bool) -> Map<String, Value> {
        let guest_isn = if secondary { self.secondary_isn } else { self.primary_isn };
        let client = (format!("10.0.0.{}", 9 + self.number), 4000 + self.number);
        let guest = ("10.0.0.2".to_owned(), 80);
        let (from, to, isn, other) = match segment.from {
            Speaker::Client => (client, guest, self.client_isn, guest_isn),
            Speaker::Guest => (guest, client, guest_isn, self.client_isn),
        };
        let mut tcp = json!({
            "sport": from.1, "dport": to.1, "flags": segment.flags,
            "seq": isn.wrapping_add(segment.at),
        });
        if segment.flags.contains('A') {
            tcp["ack"] = other.wrapping_add(segment.ack).into();
        }
        let mut frame = Map::new();
        frame.insert("ipv4".to_owned(), json!({ "src": from.0, "dst": to.0 }));
        frame.insert("tcp".to_owned(), tcp);
        if segment.length > 0 {
            frame.insert("payload".to_owned(), self.payload(segment));
        }
        frame
    }

    /// Equal for equal places of the stream, however it is cut.
    fn payload(&self, segment: &Segment) -> Value {
        if let Some(fill) = self.fill {
            return json!({ "fill": fill, "len": segment.length });
        }
        if segment.length > 64 {
            return json!({ "fill": 0x79, "len": segment.length });
        }
        let place = |n: u32| char::from(b'a' + u8::try_from(n % 26).unwrap_or_default());
        let text: String = (0..segment.length).map(|n| place(segment.at.wrapping_add(n))).collect();
        text.into()
    }
}

/// What real networks and broken ones do to a segment, now and then.
pub(super) fn season(frame: &mut Map<String, Value>, vnet: bool, rng: &mut Rng) {
    let mut set = |header: &str, key: &str, value: Value| {
        if let Some(header) = frame.get_mut(header).and_then(Value::as_object_mut) {
            header.insert(key.to_owned(), value);
        }
    };
    match rng.below(100) {
        0..4 => set("tcp", "checksum", rng.within(0, 65535).into()),
        4..8 => set("ipv4", "options", "01010100".into()),
        8..10 => set("ipv4", "more_fragments", true.into()),
        10..12 => set("ipv4", "fragment_offset", rng.within(1, 200).into()),
        12..17 => set("tcp", "options", options(rng)),
        17..19 => set("ipv4", "ttl", rng.number(&[1, 63, 255]).into()),
        // Less than its own header, and QEMU sums up what is behind the frame.
        19..21 => set("ipv4", "total_len", rng.number(&[39, 40, 41]).into()),
        21..23 => set("ipv4", "checksum", 0xdead.into()),
        23..25 => set("tcp", "urgent", 5.into()),
        25..29 => {
            let tags = match rng.below(3) {
                0 => json!(5),
                1 => json!([{ "id": 5, "tpid": 0x88a8 }]),
                _ => json!([{ "id": 5, "tpid": 0x88a8 }, { "id": 6 }]),
            };
            frame.insert("vlan".to_owned(), tags);
        }
        _ => {}
    }
    if rng.chance(40) && is_short(frame) {
        frame.insert("eth".to_owned(), json!({ "pad_to": 60 }));
    }
    if vnet && rng.chance(25) {
        let header = json!({ "flags": 1, "csum_start": 34, "csum_offset": 16 });
        frame.insert("vnet_hdr".to_owned(), header);
    }
}

/// Whether a frame of at least 60 bytes is more than there is without padding.
fn is_short(frame: &Map<String, Value>) -> bool {
    let has = |header: &str, key: &str| frame.get(header).is_some_and(|it| it.get(key).is_some());
    let payload = match frame.get("payload") {
        Some(Value::String(text)) => text.len(),
        Some(_) => usize::MAX,
        None => 0,
    };
    payload <= 6 && !has("ipv4", "options") && !has("tcp", "options") && !frame.contains_key("vlan")
}

fn options(rng: &mut Rng) -> Value {
    match rng.below(4) {
        0 => json!([{ "mss": 1460 }]),
        1 => json!(["nop", "nop", { "timestamps": { "value": rng.within(0, 9), "echo": 7 } }]),
        2 => json!(["nop", "nop", { "sack": [[1000, 2000]] }]),
        _ => json!(["sack_permitted", "nop", "nop"]),
    }
}
