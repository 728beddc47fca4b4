//! What is behind a descriptor: what may be read, and what may be written.

use std::{fmt, os::fd::AsFd};

use nix::{
    errno::Errno,
    sys::{
        stat::{FileStat, SFlag, fstat, major, minor},
        statfs::{
            BPF_FS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, FsType,
            NSFS_MAGIC, PROC_SUPER_MAGIC, RDTGROUP_SUPER_MAGIC, SECURITYFS_MAGIC, SELINUX_MAGIC,
            SMACK_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, XENFS_SUPER_MAGIC, fstatfs,
        },
    },
};

use super::FileError;

/// What a path can lead to instead of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    /// A named pipe, or a pipe of a shell.
    Pipe,
    Socket,
    Device,
    /// A symbolic link that is not followed.
    Link,
    /// Anything else.
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::Pipe => "a pipe (FIFO)",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Link => "a link",
            Self::Other => "no file",
        })
    }
}

/// File systems whose files are made up while they are read, by the numbers of statfs(2). Reading
/// them can wait for ever, has effects, and gives what is in no file.
const PSEUDO: &[(FsType, &str)] = &[
    (PROC_SUPER_MAGIC, "/proc"),
    (SYSFS_MAGIC, "/sys"),
    (DEBUGFS_MAGIC, "debugfs"),
    (TRACEFS_MAGIC, "tracefs"),
    (SECURITYFS_MAGIC, "securityfs"),
    (SELINUX_MAGIC, "selinuxfs"),
    (SMACK_MAGIC, "smackfs"),
    (CGROUP_SUPER_MAGIC, "a cgroup"),
    (CGROUP2_SUPER_MAGIC, "a cgroup"),
    (RDTGROUP_SUPER_MAGIC, "resctrl"),
    (BPF_FS_MAGIC, "bpffs"),
    (NSFS_MAGIC, "nsfs"),
    (XENFS_SUPER_MAGIC, "xenfs"),
    // Linux 6.18 include/uapi/linux/magic.h and fs/configfs/mount.c.
    (FsType(0x6265_6570), "configfs"),
    (FsType(0x6165_676c), "pstore"),
    (FsType(0xde5e_81e4), "efivarfs"),
];

/// The file system of pipes without a name (Linux 6.18 include/uapi/linux/magic.h, `PIPEFS_MAGIC`).
const PIPES: FsType = FsType(0x5049_5045);

/// What a descriptor leads to.
pub(super) struct Found {
    stat: FileStat,
    system: FsType,
}

impl Found {
    /// Looks; a descriptor of O_PATH will do.
    pub(super) fn of(fd: impl AsFd) -> Result<Self, Errno> {
        Ok(Self { stat: fstat(&fd)?, system: fstatfs(&fd)?.filesystem_type() })
    }

    /// Its size in bytes.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    pub(super) fn is_link(&self) -> bool {
        self.kind() == Some(Kind::Link)
    }

    /// A file that is kept somewhere.
    pub(super) fn regular(&self) -> Result<(), FileError> {
        match (self.kind(), PSEUDO.iter().find(|(system, _)| *system == self.system)) {
            (Some(kind), _) => Err(FileError::Kind(kind)),
            (None, Some((_, name))) => Err(FileError::Pseudo(name)),
            (None, None) => Ok(()),
        }
    }

    /// A pipe that has no name: a shell made it, for this command.
    pub(super) fn is_shells(&self) -> bool {
        self.kind() == Some(Kind::Pipe) && self.system == PIPES
    }

    /// A terminal, by its number (Linux 6.18 Documentation/admin-guide/devices.txt): consoles and
    /// serial lines, `/dev/tty` and `/dev/console`, and the far ends of terminal emulators.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self.character(), Some((4 | 136..=143, _) | (5, 0 | 1)))
    }

    /// `/dev/null`, `/dev/zero` or `/dev/full` (the same page): nothing comes of writing to them.
    pub(super) fn is_sink(&self) -> bool {
        matches!(self.character(), Some((1, 3 | 5 | 7)))
    }

    fn character(&self) -> Option<(u64, u64)> {
        let device = self.stat.st_rdev;
        (self.format() == SFlag::S_IFCHR).then(|| (major(device), minor(device)))
    }

    fn format(&self) -> SFlag {
        SFlag::from_bits_truncate(self.stat.st_mode & SFlag::S_IFMT.bits())
    }

    /// None for a regular file.
    fn kind(&self) -> Option<Kind> {
        match self.format() {
            SFlag::S_IFREG => None,
            SFlag::S_IFDIR => Some(Kind::Directory),
            SFlag::S_IFIFO => Some(Kind::Pipe),
            SFlag::S_IFSOCK => Some(Kind::Socket),
            SFlag::S_IFCHR | SFlag::S_IFBLK => Some(Kind::Device),
            SFlag::S_IFLNK => Some(Kind::Link),
            _ => Some(Kind::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::pipe};

    use super::*;

    #[test]
    fn pipes_of_a_shell_have_no_name() {
        let (reader, _writer) = pipe().unwrap();
        let found = Found::of(&reader).unwrap();
        assert!(found.is_shells());
        assert!(matches!(found.regular(), Err(FileError::Kind(Kind::Pipe))));
    }

    #[test]
    fn devices_are_told_apart_by_their_numbers() {
        let sink = |path: &str| Found::of(File::open(path).unwrap()).unwrap();
        assert!(sink("/dev/null").is_sink() && !sink("/dev/null").is_terminal());
        assert!(sink("/dev/full").is_sink());
        assert!(!sink("/dev/urandom").is_sink() && !sink("/dev/urandom").is_terminal());
    }

    #[test]
    fn what_the_kernel_makes_up_is_no_file() {
        for (path, name) in [("/proc/version", "/proc"), ("/sys/kernel/uevent_seqnum", "/sys")] {
            let found = Found::of(File::open(path).unwrap()).unwrap();
            assert!(
                matches!(found.regular(), Err(FileError::Pseudo(said)) if said == name),
                "{path}"
            );
        }
    }
}
