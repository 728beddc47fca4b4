//! A server and a client over a wire that may lose frames, and what each service answers.

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::base::{MacAddr, VirtualTime};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn config(address: Ipv4Addr, services: Vec<(u16, ServiceKind)>) -> Config {
    Config {
        mac: MacAddr([0x02, 0, 0, 0, 0, address.octets()[3]]),
        address,
        prefix: 24,
        mss: 500,
        window: 4_000,
        isn_seed: u64::from(address.octets()[3]),
        ack_delay: Duration::from_millis(10),
        services: services.into_iter().map(|(port, kind)| Service { port, kind }).collect(),
    }
}

fn respond(close: bool) -> ServiceKind {
    ServiceKind::Respond(Respond {
        text: Bytes::from_static(b"yes"),
        after: Bytes::from_static(b"?"),
        close,
    })
}

/// A client and a server with a wire between them that can lose frames.
struct Wire {
    client: Stack,
    server: Stack,
    now: VirtualTime,
    /// Every frame, with whether the client sent it.
    frames: Vec<(bool, Bytes)>,
    /// The frames that are lost, by their number from 0.
    lost: Vec<usize>,
}

impl Wire {
    fn new(server: Config, client: Config) -> Self {
        Self {
            client: Stack::new(client),
            server: Stack::new(server),
            now: VirtualTime::ZERO,
            frames: Vec::new(),
            lost: Vec::new(),
        }
    }

    fn with(kind: ServiceKind) -> Self {
        Self::new(config(SERVER, vec![(7, kind)]), config(CLIENT, vec![]))
    }

