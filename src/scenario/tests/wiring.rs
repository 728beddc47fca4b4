//! The framing and the header of a chardev, however an object says what they are.

use std::sync::Arc;

use rstest::rstest;

use super::text;
use crate::{base::ChardevId, record::Framing, scenario::*};

const HEAD: &str = "description: x
netdevs: { hn0: { nic: virtio, vnet_hdr_len: 10 }, hn1: {} }
chardevs: { c0: {}, c1: {}, c2: {} }
";

fn case(rest: &str) -> Case {
    let Ok(scenario) = text(&format!("{HEAD}{rest}\n")) else { panic!("a valid scenario") };
    let first = scenario.cases.into_iter().next().expect("a case");
    Arc::unwrap_or_clone(first)
}

fn wiring(case: &Case, id: &str) -> Wiring {
    let chardev = case.chardevs.iter().find(|chardev| chardev.id.as_str() == id);
    match chardev.map(|chardev| &chardev.far) {
        Some(ChardevFar::Port { wiring, .. }) => *wiring,
        _ => panic!("a port"),
    }
}

/// An object as a scenario has it, and as a step adds it.
fn both(object: &str) -> [Case; 2] {
    let object = if object.starts_with('{') { object.to_owned() } else { format!("'{object}'") };
    [case(&format!("objects: [{object}]")), case(&format!("steps: [{{ object-add: {object} }}]"))]
}

#[rstest]
#[case::outdev("filter-mirror,id=f0,netdev=hn0,outdev=c0", 10)]
#[case::the_last_of_two_counts("filter-mirror,id=f0,netdev=hn1,outdev=c0,netdev=hn0", 10)]
#[case::indev_as_a_map("{qom-type: filter-redirector, id: f0, netdev: hn0, indev: c0}", 10)]
#[case::indev_as_json(
    r#"{"qom-type": "filter-redirector", "id": "f0", "netdev": "hn0", "indev": "c0"}"#,
    10
)]
#[case::of_a_plain_guest("filter-mirror,id=f0,netdev=hn1,outdev=c0", 0)]
#[case::another_chardev_s("filter-mirror,id=f0,netdev=hn0,outdev=c1", 0)]
#[case::a_comma_in_a_value("filter-mirror,id=f0,netdev=hn0,outdev=x,,outdev=c0", 0)]
fn a_chardev_has_the_header_of_the_netdev_of_its_filter(
    #[case] object: &str,
    #[case] expected: usize,
) {
    for case in both(object) {
        let wiring = wiring(&case, "c0");
        assert_eq!((wiring.framing, wiring.vnet_hdr_len), (Framing::Plain, expected));
    }
}

#[rstest]
#[case("vnet_hdr_support=on", true)]
#[case("vnet_hdr_support=yes", true)]
#[case("vnet_hdr_support=true", true)]
#[case("vnet_hdr_support=y", true)]
#[case("vnet_hdr_support", true)]
#[case("vnet_hdr_support=off,vnet_hdr_support=on", true)]
#[case("novnet_hdr_support", false)]
#[case("vnet_hdr_support=off", false)]
#[case("vnet_hdr_support=on,vnet_hdr_support=off", false)]
#[case("notify_dev=c2", false)]
fn a_comparer_s_frames_have_a_header_however_it_is_asked_for(
    #[case] option: &str,
    #[case] expected: bool,
) {
    let compare = "primary_in=c0,secondary_in=c1,outdev=out0,iothread=io0";
    for case in both(&format!("colo-compare,id=f0,{compare},{option}")) {
        for chardev in ["c0", "c1"] {
            assert_eq!(wiring(&case, chardev), of_comparer(expected), "{chardev}");
        }
    }
}

const fn of_comparer(vnet: bool) -> Wiring {
    match vnet {
        true => Wiring { framing: Framing::Vnet, vnet_hdr_len: 12 },
        false => Wiring { framing: Framing::Plain, vnet_hdr_len: 0 },
    }
}

#[test]
fn a_comparer_in_json_has_a_header_too() {
    let members = "qom-type: colo-compare, id: f0, primary_in: c0, secondary_in: c1, outdev: out0, \
                   notify_dev: c2, vnet_hdr_support: true";
    let json = r#"{"qom-type":"colo-compare","id":"f0","primary_in":"c0","secondary_in":"c1","outdev":"out0","notify_dev":"c2","vnet_hdr_support":true}"#;
    for case in both(&format!("{{{members}}}")).into_iter().chain([
        case(&format!("objects: ['{json}']")),
        case(&format!("steps: [{{ object-add: '{json}' }}]")),
    ]) {
        assert_eq!(wiring(&case, "c1"), of_comparer(true));
        assert_eq!(wiring(&case, "c2"), of_comparer(false));
    }
}

#[test]
fn a_chardev_that_a_step_adds_is_wired_as_one_that_is_declared() {
    let add =
        |id: &str| format!("chardev-add: {{ id: {id}, backend: {{ type: socket, data: {{}} }} }}");
    let case = case(&format!(
        "objects: ['filter-mirror,id=f0,netdev=hn0,outdev=c0,vnet_hdr_support']
steps:
- chardev-remove: c0
- {}
- {}
- object-add: filter-redirector,id=f1,netdev=hn0,indev=late,vnet_hdr_support=yes",
        add("c0"),
        add("late"),
    ));
    let expected = Wiring { framing: Framing::Vnet, vnet_hdr_len: 10 };
    for id in ["c0", "late"] {
        assert_eq!(case.added_chardevs.get(&ChardevId::from(id)), Some(&expected), "{id}");
    }
}
