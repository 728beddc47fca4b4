//! Snapshots on disk: what is checked, accepted and left pending, and what files and sections are left
//! behind. The parts of the folder are tested together here.

use std::{fs, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use tempfile::TempDir;

use super::{
    Checked, Content, Mode, Recorded, SnapshotError, Snapshots, State, Unreferenced, accept, check,
    pending, reject, unreferenced,
};
use crate::{
    base::Profile,
    compare::{Rules, compare_probes, render},
    file::{Care, Scope},
    format::{
        PROBES, ProbeTable,
        fixture::{read, step, transcript},
        section_name,
    },
    reading::Reading,
    record::{Answer, CommandError, Outcome, Transcript},
};

const NAMES: [&str; 2] = ["queue=tx", "queue=rx"];

fn names() -> Vec<String> {
    NAMES.map(str::to_owned).to_vec()
}

/// A record whose only step has this title.
fn titled(title: &str) -> Reading {
    read(&transcript(vec![step(1, title)]))
}

fn recorded<'a>(section: &str, reading: &'a Reading) -> Recorded<'a> {
    let content = Content::Record { reading, rules: Rules::default() };
    Recorded { section: section.into(), profile: reading.transcript().profile.clone(), content }
}

fn run(directory: &TempDir, records: &[(&str, &Reading)], mode: Mode) -> Checked {
    let records: Vec<_> = records.iter().map(|(name, record)| recorded(name, record)).collect();
    check(&directory.path().join("queue.yaml"), &records, &names(), mode, Scope::Root).unwrap()
}

fn states(checked: &Checked) -> Vec<&'static str> {
    let states = checked.verdicts.iter().map(|verdict| match verdict.state {
        State::Matches => "matches",
        State::Differs(_) => "differs",
        State::New => "new",
    });
    states.collect()
}

/// Every file's name in the directory, hidden ones too.
fn listing(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_new_section_is_pending_until_it_is_accepted() {
    let directory = TempDir::new().unwrap();
    let (tx, rx) = (titled("note tx"), titled("note rx"));
    let checked = run(&directory, &[("queue=rx", &rx), ("queue=tx", &tx)], Mode::Pending);
    assert_eq!(states(&checked), ["new", "new"]);
    assert_eq!(listing(directory.path()), ["queue.snap.new"]);
    let waiting = pending(&[directory.path().to_owned()], Scope::Root).unwrap();
    let sections: Vec<_> = waiting.iter().map(|section| section.section()).collect();
    assert_eq!(sections, NAMES, "in the scenario's order");
    waiting[0].accept().unwrap();
    assert_eq!(listing(directory.path()), ["queue.snap", "queue.snap.new"]);
    let checked = run(&directory, &[("queue=tx", &tx)], Mode::Check);
    assert_eq!(states(&checked), ["matches"]);
    waiting[1].accept().unwrap();
    assert_eq!(listing(directory.path()), ["queue.snap"]);
    let checked = run(&directory, &[("queue=tx", &tx), ("queue=rx", &rx)], Mode::Check);
    assert_eq!(states(&checked), ["matches", "matches"]);
}

#[test]
fn checking_never_writes() {
    let directory = TempDir::new().unwrap();
    let checked = run(&directory, &[("queue=tx", &titled("note"))], Mode::Check);
    assert_eq!(states(&checked), ["new"]);
    assert_eq!(listing(directory.path()), [""; 0]);
}

#[test]
fn a_partial_run_touches_only_its_own_sections() {
    let directory = TempDir::new().unwrap();
    let (tx, rx) = (titled("note tx"), titled("note rx"));
    run(&directory, &[("queue=tx", &tx), ("queue=rx", &rx)], Mode::Accept);
    let path = directory.path().join("queue.snap");
    let reviewed = fs::read_to_string(&path).unwrap();
    run(&directory, &[("queue=tx", &titled("note other"))], Mode::Pending);
    run(&directory, &[("queue=rx", &titled("note more"))], Mode::Pending);
    assert_eq!(fs::read_to_string(&path).unwrap(), reviewed, "nothing without consent");
    let waiting = pending(&[directory.path().to_owned()], Scope::Root).unwrap();
    assert_eq!(waiting.len(), 2, "what an earlier run proposed stays proposed");
    waiting[0].reject().unwrap();
    let waiting = pending(&[directory.path().to_owned()], Scope::Root).unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].section(), "queue=rx");
    let checked = run(&directory, &[("queue=rx", &rx)], Mode::Pending);
    assert_eq!(checked.pending, None, "a proposal that proposes nothing is removed");
    assert_eq!(listing(directory.path()), ["queue.snap"]);
}

