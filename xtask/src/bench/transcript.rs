//! A long record: labels and text.

use std::{fmt::Write, hint::black_box, time::Duration};

use bytes::Bytes;
use tapwright::{
    base::{CaseId, Frame, Profile, Tag, VirtualTime},
    format,
    reading::Reading,
    record::{
        Accounting, Arrival, Deed, Framing, Item, Port, PortKind, SentFrame, Step, Transcript,
    },
};

use super::{
    BenchError,
    lap::{Row, timed},
};

const FRAMES: u32 = 100_000;
const STEPS: u32 = 100;

/// Bytes of a frame: Ethernet, IPv4 and UDP headers and a number.
const LENGTH: usize = 64;

pub(super) fn row() -> Result<Row, BenchError> {
    let record = transcript();
    let frames: Vec<Bytes> = record
        .steps
        .iter()
        .flat_map(|step| &step.sent)
        .map(|sent| sent.frame.data.clone())
        .collect();
    let subject = move || {
        timed(|| {
            let reading = Reading::of(black_box(record.clone()));
            let lines = black_box(format::text(&reading)).lines().count();
            // A sent frame has its summary and its bytes.
            if lines > 2 * FRAMES as usize {
                return Ok(());
            }
            Err(BenchError::Wrong(format!("{lines} lines")))
        })
    };
    let baseline = move || {
        timed(|| {
            let mut text = String::new();
            for byte in frames.iter().flatten() {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02x}");
            }
            black_box(text);
            Ok(())
        })
    };
    Ok(Row {
        subject: ("labels and text", Box::new(subject)),
        baseline: ("its bytes through fmt as hex", Box::new(baseline)),
        of: "frame",
        count: FRAMES,
        baseline_count: FRAMES,
        goal: None,
    })
}

/// Distinct frames of a few flows, each of which comes out at the host and, framed, on a chardev.
fn transcript() -> Transcript {
    let port = |id: &str, kind| Port { id: id.into(), kind };
    let arrival = |port: &str, item, tag| Arrival {
        port: port.into(),
        item,
        tag: Some(tag),
        at: VirtualTime::ZERO,
    };
    let mut steps = Vec::new();
    for index in 1..=STEPS {
        let mut step = Step {
            index: index as usize,
            title: "send hn0.guest".to_owned(),
            deed: Deed::Sends("hn0.guest".into()),
            line: index as usize,
            ..Step::default()
        };
        for number in (index - 1) * (FRAMES / STEPS)..index * (FRAMES / STEPS) {
            let (tag, frame) = (Tag::sent(number + 1), udp(number));
            let framed = [&(LENGTH as u32).to_be_bytes()[..], &frame].concat();
            step.arrivals.push(arrival("hn0.host", Item::Frame(Frame::plain(frame.clone())), tag));
            step.arrivals.push(arrival("r0", Item::Bytes(framed.into()), tag));
            step.sent.push(SentFrame {
                tag,
                port: "hn0.guest".into(),
                frame: Frame::plain(frame),
                source: None,
            });
        }
        steps.push(step);
    }
    Transcript {
        case: CaseId::from("bench"),
        profile: Profile::default(),
        backend: "sim",
        ports: vec![
            port("hn0.guest", PortKind::Guest),
            port("hn0.host", PortKind::Host),
            port("r0", PortKind::Chardev(Framing::Plain)),
        ],
        steps,
        accounting: Accounting::default(),
        duration: Duration::ZERO,
    }
}

pub(super) fn udp(number: u32) -> Bytes {
    let mut frame = Vec::with_capacity(LENGTH);
    frame.extend(b"\x02\x00\x00\x00\x00\x01\x52\x54\x00\x12\x34\x56\x08\x00");
    frame.extend(
        b"\x45\x00\x00\x32\x00\x01\x00\x00\x40\x11\x66\xb8\x0a\x00\x00\x01\x0a\x00\x00\x02",
    );
    frame.extend([0x0f, (number % 16) as u8, 0, 9, 0, 0x1e, 0, 0]);
    frame.extend(number.to_be_bytes());
    frame.resize(LENGTH, 0x5a);
    frame.into()
}
