//! What stands between a child and the host; [`Confined`](super::Confined) starts children behind
//! it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::Isolated;

/// A fence around a child. Each stands by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fence {
    /// A pid namespace: it sees no process of the host, and all that it started ends with it.
    Processes,
    /// Everything is mounted read-only, but the child's own folder.
    Files,
    /// The folders below `/` that hold no programs are empty: a read-only mount keeps nobody from
    /// connecting to a socket that lies there.
    Folders,
    /// `/dev` holds a few devices that can do no harm, and vhost-net.
    Devices,
    /// `/proc` shows the processes of its pid namespace alone.
    Proc,
    /// No program that it runs has more privileges than it has (`PR_SET_NO_NEW_PRIVS`).
    NoNewPrivileges,
    /// It has no capability, nor can it get one.
    Capabilities,
}

impl Fence {
    /// All of them, in the order in which they are put up.
    pub const ALL: [Self; 7] = [
        Self::Processes,
        Self::Files,
        Self::Folders,
        Self::Devices,
        Self::Proc,
        Self::NoNewPrivileges,
        Self::Capabilities,
    ];
}

/// What programs, their libraries and the kernel's own file systems are in.
const KEPT: [&str; 14] = [
    "bin", "dev", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "proc", "sbin",
    "sys", "usr",
];

/// The fences around a child, and the gates in them.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    fences: BTreeSet<Fence>,
    /// Folders that are empty for the child.
    pub(super) hidden: BTreeSet<PathBuf>,
    /// What can be seen in them all the same.
    pub(super) shown: BTreeSet<PathBuf>,
    /// Capabilities that are left to it, a bit each.
    pub(super) capabilities: u64,
    /// mount_setattr(2) is not used, which Linux has since 5.12.
    pub(super) one_by_one: bool,
}

impl Confinement {
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn all(isolated: &Isolated) -> Self {
        let folders = fs::read_dir("/").into_iter().flatten().flatten();
        let hides = |entry: &fs::DirEntry| {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            is_folder && !KEPT.iter().any(|kept| entry.file_name() == *kept)
        };
        let mut hidden: BTreeSet<PathBuf> =
            folders.filter(hides).map(|entry| entry.path()).collect();
        // What other cases have in it is nobody's business.
        hidden.insert(isolated.directory().to_owned());
        Self { fences: Fence::ALL.into(), hidden, ..Self::default() }
    }

    /// Whether a fence is among them.
    #[must_use]
    pub fn has(&self, fence: Fence) -> bool {
        self.fences.contains(&fence)
    }

    /// Puts a fence up, or takes it down.
    pub fn set(&mut self, fence: Fence, up: bool) {
        if up {
            self.fences.insert(fence);
        } else {
            self.fences.remove(&fence);
        }
    }

    /// The folder that is empty for the child and holds this path.
    #[must_use]
    pub fn hides(&self, path: &Path) -> Option<&Path> {
        self.hidden.iter().map(PathBuf::as_path).find(|hidden| path.starts_with(hidden))
    }

    /// Lets the child see a file or a folder in a folder that is empty otherwise; whether it did not
    /// see it before.
    pub fn show(&mut self, path: &Path) -> bool {
        let is_hidden = self.hides(path).is_some_and(|hidden| hidden != path);
        let is_new = is_hidden && !self.shown.iter().any(|shown| path.starts_with(shown));
        if is_new {
            self.shown.insert(path.to_owned());
        }
        is_new
    }

    /// Makes another folder empty for the child; whether it was not.
    pub fn hide(&mut self, folder: &Path) -> bool {
        self.hides(folder).is_none() && self.hidden.insert(folder.to_owned())
    }

    /// Leaves it the capability to open packet sockets in its network namespace, where it has it.
    pub fn keep_packet_sockets(&mut self) {
        const CAP_NET_RAW: u32 = 13;
        self.capabilities |= 1 << CAP_NET_RAW;
    }

    /// Leaves it the capability to read what its user may not, where it has it.
    pub fn keep_reading(&mut self) {
        const CAP_DAC_READ_SEARCH: u32 = 2;
        self.capabilities |= 1 << CAP_DAC_READ_SEARCH;
    }

    /// Makes each mount read-only by itself, as kernels before Linux 5.12 need it; whether that is
    /// new.
    pub fn remount_one_by_one(&mut self) -> bool {
        !std::mem::replace(&mut self.one_by_one, true)
    }

    /// Whether it has a mount namespace of its own.
    pub(super) fn mounts(&self) -> bool {
        [Fence::Files, Fence::Folders, Fence::Devices, Fence::Proc]
            .into_iter()
            .any(|fence| self.has(fence))
    }
}
