//! Announcements and both ends of a migration.

use super::*;
use crate::{
    base::MacAddr,
    machine::{Halt, Migrated, NicConfig, Start},
};

/// A machine whose TAP has a NIC with a virtio-net header of 12 bytes.
fn rig(start: Start) -> Rig {
    let tap = NetdevKind::Tap { queues: 1, vhost: false, vnet_hdr_len: 12 };
    let nic = NetdevKind::Nic { vnet_hdr_len: 12 };
    let machine = Machine::new(Config {
        netdevs: vec![netdev("hn0", tap, None), netdev("nic", nic, Some("hn0"))],
        chardevs: vec![socket("c0", true)],
        nics: vec![NicConfig {
            name: "net0".to_owned(),
            client: "nic".into(),
            mac: MacAddr([0x52, 0x54, 0, 0xaa, 0, 1]),
            asks_guest: true,
        }],
        start,
        ..Config::default()
    });
    Rig { machine: machine.unwrap(), out: Vec::new(), commands: 0, now: VirtualTime::ZERO }
}

/// A frame as QEMU 7.2.22 sent it, measured at the TAP of a virtio NIC.
const MEASURED: &str =
    "ffffffffffff525400aa000180350001080006040003525400aa000100000000525400aa0001";

impl Rig {
    /// The announcements since the last look, each given back as the world does, and how often guests
    /// were asked.
    fn announced(&mut self) -> (usize, usize) {
        let out = std::mem::take(&mut self.out);
        let (mut nics, mut guests) = (0, 0);
        for output in out {
            match output {
                Output::Announce { netdev, data } => {
                    nics += 1;
                    self.input(Input::Announce { netdev, data, tag: Some(Tag::sent(1)) });
                }
                Output::AnnounceGuest { .. } => guests += 1,
                other => self.out.push(other),
            }
        }
        (nics, guests)
    }

    fn announce(&mut self, args: Value) -> (usize, usize) {
        assert_eq!(self.qmp("announce-self", args), Outcome::Done(json!({})));
        self.announced()
    }

    /// How many rounds there are in so many milliseconds, one by one.
    fn rounds(&mut self, millis: u64) -> Vec<u64> {
        let at = (1..=millis).filter(|_| self.advance(1).announced().0 > 0);
        let at: Vec<u64> = at.collect();
        self.out.clear();
        at
    }

