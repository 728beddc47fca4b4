//! Nothing from outside acts on a terminal, in a log or in a report: hostile texts at every way in,
//! every format on the way out, with the real binary.

mod hostile;
mod screen;

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use hostile::Hostile;
use rstest::rstest;
use screen::{without_bars, wrong, wrong_in_file};
use serde_json::Value;

/// What acts on a terminal: sets its title, clears it, resets it, hides text, colours it.
const ESCAPES: &str = "\u{1b}]0;PWNED\u{7}\u{1b}[2J\u{1b}[31mRED\u{1b}[8mhidden\u{1b}c";
/// The same of 8 bits, DEL, backspace and other controls.
const C1: &str = "\u{9b}2J\u{9d}0;PWNED\u{9c}\u{90}q\u{85}::error::nel\u{7f}\u{8}\u{e}\u{b}\u{c}";
/// What begins lines, and commands for the runners of CI systems.
const LINES: &str =
    "\r::error::cr\n::error::nl\n  ::stop-commands::x\n##[add-mask]m ##vso[task.x]y";
/// A command where a line begins with the text.
const COMMAND: &str = "::error::first";
/// What turns text around, ends lines, or has no width.
const UNICODE: &str = "\u{202e}gpj\u{2066}\u{200e}\u{200f}\u{61c}\u{2028}::error::ls\u{2029}::error::ps\
                       \u{feff}\u{200b}\u{200d}\u{2060}\u{ad}\u{e0041}";

/// What both streams of a command show is harmless.
#[track_caller]
fn harmless(arguments: &[&str], output: &Output) {
    for shown in [&output.stdout, &output.stderr] {
        assert_eq!(wrong(shown), None, "{arguments:?}");
        let text = String::from_utf8_lossy(shown);
        assert!(!text.contains("\u{1b}[31mRED") && !text.contains("\u{1b}[8m"), "{text:?}");
    }
    let code = output.status.code();
    assert!(code.is_some_and(|code| code < 70), "{arguments:?}: {output:?}");
}

#[rstest]
fn no_command_in_no_format_shows_what_acts(
    #[values(ESCAPES, C1, LINES, COMMAND, UNICODE)] text: &'static str,
) {
    let hostile = Hostile::new(text);
    let name = hostile.name();
    let run = format!("run/{name}/{name}.yaml");
    let ok = format!("ok/{name}.yaml");
    let equals = |option: &str| format!("{option}={text}");
    let (format, profile, report) = (equals("--format"), equals("--profile"), equals("--report"));
    let unwritable = format!("--out=/proc/{name}/x.yaml");
    let commands: &[&[&str]] = &[
        &["list", "run", "ok"],
        &["list", "run", "--format", "json"],
        &["run", "run", "--list"],
        &["check", "run"],
        &["check", "run", "--format", "json"],
        &["check", "bad"],
        &["check", "bad", "--format", "json"],
        &["run", "bad", "--backend", "sim", "--format", "github"],
        &["run", "bad", "--backend", "sim", "--format", "junit"],
        &["run", "run", "--backend", "sim", "--ci"],
        &["run", "run", "--backend", "sim", "--ci", "--format", "json", "--events"],
        &["run", "run", "--backend", "sim", "--ci", "--format", "junit"],
        &["run", "run", "--backend", "sim", "--ci", "--format", "github"],
        &["run", "run", "--backend", "sim", "--ci", "--repeat", "2"],
        &["run", "run", "--agree", "sim,netns", "--ci"],
        &["run", "run", "--backend", "qemu", "--qemu", "./qemu"],
        &["run", "--backend", "sim", "--out", &run, "ok"],
        &["run", "ok", "--backend", "sim", &report],
        &["run", &run, "--backend", "sim", "--accept"],
        &["graph", &run],
        &["graph", &run, "--format", "mermaid"],
        &["graph", &run, "--format", "dot"],
        &["graph", &run, "--format", "svg"],
        &["export", &run],
        &["export", &run, "--bundle", text],
        &["import", "paste.txt"],
        &["import", "--file", text],
        &["import", "--", "qemu-system-x86_64", "-netdev", text, "-object", text],
        &["minimise", &run, "--backend", "sim", "--budget", "20"],
        &["minimise", &run, "--backend", "sim", "--budget", "20", "--format", "json"],
        &["minimise", &run, "--backend", "sim", "--budget", "1", &unwritable],
        &["doctor", "--qemu", "./qemu"],
        &["doctor", "--qemu", text, "--format", "json"],
        &["run", "ok", "--backend", "sim"],
        &["review", "--list"],
        &["review", "--json"],
        &["review", "--diff", &ok],
        &["review", "--diff", text],
        &["review", "--accept-all"],
        &["review", "--unreferenced"],
        &["run", "ok", "--backend", "sim", "--ci"],
        &["new", &name],
        &["new", &name],
        &["explain", text],
        &["conflicts", &profile],
        &["conflicts", "--type", text],
        &["fuzz", "--agree", text],
        &["fuzz", "--agree", "sim,sim", &format],
        &["merge", &run],
        &["merge", text],
        &["enter", text],
        &["enter", "--out", &run],
        &["schema", text],
        &["list", text],
        &["list", "-k", text],
        &["list", "--tag", text],
        &["list", "--partition", text],
        &["run", &format],
        &["run", "--timeout", text],
        &[text],
        &[&equals("--x")],
    ];
    for arguments in commands {
        harmless(arguments, &hostile.output(arguments));
    }
    let with_environment = |arguments: &[&str], name: &str| {
        let output = hostile.command(arguments).env(name, text).output().unwrap();
        harmless(arguments, &output);
    };
    with_environment(&["doctor", "--color", "always"], "TAPWRIGHT_QEMU");
    with_environment(
        &["run", "run", "--backend", "sim", "--ci", "--format", "github"],
        "GITHUB_WORKSPACE",
    );
    with_environment(
        &["run", "run", "--backend", "sim", "--format", "github"],
        "GITHUB_STEP_SUMMARY",
    );
}

