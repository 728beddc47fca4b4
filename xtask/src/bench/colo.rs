//! A COLO pair: what a client sends is mirrored to two guests, which send it back through
//! redirectors, rewriter and comparer. The guests and the client are the generator.

use std::time::Duration;

use bytes::Bytes;
use tapwright::{
    backend::{Action, Backend, Deadline, Sim, World},
    base::PortId,
    guest::{Call, pattern},
    record::Outcome,
    scenario::Client,
};

use super::{
    BenchError,
    case::parse,
    lap::{Lap, Row, timed},
};

/// The canonical pair with guests, as the suite has it; its last case is that of `ideal`.
const PAIR: &str = include_str!("../../../scenarios/colo/exchange.yaml");

/// Packets of a lap: with the usual number of laps, and the one that is not counted, a million.
const PACKETS: u32 = 62_500;

/// Bytes that go there and back over one connection.
const PAYLOAD: usize = 60_000;

/// Bytes that the baseline copies for a packet: a full segment.
const SEGMENT: usize = 1514;

pub(super) fn row() -> Result<Row, BenchError> {
    let case = parse(PAIR)?;
    let mut world = Sim.open(&case)?;
    for object in &case.objects {
        world.act(Action::ObjectAdd(object))?;
    }
    world.settle(&Deadline::NEVER)?;
    let payload = Bytes::from(pattern(0, PAYLOAD));
    let client = Client {
        from: PortId::from("primary/hn0.host"),
        call: Call {
            to: std::net::SocketAddrV4::new([10, 0, 0, 2].into(), 7),
            send: payload.clone(),
            expect: Some(payload),
            close: true,
        },
        within: Some(Duration::from_secs(1)),
    };
    // What is left of a lap's last connection is the next lap's.
    let mut ahead = 0;
    let subject = move || {
        timed(|| {
            while ahead < PACKETS {
                ahead += exchange(world.as_mut(), &client)?;
            }
            ahead -= PACKETS;
            Ok(())
        })
    };
    Ok(Row {
        subject: ("a COLO pair in sim", Box::new(subject)),
        baseline: ("memcpy", copies()),
        of: "packet",
        count: PACKETS,
        baseline_count: 10 * PACKETS,
        goal: None,
    })
}

/// One connection; how many packets client and guests sent for it.
fn exchange(world: &mut dyn World, client: &Client) -> Result<u32, BenchError> {
    world.act(Action::Client(client))?;
    world.settle(&Deadline::NEVER)?;
    match world.act(Action::ClientAnswer)?.map(|answer| answer.outcome) {
        Some(Outcome::Done(_)) => {}
        other => return Err(BenchError::Wrong(format!("{other:?}"))),
    }
    // Who closed first waits a while for stray segments.
    world.act(Action::Advance(Duration::from_secs(20)))?;
    world.settle(&Deadline::NEVER)?;
    Ok(u32::try_from(world.observe().sent.len()).unwrap_or(u32::MAX))
}

fn copies() -> Lap {
    let (from, mut to) = (vec![0x5a_u8; SEGMENT], vec![0; SEGMENT]);
    Box::new(move || {
        timed(|| {
            for _ in 0..10 * PACKETS {
                std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
            }
            Ok(())
        })
    })
}
