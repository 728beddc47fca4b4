//! Whether a real QEMU can carry a case out, and why not. The runner asks before it opens a world.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::Value;

use super::probe::Probed;
use crate::{
    backend::Missing,
    qapi,
    scenario::{Case, Chardev, Machine, Netdev, NetdevType, Nic, Object, Step, Verb},
};

mod colo;
mod dump;
mod migration;
mod sockets;

/// The longest that a case may let the machine's clock run, which is the wall's here: half of what a
/// case may take where nothing else is said.
const LONGEST_ADVANCE: Duration = Duration::from_secs(30);

/// Chardevs that can be made without a network or a terminal.
const CHARDEVS: [&str; 5] = ["socket", "null", "file", "ringbuf", "mux"];

/// Whether a case can be carried out by this QEMU without a guest.
pub(super) fn check(case: &Case, probed: &Probed) -> Result<(), Missing> {
    let missing = |reason: String| Err(Missing(reason));
    let other = |machine: &&Machine| {
        let profile = machine.profile.as_ref();
        profile.is_some_and(|profile| *profile != probed.profile)
    };
    if let Some(machine) = case.machines.iter().find(other) {
        return missing(format!(
            "the machine {} is {}, and this is {}",
            machine.id,
            case.profile_of(&machine.id),
            probed.profile
        ));
    }
    if let Some(reason) = colo::unfit(case, probed) {
        return missing(reason);
    }
    if let Some(reason) = migration::unfit(case) {
        return missing(reason);
    }
    if let Some(reason) = sockets::unfit(case) {
        return missing(reason);
    }
    if let Some(stack) = case.stacks.first() {
        return missing(format!(
            "the TCP/IP stack at {} runs on the machine's clock, and QEMU's is the wall's",
            stack.port
        ));
    }
    let impairs = |step: &Step| matches!(step.verb, Verb::Impair(_));
    if !case.impair.is_empty() || case.steps.iter().any(impairs) {
        return missing("impairments run on the machine's clock, and QEMU's is the wall's".into());
    }
    let carries = !case.steps.is_empty();
    let world = narrowed_netdevs(case);
    for netdev in &world {
        if matches!(netdev.kind, NetdevType::User) && !probed.has_user {
            return missing(format!("QEMU {} has no netdevs of type user", probed.version));
        }
        if let NetdevType::Tap { vhost, nic, queues, .. } = &netdev.kind {
            let id = &netdev.id;
            if *vhost && !Path::new("/dev/vhost-net").exists() {
                return missing(format!("netdev {id}: there is no /dev/vhost-net"));
            }
            if *vhost && carries {
                return missing(format!("netdev {id}: vhost runs only with a guest's driver"));
            }
            if matches!(nic, Nic::Virtio { .. }) && carries {
                return missing(format!("netdev {id}: a virtio NIC needs a guest's driver"));
            }
            if *queues > 1 && carries {
                return missing(format!("netdev {id}: only one queue has a guest here"));
            }
        }
    }
    for chardev in &case.chardevs {
        if let Some(reason) = unfit(chardev) {
            return missing(format!("chardev {}: {reason}", chardev.id));
        }
    }
    let advance = advances(case);
    if advance > LONGEST_ADVANCE {
        return missing(format!(
            "advances {advance:?}, and QEMU's clock is the wall's: at most {LONGEST_ADVANCE:?}"
        ));
    }
    if !advance.is_zero() && case.all_objects().any(|object| is_of(object, "filter-buffer")) {
        return missing("a filter-buffer's periods are of the wall's clock here".to_owned());
    }
    if case.all_objects().any(|one| is_of(one, "colo-compare") && !is_never_due(one, advance)) {
        return missing("a colo-compare's compare_timeout is of the wall's clock here".to_owned());
    }
    if let Some(reason) = dump::unfit(case) {
        return missing(reason);
    }
    let built = |object: &&Object| {
        let kind = object.properties.qom_type();
        kind.and_then(|kind| probed.lacks.iter().find(|lacked| **lacked == kind)).is_some()
    };
    if let Some(object) = wanted(case).find(built) {
        let kind = object.properties.qom_type().unwrap_or_default();
        return missing(format!("this build of QEMU {} has no {kind}", probed.version));
    }
    if let Some(kind) = lacked(case, probed) {
        return missing(format!("QEMU {} has no {kind}", probed.version));
    }
    if carries && !probed.has_in_netdev() && needs_af_packet(case) {
        return missing(format!(
            "the filter-redirector of QEMU {} has no in_netdev and no out_netdev",
            probed.version
        ));
    }
    Ok(())
}

