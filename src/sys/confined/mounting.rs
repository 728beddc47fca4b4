//! The mounts of a child: what is done one after the other is listed before it is forked, since
//! nothing can be allocated afterwards.

use std::{
    ffi::{CStr, CString, OsStr, OsString},
    fmt, fs, io,
    os::{
        fd::RawFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    ptr,
};

use nix::{errno::Errno, libc};

use super::super::fence::{Confinement, Fence};

/// `include/uapi/linux/mount.h` and `include/uapi/linux/fcntl.h` of Linux 6.18.
mod abi {
    use nix::libc::{c_int, c_uint};

    pub(super) const AT_RECURSIVE: c_uint = 0x8000;
    pub(super) const AT_EMPTY_PATH: c_uint = 0x1000;
    pub(super) const OPEN_TREE_CLONE: c_uint = 1;
    pub(super) const OPEN_TREE_CLOEXEC: c_uint = nix::libc::O_CLOEXEC.cast_unsigned();
    pub(super) const MOVE_MOUNT_F_EMPTY_PATH: c_uint = 4;
    pub(super) const MOUNT_ATTR_RDONLY: u64 = 1;
    pub(super) const MOUNT_ATTR_NOSUID: u64 = 2;
    pub(super) const MOUNT_ATTR_NODEV: u64 = 4;
    pub(super) const NOWHERE: c_int = -1;

    /// `struct mount_attr`.
    #[derive(Default)]
    #[repr(C)]
    pub(super) struct MountAttr {
        pub(super) set: u64,
        pub(super) clear: u64,
        pub(super) propagation: u64,
        pub(super) user_namespace: u64,
    }
}

/// The devices that a QEMU may need. TAPs are handed over as descriptors.
const DEVICES: [&str; 7] = ["null", "zero", "full", "random", "urandom", "net/tun", "vhost-net"];

/// What stands in `/dev` besides: a name, and where it leads.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Nothing is ever written into an empty folder but the names of what is shown in it.
const SMALL: &CStr = c"mode=0755,size=1m";

/// Something that is done to the mounts.
#[derive(Debug)]
enum Step {
    /// Nothing of what follows is seen elsewhere.
    MakePrivate,
    Proc,
    Empty(CString),
    Folder(CString),
    File(CString),
    Link {
        to: CString,
        at: CString,
    },
    /// Keeps what is seen at a path, with all that is mounted below or without.
    Take {
        from: CString,
        slot: usize,
        recursive: bool,
    },
    /// Makes it seen there.
    Put {
        slot: usize,
        at: CString,
    },
    /// Makes all mounts read-only.
    Lock {
        attributes: u64,
    },
    /// Makes what was kept read-only.
    LockTaken {
        slot: usize,
    },
    /// Makes the mount at a path read-only, which has these flags.
    Remount {
        at: CString,
        flags: libc::c_ulong,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |path: &CString| path.to_string_lossy().into_owned();
        match self {
            Self::MakePrivate => f.write_str("making the mounts private"),
            Self::Proc => f.write_str("mounting /proc"),
            Self::Empty(at) => write!(f, "mounting an empty {}", path(at)),
            Self::Folder(at) | Self::File(at) | Self::Link { at, .. } => {
                write!(f, "making {}", path(at))
            }
            Self::Take { from, .. } => write!(f, "open_tree of {}", path(from)),
            Self::Put { at, .. } => write!(f, "move_mount to {}", path(at)),
            Self::Lock { .. } => f.write_str("making all mounts read-only"),
            Self::LockTaken { .. } => f.write_str("making a device's mount read-only"),
            Self::Remount { at, .. } => write!(f, "making {} read-only", path(at)),
        }
    }
}

/// A step, whose it is, and which errors do not matter.
#[derive(Debug)]
struct Planned {
    fence: Fence,
    step: Step,
    ignored: &'static [Errno],
}

/// The steps to a child's mounts.
#[derive(Debug, Default)]
pub(super) struct Mounting {
    steps: Vec<Planned>,
    slots: usize,
    one_by_one: bool,
}

impl Mounting {
    /// Lists what these fences need; the folder is the one that can be written.
    pub(super) fn plan(confinement: &Confinement, writable: Option<&Path>) -> io::Result<Self> {
        let mut plan = Self { one_by_one: confinement.one_by_one, ..Self::default() };
        let [files, folders, devices, proc] =
            [Fence::Files, Fence::Folders, Fence::Devices, Fence::Proc]
                .map(|fence| confinement.has(fence));
        plan.add(Fence::Files, Step::MakePrivate, &[])?;
        let own = if files || folders {
            writable.map(|path| plan.take(Fence::Files, path, false).map(|slot| (slot, path)))
        } else {
            None
        };
        let own = own.transpose()?;
        let mut nodes = Vec::new();
        if devices {
            for name in DEVICES {
                let path = Path::new("/dev").join(name);
                if path.exists() {
                    nodes.push((plan.take(Fence::Devices, &path, false)?, path));
                }
            }
        }
        let mut mounted = Vec::new();
        if proc {
            plan.add(Fence::Proc, Step::Proc, &[])?;
            mounted.push(PathBuf::from("/proc"));
        }
        if folders {
            plan.hide(confinement, writable, &mut mounted)?;
        }
        if devices {
            plan.empty(Fence::Devices, Path::new("/dev"), &mut mounted)?;
            for (_, node) in &nodes {
                plan.folders(Fence::Devices, Path::new("/dev"), node)?;
                plan.add(Fence::Devices, Step::File(text(node)?), &[])?;
            }
            for (name, to) in LINKS {
                let at = text(&Path::new("/dev").join(name))?;
                plan.add(Fence::Devices, Step::Link { to: text(Path::new(to))?, at }, &[])?;
            }
        }
        if files {
            plan.lock(devices, &mounted)?;
        }
        for (slot, at) in nodes {
            if files && !plan.one_by_one {
                plan.add(Fence::Files, Step::LockTaken { slot }, &[])?;
            }
            plan.put(Fence::Devices, slot, &at)?;
            if files && plan.one_by_one {
                plan.remount(&at, 0)?;
            }
        }
        if let Some((slot, path)) = own {
            plan.put(Fence::Files, slot, path)?;
        }
        Ok(plan)
    }

    /// Empties folders, and lets be seen in them what is to be seen.
    fn hide(
        &mut self,
        confinement: &Confinement,
        writable: Option<&Path>,
        mounted: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        const FENCE: Fence = Fence::Folders;
        let mut shown: Vec<(usize, &Path)> = Vec::new();
        for path in &confinement.shown {
            if path.exists() && !shown.iter().any(|(_, above)| path.starts_with(above)) {
                shown.push((self.take(FENCE, path, true)?, path));
            }
        }
        for hidden in &confinement.hidden {
            if !hidden.is_dir() {
                continue;
            }
            // The case's folder may be in a folder of a folder that is empty.
            self.empty(FENCE, hidden, mounted)?;
            for (slot, path) in shown.iter().filter(|(_, path)| path.starts_with(hidden)) {
                self.folders(FENCE, hidden, path)?;
                let at = text(path)?;
                let step = if path.is_dir() { Step::Folder(at) } else { Step::File(at) };
                self.add(FENCE, step, &[Errno::EEXIST])?;
                self.put(FENCE, *slot, path)?;
                mounted.push((*path).to_owned());
            }
            if let Some(path) = writable.filter(|path| path.starts_with(hidden)) {
                self.folders(FENCE, hidden, path)?;
                self.add(FENCE, Step::Folder(text(path)?), &[Errno::EEXIST])?;
            }
        }
        Ok(())
    }

    fn lock(&mut self, devices: bool, mounted: &[PathBuf]) -> io::Result<()> {
        // Devices are opened through mounts of their own, where there are such.
        let attributes = abi::MOUNT_ATTR_RDONLY | abi::MOUNT_ATTR_NOSUID;
        let attributes = if devices { attributes | abi::MOUNT_ATTR_NODEV } else { attributes };
        if !self.one_by_one {
            return self.add(Fence::Files, Step::Lock { attributes }, &[]);
        }
        let nodev = if devices { libc::MS_NODEV } else { 0 };
        let table = fs::read("/proc/self/mountinfo")?;
        for (path, flags) in table.split(|byte| *byte == b'\n').filter_map(mount_of_line) {
            self.remount(&path, flags | nodev)?;
        }
        mounted.iter().try_for_each(|path| self.remount(path, nodev))
    }

    fn remount(&mut self, path: &Path, flags: libc::c_ulong) -> io::Result<()> {
        // What another mount hides can't be reached, and need not be.
        let hidden = &[Errno::EINVAL, Errno::ENOENT, Errno::ENOTDIR];
        self.add(Fence::Files, Step::Remount { at: text(path)?, flags }, hidden)
    }

    fn take(&mut self, fence: Fence, path: &Path, recursive: bool) -> io::Result<usize> {
        let slot = self.slots;
        self.slots += 1;
        let from = text(path)?;
        self.add(fence, Step::Take { from, slot, recursive }, &[])?;
        Ok(slot)
    }

    fn put(&mut self, fence: Fence, slot: usize, path: &Path) -> io::Result<()> {
        self.add(fence, Step::Put { slot, at: text(path)? }, &[])
    }

    fn empty(&mut self, fence: Fence, path: &Path, mounted: &mut Vec<PathBuf>) -> io::Result<()> {
        mounted.push(path.to_owned());
        self.add(fence, Step::Empty(text(path)?), &[])
    }

    /// The folders between a folder and a path in it.
    fn folders(&mut self, fence: Fence, folder: &Path, path: &Path) -> io::Result<()> {
        let between = path.ancestors().skip(1).take_while(|above| *above != folder);
        let mut between: Vec<&Path> = between.collect();
        between.reverse();
        for one in between {
            self.add(fence, Step::Folder(text(one)?), &[Errno::EEXIST])?;
        }
        Ok(())
    }

    fn add(&mut self, fence: Fence, step: Step, ignored: &'static [Errno]) -> io::Result<()> {
        self.steps.push(Planned { fence, step, ignored });
        Ok(())
    }

    /// The fence that a step belongs to, and what the step does.
    pub(super) fn step(&self, index: usize) -> Option<(Fence, String)> {
        self.steps.get(index).map(|planned| (planned.fence, planned.step.to_string()))
    }

    /// What [`Mounting::carry_out`] needs.
    pub(super) fn slots(&self) -> Vec<RawFd> {
        vec![abi::NOWHERE; self.slots]
    }

    /// Does all of it, in a mount namespace of the calling process alone. It makes system calls
    /// only. The descriptors in the slots stay open.
    ///
    /// # Errors
    /// The step that failed, and why.
    pub(super) fn carry_out(&self, slots: &mut [RawFd]) -> Result<(), (usize, Errno)> {
        for (index, planned) in self.steps.iter().enumerate() {
            match planned.step.carry_out(slots) {
                Ok(()) => {}
                Err(errno) if planned.ignored.contains(&errno) => {}
                Err(errno) => return Err((index, errno)),
            }
        }
        Ok(())
    }
}

impl Step {
    fn carry_out(&self, slots: &mut [RawFd]) -> Result<(), Errno> {
        const FLAGS: libc::c_ulong = libc::MS_NOSUID | libc::MS_NOEXEC | libc::MS_NODEV;
        let slot = |slot: usize| slots.get(slot).copied().unwrap_or(abi::NOWHERE);
        match self {
            Self::MakePrivate => mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None),
            Self::Proc => mount(Some(c"proc"), c"/proc", Some(c"proc"), FLAGS, None),
            Self::Empty(at) => mount(Some(c"none"), at, Some(c"tmpfs"), FLAGS, Some(SMALL)),
            // SAFETY: mkdir(2) reads a string that ends with a zero.
            Self::Folder(at) => result(unsafe { libc::mkdir(at.as_ptr(), 0o755) }.into()),
            Self::File(at) => {
                // SAFETY: mknod(2) reads a string that ends with a zero; a file needs no device.
                result(unsafe { libc::mknod(at.as_ptr(), libc::S_IFREG | 0o644, 0) }.into())
            }
            Self::Link { to, at } => {
                // SAFETY: symlink(2) reads two strings that end with a zero.
                result(unsafe { libc::symlink(to.as_ptr(), at.as_ptr()) }.into())
            }
            Self::Take { from, slot, recursive } => {
                let recursive = if *recursive { abi::AT_RECURSIVE } else { 0 };
                let flags = abi::OPEN_TREE_CLONE | abi::OPEN_TREE_CLOEXEC | recursive;
                // SAFETY: open_tree(2) reads a string that ends with a zero.
                let tree = unsafe {
                    libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, from.as_ptr(), flags)
                };
                result(tree)?;
                if let Some(kept) = slots.get_mut(*slot) {
                    *kept = RawFd::try_from(tree).unwrap_or(abi::NOWHERE);
                }
                Ok(())
            }
            Self::Put { slot: kept, at } => {
                // SAFETY: move_mount(2) reads two strings that end with a zero.
                result(unsafe {
                    libc::syscall(
                        libc::SYS_move_mount,
                        slot(*kept),
                        c"".as_ptr(),
                        libc::AT_FDCWD,
                        at.as_ptr(),
                        abi::MOVE_MOUNT_F_EMPTY_PATH,
                    )
                })
            }
            Self::Lock { attributes } => {
                set_attributes(libc::AT_FDCWD, c"/", abi::AT_RECURSIVE, *attributes)
            }
            Self::LockTaken { slot: kept } => {
                let attributes = abi::MOUNT_ATTR_RDONLY | abi::MOUNT_ATTR_NOSUID;
                set_attributes(slot(*kept), c"", abi::AT_EMPTY_PATH, attributes)
            }
            Self::Remount { at, flags } => {
                let flags = flags | libc::MS_REMOUNT | libc::MS_BIND;
                mount(None, at, None, flags | libc::MS_RDONLY | libc::MS_NOSUID, None)
            }
        }
    }
}

