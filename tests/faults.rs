//! What a person reads of a failing case: seeded faults, each planted in a run whose snapshot was
//! reviewed, and the whole message.

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use rstest::rstest;
use tapwright::{
    backend::{Backend, Deadline, Sim},
    base::Frame,
    compare::Rules,
    diag::Source,
    file::Scope,
    format,
    reading::Reading,
    record::{Answer, Item, Outcome, Transcript},
    report::{Events, Human, Reporter, record::CaseRecord},
    runner::{CaseResult, Problem, RunEvent, Runs, Status, Totals, exec},
    scenario::{self, Case, Disk},
    snapshot::{self, Content, Mode, Recorded, State},
};

/// Three datagrams of one flow, in a burst, through a mirror.
const BURST: &str = "\
description: What the guest sends reaches the host, and a copy of it the mirror's outdev.
netdevs:
  hn0: {}
chardevs:
  out0: { framing: plain }
objects:
  - filter-mirror,id=m0,netdev=hn0,queue=rx,outdev=out0
steps:
  - send: hn0.guest
    burst: true
    repeat: 3
    frames:
      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 4000, dport: 9 }
        payload: \"number ${i}\"
";

/// A rewriter that is off, so that the connection goes through as it is.
const CONNECTION: &str = "\
description: A connection of the client with the secondary, not translated.
netdevs:
  hn0: {}
chardevs:
  mir0: {}
objects:
  - filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=mir0
  - filter-rewriter,id=rew0,netdev=hn0,queue=all,status=off
steps:
  - send: hn0.host
    frames: [{ eth: { pad_to: 60 }, ipv4: { src: 10.0.0.9, dst: 10.0.0.2 }, tcp: { sport: 4000, dport: 80, flags: S, seq: 1999 } }]
  - send: hn0.guest
    frames: [{ eth: { pad_to: 60 }, ipv4: { src: 10.0.0.2, dst: 10.0.0.9 }, tcp: { sport: 80, dport: 4000, flags: SA, seq: 5000, ack: 2000 } }]
  - send: hn0.host
    frames: [{ eth: { pad_to: 60 }, ipv4: { src: 10.0.0.9, dst: 10.0.0.2 }, tcp: { sport: 4000, dport: 80, flags: A, seq: 2000, ack: 1001 } }]
";

/// Two tagged frames through a redirector, and one that is not.
const TAGGED: &str = "\
description: Tagged frames keep their tag on the way to the outdev.
netdevs:
  hn0: {}
chardevs:
  out0: {}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=rx,outdev=out0
steps:
  - send: hn0.guest
    frames:
      - { vlan: { id: 100, pcp: 3 }, ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 4000, dport: 9 }, payload: tagged }
      - { ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 4000, dport: 9 }, payload: plain }
";

/// A frame from an indev.
const INJECTED: &str = "\
description: What comes from the indev is for the guest.
netdevs:
  hn0: {}
chardevs:
  in0: {}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,indev=in0
steps:
  - send: in0
    frames:
      - eth: { src: \"02:00:00:00:00:01\", dst: \"52:54:00:12:34:56\" }
        ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 4000, dport: 9 }
        payload: \"for the guest, and long enough not to be padded\"
";

/// A frame, and time that passes after it.
const IN_TIME: &str = "\
description: What the host sends reaches the guest at once.
netdevs:
  hn0: {}
objects:
  - filter-mirror,id=m0,netdev=hn0,queue=tx,status=off,outdev=out0
chardevs:
  out0: {}
steps:
  - send: hn0.host
    frames:
      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 4000, dport: 9 }
        payload: \"at once, and long enough not to be padded\"
  - advance: 100ms
";

/// A refusal that a step expects.
const REFUSED: &str = "\
description: A redirector whose indev is its outdev is refused.
netdevs:
  hn0: {}
chardevs:
  out0: {}
steps:
  - object-add: { qom-type: filter-redirector, id: f0, netdev: hn0, indev: out0, outdev: out0 }
    error: \"'indev' and 'outdev' could not be same for filter redirector\"
";

/// What a guest sends to a redirector's outdev, and what a client sends past it; both are expected.
const EXPECTED: &str = "\
description: What the guest sends reaches the redirector's outdev, and what the host sends the guest.
netdevs:
  hn0: {}
  hn1: {}
