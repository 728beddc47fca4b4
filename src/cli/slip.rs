//! What of an object that is refused was perhaps meant otherwise. QEMU says which check failed, and
//! not that `outdve` is a slip of the pen.

use crate::{
    base::MachineId,
    qapi::{Member, object_types, properties_of},
    scenario::{Case, Object, list, nearest},
};

/// Properties of an object that are looked at: none has so many.
const LOOKED_AT: usize = 100;

/// The first slip that is found: in the type, in a property's name, in what a property names.
pub(super) fn slip(case: &Case, object: &Object) -> Option<String> {
    let version = case.profile_of(&object.machine).version();
    let kind = object.properties.qom_type()?;
    let Some(known) = properties_of(kind, version) else {
        let near = nearest(kind, object_types(version))?;
        return Some(format!("did you mean the type `{near}`?"));
    };
    object.properties.members().iter().take(LOOKED_AT).find_map(|member| {
        let name = member.name;
        let head = matches!(name, "qom-type" | "id");
        if !head && !known.contains(&name) {
            let near = nearest(name, known.iter().copied())?;
            return Some(format!("`{kind}` has no `{name}`; did you mean `{near}`?"));
        }
        undeclared(case, &object.machine, member)
    })
}

fn undeclared(case: &Case, machine: &MachineId, member: &Member<'_>) -> Option<String> {
    let (name, role, value) = (member.name, member.role?, member.text().unwrap_or_default());
    let (what, declared): (_, Vec<&str>) = if role.is_netdev() {
        let ids = case.netdevs.iter().map(|one| one.id.as_str());
        ("netdev", ids.filter_map(|id| machine.local(id)).collect())
    } else if role.is_chardev() {
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
