//! Moves the process into mount, network and, where needed, user namespaces of its own. Nothing
//! touches an interface without the proof that this gives.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};

use super::{
    exhaustion_remedy,
    sysctl::{SysctlError, quieten},
};

/// Proof that this process is in mount and network namespaces of its own, where it can reach no
/// interface of the host and leaves nothing behind. [`isolate`] makes it; a clone proves the same.
#[derive(Clone, Debug)]
pub struct Isolated {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    user_namespace: bool,
    names: AtomicU64,
}

impl Isolated {
    /// A private tmpfs, gone with the process: for the names of namespaces and for sockets. Its
    /// path is short enough for a Unix socket's address.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Whether the privileges are those of a user namespace only: then `/dev/net/tun` needs its own
    /// permission, and `SO_RCVBUFFORCE` is refused.
    #[must_use]
    pub fn in_user_namespace(&self) -> bool {
        self.inner.user_namespace
    }

    /// A file name in [`Isolated::directory`] that nothing else has.
    #[must_use]
    pub fn unique(&self, name: &str) -> String {
        format!("{}-{name}", self.inner.names.fetch_add(1, Ordering::Relaxed))
    }
}

/// Why the process could not be moved into namespaces of its own.
#[derive(Debug, thiserror::Error)]
pub enum IsolationError {
    /// Other threads run: they would stay on the host's side.
    #[error("the process has {threads} threads; it must be isolated while it has one")]
    Threads { threads: usize },
    /// Neither privileges nor user namespaces.
    #[error("the kernel allows neither private namespaces nor a user namespace: {0}")]
    Refused(#[source] io::Error),
    /// The user namespace is there, but not its identity.
    #[error("{file} can't be written: {source}")]
    Identity {
        /// The file below `/proc/self`.
        file: &'static str,
        source: io::Error,
    },
    /// `/` could not be made private.
    #[error("the mounts can't be made private: {0}")]
    Propagation(#[source] io::Error),
    /// No place for the private tmpfs.
    #[error("a private tmpfs can't be mounted: {0}")]
    Directory(#[source] io::Error),
    /// `/proc` could not be read.
    #[error("the threads of the process can't be counted: {0}")]
    Proc(#[source] io::Error),
    /// The namespace would not be quiet.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
}

impl IsolationError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        if let Some(remedy) = exhaustion_remedy(self) {
            return remedy;
        }
        match self {
            Self::Threads { .. } => "isolate the process before any thread is started",
            Self::Refused(_) => {
                "run as root, or allow user namespaces: sysctl user.max_user_namespaces and, where \
                 they exist, kernel.unprivileged_userns_clone=1 and \
                 kernel.apparmor_restrict_unprivileged_userns=0"
            }
            Self::Identity { .. } | Self::Propagation(_) | Self::Directory(_) => {
                "run as root, or lift what confines user namespaces here, for example \
                 kernel.apparmor_restrict_unprivileged_userns=0; in a container, add \
                 --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined"
            }
            Self::Proc(_) => "mount /proc",
            Self::Sysctl(_) => {
                "/proc/sys must be writable: in a container, run it with --privileged, or with \
                 --security-opt systempaths=unconfined"
            }
        }
    }
}

/// Places to mount the private tmpfs on, the first that is there: directories that this process
/// has no business in, since what they hold is hidden from it (and from nothing else). A directory
/// of our own would outlive a process that is killed.
const MOUNT_POINTS: &[&str] =
    &["/sys/kernel/debug", "/sys/fs/bpf", "/proc/fs", "/sys/kernel/tracing", "/media", "/srv"];

/// Moves the process into private mount and network namespaces, and into a user namespace when the
/// privileges for those are missing. To be called once, while no other thread runs.
///
/// # Errors
/// See [`IsolationError`]; after one other than [`IsolationError::Threads`] and
/// [`IsolationError::Refused`] the process is neither here nor there, and should only report it.
pub fn isolate() -> Result<Isolated, IsolationError> {
    let threads = threads_left().map_err(IsolationError::Proc)?;
    if threads != 1 {
        return Err(IsolationError::Threads { threads });
    }
    let user_namespace = unshare_all()?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|errno| IsolationError::Propagation(errno.into()))?;
    let directory = mount_tmpfs()?;
    quieten()?;
    let inner = Inner { directory, user_namespace, names: AtomicU64::new(0) };
    Ok(Isolated { inner: Arc::new(inner) })
}

/// How many threads the process has. One that has ended, and has been waited for, is there a moment
/// longer for the kernel, which tells nobody when it has removed it.
fn threads_left() -> io::Result<usize> {
    const MOMENT: Duration = Duration::from_secs(1);
    let until = Instant::now() + MOMENT;
    loop {
        let threads = fs::read_dir("/proc/self/task")?.count();
        if threads == 1 || Instant::now() >= until {
            return Ok(threads);
        }
        thread::yield_now();
    }
}

/// Whether a user namespace was needed.
fn unshare_all() -> Result<bool, IsolationError> {
    let private = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
    match unshare(private) {
        Ok(()) => return Ok(false),
        Err(Errno::EPERM) => {}
        Err(errno) => return Err(IsolationError::Refused(errno.into())),
    }
    let (user, group) = (geteuid(), getegid());
    unshare(private | CloneFlags::CLONE_NEWUSER)
        .map_err(|errno| IsolationError::Refused(errno.into()))?;
    // user_namespaces(7): without privileges outside, setgroups must be denied before gid_map.
    identity("/proc/self/setgroups", "deny")?;
    identity("/proc/self/uid_map", &format!("0 {user} 1"))?;
    identity("/proc/self/gid_map", &format!("0 {group} 1"))?;
    Ok(true)
}

fn identity(file: &'static str, text: &str) -> Result<(), IsolationError> {
    fs::write(file, text).map_err(|source| IsolationError::Identity { file, source })
}

fn mount_tmpfs() -> Result<PathBuf, IsolationError> {
    let mut refusal = Errno::ENOENT;
    for point in MOUNT_POINTS {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        match mount(Some("tapwright"), *point, Some("tmpfs"), flags, Some("mode=0700")) {
            Ok(()) => return Ok(PathBuf::from(point)),
            Err(Errno::ENOENT) => {}
            Err(errno) => refusal = errno,
        }
    }
    Err(IsolationError::Directory(refusal.into()))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::{IsolationError, isolate};

    #[test]
    fn a_process_with_threads_is_left_alone() {
        let (done, waits) = mpsc::channel::<()>();
        let other = thread::spawn(move || waits.recv());
        let refused = isolate().unwrap_err();
        drop(done);
        assert!(other.join().unwrap().is_err());
        assert!(matches!(refused, IsolationError::Threads { threads } if threads >= 2));
    }
}
