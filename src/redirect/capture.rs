//! Frames from an interface: those that the ring has, made ready where they lie. What stood before
//! them, the address that the kernel wrote there, makes room for a VLAN tag and the words of a stream.

use std::{io, time::Duration};

use super::{
    End, RedirectError,
    config::{Config, refusal},
    counter::{Counters, DropReason},
    held::Held,
    watch::{Found, Named, is_gone},
};
use crate::{
    base::{NET_BUFSIZE, Queue, VnetHdr},
    machine::framing::Head,
    sys::{
        Granted, InterfaceIndex, InterfaceName, Ring, RingOptions, Shape, Side, Slot, Unit,
        VlanTag, is_tap, mtu,
    },
};

/// A ring on an interface.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) ring: Ring,
    pub(super) named: Named,
    form: Form,
    /// Each frame is handed over at once.
    at_once: bool,
    /// Frames that the kernel gave to the ring, and that were taken from it.
    given: u64,
    taken: u64,
}

impl Capture {
    /// Whether more frames are worth a short pause: several came at once, so more will, and they are
    /// few for a system call of their own. One that came alone is followed by the next one's event.
    pub(super) fn gathers(&self, frames: usize) -> bool {
        self.at_once && (2..ENOUGH).contains(&frames)
    }
}

/// Frames that need not wait for more.
const ENOUGH: usize = 128;

/// How frames are made ready.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// Bytes of the virtio-net header before each frame.
    vnet_len: usize,
    /// The words of a stream stand before it.
    framed: bool,
}

/// How long the kernel waits for more frames of a block: the shortest time that it knows.
const RETIRE: Duration = Duration::from_millis(1);

/// The shape of a ring. Frames are handed over at once where their size is known. With a virtio-net
/// header a frame may have 64 KiB, and a ring of slots that large would hold few.
fn shape(config: &Config, name: &InterfaceName) -> Shape {
    /// The kernel's words before a frame, an Ethernet header, and two tags.
    const MORE: usize = 128;
    const SMALLEST: usize = 2 << 10;
    const LARGEST: usize = 16 << 10;
    let slot = mtu(name).map_or(LARGEST, |mtu| (mtu + MORE).next_power_of_two().max(SMALLEST));
    match config.vnet_hdr_support || slot > LARGEST {
        true => Shape::Blocks(RETIRE),
        false => Shape::Slots(slot),
    }
}

/// The index of an interface that may be an end.
pub(super) fn resolve(
    config: &Config,
    is_input: bool,
    name: &InterfaceName,
) -> Result<InterfaceIndex, RedirectError> {
    let refused = |exists| RedirectError::Refused { refusal: refusal(is_input, name, exists) };
    let answered = InterfaceIndex::of(name).and_then(|index| Ok((index, is_tap(name)?)));
    match answered {
        Ok((index, is_tap)) if is_tap || config.any_interface => Ok(index),
        Ok(_) => Err(refused(true)),
        Err(error) if is_gone(&error) => Err(refused(false)),
        Err(source) => Err(RedirectError::System { what: name.to_string(), source }),
    }
}

impl Capture {
    pub(super) fn open(
        granted: Granted,
        config: &Config,
        name: &InterfaceName,
    ) -> Result<Self, RedirectError> {
        let index = resolve(config, true, name)?;
        let vnet_len = if config.vnet_hdr_support { config.vnet_len } else { 0 };
        let shape = shape(config, name);
        let options = RingOptions {
            side: match config.queue {
                Queue::All => Side::Both,
                Queue::Rx => Side::Received,
                Queue::Tx => Side::Sent,
            },
            vnet_hdr: config.vnet_hdr_support,
            shape,
            size: (config.backlog / Ring::UNIT).max(2) * Ring::UNIT,
        };
        let ring = Ring::open(granted, index, options);
        let framed = matches!(config.output, End::Chardev(_));
        Ok(Self {
            ring: ring.map_err(RedirectError::system(format!("a packet socket on {name}")))?,
            named: Named::new(name.clone(), index),
            form: Form { vnet_len, framed },
            at_once: matches!(shape, Shape::Slots(_)),
            given: 0,
            taken: 0,
        })
    }

    /// Takes the next frames, if there are any.
    pub(super) fn fill(&mut self, held: &mut Held, counters: &mut Counters) -> bool {
        let Some(mut block) = self.ring.block() else {
            return false;
        };
        while let Some(slot) = block.next() {
            self.taken += 1;
            counters.input.add(slot.len + if slot.vlan.is_some() { TAG } else { 0 });
            counters.checksum_partial += u64::from(slot.checksum_partial);
            match self.form.ready(block.bytes(), slot) {
                Ok(unit) => held.push(unit),
                Err(reason) => counters.drop_frames(reason, 1),
            }
        }
        true
    }

    /// Gives their memory back to the kernel, once all of them have been sent on.
    pub(super) fn release(&mut self) {
        self.ring.give_back();
    }

    /// Frames that wait in the ring.
    pub(super) fn waiting(&self) -> u64 {
        self.ring.waiting()
    }

    /// The memory in which the frames lie.
    pub(super) fn memory(&mut self) -> &[u8] {
        self.ring.block().map_or(&[], |block| block.into_bytes())
    }

    /// Reads the kernel's counters.
    pub(super) fn count(&mut self, counters: &mut Counters) -> io::Result<()> {
        let new = self.ring.statistics()?;
        counters.kernel_drops += u64::from(new.drops);
        self.given += u64::from(new.packets.saturating_sub(new.drops));
        Ok(())
    }

    /// Whether frames have been given to the ring that were not taken from it. Some may be in a block
    /// that the kernel still holds.
    pub(super) fn is_behind(&self) -> bool {
        self.taken < self.given
    }

