//! `set_link`, `netdev_add`, `netdev_del`, `stop`, `cont` (QEMU 10.2.2 `net/net.c`).

use serde_json::{Map, Value, json};

use super::{Args, Named, Options, arg, done, text};
use crate::{
    base::QemuVersion,
    machine::{
        Halt, NetdevConfig, NetdevKind,
        core::{ClientKey, Core},
        error::{generic, not_found},
        net::Net,
        property::NOT_BUILT,
    },
    qapi::{BAD_ID, Kind, Property, Role, Source, id_wellformed, visit_members},
    record::CommandError,
};

pub(super) fn set_link(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let core = &mut net.core;
    let name = text(args, "name");
    let down = args.get("up").and_then(Value::as_bool) == Some(false);
    // Netdevs come before the NICs that are made on them.
    let key = core.client_of(name).or_else(|| core.client_of_nic(name));
    let key = key.ok_or_else(|| not_found(format!("Device '{name}' not found")))?;
    let peer = core.clients.get_mut(&key).and_then(|client| {
        client.link_down = down;
        client.peer
    });
    // A NIC is the only peer that is notified (QEMU 10.2.2 net/net.c, qmp_set_link).
    let peer = peer.and_then(|peer| core.clients.get_mut(&peer));
    if let Some(peer) = peer.filter(|peer| matches!(peer.kind, NetdevKind::Nic { .. })) {
        peer.link_down = down;
    }
    Ok(done())
}

/// Every value of `NetClientDriver` (QEMU 10.2.2 `qapi/net.json`).
const TYPES: &[&str] = &[
    "none",
    "nic",
    "user",
    "tap",
    "l2tpv3",
    "socket",
    "stream",
    "dgram",
    "vde",
    "bridge",
    "hubport",
    "netmap",
    "vhost-user",
    "vhost-vdpa",
    "passt",
    "af-xdp",
];

/// What every netdev begins with.
pub(in crate::machine) static HEAD: &[Property] =
    &[super::ID, arg("type", Kind::Enum(TYPES), true)];

const HUBPORT: &[Property] =
    &[arg("hubid", Kind::Int, true), arg("netdev", Kind::Str, false).naming(Role::Id)];

/// The options of a type beside the head. Every other type opens something of the host's, and so do
/// the options of `user`.
pub(in crate::machine) fn options(name: &str) -> Named {
    match name {
        "hubport" => Named::Built(Options { properties: &[HUBPORT], complete: true }),
        "user" => Named::Built(Options { properties: &[], complete: false }),
        other if TYPES.contains(&other) => Named::NotBuilt,
        _ => Named::Unknown,
    }
}

pub(super) fn add(net: &mut Net, args: &Map<String, Value>) -> Result<Value, CommandError> {
    let core = &mut net.core;
    let of_type = args.get("type").and_then(Value::as_str);
    let values = if of_type == Some("hubport") {
        visit_members(Source::Json(args), &mut HEAD.iter().chain(HUBPORT), "")?
    } else {
        let head = args.iter().filter(|(name, _)| matches!(name.as_str(), "id" | "type"));
        let head = head.map(|(name, value)| (name.clone(), value.clone())).collect();
        visit_members(Source::Json(&head), &mut HEAD.iter(), "")?
    };
    let id = text(&values, "id");
    if !id_wellformed(id) {
        return Err(generic(BAD_ID));
    }
    if core.client_of(id).is_some() {
        return Err(generic(format!("Duplicate ID '{id}'")));
    }
    let (kind, peer) = match text(&values, "type") {
        "hubport" => {
            let hub = values.get("hubid").and_then(Value::as_i64).unwrap_or_default();
            // `hubid` is an int32 (QEMU 10.2.2 qapi/net.json, qapi/qapi-visit-core.c).
            let hub = i32::try_from(hub)
                .map_err(|_| generic("Parameter 'hubid' expects int32_t"))?
                .cast_unsigned();
            let netdev = values.get("netdev").and_then(Value::as_str);
            let peer = netdev.map(|netdev| free_netdev(core, netdev)).transpose()?;
            (NetdevKind::Hubport { hub }, peer)
        }
        "user" if args.len() == HEAD.len() => (NetdevKind::User, None),
        other => {
            return Err(CommandError {
                class: NOT_BUILT.to_owned(),
                desc: format!(
                    "tapwright adds netdevs of type hubport, and of type user without options, \
                     at run time; not this one of type {other}"
                ),
            });
        }
    };
    core.client_add(&NetdevConfig { id: id.into(), kind, peer });
    Ok(done())
}

