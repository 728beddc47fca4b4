//! Scenarios of several machines: whose ids are whose, and what is refused.

use rstest::rstest;

use super::{only_case, text};
use crate::{
    base::{Profile, QemuVersion},
    diag::{Style, render},
    scenario::{ChardevFar, ColoEvent, NetdevType, Verb},
};

#[test]
fn ids_ports_and_namespaces_are_the_machines() {
    let case = only_case("machines");
    let ports: Vec<&str> = case.ports.iter().map(|port| port.id.as_str()).collect();
    assert_eq!(
        ports,
        [
            "primary/hn0.guest",
            "primary/hn0.host",
            "secondary/hn0.guest",
            "secondary/hn0.host",
            "secondary/hn1.guest",
            "secondary/hn1.host",
        ]
    );
    assert_eq!(case.namespaces, ["primary", "secondary"]);
    let taps: Vec<_> = case
        .netdevs
        .iter()
        .map(|netdev| match &netdev.kind {
            NetdevType::Tap { ifname, netns, mac, .. } => {
                (ifname.as_str(), netns.as_deref(), mac.to_string())
            }
            _ => panic!("a TAP"),
        })
        .collect();
    assert_eq!(
        taps,
        [
            ("tap0", Some("primary"), "52:54:00:12:34:56".to_owned()),
            ("tap0", Some("secondary"), "52:54:00:12:34:57".to_owned()),
            ("tap7", Some("primary"), "52:54:00:12:34:58".to_owned()),
        ]
    );
    let id = case.objects[1].id.as_ref().expect("an id");
    assert_eq!(id.as_str(), "secondary/f1");
}

#[test]
fn a_machine_may_model_another_qemu() {
    let case = only_case("machines");
    let profiles: Vec<Profile> =
        case.machines.iter().map(|machine| case.profile_of(&machine.id).clone()).collect();
    let expected = [QemuVersion::Qemu72, QemuVersion::Qemu102].map(Profile::new);
    assert_eq!(profiles, expected);
}

#[test]
fn chardevs_are_joined_by_address_across_machines_and_with_later_ones() {
    let case = only_case("machines");
    let far: Vec<(&str, Option<&str>)> = case
        .chardevs
        .iter()
        .map(|chardev| {
            let far = match &chardev.far {
                ChardevFar::Joined(other) => Some(other.as_str()),
                _ => None,
            };
            (chardev.id.as_str(), far)
        })
        .collect();
    assert_eq!(
        far,
        [
            ("primary/mirror0", Some("secondary/red0")),
            ("primary/compare0", Some("primary/compare0-0")),
            ("primary/compare0-0", Some("primary/compare0")),
            ("primary/out0", Some("primary/late")),
            ("secondary/red0", Some("primary/mirror0")),
        ]
    );
    assert_eq!(case.joined.len(), 6);
}

#[test]
fn commands_and_events_are_addressed() {
    let case = only_case("machines");
    let Verb::Qmp { machine, .. } = &case.steps[1].verb else { panic!("a command") };
    assert_eq!(machine.as_str(), "secondary");
    let colo = |step: usize| match &case.steps[step].verb {
        Verb::Colo { event, machine } => (*event, machine.as_ref().map(ToString::to_string)),
        _ => panic!("an event of COLO"),
    };
    assert_eq!(colo(2), (ColoEvent::Checkpoint, None));
    let secondary = Some("secondary".to_owned());
    assert_eq!(colo(3), (ColoEvent::Failover, secondary));
}

#[rstest]
#[case::no_server("c0: \"socket,host=3.3.3.3,port=1\"", "listens at 3.3.3.3:1")]
#[case::a_loopback_elsewhere("c0: \"socket,host=localhost,port=9\"", "listens at localhost:9")]
#[case::said_to_be_a_port("c0: {host: 3.3.3.3, port: 1, connected: true}", "")]
#[case::two_servers("c0: {path: p, server: on}", "two servers share the address p")]
#[case::served("c0: \"socket,host=3.3.3.3,port=9\"", "")]
fn addresses_are_checked(#[case] chardev: &str, #[case] expected: &str) {
    let scenario = text(&format!(
        "description: x
machines:
  a:
    chardevs:
      s0: {{host: 0.0.0.0, port: 9, server: on}}
      s1: {{path: p, server: on}}
  b: {{chardevs: {{{chardev}}}}}"
    ));
    let said = scenario.err().map(|reports| render(&reports, Style::Plain));
    match said {
        Some(said) => assert!(!expected.is_empty() && said.contains(expected), "{said}"),
        None => assert_eq!(expected, ""),
    }
}
