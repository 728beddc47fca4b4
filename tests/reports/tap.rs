//! Programs that read the Test Anything Protocol take what a run prints: prove, Meson, and a reader
//! of the kernel's dialect as its documentation has it.

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use test_support::{Project, is_there, stderr, stdout};

use crate::docs::blocks;
use crate::scenario::{FAILS, INVALID, MANY, NEEDS_HOST, PASSES};

/// Of three files one fails and one is skipped.
const MIXED: &[(&str, &str)] =
    &[("a.yaml", FAILS), ("b.yaml", NEEDS_HOST), ("many.yaml", MANY), ("fine.yaml", PASSES)];

/// A project whose snapshots are accepted, and a script that runs its suite as a test does.
fn project(files: &[(&str, &str)], format: &str) -> Project {
    let project = Project::suite(files);
    project.tapwright(&["run", "--backend=sim", "--accept"]);
    let command = project.command(&[]);
    let program = Path::new(command.get_program()).display().to_string();
    let run = format!("run --backend=sim --ci --format={format}");
    project.write("suite.t", format!("#!/bin/sh\nexec '{program}' {run}\n"));
    let script = project.path().join("suite.t");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    project
}

/// What a program prints in the project.
fn output(project: &Project, program: &str, arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new(program).args(arguments).current_dir(project.path()).output().unwrap();
    (output.status.success(), stdout(&output) + &stderr(&output))
}

#[test]
fn prove_counts_files() {
    if !is_there("prove") {
        return;
    }
    let (passed, text) = output(&project(&[("a.yaml", PASSES)], "tap"), "prove", &["./suite.t"]);
    assert!(passed && text.contains("Result: PASS") && text.contains("Tests=1"), "{text}");
    let (passed, text) = output(&project(MIXED, "tap"), "prove", &["./suite.t"]);
    assert!(!passed && !text.contains("Parse errors"), "{text}");
    assert!(text.contains("Failed 1/4 subtests"), "{text}");
    assert!(text.contains("(less 1 skipped subtest: 2 okay)"), "{text}");
}

#[test]
fn meson_counts_files() {
    if !is_there("meson") {
        return;
    }
    let (passed, text) = meson(&project(MIXED, "tap"), MESON);
    assert!(!passed && !text.contains("parsing error"), "{text}");
    for point in ["a.yaml FAIL", "b.yaml SKIP", "fine.yaml OK", "many.yaml OK"] {
        assert!(text.contains(point), "{point} in {text}");
    }
    let (passed, text) = meson(&project(&[("a.yaml", PASSES), ("b.yaml", MANY)], "tap"), MESON);
    assert!(passed && text.contains("2 subtests passed"), "{text}");
}

const MESON: &str = "test('tapwright', find_program('./suite.t'), protocol: 'tap', workdir: \
                     meson.current_source_dir())\n";

/// What Meson says of the tests of a `meson.build`.
fn meson(project: &Project, tests: &str) -> (bool, String) {
    let program = project.command(&[]).get_program().to_owned();
    let directory = Path::new(&program).parent().unwrap();
    let path = format!("{}:{}", directory.display(), env::var("PATH").unwrap_or_default());
    project.write("meson.build", format!("project('suite')\n{tests}"));
    let said = ["setup build", "test -C build --verbose"].map(|arguments| {
        let mut meson = Command::new("meson");
        meson.args(arguments.split(' ')).current_dir(project.path()).env("PATH", &path);
        let output = meson.output().unwrap();
        (output.status.success(), stdout(&output) + &stderr(&output))
    });
    let [(set_up, text), tested] = said;
    assert!(set_up, "{text}");
    tested
}

