//! Network namespaces of a thread, and named ones below the private mount.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    thread,
};

use netns_rs::{Env, NetNs};
use nix::sched::{CloneFlags, setns, unshare};

use super::{
    Isolated,
    sysctl::{SysctlError, quieten, quieten_links},
};

/// A network namespace could not be made, entered or removed.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// `unshare` failed.
    #[error("a network namespace can't be made: {0}")]
    Fresh(io::Error),
    /// A named namespace could not be made, entered or removed.
    #[error("namespace {name}: {source}")]
    Named {
        name: String,
        /// What netns-rs or the kernel said.
        source: netns_rs::Error,
    },
    /// It would not be quiet.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// No thread could be started to work in it.
    #[error("no thread for a namespace: {0}")]
    Thread(#[source] io::Error),
}

/// Moves the *calling thread* into a fresh, quiet network namespace that holds nothing but a `lo`
/// that is down.
///
/// The thread may call this again for its next case. A namespace is dismantled by the kernel,
/// behind everybody's back, when the last thread has left it and the last descriptor that was
/// opened in it is closed; so nothing waits for it. Threads that this one starts begin in its
/// namespace.
///
/// # Errors
/// When the kernel refuses, or a setting that keeps the namespace quiet can't be written.
pub fn enter_fresh(_: &Isolated) -> Result<(), NamespaceError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| NamespaceError::Fresh(errno.into()))?;
    Ok(quieten()?)
}

/// As [`enter_fresh`], for interfaces without any address: what would keep the host's own stack quiet is
/// left as the kernel has it, since that stack has nothing to say there.
///
/// # Errors
/// When the kernel refuses, or a setting that keeps the namespace quiet can't be written.
pub fn enter_fresh_links(_: &Isolated) -> Result<(), NamespaceError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| NamespaceError::Fresh(errno.into()))?;
    Ok(quieten_links()?)
}

/// A network namespace without a name, which lives as long as this.
#[derive(Debug)]
pub struct NamespaceFile(File);

impl NamespaceFile {
    /// The calling thread's.
    ///
    /// # Errors
    /// When `/proc` can't be read.
    pub fn current(_: &Isolated) -> io::Result<Self> {
        File::open("/proc/thread-self/ns/net").map(Self)
    }

    /// Moves the calling thread there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.0, CloneFlags::CLONE_NEWNET)?)
    }
}

/// The packet sockets of the calling thread's namespace: protocol, interface, state, bytes that wait,
/// and number of each, in the kernel's order (Linux 6.18 `net/packet/af_packet.c`, `packet_seq_show`).
///
/// # Errors
/// When `/proc` can't be read.
pub fn packet_sockets(_: &Isolated) -> io::Result<Vec<String>> {
    const SHOWN: [usize; 5] = [3, 4, 5, 6, 8];
    let text = fs::read_to_string("/proc/thread-self/net/packet")?;
    let shown = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let column = |at: usize| columns.get(at).copied().unwrap_or_default();
        SHOWN.map(column).join(" ")
    };
    Ok(text.lines().skip(1).map(shown).collect())
}

/// Where netns-rs keeps names: the private tmpfs, which needs none of the preparation that
/// [`Env::init`] makes by default.
#[derive(Debug)]
struct PrivateEnv(PathBuf);

impl Env for PrivateEnv {
    fn persist_dir(&self) -> PathBuf {
        self.0.clone()
    }

    fn init(&self) -> netns_rs::Result<()> {
        Ok(())
    }
}

/// An extra network namespace of a case, kept alive by a mount of its name and removed on drop.
#[derive(Debug)]
#[must_use]
pub struct Namespace {
    name: String,
    netns: Option<NetNs<PrivateEnv>>,
}

impl Namespace {
    /// Makes a quiet namespace. Its name need not be unique in the process.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn create(isolated: &Isolated, name: &str) -> Result<Self, NamespaceError> {
        let env = PrivateEnv(isolated.directory().to_path_buf());
        let netns = NetNs::new_with_env(isolated.unique(name), env)
            .map_err(|source| NamespaceError::Named { name: name.to_owned(), source })?;
        let namespace = Self { name: name.to_owned(), netns: Some(netns) };
        namespace.inside(quieten)??;
        Ok(namespace)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is mounted, in this process's mount namespace.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.netns.as_ref().map(NetNs::path)
    }

    /// Does something on a thread of its own inside the namespace, and hands the result out. The
    /// thread ends there: no thread ever comes back from another namespace, so none can be stranded
    /// in one.
    ///
    /// # Errors
    /// When there is no thread, or it can't enter.
    ///
    /// # Panics
    /// When `work` does.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
        let run = || {
            if let Some(netns) = &self.netns {
                netns.enter().map_err(|source| self.failed(source))?;
            }
            Ok(work())
        };
        thread::scope(|scope| {
            let name = format!("netns {}", self.name);
            let thread = thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, run)
                .map_err(NamespaceError::Thread)?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Removes the name; the namespace lives on while anything in it is open.
    ///
    /// # Errors
    /// When the name can't be unmounted.
    pub fn remove(mut self) -> Result<(), NamespaceError> {
        match self.netns.take() {
            Some(netns) => netns.remove().map_err(|source| self.failed(source)),
            None => Ok(()),
        }
    }

    fn failed(&self, source: netns_rs::Error) -> NamespaceError {
        NamespaceError::Named { name: self.name.clone(), source }
    }
}

impl AsFd for Namespace {
    /// The descriptor that names the namespace, for moving interfaces into it.
    ///
    /// # Panics
    /// Never: the namespace is only taken out by `remove` and by drop, which consume it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netns.as_ref().expect("a namespace that was not removed").file().as_fd()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(netns) = self.netns.take() {
            // After an error there is nobody to report to; the mount goes with the process.
            let _ = netns.remove();
        }
    }
}