    /// Until neither has anything to send at this time.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for client in [true, false] {
                let (from, to) = match client {
                    true => (&mut self.client, &mut self.server),
                    false => (&mut self.server, &mut self.client),
                };
                if !from.is_due(self.now) {
                    continue;
                }
                for frame in from.poll(self.now) {
                    moved = true;
                    if !self.lost.contains(&self.frames.len()) {
                        to.receive(frame.clone());
                    }
                    self.frames.push((client, frame));
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Lets time pass, from timer to timer, until the exchange is done or nothing is to come.
    fn run(&mut self) -> Option<Outcome> {
        for _ in 0..1_000 {
            self.settle();
            if let Some(outcome) = self.client.outcome() {
                return Some(outcome.clone());
            }
            let due = [self.client.deadline(), self.server.deadline()];
            self.now = due.into_iter().flatten().min()?;
        }
        None
    }

    fn call(&mut self, port: u16, send: &[u8], expect: Option<&[u8]>, close: bool) {
        self.client.call(Call {
            to: std::net::SocketAddrV4::new(SERVER, port),
            send: Bytes::copy_from_slice(send),
            expect: expect.map(Bytes::copy_from_slice),
            close,
        });
    }
}

fn done(sent: usize, received: usize, closed: bool) -> Outcome {
    Ok(Done { sent, received, closed })
}

#[rstest]
#[case::echo(ServiceKind::Echo, b"hello", b"hello")]
#[case::discard(ServiceKind::Discard, b"hello", b"")]
#[case::source(ServiceKind::Source(3), b"", b"\0\0\0")]
#[case::nothing_to_send(ServiceKind::Source(0), b"", b"")]
#[case::respond(respond(true), b"really?", b"yes")]
#[case::two_requests(respond(false), b"a?b?", b"yesyes")]
fn a_service_answers(#[case] kind: ServiceKind, #[case] send: &[u8], #[case] expect: &[u8]) {
    let mut wire = Wire::with(kind);
    wire.call(7, send, Some(expect), true);
    assert_eq!(wire.run(), Some(done(send.len(), expect.len(), true)));
}

/// Requests are found wherever segments cut them, and each byte ends one request at most.
#[test]
fn requests_end_anywhere() {
    let respond = Respond {
        text: Bytes::from_static(b"yes"),
        after: Bytes::from_static(b"??"),
        close: false,
    };
    let mut wire = Wire::with(ServiceKind::Respond(respond));
    let mut send = vec![b'a'; 499];
    send.extend(b"?????b?");
    wire.call(7, &send, Some(b"yesyes"), true);
    assert_eq!(wire.run(), Some(done(send.len(), 6, true)));
    wire.call(7, b"?a??", Some(b"yes"), true);
    assert_eq!(wire.run(), Some(done(4, 3, true)));
}

/// What was found right is not compared again: a second look at each byte would take hours.
#[test]
fn the_longest_transfer_ends() {
    let length = 1 << 24;
    let mut wire = Wire::with(ServiceKind::Source(length));
    wire.call(7, b"", Some(&pattern(0, length)), true);
    let outcome = (0..100).find_map(|_| wire.run());
    assert_eq!(outcome, Some(done(0, length, true)));
}

#[test]
fn a_connection_outlives_its_exchange_when_it_may() {
    let mut wire = Wire::with(ServiceKind::Echo);
    for text in [b"one", b"two"] {
        wire.call(7, text, Some(text), false);
        assert_eq!(wire.run(), Some(done(3, 3, false)));
        assert!(wire.client.hang_up(String::new()).is_some());
    }
    let is_syn = |frame: &Bytes| frame.len() > 47 && frame[23] == 6 && frame[47] == 0x02;
    let syns = wire.frames.iter().filter(|(_, frame)| is_syn(frame));
    assert_eq!(syns.count(), 1);
}

#[test]
fn a_service_serves_one_connection_after_the_other() {
    let mut wire = Wire::with(respond(true));
    for _ in 0..50 {
        wire.call(7, b"?", Some(b"yes"), true);
        assert_eq!(wire.run(), Some(done(1, 3, true)));
    }
}

#[rstest]
#[case::no_service(9, b"?", b"", "9 refused the connection")]
#[case::another_byte(7, b"?", b"yeS", "7 is 0x73, expected 0x53")]
#[case::too_much(7, b"?", b"ye", "7 is 0x73, expected the end")]
#[case::too_little(7, b"?", b"yes!", "7 ended the connection after 3 of 4 B")]
fn a_failure_says_why(
    #[case] port: u16,
    #[case] send: &[u8],
    #[case] expect: &[u8],
    #[case] text: &str,
) {
    let mut wire = Wire::with(respond(true));
    wire.call(port, send, Some(expect), true);
    let said = wire.run().unwrap().unwrap_err().to_string();
    assert!(said.ends_with(text), "{said}");
}

#[test]
fn a_reset_is_told_from_a_refusal() {
    let mut wire = Wire::with(ServiceKind::Discard);
    wire.call(7, b"hello", None, false);
    assert_eq!(wire.run(), Some(done(5, 0, false)));
    wire.server = Stack::new(config(SERVER, vec![]));
    wire.call(7, b"still there?", None, false);
    let refusal = wire.run().unwrap().unwrap_err();
    assert_eq!(refusal.class(), "ConnectionReset", "{refusal}");
}

#[test]
fn what_is_not_done_is_given_up_with_what_was_missing() {
    let mut wire = Wire::with(ServiceKind::Discard);
    wire.lost = (0..10).collect();
    wire.call(7, b"hello", None, true);
    wire.settle();
    let given_up = wire.client.hang_up("within 1s".to_owned());
    let said = given_up.unwrap().unwrap_err().to_string();
    assert_eq!(said, "10.0.0.2:7 did not answer within 1s");
}

#[test]
fn a_lost_frame_is_sent_again_when_its_timer_says_so() {
    let mut wire = Wire::with(ServiceKind::Echo);
    // ARP request and reply, SYN, SYN ACK, ACK, and then the data.
    wire.lost = vec![5];
    wire.call(7, b"hello", Some(b"hello"), true);
    wire.settle();
    assert_eq!(wire.client.outcome(), None);
    assert!(wire.client.deadline() > Some(wire.now));
    assert_eq!(wire.run(), Some(done(5, 5, true)));
    assert!(wire.now >= VirtualTime::ZERO + Duration::from_secs(1));
}

#[test]
fn a_stack_is_silent_until_it_is_spoken_to() {
    let mut stack = Stack::new(config(SERVER, vec![(7, ServiceKind::Echo)]));
    assert!(!stack.is_due(VirtualTime::ZERO));
    assert_eq!(stack.deadline(), None);
    assert!(stack.poll(VirtualTime::ZERO).is_empty());
}

/// The frames of an exchange with a seed.
fn frames(isn_seed: u64) -> Vec<(bool, Bytes)> {
    let mut server = config(SERVER, vec![(7, ServiceKind::Source(2_000))]);
    server.isn_seed = isn_seed;
    let mut wire = Wire::new(server, config(CLIENT, vec![]));
    wire.call(7, b"", Some(&pattern(0, 2_000)), true);
    assert_eq!(wire.run(), Some(done(0, 2_000, true)));
    wire.frames
}

#[test]
fn a_seed_decides_the_sequence_numbers_and_nothing_else() {
    assert_eq!(frames(1), frames(1));
    let masked = |isn_seed| {
        let frames = frames(isn_seed).into_iter();
        let shape = frames.map(|(client, frame)| (client, frame.len()));
        shape.collect::<Vec<_>>()
    };
    assert_ne!(frames(1), frames(2));
    assert_eq!(masked(1), masked(2));
}

#[test]
fn an_announcement_asks_all_for_the_own_address() {
    let announcement = Stack::new(config(SERVER, vec![])).announcement();
    let expected = "ffffffffffff0200000000020806000108000604000102000000000200000a000002";
    let hex: String = announcement.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(hex.starts_with("ffffffffffff") && hex.len() == 84, "{hex}");
    assert_eq!(&hex[..44], &expected[..44]);
    assert_eq!(&hex[44..], "0200000000020a0000020000000000000a000002");
}

#[test]
fn no_segment_is_longer_than_either_side_allows() {
    let (mut server, mut client) = (config(SERVER, vec![]), config(CLIENT, vec![]));
    server.services = config(SERVER, vec![(7, ServiceKind::Echo)]).services;
    (server.mss, client.mss) = (300, 1_460);
    let mut wire = Wire::new(server, client);
    let data = pattern(0, 3_000);
    wire.call(7, &data, Some(&data), true);
    assert_eq!(wire.run(), Some(done(3_000, 3_000, true)));
    let longest = wire.frames.iter().map(|(_, frame)| frame.len()).max();
    assert_eq!(longest, Some(14 + 40 + 300));
}

#[test]
fn the_pattern_tells_where_a_byte_belongs() {
    assert_eq!(pattern(254, 4), [0, 0, 1, 1]);
    assert_eq!(pattern(65_535, 2), [255, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn everything_comes_through_whatever_is_lost(
        length in 0..6_000usize, lost in prop::collection::vec(0..60usize, 0..12),
    ) {
        let mut wire = Wire::with(ServiceKind::Echo);
        wire.lost = lost;
        let data = pattern(0, length);
        wire.call(7, &data, Some(&data), true);
        prop_assert_eq!(wire.run(), Some(done(length, length, true)));
    }

    #[test]
    fn no_frame_makes_a_stack_panic(frames in prop::collection::vec(
        (prop::collection::vec(any::<u8>(), 0..120), any::<bool>()), 0..20,
    )) {
        let mut stack = Stack::new(config(SERVER, vec![(7, ServiceKind::Echo)]));
        for (mut frame, addressed) in frames {
            if addressed && frame.len() >= 34 {
                frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
                frame[12..15].copy_from_slice(&[8, 0, 0x45]);
            }
            stack.receive(frame.into());
            drop(stack.poll(VirtualTime::ZERO));
        }
    }
}
