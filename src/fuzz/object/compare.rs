//! `colo-compare`, with what two guests send that are alike, nearly alike or not.

use serde_json::{Map, Value, json};

use super::{Kind, Made, PLAIN, Properties, Property, Rng, filter, redirector};
use crate::fuzz::{
    conversation::{self, Conversation, Segment, Speaker},
    draft::{Dialect, Draft},
    frame,
};

pub(super) const KIND: Kind = Kind {
    name: "colo-compare",
    weight: 26,
    prefix: "c",
    draw,
    live: &[
        ("compare_timeout", &["3600000", "0", "-1", "4294967295"]),
        ("expired_scan_cycle", &["3600000", "0", "4294967296"]),
        ("max_queue_size", &["1", "2", "5", "1024", "0"]),
        ("vnet_hdr_support", &["on", "off"]),
        ("primary_in", &["nope"]),
        ("notify_dev", &["nope"]),
    ],
    traffic: |made, _| made.read_chardevs().map(str::to_owned).collect(),
    scene: Some(scene),
    deadly: true,
    paced: true,
    ..PLAIN
};

fn draw(draft: &mut Draft, rng: &mut Rng) -> Option<Properties> {
    let chardevs = ["pri", "sec", "out"].map(|name| draft.socket(name, rng));
    Some(properties(chardevs, draft, rng))
}

fn properties(chardevs: [String; 3], draft: &mut Draft, rng: &mut Rng) -> Properties {
    let [primary, secondary, out] = chardevs;
    let mut properties: Properties = vec![
        ("primary_in", primary.into()),
        ("secondary_in", secondary.into()),
        ("outdev", out.into()),
        ("iothread", draft.iothread(rng).into()),
    ];
    if rng.chance(70) {
        properties.push(("notify_dev", draft.socket("ntf", rng).into()));
    }
    // Nothing may be held for too long where the clock is the wall's.
    let millis: &[usize] =
        if draft.has_own_time() { &[10, 3000, 3_600_000] } else { &[3_600_000, 4_294_967_295] };
    properties.push(("compare_timeout", number(rng.number(millis))));
    if rng.chance(20) {
        let cycle = rng.number(&[1000, 60_000, 3_600_000]);
        properties.push(("expired_scan_cycle", number(cycle)));
    }
    if rng.chance(25) {
        let size = rng.number(&[1, 2, 3, 10]);
        properties.push(("max_queue_size", number(size)));
    }
    if rng.chance(25) {
        properties.push(("vnet_hdr_support", Property::Bool(rng.chance(85))));
    }
    properties
}

const fn number(number: usize) -> Property {
    Property::Number(number as u64)
}

/// A primary's comparer and the redirectors to and from it. None without a netdev for them.
pub(in crate::fuzz) fn comparing_loop(draft: &mut Draft, rng: &mut Rng) -> Option<Vec<Made>> {
    let netdev = filter::netdev(draft, rng)?;
    let [taken, compared] = draft.joined_pair();
    let [passed, back] = draft.joined_pair();
    let secondary = draft.socket("sec", rng);
    let comparer = properties([compared, secondary, passed], draft, rng);
    let vnet = comparer.iter().find(|(name, _)| *name == "vnet_hdr_support");
    let redirector = |property: (&'static str, String)| {
        let mut properties: Properties = vec![
            ("netdev", netdev.as_str().into()),
            ("queue", "rx".into()),
            (property.0, property.1.into()),
        ];
        properties.extend(vnet.cloned());
        properties
    };
    let all = [
        (&redirector::KIND, redirector(("indev", back))),
        (&redirector::KIND, redirector(("outdev", taken))),
        (&KIND, comparer),
    ];
    let made = all.map(|(kind, properties)| Made {
        kind,
        id: format!("{}{}", kind.prefix, draft.number()),
        properties,
    });
    draft.objects.extend(made.iter().cloned());
    Some(made.into())
}

fn scene(made: &Made, draft: &mut Draft, rng: &mut Rng) -> Option<Vec<Value>> {
    let entry = |name: &str| draft.entry(made.text(name)?);
    let (primary, secondary, notify) =
        (entry("primary_in")?, entry("secondary_in")?, entry("notify_dev"));
    let vnet = made.is_on("vnet_hdr_support");
    match rng.below(100) {
        0..14 => {
            let port = notify.filter(|port| !port.contains('.'))?;
            return Some(vec![message(&port, vnet, rng)]);
        }
        14..18 if draft.dialect == Dialect::Rfc => {
            return Some(vec![json!({ "colo": "checkpoint" })]);
        }
        18..24 => {
            let port = if rng.chance(50) { primary } else { secondary };
            let at = !port.contains('.');
            return at.then(|| vec![json!({ "write": port, "data": raw(vnet, rng) })]);
        }
        _ => {}
    }
    let (first, second) =
        if rng.chance(65) { segments(draft.talk(rng), rng) } else { datagrams(rng) };
    Some(both([(primary, first), (secondary, second)], rng))
}

