//! `qom-list`, `qom-get`, `qom-set`, `qom-list-types` (QEMU 10.2.2 `qom/qom-qmp-cmds.c`).

use serde_json::{Value, json};

use super::{Args, done, text};
use crate::{
    base::Quirk,
    machine::{
        NetdevKind,
        core::{Chardev, Core, MACHINE_CONTAINERS, NoNode, Node},
        error::{generic, not_found},
        net::Net,
        property::{NOT_BUILT, check, check_pool, shown, value_of},
    },
    qapi::{Effect, OBJECT_TYPES, filter_types},
    record::CommandError,
};

fn resolve(core: &Core, args: &Args) -> Result<Node, CommandError> {
    let path = text(args, "path");
    core.resolve(path).map_err(|_| not_found(format!("Device '{path}' not found")))
}

/// A machine with a NIC is another one than a board without anything.
fn bare_machine(core: &Core) -> Result<&'static str, CommandError> {
    let mut clients = core.clients.values();
    if clients.any(|client| matches!(client.kind, NetdevKind::Nic { .. })) {
        return Err(no_machine());
    }
    Ok("none-machine")
}

fn no_machine() -> CommandError {
    CommandError {
        class: NOT_BUILT.to_owned(),
        desc: "tapwright knows no properties of the machine itself".to_owned(),
    }
}

/// Children of a node of QEMU's own, by name, with their types.
fn children(core: &Core, node: Node) -> Vec<(String, String)> {
    let child = |name: &str, kind: &str| (name.to_owned(), format!("child<{kind}>"));
    match node {
        Node::Root => {
            let machine = child("machine", bare_machine(core).unwrap_or_default());
            let containers = core.root_containers().iter();
            containers.map(|name| child(name, "container")).chain([machine]).collect()
        }
        Node::Machine => MACHINE_CONTAINERS.iter().map(|name| child(name, "container")).collect(),
        Node::Objects => {
            let objects = core.objects.values();
            objects.map(|object| child(object.id.as_str(), object.kind.name)).collect()
        }
        Node::Chardevs => {
            let chardevs = core.chardevs.values();
            let kind = |chardev: &Chardev| format!("chardev-{}", chardev.type_name());
            chardevs.map(|chardev| child(chardev.id.as_str(), &kind(chardev))).collect()
        }
        Node::Unattached => vec![
            child("io[0]", "memory-region"),
            child("system[0]", "memory-region"),
            child("sysbus", "System"),
        ],
        Node::Empty | Node::Object(_) | Node::Chardev(_) => Vec::new(),
    }
}

pub(super) fn list(core: &Core, args: &Args) -> Result<Value, CommandError> {
    let path = text(args, "path");
    let node = core.resolve(path).map_err(|no_node| match no_node {
        NoNode::Missing => not_found(format!("Device '{path}' not found")),
        NoNode::Ambiguous => generic(format!("Path '{path}' is ambiguous")),
    })?;
    let entry = |name: &str, kind: &str| json!({"name": name, "type": kind});
    let mut entries = vec![entry("type", "string")];
    match node {
        Node::Machine => return Err(no_machine()),
        // The type of the machine is among them.
        Node::Root if bare_machine(core).is_err() => return Err(no_machine()),
        Node::Root | Node::Unattached | Node::Empty | Node::Objects | Node::Chardevs => {
            let children = children(core, node);
            entries.extend(children.iter().map(|(name, kind)| entry(name, kind)));
        }
        Node::Object(key) => {
            let version = core.profile.version();
            let members = core.objects.get(&key).map(|object| object.kind.members(version));
            let members = members.into_iter().flatten();
            entries.extend(members.map(|member| entry(member.name, member.qom_type)));
        }
        Node::Chardev(key) => {
            if core.chardevs.get(&key).is_some_and(Chardev::is_socket) {
                entries.extend([entry("connected", "bool"), entry("addr", "SocketAddress")]);
            }
        }
    }
    Ok(entries.into())
}

