//! The four versions of the RFC "AF_PACKET support for vhost-net" (qemu-devel, 2026), each as a table of
//! rules: what it does, whether that was read in the mails or is this project's reading, and where it
//! stands. The machine asks the values; docs/profiles.md prints the tables. On the day that a rule
//! becomes known, its row changes and nothing else.

use super::QemuVersion;

/// What a rule rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// It was read in the mails.
    Seen,
    /// It follows from what was read.
    Derived,
    /// The mails leave it open, and this is the project's reading.
    Ours,
}

impl Basis {
    /// As the reference prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "known",
            Self::Derived => "follows",
            Self::Ours => "ours",
        }
    }
}

/// A rule of one version, without a choice that the machine makes by it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What it is about, in a few words.
    pub about: &'static str,
    /// What holds.
    pub says: &'static str,
    pub basis: Basis,
    /// Where it was read, or why it is read so.
    pub source: &'static str,
}

/// A rule by which the machine chooses.
#[derive(Clone, Copy, Debug)]
pub struct Rule<T> {
    /// What the machine does.
    pub value: T,
    pub row: Row,
}

/// How a filter comes by an `AF_PACKET` socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// `in_netdev` and `out_netdev` of filter-redirector name a TAP.
    Properties,
    /// A filter-redirector on a vhost TAP uses that TAP by itself.
    OwnVhostTap,
    /// A socket chardev has `af-packet-mode` and a descriptor from outside.
    Chardev,
}

/// What the packet socket of a filter does while the VM is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileStopped {
    /// It is read only with `enable_when_stopped`.
    AsEnabled,
    /// It is read on.
    ReadOn,
}

/// What a frame passes on its way from `indev` to the packet socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// Nothing.
    AtOnce,
    /// The nearest filter-buffer before the redirector, in its direction.
    ThroughBuffer,
}

/// One version of the RFC.
#[derive(Clone, Copy, Debug)]
pub struct Rfc {
    pub version: QemuVersion,
    /// When it was posted, and how many patches it has.
    pub posted: &'static str,
    pub interface: Rule<Interface>,
    pub while_stopped: Rule<WhileStopped>,
    pub injection: Rule<Injection>,
    /// What else is to be known of it.
    pub others: &'static [Row],
}

impl Rfc {
    /// Every rule, in the order of the reference.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        let choices = [&self.interface.row, &self.while_stopped.row, &self.injection.row];
        choices.into_iter().chain(self.others)
    }

    /// The versions of the RFC, oldest first.
    pub const ALL: [&'static Self; 4] = [&V1, &V2, &V3, &V4];
}

impl QemuVersion {
    /// The version of the RFC whose rules are in force; `ideal` has those of the first.
    #[must_use]
    pub const fn rfc(self) -> Option<&'static Rfc> {
        match self {
            Self::RfcV1 | Self::Ideal => Some(&V1),
            Self::RfcV2 => Some(&V2),
            Self::RfcV3 => Some(&V3),
            Self::RfcV4 => Some(&V4),
            Self::Qemu72 | Self::Qemu100 | Self::Qemu102 | Self::Qemu111 => None,
        }
    }

    /// How filters of this version come by an `AF_PACKET` socket, if they do.
    #[must_use]
    pub fn interface(self) -> Option<Interface> {
        self.rfc().map(|rfc| rfc.interface.value)
    }
}

const fn row(about: &'static str, says: &'static str, basis: Basis, source: &'static str) -> Row {
    Row { about, says, basis, source }
}

const fn rule<T: Copy>(value: T, row: Row) -> Rule<T> {
    Rule { value, row }
}

use Basis::{Derived, Ours, Seen};

/// The texts that a version's mails don't have.
const TEXTS: &str = "texts of refusals";
const STATUS: &str = "status";
const QUEUE: &str = "queue";
const SOCKET: &str = "socket";
const HEADER: &str = "virtio-net header";
const BASE: &str = "base";

