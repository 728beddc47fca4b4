//! Reviews of small files, by keys and by options.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::*;
use crate::format::{Section, SnapFile};

const REVIEWED: &str = "\
ports: hn0.guest hn0.host
[1] send hn0.guest
      #1 0x88b5, 15 B
         | ffffffffffff525400123456 88b5 00
    hn0.host   <- #1
accounted: 1 sent, 1 arrivals, 0 dropped, 0 unexplained
";

/// Writes a snapshot or pending file with these sections.
fn write(path: &Path, sections: &[(&str, &str)]) {
    let mut file = SnapFile::new(Path::new("queue.yaml"));
    for (name, body) in sections {
        let (name, profile, body) = ((*name).into(), "rfc".into(), (*body).into());
        file.put(Section { name, profile, body });
    }
    fs::write(path, file.text()).unwrap();
}

/// A snapshot `queue` with a changed section and a new one, and `other` with only a new one.
fn suite() -> TempDir {
    let directory = TempDir::new().unwrap();
    let lost = REVIEWED.replace("    hn0.host   <- #1\n", "");
    let at = |name: &str| directory.path().join(name);
    write(&at("queue.snap"), &[("queue=tx", REVIEWED)]);
    write(&at("queue.snap.new"), &[("queue=tx", &lost), ("queue=rx", REVIEWED)]);
    write(&at("other.snap.new"), &[("case", REVIEWED)]);
    directory
}

/// Keys that are pressed one after the other.
struct Typed<'a>(std::str::Chars<'a>);

impl Keys for Typed<'_> {
    fn next_key(&mut self) -> io::Result<Option<char>> {
        Ok(self.0.next())
    }
}

/// Runs a review and gives what it showed, with the directory's name taken out.
fn review(
    directory: &TempDir,
    change: impl FnOnce(&mut ReviewArgs),
    keys: Option<&str>,
) -> Result<String, SnapshotError> {
    let mut args = ReviewArgs { paths: vec![directory.path().to_owned()], ..ReviewArgs::default() };
    change(&mut args);
    let mut out = Vec::new();
    let mut keys = keys.map(|keys| Typed(keys.chars()));
    let keys = keys.as_mut().map(|keys| keys as &mut dyn Keys);
    run(&args, Desk { out: &mut out, keys, sections: &|_| None })?;
    let text = String::from_utf8(out).unwrap();
    let text = anstream::adapter::strip_str(&text).to_string();
    Ok(text.replace(&directory.path().display().to_string(), "DIR"))
}

#[test]
fn what_is_pending_is_listed() {
    let directory = suite();
    insta::assert_snapshot!(review(&directory, |args| args.list = true, Some("")).unwrap(), @"
    new     DIR/other
    changed DIR/queue@queue=tx
    new     DIR/queue@queue=rx
    3 pending
    ");
    let json = review(&directory, |args| args.json = true, None).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[1]["mismatch"]["differences"][0]["what"]["kind"], "missing");
}

