//! Frames and raw bytes of random scenarios.

use serde_json::{Map, Value, json};

use super::{
    draft::{Draft, PortFraming},
    rng::Rng,
};

/// Lengths of payloads around what matters: nothing, the least Ethernet frame, one chardev read,
/// the usual MTU, a jumbo frame.
const LENGTHS: &[(usize, usize)] = &[
    (0, 8),
    (1, 8),
    (5, 10),
    (18, 8),
    (46, 6),
    (64, 10),
    (600, 6),
    (1400, 4),
    (1458, 3),
    (1472, 3),
    (1473, 2),
    (4082, 2),
    (8900, 2),
    (60_000, 1),
];

const IPV4_HEADER: usize = 20;

/// What is sent at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// A virtio-net header reaches the other side.
    pub(super) vnet: bool,
    /// The longest packet that the kernel takes there, where there is a limit.
    pub(super) mtu: Option<usize>,
}

impl At {
    /// A guest's or a host's port of a TAP.
    pub(super) fn tap(draft: &Draft, id: &str) -> Self {
        Self {
            vnet: draft.tap(id).is_some_and(|tap| tap.virtio),
            mtu: draft.tap(id).map(|tap| tap.mtu),
        }
    }

    pub(super) fn chardev(framing: PortFraming) -> Self {
        Self { vnet: framing == PortFraming::Vnet, mtu: None }
    }
}

/// One to a few frames.
pub(super) fn frames(at: At, rng: &mut Rng) -> Value {
    let count = *rng
        .weighted(&[(1, 6), (2, 3), (3, 2), (5, 1)], |each| each.1)
        .map_or(&1, |(count, _)| count);
    (0..count).map(|_| frame(at, rng)).collect()
}

fn frame(at: At, rng: &mut Rng) -> Value {
    let mut frame = Map::new();
    match rng.below(100) {
        0..6 => {
            let bytes = rng.number(&[1, 13, 14, 15, 42, 59, 60, 61]);
            frame.insert("hex".to_owned(), rng.hex(bytes).into());
            return frame.into();
        }
        6..30 => addresses(&mut frame, rng),
        _ => {}
    }
    if rng.chance(12) {
        let tags = match rng.below(3) {
            0 => json!(rng.within(0, 4095)),
            1 => json!({ "id": rng.within(1, 4094), "pcp": rng.within(0, 7) }),
            _ => json!([{ "id": 5, "tpid": 0x88a8 }, { "id": rng.within(1, 4094) }]),
        };
        frame.insert("vlan".to_owned(), tags);
    }
    let gso = network(&mut frame, at, rng);
    if at.vnet && rng.chance(40) {
        frame.insert("vnet_hdr".to_owned(), vnet_hdr(gso, rng));
    }
    frame.into()
}

/// Other addresses than those of the two ends.
fn addresses(frame: &mut Map<String, Value>, rng: &mut Rng) {
    let mut eth = Map::new();
    let dst = rng.word(&[
        "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:01",
        "33:33:00:00:00:01",
        "52:54:00:99:99:99",
        "01:80:c2:00:00:00",
    ]);
    eth.insert("dst".to_owned(), dst.into());
    if rng.chance(20) {
        eth.insert("src".to_owned(), "52:54:00:aa:aa:aa".into());
    }
    frame.insert("eth".to_owned(), eth.into());
}

