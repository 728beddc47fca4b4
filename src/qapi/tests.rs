//! Option strings and QMP members, and what QEMU makes of them.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::base::QemuVersion::{self, Ideal, Qemu72, Qemu102, RfcV1};

fn qmp(args: &Value) -> Result<Spec, Refusal> {
    spec(Source::Json(args.as_object().unwrap()), Qemu102, false)
}

#[rstest]
#[case("", "Parameter 'qom-type' is missing")]
#[case("filter-nope,id=f0", "Parameter 'qom-type' does not accept value 'filter-nope'")]
#[case("filter-nope,id=0f", "Parameter 'id' expects an identifier")]
#[case("filter-mirror,netdev=n0,outdev=c0", "Parameter 'id' is missing")]
#[case("filter-mirror,id=m0", "Parameter 'netdev' is missing")]
#[case("filter-mirror,id=m0,netdev=n0", "Parameter 'outdev' is missing")]
#[case("filter-mirror,id=m,netdev=n,queue=both", "Parameter 'queue' does not accept value 'both'")]
#[case("filter-mirror,id=m,netdev=n,outdev=c,indev=d", "Invalid parameter 'indev'")]
#[case(
    "filter-mirror,id=m,netdev=n,outdev=c,vnet_hdr_support=1",
    "Parameter 'vnet_hdr_support' expects 'on' or 'off'"
)]
#[case("filter-mirror,id=m,netdev=n,outdev=c,vnet_hdr_support=y", "ok")]
#[case("filter-mirror,id=m,netdev=n,outdev=c,queue=zz,queue=rx", "ok")]
#[case("filter-mirror,id=m,netdev=n,outdev=a,,b,status=zz", "ok")]
#[case("filter-buffer,id=b,netdev=n,interval=x", "Parameter 'interval' expects a uint64 value")]
#[case("filter-buffer,id=b,netdev=n,interval=4294967296", "Parameter 'interval' expects uint32_t")]
#[case("filter-buffer,id=b,netdev=n,interval=0x10", "ok")]
#[case("filter-buffer,id=b,netdev=n,interval=0x+5", "Parameter 'interval' expects a uint64 value")]
#[case(
    r#"{"qom-type":"filter-mirror","id":5}"#,
    "Invalid parameter type for 'id', expected: string"
)]
fn option_strings(#[case] text: &str, #[case] expected: &str) {
    let refused = Properties::of_option(text).check(Qemu102).err();
    let refused = refused.map(|refused| refused.error.desc);
    assert_eq!(refused.as_deref().unwrap_or("ok"), expected);
}

#[rstest]
#[case(json!({}), "Parameter 'qom-type' is missing")]
#[case(json!({"qom-type": 1}), "Invalid parameter type for 'qom-type', expected: string")]
#[case(json!({"qom-type": "filter-mirror"}), "Parameter 'id' is missing")]
#[case(
    json!({"qom-type": "filter-mirror", "id": "m0", "netdev": null}),
    "Invalid parameter type for 'netdev', expected: string"
)]
#[case(
    json!({"qom-type": "filter-buffer", "id": "b", "netdev": "n", "interval": "5"}),
    "Parameter 'interval' expects uint64"
)]
#[case(
    json!({"qom-type": "filter-buffer", "id": "b", "netdev": "n", "interval": 1.5}),
    "Parameter 'interval' expects uint64"
)]
#[case(
    json!({"qom-type": "filter-buffer", "id": "b", "netdev": "n", "interval": -1}),
    "Parameter 'interval' expects uint32_t"
)]
#[case(
    json!({"qom-type": "filter-rewriter", "id": "r", "netdev": "n", "vnet_hdr_support": "on"}),
    "Invalid parameter type for 'vnet_hdr_support', expected: boolean"
)]
#[case(
    json!({"qom-type": "filter-replay", "id": "r", "netdev": "n0", "zzz": 1, "aaa": 2}),
    "Parameter 'zzz' is unexpected"
)]
fn qmp_members(#[case] args: Value, #[case] expected: &str) {
    assert_eq!(qmp(&args).unwrap_err().desc, expected);
}

