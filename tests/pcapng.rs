//! tshark reads the captures that a run leaves, and finds the transcript's bytes in them.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use bytes::BytesMut;
use serde_json::Value;
use tapwright::{
    backend::{Backend, Deadline, Sim},
    base::PortId,
    record::{Item, PortKind, Transcript},
    runner::exec,
    scenario::{Disk, load},
    snapshot::{frames_of, write_pcapng},
};

/// Each interface and the bytes of its packets, in the order of the bytes.
type Packets = BTreeMap<String, Vec<String>>;

#[test]
fn tshark_reads_what_the_transcripts_say() {
    if Command::new("tshark").arg("--version").output().is_err() {
        drop(writeln!(
            std::io::stderr(),
            "skipped: tshark is not installed"
        ));
        return;
    }
    let transcripts = transcripts();
    assert!(transcripts.len() > 60, "{} transcripts", transcripts.len());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let half = transcripts.len().div_ceil(2);
    thread::scope(|scope| {
        for (part, chunk) in transcripts.chunks(half).enumerate() {
            let file = folder.path().join(format!("{part}.pcapng"));
            scope.spawn(move || chunk.iter().for_each(|transcript| check(transcript, &file)));
        }
    });
}

fn check(transcript: &Transcript, file: &Path) {
    let bytes = write_pcapng(transcript, Vec::new()).expect("memory takes everything");
    fs::write(file, bytes).expect("a temporary file");
    assert_eq!(
        read_by_tshark(file),
        in_transcript(transcript),
        "{}",
        transcript.case
    );
}

/// The first case of each scenario that sends something and that `sim` can run.
fn transcripts() -> Vec<Transcript> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files
        .iter()
        .filter_map(|file| {
            let scenario = load(file, &root, &Disk).expect("the suite is valid");
            let case = scenario.cases.first().filter(|_| !scenario.probes)?;
            let world = Sim.open(case).ok()?;
            Some(exec(case, world, "sim", &Deadline::NEVER).transcript)
        })
        .filter(|transcript| transcript.accounting.sent > 0)
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the suite") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
}

fn in_transcript(transcript: &Transcript) -> Packets {
    let mut packets = Packets::new();
    let mut streams: BTreeMap<PortId, BytesMut> = BTreeMap::new();
    let framing = |port: &PortId| {
        transcript
            .ports
            .iter()
            .find(|one| one.id == *port)
            .and_then(|port| match port.kind {
                PortKind::Chardev(framing) => Some(framing),
                _ => None,
            })
    };
    let mut put = |port: &PortId, data: &[u8]| {
        packets.entry(port.to_string()).or_default().push(hex(data));
    };
    for step in &transcript.steps {
        for sent in &step.sent {
            put(&sent.port, &sent.frame.data);
        }
        for arrival in &step.arrivals {
            match &arrival.item {
                Item::Frame(frame) => put(&arrival.port, &frame.data),
                Item::Bytes(bytes) => {
                    streams
                        .entry(arrival.port.clone())
                        .or_default()
                        .extend_from_slice(bytes);
                }
                Item::Eof => {
                    let stream = streams.remove(&arrival.port).unwrap_or_default().freeze();
                    for frame in framing(&arrival.port)
                        .into_iter()
                        .flat_map(|framing| frames_of(framing, &stream))
                    {
                        put(&arrival.port, &frame.data);
                    }
                }
            }
        }
    }
    for (port, stream) in streams {
        let stream = stream.freeze();
        for frame in framing(&port)
            .into_iter()
            .flat_map(|framing| frames_of(framing, &stream))
        {
            put(&port, &frame.data);
        }
    }
    packets.values_mut().for_each(|packets| packets.sort());
    packets
}

fn read_by_tshark(file: &Path) -> Packets {
    let run = |arguments: &[&str]| {
        let output = Command::new("tshark")
            .arg("-r")
            .arg(file)
            .args(arguments)
            .output()
            .expect("tshark starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    };
    let json: Vec<Value> =
        serde_json::from_str(&run(&["-T", "jsonraw", "-j", "frame"])).expect("tshark's JSON");
    let names = run(&["-T", "fields", "-e", "frame.interface_name"]);
    let mut packets = Packets::new();
    assert_eq!(names.lines().count(), json.len());
    for (name, packet) in names.lines().zip(json) {
        let bytes = packet["_source"]["layers"]["frame_raw"][0]
            .as_str()
            .expect("hexadecimal");
        packets
            .entry(name.to_owned())
            .or_default()
            .push(bytes.to_owned());
    }
    packets.values_mut().for_each(|packets| packets.sort());
    packets
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
