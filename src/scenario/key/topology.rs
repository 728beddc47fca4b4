//! The keys of a scenario's root and of everything it declares.

use super::{
    CLIENT, EXPECT, GUEST, IMPAIR, Key, KeyMap, KeyType, KeyType::*, U16, key, need, step::ARRIVALS,
};
use crate::base::QemuVersion;

/// The least MTU of IPv4 (RFC 791) and the greatest that a TAP takes: 65535 less the Ethernet
/// header (Linux `drivers/net/tun.c`, `MAX_MTU`).
const MTU: super::KeyType = Integer(68, 65_521);

const ANY_PROFILE: KeyType = OneOf(&[Choice(QemuVersion::NAMES), Map(&PROFILE)]);

/// Netdevs under their ids, each a map or an option string; or a list of option strings.
const NETDEV_FORMS: [KeyType; 2] = [Named(&OneOf(&[Map(&NETDEV), Text, Nothing])), List(&Text)];
/// Chardevs, likewise.
const CHARDEV_FORMS: [KeyType; 2] = [Named(&OneOf(&[Map(&CHARDEV), Text, Nothing])), List(&Text)];

const NETDEVS: Key = key(
    "netdevs",
    OneOf(&NETDEV_FORMS),
    "QEMU's network backends: id to map or option string, or a list of option strings",
);
const CHARDEVS: Key = key(
    "chardevs",
    OneOf(&CHARDEV_FORMS),
    "QEMU's character devices: id to map or option string, or a list of option strings",
);
const OBJECTS: Key = key(
    "objects",
    List(&OneOf(&[Text, Arguments])),
    "QEMU's objects, in order: option strings or maps",
);

pub(crate) static ROOT: KeyMap = KeyMap {
    name: "the scenario",
    keys: &[
        need("description", Text, "what the scenario shows, in a sentence"),
        key("tags", Texts, "words for selection"),
        key(
            "profile",
            ANY_PROFILE,
            "the QEMU modelled: a profile's name, or {base, with, without}",
        )
        .or("rfc"),
        key("requires", Texts, "capabilities beyond those that follow from the scenario"),
        key("matrix", Named(&List(&Scalar)), "name to list of values; each combination is a case"),
        key("namespaces", Texts, "extra network namespaces of the host side"),
        key("links", Named(&Map(&LINK)), "pairs of joined interfaces on the host side"),
        key("bridges", Named(&Map(&BRIDGE)), "bridges on the host side"),
        key("routes", List(&Map(&ROUTE)), "routes on the host side"),
        NETDEVS,
        CHARDEVS,
        OBJECTS,
        key(
            "machines",
            Named(&Map(&MACHINE)),
            "several machines instead of one: name to its netdevs, chardevs and objects",
        ),
        key(
            "clients",
            Named(&Map(&CLIENT)),
            "port to the TCP/IP stack of the client that is there",
        ),
        key(
            "impair",
            Named(&Map(&IMPAIR)),
            "port to the stretches of bad network in front of it, from the start",
        ),
        key("steps", List(&Step), "what is done, in order; without steps the cases are probes"),
        key("expect", Open(&EXPECT, &ARRIVALS), "what must come of the whole run"),
        key("snapshot", Map(&SNAPSHOT), "how the snapshot is compared"),
        key("known_bug", Map(&KNOWN_BUG), "a bug that is there and known to be"),
    ],
};

pub(crate) static MACHINE: KeyMap = KeyMap {
    name: "a machine",
    keys: &[
        key("profile", ANY_PROFILE, "the QEMU that this machine models").or("the scenario's"),
        key("stopped", Bool, "QEMU's -S: the guest does not run before `cont`").or("false"),
        key("incoming", Bool, "QEMU's -incoming: the guest comes by `migrate`, and runs then, unless the machine is `stopped`").or("false"),
        NETDEVS,
        CHARDEVS,
        OBJECTS,
    ],
};

/// A profile with quirks mended.
pub(crate) static PROFILE: KeyMap = KeyMap {
    name: "a profile",
    keys: &[
        need("base", Choice(QemuVersion::NAMES), "the QEMU modelled"),
        key("without", Texts, "quirks that are mended"),
        key("with", Texts, "quirks of other QEMUs that this one has too"),
    ],
};

pub(crate) static LINK: KeyMap =
    KeyMap { name: "a link", keys: &[need("ends", List(&Map(&LINK_END)), "its two ends")] };

pub(crate) static LINK_END: KeyMap = KeyMap {
    name: "an end of a link",
    keys: &[
        need("name", Name, "the interface, and with the link's name the port: LINK.NAME"),
        key("netns", Name, "the namespace").or("the scenario's own"),
        key("mac", Mac, "the address").or("02:00:00:00:01:01 and up"),
        key("address", Texts, "addresses with their prefix"),
        key("mtu", MTU, "bytes").or("1500"),
        key("bridge", Name, "the bridge that holds this end"),
    ],
};

pub(crate) static BRIDGE: KeyMap = KeyMap {
    name: "a bridge",
    keys: &[
        key("netns", Name, "the namespace").or("the scenario's own"),
        key("address", Texts, "addresses with their prefix"),
        key("ports", Texts, "what it holds: netdevs by id, link ends as LINK.NAME"),
    ],
};

/// `vhost: modelled`.
pub(crate) const VHOST_MODELLED: &str = "modelled";

