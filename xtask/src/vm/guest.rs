//! What a VM is given besides its kernel: the programs that it starts with, and the command.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use super::{VmError, newc::Newc};

const FIRST: &str = include_str!("first.sh");
const SECOND: &str = include_str!("second.sh");

/// Options of 9p; the messages as large as Linux 6.1 lets them be over virtio.
const OPTIONS: &str = "trans=virtio,version=9p2000.L,msize=512000";

/// How what is in target/ is kept in the VM's memory: it is the only one that writes there.
const CACHE: &str = "loose";

/// Variables that a shell does not let anybody set.
const READ_ONLY: [&str; 5] = ["BASHOPTS", "EUID", "PPID", "SHELLOPTS", "UID"];

/// What runs in a VM.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// The program, and its arguments.
    pub(super) command: &'a [OsString],
    /// Where it runs, in the VM as outside.
    pub(super) folder: &'a Path,
    /// The folder that can be written, in the VM as outside.
    pub(super) target: &'a Path,
    pub(super) environment: &'a [(OsString, OsString)],
}

impl Request<'_> {
    /// The second part of the VM's first root.
    pub(super) fn archive(&self) -> Result<Vec<u8>, VmError> {
        let mut archive = Newc::default();
        for folder in ["proc", "sys", "dev", "root", "vm"] {
            archive.folder(folder)?;
        }
        archive.program("init", FIRST.as_bytes())?;
        archive.file("vm/second.sh", SECOND.as_bytes())?;
        let target = quoted(self.target.as_os_str());
        let settings = [b"target=", &target[..], b"\noptions=", OPTIONS.as_bytes()].concat();
        let settings = [&settings[..], b"\ncache=", CACHE.as_bytes(), b"\n"].concat();
        archive.file("vm/settings", &settings)?;
        archive.file("vm/command", &self.script())?;
        archive.finish()
    }

    /// The command for a shell.
    fn script(&self) -> Vec<u8> {
        let mut script = Vec::new();
        for (name, value) in self.environment.iter().filter(|(name, _)| is_variable(name)) {
            script.extend_from_slice(b"export ");
            script.extend_from_slice(name.as_bytes());
            script.push(b'=');
            script.extend(quoted(value));
            script.push(b'\n');
        }
        script.extend_from_slice(b"cd ");
        script.extend(quoted(self.folder.as_os_str()));
        script.extend_from_slice(b" || exit 125\nexec");
        for word in self.command {
            script.push(b' ');
            script.extend(quoted(word));
        }
        script.push(b'\n');
        script
    }
}

/// Whether a shell can hand the variable on.
fn is_variable(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let is_name = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && bytes.first().is_some_and(|first| !first.is_ascii_digit());
    is_name && !READ_ONLY.iter().any(|known| name == *known)
}

/// A word as a shell takes it, whatever is in it.
fn quoted(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_command_runs_as_it_would_outside() {
        let folder = tempfile::Builder::new().prefix("it's a").tempdir().unwrap();
        let words =
            ["sh", "-c", "pwd; printf '<%s>' \"$@\" \"$A\"; exit 7", "x", "a b", "", "'\"$A\n*"];
        let command: Vec<OsString> = words.iter().map(OsString::from).collect();
        let environment = [("A", "it's"), ("B-C", "no name"), ("UID", "0")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let request = Request {
            command: &command,
            folder: folder.path(),
            target: Path::new("/t"),
            environment: &environment,
        };
        let script = folder.path().join("command");
        std::fs::write(&script, request.script()).unwrap();
        let output = Command::new("/bin/sh").arg(&script).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let expected = format!("{}\n<a b><><'\"$A\n*><it's>", folder.path().display());
        assert_eq!((said, output.status.code()), (expected, Some(7)), "{:?}", output.stderr);
    }

    #[test]
    fn the_programs_of_the_guest_are_shell() {
        for text in [FIRST, SECOND] {
            let status = Command::new("sh").args(["-n", "-c", text]).status().unwrap();
            assert!(status.success(), "{text}");
        }
    }
}