chardevs:
  out0: {}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=rx,outdev=out0
steps:
  - send: hn0.guest
    frames:
      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 4000, dport: 9 }
        payload: \"for the outdev, and long enough not to be padded\"
  - send: hn0.host
    frames:
      - ipv4: { src: 10.0.0.2, dst: 10.0.0.1 }
        udp: { sport: 9, dport: 4000 }
        payload: { fill: 5a, len: 600 }
  - expect:
      out0: 1
      hn0.guest: 1
  - advance: 100ms
";

/// The same without a filter, so that the guest's frame reaches the TAP.
const PASSED: &str = "\
description: What the guest sends reaches the host.
netdevs:
  hn0: {}
steps:
  - send: hn0.guest
    frames:
      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 4000, dport: 9 }
        payload: \"for the host, and long enough not to be padded\"
  - expect:
      hn0.host: 1
";

/// A guest behind vhost.
const BEHIND_VHOST: &str = "\
description: What the host sends reaches a guest behind vhost.
netdevs:
  hn0: { vhost: true, nic: virtio }
steps:
  - send: hn0.host
    frames:
      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 4000, dport: 9 }
        payload: \"for the guest, and long enough not to be padded\"
  - expect:
      hn0.guest: 1
";

/// A comparer and both guests' frames.
const COMPARED: &str = "\
description: What both guests send alike leaves once.
profile: qemu-10.2
chardevs:
  pri: {}
  sec: {}
  out: {}
objects:
  - iothread,id=io0
  - colo-compare,id=comp0,primary_in=pri,secondary_in=sec,outdev=out,iothread=io0
steps:
  - send: sec
    frames:
      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 4000, dport: 9 }
        payload: compared
  - send: pri
    frames:
      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 4000, dport: 9 }
        payload: compared
  - expect:
      out: 1
";

/// What is expected byte for byte.
const EXACT: &str = "\
description: The mirror's outdev gets just what the host sends.
netdevs:
  hn0: {}
chardevs:
  out0: {}
objects:
  - filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=out0
steps:
  - send: hn0.host
    frames:
      - { ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 4000, dport: 9 }, payload: \"exactly so, and long enough not to be padded\" }
  - expect:
      out0:
        - { ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }, udp: { sport: 4000, dport: 9 }, payload: \"exactly so, and long enough not to be padded\" }
";

/// How a fault comes about.
enum Plant {
    /// The network, an object or an expectation is another.
    Scenario(&'static str, &'static str),
    /// The record is another, as an object or a kernel would make it that is wrong in this way.
    Record(fn(&mut Transcript)),
}

use Plant::{Record, Scenario};

