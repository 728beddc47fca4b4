use std::{collections::BTreeMap, fs, io::Read, path::Path, process::Command};

use flate2::read::GzDecoder;

use test_support::{Project, code, stderr, stdout, tapwright};

const SCENARIO: &str = "description: A request goes out.\nmatrix:\n  queue: [rx, all]\nnetdevs:\n  \
                        hn0: {}\nchardevs:\n  out0: {}\nobjects:\n  - \
                        filter-mirror,id=f0,netdev=hn0,queue=${queue},outdev=out0\nsteps:\n  - send: \
                        hn0.guest\n    pcap: ../../captures/http.pcap\n    frames: [1..3]\n";

fn project() -> Project {
    let files = [("suite/scenarios/net/http.yaml", SCENARIO), ("suite/.git", "gitdir: x\n")];
    let project = Project::new(&files);
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pcaps/http.pcap");
    project.write("suite/captures/http.pcap", fs::read(capture).unwrap());
    project
}

fn unpacked(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = fs::File::open(archive).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            let path = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (path, bytes)
        })
        .collect()
}

/// The commands of a bundle's README, which are indented.
fn commands(readme: &str) -> Vec<&str> {
    let lines = readme.lines();
    lines.filter_map(|line| line.strip_prefix("    ")).collect()
}

#[test]
fn whoever_unpacks_it_runs_it_as_its_readme_says() {
    let project = project();
    let scenario = "suite/scenarios/net/http.yaml";
    let accepted = project.tapwright(&["run", "--backend", "sim", "--accept", scenario]);
    assert_eq!(code(&accepted), 0, "{}", stderr(&accepted));
    for name in ["one.tar.gz", "two.tgz"] {
        let output = project.tapwright(&["export", scenario, "-k", "all", "--bundle", name]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    }
    let (one, two) = (project.path().join("one.tar.gz"), project.path().join("two.tgz"));
    assert_eq!(fs::read(&one).unwrap(), fs::read(two).unwrap());
    let files = unpacked(&one);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "http/README.md",
            "http/captures/http.pcap",
            "http/qemu.txt",
            "http/record.pcapng",
            "http/record.txt",
            "http/scenarios/net/http.snap",
            "http/scenarios/net/http.yaml",
            "http/tapwright.toml",
        ]
    );
    let text = |name: &str| String::from_utf8(files[name].clone()).unwrap();
    assert_eq!(text("http/scenarios/net/http.yaml"), SCENARIO);
    assert!(text("http/record.txt").contains("\n    out0 "), "{}", text("http/record.txt"));
    assert!(text("http/qemu.txt").contains("-object filter-mirror,id=f0,netdev=hn0,queue=all"));
    let readme = text("http/README.md");

    let elsewhere = Project::new(&[]);
    let unpacking = Command::new("tar").arg("xzf").arg(&one).current_dir(elsewhere.path()).status();
    assert!(unpacking.unwrap().success());
    let commands = commands(&readme);
    assert_eq!(commands.len(), 2, "{readme}");
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(words[0], "tapwright", "{command}");
        let run = tapwright(&elsewhere.path().join("http"), &words[1..]);
        assert_eq!(code(&run), 0, "{command}: {}{}", stdout(&run), stderr(&run));
    }
    insta::assert_snapshot!(redacted(&readme));
}

/// Without what is this machine's.
fn redacted(readme: &str) -> String {
    let own = ["- tapwright ", "- kernel "];
    let lines = readme.lines().map(|line| {
        let own = own.iter().find(|own| line.starts_with(**own));
        own.map_or_else(|| line.to_owned(), |own| format!("{own}..."))
    });
    lines.map(|line| line + "\n").collect()
}

#[test]
fn what_fails_is_said_in_the_readme_and_a_snapshot_is_not_needed() {
    let project = Project::new(&[(
        "a.yaml",
        "description: Something is expected.\nchardevs:\n  out0: {}\nsteps:\n  - expect: { out0: 1 }\n",
    )]);
    let output = project.tapwright(&["export", "a.yaml", "--bundle", "a.tar.gz"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let files = unpacked(&project.path().join("a.tar.gz"));
    let readme = String::from_utf8(files["a/README.md"].clone()).unwrap();
    assert!(readme.contains("- step 1: out0: expected 1 frame(s), got 0"), "{readme}");
    assert_eq!(commands(&readme)[1], "tapwright run --backend sim a.yaml");
    assert!(!files.contains_key("a/a.snap"));
}

#[test]
fn what_differs_from_the_snapshot_is_said_in_the_readme() {
    let project = project();
    let scenario = "suite/scenarios/net/http.yaml";
    let accepted = project.tapwright(&["run", "--backend", "sim", "--accept", scenario]);
    assert_eq!(code(&accepted), 0, "{}", stderr(&accepted));
    project.write(scenario, SCENARIO.replace("[1..3]", "[1, 2]"));
    let output = project.tapwright(&["export", scenario, "-k", "all", "--bundle", "a.tar.gz"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let files = unpacked(&project.path().join("a.tar.gz"));
    let readme = String::from_utf8(files["http/README.md"].clone()).unwrap();
    assert!(readme.contains("The record differs from the snapshot:\n"), "{readme}");
    assert!(readme.contains("sent frames\n"), "{readme}");
}

#[test]
fn what_is_in_the_way_is_said_and_nothing_is_written() {
    let project = project();
    let capture = project.path().join("suite/captures/http.pcap");
    let absolute = SCENARIO.replace("../../captures/http.pcap", capture.to_str().unwrap());
    project.write("suite/absolute.yaml", absolute);
    project.write("there.tar.gz", "mine");
    let scenario = "suite/scenarios/net/http.yaml";
    for (file, bundle, expected) in [
        ("suite/absolute.yaml", "a.tar.gz", "TW-S084"),
        (scenario, "there.tar.gz", "TW-E031"),
        (scenario, "a.zip", "a bundle is a .tar.gz"),
        (scenario, "no/such/folder.tar.gz", "TW-E022"),
    ] {
        let output = project.tapwright(&["export", file, "--bundle", bundle]);
        assert_eq!(code(&output), 2, "{bundle}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
    let allowed = ["export", "suite/absolute.yaml", "--bundle", "a.tar.gz", "--allow-outside"];
    let output = project.tapwright(&allowed);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("TW-E054"), "{}", stderr(&output));
    assert_eq!(fs::read(project.path().join("there.tar.gz")).unwrap(), b"mine");
    assert!(!project.path().join("a.tar.gz").exists());
}
