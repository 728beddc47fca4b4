//! Lengths of Ethernet headers, and which short tagged frames the kernel drops. Both carriers go by
//! them.

/// Bytes of an Ethernet header, the least that the kernel takes.
pub(crate) const ETH_HLEN: usize = 14;

/// Bytes of a VLAN tag.
pub(crate) const VLAN_HLEN: usize = 4;

/// Whether the outer type is one of VLAN's.
pub(crate) fn is_tagged(frame: &[u8]) -> bool {
    matches!(frame.get(12..14), Some([0x81, 0x00] | [0x88, 0xa8]))
}

/// Whether the kernel drops a frame that it has taken at the interface that receives it: it takes
/// an outer tag out only when the inner type and 2 bytes more are there, and can't go on else
/// (Linux 6.18 `net/core/skbuff.c`, `skb_vlan_untag`).
pub(crate) fn vanishes(frame: &[u8]) -> bool {
    frame.len() < ETH_HLEN + VLAN_HLEN + 2 && is_tagged(frame)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::vanishes;

    #[rstest]
    #[case::customer([0x81, 0x00], 19, true)]
    #[case::service([0x88, 0xa8], 19, true)]
    #[case::inner_type_and_two_bytes([0x81, 0x00], 20, false)]
    #[case::no_tag([0x88, 0xb5], 14, false)]
    #[case::no_type([0x81, 0x00], 13, false)]
    fn short_tagged_frames(#[case] kind: [u8; 2], #[case] length: usize, #[case] expected: bool) {
        let mut frame = [&[0; 12][..], &kind, &[0; 8]].concat();
        frame.truncate(length);
        assert_eq!(vanishes(&frame), expected);
    }
}
