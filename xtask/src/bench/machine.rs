//! The machine alone, and a whole world around it: a TAP's frame passes a mirror and is taken by a
//! redirector.

use std::hint::black_box;

use bytes::Bytes;
use serde_json::{Value, json};
use tapwright::{
    backend::{Action, Backend, Deadline, Sim, World},
    base::{Direction, Frame, PortId, Profile, Tag, VirtualTime},
    machine::{
        CharBackend, ChardevConfig, Command, CommandId, Config, Input, Machine, NetdevConfig,
        NetdevKind, Output,
    },
    record::Outcome,
};

use super::{
    BenchError,
    case::parse,
    lap::{Lap, Row, timed},
};

const FRAMES: u32 = 20_000;

/// Copies are cheap: more of them fill the time that the clock needs.
const COPIES: u32 = 50 * FRAMES;

const SCENARIO: &str = "description: a mirror and a redirector
netdevs: {hn0: {type: tap}}
chardevs: {m0: {}, r0: {}}
objects:
  - filter-mirror,id=f0,netdev=hn0,queue=tx,outdev=m0
  - filter-redirector,id=f1,netdev=hn0,queue=tx,outdev=r0
";

/// An Ethernet frame of a type that nobody knows, from the host to the guest.
pub(super) fn frame(length: usize) -> Bytes {
    let mut frame = vec![0x5a; length];
    frame[..14].copy_from_slice(b"\x52\x54\x00\x12\x34\x56\x02\x00\x00\x00\x00\x01\x88\xb5");
    frame.into()
}

pub(super) fn machine(length: usize) -> Result<Row, BenchError> {
    let frame = frame(length);
    let copied = frame.clone();
    let machine = chain(
        false,
        &[
            json!({"qom-type": "filter-mirror", "id": "f0", "netdev": "hn0", "queue": "tx",
                "outdev": "m0"}),
            json!({"qom-type": "filter-redirector", "id": "f1", "netdev": "hn0", "queue": "tx",
                "outdev": "r0"}),
        ],
    )?;
    let input = move || Input::NetdevFrame { netdev: "hn0".into(), data: frame.clone(), tag: None };
    let subject = handling(machine, input, 4);
    Ok(row("mirror and redirector", subject, copied))
}

/// A frame that AF_PACKET captured, with its virtio-net header.
pub(super) fn captured(length: usize) -> Result<Row, BenchError> {
    let frame = Frame::plain(frame(length));
    let copied = frame.data.clone();
    let machine = chain(
        true,
        &[json!({"qom-type": "filter-redirector", "id": "f0", "netdev": "hn0", "queue": "rx",
                "in_netdev": "hn0", "outdev": "r0", "vnet_hdr_support": true})],
    )?;
    let input = move || Input::Captured {
        netdev: "hn0".into(),
        direction: Direction::Rx,
        frame: frame.clone(),
        tag: None,
    };
    let subject = handling(machine, input, 3);
    Ok(row("a redirector that captures", subject, copied))
}

/// Gives a machine its frames; each must leave as so many writes to chardevs.
fn handling(mut machine: Machine, input: impl Fn() -> Input + 'static, writes: usize) -> Lap {
    let mut out = Vec::new();
    Box::new(move || {
        timed(|| {
            for _ in 0..FRAMES {
                machine.handle(VirtualTime::ZERO, input(), &mut out);
                taken(&out, writes)?;
                out.clear();
            }
            Ok(())
        })
    })
}

pub(super) fn sim(length: usize) -> Result<Row, BenchError> {
    let case = parse(SCENARIO)?;
    let frame = Frame::plain(frame(length));
    let copied = frame.data.clone();
    let port = PortId::from("hn0.host");
    let mut world = Sim.open(&case)?;
    for object in &case.objects {
        world.act(Action::ObjectAdd(object))?;
    }
    world.settle(&Deadline::NEVER)?;
    let subject = move || timed(|| send(world.as_mut(), &port, &frame, FRAMES, 4));
    Ok(row("the same in a world of sim", Box::new(subject), copied))
}

/// Sends frames one at a time, as the executor does; each must bring so many arrivals.
pub(super) fn send(
    world: &mut dyn World,
    port: &PortId,
    frame: &Frame,
    count: u32,
    arrivals: usize,
) -> Result<(), BenchError> {
    for number in 1..=count {
        world.act(Action::Send { port, frame, tag: Tag::sent(number), chunk: None })?;
        world.settle(&Deadline::NEVER)?;
        let came = black_box(world.observe()).arrivals.len();
        if came != arrivals {
            return Err(BenchError::Wrong(format!("{came} arrivals of a frame")));
        }
    }
    Ok(())
}

fn row(what: &'static str, subject: Lap, copied: Bytes) -> Row {
    let mut to = vec![0; copied.len()];
    let baseline = move || {
        timed(|| {
            for _ in 0..COPIES {
                black_box(&mut to).copy_from_slice(black_box(&copied));
            }
            Ok(())
        })
    };
    Row {
        subject: (what, subject),
        baseline: ("memcpy", Box::new(baseline)),
        of: "frame",
        count: FRAMES,
        baseline_count: COPIES,
        goal: None,
    }
}

/// The TAP of [`chain`].
pub(super) const FILTERED: &str = "hn0";

/// The guest's NIC of [`chain`].
pub(super) const GUEST: &str = "guest";

/// A TAP with a guest's NIC as its peer, and filters.
pub(super) fn chain(vhost: bool, filters: &[Value]) -> Result<Machine, BenchError> {
    let netdev = |id: &str, kind, peer: Option<&str>| NetdevConfig {
        id: id.into(),
        kind,
        peer: peer.map(Into::into),
    };
    let chardev = |id: &str| ChardevConfig {
        id: id.into(),
        backend: CharBackend::Socket { server: true, reconnect: false, monitor: false },
        connected: true,
    };
    let tap = NetdevKind::Tap { queues: 1, vhost, vnet_hdr_len: 0 };
    let mut machine = Machine::new(Config {
        profile: Profile::default(),
        netdevs: vec![
            netdev(FILTERED, tap, None),
            netdev(GUEST, NetdevKind::Nic { vnet_hdr_len: 0 }, Some(FILTERED)),
        ],
        chardevs: vec![chardev("m0"), chardev("r0"), chardev("out0")],
        iothreads: vec!["io0".into()],
        ..Config::default()
    })?;
    for args in filters {
        let mut out = Vec::new();
        let input = Input::Command {
            id: CommandId(0),
            command: Command::Qmp { name: "object-add".to_owned(), args: args.clone() },
        };
        machine.handle(VirtualTime::ZERO, input, &mut out);
        let done =
            |output: &Output| matches!(output, Output::Answer { outcome: Outcome::Done(_), .. });
        if !out.iter().any(done) {
            return Err(BenchError::Wrong(format!("object-add: {out:?}")));
        }
    }
    Ok(machine)
}

/// Each frame leaves as this many writes to chardevs.
pub(super) fn taken(out: &[Output], writes: usize) -> Result<(), BenchError> {
    let written = out.iter().filter(|output| matches!(output, Output::ChardevBytes { .. })).count();
    if written == writes {
        return Ok(());
    }
    Err(BenchError::Wrong(format!("{written} writes for a frame")))
}
