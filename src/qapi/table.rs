//! The tables of the schema: the types of object, their properties, and what `qom-list-types` shows.

use serde_json::Value;

use super::schema::{
    Creation, Default, Effect, Flow, Kind, ObjectType, Property, Role, Rule, Setter,
};
use crate::base::QemuVersion;

const fn always(_: QemuVersion) -> bool {
    true
}

fn af_packet(version: QemuVersion) -> bool {
    version.has_af_packet()
}

const fn after_7_2(version: QemuVersion) -> bool {
    !matches!(version, QemuVersion::Qemu72)
}

const fn after_10_0(version: QemuVersion) -> bool {
    !matches!(version, QemuVersion::Qemu72 | QemuVersion::Qemu100)
}

/// Debian builds QEMU without it.
const fn igvm(version: QemuVersion) -> bool {
    after_10_0(version) && !matches!(version, QemuVersion::Qemu111)
}

const fn monitors(version: QemuVersion) -> bool {
    matches!(version, QemuVersion::Qemu111)
}

/// A mandatory property that is shown and has no effect when it is set later.
const fn required(name: &'static str, kind: Kind) -> Property {
    Property { required: true, ..optional(name, kind, Default::Str("")) }
}

const fn optional(name: &'static str, kind: Kind, default: Default) -> Property {
    let qom_type = match kind {
        Kind::Bool => "bool",
        Kind::U32 => "uint32",
        Kind::U64 => "uint64",
        Kind::Int => "int",
        _ => "string",
    };
    Property {
        name,
        kind,
        required: false,
        exists: always,
        default,
        effect: Effect::Shown,
        qom_type,
        setter: None,
        role: Role::Plain,
    }
}

const fn live(property: Property) -> Property {
    Property { effect: Effect::Live, ..property }
}

const fn checked(
    property: Property,
    bucket: u16,
    accepts: fn(&Value) -> bool,
    text: &'static str,
) -> Property {
    ruled(property, bucket, Rule::Holds { accepts, text })
}

const fn ruled(property: Property, bucket: u16, rule: Rule) -> Property {
    Property { setter: Some(Setter { bucket, rule }), ..property }
}

fn on_or_off(value: &Value) -> bool {
    matches!(value.as_str(), Some("on" | "off"))
}

fn before_or_behind(value: &Value) -> bool {
    matches!(value.as_str(), Some("before" | "behind"))
}

fn positive(value: &Value) -> bool {
    value.as_u64() != Some(0)
}

/// What every object begins with; the type is read before its members are known.
pub(crate) const HEAD_QOM_TYPE: Property = required("qom-type", Kind::Str);
pub(crate) const HEAD_ID: Property = required("id", Kind::Str).naming(Role::Id);

const VNET_HDR_SUPPORT: Property =
    live(optional("vnet_hdr_support", Kind::Bool, Default::Bool(false)).naming(Role::Setting));

/// The base of all filters (QEMU 10.2.2 qapi/qom.json:388-422, net/filter.c:341-351).
pub(crate) static NETFILTER: &[Property] = &[
    required("netdev", Kind::Str).naming(Role::Filtered),
    Property {
        qom_type: "NetFilterDirection",
        ..live(
            optional("queue", Kind::Enum(&["all", "rx", "tx"]), Default::Str("all"))
                .naming(Role::Queue),
        )
    },
    checked(
        live(optional("status", Kind::Str, Default::Str("on")).naming(Role::Setting)),
        202,
        on_or_off,
        "Invalid value for netfilter status, should be 'on' or 'off'",
    ),
    optional("position", Kind::Str, Default::Str("tail")).naming(Role::Position),
    checked(
        optional("insert", Kind::Enum(&["before", "behind"]), Default::Str("behind"))
            .naming(Role::Side),
        306,
        before_or_behind,
        "Invalid value for netfilter insert, should be 'before' or 'behind'",
    ),
];

static MIRROR: &[Property] =
    &[required("outdev", Kind::Str).naming(Role::Chardev(Flow::Out)), VNET_HDR_SUPPORT];

