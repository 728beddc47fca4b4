//! What a scenario, a folder or a snapshot names outside of its root.

use std::{fs, os::unix::fs::symlink};

use rstest::rstest;

use crate::project::{CAPTURE, PLAIN, Project, capture};

/// Every command that loads a scenario.
const LOADERS: &[&[&str]] = &[
    &["check", "a.yaml"],
    &["check"],
    &["list", "a.yaml"],
    &["graph", "a.yaml"],
    &["export", "a.yaml"],
    &["run", "--backend", "sim", "--list", "a.yaml"],
];

/// A capture that is named in this way, where links of the suite lead.
fn project(name: &str) -> Project {
    let project = Project::new();
    project.scenario(name);
    fs::create_dir_all(project.path("project/captures")).unwrap();
    project.write("project/captures/x.pcap", capture(b"ours"));
    let suite = |name: &str| project.path("project/suite").join(name);
    for (link, target) in [
        ("inside.pcap", "../ours.pcap".into()),
        ("folder", "../captures".into()),
        ("absolute.pcap", project.path("project/ours.pcap")),
        ("out.pcap", "../../secret.pcap".into()),
        ("away.pcap", project.path("secret.pcap")),
        ("top", "../..".into()),
        ("fd", "/proc/self/fd".into()),
    ] {
        symlink(target, suite(link)).unwrap();
    }
    project
}

#[rstest]
#[case("../ours.pcap")]
#[case("./../suite/../ours.pcap")]
#[case("../captures/x.pcap")]
#[case("inside.pcap")]
#[case("folder/x.pcap")]
#[case("folder/../ours.pcap")]
#[case("absolute.pcap")]
fn a_capture_below_the_root_is_read(#[case] name: &str) {
    let project = project(name);
    for arguments in LOADERS {
        project.tapwright(arguments).ends(&[0]);
    }
}

#[rstest]
#[case("../../secret.pcap", "its `..` lead above that")]
#[case("../../project/ours.pcap", "its `..` lead above that")]
#[case("folder/../../secret.pcap", "its `..` lead above that")]
#[case("/etc/hostname", "it is an absolute path")]
#[case("out.pcap", "the link 'suite/out.pcap' leads elsewhere")]
#[case("away.pcap", "the link 'suite/away.pcap' leads elsewhere")]
#[case("top/secret.pcap", "the link 'suite/top' leads elsewhere")]
#[case("fd/0", "the link 'suite/fd' leads elsewhere")]
fn a_capture_outside_is_refused(#[case] name: &str, #[case] reason: &str) {
    let project = project(name);
    for arguments in LOADERS {
        let done = project.tapwright(arguments);
        let root = project.path("project");
        done.is_refused(&format!("{name} is outside of the root '{}': {reason}", root.display()));
        for said in ["TW-S084", "a.yaml:5:11", "--allow-outside", "tapwright.toml"] {
            done.says(said);
        }
    }
}

#[test]
fn a_capture_outside_is_read_where_that_is_allowed() {
    let project = project("../../secret.pcap");
    for arguments in LOADERS {
        let arguments = [arguments, &["--allow-outside"][..]].concat();
        assert_eq!(project.tapwright(&arguments).code, Some(0), "{arguments:?}");
    }
    // Nothing fails, so there is nothing to minimise; it was loaded and run.
    let minimise = ["minimise", "--backend", "sim", "a.yaml"];
    project.tapwright(&minimise).is_refused("TW-S084");
    let minimise = [&minimise[..], &["--allow-outside"]].concat();
    assert_eq!(project.tapwright(&minimise).code, Some(4));
    let run = ["run", "--backend", "sim", "a.yaml", "--accept"];
    project.tapwright(&run).is_refused("TW-S084");
    let run = [&run[..], &["--allow-outside"]].concat();
    assert_eq!(project.tapwright(&run).code, Some(0));
}

#[test]
fn a_scenario_without_a_project_has_its_own_folder() {
    let project = Project::new();
    fs::remove_dir(project.path("project/.git")).unwrap();
    project.scenario("../ours.pcap");
    let root = project.path("project/suite");
    let check = || project.tapwright(&["check", "a.yaml"]);
    check().is_refused("is outside of the root '.'");
    assert!(root.is_dir());
    for mark in ["Cargo.toml", "tapwright.toml", ".git"] {
        let mark = project.path("project").join(mark);
        fs::write(&mark, "").unwrap();
        check().ends(&[0]);
        fs::remove_file(&mark).unwrap();
    }
    project.write("project/suite/tapwright.toml", "");
    project.write("project/.git", "gitdir: elsewhere\n");
    check().is_refused("TW-S084");
}

