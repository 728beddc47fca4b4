//! Steps on a real TAP, which QEMU opens itself.

use std::{io, net::UdpSocket};

use serde_json::{Map, Value, json};
use tapwright::{
    backend::{
        BackendError,
        netns::{Cidr, Network, Shape},
    },
    base::MacAddr,
    machine::framing,
    sys::{InterfaceIndex, InterfaceName, PacketOptions, PacketSocket},
};

use super::{
    AskError, Lab, Place, Question,
    command::TAP,
    process::{Answer, Asked, Line},
    system,
};
use crate::conform::{
    hex,
    record::{RecordError, TapRecord},
    tap::{
        Peer, Step,
        world::{CHARDEV, DATAGRAM, GUEST, GUEST_PORT, HOST, has_vnet_word, host, raw_frame},
    },
};

/// tap0's own address.
const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0xaa, 0, 0x01]);
const MTU: u32 = 1500;
/// As the kernel makes a TAP (Linux 6.18 `drivers/net/tun.c`, `tun_net_init`).
const QUEUE: u32 = 1000;

/// Everything that a step may measure.
const MEASURED: [&str; 6] = ["chardevs", "peer", "tap_rx", "udp_socket", "text", "info"];

/// A QEMU on tap0, and the host's side of that.
struct World<'a> {
    qemu: Asked<'a>,
    /// Sees what comes from the guest's side.
    listens: PacketSocket,
    /// Sends as the host.
    sends: PacketSocket,
    udp: UdpSocket,
    vnet_word: Option<u32>,
    /// What QEMU has printed since its start.
    printed: Vec<String>,
}

pub(super) fn ask(
    lab: &Lab,
    place: &Place,
    questions: &[Question],
    first: &TapRecord,
) -> Result<Vec<Map<String, Value>>, AskError> {
    let peer = Peer::parse(&first.nic)?;
    let mut world = World::open(lab, place, peer, first)?;
    questions
        .iter()
        .map(|question| {
            let super::Record::Tap(record) = &question.record else {
                return Err(RecordError::Step(String::new()).into());
            };
            let mut line = question.without(&MEASURED, &lab.version.text);
            world.step(&Step::parse(record, peer)?, &mut line)?;
            Ok(line)
        })
        .collect()
}

impl<'a> World<'a> {
    fn open(lab: &Lab, place: &'a Place, peer: Peer, record: &TapRecord) -> Result<Self, AskError> {
        let mut qemu = start(lab, place, peer, record)?;
        if let Some(death) = qemu.death() {
            return Err(AskError::NotStarted(death));
        }
        let (listens, sends) = interface(lab)?;
        let udp = host(&lab.isolated)?;
        let path = place.folder.join(CHARDEV);
        qemu.ends.connect(CHARDEV, &path).map_err(system("connecting to a chardev"))?;
        super::datapath::accepted(&mut qemu, CHARDEV)?;
        for filter in &record.filters {
            qemu.must("object-add", filter)?;
        }
        let mut world = Self {
            qemu,
            listens,
            sends,
            udp,
            vnet_word: has_vnet_word(record).then_some(0),
            printed: Vec::new(),
        };
        world.observe()?;
        Ok(world)
    }

    fn step(&mut self, step: &Step, line: &mut Map<String, Value>) -> Result<(), AskError> {
        let (measured, end) = match step {
            Step::Datagram => {
                self.udp
                    .send_to(DATAGRAM, (GUEST, GUEST_PORT))
                    .map_err(system("sending a datagram"))?;
                (&["chardevs", "peer"][..], None)
            }
            Step::PacketSocket => {
                self.sends
                    .send(&[0; PacketSocket::VNET_HDR_LEN], &raw_frame()?)
                    .map_err(|error| system("a packet socket")(io::Error::other(error)))?;
                (&["chardevs", "peer"][..], None)
            }
            Step::Chardev(frame) => {
                let bytes = framing::encode(frame, self.vnet_word);
                (&["tap_rx", "udp_socket", "peer"][..], Some((CHARDEV, bytes)))
            }
            Step::HubPeer(frame) => {
                let bytes = framing::encode(frame, None);
                (&["tap_rx", "udp_socket", "chardevs"][..], Some(("P", bytes)))
            }
            Step::Printed => return self.print(line),
        };
        if let Some((end, bytes)) = end {
            self.qemu.ends.write(end, &bytes);
        }
        let mut seen = self.observe()?;
        for key in measured {
            let value = seen.shift_remove(*key).unwrap_or_default();
            line.insert((*key).to_owned(), value);
        }
        Ok(())
    }

