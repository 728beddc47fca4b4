//! Commands of QMP, the answers they must give, and the text of every refusal.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::{
    base::{Profile, QemuVersion},
    machine::{CharBackend, ChardevConfig, NetdevConfig, NetdevKind, core::ObjectKey},
};

fn net() -> Net {
    let mut net = Net::new(Profile::new(QemuVersion::Qemu102));
    let core = &mut net.core;
    let nic = NetdevKind::Nic { vnet_hdr_len: 0 };
    for (id, kind, peer) in [("n0", NetdevKind::Socket, None), ("nic0", nic, Some("n0"))] {
        let peer = peer.map(Into::into);
        core.client_add(&NetdevConfig { id: id.into(), kind, peer });
    }
    let socket =
        |monitor: bool| CharBackend::Socket { server: !monitor, reconnect: false, monitor };
    for (id, backend, connected) in [
        ("c0", socket(false), true),
        ("qmp0", socket(true), true),
        ("ring", CharBackend::Ringbuf { size: 4 }, true),
        ("mux", CharBackend::Mux, false),
    ] {
        core.chardev_add(&ChardevConfig { id: id.into(), backend, connected });
    }
    net
}

fn qmp(net: &mut Net, name: &str, args: Value) -> Outcome {
    net.command(&Command::Qmp { name: name.to_owned(), args })
}

fn mirror() -> Value {
    json!({"qom-type": "filter-mirror", "id": "f0", "netdev": "n0", "outdev": "c0"})
}

fn refusal(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case("frobnicate", json!({}), "CommandNotFound: The command frobnicate has not been found")]
#[case(
    "object-add",
    mirror(),
    "GenericError: attempt to add duplicate property 'f0' to object (type 'container')"
)]
#[case(
    "object-add",
    json!({"qom-type": "filter-mirror", "id": "f0", "netdev": "n0", "outdev": "c0", "status": "z"}),
    "GenericError: Invalid value for netfilter status, should be 'on' or 'off'"
)]
#[case("object-del", json!({"id": "nope"}), "GenericError: object 'nope' not found")]
#[case("object-del", json!({}), "GenericError: Parameter 'id' is missing")]
#[case(
    "object-del", json!({"id": 5}),
    "GenericError: Invalid parameter type for 'id', expected: string"
)]
#[case("object-del", json!({"id": "f0", "x": 5}), "GenericError: Parameter 'x' is unexpected")]
#[case(
    "qom-get", json!({"path": "/objects/zz", "property": "x"}),
    "DeviceNotFound: Device '/objects/zz' not found"
)]
#[case(
    "qom-get", json!({"path": "f0", "property": "x"}),
    "GenericError: Property 'filter-mirror.x' not found"
)]
#[case(
    "qom-set", json!({"path": "f0", "property": "type", "value": 1}),
    "GenericError: Property 'filter-mirror.type' is not writable"
)]
#[case(
    "qom-set", json!({"path": "f0", "property": "status", "value": 1}),
    "GenericError: Invalid parameter type for 'status', expected: string"
)]
#[case(
    "qom-set", json!({"path": "f0", "property": "insert", "value": "zz"}),
    "GenericError: Invalid value for netfilter insert, should be 'before' or 'behind'"
)]
#[case("set_link", json!({"name": "zz", "up": true}), "DeviceNotFound: Device 'zz' not found")]
#[case("netdev_del", json!({"id": "zz"}), "DeviceNotFound: Device 'zz' not found")]
#[case("netdev_add", json!({"id": "n0", "type": "user"}), "GenericError: Duplicate ID 'n0'")]
#[case(
    "netdev_add", json!({"id": "n1", "type": "zz"}),
    "GenericError: Parameter 'type' does not accept value 'zz'"
)]
#[case(
    "netdev_add", json!({"id": "n1", "type": "hubport"}),
    "GenericError: Parameter 'hubid' is missing"
)]
#[case(
    "netdev_add", json!({"id": "n1", "type": "hubport", "hubid": 4_294_967_296_u64}),
    "GenericError: Parameter 'hubid' expects int32_t"
)]
#[case("chardev-remove", json!({"id": "c0"}), "GenericError: Chardev 'c0' is busy")]
#[case("chardev-remove", json!({"id": "qmp0"}), "GenericError: Chardev 'qmp0' is busy")]
#[case("chardev-remove", json!({"id": "zz"}), "GenericError: Chardev 'zz' not found")]
#[case(
    "chardev-add", json!({"id": "c0", "backend": {"type": "null", "data": {}}}),
    "GenericError: Chardev with id 'c0' already exists"
)]
#[case(
    "chardev-add", json!({"id": "c9", "backend": {"data": {}}}),
    "GenericError: Parameter 'backend.type' is missing"
)]
#[case(
    "chardev-change", json!({"id": "zz", "backend": {"type": "null", "data": {}}}),
    "GenericError: Chardev 'zz' does not exist"
)]
#[case(
    "chardev-change", json!({"id": "mux", "backend": {"type": "null", "data": {}}}),
    "GenericError: For mux or hub device hotswap is not supported yet"
)]
#[case(
    "chardev-change", json!({"id": "c0", "backend": {"type": "null", "data": {}}}),
    "GenericError: Chardev user does not support chardev hotswap"
)]
#[case(
    "ringbuf-read", json!({"device": "c0", "size": 1}),
    "GenericError: c0 is not a ringbuf device"
)]
fn refusals(#[case] name: &str, #[case] args: Value, #[case] expected: &str) {
    let mut net = net();
    assert_eq!(qmp(&mut net, "object-add", mirror()), Outcome::Done(json!({})));
    assert_eq!(refusal(qmp(&mut net, name, args)), expected);
}

