//! What a comparer does, stated once more and more plainly, with nothing of the engine's: lists of
//! packets, bytes by their place in the stream.

use std::collections::BTreeSet;

/// A packet as the model sees it.
#[derive(Clone, Debug)]
struct Packet {
    number: u32,
    frame: Vec<u8>,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: Vec<u8>,
    compared: usize,
}

impl Packet {
    fn end(&self) -> u32 {
        self.seq.wrapping_add(self.payload.len() as u32)
    }
}

fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// What is known of one connection.
#[derive(Debug, Default)]
struct Flow {
    primary: Vec<Packet>,
    secondary: Vec<Packet>,
    compared_to: u32,
    last_ack: [u32; 2],
    // The rest is known to a mended comparer alone.
    equal: BTreeSet<u32>,
    acknowledged: Option<u32>,
    anything: bool,
    begun: [Option<u32>; 2],
}

impl Flow {
    /// What the secondary sent at a place of the stream, the first time.
    fn secondary_byte(&self, place: u32) -> Option<u8> {
        let at = |packet: &Packet| {
            let at = place.wrapping_sub(packet.seq) as usize;
            packet.payload.get(at).copied()
        };
        self.secondary.iter().find_map(at)
    }

    /// The bytes of a primary's packet that are not known to be equal, each with the secondary's.
    fn answered<'a>(&'a self, p: &'a Packet) -> impl Iterator<Item = (u8, Option<u8>)> + 'a {
        let places = (0..).zip(&p.payload);
        let places = places.map(|(place, byte)| (p.seq.wrapping_add(place), *byte));
        let unknown = places.filter(|(place, _)| !self.equal.contains(place));
        unknown.map(|(place, byte)| (byte, self.secondary_byte(place)))
    }

    /// A packet of the secondary whose bytes are all known to be equal says nothing more.
    fn forget_equal(&mut self) {
        let equal = &self.equal;
        self.secondary.retain(|packet| {
            let mut places = (0..packet.payload.len() as u32).map(|at| packet.seq.wrapping_add(at));
            places.any(|place| !equal.contains(&place))
        });
    }
}

#[derive(Debug)]
pub(super) struct Model {
    ideal: bool,
    limit: usize,
    flows: Vec<(Vec<u8>, Flow)>,
    pub(super) released: Vec<u32>,
    pub(super) asked: usize,
}

impl Model {
    pub(super) fn new(ideal: bool, limit: usize) -> Self {
        Self { ideal, limit, flows: Vec::new(), released: Vec::new(), asked: 0 }
    }

    /// A frame of a guest; all frames of the tests are IPv4 without options.
    pub(super) fn frame(&mut self, primary: bool, number: u32, frame: &[u8]) {
        let protocol = frame[23];
        let ports = if [6, 17].contains(&protocol) { 38 } else { 34 };
        let key = [&frame[23..24], &frame[26..ports]].concat();
        let at = self.flows.iter().position(|(other, _)| *other == key);
        let at = at.unwrap_or_else(|| {
            self.flows.push((key, Flow::default()));
            self.flows.len() - 1
        });
        let long = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        let tcp = protocol == 6;
        let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let end = if self.ideal { 14 + total } else { frame.len() };
        let packet = Packet {
            number,
            frame: frame[..end].to_vec(),
            seq: if tcp { long(38) } else { 0 },
            ack: if tcp { long(42) } else { 0 },
            flags: if tcp { frame[47] } else { 0 },
            payload: if tcp { frame[54..end].to_vec() } else { Vec::new() },
            compared: 0,
        };
        let flow = &mut self.flows[at].1;
        let queue = if primary { &mut flow.primary } else { &mut flow.secondary };
        let full = queue.len() > self.limit;
        if full && self.ideal {
            self.asked += 1;
        }
        match (tcp, self.ideal) {
            (true, true) => {
                mended_arrival(flow, primary, packet);
                self.mended(at);
            }
            (true, false) => {
                if !full {
                    flow.last_ack[usize::from(!primary)] = packet.ack;
                    let queue = if primary { &mut flow.primary } else { &mut flow.secondary };
                    let below = queue.iter().filter(|held| !after(held.seq, packet.seq));
                    let below = below.count();
                    queue.insert(below, packet);
                }
                self.pair_by_pair(at);
            }
            (false, _) => {
                if !full || self.ideal {
                    queue.push(packet);
                }
                self.search(at, protocol);
            }
        }
    }

