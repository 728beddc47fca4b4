//! What is packed is whole, and what is in it runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_remove("CI")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    output
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
}

/// The one file in a folder whose name ends so.
fn only(folder: &Path, end: &str) -> Option<PathBuf> {
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths = paths.filter(|path| path.to_string_lossy().ends_with(end));
    let path = paths.next();
    assert_eq!(paths.next(), None);
    path
}

#[test]
fn what_is_released_is_whole_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("dist");
    let xtask = env!("CARGO_BIN_EXE_xtask");
    let said = text(run(
        xtask,
        &["dist", "--debug", "--out", &out.display().to_string()],
        folder.path(),
    ));
    assert!(said.contains("not made  a static binary: "), "{said}");

    let archive = only(&out, ".tar.gz").unwrap();
    run(
        "tar",
        &["-xzf", &archive.display().to_string()],
        folder.path(),
    );
    let name = archive.file_name().unwrap().to_string_lossy().into_owned();
    let top = folder.path().join(name.strip_suffix(".tar.gz").unwrap());
    for file in [
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "docs/language.md",
        "docs/scenario.schema.json",
        "completions/tapwright.bash",
        "completions/_tapwright",
        "completions/tapwright.fish",
        "man/tapwright.1",
        "man/tapwright-run.1",
        "man/tapwright-new.1",
    ] {
        assert!(top.join(file).is_file(), "{file}");
    }
    runs(&top.join("tapwright"), folder.path());
    run("sha256sum", &["--check", "--quiet", "SHA256SUMS"], &out);

    match only(&out, ".deb") {
        Some(package) => debian(&package, folder.path()),
        None => assert!(said.contains("not made  a .deb: "), "{said}"),
    }
}

/// The program says its version, and runs a scenario of its own in memory.
fn runs(program: &Path, folder: &Path) {
    let program = program.display().to_string();
    let version = text(run(&program, &["--version"], folder));
    assert!(version.starts_with("tapwright "), "{version}");
    let place = tempfile::tempdir_in(folder).unwrap();
    run(&program, &["new", "a"], place.path());
    run(
        &program,
        &["run", "--backend", "sim", "--accept"],
        place.path(),
    );
    run(&program, &["run", "--backend", "sim", "--ci"], place.path());
}

fn debian(package: &Path, folder: &Path) {
    let package = package.display().to_string();
    let about = text(run("dpkg-deb", &["-I", &package], folder));
    for line in [" Package: tapwright", " Version: ", " Depends: libc6"] {
        assert!(about.contains(line), "{about}");
    }
    let list = text(run("dpkg-deb", &["-c", &package], folder));
    for file in [
        "./usr/bin/tapwright",
        "./usr/share/man/man1/tapwright-run.1.gz",
        "./usr/share/bash-completion/completions/tapwright",
        "./usr/share/doc/tapwright/copyright",
    ] {
        assert!(list.contains(file), "{list}");
    }
    assert!(
        list.lines().all(|line| line.contains(" root/root ")),
        "{list}"
    );
    let root = folder.join("root");
    run(
        "dpkg-deb",
        &["-x", &package, &root.display().to_string()],
        folder,
    );
    runs(&root.join("usr/bin/tapwright"), folder);
}
