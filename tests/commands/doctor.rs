use serde_json::Value;

use test_support::{Project, code, stdout};

/// A case that real interfaces are needed for.
const TAP: &str = "description: A TAP.\nnetdevs:\n  hn0: {}\nsteps:\n  - note: nothing\n";

#[test]
fn the_doctor_says_what_a_run_then_finds() {
    let project = Project::new(&[("scenarios/a.yaml", TAP)]);
    let output = project
        .command(&["doctor", "--format", "json"])
        .env("TAPWRIGHT_QEMU", "/nonexistent/qemu")
        .output()
        .unwrap();
    let text = stdout(&output);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| lines.iter().find(|line| line["name"] == name);
    let runs = &lines.last().unwrap()["runs"];
    assert_eq!(runs["sim"], true);
    assert_eq!(runs["qemu"], false);
    assert_eq!(code(&output), if runs["netns"] == true { 0 } else { 3 });
    let run = project.tapwright(&["run", "--backend", "netns"]);
    assert_eq!(code(&run) == 3, runs["netns"] == false, "{run:?}");
    if runs["netns"] == true {
        for name in ["isolation", "namespace", "host-stack", "tap", "af-packet"] {
            assert_eq!(named(name).unwrap()["state"], "ok", "{name}");
        }
        let qemu = named("qemu").unwrap();
        assert_eq!(qemu["state"], "missing");
        let found = qemu["found"].as_str().unwrap();
        assert!(found.starts_with("/nonexistent/qemu: "), "{found}");
        assert!(!qemu["remedy"].as_array().unwrap().is_empty());
    }
    for line in &lines {
        let broken = line["type"] == "check" && line["state"] != "ok";
        assert!(!broken || line["means"].is_string(), "{line}");
    }
}

#[test]
fn people_read_the_same() {
    let project = Project::new(&[]);
    let output = project.tapwright(&["doctor"]);
    let text = stdout(&output);
    assert!(text.lines().any(|line| line.starts_with("     ok  sim ")), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("Backends: sim runs, netns "), "{text}");
    assert_eq!(code(&output) == 0, last.contains("netns runs"));
}

#[test]
fn each_qemu_is_asked() {
    let project = Project::new(&[]);
    let two = ["--qemu", "/nonexistent/one", "--qemu", "/nonexistent/two"];
    let output = project.tapwright(&[&["doctor", "--format", "json"], &two[..]].concat());
    let text = stdout(&output);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    if !lines.iter().any(|line| line["name"] == "tap") {
        // Without namespaces no QEMU is asked.
        return;
    }
    let found: Vec<&str> = lines
        .iter()
        .filter(|line| line["name"] == "qemu")
        .map(|line| line["found"].as_str().unwrap())
        .collect();
    assert_eq!(found.len(), 2, "{text}");
    assert!(
        found[0].contains("/nonexistent/one") && found[1].contains("/nonexistent/two"),
        "{text}"
    );
    assert_eq!(lines.last().unwrap()["runs"]["qemu"], false);
}
