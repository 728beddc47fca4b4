//! The installed QEMU, and the scripts before it.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use test_support::{Project, code, stderr, stdout};

use crate::proxy;

/// The installed QEMU.
#[derive(Clone, Debug)]
pub(crate) struct Lab {
    qemu: PathBuf,
    /// `7.2.22`.
    pub(crate) version: String,
    /// `qemu-7.2`.
    pub(crate) profile: String,
}

/// A run, and what came of it.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    /// What was printed on both.
    pub(crate) text: String,
}

impl Lab {
    /// What is installed here, or why nothing can be tried.
    pub(crate) fn open() -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut files =
            std::env::split_paths(&path).map(|folder| folder.join("qemu-system-x86_64"));
        let qemu = files.find(|file| file.is_file()).ok_or("there is no qemu-system-x86_64")?;
        let project = Project::new(&[("a.yaml", PROBE)]);
        let ran = run(&project, &["run", "--ci", "--backend", "qemu", "a.yaml"]);
        let said = ran.text.lines().find_map(|line| line.strip_prefix("tapwright: QEMU "));
        let said = said.and_then(|line| line.split_once(" is run under the profile "));
        match (said, ran.code) {
            (Some((version, profile)), 0 | 1) => {
                let (version, profile) = (version.to_owned(), profile.trim().to_owned());
                Ok(Self { qemu, version, profile })
            }
            _ => Err(format!("nothing runs on the installed QEMU: {}", ran.text)),
        }
    }

    /// The path of the installed QEMU.
    pub(crate) fn qemu(&self) -> &str {
        self.qemu.to_str().expect("a path of text")
    }

    /// A script that stands in for a build; its path.
    pub(crate) fn stand_in(&self, project: &Project, build: &str) -> String {
        let path = project.path().join(format!("qemu-{build}"));
        proxy::script(&path, build, &self.qemu).expect("a script");
        text(&path)
    }
}

/// Runs the binary in a project.
pub(crate) fn run(project: &Project, arguments: &[&str]) -> Ran {
    let mut command = project.command(arguments);
    command.env_remove("TAPWRIGHT_QEMU");
    let output: Output = command.output().expect("the binary starts");
    let (stdout, code) = (stdout(&output), code(&output));
    let text = format!("{stdout}{}", stderr(&output));
    Ran { code, stdout, text }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path of text").to_owned()
}

/// A scenario that every QEMU runs. It sends no frame: what is watched to see that a step has
/// settled is the stand-in, and not the QEMU behind it.
pub(crate) const PROBE: &str = "description: A filter says which netdev it is of.\n\
    netdevs: { hn0: {} }\n\
    chardevs: { out0: {} }\n\
    objects: [\"filter-mirror,id=m0,netdev=hn0,queue=rx,outdev=out0\"]\n\
    steps: [{ qom-get: { path: /objects/m0, property: netdev } }]\n";
