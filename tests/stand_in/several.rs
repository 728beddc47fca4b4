//! One run with several QEMUs.

use test_support::Project;

use crate::{
    Try,
    lab::{Lab, PROBE, run},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("each_is_compared_under_its_own_profile", each_is_compared_under_its_own_profile),
    ("two_of_one_profile_share_the_cases", two_of_one_profile_share_the_cases),
    ("who_differs_is_named", who_differs_is_named),
    ("a_version_without_a_profile_has_a_table", a_version_without_a_profile_has_a_table),
];

fn each_is_compared_under_its_own_profile(lab: &Lab) {
    let project = Project::suite(&[("a.yaml", PROBE)]);
    let other = lab.stand_in(&project, "11.1.3");
    let table = project.path().join("table.jsonl");
    let table = table.to_str().expect("a path of text");
    let ran = run(
        &project,
        &[
            "run",
            "--ci",
            "--agree",
            "sim,qemu",
            "--qemu",
            lab.qemu(),
            "--qemu",
            &other,
            "--agree-table",
            table,
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.text);
    let Lab { version, profile, .. } = lab;
    for expected in [
        format!(
            "qemu-{version} is {}: QEMU {version} is run under the profile {profile}",
            lab.qemu()
        ),
        format!("qemu-11.1.3 is {other}: QEMU 11.1.3 is run under the profile qemu-11.1"),
        format!("a@profile={profile}"),
        "a@profile=qemu-11.1".to_owned(),
        "2 cases run: 2 passed".to_owned(),
    ] {
        assert!(ran.text.contains(&expected), "{expected}: {}", ran.text);
    }
    let rows = project.read("table.jsonl");
    for qemu in [format!("qemu-{version}"), "qemu-11.1.3".to_owned()] {
        let pair = format!(r#""backends":["sim","{qemu}"]"#);
        assert_eq!(rows.matches(&pair).count(), 1, "{pair}: {rows}");
    }
}

fn two_of_one_profile_share_the_cases(lab: &Lab) {
    let project = Project::suite(&[("a.yaml", PROBE)]);
    let Lab { version, .. } = lab;
    let ran = run(
        &project,
        &[
            "run",
            "--ci",
            "--agree",
            "sim,qemu",
            "--qemu",
            lab.qemu(),
            "--qemu",
            lab.qemu(),
            "--format",
            "json",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.text);
    let lanes = format!(r#""backends":["sim","qemu-{version}","qemu-{version}-2"]"#);
    assert!(ran.stdout.contains(&lanes), "{}", ran.stdout);
    assert!(ran.stdout.contains(r#""case":"a""#), "{}", ran.stdout);
}

/// What aborts a QEMU 11.1, and the installed one refuses.
const DIFFERS: &str = "description: A filter has no place behind an object that is no filter.\n\
    netdevs: { hn0: {} }\n\
    chardevs: { out0: {} }\n\
    objects: [\"iothread,id=io0\"]\n\
    steps:\n\
    - object-add: filter-mirror,id=m0,netdev=hn0,outdev=out0,position=id=io0\n\
    \x20 error: filter 'io0' belongs to a different netdev\n";

fn who_differs_is_named(lab: &Lab) {
    let project = Project::suite(&[("a.yaml", DIFFERS)]);
    let other = lab.stand_in(&project, "11.1.3");
    let Lab { profile, .. } = lab;
    let qemus = ["run", "--ci", "--agree", "sim,qemu", "--qemu", lab.qemu(), "--qemu", &other];
    let ran = run(&project, &qemus);
    assert_eq!(ran.code, 1, "{}", ran.text);
    for expected in [
        format!("a@profile={profile}\n"),
        "FAIL  a@profile=qemu-11.1  [sim,qemu-11.1.3]".to_owned(),
        "sim and qemu-11.1.3 disagree".to_owned(),
        "2 cases run: 1 passed, 1 failed".to_owned(),
    ] {
        assert!(ran.text.contains(&expected), "{expected}: {}", ran.text);
    }
    assert!(!ran.text.contains("does otherwise than"), "{}", ran.text);
}

fn a_version_without_a_profile_has_a_table(lab: &Lab) {
    let project = Project::suite(&[("a.yaml", DIFFERS), ("b.yaml", PROBE)]);
    let other = lab.stand_in(&project, "12.0.0");
    let ran = run(&project, &["run", "--ci", "--agree", "sim,qemu", "--qemu", &other]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    let said = "QEMU 12.0.0 is run under the profile qemu-11.1, the nearest that is known";
    assert!(ran.text.contains(said), "{}", ran.text);
    let table = "What this QEMU does otherwise than qemu-11.1: 1 of 2 cases\n\
                 \x20 object-add\n\
                 \x20   qemu-11.1  aborts: include/net/filter.h:18:NETFILTER: Object is not an \
                 instance of type netfilter\n\
                 \x20   this QEMU  GenericError: filter 'io0' belongs to a different netdev\n\
                 \x20   in         a:6\n";
    assert!(ran.stdout.contains(table), "{}", ran.stdout);
}
