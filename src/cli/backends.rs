//! The backends that a command line names, probed and opened. Every command that runs scenarios
//! takes them from here.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{CliError, Stop, output};
use crate::{
    backend::{
        Backend, BackendError, Netns, Qemu, Sim,
        qemu::{Admission, Probed},
    },
    base::Profile,
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

/// What cases run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worlds {
    /// Each in a world of its own.
    Fresh,
    /// Where a backend can prove that it makes no difference, one after another in the same.
    Recycled,
}

/// The QEMUs that are run, and what they may be sent.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct QemuArgs {
    /// The QEMU program of the backend qemu; given several times to run --agree, each of them is
    /// compared under its own profile
    #[arg(long, value_name = "PATH", env = "TAPWRIGHT_QEMU")]
    #[arg(default_value = "qemu-system-x86_64")]
    qemu: Vec<PathBuf>,

    /// Send everything in a scenario to a real QEMU, including what starts programs and opens files
    /// on this machine; only for scenarios that you trust
    #[arg(long)]
    unsafe_qemu: bool,
}

impl QemuArgs {
    const fn admission(&self) -> Admission {
        if self.unsafe_qemu { Admission::Everything } else { Admission::Listed }
    }

    /// That there is no more than one.
    ///
    /// # Errors
    /// When there are several.
    pub(super) fn one(&self) -> Result<(), Stop> {
        match self.qemu.as_slice() {
            [] | [_] => Ok(()),
            several => {
                let count = several.len();
                Err(Stop::invalid(vec![CliError::SeveralQemus { count }.report()]))
            }
        }
    }
}

/// What `--unsafe-qemu` means, each time.
const EVERYTHING_IS_SENT: &str = "--unsafe-qemu: whatever the scenarios ask for is sent to QEMU, also \
                                  what opens files of this machine and starts programs";

/// The backends of a run.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) lanes: Vec<Lane>,
    qemus: Vec<OpenedQemu>,
}

/// A QEMU among the backends.
pub(super) struct OpenedQemu {
    /// The place of its lane.
    lane: usize,
    program: PathBuf,
    pub(super) probed: Probed,
}

impl Opened {
    /// The QEMUs among them, in the order of the command line.
    pub(super) fn qemus(&self) -> &[OpenedQemu] {
        &self.qemus
    }

    /// What the only QEMU is; that of the first where there are several.
    pub(super) fn probed(&self) -> Option<&Probed> {
        self.qemus.first().map(|qemu| &qemu.probed)
    }

    /// Which profile each QEMU is run under, or with this one given, what it is called.
    pub(super) fn announce(&self, profile: Option<&Profile>) {
        for OpenedQemu { lane, program, probed } in &self.qemus {
            let said = profile.is_none().then(|| probed.announcement());
            let name = &self.lanes[*lane].name;
            let text = match (self.qemus.as_slice(), said) {
                ([_], None) => continue,
                ([_], Some(said)) => said,
                (_, None) => format!("{name} is {}", program.display()),
                (_, Some(said)) => format!("{name} is {}: {said}", program.display()),
            };
            output::note(format_args!("{}", visible(text)));
        }
    }

    /// The lanes, with the profile that a QEMU is held against which is not its own.
    pub(super) fn lanes_under(&self, profile: Option<&Profile>) -> Vec<Lane> {
        let mut lanes = self.lanes.clone();
        for OpenedQemu { lane, probed, .. } in &self.qemus {
            let held = profile.unwrap_or(&probed.profile);
            if !probed.is_modelled() || *held != probed.profile {
                lanes[*lane].stand_in = Some(held.clone());
            }
        }
        lanes
    }

