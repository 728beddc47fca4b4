//! The machine of a case and what surrounds it: the interface tap0, a UDP socket of its host, and
//! the far ends of the chardev and of P.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, UdpSocket},
    sync::Arc,
};

use serde_json::json;
use tapwright::{
    backend::{
        BackendError,
        builtin::{Carried, Carrier},
        netns::{NetnsCarrier, Network},
    },
    base::{Frame, MacAddr, NetdevId, PortId, Profile, VnetHdr},
    diag::Source,
    machine::{Config, Input, NetdevKind, Output, framing},
    record::{EventKind, Outcome},
    scenario::{Case, Disk, parse},
    sys::{InterfaceName, Isolated},
};

use super::{Current, Peer, Step, compare::Layout};
use crate::conform::{
    error::not_built,
    hex,
    observation::plain_stderr,
    record::{RecordError, TapRecord},
    setup::{Bench, chardev, hubport, monitor, netdev, socket},
};

/// The chardev that every machine has, with a client.
pub(in crate::conform) const CHARDEV: &str = "c0";

pub(in crate::conform) const HOST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub(in crate::conform) const GUEST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const GUEST_MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 2]);
const HOST_PORT: u16 = 7000;
pub(in crate::conform) const GUEST_PORT: u16 = 7001;

/// What the host's socket sends.
pub(in crate::conform) const DATAGRAM: &[u8] = b"udp-from-host";

/// What the packet socket sends: from tap0 to the guest, of a type that nobody knows.
const RAW: &str = "525400000002525400aa000188b5";
const RAW_PAYLOAD: &[u8] = b"rawframe";
const RAW_REPEATS: usize = 8;

/// A case's machine on the netdev t0.
pub(super) struct World {
    bench: Bench,
    carrier: NetnsCarrier,
    socket: UdpSocket,
    layout: Layout,
    /// What QEMU would have printed since its start.
    printed: Vec<String>,
}

/// What a step brought to light.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) chardevs: BTreeMap<String, Vec<u8>>,
    pub(super) peer: Vec<u8>,
    pub(super) tap_rx: Vec<Vec<u8>>,
    pub(super) datagrams: Vec<Vec<u8>>,
    /// What no record expects: a crash, what the kernel says of tap0.
    pub(super) troubles: Vec<String>,
}

impl World {
    /// The machine with its filters, on a fresh namespace.
    pub(super) fn open(
        isolated: &Isolated,
        profile: Profile,
        peer: Peer,
        record: &TapRecord,
    ) -> Result<Current, RecordError> {
        let vnet_hdr_len = peer.vnet_hdr_len();
        let carrier = NetnsCarrier::open(isolated, &case(vnet_hdr_len))?;
        let socket = host(isolated)?;
        let mut world = Self {
            bench: Bench::new(config(profile, peer))?,
            carrier,
            socket,
            layout: Layout { vnet_word: has_vnet_word(record), vnet_hdr_len },
            printed: Vec::new(),
        };
        let stop = (record.vm == "stopped").then(|| ("stop", json!({})));
        let filters = record.filters.iter().cloned();
        let filters = filters.map(|filter| ("object-add", filter));
        for (command, args) in stop.into_iter().chain(filters) {
            let outcome = world.bench.qmp(command, &args);
            if let Some(what) = not_built(&outcome) {
                return Ok(Current::NotBuilt(what));
            }
            if !matches!(outcome, Outcome::Done(_)) {
                let text = format!("before, {command}: {outcome}");
                return Ok(Current::Refused(text));
            }
        }
        let Seen { troubles, .. } = world.settle()?;
        Ok(match troubles.into_iter().next() {
            Some(trouble) => Current::Refused(format!("before: {trouble}")),
            None => Current::Built(Box::new(world)),
        })
    }

