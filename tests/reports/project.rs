//! A project in a temporary directory, and the real binary in it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// A scenario in which nothing happens; its snapshot has no frame.
pub(crate) const PASSES: &str =
    "description: Nothing happens.\ntags: [quick]\nsteps:\n  - note: nothing\n";
/// A scenario that expects what can't come.
pub(crate) const FAILS: &str = "description: Something is expected.\nchardevs:\n  out0: {}\nsteps:\n  \
                         - note: nothing\n  - expect: { out0: 1 }\n";
/// A scenario that `sim` can't run: the host answers.
pub(crate) const NEEDS_HOST: &str = "description: The host answers.\nnetdevs:\n  hn0: { type: tap, \
                              address: [10.0.0.1/24] }\nsteps:\n  - note: nothing\n";
/// A scenario of many cases.
pub(crate) const MANY: &str = "description: Many.\nmatrix:\n  n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, \
                        12]\nsteps:\n  - note: number ${n}\n";
/// A scenario with two faults.
pub(crate) const INVALID: &str =
    "description: Two faults.\nnetdevz: {}\nsteps:\n  - sent: hn0.guest\n";

/// A directory with a suite.
pub(crate) struct Project(TempDir);

impl Project {
    /// With these files below `scenarios`.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join("scenarios").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(directory)
    }

    /// The directory that the binary runs in.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file's text.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The command, without colours and outside of any CI.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapwright"));
        command
            .current_dir(self.path())
            .args(arguments)
            .env_remove("CI")
            .env_remove("GITHUB_STEP_SUMMARY")
            .env_remove("GITHUB_WORKSPACE")
            .env("NO_COLOR", "1");
        command
    }

    /// Runs it.
    pub(crate) fn tapwright(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it for its exit code.
    pub(crate) fn exit(&self, arguments: &[&str]) -> i32 {
        self.tapwright(arguments).status.code().unwrap()
    }
}
