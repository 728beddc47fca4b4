//! What the machine says of the things around its net layer: iothreads, the receive filters of NICs, COLO's
//! own state (QEMU 10.2.2 `iothread.c`, `net/net.c`, `migration/colo.c`; measured on 7.2.22, 10.0.13 and
//! 11.1.3). Read by `command`.

use serde_json::{Map, Value, json};

use super::{Args, text};
use crate::{
    base::QemuVersion,
    machine::{NetdevKind, core::Core, error::generic, property::NOT_BUILT},
    record::CommandError,
};

/// Every iothread and its parameters. The machine has no threads: each has the number of its object.
pub(super) fn iothreads(core: &Core) -> Value {
    let iothreads = core.objects.iter().filter(|(_, object)| object.kind.name == "iothread");
    let entries = iothreads.map(|(key, object)| {
        let members = object.kind.members(core.profile.version());
        // The sizes of the pool are not shown.
        let members = members.filter(|member| !member.name.starts_with("thread-pool-"));
        let mut entry: Map<String, Value> = members
            .map(|member| {
                let given = object.values.get(member.name).cloned();
                (member.name.to_owned(), given.unwrap_or_else(|| member.default.value()))
            })
            .collect();
        entry.insert("id".to_owned(), object.id.as_str().into());
        entry.insert("thread-id".to_owned(), key.0.into());
        Value::Object(entry)
    });
    entries.collect()
}

/// Which frames the NICs take; QEMU's own lists of addresses are not modelled.
pub(super) fn rx_filter(core: &Core, args: &Args) -> Result<Value, CommandError> {
    let nics = core.clients.values().any(|one| matches!(one.kind, NetdevKind::Nic { .. }));
    if !args.contains_key("name") && !nics {
        return Ok(Value::Array(Vec::new()));
    }
    let name = text(args, "name");
    match core.client_of(name).and_then(|key| core.clients.get(&key)) {
        None if args.contains_key("name") => {
            Err(generic(format!("invalid net client name: {name}")))
        }
        Some(client) if !matches!(client.kind, NetdevKind::Nic { .. }) => {
            Err(generic(format!("net client({name}) isn't a NIC")))
        }
        _ => Err(CommandError {
            class: NOT_BUILT.to_owned(),
            desc: "tapwright knows no receive filters of NICs".to_owned(),
        }),
    }
}

/// COLO's frame does not run in the machine: see [`crate::machine::Command::Colo`].
pub(super) fn colo_status() -> Value {
    json!({"mode": "none", "last-mode": "none", "reason": "none"})
}

pub(super) fn lost_heartbeat(core: &Core) -> Result<Value, CommandError> {
    Err(generic(match core.profile.version() {
        QemuVersion::Qemu72 => "The feature 'colo' is not enabled",
        _ => "VM is not in COLO mode",
    }))
}
