//! The values that are tried, object by object, and what they are named after.

use serde_json::Value;

/// A value of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// The property is not given.
    Unset,
    /// A string.
    Text(&'static str),
    /// A boolean.
    Flag(bool),
    /// A number.
    Number(i64),
}

impl Cell {
    /// As QMP has it; none where the property is not given.
    #[must_use]
    pub fn value(self) -> Option<Value> {
        match self {
            Self::Unset => None,
            Self::Text(text) => Some(text.into()),
            Self::Flag(flag) => Some(flag.into()),
            Self::Number(number) => Some(number.into()),
        }
    }
}

/// A property and the values that are tried of it.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// The property's name.
    pub name: &'static str,
    /// Its values.
    pub values: &'static [Cell],
}

/// Properties whose values are tried in every combination.
#[derive(Clone, Copy, Debug)]
pub struct ObjectTable {
    /// The object's type.
    pub qom_type: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What varies.
    pub axes: &'static [Axis],
    /// What each combination has beside.
    pub fixed: &'static [(&'static str, Cell)],
    /// Axes of which it may matter whether they name the same.
    pub pairs: &'static [(usize, usize)],
}

/// The names in the tables, and what stands behind each.
pub const WORLD: &[(&str, &str)] = &[
    ("hn0", "netdev tap"),
    ("vh0", "netdev tap,vhost=on"),
    ("mq0", "netdev tap,queues=2"),
    ("us0", "netdev user"),
    ("c0 c1 c2 c3", "chardev socket"),
    ("mon0", "chardev socket, the monitor's"),
    ("null0", "chardev null"),
    ("g0", "filter-buffer on hn0"),
    ("io0", "iothread"),
];

use Cell::{Flag, Number, Text, Unset};

const fn axis(name: &'static str, values: &'static [Cell]) -> Axis {
    Axis { name, values }
}

const NETDEV: Axis = axis("netdev", &[Text("hn0"), Text("vh0"), Text("nope")]);
const QUEUE: Axis = axis("queue", &[Text("rx"), Text("tx"), Text("all")]);

const BASE: &str = "what every filter has";
const ID: Axis = axis("id", &[Text("f0"), Unset, Text("0f"), Text("g0")]);
const ANY_NETDEV: Axis =
    axis("netdev", &[Text("hn0"), Text("vh0"), Text("mq0"), Text("us0"), Text("nope"), Unset]);
const ANY_QUEUE: Axis = axis("queue", &[Unset, Text("rx"), Text("both")]);
const STATUS: Axis = axis("status", &[Unset, Text("zz")]);
const POSITION: Axis = axis(
    "position",
    &[Unset, Text("head"), Text("id=g0"), Text("id=io0"), Text("id=nope"), Text("zz")],
);
const INSERT: Axis = axis("insert", &[Unset, Text("zz")]);
const VNET: Axis = axis("vnet_hdr_support", &[Unset, Flag(true), Text("on")]);
const BOGUS: Axis = axis("bogus", &[Unset, Text("x")]);

const NETFILTER: &[Axis] = &[ID, ANY_NETDEV, ANY_QUEUE, STATUS, POSITION, INSERT, VNET, BOGUS];

const ANY_TAP: &[Cell] = &[Unset, Text("hn0"), Text("vh0"), Text("us0"), Text("nope")];

