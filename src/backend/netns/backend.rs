//! The backend `netns`: built-in machines over the interfaces of a kernel namespace. `cli` opens it
//! by name.

use std::sync::Arc;

use super::{NAME, NetnsCarrier, probe, worlds::Worlds};
use crate::{
    backend::{Backend, BackendError, Capabilities, World, builtin::BuiltinWorld},
    scenario::Case,
    sys::{Isolated, wait_for_closes},
};

/// The backend `netns`.
#[derive(Clone, Debug)]
pub struct Netns {
    isolated: Isolated,
    /// Worlds to use again; none where every case gets a fresh one.
    worlds: Option<Arc<Worlds>>,
    _closes: Arc<Closes>,
}

/// Waits, when the last copy of a backend goes, until the packet sockets of its worlds are closed. The end
/// of the process would close what is left one after another.
#[derive(Debug, Default)]
struct Closes;

impl Drop for Closes {
    fn drop(&mut self) {
        wait_for_closes();
    }
}

impl Netns {
    /// In a process that is isolated; every case gets a fresh world.
    #[must_use]
    pub fn new(isolated: Isolated) -> Self {
        Self { isolated, worlds: None, _closes: Arc::default() }
    }

    /// As [`Netns::new`], but a case may get the world of an earlier one that is proven to be as good
    /// as fresh.
    #[must_use]
    pub fn recycling(isolated: Isolated) -> Self {
        Self { isolated, worlds: Some(Arc::default()), _closes: Arc::default() }
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
        let carrier = match &self.worlds {
            Some(worlds) => NetnsCarrier::open_among(worlds, &self.isolated, case)?,
            None => NetnsCarrier::open(&self.isolated, case)?,
        };
        Ok(Box::new(BuiltinWorld::new(case, carrier)?))
    }

    fn open_fresh(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
        let carrier = NetnsCarrier::open(&self.isolated, case)?;
        Ok(Box::new(BuiltinWorld::new(case, carrier)?))
    }
}
