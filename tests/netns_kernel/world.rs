//! A case built by hand, its carrier, and what came out of it.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use tapwright::{
    backend::{
        builtin::{Carried, Carrier},
        netns::{NetnsCarrier, Vhost},
    },
    base::{Direction, Frame, MacAddr, MachineId, NetdevId, PortId, Profile, VnetHdr},
    diag::{Source, Span},
    record::{DropReason, Event},
    scenario::{
        Bridge, BridgePort, Case, Expectations, Link, LinkEnd, LinkSet, Machine, Netdev,
        NetdevType, Nic, SnapshotRules,
    },
    sys::Isolated,
};

use crate::lab::Lab;

/// A case without anything.
pub(crate) fn empty() -> Case {
    let source = Source { path: PathBuf::from("kernel.yaml"), text: String::new() };
    Case {
        id: "kernel".into(),
        matrix: Vec::new(),
        source: Arc::new(source),
        description: String::new(),
        tags: BTreeSet::new(),
        profile: Profile::default(),
        requires: BTreeSet::new(),
        namespaces: Vec::new(),
        links: Vec::new(),
        bridges: Vec::new(),
        routes: Vec::new(),
        machines: vec![Machine::default()],
        netdevs: Vec::new(),
        chardevs: Vec::new(),
        joined: BTreeSet::new(),
        added_chardevs: Default::default(),
        objects: Vec::new(),
        ports: Vec::new(),
        stacks: Vec::new(),
        impair: Vec::new(),
        steps: Vec::new(),
        expect: Expectations::default(),
        snapshot: SnapshotRules::default(),
        known_bug: None,
    }
}

/// The TAP `hn{number}` on `tap{number}`.
pub(crate) fn tap(number: u8, nic: Nic, addresses: &[&str]) -> Netdev {
    Netdev {
        machine: MachineId::default(),
        id: NetdevId::from(format!("hn{number}")),
        span: Span::default(),
        kind: NetdevType::Tap {
            ifname: format!("tap{number}"),
            netns: None,
            mac: MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]).nth(number),
            host_mac: MacAddr([2, 0, 0, 0, 0, 1]).nth(number),
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
            mtu: 1500,
            vhost: false,
            vhost_modelled: false,
            nic,
            queues: 1,
        },
    }
}

/// The link `l0` with the ends `a` and `b`, the second in `netns`.
pub(crate) fn link(netns: Option<&str>, addresses: &[&str]) -> Link {
    let end = |name: &str, last, netns: Option<&str>, addresses: &[&str]| LinkEnd {
        port: PortId::from(format!("l0.{name}")),
        span: Span::default(),
        name: name.to_owned(),
        netns: netns.map(ToOwned::to_owned),
        mac: MacAddr([2, 0, 0, 0, 1, last]),
        addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        mtu: 1500,
    };
    Link { id: "l0".to_owned(), ends: [end("a", 1, None, &[]), end("b", 2, netns, addresses)] }
}

/// The bridge `br0` around TAPs and link ends.
pub(crate) fn bridge(netdevs: &[&str], links: &[&str]) -> Bridge {
    let netdevs = netdevs.iter().map(|id| BridgePort::Netdev(NetdevId::from(*id)));
    let links = links.iter().map(|port| BridgePort::Link(PortId::from(*port)));
    Bridge {
        id: "br0".to_owned(),
        netns: None,
        addresses: Vec::new(),
        ports: netdevs.chain(links).collect(),
    }
}

/// Everything that came out since the last look, each source in its order.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    carried: Vec<Carried>,
}

impl Seen {
    /// Frames for a TAP's guest.
    pub(crate) fn to_guest(&self, id: &str) -> Vec<&Frame> {
        self.pick(|carried| match carried {
            Carried::ToGuest { netdev, frame } if netdev.as_str() == id => Some(frame),
            _ => None,
        })
    }

    /// Frames at a host port or link end.
    pub(crate) fn at(&self, name: &str) -> Vec<&Frame> {
        self.pick(|carried| match carried {
            Carried::ToHost { port, frame } if port.as_str() == name => Some(frame),
            _ => None,
        })
    }

    /// Frames at the machine's socket.
    pub(crate) fn captured(&self, wanted: Direction) -> Vec<&Frame> {
        self.pick(|carried| match carried {
            Carried::Captured { direction, frame, .. } if *direction == wanted => Some(frame),
            _ => None,
        })
    }

