//! Tries what real interfaces need on this machine. `Backend::probe` and `doctor` read the results.

use std::{fs::File, io, thread};

use super::{NAME, network::Network, topology::no_tap};
use crate::{
    backend::{BackendError, Capabilities},
    sys::{
        InterfaceIndex, InterfaceName, Isolated, IsolationError, NamespaceError, PacketOptions,
        PacketSocket, Tap, TapHeader, enter_fresh, exhaustion_remedy,
    },
};

#[derive(Debug)]
pub struct Tried {
    /// What was tried: `namespace`, or a capability.
    pub name: &'static str,
    /// Without it nothing that touches interfaces runs.
    pub needed: bool,
    /// Whether it can be had.
    pub result: Result<(), BackendError>,
}

/// The first that is tried, and no capability.
const NAMESPACE: &str = "namespace";

/// What real interfaces can do on this machine: `tap`, `af-packet`, `host-stack`, and, where the
/// kernel has them, `veth`, `bridge` and `vhost`.
///
/// # Errors
/// [`BackendError::Unavailable`], with what to do about it, when there can be no TAP or no packet
/// socket.
pub fn probe(isolated: &Isolated) -> Result<Capabilities, BackendError> {
    let mut has = Vec::new();
    for tried in examine(isolated) {
        match tried.result {
            Ok(()) if tried.name == NAMESPACE => {}
            Ok(()) => has.push(tried.name),
            Err(error) if tried.needed => return Err(error),
            Err(_) => {}
        }
    }
    Ok(Capabilities { has })
}

/// Tries everything that real interfaces are made of, in a namespace of its own, on a thread of its
/// own. What needs something that is missing is not tried.
#[must_use]
pub fn examine(isolated: &Isolated) -> Vec<Tried> {
    thread::scope(|scope| {
        match thread::Builder::new()
            .name("probe".to_owned())
            .spawn_scoped(scope, || try_all(isolated))
        {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => {
                let error = NamespaceError::Thread(error);
                let refused = refused(&error, "let the process have more threads");
                vec![Tried { name: NAMESPACE, needed: true, result: Err(refused) }]
            }
        }
    })
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

fn try_all(isolated: &Isolated) -> Vec<Tried> {
    let needed = |name, result| Tried { name, needed: true, result };
    let optional = |name, result| Tried { name, needed: false, result };
    let entered = enter_fresh(isolated).map_err(|error| refused(&error, "run as root"));
    let mut all = vec![needed(NAMESPACE, entered)];
    if all[0].result.is_err() {
        return all;
    }
    let network = match Network::open(isolated) {
        Ok(network) => network,
        Err(error) => {
            all.push(needed("host-stack", Err(error.into())));
            return all;
        }
    };
    all.push(needed("host-stack", Ok(())));
    let (tap, made) = match named("tap0")
        .and_then(|name| Tap::create(isolated, &name, TapHeader::Long, true).map_err(no_tap))
    {
        Ok(tap) => (Some(tap), Ok(())),
        Err(error) => (None, Err(error)),
    };
    all.push(needed("tap", made));
    // Where there is no TAP the loopback interface will do for a packet socket.
    let seen = if tap.is_some() { "tap0" } else { "lo" };
    all.push(needed("af-packet", packet_socket(isolated, seen)));
    all.push(optional("veth", veth(&network)));
    all.push(optional("bridge", bridge(&network)));
    all.push(optional("vhost", vhost()));
    all
}

fn packet_socket(isolated: &Isolated, interface: &str) -> Result<(), BackendError> {
    let name = named(interface)?;
    InterfaceIndex::of(&name)
        .and_then(|index| PacketSocket::open(isolated, index, PacketOptions::default()))
        .map(drop)
        .map_err(|error| refused(&error, "CAP_NET_RAW is needed; run as root"))
}

fn veth(network: &Network) -> Result<(), BackendError> {
    network
        .add_veth([(&named("veth0")?, None), (&named("veth1")?, None)])
        .map_err(|error| refused(&error, "load the module: modprobe veth"))
}

fn bridge(network: &Network) -> Result<(), BackendError> {
    network
        .add_bridge(&named("br0")?)
        .map_err(|error| refused(&error, "load the module: modprobe bridge"))
}

fn vhost() -> Result<(), BackendError> {
    const DEVICE: &str = "/dev/vhost-net";
    let opened = File::options().read(true).write(true).open(DEVICE);
    opened.map(drop).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => {
                "load the module (modprobe vhost_net), or give the container the device: --device \
                 /dev/vhost-net"
            }
            _ => "let users open the device: chmod 0666 /dev/vhost-net",
        };
        BackendError::Unavailable {
            backend: NAME,
            reason: format!("{DEVICE}: {error}"),
            remedy: remedy.to_owned(),
        }
    })
}

fn named(text: &str) -> Result<InterfaceName, BackendError> {
    text.parse().map_err(|error| BackendError::System {
        what: "a name".to_owned(),
        source: io::Error::other::<crate::sys::InterfaceNameError>(error),
    })
}

fn refused(error: &(dyn std::error::Error + 'static), remedy: &str) -> BackendError {
    BackendError::Unavailable {
        backend: NAME,
        reason: error.to_string(),
        remedy: exhaustion_remedy(error).unwrap_or(remedy).to_owned(),
    }
}
