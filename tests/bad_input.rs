//! Every way in which a scenario can be wrong, with the whole text that a user then sees.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tapwright::{
    diag::{Report, Style, render},
    scenario::{Disk, EXPLANATIONS, load},
};

const FOLDER: &str = "tests/bad_input";

fn inputs() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(FOLDER)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    paths.push(Path::new(FOLDER).join("file-missing.yaml"));
    paths.sort();
    paths
}

fn reports(path: &Path) -> Vec<Report> {
    load(path, Path::new(FOLDER), &Disk).err().unwrap_or_default()
}

#[test]
fn every_bad_input_is_refused() {
    let accepted: Vec<PathBuf> =
        inputs().into_iter().filter(|path| reports(path).is_empty()).collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
}

#[test]
fn every_bad_input_says_what_is_wrong_where_and_what_to_do() {
    let paths = inputs();
    assert!(paths.len() >= 80, "only {} inputs", paths.len());
    let mut text = String::new();
    for path in paths {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        text += &format!("=== {name}\n{}\n", render(&reports(&path), Style::Plain));
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("bad_input", text);
    });
}

#[test]
fn every_report_has_a_known_code_a_remedy_and_its_file() {
    for path in inputs() {
        let reports = reports(&path);
        for report in reports {
            let line = render(std::slice::from_ref(&report), Style::OneLine);
            assert!(EXPLANATIONS.iter().any(|row| row.code == report.code), "{line}");
            assert!(report.help.is_some_and(|help| !help.is_empty()), "{line}");
            assert!(line.contains(&*path.to_string_lossy()), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }
}

#[test]
fn every_code_has_a_bad_input() {
    let seen: Vec<_> =
        inputs().iter().flat_map(|path| reports(path)).map(|report| report.code).collect();
    let missing: Vec<_> =
        EXPLANATIONS.iter().map(|row| row.code).filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_command_exits_with_2_and_never_panics() {
    for input in inputs() {
        for command in ["check", "run"] {
            let backend = if command == "run" { &["--backend", "sim", "--ci"][..] } else { &[] };
            let output = Command::new(env!("CARGO_BIN_EXE_tapwright"))
                .arg(command)
                .arg(&input)
                .args(backend)
                .output()
                .expect("the binary starts");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command} {}: {stderr}", input.display());
            assert!(stderr.contains("TW-"), "{command} {}: {stderr}", input.display());
        }
    }
}
