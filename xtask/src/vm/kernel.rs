//! The kernel of a Debian suite, below `target/vm/SUITE`: itself, and an image with its modules and
//! busybox. What was made once is used until another set of modules is wanted.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    VmError, image,
    module::{self, Modules},
    newc::Newc,
};
use crate::debian::{Archive, ArchiveError, Closure, Source, Workplace, remove_tree, unpack};

/// The architecture that a QEMU for PCs has.
const ARCHITECTURE: &str = "amd64";

/// Debian's kernel, which has 9p, unlike that for clouds; and what the guest's first programs are.
const PACKAGES: &[&str] = &["linux-image-amd64", "busybox-static"];

/// The packages behind the kernel's own, which depends on the one of its version; since 2026 that one
/// depends on two more.
const PARTS: Closure = Closure::Beginning(&["linux-image-", "linux-binary-", "linux-modules-"]);

/// The version of what is made; another one is made anew.
const LAYOUT: u32 = 1;

/// A kernel that can be started.
#[derive(Debug)]
pub(super) struct Kernel {
    folder: PathBuf,
}

impl Kernel {
    /// The one of a suite that is there, unless it is to be an `update`; else a new one.
    pub(super) fn provide(suite: &str, update: bool, source: &Source) -> Result<Self, VmError> {
        let workplace = Workplace::of("vm", suite)?;
        let folder = workplace.folder();
        if !update && is_made(folder) {
            return Ok(Self { folder: folder.to_owned() });
        }
        let archive = Archive::new(folder, suite, PACKAGES, PARTS)?;
        if archive.architecture() != ARCHITECTURE {
            return Err(VmError::Architecture(archive.architecture().to_owned()));
        }
        let packages = archive.fetch(source)?;
        let root = folder.join("root");
        unpack(&root, &packages)?;
        let kernel = Self::make(folder, &root)?;
        remove_tree(&root)?;
        archive.remove()?;
        Ok(kernel)
    }

    pub(super) fn program(&self) -> PathBuf {
        self.folder.join("kernel")
    }

    /// The first part of the VM's first root: busybox, and modules with the order of loading.
    pub(super) fn modules(&self) -> PathBuf {
        self.folder.join("modules.cpio")
    }

    /// Makes all files of a kernel from its unpacked packages. The one that says so is written last.
    fn make(folder: &Path, root: &Path) -> Result<Self, VmError> {
        match fs::remove_file(folder.join("made")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ArchiveError::file(folder, error).into());
            }
            _ => {}
        }
        let (modules, release) = release(root)?;
        let image = image_of(root, &modules, &release)?;
        let kernel = match image::inside(&image) {
            Ok(Some(kernel)) => kernel,
            Ok(None) => image,
            Err(error @ VmError::NoProgram { .. }) => {
                anstream::eprintln!("xtask: WARNING: {error}; the VM starts more slowly");
                image
            }
            Err(error) => return Err(error),
        };
        write(&folder.join("kernel"), &kernel)?;
        let (closure, missing) = Modules::below(&modules)?.closure()?;
        if !missing.is_empty() {
            let missing = missing.join(", ");
            anstream::eprintln!("xtask: WARNING: Linux {release} has no {missing}");
        }
        let busybox = root.join("bin/busybox");
        let busybox = if busybox.exists() { busybox } else { root.join("usr/bin/busybox") };
        let mut archive = Newc::default();
        archive.folder("bin")?;
        archive.program("bin/busybox", &read(&busybox)?)?;
        archive.folder("modules")?;
        let order: String = closure.iter().map(|module| format!("{}\n", module.name)).collect();
        archive.file("modules/order", order.as_bytes())?;
        for module in closure {
            archive.file(&format!("modules/{}.ko", module.name), &module.data)?;
        }
        write(&folder.join("modules.cpio"), &archive.finish()?)?;
        write(&folder.join("made"), format!("{}\n{release}\n", recipe()).as_bytes())?;
        anstream::eprintln!("xtask: Linux {release}");
        Ok(Self { folder: folder.to_owned() })
    }
}

/// Whether a kernel is whole in a folder, and made as one would be made now.
fn is_made(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("made")).unwrap_or_default();
    text.lines().next().is_some_and(|line| line == recipe())
}

fn recipe() -> String {
    format!("{LAYOUT} {}", module::recipe())
}

/// The folder of the modules, and the kernel's release, which is its name.
fn release(root: &Path) -> Result<(PathBuf, String), VmError> {
    let folders = ["lib/modules", "usr/lib/modules"].map(|folder| root.join(folder));
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok());
    let mut found: Vec<PathBuf> =
        entries.flatten().filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    found.sort();
    let folder = found.pop().ok_or_else(|| VmError::NoKernel(root.to_owned()))?;
    let release = folder.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    Ok((folder, release))
}

/// The kernel's image: below `/boot`, or with its modules.
fn image_of(root: &Path, modules: &Path, release: &str) -> Result<Vec<u8>, VmError> {
    let paths = [root.join("boot").join(format!("vmlinuz-{release}")), modules.join("vmlinuz")];
    match paths.iter().find(|path| path.exists()) {
        Some(path) => read(path),
        None => Err(VmError::NoKernel(root.to_owned())),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, VmError> {
    fs::read(path).map_err(|error| ArchiveError::file(path, error).into())
}

/// Writes a file that is whole as soon as it has its name.
fn write(path: &Path, data: &[u8]) -> Result<(), VmError> {
    let new = path.with_extension("new");
    let done = fs::write(&new, data).and_then(|()| fs::rename(&new, path));
    done.map_err(|error| ArchiveError::file(path, error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_by_another_recipe_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_made(folder.path()));
        let path = folder.path().join("made");
        write(&path, format!("{}\n6.1.0-57-amd64\n", recipe()).as_bytes()).unwrap();
        assert!(is_made(folder.path()));
        write(&path, b"0 tun\n6.1.0-57-amd64\n").unwrap();
        assert!(!is_made(folder.path()));
    }

    #[test]
    fn a_kernel_may_lie_with_its_modules() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(release(root.path()), Err(VmError::NoKernel(_))));
        let modules = root.path().join("usr/lib/modules/7.3.4-cloud-amd64");
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("vmlinuz"), "MZ").unwrap();
        let (found, name) = release(root.path()).unwrap();
        assert_eq!((found, name.as_str()), (modules.clone(), "7.3.4-cloud-amd64"));
        assert_eq!(image_of(root.path(), &modules, &name).unwrap(), b"MZ");
    }
}