static REDIRECTOR: &[Property] = &[
    optional("indev", Kind::Str, Default::Str("")).naming(Role::Chardev(Flow::In)),
    optional("outdev", Kind::Str, Default::Str("")).naming(Role::Chardev(Flow::Out)),
    VNET_HDR_SUPPORT,
    Property {
        exists: af_packet,
        ..optional("in_netdev", Kind::Str, Default::Str("")).naming(Role::Netdev(Flow::In))
    },
    Property {
        exists: af_packet,
        ..optional("out_netdev", Kind::Str, Default::Str("")).naming(Role::Netdev(Flow::Out))
    },
    Property {
        exists: af_packet,
        ..live(
            optional("enable_when_stopped", Kind::Bool, Default::Bool(false)).naming(Role::Setting),
        )
    },
];

static REWRITER: &[Property] = &[VNET_HDR_SUPPORT];

static BUFFER: &[Property] = &[checked(
    live(Property {
        default: Default::Number(0),
        ..required("interval", Kind::U32).naming(Role::Setting)
    }),
    488,
    positive,
    "Property 'filter-buffer.interval' requires a positive value",
)];

static DUMP: &[Property] = &[
    required("file", Kind::Str).naming(Role::WriteFile),
    checked(
        optional("maxlen", Kind::U32, Default::Number(65536)),
        506,
        positive,
        "Property 'filter-dump.maxlen' doesn't take value '0'",
    ),
];

/// QEMU 10.2.2 qapi/qom.json:313-322.
static COMPARE: &[Property] = &[
    required("primary_in", Kind::Str).naming(Role::Chardev(Flow::In)),
    required("secondary_in", Kind::Str).naming(Role::Chardev(Flow::In)),
    required("outdev", Kind::Str).naming(Role::Chardev(Flow::Out)),
    ruled(
        Property {
            qom_type: "link<iothread>",
            ..required("iothread", Kind::Str).naming(Role::Iothread)
        },
        274,
        Rule::Link { to: "iothread" },
    ),
    optional("notify_dev", Kind::Str, Default::Str("")).naming(Role::Chardev(Flow::Messages)),
    ruled(
        live(optional("compare_timeout", Kind::U64, Default::Number(3000)).naming(Role::Setting)),
        301,
        Rule::Positive32 {
            text: "Property 'colo-compare.compare_timeout' requires a positive value",
        },
    ),
    checked(
        live(
            optional("expired_scan_cycle", Kind::U32, Default::Number(1000)).naming(Role::Setting),
        ),
        428,
        positive,
        "Property 'colo-compare.expired_scan_cycle' requires a positive value",
    ),
    ruled(
        live(optional("max_queue_size", Kind::U32, Default::Number(1024)).naming(Role::Setting)),
        128,
        Rule::Cut32 { text: "Property 'colo-compare.max_queue_size' requires a positive value" },
    ),
    VNET_HDR_SUPPORT,
];

fn not_negative(value: &Value) -> bool {
    value.as_i64().is_some_and(|value| value >= 0)
}

const fn before_monitors(version: QemuVersion) -> bool {
    !monitors(version)
}

/// A parameter of a loop of events (QEMU 10.2.2 `event-loop-base.c`, `iothread.c`).
const fn parameter(name: &'static str, default: u64, text: &'static str) -> Property {
    checked(live(optional(name, Kind::Int, Default::Number(default))), 0, not_negative, text)
}

const POLL_GROW: &str = "poll-grow value must be in range [0, 9223372036854775807]";
const POLL_SHRINK: &str = "poll-shrink value must be in range [0, 9223372036854775807]";

static IOTHREAD: &[Property] = &[
    parameter("aio-max-batch", 0, "aio-max-batch value must be in range [0, 9223372036854775807]"),
    parameter(
        "thread-pool-min",
        0,
        "thread-pool-min value must be in range [0, 9223372036854775807]",
    ),
    parameter(
        "thread-pool-max",
        64,
        "thread-pool-max value must be in range [0, 9223372036854775807]",
    ),
    parameter("poll-max-ns", 32768, "poll-max-ns value must be in range [0, 9223372036854775807]"),
    // Measured: 11.1 has other defaults, and one parameter more.
    Property { exists: before_monitors, ..parameter("poll-grow", 0, POLL_GROW) },
    Property { exists: monitors, ..parameter("poll-grow", 2, POLL_GROW) },
    Property { exists: before_monitors, ..parameter("poll-shrink", 0, POLL_SHRINK) },
    Property { exists: monitors, ..parameter("poll-shrink", 2, POLL_SHRINK) },
    Property {
        exists: monitors,
        ..ruled(
            live(optional("poll-weight", Kind::Int, Default::Number(3))),
            0,
            Rule::Weight {
                most: 63,
                default: 3,
                text: "poll-weight value must be in range [0, 63]",
            },
        )
    },
];

