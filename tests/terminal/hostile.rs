//! A folder in which every text is hostile.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A folder, and the text that is everywhere in it.
pub(crate) struct Hostile {
    pub(crate) folder: TempDir,
    pub(crate) text: &'static str,
}

/// A string of YAML, every character of it an escape.
fn yaml(text: &str) -> String {
    let escapes = text.chars().map(|c| format!("\\U{:08x}", u32::from(c)));
    format!("\"{}\"", escapes.collect::<String>())
}

impl Hostile {
    pub(crate) fn new(text: &'static str) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap(), text };
        let (name, refusal) = (project.name(), yaml(&format!("Device '{text}' not found")));
        let text = yaml(text);
        // It fails in many ways, each of which quotes the text.
        project.write(
            &format!("run/{name}/{name}.yaml"),
            &format!(
                "description: {text}\n\
                 netdevs: {{ hn0: {{}} }}\n\
                 chardevs: {{ out0: {{}}, c1: {{ path: {text} }} }}\n\
                 objects:\n  - filter-mirror,id=m0,netdev=hn0,queue=rx,outdev=out0\n\
                 steps:\n  - note: {text}\n\
                 \x20 - send: hn0.guest\n    frames: [{{ payload: {text} }}]\n\
                 \x20 - qom-set: {{ path: {text}, property: {text}, value: {text} }}\n\
                 \x20 - object-add: {{ qom-type: {text}, id: x0 }}\n\
                 \x20 - object-del: x0\n    error: {text}\n\
                 \x20 - expect: {{ out0: 7 }}\n"
            ),
        );
        // It runs, and its record holds the text.
        project.write(
            &format!("ok/{name}.yaml"),
            &format!(
                "description: {text}\nnetdevs: {{ hn0: {{}} }}\n\
                 steps:\n  - note: {text}\n\
                 \x20 - qom-get: {{ path: {text}, property: {text} }}\n    error: {refusal}\n"
            ),
        );
        let start = "description: x\nnetdevs: { hn0: {} }\n";
        for (file, refused) in [
            ("key", format!("{text}: 1\n")),
            ("tag", format!("tags: [{text}]\n")),
            ("value", format!("matrix: {{ a: [{text}] }}\nsteps: [{{ note: \"${{a}}\" }}]\n")),
            ("variable", format!("matrix: {{ {text}: [1] }}\n")),
            ("profile", format!("profile: {text}\n")),
            ("verb", format!("steps: [{{ {text}: 1 }}]\n")),
            ("port", format!("steps: [{{ send: {text}, frames: [{{ payload: x }}] }}]\n")),
            ("pcap", format!("steps: [{{ send: hn0.guest, pcap: {text} }}]\n")),
            ("mac", format!("chardevs: {{ {text}: {{}} }}\n")),
            ("object", format!("objects: [{text}]\n")),
            ("type", format!("objects: [{{ qom-type: {text}, id: o0 }}]\n")),
            (
                "option",
                format!("objects: [{{ qom-type: filter-dump, id: o0, netdev: hn0, {text}: 1 }}]\n"),
            ),
            ("error", format!("objects: [\"x,id=o0\"]\nexpect: {{ error: {{ o0: {text} }} }}\n")),
        ] {
            project.write(&format!("bad/{file}.yaml"), &format!("{start}{refused}"));
        }
        // As it is, which YAML does not have.
        project.write("bad/raw.yaml", &format!("{start}nope: 1 # {}\n", project.text));
        project.write("paste.txt", &format!("qemu-system-x86_64 -netdev tap,id=hn0 -device '{}' -object 'filter-dump,id=f0,netdev=hn0,file={}'\n", project.text, project.text));
        project.program(
            "qemu",
            &format!("#!/bin/sh\ncat >&2 <<'END'\nqemu: {}\nEND\nexit 1\n", project.text),
        );
        project
    }

    /// The text as a name of a file or a folder.
    pub(crate) fn name(&self) -> String {
        self.text.replace('/', "-")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        let path = self.folder.path().join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        command(self.folder.path(), arguments)
    }

    /// What a command prints, with colours.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let arguments = [&["--color", "always"], arguments].concat();
        self.command(&arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Every file below, but what this made, and its name from the folder on.
    pub(crate) fn written(&self, below: &str) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().join(below)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.folder.path()).unwrap();
                    found.push((name.display().to_string(), fs::read(&path).unwrap()));
                }
            }
        }
        found
    }
}

pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapwright"));
    command.current_dir(folder).args(arguments);
    for name in ["CI", "NO_COLOR", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}
