//! What QOM's setters hold a value to, over the rules of the schema (`qapi`), and in which order
//! they run (QEMU `qom/object_interfaces.c`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    core::{Core, NoNode, Node, Object},
    error::{generic, not_found},
};
use crate::{
    base::QemuVersion,
    qapi::{self, Kind, ObjectType, Property, Refusal, Rule, Setter, Spec},
    record::CommandError,
};

/// The class of tapwright's own refusals: QEMU would have done more here.
pub const NOT_BUILT: &str = "NotBuilt";

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        generic(refusal.desc)
    }
}

/// What an iothread has to say to its numbers of threads, once they are set (QEMU 10.2.2
/// `util/async.c`, `aio_context_set_thread_pool_params`).
pub(super) fn check_pool(
    kind: &ObjectType,
    values: &BTreeMap<&'static str, Value>,
    version: QemuVersion,
) -> Result<(), CommandError> {
    let number = |name: &str| {
        let member = kind.members(version).find(|member| member.name == name)?;
        values.get(name).cloned().unwrap_or_else(|| member.default.value()).as_i64()
    };
    let (Some(least), Some(most)) = (number("thread-pool-min"), number("thread-pool-max")) else {
        return Ok(());
    };
    let fits = 0 < most && least <= most && most <= i32::MAX.into();
    fits.then_some(()).ok_or_else(|| generic("bad thread-pool-min/thread-pool-max values"))
}

/// QEMU's refusal of a value, when a setter refuses it.
pub(super) fn check(
    setter: &Setter,
    name: &str,
    value: &Value,
    core: &Core,
) -> Result<(), CommandError> {
    let fits = match &setter.rule {
        Rule::Holds { accepts, text } => accepts(value).then_some(()).ok_or(*text),
        Rule::Positive32 { text } => {
            qapi::json(Kind::U32, value, name)?;
            (value.as_u64() != Some(0)).then_some(()).ok_or(*text)
        }
        Rule::Cut32 { text } => (value.as_u64() != Some(0)).then_some(()).ok_or(*text),
        Rule::Weight { most, text, .. } => {
            value.as_u64().is_some_and(|value| value <= *most).then_some(()).ok_or(*text)
        }
        Rule::Link { to } => return check_link(name, value, core, to),
    };
    fits.map_err(generic)
}

/// A link's target has to be there (QEMU 10.2.2 qom/object.c:1907-1977).
fn check_link(name: &str, value: &Value, core: &Core, to: &str) -> Result<(), CommandError> {
    let path = value.as_str().unwrap_or_default();
    if path.is_empty() || link_target(path, core, to).is_some() {
        return Ok(());
    }
    match core.resolve(path) {
        Err(NoNode::Missing) => Err(not_found(format!("Device '{path}' not found"))),
        Ok(_) | Err(NoNode::Ambiguous) => {
            Err(generic(format!("Invalid parameter type for '{name}', expected: {to}")))
        }
    }
}

/// The object of this type at a path; the end of a path need not be unique among other types.
fn link_target<'c>(path: &str, core: &'c Core, to: &str) -> Option<&'c Object> {
    let of_type = |key| core.objects.get(&key).filter(|target| target.kind.name == to);
    match core.resolve(path) {
        Ok(Node::Object(key)) => of_type(key),
        Err(NoNode::Ambiguous) => core.object_of(path).and_then(of_type),
        _ => None,
    }
}

/// What the getter shows of a value that a setter took.
pub(super) fn shown(setter: &Setter, value: Value) -> Value {
    match &setter.rule {
        Rule::Cut32 { .. } => value.as_u64().map_or(value, |wide| (wide as u32).into()),
        Rule::Weight { default, .. } if value.as_u64() == Some(0) => (*default).into(),
        // Whatever path led there, it is a child of `/objects`.
        Rule::Link { .. } => match value.as_str().and_then(last_name) {
            Some(id) => format!("/objects/{id}").into(),
            None => value,
        },
        Rule::Holds { .. } | Rule::Positive32 { .. } | Rule::Weight { .. } => value,
    }
}

fn last_name(path: &str) -> Option<&str> {
    path.split('/').rfind(|name| !name.is_empty())
}

/// Runs the setters of an object that is made, in QEMU's order: by the hash buckets of the names,
/// not as they were given.
pub(super) fn run_setters(spec: &Spec, core: &Core) -> Result<(), CommandError> {
    for (setter, name, value) in in_order(spec, core) {
        check(setter, name, value, core)?;
    }
    Ok(())
}

/// Whether the setter of this property runs and takes its value, because none before it refuses.
pub(super) fn is_set(spec: &Spec, core: &Core, property: &str) -> bool {
    for (setter, name, value) in in_order(spec, core) {
        let taken = check(setter, name, value, core).is_ok();
        if !taken || name == property {
            return taken;
        }
    }
    false
}

/// The setters that run, in QEMU's order.
fn in_order<'s>(spec: &'s Spec, core: &Core) -> Vec<(&'static Setter, &'static str, &'s Value)> {
    let members = spec.kind.members(core.profile.version());
    let given = |member: &'static Property| {
        let value = spec.values.get(member.name)?;
        Some((member.setter.as_ref()?, member.name, value))
    };
    let mut given: Vec<_> = members.filter_map(given).collect();
    given.sort_by_key(|(setter, ..)| setter.bucket);
    given
}

/// Checks the value of a `qom-set`. `cuts` says whether a setter of QEMU's that keeps 32 bits takes
/// more of them.
pub(super) fn value_of(member: &Property, given: &Value, cuts: bool) -> Result<Value, Refusal> {
    let cut = Some(&member.setter).filter(|_| cuts).and_then(Option::as_ref);
    if cut.is_some_and(|setter| matches!(setter.rule, Rule::Cut32 { .. })) {
        return qapi::json(Kind::U64, given, member.name);
    }
    // The QOM setter of `insert` takes any string and checks it itself (QEMU 10.2.2
    // net/filter.c:184-203).
    match (member.kind, &member.setter) {
        (Kind::Enum(_), Some(_)) => qapi::json(Kind::Str, given, member.name),
        (kind, _) => qapi::json(kind, given, member.name),
    }
}

/// The refusal of an object whose class is not built.
pub(super) fn not_built(spec: &Spec) -> CommandError {
    CommandError {
        class: NOT_BUILT.to_owned(),
        desc: format!("tapwright has no {} yet; QEMU got past its own checks here", spec.kind.name),
    }
}

#[cfg(test)]
mod tests;
