//! `conform --record`: a real QEMU is asked what shipped records ask, and must say what they say.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

const QEMU: &str = "qemu-system-x86_64";

/// One record of each kind: every set-up, every operation that takes no time of its own, refusals,
/// returns and deaths.
const ERRORS: &[&str] = &[
    "filter-redirector netdev missing",
    "filter-mirror ok minimal",
    "R on NIC qom path",
    "R tap multiqueue",
    "R vhost-user netdev",
    "R qom-get queue",
    "qom-list-types netfilter",
    "R outdev is the QMP chardev",
    "CC unknown primary_in",
    "CC+good CC unknown outdev",
    "object-del filter after netdev_del",
    "cli ok",
    "cli bad id",
    "cli two faulty objects: first reported only",
];
const DATAPATH: &[&str] = &[
    "R queue=tx outdev not connected",
    "R queue=tx indev+outdev",
    "R outdev chardev file",
    "R outdev chardev ringbuf",
    "R outdev second client while first connected",
    "R indev half close (shutdown write)",
    "R indev closed, object re-added, works again",
    "R indev length 69632",
    "R indev length 0x80000000 then 70000 bytes",
    "pipeline rx (qtest redirector_rx)",
    "pipeline mirror->socket->redirector(indev)->socket, vnet on both",
    "X stop/cont: tx outdev and rx indev while stopped",
    "X netdev_del while filter attached, then chardev free",
    "CC udp equal, secondary first",
];
const TAP: &[&str] = &[
    "outdev queue=all",
    "rx indev vnet_hdr_support=on, no virtio NIC",
    "no peer: indev queue=rx",
    "pc -S virtio-net-pci: {'queue': 'tx', 'outdev': 'c0'}",
    "pc RUNNING (tcg) e1000: rx indev",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/qemu").join(name)
}

fn xtask(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("conform").args(arguments).output().unwrap()
}

/// Says aloud why nothing is tested.
fn skipped(why: &str) {
    drop(writeln!(std::io::stderr(), "skipped: {why}"));
}

/// Lines of a shipped file, which must have each of the cases.
fn records(file: &str, cases: &[&str]) -> Vec<Value> {
    let text = fs::read_to_string(fixture(file)).unwrap();
    let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for case in cases {
        assert!(all.iter().any(|record| record["case"] == *case), "{case}");
    }
    let wanted = |record: &Value| cases.iter().any(|case| record["case"] == *case);
    all.into_iter().filter(wanted).collect()
}

/// A record without its answers. `intended` is none: it can't be measured on a QEMU that dies.
fn question(record: &Value) -> Value {
    let mut question = record.clone();
    let answers = ["class", "desc", "return", "rc", "stderr", "alive"];
    let steps = ["out", "eof", "stderr", "crash", "return", "error", "content"];
    let taps = ["chardevs", "peer", "tap_rx", "udp_socket", "text", "info"];
    let remove = |record: &mut Value, keys: &[&str]| {
        for key in keys {
            record.as_object_mut().unwrap().shift_remove(*key);
        }
    };
    remove(&mut question, &answers);
    if question.get("step").is_some() {
        remove(&mut question, &taps);
    }
    let of_steps = question.get_mut("steps").and_then(Value::as_array_mut);
    for step in of_steps.into_iter().flatten() {
        remove(step, &steps);
    }
    question
}

