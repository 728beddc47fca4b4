//! How much of what was written to a socket its peer has not read.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use nix::libc;

mod ioctl {
    use nix::libc::{TIOCOUTQ, c_int};

    nix::ioctl_read_bad!(siocoutq, TIOCOUTQ, c_int);
}

/// What we have written to a unix socket and its peer has not yet read: buffer space in bytes, more
/// than the data take, and 0 only when all has been read (Linux 6.18 `net/unix/af_unix.c`,
/// `unix_outq_len`).
///
/// # Errors
/// When it is no socket.
pub fn unread_by_peer(socket: &impl AsFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the number of TIOCOUTQ) writes one `int`, which lives through the call.
    unsafe { ioctl::siocoutq(socket.as_fd().as_raw_fd(), &raw mut bytes) }?;
    Ok(usize::try_from(bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn a_writer_knows_what_was_not_read() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        assert_eq!(unread_by_peer(&one).unwrap(), 0);
        one.write_all(b"abc").unwrap();
        assert!(unread_by_peer(&one).unwrap() > 0);
        other.read_exact(&mut [0; 3]).unwrap();
        assert_eq!(unread_by_peer(&one).unwrap(), 0);
    }
}
