//! The codes of network faults, TW-N, and what each means. `explain` prints them.

use crate::diag::{Code, Explanation};

const fn row(code: &'static str, title: &'static str, text: &'static str) -> Explanation {
    Explanation { code: Code(code), title, text }
}

pub const EXPLANATIONS: &[Explanation] = &[
    row(
        "TW-N001",
        "not a name for an interface",
        "Linux takes 1 to 15 bytes without '/', ':' or white space, and neither '.' nor '..' \
         (Linux net/core/dev.c, dev_valid_name). Give the netdev another `ifname`, or the bridge \
         another name.",
    ),
    row(
        "TW-N002",
        "not an address",
        "An address of the host is written with its prefix, as ip(8) prints it: 10.0.0.1/24 or \
         fd00::1/64. A route goes to such a network, or to `default`, by way of a plain address.",
    ),
    row(
        "TW-N003",
        "not a TAP",
        "Only netdevs of type tap have an interface, and with it the ports ID.guest and ID.host.",
    ),
    row(
        "TW-N004",
        "a virtio-net header of a length that the kernel has not",
        "A TAP carries headers of 10 or 12 bytes (TUNSETVNETHDRSZ); write one of them as \
         vnet_hdr_len.",
    ),
    row(
        "TW-N005",
        "a bridge's port that is not there",
        "A bridge holds netdevs by their id and ends of links as LINK.END; this name is neither.",
    ),
    row(
        "TW-N006",
        "a bridge and its port in different namespaces",
        "An interface can only be held by a bridge of its own namespace. Give both the same \
         `netns`, or join the two namespaces with a link.",
    ),
    row(
        "TW-N007",
        "no such namespace",
        "A `netns` names one of the scenario's `namespaces`; without it an interface lives in the \
         scenario's own.",
    ),
];
