//! The kernel and the model do the same at random.

use std::{collections::BTreeMap, io::ErrorKind};

use tapwright::{
    backend::builtin::{Carried, Carrier},
    base::{Frame, NetdevId, PortId, VnetHdr},
    record::{DropReason, EventKind},
    scenario::{Case, LinkSet, NetdevType, Nic},
    sys::Isolated,
};

use crate::{
    KernelTry,
    frame::{ALL, GUEST, tcp_v4, tcp_v6},
    lab::Lab,
    world::{bridge, empty, link, tap},
};

pub(crate) const TRIALS: &[(&str, KernelTry)] = &[("random_sequences", random_sequences)];

/// How many sequences are tried when `PARITY_SEQUENCES` says nothing.
const SEQUENCES: u64 = 200;

fn random_sequences(isolated: &Isolated) {
    let wanted = std::env::var("PARITY_SEQUENCES").ok();
    let count = wanted.map_or(SEQUENCES, |text| text.parse().unwrap());
    let mut whole = 0;
    for seed in 0..count {
        whole += u64::from(sequence(isolated, seed));
    }
    assert!(whole > count / 2, "the model knew only {whole} of {count} to their end");
}

/// Whether the model knew the outcome of all that was done.
fn sequence(isolated: &Isolated, seed: u64) -> bool {
    let mut random = Random(seed);
    let case = topology(&mut random);
    let mut kernel = Lab::Netns(isolated.clone()).open(&case);
    let mut model = Lab::Sim.open(&case);
    let mut done: Vec<String> = Vec::new();
    for _ in 0..40 {
        let action = action(&mut random, &case);
        done.push(format!("{action:?}"));
        let results = [&mut kernel, &mut model].map(|carrier| carry_out(carrier.as_mut(), &action));
        if results[0] != results[1] && look(model.as_mut()).is_none() {
            assert_eq!(kernel.finish(), Vec::<String>::new());
            return false;
        }
        assert_eq!(results[0], results[1], "seed {seed}, kernel and model\n{}", done.join("\n"));
        if random.below(3) > 0 {
            continue;
        }
        let Some(modelled) = look(model.as_mut()) else {
            assert_eq!(kernel.finish(), Vec::<String>::new());
            return false;
        };
        let seen = look(kernel.as_mut()).unwrap();
        for (source, seen) in &seen {
            let modelled = modelled.get(source);
            assert_eq!(
                Some(seen),
                modelled,
                "seed {seed}, {source}, kernel and model\n{}",
                done.join("\n")
            );
        }
        assert_eq!(
            seen.len(),
            modelled.len(),
            "seed {seed}, {:?}\n{}",
            modelled.keys(),
            done.join("\n")
        );
        done.clear();
    }
    assert_eq!(kernel.finish(), Vec::<String>::new());
    true
}

/// Steele et al., Fast splittable pseudorandom number generators, 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// One to three TAPs, perhaps a link, perhaps a bridge around some of them.
fn topology(random: &mut Random) -> Case {
    let mut case = empty();
    let nics = [Nic::Plain, Nic::Virtio { vnet_hdr_len: 10 }, Nic::Virtio { vnet_hdr_len: 12 }];
    for number in 0..=u8::try_from(random.below(3)).unwrap() {
        case.netdevs.push(tap(number, random.one_of(&nics), &[]));
    }
    if random.below(2) == 0 {
        case.links.push(link(None, &[]));
    }
    if random.below(3) > 0 {
        let netdevs: Vec<&str> = case.netdevs.iter().map(|netdev| netdev.id.as_str()).collect();
        let held = &netdevs[..=random.below(netdevs.len())];
        let ends: &[&str] =
            if case.links.is_empty() || random.below(4) == 0 { &[] } else { &["l0.a"] };
        let bridge = bridge(held, ends);
        case.bridges.push(bridge);
    }
    case
}

enum Action {
    Guest(NetdevId, Frame, usize),
    Host(PortId, Frame, usize),
    Inject(NetdevId, Frame, usize),
    Capture(NetdevId, bool),
    Set(LinkSet),
    Delete(PortId),
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, frame, times) = match self {
            Self::Guest(netdev, frame, times) => (format!("guest {netdev}"), frame, times),
            Self::Host(port, frame, times) => (format!("host {port}"), frame, times),
            Self::Inject(netdev, frame, times) => (format!("inject {netdev}"), frame, times),
            Self::Capture(netdev, on) => return write!(f, "capture {netdev} {on}"),
            Self::Set(change) => return write!(f, "{change:?}"),
            Self::Delete(port) => return write!(f, "delete {port}"),
        };
        let head = &frame.data[..frame.data.len().min(40)];
        write!(f, "{what}: {} B {head:02x?} [{}] * {times}", frame.data.len(), frame.vnet)
    }
}

