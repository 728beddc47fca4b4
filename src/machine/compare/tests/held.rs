//! Requests for a checkpoint: on a difference, on time; messages on notify_dev.

use rstest::rstest;

use super::*;
use crate::{
    machine::ColoEvent,
    record::{Fate, Side},
};

#[test]
fn a_request_names_frames_and_bytes() {
    let mut rig = Rig::new(qemu());
    rig.advance(250);
    let primary = rig.pri(&udp(b"abcd"));
    rig.advance(250);
    let secondary = rig.sec(&udp(b"abXd"));
    let seen = rig.look();
    let request = seen.events().find_map(|event| match &event.kind {
        EventKind::Checkpoint(request) => Some(request.as_ref().clone()),
        _ => None,
    });
    let request = request.unwrap();
    assert_eq!(request.connection.to_string(), "UDP 10.0.0.1:1000 > 10.0.0.2:2000");
    assert_eq!(request.primary, Some(Tag::sent(primary)));
    assert_eq!(request.secondary, Some(Tag::sent(secondary)));
    let at = CheckpointCause::Bytes { primary: 44, secondary: 44, seq: None };
    assert_eq!(request.cause, at);
    assert_eq!(request.since, VirtualTime::ZERO + Duration::from_millis(250));
    assert_eq!(request.at, VirtualTime::ZERO + Duration::from_millis(500));
    assert!(request.told);
}

/// Pair by pair, bytes of other places of the stream are compared; each has its own number.
#[rstest]
#[case::one_place(1, 1, [3, 3])]
#[case::two_places(1, 3, [3, 5])]
fn a_request_names_the_sequence_numbers(
    #[case] primary: u32,
    #[case] secondary: u32,
    #[case] numbers: [u32; 2],
) {
    let mut rig = Rig::new(qemu());
    rig.pri(&data(primary, b"abcd"));
    rig.sec(&data(secondary, b"abXd"));
    let at = CheckpointCause::Bytes { primary: 56, secondary: 56, seq: Some(numbers) };
    assert_eq!(rig.look().causes(), [at]);
}

/// QEMU holds the sizes of whole frames against each other first, and then takes the length of the
/// primary's IPv4 header for the secondary's too.
#[rstest]
#[case::options_make_it_longer(b"abcd", CheckpointCause::Sizes { primary: 46, secondary: 50 })]
#[case::as_long(b"", CheckpointCause::Bytes { primary: 34, secondary: 34, seq: None })]
fn a_request_about_ip_options(#[case] payload: &[u8], #[case] cause: CheckpointCause) {
    let mut rig = Rig::new(qemu());
    rig.pri(&udp(b"abcd"));
    let mut options = udp(payload);
    options[14] = 0x46;
    options[17] += 4;
    options.splice(34..34, [1, 1, 1, 0]);
    rig.sec(&options);
    let causes = rig.look().causes();
    assert_eq!(causes, [cause]);
}

/// A segment whose bytes were compared as parts of several has matched; one that only repeats them
/// has not.
#[test]
fn parts_that_matched() {
    let mut rig = Rig::new(qemu());
    let (one, two) = (rig.pri(&data(1, b"01234")), rig.pri(&data(6, b"56789")));
    let whole = rig.sec(&data(1, b"0123456789"));
    let again = rig.sec(&data(6, b"56789"));
    rig.pri(&data(11, b"abc"));
    let seen = rig.look();
    assert_eq!(seen.released(), [one, two]);
    let spent: Vec<_> = seen
        .events()
        .filter_map(|event| match &event.kind {
            EventKind::Spent { fate, with } => Some((number(event.tag), *fate, number(*with))),
            _ => None,
        })
        .collect();
    let expected = [(Some(whole), Fate::Matched, Some(two)), (Some(again), Fate::Repeated, None)];
    assert_eq!(spent, expected);
}

/// The timer runs from creation on; a packet is too old when it is older than the limit, and each
/// scan asks once.
#[rstest]
#[case::primary("pri", Side::Primary)]
#[case::secondary("sec", Side::Secondary)]
fn what_is_held_too_long_asks_at_each_scan(#[case] chardev: &str, #[case] side: Side) {
    let mut rig = Rig::with(qemu(), ",compare_timeout=600,expired_scan_cycle=300");
    rig.send(chardev, &udp(b"lonely"));
    rig.send(chardev, &data(1, b"lonely too"));
    rig.advance(600);
    assert_eq!(rig.look().asked(), 0, "600 ms is not longer than 600 ms");
    rig.advance(299);
    assert_eq!(rig.look().asked(), 0);
    rig.advance(1);
    let seen = rig.look();
    assert_eq!((seen.asked(), seen.released().len()), (1, 0));
    assert_eq!(seen.causes(), [CheckpointCause::TimedOut(side)]);
    rig.advance(900);
    assert_eq!(rig.look().asked(), 3);
    rig.checkpoint();
    rig.advance(3000);
    assert_eq!(rig.look().asked(), 0);
}

/// A scan that would find nothing is left out, which else would wake the machine for ever; those
/// that follow keep their times.
#[test]
fn nothing_held_is_not_scanned() {
    let mut rig = Rig::with(qemu(), ",compare_timeout=600,expired_scan_cycle=300");
    assert_eq!(rig.machine.deadline(), None);
    rig.advance(1000);
    rig.pri(&udp(b"lonely"));
    rig.advance(799);
    assert_eq!(rig.look().asked(), 0);
    rig.advance(1);
    assert_eq!(rig.look().asked(), 1, "at 1800 ms, the sixth scan");
    rig.checkpoint();
    rig.advance(300);
    assert_eq!(rig.machine.deadline(), None);
}

