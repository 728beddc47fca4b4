//! Capabilities and identities, given up for good. Between fork and exec `control` and
//! `drop_capabilities` are called too, so they only make system calls.

use std::{io, ptr};

use nix::{
    errno::Errno,
    libc,
    unistd::{Gid, Uid, User, setgroups, setresgid, setresuid},
};

/// `include/uapi/linux/capability.h` of Linux 6.18.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITIES_VERSION_3: u32 = 0x2008_0522;

/// A prctl(2) option that takes one number.
pub(super) fn control(option: libc::c_int, value: libc::c_ulong) -> Result<(), Errno> {
    let none: libc::c_ulong = 0;
    // SAFETY: these options take numbers only.
    Errno::result(unsafe { libc::prctl(option, value, none, none, none) }).map(drop)
}

/// Gives up all capabilities but these, and the way to get them back: the bounding set first, for
/// which CAP_SETPCAP is needed. Who does not have that needs the assurance that no program is given
/// new privileges: then execve(2) gives root only what it has (Linux 6.18 `security/commoncap.c`,
/// `cap_bprm_creds_from_file`).
pub(super) fn drop_capabilities(kept: u64, no_new: bool) -> Result<(), Errno> {
    for capability in 0..u64::BITS {
        if kept & 1 << capability != 0 {
            continue;
        }
        match control(libc::PR_CAPBSET_DROP, capability.into()) {
            Ok(()) => {}
            // There are no more.
            Err(Errno::EINVAL) => break,
            Err(Errno::EPERM) if no_new => break,
            Err(errno) => return Err(errno),
        }
    }
    let clear_all = libc::PR_CAP_AMBIENT_CLEAR_ALL.cast_unsigned().into();
    control(libc::PR_CAP_AMBIENT, clear_all)?;
    let header = CapabilityHeader { version: CAPABILITIES_VERSION_3, pid: 0 };
    let mut data = [CapabilityData::default(); 2];
    // SAFETY: capget(2) reads the header and writes two structures in version 3; both live through
    // the call.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_capget, ptr::from_ref(&header), data.as_mut_ptr())
    })?;
    let [low, high] = &mut data;
    for (half, shift) in [(low, 0), (high, u32::BITS)] {
        // What it does not have it can't keep.
        let mask = u32::try_from(kept >> shift & u64::from(u32::MAX)).unwrap_or_default();
        half.permitted &= mask;
        half.effective = half.permitted;
        half.inheritable = half.permitted;
    }
    // SAFETY: capset(2) reads the header and two structures in version 3; both live through the
    // call.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_capset, ptr::from_ref(&header), data.as_ptr())
    })?;
    // SAFETY: geteuid(2) takes nothing.
    if unsafe { libc::geteuid() } == 0 {
        return Ok(());
    }
    // A process that is not root keeps capabilities through execve(2) as ambient ones only.
    for capability in (0..u64::BITS).filter(|capability| kept & 1 << capability != 0) {
        let raise = libc::c_ulong::from(libc::PR_CAP_AMBIENT_RAISE.cast_unsigned());
        let none: libc::c_ulong = 0;
        let capability = libc::c_ulong::from(capability);
        // SAFETY: this option takes numbers only. What it does not have is refused, and need not
        // be.
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, capability, none, none) };
    }
    Ok(())
}

/// Changes settings of networks: what a command keeps that must undo its own.
pub const CAP_NET_ADMIN: u32 = 12;

/// Gives up privileges for good, of the whole process: it becomes this user with that user's own
/// group alone, where one is named; no program that it runs gets new privileges; and of its
/// capabilities it keeps those of `kept`. To be called before any thread is started.
///
/// # Errors
/// ENOENT where there is no such user; EPERM where the process may not become another one.
pub fn give_up_privileges(user: Option<&str>, kept: &[u32]) -> io::Result<()> {
    let kept = kept.iter().fold(0, |bits, capability| bits | 1 << capability);
    control(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    if let Some(name) = user {
        let User { uid, gid, .. } = User::from_name(name)?.ok_or(Errno::ENOENT)?;
        if kept != 0 {
            control(libc::PR_SET_KEEPCAPS, 1)?;
        }
        become_user(uid, gid)?;
    }
    Ok(drop_capabilities(kept, true)?)
}

fn become_user(uid: Uid, gid: Gid) -> Result<(), Errno> {
    setgroups(&[gid])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}