    fn status(&mut self) -> String {
        match self.qmp("query-status", json!({})) {
            Outcome::Done(status) => status["status"].as_str().unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

fn parameters(initial: i64, max: i64, rounds: i64, step: i64) -> Value {
    json!({ "initial": initial, "max": max, "rounds": rounds, "step": step })
}

#[test]
fn an_announcement_is_what_qemu_sends() {
    let mut rig = rig(Start::default());
    assert_eq!(rig.announce(parameters(50, 550, 1, 100)), (1, 1));
    let [frame] = <[Bytes; 1]>::try_from(rig.frames("hn0")).unwrap();
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, format!("{}{MEASURED}{}", "00".repeat(12), "00".repeat(22)));
}

/// In the chain it has no virtio-net header, and a filter that announces one says it is there
/// (measured on QEMU 7.2.22: the length word is that of the frame alone).
#[test]
fn a_filter_sees_an_announcement_without_the_header() {
    let mut rig = rig(Start::default());
    rig.add("filter-mirror,id=m0,netdev=hn0,queue=rx,outdev=c0,vnet_hdr_support=on");
    rig.qmp("announce-self", parameters(50, 550, 1, 100));
    rig.announced();
    let bytes = rig.bytes("c0");
    assert_eq!(bytes[..8], [0, 0, 0, 60, 0, 0, 0, 12]);
    assert_eq!((bytes[8..14].to_vec(), bytes.len()), (vec![0xff; 6], 68));
}

#[rstest]
#[case::as_documented(50, 550, 5, 100, &[50, 200, 450, 800])]
#[case::at_most(50, 120, 4, 100, &[50, 170, 290])]
#[case::no_wait(0, 550, 3, 0, &[])]
#[case::below_zero(-1, 7, 3, 0, &[7, 14])]
#[case::once(50, 550, 1, 100, &[])]
fn rounds_wait_longer_and_longer(
    #[case] initial: i64,
    #[case] max: i64,
    #[case] rounds: i64,
    #[case] step: i64,
    #[case] expected: &[u64],
) {
    let mut rig = rig(Start::default());
    assert_eq!(rig.announce(parameters(initial, max, rounds, step)).0, 1);
    // Rounds without a wait are due at once.
    let (due, zero) = (rig.machine.deadline() == Some(rig.now), initial == 0 && step == 0);
    assert_eq!(due, zero);
    if zero {
        rig.input(Input::Tick);
        rig.input(Input::Tick);
        assert_eq!(rig.announced().0, 2);
    }
    assert_eq!(rig.rounds(1_000), expected);
    assert_eq!(rig.machine.deadline(), None);
}

/// A count below zero goes on, as QEMU's does.
#[test]
fn rounds_below_zero_do_not_end() {
    let mut rig = rig(Start::default());
    rig.announce(parameters(50, 60, -5, 100));
    assert_eq!(rig.rounds(200), [50, 110, 170]);
    assert!(rig.machine.deadline().is_some());
}

#[test]
fn a_frozen_main_loop_announces_nothing() {
    let mut rig = rig(Start::default());
    rig.add("filter-mirror,id=m0,netdev=hn0,queue=rx,outdev=c0");
    rig.state("c0", ChardevState::Stalled);
    let frame = Bytes::from(vec![0; 250_000]);
    rig.announce(parameters(50, 550, 2, 100));
    rig.input(Input::NetdevFrame { netdev: "nic".into(), data: frame, tag: None });
    assert!(rig.machine.is_frozen());
    assert_eq!(rig.machine.deadline(), None);
    rig.state("c0", ChardevState::Resumed);
    assert!(rig.machine.deadline().is_some());
}

/// As measured on QEMU 7.2.22 with `-machine none`: what the source did before, how the destination
/// was started and what it was told, and what it does in the end.
#[rstest]
#[case("", "", &[], "running")]
#[case("", "-S", &[], "paused")]
#[case("", "-S", &["cont"], "running")]
#[case("", "", &["stop"], "paused")]
#[case("stop", "", &[], "paused")]
#[case("stop", "", &["cont"], "paused")]
#[case("stop", "-S", &[], "paused")]
#[case("-S", "", &[], "prelaunch")]
fn a_destination_goes_on_as_the_source_did(
    #[case] before: &str,
    #[case] start: &str,
    #[case] told: &[&str],
    #[case] expected: &str,
) {
    let mut source = rig(Start { stopped: before == "-S", incoming: false });
    let mut destination = rig(Start { stopped: start == "-S", incoming: true });
    assert_eq!(destination.status(), "inmigrate");
    if before == "stop" {
        source.qmp("stop", json!({}));
    }
    for command in told {
        destination.qmp(command, json!({}));
        assert_eq!(destination.status(), "inmigrate");
    }
    let halt = source.machine.halt();
    assert_eq!(source.command(Command::MigrateOut), Outcome::Done(json!({})));
    assert_eq!(source.status(), "postmigrate");
    let migrated = Migrated { halt, clock: VirtualTime::ZERO };
    assert_eq!(destination.command(Command::MigrateIn(migrated)), Outcome::Done(json!({})));
    assert_eq!(destination.status(), expected);
    source.qmp("stop", json!({}));
    assert_eq!(source.status(), "postmigrate");
    source.qmp("cont", json!({}));
    assert_eq!(source.status(), "running");
}

#[test]
fn what_can_t_be_migrated_is_refused_in_qemus_words() {
    let text = |outcome| match outcome {
        Outcome::Refused(CommandError { desc, .. }) => desc,
        other => panic!("{other:?}"),
    };
    let mut waiting = rig(Start { stopped: false, incoming: true });
    let refused = text(waiting.command(Command::MigrateOut));
    assert_eq!(refused, "Guest is waiting for an incoming migration");
    let mut gone = rig(Start::default());
    gone.command(Command::MigrateOut);
    let refused = text(gone.command(Command::MigrateOut));
    assert_eq!(refused, "Can't migrate the vm that was paused due to previous migration");
    let migrated = Migrated { halt: None, clock: VirtualTime::ZERO };
    assert_eq!(text(gone.command(Command::MigrateIn(migrated))), "no migration is awaited");
}

/// The guest is asked on the VM's clock, which stands while it is stopped; a NIC announces itself all
/// the while.
#[test]
fn a_guest_that_has_arrived_is_asked_while_it_runs() {
    let mut rig = rig(Start { stopped: false, incoming: true });
    rig.advance(300);
    let halt = Some(Halt::Paused);
    let clock = VirtualTime::ZERO + Duration::from_millis(40);
    rig.command(Command::MigrateIn(Migrated { halt, clock }));
    assert_eq!(rig.announced(), (1, 0));
    assert_eq!(rig.advance(10_000).announced(), (4, 0));
    rig.qmp("cont", json!({}));
    assert_eq!(rig.machine.vm_clock(rig.now), clock);
    assert_eq!(rig.advance(0).announced(), (0, 1));
    // While it is asked by itself, rounds of the NIC do not ask too.
    assert_eq!(rig.announce(parameters(50, 550, 1, 100)), (1, 0));
    assert_eq!(rig.advance(800).announced(), (0, 4));
    assert_eq!(rig.announce(parameters(50, 550, 1, 100)), (1, 1));
}
