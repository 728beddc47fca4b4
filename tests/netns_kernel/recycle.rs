//! Which worlds are used again: one that is left as it was when it was fresh, and none in which
//! anything is different. What a case could leave is left here by hand.

use std::{cell::RefCell, fs, net::IpAddr, os::unix::fs::MetadataExt, sync::Arc};

use tapwright::{
    backend::{
        Action, Backend, Deadline, Netns, World,
        netns::{Cidr, Network},
    },
    base::{Frame, MacAddr, PortId},
    diag::Source,
    format as record_format,
    record::{DropReason, EventKind},
    runner::exec,
    scenario::{Case, Disk, LinkSet},
    sys::{
        InterfaceIndex, InterfaceName, Isolated, PacketOptions, PacketSocket, Tap, TapHeader,
        enter_fresh, packet_sockets,
    },
};

use crate::KernelTry;

pub(crate) const TRIALS: &[(&str, KernelTry)] = &[
    ("a_world_that_is_as_it_was", a_world_that_is_as_it_was),
    ("a_world_that_is_not_as_it_was", a_world_that_is_not_as_it_was),
    ("a_world_of_another_shape", a_world_of_another_shape),
    (
        "a_socket_that_rests_is_as_good_as_a_closed_one",
        a_socket_that_rests_is_as_good_as_a_closed_one,
    ),
    ("a_world_that_was_not_finished", a_world_that_was_not_finished),
    ("a_full_queue_is_a_fresh_one", a_full_queue_is_a_fresh_one),
    ("without_recycling_every_world_is_fresh", without_recycling_every_world_is_fresh),
];

