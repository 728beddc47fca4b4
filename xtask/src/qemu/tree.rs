//! Unpacked packages: a root as a distribution has it. Its links are followed inside it, wherever it
//! lies.

use std::{
    fs,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use super::error::QemuError;
use crate::debian::{remove_tree, unpack};

/// QEMU in a tree.
pub(super) const PROGRAM: &str = "usr/bin/qemu-system-x86_64";

/// Where QEMU looks for its modules and its data first: a folder of this name beside its own program,
/// as if it were the root (QEMU 7.2 and 11.1, `util/cutils.c`, `get_relocated_path`). Its program is
/// what `/proc/self/exe` names, and that is the dynamic linker here.
const BUNDLE: &str = "qemu-bundle";

/// Links that are followed in one path.
const MOST_LINKS: usize = 40;

#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Unpacks packages into a new tree; see [`Tree::replace`].
    pub(super) fn unpack(folder: &Path, packages: &[PathBuf]) -> Result<Self, QemuError> {
        let new = folder.join("root.new");
        unpack(&new, packages)?;
        let tree = Self { root: new };
        tree.bundle()?;
        Ok(tree)
    }

    /// Gives a whole tree its name; an older one goes.
    pub(super) fn replace(self, folder: &Path) -> Result<Self, QemuError> {
        let root = folder.join("root");
        remove_tree(&root)?;
        fs::rename(&self.root, &root).map_err(|error| QemuError::file(&root, error))?;
        Ok(Self { root })
    }

    /// Lets QEMU find what is its own in the tree and nowhere else. A module that it found on the host
    /// would end it, if it is of another build.
    fn bundle(&self) -> Result<(), QemuError> {
        let linker = self.linker()?;
        let folder = linker.parent().unwrap_or(Path::new(""));
        let up: PathBuf = folder.components().map(|_| "..").collect();
        let link = self.root.join(folder).join(BUNDLE);
        std::os::unix::fs::symlink(up, &link).map_err(|error| QemuError::file(&link, error))
    }

    /// The dynamic linker that QEMU asks for, below the root, without links.
    pub(super) fn linker(&self) -> Result<PathBuf, QemuError> {
        let program = self.root.join(PROGRAM);
        let unfit =
            |reason: &str| QemuError::Unpacked { path: program.clone(), reason: reason.to_owned() };
        let mut start = vec![0; 4096];
        let mut file =
            fs::File::open(&program).map_err(|error| QemuError::file(&program, error))?;
        let length = file.read(&mut start).map_err(|error| QemuError::file(&program, error))?;
        let wanted = interpreter(&start[..length])
            .ok_or_else(|| unfit("it is no program that asks for a dynamic linker"))?;
        // A tree of packages alone has no link from /lib64 to /usr/lib64.
        let places = [PathBuf::from(&wanted), Path::new("usr").join(&wanted)];
        let found = places.iter().find_map(|path| self.resolve(path).ok());
        found.ok_or_else(|| {
            unfit(&format!("its dynamic linker {wanted} is in none of the packages"))
        })
    }

    /// Where libraries are, below the root.
    pub(super) fn libraries(&self) -> Result<Vec<PathBuf>, QemuError> {
        let linker = self.linker()?;
        let name = linker.parent().and_then(Path::file_name).unwrap_or_default().to_owned();
        let places = [Path::new("usr/lib").join(&name), Path::new("lib").join(&name)];
        Ok(places.into_iter().filter(|path| self.root.join(path).is_dir()).collect())
    }

    /// A path below the root without links, as the kernel would find it if this were `/`.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut rest: Vec<PathBuf> = parts(path);
        let mut found = PathBuf::new();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part.as_os_str() == ".." {
                found.pop();
                continue;
            }
            let next = found.join(&part);
            let at = self.root.join(&next);
            if !fs::symlink_metadata(&at)?.is_symlink() {
                found = next;
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            let target = fs::read_link(&at)?;
            if target.is_absolute() {
                found = PathBuf::new();
            }
            rest.extend(parts(&target));
        }
        Ok(found)
    }
}

/// The names in a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let names = path.components().rev();
    let names = names.filter(|name| matches!(name, Component::Normal(_) | Component::ParentDir));
    names.map(|name| PathBuf::from(name.as_os_str())).collect()
}

