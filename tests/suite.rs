//! The shipped suite on each backend, by the command that the README shows.

use std::{collections::BTreeMap, fs, io::Write, path::Path, process::Output};

use serde_json::Value;
use test_support::command;

fn run(arguments: &[&str]) -> Output {
    run_in("", arguments)
}

/// Of a folder or a file of the suite.
fn run_in(some: &str, arguments: &[&str]) -> Output {
    let out = tempfile::tempdir().expect("a temporary folder");
    let scenarios = Path::new("scenarios").join(some);
    let scenarios = scenarios.to_str().expect("UTF-8");
    command(Path::new(env!("CARGO_MANIFEST_DIR")), &["run", scenarios, "--ci", "--out"])
        .arg(out.path())
        .args(arguments)
        .output()
        .expect("the binary starts")
}

/// Passes, or can't run here at all and says why.
#[track_caller]
fn passes(output: &Output) {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => assert!(stdout.contains(" 0 failed") || stderr.contains(" 0 failed")),
        Some(3) => drop(writeln!(std::io::stderr(), "skipped: {stderr}")),
        code => panic!("exit code {code:?}\n{stdout}\n{stderr}"),
    }
}

#[test]
fn the_suite_passes_in_memory() {
    let output = run(&["--backend", "sim"]);
    assert_eq!(output.status.code(), Some(0));
    passes(&output);
}

#[test]
fn the_suite_passes_on_real_taps() {
    passes(&run(&[]));
}

#[test]
fn memory_and_real_taps_agree() {
    passes(&run(&["--agree", "sim,netns"]));
}

#[test]
fn nothing_flakes_when_it_is_repeated() {
    passes(&run(&["--repeat", "3"]));
}

/// The record of each case, but for how long it took. Where a scenario masks a field, the kernel draws it
/// anew in each run, and such records are left out.
fn records(arguments: &[&str]) -> Option<BTreeMap<String, Value>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("report.json");
    let wanted = format!("json={}", report.display());
    let output = run(&[arguments, &["--events", "--report", &wanted]].concat());
    passes(&output);
    let text = fs::read_to_string(report).expect("a report");
    let mut report: Value = serde_json::from_str(&text).expect("JSON");
    let mut cases = report["cases"].as_array_mut().map(std::mem::take).expect("cases");
    let masks = |case: &Value| {
        let scenario = case["scenario"].as_str().expect("a scenario");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(scenario);
        fs::read_to_string(file).expect("a scenario").contains("masks:")
    };
    cases.retain(|case| !masks(case));
    let name = |case: &Value| case["case"].as_str().expect("a name").to_owned();
    let records = cases.into_iter().map(|mut case| {
        case.as_object_mut().expect("an object").remove("seconds");
        (name(&case), case)
    });
    (output.status.code() == Some(0)).then(|| records.collect())
}

/// Whoever gets the world of an earlier case must not be able to tell.
#[test]
fn records_are_the_same_in_fresh_worlds_and_in_used_ones() {
    let (Some(fresh), Some(used)) = (records(&["--fresh"]), records(&[])) else { return };
    assert!(fresh.len() > 1_000, "{}", fresh.len());
    assert!(fresh.keys().eq(used.keys()));
    for (name, record) in &fresh {
        assert!(record["transcript"].is_string(), "{name}");
        assert_eq!(record, &used[name], "{name}");
    }
}

#[test]
fn nothing_flakes_in_a_world_that_is_used_three_hundred_times() {
    for some in ["redirector", "af-packet/burst.yaml", "vnet/virtio-header-announced.yaml"] {
        passes(&run_in(some, &["--repeat", "300"]));
    }
}
