//! The host's own stack.

use std::time::{Duration, Instant};

use tapwright::{
    backend::{Deadline, builtin::Carrier, netns::NetnsCarrier},
    base::Direction,
    scenario::{LinkSet, Nic, Route},
    sys::Isolated,
};

use crate::{
    KernelTry,
    frame::{GUEST, HOST, arp_reply, arp_request, broadcast, echo_request},
    lab::Lab,
    world::{World, empty, link, tap},
};

pub(crate) const TRIALS: &[(&str, KernelTry)] = &[
    ("silent_without_an_address", silent_without_an_address),
    ("answers_at_once", answers_at_once),
    ("an_address_later", an_address_later),
    ("ipv6_is_quiet", ipv6_is_quiet),
    ("routes", routes),
    ("quiet_while_it_waits", quiet_while_it_waits),
    ("waits_for_what_has_come", waits_for_what_has_come),
    ("one_thread_many_cases", one_thread_many_cases),
];

const US: [u8; 4] = [10, 0, 0, 1];
const THEM: [u8; 4] = [10, 0, 0, 2];

fn silent_without_an_address(isolated: &Isolated) {
    let mut world = World::with_tap(&Lab::Netns(isolated.clone()), Nic::Plain, &[]);
    for frame in [arp_request(THEM, US), echo_request(THEM, US)] {
        assert_eq!(world.guest_sends("hn0", &frame), Ok(()));
        let seen = world.look();
        assert_eq!(seen.at("hn0.host").len(), 1);
        assert!(seen.to_guest("hn0").is_empty());
    }
    world.finish();
}

/// ARP and ICMP answers are there when the guest's write returns; packet sockets see them as
/// outgoing.
fn answers_at_once(isolated: &Isolated) {
    let mut world = World::with_tap(&Lab::Netns(isolated.clone()), Nic::Plain, &["10.0.0.1/24"]);
    assert_eq!(world.guest_sends("hn0", &arp_request(THEM, US)), Ok(()));
    let seen = world.look();
    assert_eq!(seen.to_guest("hn0")[0].data, arp_reply(US, THEM));
    assert_eq!(seen.captured(Direction::Tx)[0].data, arp_reply(US, THEM));
    for _ in 0..100 {
        let request = echo_request(THEM, US);
        assert_eq!(world.guest_sends("hn0", &request), Ok(()));
        let seen = world.look();
        let answer = &seen.to_guest("hn0")[0].data;
        assert_eq!(seen.to_guest("hn0").len(), 1);
        assert_eq!((&answer[..6], &answer[6..12], answer[34]), (&GUEST[..], &HOST[..], 0));
        assert_eq!(answer[38..], request[38..]);
    }
    world.finish();
}

fn an_address_later(isolated: &Isolated) {
    let mut world = World::with_tap(&Lab::Netns(isolated.clone()), Nic::Plain, &[]);
    for address in ["10.0.0.1/24", "fd00::1/64"] {
        let change = LinkSet {
            port: "hn0.host".into(),
            up: None,
            mtu: None,
            address: Some(address.to_owned()),
            bridge: None,
        };
        world.carrier().link_set(&change).unwrap();
        assert!(world.look().is_empty(), "{address} is not announced");
    }
    assert_eq!(world.guest_sends("hn0", &arp_request(THEM, US)), Ok(()));
    assert_eq!(world.look().to_guest("hn0").len(), 1);
    world.finish();
}

/// An IPv6 address counts at once and nothing announces it: no duplicate detection, no router
/// solicitation, no report about a multicast group.
fn ipv6_is_quiet(isolated: &Isolated) {
    let mut world = World::with_tap(&Lab::Netns(isolated.clone()), Nic::Plain, &["fd00::1/64"]);
    let target = "fd00::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    let source = "fd00::2".parse::<std::net::Ipv6Addr>().unwrap().octets();
    assert_eq!(world.guest_sends("hn0", &neighbour_solicitation(source, target)), Ok(()));
    let seen = world.look();
    assert_eq!(seen.to_guest("hn0").len(), 1);
    assert_eq!(seen.to_guest("hn0")[0].data[54], 136, "a neighbour advertisement (RFC 4861)");
    quiet(&mut world);
    world.finish();
}

