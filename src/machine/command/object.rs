//! `object-add`, `object-del` and `-object` (QEMU 10.2.2 `qom/object_interfaces.c`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Args, done, text};
use crate::{
    base::QemuVersion,
    machine::{
        compare,
        core::{Object, ObjectKey},
        error::{CreateError, generic},
        filter,
        net::Net,
        part::Base,
        property::{check_pool, is_set, not_built, run_setters, shown},
    },
    qapi::{BAD_ID, Creation, Properties, Source, Spec, id_wellformed, spec},
    record::{CommandError, Place},
};

pub(super) fn add(net: &mut Net, args: &Map<String, Value>) -> Result<Value, CreateError> {
    let version = net.core.profile.version();
    let spec = spec(Source::Json(args), version, false).map_err(CommandError::from)?;
    create(net, &spec)
}

pub(super) fn add_option(net: &mut Net, option: &str) -> Result<Value, CreateError> {
    let version = net.core.profile.version();
    // The list of options knows its own ids, and looks there first (QEMU 10.2.2
    // util/qemu-option.c:624-633).
    let properties = Properties::of_option(option);
    if let Some(id) = properties.option_id()
        && net.core.objects.values().any(|object| object.by_option && object.id.as_str() == id)
    {
        return Err(generic(format!("Duplicate ID '{id}' for object")).into());
    }
    let (spec, warnings) = match properties.spec(version) {
        Ok((spec, warnings)) => (Ok(spec), warnings),
        Err(error) => (Err(error.error), error.warnings),
    };
    for warning in warnings {
        net.core.log(Place::Machine, None, format!("warning: {warning}"));
    }
    create(net, &spec.map_err(CommandError::from)?)
}

pub(super) fn del(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let id = text(args, "id");
    let key = net.core.object_of(id);
    let key = key.ok_or_else(|| generic(format!("object '{id}' not found")))?;
    // The only object of a type that can't be made is the monitor itself.
    let kind = net.core.objects.get(&key).map(|object| object.kind);
    if kind.is_some_and(|kind| kind.creation == Creation::NotBuilt) {
        return Err(generic("Cannot delete the current QMP monitor"));
    }
    net.object_remove(key);
    Ok(done())
}

/// Phase 1 and on: the id, the setters, the child, the completion.
fn create(net: &mut Net, spec: &Spec) -> Result<Value, CreateError> {
    if !id_wellformed(&spec.id) {
        return Err(generic(BAD_ID).into());
    }
    if spec.kind.creation == Creation::NotBuilt {
        return Err(not_built(spec).into());
    }
    let created = build(net, spec);
    if created.is_err()
        && let Some(class) = filter::class(spec.kind.name)
        && let Some(chardev) = (class.refused)(&mut net.core)
    {
        net.hang_up(chardev);
    }
    match created {
        Err(CreateError::Refused(error)) if spec.kind.creation == Creation::Compare => {
            // A link that is set to nothing is none.
            let named = spec.text("iothread").is_some_and(|id| !id.is_empty());
            let has_iothread = named && is_set(spec, &net.core, "iothread");
            Err(compare::refusal(&mut net.core, error, has_iothread))
        }
        created => created,
    }
}

/// From the setters on there is an instance, which a refusal destroys.
fn build(net: &mut Net, spec: &Spec) -> Result<Value, CreateError> {
    if spec.kind.creation == Creation::Compare {
        let size = spec.values.get("max_queue_size");
        compare::share_queue_size(&mut net.core, size.filter(|size| size.as_u64() != Some(0)));
    }
    run_setters(spec, &net.core)?;
    if net.core.object_of(&spec.id).is_some() {
        let id = &spec.id;
        return Err(generic(format!(
            "attempt to add duplicate property '{id}' to object (type 'container')"
        ))
        .into());
    }
    let key = ObjectKey(net.core.next_key());
    let object = Object {
        id: spec.id.as_str().into(),
        kind: spec.kind,
        values: shown_values(spec, net.core.profile.version()),
        by_option: spec.by_option,
    };
    net.core.objects.insert(key, object);
    let completed = match spec.kind.creation {
        Creation::Filter => net.filter_complete(key, filter::class(spec.kind.name), spec),
        Creation::Compare => {
            let base = Base::new(None, spec);
            net.part_add(key, base, compare::CLASS.make, spec).map_err(CreateError::from)
        }
        Creation::Inert => {
            let version = net.core.profile.version();
            check_pool(spec.kind, &spec.values, version).map_err(CreateError::from)
        }
        Creation::NotBuilt => Ok(()),
    };
    if let Err(error) = completed {
        net.object_remove(key);
        return Err(error);
    }
    Ok(done())
}

/// What the getters show of the values that were given.
fn shown_values(spec: &Spec, version: QemuVersion) -> BTreeMap<&'static str, Value> {
    let mut values = spec.values.clone();
    for member in spec.kind.members(version) {
        if let (Some(setter), Some(value)) = (&member.setter, values.get_mut(member.name)) {
            *value = shown(setter, std::mem::take(value));
        }
    }
    values
}