/// What both guests send, one after the other: all that one has and then the other's, or by turns.
/// Never both in one step: they would race each other.
fn both(guests: [(String, Vec<Value>); 2], rng: &mut Rng) -> Vec<Value> {
    let [mut first, mut second] = guests;
    if rng.chance(40) {
        std::mem::swap(&mut first, &mut second);
    }
    let mut send = |port: &str, frames: &[Value]| {
        let mut step = Map::new();
        step.insert("send".to_owned(), port.into());
        step.insert("frames".to_owned(), frames.into());
        if frames.len() > 1 && rng.chance(25) {
            step.insert("burst".to_owned(), true.into());
        }
        Value::from(step)
    };
    let mut steps = Vec::new();
    if first.1.len() + second.1.len() > 5 || first.1.len() == 1 {
        for (port, frames) in [&first, &second] {
            if !frames.is_empty() {
                steps.push(send(port, frames));
            }
        }
        return steps;
    }
    for place in 0..first.1.len().max(second.1.len()) {
        for (port, frames) in [&first, &second] {
            if let Some(frame) = frames.get(place) {
                steps.push(send(port, std::slice::from_ref(frame)));
            }
        }
    }
    steps
}

/// The primary's next segments, and the secondary's.
fn segments(talk: &mut Conversation, rng: &mut Rng) -> (Vec<Value>, Vec<Value>) {
    let mut ours = Vec::new();
    for _ in 0..rng.within(1, 4) {
        if rng.chance(30) {
            // The client's part is not seen here; it moves what is acknowledged.
            talk.go_on(Speaker::Client, rng);
        }
        let segment = if rng.chance(30) { talk.next(rng) } else { talk.go_on(Speaker::Guest, rng) };
        ours.push(segment);
    }
    let mut theirs = ours.clone();
    let place = rng.below(theirs.len());
    match rng.below(100) {
        0..35 => {}
        35..60 => theirs = cut(&theirs, rng),
        60..66 => theirs.reverse(),
        66..72 => drop(theirs.remove(place)),
        72..76 => theirs.push(theirs[place].clone()),
        76..82 => theirs[place].ack = moved(theirs[place].ack, rng),
        82..86 => theirs[place].at = moved(theirs[place].at, rng),
        86..90 => theirs[place].flags = rng.word(&["A", "PA", "FA", "RA", "R"]),
        90..94 => theirs[place].length += 1,
        _ => theirs.clear(),
    }
    let raw = rng.chance(4);
    let written = |segments: &[Segment], secondary: bool, rng: &mut Rng| -> Vec<Value> {
        let frames = segments.iter().map(|segment| {
            let mut frame = talk.frame(segment, secondary);
            if rng.chance(10) {
                conversation::season(&mut frame, false, rng);
            }
            if secondary_differs(rng) && frame.contains_key("payload") {
                frame.insert("payload".to_owned(), "other".into());
            }
            frame.into()
        });
        frames.collect()
    };
    let first = written(&ours, false, rng);
    let second = written(&theirs, raw, rng);
    (first, second)
}

fn secondary_differs(rng: &mut Rng) -> bool {
    rng.chance(4)
}

fn moved(number: u32, rng: &mut Rng) -> u32 {
    let by = u32::try_from(rng.number(&[1, 5, 100, 70_000])).unwrap_or(1);
    if rng.chance(50) { number.wrapping_add(by) } else { number.wrapping_sub(by) }
}

/// The same bytes in other pieces.
fn cut(segments: &[Segment], rng: &mut Rng) -> Vec<Segment> {
    let mut pieces: Vec<Segment> = Vec::new();
    for segment in segments {
        if let Some(last) = pieces.last_mut()
            && last.from == segment.from
            && last.at.wrapping_add(last.length) == segment.at
            && last.length > 0
            && segment.length > 0
            && rng.chance(50)
        {
            last.length += segment.length;
            last.ack = segment.ack;
            last.flags = segment.flags;
            continue;
        }
        if segment.length < 2 || rng.chance(40) {
            pieces.push(segment.clone());
            continue;
        }
        let first = u32::try_from(rng.within(1, segment.length as usize - 1)).unwrap_or(1);
        let mut head = segment.clone();
        head.length = first;
        if head.flags.contains('F') {
            head.flags = "A";
        }
        let mut tail = segment.clone();
        tail.at = segment.at.wrapping_add(first);
        tail.length = segment.length - first;
        pieces.extend([head, tail]);
    }
    pieces
}