    /// Looks whether the interface is still the one of its name, and captures on that one.
    pub(super) fn look(&mut self) -> io::Result<Found> {
        let found = self.named.look()?;
        if let Found::Other(index) = found {
            match self.ring.bind(index) {
                Ok(()) => self.named.bind(index),
                // It has gone again, and that is told too.
                Err(error) if is_gone(&error) => return Ok(Found::Same),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// Bytes of a VLAN tag, and where in a frame it is: behind the two addresses.
const TAG: usize = 4;
const TAG_AT: usize = 12;

impl Form {
    /// Makes a frame ready where it lies: its tag back in its place, the words before it.
    fn ready(self, memory: &mut [u8], slot: Slot) -> Result<Unit, DropReason> {
        let Self { vnet_len, framed } = self;
        if slot.truncated {
            return Err(DropReason::Truncated);
        }
        let (mut frame, end) = (slot.start, slot.start + slot.len);
        let kernel_len = vnet_len.min(VnetHdr::SHORT);
        if let Some(tag) = slot.vlan {
            if slot.len < TAG_AT {
                return Err(DropReason::Invalid);
            }
            frame = put_back(tag, memory, frame, kernel_len);
        }
        let header = frame - vnet_len;
        if kernel_len < vnet_len {
            // The longer header ends with a field that the kernel does not have.
            memory.copy_within(frame - kernel_len..frame, header);
            memory[header + kernel_len..frame].fill(0);
        }
        let mut start = header;
        if framed {
            let vnet_len = (vnet_len > 0).then_some(vnet_len as u32);
            let head = Head { length: (end - header) as u32, vnet_len };
            if end - header > NET_BUFSIZE {
                return Err(DropReason::Oversize);
            }
            start -= Head::bytes(vnet_len.is_some());
            head.write(&mut memory[start..header]);
        }
        Ok(Unit { start, header, frame, end })
    }
}

/// Moves what stands before a tag's place, and writes the tag there. Where the frame begins then.
/// `vnet_len` is the length of the header that the kernel wrote.
fn put_back(tag: VlanTag, memory: &mut [u8], frame: usize, vnet_len: usize) -> usize {
    let header = frame - vnet_len;
    memory.copy_within(header..frame + TAG_AT, header - TAG);
    let at = frame + TAG_AT - TAG;
    memory[at..at + 2].copy_from_slice(&tag.tpid.to_be_bytes());
    memory[at + 2..at + 4].copy_from_slice(&tag.tci.to_be_bytes());
    let frame = frame - TAG;
    if vnet_len > 0 {
        let header = &mut memory[frame - vnet_len..frame];
        let mut fields = [0; VnetHdr::LONG];
        VnetHdr::from_bytes(header).behind_tag().write(&mut fields);
        header.copy_from_slice(&fields[..vnet_len]);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::PacketType;

    fn slot(start: usize, len: usize, vlan: Option<VlanTag>) -> Slot {
        let packet_type = PacketType::OtherHost;
        Slot { start, len, truncated: false, packet_type, vlan, checksum_partial: false }
    }

    #[test]
    fn a_tag_and_the_words_are_put_before_the_frame() {
        let mut memory: Vec<u8> = (0..100).collect();
        let tag = VlanTag { tpid: 0x8100, tci: 0x0123 };
        let form = Form { vnet_len: 0, framed: true };
        let unit = form.ready(&mut memory, slot(40, 20, Some(tag))).unwrap();
        assert_eq!(unit, Unit { start: 32, header: 36, frame: 36, end: 60 });
        let expected: Vec<u8> = [0, 0, 0, 24]
            .into_iter()
            .chain(40..52)
            .chain([0x81, 0, 1, 0x23])
            .chain(52..60)
            .collect();
        assert_eq!(memory[unit.start..unit.end], expected);
    }

    #[test]
    fn a_header_travels_with_its_frame_and_counts_the_tag() {
        let mut memory: Vec<u8> = vec![0xee; 100];
        let header = VnetHdr { flags: 1, csum_start: 34, csum_offset: 16, ..VnetHdr::default() };
        memory[30..40].copy_from_slice(&header.to_bytes(VnetHdr::SHORT));
        let tag = VlanTag { tpid: 0x88a8, tci: 1 };
        let form = Form { vnet_len: VnetHdr::SHORT, framed: true };
        let unit = form.ready(&mut memory, slot(40, 20, Some(tag))).unwrap();
        assert_eq!(unit, Unit { start: 18, header: 26, frame: 36, end: 60 });
        assert_eq!(memory[18..26], [0, 0, 0, 34, 0, 0, 0, 10]);
        let expected = VnetHdr { csum_start: 38, ..header };
        assert_eq!(VnetHdr::from_bytes(&memory[26..36]), expected);
    }

    #[test]
    fn a_longer_header_ends_with_zeros() {
        let mut memory: Vec<u8> = vec![0xee; 100];
        memory[30..40].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let form = Form { vnet_len: VnetHdr::LONG, framed: false };
        let unit = form.ready(&mut memory, slot(40, 20, None)).unwrap();
        assert_eq!(unit, Unit { start: 28, header: 28, frame: 40, end: 60 });
        assert_eq!(memory[28..40], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0]);
    }

    #[test]
    fn what_can_not_be_sent_on() {
        let mut memory = vec![0; 2 * NET_BUFSIZE];
        let form = Form { vnet_len: 0, framed: true };
        let long = form.ready(&mut memory, slot(40, NET_BUFSIZE + 1, None));
        assert_eq!(long, Err(DropReason::Oversize));
        let cut = Slot { truncated: true, ..slot(40, 20, None) };
        assert_eq!(form.ready(&mut memory, cut), Err(DropReason::Truncated));
    }
}
