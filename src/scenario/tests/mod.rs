//! Texts of scenarios, and the cases or the faults that they must give.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    context::Context,
    node::{Node, Tree},
    *,
};
use crate::{
    base::MacAddr,
    diag::{Source, Style, render},
    file::FileError,
    record::{Framing, PortKind},
};

mod machines;
mod random;
mod wiring;

/// The valid scenarios, which together use every key.
pub(super) const EXAMPLES: &[(&str, &str)] = &[
    ("redirector", include_str!("redirector.yaml")),
    ("probe", include_str!("probe.yaml")),
    ("host", include_str!("host.yaml")),
    ("chardev", include_str!("chardev.yaml")),
    ("frames", include_str!("frames.yaml")),
    ("capture", include_str!("capture.yaml")),
    ("machines", include_str!("machines.yaml")),
    ("migration", include_str!("migration.yaml")),
    ("traffic", include_str!("traffic.yaml")),
    ("packet-socket", include_str!("packet-socket.yaml")),
];

/// Files in memory: the examples and a capture of three frames.
pub(super) struct Memory;

impl Files for Memory {
    fn scenario(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        let name = path.strip_prefix("suite/sub").unwrap_or(path).with_extension("");
        let example = EXAMPLES.iter().find(|(example, _)| name == Path::new(example));
        example.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(not_found)
    }

    fn capture(&self, scenario: &Path, name: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        let file = three_frames();
        let path = scenario.parent().unwrap_or(Path::new("")).join(name);
        match path.to_str() {
            Some("suite/sub/three.pcap") if file.len() <= most => Ok(file),
            Some("suite/sub/three.pcap") => Err(FileError::TooLarge { most }),
            _ => Err(not_found()),
        }
    }
}

fn not_found() -> FileError {
    FileError::System(io::ErrorKind::NotFound.into())
}

/// A pcap of version 2.4, little endian, microseconds, Ethernet.
fn three_frames() -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1]);
    for number in 1..=3u8 {
        file.extend(words(&[1, 0, 20, 20]));
        file.extend([number; 20]);
    }
    file
}

fn example(name: &str) -> Scenario {
    let path = PathBuf::from(format!("suite/sub/{name}.yaml"));
    load(&path, Path::new("suite"), &Memory)
        .unwrap_or_else(|reports| panic!("{}", render(&reports, Style::Plain)))
}

fn only_case(name: &str) -> Case {
    let mut scenario = example(name);
    assert_eq!(scenario.cases.len(), 1);
    Arc::unwrap_or_clone(scenario.cases.remove(0))
}

fn text(text: &str) -> Result<Scenario, Vec<crate::diag::Report>> {
    let path = PathBuf::from("suite/x.yaml");
    parse(Arc::new(Source { path, text: text.to_owned() }), "x", &Memory)
}

fn names(node: &Node, into: &mut BTreeSet<String>) {
    match &node.tree {
        Tree::Scalar(_) => {}
        Tree::List(nodes) => nodes.iter().for_each(|node| names(node, into)),
        Tree::Map(entries) => {
            for entry in entries {
                into.insert(entry.key.to_string());
                names(&entry.value, into);
            }
        }
    }
}

#[test]
fn the_examples_use_every_key_and_verb() {
    let mut used = BTreeSet::new();
    for (name, text) in EXAMPLES {
        let path = PathBuf::from(name);
        let source = Arc::new(Source { path, text: (*text).to_owned() });
        let context = Context::new(source, &Memory);
        names(&yaml::read(&context).expect("YAML"), &mut used);
        assert!(context.is_clean());
    }
    // Option strings hold the rest.
    let in_strings = ["br", "helper", "script", "downscript", "vhostforce"];
    used.extend(in_strings.map(str::to_owned));
    let missing: Vec<_> = key_table()
        .into_iter()
        .flat_map(|map| map.keys.iter().map(move |key| (map.name, key.name)))
        .filter(|(_, key)| !used.contains(*key))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn guests_clients_and_impairments_are_lowered() {
    let case = only_case("traffic");
    let stacks: Vec<_> = case
        .stacks
        .iter()
        .map(|stack| {
            let config = &stack.config;
            let port = stack.port.as_str();
            (port, config.address.to_string(), config.mss, config.services.len())
        })
        .collect();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        stacks,
        [
            ("hn0.guest", text("10.0.0.2"), 1000, 4),
            ("hn1.guest", text("10.0.0.3"), 1460, 0),
            ("hn0.host", text("10.0.0.9"), 64, 0),
            // Not declared, but called from.
            ("hn1.host", text("10.0.0.1"), 1460, 0),
        ]
    );
    let impair: Vec<_> = case.impair.iter().map(ToString::to_string).collect();
    assert_eq!(
        impair,
        [
            "hn0.guest in delay 5ms jitter 1ms loss 0.5% reorder 25% rate 1500kbit seed 7",
            "hn0.guest out duplicate 1% corrupt 100%",
        ]
    );
    let Verb::Impair(changes) = &case.steps[2].verb else {
        panic!("{:?}", case.steps[2]);
    };
    let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["hn0.guest in none", "hn1.host out delay 1ms"]);
}

