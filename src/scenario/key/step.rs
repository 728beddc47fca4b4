//! The keys of steps: every verb, and what stands beside it.

use super::{CALL, FRAME, IMPAIR, Key, KeyMap, KeyType, KeyType::*, key, need};

/// Every verb, QMP's first.
pub const VERB_NAMES: &[&str] = &[
    "object-add",
    "object-del",
    "qom-set",
    "qom-get",
    "set_link",
    "netdev_add",
    "netdev_del",
    "chardev-add",
    "chardev-remove",
    "stop",
    "cont",
    "announce-self",
    "send",
    "write",
    "chardev-open",
    "chardev-close",
    "chardev-stall",
    "chardev-resume",
    "link-set",
    "link-del",
    "colo",
    "migrate",
    "advance",
    "client",
    "impair",
    "expect",
    "note",
];

/// The verbs that are whole steps by themselves: `- stop` is `- stop:`.
pub(crate) const LONE_VERBS: &[&str] = &["stop", "cont"];

/// The verbs that are QMP commands and stand in a step as QMP has them (QEMU 10.2.2 `qapi/`).
pub const QMP_VERBS: &[&str] = &[
    "object-add",
    "object-del",
    "qom-set",
    "qom-get",
    "set_link",
    "netdev_add",
    "netdev_del",
    "chardev-add",
    "chardev-remove",
    "stop",
    "cont",
    "announce-self",
];

/// A text, or a text and a class.
const AS: Key = key(
    "as",
    Choice(&["ethernet"]),
    "with `pcap`: what packets of another link type carry gets an Ethernet header",
);

const CUT: Key = key(
    "cut",
    Choice(&["keep", "pad"]),
    "with `pcap`: packets that the capture cut off are sent as they are, or zeros stand for the rest",
);

const ANY_ERROR: KeyType = OneOf(&[Text, Map(&EXPECT_ERROR)]);
/// Packets of a capture, by number.
const SELECTION: KeyType =
    OneOf(&[Integer(1, u64::MAX), Text, List(&OneOf(&[Integer(1, u64::MAX), Text]))]);
/// What must come out of a port: how many frames, which, or those of a file.
pub(super) const ARRIVALS: KeyType =
    OneOf(&[Integer(0, 1_000_000), List(&Map(&FRAME)), Map(&EXPECT_PORT)]);
const ERROR: Key = key(
    "error",
    ANY_ERROR,
    "the error it must give: a text, or {class, text}, of which one may be left out",
);
const MACHINE: Key =
    key("machine", Name, "the machine whose monitor it is given to, where there are several");
const CHUNK: Key =
    key("chunk", Integer(1, 1 << 20), "the most bytes of one write to a chardev").or("all at once");

/// Declares the step of each verb.
macro_rules! verbs {
    ($($verb:literal: $name:literal [$($key:expr),+ $(,)?];)+) => {
        /// The keys of a step with this verb.
        pub(crate) fn verb_keys(verb: &str) -> Option<&'static KeyMap> {
            match verb {
                $($verb => {
                    static KEYS: KeyMap = KeyMap { name: $name, keys: &[$($key),+] };
                    Some(&KEYS)
                })+
                _ => None,
            }
        }
    };
}