/// Scans before anything can be too old are left out, whatever their number; a limit that is
/// lowered brings them back.
#[test]
fn what_is_young_is_not_scanned() {
    let mut rig = Rig::with(qemu(), ",compare_timeout=86400000,expired_scan_cycle=7");
    rig.advance(1000);
    rig.pri(&udp(b"lonely"));
    let at = |millis| Some(VirtualTime::ZERO + Duration::from_millis(millis));
    // The first scan of one each 7 ms that comes later than 86,401,000 ms.
    assert_eq!(rig.machine.deadline(), at(86_401_007));
    rig.advance(1000);
    rig.pri(&udp(b"younger"));
    assert_eq!(rig.machine.deadline(), at(86_401_007));
    rig.advance(1000);
    rig.set("compare_timeout", 2500);
    assert_eq!(rig.machine.deadline(), at(3_507));
    rig.advance(507);
    assert_eq!(rig.look().asked(), 1);
}

#[test]
fn a_stopped_machine_and_new_limits_change_the_scan() {
    let mut rig = Rig::with(qemu(), ",compare_timeout=600,expired_scan_cycle=300");
    rig.qmp("stop", json!({}));
    rig.pri(&udp(b"lonely"));
    rig.set("compare_timeout", 100);
    rig.set("expired_scan_cycle", 1000);
    rig.advance(300);
    assert_eq!(rig.look().asked(), 1);
    rig.advance(999);
    assert_eq!(rig.look().asked(), 0);
    rig.advance(1);
    assert_eq!(rig.look().asked(), 1);
}

#[rstest]
#[case(b"COLO_USERSPACE_PROXY_INIT", Some("COLO_COMPARE_GET_XEN_INIT"), None, 0)]
#[case(b"COLO_CHECKPOINT", None, None, 1)]
#[case(b"COLO_CHECKPOINT\0", None, Some("COLO compare got unsupported instruction"), 0)]
#[case(b"COLO_CHECKPOIN", None, Some("COLO compare got unsupported instruction"), 0)]
#[case(b"x", None, Some("COLO compare got unsupported instruction"), 0)]
fn messages(
    #[case] message: &[u8],
    #[case] answer: Option<&str>,
    #[case] log: Option<&str>,
    #[case] flushed: usize,
) {
    let mut rig = Rig::new(qemu());
    rig.pri(&udp(b"held"));
    rig.send("ntf", message);
    let seen = rig.look();
    assert_eq!(seen.frames("ntf"), Vec::from_iter(answer));
    assert_eq!(seen.logs(), Vec::from_iter(log));
    assert_eq!(seen.released().len(), flushed);
}

/// Read with the virtio-net word, written without.
#[test]
fn messages_need_the_vnet_word_and_answers_lack_it() {
    let init: &[u8] = b"COLO_USERSPACE_PROXY_INIT";
    let mut rig = Rig::with(qemu(), ",vnet_hdr_support=on");
    rig.write("ntf", encode(init, Some(0)));
    assert_eq!(rig.look().frames("ntf"), [&b"COLO_COMPARE_GET_XEN_INIT"[..]]);
    rig.send("ntf", init);
    assert!(rig.look().frames("ntf").is_empty());
    let mut rig = Rig::with(ideal(), ",vnet_hdr_support=on");
    rig.send("ntf", init);
    assert_eq!(rig.look().frames("ntf").len(), 1);
}

#[test]
fn a_checkpoint_releases_everything_that_is_held() {
    for own_message in [true, false] {
        let mut rig = Rig::new(qemu());
        let udps = [b"1", b"2", b"3"].map(|text| rig.pri(&udp(text)));
        let second = rig.pri(&data(15, b"second"));
        let first = rig.pri(&data(10, b"first"));
        rig.sec(&data(10, b"other"));
        rig.look();
        if own_message {
            rig.checkpoint();
        } else {
            rig.command(Command::Colo(ColoEvent::Checkpoint));
        }
        let expected = [udps[2], udps[1], udps[0], first, second];
        assert_eq!(rig.released(), expected, "newest first, and by sequence number");
        rig.sec(&data(10, b"first"));
        assert!(rig.residue().len() == 1, "the secondary's was forgotten");
    }
}

#[test]
fn without_notify_dev_nobody_is_told() {
    let mut rig = Rig::bare(qemu());
    rig.add("colo-compare,id=cc0,primary_in=pri,secondary_in=sec,outdev=out,iothread=io0");
    rig.pri(&udp(b"a"));
    rig.sec(&udp(b"b"));
    let seen = rig.look();
    assert_eq!(seen.causes().len(), 1);
    assert!(seen.bytes("ntf").is_empty());
}

#[test]
fn a_request_that_cannot_be_written_is_logged() {
    let mut rig = Rig::new(qemu());
    rig.state("ntf", ChardevState::Closed);
    rig.pri(&udp(b"a"));
    rig.sec(&udp(b"b"));
    assert_eq!(rig.look().logs(), ["Notify Xen COLO-frame failed"]);
}

#[test]
fn a_failover_says_nothing_to_a_comparer() {
    let mut rig = Rig::new(qemu());
    rig.pri(&udp(b"held"));
    rig.command(Command::Colo(ColoEvent::Failover));
    assert!(rig.released().is_empty());
}
