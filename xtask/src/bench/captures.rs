//! Two captures of a million packets compared, beside programs that merely read one of them.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    BenchError, io_error,
    lap::{Lap, Row, keeping, timed},
    suite::program,
};
use crate::chore;

const PACKETS: u32 = 1_000_000;

/// `tapwright diff` of two equal captures; the reader is `tcpdump` or `tshark`.
pub(super) fn row(reader: &'static str, goal: Option<f64>) -> Result<Row, BenchError> {
    if !chore::runs(reader) {
        return Err(BenchError::Skipped(format!("{reader} is not here (Debian: {reader})")));
    }
    let folder = tempfile::tempdir().map_err(io_error("a folder"))?;
    let (left, right) = (folder.path().join("a.pcap"), folder.path().join("b.pcap"));
    write(&left, PACKETS).and_then(|()| write(&right, PACKETS)).map_err(io_error("a capture"))?;
    let program = program()?;
    let subject = reading(program, &[Path::new("diff"), &left, &right]);
    let baseline = reading(reader.into(), &[Path::new("-n"), Path::new("-r"), &left]);
    Ok(Row {
        subject: ("diff of two captures", keeping(folder, subject)),
        baseline: (reader, baseline),
        of: "packet",
        count: PACKETS,
        baseline_count: PACKETS,
        goal,
    })
}

/// Runs a program whose output nobody looks at; it must end well.
fn reading(program: PathBuf, arguments: &[&Path]) -> Lap {
    let mut command = Command::new(&program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    Box::new(move || {
        timed(|| match command.status().map_err(io_error("a program"))? {
            status if status.success() => Ok(()),
            status => Err(BenchError::Wrong(format!("{} ended with {status}", program.display()))),
        })
    })
}

/// A pcap of UDP datagrams of 64 bytes, each another.
pub(super) fn write(path: &Path, packets: u32) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    // Little-endian, microseconds, version 2.4, no offset, no accuracy, snapshot length, Ethernet.
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.write_all(&word.to_le_bytes())?;
    }
    let mut frame = super::transcript::udp(0).to_vec();
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    for number in 0..packets {
        for word in [number / 1_000, number % 1_000 * 1_000, length, length] {
            file.write_all(&word.to_le_bytes())?;
        }
        frame[42..46].copy_from_slice(&number.to_be_bytes());
        file.write_all(&frame)?;
    }
    file.flush()
}
