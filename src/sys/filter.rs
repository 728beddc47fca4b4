//! Which frames a socket keeps, as programs that the kernel runs for each. Packet sockets and rings have
//! some.

use std::{
    os::fd::{AsFd, AsRawFd},
    ptr,
};

use nix::{errno::Errno, libc};

use super::option::{self, length_of};

/// Ends a program: so many bytes of the frame are kept, and of none nothing is counted either.
pub(super) const RETURN: u16 = 0x06;

/// Keeps no frame.
pub(super) const NOTHING: [libc::sock_filter; 1] = [instruction(RETURN, 0, 0, 0)];

pub(super) const fn instruction(
    code: u16,
    value: u32,
    if_true: u8,
    if_false: u8,
) -> libc::sock_filter {
    libc::sock_filter { code, jt: if_true, jf: if_false, k: value }
}

/// Gives a socket a program, instead of the one that it has.
pub(super) fn filter(fd: impl AsFd, program: &[libc::sock_filter]) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: program.len().try_into().map_err(|_| Errno::EINVAL)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads the structure and the instructions that it points to, which both live
    // through the call, and copies them.
    let done = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            ptr::from_ref(&program).cast(),
            length_of::<libc::sock_fprog>(),
        )
    };
    Errno::result(done).map(drop)
}

/// Takes a socket's program away: it keeps every frame.
pub(super) fn keep_all(fd: impl AsFd) -> Result<(), Errno> {
    let unused: libc::c_int = 0;
    option::set(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &unused)
}