const SHARED_SOCKET: Row = row(
    "own injections",
    "one packet socket for each machine and TAP serves capture and injection, so that a machine never \
     captures what it injects itself; another machine's it does",
    Ours,
    "two sockets would make two redirectors on one TAP a loop without end",
);
const SHARED_BY_ALL: Row = row(
    "own injections",
    "one packet socket for each machine and TAP serves all that capture and inject there, so that a machine \
     never captures what it injects itself. A socket for each, as the mails have it, would let one that \
     captures see what another one injects: this is not modelled",
    Ours,
    "packet(7): a socket does not receive what it sent itself",
);
const VLAN: Row = row(
    "VLAN tags",
    "a tag that the kernel took out is put back into a captured frame",
    Ours,
    "packet(7), PACKET_AUXDATA: without it frames of a VLAN arrive untagged",
);
const VNET: Row = row(
    HEADER,
    "with vnet_hdr_support the header that PACKET_VNET_HDR gives travels with a frame, in the length that \
     the TAP's own frames have",
    Ours,
    "checksums and segments are left to the receiver by guests with offloads, which then need it",
);
const STATUS_OFF: Row = row(
    STATUS,
    "off: what is captured is discarded and counted; indev is not read, and what was sent there is injected \
     when the status is on again",
    Ours,
    "QEMU commit 5193528b9f7c does so for indev",
);
const DIRECTION_QUIRK: Row = row(
    "what is captured",
    "what goes to the guest (PACKET_OUTGOING) alone; the quirk capture-host-to-guest-only, which a scenario \
     can have in rfc-v1 too",
    Seen,
    "v2",
);

static V1: Rfc = Rfc {
    version: QemuVersion::RfcV1,
    posted: "2026-02-13, 5 patches",
    interface: rule(
        Interface::Properties,
        row(
            "interface",
            "filter-redirector has in_netdev and out_netdev, both optional; in_netdev names a TAP",
            Seen,
            "patch 2/5",
        ),
    ),
    while_stopped: rule(
        WhileStopped::AsEnabled,
        row(
            "while the VM is stopped",
            "the packet socket is read only with enable_when_stopped=true",
            Seen,
            "the series, with that of 2026-02-07",
        ),
    ),
    injection: rule(
        Injection::AtOnce,
        row(
            "injection",
            "what indev receives, and what the chain brings, is sent on the packet socket of out_netdev at \
             once",
            Seen,
            "\"used to send\"",
        ),
    ),
    others: &[
        row(
            BASE,
            "QEMU 10.2, commit 5193528b9f7c, which lets status attach and detach the handlers of indev, and \
             enable_when_stopped",
            Seen,
            "the series that it stands on",
        ),
        row(
            "exclusion",
            "at least one of the four; not in_netdev with out_netdev, nor either with the chardev of its \
             own direction; indev and outdev are not the same chardev",
            Seen,
            "the schema's documentation",
        ),
        row(
            "order of checks",
            "none set; in_netdev with out_netdev; in_netdev with indev; out_netdev with outdev; indev equal \
             to outdev; then the input is looked up, then the output",
            Ours,
            "what names nothing is refused before anything is opened",
        ),
        row(
            TEXTS,
            "every one of these refusals has this project's text",
            Ours,
            "none is in the mails",
        ),
        row(
            "which netdev",
            "out_netdev names a TAP too, of this machine; neither need be the filter's own netdev",
            Ours,
            "both are \"Linux AF_PACKET based endpoints\"",
        ),
        row(
            "vhost",
            "a redirector with in_netdev or out_netdev may stand on a vhost netdev; any other filter is \
             refused: Vhost is not supported",
            Ours,
            "the purpose of the series",
        ),
        row(SOCKET, "raw AF_PACKET, bound to the interface", Seen, "the series"),
        row(
            "what is captured",
            "by queue: tx what goes to the guest (PACKET_OUTGOING), rx all else, all both; with the quirk \
             capture-host-to-guest-only only what goes to the guest",
            Ours,
            "the directions that queue has for every filter",
        ),
        row(
            "where it goes",
            "a captured frame is forwarded through the redirector chain",
            Seen,
            "\"forwarded through the redirector chain\"",
        ),
        row(
            "where the chain begins",
            "at this filter: its outdev takes the frame when it has one, else the filters behind it see \
             it; at the end of the chain of the TAP that it was captured on it is dropped as delivered already",
            Ours,
            "the chain before a filter has nothing to do with it",
        ),
        row(
            "a TAP that QEMU reads",
            "where in_netdev is the filter's own netdev without vhost, the chain's copy of the frame is not \
             taken too",
            Ours,
            "each frame would be taken twice",
        ),
        row(
            "output while stopped",
            "goes on for chardev and netdev outputs alike, while status=on",
            Seen,
            "the series",
        ),
        row(
            "output without enable_when_stopped",
            "goes on too: only what is read depends on it",
            Ours,
            "so does that of QEMU 11.1.3, measured",
        ),
        row(
            "reading while stopped",
            "with enable_when_stopped the netdev of the filter is read on, though what was read before waits \
             for the guest",
            Seen,
            "the series of 2026-02-07",
        ),
        row(
            "what waits while stopped",
            "what the socket of a stopped VM holds is captured at cont, or when enable_when_stopped is set; \
             without a limit",
            Ours,
            "a real socket holds some hundred frames",
        ),
        row(
            STATUS,
            "off: what in_netdev captures meanwhile is discarded and counted",
            Ours,
            "an old frame is of no use to who switches a capture on",
        ),
        row(
            "indev of a filter that is off",
            "is not read, and what was sent there is injected by out_netdev when the status is on again",
            Ours,
            "commit 5193528b9f7c does so for an indev that injects into the chain",
        ),
        row(
            QUEUE,
            "out_netdev reaches the guest of its TAP whatever queue says",
            Derived,
            "a packet socket sends to the guest alone",
        ),
        SHARED_SOCKET,
        VLAN,
        VNET,
    ],
};

