//! Guests, clients and impairments.

use std::{net::SocketAddrV4, time::Duration};

use bytes::Bytes;
use rstest::rstest;

use super::{Rig, frame};
use crate::{
    backend::{Action, Settled, World},
    base::{Frame, Tag},
    frame::parse_hex,
    guest::Call,
    record::{DropReason, EventKind, Outcome, SentFrame},
    scenario::{Client, Impair, Impairment, Share, Way},
};

const GUEST: &str = "
netdevs:
  hn0: { guest: { address: 10.0.0.2/24, services: { 7: echo } } }
clients: { hn0.host: {} }
";

fn client(text: &'static str, within: Option<Duration>) -> Client {
    let to: SocketAddrV4 = "10.0.0.2:7".parse().expect("an address");
    let data = Bytes::from_static(text.as_bytes());
    Client {
        from: "hn0.host".into(),
        call: Call { to, send: data.clone(), expect: Some(data), close: true },
        within,
    }
}

fn out(impairment: Impairment) -> Impair {
    Impair { port: "hn0.guest".into(), way: Way::Out, impairment }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The frames that stacks sent by themselves, and the result of the exchange.
fn exchange(rig: &mut Rig, client: &Client) -> (Vec<SentFrame>, Outcome) {
    rig.act(Action::Client(client));
    let sent = rig.look().sent;
    let answer = rig.act(Action::ClientAnswer).expect("an answer");
    rig.look();
    (sent, answer.outcome)
}

#[test]
fn what_stacks_send_is_numbered_behind_the_scenarios_frames() {
    let mut rig = Rig::new(GUEST);
    rig.send("hn0.host", "one");
    rig.look();
    let (sent, outcome) = exchange(&mut rig, &client("hello", None));
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let tags: Vec<Tag> = sent.iter().map(|sent| sent.tag).collect();
    let expected: Vec<Tag> = (2..=12).map(Tag::sent).collect();
    assert_eq!(tags, expected);
}

#[test]
fn an_exchange_does_not_move_the_clock_unless_it_may() {
    let mut rig = Rig::new(GUEST);
    let loss = out(Impairment { loss: Share::ALL, ..Impairment::default() });
    rig.act(Action::Impair(&[loss]));
    for (within, clock) in [(None, ms(0)), (Some(ms(2_500)), ms(2_500))] {
        let (_, outcome) = exchange(&mut rig, &client("hello", within));
        assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        assert_eq!(crate::backend::World::now(&rig.world).elapsed(), clock);
    }
}

/// Each of 50,001 questions is a frame at the host and one at the guest.
#[test]
fn a_client_that_asks_for_long_is_no_storm() {
    let mut rig = Rig::new(GUEST);
    let nobody = "10.0.0.3:7".parse().expect("an address");
    let mut client = client("hello", Some(ms(50_000_500)));
    client.call.to = nobody;
    let (sent, outcome) = exchange(&mut rig, &client);
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(sent.len(), 50_001);
}

/// 100,100 scans of a comparer while one frame is under way.
#[test]
fn timers_beside_a_delayed_frame_are_no_storm() {
    let mut rig = Rig::new(
        "
netdevs: {hn0: {}}
chardevs: {pri: {}, sec: {}, out: {}, ntf: {}}
objects:
  - iothread,id=io0
  - colo-compare,id=c0,primary_in=pri,secondary_in=sec,outdev=out,iothread=io0,notify_dev=ntf,compare_timeout=1,expired_scan_cycle=1
",
    );
    let delay = out(Impairment { delay: ms(100_100), ..Impairment::default() });
    rig.act(Action::Impair(&[delay]));
    // UDP of four bytes, which the secondary never sends.
    let held = "020000000001525400123456 0800 4500002000000000401166cb 0a0000010a000002 \
                03e807d0000c0b52 68656c64";
    rig.send_frame("pri", &Frame::plain(parse_hex(held).expect("a frame")));
    rig.look();
    rig.send("hn0.guest", "late");
    assert_eq!(rig.settle(), Settled::Idle);
    assert_eq!(rig.world.now().elapsed(), ms(100_100));
    let seen = rig.look();
    assert_eq!(seen.frames("hn0.host"), [(frame("late"), Tag::sent(2))]);
    assert_eq!(seen.bytes("ntf").len(), 100_099 * "\0\0\0\x0dDO_CHECKPOINT".len());
}

#[test]
fn timers_fire_in_order_while_the_clock_advances() {
    let mut rig = Rig::new(GUEST);
    let loss = out(Impairment { loss: Share::ALL, ..Impairment::default() });
    rig.act(Action::Impair(&[loss]));
    rig.act(Action::Client(&client("hello", None)));
    rig.look();
    rig.act(Action::Advance(ms(3_100)));
    let seen = rig.look();
    // ARP once a second.
    let asked = seen.sent.iter().filter(|sent| sent.port.as_str() == "hn0.host");
    assert_eq!(asked.count(), 3);
    let at: Vec<_> = seen.arrivals.iter().map(|one| one.at.elapsed()).collect();
    assert_eq!(at, [ms(1_000), ms(2_000), ms(3_000)]);
}

#[rstest]
#[case::guest_out("hn0.guest", Way::Out, "hn0.guest", "hn0.host")]
#[case::guest_in("hn0.guest", Way::In, "hn0.host", "hn0.guest")]
#[case::host_out("hn0.host", Way::Out, "hn0.host", "hn0.guest")]
#[case::host_in("hn0.host", Way::In, "hn0.guest", "hn0.host")]
fn each_direction_of_a_port_is_its_own(
    #[case] port: &str,
    #[case] way: Way,
    #[case] from: &str,
    #[case] to: &str,
) {
    let mut rig = Rig::new("netdevs: {hn0: {}}");
    let impairment = Impairment { delay: ms(7), duplicate: Share::ALL, ..Impairment::default() };
    let port = port.into();
    rig.act(Action::Impair(&[Impair { port, way, impairment }]));
    rig.send(to, "the other way");
    let seen = rig.look();
    assert_eq!(seen.frames(from).len(), 1);
    assert_eq!(seen.arrivals[0].at.elapsed(), ms(0));
    rig.send(from, "this way");
    let seen = rig.look();
    assert_eq!(seen.frames(to).len(), 2);
    assert!(seen.frames(to).iter().all(|(_, tag)| *tag == Tag::sent(2)));
    assert!(seen.arrivals.iter().all(|one| one.at.elapsed() == ms(7)));
    let told = |event: &&crate::record::Event| matches!(event.kind, EventKind::Impaired(_));
    assert_eq!(seen.events.iter().filter(told).count(), 1);
}

#[test]
fn what_is_lost_is_told() {
    let mut rig = Rig::new("netdevs: {hn0: {}}");
    let loss = out(Impairment { loss: Share::ALL, ..Impairment::default() });
    rig.act(Action::Impair(&[loss]));
    rig.send_frame("hn0.guest", &frame("lost"));
    let seen = rig.look();
    assert_eq!(seen.drops(), [(Tag::sent(1), DropReason::ImpairedLoss)]);
    assert!(seen.arrivals.is_empty());
}

#[test]
fn frames_inside_a_stretch_come_out_in_their_time_when_it_changes() {
    let mut rig = Rig::new("netdevs: {hn0: {}}");
    let slow = out(Impairment { delay: ms(50), ..Impairment::default() });
    rig.act(Action::Impair(&[slow]));
    rig.send("hn0.guest", "slow");
    rig.act(Action::Impair(&[out(Impairment::default())]));
    rig.send("hn0.guest", "fast");
    let seen = rig.look();
    let tags: Vec<Tag> = seen.frames("hn0.host").iter().map(|(_, tag)| *tag).collect();
    assert_eq!(tags, [Tag::sent(2), Tag::sent(1)]);
    assert_eq!(seen.arrivals[1].at.elapsed(), ms(50));
}
