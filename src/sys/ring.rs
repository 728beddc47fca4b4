//! A packet socket that the kernel fills a memory-mapped ring of (Linux 6.18
//! `net/packet/af_packet.c` and `Documentation/networking/packet_mmap.rst`). Frames are read and sent
//! on where they lie. `redirect` captures with it.
//!
//! A ring of slots (`TPACKET_V2`) hands each frame over at once, and cuts what is longer than a slot.
//! A ring of blocks (`TPACKET_V3`) has room for frames of any length, and hands them over when a block
//! is full or its time is up. Either has virtio-net headers, right before the frame, since Linux 4.6.

use std::{
    io,
    mem::offset_of,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use nix::{errno::Errno, libc};

use super::{
    FrameError, Granted, InterfaceIndex, PacketStatistics, PacketType, VlanTag,
    filter::{NOTHING, RETURN, filter, instruction},
    option::{self, Plain},
    packet::{bind, raw_socket},
};

/// Which of an interface's frames a ring gets. On a TAP, received ones come from the guest, and sent
/// ones go to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Both,
    Received,
    Sent,
}

/// How a ring is made.
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    pub side: Side,
    /// `PACKET_VNET_HDR`: a virtio-net header of 10 bytes stands before each frame. (With
    /// `PACKET_VNET_HDR_SZ` a ring still has 10 bytes, and an unused gap before them; measured on
    /// Linux 6.18.)
    pub vnet_hdr: bool,
    pub shape: Shape,
    /// Bytes of the whole ring, a multiple of [`Ring::UNIT`].
    pub size: usize,
}

/// What a ring consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Slots of this size, a power of two that divides [`Ring::UNIT`].
    Slots(usize),
    /// Blocks of [`Ring::UNIT`] bytes. One that is not full waits for more frames for so long: whole
    /// milliseconds.
    Blocks(Duration),
}

/// A ring of frames.
#[derive(Debug)]
pub struct Ring {
    fd: OwnedFd,
    memory: NonNull<u8>,
    size: usize,
    /// Bytes of a cell, which is a slot or a block, and how many there are.
    cell: usize,
    cells: usize,
    version: Version,
    /// The cell that the kernel hands over next, and how many from there on are held.
    at: usize,
    held: usize,
}

/// What a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// `TPACKET_V2`: a frame.
    Slots,
    /// `TPACKET_V3`: frames.
    Blocks,
}

/// Frames that the kernel has handed over, as long as [`Ring::give_back`] is not called.
#[derive(Debug)]
pub struct Block<'a> {
    memory: &'a mut [u8],
    next: usize,
    left: u32,
    /// Bytes of a slot; 0 where each frame says how far the next one is.
    step: usize,
}

/// Where a frame lies in its block, and what the kernel says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its first byte, of the block. Before it lie the virtio-net header, if there is one, and at
    /// least [`Slot::ROOM`] bytes that are free to be written.
    pub start: usize,
    /// Bytes that are there.
    pub len: usize,
    /// Whether there are fewer than the frame had.
    pub truncated: bool,
    pub packet_type: PacketType,
    /// A tag that the kernel took out of the frame, and that is *not* back in it.
    pub vlan: Option<VlanTag>,
    /// The transport checksum is not filled in.
    pub checksum_partial: bool,
}

impl Slot {
    /// What is free before each frame and its virtio-net header: the link-level address that has been
    /// read, and its padding.
    pub const ROOM: usize = 20;
}

/// `struct tpacket_req3`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Request {
    block_size: libc::c_uint,
    block_count: libc::c_uint,
    frame_size: libc::c_uint,
    frame_count: libc::c_uint,
    retire_ms: libc::c_uint,
    private: libc::c_uint,
    features: libc::c_uint,
}

// SAFETY: a repr(C) structure of integers.
unsafe impl Plain for Request {}

/// `struct tpacket_stats_v3`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Statistics {
    packets: libc::c_uint,
    drops: libc::c_uint,
    freezes: libc::c_uint,
}