#[test]
fn the_scenario_of_the_design_is_lowered() {
    let case = only_case("redirector");
    assert_eq!(case.id.as_str(), "sub/redirector");
    assert_eq!(case.objects[0].id.as_ref().map(|id| id.as_str()), Some("f0"));
    let ports: Vec<_> = case.ports.iter().map(|port| (port.id.as_str(), port.kind)).collect();
    let plain = PortKind::Chardev(Framing::Plain);
    assert_eq!(
        ports,
        [("hn0.guest", PortKind::Guest), ("hn0.host", PortKind::Host), ("out0", plain)]
    );
    let Verb::Send { port, frames, burst, chunk } = &case.steps[0].verb else { panic!("a send") };
    assert_eq!((port.as_str(), *burst, *chunk), ("hn0.guest", Burst::OneAtATime, None));
    let arp = "ffffffffffff52540012345608060001080006040001525400123456\
               0a0000010000000000000a000002";
    let hex: String = frames[0].frame.data.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, arp);
    assert_eq!(frames[1].frame.data[..12], [2, 0, 0, 0, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    assert!(frames[1].frame.data.ends_with(b"hello"));
    let Verb::Qmp { command, args, .. } = &case.steps[1].verb else { panic!("a command") };
    assert_eq!((command.as_str(), &args["value"]), ("qom-set", &serde_json::json!("off")));
    let (line, column) = case.source.position(case.steps[1].span.start);
    assert_eq!((line, column), (19, 5));
}

#[test]
fn probes_are_named_after_their_values_and_leave_nulls_out() {
    let scenario = example("probe");
    assert!(scenario.probes);
    assert_eq!(scenario.cases.len(), 24);
    let last = scenario.cases.last().expect("cases");
    assert_eq!(last.id.as_str(), "sub/probe@profile=rfc,queue=null,outdev=null,vnet=off");
    assert_eq!(last.description, "queue=null with outdev=null under rfc");
    let form = |case: &Case, at: usize| case.objects[at].form.clone();
    let option = ObjectForm::Option("filter-redirector,id=f0,netdev=hn0".to_owned());
    assert_eq!(form(last, 0), option);
    let ObjectForm::Qmp(map) = form(last, 1) else { panic!("a map") };
    assert!(!map.contains_key("outdev"));
    assert_eq!(map["vnet_hdr_support"], serde_json::json!("off"));
    let ObjectForm::Qmp(map) = form(&scenario.cases[0], 1) else { panic!("a map") };
    assert_eq!(map["vnet_hdr_support"], serde_json::json!(true));
    assert_eq!(map["outdev"], serde_json::json!("out0"));
}

#[test]
fn the_host_side_is_lowered_with_its_defaults() {
    let case = only_case("host");
    let NetdevType::Tap { ifname, mac, host_mac, mtu, nic, .. } = &case.netdevs[1].kind else {
        panic!("a TAP")
    };
    assert_eq!((ifname.as_str(), *mtu, *nic), ("tap1", 1500, Nic::Plain));
    assert_eq!(*mac, MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x57]));
    assert_eq!(*host_mac, MacAddr([2, 0, 0, 0, 0, 2]));
    assert_eq!(case.bridges[0].ports.len(), 2);
    assert_eq!(case.links[0].ends[0].mac, MacAddr([2, 0, 0, 0, 1, 1]));
    let Verb::Send { frames, .. } = &case.steps[1].verb else { panic!("a send") };
    assert_eq!(frames[0].frame.data[..12], [2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 7, 1]);
}

#[test]
fn chardevs_are_joined_framed_and_addressed() {
    let case = only_case("chardev");
    let far = |id: &str| {
        let chardev = case.chardevs.iter().find(|chardev| chardev.id.as_str() == id);
        chardev.expect("the chardev").far.clone()
    };
    assert_eq!(far("out0"), ChardevFar::Joined("back".into()));
    assert_eq!(far("back"), ChardevFar::Joined("out0".into()));
    let port = |connected, framing| ChardevFar::Port {
        connected,
        wiring: Wiring { framing, vnet_hdr_len: 12 },
    };
    assert_eq!(far("in0"), port(false, Framing::Plain));
    assert_eq!(far("many"), port(true, Framing::Vnet));
    assert_eq!(far("ring"), ChardevFar::Nobody);
    let late = Wiring { framing: Framing::Plain, vnet_hdr_len: 12 };
    assert_eq!(case.added_chardevs, BTreeMap::from([("late".into(), late)]));
    assert!(case.ports.iter().all(|port| port.id.as_str() != "back"));
    let Verb::Write { data, .. } = &case.steps[1].verb else { panic!("a write") };
    assert_eq!(data[..], *b"a,\x00\xffZZZ\x01\x01\x02\x00\x00\x00\x10z");
    let Verb::Send { frames, .. } = &case.steps[4].verb else { panic!("a send") };
    let host_to_guest = [0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1];
    assert_eq!(frames[0].frame.data[..12], host_to_guest);
    assert_eq!(frames[0].frame.vnet.gso_size, 1448);
}