    /// What was said.
    pub(crate) fn said(&self) -> Vec<&Event> {
        self.pick(|carried| match carried {
            Carried::Said(event) => Some(event),
            _ => None,
        })
    }

    fn pick<'a, T>(&'a self, pick: impl Fn(&'a Carried) -> Option<&'a T>) -> Vec<&'a T> {
        self.carried.iter().filter_map(pick).collect()
    }

    /// Whether nothing came out at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.carried.is_empty()
    }
}

/// A carrier under trial.
pub(crate) struct World {
    carrier: Box<dyn Carrier>,
}

impl World {
    pub(crate) fn open(lab: &Lab, case: &Case) -> Self {
        let mut world = Self { carrier: lab.open(case) };
        assert!(world.look().is_empty(), "a world begins quiet");
        world
    }

    /// One TAP, `hn0`, captured by the machine.
    pub(crate) fn with_tap(lab: &Lab, nic: Nic, addresses: &[&str]) -> Self {
        let mut case = empty();
        case.netdevs.push(tap(0, nic, addresses));
        let mut world = Self::open(lab, &case);
        world.capture(true);
        world
    }

    /// One TAP, `hn0`, that the kernel's vhost-net serves, captured by the machine.
    pub(crate) fn served(isolated: &Isolated, nic: Nic) -> Self {
        let mut case = empty();
        case.netdevs.push(tap(0, nic, &[]));
        let NetdevType::Tap { vhost, .. } = &mut case.netdevs[0].kind else { panic!("a TAP") };
        *vhost = true;
        let carrier = NetnsCarrier::open_with(isolated, &case, Vhost::Kernel).unwrap();
        let mut world = Self { carrier: Box::new(carrier) };
        assert!(world.look().is_empty(), "a world begins quiet");
        world.capture(true);
        world
    }

    pub(crate) fn capture(&mut self, on: bool) {
        self.carrier.capture(&"hn0".into(), on).unwrap();
    }

    pub(crate) fn look(&mut self) -> Seen {
        let mut seen = Seen::default();
        self.carrier.drain(&mut seen.carried).unwrap();
        seen
    }

    pub(crate) fn guest_sends(&mut self, netdev: &str, data: &[u8]) -> Result<(), DropReason> {
        self.carrier.send_from_guest(&netdev.into(), &Frame::plain(data.to_vec()))
    }

    pub(crate) fn guest_sends_with(
        &mut self,
        vnet: VnetHdr,
        data: &[u8],
    ) -> Result<(), DropReason> {
        let frame = Frame { vnet, data: data.to_vec().into() };
        self.carrier.send_from_guest(&"hn0".into(), &frame)
    }

    pub(crate) fn host_sends(&mut self, port: &str, data: &[u8]) -> Result<(), DropReason> {
        self.carrier.send_from_host(&port.into(), &Frame::plain(data.to_vec()))
    }

    pub(crate) fn host_sends_with(&mut self, vnet: VnetHdr, data: &[u8]) -> Result<(), DropReason> {
        let frame = Frame { vnet, data: data.to_vec().into() };
        self.carrier.send_from_host(&"hn0.host".into(), &frame)
    }

    pub(crate) fn injects(&mut self, data: &[u8]) -> Result<(), DropReason> {
        self.carrier.inject(&"hn0".into(), &Frame::plain(data.to_vec()))
    }

    pub(crate) fn injects_with(&mut self, vnet: VnetHdr, data: &[u8]) -> Result<(), DropReason> {
        let frame = Frame { vnet, data: data.to_vec().into() };
        self.carrier.inject(&"hn0".into(), &frame)
    }

    pub(crate) fn set_up(&mut self, port: &str, up: bool) {
        self.carrier.link_set(&change(port, Some(up), None)).unwrap();
    }

    pub(crate) fn set_mtu(&mut self, port: &str, mtu: u32) -> std::io::Result<()> {
        self.carrier.link_set(&change(port, None, Some(mtu)))
    }

    pub(crate) fn delete(&mut self, port: &str) {
        self.carrier.link_del(&port.into()).unwrap();
    }

    pub(crate) fn carrier(&mut self) -> &mut dyn Carrier {
        self.carrier.as_mut()
    }

    pub(crate) fn finish(mut self) {
        assert_eq!(self.carrier.finish(), Vec::<String>::new());
    }
}

fn change(port: &str, up: Option<bool>, mtu: Option<u32>) -> LinkSet {
    LinkSet { port: port.into(), up, mtu, address: None, bridge: None }
}