#[rstest]
#[case::wrong_ack(CONNECTION, Scenario("queue=all,status=off", "queue=all"))]
#[case::lost(
    BURST,
    Scenario("steps:", "impair: { hn0.guest: { out: { loss: 20%, seed: 11 } } }\nsteps:")
)]
#[case::swapped(
    BURST,
    Scenario(
        "steps:",
        "impair: { hn0.host: { in: { delay: 5ms, jitter: 4ms, seed: 1 } } }\nsteps:"
    )
)]
#[case::duplicate(
    BURST,
    Scenario("steps:", "impair: { hn0.guest: { out: { duplicate: 30%, seed: 6 } } }\nsteps:")
)]
#[case::wrong_length(BURST, Record(wrong_length))]
#[case::wrong_framing(
    BURST,
    Scenario("queue=rx,outdev=out0", "queue=rx,outdev=out0,vnet_hdr_support=on")
)]
#[case::missing_tag(TAGGED, Record(missing_tag))]
#[case::bad_checksum(BURST, Record(bad_checksum))]
#[case::corrupted(
    BURST,
    Scenario("steps:", "impair: { hn0.guest: { out: { corrupt: 40%, seed: 1 } } }\nsteps:")
)]
#[case::wrong_direction(INJECTED, Scenario("queue=tx", "queue=rx"))]
#[case::late(
    IN_TIME,
    Scenario("chardevs:", "  - filter-buffer,id=b0,netdev=hn0,queue=tx,interval=50000\nchardevs:")
)]
#[case::wrong_error(REFUSED, Scenario("could not be same", "could not be the same"))]
#[case::another_error(REFUSED, Record(another_error))]
#[case::switched_off(EXPECTED, Scenario("outdev=out0", "outdev=out0,status=off"))]
#[case::off_in_time(
    EXPECTED,
    Scenario(
        "steps:",
        "steps:\n  - qom-set: { path: /objects/f0, property: status, value: \"off\" }"
    )
)]
#[case::other_queue(EXPECTED, Scenario("queue=rx", "queue=tx"))]
#[case::wrong_netdev(EXPECTED, Scenario("netdev=hn0", "netdev=hn1"))]
#[case::outdev_without_client(EXPECTED, Scenario("out0: {}", "out0: { connected: false }"))]
#[case::outdev_closed_by_a_step(EXPECTED, Scenario("steps:", "steps:\n  - chardev-close: out0"))]
#[case::refused(EXPECTED, Scenario("outdev=out0", "outdev=out0,indev=out0"))]
#[case::buffered(
    EXPECTED,
    Scenario("steps:", "  - filter-buffer,id=b0,netdev=hn0,queue=tx,interval=50000\nsteps:")
)]
#[case::too_long(EXPECTED, Scenario("hn0: {}", "hn0: { mtu: 576 }"))]
#[case::link_down(EXPECTED, Scenario("steps:", "steps:\n  - set_link: { name: hn0, up: false }"))]
#[case::too_many(EXPECTED, Scenario("out0: 1", "out0: 0"))]
#[case::too_short(
    PASSED,
    Scenario(
        "\
      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }
        udp: { sport: 4000, dport: 9 }
        payload: \"for the host, and long enough not to be padded\"
",
        "      - hex: \"0102030405060708\"\n"
    )
)]
#[case::other_way(PASSED, Scenario("send: hn0.guest", "send: hn0.host"))]
#[case::indev_without_client(INJECTED, Scenario("in0: {}", "in0: { connected: false }"))]
#[case::vhost_stopped(BEHIND_VHOST, Scenario("steps:", "steps:\n  - stop: {}"))]
#[case::unpaired(COMPARED, Scenario("send: sec", "send: pri"))]
#[case::tagged(
    EXACT,
    Scenario("frames:\n      - { ipv4", "frames:\n      - { vlan: { id: 7 }, ipv4")
)]
fn a_fault_is_understood_from_the_terminal_alone(#[case] good: &str, #[case] plant: Plant) {
    let thread = std::thread::current();
    let name = thread.name().expect("a test has a name");
    let name = name
        .rsplit("case_")
        .next()
        .expect("a name")
        .trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
    let directory = tempfile::tempdir().expect("a directory");
    let file = format!("{name}.yaml");
    let path = directory.path().join(&file);
    fs::write(&path, good).expect("written");
    run(directory.path(), &file, "--accept", 0);
    let told = match plant {
        Scenario(from, to) => {
            assert!(good.contains(from), "{from}");
            fs::write(&path, good.replacen(from, to, 1)).expect("written");
            run(directory.path(), &file, "--ci", 1)
        }
        Record(change) => changed(&path, change),
    };
    let (_, told) = told.split_once("\n\n").expect("a failure");
    let (told, _) = told.split_once("\n\n").expect("a summary");
    insta::assert_snapshot!(name, told);
}

fn run(directory: &Path, file: &str, how: &str, code: i32) -> String {
    let output = test_support::tapwright(directory, &["run", "--backend", "sim", how, file]);
    let text = String::from_utf8(output.stdout).expect("text");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}{errors}");
    text
}

