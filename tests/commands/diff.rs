//! `tapwright diff`: two captures packet by packet, what is printed of them, and the exit code.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use rstest::rstest;
use serde_json::Value;
use test_support::tapwright;

const HEADER: usize = 24;

fn pcap(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pcaps");
    fs::read(folder.join(name)).expect("it is shipped")
}

/// The records of a pcap file, each with its header.
fn records(file: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = &file[HEADER..];
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes"));
        let (record, behind) = rest.split_at(16 + usize::try_from(length).expect("it fits"));
        found.push(record.to_vec());
        rest = behind;
    }
    found
}

/// ping.pcap as it is, and with these changes to the list of its records.
fn project(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = pcap("ping.pcap");
    let mut changed = records(&whole);
    change(&mut changed);
    let actual = [&whole[..HEADER], &changed.concat()].concat();
    fs::write(directory.path().join("a.pcap"), whole).expect("written");
    fs::write(directory.path().join("b.pcap"), actual).expect("written");
    directory
}

fn compared(directory: &Path, more: &[&str], code: i32) -> String {
    let output = tapwright(directory, &[&["diff", "a.pcap", "b.pcap"], more].concat());
    let text = String::from_utf8(output.stdout).expect("text");
    let text = text + &String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn the_same_packets_are_the_same() {
    let directory = project(|_| {});
    assert_eq!(compared(directory.path(), &[], 0), "a.pcap and b.pcap have the same 6 packets\n");
}

#[test]
fn lost_changed_and_swapped_packets_are_named() {
    let directory = project(|records| {
        // TTL, and the first byte of the echo's data.
        records[2][16 + 22] = 63;
        records[2][16 + 50] ^= 1;
        records.swap(4, 5);
        records.remove(1);
    });
    insta::assert_snapshot!(compared(directory.path(), &[], 1), @r#"
  frame 2 is missing: ARP reply 10.0.0.2 is-at 52:54:00:12:34:56
  frame 3
    ipv4.ttl   64 -> 63                                                                           bytes 22..23
    payload    56 B, from byte 8: 3e150d0000000000.. -> 56 B, from byte 8: 3f150d0000000000..     bytes 50..51
  frame 6 came as frame 4: IPv4 10.0.0.2 > 10.0.0.1 ICMP echo reply id 16 seq 2, 56 B payload
    it overtook frame 5
6 packets in a.pcap, 5 in b.pcap: 3 the same, 1 changed, 1 missing, 0 extra, 1 in another place
"#);
}

#[test]
fn fields_may_be_masked_and_differences_left_out() {
    let directory = project(|records| {
        records[2][16 + 22] = 63;
        records.push(records[3].clone());
    });
    insta::assert_snapshot!(compared(directory.path(), &["--mask", "ipv4.ttl"], 1), @r#"
  frame 7 was not expected: IPv4 10.0.0.2 > 10.0.0.1 ICMP echo reply id 16 seq 1, 56 B payload
6 packets in a.pcap, 7 in b.pcap: 6 the same, 0 changed, 0 missing, 1 extra, 0 in another place
"#);
    insta::assert_snapshot!(compared(directory.path(), &["--most", "1"], 1), @r#"
  frame 3
    ipv4.ttl   64 -> 63     bytes 22..23
  and 1 more differences: --most shows them
6 packets in a.pcap, 7 in b.pcap: 5 the same, 1 changed, 0 missing, 1 extra, 0 in another place
"#);
}

#[test]
fn programs_get_lines_of_json() {
    let directory = project(|records| drop(records.pop()));
    let text = compared(directory.path(), &["--format", "json"], 1);
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["what"]["kind"], "missing");
    assert_eq!(lines[0]["what"]["frame"], 6);
    assert_eq!(lines[1]["type"], "summary");
    assert_eq!([&lines[1]["same"], &lines[1]["missing"]], [5, 1]);
}

#[test]
fn a_capture_comes_on_standard_input_too() {
    let directory = project(|_| {});
    let mut child = Command::new(env!("CARGO_BIN_EXE_tapwright"))
        .args(["diff", "-", "b.pcap"])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is there");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(&pcap("ping.pcap")).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "- and b.pcap have the same 6 packets\n");
}

#[test]
fn what_was_found_before_a_file_breaks_off_is_told() {
    let directory = project(|records| {
        records.remove(0);
        let end = records.len() - 1;
        records[end].truncate(40);
    });
    insta::assert_snapshot!(compared(directory.path(), &[], 2), @r#"
  frame 1 is missing: ARP who-has 10.0.0.2 tell 10.0.0.1
TW-E082

  x 'b.pcap' can't be compared to its end: the file ends in packet 5, which begins at byte 424:
  | 114 bytes are needed and 40 are left
  help: what comes behind that place is not compared: repair or cut the file
"#);
}

#[rstest]
#[case::no_field(&["a.pcap", "b.pcap", "--mask", "ipv4.it"], "TW-E083")]
#[case::no_key(&["a.pcap", "b.pcap", "--key", "x"], "TW-E083")]
#[case::stdin_twice(&["-", "/dev/stdin"], "TW-E082")]
#[case::not_there(&["a.pcap", "c.pcap"], "TW-E082")]
#[case::a_folder(&["a.pcap", "."], "TW-E082")]
#[case::a_device(&["a.pcap", "/dev/zero"], "TW-E082")]
fn what_can_not_be_compared_is_refused(#[case] arguments: &[&str], #[case] code: &str) {
    let directory = project(|_| {});
    let output = tapwright(directory.path(), &[&["diff"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.starts_with(code), "{text}");
}