#[test]
fn properties_are_shown_with_their_defaults() {
    let mut net = net();
    qmp(&mut net, "object-add", mirror());
    for (path, property, value) in [
        ("/objects/f0", "type", json!("filter-mirror")),
        ("/objects/f0", "queue", json!("all")),
        ("/objects/f0", "status", json!("on")),
        ("/objects/f0", "position", json!("tail")),
        ("/objects/f0", "insert", json!("behind")),
        ("f0", "outdev", json!("c0")),
        ("f0", "vnet_hdr_support", json!(false)),
        ("/chardevs/c0", "connected", json!(true)),
    ] {
        let args = json!({"path": path, "property": property});
        assert_eq!(qmp(&mut net, "qom-get", args), Outcome::Done(value), "{property}");
    }
}

#[test]
fn a_ring_keeps_the_newest_and_is_read_from_the_oldest() {
    let mut net = net();
    let ring = net.core.chardev_of("ring").unwrap();
    let data = bytes::Bytes::from_static(b"abcdef");
    assert_eq!(net.core.chardev_write(ring, ObjectKey(0), data, None), Ok(false));
    let mut read = |size: u64, format: &str| {
        let args = json!({"device": "ring", "size": size, "format": format});
        qmp(&mut net, "ringbuf-read", args)
    };
    assert_eq!(read(2, "utf8"), Outcome::Done("cd".into()));
    assert_eq!(read(9, "base64"), Outcome::Done("ZWY=".into()));
    assert_eq!(read(9, "utf8"), Outcome::Done("".into()));
}

#[test]
fn a_deleted_netdev_takes_its_filters_along() {
    let mut net = net();
    qmp(&mut net, "object-add", mirror());
    assert_eq!(qmp(&mut net, "netdev_del", json!({"id": "n0"})), Outcome::Done(json!({})));
    assert!(net.core.object_of("f0").is_none());
    let free = qmp(&mut net, "chardev-remove", json!({"id": "c0"}));
    assert_eq!(free, Outcome::Done(json!({})));
    let nic = net.core.client_of("nic0").unwrap();
    assert!(net.core.clients[&nic].link_down);
}

#[test]
fn an_option_string_has_ids_of_its_own() {
    let mut net = net();
    let option = Command::ObjectOption("filter-mirror,id=f0,netdev=n0,outdev=c0".to_owned());
    assert_eq!(net.command(&option), Outcome::Done(json!({})));
    assert_eq!(refusal(net.command(&option)), "GenericError: Duplicate ID 'f0' for object");
    let text = refusal(qmp(&mut net, "object-add", mirror()));
    assert!(text.contains("attempt to add duplicate property 'f0'"), "{text}");
}

#[test]
fn the_base_refuses_a_rewriter_before_it_is_made() {
    let mut net = net();
    let rewriter =
        json!({"qom-type": "filter-rewriter", "id": "b", "netdev": "n0", "position": "middle"});
    let text = refusal(qmp(&mut net, "object-add", rewriter));
    assert_eq!(text, "GenericError: Parameter 'position' expects 'head', 'tail' or 'id=<id>'");
    assert!(net.core.object_of("b").is_none());
}

#[test]
fn what_is_not_built_says_so() {
    let mut net = net();
    let list = json!({"qom-type": "authz-list", "id": "b"});
    let text = refusal(qmp(&mut net, "object-add", list));
    assert!(text.starts_with(crate::machine::NOT_BUILT), "{text}");
    assert!(net.core.object_of("b").is_none());
}