#[rstest]
fn a_snapshot_is_reviewed_without_acting(
    #[values(ESCAPES, C1, LINES, COMMAND, UNICODE)] text: &'static str,
) {
    let hostile = Hostile::new(text);
    let id = format!("ok/{}", hostile.name());
    assert_eq!(
        hostile.output(&["run", "ok", "--backend", "sim", "--accept"]).status.code(),
        Some(0)
    );
    // What was reviewed is another text than what comes.
    let snapshot = hostile.folder.path().join(format!("{id}.snap"));
    let reviewed = fs::read_to_string(&snapshot).unwrap();
    let mut lines: Vec<String> = reviewed.lines().map(str::to_owned).collect();
    let one_line = text.replace(['\r', '\n'], "\u{85}");
    for line in &mut lines {
        if line.starts_with("[1] ") {
            *line = format!("[1] note other {one_line}");
        } else if line.starts_with("    !! ") {
            *line = format!("    !! GenericError: other {one_line}");
        }
    }
    fs::write(&snapshot, lines.join("\n") + "\n").unwrap();
    for arguments in [
        &["run", "ok", "--backend", "sim"][..],
        &["run", "ok", "--backend", "sim", "--ci", "--format", "github"],
        &["review", "--diff", &id],
        &["review", "--diff", &id, "--json"],
        &["review", "--list"],
        &["review", "--reject", &id],
        &["run", "ok", "--backend", "sim", "--accept"],
    ] {
        harmless(arguments, &hostile.output(arguments));
    }
    // A snapshot is a file: it is as it was, byte for byte.
    assert_eq!(fs::read_to_string(&snapshot).unwrap(), reviewed);
    fs::remove_file(snapshot.with_extension("yaml")).unwrap();
    for arguments in [&["review", "--unreferenced"][..], &["review", "--unreferenced", "--json"]] {
        harmless(arguments, &hostile.output(arguments));
    }
}