#[test]
fn cases_that_end_at_once_lose_nothing() {
    let directory = TempDir::new().unwrap();
    let names: Vec<_> = (0..8).map(|n| format!("n={n}")).collect();
    let scenario = directory.path().join("queue.yaml");
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| {
                let record = titled("note");
                check(&scenario, &[recorded(name, &record)], &names, Mode::Pending, Scope::Root)
                    .unwrap();
            });
        }
    });
    let waiting = pending(&[directory.path().to_owned()], Scope::Root).unwrap();
    let sections: Vec<_> = waiting.iter().map(|section| section.section()).collect();
    assert_eq!(sections, names);
}

#[test]
fn a_match_keeps_the_reviewed_letters() {
    let directory = TempDir::new().unwrap();
    let mut record = titled("note");
    run(&directory, &[("queue=tx", &record)], Mode::Accept);
    let path = directory.path().join("queue.snap");
    let reviewed = fs::read_to_string(&path).unwrap();
    let mut of_qemu = record.transcript().clone();
    of_qemu.accounting.dropped = 7;
    of_qemu.backend = "qemu";
    record = Reading::of(of_qemu);
    let checked = run(&directory, &[("queue=tx", &record)], Mode::Accept);
    assert_eq!(states(&checked), ["matches"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), reviewed);
}

/// A scenario of many cases, and what its run records.
struct Many {
    directory: TempDir,
    names: Arc<[String]>,
}

impl Many {
    fn new(cases: usize) -> Self {
        let names = (0..cases).map(|number| format!("n={number}")).collect();
        Self { directory: TempDir::new().unwrap(), names }
    }

    /// Runs every case and says how often a file of this name was written before the end.
    fn run(&self, snapshots: &Snapshots, mode: Mode, title: &str, file: &str) -> usize {
        let path = self.directory.path().join(file);
        let inode = || fs::metadata(&path).ok().map(|metadata| metadata.ino());
        let record = titled(title);
        let (mut before, mut written) = (inode(), 0);
        for name in &*self.names {
            self.check(snapshots, name, &record, mode).unwrap();
            let now = inode();
            written += usize::from(now != before);
            before = now;
        }
        written
    }

    fn check(
        &self,
        snapshots: &Snapshots,
        name: &str,
        record: &Reading,
        mode: Mode,
    ) -> Result<State, SnapshotError> {
        let scenario = self.directory.path().join("queue.yaml");
        snapshots.check(&scenario, &recorded(name, record), &self.names, mode)
    }

    fn sections(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join(file)).unwrap();
        crate::format::SnapFile::names(&text).unwrap()
    }
}

#[test]
fn many_sections_are_written_a_few_times() {
    for (mode, file) in [(Mode::Accept, "queue.snap"), (Mode::Pending, "queue.snap.new")] {
        let many = Many::new(500);
        let snapshots = Snapshots::new(mode, Scope::Root);
        let written = many.run(&snapshots, mode, "note", file);
        assert!((5..25).contains(&written), "{written}");
        assert!(many.sections(file).len() > 300, "most are there before the end");
        snapshots.finish().unwrap();
        assert_eq!(many.sections(file), *many.names, "in the scenario's order");
        assert_eq!(listing(many.directory.path()), [file]);
    }
}

