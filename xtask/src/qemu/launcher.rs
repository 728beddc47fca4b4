//! The script that starts the QEMU of a tree, with that tree's linker, libraries, modules and data.

use std::{
    fmt::Write,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    error::QemuError,
    tree::{PROGRAM, Tree},
};

/// Its name: what QEMU calls itself in its messages, too.
const NAME: &str = "qemu-system-x86_64";

#[derive(Debug)]
pub(super) struct Launcher {
    path: PathBuf,
}

impl Launcher {
    /// That of a folder; it need not be there.
    pub(super) fn of(folder: &Path) -> Self {
        Self { path: folder.join(NAME) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it away, where it is.
    pub(super) fn remove(&self) -> Result<(), QemuError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(QemuError::file(&self.path, error))
            }
            _ => Ok(()),
        }
    }

    /// Writes it for the tree beside it.
    pub(super) fn write(&self, tree: &Tree, suite: &str) -> Result<(), QemuError> {
        let text = script(&tree.linker()?, &tree.libraries()?, suite);
        let new = self.path.with_extension("new");
        let done = fs::write(&new, text)
            .and_then(|()| fs::set_permissions(&new, fs::Permissions::from_mode(0o755)))
            .and_then(|()| fs::rename(&new, &self.path));
        done.map_err(|error| QemuError::file(&self.path, error))
    }

    /// The first line of what it says of its version.
    pub(super) fn version(&self) -> Result<String, QemuError> {
        let failed = |how: String| QemuError::DoesNotRun { launcher: self.path.clone(), how };
        let output = Command::new(&self.path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.lines().next().unwrap_or_default().to_owned()
        };
        let line = text(&output.stdout);
        if output.status.success() && line.starts_with("QEMU emulator version ") {
            return Ok(line);
        }
        Err(failed(format!("{} ({})", text(&output.stderr), output.status)))
    }
}

/// It runs wherever its folder is moved, and through a link. It starts no other program than the one
/// that it becomes, unless it was started through a link.
fn script(linker: &Path, libraries: &[PathBuf], suite: &str) -> String {
    let mut path = String::new();
    let mut modules = String::new();
    for folder in libraries {
        let between = if path.is_empty() { "" } else { ":" };
        // Writing to a String can't fail.
        let _ = write!(path, "{between}$root/{}", folder.display());
        if modules.is_empty() {
            modules = format!("$root/{}/qemu", folder.display());
        }
    }
    let linker = linker.display();
    format!(
        "#!/bin/sh\n\
         # Starts the QEMU of Debian's {suite} that lies beside this file. `cargo xtask qemu` made both.\n\
         root=${{0%/*}}/root\n\
         [ -d \"$root\" ] || root=$(dirname -- \"$(readlink -f -- \"$0\")\")/root\n\
         QEMU_MODULE_DIR={modules}\n\
         export QEMU_MODULE_DIR\n\
         exec \"$root/{linker}\" --library-path \"{path}\" --argv0 {NAME} \\\n\
         \x20   \"$root/{PROGRAM}\" -L \"$root/usr/share/qemu\" \"$@\"\n"
    )
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::symlink};

    use super::*;

    /// A tree whose linker prints what it is given.
    fn folder() -> (tempfile::TempDir, Launcher) {
        let folder = tempfile::Builder::new().prefix("with blank").tempdir().unwrap();
        let linker = folder.path().join("root/lib/ld.so");
        fs::create_dir_all(linker.parent().unwrap()).unwrap();
        let text = "#!/bin/sh\nprintf '<%s>' \"$QEMU_MODULE_DIR\" \"$@\"\n";
        write(&linker, text);
        let launcher = Launcher::of(folder.path());
        let libraries = ["usr/lib/x", "lib/x"].map(PathBuf::from);
        write(&launcher.path, &script(Path::new("lib/ld.so"), &libraries, "sid"));
        (folder, launcher)
    }

    /// A program; it is closed before anybody is forked who could hold it open.
    fn write(path: &Path, text: &str) {
        let mut file = fs::File::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn says(program: &Path, argument: &str) -> String {
        let output = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$1\""])
            .arg(program)
            .arg(argument)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn it_uses_what_lies_beside_it_alone() {
        let (folder, launcher) = folder();
        let root = folder.path().join("root").display().to_string();
        let expected = format!(
            "<{root}/usr/lib/x/qemu><--library-path><{root}/usr/lib/x:{root}/lib/x><--argv0>\
             <qemu-system-x86_64><{root}/usr/bin/qemu-system-x86_64><-L><{root}/usr/share/qemu><a b>"
        );
        assert_eq!(says(launcher.path(), "a b"), expected);
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("q");
        symlink(launcher.path(), &link).unwrap();
        let real = fs::canonicalize(folder.path()).unwrap().join("root").display().to_string();
        assert_eq!(says(&link, "a b"), expected.replace(&root, &real));
    }

    #[test]
    fn what_does_not_run_is_told_with_its_last_words() {
        let (_folder, launcher) = folder();
        let error = launcher.version().unwrap_err().to_string();
        assert!(error.contains("qemu-system-x86_64 does not run:"), "{error}");
        launcher.remove().unwrap();
        launcher.remove().unwrap();
        assert!(launcher.version().unwrap_err().to_string().contains("No such file"));
    }
}