#[test]
fn a_scenario_that_is_found_is_not_followed_out_of_the_root() {
    let project = Project::new();
    project.write("scenario.yaml", PLAIN);
    project.write("project/inside.yml", PLAIN);
    let suite = project.path("project/suite");
    symlink("../inside.yml", suite.join("a.yaml")).unwrap();
    project.tapwright(&["check", "."]).ends(&[0]);
    for target in ["../../scenario.yaml".into(), project.path("scenario.yaml")] {
        symlink(target, suite.join("b.yaml")).unwrap();
        for command in ["check", "list"] {
            let done = project.tapwright(&[command, "."]);
            let root = project.path("project");
            done.is_refused(&format!(
                "'./b.yaml' is not used: it is not below the root '{}': the link 'suite/b.yaml' leads \
                 elsewhere",
                root.display()
            ));
            done.says("TW-E016");
            project.tapwright(&[command, ".", "--allow-outside"]).ends(&[0]);
            // A person's own word, even among what is found.
            project.tapwright(&[command, "b.yaml"]).ends(&[0]);
            project.tapwright(&[command, ".", "b.yaml"]).ends(&[0]);
        }
        fs::remove_file(suite.join("b.yaml")).unwrap();
    }
}

/// Nobody named these folders.
#[test]
fn the_folders_that_are_taken_by_themselves_are_in_the_project() {
    let project = Project::new();
    fs::create_dir_all(project.path("elsewhere")).unwrap();
    project.write("elsewhere/a.yaml", PLAIN);
    project.write("project/suite/b.yaml", PLAIN);
    let suite = project.path("project/suite");
    symlink("../../elsewhere", suite.join("scenarios")).unwrap();
    for arguments in [&["check"][..], &["list"], &["run", "--backend", "sim"]] {
        let done = project.tapwright(arguments);
        done.is_refused("'scenarios' is not used: it is not below the root");
        done.says("TW-E016");
        let allowed = [arguments, &["--allow-outside"]].concat();
        project.tapwright(&allowed).ends(&[0, 5]);
        let named = [arguments, &["scenarios"]].concat();
        project.tapwright(&named).ends(&[0, 5]);
    }
    fs::create_dir_all(suite.join("target")).unwrap();
    drop(fs::remove_dir_all(suite.join("target/tapwright")));
    symlink("../../../elsewhere", suite.join("target/tapwright")).unwrap();
    let run = ["run", "--backend", "sim", "b.yaml"];
    project.tapwright(&run).is_refused("'target/tapwright' is not used");
    project.tapwright(&[&run[..], &["--out", "target/other"]].concat()).ends(&[5]);
}

#[test]
fn no_line_of_a_file_outside_is_shown() {
    let project = Project::new();
    let suite = project.path("project/suite");
    for (name, target) in [("a.yaml", "../../secret.txt"), ("b.snap", "../../secret.txt")] {
        symlink(target, suite.join(name)).unwrap();
    }
    project.write("project/suite/b.yaml", PLAIN);
    project.write("project/suite/c.yaml", CAPTURE.replace("NAME", "../../secret.txt"));
    for arguments in [
        &["check"][..],
        &["run", "--backend", "sim"],
        &["run", "--backend", "sim", "b.yaml"],
        &["review", "--unreferenced"],
        &["check", "c.yaml"],
        // Even where it may be read it is no capture, and that is all that is said.
        &["check", "c.yaml", "--allow-outside"],
    ] {
        project.tapwright(arguments).ends(&[1, 2]);
    }
    let done = project.tapwright(&["check", "c.yaml", "--allow-outside"]);
    done.is_refused("not a pcap or pcapng file: it is text");
}

/// A snapshot names captures too, and a review looks into them.
#[test]
fn a_review_shows_no_packet_of_a_capture_outside() {
    let project = Project::new();
    project.scenario("../../secret.pcap");
    let run = ["run", "--backend", "sim", "a.yaml", "--allow-outside", "--accept"];
    assert_eq!(project.tapwright(&run).code, Some(0));
    let snapshot = fs::read_to_string(project.path("project/suite/a.snap")).unwrap();
    assert!(snapshot.contains("../../secret.pcap[1] sha="), "{snapshot}");
    project.write("project/suite/a.snap.new", snapshot.replace("    hn0.host   <- #1\n", ""));
    // Without the capture the lines that differ are all there is to show.
    let refused = project.tapwright(&["review", "--diff", "a"]);
    refused.ends(&[0]);
    refused.says("--- reviewed");
    // With it both sides can be read, and are compared packet by packet.
    let allowed = project.tapwright(&["review", "--diff", "a", "--allow-outside"]);
    assert_eq!(allowed.code, Some(0), "{allowed}");
    assert!(
        !allowed.stdout.contains("--- reviewed") && allowed.stdout.contains("hn0.host"),
        "{allowed}"
    );
}
