//! Builds with a version of the RFC, as the page on patched QEMUs has them tried.

use std::{fs, path::Path};

use test_support::Project;

use crate::{
    Try,
    build::BOTH,
    lab::{Lab, PROBE, run},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("each_version_is_found", each_version_is_found),
    ("refusals_are_held_against_the_profile", refusals_are_held_against_the_profile),
    ("packets_are_held_against_the_profile", packets_are_held_against_the_profile),
];

fn each_version_is_found(lab: &Lab) {
    let project = Project::suite(&[("a.yaml", PROBE)]);
    for (build, profile, found) in [
        ("rfc-v1", "rfc", "its filter-redirector has in_netdev"),
        ("rfc-v2", "rfc-v3", "takes a netdev with vhost, as that of rfc-v2 does"),
        ("rfc-v3", "rfc-v3", "takes a netdev with vhost, as that of rfc-v2 does"),
        ("rfc-v4", "rfc-v4", "its chardevs have af-packet-mode"),
    ] {
        let qemu = lab.stand_in(&project, build);
        let ran = run(&project, &["run", "--ci", "--agree", "sim,qemu", "--qemu", &qemu]);
        assert_eq!(ran.code, 0, "{build}: {}", ran.text);
        let said = format!("QEMU 11.1.50 is run under the profile {profile}: ");
        assert!(ran.text.contains(&said) && ran.text.contains(found), "{build}: {}", ran.text);
        let table = format!("What this QEMU does otherwise than {profile}: nothing, in 1 cases");
        assert!(ran.stdout.contains(&table), "{build}: {}", ran.text);
        let doctor = run(&project, &["doctor", "--qemu", &qemu]);
        assert!(doctor.text.contains(&said), "{build}: {}", doctor.text);
    }
}

fn refusals_are_held_against_the_profile(lab: &Lab) {
    let project = Project::suite(&[("matrix.yaml", &shipped("conflicts/matrix.yaml"))]);
    let qemu = lab.stand_in(&project, "rfc-v1");
    let table = project.path().join("table.jsonl");
    let table = table.to_str().expect("a path of text");
    let ran = run(
        &project,
        &["run", "--ci", "--agree", "sim,qemu", "--qemu", &qemu, "--agree-table", table],
    );
    assert_eq!(ran.code, 1, "{}", ran.text);
    // The model has a text of its own for both endpoints, and the build another.
    let row = format!("    this QEMU  GenericError: {BOTH}\n");
    assert!(ran.stdout.contains(&row), "{}", ran.text);
    let rows = project.read("table.jsonl");
    let of = |verdict: &str| rows.matches(&format!(r#""verdict":"{verdict}""#)).count();
    assert!(of("agree") > 0 && of("differ") > 0, "{}", ran.text);
    if !Path::new("/dev/vhost-net").exists() {
        let skipped = "skipped: not compared: qemu: there is no /dev/vhost-net";
        assert_eq!(ran.stdout.matches(&format!("{} {skipped}", of("skipped"))).count(), 1);
        assert!(of("skipped") < 1800, "{}", of("skipped"));
    }
}

/// The stand-in takes the redirector and captures nothing, which is to be found.
fn packets_are_held_against_the_profile(lab: &Lab) {
    let project = Project::suite(&[("capture.yaml", &shipped("af-packet/capture-rx.yaml"))]);
    let qemu = lab.stand_in(&project, "rfc-v1");
    let table = project.path().join("table.jsonl");
    let table = table.to_str().expect("a path of text");
    let arguments = ["run", "--ci", "--agree", "netns,qemu", "--agree-table", table];
    let ran = run(&project, &[&arguments[..], &["--qemu", &qemu]].concat());
    assert_eq!(ran.code, 1, "{}", ran.text);
    let said = "What this QEMU does otherwise than rfc: 1 of 1 cases\n  a frame less\n";
    assert!(ran.stdout.contains(said), "{}", ran.text);
    let rows = project.read("table.jsonl");
    let row = |case: &str| rows.lines().find(|row| row.contains(case)).expect("a row a case");
    let (with, without) = (row("capture@vhost=true"), row("capture@vhost=false"));
    assert!(with.contains("skipped") && with.contains("vhost"), "{with}");
    assert!(without.contains(r#""port":"out0""#), "{without}");
}

/// A scenario of the shipped suite.
fn shipped(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    fs::read_to_string(root.join(name)).expect("a shipped scenario")
}
