//! What of an object that is refused was perhaps meant otherwise. QEMU says which check failed, and
//! not that `outdve` is a slip of the pen.

use crate::{
    base::MachineId,
    qapi::{ObjectOption, object_types, properties_of},
    scenario::{Case, Object, ObjectForm, list, nearest},
};

/// Properties of an object that are looked at: none has so many.
const LOOKED_AT: usize = 100;

/// What names a netdev.
const NETDEVS: &[&str] = &["netdev", "in_netdev", "out_netdev"];

/// What names a chardev.
const CHARDEVS: &[&str] = &["indev", "outdev", "primary_in", "secondary_in", "notify_dev"];

/// The first slip that is found: in the type, in a property's name, in what a property names.
pub(super) fn slip(case: &Case, object: &Object) -> Option<String> {
    let version = case.profile_of(&object.machine).version();
    let written: Vec<(String, String)> = match &object.form {
        ObjectForm::Option(text) => ObjectOption::written(text),
        ObjectForm::Qmp(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    };
    let (_, kind) = written.iter().find(|(name, _)| name == "qom-type")?;
    let Some(known) = properties_of(kind, version) else {
        let near = nearest(kind, object_types(version))?;
        return Some(format!("did you mean the type `{near}`?"));
    };
    written.iter().take(LOOKED_AT).find_map(|(name, value)| {
        let head = name == "qom-type" || name == "id";
        if !head && !known.contains(&name.as_str()) {
            let near = nearest(name, known.iter().copied())?;
            return Some(format!("`{kind}` has no `{name}`; did you mean `{near}`?"));
        }
        undeclared(case, &object.machine, name, value)
    })
}

fn undeclared(case: &Case, machine: &MachineId, name: &str, value: &str) -> Option<String> {
    let (what, declared): (_, Vec<&str>) = if NETDEVS.contains(&name) {
        let ids = case.netdevs.iter().map(|one| one.id.as_str());
        ("netdev", ids.filter_map(|id| machine.local(id)).collect())
    } else if CHARDEVS.contains(&name) {
        let ids = case.chardevs.iter().map(|one| one.id.as_str());
        ("chardev", ids.filter_map(|id| machine.local(id)).collect())
    } else {
        return None;
    };
    if value.is_empty() || declared.contains(&value) {
        return None;
    }
    Some(match declared.is_empty() {
        true => format!("no {what} is declared, and `{name}` names `{value}`"),
        false => format!(
            "`{name}` names `{value}`, and the {what}s declared are {}",
            list(declared.iter().copied())
        ),
    })
}