    /// How frames stand on the chardev.
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Does a step and carries what it causes as far as it goes.
    pub(super) fn step(&mut self, step: &Step) -> Result<Seen, RecordError> {
        match step {
            Step::Datagram => {
                self.socket
                    .send_to(DATAGRAM, (GUEST, GUEST_PORT))
                    .map_err(|source| failed("sending a datagram", source))?;
            }
            Step::PacketSocket => {
                self.carrier
                    .send_from_host(&PortId::from("t0.host"), &Frame::plain(raw_frame()?))
                    .map_err(|reason| {
                        failed("a packet socket", io::Error::other(reason.as_str()))
                    })?;
            }
            Step::Chardev(frame) => {
                // The frame has no header of its own.
                let vnet_word = self.layout.vnet_word.then_some(0);
                self.bench.input(Input::ChardevBytes {
                    chardev: CHARDEV.into(),
                    data: framing::encode(frame, vnet_word),
                    tag: None,
                });
            }
            Step::HubPeer(frame) => self.bench.input(Input::StreamBytes {
                netdev: "n9".into(),
                data: framing::encode(frame, None),
                tag: None,
            }),
            Step::Printed => {}
        }
        self.settle()
    }

    /// What QEMU printed, but for the warnings of its start, which no machine gives, and the
    /// properties that `info network` shows of each filter.
    pub(super) fn compare_printed(&mut self, record: &TapRecord) -> Vec<String> {
        let mut differences = Vec::new();
        let text = plain_stderr(&record.text);
        let expected: Vec<&str> = text.lines().filter(|line| !line.contains("warning: ")).collect();
        if expected != self.printed {
            let printed = &self.printed;
            differences.push(format!("standard error: QEMU {expected:?}, machine {printed:?}"));
        }
        let filters = record.info.lines().filter_map(|line| {
            let (id, properties) = line.strip_prefix("  - ")?.split_once(": ")?;
            Some((id, properties))
        });
        for (id, properties) in filters {
            for (property, expected) in properties.split(',').filter_map(|one| one.split_once('='))
            {
                let path = format!("/objects/{id}");
                let args = json!({"path": path, "property": property});
                let got = match self.bench.qmp("qom-get", &args) {
                    Outcome::Done(value) => match value.as_str() {
                        Some(text) => text.to_owned(),
                        None => value.to_string(),
                    },
                    other => other.to_string(),
                };
                if got != expected {
                    differences.push(format!("{id}.{property}: QEMU {expected}, machine {got}"));
                }
            }
        }
        differences
    }

    /// Takes everything down.
    pub(super) fn finish(mut self) -> Result<(), RecordError> {
        let errors = self.carrier.finish();
        if errors.is_empty() { Ok(()) } else { Err(RecordError::Residue(errors.join(", "))) }
    }

    /// Carries everything on until one pass over all sources brings nothing.
    fn settle(&mut self) -> Result<Seen, RecordError> {
        let mut seen = Seen::default();
        loop {
            let outputs = std::mem::take(&mut self.bench.out);
            let mut moved = !outputs.is_empty();
            for output in outputs {
                self.carry_out(output, &mut seen);
            }
            let mut carried = Vec::new();
            self.carrier.drain(&mut carried).map_err(|source| failed("reading tap0", source))?;
            moved |= !carried.is_empty();
            for one in carried {
                self.take(one, &mut seen);
            }
            moved |= self.read_datagrams(&mut seen)?;
            if !moved {
                return Ok(seen);
            }
        }
    }

    fn carry_out(&mut self, output: Output, seen: &mut Seen) {
        match output {
            Output::NetdevFrame { netdev, data, .. } => match netdev.as_str() {
                "t0" => self.write_to_tap(&netdev, &data),
                "n9" => seen.peer.extend(framing::encode(&data, None)),
                // The guest's NIC, where nobody looks.
                _ => {}
            },
            Output::ChardevBytes { chardev, data, .. } => {
                let out = seen.chardevs.entry(chardev.as_str().to_owned());
                out.or_default().extend(data);
            }
            Output::Event(event) => match event.kind {
                EventKind::Log(line) => self.printed.push(line),
                EventKind::Crash(assertion) => seen.troubles.push(format!("dies: {assertion}")),
                _ => {}
            },
            _ => {}
        }
    }

    /// QEMU does not look at what becomes of it either: a frame that the kernel refuses is missing
    /// where the record says that it came out.
    fn write_to_tap(&mut self, netdev: &NetdevId, data: &[u8]) {
        let (header, data) = data.split_at(data.len().min(self.layout.vnet_hdr_len));
        let frame = Frame { vnet: VnetHdr::from_bytes(header), data: data.to_vec().into() };
        let _ = self.carrier.send_from_guest(netdev, &frame);
    }

