//! Guests, clients and impairments.

use super::{KeyMap, KeyType::*, key, need};

/// Bytes of a connection's buffers; a megabyte is far beyond what a transcript can show.
const WINDOW: super::KeyType = Integer(1, 1 << 20);

/// The longest frame of a TAP, less the headers of IPv4 and TCP.
const MSS: super::KeyType = Integer(64, 65_481);

const ANY_U64: super::KeyType = Integer(0, u64::MAX);

const ACK_DELAY: &str =
    "how long an acknowledgement waits for data to travel with; 0s for not at all";

pub(crate) static GUEST: KeyMap = KeyMap {
    name: "a guest",
    keys: &[
        key("stack", Choice(&["smoltcp"]), "the TCP/IP stack").or("smoltcp"),
        need("address", Text, "its IPv4 address with the prefix"),
        key("mss", MSS, "its maximum segment size").or("the netdev's mtu less 40"),
        key("window", WINDOW, "bytes of a connection's buffers").or("65535"),
        key("isn_seed", ANY_U64, "where its initial sequence numbers come from").or("1"),
        key("ack_delay", Duration, ACK_DELAY).or("10ms"),
        key(
            "services",
            Named(&OneOf(&[Choice(&["echo", "discard"]), Map(&SERVICE)])),
            "TCP port to echo, discard, {source: BYTES} or {respond: TEXT}",
        ),
    ],
};

pub(crate) static SERVICE: KeyMap = KeyMap {
    name: "a service",
    keys: &[
        key("source", Integer(0, 16 << 20), "sends so many bytes, the n-th is n / 256, and ends"),
        key("respond", Bytes, "what it sends for each request"),
        key("after", Bytes, "with respond, the end of a request").or("an empty line, CR LF CR LF"),
        key("close", Bool, "with respond, ends after the first answer").or("true"),
    ],
};

pub(crate) static CLIENT: KeyMap = KeyMap {
    name: "a client",
    keys: &[
        key("address", Text, "its IPv4 address with the prefix").or("10.0.0.1/24"),
        key("mac", Mac, "its address").or("that of the port's interface"),
        key("mss", MSS, "its maximum segment size").or("the interface's mtu less 40"),
        key("window", WINDOW, "bytes of a connection's buffers").or("65535"),
        key("isn_seed", ANY_U64, "where its initial sequence numbers come from").or("1000"),
        key("ack_delay", Duration, ACK_DELAY).or("10ms"),
    ],
};

pub(crate) static CALL: KeyMap = KeyMap {
    name: "`client`",
    keys: &[
        need(
            "from",
            Name,
            "the port where the client is: a host port, a link end, or a guest's port",
        ),
        need("to", Text, "whom it asks: ADDRESS:PORT"),
        key("send", Bytes, "what it sends once it is connected"),
        key("expect", Bytes, "what it must receive; without it anything may come"),
        key(
            "close",
            Bool,
            "ends the connection; else the next call to the same address goes on with it",
        )
        .or("true"),
        key("within", Duration, "how far the machine's clock may move for retransmissions")
            .or("not at all"),
    ],
};

const STRETCH: super::KeyType = OneOf(&[Choice(&["none"]), Map(&IMPAIRMENT)]);

pub(crate) static IMPAIR: KeyMap = KeyMap {
    name: "the impairments of a port",
    keys: &[
        key("in", STRETCH, "of frames that arrive there, or none"),
        key("out", STRETCH, "of frames that are sent there, or none"),
    ],
};

/// A stretch of bad network, in the words of tc-netem(8).
pub(crate) static IMPAIRMENT: KeyMap = KeyMap {
    name: "an impairment",
    keys: &[
        key("loss", Text, "the share of frames that is lost: 10%"),
        key("delay", Duration, "how long each frame is on its way").or("0s"),
        key("jitter", Duration, "with delay, up to so much more or less, all equally likely"),
        key(
            "reorder",
            Text,
            "with delay, the share of frames that is not delayed and so overtakes others",
        ),
        key("duplicate", Text, "the share of frames that comes twice"),
        key("corrupt", Text, "the share of frames of which one bit is flipped"),
        key("rate", Text, "bits in a second: 500kbit, 1mbit, 10gbit"),
        key("seed", ANY_U64, "where every decision comes from").or("0"),
    ],
};
