//! The backend `qemu`: a program that was probed, and what it can do. `cli` opens it by name.

use std::{path::PathBuf, sync::Arc};

use super::{
    Admission, NAME, fit,
    probe::{self, Probed},
    program::Program,
    world::QemuWorld,
};
use crate::{
    backend::{Backend, BackendError, Capabilities, Missing, World, netns},
    scenario::Case,
    sys::Isolated,
};

/// The backend `qemu`.
#[derive(Clone, Debug)]
pub struct Qemu {
    isolated: Isolated,
    program: Program,
    probed: Probed,
    admission: Admission,
}

impl Qemu {
    /// Asks a QEMU what it is, and which fences it bears, in a process that is isolated.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when there is no QEMU or it does not speak QMP.
    pub fn new(
        isolated: Isolated,
        program: PathBuf,
        admission: Admission,
    ) -> Result<Self, BackendError> {
        let unavailable = |reason: String| BackendError::Unavailable {
            backend: NAME,
            reason: format!("{}: {reason}", program.display()),
            remedy: "install QEMU (Debian: qemu-system-x86), or name another with --qemu or \
                     TAPWRIGHT_QEMU"
                .to_owned(),
        };
        let (program, probed) = probe::examine(&isolated, &program).map_err(unavailable)?;
        Ok(Self { isolated, program, probed, admission })
    }

    /// Its program, behind the fences that it bears.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    #[must_use]
    pub const fn probed(&self) -> &Probed {
        &self.probed
    }
}

impl Probed {
    /// Whether a profile was made after this very QEMU. That of a version of the RFC was made after
    /// mails.
    #[must_use]
    pub fn is_modelled(&self) -> bool {
        self.patch.is_none() && self.version.is_modelled()
    }

    /// Whether filter-redirector has `in_netdev` and `out_netdev`.
    #[must_use]
    pub fn has_in_netdev(&self) -> bool {
        self.patch.is_some_and(|patch| patch.version.has_af_packet())
    }

    /// What is run and as what it is modelled, in a sentence.
    #[must_use]
    pub fn announcement(&self) -> String {
        let Self { version, profile, patch, .. } = self;
        let why = match patch {
            Some(patch) => format!(": {}", patch.found),
            None if self.is_modelled() => String::new(),
            None => ", the nearest that is known; --profile names another".to_owned(),
        };
        format!("QEMU {version} is run under the profile {profile}{why}")
    }

    /// A sentence that names the fences it runs without; none if it runs behind all.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let names: Vec<&str> = self.missing.iter().map(|missing| missing.fence.name()).collect();
        let reason = &self.missing.first()?.reason;
        let names = names.join(", ");
        Some(format!("QEMU runs without these fences: {names} ({reason}); see tapwright doctor"))
    }
}

impl Backend for Qemu {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Result<Capabilities, BackendError> {
        netns::probe(&self.isolated)
    }

    fn takes(&self, case: &Case) -> Result<(), Missing> {
        self.admission.case(case, self.probed.version)?;
        fit::check(case, &self.probed)
    }

    fn narrowed(&self, case: &Arc<Case>) -> Arc<Case> {
        fit::narrowed(case)
    }

    fn open(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
        let Self { isolated, program, probed, admission } = self;
        let world = QemuWorld::open(isolated, program, probed.version, *admission, case)?;
        Ok(Box::new(world))
    }
}