#[test]
fn what_a_run_accepts_is_what_its_repeats_are_held_against() {
    let many = Many::new(20);
    let snapshots = Snapshots::new(Mode::Accept, Scope::Root);
    many.run(&snapshots, Mode::Accept, "note", "queue.snap");
    let state = |title: &str| many.check(&snapshots, "n=19", &titled(title), Mode::Check).unwrap();
    assert_eq!(state("note"), State::Matches);
    assert!(matches!(state("other"), State::Differs(_)));
}

#[test]
fn a_file_that_is_put_away_is_written_first() {
    let many = Many::new(40);
    let snapshots = Snapshots::new(Mode::Accept, Scope::Root);
    many.run(&snapshots, Mode::Accept, "note", "queue.snap");
    assert!(many.sections("queue.snap").len() < 40);
    let record = titled("note");
    for number in 0..40 {
        let scenario = many.directory.path().join(format!("other{number}.yaml"));
        let record = recorded("n=0", &record);
        snapshots.check(&scenario, &record, &many.names, Mode::Accept).unwrap();
    }
    assert_eq!(many.sections("queue.snap"), *many.names);
    let state = many.check(&snapshots, "n=39", &record, Mode::Check).unwrap();
    assert_eq!(state, State::Matches);
}

#[test]
fn what_matches_again_is_proposed_no_more() {
    let many = Many::new(30);
    let accepting = Snapshots::new(Mode::Accept, Scope::Root);
    many.run(&accepting, Mode::Accept, "note", "queue.snap");
    accepting.finish().unwrap();
    for (title, expected) in [("other", 2), ("note", 1)] {
        let snapshots = Snapshots::new(Mode::Pending, Scope::Root);
        many.run(&snapshots, Mode::Pending, title, "queue.snap.new");
        snapshots.finish().unwrap();
        assert_eq!(listing(many.directory.path()).len(), expected, "{title}");
    }
}

#[test]
fn only_the_case_fails_whose_section_can_not_be_written() {
    let scenario = Path::new("/proc/queue.yaml");
    let (record, names) = (titled("note"), Arc::from(names()));
    for (mode, file) in [(Mode::Pending, "queue.snap.new"), (Mode::Accept, "queue.snap")] {
        let snapshots = Snapshots::new(mode, Scope::Root);
        for _ in 0..2 {
            let record = recorded("queue=tx", &record);
            let failed = snapshots.check(scenario, &record, &names, mode).unwrap_err().to_string();
            assert!(failed.starts_with(&format!("can't write /proc/{file}: ")), "{failed}");
        }
        snapshots.finish().unwrap();
    }
}

