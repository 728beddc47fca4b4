//! The values that are tried, object by object, and what they are named after.

use std::borrow::Cow;

use serde_json::Value;

use crate::qapi::{
    Creation, Flow, Kind, OBJECT_TYPES, ObjectType, Property, Role, any_object_type,
};

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
#[derive(Clone, Debug)]
pub struct ObjectTable {
    /// The object's type.
    pub qom_type: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What varies.
    pub axes: Cow<'static, [Axis]>,
    /// What each combination has beside.
    pub fixed: Cow<'static, [(&'static str, Cell)]>,
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
const ANY_CHARDEV: &[Cell] = &[Unset, Text("c0"), Text("mon0"), Text("nope")];
const ANY_NUMBER: &[Cell] =
    &[Unset, Number(1), Number(0), Number(-1), Number(4_294_967_296), Text("1")];
const ANY_TEXT: &[Cell] = &[Unset, Text("x"), Text("")];

/// What single types are asked beside what every filter is.
const TABLES: &[ObjectTable] = &[
    ObjectTable {
        qom_type: "filter-redirector",
        title: "where its packets come from and go to",
        axes: Cow::Borrowed(&[
            NETDEV,
            QUEUE,
            axis("in_netdev", ANY_TAP),
            axis("out_netdev", ANY_TAP),
            axis("indev", &[Unset, Text("c0"), Text("mon0"), Text("nope")]),
            axis("outdev", &[Unset, Text("c1"), Text("c0"), Text("mon0"), Text("nope")]),
        ]),
        fixed: Cow::Borrowed(&[("id", Text("f0"))]),
        pairs: &[(4, 5)],
    },
    ObjectTable {
        qom_type: "filter-redirector",
        title: "while the VM is stopped",
        axes: Cow::Borrowed(&[
            NETDEV,
            axis("in_netdev", &[Unset, Text("hn0")]),
            axis("outdev", &[Unset, Text("c1")]),
            axis("enable_when_stopped", &[Unset, Flag(true), Text("on")]),
        ]),
        fixed: Cow::Borrowed(&[("id", Text("f0"))]),
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-mirror",
        title: "where its packets go to",
        axes: Cow::Borrowed(&[
            NETDEV,
            QUEUE,
            axis(
                "outdev",
                &[Unset, Text("c0"), Text("null0"), Text("mon0"), Text("nope"), Text("")],
            ),
            axis("indev", &[Unset, Text("c1")]),
            axis("in_netdev", &[Unset, Text("hn0")]),
        ]),
        fixed: Cow::Borrowed(&[("id", Text("f0"))]),
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-buffer",
        title: "when it lets go",
        axes: Cow::Borrowed(&[
            NETDEV,
            QUEUE,
            axis(
                "interval",
                &[Unset, Number(1000), Number(0), Number(-1), Number(4_294_967_296), Text("1000")],
            ),
        ]),
        fixed: Cow::Borrowed(&[("id", Text("f0"))]),
        pairs: &[],
    },
    ObjectTable {
        qom_type: "filter-dump",
        title: "what it writes, and how much of it",
        axes: Cow::Borrowed(&[
            NETDEV,
            QUEUE,
            axis("file", &[Unset, Text("f0.pcap")]),
            axis("maxlen", &[Unset, Number(64), Number(0), Number(-1), Text("64")]),
        ]),
        fixed: Cow::Borrowed(&[("id", Text("f0"))]),
        pairs: &[],
    },
    ObjectTable {
        qom_type: "colo-compare",
        title: "what it reads and writes",
        axes: Cow::Borrowed(&[
            axis("primary_in", &[Text("c0"), Unset, Text("mon0"), Text("null0"), Text("nope")]),
            axis("secondary_in", &[Text("c1"), Unset, Text("c0"), Text("null0"), Text("nope")]),
            axis("outdev", &[Text("c2"), Unset, Text("c0"), Text("c1"), Text("nope")]),
            axis("iothread", &[Text("io0"), Unset, Text("g0"), Text("nope"), Text("")]),
            axis("notify_dev", &[Unset, Text("c3"), Text("c2"), Text("nope")]),
        ]),
        fixed: Cow::Borrowed(&[("id", Text("f0"))]),
        pairs: &[(0, 1), (0, 2), (1, 2)],
    },
    ObjectTable {
        qom_type: "colo-compare",
        title: "its numbers, and what is no property of it",
        axes: Cow::Borrowed(&[
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
        ]),
        fixed: Cow::Borrowed(&[
            ("primary_in", Text("c0")),
            ("secondary_in", Text("c1")),
            ("outdev", Text("c2")),
        ]),
        pairs: &[],
    },
];

