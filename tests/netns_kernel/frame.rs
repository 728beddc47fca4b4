//! Frames by hand, so that nothing but the kernel is tried.

/// The guest's address in every trial.
pub(crate) const GUEST: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
/// The address of the first TAP.
pub(crate) const HOST: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x00, 0x01];
/// To all.
pub(crate) const ALL: [u8; 6] = [0xff; 6];

/// A frame of exactly `len` bytes, cut off when that is less than its header.
pub(crate) fn sized(to: [u8; 6], from: [u8; 6], kind: &[u8], len: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, kind].concat();
    frame.resize(len, 0x5a);
    frame
}

/// A broadcast of the guest of an experimental type.
pub(crate) fn broadcast(len: usize) -> Vec<u8> {
    sized(ALL, GUEST, &[0x88, 0xb5], len)
}

/// The same in VLAN 100, priority 1.
pub(crate) fn tagged(len: usize) -> Vec<u8> {
    sized(ALL, GUEST, &[0x81, 0x00, 0x20, 0x64, 0x88, 0xb5], len)
}

/// The same with an outer tag of 802.1ad.
pub(crate) fn double_tagged(len: usize) -> Vec<u8> {
    sized(ALL, GUEST, &[0x88, 0xa8, 0x20, 0x64, 0x81, 0x00, 0x00, 0x07, 0x88, 0xb5], len)
}

/// An ARP request of the guest.
pub(crate) fn arp_request(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let head = [0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01];
    [&ALL[..], &GUEST, &head, &GUEST, &sender, &[0; 6], &target].concat()
}

/// The answer of the host at `HOST`.
pub(crate) fn arp_reply(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let head = [0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02];
    [&GUEST[..], &HOST, &head, &HOST, &sender, &GUEST, &target].concat()
}

/// An ICMP echo request of the guest to `HOST`.
pub(crate) fn echo_request(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut icmp = [&[8, 0, 0, 0, 0, 1, 0, 1][..], b"tapwright"].concat();
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    let length = u16::try_from(20 + icmp.len()).unwrap().to_be_bytes();
    let mut ip =
        [&[0x45, 0][..], &length, &[0, 1, 0, 0, 64, 1, 0, 0], &source, &destination].concat();
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    [&HOST[..], &GUEST, &[0x08, 0x00], &ip, &icmp].concat()
}

/// A TCP segment of the guest over IPv4 whose checksum is left at the pseudo header's sum; its
/// sequence number is about to wrap.
pub(crate) fn tcp_v4(flags: u8, payload: usize) -> Vec<u8> {
    let length = u16::try_from(20 + payload).unwrap().to_be_bytes();
    let addresses = [10, 0, 0, 1, 10, 0, 0, 2];
    let total = u16::try_from(40 + payload).unwrap().to_be_bytes();
    let mut ip = [&[0x45, 0][..], &total, &[0xff, 0xff, 0x40, 0, 64, 6, 0, 0], &addresses].concat();
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    let pseudo = [&addresses[..], &[0, 6], &length].concat();
    tcp(&[0x08, 0x00], &ip, &pseudo, flags, payload)
}

/// The same over IPv6.
pub(crate) fn tcp_v6(flags: u8, payload: usize) -> Vec<u8> {
    let length = u16::try_from(20 + payload).unwrap().to_be_bytes();
    let mut addresses = [0; 32];
    (addresses[0], addresses[16], addresses[31]) = (0xfd, 0xfd, 1);
    let ip = [&[0x60, 0, 0, 0][..], &length, &[6, 64], &addresses].concat();
    let pseudo = [&addresses[..], &[0, 6], &length].concat();
    tcp(&[0x86, 0xdd], &ip, &pseudo, flags, payload)
}

fn tcp(kind: &[u8], ip: &[u8], pseudo: &[u8], flags: u8, payload: usize) -> Vec<u8> {
    let sum = u16::from_be_bytes(checksum(pseudo));
    let head = [0x0f, 0xa0, 0, 9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0x50, flags, 1, 0];
    let data: Vec<u8> = (0..251).cycle().take(payload).collect();
    [&ALL[..], &GUEST, kind, ip, &head, &(!sum).to_be_bytes(), &[0, 0], &data].concat()
}

/// Whether lengths and checksums of a TCP segment are right.
pub(crate) fn tcp_is_sound(frame: &[u8]) -> bool {
    let ip = &frame[14..];
    let (header, addresses) = if ip[0] >> 4 == 4 { (20, 12..20) } else { (40, 8..40) };
    let length = u16::try_from(ip.len() - header).unwrap();
    let pseudo = [&ip[addresses], &[0, 6], &length.to_be_bytes(), &ip[header..]].concat();
    let ip_is_sound = match header {
        20 => checksum(&ip[..20]) == [0, 0] && ip[2..4] == (length + 20).to_be_bytes(),
        _ => ip[4..6] == length.to_be_bytes(),
    };
    ip_is_sound && checksum(&pseudo) == [0, 0]
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(!sum & 0xffff).unwrap().to_be_bytes()
}