#[test]
fn a_difference_is_shown_packet_by_packet() {
    let directory = suite();
    let show = |id: &str| review(&directory, |args| args.diff = Some(id.into()), None);
    insta::assert_snapshot!(show("queue@queue=tx").unwrap(), @"
    step 1: send hn0.guest
    hn0.host   frame 1 of 1 (#1) is missing: 0x88b5
    ");
    insta::assert_snapshot!(show("queue@queue=all").unwrap_err(), @"nothing pending is called 'queue@queue=all'");
}

#[test]
fn what_only_explains_is_shown_as_text() {
    let directory = TempDir::new().unwrap();
    let told = REVIEWED.replace("0 dropped", "7 dropped");
    write(&directory.path().join("queue.snap"), &[("case", REVIEWED)]);
    write(&directory.path().join("queue.snap.new"), &[("case", &told)]);
    let shown = review(&directory, |args| args.diff = Some("queue".into()), None).unwrap();
    insta::assert_snapshot!(shown, @"
    --- reviewed
    +++ proposed
    @@ -3,4 +3,4 @@
           #1 0x88b5, 15 B
              | ffffffffffff525400123456 88b5 00
         hn0.host   <- #1
    -accounted: 1 sent, 1 arrivals, 0 dropped, 0 unexplained
    +accounted: 1 sent, 1 arrivals, 7 dropped, 0 unexplained
    ");
}

#[test]
fn keys_decide_one_by_one() {
    let directory = suite();
    let shown = review(&directory, |_| {}, Some("xars")).unwrap();
    assert_eq!(shown.matches("(a)ccept").count(), 4, "an unknown key is asked again: {shown}");
    let list = review(&directory, |args| args.list = true, None).unwrap();
    assert_eq!(list, "new     DIR/queue@queue=rx\n1 pending\n");
    let snapshot = fs::read_to_string(directory.path().join("queue.snap")).unwrap();
    assert!(snapshot.contains("hn0.host   <- #1"), "rejected, so as it was: {snapshot}");
    assert!(directory.path().join("other.snap").exists());
}

#[test]
fn keys_look_before_they_decide() {
    let directory = suite();
    let shown = review(&directory, |_| {}, Some("pnhtnn?rrpaq")).unwrap();
    insta::assert_snapshot!(shown);
    let list = review(&directory, |args| args.list = true, None).unwrap();
    assert_eq!(list, "changed DIR/queue@queue=tx\n1 pending\n");
}

#[test]
fn where_nobody_can_be_asked_that_is_said() {
    let directory = suite();
    let shown = review(&directory, |_| {}, None).unwrap();
    assert!(shown.ends_with("--accept ID and --reject ID\n"), "{shown}");
    assert!(shown.contains("3 pending\nthere is no terminal"), "{shown}");
}

#[test]
fn quitting_and_the_end_of_input_decide_nothing() {
    for keys in ["q", ""] {
        let directory = suite();
        review(&directory, |_| {}, Some(keys)).unwrap();
        let list = review(&directory, |args| args.list = true, None).unwrap();
        assert!(list.ends_with("3 pending\n"), "{list}");
    }
}

#[test]
fn ids_are_accepted_and_rejected() {
    let directory = suite();
    let unknown = review(&directory, |args| args.accept = vec!["other".into(), "no".into()], None);
    assert!(matches!(unknown, Err(SnapshotError::NotPending { .. })));
    assert!(!directory.path().join("other.snap").exists(), "looked up before anything is written");
    let decided = review(
        &directory,
        |args| {
            args.accept = vec!["queue".into()];
            args.reject = vec!["other".into()];
        },
        None,
    );
    insta::assert_snapshot!(decided.unwrap(), @"
    accepted DIR/queue@queue=tx
    accepted DIR/queue@queue=rx
    rejected DIR/other
    ");
    assert!(!directory.path().join("other.snap").exists());
    assert!(!directory.path().join("queue.snap.new").exists());
    let accepted = fs::read_to_string(directory.path().join("queue.snap")).unwrap();
    assert!(accepted.contains("== queue=rx [rfc]"), "{accepted}");
}

#[test]
fn everything_is_accepted_or_rejected() {
    let directory = suite();
    review(&directory, |args| args.reject_all = true, None).unwrap();
    let list = review(&directory, |args| args.list = true, None).unwrap();
    assert_eq!(list, "0 pending\n");
    let directory = suite();
    review(&directory, |args| args.accept_all = true, None).unwrap();
    let list = review(&directory, |args| args.list = true, None).unwrap();
    assert_eq!(list, "0 pending\n");
    assert!(directory.path().join("other.snap").exists());
}

#[test]
fn what_nobody_uses_is_deleted_only_when_asked() {
    let directory = suite();
    fs::write(directory.path().join("other.yaml"), "").unwrap();
    let listed = review(&directory, |args| args.unreferenced = true, None).unwrap();
    insta::assert_snapshot!(listed, @"
    unreferenced DIR/queue.snap
    unreferenced DIR/queue.snap.new
    2 unreferenced
    ");
    assert!(directory.path().join("queue.snap").exists());
    review(&directory, |args| (args.unreferenced, args.delete) = (true, true), None).unwrap();
    assert!(!directory.path().join("queue.snap").exists());
    assert!(directory.path().join("other.snap.new").exists());
}

#[test]
fn the_arguments_hold_together() {
    use clap::Args as _;
    ReviewArgs::augment_args(clap::Command::new("review")).debug_assert();
}