/// The types that have tables, in their order.
#[must_use]
pub fn types() -> Vec<&'static str> {
    let asked = |kind: &&ObjectType| matches!(kind.creation, Creation::Filter | Creation::Compare);
    OBJECT_TYPES.iter().filter(asked).map(|kind| kind.name).collect()
}

/// The tables of a type: those that it has alone, else one of its own properties, then what every filter
/// has.
#[must_use]
pub fn tables(qom_type: &str) -> Vec<ObjectTable> {
    let mut tables: Vec<_> =
        TABLES.iter().filter(|table| table.qom_type == qom_type).cloned().collect();
    if let Some(kind) = any_object_type(qom_type).filter(|kind| kind.is_filter()) {
        if tables.is_empty() {
            tables.extend(of_schema(kind));
        }
        tables.push(ObjectTable {
            qom_type: kind.name,
            title: "what every filter has",
            axes: Cow::Borrowed(NETFILTER),
            fixed: own(kind).filter_map(needed).collect(),
            pairs: &[],
        });
    }
    tables
}

/// The properties that a filter has and others have not.
fn own(kind: &ObjectType) -> impl Iterator<Item = &'static Property> {
    let all = kind.properties.iter().copied().flatten();
    all.filter(|property| NETFILTER.iter().all(|axis| axis.name != property.name))
}

/// What a filter can't do without, with a value that it takes.
fn needed(property: &Property) -> Option<(&'static str, Cell)> {
    let cell = match (property.role, property.kind) {
        (Role::Chardev(Flow::Out), _) => Text("c0"),
        _ if !property.required => return None,
        (Role::Chardev(_), _) => Text("c1"),
        (Role::Netdev(_), _) => Text("hn0"),
        (Role::Iothread, _) => Text("io0"),
        (Role::WriteFile, _) => Text("f0.pcap"),
        (_, Kind::U32 | Kind::U64 | Kind::Int) => Number(1000),
        (_, Kind::Bool) => Flag(true),
        (_, Kind::Enum(words)) => Text(words.first()?),
        _ => Text("x"),
    };
    Some((property.name, cell))
}

/// A table of a filter's own properties, with values good and bad as the schema has them.
fn of_schema(kind: &ObjectType) -> Option<ObjectTable> {
    let values = |property: &Property| match (property.role, property.kind) {
        (Role::Chardev(_), _) => ANY_CHARDEV,
        (Role::Netdev(_), _) => ANY_TAP,
        (_, Kind::U32 | Kind::U64 | Kind::Int) => ANY_NUMBER,
        (_, Kind::Bool) => VNET.values,
        _ => ANY_TEXT,
    };
    let axes: Vec<Axis> = own(kind).map(|one| axis(one.name, values(one))).collect();
    (!axes.is_empty()).then(|| ObjectTable {
        qom_type: kind.name,
        title: "what it has of its own",
        axes: [NETDEV, QUEUE].into_iter().chain(axes).collect(),
        fixed: Cow::Borrowed(&[("id", Text("f0"))]),
        pairs: &[],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_without_a_table_is_asked_for_what_the_schema_has() {
        let of = |name| of_schema(any_object_type(name).unwrap());
        let table = of("filter-redirector").unwrap();
        let names: Vec<&str> = table.axes.iter().map(|axis| axis.name).collect();
        let own = ["indev", "outdev", "in_netdev", "out_netdev", "enable_when_stopped"];
        assert_eq!(names, [["netdev", "queue"].as_slice(), &own].concat());
        let interval = of("filter-buffer").unwrap().axes[2];
        assert_eq!((interval.name, interval.values), ("interval", ANY_NUMBER));
        assert!(of("filter-replay").is_none());
    }

    #[test]
    fn a_base_table_gives_what_a_filter_needs() {
        let fixed = |name| tables(name).pop().unwrap().fixed.into_owned();
        assert_eq!(fixed("filter-dump"), [("file", Text("f0.pcap"))]);
        assert_eq!(fixed("filter-buffer"), [("interval", Number(1000))]);
        assert_eq!(fixed("filter-redirector"), [("outdev", Text("c0"))]);
        assert_eq!(fixed("filter-rewriter"), []);
    }
}
