//! Inputs and limits: what is not compared, full queues, many connections, cut and broken streams.

use rstest::rstest;

use super::*;
use crate::machine::colo::LIMIT;

#[rstest]
#[case::arp(arp(b"who has"))]
#[case::short(vec![0x5a; 10])]
#[case::ipv6(vec![0x60; 60])]
#[case::vlan(vec![0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x81, 0, 0, 5, 8, 0, 0x45, 0, 0, 20])]
fn what_is_not_compared_passes_what_is_held(#[case] frame: Vec<u8>) {
    let mut rig = Rig::new(qemu());
    rig.pri(&udp(b"held"));
    let passes = rig.pri(&frame);
    rig.sec(&frame);
    let seen = rig.look();
    assert_eq!(seen.released(), [passes]);
    assert_eq!(seen.asked(), 0);
}

#[test]
fn a_full_queue_takes_one_more_than_its_size() {
    let mut rig = Rig::with(qemu(), ",max_queue_size=2");
    let sent = [b"1", b"2", b"3", b"4", b"5"].map(|text| rig.pri(&udp(text)));
    let full = |at: usize| (sent[at], DropReason::PrimaryQueueFull);
    assert_eq!(rig.look().drops(), [full(3), full(4)]);
    rig.checkpoint();
    assert_eq!(rig.released(), [sent[2], sent[1], sent[0]]);

    let mut rig = Rig::with(qemu(), ",max_queue_size=1");
    let sent = [b"1", b"2", b"3"].map(|text| rig.sec(&udp(text)));
    assert_eq!(rig.look().drops(), [(sent[2], DropReason::SecondaryQueueFull)]);
}

#[test]
fn a_full_queue_of_a_mended_comparer_asks_for_a_checkpoint() {
    let mut rig = Rig::with(ideal(), ",max_queue_size=1");
    let sent = [b"1", b"2", b"3"].map(|text| rig.pri(&udp(text)));
    let seen = rig.look();
    let full = CheckpointCause::QueueFull(crate::record::Side::Primary);
    assert_eq!(seen.causes(), [full]);
    assert!(seen.drops().is_empty());
    rig.checkpoint();
    assert_eq!(rig.released(), sent);
}

/// A packet of a connection of its own.
fn nth(n: usize) -> Vec<u8> {
    let mut frame = udp(b"x");
    frame[26..30].copy_from_slice(&(n as u32).to_be_bytes());
    frame
}

#[test]
fn too_many_connections_destroy_what_is_held() {
    let mut rig = Rig::new(qemu());
    let sent: Vec<u32> = (0..LIMIT + 3).map(|n| rig.pri(&nth(n))).collect();
    assert_eq!(rig.look().drops().len(), LIMIT + 1);
    rig.checkpoint();
    assert_eq!(rig.released(), sent[LIMIT + 1..], "2 of 16387 come out");

    let mut rig = Rig::new(ideal());
    let sent: Vec<u32> = (0..LIMIT + 3).map(|n| rig.pri(&nth(n))).collect();
    rig.checkpoint();
    assert_eq!(rig.released(), sent);
}

#[rstest]
#[case("pri")]
#[case("sec")]
fn an_empty_frame_kills_qemu(#[case] chardev: &str) {
    let mut rig = Rig::new(qemu());
    rig.write(chardev, &[0; 4][..]);
    assert_eq!(rig.look().crash(), None, "it waits for the next byte");
    rig.write(chardev, &[0][..]);
    let expected = "net/colo.c:51: parse_packet_early: Assertion `data' failed.";
    assert_eq!(rig.look().crash(), Some(expected));

    let mut rig = Rig::new(ideal());
    let empty = rig.send(chardev, b"");
    let seen = rig.look();
    assert_eq!((seen.crash(), seen.drops()), (None, vec![(empty, DropReason::Empty)]));
}

/// A client's half word makes an empty frame of what the next one sends.
#[test]
fn what_comes_with_a_deadly_frame_is_told() {
    let mut rig = Rig::new(qemu());
    rig.write("pri", vec![0; 2]);
    let other = rig.pri(&udp(b"never read"));
    let seen = rig.look();
    assert!(seen.crash().is_some());
    assert_eq!(seen.drops(), [(other, DropReason::MachineDead)]);
}

#[test]
fn a_frame_that_a_disconnect_cut_is_completed_by_the_next_client() {
    let frame = udp(b"whole");
    let half = encode(&frame, None).slice(..20);
    let reconnect = |rig: &mut Rig| {
        rig.write("pri", half.clone());
        rig.state("pri", ChardevState::Closed);
        rig.state("pri", ChardevState::Opened);
        rig.sec(&frame);
        rig.pri(&frame);
        rig.look()
    };
    let mixed = reconnect(&mut Rig::new(qemu()));
    assert!(mixed.released().is_empty() || mixed.frames("out")[0] != frame);
    let whole = reconnect(&mut Rig::new(without(Quirk::CompareKeepsHalfFrame)));
    assert_eq!(whole.drops(), [(1, DropReason::Incomplete)]);
    assert_eq!(whole.frames("out"), [frame]);
}

#[test]
fn a_reconnected_input_is_read_again() {
    let mut rig = Rig::new(qemu());
    rig.state("sec", ChardevState::Closed);
    let held = rig.pri(&udp(b"same"));
    rig.state("sec", ChardevState::Opened);
    rig.sec(&udp(b"same"));
    assert_eq!(rig.released(), [held]);
}

#[rstest]
#[case("pri", "colo-compare primary_in error")]
#[case("sec", "colo-compare secondary_in error")]
#[case("ntf", "colo-compare notify_dev error")]
fn an_oversized_frame_deafens_an_input(#[case] chardev: &str, #[case] line: &str) {
    let mut rig = Rig::new(qemu());
    rig.write(chardev, vec![0xff; 80_000]);
    assert_eq!(rig.look().logs()[1], line);
    let unread = rig.send(chardev, &udp(b"x"));
    assert!(rig.released().is_empty());
    let ends = rig.residue();
    assert!(ends.contains(&(unread, DropReason::Deaf)), "{ends:?}");

    let mut rig = Rig::new(ideal());
    rig.write(chardev, vec![0xff; 80_000]);
    let closed = |output: &Output| matches!(output, Output::ChardevClosed { .. });
    assert!(rig.look().0.iter().any(closed));
}

#[test]
fn what_is_held_at_the_end_is_told() {
    let mut rig = Rig::new(qemu());
    let held = [rig.pri(&udp(b"p")), rig.sec(&data(1, b"s"))];
    let ends = held.map(|tag| (tag, DropReason::Held));
    assert_eq!(rig.residue(), ends);
}
