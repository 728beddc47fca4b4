//! The backend `netns`: built-in machines over the interfaces of a kernel namespace. `cli` opens it
//! by name.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{
    NAME, NetnsCarrier, probe,
    topology::{Vhost, has_vhost},
    worlds::Worlds,
};
use crate::{
    backend::{Backend, BackendError, Capabilities, World, builtin::BuiltinWorld},
    base::CaseId,
    scenario::Case,
    sys::{Isolated, VhostNet, wait_for_closes},
};

/// The backend `netns`.
#[derive(Clone, Debug)]
pub struct Netns {
    isolated: Isolated,
    /// Worlds to use again; none where every case gets a fresh one.
    worlds: Option<Arc<Worlds>>,
    /// Whether there is a vhost-net, once that was asked.
    has_vhost: Arc<OnceLock<bool>>,
    /// The cases that vhost-net has carried frames for.
    served: Arc<Mutex<BTreeSet<CaseId>>>,
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
        Self {
            isolated,
            worlds: None,
            has_vhost: Arc::default(),
            served: Arc::default(),
            _closes: Arc::default(),
        }
    }

    /// As [`Netns::new`], but a case may get the world of an earlier one that is proven to be as good
    /// as fresh.
    #[must_use]
    pub fn recycling(isolated: Isolated) -> Self {
        Self { worlds: Some(Arc::default()), ..Self::new(isolated) }
    }

    fn served(&self) -> MutexGuard<'_, BTreeSet<CaseId>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who carries the frames of a case's netdevs with vhost: where there is a vhost-net, it does. A case
    /// without steps has none.
    fn vhost(&self, case: &Case) -> Vhost {
        let wanted = !case.steps.is_empty() && has_vhost(case);
        if wanted && *self.has_vhost.get_or_init(|| VhostNet::device().is_ok()) {
            self.served().insert(case.id.clone());
            Vhost::Kernel
        } else {
            Vhost::Modelled
        }
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
            Some(worlds) => {
                NetnsCarrier::open_among(worlds, &self.isolated, case, self.vhost(case))?
            }
            None => NetnsCarrier::open_with(&self.isolated, case, self.vhost(case))?,
        };
        Ok(Box::new(BuiltinWorld::new(case, carrier)?))
    }

    fn remark(&self) -> Option<String> {
        let count = self.served().len();
        let cases = if count == 1 { "case" } else { "cases" };
        (count > 0).then(|| format!("vhost-net: {count} {cases}"))
    }

    fn open_fresh(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
        let carrier = NetnsCarrier::open_with(&self.isolated, case, self.vhost(case))?;
        Ok(Box::new(BuiltinWorld::new(case, carrier)?))
    }
}