/// Every table.
const TABLES: &[ObjectTable] = &[
    ObjectTable {
        qom_type: "filter-redirector",
        title: "where its packets come from and go to",
        axes: &[
            NETDEV,
            QUEUE,
            axis("in_netdev", ANY_TAP),
            axis("out_netdev", ANY_TAP),
            axis("indev", &[Unset, Text("c0"), Text("mon0"), Text("nope")]),
            axis("outdev", &[Unset, Text("c1"), Text("c0"), Text("mon0"), Text("nope")]),
        ],
        fixed: &[("id", Text("f0"))],
        pairs: &[(4, 5)],
    },
    ObjectTable {
        qom_type: "filter-redirector",
        title: BASE,
        axes: NETFILTER,
        fixed: &[("outdev", Text("c0"))],
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-mirror",
        title: "where its packets go to",
        axes: &[
            NETDEV,
            QUEUE,
            axis(
                "outdev",
                &[Unset, Text("c0"), Text("null0"), Text("mon0"), Text("nope"), Text("")],
            ),
            axis("indev", &[Unset, Text("c1")]),
            axis("in_netdev", &[Unset, Text("hn0")]),
        ],
        fixed: &[("id", Text("f0"))],
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-mirror",
        title: BASE,
        axes: NETFILTER,
        fixed: &[("outdev", Text("c0"))],
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-rewriter",
        title: BASE,
        axes: NETFILTER,
        fixed: &[],
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-buffer",
        title: "when it lets go",
        axes: &[
            NETDEV,
            QUEUE,
            axis(
                "interval",
                &[Unset, Number(1000), Number(0), Number(-1), Number(4_294_967_296), Text("1000")],
            ),
        ],
        fixed: &[("id", Text("f0"))],
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-buffer",
        title: BASE,
        axes: NETFILTER,
        fixed: &[("interval", Number(1000))],
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-dump",
        title: "what it writes, and how much of it",
        axes: &[
            NETDEV,
            QUEUE,
            axis("file", &[Unset, Text("f0.pcap")]),
            axis("maxlen", &[Unset, Number(64), Number(0), Number(-1), Text("64")]),
        ],
        fixed: &[("id", Text("f0"))],
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-dump",
        title: BASE,
        axes: NETFILTER,
        fixed: &[("file", Text("f0.pcap"))],
        pairs: &[],
    },
    ObjectTable { qom_type: "filter-replay", title: BASE, axes: NETFILTER, fixed: &[], pairs: &[] },
    ObjectTable {
        qom_type: "colo-compare",
        title: "what it reads and writes",
        axes: &[
            axis("primary_in", &[Text("c0"), Unset, Text("mon0"), Text("null0"), Text("nope")]),
            axis("secondary_in", &[Text("c1"), Unset, Text("c0"), Text("null0"), Text("nope")]),
            axis("outdev", &[Text("c2"), Unset, Text("c0"), Text("c1"), Text("nope")]),
            axis("iothread", &[Text("io0"), Unset, Text("g0"), Text("nope"), Text("")]),
            axis("notify_dev", &[Unset, Text("c3"), Text("c2"), Text("nope")]),
        ],
        fixed: &[("id", Text("f0"))],
        pairs: &[(0, 1), (0, 2), (1, 2)],
    },
    ObjectTable {
        qom_type: "colo-compare",
        title: "its numbers, and what is no property of it",
        axes: &[
            ID,
            axis(
                "compare_timeout",
                &[Unset, Number(1), Number(0), Number(-1), Number(4_294_967_296), Text("5")],
            ),
            axis("expired_scan_cycle", &[Unset, Number(1), Number(0), Number(4_294_967_296)]),
            axis("max_queue_size", &[Unset, Number(1), Number(0), Number(4_294_967_296)]),
            axis("iothread", &[Text("io0"), Text("nope")]),
            VNET,
            BOGUS,
        ],
        fixed: &[("primary_in", Text("c0")), ("secondary_in", Text("c1")), ("outdev", Text("c2"))],
        pairs: &[],
    },
];

/// The types that have tables, in their order.
#[must_use]
pub fn types() -> Vec<&'static str> {
    let mut types: Vec<_> = TABLES.iter().map(|table| table.qom_type).collect();
    types.dedup();
    types
}

/// The tables of a type.
pub fn tables(qom_type: &str) -> impl Iterator<Item = &'static ObjectTable> {
    TABLES.iter().filter(move |table| table.qom_type == qom_type)
}
