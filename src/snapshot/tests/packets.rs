use std::time::Duration;

use super::*;
use crate::{capture, snapshot::write_pcapng};

#[test]
fn packets_keep_their_order_and_their_bytes() {
    let frame = ethernet(b"one");
    let mut first = step(1, "send hn0.guest");
    first.sent = vec![sent(1, "hn0.guest", &frame)];
    first.arrivals = vec![bytes_at("out0", &framed(&frame)), frame_at("hn0.host", &frame)];
    first.clock = VirtualTime::ZERO + Duration::from_secs(3);
    let mut late = frame_at("hn0.host", &ethernet(b"late"));
    late.at = first.clock;
    first.arrivals.insert(0, late);
    let file = write_pcapng(&transcript(vec![first]), Vec::new()).unwrap();
    let packets = capture::read(&file).unwrap().packets;
    let found: Vec<_> = packets.iter().map(|packet| (packet.time, &packet.data[14..])).collect();
    let expected: [(Duration, &[u8]); 4] = [
        (Duration::from_micros(1), b"one"),
        (Duration::from_micros(2), b"one"),
        (Duration::from_micros(3), b"one"),
        (Duration::from_micros(3_000_004), b"late"),
    ];
    assert_eq!(found, expected);
    let text = String::from_utf8_lossy(&file);
    for comment in ["[1] send hn0.guest: #1 sent", "[1] send hn0.guest: received", "hn0.host"] {
        assert!(text.contains(comment), "{comment}");
    }
}
