//! Packet sockets with what the kernel reports beside each frame: VLAN tag, virtio-net header,
//! direction.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use nix::{errno::Errno, libc, sys::stat::fstat};

use super::{
    FrameError, InterfaceIndex, Isolated,
    closing::{self, SlowToClose},
    filter::{NOTHING, filter, keep_all},
    option::{self, Plain, length_of},
};

// SAFETY: a repr(C) structure of integers.
unsafe impl Plain for Statistics {}

/// `struct tpacket_stats`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Statistics {
    packets: libc::c_uint,
    drops: libc::c_uint,
}

/// How a packet socket is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketOptions {
    /// `PACKET_VNET_HDR`: a virtio-net header of 10 bytes comes and goes with each frame.
    pub vnet_hdr: bool,
    /// `PACKET_IGNORE_OUTGOING`: only what the interface receives.
    pub ignore_outgoing: bool,
    /// Bytes of receive buffer to ask for; 0 keeps the system's default. Not granted in full to a
    /// user namespace: see [`PacketSocket::receive_buffer`].
    pub receive_buffer: usize,
}

/// A raw packet socket, bound to one interface for all protocols. Non-blocking.
///
/// It lives in the network namespace of the thread that made it, and sees what other sockets send
/// on the interface, never what it sends itself. Dropping it does not wait for the close.
#[derive(Debug)]
pub struct PacketSocket {
    fd: SlowToClose,
    vnet_hdr: bool,
}

thread_local! {
    /// Where frames are read to: once a thread, since a socket reads on one thread at a time.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where a frame was going, `sll_pkttype` of packet(7). On a TAP, outgoing is host to guest, all
/// others come from the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    /// To the interface's own address.
    Host,
    /// To all.
    Broadcast,
    /// To a group.
    Multicast,
    /// To somebody else.
    OtherHost,
    /// From this host.
    Outgoing,
    /// A value that packet(7) does not know.
    Other(u8),
}

impl PacketType {
    pub(super) const fn of(value: u8) -> Self {
        match value {
            libc::PACKET_HOST => Self::Host,
            libc::PACKET_BROADCAST => Self::Broadcast,
            libc::PACKET_MULTICAST => Self::Multicast,
            libc::PACKET_OTHERHOST => Self::OtherHost,
            libc::PACKET_OUTGOING => Self::Outgoing,
            other => Self::Other(other),
        }
    }
}

/// A tag that the kernel had taken out of a frame, and that has been put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// 0x8100 or 0x88a8.
    pub tpid: u16,
    /// Priority, drop eligibility and id.
    pub tci: u16,
}

impl VlanTag {
    /// The tag that the kernel tells beside a frame, if it took one out.
    pub(super) fn of_status(status: u32, tci: u16, tpid: u16) -> Option<Self> {
        let valid = status & libc::TP_STATUS_VLAN_VALID != 0;
        let has_tpid = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        // Before TP_STATUS_VLAN_TPID_VALID there was only 802.1Q (packet(7)).
        valid.then_some(Self { tpid: if has_tpid { tpid } else { 0x8100 }, tci })
    }
}

/// `tp_status` of the auxiliary data (Linux 6.18 `include/uapi/linux/if_packet.h`). Losses are not
/// in it, unlike in that of a ring: see [`PacketSocket::statistics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// The transport checksum is not filled in yet.
    #[must_use]
    pub const fn checksum_not_ready(self) -> bool {
        self.0 & libc::TP_STATUS_CSUMNOTREADY != 0
    }

    /// The transport checksum has been verified.
    #[must_use]
    pub const fn checksum_valid(self) -> bool {
        self.0 & libc::TP_STATUS_CSUM_VALID != 0
    }
}

/// A frame that a packet socket received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its bytes, with the VLAN tag back in its place.
    pub data: Vec<u8>,
    /// The virtio-net header as the kernel wrote it, when the socket asks for it. Its offsets are
    /// those of the frame *without* the tag in `vlan`.
    pub vnet: Option<[u8; PacketSocket::VNET_HDR_LEN]>,
    pub packet_type: PacketType,
    /// The tag that was put back; none where the tag never left the frame.
    pub vlan: Option<VlanTag>,
    /// What else the kernel says.
    pub status: Status,
    /// MSG_TRUNC: the frame was longer than the largest there should be; `data` is cut off.
    pub truncated: bool,
}

/// Counters of a packet socket since they were last read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketStatistics {
    /// Frames for this socket, the dropped ones included.
    pub packets: u32,
    /// Frames dropped because the receive buffer was full.
    pub drops: u32,
}

impl PacketSocket {
    /// Closes it, and returns when the interface has forgotten it.
    pub fn close(self) {
        self.fd.close();
    }

