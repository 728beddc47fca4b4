//! Frames from a stream: cut out where they lie in a buffer that is read into again and again.

use std::os::fd::AsFd;

use nix::{errno::Errno, unistd::read};

use super::{
    counter::{Counters, DropReason},
    held::Held,
};
use crate::{
    base::{NET_BUFSIZE, VnetHdr},
    machine::framing::Head,
    sys::Unit,
};

/// A buffer of bytes that were read and not yet sent on.
#[derive(Debug)]
pub(super) struct Window {
    memory: Vec<u8>,
    /// What has been read and not been cut yet.
    start: usize,
    end: usize,
    vnet: bool,
    /// What injects needs a virtio-net header of at least ten bytes, or none.
    injects: bool,
}

/// How reading went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// There may be frames.
    Some,
    /// Nothing can be read now.
    Nothing,
    /// The other end has closed, or the connection broke.
    Ended(Option<Errno>),
    /// The stream announced a frame of this length, which none may have.
    BadLength(u32),
}

/// Room for several frames of the largest kind.
const SIZE: usize = 4 * (NET_BUFSIZE + Head::bytes(true));

impl Window {
    pub(super) fn new(vnet: bool, injects: bool) -> Self {
        Self { memory: vec![0; SIZE], start: 0, end: 0, vnet, injects }
    }

    pub(super) fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// Bytes of a frame that is not complete.
    pub(super) const fn partial(&self) -> usize {
        self.end - self.start
    }

    /// Forgets a frame that is not complete; whether there was one.
    pub(super) fn reset(&mut self) -> bool {
        let cut = self.partial() > 0;
        (self.start, self.end) = (0, 0);
        cut
    }

    /// Makes room, once all frames that were cut have been sent on.
    pub(super) fn compact(&mut self) {
        self.memory.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    /// Reads once, and cuts out what is complete.
    pub(super) fn fill(
        &mut self,
        stream: impl AsFd,
        held: &mut Held,
        counters: &mut Counters,
    ) -> Reading {
        match read(stream, &mut self.memory[self.end..]) {
            Ok(0) => Reading::Ended(None),
            Ok(count) => {
                self.end += count;
                self.cut(held, counters)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Reading::Nothing,
            Err(errno) => Reading::Ended(Some(errno)),
        }
    }

    fn cut(&mut self, held: &mut Held, counters: &mut Counters) -> Reading {
        while let Some(head) = Head::read(&self.memory[self.start..self.end], self.vnet) {
            if head.is_oversize() {
                return Reading::BadLength(head.length);
            }
            let header = self.start + Head::bytes(self.vnet);
            let end = header + head.length as usize;
            if end > self.end {
                break;
            }
            let vnet_len = head.vnet_len.unwrap_or(0) as usize;
            let frame = header.saturating_add(vnet_len).min(end);
            counters.input.add(end - frame);
            match self.fault(head, vnet_len) {
                Some(reason) => counters.drop_frames(reason, 1),
                None => held.push(Unit { start: self.start, header, frame, end }),
            }
            self.start = end;
        }
        Reading::Some
    }

    /// Why a frame goes no further.
    fn fault(&self, head: Head, vnet_len: usize) -> Option<DropReason> {
        if head.length == 0 {
            return Some(DropReason::Empty);
        }
        let too_short = self.injects && (1..VnetHdr::SHORT).contains(&vnet_len);
        (vnet_len > head.length as usize || too_short).then_some(DropReason::BadVnetHdr)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream};

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::machine::framing::{Reassembler, Strictness, Unit as Cut, encode};

    /// The frames that come out of pieces of a stream, each with its header's length, until it is
    /// broken.
    fn cut(pieces: &[Vec<u8>], vnet: bool) -> (Vec<(Vec<u8>, u32)>, bool) {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let (mut window, mut counters) = (Window::new(vnet, false), Counters::default());
        let mut frames = Vec::new();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            writer.write_all(piece).unwrap();
            let mut held = Held::default();
            let reading = window.fill(&reader, &mut held, &mut counters);
            let unit = |unit: &Unit| {
                (window.memory()[unit.header..unit.end].to_vec(), (unit.frame - unit.header) as u32)
            };
            frames.extend(held.rest().iter().map(unit));
            if let Reading::BadLength(_) = reading {
                return (frames, true);
            }
            assert_eq!(reading, Reading::Some);
            window.compact();
        }
        (frames, false)
    }

    /// The same by the machine's reassembler, without what is wrong with each frame by itself.
    fn reassembled(pieces: &[Vec<u8>], vnet: bool) -> (Vec<(Vec<u8>, u32)>, bool) {
        let strictness = Strictness { empty_waits: false, oversize_late: false };
        let mut reassembler = Reassembler::new(vnet, strictness);
        let mut frames = Vec::new();
        for piece in pieces {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(unit) = reassembler.next(&mut input, None) {
                match unit {
                    Cut::Frame { data, vnet_len, .. } if vnet_len as usize <= data.len() => {
                        frames.push((data.to_vec(), vnet_len));
                    }
                    Cut::Frame { .. } | Cut::Empty { .. } => {}
                    Cut::Oversize { .. } => return (frames, true),
                }
            }
        }
        (frames, false)
    }

    proptest! {
        #[test]
        fn a_stream_is_cut_as_the_machine_cuts_it(
            frames in prop::collection::vec((0usize..90, 0u32..100), 0..8),
            broken in any::<bool>(),
            cuts in prop::collection::vec(0usize..400, 0..6),
            vnet in any::<bool>(),
        ) {
            let mut stream = Vec::new();
            for (length, vnet_len) in frames {
                stream.extend(encode(&vec![length as u8; length], vnet.then_some(vnet_len)));
            }
            if broken {
                stream.extend([0xff; 9]);
            }
            let mut at: Vec<usize> = cuts.into_iter().map(|at| at.min(stream.len())).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let pieces: Vec<Vec<u8>> =
                at.windows(2).map(|ends| stream[ends[0]..ends[1]].to_vec()).collect();
            prop_assert_eq!(cut(&pieces, vnet), reassembled(&pieces, vnet));
        }
    }

    #[test]
    fn the_longest_frame_fits_behind_a_part_of_another() {
        let mut window = Window::new(false, true);
        let (mut writer, reader) = UnixStream::pair().unwrap();
        let (mut held, mut counters) = (Held::default(), Counters::default());
        let longest = encode(&vec![0x5a; NET_BUFSIZE], None);
        let stream = [&longest[..], &longest[..], &longest[..]].concat();
        let writing = std::thread::spawn(move || writer.write_all(&stream));
        let mut frames = 0;
        while frames < 3 {
            let reading = window.fill(&reader, &mut held, &mut counters);
            assert_eq!(reading, Reading::Some);
            frames += held.rest().len();
            held.clear();
            window.compact();
        }
        writing.join().unwrap().unwrap();
        assert_eq!(counters.input.packets, 3);
    }

    #[test]
    fn a_header_that_injection_can_not_use_is_refused() {
        for (vnet_len, expected) in [(0, 1), (5, 0), (10, 1), (12, 1), (21, 0)] {
            let (mut writer, reader) = UnixStream::pair().unwrap();
            let mut window = Window::new(true, true);
            let (mut held, mut counters) = (Held::default(), Counters::default());
            writer.write_all(&encode(&[0; 20], Some(vnet_len))).unwrap();
            assert_eq!(window.fill(&reader, &mut held, &mut counters), Reading::Some);
            assert_eq!(held.rest().len(), expected, "{vnet_len}");
            assert_eq!(counters.dropped(DropReason::BadVnetHdr), 1 - expected as u64);
        }
    }
}
