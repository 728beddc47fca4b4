//! `cargo xtask vm -- COMMAND...`: a command in a VM with another kernel, one that has vhost-net. The kernel
//! is Debian's, unpacked below `target/vm` and never installed; the files are those of this machine, which
//! only target/ can be written of.
//!
//! QEMU ends with this process, even by SIGKILL, and there is no file that could be left behind: the image
//! that the VM starts from is in memory, and everything else goes through pipes.

mod decompress;
mod error;
mod guest;
mod hypervisor;
mod image;
mod kernel;
mod module;
mod newc;
mod watch;

use std::{
    ffi::{OsStr, OsString},
    fs,
    process::ExitCode,
    time::Duration,
};

use error::VmError;
use guest::Request;
use kernel::Kernel;

use crate::{
    chore::target_folder,
    debian::{ArchiveError, Source, is_suite},
};

/// The exit statuses of timeout(1): a deadline that passed, and any failure that is not the command's.
const DEADLINE: u8 = 124;
const FAILED: u8 = 125;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The suite of Debian whose kernel is started: bookworm, bookworm-backports, trixie,
    /// trixie-backports, sid or another.
    #[arg(long, default_value = "bookworm", value_name = "SUITE")]
    kernel: String,
    /// After how many seconds the VM is ended, whatever runs in it; the exit status is then 124.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
    /// Fetches the kernel that the suite has now, also where one is there.
    #[arg(long)]
    update: bool,
    /// The QEMU that runs the VM; by default TAPWRIGHT_QEMU or the one that is installed, else the one of
    /// `cargo xtask qemu`.
    #[arg(long, value_name = "PROGRAM")]
    qemu: Option<OsString>,
    #[command(flatten)]
    source: Source,
    /// What runs in the VM, as root, in this folder and with these variables. Only target/ can be written,
    /// and /tmp, whose changes are lost.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs the command; its exit status, or one of timeout(1).
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match carry_out(arguments) {
        Ok(status) => status.into(),
        Err(error) => {
            anstream::eprintln!("xtask: {error}");
            let passed = matches!(error, VmError::Deadline { .. });
            if passed { DEADLINE.into() } else { FAILED.into() }
        }
    }
}

fn carry_out(arguments: &Arguments) -> Result<u8, VmError> {
    let Arguments { kernel, timeout, update, qemu, source, command } = arguments;
    if !is_suite(kernel) {
        return Err(VmError::Suite(kernel.clone()));
    }
    let program = hypervisor::program(qemu.as_deref().map(OsStr::new), source)?;
    let kernel = Kernel::provide(kernel, *update, source)?;
    let target = target_folder();
    let target = fs::canonicalize(&target).map_err(|source| ArchiveError::file(&target, source))?;
    let folder = std::env::current_dir().map_err(VmError::system("the working folder"))?;
    let environment: Vec<_> = std::env::vars_os().collect();
    let request = Request { command, folder: &folder, target: &target, environment: &environment };
    let vm = hypervisor::start(&program, &kernel, &request.archive()?, &target)?;
    watch::follow(vm, Duration::from_secs(*timeout))
}