fn action(random: &mut Random, case: &Case) -> Action {
    let netdevs: Vec<NetdevId> = case.netdevs.iter().map(|netdev| netdev.id.clone()).collect();
    let ends = case.links.iter().flat_map(|link| &link.ends);
    let hosts = netdevs.iter().map(|id| PortId::from(format!("{id}.host")));
    let ports: Vec<PortId> = ends.map(|end| end.port.clone()).chain(hosts).collect();
    let (netdev, port) = (random.one_of(&netdevs), random.one_of(&ports));
    match random.below(40) {
        0..16 => {
            let (frame, times) = frames(random, case);
            Action::Guest(netdev, frame, times)
        }
        16..26 => {
            let (frame, times) = frames(random, case);
            Action::Host(port, frame, times)
        }
        26..30 => {
            let (frame, times) = frames(random, case);
            Action::Inject(netdev, frame, times)
        }
        30..34 => Action::Capture(netdev, random.below(3) > 0),
        39 if random.below(4) == 0 => Action::Delete(port),
        _ => {
            let up = random.one_of(&[None, Some(false), Some(true), Some(true)]);
            let mtus = [67, 68, 600, 1500, 9000, 65_521, 65_522, 65_535, 65_536];
            let mtu = (up.is_none() || random.below(2) == 0).then(|| random.one_of(&mtus));
            Action::Set(LinkSet { port, up, mtu, address: None, bridge: None })
        }
    }
}

/// A frame, and how many times it is sent.
fn frames(random: &mut Random, case: &Case) -> (Frame, usize) {
    let frame = if random.below(4) == 0 { segment(random) } else { sized(random, case) };
    let small = frame.data.len() < 2000 && frame.vnet.gso_type == 0;
    let burst = if small && random.below(12) == 0 { random.one_of(&[16, 600, 1100]) } else { 1 };
    (frame, burst)
}

fn sized(random: &mut Random, case: &Case) -> Frame {
    let lengths = [
        0, 1, 13, 14, 15, 17, 18, 19, 20, 21, 22, 33, 34, 59, 60, 61, 64, 82, 86, 87, 614, 615,
        618, 619, 1500, 1514, 1515, 1518, 1519, 1522, 1523, 4031, 4032, 4080, 9014, 9018, 9019,
    ];
    let huge = [65_535, 70_000, 131_072, 131_073, 131_076, 131_077];
    let length: usize =
        if random.below(30) == 0 { random.one_of(&huge) } else { random.one_of(&lengths) };
    let mut addresses =
        vec![ALL, GUEST, [0; 6], [1, 0, 0x5e, 0, 0, 1], [2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]];
    for last in 0..=3 {
        addresses.push([0x52, 0x54, 0, 0x12, 0x34, 0x56 + last]);
        addresses.push([0x01, 0x80, 0xc2, 0, 0, random.one_of(&[0, 1, 2, 14, 15, 16])]);
    }
    for netdev in &case.netdevs {
        if let NetdevType::Tap { host_mac, .. } = netdev.kind {
            addresses.push(host_mac.0);
        }
    }
    let from = random.below(8);
    let source = if from == 0 { random.one_of(&addresses) } else { random.one_of(&addresses[6..]) };
    let kinds: [&[u8]; 4] = [
        &[0x88, 0xb5],
        &[0x81, 0x00, 0x20, 0x64, 0x88, 0xb5],
        &[0x88, 0xa8, 0x20, 0x64, 0x81, 0x00, 0x00, 0x07, 0x88, 0xb5],
        &[0x81, 0x00, 0x00, 0x07, 0x81, 0x00, 0x00, 0x08, 0x88, 0xb5],
    ];
    let mut data = [&random.one_of(&addresses)[..], &source, random.one_of(&kinds)].concat();
    let fill = random.next().to_be_bytes();
    data.extend(fill.iter().cycle().take(length.saturating_sub(data.len())));
    data.truncate(length);
    let beside = |by: usize| u16::try_from(length + by).unwrap_or(0);
    let vnet = match random.below(4) {
        0 => VnetHdr {
            flags: random.one_of(&[0, 1, 2, 3, 4]),
            hdr_len: random.one_of(&[0, 5, 13, 14, 50, beside(0), beside(1), beside(2), beside(3)]),
            csum_start: random.one_of(&[0, 14, 19, 20, 34, 38, 54, 80]),
            csum_offset: random.one_of(&[0, 6, 16, 60]),
            num_buffers: random.one_of(&[0, 3]),
            ..VnetHdr::default()
        },
        _ => VnetHdr::default(),
    };
    Frame { vnet, data: data.into() }
}