// SAFETY: a repr(C) structure of integers.
unsafe impl Plain for Statistics {}

/// Offsets in a block's head, `struct tpacket_block_desc`.
const HEAD: usize = offset_of!(libc::tpacket_block_desc, hdr);
const STATUS: usize = HEAD + offset_of!(libc::tpacket_hdr_v1, block_status);
const COUNT: usize = HEAD + offset_of!(libc::tpacket_hdr_v1, num_pkts);
const FIRST: usize = HEAD + offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt);

/// Bytes of a frame's own head, `struct tpacket3_hdr` or `tpacket2_hdr`, and the address behind it.
const HEAD_IN_BLOCK: usize = libc::TPACKET3_HDRLEN;
const HEAD_IN_SLOT: usize = libc::TPACKET2_HDRLEN;

/// Instructions of classic BPF that keep frames of one kind: `ld #pkttype`, `jeq`, `ret`.
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const ALL_BYTES: u32 = u32::MAX;

impl Ring {
    /// Bytes in which memory for a ring comes, and of a block. A frame is never longer.
    pub const UNIT: usize = 128 << 10;

    /// Slots that are handed over together, at most.
    const MOST: usize = 256;

    /// Opens a ring on an interface of the process's network namespace.
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW; ENODEV or ENXIO when the interface is gone; ENOMEM and EINVAL for
    /// a ring that can't be had.
    pub fn open(_: Granted, index: InterfaceIndex, options: RingOptions) -> io::Result<Self> {
        let fd = raw_socket()?;
        let RingOptions { shape, size, .. } = options;
        let (version, cell, retire) = match shape {
            Shape::Slots(slot) => (Version::Slots, slot, Duration::ZERO),
            Shape::Blocks(retire) => (Version::Blocks, Self::UNIT, retire),
        };
        if size % Self::UNIT != 0 || cell == 0 || Self::UNIT % cell != 0 {
            return Err(Errno::EINVAL.into());
        }
        let tpacket = match version {
            Version::Slots => libc::tpacket_versions::TPACKET_V2,
            Version::Blocks => libc::tpacket_versions::TPACKET_V3,
        } as libc::c_int;
        option::set(&fd, libc::SOL_PACKET, libc::PACKET_VERSION, &tpacket)?;
        set_vnet_hdr(&fd, options.vnet_hdr)?;
        match options.side {
            Side::Both => {}
            Side::Received => {
                let on: libc::c_int = 1;
                option::set(&fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &on)?;
            }
            Side::Sent => filter(&fd, &only_sent())?,
        }
        let cells = size / cell;
        let request = Request {
            block_size: number(Self::UNIT)?,
            block_count: number(size / Self::UNIT)?,
            // Of blocks the kernel only checks it: frames lie one behind another there.
            frame_size: number(cell)?,
            frame_count: number(cells)?,
            retire_ms: number(retire.as_millis())?,
            ..Request::default()
        };
        option::set(&fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let memory = map(&fd, size)?;
        let ring = Self { fd, memory, size, cell, cells, version, at: 0, held: 0 };
        ring.bind(index)?;
        Ok(ring)
    }

    /// Captures on this interface from now on. Needs no privilege.
    ///
    /// # Errors
    /// ENODEV or ENXIO when it is gone.
    pub fn bind(&self, index: InterfaceIndex) -> io::Result<()> {
        Ok(bind(&self.fd, index, libc::ETH_P_ALL)?)
    }

    /// Captures no more; what it holds stays there.
    ///
    /// # Errors
    /// When the kernel has no memory for it.
    pub fn stop(&self) -> io::Result<()> {
        Ok(filter(&self.fd, &NOTHING)?)
    }

    /// The next frames, if the kernel has handed some over. The same until they are given back.
    pub fn block(&mut self) -> Option<Block<'_>> {
        if self.held == 0 {
            let most = match self.version {
                Version::Slots => Self::MOST.min(self.cells - self.at),
                Version::Blocks => 1,
            };
            let ahead = self.at..self.at + most;
            self.held = ahead.take_while(|cell| self.is_full(*cell)).count();
        }
        if self.held == 0 {
            return None;
        }
        let length = self.held * self.cell;
        // SAFETY: the cells lie within the mapping, which lives as long as `self`. Their status said
        // that they are ours, and they stay ours until `give_back` says otherwise, which needs `self`
        // as much as the slice does; the kernel writes to no cell that is not its own.
        let memory = unsafe { slice::from_raw_parts_mut(self.base(self.at), length) };
        Some(match self.version {
            Version::Slots => Block { next: 0, left: self.held as u32, step: self.cell, memory },
            Version::Blocks => {
                let (left, first) = (word(memory, COUNT), word(memory, FIRST));
                Block { next: first as usize, left, step: 0, memory }
            }
        })
    }