/// What QEMU answers to the questions of these records; none, said aloud, where it can't be asked.
fn recorded(folder: &Path, records: &[Value]) -> Option<Vec<String>> {
    let questions = folder.join("questions.jsonl");
    let lines: Vec<String> = records.iter().map(|record| question(record).to_string()).collect();
    fs::write(&questions, lines.join("\n")).unwrap();
    let out = folder.join("answers.jsonl");
    let output =
        xtask(&["--record", "--questions", questions.to_str().unwrap(), out.to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    if stderr.contains("can't run here") {
        skipped(&stderr);
        return None;
    }
    assert_eq!(stderr, "");
    assert_eq!(output.status.code(), Some(0));
    let text = fs::read_to_string(&out).unwrap();
    Some(text.lines().map(str::to_owned).collect())
}

/// Whether this QEMU is the one that the records of 7.2 are of.
fn is_there() -> bool {
    let version = Command::new(QEMU).arg("--version").output();
    let Ok(version) = version else {
        skipped("there is no QEMU");
        return false;
    };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if version.contains("version 7.2.22") {
        return true;
    }
    skipped(&format!("the records are of QEMU 7.2.22, not of {version}"));
    false
}

#[test]
fn a_recording_is_the_fixture() {
    if !is_there() {
        return;
    }
    let mut expected = records("errors-7.2.jsonl", ERRORS);
    expected.extend(records("datapath-7.2.jsonl", DATAPATH));
    // QEMU dies in the middle of its steps.
    expected.extend(records("rewriter-7.2.jsonl", &["W empty frame"]));
    let folder = tempfile::tempdir().unwrap();
    let Some(recorded) = recorded(folder.path(), &expected) else {
        return;
    };
    assert_eq!(recorded.len(), expected.len());
    for (recorded, expected) in recorded.iter().zip(&expected) {
        let mut recorded: Value = serde_json::from_str(recorded).unwrap();
        // A question's keys keep their place, and answers come behind them.
        recorded.sort_all_objects();
        let mut expected = expected.clone();
        expected.sort_all_objects();
        assert_eq!(recorded, expected);
    }
}

/// A QEMU that freezes or dies, and a question that nobody can ask, keep nobody from being asked.
#[test]
fn a_recording_outlives_its_qemus() {
    if !is_there() {
        return;
    }
    let compare = r#"{"qom-type": "colo-compare", "id": "cc", "primary_in": "c0",
        "secondary_in": "c1", "outdev": "c2", "iothread": "io0"}"#;
    let set = r#"{"path": "/objects/cc", "property": "notify_dev", "value": "c3"}"#;
    let freezes = format!(
        r#"{{"case": "freezes", "qemu": "7.2.22", "setup": "std", "pre": [
            {{"cmd": "object-add", "args": {compare}}}, {{"cmd": "qom-set", "args": {set}}}],
            "cmd": "object-del", "args": {{"id": "cc"}}}}"#
    );
    let nobodys = r#"{"case": "nobody's", "qemu": "7.2.22", "setup": "attic", "cmd": "stop"}"#;
    let shipped = ["CC unknown primary_in", "filter-redirector netdev missing"];
    let expected = records("errors-7.2.jsonl", &shipped);
    let mut lines = vec![freezes.replace('\n', " "), nobodys.to_owned()];
    lines.extend(expected.iter().map(|record| question(record).to_string()));
    let folder = tempfile::tempdir().unwrap();
    let (questions, out) = (folder.path().join("questions.jsonl"), folder.path().join("out.jsonl"));
    fs::write(&questions, lines.join("\n")).unwrap();
    let output =
        xtask(&["--record", "--questions", questions.to_str().unwrap(), out.to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    if stderr.contains("can't run here") {
        skipped(&stderr);
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let reason = "questions.jsonl:2: unknown setup 'attic'";
    assert!(stderr.starts_with("conform: not asked: ") && stderr.contains(reason), "{stderr}");
    let text = fs::read_to_string(&out).unwrap();
    let answers: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 3, "{text}");
    assert_eq!(answers[0]["class"], "FROZEN");
    assert_eq!(answers[0]["desc"], "QMP does not answer, and SIGTERM does not end it");
    assert_eq!(answers[0]["pre"][1].get("class"), None);
    for (answer, expected) in answers[1..].iter().zip(&expected) {
        assert_eq!((&answer["class"], &answer["desc"]), (&expected["class"], &expected["desc"]));
    }
    let replayed = xtask(&[out.to_str().unwrap()]);
    let printed = String::from_utf8(replayed.stdout).unwrap();
    assert_eq!(printed.lines().last(), Some("agree 3, disagree 0, not built 0"), "{printed}");
}

/// The kernel's packets differ from run to run, so the machine compares.
#[test]
fn a_recording_of_taps_agrees_with_the_machine() {
    if !is_there() {
        return;
    }
    let expected = records("tap-7.2.jsonl", TAP);
    let folder = tempfile::tempdir().unwrap();
    let Some(recorded) = recorded(folder.path(), &expected) else {
        return;
    };
    for (recorded, expected) in recorded.iter().zip(&expected) {
        let recorded: Value = serde_json::from_str(recorded).unwrap();
        let keys = |record: &Value| -> Vec<String> {
            record.as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys(&recorded), keys(expected));
        for key in ["tap_rx", "udp_socket", "text"] {
            assert_eq!(recorded.get(key), expected.get(key), "{expected}");
        }
    }
    let out = folder.path().join("answers.jsonl");
    let replayed = xtask(&[out.to_str().unwrap()]);
    let printed = String::from_utf8(replayed.stdout).unwrap();
    let sums = format!("agree {}, disagree 0, not built 0", expected.len());
    assert_eq!(printed.lines().last(), Some(sums.as_str()), "{printed}");
}

#[test]
fn what_is_no_question_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let questions = folder.path().join("questions.jsonl");
    fs::write(&questions, "\n{\"case\": \"a\"}\n").unwrap();
    let out = folder.path().join("answers.jsonl");
    let output =
        xtask(&["--record", "--questions", questions.to_str().unwrap(), out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("questions.jsonl:2: not a record"), "{stderr}");
    assert!(!out.exists());
}