/// The lines for QEMU's tree, with a QEMU.
#[test]
fn the_documented_lines_for_meson_work() {
    const NOTHING_CAN_RUN: i32 = 3;
    let project = Project::new(&[("tapwright/a.yaml", PASSES), ("tapwright/b.yaml", MANY)]);
    project.tapwright(&["run", "--backend=sim", "--accept", "tapwright"]);
    let has_qemu = || project.exit(&["run", "--backend=qemu", "tapwright"]) != NOTHING_CAN_RUN;
    if !(is_there("meson") && is_there("qemu-system-x86_64") && has_qemu()) {
        return;
    }
    let lines = &blocks("meson")[0];
    // As if it were built there.
    let emulators = "program = 'qemu-system-x86_64'\n\
                     built = custom_target(program, output: program, command: ['ln', '-sf', \
                     find_program(program), '@OUTPUT@'])\n\
                     emulators = {program: built}\n";
    let (passed, text) = meson(&project, &format!("{emulators}{lines}"));
    assert!(passed && text.contains("2 subtests passed"), "{text}");
}

/// The script for kselftest is a line that says so, and a code, where nothing is installed.
#[test]
fn the_documented_script_for_kselftest_skips_where_it_must() {
    let scripts = blocks("sh");
    let script = scripts.iter().find(|script| script.starts_with("#!")).unwrap();
    let project = Project::new(&[("suite.sh", script)]);
    let run = |path: &str| {
        let mut sh = Command::new("/bin/sh");
        let output = sh.arg("suite.sh").current_dir(project.path()).env("PATH", path).output();
        let output = output.unwrap();
        (output.status.code(), stdout(&output))
    };
    let (code, text) = run("/nowhere");
    assert_eq!((code, text.as_str()), (Some(4), "1..0 # SKIP tapwright is not installed\n"));
}

/// The points of a level of KTAP and of those below it, each `ok NAME` or `not ok NAME`: what the
/// kernel's `Documentation/dev-tools/ktap.rst` says of plan, numbers, nesting and comments holds.
fn points(lines: &[&str]) -> Vec<String> {
    let [version, plan, rest @ ..] = lines else { panic!("no level: {lines:?}") };
    assert_eq!(*version, "KTAP version 1");
    let count: usize =
        plan.strip_prefix("1..").unwrap().split(' ').next().unwrap().parse().unwrap();
    let (mut all, mut nested, mut number) = (Vec::new(), Vec::new(), 0);
    for line in rest {
        if let Some(line) = line.strip_prefix("  ") {
            nested.push(line);
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        if !nested.is_empty() {
            all.extend(points(&std::mem::take(&mut nested)));
        }
        number += 1;
        let fails = line.starts_with("not ");
        let point = line.trim_start_matches("not ");
        let name = point.strip_prefix(&format!("ok {number} ")).unwrap();
        all.push(if fails { format!("not ok {name}") } else { format!("ok {name}") });
    }
    assert_eq!(number, count);
    all
}

#[test]
fn the_kernels_dialect_is_as_it_is_documented() {
    let project = project(MIXED, "ktap");
    let (_, text) = output(&project, "./suite.t", &[]);
    let points = points(&text.lines().collect::<Vec<_>>());
    let of = |wanted: &str| points.iter().filter(|point| point.starts_with(wanted)).count();
    // A file's point too.
    assert_eq!((of("not ok a"), of("not ok scenarios/a.yaml"), of("not ok")), (1, 1, 2), "{text}");
    assert_eq!(of("ok many@"), 12);
    assert!(points.contains(&"ok scenarios/fine.yaml".to_owned()), "{text}");
    assert_eq!(points.iter().filter(|point| point.contains(" # SKIP ")).count(), 2, "{text}");
}

#[test]
fn a_run_that_can_not_begin_fails() {
    let project = Project::suite(&[("a.yaml", INVALID)]);
    for format in ["tap", "ktap"] {
        let output = project.tapwright(&["run", "--backend=sim", &format!("--format={format}")]);
        let text = stdout(&output);
        assert!(text.lines().any(|line| line.starts_with("not ok")), "{text}");
        assert!(text.contains("TW-S"), "{text}");
    }
    let points = |text: &str| text.lines().any(|line| line.starts_with("ok"));
    let output = project.tapwright(&["run", "--backend=sim", "--format=tap", "-k", "nothing"]);
    assert!(!points(&stdout(&output)));
}