#[rstest]
#[case(Qemu72, false)]
#[case(Qemu102, false)]
#[case(RfcV1, true)]
#[case(Ideal, true)]
fn the_rfc_has_two_more_members(#[case] version: QemuVersion, #[case] expected: bool) {
    let kind = object_type("filter-redirector", version).unwrap();
    let names: Vec<&str> = kind.members(version).map(|member| member.name).collect();
    assert_eq!(names.contains(&"in_netdev"), expected);
    assert_eq!(names[..5], ["netdev", "queue", "status", "position", "insert"]);
}

#[test]
fn the_tables_agree_with_each_other() {
    for kind in OBJECT_TYPES {
        assert_eq!(OBJECT_TYPES.iter().filter(|other| other.name == kind.name).count(), 1);
        let names: Vec<&str> = kind.members(RfcV1).map(|member| member.name).collect();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{}", kind.name);
    }
}

// Measured with qom-list-types.
#[rstest]
#[case(Qemu72, "buffer rewriter redirector replay mirror dump")]
#[case(Qemu102, "mirror rewriter buffer dump replay redirector")]
#[case(RfcV1, "mirror rewriter buffer dump replay redirector")]
fn filters_are_listed_in_the_order_of_the_version(
    #[case] version: QemuVersion,
    #[case] expected: &str,
) {
    let listed = filter_types(version);
    let listed: Vec<&str> =
        listed.iter().filter_map(|name| name.strip_prefix("filter-")).take(6).collect();
    assert_eq!(listed.join(" "), expected);
}

#[rstest]
#[case("igvm-cfg", Qemu72, true)]
#[case("igvm-cfg", Qemu102, false)]
#[case("filter-mirror", Qemu72, false)]
#[case("filter-teleport", Qemu72, false)]
fn a_type_is_lacked_that_another_version_has(
    #[case] name: &str,
    #[case] version: QemuVersion,
    #[case] expected: bool,
) {
    assert_eq!(lacks_type(name, version), expected);
}

#[test]
fn a_name_has_one_role_in_all_types() {
    for kind in OBJECT_TYPES {
        for property in kind.members(RfcV1) {
            assert_eq!(role_of(property.name), Some(property.role), "{}", property.name);
        }
    }
    assert_eq!(role_of("colour"), None);
}

#[rstest]
#[case("in_netdev", true)]
#[case("out_netdev", true)]
#[case("outdev", false)]
#[case("id", false)]
#[case("colour", false)]
fn some_properties_are_the_rfc_s(#[case] name: &str, #[case] expected: bool) {
    assert_eq!(needs_af_packet(name), expected);
}

// As 7.2.22, 10.0.13 and 11.1.3 answer: with help, and nothing else on standard error than this.
#[rstest]
#[case("help", Some(""))]
#[case("?", Some(""))]
#[case("help,id=f0", Some(""))]
#[case("id=f0,qom-type=help", Some(""))]
#[case("filter-mirror,help", Some(""))]
#[case("filter-mirror,id=f0,?=x", Some(""))]
#[case("netfilter,help", Some(""))]
#[case(
    "filter-mirror,id=f0,nohelp",
    Some("short-form boolean option 'nohelp' deprecated\nPlease use help=off instead")
)]
#[case("filter-mirror,id=0f,help", None)]
#[case("nope,help", None)]
#[case("id=f0,help", None)]
#[case("filter-mirror,x=help", None)]
#[case("filter-mirror,Help", None)]
#[case(r#"{"qom-type":"filter-mirror","help":true}"#, None)]
fn a_text_that_asks_for_help(#[case] text: &str, #[case] warned: Option<&str>) {
    let warnings = Properties::of_option(text).help(Qemu72);
    assert_eq!(warnings.map(|warnings| warnings.join("|")).as_deref(), warned);
}
