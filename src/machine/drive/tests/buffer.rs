//! filter-buffer: what is held, when it is released, and in which order.

use proptest::prelude::*;

use super::*;
use crate::machine::core::QUEUE_LIMIT;

const HOLD: &str = "filter-buffer,id=f0,netdev=n0,interval=1000000,queue=tx";

fn rig(option: &str) -> Rig {
    let mut rig = Rig::new(qemu(None));
    rig.add(option);
    rig
}

fn send(rig: &mut Rig, netdev: &str, texts: &[&'static str]) {
    for text in texts {
        rig.send(netdev, text.as_bytes(), 1);
    }
}

/// As QEMU 7.2.22 did it: batches at the end of each period, whenever in it a frame came.
#[test]
fn a_batch_is_released_when_a_period_is_over() {
    let mut rig = rig(HOLD);
    send(&mut rig, "n0", &["a"]);
    rig.advance(900);
    send(&mut rig, "n0", &["b"]);
    assert!(rig.advance(99).frames("n9").is_empty());
    assert_eq!(rig.advance(1).frames("n9"), ["a", "b"]);
    send(&mut rig, "n0", &["c"]);
    assert!(rig.advance(999).frames("n9").is_empty());
    assert_eq!(rig.advance(1).frames("n9"), ["c"]);
    // Periods without a frame count as well.
    rig.advance(2_500);
    send(&mut rig, "n0", &["d"]);
    assert!(rig.advance(499).frames("n9").is_empty());
    assert_eq!(rig.advance(1).frames("n9"), ["d"]);
}

#[rstest]
#[case::tx("tx", &["p"], &[])]
#[case::rx("rx", &[], &["a"])]
#[case::all("all", &[], &[])]
fn only_its_queue_is_held(
    #[case] queue: &str,
    #[case] at_host: &[&str],
    #[case] at_guest: &[&str],
) {
    let mut rig = rig(&format!("filter-buffer,id=f0,netdev=n0,interval=1000,queue={queue}"));
    send(&mut rig, "n0", &["a"]);
    assert_eq!(rig.frames("n9"), at_guest);
    send(&mut rig, "n9", &["p"]);
    assert_eq!(rig.frames("n0"), at_host);
    let late = rig.advance(1).out.len();
    assert_eq!(late > 0, queue == "all" || at_host.len() + at_guest.len() == 1);
}

#[test]
fn the_vm_s_clock_stands_while_it_is_stopped() {
    let mut rig = rig(HOLD);
    send(&mut rig, "n0", &["a"]);
    rig.advance(400).qmp("stop", json!({}));
    // What arrives at a stopped VM is held as well (measured on 7.2.22).
    send(&mut rig, "n0", &["b"]);
    assert_eq!(rig.machine.deadline(), None);
    assert!(rig.advance(5_000).frames("n9").is_empty());
    rig.qmp("cont", json!({}));
    assert!(rig.advance(599).frames("n9").is_empty());
    assert_eq!(rig.advance(1).frames("n9"), ["a", "b"]);
}

/// Off, deleted, its netdev deleted: what it holds goes on at once.
#[rstest]
#[case("qom-set", set("status", "off"))]
#[case("object-del", json!({"id": "f0"}))]
#[case("netdev_del", json!({"id": "n0"}))]
fn what_ends_it_releases_what_it_holds(#[case] command: &str, #[case] args: Value) {
    let mut rig = rig(HOLD);
    send(&mut rig, "n0", &["a", "b"]);
    rig.qmp(command, args);
    assert_eq!(rig.frames("n9"), ["a", "b"]);
}

#[test]
fn off_lets_pass_and_on_begins_a_period() {
    let mut rig = rig("filter-buffer,id=f0,netdev=n0,interval=1000000,queue=tx,status=off");
    send(&mut rig, "n0", &["a"]);
    assert_eq!(rig.frames("n9"), ["a"]);
    rig.advance(700).qmp("qom-set", set("status", "on"));
    send(&mut rig, "n0", &["b"]);
    assert!(rig.advance(999).frames("n9").is_empty());
    assert_eq!(rig.advance(1).frames("n9"), ["b"]);
}

/// Released while the VM is stopped, frames wait for the guest.
#[test]
fn what_a_stopped_vm_releases_is_delivered_when_it_goes_on() {
    let mut rig = rig(HOLD);
    send(&mut rig, "n0", &["a"]);
    rig.qmp("stop", json!({}));
    rig.qmp("qom-set", set("status", "off"));
    assert!(rig.frames("n9").is_empty());
    rig.qmp("cont", json!({}));
    assert_eq!(rig.frames("n9"), ["a"]);
}

#[test]
fn a_new_interval_holds_from_the_next_period_on() {
    let mut rig = rig("filter-buffer,id=f0,netdev=n0,interval=1500000,queue=tx");
    rig.qmp("qom-set", set("interval", 100_000));
    send(&mut rig, "n0", &["a"]);
    assert!(rig.advance(1_499).frames("n9").is_empty());
    assert_eq!(rig.advance(1).frames("n9"), ["a"]);
    send(&mut rig, "n0", &["b"]);
    assert_eq!(rig.advance(100).frames("n9"), ["b"]);
}

#[test]
fn a_full_buffer_loses_what_comes_after() {
    for (quirk, expected) in
        [(None, QUEUE_LIMIT), (Some(Quirk::BufferDropsWhenFull), QUEUE_LIMIT + 2)]
    {
        let mut rig = Rig::new(qemu(quirk));
        rig.add(HOLD);
        for at in 1..=QUEUE_LIMIT as u32 + 2 {
            rig.send("n0", b"x", at);
        }
        let dropped = rig.drops();
        assert_eq!(dropped.len(), QUEUE_LIMIT + 2 - expected);
        assert!(dropped.iter().all(|(_, reason)| *reason == DropReason::QueueFull));
        assert_eq!(rig.advance(1_000).frames("n9").len(), expected);
    }
}

/// An empty packet is held and passed on; the release ends there, and what the netdev sent after it
/// is thrown away (measured on 7.2.22).
#[test]
fn an_empty_packet_ends_the_release() {
    let mut rig = rig(HOLD);
    rig.add("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=c0");
    let burst = [encode(b"a", None), encode(b"", None), encode(b"b", None)].concat();
    rig.input(Input::StreamBytes {
        netdev: "n0".into(),
        data: burst.into(),
        tag: Some(Tag::sent(1)),
    });
    assert!(rig.bytes("c0").is_empty());
    assert_eq!(rig.advance(1_000).bytes("c0"), encode(b"a", None));
    assert!(rig.advance(1_000).bytes("c0").is_empty());
}

/// QEMU tries an empty packet of the guest's again each period, for ever: once its copies fill the
/// queue that nothing leaves, that changes nothing, and is left out until something else happens.
#[test]
fn a_release_that_changes_nothing_is_not_tried_for_ever() {
    let tap = NetdevKind::Tap { queues: 1, vhost: false, vnet_hdr_len: 0 };
    let guest = netdev("n9", NetdevKind::Nic { vnet_hdr_len: 0 }, Some("n0"));
    let mut rig = Rig::with(qemu(None), vec![netdev("n0", tap, None), guest]);
    rig.add("filter-buffer,id=f0,netdev=n0,interval=1000,queue=rx");
    rig.add("filter-redirector,id=r0,netdev=n0,queue=rx,indev=c0");
    // An empty frame waits for the next byte.
    let empty_first = [encode(b"", None), encode(b"a", None)].concat();
    rig.write("c0", empty_first.into(), 1).advance(86_400_000);
    let full = (1, DropReason::QueueFull);
    assert_eq!(rig.drops(), [full]);
    assert_eq!(rig.machine.deadline(), None);
    rig.advance(1_234).qmp("qom-set", set("status", json!("on")));
    assert_eq!(rig.machine.deadline(), Some(rig.now + Duration::from_millis(1)));
    assert_eq!(rig.advance(10).drops(), [full]);
}

#[test]
fn a_frozen_or_dead_main_loop_looks_at_no_timer() {
    let mut rig = rig("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=c0");
    rig.add("filter-buffer,id=f0,netdev=n0,interval=1000,queue=tx");
    rig.state("c0", ChardevState::Stalled);
    for _ in 0..6 {
        rig.send("n0", &[0; 60_000], 1);
    }
    assert_eq!(rig.machine.deadline(), None);
    rig.state("c0", ChardevState::Resumed);
    assert!(rig.machine.deadline().is_some());
    assert_eq!(rig.advance(1).frames("n9").len(), 6);
}

/// A period ends while the main loop waits, and more arrives before that looks at its timers: all
/// of it is released then, and not a period later.
#[test]
fn a_release_that_is_late_is_not_put_off() {
    let mut rig = rig(HOLD);
    rig.add("filter-mirror,id=m0,netdev=n0,queue=rx,outdev=c0");
    send(&mut rig, "n0", &["a"]);
    rig.state("c0", ChardevState::Stalled);
    for _ in 0..6 {
        rig.send("n9", &[0; 60_000], 1);
    }
    assert!(rig.machine.is_frozen());
    rig.advance(1_500);
    send(&mut rig, "n0", &["b"]);
    rig.state("c0", ChardevState::Resumed);
    assert_eq!(rig.advance(0).frames("n9"), ["a", "b"]);
}

#[test]
fn what_is_held_at_the_end_is_told() {
    let mut rig = rig(HOLD);
    rig.send("n0", b"a", 7);
    assert_eq!(rig.residue(), [(7, DropReason::Buffered)]);
}

#[derive(Clone, Debug)]
enum Do {
    Send,
    Advance(u64),
    Set(&'static str, Value),
    Vm(bool),
}

fn doing() -> impl Strategy<Value = Do> {
    let sets = prop::sample::select(vec![
        ("status", json!("on")),
        ("status", json!("off")),
        ("interval", json!(3_000)),
        ("interval", json!(70_000)),
    ]);
    prop_oneof![
        8 => Just(Do::Send),
        4 => (1_u64..200).prop_map(Do::Advance),
        2 => sets.prop_map(|(name, value)| Do::Set(name, value)),
        1 => any::<bool>().prop_map(Do::Vm),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    /// Below its limit, whatever is set and whenever it is stopped, a buffer loses nothing and
    /// keeps the order.
    #[test]
    fn nothing_is_lost_or_overtaken(doings in prop::collection::vec(doing(), 1..80)) {
        let mut rig = Rig::new(Profile::new(QemuVersion::Ideal));
        rig.add("filter-buffer,id=f0,netdev=n0,interval=20000,queue=tx");
        let mut sent = 0_u32;
        for one in doings {
            match one {
                Do::Send => {
                    sent += 1;
                    rig.send("n0", &sent.to_be_bytes(), sent);
                }
                Do::Advance(millis) => { rig.advance(millis); }
                Do::Set(property, value) => { rig.qmp("qom-set", set(property, value)); }
                Do::Vm(on) => { rig.qmp(if on { "cont" } else { "stop" }, json!({})); }
            }
        }
        rig.qmp("cont", json!({}));
        rig.qmp("object-del", json!({"id": "f0"}));
        let expected: Vec<Bytes> = (1..=sent)
            .map(|number| Bytes::copy_from_slice(&number.to_be_bytes()))
            .collect();
        prop_assert_eq!(rig.frames("n9"), expected);
    }
}