    /// What has come out everywhere.
    fn observe(&mut self) -> Result<Map<String, Value>, AskError> {
        self.qemu.settle()?;
        if let Some(death) = self.qemu.death() {
            return Err(AskError::NotStarted(death));
        }
        self.printed.extend(self.qemu.take_said());
        let (mut got, _) = self.qemu.ends.take();
        let mut hex_of = |end: &str| hex::encode(&got.remove(end).unwrap_or_default());
        let (chardev, peer) = (hex_of(CHARDEV), hex_of("P"));
        let mut frames: Vec<Value> = Vec::new();
        while let Some(received) = self
            .listens
            .recv()
            .map_err(|error| system("a packet socket")(io::Error::other(error)))?
        {
            frames.push(hex::encode(&received.data).into());
        }
        let mut datagram = [0; 2048];
        let datagram = match self.udp.recv(&mut datagram) {
            Ok(length) => String::from_utf8_lossy(&datagram[..length]).into(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Value::Null,
            Err(error) => return Err(system("reading the UDP socket")(error)),
        };
        let mut seen = Map::new();
        seen.insert("chardevs".to_owned(), json!({CHARDEV: chardev}));
        seen.insert("peer".to_owned(), peer.into());
        seen.insert("tap_rx".to_owned(), frames.into());
        seen.insert("udp_socket".to_owned(), datagram);
        Ok(seen)
    }

    /// What QEMU printed, and what it says of its filters.
    fn print(&mut self, line: &mut Map<String, Value>) -> Result<(), AskError> {
        self.observe()?;
        let args = json!({"command-line": "info network"});
        let info = match self.qemu.command("human-monitor-command", &args)? {
            Answer::Done(Value::String(info)) => info,
            Answer::Done(other) => other.to_string(),
            Answer::Refused(error) => return Err(AskError::Qmp(error.to_string())),
            Answer::Died => {
                return Err(AskError::NotStarted(self.qemu.death().unwrap_or_default()));
            }
            Answer::Frozen => return Err(AskError::Silent),
        };
        line.insert("text".to_owned(), self.printed.join("\n").into());
        line.insert("info".to_owned(), info.trim_end().into());
        Ok(())
    }
}

fn start<'a>(
    lab: &Lab,
    place: &'a Place,
    peer: Peer,
    record: &TapRecord,
) -> Result<Asked<'a>, AskError> {
    let runs = crate::conform::tap::runs(&record.vm)?;
    let machine = if record.vm == "none" { "none" } else { "pc" };
    let mut line = Line::new(place).machine(machine).busy(runs);
    if record.vm == "stopped" {
        line.word("-S");
    }
    let chardev = format!("socket,id={CHARDEV},path=@D/{CHARDEV},server=on,wait=off");
    line.push("-chardev", &chardev);
    line.push("-netdev", TAP);
    match peer {
        Peer::Nobody => {}
        Peer::Hub => {
            line.push("-netdev", "hubport,id=h0,hubid=0,netdev=t0");
            line.socket("n9", "P")?;
            line.push("-netdev", "hubport,id=h9,hubid=0,netdev=n9");
        }
        // Without its boot ROM: a guest must not send by itself.
        Peer::Nic(_) => line.push("-device", &format!("{},netdev=t0,romfile=", record.nic)),
    }
    line.start(lab)
}

/// tap0 as records have it, up; a packet socket for what comes from the guest, and one that sends.
fn interface(lab: &Lab) -> Result<(PacketSocket, PacketSocket), AskError> {
    let name: InterfaceName = "tap0".parse()?;
    let mut network = Network::open(&lab.isolated).map_err(BackendError::from)?;
    let index = network.index(&name).map_err(BackendError::from)?;
    let address = Cidr { address: HOST.into(), prefix: 24 };
    network
        .shape(index, Shape { mac: MAC, mtu: MTU, queue: QUEUE })
        .and_then(|()| network.add_address(index, address))
        .and_then(|()| network.set_up(index, true))
        .map_err(BackendError::from)?;
    let open = |ignore_outgoing| {
        let options = PacketOptions { ignore_outgoing, ..PacketOptions::default() };
        InterfaceIndex::of(&name)
            .and_then(|index| PacketSocket::open(&lab.isolated, index, options))
            .map_err(system("a packet socket"))
    };
    Ok((open(true)?, open(false)?))
}
