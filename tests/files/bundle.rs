//! What leaves the machine in a bundle.

use std::{collections::BTreeMap, fs, io::Read, os::unix::fs::symlink};

use flate2::read::GzDecoder;
use rstest::rstest;

use crate::project::{PLAIN, Project, SECRET};

/// The files of a bundle, below its folder.
fn unpacked(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let file = fs::File::open(project.path("project/suite/a.tgz")).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    });
    entries.collect()
}

#[rstest]
#[case::above("../../secret.pcap")]
#[case::absolute("{secret}")]
#[case::link("out.pcap")]
#[case::folder("top/secret.pcap")]
fn nothing_from_outside_is_packed(#[case] name: &str) {
    let project = Project::new();
    let secret = project.path("secret.pcap");
    project.scenario(&name.replace("{secret}", secret.to_str().unwrap()));
    symlink(&secret, project.path("project/suite/out.pcap")).unwrap();
    symlink("../..", project.path("project/suite/top")).unwrap();
    let bundle = ["export", "a.yaml", "--bundle", "a.tgz"];
    project.tapwright(&bundle).is_refused("TW-S084");
    // Read it may be then, and run, and not given away.
    let allowed = [&bundle[..], &["--allow-outside"]].concat();
    let done = project.tapwright(&allowed);
    done.is_refused("has no place in a bundle: it is not below the root");
    done.says("TW-E054");
    assert!(!project.path("project/suite/a.tgz").exists());
}

#[test]
fn a_snapshot_from_outside_is_not_packed() {
    let project = Project::new();
    project.write("project/suite/a.yaml", PLAIN);
    symlink("../../secret.txt", project.path("project/suite/a.snap")).unwrap();
    for more in [&[][..], &["--allow-outside"]] {
        let bundle = [&["export", "a.yaml", "--bundle", "a.tgz"][..], more].concat();
        let done = project.tapwright(&bundle);
        done.is_refused("has no place in a bundle: it is not below the root");
    }
    assert!(!project.path("project/suite/a.tgz").exists());
}

#[test]
fn what_is_linked_inside_is_packed_as_a_file_and_found_again() {
    let project = Project::new();
    project.scenario("inside.pcap");
    symlink("../ours.pcap", project.path("project/suite/inside.pcap")).unwrap();
    let done = project.tapwright(&["export", "a.yaml", "--bundle", "a.tgz"]);
    done.ends(&[0]);
    let files = unpacked(&project);
    let ours = fs::read(project.path("project/ours.pcap")).unwrap();
    assert_eq!(files["a/inside.pcap"], ours);
    assert!(files["a/tapwright.toml"].starts_with(b"# "));
    let all: Vec<u8> = files.into_values().flatten().collect();
    assert!(!String::from_utf8_lossy(&all).contains(SECRET));
}

#[test]
fn a_bundle_is_written_over_nothing() {
    let project = Project::new();
    project.write("project/suite/a.yaml", PLAIN);
    project.write("project/victim", "mine");
    let out = project.path("project/suite/a.tgz");
    for target in ["../victim", "../nothing"] {
        symlink(target, &out).unwrap();
        project.tapwright(&["export", "a.yaml", "--bundle", "a.tgz"]).is_refused("TW-E031");
        fs::remove_file(&out).unwrap();
    }
    assert_eq!(fs::read(project.path("project/victim")).unwrap(), b"mine");
    assert!(!project.path("project/nothing").exists());
}