const SCENARIO: &str = "
description: two TAPs and a redirector
netdevs: {hn0: {type: tap, ifname: t0}, hn1: {type: tap, ifname: t1}}
chardevs: {r0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,outdev=r0
steps:
  - send: hn0.guest
    frames: [{hex: 'ffffffffffff 020000000001 88b5 00'}]
  - send: hn0.host
    frames: [{hex: '525400123456 020000000001 88b5 00'}]
  - send: hn1.host
    frames: [{hex: '525400123456 020000000001 88b5 00'}]
";

fn case(text: &str) -> Arc<Case> {
    let source = Source { path: "recycle.yaml".into(), text: text.to_owned() };
    let scenario = tapwright::scenario::parse(Arc::new(source), "recycle", &Disk);
    Arc::clone(&scenario.expect("a scenario").cases[0])
}

/// A namespace. It is held, so that no later one has its number.
#[derive(Debug)]
struct Place(#[expect(dead_code, reason = "it is held")] fs::File, u64);

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

/// The namespace that the calling thread is in.
fn here() -> Place {
    let file = fs::File::open("/proc/thread-self/ns/net").unwrap();
    let number = file.metadata().unwrap().ino();
    Place(file, number)
}

/// Runs a case, and says in which namespace.
fn run(backend: &Netns, case: &Case) -> Place {
    let world = backend.open(case).unwrap();
    let namespace = here();
    let executed = exec(case, world, "netns", &Deadline::NEVER);
    assert!(executed.failures.is_empty(), "{:?}", executed.failures);
    assert!(!executed.in_doubt);
    namespace
}

/// Whether the next case gets a world in which, when all was over, something was left.
fn is_used_again_after(isolated: &Isolated, leave: impl FnOnce(&mut dyn World)) -> bool {
    let (backend, case) = (Netns::recycling(isolated.clone()), case(SCENARIO));
    // What the first one leaves is nothing new in the second.
    let first = run(&backend, &case);
    let mut world = backend.open(&case).unwrap();
    assert_eq!(here(), first, "a world that was left as it was is used again");
    leave(world.as_mut());
    assert!(world.finish().errors.is_empty());
    run(&backend, &case) == first
}

fn a_world_that_is_as_it_was(isolated: &Isolated) {
    let (backend, case) = (Netns::recycling(isolated.clone()), case(SCENARIO));
    let first = run(&backend, &case);
    for _ in 0..50 {
        assert_eq!(run(&backend, &case), first);
    }
    assert!(is_used_again_after(isolated, |_| {}));
}

fn a_world_that_is_not_as_it_was(isolated: &Isolated) {
    let network = || Network::open(isolated).unwrap();
    let name = || "t0".parse::<InterfaceName>().unwrap();
    let index = || InterfaceIndex::of(&name()).unwrap();
    let number = || index().get();
    let write = |path: &str, value: &str| fs::write(path, value).unwrap();
    let address: IpAddr = "10.9.0.1".parse().unwrap();
    let gives = || network().add_address(number(), Cidr { address, prefix: 24 }).unwrap();
    let leaves = |what: &str, leave: &dyn Fn(&mut dyn World)| {
        assert!(!is_used_again_after(isolated, |world| leave(world)), "{what}");
    };
    leaves("an MTU", &|_| network().set_mtu(number(), 1400).unwrap());
    leaves("an alias", &|_| network().set_alias(number(), "x").unwrap());
    leaves("an interface that is down", &|_| network().set_up(number(), false).unwrap());
    leaves("an address", &|_| gives());
    leaves("a route", &|_| {
        gives();
        let to = Cidr { address: "10.8.0.0".parse().unwrap(), prefix: 16 };
        network().add_route(Some(to), "10.9.0.2".parse().unwrap()).unwrap();
    });
    leaves("a neighbour", &|_| {
        let mac = MacAddr([2, 0, 0, 0, 0, 9]);
        network().add_neighbour(number(), address, mac).unwrap();
    });
    leaves("a bridge", &|_| network().add_bridge(&"br0".parse().unwrap()).unwrap());
    leaves("another TAP", &|_| {
        drop(Tap::create(isolated, &"t9".parse().unwrap(), TapHeader::None, true).unwrap());
    });
    leaves("an interface that is gone", &|_| network().delete(number()).unwrap());
    leaves("a setting of an interface", &|_| write("/proc/sys/net/ipv4/conf/t0/proxy_arp", "1"));
    leaves("a setting of IPv6", &|_| write("/proc/sys/net/ipv6/conf/t0/disable_ipv6", "0"));
    leaves("a setting of the namespace", &|_| {
        write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
    });
    let socket = || PacketSocket::open(isolated, index(), PacketOptions::default()).unwrap();
    let left = RefCell::new(Vec::new());
    leaves("a packet socket", &|_| left.borrow_mut().push(socket()));
    leaves("a frame in a TAP's queue", &|_| {
        let options = PacketOptions { vnet_hdr: true, ..PacketOptions::default() };
        let sender = PacketSocket::open(isolated, index(), options).unwrap();
        sender.send(&[0; PacketSocket::VNET_HDR_LEN], &[0xff; 60]).unwrap();
        sender.close();
    });
    leaves("an interface that was down", &|world| {
        for up in [false, true] {
            let (port, up) = (PortId::from("hn0.host"), Some(up));
            let set = LinkSet { port, up, mtu: None, address: None, bridge: None };
            world.act(Action::LinkSet(&set)).unwrap();
        }
    });
    leaves("a world that was shown", &|world| drop(world.expose().unwrap()));
}

fn a_world_of_another_shape(isolated: &Isolated) {
    let backend = Netns::recycling(isolated.clone());
    let first = run(&backend, &case(SCENARIO));
    for (old, new) in [
        ("ifname: t1", "ifname: t2"),
        ("ifname: t1", "ifname: t1, mtu: 1400"),
        ("ifname: t1", "ifname: t1, nic: virtio"),
        ("ifname: t1", "ifname: t1, address: 10.0.0.1/24"),
    ] {
        let other = SCENARIO.replace(old, new);
        assert_ne!(other, SCENARIO);
        assert_ne!(run(&backend, &case(&other)), first, "{new}");
    }
    assert_eq!(run(&backend, &case(SCENARIO)), first);
}

/// A machine's packet socket is kept with its world, and receives nothing between two captures.
fn a_socket_that_rests_is_as_good_as_a_closed_one(isolated: &Isolated) {
    const CAPTURES: &str = "
description: captures, and no longer
profile: rfc
netdevs: {hn0: {type: tap, ifname: t0, vhost: true}, hn1: {type: tap, ifname: t1, vhost: true}}
chardevs: {r0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=rx,in_netdev=hn0,outdev=r0
steps:
  - send: hn0.guest
    frames: [{hex: 'ffffffffffff 020000000001 88b5 00'}]
  - object-del: f0
  - send: hn0.guest
    frames: [{hex: 'ffffffffffff 020000000001 88b5 01'}]
  - object-add: filter-redirector,id=f1,netdev=hn0,queue=rx,in_netdev=hn0,outdev=r0
  - send: hn0.guest
    frames: [{hex: 'ffffffffffff 020000000001 88b5 02'}]
expect: {r0: 2}
";
    let captures = case(CAPTURES);
    // The same TAPs, of which nothing is captured.
    let plain = CAPTURES
        .replace("f0,netdev=hn0,queue=rx,in_netdev=hn0", "f0,netdev=hn0,queue=rx")
        .replace("f1,netdev=hn0,queue=rx,in_netdev=hn0", "f1,netdev=hn0,queue=rx");
    assert_ne!(plain, CAPTURES);
    let plain = case(&plain);
    let record = |backend: &Netns, case: &Arc<Case>| {
        let world = backend.open(case).unwrap();
        let sockets = packet_sockets(isolated).unwrap().len();
        let executed = exec(case, world, "netns", &Deadline::NEVER);
        assert!(!executed.in_doubt);
        let failures: Vec<String> =
            executed.failures.iter().map(|failure| failure.kind.to_string()).collect();
        (record_format::text(&executed.reading), failures, here(), sockets)
    };
    let fresh = Netns::new(isolated.clone());
    let expected = [&captures, &plain].map(|case| record(&fresh, case));
    assert_eq!(expected[0].1, [""; 0]);
    let backend = Netns::recycling(isolated.clone());
    let mut first = None;
    for round in 0..10 {
        for (case, expected) in [&captures, &plain].into_iter().zip(&expected) {
            let (text, failures, place, sockets) = record(&backend, case);
            assert_eq!((&text, &failures), (&expected.0, &expected.1), "round {round}");
            match &first {
                None => first = Some(place),
                // A recorder for each TAP, and the machine's, which is never closed.
                Some(first) => assert_eq!((&place, sockets), (first, 3), "round {round}"),
            }
        }
    }
}

/// A case that panics takes its world with it.
fn a_world_that_was_not_finished(isolated: &Isolated) {
    let (backend, case) = (Netns::recycling(isolated.clone()), case(SCENARIO));
    let world = backend.open(&case).unwrap();
    let first = here();
    drop(world);
    assert_ne!(run(&backend, &case), first);
}

/// How many frames find room depends on how many have been read: a used world is in doubt there.
fn a_full_queue_is_a_fresh_one(isolated: &Isolated) {
    let (backend, case) = (Netns::recycling(isolated.clone()), case(SCENARIO));
    let fill = |world: &mut Box<dyn World>| {
        let (port, frame) = (PortId::from("hn1.host"), Frame::plain(vec![0xff; 60]));
        for number in 1..=1001 {
            let tag = tapwright::base::Tag::sent(number);
            let send = Action::Send { port: &port, frame: &frame, tag, chunk: None };
            world.act(send).unwrap();
        }
        world.settle(&Deadline::NEVER).unwrap();
        let full = EventKind::Dropped(DropReason::TxQueueFull);
        world.observe().events.iter().filter(|event| event.kind == full).count()
    };
    let mut world = backend.open(&case).unwrap();
    let namespace = here();
    assert_eq!(fill(&mut world), 1, "a fresh queue has room for 1,000");
    assert!(!world.finish().in_doubt, "a fresh world is never in doubt");
    let mut world = backend.open(&case).unwrap();
    assert_eq!(here(), namespace);
    fill(&mut world);
    assert!(world.finish().in_doubt);
    let mut world = backend.open_fresh(&case).unwrap();
    assert_ne!(here(), namespace);
    assert_eq!(fill(&mut world), 1);
    assert!(!world.finish().in_doubt);
}

fn without_recycling_every_world_is_fresh(isolated: &Isolated) {
    let (backend, case) = (Netns::new(isolated.clone()), case(SCENARIO));
    let first = run(&backend, &case);
    enter_fresh(isolated).unwrap();
    assert_ne!(run(&backend, &case), first);
}