verbs! {
    "object-add": "an `object-add` step" [
        need("object-add", OneOf(&[Text, Arguments]), "an option string, or QMP's arguments"), MACHINE, ERROR];
    "object-del": "an `object-del` step" [need("object-del", OneOf(&[Text, Arguments]), "{id}, or the id"), MACHINE, ERROR];
    "qom-set": "a `qom-set` step" [need("qom-set", Arguments, "{path, property, value}"), MACHINE, ERROR];
    "qom-get": "a `qom-get` step" [need("qom-get", Arguments, "{path, property}"), MACHINE, ERROR];
    "set_link": "a `set_link` step" [need("set_link", Arguments, "{name, up}; a NIC's name is that of its port: hn0.guest"), MACHINE, ERROR];
    "netdev_add": "a `netdev_add` step" [need("netdev_add", Arguments, "QMP's arguments"), MACHINE, ERROR];
    "netdev_del": "a `netdev_del` step" [need("netdev_del", OneOf(&[Text, Arguments]), "{id}, or the id"), MACHINE, ERROR];
    "chardev-add": "a `chardev-add` step" [need("chardev-add", Arguments, "QMP's arguments"), MACHINE, ERROR];
    "chardev-remove": "a `chardev-remove` step" [
        need("chardev-remove", OneOf(&[Text, Arguments]), "{id}, or the id"), MACHINE, ERROR];
    "stop": "a `stop` step" [key("stop", OneOf(&[Nothing, Arguments]), "nothing: the guest stops"), MACHINE, ERROR];
    "cont": "a `cont` step" [key("cont", OneOf(&[Nothing, Arguments]), "nothing: the guest goes on"), MACHINE, ERROR];
    "announce-self": "an `announce-self` step" [
        need("announce-self", Arguments, "{initial, max, rounds, step}, in milliseconds, and perhaps {interfaces, id}; a NIC's name is that of its port: hn0.guest"),
        MACHINE, ERROR];
    "send": "a `send` step" [
        need("send", Name, "the port"),
        key("frames", OneOf(&[List(&Map(&FRAME)), SELECTION]), "the frames; with `pcap` a selection of packets: 1..5, [1, 3]"),
        key("pcap", Text, "a pcap or pcapng file, relative to the scenario's folder"),
        AS,
        CUT,
        key("timing", Scalar, "with `pcap`: the pauses of the capture by the machine's clock: `original`, or times a factor of 0 to 1000").or("0"),
        CHUNK,
        key("burst", Bool, "send all before anything is read").or("false"),
        key("repeat", Integer(1, 100_000), "how often; ${i} counts from 1").or("1"),
    ];
    "write": "a `write` step" [
        need("write", Name, "the chardev's port"),
        key("data", Bytes, "text, {hex}, {fill, len}, {u16}, {u32}, or a list of these"),
        key("text", Text, "short for data: TEXT"),
        key("hex", Text, "short for data: {hex: TEXT}"),
        CHUNK,
    ];
    "chardev-open": "a `chardev-open` step" [need("chardev-open", Name, "the chardev's port")];
    "chardev-close": "a `chardev-close` step" [
        need("chardev-close", Name, "the chardev's port"),
        key("half", Bool, "only its sending direction").or("false"),
    ];
    "chardev-stall": "a `chardev-stall` step" [need("chardev-stall", Name, "the chardev's port")];
    "chardev-resume": "a `chardev-resume` step" [
        need("chardev-resume", Name, "the chardev's port")];
    "link-set": "a `link-set` step" [
        need("link-set", Name, "the host port or link end"),
        key("up", Bool, "the administrative state"),
        key("mtu", Integer(68, 65_521), "bytes"),
        key("address", Text, "an address to add, with its prefix"),
        key("bridge", OneOf(&[Name, Nothing]), "the bridge that holds it from now on, in place of any other; nothing (`~`) for none"),
    ];
    "link-del": "a `link-del` step" [need("link-del", Name, "the host port or link end")];
    "colo": "a `colo` step" [
        need("colo", OneOf(&[Choice(&["checkpoint", "failover"]), Map(&COLO)]), "checkpoint or failover, or {event, machine}")];
    "migrate": "a `migrate` step" [
        need("migrate", Map(&MIGRATE), "{from, to}: the guest goes on in another machine, and its connections with it"), ERROR];
    "advance": "an `advance` step" [need("advance", Duration, "how far the machine's clock moves")];
    "client": "a `client` step" [need("client", Map(&CALL), "an exchange over TCP"), ERROR];
    "impair": "an `impair` step" [
        need("impair", Named(&Map(&IMPAIR)), "port to {in, out}: what changes; the rest stays")];
    "expect": "an `expect` step" [
        need("expect", Open(&EXPECT, &ARRIVALS), "what must have come since the last `expect`")];
    "note": "a `note` step" [need("note", Text, "a remark in the transcript")];
}

/// An event of COLO for one machine.
pub(crate) static COLO: KeyMap = KeyMap {
    name: "`colo`",
    keys: &[
        need(
            "event",
            Choice(&["checkpoint", "failover"]),
            "what COLO's frame tells",
        ),
        key(
            "machine",
            Name,
            "whom alone",
        )
        .or("a checkpoint goes to all, the comparing one first; a failover to those that do not compare"),
    ],
};

/// From where to where a guest goes.
pub(crate) static MIGRATE: KeyMap = KeyMap {
    name: "`migrate`",
    keys: &[
        need("from", Name, "the machine that stops"),
        need("to", Name, "the machine that takes the guest over; it has `incoming: true`"),
    ],
};

/// An expectation; beside these keys it has the names of ports.
pub(crate) static EXPECT: KeyMap = KeyMap {
    name: "`expect`",
    keys: &[
        key("error", Named(&ANY_ERROR), "object id to the error that its creation must give"),
        key("within", Duration, "how long the kernel's own timers may take"),
    ],
};

/// An error that must come.
pub(crate) static EXPECT_ERROR: KeyMap = KeyMap {
    name: "an expected error",
    keys: &[
        key("class", Text, "QMP's class, or a client's: GenericError, DeviceNotFound, TimedOut")
            .or("any"),
        key("text", Text, "the text, letter for letter").or("any"),
    ],
};

/// What must come out of a port, from a file.
pub(crate) static EXPECT_PORT: KeyMap = KeyMap {
    name: "the frames of a port",
    keys: &[
        need("pcap", Text, "a pcap or pcapng file, relative to the scenario's folder"),
        key("frames", SELECTION, "a selection of its packets: 1..5, [1, 3]").or("all"),
        AS,
        CUT,
    ],
};
