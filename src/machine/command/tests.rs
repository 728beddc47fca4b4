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
