//! A QEMU's program, and the fences that it is started behind.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use nix::errno::Errno;

use crate::sys::{self, Confinement, Isolated};

/// A fence around a QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// QEMU's own: a filter of system calls (QEMU `-sandbox`).
    Sandbox,
    Kernel(sys::Fence),
}

impl Fence {
    pub fn all() -> impl Iterator<Item = Self> {
        sys::Fence::ALL.into_iter().map(Self::Kernel).chain([Self::Sandbox])
    }

    /// Its name in what people read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Kernel(sys::Fence::Processes) => "processes",
            Self::Kernel(sys::Fence::Files) => "files",
            Self::Kernel(sys::Fence::Folders) => "folders",
            Self::Kernel(sys::Fence::Devices) => "devices",
            Self::Kernel(sys::Fence::Proc) => "proc",
            Self::Kernel(sys::Fence::NoNewPrivileges) => "privileges",
            Self::Kernel(sys::Fence::Capabilities) => "capabilities",
        }
    }
}

/// What QEMU's own filter refuses: obsolete system calls, other identities, other programs, and
/// other priorities and processors.
const SANDBOX: [&str; 2] =
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"];

/// Variables that a QEMU has when they are set: where its parts are, and how it is debugged. All
/// others are the user's own business.
const VARIABLES: [&str; 7] =
    ["PATH", "HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "TZ", "GCONV_PATH", "GLIBC_TUNABLES"];

/// Those whose names begin so, too: QEMU's own, GLib's, and those of the sanitizers.
const PREFIXES: [&str; 7] = ["QEMU_", "G_", "MALLOC_", "ASAN_", "LSAN_", "TSAN_", "UBSAN_"];

/// Links that are followed from a program's name to its file.
const MOST_LINKS: usize = 40;

/// Scripts that are followed from one that is a program to the program that it starts.
const MOST_SCRIPTS: usize = 8;

/// Bytes of a script that are looked at.
const LONGEST_SCRIPT: u64 = 64 << 10;

/// A QEMU as it is started.
#[derive(Clone, Debug)]
pub struct Program {
    name: PathBuf,
    file: PathBuf,
    sandbox: bool,
    confinement: Confinement,
}

impl Program {
    /// A QEMU that runs as any other program does. A path is taken from where this process runs, a
    /// name is looked up.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn bare(name: &Path) -> io::Result<Self> {
        let file = match name.components().count() {
            1 => look_up(name)?,
            _ => std::path::absolute(name)?,
        };
        let name = name.to_owned();
        Ok(Self { name, file, sandbox: false, confinement: Confinement::none() })
    }

    /// A QEMU behind all fences, which the machine or the program may not bear; see [`Qemu::new`].
    ///
    /// [`Qemu::new`]: super::Qemu::new
    ///
    /// # Errors
    /// When there is no such program.
    pub fn fenced(isolated: &Isolated, name: &Path) -> io::Result<Self> {
        let mut program =
            Self { sandbox: true, confinement: Confinement::all(isolated), ..Self::bare(name)? };
        let mut link = program.file.clone();
        for _ in 0..MOST_LINKS {
            program.show(&link);
            match fs::read_link(&link) {
                Ok(target) => link = link.parent().unwrap_or(Path::new("/")).join(target),
                Err(_) => break,
            }
        }
        if let Ok(file) = fs::canonicalize(&program.file) {
            program.show(&file);
        }
        let file = program.file.clone();
        program.show_what_is_named(&file, MOST_SCRIPTS);
        let listed = |name: &str| env::var_os(name).unwrap_or_default();
        for folder in env::split_paths(&listed("LD_LIBRARY_PATH")) {
            program.confinement.show(&folder);
        }
        let preloaded = listed("LD_PRELOAD");
        let is_between = |byte: &u8| matches!(byte, b' ' | b':');
        for file in preloaded.as_bytes().split(is_between) {
            program.confinement.show(Path::new(OsStr::from_bytes(file)));
        }
        Ok(program)
    }

    /// The same without a fence.
    #[must_use]
    pub fn unfenced(&self) -> Self {
        Self { sandbox: false, confinement: Confinement::none(), ..self.clone() }
    }

    #[must_use]
    pub fn name(&self) -> &Path {
        &self.name
    }

    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether it is started behind a fence.
    #[must_use]
    pub fn has(&self, fence: Fence) -> bool {
        match fence {
            Fence::Sandbox => self.sandbox,
            Fence::Kernel(fence) => self.confinement.has(fence),
        }
    }

    /// Puts a fence up, or takes it down.
    pub fn set(&mut self, fence: Fence, up: bool) {
        match fence {
            Fence::Sandbox => self.sandbox = up,
            Fence::Kernel(fence) => self.confinement.set(fence, up),
        }
    }

    /// Lets it see a file of its own, with what lies beside that: modules, firmware. In a folder
    /// that is not for programs only the file alone is seen, as in somebody's home or one that
    /// anybody may write to. A folder of its own is seen where it is none of those. Whether anything
    /// is seen that was not.
    pub(super) fn show(&mut self, path: &Path) -> bool {
        let Some(hidden) = self.confinement.hides(path) else {
            return false;
        };
        let shared = |folder: &Path| {
            let is_open = |data: fs::Metadata| data.permissions().mode() & 0o002 != 0;
            folder == hidden
                || folder.parent() == Some(Path::new("/home"))
                || fs::metadata(folder).is_ok_and(is_open)
        };
        if path.is_dir() {
            return !shared(path) && self.confinement.show(path);
        }
        let seen = path.parent().filter(|folder| !shared(folder)).unwrap_or(path).to_owned();
        self.confinement.show(&seen)
    }

    /// Keeps a folder of the host's from it; whether that is new.
    pub(super) fn hide(&mut self, folder: &Path) -> bool {
        self.confinement.hide(folder)
    }

    /// Lets it see what a script names by whole paths, and what scripts among that name, so many
    /// deep.
    fn show_what_is_named(&mut self, script: &Path, depth: usize) {
        for path in named(script) {
            if path.exists() && self.show(&path) && depth > 0 {
                self.show_what_is_named(&path, depth - 1);
            }
        }
    }

    /// See [`Confinement::keep_packet_sockets`].
    pub(super) fn keep_packet_sockets(&mut self) {
        self.confinement.keep_packet_sockets();
    }

    /// See [`Confinement::keep_reading`].
    pub(super) fn keep_reading(&mut self) {
        self.confinement.keep_reading();
    }

    /// See [`Confinement::remount_one_by_one`]; whether that is new.
    pub fn remount_one_by_one(&mut self) -> bool {
        self.confinement.remount_one_by_one()
    }

    pub(super) const fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// The words that stand before all others.
    pub(super) fn words(&self) -> &'static [&'static str] {
        if self.sandbox { &SANDBOX } else { &[] }
    }
}