#[test]
fn proposals_of_a_file_are_decided_at_once() {
    let many = Many::new(30);
    let snapshots = Snapshots::new(Mode::Pending, Scope::Root);
    many.run(&snapshots, Mode::Pending, "note", "queue.snap.new");
    snapshots.finish().unwrap();
    let waiting = pending(&[many.directory.path().to_owned()], Scope::Root).unwrap();
    let all: Vec<_> = waiting.iter().collect();
    accept(&all[..20]).unwrap();
    assert_eq!(many.sections("queue.snap"), many.names[..20]);
    let waiting = pending(&[many.directory.path().to_owned()], Scope::Root).unwrap();
    assert_eq!(waiting.len(), 10);
    reject(&waiting.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(listing(many.directory.path()), ["queue.snap"]);
}

#[test]
fn another_profile_is_a_mismatch() {
    let directory = TempDir::new().unwrap();
    let mut record = titled("note");
    run(&directory, &[("queue=tx", &record)], Mode::Accept);
    let profile = Profile::parse("qemu-7.2").unwrap();
    record = Reading::of(Transcript { profile, ..record.transcript().clone() });
    let checked = run(&directory, &[("queue=tx", &record)], Mode::Check);
    let State::Differs(mismatch) = &checked.verdicts[0].state else {
        panic!("{:?}", checked.verdicts)
    };
    insta::assert_snapshot!(render(mismatch), @"
    profile
      snapshot   rfc
      run        qemu-7.2
    ");
}

#[test]
fn stale_and_unreferenced_things_are_listed_and_deleted() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("queue.yaml"), "").unwrap();
    run(&directory, &[("queue=tx", &titled("note")), ("queue=rx", &titled("note"))], Mode::Accept);
    let scenario = directory.path().join("queue.yaml");
    let record = titled("note");
    let only_tx = ["queue=tx".to_owned()];
    let checked =
        check(&scenario, &[recorded("queue=tx", &record)], &only_tx, Mode::Check, Scope::Root)
            .unwrap();
    assert_eq!(checked.stale, ["queue=rx"]);
    let snapshot = directory.path().join("queue.snap");
    fs::copy(&snapshot, directory.path().join("gone.snap")).unwrap();
    fs::write(directory.path().join(".queue.snap.1.tmp"), "---\n").unwrap();
    fs::write(directory.path().join("insta.snap"), "---\nsource: a.rs\n---\nx\n").unwrap();
    let found =
        unreferenced(&[directory.path().to_owned()], &|_| Some(only_tx.to_vec()), Scope::Root)
            .unwrap();
    assert_eq!(
        found,
        [
            Unreferenced::Unfinished(directory.path().join(".queue.snap.1.tmp")),
            Unreferenced::File(directory.path().join("gone.snap")),
            Unreferenced::Section { snapshot, section: "queue=rx".into() },
        ]
    );
    found.iter().for_each(|one| one.delete(Scope::Root).unwrap());
    assert_eq!(listing(directory.path()), ["insta.snap", "queue.snap", "queue.yaml"]);
    assert_eq!(
        unreferenced(&[directory.path().to_owned()], &|_| Some(only_tx.to_vec()), Scope::Root)
            .unwrap(),
        []
    );
}

#[test]
fn a_write_that_fails_leaves_everything_as_it_was() {
    let directory = TempDir::new().unwrap();
    // A directory in the target's place: the new file is written, and the rename fails.
    fs::create_dir_all(directory.path().join("queue.snap.new/held")).unwrap();
    fs::remove_dir(directory.path().join("queue.snap.new/held")).unwrap();
    let target = directory.path().join("queue.snap.new");
    let failed = crate::snapshot::file::write(&target, "text", Care::Durable).unwrap_err();
    assert!(matches!(failed, SnapshotError::Write { .. }), "{failed}");
    assert_eq!(listing(directory.path()), ["queue.snap.new"]);
    assert!(target.is_dir());
}

#[test]
fn a_directory_that_can_not_be_written_is_said() {
    // procfs takes no new files, from root neither (proc(5)).
    let scenario = Path::new("/proc/queue.yaml");
    let record = titled("note");
    let names = names();
    let records = [recorded("queue=tx", &record)];
    let failed = check(scenario, &records, &names, Mode::Pending, Scope::Root).unwrap_err();
    assert!(failed.to_string().starts_with("can't write /proc/queue.snap.new: "), "{failed}");
    let checked = check(scenario, &records, &names, Mode::Check, Scope::Root).unwrap();
    assert_eq!(states(&checked), ["new"]);
}