fn free_netdev(core: &Core, netdev: &str) -> Result<crate::base::NetdevId, CommandError> {
    let client = core.client_of(netdev).and_then(|key| core.clients.get(&key));
    let client = client.ok_or_else(|| generic(format!("netdev '{netdev}' not found")))?;
    if client.peer.is_some() {
        return Err(generic(format!("netdev '{netdev}' is already in use")));
    }
    Ok(client.id.clone())
}

pub(super) fn del(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let core = &mut net.core;
    let id = text(args, "id");
    let key = core.client_of(id);
    let key = key.ok_or_else(|| not_found(format!("Device '{id}' not found")))?;
    let nic =
        core.clients.get(&key).is_some_and(|client| matches!(client.kind, NetdevKind::Nic { .. }));
    if nic {
        return Err(not_found(format!("Device '{id}' not found")));
    }
    net.client_remove(key);
    Ok(done())
}

/// A machine that waits for a migration will not run when that has come; one that does not run stays
/// as it is.
pub(super) fn stop(net: &mut Net, _: &Args) -> Result<Value, CommandError> {
    if net.core.running {
        halt(net, Halt::Paused);
    } else if let Halt::Inmigrate { autostart } = &mut net.core.halt {
        *autostart = false;
    }
    Ok(done())
}

/// A machine that waits for a migration will run when that has come.
pub(super) fn cont(net: &mut Net, _: &Args) -> Result<Value, CommandError> {
    match &mut net.core.halt {
        Halt::Inmigrate { autostart } => *autostart = true,
        _ => go_on(net),
    }
    Ok(done())
}

/// The VM does not run, for this reason. Where it ran, the queues are flushed, and what can't be
/// delivered is thrown away (`net_vm_change_state_handler`).
pub(super) fn halt(net: &mut Net, halt: Halt) {
    let core = &mut net.core;
    core.halt = halt;
    if std::mem::take(&mut core.running) {
        core.vm_clock.stop(core.now);
        for key in clients(&net.core) {
            net.flush_queued(key, true);
        }
        net.run_state();
    }
}

/// The VM runs.
pub(super) fn go_on(net: &mut Net) {
    let core = &mut net.core;
    core.halt = Halt::Paused;
    if !std::mem::replace(&mut core.running, true) {
        core.vm_clock.go_on(core.now);
        for key in clients(&net.core) {
            let peer = net.core.clients.get(&key).and_then(|client| client.peer);
            if let Some(peer) = peer.filter(|_| net.core.can_send(key)) {
                net.flush_queued(peer, false);
            }
        }
        net.run_state();
    }
}

/// Whether the VM runs; 7.2 says of TCG's single steps too (QEMU `qapi/run-state.json`).
pub(super) fn status(core: &Core) -> Value {
    let status = match core.halt {
        _ if core.running => "running",
        Halt::Paused => "paused",
        Halt::Prelaunch => "prelaunch",
        Halt::Inmigrate { .. } => "inmigrate",
        Halt::Postmigrate => "postmigrate",
    };
    let mut answer = json!({"status": status, "running": core.running});
    if core.profile.version() == QemuVersion::Qemu72 {
        answer["singlestep"] = false.into();
    }
    answer
}

fn clients(core: &Core) -> Vec<ClientKey> {
    core.clients.keys().copied().collect()
}
