//! What virtio-net headers ask of the kernel. Inside the fabric a frame carries the header that a
//! packet socket would show.

use super::segment::{
    NEEDS_CSUM, SuperFrame, TCP, TCP_CHECKSUM, TCPV4, TCPV6, short, transport_offset,
};
use crate::{
    backend::builtin::{ETH_HLEN, is_tagged},
    base::{Frame, VnetHdr},
    frame::complete_checksum,
    record::DropReason,
};

const ECN: u8 = 0x80;
const UDP: u8 = 3;
const UDP_L4: u8 = 5;
const IP_UDP: u8 = 17;
/// `UDP_MAX_SEGMENTS` and `GSO_BY_FRAGS` of Linux 6.18.
const UDP_MAX_SEGMENTS: usize = 128;
const GSO_BY_FRAGS: u16 = 0xffff;

/// Bytes of a page, from which on the kernel no longer keeps a frame in one piece.
const PAGE: usize = 4096;
/// Room in front of a frame that a TAP receives, `NET_SKB_PAD`.
const TAP_HEADROOM: usize = 64;
/// `struct skb_shared_info`, aligned.
const SHARED_INFO: usize = 320;
/// Room in front of a frame that a packet socket sends, `LL_RESERVED_SPACE`.
const SOCKET_HEADROOM: usize = 16;

/// `hdr_len`, which covers at least the checksum's field.
pub(super) fn header_len(vnet: &VnetHdr) -> u16 {
    if vnet.flags & NEEDS_CSUM == 0 {
        return vnet.hdr_len;
    }
    let end = vnet.csum_start.wrapping_add(vnet.csum_offset).wrapping_add(2);
    vnet.hdr_len.max(end)
}

/// What a guest's TAP makes of a frame (Linux 6.18 `drivers/net/tun.c`, `tun_get_user`).
pub(super) fn from_guest(frame: &Frame, vnet_hdr_len: usize) -> Result<Frame, DropReason> {
    if vnet_hdr_len == 0 {
        return Ok(Frame::plain(frame.data.clone()));
    }
    let length = frame.data.len();
    let header_len = usize::from(header_len(&frame.vnet));
    // The kernel has read 10 bytes when it compares.
    let unread = vnet_hdr_len - VnetHdr::SHORT;
    if header_len > length + unread || (1..ETH_HLEN).contains(&header_len) {
        return Err(DropReason::BadVnetHdr);
    }
    let most = PAGE - TAP_HEADROOM - SHARED_INFO;
    let linear = match header_len {
        _ if TAP_HEADROOM + length < PAGE => length,
        0 => most,
        _ => header_len.min(most),
    };
    accept(frame, linear, false)
}

/// What a packet socket makes of a frame that it sends (Linux 6.18 `net/packet/af_packet.c`,
/// `packet_snd`).
pub(super) fn from_socket(frame: &Frame) -> Result<Frame, DropReason> {
    let length = frame.data.len();
    let linear = if SOCKET_HEADROOM + length < PAGE {
        length
    } else {
        usize::from(header_len(&frame.vnet)).max(ETH_HLEN)
    };
    accept(frame, linear, true)
}

/// Checks the header and gives the frame with the header that packet sockets show for it; `linear`
/// bytes are in one piece. Where the kernel knows the network header, it reads the headers of a
/// super-frame without a checksum to be done (Linux 6.18 `include/linux/virtio_net.h`,
/// `__virtio_net_hdr_to_skb`).
fn accept(frame: &Frame, linear: usize, reads_headers: bool) -> Result<Frame, DropReason> {
    const BAD: DropReason = DropReason::BadVnetHdr;
    let (vnet, length) = (&frame.vnet, frame.data.len());
    let (least_offset, transport) = match vnet.gso_type & !ECN {
        0 if vnet.gso_type == 0 => (20, 0),
        TCPV4 => (20, 20),
        TCPV6 => (40, 20),
        UDP | UDP_L4 => (20, 8),
        _ => return Err(BAD),
    };
    let super_frame = vnet.gso_type != 0;
    if super_frame && vnet.gso_size == 0 {
        return Err(BAD);
    }
    let mut shown = VnetHdr::default();
    let mut headers = 0;
    if vnet.flags & NEEDS_CSUM != 0 {
        let (start, offset) = (usize::from(vnet.csum_start), usize::from(vnet.csum_offset));
        if start + transport.max(offset + 2) > length || start < least_offset {
            return Err(BAD);
        }
        headers = start + transport;
        shown.flags = NEEDS_CSUM;
        shown.csum_start = vnet.csum_start;
        shown.csum_offset = vnet.csum_offset;
    } else if super_frame && reads_headers {
        // The kernel looks for another tag behind the one it has skipped.
        if is_tagged(&frame.data) {
            return Err(BAD);
        }
        let protocol = if transport == 20 { TCP } else { IP_UDP };
        headers = transport_offset(&frame.data, protocol).ok_or(BAD)? + transport;
    } else if super_frame {
        headers = least_offset + transport;
    }
    if headers > length {
        return Err(BAD);
    }
    let payload = match vnet.gso_type & !ECN {
        UDP => length - (headers - transport),
        UDP_L4 => {
            let fits = (length - headers) <= usize::from(vnet.gso_size) * UDP_MAX_SEGMENTS;
            if shown.flags == 0 || vnet.csum_offset != 6 || !fits || vnet.gso_type & ECN != 0 {
                return Err(BAD);
            }
            length - headers
        }
        0 => 0,
        _ if shown.flags != 0 && vnet.csum_offset != TCP_CHECKSUM => return Err(BAD),
        _ => length - headers,
    };
    if vnet.gso_size == GSO_BY_FRAGS && super_frame {
        return Err(BAD);
    }
    // What is no longer than a segment is none.
    if payload > usize::from(vnet.gso_size) && super_frame {
        let checksum = usize::from(vnet.csum_start) + usize::from(vnet.csum_offset) + 2;
        let pulled = headers.max(if shown.flags == 0 { 0 } else { checksum });
        shown.gso_type = vnet.gso_type;
        shown.gso_size = vnet.gso_size;
        shown.hdr_len = short(linear.max(pulled));
    }
    Ok(Frame { vnet: shown, data: frame.data.clone() })
}

/// What the guest of a TAP without offloads gets of a frame: its checksum is filled in, a
/// super-frame is cut. None for one that is not TCP's, or malformed.
pub(super) fn to_guest(frame: &Frame) -> Option<Vec<Frame>> {
    if frame.vnet.gso_type != 0 {
        let segments = SuperFrame::of(frame)?.segments();
        return Some(segments.into_iter().map(Frame::plain).collect());
    }
    if frame.vnet.flags & NEEDS_CSUM == 0 {
        return Some(vec![frame.clone()]);
    }
    let mut data = frame.data.to_vec();
    let VnetHdr { csum_start, csum_offset, .. } = frame.vnet;
    complete_checksum(&mut data, csum_start, csum_offset).then(|| vec![Frame::plain(data)])
}

/// What comes out of the other end of a link. None for a super-frame that is not TCP's, or
/// malformed.
pub(super) fn to_link(frame: &Frame) -> Option<Frame> {
    if frame.vnet.gso_type == 0 {
        return Some(frame.clone());
    }
    SuperFrame::of(frame).map(SuperFrame::whole)
}
