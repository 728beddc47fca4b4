//! Drives `tapwright import` and `tapwright export` over what people paste.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
};

use rstest::rstest;
use serde_json::Value;
use tapwright::{diag::Source, scenario::tree};
use tempfile::TempDir;
use test_support::{stderr, stdout, tapwright};

fn fixture(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    root.join(name).to_str().unwrap().to_owned()
}

fn import(folder: &TempDir, file: &str, more: &[&str]) -> Output {
    tapwright(folder.path(), &[&["import", "--file", file], more].concat())
}

/// The texts under a key of a scenario, those of its machines in order.
fn declared(text: &str, key: &str) -> Vec<Value> {
    let source = Source { path: "a.yaml".into(), text: text.to_owned() };
    let root = tree::read(&Arc::new(source)).unwrap();
    let machines = root.get("machines").and_then(Value::as_object);
    let parts: Vec<&Value> = machines.map_or(vec![&root], |all| all.values().collect());
    let lists = parts.iter().filter_map(|part| part.get(key)?.as_array());
    lists.flatten().cloned().collect()
}

/// Each paste imports as it is. What can't be tried because the paste leaves it open is the only
/// thing that `check` may find.
#[rstest]
fn a_paste_is_a_scenario(#[files("fixtures/qemu-cmdlines/*.txt")] path: PathBuf) {
    let folder = TempDir::new().unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap();
    let imported = import(&folder, path.to_str().unwrap(), &[]);
    let (text, said) = (stdout(&imported), stderr(&imported));
    insta::with_settings!({ snapshot_path => "snapshots/import", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, if said.is_empty() { text.clone() } else { format!("{text}\n{said}") });
    });
    let open = name == "shell-unset-variable";
    assert_eq!(imported.status.code(), Some(if open { 2 } else { 0 }), "{said}");
    fs::write(folder.path().join("a.yaml"), &text).unwrap();
    if open {
        assert!(said.contains("${TAP}"), "{said}");
        return;
    }
    let checked = tapwright(folder.path(), &["check", "a.yaml"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    // What is exported and imported again has the same objects in the same order.
    let exported = tapwright(folder.path(), &["export", "a.yaml"]);
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    fs::write(folder.path().join("a.txt"), &exported.stdout).unwrap();
    let again = stdout(&import(&folder, "a.txt", &[]));
    for key in ["objects", "chardevs", "netdevs"] {
        let one = declared(&text, key);
        assert_eq!(one, declared(&again, key), "{key}\n{}", stdout(&exported));
        if key == "objects" {
            assert!(!one.is_empty() || !text.contains("filter-") || text.contains("object-add"));
        }
    }
}

/// The proposal in the comments is a scenario once its marks are taken away.
#[rstest]
#[case("colo-pair")]
#[case("fragment-objects")]
#[case("failover-positions")]
fn the_proposed_traffic_runs(#[case] name: &str) {
    let folder = TempDir::new().unwrap();
    let file = fixture(&format!("qemu-cmdlines/{name}.txt"));
    let text = stdout(&import(&folder, &file, &[]));
    let (before, proposal) = text.split_once("# What was sent?").unwrap();
    let lines = proposal.lines().filter_map(|line| line.strip_prefix('#'));
    let proposal: String = lines
        .filter(|line| !line.starts_with(' ') || line.starts_with("  "))
        .map(|line| format!("{line}\n"))
        .collect();
    let whole = format!("{before}{proposal}");
    fs::write(folder.path().join("a.yaml"), &whole).unwrap();
    let ran = tapwright(folder.path(), &["run", "--backend", "sim", "--accept", "a.yaml"]);
    assert_eq!(ran.status.code(), Some(0), "{whole}\n{}{}", stdout(&ran), stderr(&ran));
}

/// A folder that is a root, with a capture in it.
fn project() -> (TempDir, &'static str) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tapwright.toml"), "").unwrap();
    fs::copy(fixture("pcaps/http.pcap"), folder.path().join("http.pcap")).unwrap();
    (folder, "http.pcap")
}

/// Two command lines and a capture are a COLO pair that runs.
#[test]
fn the_pair_runs_with_a_capture() {
    let (folder, capture) = project();
    let imported = import(
        &folder,
        &fixture("qemu-cmdlines/colo-pair.txt"),
        &["--pcap", capture, "--at", "primary/hn0.host", "--out", "s/a.yaml"],
    );
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let ran = tapwright(folder.path(), &["run", "--backend", "sim", "--accept", "s/a.yaml"]);
    assert_eq!(ran.status.code(), Some(0), "{}{}", stdout(&ran), stderr(&ran));
    let snapshot = fs::read_to_string(folder.path().join("s/a.snap")).unwrap_or_default();
    assert!(snapshot.contains("secondary/hn0.guest"), "{snapshot}");
    // Nothing that is there is overwritten.
    let again = import(&folder, &fixture("qemu-cmdlines/quotes.txt"), &["--out", "s/a.yaml"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("TW-E031"), "{}", stderr(&again));
}

/// Scripts are named as they are, and a capture or port that can't be is refused and leaves no
/// scenario.
#[test]
fn scripts_are_named_and_a_wrong_capture_leaves_nothing() {
    let (folder, capture) = project();
    let (primary, secondary) =
        (fixture("qemu-cmdlines/colo-primary.txt"), fixture("qemu-cmdlines/colo-secondary.txt"));
    let elsewhere = fixture("pcaps/http.pcap");
    let text = folder.path().join("primary.sh");
    fs::copy(&primary, &text).unwrap();
    let with = |more: &[&str]| {
        let arguments = ["import", &primary, &secondary, "--out", "a.yaml"];
        tapwright(folder.path(), &[&arguments, more].concat())
    };
    for (more, said) in [
        (["--pcap", capture, "--at", "hn9.host"], "--at"),
        (["--pcap", "no.pcap", "--at", "primary/hn0.host"], "--pcap"),
        (["--pcap", "primary.sh", "--at", "primary/hn0.host"], "--pcap"),
        // The scenario could not be run as it is.
        (["--pcap", elsewhere.as_str(), "--at", "primary/hn0.host"], "--pcap"),
    ] {
        let refused = with(&more);
        assert_eq!(refused.status.code(), Some(2), "{more:?}");
        let told = format!("no scenario is left: give another {said}");
        let words: Vec<String> = stderr(&refused).split_whitespace().map(str::to_owned).collect();
        assert!(words.join(" ").contains(&told), "{}", stderr(&refused));
        assert!(!folder.path().join("a.yaml").exists(), "{more:?}");
    }
    let anywhere = ["--pcap", &elsewhere, "--at", "primary/hn0.host", "--allow-outside"];
    let written = with(&anywhere);
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    let written = with(&["--pcap", capture, "--at", "primary/hn0.host"]);
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    let text = fs::read_to_string(folder.path().join("a.yaml")).unwrap();
    for part in ["  primary:", "  secondary:", "- send: primary/hn0.host"] {
        assert!(text.contains(part), "{text}");
    }
}

/// A shell has made the words already.
#[test]
fn a_command_line_after_dashes() {
    let folder = TempDir::new().unwrap();
    let words = [
        "import",
        "--",
        "sudo",
        "qemu-system-x86_64",
        "-netdev",
        "tap,id=hn0",
        "-object",
        "filter-buffer,id=b0,netdev=hn0,interval=1000",
    ];
    let text = stdout(&tapwright(folder.path(), &words));
    assert_eq!(declared(&text, "netdevs"), ["tap,id=hn0"]);
    assert_eq!(declared(&text, "objects"), ["filter-buffer,id=b0,netdev=hn0,interval=1000"]);
}

#[test]
fn nothing_is_said_to_be_nothing() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.txt"), "Thanks, it works now.\n").unwrap();
    let output = import(&folder, "a.txt", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("TW-E030"), "{}", stderr(&output));
}

/// The manual's two command lines were tried on one host; here each machine is one.
#[test]
fn two_files_are_two_machines() {
    let folder = TempDir::new().unwrap();
    let primary = fixture("qemu-cmdlines/colo-primary.txt");
    let secondary = fixture("qemu-cmdlines/colo-secondary.txt");
    let text = stdout(&import(&folder, &primary, &["--file", &secondary]));
    let chardevs = declared(&text, "chardevs");
    assert_eq!(chardevs.len(), 8, "{text}");
    assert_eq!(chardevs[6], "socket,id=red0,host=primary,port=9003,reconnect-ms=1000");
    assert!(text.contains("chardev red0 has host=primary for host=127.0.0.1"), "{text}");
}

/// Monitor commands after a command line are its machine's, and a refusal is expected.
#[test]
fn commands_belong_to_the_machine_before_them() {
    let folder = TempDir::new().unwrap();
    let text = "qemu-system-x86_64 -name one -netdev tap,id=hn0\n\n\
                qemu-system-x86_64 -name two -netdev tap,id=hn0\n\
                (qemu) object_add filter-dump,id=d0,netdev=hn0,file=/tmp/d.pcap\n\
                -> {\"execute\": \"x-colo-lost-heartbeat\"}\n\
                -> {\"execute\": \"object-del\", \"arguments\": {\"id\": \"x\"}}\n\
                <- {\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"no x\"}}\n\
                -> {\"execute\": \"migrate\", \"arguments\": {\"uri\": \"tcp:10.0.0.2:9998\"}}\n";
    fs::write(folder.path().join("a.txt"), text).unwrap();
    let text = stdout(&import(&folder, "a.txt", &[]));
    for expected in [
        "  - object-add: filter-dump,id=d0,netdev=hn0,file=d.pcap\n    machine: two\n",
        "  - colo: { event: failover, machine: two }\n",
        "    error: { class: DeviceNotFound, text: no x }\n",
        "#   no step for migrate {\"uri\":\"tcp:10.0.0.2:9998\"}\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = TempDir::new().unwrap();
    let output = import(&folder, "none.txt", &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("TW-E032") && said.contains("none.txt"), "{said}");
}

#[test]
fn a_capture_in_a_texts_place_is_told_where_it_goes() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("talk.pcap"), b"\xd4\xc3\xb2\xa1").unwrap();
    let output = import(&folder, "talk.pcap", &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("--pcap FILE --at PORT"), "{said}");
}
