//! What a machine is made of before its first command, checked.

use std::collections::BTreeMap;

use super::{
    CharBackend, ChardevConfig, Config, Halt, NetdevConfig, Start,
    core::{Core, Object, ObjectKey},
    net::Net,
};
use crate::{
    base::{ChardevId, Interface, NetdevId, ObjectId, QemuVersion},
    qapi::object_type,
};

/// A configuration that no QEMU command line could have brought about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("two netdevs have the id '{0}'")]
    DuplicateNetdev(NetdevId),
    #[error("two chardevs have the id '{0}'")]
    DuplicateChardev(ChardevId),
    /// Only the RFC's fourth version has `af-packet-mode`.
    #[error(
        "the chardev '{chardev}' has af-packet-mode, which the profile {profile} does not know"
    )]
    AfPacketMode { chardev: ChardevId, profile: QemuVersion },
    /// A packet socket is bound to a TAP that is not there.
    #[error("the packet socket of '{chardev}' is bound to '{netdev}', which is not a TAP")]
    AfPacketTap { chardev: ChardevId, netdev: NetdevId },
    #[error("two objects have the id '{0}'")]
    DuplicateObject(ObjectId),
    /// A client is to be joined to one that does not exist before it.
    #[error("'{netdev}' is joined to '{peer}', which is not among the netdevs before it")]
    UnknownPeer { netdev: NetdevId, peer: NetdevId },
    /// A client is to be joined to one that is joined already.
    #[error("'{netdev}' is joined to '{peer}', which is joined to another already")]
    PeerTaken { netdev: NetdevId, peer: NetdevId },
    /// QEMU refuses such a ring buffer.
    #[error("the ring buffer of '{chardev}' has {size} bytes; it must be a power of two")]
    RingbufSize {
        chardev: ChardevId,
        /// Its size in bytes.
        size: usize,
    },
}

/// The id of the first monitor, where monitors are objects.
const MONITOR: &str = "compat_monitor0";

/// The net clients, chardevs and iothreads of a configuration, in its order.
pub(super) fn build(config: Config) -> Result<Net, ConfigError> {
    let mut net = Net::new(config.profile);
    let core = &mut net.core;
    for netdev in &config.netdevs {
        add_netdev(core, netdev)?;
    }
    for chardev in &config.chardevs {
        add_chardev(core, chardev)?;
    }
    // QEMU 11.1 makes an object of the monitor that it is given commands by (measured on 11.1.3).
    add_object(core, MONITOR.into(), "monitor-qmp")?;
    for id in config.iothreads {
        add_object(core, id, "iothread")?;
    }
    core.nics = config.nics;
    let Start { stopped, incoming } = config.start;
    if stopped || incoming {
        core.running = false;
        core.vm_clock.stop(core.now);
        core.halt = match incoming {
            true => Halt::Inmigrate { autostart: !stopped },
            false => Halt::Prelaunch,
        };
    }
    // What is open from the start is asked for: `Machine::packet_sockets`.
    core.out.clear();
    Ok(net)
}

fn add_netdev(core: &mut Core, netdev: &NetdevConfig) -> Result<(), ConfigError> {
    let id = netdev.id.clone();
    if core.client_of(id.as_str()).is_some() {
        return Err(ConfigError::DuplicateNetdev(id));
    }
    if let Some(peer) = &netdev.peer {
        let client = core.client_of(peer.as_str()).and_then(|key| core.clients.get(&key));
        match client {
            None => {
                return Err(ConfigError::UnknownPeer { netdev: id, peer: peer.clone() });
            }
            Some(client) if client.peer.is_some() => {
                return Err(ConfigError::PeerTaken { netdev: id, peer: peer.clone() });
            }
            Some(_) => {}
        }
    }
    core.client_add(netdev);
    Ok(())
}

fn add_chardev(core: &mut Core, chardev: &ChardevConfig) -> Result<(), ConfigError> {
    let id = chardev.id.clone();
    if core.chardev_of(id.as_str()).is_some() {
        return Err(ConfigError::DuplicateChardev(id));
    }
    match &chardev.backend {
        CharBackend::AfPacket { .. } if !has_af_packet_mode(core) => {
            let profile = core.profile.version();
            Err(ConfigError::AfPacketMode { chardev: id, profile })
        }
        CharBackend::AfPacket { netdev, .. } if !core.is_tap(netdev) => {
            Err(ConfigError::AfPacketTap { chardev: id, netdev: netdev.clone() })
        }
        CharBackend::Ringbuf { size } if !size.is_power_of_two() => {
            Err(ConfigError::RingbufSize { chardev: id, size: *size })
        }
        _ => {
            core.chardev_add(chardev);
            Ok(())
        }
    }
}

fn has_af_packet_mode(core: &Core) -> bool {
    core.profile.version().interface() == Some(Interface::Chardev)
}

/// An object that is there from the start; none where the version has no such type.
fn add_object(core: &mut Core, id: ObjectId, kind: &str) -> Result<(), ConfigError> {
    if core.object_of(id.as_str()).is_some() {
        return Err(ConfigError::DuplicateObject(id));
    }
    let Some(kind) = object_type(kind, core.profile.version()) else {
        return Ok(());
    };
    let key = ObjectKey(core.next_key());
    let values = BTreeMap::new();
    core.objects.insert(key, Object { id, kind, values, by_option: false });
    Ok(())
}
