//! Everything that comes out of QEMU and of the interfaces is taken here.

use std::{io, os::fd::AsFd};

use bytes::Bytes;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, poll},
};

use super::{Death, QemuWorld, system, timeout};
use crate::{
    backend::{
        BackendError, Deadline,
        builtin::Carrier,
        qemu::{chardev::FarEnd, stream::Stream},
    },
    base::{Frame, NetdevId, PortId},
    record::{Arrival, EventKind, Framing, Item, Place},
};

impl QemuWorld {
    /// Takes everything that has come anywhere; whether anything moved.
    pub(super) fn pump(&mut self) -> Result<bool, BackendError> {
        let answers = self
            .qmp
            .read()
            .map_err(|error| system("QMP", io::Error::other(error)))?;
        let mut moved = false;
        for (number, outcome) in answers {
            if self.ping == Some(number) {
                self.ping = None;
            } else {
                moved = true;
                self.answers.insert(number, outcome);
            }
        }
        moved |= self.read_stderr();
        moved |= self.read_streams();
        moved |= self.read_dumps()?;
        let mut carried = Vec::new();
        let drained = self.carrier.drain(&mut carried);
        moved |= !carried.is_empty();
        carried.into_iter().for_each(|one| self.take(one));
        drained.map_err(|error| system("reading", error))?;
        let unread = self.look_for_unread()?;
        moved |= unread != self.unread;
        self.unread = unread;
        if self.qmp.is_closed() && self.dead.is_none() {
            let how = self
                .process
                .end()
                .map_err(|error| system("QEMU's exit status", error))?;
            self.dead = Some(Death { how, told: false });
            let taps: Vec<NetdevId> = self.taps.keys().cloned().collect();
            taps.iter().for_each(|netdev| self.let_go(netdev));
            moved = true;
        }
        Ok(moved)
    }

    fn read_stderr(&mut self) -> bool {
        let lines = self.process.read_lines();
        let moved = !lines.is_empty();
        for line in lines {
            self.say(Place::Machine, EventKind::Log(line));
        }
        moved
    }

    fn read_streams(&mut self) -> bool {
        let mut arrived = Vec::new();
        for tap in self.taps.values_mut() {
            let mut whole = Vec::new();
            tap.wire.flush();
            tap.wire.read(&mut tap.cutter.bytes);
            tap.cutter.cut(&mut whole);
            for bytes in whole {
                let data = Bytes::from(bytes).slice(4..);
                arrived.push((
                    tap.port.clone(),
                    Item::Frame(Frame::plain(data.clone())),
                    data,
                ));
            }
        }
        for end in self.ends.values_mut() {
            let mut whole = Vec::new();
            let closed = end.read(&mut whole);
            arrived.extend(whole.into_iter().map(|bytes| of_chardev(end, bytes)));
            // What a dying QEMU closes is no news.
            if closed && !self.qmp.is_closed() {
                arrived.push((end.port.clone(), Item::Eof, Bytes::new()));
            }
        }
        let moved = !arrived.is_empty();
        for (port, item, data) in arrived {
            self.arrive(port, item, &data);
        }
        moved
    }

    /// What dumps have written. It is no frame's end, so no frame is looked for in it.
    fn read_dumps(&mut self) -> Result<bool, BackendError> {
        let mut moved = false;
        for dump in &mut self.dumps {
            let bytes = dump
                .read()
                .map_err(|error| system(dump.port.as_str(), error))?;
            if !bytes.is_empty() {
                moved = true;
                self.seen.arrivals.push(Arrival {
                    port: dump.port.clone(),
                    item: Item::Bytes(bytes.into()),
                    tag: None,
                    at: self.clock,
                });
            }
        }
        Ok(moved)
    }

    /// What QEMU has not read of what it was sent, and stalled readers of what it sent.
    fn look_for_unread(&self) -> Result<Vec<usize>, BackendError> {
        let mut unread = Vec::new();
        if self.dead.is_some() {
            return Ok(unread);
        }
        for (netdev, tap) in &self.taps {
            unread.push(tap.wire.unread_by_peer());
            let waits = self
                .carrier
                .is_unread(netdev)
                .map_err(|error| system("polling a TAP", error))?;
            unread.push(usize::from(waits));
        }
        for end in self.ends.values() {
            unread.push(end.served().map_or(0, Stream::unread_by_peer));
        }
        unread.push(self.stalled_bytes());
        Ok(unread)
    }

    /// The most that a stalled reader has waiting.
    pub(super) fn stalled_bytes(&self) -> usize {
        let stalled = self.ends.values().filter(|end| end.stalled);
        let waiting = stalled.filter_map(|end| end.served().map(Stream::unread));
        waiting.max().unwrap_or_default()
    }

    /// Waits until something can be read or written anywhere, or the deadline.
    pub(super) fn poll(&self, deadline: &Deadline) -> Result<(), BackendError> {
        let reading = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut waiting: Vec<PollFd<'_>> = self.carrier.descriptors().map(reading).collect();
        waiting.extend(deadline.alarm().map(reading));
        if self.dead.is_none() {
            waiting.push(reading(self.qmp.as_fd()));
            waiting.extend(self.process.stderr().map(reading));
            waiting.extend(self.taps.values().map(|tap| watched(&tap.wire, true)));
        }
        for end in self.ends.values() {
            if let Some(stream) = end.served()
                && (!end.stalled || stream.is_blocked())
            {
                waiting.push(watched(stream, !end.stalled));
            }
        }
        match poll(&mut waiting, timeout(deadline)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(system("poll", errno)),
        }
    }
}

fn watched(stream: &Stream, reading: bool) -> PollFd<'_> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::POLLIN, reading);
    flags.set(PollFlags::POLLOUT, stream.is_blocked());
    PollFd::new(stream.as_fd(), flags)
}

/// What came out of a chardev, and the frame in it.
fn of_chardev(end: &FarEnd, bytes: Vec<u8>) -> (PortId, Item, Bytes) {
    let bytes = Bytes::from(bytes);
    let header = end.vnet_hdr_len
        + match end.framing {
            Framing::Plain => 4,
            Framing::Vnet => 8,
            Framing::Raw | Framing::Pcap => 0,
        };
    let data = bytes.slice(header.min(bytes.len())..);
    (end.port.clone(), Item::Bytes(bytes), data)
}