    pub(super) fn checkpoint(&mut self) {
        for (key, flow) in &mut self.flows {
            let mut primary: Vec<Packet> = flow.primary.drain(..).collect();
            if key[0] != 6 && !self.ideal {
                primary.reverse();
            }
            for packet in primary {
                for place in 0..packet.payload.len() as u32 {
                    flow.equal.insert(packet.seq.wrapping_add(place));
                }
                flow.anything = true;
                let further = flow.acknowledged.is_none_or(|ack| after(packet.ack, ack));
                if packet.flags & 0x10 != 0 && further {
                    flow.acknowledged = Some(packet.ack);
                }
                self.released.push(packet.number);
            }
            flow.secondary.clear();
        }
    }

    fn pair_by_pair(&mut self, at: usize) {
        let flow = &mut self.flows[at].1;
        let both = flow.last_ack[0].min(flow.last_ack[1]);
        while !flow.primary.is_empty() {
            let mut p = flow.primary.remove(0);
            let released = loop {
                if flow.secondary.is_empty() {
                    break None;
                }
                let mut s = flow.secondary.remove(0);
                let old = |end: u32| flow.compared_to != 0 && !after(end, flow.compared_to);
                let p_done = p.payload.is_empty() || old(p.end());
                let s_done = s.payload.is_empty() || old(s.end());
                if p_done {
                    if !s_done {
                        flow.secondary.insert(0, s);
                    }
                    break Some(true);
                }
                if s_done {
                    continue;
                }
                if p.seq == s.seq && p.payload == s.payload {
                    flow.compared_to = p.end();
                    break Some(true);
                }
                let p_rest = &p.payload[p.compared..];
                let s_rest = &s.payload[s.compared..];
                let within = !after(p.end(), s.end());
                let count = if within { p_rest.len() } else { s_rest.len() };
                let equal = p_rest.len() >= count
                    && s_rest.len() >= count
                    && p_rest[..count] == s_rest[..count];
                if !equal || within && after(p.ack, both) {
                    flow.secondary.insert(0, s);
                    break Some(false);
                }
                if within {
                    flow.compared_to = p.end();
                    s.compared += count;
                    flow.secondary.insert(0, s);
                    break Some(true);
                }
                flow.compared_to = s.end();
                p.compared += count;
            };
            if released == Some(true) {
                self.released.push(p.number);
                continue;
            }
            self.asked += usize::from(released == Some(false));
            flow.primary.insert(0, p);
            return;
        }
    }

    fn search(&mut self, at: usize, protocol: u8) {
        let flow = &mut self.flows[at].1;
        let whole = !self.ideal && ![1, 17].contains(&protocol);
        let from = if whole { 0 } else { 34 };
        while !flow.primary.is_empty() && !flow.secondary.is_empty() {
            let next = if self.ideal { 0 } else { flow.primary.len() - 1 };
            let wanted = &flow.primary[next].frame[from..];
            let found = flow.secondary.iter().position(|s| &s.frame[from..] == wanted);
            let Some(found) = found else {
                self.asked += 1;
                return;
            };
            flow.secondary.remove(found);
            self.released.push(flow.primary.remove(next).number);
        }
    }

    fn mended(&mut self, at: usize) {
        let flow = &mut self.flows[at].1;
        while let Some(p) = flow.primary.first() {
            let told = if p.flags & 0x10 == 0 {
                flow.anything
            } else {
                flow.acknowledged.is_some_and(|ack| !after(p.ack, ack))
            };
            if !told || !flow.answered(p).all(|(byte, other)| other == Some(byte)) {
                break;
            }
            for place in 0..p.payload.len() as u32 {
                flow.equal.insert(p.seq.wrapping_add(place));
            }
            self.released.push(flow.primary.remove(0).number);
            flow.forget_equal();
        }
        let differs = |p: &Packet| {
            let mut bytes = flow.answered(p);
            bytes.any(|(byte, other)| other.is_some_and(|other| other != byte))
        };
        self.asked += usize::from(flow.primary.iter().any(differs));
    }
}

/// A packet reaches a mended comparer; the secondary's is as good as the bytes it brings.
fn mended_arrival(flow: &mut Flow, primary: bool, packet: Packet) {
    let begun = &mut flow.begun[usize::from(!primary)];
    if packet.flags & 2 != 0 && begun.replace(packet.seq) != Some(packet.seq) {
        if primary {
            flow.equal.clear();
        } else {
            flow.acknowledged = None;
        }
    }
    if primary {
        return flow.primary.push(packet);
    }
    flow.anything = true;
    let further = flow.acknowledged.is_none_or(|ack| after(packet.ack, ack));
    if packet.flags & 0x10 != 0 && further {
        flow.acknowledged = Some(packet.ack);
    }
    flow.secondary.push(packet);
    flow.forget_equal();
}