pub(super) fn get(core: &Core, args: &Args) -> Result<Value, CommandError> {
    let property = text(args, "property");
    let node = resolve(core, args)?;
    let kind = kind_name(core, node)?;
    if property == "type" {
        return Ok(kind.into());
    }
    let missing = || Err(generic(format!("Property '{kind}.{property}' not found")));
    match node {
        Node::Root
        | Node::Machine
        | Node::Unattached
        | Node::Empty
        | Node::Objects
        | Node::Chardevs => {
            let children = children(core, node);
            match children.iter().find(|(name, _)| name == property) {
                // A child's value is its path.
                Some((name, _)) => Ok(format!("{}/{name}", parent_path(node)).into()),
                None if node == Node::Machine && is_of_machine(property) => Err(no_machine()),
                None => missing(),
            }
        }
        Node::Object(key) => {
            let Some(object) = core.objects.get(&key) else {
                return missing();
            };
            let mut members = object.kind.members(core.profile.version());
            match members.find(|member| member.name == property) {
                Some(member) => {
                    let shown = object.values.get(member.name).cloned();
                    Ok(shown.unwrap_or_else(|| member.default.value()))
                }
                None => missing(),
            }
        }
        Node::Chardev(key) => match core.chardevs.get(&key).filter(|chardev| chardev.is_socket()) {
            Some(chardev) if property == "connected" => Ok(chardev.connected.into()),
            Some(_) if property == "addr" => Err(CommandError {
                class: NOT_BUILT.to_owned(),
                desc: "tapwright knows no addresses of chardevs".to_owned(),
            }),
            _ => missing(),
        },
    }
}

fn parent_path(node: Node) -> &'static str {
    match node {
        Node::Machine => "/machine",
        Node::Unattached => "/machine/unattached",
        Node::Objects => "/objects",
        Node::Chardevs => "/chardevs",
        _ => "",
    }
}

/// A property of QEMU's bare machine, in some version (measured with `qom-list`).
fn is_of_machine(property: &str) -> bool {
    const NAMES: &[&str] = &[
        "append",
        "aux-ram-share",
        "boot",
        "confidential-guest-support",
        "dt-compatible",
        "dtb",
        "dump-guest-core",
        "dumpdtb",
        "firmware",
        "graphics",
        "initrd",
        "kernel",
        "mem-merge",
        "memory",
        "memory-backend",
        "memory-encryption",
        "phandle-start",
        "shim",
        "smp",
        "smp-cache",
        "spcr",
        "suppress-vmdesc",
        "usb",
        "x-change-vmfd-on-reset",
    ];
    NAMES.contains(&property)
}

pub(super) fn set(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let core = &net.core;
    let property = text(args, "property");
    let node = resolve(core, args)?;
    let kind = kind_name(core, node)?;
    let not_writable = || generic(format!("Property '{kind}.{property}' is not writable"));
    if property == "type" {
        return Err(not_writable());
    }
    let missing = || generic(format!("Property '{kind}.{property}' not found"));
    let key = match node {
        Node::Object(key) => key,
        Node::Chardev(key) => {
            let socket = core.chardevs.get(&key).is_some_and(Chardev::is_socket);
            let known = socket && matches!(property, "connected" | "addr");
            return Err(if known { not_writable() } else { missing() });
        }
        Node::Machine if is_of_machine(property) => return Err(no_machine()),
        _ => {
            let children = children(core, node);
            let known = children.iter().any(|(name, _)| name == property);
            return Err(if known { not_writable() } else { missing() });
        }
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
        // The value stays all the same.
        check_pool(object.kind, &object.values, version)?;
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
        let mut types: Vec<Value> = filters.collect();
        if with_abstract {
            // It stands before the last one in 7.2.22, 10.0.13 and 11.1.3, in that order of a hash
            // table; in 10.2 nobody measured it.
            types.insert(types.len().saturating_sub(1), base);
        }
        types
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

fn kind_name(core: &Core, node: Node) -> Result<String, CommandError> {
    Ok(match node {
        Node::Root | Node::Unattached | Node::Empty | Node::Objects | Node::Chardevs => {
            "container".to_owned()
        }
        Node::Machine => bare_machine(core)?.to_owned(),
        Node::Object(key) => {
            core.objects.get(&key).map(|object| object.kind.name).unwrap_or_default().to_owned()
        }
        Node::Chardev(key) => {
            let kind = core.chardevs.get(&key).map(|chardev| chardev.type_name());
            format!("chardev-{}", kind.unwrap_or_default())
        }
    })
}