/// TCP, with a header that may be wrong.
fn segment(random: &mut Random) -> Frame {
    let payload =
        random.one_of(&[0, 1, 99, 100, 101, 1001, 3977, 3978, 4026, 5001, 20_000, 60_000]);
    let flags = random.one_of(&[0x10, 0x18, 0x99, 0x02]);
    let six = random.below(2) == 0;
    let (mut data, mut gso_type, mut start) =
        if six { (tcp_v6(flags, payload), 4, 54) } else { (tcp_v4(flags, payload), 1, 34) };
    if random.below(4) == 0 {
        data.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
        start += 4;
    }
    let number = random.next().to_be_bytes();
    data[start + 4..start + 8].copy_from_slice(&number[..4]);
    match random.below(12) {
        0 => gso_type = random.one_of(&[0, 0x80, 1, 2, 4, 5, 9]),
        1 => gso_type |= 0x80,
        _ => {}
    }
    let start = u16::try_from(start).unwrap();
    let vnet = VnetHdr {
        flags: random.one_of(&[1, 1, 1, 0]),
        gso_type,
        hdr_len: random.one_of(&[0, start, start + 18, start + 20, start + 40, 4000]),
        gso_size: random.one_of(&[100, 1000, 1000, 1460, 0, 0xffff]),
        csum_start: if random.below(16) == 0 { start - 2 } else { start },
        csum_offset: random.one_of(&[16, 16, 16, 16, 16, 16, 6]),
        num_buffers: 0,
    };
    Frame { vnet, data: data.into() }
}

/// What came of it: for a frame what the sender was told, the same for all or in turn.
#[derive(Debug, PartialEq)]
enum Outcome {
    Sent(Vec<(Result<(), DropReason>, usize)>),
    Done(Result<(), Option<ErrorKind>>),
}

fn carry_out(carrier: &mut dyn Carrier, action: &Action) -> Outcome {
    let repeated = |times: usize, send: &mut dyn FnMut() -> Result<(), DropReason>| {
        let mut told: Vec<(Result<(), DropReason>, usize)> = Vec::new();
        for _ in 0..times {
            let result = send();
            match told.last_mut() {
                Some((last, count)) if *last == result => *count += 1,
                _ => told.push((result, 1)),
            }
        }
        Outcome::Sent(told)
    };
    let done =
        |result: std::io::Result<()>| Outcome::Done(result.map_err(|error| Some(error.kind())));
    match action {
        Action::Guest(netdev, frame, times) => {
            repeated(*times, &mut || carrier.send_from_guest(netdev, frame))
        }
        Action::Host(port, frame, times) => {
            repeated(*times, &mut || carrier.send_from_host(port, frame))
        }
        Action::Inject(netdev, frame, times) => {
            repeated(*times, &mut || carrier.inject(netdev, frame))
        }
        Action::Capture(netdev, on) => done(carrier.capture(netdev, *on)),
        Action::Set(change) => done(carrier.link_set(change)),
        // The errors of deleting what is gone differ in nothing that anybody looks at.
        Action::Delete(port) => Outcome::Done(carrier.link_del(port).map_err(|_| None)),
    }
}

/// What has arrived, by source and in each one's order; what is said has none. None when the model
/// does not know.
fn look(carrier: &mut dyn Carrier) -> Option<BTreeMap<String, Vec<String>>> {
    let mut arrived = Vec::new();
    match carrier.drain(&mut arrived) {
        Err(error) if error.kind() == ErrorKind::Unsupported => return None,
        result => result.unwrap(),
    }
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text =
        |frame: &Frame| format!("{} B [{}] {:02x?}", frame.data.len(), frame.vnet, frame.data);
    for carried in arrived {
        let (source, what) = match carried {
            Carried::ToGuest { netdev, frame } => {
                (format!("to the guest of {netdev}"), text(&frame))
            }
            Carried::ToHost { port, frame } => (format!("at {port}"), text(&frame)),
            Carried::Captured { netdev, direction, frame } => {
                (format!("captured on {netdev}"), format!("{direction:?} {}", text(&frame)))
            }
            Carried::Said(event) => {
                let what = match event.kind {
                    EventKind::Notice(_) => "notice".to_owned(),
                    other => format!("{other:?}"),
                };
                ("said".to_owned(), format!("{}: {what}", event.place))
            }
        };
        seen.entry(source).or_default().push(what);
    }
    seen.entry("said".to_owned()).or_default().sort();
    Some(seen)
}