const fn filter(name: &'static str, properties: &'static [&'static [Property]]) -> ObjectType {
    ObjectType { parent: "netfilter", properties, creation: Creation::Filter, ..other(name) }
}

/// A filter with its numbers in the list of types: see [`ObjectType::listed`].
const fn listed(numbers: (u8, u8, u8), kind: ObjectType) -> ObjectType {
    ObjectType { listed: numbers, ..kind }
}

const fn other(name: &'static str) -> ObjectType {
    ObjectType {
        name,
        parent: "object",
        properties: &[],
        creation: Creation::NotBuilt,
        exists: always,
        listed: (u8::MAX, u8::MAX, u8::MAX),
    }
}

const fn since(kind: ObjectType, exists: fn(QemuVersion) -> bool) -> ObjectType {
    ObjectType { exists, ..kind }
}

/// Every value of `ObjectType` in `qapi/qom.json` of the x86 builds that were measured, by QAPI's name.
/// That is the name of the QOM type but for `authz-listfile`, whose QOM type is `authz-list-file`: QEMU
/// 7.2.22 reads the first and has nothing to make of it, and does not read the second.
pub(crate) static OBJECT_TYPES: &[ObjectType] = &[
    listed((2, 5, 2), filter("filter-redirector", &[NETFILTER, REDIRECTOR])),
    listed((4, 0, 4), filter("filter-mirror", &[NETFILTER, MIRROR])),
    listed((1, 1, 1), filter("filter-rewriter", &[NETFILTER, REWRITER])),
    listed((0, 2, 0), filter("filter-buffer", &[NETFILTER, BUFFER])),
    listed((5, 3, 5), filter("filter-dump", &[NETFILTER, DUMP])),
    listed((3, 4, 3), filter("filter-replay", &[NETFILTER])),
    ObjectType { properties: &[COMPARE], creation: Creation::Compare, ..other("colo-compare") },
    ObjectType {
        parent: "event-loop-base",
        properties: &[IOTHREAD],
        creation: Creation::Inert,
        ..other("iothread")
    },
    since(other("acpi-generic-initiator"), after_7_2),
    since(other("acpi-generic-port"), after_7_2),
    other("authz-list"),
    other("authz-listfile"),
    other("authz-pam"),
    other("authz-simple"),
    other("can-bus"),
    other("can-host-socketcan"),
    other("cryptodev-backend"),
    other("cryptodev-backend-builtin"),
    other("cryptodev-backend-lkcf"),
    other("cryptodev-vhost-user"),
    other("dbus-vmstate"),
    since(other("igvm-cfg"), igvm),
    other("input-barrier"),
    other("input-linux"),
    since(other("iommufd"), after_7_2),
    other("main-loop"),
    other("memory-backend-epc"),
    other("memory-backend-file"),
    other("memory-backend-memfd"),
    other("memory-backend-ram"),
    since(other("memory-backend-shm"), after_7_2),
    since(other("monitor-hmp"), monitors),
    since(other("monitor-qmp"), monitors),
    other("pef-guest"),
    other("pr-manager-helper"),
    other("qtest"),
    other("rng-builtin"),
    other("rng-egd"),
    other("rng-random"),
    other("s390-pv-guest"),
    other("secret"),
    other("secret_keyring"),
    other("sev-guest"),
    since(other("sev-snp-guest"), after_7_2),
    since(other("tdx-guest"), after_10_0),
    other("thread-context"),
    other("throttle-group"),
    other("tls-cipher-suites"),
    other("tls-creds-anon"),
    other("tls-creds-psk"),
    other("tls-creds-x509"),
    other("x-remote-object"),
    other("x-vfio-user-server"),
];