fn set_attributes(
    at: RawFd,
    path: &CStr,
    flags: libc::c_uint,
    attributes: u64,
) -> Result<(), Errno> {
    let attributes = abi::MountAttr { set: attributes, ..abi::MountAttr::default() };
    // SAFETY: mount_setattr(2) reads a string that ends with a zero and a structure of this size,
    // which both live through the call.
    result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at,
            path.as_ptr(),
            flags,
            ptr::from_ref(&attributes),
            size_of::<abi::MountAttr>(),
        )
    })
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> Result<(), Errno> {
    let or_null = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: mount(2) reads strings that end with a zero, where it is given any.
    let done = unsafe {
        libc::mount(or_null(source), target.as_ptr(), or_null(kind), flags, or_null(options).cast())
    };
    result(done.into())
}

fn result(returned: libc::c_long) -> Result<(), Errno> {
    Errno::result(returned).map(drop)
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Where a mount is, and its flags: proc_pid_mountinfo(5), fields 5 and 6.
fn mount_of_line(line: &[u8]) -> Option<(PathBuf, libc::c_ulong)> {
    let mut fields = line.split(|byte| *byte == b' ').skip(4);
    let (path, options) = (fields.next()?, fields.next()?);
    let flags = options.split(|byte| *byte == b',').map(|option| match option {
        b"nodev" => libc::MS_NODEV,
        b"noexec" => libc::MS_NOEXEC,
        b"noatime" => libc::MS_NOATIME,
        b"nodiratime" => libc::MS_NODIRATIME,
        b"relatime" => libc::MS_RELATIME,
        _ => 0,
    });
    Some((OsString::from_vec(unescaped(path)).into(), flags.fold(0, |all, one| all | one)))
}

/// Blanks and the like are three octal digits behind a backslash.
fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Some((first, rest)) = text.split_first() {
        let digits = rest.get(..3).filter(|_| *first == b'\\');
        let code = digits.map(OsStr::from_bytes).and_then(OsStr::to_str);
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                text = &rest[3..];
            }
            None => {
                plain.push(*first);
                text = rest;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_with_its_flags_and_blanks() {
        let line =
            b"36 35 98:0 /mnt1 /mnt\\040a\\134b rw,noexec,relatime master:1 - ext3 /dev/root rw";
        let (path, flags) = mount_of_line(line).unwrap();
        assert_eq!(path, Path::new("/mnt a\\b"));
        assert_eq!(flags, libc::MS_NOEXEC | libc::MS_RELATIME);
        assert!(mount_of_line(b"").is_none());
    }

    #[test]
    fn what_is_shown_has_its_folders_made_first() {
        let mut plan = Mounting::default();
        plan.folders(Fence::Folders, Path::new("/tmp"), Path::new("/tmp/a/b/c")).unwrap();
        let steps: Vec<String> = plan.steps.iter().map(|one| one.step.to_string()).collect();
        assert_eq!(steps, ["making /tmp/a", "making /tmp/a/b"]);
    }
}