    /// Gives the frames of [`Ring::block`] back to the kernel.
    pub fn give_back(&mut self) {
        for cell in self.at..self.at + self.held {
            self.status(cell).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
        self.at = (self.at + self.held) % self.cells;
        self.held = 0;
    }

    /// Frames that the kernel has handed over, without those of [`Ring::block`].
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let cells = (self.held..self.cells).map(|ahead| (self.at + ahead) % self.cells);
        let full = cells.take_while(|cell| self.is_full(*cell));
        full.map(|cell| match self.version {
            Version::Slots => 1,
            Version::Blocks => {
                // SAFETY: the word lies within the mapping and is aligned, and the kernel writes to no
                // block that is not its own.
                u64::from(unsafe { self.base(cell).add(COUNT).cast::<u32>().read() })
            }
        })
        .sum()
    }

    /// Takes the error that waits at the socket: [`FrameError::Down`] once after the interface went
    /// down or was deleted.
    ///
    /// # Errors
    /// When the socket can't be asked.
    pub fn take_error(&self) -> io::Result<Option<FrameError>> {
        let errno: libc::c_int = option::get(&self.fd, libc::SOL_SOCKET, libc::SO_ERROR)?;
        Ok((errno != 0).then(|| Errno::from_raw(errno).into()))
    }

    /// `PACKET_STATISTICS`, which counts anew after each call.
    ///
    /// # Errors
    /// When the socket can't be asked.
    pub fn statistics(&self) -> io::Result<PacketStatistics> {
        let Statistics { packets, drops, .. } =
            option::get(&self.fd, libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        Ok(PacketStatistics { packets, drops })
    }

    fn is_full(&self, cell: usize) -> bool {
        self.status(cell).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    fn base(&self, cell: usize) -> *mut u8 {
        debug_assert!(cell < self.cells, "the ring has so many cells");
        // SAFETY: the mapping has so many cells of this size.
        unsafe { self.memory.as_ptr().add(cell * self.cell) }
    }

    /// The word through which a cell changes hands.
    fn status(&self, cell: usize) -> &AtomicU32 {
        let offset = match self.version {
            Version::Slots => offset_of!(libc::tpacket2_hdr, tp_status),
            Version::Blocks => STATUS,
        };
        // SAFETY: the word lies within the mapping, which lives as long as `self`, and is aligned as
        // cells are. The kernel writes it with barriers; this process reaches it here and, while the
        // cell is its own, as a part of a block's slice, which nobody writes there.
        unsafe { AtomicU32::from_ptr(self.base(cell).add(offset).cast()) }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `open` made, and nobody has a slice of it any more.
        unsafe {
            libc::munmap(self.memory.as_ptr().cast(), self.size);
        }
    }
}

impl<'a> Block<'a> {
    /// The block's bytes, of which slots tell the places.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.memory
    }

    /// The same for as long as the block is held.
    #[must_use]
    pub fn into_bytes(self) -> &'a [u8] {
        self.memory
    }
}