/// A probe with the netdevs alone that its objects name: a QEMU that has no vhost, or no netdevs of
/// type user, answers every other probe.
pub(super) fn narrowed(case: &Arc<Case>) -> Arc<Case> {
    let netdevs = narrowed_netdevs(case);
    if netdevs.len() == case.netdevs.len() {
        return Arc::clone(case);
    }
    let netdevs = netdevs.into_iter().cloned().collect();
    let mut case = Case::clone(case);
    case.netdevs = netdevs;
    Arc::new(case)
}

fn narrowed_netdevs(case: &Case) -> Vec<&Netdev> {
    // What stands on the host's side may need any TAP.
    let has_host_side =
        !(case.namespaces.is_empty() && case.links.is_empty() && case.bridges.is_empty());
    let stays = !case.steps.is_empty() || has_host_side;
    let named = |netdev: &&Netdev| {
        case.all_objects().any(|object| {
            let id = object.machine.local(netdev.id.as_str());
            netdev.machine == object.machine
                && object.properties.members().iter().any(|member| {
                    object.properties.shown(member.name).as_deref()
                        == Some(id.unwrap_or(netdev.id.as_str()))
                })
        })
    };
    case.netdevs.iter().filter(|netdev| stays || named(netdev)).collect()
}

/// How long a case lets the machine's clock run.
#[must_use]
pub fn advances(case: &Case) -> Duration {
    let spans = case.steps.iter().map(|step| step.verb.advances());
    spans.fold(Duration::ZERO, Duration::saturating_add)
}

fn unfit(chardev: &Chardev) -> Option<String> {
    let backend = chardev.backend.as_str();
    if chardev.options.contains_key("af-packet-mode") {
        return Some("no AF_PACKET descriptor is handed to a QEMU here".to_owned());
    }
    (!CHARDEVS.contains(&backend)).then(|| format!("the backend {backend} can't be carried"))
}

/// Whether nothing is due in a colo-compare while a case runs. By default it looks each 3 s for what
/// has waited as long (QEMU 7.2.22 `net/colo-compare.c`), which is longer than a case takes; where
/// nothing is held too long, its looks change nothing.
fn is_never_due(object: &Object, advance: Duration) -> bool {
    let given = |name: &str| object.properties.shown(name);
    match given("compare_timeout").map(|millis| millis.parse()) {
        Some(Ok(millis)) => Duration::from_millis(millis) > 2 * LONGEST_ADVANCE,
        Some(Err(_)) => false,
        None => advance.is_zero() && given("expired_scan_cycle").is_none(),
    }
}

/// Whether the case speaks of properties that only the RFC has.
#[must_use]
pub fn uses_af_packet(case: &Case) -> bool {
    case.all_objects().any(is_new) || case.steps.iter().any(|step| asks_for_new(&step.verb))
}

/// Whether it does, and not to see that refused.
fn needs_af_packet(case: &Case) -> bool {
    let mut steps = case.steps.iter().filter(|step| step.error.is_none());
    wanted(case).any(is_new) || steps.any(|step| asks_for_new(&step.verb))
}

/// A type of a wanted object that other versions have, and this QEMU has not. Of a version without
/// tables it is not known which of the types it has that are nothing but names here.
fn lacked<'c>(case: &'c Case, probed: &Probed) -> Option<&'c str> {
    let version = probed.profile.version();
    let is_known =
        |kind: &str| probed.version.is_modelled() || qapi::is_modelled(kind).unwrap_or_default();
    wanted(case)
        .filter_map(|object| object.properties.qom_type())
        .find(|kind| qapi::lacks_type(kind, version) && is_known(kind))
}

/// The objects that the case does not ask for only to see them refused.
fn wanted(case: &Case) -> impl Iterator<Item = &Object> {
    let refused = |object: &&Object| {
        let errors = &case.expect.errors;
        errors.iter().any(|(id, _)| Some(id) == object.id.as_ref())
    };
    let declared = case.objects.iter().filter(move |object| !refused(object));
    let added = case.steps.iter().filter(|step| step.error.is_none());
    declared.chain(added.filter_map(|step| match &step.verb {
        Verb::ObjectAdd(object) => Some(object),
        _ => None,
    }))
}

/// Whether an object has a property that only the RFC has.
fn is_new(object: &Object) -> bool {
    object.properties.members().iter().any(|member| qapi::needs_af_packet(member.name))
}

