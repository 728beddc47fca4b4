//! Why a command did not run in a VM, each reason with its remedy.

use std::{io, path::PathBuf};

use crate::debian::ArchiveError;

/// What to do without a VM.
const OTHERWISE: &str = "nothing but `cargo xtask vm` needs it, and on a machine whose kernel has \
     vhost_net (`tapwright doctor` says so) the command runs as it is";

#[derive(Debug, thiserror::Error)]
pub(crate) enum VmError {
    #[error("{0:?} is not the name of a suite of Debian: bookworm, bookworm-backports, sid")]
    Suite(String),
    #[error("{0}; {OTHERWISE}")]
    OutOfReach(ArchiveError),
    #[error(transparent)]
    Archive(ArchiveError),
    #[error(
        "Debian's kernels for {0} are not started here, but those for amd64 alone: run this on such a \
         machine"
    )]
    Architecture(String),
    #[error("{} has no kernel: name another suite with --kernel", .0.display())]
    NoKernel(PathBuf),
    #[error("this kernel has no module {0}, without which no VM works: name another with --kernel")]
    NoModule(String),
    #[error("{program} can't be started: {source}; install it (Debian: {package})")]
    NoProgram { program: &'static str, package: &'static str, source: io::Error },
    #[error("{program}: {said}")]
    Compressed { program: &'static str, said: String },
    #[error("{name} is too large for the VM's first root")]
    TooLarge { name: String },
    #[error("a temporary file: {0}")]
    Temporary(#[source] io::Error),
    #[error(
        "{program} does not run: {how}; install QEMU (Debian: qemu-system-x86), or name one with \
         --qemu, such as `cargo xtask qemu` unpacks"
    )]
    NoQemu { program: String, how: String },
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("the VM was ended before the command, after {seconds} s (--timeout){console}")]
    Deadline { seconds: u64, console: String },
    #[error("the VM ended before the command did, {how}{console}")]
    Ended { how: String, console: String },
}

impl VmError {
    /// What is handed on as the failure of a step.
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

impl From<ArchiveError> for VmError {
    fn from(error: ArchiveError) -> Self {
        if error.is_out_of_reach() { Self::OutOfReach(error) } else { Self::Archive(error) }
    }
}
