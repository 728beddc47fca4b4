//! `qom-list`, `qom-get`, `qom-set`, `qom-list-types` (QEMU 10.2.2 `qom/qom-qmp-cmds.c`).

use serde_json::{Value, json};

use super::{Args, done, text};
use crate::{
    base::Quirk,
    machine::{
        core::{ChardevKey, Core, ObjectKey},
        error::{generic, not_found},
        net::Net,
        property::{NOT_BUILT, check, shown, value_of},
    },
    qapi::{Effect, OBJECT_TYPES, filter_types},
    record::CommandError,
};

/// What a path leads to.
enum Node {
    Objects,
    Chardevs,
    Object(ObjectKey),
    Chardev(ChardevKey),
}

/// An absolute path below `/objects` and `/chardevs`, or the end of one, when only one thing has
/// that end (`object_resolve_path`).
fn resolve(core: &Core, args: &Args) -> Result<Node, CommandError> {
    let path = text(args, "path");
    let missing = || not_found(format!("Device '{path}' not found"));
    let absolute = path.starts_with('/');
    // Slashes at the end and several in a row mean nothing (measured).
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let object = |id| core.object_of(id).map(Node::Object);
    let chardev = |id| core.chardev_of(id).map(Node::Chardev);
    match *names {
        ["objects", id] => object(id),
        ["chardevs", id] => chardev(id),
        ["objects"] => Some(Node::Objects),
        ["chardevs"] => Some(Node::Chardevs),
        [id] if !absolute => match (object(id), chardev(id)) {
            (found, None) => found,
            (None, found) => found,
            (Some(_), Some(_)) => None,
        },
        _ => None,
    }
    .ok_or_else(missing)
}

pub(super) fn list(core: &Core, args: &Args) -> Result<Value, CommandError> {
    let entry = |name: &str, kind: &str| json!({"name": name, "type": kind});
    let mut entries = vec![entry("type", "string")];
    match resolve(core, args)? {
        Node::Objects => entries.extend(
            core.objects
                .values()
                .map(|object| entry(object.id.as_str(), &format!("child<{}>", object.kind.name))),
        ),
        Node::Chardevs => entries.extend(core.chardevs.values().map(|chardev| {
            entry(chardev.id.as_str(), &format!("child<chardev-{}>", chardev.type_name()))
        })),
        Node::Object(key) => {
            let version = core.profile.version();
            let members = core.objects.get(&key).map(|object| object.kind.members(version));
            let members = members.into_iter().flatten();
            entries.extend(members.map(|member| entry(member.name, member.qom_type)));
        }
        Node::Chardev(key) => {
            let stream = core.chardevs.get(&key).is_some_and(|chardev| chardev.is_stream());
            entries.extend(stream.then(|| entry("connected", "bool")));
        }
    }
    Ok(entries.into())
}

pub(super) fn get(core: &Core, args: &Args) -> Result<Value, CommandError> {
    let property = text(args, "property");
    let missing = |kind: &str| Err(generic(format!("Property '{kind}.{property}' not found")));
    match resolve(core, args)? {
        Node::Objects | Node::Chardevs if property == "type" => Ok("container".into()),
        Node::Objects | Node::Chardevs => missing("container"),
        Node::Object(key) => {
            let Some(object) = core.objects.get(&key) else {
                return missing("object");
            };
            if property == "type" {
                return Ok(object.kind.name.into());
            }
            let mut members = object.kind.members(core.profile.version());
            match members.find(|member| member.name == property) {
                Some(member) => {
                    let shown = object.values.get(member.name).cloned();
                    Ok(shown.unwrap_or_else(|| member.default.value()))
                }
                None => missing(object.kind.name),
            }
        }
        Node::Chardev(key) => {
            let Some(chardev) = core.chardevs.get(&key) else {
                return missing("chardev");
            };
            let kind = format!("chardev-{}", chardev.type_name());
            match property {
                "type" => Ok(kind.into()),
                "connected" if chardev.is_stream() => Ok(chardev.connected.into()),
                _ => missing(&kind),
            }
        }
    }
}

pub(super) fn set(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let core = &net.core;
    let property = text(args, "property");
    let node = resolve(core, args)?;
    let kind = kind_name(core, &node);
    if property == "type" {
        return Err(generic(format!("Property '{kind}.type' is not writable")));
    }
    let missing = || generic(format!("Property '{kind}.{property}' not found"));
    let key = match node {
        Node::Object(key) => key,
        Node::Chardev(_) if property == "connected" => {
            return Err(generic(format!("Property '{kind}.connected' is not writable")));
        }
        _ => return Err(missing()),
    };
    let version = core.profile.version();
    let mended = !core.has(Quirk::QomSetWithoutEffect);
    let object = core.objects.get(&key).ok_or_else(missing)?;
    let member = object.kind.members(version).find(|member| member.name == property);
    let member = member.ok_or_else(missing)?;
    let given = args.get("value").unwrap_or(&Value::Null);
    let mut value = value_of(member, given, core.has(Quirk::MaxQueueSizeCut))?;
    if let Some(setter) = &member.setter {
        check(setter, member.name, &value, core)?;
        value = shown(setter, value);
    }
    if member.effect == Effect::Shown && net.has_part(key) && mended {
        return Err(generic(format!(
            "Property '{kind}.{property}' can only be set when the object is created"
        )));
    }
    if let Some(object) = net.core.objects.get_mut(&key) {
        object.values.insert(member.name, value.clone());
    }
    net.part_changed(key, member.name, &value);
    Ok(done())
}

pub(super) fn list_types(core: &Core, args: &Args) -> Result<Value, CommandError> {
    let version = core.profile.version();
    let with_abstract = args.get("abstract").and_then(Value::as_bool) == Some(true);
    let implements = text(args, "implements");
    let entry = |name: &str, parent: &str| json!({"name": name, "parent": parent});
    let types = if implements == "netfilter" {
        let base = json!({"name": "netfilter", "abstract": true, "parent": "object"});
        let filters = filter_types(version).into_iter().map(|name| entry(name, "netfilter"));
        with_abstract.then_some(base).into_iter().chain(filters).collect()
    } else if let Some(kind) =
        OBJECT_TYPES.iter().find(|kind| kind.name == implements && (kind.exists)(version))
    {
        vec![entry(kind.name, kind.parent)]
    } else {
        return Err(CommandError {
            class: NOT_BUILT.to_owned(),
            desc: format!("tapwright knows no types that implement '{implements}'"),
        });
    };
    Ok(Value::Array(types))
}

fn kind_name(core: &Core, node: &Node) -> String {
    match node {
        Node::Objects | Node::Chardevs => "container".to_owned(),
        Node::Object(key) => {
            core.objects.get(key).map(|object| object.kind.name).unwrap_or_default().to_owned()
        }
        Node::Chardev(key) => {
            let kind = core.chardevs.get(key).map(|chardev| chardev.type_name());
            format!("chardev-{}", kind.unwrap_or_default())
        }
    }
}