/// Packets that are compared whole: the primary's and the secondary's.
fn datagrams(rng: &mut Rng) -> (Vec<Value>, Vec<Value>) {
    let ours: Vec<Value> = (0..rng.within(1, 4)).map(|_| datagram(rng)).collect();
    let mut theirs = ours.clone();
    let place = rng.below(theirs.len());
    match rng.below(100) {
        0..45 => {}
        45..55 => theirs.reverse(),
        55..62 => drop(theirs.remove(place)),
        62..68 => theirs.push(theirs[place].clone()),
        68..76 if theirs[place].get("arp").is_none() => {
            theirs[place]["payload"] = "different".into();
        }
        76..82 => theirs[place]["eth"] = json!({ "pad_to": 80 }),
        82..88 => {
            if let Some(ipv4) = theirs[place].get_mut("ipv4") {
                let key = rng.word(&["id", "ttl", "tos", "checksum"]);
                ipv4[key] = 3.into();
            }
        }
        88..94 => {
            theirs[place]["vlan"] = json!([{ "id": 5, "tpid": 0x88a8 }]);
            theirs[place]["eth"] = json!({ "pad_to": 90 });
        }
        _ => theirs.clear(),
    }
    (ours, theirs)
}

fn datagram(rng: &mut Rng) -> Value {
    let dst = rng.word(&["10.0.0.9", "10.0.0.10"]);
    let ipv4 = json!({ "src": "10.0.0.2", "dst": dst });
    let mut frame = match rng.below(100) {
        0..50 => json!({ "ipv4": ipv4, "udp": { "sport": 53, "dport": rng.within(4000, 4002) } }),
        50..68 => json!({ "ipv4": ipv4,
            "icmp": { "type": "echo-reply", "id": 7, "seq": rng.below(3) } }),
        68..84 => {
            let protocol = rng.number(&[1, 2, 33, 47, 50, 51, 132, 136, 200]);
            let mut ipv4 = ipv4;
            ipv4["protocol"] = protocol.into();
            return json!({ "ipv4": ipv4, "payload": "0123456789abcdefghijklmnop" });
        }
        84..90 => json!({ "ipv6": { "src": "fd00::1", "dst": "fd00::2" },
            "udp": { "sport": 53, "dport": 4000 } }),
        90..95 => return json!({ "arp": { "sender": "10.0.0.2", "target": dst } }),
        _ => json!({ "vlan": 5, "ipv4": ipv4, "udp": { "sport": 53, "dport": 4000 } }),
    };
    frame["payload"] = rng.word(&["one", "two", "the third answer"]).into();
    if rng.chance(20) {
        frame["eth"] = json!({ "pad_to": 80 });
    }
    frame
}

/// A message on notify_dev.
fn message(port: &str, vnet: bool, rng: &mut Rng) -> Value {
    let text = rng.word(&[
        "COLO_CHECKPOINT",
        "COLO_CHECKPOINT",
        "COLO_CHECKPOINT",
        "COLO_USERSPACE_PROXY_INIT",
        "COLO_CHECKPOIN",
        "COLO_CHECKPOINT_",
        "DO_CHECKPOINT",
        "x",
    ]);
    let mut pieces = vec![json!({ "u32": text.len() })];
    // QEMU reads this word here too, and does not write it.
    if vnet && rng.chance(75) {
        pieces.push(json!({ "u32": 0 }));
    }
    pieces.push(json!({ "text": text }));
    json!({ "write": port, "data": pieces })
}

/// Bytes for an input: a datagram behind one virtio-net header and another, or anything.
fn raw(vnet: bool, rng: &mut Rng) -> Value {
    const DATAGRAM: &str = "525400000002525400000001 0800 4500001c00014000401126ce0a0000010a000002 \
                            03e807d000080000";
    if rng.chance(40) {
        return frame::pieces(vnet, rng);
    }
    let header = rng.number(&[0, 10, 12, 12, 20, 24]);
    let mut pieces = vec![json!({ "u32": 42 + if vnet { header } else { 0 } })];
    if vnet {
        pieces.push(json!({ "u32": header }));
        if header > 0 {
            pieces.push(json!({ "fill": 0, "len": header }));
        }
    }
    pieces.push(json!({ "hex": DATAGRAM }));
    pieces.into()
}
