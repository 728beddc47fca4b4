//! The backends that a command line names, probed and opened. Every command that runs scenarios
//! takes them from here.

use std::{path::PathBuf, sync::Arc};

use super::{CliError, Stop, output};
use crate::{
    backend::{
        Backend, BackendError, Netns, Qemu, Sim,
        qemu::{Admission, Probed},
    },
    diag::Diagnose,
    runner::{Exit, Lane},
    sys::{self, Isolated},
    terminal::visible,
};

/// The backends of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum BackendName {
    /// Real namespaces, TAPs and packet sockets
    Netns,
    /// In memory, without privileges
    Sim,
    /// Real interfaces, and a real QEMU with the objects
    Qemu,
}

impl BackendName {
    /// The name as it is written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Netns => "netns",
            Self::Sim => "sim",
            Self::Qemu => "qemu",
        }
    }
}

/// The QEMU that is run.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct QemuProgram {
    /// The QEMU program of the backend qemu
    #[arg(long, value_name = "PATH", env = "TAPWRIGHT_QEMU")]
    #[arg(default_value = "qemu-system-x86_64")]
    pub(super) qemu: PathBuf,
}

/// The QEMU that is run, and what it may be sent.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct QemuArgs {
    #[command(flatten)]
    program: QemuProgram,

    /// Send everything in a scenario to a real QEMU, including what starts programs and opens files
    /// on this machine; only for scenarios that you trust
    #[arg(long)]
    unsafe_qemu: bool,
}

impl QemuArgs {
    const fn admission(&self) -> Admission {
        if self.unsafe_qemu { Admission::Everything } else { Admission::Listed }
    }
}

/// What `--unsafe-qemu` means, each time.
const EVERYTHING_IS_SENT: &str = "--unsafe-qemu: whatever the scenarios ask for is sent to QEMU, also \
                                  what opens files of this machine and starts programs";

#[derive(Default)]
pub(super) struct Opened {
    pub(super) lanes: Vec<Lane>,
    pub(super) probed: Option<Probed>,
}

/// Opens the backends. The process is isolated first where one of them touches interfaces; a
/// backend that can do nothing here is among the lanes all the same, so that its cases are skipped
/// with the reason, unless all are such.
///
/// # Errors
/// When none of them can run anything here: what to do about each.
pub(super) fn open(names: &[BackendName], args: &QemuArgs) -> Result<Opened, Stop> {
    let mut errors = Vec::new();
    let mut lanes = Vec::new();
    let mut probed = None;
    let mut isolated = Isolation::default();
    for name in names {
        let backend: Result<Arc<dyn Backend>, CliError> = match name {
            BackendName::Sim => Ok(Arc::new(Sim)),
            BackendName::Netns => {
                isolated.get().map(|isolated| Arc::new(Netns::new(isolated)) as _)
            }
            BackendName::Qemu => isolated.get().and_then(|isolated| {
                let program = args.program.qemu.clone();
                let qemu = Qemu::new(isolated, program, args.admission()).map_err(unavailable)?;
                if let Some(warning) = qemu.probed().warning() {
                    output::note(format_args!("{}", visible(warning)));
                }
                if args.unsafe_qemu {
                    output::note(format_args!("{EVERYTHING_IS_SENT}"));
                }
                probed = Some(qemu.probed().clone());
                Ok(Arc::new(qemu) as _)
            }),
        };
        match backend {
            Ok(backend) => match backend.probe() {
                Ok(capabilities) => {
                    lanes.push(Lane { backend, capabilities: Ok(capabilities) });
                }
                Err(error) => {
                    lanes.push(Lane { backend, capabilities: Err(error.to_string()) });
                    errors.push(unavailable(error));
                }
            },
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() || (lanes.len() == names.len() && errors.len() < names.len()) {
        return Ok(Opened { lanes, probed });
    }
    Err(Stop { exit: Exit::Unavailable, reports: errors.iter().map(CliError::report).collect() })
}

/// Opens the backend netns; the process is isolated.
///
/// # Errors
/// When it can't run anything here: what to do about it.
pub(super) fn netns() -> Result<Arc<dyn Backend>, Stop> {
    let backend = Netns::new(sys::isolate().map_err(|error| stopped(error.into()))?);
    match backend.probe() {
        Ok(_) => Ok(Arc::new(backend)),
        Err(error) => Err(stopped(unavailable(error))),
    }
}

fn stopped(error: CliError) -> Stop {
    Stop { exit: Exit::Unavailable, reports: vec![error.report()] }
}

/// The process is isolated once, and only when that is needed.
#[derive(Default)]
struct Isolation(Option<Isolated>);

impl Isolation {
    fn get(&mut self) -> Result<Isolated, CliError> {
        Ok(match &self.0 {
            Some(isolated) => isolated.clone(),
            None => self.0.insert(sys::isolate()?).clone(),
        })
    }
}

fn unavailable(error: BackendError) -> CliError {
    let reason = error.to_string();
    let remedy = match error {
        BackendError::Unavailable { remedy, .. } => Some(remedy),
        _ => None,
    };
    CliError::Unavailable { reason, remedy }
}