#[test]
fn a_broken_snapshot_is_never_overwritten() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("queue.snap");
    fs::write(&path, "<<<<<<< ours\n").unwrap();
    let record = titled("note");
    for mode in [Mode::Check, Mode::Pending, Mode::Accept] {
        let scenario = directory.path().join("queue.yaml");
        let failed =
            check(&scenario, &[recorded("queue=tx", &record)], &names(), mode, Scope::Root);
        assert!(matches!(failed, Err(SnapshotError::Form { line: 1, .. })), "{failed:?}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "<<<<<<< ours\n");
    assert_eq!(listing(directory.path()), ["queue.snap"]);
}

/// What `cargo insta accept` does: it reads the pending file and saves it as the snapshot.
#[test]
fn insta_accepts_a_pending_file_without_changing_it() {
    let directory = TempDir::new().unwrap();
    run(&directory, &[("queue=tx", &titled("note"))], Mode::Pending);
    let new = directory.path().join("queue.snap.new");
    let written = fs::read_to_string(&new).unwrap();
    let snapshot = insta::Snapshot::from_file(&new).unwrap();
    assert_eq!(snapshot.metadata().source(), Some("queue.yaml"));
    snapshot.save(&directory.path().join("queue.snap")).unwrap();
    let accepted = fs::read_to_string(directory.path().join("queue.snap")).unwrap();
    let body = |text: &str| text.split_once("\n---\n").unwrap().1.to_owned();
    assert_eq!(body(&accepted), body(&written));
    fs::remove_file(&new).unwrap();
    let checked = run(&directory, &[("queue=tx", &titled("note"))], Mode::Pending);
    assert_eq!(states(&checked), ["matches"]);
    assert_eq!(listing(directory.path()), ["queue.snap"]);
}

fn probed(desc: Option<&str>) -> Transcript {
    let outcome = match desc {
        None => Outcome::Done(serde_json::json!({})),
        Some(desc) => {
            Outcome::Refused(CommandError { class: "GenericError".into(), desc: desc.into() })
        }
    };
    let mut only = step(0, "set-up");
    only.answers =
        vec![Answer { command: "object-add f0".into(), subject: Some("f0".into()), outcome }];
    transcript(vec![only])
}

fn table(rows: &[(&str, &str, Option<&str>)]) -> ProbeTable {
    let mut table = ProbeTable::new(["queue".to_owned(), "indev".to_owned()]);
    for (queue, indev, desc) in rows {
        table.push([(*queue).to_owned(), (*indev).to_owned()], &probed(*desc));
    }
    table
}

/// The values of each row.
fn keys(table: &ProbeTable) -> Vec<Vec<String>> {
    table.rows.iter().map(|row| row.cells.clone()).collect()
}

#[test]
fn probes_are_one_table() {
    let full = table(&[("tx", "", None), ("all", "a|b", Some("Invalid parameter 'a|b'"))]);
    insta::assert_snapshot!(full.text(), @r#"
    | queue | indev      | outcome
    | tx    | ""         | ok
    | all   | "a\u007cb" | GenericError: Invalid parameter 'a|b'
    "#);
    assert_eq!(ProbeTable::parse(&full.text()), Ok(full.clone()));
    assert_eq!(compare_probes(&full.text(), &full, &keys(&full)), None);
    let part = table(&[("all", "a|b", Some("Invalid value"))]);
    let mismatch = compare_probes(&full.text(), &part, &keys(&full)).unwrap();
    insta::assert_snapshot!(render(&mismatch), @"
    queue=all,indev=a|b
      snapshot   GenericError: Invalid parameter 'a|b'
      run        GenericError: Invalid value
                                       ^ differs from character 23 on
    ");
    assert_eq!(compare_probes(&full.text(), &part, &keys(&part)).unwrap().differences.len(), 2);
    assert_eq!(part.merged_into(&full, &keys(&full)).rows.len(), 2);
}

/// A scenario of three probes in a directory of its own, whose runs know these rows.
struct Probes {
    directory: TempDir,
    every: Vec<Vec<String>>,
}

impl Probes {
    fn new(queues: &[&str]) -> Self {
        let every = queues.iter().map(|queue| vec![(*queue).to_owned(), "-".to_owned()]).collect();
        Self { directory: TempDir::new().unwrap(), every }
    }

    /// A run of these probes: queue and what was said.
    fn run(&self, rows: &[(&str, Option<&str>)], mode: Mode) -> &'static str {
        let rows: Vec<_> = rows.iter().map(|(queue, desc)| (*queue, "-", *desc)).collect();
        let table = table(&rows);
        let content = Content::Probes { table: &table, every: &self.every };
        let record = Recorded { section: PROBES.into(), profile: Profile::default(), content };
        let scenario = self.directory.path().join("queue.yaml");
        let sections = [PROBES.to_owned()];
        states(&check(&scenario, &[record], &sections, mode, Scope::Root).unwrap())[0]
    }

    /// The rows of a file of this extension, as `queue=outcome`.
    fn rows(&self, extension: &str) -> Vec<String> {
        let path = self.directory.path().join("queue").with_extension(extension);
        let Ok(text) = fs::read_to_string(path) else {
            return Vec::new();
        };
        let file = crate::format::SnapFile::parse(&text).unwrap();
        let table = ProbeTable::parse(&file.section(PROBES).unwrap().body).unwrap();
        let row = |row: &crate::format::ProbeRow| {
            format!("{}={}", row.cells[0], row.outcome.replace("GenericError: ", ""))
        };
        table.rows.iter().map(row).collect()
    }
}

#[test]
fn some_probes_keep_the_rows_of_the_others() {
    let probes = Probes::new(&["tx", "rx"]);
    probes.run(&[("tx", None), ("rx", None)], Mode::Accept);
    assert_eq!(probes.run(&[("rx", Some("no"))], Mode::Accept), "differs");
    assert_eq!(probes.run(&[("tx", None), ("rx", Some("no"))], Mode::Check), "matches");
    assert_eq!(section_name(&"a/b@queue=tx".into()), "queue=tx");
}

#[test]
fn rows_of_several_runs_are_pending_together() {
    let probes = Probes::new(&["tx", "rx", "all"]);
    assert_eq!(probes.run(&[("all", Some("no"))], Mode::Pending), "new");
    assert_eq!(probes.run(&[("tx", None)], Mode::Pending), "new");
    assert_eq!(probes.rows("snap.new"), ["tx=ok", "all=no"], "in the scenario's order");
    assert_eq!(probes.run(&[("rx", None)], Mode::Pending), "new");
    assert_eq!(probes.rows("snap.new"), ["tx=ok", "rx=ok", "all=no"]);
    let waiting = pending(&[probes.directory.path().to_owned()], Scope::Root).unwrap();
    waiting[0].accept().unwrap();
    for row in [("tx", None), ("rx", None), ("all", Some("no"))] {
        assert_eq!(probes.run(&[row], Mode::Check), "matches");
    }
}

#[test]
fn a_row_that_matches_leaves_what_is_pending_for_others() {
    let probes = Probes::new(&["tx", "rx"]);
    probes.run(&[("tx", None), ("rx", None)], Mode::Accept);
    probes.run(&[("tx", Some("no"))], Mode::Pending);
    assert_eq!(probes.run(&[("rx", None)], Mode::Pending), "matches");
    assert_eq!(probes.rows("snap.new"), ["tx=no", "rx=ok"]);
    // It is no longer different: nothing is proposed.
    assert_eq!(probes.run(&[("tx", None)], Mode::Pending), "matches");
    assert_eq!(listing(probes.directory.path()), ["queue.snap"]);
}

#[test]
fn accepting_a_row_leaves_what_is_pending_for_others() {
    let probes = Probes::new(&["tx", "rx"]);
    probes.run(&[("tx", None), ("rx", None)], Mode::Accept);
    probes.run(&[("tx", Some("no")), ("rx", Some("no"))], Mode::Pending);
    probes.run(&[("tx", Some("no"))], Mode::Accept);
    assert_eq!(probes.rows("snap"), ["tx=no", "rx=ok"]);
    assert_eq!(probes.rows("snap.new"), ["tx=no", "rx=no"]);
    probes.run(&[("rx", Some("no"))], Mode::Accept);
    assert_eq!(listing(probes.directory.path()), ["queue.snap"]);
    assert_eq!(probes.rows("snap"), ["tx=no", "rx=no"]);
}

#[test]
fn a_row_of_no_probe_goes_with_whichever_row_is_accepted() {
    let mut probes = Probes::new(&["tx", "rx"]);
    probes.run(&[("tx", None), ("rx", None)], Mode::Accept);
    probes.every.pop();
    assert_eq!(probes.run(&[("tx", None)], Mode::Check), "differs");
    assert_eq!(probes.run(&[("tx", None)], Mode::Accept), "differs");
    assert_eq!(probes.rows("snap"), ["tx=ok"]);
}