    /// Each profile of the QEMUs, or this one, with the lanes that run under it: the QEMUs', and
    /// those of all other backends.
    pub(super) fn groups(&self, profile: Option<&Profile>) -> Vec<(Profile, Vec<usize>)> {
        let held = |qemu: &OpenedQemu| profile.unwrap_or(&qemu.probed.profile).clone();
        let mut profiles: Vec<Profile> = Vec::new();
        for profile in self.qemus.iter().map(held) {
            if !profiles.contains(&profile) {
                profiles.push(profile);
            }
        }
        let group = |profile: Profile| {
            let is_of = |lane: &usize| {
                let qemu = self.qemus.iter().find(|qemu| qemu.lane == *lane);
                qemu.is_none_or(|qemu| held(qemu) == profile)
            };
            let lanes = (0..self.lanes.len()).filter(is_of).collect();
            (profile, lanes)
        };
        profiles.into_iter().map(group).collect()
    }

    /// Several QEMUs are told apart by their versions, and where two have the same, by numbers.
    fn name_qemus(&mut self) {
        if self.qemus.len() < 2 {
            return;
        }
        for at in 0..self.qemus.len() {
            let version = self.qemus[at].probed.version;
            let earlier = self.qemus[..at].iter().filter(|qemu| qemu.probed.version == version);
            let name = match earlier.count() {
                0 => format!("qemu-{version}"),
                count => format!("qemu-{version}-{}", count + 1),
            };
            self.lanes[self.qemus[at].lane].name = name.into();
        }
    }
}

/// Opens the backends. The process is isolated first where one of them touches interfaces; a
/// backend that can do nothing here is among the lanes all the same, so that its cases are skipped
/// with the reason, unless all are such.
///
/// # Errors
/// When none of them can run anything here: what to do about each.
pub(super) fn open(names: &[BackendName], args: &QemuArgs, worlds: Worlds) -> Result<Opened, Stop> {
    let mut errors = Vec::new();
    let mut opened = Opened::default();
    let mut isolated = Isolation::default();
    let wanted: Vec<Wanted<'_>> = names.iter().flat_map(|name| Wanted::of(*name, args)).collect();
    if args.unsafe_qemu && names.contains(&BackendName::Qemu) {
        output::note(format_args!("{EVERYTHING_IS_SENT}"));
    }
    for one in &wanted {
        let backend: Result<Arc<dyn Backend>, CliError> = match one {
            Wanted::Sim => Ok(Arc::new(Sim)),
            Wanted::Netns => isolated.get().map(|isolated| match worlds {
                Worlds::Fresh => Arc::new(Netns::new(isolated)) as _,
                Worlds::Recycled => Arc::new(Netns::recycling(isolated)) as _,
            }),
            Wanted::Qemu(program) => isolated.get().and_then(|isolated| {
                let program = program.to_path_buf();
                let qemu = Qemu::new(isolated, program.clone(), args.admission());
                let qemu = qemu.map_err(unavailable)?;
                if let Some(warning) = qemu.probed().warning() {
                    output::note(format_args!("{}", visible(warning)));
                }
                let (lane, probed) = (opened.lanes.len(), qemu.probed().clone());
                opened.qemus.push(OpenedQemu { lane, program, probed });
                Ok(Arc::new(qemu) as _)
            }),
        };
        match backend {
            Ok(backend) => match backend.probe() {
                Ok(capabilities) => opened.lanes.push(Lane::new(backend, Ok(capabilities))),
                Err(error) => {
                    opened.lanes.push(Lane::new(backend, Err(error.to_string())));
                    errors.push(unavailable(error));
                }
            },
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() || (opened.lanes.len() == wanted.len() && errors.len() < wanted.len()) {
        opened.name_qemus();
        return Ok(opened);
    }
    Err(Stop { exit: Exit::Unavailable, reports: errors.iter().map(CliError::report).collect() })
}

/// A backend as it is opened: of QEMU one for each program.
enum Wanted<'a> {
    Sim,
    Netns,
    Qemu(&'a Path),
}

impl<'a> Wanted<'a> {
    fn of(name: BackendName, args: &'a QemuArgs) -> Vec<Self> {
        match name {
            BackendName::Sim => vec![Self::Sim],
            BackendName::Netns => vec![Self::Netns],
            BackendName::Qemu => args.qemu.iter().map(|program| Self::Qemu(program)).collect(),
        }
    }
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
