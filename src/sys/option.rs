//! Typed `setsockopt` and `getsockopt`.

use std::os::fd::{AsFd, AsRawFd};

use nix::{errno::Errno, libc};

/// Values that consist of plain bytes of C, for which any bit pattern is valid.
///
/// # Safety
/// The type is `repr(C)` or a primitive, and every bit pattern of it is a value.
pub(super) unsafe trait Plain: Copy + Default {}

// SAFETY: every bit pattern of an integer is a value.
unsafe impl Plain for libc::c_int {}

/// `setsockopt`.
pub(super) fn set<T: Plain>(
    socket: impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> Result<(), Errno> {
    // SAFETY: the pointer and the length describe `value`, which lives through the call; the kernel
    // only reads it.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            length_of::<T>(),
        )
    };
    Errno::result(done).map(drop)
}

/// `getsockopt`; what the kernel does not fill stays zero.
pub(super) fn get<T: Plain>(
    socket: impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
) -> Result<T, Errno> {
    let mut value = T::default();
    let mut length = length_of::<T>();
    // SAFETY: the pointer and the length describe `value`, which lives through the call; the kernel
    // writes at most `length` bytes of it, and any bytes are a `T` since `T` is `Plain`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            std::ptr::from_mut(&mut value).cast(),
            &raw mut length,
        )
    };
    Errno::result(done).map(|_| value)
}

/// The size of a type as the socket calls want it.
pub(super) fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("a C structure is smaller than 4 GiB")
}
