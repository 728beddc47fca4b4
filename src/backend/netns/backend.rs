//! The backend `netns`: built-in machines over the interfaces of a kernel namespace. `cli` opens it
//! by name.

use super::{NAME, NetnsCarrier, probe};
use crate::{
    backend::{Backend, BackendError, Capabilities, World, builtin::BuiltinWorld},
    scenario::Case,
    sys::Isolated,
};

/// The backend `netns`.
#[derive(Clone, Debug)]
pub struct Netns {
    isolated: Isolated,
}

impl Netns {
    /// In a process that is isolated.
    #[must_use]
    pub const fn new(isolated: Isolated) -> Self {
        Self { isolated }
    }
}

impl Backend for Netns {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Result<Capabilities, BackendError> {
        probe(&self.isolated)
    }

    fn open(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
        let carrier = NetnsCarrier::open(&self.isolated, case)?;
        Ok(Box::new(BuiltinWorld::new(case, carrier)?))
    }
}
