//! tshark reads the captures that a run leaves, and finds the transcript's bytes in them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use bytes::BytesMut;
use serde_json::Value;
use tapwright::{
    backend::{Backend, Deadline, Sim},
    base::PortId,
    diag::Source,
    reading::{Reading, frames_of},
    record::{Item, Transcript},
    runner::{exec, write_pcapng},
    scenario::{Disk, load, parse},
};
use test_support::is_there;

/// Each interface and the bytes of its packets, in the order of the bytes.
type Packets = BTreeMap<String, Vec<String>>;

#[test]
fn tshark_reads_what_the_transcripts_say() {
    if !(is_there("tshark") && is_there("mergecap")) {
        return;
    }
    let records = records();
    assert!(records.len() > 60, "{} records", records.len());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let names = (0..records.len()).map(|number| format!("{number}.pcapng"));
    let names: Vec<String> = names.collect();
    for (name, reading) in names.iter().zip(&records) {
        let bytes = write_pcapng(reading, Vec::new()).expect("memory takes everything");
        fs::write(folder.path().join(name), bytes).expect("a temporary file");
    }
    // A program for each file would take minutes to start; one behind the other, with the
    // interfaces of each, they are one file.
    let merge = Command::new("mergecap")
        .current_dir(folder.path())
        .args(["-a", "-I", "none", "-F", "pcapng", "-w", "all.pcapng"])
        .args(&names)
        .output()
        .expect("mergecap starts");
    let told = String::from_utf8_lossy(&merge.stderr);
    assert!(merge.status.success(), "{told}");
    let read = read_by_tshark(&folder.path().join("all.pcapng"));
    let mut read = read.into_iter().peekable();
    let mut next = 0;
    for transcript in records.iter().map(Reading::transcript) {
        next += transcript.ports.len();
        let mut packets = Packets::new();
        while let Some((_, name, bytes)) = read.next_if(|(interface, ..)| *interface < next) {
            packets.entry(name).or_default().push(bytes);
        }
        packets.values_mut().for_each(|packets| packets.sort());
        assert_eq!(packets, in_transcript(transcript), "{}", transcript.case);
    }
    assert_eq!(read.next(), None, "more than was written");
}

/// What a filter-dump wrote is a file as it stands: tshark reads it, with what was cut off.
#[test]
fn tshark_reads_the_file_of_a_dump() {
    if !is_there("tshark") {
        return;
    }
    let text = "description: a dump
netdevs: {hn0: {type: tap}}
objects: [\"filter-dump,id=d0,netdev=hn0,file=x.pcap,maxlen=60\"]
steps:
  - send: hn0.host
    frames: [{ payload: { fill: 0x5a, len: 50 } }]
  - advance: 1250ms
  - send: hn0.guest
    frames: [{ payload: { fill: 0x5b, len: 20 } }]
";
    let source = Source { path: "dump.yaml".into(), text: text.to_owned() };
    let scenario = parse(Arc::new(source), "dump", &Disk).expect("a scenario");
    let case = &scenario.cases[0];
    let world = Sim.open(case).expect("a world");
    let executed = exec(case, world, "sim", &Deadline::NEVER);
    let steps = &executed.reading.transcript().steps;
    let arrivals = steps.iter().flat_map(|step| &step.arrivals);
    let written = arrivals.filter(|one| one.port.as_str() == "x.pcap");
    let bytes: Vec<u8> = written
        .filter_map(|one| match &one.item {
            Item::Bytes(bytes) => Some(bytes.clone()),
            Item::Frame(_) | Item::Eof => None,
        })
        .flatten()
        .collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("x.pcap");
    fs::write(&file, bytes).expect("a temporary file");
    let fields = ["frame.time_epoch", "frame.cap_len", "frame.len", "eth.src"];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&file).args(["-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "0.000000000\t60\t64\t02:00:00:00:00:01\n1.250000000\t34\t34\t52:54:00:12:34:56\n"
    );
}

/// The first case of each scenario that sends something and that `sim` can run.
fn records() -> Vec<Reading> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files
        .iter()
        .filter_map(|file| {
            let scenario = load(file, &root, &Disk).expect("the suite is valid");
            let case = scenario.cases.first().filter(|_| !scenario.probes)?;
            let world = Sim.open(case).ok()?;
            Some(exec(case, world, "sim", &Deadline::NEVER).reading)
        })
        .filter(|reading| reading.transcript().accounting.sent > 0)
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the suite") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
}

fn in_transcript(transcript: &Transcript) -> Packets {
    let mut packets = Packets::new();
    let mut streams: BTreeMap<PortId, BytesMut> = BTreeMap::new();
    let framing = |port: &PortId| {
        transcript.ports.iter().find(|one| one.id == *port).and_then(|port| port.kind.framing())
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
                    streams.entry(arrival.port.clone()).or_default().extend_from_slice(bytes);
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
        for frame in framing(&port).into_iter().flat_map(|framing| frames_of(framing, &stream)) {
            put(&port, &frame.data);
        }
    }
    packets.values_mut().for_each(|packets| packets.sort());
    packets
}

/// Each packet's interface by its number and its name, and its bytes. tshark says the bytes in one
/// format and where they belong in another, so it runs twice, at once.
fn read_by_tshark(file: &Path) -> Vec<(usize, String, String)> {
    let run = |arguments: &[&str]| {
        let output = Command::new("tshark")
            .arg("-r")
            .arg(file)
            .args(arguments)
            .output()
            .expect("tshark starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let (bytes, places) = thread::scope(|scope| {
        let bytes = scope.spawn(|| run(&["-T", "jsonraw", "-j", "frame"]));
        let fields = ["frame.interface_id", "frame.interface_name"];
        let places = run(&["-T", "fields", "-e", fields[0], "-e", fields[1]]);
        (bytes.join().expect("tshark's JSON"), places)
    });
    let json: Vec<Value> = serde_json::from_str(&bytes).expect("tshark's JSON");
    assert_eq!(places.lines().count(), json.len());
    let packet = |(place, packet): (&str, Value)| {
        let (interface, name) = place.split_once('\t').expect("two fields");
        let bytes = packet["_source"]["layers"]["frame_raw"][0].as_str().expect("hexadecimal");
        let interface = interface.parse().expect("a number");
        (interface, name.to_owned(), bytes.to_owned())
    };
    places.lines().zip(json).map(packet).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