/// Fills in everything above Ethernet. Says where the transport's header begins, where there is one
/// that a checksum could be left to.
fn network(frame: &mut Map<String, Value>, at: At, rng: &mut Rng) -> Option<Transport> {
    let mut length = match at.mtu {
        // IPv4 and UDP have 28 bytes before it: just what fits, and just too much.
        Some(mtu) if rng.chance(5) => (mtu.max(28) - 28 + rng.below(2)).min(65_507),
        _ => rng.weighted(LENGTHS, |each| each.1).map_or(0, |(length, _)| *length),
    };
    let mut insert = |key: &str, value: Value| drop(frame.insert(key.to_owned(), value));
    let ipv4 =
        json!({ "src": "10.0.0.1", "dst": rng.word(&["10.0.0.2", "10.0.0.3", "224.0.0.1"]) });
    let mut transport = None;
    match rng.below(100) {
        0..40 => {
            insert("ipv4", ipv4);
            insert("udp", json!({ "sport": rng.within(1, 65535), "dport": 9 }));
            transport = Some(Transport { offset: 34, checksum: 6 });
        }
        40..60 => {
            let flags = rng.word(&["S", "SA", "A", "PA", "FA", "R"]);
            insert("ipv4", ipv4);
            insert(
                "tcp",
                json!({ "sport": rng.within(1, 65535), "dport": 80, "flags": flags,
                        "seq": rng.below(1 << 32) }),
            );
            transport = Some(Transport { offset: 34, checksum: 16 });
        }
        60..68 => {
            insert("ipv4", ipv4);
            insert("icmp", json!({ "type": "echo-request", "id": 7, "seq": rng.below(100) }));
        }
        68..76 => {
            insert("ipv6", json!({ "src": "fd00::1", "dst": "fd00::2" }));
            insert("udp", json!({ "sport": rng.within(1, 65535), "dport": 9 }));
        }
        76..84 => {
            let op = rng.word(&["request", "reply"]);
            insert("arp", json!({ "op": op, "sender": "10.0.0.1", "target": "10.0.0.2" }));
            return None;
        }
        _ => {
            let kind = rng.number(&[0x88b5, 0x88b6, 0x0800, 0x8100, 40]);
            if kind == 0x0800 {
                // QEMU would read its header from what lies behind the frame.
                length = length.max(IPV4_HEADER);
            }
            let eth = frame.entry("eth").or_insert_with(|| json!({}));
            if let Some(eth) = eth.as_object_mut() {
                eth.insert("type".to_owned(), kind.into());
            }
        }
    }
    if length > 0 {
        frame.insert("payload".to_owned(), payload(length, rng));
    }
    // A tag moves everything.
    transport.filter(|_| at.vnet && !frame.contains_key("vlan"))
}

fn payload(length: usize, rng: &mut Rng) -> Value {
    if length <= 5 && rng.chance(50) {
        return "hello".into();
    }
    json!({ "fill": rng.within(0, 255), "len": length })
}

/// Where a transport header begins, and where its checksum is in it.
#[derive(Clone, Copy, Debug)]
struct Transport {
    offset: u16,
    checksum: u16,
}

fn vnet_hdr(transport: Option<Transport>, rng: &mut Rng) -> Value {
    match (transport, rng.below(10)) {
        (Some(transport), 0..6) => json!({
            "flags": 1, "csum_start": transport.offset, "csum_offset": transport.checksum
        }),
        (_, 6..8) => json!({ "flags": 2 }),
        (_, 8) => json!({ "num_buffers": 1 }),
        _ => json!({ "hdr_len": rng.number(&[0, 14, 54, 60]) }),
    }
}

/// The pieces of a raw write to an indev: frames well and badly framed, whole and in part.
pub(super) fn pieces(vnet: bool, rng: &mut Rng) -> Value {
    let mut pieces = Vec::new();
    for _ in 0..rng.within(1, 3) {
        let length = rng.number(&[1, 13, 14, 42, 60, 60, 100, 1500]);
        let header = if vnet && rng.chance(80) { 10 } else { 0 };
        let announced = match rng.below(100) {
            0..70 => length + header,
            70..78 => 0,
            78..84 => length + header + rng.number(&[1, 40]),
            84..88 => (length + header).saturating_sub(1),
            88..92 => 69_632,
            92..95 => 69_633,
            95..97 => 0xffff_ffff,
            _ => 0x8000_0000,
        };
        pieces.push(json!({ "u32": announced }));
        if vnet {
            pieces.push(json!({ "u32": rng.number(&[header, header, header, 0, 12, 9999]) }));
            if header > 0 {
                pieces.push(json!({ "fill": 0, "len": header }));
            }
        }
        match rng.below(10) {
            0 => {}
            1..4 => pieces.push(json!({ "hex": rng.hex(length.min(60)) })),
            _ => pieces.push(json!({ "fill": rng.within(0, 255), "len": length })),
        }
    }
    pieces.into()
}