#[rstest]
fn reports_in_files_are_harmless_and_json_loses_nothing(
    #[values(ESCAPES, C1, LINES, COMMAND, UNICODE)] text: &'static str,
) {
    let hostile = Hostile::new(text);
    let arguments = [
        "run",
        "run",
        "ok",
        "--agree",
        "sim,netns",
        "--agree-table",
        "reports/table.jsonl",
        "--report",
        "json=reports/run.json",
        "--report",
        "junit=reports/run.xml",
        "--report",
        "markdown=reports/run.md",
        "--report",
        "html=reports/page",
        "--format",
        "github",
    ];
    fs::create_dir(hostile.folder.path().join("reports")).unwrap();
    let mut command = hostile.command(&arguments);
    harmless(
        &arguments,
        &command.env("GITHUB_STEP_SUMMARY", "reports/summary.md").output().unwrap(),
    );
    let reports = hostile.written("reports");
    assert_eq!(reports.len(), 6);
    for (name, bytes) in &reports {
        assert_eq!(wrong_in_file(bytes), None, "{name}");
        let escape = if name.contains(".json") { "\\u00" } else { "\\u{" };
        let is_control = !text.contains(|c: char| c.is_control() && c != '\n' && c != '\r');
        let shown = String::from_utf8_lossy(bytes).replace("&#123;", "{").replace("&#92;", "\\");
        assert!(is_control || shown.contains(escape), "{name}: {shown}");
    }
    let record = fs::read_to_string(hostile.folder.path().join("reports/run.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let cases: Vec<&Value> = record["cases"].as_array().unwrap().iter().collect();
    let case = cases.iter().find(|case| case["scenario"].as_str().unwrap().starts_with("run/"));
    let name = hostile.name();
    assert_eq!(case.unwrap()["case"], format!("{name}/{name}"));
    assert_eq!(case.unwrap()["description"], text);
    // What another machine made is merged, and no better.
    for format in ["human", "json", "junit", "github"] {
        let arguments = ["merge", "reports/run.json", "--format", format];
        harmless(&arguments, &hostile.output(&arguments));
    }
}

#[rstest]
fn json_lines_say_the_texts_themselves(
    #[values(ESCAPES, C1, LINES, COMMAND, UNICODE)] text: &'static str,
) {
    let hostile = Hostile::new(text);
    let name = hostile.name();
    let output = hostile.output(&["list", "run", "--format", "json"]);
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["case"], format!("{name}/{name}"));
    assert_eq!(line["description"], text);
    let output = hostile.output(&["run", "run", "--backend", "sim", "--ci", "--format", "json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let finished = lines.iter().find(|line| line["type"] == "case-finished").unwrap();
    let messages =
        finished["problems"].as_array().unwrap().iter().map(|one| one["message"].as_str().unwrap());
    assert!(messages.into_iter().any(|message| message.contains(text)), "{finished}");
}

#[rstest]
fn what_export_and_import_write_is_a_file_until_it_is_shown(
    #[values(ESCAPES, C1, UNICODE)] text: &'static str,
) {
    let hostile = Hostile::new(text);
    let run = format!("run/{0}/{0}.yaml", hostile.name());
    let piped = hostile.command(&["export", &run]).output().unwrap();
    // In QMP's JSON and in a word of the shell it is itself.
    let exported = String::from_utf8(piped.stdout).unwrap();
    assert!(exported.contains(&format!("path={text}")), "{exported:?}");
    let piped = hostile.command(&["import", "paste.txt"]).output().unwrap().stdout;
    hostile.command(&["import", "paste.txt", "--out", "import.yaml"]).output().unwrap();
    assert_eq!(fs::read(hostile.folder.path().join("import.yaml")).unwrap(), piped);
    // No line of it but the program's own begins a command of a shell.
    for line in exported.lines() {
        let known = ["#", "qemu-system-x86_64", "  -", "{\"execute\""];
        assert!(line.is_empty() || known.iter().any(|head| line.starts_with(head)), "{line:?}");
    }
}

#[rstest]
fn a_terminal_is_left_alone(#[values(ESCAPES, C1, LINES, COMMAND, UNICODE)] text: &'static str) {
    let hostile = Hostile::new(text);
    // The shell of `script` has to take the name as it is.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let run = quoted(&format!("run/{0}/{0}.yaml", hostile.name()));
    let program = env!("CARGO_BIN_EXE_tapwright");
    for command in [
        "run run ok --backend sim --ci".to_owned(),
        "list run".to_owned(),
        "check bad".to_owned(),
        format!("export {run}"),
        "import paste.txt".to_owned(),
        format!("graph {run}"),
        format!("list {}", quoted(text)),
        format!("--{}", quoted(text)),
    ] {
        let output = Command::new("script")
            .args([
                "--quiet",
                "--return",
                "--command",
                &format!("{program} {command}"),
                "/dev/null",
            ])
            .current_dir(hostile.folder.path())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env_remove("CI")
            .stdin(Stdio::null())
            .output()
            .expect("script of util-linux starts");
        let screen = String::from_utf8(output.stdout).expect("text");
        // A colour says that this was a terminal for the program.
        assert!(screen.contains("\u{1b}[") || !command.starts_with("run"), "{screen:?}");
        let itself = text != COMMAND && screen.contains(text);
        assert!(!screen.contains("\u{1b}[31mRED") && !itself, "{command}: {screen:?}");
        assert_eq!(wrong(without_bars(&screen).as_bytes()), None, "{command}");
    }
}
