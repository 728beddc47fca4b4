//! colo-compare between three streams, the machine's beside a real QEMU's: the same packets over the
//! same kind of sockets.

use std::{
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;
use tapwright::{
    backend::qemu::{Arguments, Program},
    base::VirtualTime,
    machine::{Input, Output},
};

use super::{
    BenchError,
    course::{BURST, Course},
    io_error,
    lap::Row,
    load::MSS,
    machine::chain,
    redirect::{FRAMING, pair, running},
    segment::{ACK, HEADERS, SEQ, Segment},
};

/// Packets of the primary in a lap.
const PACKETS: u32 = 50_000;

/// Packets on their way at once: fewer than the 1,024 that a connection's queue takes in QEMU
/// (`net/colo-compare.c`, `MAX_QUEUE_SIZE`).
const WINDOW: u64 = 512;

/// How the secondary sends what the primary sends.
#[derive(Clone, Copy)]
pub(super) enum Traffic {
    /// The same segments.
    Equal,
    /// Two segments for each of the primary's.
    Pieces,
}

impl Traffic {
    /// Segments of the secondary's for each of the primary's.
    fn pieces(self) -> usize {
        match self {
            Self::Equal => 1,
            Self::Pieces => 2,
        }
    }
}

pub(super) fn row(qemu: &Path, traffic: Traffic) -> Result<Row, BenchError> {
    let program = Program::bare(qemu).map_err(|error| BenchError::Skipped(error.to_string()))?;
    Ok(Row {
        subject: ("the machine's", ours(traffic)?.into_lap(PACKETS)),
        baseline: ("a real QEMU's", by_qemu(&program, traffic)?.into_lap(PACKETS)),
        of: "packet of the primary",
        count: PACKETS,
        baseline_count: PACKETS,
        goal: Some(2.0),
    })
}

/// The ends of a comparer's streams that are its own.
struct Ends {
    primary: UnixStream,
    secondary: UnixStream,
    out: UnixStream,
}

/// The course whose middle is yet to be set up.
fn course(traffic: Traffic) -> Result<(Course, Ends), BenchError> {
    let ((mut primary, primary_in), (mut secondary, secondary_in)) = (pair()?, pair()?);
    let (out, theirs) = pair()?;
    for stream in [&primary, &secondary] {
        let limit = Some(Duration::from_secs(10));
        stream.set_write_timeout(limit).map_err(io_error("a primary's stream"))?;
    }
    let (mut whole, mut pieces) = (Segments::new(1), Segments::new(traffic.pieces()));
    let mut course = Course::new(WINDOW, move |count| {
        let written = primary
            .write_all(whole.next(count))
            .and_then(|()| secondary.write_all(pieces.next(count)));
        written.map_err(io_error("a comparer's stream"))
    });
    course.read(out, FRAMING + HEADERS + MSS);
    Ok((course, Ends { primary: primary_in, secondary: secondary_in, out: theirs }))
}

/// A connection's segments, framed: a burst of them, whose sequence numbers go on.
struct Segments {
    bytes: Vec<u8>,
    each: usize,
    pieces: usize,
    seq: u32,
}

impl Segments {
    fn new(pieces: usize) -> Self {
        let payload = MSS / pieces;
        let segment = Segment { flags: ACK, payload, ..Segment::default() }.bytes();
        let mut framed = (segment.len() as u32).to_be_bytes().to_vec();
        framed.extend(segment);
        let bytes = framed.repeat(BURST as usize * pieces);
        Self { bytes, each: framed.len(), pieces, seq: 1 }
    }

    /// So many payloads of [`MSS`] bytes.
    fn next(&mut self, count: usize) -> &[u8] {
        const AT: usize = FRAMING + SEQ;
        let payload = MSS / self.pieces;
        let used = &mut self.bytes[..count * self.pieces * self.each];
        for segment in used.chunks_exact_mut(self.each) {
            segment[AT..AT + 4].copy_from_slice(&self.seq.to_be_bytes());
            self.seq = self.seq.wrapping_add(payload as u32);
        }
        used
    }
}

/// A thread with the machine between the streams.
fn ours(traffic: Traffic) -> Result<Course, BenchError> {
    let (course, ends) = course(traffic)?;
    // It ends with the streams; a lap whose packets do not arrive says what went wrong.
    thread::spawn(move || compare(ends));
    Ok(course)
}

fn compare(ends: Ends) -> Result<(), BenchError> {
    let Ends { mut primary, mut secondary, mut out } = ends;
    let mut machine = chain(
        false,
        &[json!({"qom-type": "colo-compare", "id": "f0", "primary_in": "m0",
            "secondary_in": "r0", "outdev": "out0", "iothread": "io0"})],
    )?;
    let (began, mut outputs, mut written) = (Instant::now(), Vec::new(), Vec::new());
    let mut piece = vec![0; 64 << 10];
    loop {
        let readable = {
            let mut polled =
                [&primary, &secondary].map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN));
            poll(&mut polled, PollTimeout::NONE).map_err(|errno| io_error("poll")(errno.into()))?;
            polled.map(|one| one.any().unwrap_or_default())
        };
        for (chardev, stream, _) in
            [("m0", &mut primary, readable[0]), ("r0", &mut secondary, readable[1])]
                .into_iter()
                .filter(|(.., readable)| *readable)
        {
            let length = stream.read(&mut piece).map_err(io_error("a comparer's stream"))?;
            if length == 0 {
                return Ok(());
            }
            let data = piece[..length].to_vec().into();
            let now = VirtualTime::ZERO + began.elapsed();
            let input = Input::ChardevBytes { chardev: chardev.into(), data, tag: None };
            machine.handle(now, input, &mut outputs);
        }
        for output in outputs.drain(..) {
            if let Output::ChardevBytes { data, .. } = output {
                written.extend_from_slice(&data);
            }
        }
        out.write_all(&written).map_err(io_error("a comparer's stream"))?;
        written.clear();
    }
}

/// A QEMU between the streams.
fn by_qemu(program: &Program, traffic: Traffic) -> Result<Course, BenchError> {
    let (mut course, ends) = course(traffic)?;
    let mut arguments = Arguments::default();
    for (id, end) in [("m0", ends.primary), ("r0", ends.secondary), ("out0", ends.out)] {
        let end = arguments.inherit(end.into());
        arguments.push("-chardev", &format!("socket,id={id},fd={end}"));
    }
    arguments.push("-object", "iothread,id=io0");
    arguments.push(
        "-object",
        "colo-compare,id=f0,primary_in=m0,secondary_in=r0,outdev=out0,iothread=io0",
    );
    course.keep(running(program, arguments)?);
    Ok(course)
}