    fn take(&mut self, carried: Carried, seen: &mut Seen) {
        match carried {
            Carried::ToGuest { netdev, frame } => {
                let mut data = frame.vnet.to_bytes(self.layout.vnet_hdr_len);
                data.extend(&frame.data);
                self.bench.input(Input::NetdevFrame { netdev, data: data.into(), tag: None });
            }
            Carried::ToHost { frame, .. } => seen.tap_rx.push(frame.data.to_vec()),
            Carried::Captured { .. } => {}
            Carried::Said(event) => {
                seen.troubles.push(format!("{}: {:?}", event.place, event.kind));
            }
        }
    }

    /// Whether there were any.
    fn read_datagrams(&mut self, seen: &mut Seen) -> Result<bool, RecordError> {
        let mut datagram = [0; 2048];
        let before = seen.datagrams.len();
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(length) => seen.datagrams.push(datagram[..length].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(seen.datagrams.len() > before);
                }
                Err(error) => return Err(failed("reading the UDP socket", error)),
            }
        }
    }
}

/// The netdev t0 with its peer, and the chardev.
fn config(profile: Profile, peer: Peer) -> Config {
    let tap = NetdevKind::Tap { queues: 1, vhost: false, vnet_hdr_len: peer.vnet_hdr_len() };
    let mut netdevs = vec![netdev("t0", tap, None)];
    match peer {
        Peer::Nobody => {}
        Peer::Hub => netdevs.extend([
            hubport("h0", 0, Some("t0")),
            netdev("n9", NetdevKind::Socket, None),
            hubport("h9", 0, Some("n9")),
        ]),
        Peer::Nic(vnet_hdr_len) => {
            netdevs.push(netdev("nic0", NetdevKind::Nic { vnet_hdr_len }, Some("t0")));
        }
    }
    Config {
        profile,
        netdevs,
        chardevs: vec![chardev(CHARDEV, socket(true, false, false), true), monitor()],
        iothreads: Vec::new(),
        ..Config::default()
    }
}

/// The interfaces, in the language's own words.
fn case(vnet_hdr_len: usize) -> Case {
    let nic = match vnet_hdr_len {
        0 => "plain".to_owned(),
        length => format!("virtio, vnet_hdr_len: {length}"),
    };
    let text = format!(
        "description: the interface of a measured record\nnetdevs:\n  t0: {{ifname: tap0, host_mac: \
         '52:54:00:aa:00:01', address: [{HOST}/24], nic: {nic}}}\n"
    );
    let source = Source { path: "record.yaml".into(), text };
    let scenario = parse(Arc::new(source), "record", &Disk).expect("the text is a scenario");
    let mut cases = scenario.cases;
    Arc::unwrap_or_clone(cases.pop().expect("a scenario has a case"))
}

/// The host's UDP socket, in the namespace that this thread was moved to, and who is behind tap0.
pub(in crate::conform) fn host(isolated: &Isolated) -> Result<UdpSocket, RecordError> {
    let name: InterfaceName = "tap0".parse().expect("a name of four letters");
    let network = Network::open(isolated).map_err(BackendError::from)?;
    let index = network.index(&name).map_err(BackendError::from)?;
    network.add_neighbour(index, GUEST.into(), GUEST_MAC).map_err(BackendError::from)?;
    let socket = UdpSocket::bind((HOST, HOST_PORT))
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    socket.map_err(|source| failed("a UDP socket", source))
}

/// Whether the chardev's filters give and take the length of a virtio-net header.
pub(in crate::conform) fn has_vnet_word(record: &TapRecord) -> bool {
    record.filters.iter().any(|filter| {
        let holds = |key| filter.get(key).and_then(|value| value.as_str()) == Some(CHARDEV);
        (holds("indev") || holds("outdev")) && filter.get("vnet_hdr_support") == Some(&json!(true))
    })
}

/// What the packet socket sends.
pub(in crate::conform) fn raw_frame() -> Result<Vec<u8>, RecordError> {
    let mut frame = hex::decode(RAW)?;
    frame.extend(RAW_PAYLOAD.repeat(RAW_REPEATS));
    Ok(frame)
}

fn failed(what: &str, source: io::Error) -> RecordError {
    let what = what.to_owned();
    BackendError::System { what, source }.into()
}
