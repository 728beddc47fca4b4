//! Closes a descriptor whose close is slow on another thread.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
};

/// A descriptor whose close waits for all processors: a packet socket's takes 8 to 16 ms (Linux
/// 6.18 `net/packet/af_packet.c`, `packet_release`, which calls `synchronize_net`). So it is closed
/// on a thread of its own; threads that close at the same time share one such wait.
///
/// Until then the descriptor keeps its namespace, and nothing else.
#[derive(Debug)]
pub(super) struct SlowToClose {
    /// None only while it is dropped.
    fd: Option<OwnedFd>,
}

impl SlowToClose {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd: Some(fd) }
    }
}

impl SlowToClose {
    /// Closes it here, and waits.
    pub(super) fn close(mut self) {
        drop(self.fd.take());
    }
}

impl AsFd for SlowToClose {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("the descriptor is only taken out by drop").as_fd()
    }
}

impl Drop for SlowToClose {
    fn drop(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        // Where no thread can be had, the closure and the descriptor in it are dropped here.
        let _ = thread::Builder::new().name("close".to_owned()).spawn(move || drop(fd));
    }
}
