//! Every code that a diagnostic can have is explained.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn every_code_is_explained() {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let codes: BTreeSet<String> = files.iter().flat_map(|file| codes(file)).collect();
    assert!(codes.len() > 80, "{codes:?}");
    for code in codes {
        let output = Command::new(env!("CARGO_BIN_EXE_tapwright"))
            .args(["explain", &code])
            .output()
            .expect("the binary starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.starts_with(&code), "{code}: {text}");
    }
}

/// The codes in a file's strings; those of tests end in 998 and 999.
fn codes(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a source file");
    text.match_indices("\"TW-")
        .filter_map(|(at, _)| text.get(at + 1..at + 8).map(str::to_owned))
        .filter(|code| code[4..].bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|code| !code.ends_with("999") && !code.ends_with("998"))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