#[test]
fn repetitions_count_from_one_and_escapes_survive() {
    let case = only_case("frames");
    let Verb::Send { frames, .. } = &case.steps[1].verb else { panic!("a send") };
    let payload = |at: usize| frames[at].frame.data[42..].to_vec();
    assert_eq!(frames.len(), 3);
    assert_eq!(payload(0), b"packet 1 of ${i}1");
    assert_eq!(payload(2), b"packet 3 of ${i}3");
    assert_eq!(frames[2].frame.data[34..36], 4003u16.to_be_bytes());
}

#[test]
fn packets_of_a_capture_keep_their_numbers() {
    let case = only_case("capture");
    let Verb::Send { frames, .. } = &case.steps[0].verb else { panic!("a send") };
    let numbers: Vec<_> =
        frames.iter().filter_map(|frame| frame.source.as_ref()).map(|s| s.number).collect();
    assert_eq!(numbers, [1, 2, 3, 1, 2, 3]);
    assert_eq!(frames[1].frame.data[..], [2; 20]);
    let ExpectedFrames::Exactly(expected) = &case.expect.ports[0].frames else { panic!("frames") };
    assert_eq!(expected.len(), 3);
}

/// Captures of three frames each, as long as there is room for them.
struct Several {
    left: usize,
    /// What each was allowed to have.
    allowed: RefCell<Vec<usize>>,
}

impl Files for Several {
    fn scenario(&self, _: &Path) -> Result<Vec<u8>, FileError> {
        Err(not_found())
    }

    fn capture(&self, _: &Path, _: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        let mut allowed = self.allowed.borrow_mut();
        allowed.push(most);
        if allowed.len() > self.left {
            Err(FileError::TooLarge { most })
        } else {
            Ok(three_frames())
        }
    }
}

#[test]
fn the_captures_of_a_scenario_share_what_they_may_have() {
    let text = "description: x\nnetdevs: { hn0: {} }\nsteps:\n  - { send: hn0.guest, pcap: a }\n  - \
                { send: hn0.guest, pcap: b }\n  - { send: hn0.guest, pcap: a }\n";
    let parsed = |left: usize| {
        let files = Several { left, allowed: RefCell::default() };
        let source = Source { path: "suite/x.yaml".into(), text: text.to_owned() };
        (parse(Arc::new(source), "x", &files), files.allowed.into_inner())
    };
    let (scenario, allowed) = parsed(2);
    assert!(scenario.is_ok());
    assert_eq!(allowed, [64 << 20, (64 << 20) - three_frames().len()], "a is read once");
    let (scenario, _) = parsed(1);
    assert_eq!(
        render(&scenario.expect_err("too large"), Style::OneLine),
        "suite/x.yaml:5:30: TW-S080: with suite/b the captures of this scenario have more than \
         67108864 bytes\n"
    );
}

#[test]
fn a_reference_keeps_its_place_in_the_file() {
    let reports =
        text("description: x\nmatrix: {q: [1500, 9]}\nnetdevs:\n  hn0:\n    mtu: \"${q}\"\n")
            .expect_err("9 is too small");
    assert_eq!(
        render(&reports, Style::OneLine),
        "suite/x.yaml:5:10: TW-S013: `mtu` is 9; it must be from 68 to 65521 (with q=9)\n"
    );
}

#[test]
fn on_and_off_stay_texts_in_an_object_and_are_booleans_elsewhere() {
    let scenario = text(
        "description: x\nnetdevs: {hn0: {vhost: on}}\nobjects: [{id: f, a: on, b: true, c: 5}]\n",
    )
    .expect("valid");
    let ObjectForm::Qmp(map) = &scenario.cases[0].objects[0].form else { panic!("a map") };
    assert_eq!(map["a"], serde_json::json!("on"));
    assert_eq!(map["b"], serde_json::json!(true));
    assert_eq!(map["c"], serde_json::json!(5));
    let NetdevType::Tap { vhost, .. } = scenario.cases[0].netdevs[0].kind else { panic!("a TAP") };
    assert!(vhost);
}

#[test]
fn vhost_may_be_asked_for_without_the_kernel_s() {
    for (word, expected) in [
        ("true", (true, false)),
        ("on", (true, false)),
        ("modelled", (true, true)),
        ("off", (false, false)),
    ] {
        let scenario = text(&format!("description: x\nnetdevs: {{hn0: {{vhost: {word}}}}}\n"));
        let scenario = scenario.expect("valid");
        let NetdevType::Tap { vhost, vhost_modelled, .. } = scenario.cases[0].netdevs[0].kind
        else {
            panic!("a TAP")
        };
        assert_eq!((vhost, vhost_modelled), expected, "{word}");
    }
}

#[test]
fn names_are_paths_below_the_suite() {
    let scenario =
        load(Path::new("suite/sub/capture.yaml"), Path::new("suite/sub"), &Memory).expect("valid");
    assert_eq!(scenario.name, "capture");
}