/// Runs the scenario, changes its record, and tells what a run tells that recorded so.
fn changed(path: &Path, change: fn(&mut Transcript)) -> String {
    let root = path.parent().expect("a directory");
    let scenario = scenario::load(path, root, &Disk).expect("a scenario");
    let case = &scenario.cases[0];
    let world = Sim.open(case).expect("a world");
    let executed = exec(case, world, Sim.name(), &Deadline::NEVER);
    let mut transcript = executed.reading.transcript().clone();
    change(&mut transcript);
    let reading = Reading::of(transcript);
    let recorded = Recorded {
        section: format::section_name(&case.id).to_owned(),
        profile: case.profile.clone(),
        content: Content::Record { reading: &reading, rules: Rules::default() },
    };
    let sections = [recorded.section.clone()];
    let checked =
        snapshot::check(path, &[recorded], &sections, Mode::Check, Scope::Root).expect("checked");
    let State::Differs(mismatch) = checked.verdicts[0].state.clone() else {
        panic!("the fault is not seen: {checked:?}");
    };
    let source =
        Source { path: path.file_name().expect("a name").into(), text: case.source.text.clone() };
    let result = CaseResult {
        case: Case { source: source.into(), ..(**case).clone() }.into(),
        backend: Sim.name().to_owned(),
        status: Status::Failed { problems: vec![Problem::Mismatch(mismatch)] },
        runs: Runs { passed: 0, failed: 1 },
        failing: Vec::new(),
        duration: Duration::ZERO,
        reading: Some(reading.into()),
        agreement: Vec::new(),
        notes: Vec::new(),
    };
    let mut told = anstream::StripStream::new(Vec::new());
    let mut human = Human::new(&mut told);
    let finished = RunEvent::Finished { totals: Totals::default(), duration: Duration::ZERO };
    let record = CaseRecord::new(&result, Events::OfFailures);
    for event in [RunEvent::CaseFinished(Box::new(record)), finished] {
        human.event(&event).expect("told");
    }
    drop(human);
    String::from_utf8(told.into_inner()).expect("text")
}

/// What came out of a port in the first step.
fn items<'t>(record: &'t mut Transcript, port: &str) -> Vec<&'t mut Item> {
    let step = record.steps.iter_mut().find(|step| step.index == 1);
    let arrivals = &mut step.expect("a first step").arrivals;
    let here = arrivals.iter_mut().filter(|arrival| arrival.port.as_str() == port);
    here.map(|arrival| &mut arrival.item).collect()
}

/// Changes the bytes that came out of a chardev.
fn bytes(record: &mut Transcript, port: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut all = Vec::new();
    for item in items(record, port) {
        let Item::Bytes(bytes) = item else {
            panic!("not bytes: {item:?}");
        };
        all.extend(std::mem::take(bytes));
    }
    change(&mut all);
    *items(record, port)[0] = Item::Bytes(all.into());
}

/// The second frame is said to be four bytes longer than it is.
fn wrong_length(record: &mut Transcript) {
    bytes(record, "out0", |bytes| {
        let first = usize::from(bytes[3]) + 4;
        bytes[first + 3] += 4;
    });
}

/// A kernel that takes the tag away and nobody who puts it back.
fn missing_tag(record: &mut Transcript) {
    bytes(record, "out0", |bytes| {
        bytes.drain(4 + 12..4 + 16);
        bytes[3] -= 4;
    });
}

/// Whoever counts a hop does not mend the checksum.
fn bad_checksum(record: &mut Transcript) {
    let Item::Frame(frame) = &mut *items(record, "hn0.host").remove(1) else {
        panic!("not a frame");
    };
    let mut data = frame.data.to_vec();
    data[41] ^= 0x10;
    *frame = Frame::plain(Bytes::from(data));
}

/// QEMU says it in other words.
fn another_error(record: &mut Transcript) {
    let answers = record.steps.iter_mut().flat_map(|step| &mut step.answers);
    for Answer { outcome, .. } in answers {
        if let Outcome::Refused(error) = outcome {
            error.desc = error.desc.replace("could not", "can not");
        }
    }
}

/// Every output that the documentation shows is one of those that are tested.
#[test]
fn what_the_documentation_shows_is_real() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/failures.md")).expect("the page");
    let snapshots = fs::read_dir(root.join("tests/snapshots")).expect("the snapshots");
    let tested: Vec<String> = snapshots
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "snap"))
        .map(|path| trimmed(&fs::read_to_string(path).expect("a snapshot")))
        .collect();
    let blocks: Vec<&str> = page
        .split("```text\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a block"))
        .collect();
    assert!(blocks.len() > 8, "{blocks:?}");
    for block in blocks {
        let shown = trimmed(block);
        let real = tested.iter().any(|text| text.contains(&shown));
        assert!(real, "not real:\n{shown}");
    }
}

/// Without blanks at the ends of lines, which nobody sees.
fn trimmed(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}
