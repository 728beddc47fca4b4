//! The real binary, and projects in temporary directories to run it in. The tests that drive the
//! command line use it; it is a crate of its own so that each of them takes only what it needs.

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// The binary in a directory, without colours and outside of any CI.
///
/// # Panics
/// Outside of a test that Cargo runs, which alone says where the binary is.
#[must_use]
pub fn command(directory: &Path, arguments: &[&str]) -> Command {
    let binary = env::var_os("CARGO_BIN_EXE_tapwright").expect("Cargo names the binary");
    let mut command = Command::new(binary);
    command.current_dir(directory).args(arguments).env("NO_COLOR", "1");
    for name in ["CI", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"] {
        command.env_remove(name);
    }
    command
}

/// Runs the binary in a directory, as [`command`] has it, to its end.
///
/// # Panics
/// When it doesn't start.
pub fn tapwright(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, arguments).output().expect("the binary starts")
}

/// Whether a program that a test needs is installed; standard error says that the test is skipped
/// where it isn't.
#[must_use]
pub fn is_there(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    if !is_there {
        // Nobody may read it.
        drop(writeln!(io::stderr(), "skipped: {program} is not installed"));
    }
    is_there
}

/// What a command printed.
///
/// # Panics
/// When it is not UTF-8.
#[must_use]
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// What a command printed on standard error.
///
/// # Panics
/// When it is not UTF-8.
#[must_use]
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// A command's exit code.
///
/// # Panics
/// When a signal ended it.
#[must_use]
pub fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

/// A temporary directory with files, in which the binary runs.
#[derive(Debug)]
pub struct Project(TempDir);

impl Project {
    /// With these files.
    ///
    /// # Panics
    /// When they can't be written.
    #[must_use]
    pub fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().expect("a temporary directory"));
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    /// With these files below `scenarios`.
    ///
    /// # Panics
    /// When they can't be written.
    #[must_use]
    pub fn suite(files: &[(&str, &str)]) -> Self {
        let project = Self::new(&[]);
        for (name, text) in files {
            project.write(&format!("scenarios/{name}"), text);
        }
        project
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and makes its directory if it is missing.
    ///
    /// # Panics
    /// When that is refused.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).expect("a directory");
        }
        fs::write(path, content).expect("a file");
    }

    /// A file's text.
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("a file of text")
    }

    /// The binary in the project.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        command(self.path(), arguments)
    }

    /// Runs the binary to its end.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn tapwright(&self, arguments: &[&str]) -> Output {
        tapwright(self.path(), arguments)
    }

    /// Runs the binary for its exit code.
    pub fn exit(&self, arguments: &[&str]) -> i32 {
        code(&self.tapwright(arguments))
    }
}
