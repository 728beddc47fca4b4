//! Records of real TAPs, replayed by a process of their own: it isolates itself while it has one
//! thread. Where the kernel does not allow it, all of them count as not built, with a note.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/qemu").join(name)
}

/// What `conform` says of these files, and its exit code.
fn conform(files: &[PathBuf]) -> (String, Option<i32>) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_xtask")).arg("conform").args(files).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

fn is_permitted(printed: &str) -> bool {
    !printed.starts_with("note: records of real TAPs are not replayed: ")
}

#[test]
fn taps_agree() {
    let (printed, code) = conform(&[fixture("tap-7.2.jsonl"), fixture("tap-10.2.jsonl")]);
    let sums = if is_permitted(&printed) {
        "agree 118, disagree 0, not built 0"
    } else {
        "agree 0, disagree 0, not built 118"
    };
    assert_eq!(printed.lines().last(), Some(sums), "{printed}");
    assert_eq!(code, Some(0));
}

/// Every kind of measurement is looked at: the records with another value there disagree, and no
/// others.
#[test]
fn every_measurement_counts() {
    let text = fs::read_to_string(fixture("tap-10.2.jsonl")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    for (from, to) in [
        // Short frames are padded, in chardevs and at P.
        ("\"c0\": \"0000003c5254", "\"c0\": \"000000375254"),
        ("\"peer\": \"0000003c5254", "\"peer\": \"000000375254"),
        // The virtio-net header of a stopped guest's NIC.
        ("0000000a0000", "0000000c0000"),
        // The bytes that are masked end where the addresses begin.
        ("0a0900010a0900021b58", "0a0900010a0900031b58"),
        ("\"tap_rx\": []", "\"tap_rx\": [\"00\"]"),
        ("\"tap_rx\": [\"5254", "\"tap_rx\": [\"00\", \"5254"),
        ("\"udp_socket\": null", "\"udp_socket\": \"to-host\""),
        ("\"udp_socket\": \"to-host\"", "\"udp_socket\": null"),
        ("insert=behind", "insert=before"),
        ("\"text\": \"qemu-system-x86_64: warning: hub", "\"text\": \"qemu-system-x86_64: hub"),
    ] {
        let lines: Vec<&str> = text.lines().collect();
        let expected = lines.iter().filter(|line| line.contains(from)).count();
        assert!(expected > 0, "{from}");
        fs::write(&file, text.replace(from, to)).unwrap();
        let (printed, code) = conform(std::slice::from_ref(&file));
        if is_permitted(&printed) {
            let sums = format!("agree {}, disagree {expected}, not built 0", 59 - expected);
            assert_eq!(printed.lines().last(), Some(sums.as_str()), "{from}\n{printed}");
            assert_eq!(code, Some(1));
        }
    }
}