/// The variables of a QEMU, which speaks English and keeps what is temporary in its folder.
pub(super) fn environment(writable: Option<&Path>) -> Vec<(OsString, OsString)> {
    let is_passed = |name: &OsStr| {
        let begins = |prefix: &&str| name.as_bytes().starts_with(prefix.as_bytes());
        VARIABLES.iter().any(|passed| name == *passed) || PREFIXES.iter().any(begins)
    };
    let mut variables: Vec<(OsString, OsString)> =
        env::vars_os().filter(|(name, _)| is_passed(name)).collect();
    variables.push(("LC_ALL".into(), "C".into()));
    variables.extend(writable.map(|folder| ("TMPDIR".into(), folder.into())));
    variables
}

/// The paths from the root that stand in a script; none in a file that is no script.
fn named(script: &Path) -> Vec<PathBuf> {
    let mut text = Vec::new();
    let read =
        fs::File::open(script).and_then(|file| file.take(LONGEST_SCRIPT).read_to_end(&mut text));
    if read.is_err() || !text.starts_with(b"#!") {
        return Vec::new();
    }
    let is_between =
        |byte: &u8| byte.is_ascii_whitespace() || b"\"'`$=:;&|()<>{},#!".contains(byte);
    let words = text.split(is_between).filter(|word| word.starts_with(b"/"));
    words.map(|word| PathBuf::from(OsStr::from_bytes(word))).collect()
}

/// Where a program is, by PATH.
fn look_up(name: &Path) -> io::Result<PathBuf> {
    let runs = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut files = env::split_paths(&path).map(|folder| folder.join(name));
    let file = files.find(runs).ok_or(Errno::ENOENT)?;
    std::path::absolute(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_and_a_path_is_not() {
        let shell = Program::bare(Path::new("sh")).unwrap();
        assert!(shell.file().is_absolute() && shell.file().ends_with("sh"));
        assert_eq!(shell.name(), Path::new("sh"));
        let missing = Program::bare(Path::new("no-such-qemu")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let path = Program::bare(Path::new("/nonexistent/qemu")).unwrap();
        assert_eq!(path.file(), Path::new("/nonexistent/qemu"));
    }

    #[test]
    fn a_script_names_what_it_starts() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("qemu");
        let text = "#!/bin/sh\nQ=\"/a/b\"; export L=/c:/d\nexec /e/qemu -L $Q/f '/g' ./h \"$@\"\n";
        fs::write(&script, text).unwrap();
        let paths = ["/bin/sh", "/a/b", "/c", "/d", "/e/qemu", "/g"];
        assert_eq!(named(&script), paths.map(PathBuf::from));
        fs::write(&script, "/a/b").unwrap();
        assert!(named(&script).is_empty() && named(folder.path()).is_empty());
    }

    #[test]
    fn the_environment_has_what_is_listed_alone() {
        let variables = environment(Some(Path::new("/case")));
        let value = |name: &str| variables.iter().find(|(one, _)| one == name).map(|(_, it)| it);
        assert_eq!(value("LC_ALL"), Some(&"C".into()));
        assert_eq!(value("TMPDIR"), Some(&"/case".into()));
        // Cargo sets it for each test.
        assert!(env::var_os("CARGO_PKG_NAME").is_some() && value("CARGO_PKG_NAME").is_none());
    }
}