impl Iterator for Block<'_> {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        self.left = self.left.checked_sub(1)?;
        let (head, layout) = match self.step {
            0 => (self.memory.get(self.next..self.next + HEAD_IN_BLOCK)?, &IN_BLOCK),
            _ => (self.memory.get(self.next..self.next + HEAD_IN_SLOT)?, &IN_SLOT),
        };
        let half = |offset: usize| u16::from_ne_bytes([head[offset], head[offset + 1]]);
        let (status, mac) = (word(head, layout.status), half(layout.mac));
        let (len, whole) = (word(head, layout.snaplen), word(head, layout.len));
        let address = head.len() - size_of::<libc::sockaddr_ll>();
        let slot = Slot {
            start: self.next + usize::from(mac),
            len: len as usize,
            truncated: len < whole,
            packet_type: PacketType::of(head[address + offset_of!(libc::sockaddr_ll, sll_pkttype)]),
            // The field of a block is longer, but no tag is.
            vlan: VlanTag::of_status(status, half(layout.tci), half(layout.tpid)),
            checksum_partial: status & libc::TP_STATUS_CSUMNOTREADY != 0,
        };
        self.next += match self.step {
            0 => word(head, offset_of!(libc::tpacket3_hdr, tp_next_offset)) as usize,
            step => step,
        };
        Some(slot)
    }
}

/// Where a frame's head has what is read.
struct Layout {
    status: usize,
    len: usize,
    snaplen: usize,
    mac: usize,
    /// Its low half is read.
    tci: usize,
    tpid: usize,
}

static IN_SLOT: Layout = Layout {
    status: offset_of!(libc::tpacket2_hdr, tp_status),
    len: offset_of!(libc::tpacket2_hdr, tp_len),
    snaplen: offset_of!(libc::tpacket2_hdr, tp_snaplen),
    mac: offset_of!(libc::tpacket2_hdr, tp_mac),
    tci: offset_of!(libc::tpacket2_hdr, tp_vlan_tci),
    tpid: offset_of!(libc::tpacket2_hdr, tp_vlan_tpid),
};

static IN_BLOCK: Layout = Layout {
    status: offset_of!(libc::tpacket3_hdr, tp_status),
    len: offset_of!(libc::tpacket3_hdr, tp_len),
    snaplen: offset_of!(libc::tpacket3_hdr, tp_snaplen),
    mac: offset_of!(libc::tpacket3_hdr, tp_mac),
    tci: VARIANT + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci) + LOW_HALF,
    tpid: VARIANT + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid),
};

const VARIANT: usize = offset_of!(libc::tpacket3_hdr, hv1);

/// Where the low half of a word is.
const LOW_HALF: usize = if cfg!(target_endian = "big") { 2 } else { 0 };

fn word(memory: &[u8], offset: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&memory[offset..offset + 4]);
    u32::from_ne_bytes(bytes)
}

fn number(value: impl TryInto<libc::c_uint>) -> io::Result<libc::c_uint> {
    value.try_into().map_err(|_| Errno::EINVAL.into())
}

/// Asks for a virtio-net header of 10 bytes, or for none.
pub(super) fn set_vnet_hdr(fd: &OwnedFd, vnet_hdr: bool) -> Result<(), Errno> {
    option::set(fd, libc::SOL_PACKET, libc::PACKET_VNET_HDR, &libc::c_int::from(vnet_hdr))
}

fn map(fd: &OwnedFd, bytes: usize) -> Result<NonNull<u8>, Errno> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice, of a ring that has this size.
    let address =
        unsafe { libc::mmap(ptr::null_mut(), bytes, access, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
    if address == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    NonNull::new(address.cast()).ok_or(Errno::ENOMEM)
}

/// Keeps what the interface sends.
fn only_sent() -> [libc::sock_filter; 4] {
    let packet_type = libc::SKF_AD_OFF.cast_unsigned() + libc::SKF_AD_PKTTYPE.cast_unsigned();
    [
        instruction(LOAD_WORD, packet_type, 0, 0),
        instruction(JUMP_IF_EQUAL, libc::PACKET_OUTGOING.into(), 0, 1),
        instruction(RETURN, ALL_BYTES, 0, 0),
        instruction(RETURN, 0, 0, 0),
    ]
}