    /// Closes sockets, and does not wait until they are closed.
    pub fn close_soon(sockets: impl IntoIterator<Item = Self>) {
        closing::close_soon(sockets.into_iter().map(|socket| socket.fd));
    }

    /// Receives nothing from now on, and forgets what it received and what it lost: to the interface's
    /// traffic it is as one that is closed, but it costs nobody a wait.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn rest(&mut self) -> io::Result<()> {
        filter(&self.fd, &NOTHING)?;
        while self.recv().map_err(io::Error::other)?.is_some() {}
        self.statistics().map(drop)
    }

    /// Receives again, after [`PacketSocket::rest`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wake(&self) -> io::Result<()> {
        Ok(keep_all(&self.fd)?)
    }

    /// What [`packet_sockets`](super::packet_sockets) tells of it on the interface of this number while nothing
    /// waits in it.
    ///
    /// # Errors
    /// When the socket can't be asked.
    pub fn told_at_rest(&self, index: u32) -> io::Result<String> {
        let number = fstat(&self.fd)?.st_ino;
        Ok(format!("{:04x} {} 1 0 {number}", libc::ETH_P_ALL, index))
    }

    /// Bytes of the header of `PACKET_VNET_HDR`.
    pub const VNET_HDR_LEN: usize = 10;
    /// Offset of a VLAN tag: behind the two addresses.
    const VLAN_OFFSET: usize = 12;
    /// Longer than a super-frame of 64 KiB; a TAP takes more from the guest (70,000 bytes
    /// measured).
    const SCRATCH_LEN: usize = 128 * 1024;

    /// Opens a socket on an interface of the calling thread's namespace.
    ///
    /// The socket gets its protocol with bind, not when it is made: else it would receive from
    /// every interface until it is bound (measured on Linux 6.18).
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW; ENODEV or ENXIO when the interface is gone.
    pub fn open(_: &Isolated, index: InterfaceIndex, options: PacketOptions) -> io::Result<Self> {
        let fd = raw_socket()?;
        let on: libc::c_int = 1;
        option::set(&fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, &on)?;
        if options.vnet_hdr {
            option::set(&fd, libc::SOL_PACKET, libc::PACKET_VNET_HDR, &on)?;
        }
        if options.ignore_outgoing {
            option::set(&fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &on)?;
        }
        if options.receive_buffer > 0 {
            ask_for_buffer(&fd, options.receive_buffer)?;
        }
        let socket = Self { fd: SlowToClose::new(fd), vnet_hdr: options.vnet_hdr };
        bind(&socket.fd, index, libc::ETH_P_ALL)?;
        Ok(socket)
    }

    /// Takes the next frame. None when nothing waits.
    ///
    /// # Errors
    /// [`FrameError::Down`] once after the interface went down or was deleted; the socket goes on.
    pub fn recv(&mut self) -> Result<Option<Received>, FrameError> {
        let received = SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(Self::SCRATCH_LEN, 0);
            self.recv_message(scratch)
        });
        match received {
            Ok(message) => Ok(Some(message)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sends a frame on the interface: on a TAP, to the guest. `vnet` is looked at by a socket with
    /// [`PacketOptions::vnet_hdr`] only.
    ///
    /// # Errors
    /// See [`FrameError`]; frames below 14 bytes and malformed headers are
    /// [`FrameError::Invalid`], frames above the MTU [`FrameError::TooLong`].
    pub fn send(&self, vnet: &[u8; Self::VNET_HDR_LEN], frame: &[u8]) -> Result<(), FrameError> {
        let vnet = if self.vnet_hdr { vnet.as_slice() } else { &[] };
        let mut parts = [io_vector(vnet), io_vector(frame)];
        // SAFETY: zero is valid for every field, null pointers and lengths of zero.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = parts.as_mut_ptr();
        header.msg_iovlen = parts.len() as _; // its type is another in musl
        // SAFETY: the header describes two parts, whose memory outlives the call and is only read.
        let sent = unsafe { libc::sendmsg(self.fd.as_fd().as_raw_fd(), &raw const header, 0) };
        // A packet socket sends a frame whole or not at all.
        Errno::result(sent)?;
        Ok(())
    }

    /// Takes the error that waits at the socket, so that the next call does not meet it:
    /// [`FrameError::Down`] after the interface went down or was deleted.
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
        let Statistics { packets, drops } =
            option::get(&self.fd, libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        Ok(PacketStatistics { packets, drops })
    }

    /// Bytes of receive buffer granted. A frame costs its bytes and the kernel's own structures, in
    /// all about 800 bytes for a small one.
    ///
    /// # Errors
    /// When the socket can't be asked.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        let bytes: libc::c_int = option::get(&self.fd, libc::SOL_SOCKET, libc::SO_RCVBUF)?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }

    fn recv_message(&self, scratch: &mut [u8]) -> Result<Received, Errno> {
        let mut vnet = [0; Self::VNET_HDR_LEN];
        let vnet_len = if self.vnet_hdr { vnet.len() } else { 0 };
        let mut parts = [io_vector_mut(&mut vnet[..vnet_len]), io_vector_mut(scratch)];
        let mut control = Control([0; 64]);
        // SAFETY: zero is valid for every field.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        // SAFETY: zero is valid for every field, null pointers and lengths of zero.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = std::ptr::from_mut(&mut address).cast();
        header.msg_namelen = length_of::<libc::sockaddr_ll>();
        header.msg_iov = parts.as_mut_ptr();
        header.msg_iovlen = parts.len() as _; // its type is another in musl
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control>() as _; // likewise
        // SAFETY: the header describes an address, two parts and a control buffer, which are
        // distinct, outlive the call, and are not read by anybody else meanwhile.
        let received =
            unsafe { libc::recvmsg(self.fd.as_fd().as_raw_fd(), &raw mut header, libc::MSG_TRUNC) };
        let received = usize::try_from(Errno::result(received)?).unwrap_or(0);
        // SAFETY: recvmsg filled the header in, and the control buffer it points to is alive.
        let auxiliary = unsafe { auxiliary_data(&header) };
        // MSG_TRUNC gives the whole length, even of what did not fit.
        let length = received.saturating_sub(vnet_len).min(scratch.len());
        let mut data = Vec::with_capacity(length + 4);
        data.extend_from_slice(&scratch[..length]);
        let vlan = auxiliary.as_ref().and_then(|data| {
            VlanTag::of_status(data.tp_status, data.tp_vlan_tci, data.tp_vlan_tpid)
        });
        if let Some(tag) = vlan {
            put_back(tag, &mut data);
        }
        Ok(Received {
            data,
            vnet: self.vnet_hdr.then_some(vnet),
            packet_type: PacketType::of(address.sll_pkttype),
            vlan,
            status: Status(auxiliary.map_or(0, |data| data.tp_status)),
            truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        })
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A packet socket that is not bound and has no protocol: it receives nothing.
pub(super) fn raw_socket() -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: socket(2) takes numbers only.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Binds a packet socket to an interface, for this protocol. With none it only sends.
pub(super) fn bind(
    fd: &impl AsFd,
    index: InterfaceIndex,
    protocol: libc::c_int,
) -> Result<(), Errno> {
    let protocol = u16::try_from(protocol).map_err(|_| Errno::EINVAL)?;
    let address = libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).expect("AF_PACKET is 17"),
        sll_protocol: protocol.to_be(),
        sll_ifindex: index.get().cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the pointer and the length describe `address`, which lives through the call and is
    // only read.
    let bound = unsafe {
        libc::bind(
            fd.as_fd().as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            length_of::<libc::sockaddr_ll>(),
        )
    };
    Errno::result(bound).map(drop)
}

/// Room for one control message with auxiliary data, aligned as cmsg(3) wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// The auxiliary data among the control messages.
///
/// # Safety
/// `header` was filled in by recvmsg, and its control buffer is alive.
unsafe fn auxiliary_data(header: &libc::msghdr) -> Option<libc::tpacket_auxdata> {
    // SAFETY: by this function's contract; CMSG_FIRSTHDR checks the buffer's length.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a whole message in the buffer.
        let found = unsafe { *message };
        if (found.cmsg_level, found.cmsg_type) == (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
            // SAFETY: the kernel puts one `tpacket_auxdata` into this kind of message (packet(7));
            // it may lie unaligned.
            return Some(unsafe {
                libc::CMSG_DATA(message).cast::<libc::tpacket_auxdata>().read_unaligned()
            });
        }
        // SAFETY: `message` is a message of this header.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

fn put_back(tag: VlanTag, frame: &mut Vec<u8>) {
    let at = PacketSocket::VLAN_OFFSET.min(frame.len());
    let bytes = [tag.tpid.to_be_bytes(), tag.tci.to_be_bytes()].concat();
    frame.splice(at..at, bytes);
}

/// SO_RCVBUFFORCE goes past `net.core.rmem_max`, but only with privileges outside of user
/// namespaces (socket(7)).
fn ask_for_buffer(fd: &OwnedFd, bytes: usize) -> Result<(), Errno> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    match option::set(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes) {
        Err(Errno::EPERM) => option::set(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes),
        other => other,
    }
}

fn io_vector(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

fn io_vector_mut(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}
