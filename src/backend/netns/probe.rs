use std::{fs::File, io, thread};

use super::{NAME, network::Network, topology::no_tap};
use crate::{
    backend::{BackendError, Capabilities},
    sys::{
        InterfaceIndex, InterfaceName, Isolated, IsolationError, PacketOptions, PacketSocket, Tap,
        TapHeader, enter_fresh,
    },
};

/// What real interfaces can do on this machine: `tap`, `af-packet`, `host-stack`, and, where the
/// kernel has them, `bridge`, `netns` and `vhost`. It is tried in a namespace of its own, on a
/// thread of its own.
///
/// # Errors
/// [`BackendError::Unavailable`], with what to do about it, when there can be no TAP or no packet
/// socket.
pub fn probe(isolated: &Isolated) -> Result<Capabilities, BackendError> {
    let tried = thread::scope(|scope| scope.spawn(|| try_all(isolated)).join());
    tried.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What to say when the process could not be isolated.
#[must_use]
pub fn unavailable(error: &IsolationError) -> BackendError {
    BackendError::Unavailable {
        backend: NAME,
        reason: error.to_string(),
        remedy: error.remedy().to_owned(),
    }
}

fn try_all(isolated: &Isolated) -> Result<Capabilities, BackendError> {
    enter_fresh(isolated).map_err(|error| refused(&error, "run as root"))?;
    let network = Network::open(isolated)?;
    let mut has = vec!["host-stack"];
    let name = named("tap0")?;
    let _tap = Tap::create(isolated, &name, TapHeader::Long, true).map_err(no_tap)?;
    has.push("tap");
    InterfaceIndex::of(&name)
        .and_then(|index| PacketSocket::open(isolated, index, PacketOptions::default()))
        .map_err(|error| refused(&error, "CAP_NET_RAW is needed; run as root"))?;
    has.push("af-packet");
    if network
        .add_veth([(&named("veth0")?, None), (&named("veth1")?, None)])
        .is_ok()
    {
        has.push("veth");
    }
    if network.add_bridge(&named("br0")?).is_ok() {
        has.push("bridge");
    }
    if File::options()
        .read(true)
        .write(true)
        .open("/dev/vhost-net")
        .is_ok()
    {
        has.push("vhost");
    }
    Ok(Capabilities { has })
}

fn named(text: &str) -> Result<InterfaceName, BackendError> {
    text.parse().map_err(|error| BackendError::System {
        what: "a name".to_owned(),
        source: io::Error::other::<crate::sys::InterfaceNameError>(error),
    })
}

fn refused(error: &dyn std::error::Error, remedy: &str) -> BackendError {
    BackendError::Unavailable {
        backend: NAME,
        reason: error.to_string(),
        remedy: remedy.to_owned(),
    }
}
