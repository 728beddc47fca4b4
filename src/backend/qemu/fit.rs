use std::{path::Path, time::Duration};

use serde_json::{Map, Value};

use super::backend::Probed;
use crate::{
    backend::Missing,
    base::MachineId,
    scenario::{Case, Chardev, Machine, NetdevType, Nic, Object, ObjectForm, Step, Verb},
};

mod colo;
mod dump;
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
    for netdev in &case.netdevs {
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
    if !advance.is_zero() && case_has(case, |form| is_of(form, "filter-buffer")) {
        return missing("a filter-buffer's periods are of the wall's clock here".to_owned());
    }
    if case_has(case, |form| is_of(form, "colo-compare") && !is_never_due(form, advance)) {
        return missing("a colo-compare's compare_timeout is of the wall's clock here".to_owned());
    }
    if let Some(reason) = dump::unfit(case) {
        return missing(reason);
    }
    if carries && !probed.has_in_netdev && needs_af_packet(case) {
        return missing(format!(
            "the filter-redirector of QEMU {} has no in_netdev and no out_netdev",
            probed.version
        ));
    }
    Ok(())
}

/// How long a case lets the machine's clock run.
#[must_use]
pub fn advances(case: &Case) -> Duration {
    let spans = case.steps.iter().map(|step| step.verb.advances());
    spans.fold(Duration::ZERO, Duration::saturating_add)
}

fn unfit(chardev: &Chardev) -> Option<String> {
    let backend = chardev.backend.as_str();
    (!CHARDEVS.contains(&backend)).then(|| format!("the backend {backend} can't be carried"))
}

/// Whether an object of the case, also one that a step adds, is such a one.
fn case_has(case: &Case, is: impl Fn(&ObjectForm) -> bool) -> bool {
    forms(case).any(|(_, form)| is(&form))
}

/// The objects of the case and of which machine they are, also those that steps add.
fn forms(case: &Case) -> impl Iterator<Item = (&MachineId, ObjectForm)> {
    let added = case.steps.iter().filter_map(|step| match &step.verb {
        Verb::Qmp { machine, command, args } if command == "object-add" => {
            Some((machine, ObjectForm::Qmp(args.clone())))
        }
        Verb::ObjectOption(object) => Some((&object.machine, object.form.clone())),
        _ => None,
    });
    let objects = case.objects.iter();
    objects.map(|object| (&object.machine, object.form.clone())).chain(added)
}

fn is_of(form: &ObjectForm, kind: &str) -> bool {
    match form {
        ObjectForm::Option(text) => text.contains(kind),
        ObjectForm::Qmp(args) => args.get("qom-type").and_then(Value::as_str) == Some(kind),
    }
}

/// A property's value in either form, as text.
fn property(form: &ObjectForm, name: &str) -> Option<String> {
    match form {
        ObjectForm::Option(text) => text
            .split(',')
            .filter_map(|part| part.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned()),
        ObjectForm::Qmp(args) => match args.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
    }
}

/// Whether nothing is due in a colo-compare while a case runs. By default it looks each 3 s for what
/// has waited as long (QEMU 7.2.22 `net/colo-compare.c`), which is longer than a case takes; where
/// nothing is held too long, its looks change nothing.
fn is_never_due(form: &ObjectForm, advance: Duration) -> bool {
    match property(form, "compare_timeout").map(|millis| millis.parse()) {
        Some(Ok(millis)) => Duration::from_millis(millis) > 2 * LONGEST_ADVANCE,
        Some(Err(_)) => false,
        None => advance.is_zero() && property(form, "expired_scan_cycle").is_none(),
    }
}

/// Whether the case speaks of properties that only the RFC has.
#[must_use]
pub fn uses_af_packet(case: &Case) -> bool {
    case.objects.iter().any(|object| form_uses(&object.form))
        || case.steps.iter().any(|step| verb_uses(&step.verb))
}

/// Whether it does, and not to see that refused.
fn needs_af_packet(case: &Case) -> bool {
    let refused = |object: &Object| {
        let errors = &case.expect.errors;
        errors.iter().any(|(id, _)| Some(id) == object.id.as_ref())
    };
    let objects = &case.objects;
    objects.iter().any(|object| form_uses(&object.form) && !refused(object))
        || case.steps.iter().any(|step| step.error.is_none() && verb_uses(&step.verb))
}

fn verb_uses(verb: &Verb) -> bool {
    match verb {
        Verb::Qmp { args, .. } => map_uses(args),
        Verb::ObjectOption(object) => form_uses(&object.form),
        _ => false,
    }
}

fn form_uses(form: &ObjectForm) -> bool {
    match form {
        ObjectForm::Option(text) => PROPERTIES.iter().any(|name| text.contains(name)),
        ObjectForm::Qmp(args) => map_uses(args),
    }
}

/// The properties of the RFC.
pub(super) const PROPERTIES: [&str; 2] = ["in_netdev", "out_netdev"];

fn map_uses(args: &Map<String, Value>) -> bool {
    let property = args.get("property").and_then(Value::as_str);
    PROPERTIES.iter().any(|name| args.contains_key(*name) || property == Some(name))
}
