//! Fields of a frame set to zero. Comparisons and expectations ignore masked fields with it.

use super::wire::Dissection;

/// The frame with these fields set to zero, every occurrence of them; options, payload and padding
/// keep their length. A field that the frame does not have changes nothing. The names are
/// [`FIELD_NAMES`](super::FIELD_NAMES).
#[must_use]
pub fn mask(frame: &[u8], fields: &[&str]) -> Vec<u8> {
    let mut masked = frame.to_vec();
    for field in Dissection::of(frame).fields().filter(|field| fields.contains(&field.name)) {
        for (byte, own) in masked[field.range.clone()].iter_mut().zip(field.own_bits()) {
            *byte &= !own;
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::parse_hex;

    #[test]
    fn neighbours_in_the_same_byte_are_kept() {
        let frame = parse_hex("ffffffffffff525400123456 8100 f064 88b5 01").unwrap();
        let masked = parse_hex("ffffffffffff525400123456 8100 f000 88b5 00").unwrap();
        assert_eq!(mask(&frame, &["vlan.id", "payload", "tcp.seq"]), masked);
    }
}