const VHOST_V2: Row = row(
    "vhost",
    "on a vhost netdev: multiqueue is refused first; then what is neither a filter-redirector nor a \
     filter-buffer: Vhost is not supported; then what is not a TAP: Vhost filter support requires a TAP \
     backend",
    Seen,
    "v2, texts and order",
);
const ROLE: Row =
    row("role", "outdev captures, indev injects", Derived, "\"depending on the redirector role\"");
const BOTH_ROLES: Row = row(
    "indev and outdev",
    "a redirector with both captures and injects",
    Ours,
    "each chardev does what it does alone",
);
const QUEUE_V2: Row = row(
    QUEUE,
    "a redirector with queue=rx captures nothing, as what goes to the guest is not in its direction; what \
     it injects reaches the guest whatever queue says",
    Ours,
    "queue is every filter's direction",
);
const TO_OUTDEV: Row = row(
    "where it goes",
    "a captured frame goes into the filter chain",
    Seen,
    "\"into the filter chain\"",
);
const AT_OUTDEV: Row = row(
    "where the chain begins",
    "at the redirector that captures, whose outdev takes the frame",
    Ours,
    "it is what outdev is for",
);
const BUFFER_V2: Row = row(
    "injection",
    "what indev receives goes through the filter-buffer before the redirector, in its direction, marked, \
     and is injected when the buffer lets go",
    Seen,
    "v2, the later patch",
);
const WHICH_BUFFER: Row = row(
    "which buffer",
    "the nearest one that is on and has the redirector's direction, queue=all counting as tx; without one a \
     frame is injected at once; the filters between the two see it",
    Ours,
    "the order of the chain",
);

static V2: Rfc = Rfc {
    version: QemuVersion::RfcV2,
    posted: "March 2026",
    interface: rule(
        Interface::OwnVhostTap,
        row(
            "interface",
            "no new property: a filter-redirector on a vhost TAP uses an AF_PACKET socket on that TAP by itself",
            Seen,
            "v2",
        ),
    ),
    while_stopped: rule(
        WhileStopped::ReadOn,
        row(
            "while the VM is stopped",
            "the packet socket is read and sent on as before",
            Ours,
            "the switchover, for which the series is, is when the VM is stopped",
        ),
    ),
    injection: rule(Injection::ThroughBuffer, BUFFER_V2),
    others: &[
        row(BASE, "that of v1, without enable_when_stopped", Ours, "v2 names no property"),
        VHOST_V2,
        row(SOCKET, "raw, nonblocking, bound to the interface of the TAP's descriptor", Seen, "v2"),
        ROLE,
        BOTH_ROLES,
        DIRECTION_QUIRK,
        QUEUE_V2,
        TO_OUTDEV,
        AT_OUTDEV,
        WHICH_BUFFER,
        row(
            "a netdev without vhost",
            "a redirector there is the one of the base",
            Derived,
            "AF_PACKET is for a vhost TAP",
        ),
        STATUS_OFF,
        SHARED_BY_ALL,
        VLAN,
        VNET,
    ],
};

