//! Everything in memory: the kernel's TAPs, packet sockets, veths and bridges as they were measured
//! on Linux 6.18, without a host stack above them.

mod bridge;
mod carrier;
mod fabric;
mod offload;
mod segment;
mod tap;

pub use carrier::SimCarrier;

use super::{Backend, BackendError, Capabilities, Missing, World, builtin::BuiltinWorld};
use crate::{
    base::PortId,
    scenario::{Case, LinkSet, NetdevType, Verb},
};

/// The backend `sim`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sim;

impl Backend for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn probe(&self) -> Result<Capabilities, BackendError> {
        Ok(Capabilities { has: vec!["af-packet", "tap", "vhost"] })
    }

    fn open(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
        needs_host_stack(case)?;
        Ok(Box::new(BuiltinWorld::new(case, SimCarrier::new(case))?))
    }
}

/// An address of the host answers to ARP, ICMP and closed ports; nothing does that in memory.
fn needs_host_stack(case: &Case) -> Result<(), Missing> {
    let at = |what: String| Missing(format!("sim has no host stack: {what} has an address"));
    for netdev in &case.netdevs {
        if let NetdevType::Tap { addresses, .. } = &netdev.kind
            && !addresses.is_empty()
        {
            return Err(at(PortId::host(&netdev.id).to_string()));
        }
    }
    for end in case.links.iter().flat_map(|link| &link.ends) {
        if !end.addresses.is_empty() {
            return Err(at(end.port.to_string()));
        }
    }
    for bridge in &case.bridges {
        if !bridge.addresses.is_empty() {
            return Err(at(format!("bridge {}", bridge.id)));
        }
    }
    for step in &case.steps {
        if let Verb::LinkSet(LinkSet { port, address: Some(_), .. }) = &step.verb {
            return Err(at(port.to_string()));
        }
    }
    Ok(())
}