/// Whether a command names such a property.
fn asks_for_new(verb: &Verb) -> bool {
    match verb {
        Verb::Qmp { args, .. } => {
            args.get("property").and_then(Value::as_str).is_some_and(qapi::needs_af_packet)
        }
        _ => false,
    }
}

/// Whether an object is asked for as one of this type.
fn is_of(object: &Object, kind: &str) -> bool {
    object.properties.qom_type() == Some(kind)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::backend::{builtin::case, qemu::version::Version};

    /// What a QEMU 7.2.22 says of a case with these objects.
    fn reason(objects: &str, steps: &str) -> Option<String> {
        let text = format!(
            "netdevs: {{ hn0: {{}}, out_netdev0: {{}} }}\nchardevs: {{ c0: {{}}, c1: {{}} }}\n\
             objects:\n{objects}\nsteps:\n- send: hn0.guest\n  frames: [{{ hex: \"00\" }}]\n{steps}"
        );
        let version = Version { major: 7, minor: 2, micro: 22 };
        let probed = Probed {
            version,
            profile: version.profile(),
            patch: None,
            has_checkpoint: false,
            lacks: Vec::new(),
            has_user: true,
            missing: Vec::new(),
        };
        check(&case(&text), &probed).err().map(|Missing(reason)| reason)
    }

    const DUE: &str = "a colo-compare's compare_timeout is of the wall's clock here";

    #[rstest]
    #[case("compare_timeout=1", Some(DUE))]
    #[case("compare_timeout=3600000", None)]
    #[case("compare_timeout=1,compare_timeout=3600000", None)]
    #[case("compare_timeout=3600000,compare_timeout=1", Some(DUE))]
    fn the_last_of_two_values_counts(#[case] given: &str, #[case] expected: Option<&str>) {
        let objects = format!(
            "- iothread,id=io0\n- colo-compare,id=x,primary_in=c0,secondary_in=c1,outdev=c0,iothread=io0,{given}"
        );
        assert_eq!(reason(&objects, "").as_deref(), expected);
    }

    #[rstest]
    #[case::an_id("- filter-redirector,id=out_netdev0,netdev=hn0,outdev=c0", false)]
    #[case::a_value("- filter-redirector,id=f0,netdev=out_netdev0,outdev=c0", false)]
    #[case::json(
        r#"- '{"qom-type": "filter-mirror", "id": "in_netdev", "netdev": "hn0", "outdev": "c0"}'"#,
        false
    )]
    #[case::a_name("- filter-redirector,id=f0,netdev=hn0,out_netdev=out_netdev0", true)]
    fn a_case_is_about_the_rfc_by_its_properties_alone(
        #[case] object: &str,
        #[case] expected: bool,
    ) {
        let no = "the filter-redirector of QEMU 7.2.22 has no in_netdev and no out_netdev";
        assert_eq!(reason(object, "").as_deref(), expected.then_some(no));
    }

    /// A probe: its objects, and the netdevs of its world.
    #[rstest]
    #[case::one("- filter-mirror,id=m0,netdev=hn0,outdev=c0", &["hn0"])]
    #[case::two("- filter-redirector,id=f0,netdev=us0,in_netdev=vh0,outdev=c0", &["vh0", "us0"])]
    #[case::json(
        r#"- { qom-type: filter-mirror, id: m0, netdev: us0, outdev: c0 }"#,
        &["us0"]
    )]
    #[case::of_another_name("- filter-mirror,id=hn1,netdev=nope,outdev=c0", &[])]
    fn a_probe_has_the_netdevs_that_it_names(#[case] object: &str, #[case] expected: &[&str]) {
        let world = |steps: &str| {
            let text = format!(
                "netdevs: {{ hn0: {{}}, vh0: {{ vhost: true }}, us0: {{ type: user }} }}\n\
                 chardevs: {{ c0: {{}} }}\nobjects:\n{object}\n{steps}"
            );
            let narrowed = narrowed(&Arc::new(case(&text)));
            let ids = narrowed.netdevs.iter().map(|netdev| netdev.id.as_str().to_owned());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(world(""), expected);
        let send = "steps: [{ send: hn0.guest, frames: [{ hex: \"00\" }] }]\n";
        assert_eq!(world(send), ["hn0", "vh0", "us0"]);
    }

    #[rstest]
    #[case("- object-add: iommufd,id=i", Some("QEMU 7.2.22 has no iommufd"))]
    #[case("- object-add: iommufd,id=i\n  error: x", None)]
    #[case("- object-add: filter-teleport,id=i", None)]
    fn a_type_of_another_version_is_not_asked_for(
        #[case] step: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(reason("- iothread,id=io0", step).as_deref(), expected);
    }
}
