use std::sync::Arc;

use super::{CliError, Stop};
use crate::{
    backend::{Backend, BackendError, Netns, Sim},
    diag::Diagnose,
    runner::{Exit, Lane},
    sys,
};

/// The backends of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum BackendName {
    /// Real namespaces, TAPs and packet sockets
    Netns,
    /// In memory, without privileges
    Sim,
}

/// Opens the backends. The process is isolated first where one of them touches interfaces; a
/// backend that can do nothing here is among the lanes all the same, so that its cases are skipped
/// with the reason, unless all are such.
///
/// # Errors
/// When none of them can run anything here: what to do about each.
pub(super) fn open(names: &[BackendName]) -> Result<Vec<Lane>, Stop> {
    let mut errors = Vec::new();
    let mut lanes = Vec::new();
    for name in names {
        match backend(*name) {
            Ok(backend) => match backend.probe() {
                Ok(capabilities) => {
                    lanes.push(Lane {
                        backend,
                        capabilities: Ok(capabilities),
                    });
                }
                Err(error) => {
                    lanes.push(Lane {
                        backend,
                        capabilities: Err(error.to_string()),
                    });
                    errors.push(unavailable(error));
                }
            },
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() || (lanes.len() == names.len() && errors.len() < names.len()) {
        return Ok(lanes);
    }
    Err(Stop {
        exit: Exit::Unavailable,
        reports: errors.iter().map(CliError::report).collect(),
    })
}

fn backend(name: BackendName) -> Result<Arc<dyn Backend>, CliError> {
    Ok(match name {
        BackendName::Sim => Arc::new(Sim),
        BackendName::Netns => Arc::new(Netns::new(sys::isolate()?)),
    })
}

fn unavailable(error: BackendError) -> CliError {
    let reason = error.to_string();
    let remedy = match error {
        BackendError::Unavailable { remedy, .. } => Some(remedy),
        _ => None,
    };
    CliError::Unavailable { reason, remedy }
}