fn returned(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Done(value) => value,
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case("chardev-remove", json!({"id": "mux-base"}), "GenericError: Chardev 'mux-base' is busy")]
#[case(
    "chardev-change",
    json!({"id": "mux-base", "backend": {"type": "null", "data": {}}}),
    "GenericError: Chardev user does not support chardev hotswap"
)]
#[case(
    "chardev-change",
    json!({"id": "qmp0", "backend": {"type": "null", "data": {}}}),
    "GenericError: Chardev user does not support chardev hotswap"
)]
#[case(
    "object-add",
    json!({"qom-type": "filter-mirror", "id": "f", "netdev": "n0", "outdev": "mux-base"}),
    "GenericError: chardev 'mux-base' is already in use"
)]
#[case(
    "ringbuf-write", json!({"device": "c0", "data": "x"}),
    "GenericError: c0 is not a ringbuf device"
)]
#[case(
    "ringbuf-write", json!({"device": "ring", "data": "!!", "format": "base64"}),
    "GenericError: Base64 data contains invalid characters"
)]
#[case("chardev-send-break", json!({"id": "zz"}), "GenericError: Chardev 'zz' not found")]
#[case("query-rx-filter", json!({"name": "zz"}), "GenericError: invalid net client name: zz")]
#[case("query-rx-filter", json!({"name": "n0"}), "GenericError: net client(n0) isn't a NIC")]
#[case("x-colo-lost-heartbeat", json!({}), "GenericError: VM is not in COLO mode")]
#[case(
    "object-add", json!({"qom-type": "iothread", "id": "i", "thread-pool-min": 65}),
    "GenericError: bad thread-pool-min/thread-pool-max values"
)]
#[case(
    "object-add", json!({"qom-type": "iothread", "id": "i", "poll-max-ns": -1}),
    "GenericError: poll-max-ns value must be in range [0, 9223372036854775807]"
)]
#[case("qom-list", json!({"path": ""}), "GenericError: Path '' is ambiguous")]
#[case(
    "qom-get", json!({"path": "/", "property": "status"}),
    "GenericError: Property 'container.status' not found"
)]
#[case(
    "qom-set", json!({"path": "/chardevs", "property": "c0", "value": 1}),
    "GenericError: Property 'container.c0' is not writable"
)]
#[case(
    "qom-set", json!({"path": "c0", "property": "addr", "value": 1}),
    "GenericError: Property 'chardev-socket.addr' is not writable"
)]
#[case(
    "qom-get", json!({"path": "mux", "property": "connected"}),
    "GenericError: Property 'chardev-mux.connected' not found"
)]
fn refusals_around_the_net_layer(#[case] name: &str, #[case] args: Value, #[case] text: &str) {
    assert_eq!(refusal(qmp(&mut net(), name, args)), text);
}

#[test]
fn a_chardev_without_a_frontend_is_gone_before_its_successor_fails() {
    let mut net = net();
    let ring = json!({"id": "c0", "backend": {"type": "ringbuf", "data": {"size": 100}}});
    let text = refusal(qmp(&mut net, "chardev-change", ring));
    assert_eq!(
        text,
        "GenericError: Failed to add chardev 'c0': size of ringbuf chardev must be power of two"
    );
    assert!(net.core.chardev_of("c0").is_none());
}

#[test]
fn a_multiplexer_leaves_its_socket() {
    let mut net = net();
    let labels = |net: &mut Net| {
        let chardevs = returned(qmp(net, "query-chardev", json!({})));
        let chardevs = chardevs.as_array().unwrap().clone();
        let names = chardevs.iter().map(|one| one["label"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(labels(&mut net), ["c0", "qmp0", "ring", "mux", "mux-base"]);
    assert_eq!(returned(qmp(&mut net, "chardev-remove", json!({"id": "mux"}))), json!({}));
    assert_eq!(labels(&mut net), ["c0", "qmp0", "ring", "mux-base"]);
    let base = json!({"id": "mux-base"});
    assert_eq!(returned(qmp(&mut net, "chardev-remove", base)), json!({}));
}

#[rstest]
#[case("abc", "utf8", "abc")]
#[case("YWJj", "base64", "abc")]
#[case("YWJjZGU=", "base64", "bcde")]
fn what_is_written_to_a_ring_buffer(#[case] data: &str, #[case] format: &str, #[case] read: &str) {
    let mut net = net();
    let write = json!({"device": "ring", "data": data, "format": format});
    assert_eq!(returned(qmp(&mut net, "ringbuf-write", write)), json!({}));
    let answer = qmp(&mut net, "ringbuf-read", json!({"device": "ring", "size": 9}));
    assert_eq!(returned(answer), json!(read));
}

#[test]
fn a_value_that_an_iothread_refuses_stays() {
    let mut net = net();
    returned(qmp(&mut net, "object-add", json!({"qom-type": "iothread", "id": "i"})));
    let least = |value: u64| json!({"path": "i", "property": "thread-pool-min", "value": value});
    let text = refusal(qmp(&mut net, "qom-set", least(65)));
    assert_eq!(text, "GenericError: bad thread-pool-min/thread-pool-max values");
    let get = json!({"path": "/objects/i", "property": "thread-pool-min"});
    assert_eq!(returned(qmp(&mut net, "qom-get", get)), json!(65));
}

#[test]
fn a_terminal_has_a_path() {
    let pty = json!({"id": "p", "backend": {"type": "pty", "data": {}}});
    assert_eq!(returned(qmp(&mut net(), "chardev-add", pty)), json!({"pty": "p"}));
}
