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
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    output
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
}

/// The one file in a folder whose name ends so.
fn only(folder: &Path, end: &str) -> Option<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths = paths.filter(|path| path.to_string_lossy().ends_with(end));
    let path = paths.next();
    assert_eq!(paths.next(), None);
    path
}

/// Runs the packaging, by somebody whose files nobody else may read.
fn dist(out: &Path, folder: &Path) -> String {
    let xtask = env!("CARGO_BIN_EXE_xtask");
    let script = "umask 077; exec \"$0\" dist --debug --out \"$1\"";
    let out = out.display().to_string();
    text(run("sh", &["-c", script, xtask, &out], folder))
}

#[test]
fn what_is_released_is_whole_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("dist");
    let said = dist(Path::new("dist"), folder.path());
    assert!(said.contains("not made  a static binary: "), "{said}");

    let archive = only(&out, ".tar.gz").unwrap();
    let list = text(run("tar", &["-tvzf", &archive.display().to_string()], folder.path()));
    assert!(list.lines().all(is_for_all), "{list}");
    run("tar", &["-xzf", &archive.display().to_string()], folder.path());
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
    runs_what_is_shipped(&top);
    links_hold(&top);
    has_licences(&top);
    pages_read(&top.join("man"));
    completes(&top.join("completions"));
    run("sha256sum", &["--check", "--quiet", "SHA256SUMS"], &out);

    match only(&out, ".deb") {
        Some(package) => debian(&package, folder.path()),
        None => assert!(said.contains("not made  a .deb: "), "{said}"),
    }

    let again = folder.path().join("again");
    dist(&again, folder.path());
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(&again), sums(&out));
}

#[test]
fn a_folder_with_other_things_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "mine").unwrap();
    fs::write(folder.path().join("SHA256SUMS"), "old").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["dist", "--debug", "--out", "."])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("thesis.tex"), "{said}");
    for file in ["thesis.tex", "SHA256SUMS"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
}

/// Whether everybody may read what a line of a listing is about.
fn is_for_all(line: &str) -> bool {
    ["-rwxr-xr-x ", "-rw-r--r-- ", "drwxr-xr-x "].iter().any(|mode| line.starts_with(mode))
}

/// Scenarios with captures beside them, which are shipped too.
fn runs_what_is_shipped(top: &Path) {
    let program = top.join("tapwright").display().to_string();
    let arguments = ["run", "--backend=sim", "--ci", "scenarios/replay"];
    let said = text(run(&program, &arguments, top));
    let passed = said.contains(" passed") && said.contains("0 failed, 0 skipped, 0 pending");
    assert!(passed, "{said}");
}

/// Each link of the documentation to a file leads to one.
fn links_hold(top: &Path) {
    let mut pages = vec![top.join("README.md"), top.join("scenarios/README.md")];
    let docs = fs::read_dir(top.join("docs")).unwrap();
    pages.extend(docs.map(|entry| entry.unwrap().path()));
    let mut links = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            let ends = [".md", ".yaml", ".json"];
            if link.contains("://") || !ends.iter().any(|end| link.ends_with(end)) {
                continue;
            }
            let file = page.parent().unwrap().join(link);
            assert!(file.is_file(), "{}: {link}", page.display());
            links += 1;
        }
    }
    assert!(links > 100, "{links}");
}

fn has_licences(folder: &Path) {
    let text = fs::read_to_string(folder.join("LICENSES-OF-CRATES")).unwrap();
    let names = |name: &str| text.lines().any(|line| line.starts_with(name));
    assert!(names("clap ") && names("nix ") && names("pcap-file "));
    assert!(text.contains("Permission is hereby granted"));
    // Macros, what tests need and what packs are not in the binary.
    assert!(!names("syn ") && !names("proptest ") && !names("clap_mangen "));
}

/// Each page says of which program it is, and has nothing that `man` complains about.
fn pages_read(folder: &Path) {
    let has_man = Command::new("man").arg("--version").output().is_ok();
    for entry in fs::read_dir(folder).unwrap() {
        let page = entry.unwrap().path().display().to_string();
        let text = fs::read_to_string(&page).unwrap();
        let title = text.lines().find(|line| line.starts_with(".TH")).unwrap();
        assert!(title.contains("\"tapwright "), "{page}: {title}");
        if has_man {
            let output = run("man", &["--warnings", "-l", &page], folder);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(told.is_empty(), "{page}: {told}");
        }
    }
}

fn completes(folder: &Path) {
    let script = "source ./tapwright.bash; complete -p tapwright; COMP_WORDS=(tapwright ru)
        COMP_CWORD=1; _tapwright tapwright ru tapwright; echo \"${COMPREPLY[@]}\"";
    let said = text(run("bash", &["--norc", "-c", script], folder));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].ends_with("-F _tapwright tapwright"), "{said}");
    assert_eq!(lines[1..], ["run"]);
}

/// The program says its version, and runs a scenario of its own in memory.
fn runs(program: &Path, folder: &Path) {
    let program = program.display().to_string();
    let version = text(run(&program, &["--version"], folder));
    assert!(version.starts_with("tapwright "), "{version}");
    let place = tempfile::tempdir_in(folder).unwrap();
    run(&program, &["new", "a"], place.path());
    run(&program, &["run", "--backend", "sim", "--accept"], place.path());
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
        "./usr/share/doc/tapwright/changelog.gz",
        "./usr/share/doc/tapwright/README.md",
    ] {
        assert!(list.contains(file), "{list}");
    }
    assert!(list.lines().all(|line| line.contains(" root/root ")), "{list}");
    assert!(list.lines().all(is_for_all), "{list}");
    let root = folder.join("root");
    run("dpkg-deb", &["-R", &package, &root.display().to_string()], folder);
    run("md5sum", &["--check", "--strict", "--quiet", "DEBIAN/md5sums"], &root);
    runs(&root.join("usr/bin/tapwright"), folder);
    let doc = root.join("usr/share/doc/tapwright");
    links_hold(&doc);
    has_licences(&doc);
}