/// The dynamic linker that a program asks for (elf(5), `PT_INTERP`), of 64 bits and little-endian, as
/// every machine is that Debian has QEMU for PCs on. It stands near the program's start.
fn interpreter(elf: &[u8]) -> Option<String> {
    const HEADER: [u8; 6] = *b"\x7fELF\x02\x01";
    const PT_INTERP: u64 = 3;
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte)))
    };
    let place = |at: usize, length: usize| usize::try_from(number(at, length)?).ok();
    if !elf.starts_with(&HEADER) {
        return None;
    }
    let (table, size, count) = (place(32, 8)?, place(54, 2)?, place(56, 2)?);
    let entry = (0..count)
        .filter_map(|entry| table.checked_add(entry.checked_mul(size)?))
        .find(|at| number(*at, 4) == Some(PT_INTERP))?;
    let (from, length) = (place(entry + 8, 8)?, place(entry + 32, 8)?);
    let text = elf.get(from..from.checked_add(length)?)?;
    let text = text.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A program with two headers, the second of which asks for a linker.
    fn program(linker: &str) -> Vec<u8> {
        let mut elf = vec![0; 64 + 2 * 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 2;
        let entry = 64 + 56;
        elf[entry] = 3;
        elf[entry + 8] = u8::try_from(elf.len()).unwrap();
        elf[entry + 32] = u8::try_from(linker.len() + 1).unwrap();
        elf.extend(linker.bytes());
        elf.push(0);
        elf
    }

    #[test]
    fn a_program_names_its_linker() {
        assert_eq!(interpreter(&program("/lib64/ld.so.2")).as_deref(), Some("lib64/ld.so.2"));
        let mut none = program("/lib64/ld.so.2");
        none[64 + 56] = 1;
        assert_eq!(interpreter(&none), None);
        for broken in [&b"#!/bin/sh\n"[..], b"\x7fELF\x02\x01", b""] {
            assert_eq!(interpreter(broken), None);
        }
    }

    /// A tree with a program, and its linker at the end of an absolute link, as Debian 12 has it.
    fn tree(folder: &Path) -> Tree {
        let root = folder.join("root");
        for inner in ["usr/bin", "usr/lib/cpu-linux-gnu", "lib/cpu-linux-gnu", "lib64"] {
            fs::create_dir_all(root.join(inner)).unwrap();
        }
        fs::write(root.join(PROGRAM), program("/lib64/ld.so.2")).unwrap();
        fs::write(root.join("lib/cpu-linux-gnu/ld.so"), "").unwrap();
        symlink("/lib/cpu-linux-gnu/ld.so", root.join("lib64/ld.so.2")).unwrap();
        Tree { root }
    }

    #[test]
    fn links_are_followed_inside_the_tree() {
        let folder = tempfile::tempdir().unwrap();
        let tree = tree(folder.path());
        assert_eq!(tree.linker().unwrap(), Path::new("lib/cpu-linux-gnu/ld.so"));
        let libraries = ["usr/lib/cpu-linux-gnu", "lib/cpu-linux-gnu"].map(PathBuf::from);
        assert_eq!(tree.libraries().unwrap(), libraries);
        tree.bundle().unwrap();
        let bundle = tree.root.join("lib/cpu-linux-gnu/qemu-bundle");
        assert_eq!(fs::canonicalize(bundle).unwrap(), fs::canonicalize(&tree.root).unwrap());
        symlink("a", tree.root.join("b")).unwrap();
        symlink("b", tree.root.join("a")).unwrap();
        assert!(tree.resolve(Path::new("a")).is_err());
    }

    #[test]
    fn a_linker_may_be_below_usr_alone() {
        let folder = tempfile::tempdir().unwrap();
        let tree = tree(folder.path());
        let root = &tree.root;
        fs::rename(root.join("lib64"), root.join("usr/lib64")).unwrap();
        fs::remove_file(root.join("usr/lib64/ld.so.2")).unwrap();
        assert!(tree.linker().unwrap_err().to_string().contains("lib64/ld.so.2"));
        fs::write(root.join("usr/lib/cpu-linux-gnu/ld.so"), "").unwrap();
        symlink("../lib/cpu-linux-gnu/ld.so", root.join("usr/lib64/ld.so.2")).unwrap();
        assert_eq!(tree.linker().unwrap(), Path::new("usr/lib/cpu-linux-gnu/ld.so"));
    }
}