static V3: Rfc = Rfc {
    version: QemuVersion::RfcV3,
    posted: "2026-03-30, 7 patches",
    interface: rule(
        Interface::OwnVhostTap,
        row(
            "interface",
            "that of v2: the filter's state has descriptors and no names",
            Derived,
            "v3, the state of the filter",
        ),
    ),
    while_stopped: rule(
        WhileStopped::ReadOn,
        row(
            "while the VM is stopped",
            "the packet socket is read and sent on as before",
            Ours,
            "a handler of the run state exists; what it does is not known",
        ),
    ),
    injection: rule(
        Injection::ThroughBuffer,
        row("injection", "through the filter-buffer before the redirector, as in v2", Ours, "v2"),
    ),
    others: &[
        row(BASE, "that of v2", Ours, "v3 names no property"),
        row("vhost", "checks and texts of v2", Ours, "v2"),
        row(SOCKET, "that of v2", Seen, "v3"),
        row(
            "cleanup",
            "takes away the handlers of the capture descriptor and of the run state; nothing waits until the \
             socket takes a frame",
            Derived,
            "v3, the cleanup",
        ),
        ROLE,
        BOTH_ROLES,
        row(
            "what is captured",
            "what goes to the guest alone, as in v2: the quirk capture-host-to-guest-only",
            Ours,
            "the handler is in patch 4/7, which is not known",
        ),
        QUEUE_V2,
        AT_OUTDEV,
        WHICH_BUFFER,
        STATUS_OFF,
        SHARED_BY_ALL,
        VLAN,
        VNET,
    ],
};

static V4: Rfc = Rfc {
    version: QemuVersion::RfcV4,
    posted: "2026-04-07, 5 patches",
    interface: rule(
        Interface::Chardev,
        row(
            "interface",
            "nothing in the filters; a socket chardev has af-packet-mode=capture or inject, and a \
             descriptor from outside that is an AF_PACKET socket",
            Seen,
            "qapi/char.json of v4",
        ),
    ),
    while_stopped: rule(
        WhileStopped::ReadOn,
        row(
            "while the VM is stopped",
            "the chardev works as every chardev does: its indev is read, its outdev is written",
            Derived,
            "the filters are those of the base",
        ),
    ),
    injection: rule(
        Injection::AtOnce,
        row(
            "injection",
            "an inject chardev is an outdev: the length word and the frame are collected over several writes, \
             then one frame is sent",
            Derived,
            "v4, the staging of what is written",
        ),
    ),
    others: &[
        row(BASE, "that of v1, without its properties", Ours, "v4 names none"),
        row("which interface", "the one that the descriptor is bound to", Derived, "v4"),
        row(
            "refusals",
            "a descriptor that is not an AF_PACKET socket; an address that is not of the type fd",
            Seen,
            "v4",
        ),
        row(TEXTS, "both refusals have this project's text", Ours, "neither is in the mails"),
        row(
            "order of checks",
            "the address before the descriptor",
            Derived,
            "the descriptor is looked at once it is attached",
        ),
        row(
            "what is captured",
            "a capture chardev is an indev: each frame becomes a length word and the frame",
            Derived,
            "\"the redirector's length-prefixed framing\"",
        ),
        row(
            "direction of capture",
            "both, as a packet socket has them unless it was told otherwise",
            Ours,
            "who makes the descriptor can tell it otherwise",
        ),
        row(
            HEADER,
            "the framing has no word for its length, and the frame no header: vnet_hdr_support on such an \
             indev reads it wrongly, and on such an outdev it is sent as part of the frame",
            Ours,
            "nothing is known of it",
        ),
        row(
            "staging",
            "what was collected of a frame is thrown away when the connection ends or returns",
            Seen,
            "v4",
        ),
        row(
            "vhost",
            "every filter on a vhost netdev is refused, as in the base",
            Ours,
            "v4 changes no filter",
        ),
        row(
            STATUS,
            "off: an indev is not read, and what was captured meanwhile waits in the socket; nothing is \
             written to an outdev",
            Derived,
            "the filters are those of the base",
        ),
        row(
            "who reads",
            "what is captured while no filter reads the chardev waits in the socket, without a limit",
            Ours,
            "a real socket holds some hundred frames",
        ),
        SHARED_BY_ALL,
        VLAN,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_its_own_table() {
        for rfc in Rfc::ALL {
            assert_eq!(rfc.version.rfc().map(|rfc| rfc.version), Some(rfc.version));
            assert!(rfc.rows().any(|row| row.basis == Basis::Ours), "{}", rfc.version);
        }
        assert!(QemuVersion::Qemu111.rfc().is_none());
        let ideal = QemuVersion::Ideal.rfc().map(|rfc| rfc.version);
        assert_eq!(ideal, Some(QemuVersion::RfcV1));
    }

    #[test]
    fn a_rule_stands_once_in_a_table() {
        for rfc in Rfc::ALL {
            let mut about: Vec<&str> = rfc.rows().map(|row| row.about).collect();
            about.sort_unstable();
            let all = about.len();
            about.dedup();
            assert_eq!(about.len(), all, "{}: {about:?}", rfc.version);
        }
    }
}