pub(crate) static ROUTE: KeyMap = KeyMap {
    name: "a route",
    keys: &[
        key("netns", Name, "the namespace").or("the scenario's own"),
        need("to", Text, "a network with its prefix, or `default`"),
        need("via", Text, "the next hop"),
    ],
};

pub(crate) static NETDEV: KeyMap = KeyMap {
    name: "a netdev",
    keys: &[
        key("type", Choice(&["tap", "hubport", "user"]), "QEMU's type").or("tap"),
        key("ifname", Name, "the TAP's interface").or("tap0 and up"),
        key("netns", Name, "the TAP's namespace").or("its machine's, or the scenario's own"),
        key("mac", Mac, "the guest NIC's address").or("52:54:00:12:34:56 and up"),
        key("host_mac", Mac, "the TAP's own address").or("02:00:00:00:00:01 and up"),
        key("address", Texts, "the host's addresses on the TAP, with their prefix"),
        key("mtu", MTU, "bytes").or("1500"),
        key(
            "vhost",
            OneOf(&[Bool, Choice(&[VHOST_MODELLED])]),
            "the kernel carries the frames past QEMU: its vhost-net where `netns` has it, which `modelled` does without",
        )
        .or("false"),
        key("nic", Choice(&["plain", "virtio"]), "the guest's NIC").or("plain"),
        key("vnet_hdr_len", Integer(10, 12), "with nic: virtio, 10 or 12").or("12"),
        key("guest", Map(&GUEST), "a TCP/IP stack behind the guest port, which answers by itself"),
        key("queues", Integer(1, 256), "queues=").or("1"),
        key("hubid", Integer(0, 0x7fff_ffff), "with type: hubport, the hub"),
        key("br", Text, "QEMU's; no effect, as `bridges` says what holds the TAP"),
        key("helper", Text, "QEMU's; no effect, as no program makes the TAP"),
        key("script", Text, "QEMU's; no effect, as no program configures the TAP"),
        key("downscript", Text, "QEMU's; no effect, as no program configures the TAP"),
        key("vhostforce", Bool, "QEMU's; no effect, as `vhost` says it"),
    ],
};

/// A chardev. Beyond tapwright's own keys the names are those of QEMU's -chardev (QEMU 10.2.2,
/// `chardev/char.c`, `qemu_chardev_opts`).
pub(crate) static CHARDEV: KeyMap = KeyMap {
    name: "a chardev",
    keys: &[
        key("connected", Bool, "whether a client is there before the first step").or("true"),
        key("framing", Choice(&["plain", "vnet", "raw"]), "how the port's bytes are printed")
            .or("from the object that uses it"),
        key(
            "backend",
            Choice(&["socket", "null", "file", "ringbuf", "udp", "pty", "mux"]),
            "QEMU's backend",
        )
        .or("socket"),
        key("path", Text, "a unix socket; two chardevs with one path are joined"),
        key("host", Text, "a TCP or UDP address; a client is joined to the server that it reaches"),
        key("port", U16, "a TCP or UDP port"),
        key("server", Bool, "listens").or("false"),
        key("wait", Bool, "QEMU waits for a client before it starts"),
        key("mux", Bool, "several users share it"),
        key("abstract", Bool, "the path is in the abstract namespace"),
        key(
            "af-packet-mode",
            Choice(&["capture", "inject"]),
            "in profile rfc-v4: what is done with the packet socket of `fd`: what it receives is read as \
             frames, or the frames that are written are sent",
        ),
        key(
            "fd",
            Name,
            "with `af-packet-mode`: the netdev to whose TAP the descriptor, an AF_PACKET socket, is bound",
        ),
        key("append", Bool, "file: keep what is there"),
        key("delay", Bool, "false sets TCP_NODELAY"),
        key("ipv4", Bool, "only IPv4"),
        key("ipv6", Bool, "only IPv6"),
        key("localaddr", Text, "udp: the local address"),
        key("localport", U16, "udp: the local port"),
        key("logappend", Bool, "keep the log that is there"),
        key("logfile", Text, "a copy of what is written"),
        key("nodelay", Bool, "sets TCP_NODELAY"),
        key("reconnect", super::U32, "seconds between tries of a client"),
        key("reconnect-ms", super::U32, "milliseconds between tries of a client"),
        key("size", super::U32, "ringbuf: bytes, a power of two"),
        key("telnet", Bool, "speaks telnet"),
        key("tight", Bool, "abstract: the length is the name's"),
        key("tls-creds", Text, "TLS credentials"),
        key("to", U16, "the last port to try"),
        key("websocket", Bool, "speaks websocket"),
    ],
};

pub(crate) static SNAPSHOT: KeyMap = KeyMap {
    name: "`snapshot`",
    keys: &[
        key("masks", Texts, "fields that are not compared: ipv4.id, tcp.seq"),
        key("without", Texts, "ports that are left out"),
    ],
};

pub(crate) static KNOWN_BUG: KeyMap = KeyMap {
    name: "`known_bug`",
    keys: &[
        need("id", Text, "its name: a quirk, or an upstream reference"),
        need("profiles", Texts, "the profiles that have it"),
        need("reason", Text, "what it is"),
    ],
};

/// The names of the chardev's keys that are tapwright's own or are read by it.
pub(crate) const OWN_CHARDEV_KEYS: &[&str] =
    &["connected", "framing", "backend", "path", "host", "port", "server"];