fn neighbour_solicitation(source: [u8; 16], target: [u8; 16]) -> Vec<u8> {
    let option = [&[1, 1][..], &GUEST].concat();
    let mut icmp = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target, &option].concat();
    let length = u32::try_from(icmp.len()).unwrap().to_be_bytes();
    let pseudo = [&source[..], &target, &length, &[0, 0, 0, 58], &icmp].concat();
    let words = pseudo.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    icmp[2..4].copy_from_slice(&u16::try_from(!sum & 0xffff).unwrap().to_be_bytes());
    let ip = [&[0x60, 0, 0, 0][..], &length[2..], &[58, 255], &source, &target].concat();
    [&HOST[..], &GUEST, &[0x86, 0xdd], &ip, &icmp].concat()
}

/// A route is followed: the answer to a stranger goes to the next hop, which is asked for once.
fn routes(isolated: &Isolated) {
    let mut case = empty();
    case.netdevs.push(tap(0, Nic::Plain, &["10.0.0.1/24"]));
    case.routes.push(Route { netns: None, to: "default".to_owned(), via: "10.0.0.2".to_owned() });
    let mut world = World::open(&Lab::Netns(isolated.clone()), &case);
    assert_eq!(world.guest_sends("hn0", &echo_request([192, 0, 2, 1], US)), Ok(()));
    let seen = world.look();
    let asked = &seen.to_guest("hn0")[0].data;
    assert_eq!((asked[12..14].to_vec(), &asked[38..42]), (vec![8, 6], &THEM[..]));
    world.finish();
}

/// Bridges, links and IPv6 addresses say nothing by themselves.
fn quiet_while_it_waits(isolated: &Isolated) {
    let mut case = empty();
    case.namespaces.push("client".to_owned());
    case.netdevs.push(tap(0, Nic::Plain, &[]));
    case.links.push(link(Some("client"), &["10.0.0.3/24", "fd00::3/64"]));
    let mut bridge = crate::world::bridge(&["hn0"], &["l0.a"]);
    bridge.addresses = vec!["10.0.0.1/24".to_owned(), "fd00::1/64".to_owned()];
    case.bridges.push(bridge);
    let mut world = World::open(&Lab::Netns(isolated.clone()), &case);
    world.capture(true);
    quiet(&mut world);
    assert_eq!(world.guest_sends("hn0", &arp_request(THEM, [10, 0, 0, 3])), Ok(()));
    assert_eq!(world.look().to_guest("hn0").len(), 1, "the client answers through the bridge");
    world.finish();
}

/// Waits for longer than the kernel's own first reports and probes take, and sees nothing.
fn quiet(world: &mut World) {
    let until = Instant::now() + Duration::from_millis(1500);
    world.carrier().wait(&Deadline::at(until)).unwrap();
    let seen = world.look();
    assert!(seen.is_empty(), "{seen:?}");
}

fn waits_for_what_has_come(isolated: &Isolated) {
    let mut world = World::with_tap(&Lab::Netns(isolated.clone()), Nic::Plain, &[]);
    assert_eq!(world.guest_sends("hn0", &broadcast(60)), Ok(()));
    // An hour that nobody waits for.
    world.carrier().wait(&Deadline::at(Instant::now() + Duration::from_secs(3600))).unwrap();
    assert_eq!(world.look().at("hn0.host").len(), 1);
    world.finish();
}

/// A thread goes from case to case; none sees another's interfaces.
fn one_thread_many_cases(isolated: &Isolated) {
    let mut case = empty();
    case.netdevs.extend((0..2).map(|number| tap(number, Nic::Plain, &[])));
    for _ in 0..20 {
        let mut carrier = NetnsCarrier::open(isolated, &case).unwrap();
        assert_eq!(carrier.finish(), Vec::<String>::new());
    }
}
