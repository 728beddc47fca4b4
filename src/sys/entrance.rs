//! Enters the namespaces of a thread of another process. `enter` runs its command there.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    unistd::{getpid, gettid},
};

/// A thread of a process. Its start time distinguishes it from a later one with the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The process.
    pub process: i32,
    /// The thread.
    pub thread: i32,
    /// In clock ticks since the machine started: `starttime` of proc_pid_stat(5).
    pub started: u64,
}

impl Tenant {
    /// The calling thread.
    ///
    /// # Errors
    /// When `/proc` can't be read.
    pub fn current() -> io::Result<Self> {
        let (process, thread) = (getpid().as_raw(), gettid().as_raw());
        let started = started(process, thread)?;
        Ok(Self { process, thread, started })
    }

    /// Whether it is still there.
    #[must_use]
    pub fn is_alive(self) -> bool {
        started(self.process, self.thread).is_ok_and(|started| started == self.started)
    }

    fn namespace(self, kind: &str) -> PathBuf {
        let Self { process, thread, .. } = self;
        PathBuf::from(format!("/proc/{process}/task/{thread}/ns/{kind}"))
    }
}

fn started(process: i32, thread: i32) -> io::Result<u64> {
    /// Behind the name, which is in parentheses and may hold anything.
    const STARTTIME: usize = 22 - 3;
    let stat = fs::read_to_string(format!("/proc/{process}/task/{thread}/stat"))?;
    let behind = stat.rsplit_once(')').map(|(_, behind)| behind);
    behind
        .and_then(|fields| fields.split_whitespace().nth(STARTTIME)?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no start time in stat"))
}

/// The namespaces of a thread, open: they stay when the thread ends.
#[derive(Debug)]
pub struct Entrance {
    /// None where it is the caller's own.
    user: Option<File>,
    mount: File,
    network: File,
}

impl Entrance {
    /// Opens a thread's namespaces.
    ///
    /// # Errors
    /// When the thread is gone, or belongs to somebody else.
    pub fn open(tenant: Tenant) -> io::Result<Self> {
        let open = |kind| File::open(tenant.namespace(kind));
        let user = open("user")?;
        let entrance = Self {
            user: (!is_own("user", &user)?).then_some(user),
            mount: open("mnt")?,
            network: open("net")?,
        };
        // The numbers may have been given to another in between.
        if tenant.is_alive() { Ok(entrance) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Moves the process into them. The user namespace comes first, since it gives the privileges
    /// for the others (setns(2)). To be called while the process has one thread.
    ///
    /// # Errors
    /// EPERM without privileges over them; EINVAL where the process has other threads.
    pub fn enter(&self) -> io::Result<()> {
        if let Some(user) = &self.user {
            setns(user, CloneFlags::CLONE_NEWUSER)?;
        }
        setns(&self.mount, CloneFlags::CLONE_NEWNS)?;
        setns(&self.network, CloneFlags::CLONE_NEWNET)?;
        Ok(())
    }
}

/// Moves the process on into a network namespace that is mounted in its mount namespace.
///
/// # Errors
/// When it is not there, or the kernel refuses.
pub fn enter_mounted(path: &Path) -> io::Result<()> {
    Ok(setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?)
}

/// Shows the interfaces of the process's network namespace in `/sys`, which shows those of the
/// mount's otherwise: in a copy of the mount namespace, so that nobody else sees them.
///
/// # Errors
/// Where the kernel forbids to mount sysfs, as in a container that hides parts of it.
pub fn show_own_interfaces() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(Some("sysfs"), "/sys", Some("sysfs"), flags, None::<&str>)?)
}

fn is_own(kind: &str, other: &File) -> io::Result<bool> {
    let own = fs::metadata(format!("/proc/self/ns/{kind}"))?;
    let other = other.metadata()?;
    Ok((own.dev(), own.ino()) == (other.dev(), other.ino()))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn a_thread_that_ended_is_no_tenant_any_more() {
        let (tell, told) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let other = thread::spawn(move || {
            tell.send(Tenant::current().unwrap()).unwrap();
            held.recv()
        });
        let tenant = told.recv().unwrap();
        assert!(tenant.is_alive());
        assert_ne!(tenant, Tenant::current().unwrap());
        let other_start = Tenant { started: tenant.started + 1, ..tenant };
        assert!(!other_start.is_alive());
        assert_eq!(Entrance::open(other_start).unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(release);
        assert!(other.join().unwrap().is_err());
        // The kernel removes a thread's entry soon after it has been waited for, not before.
        while tenant.is_alive() {
            thread::yield_now();
        }
    }
}
