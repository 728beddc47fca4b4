use std::{
    fs::File,
    io::{self, BufWriter},
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    CliError, Stop, ci,
    lanes::{self, BackendName, Opened, QemuArgs},
    list,
    output::{self, Format},
    pause::{DEFAULT_OUT, Holder},
    suite::SuiteArgs,
};
use crate::{
    base::Profile,
    diag::Diagnose,
    report::{self, AgreementTable, Events, Human, Json, Progress, Reporter},
    runner::{self, Exit, Pause, Plan},
    snapshot::Mode,
    sys::Interrupt,
};

/// Runs scenarios.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    suite: SuiteArgs,
    /// Only list the cases that would run
    #[arg(long)]
    list: bool,
    /// What carries the cases out
    #[arg(long, value_enum, default_value = "netns")]
    backend: BackendName,
    /// Run each case on each of these, and compare what can be observed
    #[arg(long, value_enum, value_name = "BACKENDS", value_delimiter = ',')]
    #[arg(conflicts_with = "backend")]
    agree: Vec<BackendName>,
    /// With --agree: write how each two backends compare on each case, an object a line
    #[arg(long, value_name = "FILE", requires = "agree")]
    agree_table: Option<PathBuf>,
    #[command(flatten)]
    qemu: QemuArgs,
    /// Run under this profile instead of the scenarios' own; snapshots of others are left aside
    #[arg(long, value_name = "NAME", value_parser = Profile::parse)]
    profile: Option<Profile>,
    /// Cases at once [default: as many as there are processors]
    #[arg(short = 'j', long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// How long a case may take
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    timeout: NonZeroU64,
    /// Begin no case after the first that fails
    #[arg(long)]
    fail_fast: bool,
    /// Hold each case that fails, its interfaces and namespaces as they are, until a person has looked
    /// at it: tapwright enter. One case at a time
    #[arg(long, conflicts_with_all = ["agree", "jobs"])]
    pause_on_fail: bool,
    /// Run each case so often, to find those that pass only sometimes
    #[arg(long, value_name = "N", default_value = "1")]
    repeat: NonZeroUsize,
    /// Take what comes out as the new snapshots
    #[arg(long, conflicts_with = "ci")]
    accept: bool,
    /// Write no snapshot, and fail where one is missing; as where the variable CI is set
    #[arg(long)]
    ci: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// In JSON: what explains the record of every case, not of failures only
    #[arg(long)]
    events: bool,
    /// Where the captures go
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_OUT)]
    out: PathBuf,
}

pub(super) fn run(args: &RunArgs) -> Result<Exit, Stop> {
    let mode = args.mode(ci::is_ci())?;
    args.check_agree()?;
    let pause = args.pause()?;
    let scenarios = match args.suite.load() {
        Err(stop) if args.format == Format::Json => return diagnosed(&stop),
        loaded => loaded?,
    };
    let cases = runner::select(&scenarios, &args.suite.selection(), args.profile.as_ref());
    if args.list {
        return list::list(&cases, args.format);
    }
    // No thread may run before: see `sys::isolate`.
    let names = if cases.is_empty() {
        &[]
    } else {
        args.backends()
    };
    let Opened { lanes, probed } = match lanes::open(names, &args.qemu) {
        Err(stop) if args.format == Format::Json => return diagnosed(&stop),
        opened => opened?,
    };
    let cases = match probed {
        Some(probed) => {
            if args.profile.is_none() {
                anstream::eprintln!("tapwright: {}", probed.announcement());
            }
            let profile = args.profile.as_ref().unwrap_or(&probed.profile);
            let compared = !args.agree.is_empty();
            runner::select_for(&scenarios, &args.suite.selection(), profile, compared)
        }
        None => cases,
    };
    let reporter = args.reporters()?;
    let interrupt = Interrupt::install().map_err(refused("catching signals"))?;
    let plan = Plan {
        cases,
        lanes,
        mode,
        repeat: args.repeat,
        jobs: args.jobs(),
        timeout: Duration::from_secs(args.timeout.get()),
        fail_fast: args.fail_fast,
        out: args.out.clone(),
        pause,
        unreferenced: args.suite.unreferenced(&scenarios),
    };
    told(&plan, interrupt, reporter)
}

impl RunArgs {
    fn mode(&self, in_ci: bool) -> Result<Mode, Stop> {
        match (self.accept, self.ci || in_ci) {
            (true, true) => Err(Stop::invalid(vec![CliError::AcceptInCi.report()])),
            (true, false) => Ok(Mode::Accept),
            (false, true) => Ok(Mode::Check),
            (false, false) => Ok(Mode::Pending),
        }
    }

    fn check_agree(&self) -> Result<(), Stop> {
        match self.agree.as_slice() {
            [] => Ok(()),
            [first, others @ ..] if others.iter().any(|other| other != first) => Ok(()),
            _ => Err(Stop::invalid(vec![CliError::AgreeWithItself.report()])),
        }
    }

    fn pause(&self) -> Result<Option<Arc<dyn Pause>>, Stop> {
        if !self.pause_on_fail {
            return Ok(None);
        }
        if self.backend == BackendName::Sim {
            return Err(Stop::invalid(vec![CliError::NothingToEnter.report()]));
        }
        let out = self.out.clone();
        Ok(Some(Arc::new(Holder { out })))
    }

    fn backends(&self) -> &[BackendName] {
        if self.agree.is_empty() {
            std::slice::from_ref(&self.backend)
        } else {
            &self.agree
        }
    }

    fn jobs(&self) -> NonZeroUsize {
        if self.pause_on_fail {
            return NonZeroUsize::MIN;
        }
        self.jobs
            .or_else(|| thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN)
    }

    fn reporters(&self) -> Result<Vec<Box<dyn Reporter>>, Stop> {
        let mut reporters = vec![self.reporter()];
        if let Some(path) = &self.agree_table {
            let file = File::create(path).map_err(refused("--agree-table"))?;
            reporters.push(Box::new(AgreementTable::new(BufWriter::new(file))));
        }
        Ok(reporters)
    }

    fn reporter(&self) -> Box<dyn Reporter> {
        let out = output::stdout();
        let events = if self.events {
            Events::OfAll
        } else {
            Events::OfFailures
        };
        match self.format {
            // A bar would be drawn over what a pause says.
            Format::Human if self.pause_on_fail => Box::new(Human::new(out)),
            Format::Human => Box::new(Progress::new(Human::new(out))),
            Format::Json => Box::new(Json::new(out, events)),
        }
    }
}

/// Runs and tells. A reader that goes away wants to know no more: the run goes on to its end, and
/// its exit says how it went.
fn told(
    plan: &Plan,
    interrupt: Interrupt,
    mut reporters: Vec<Box<dyn Reporter>>,
) -> Result<Exit, Stop> {
    let mut written = Ok(());
    let totals = runner::run(plan, Some(&interrupt), &mut |event| {
        if written.is_ok() {
            written = reporters
                .iter_mut()
                .try_for_each(|reporter| reporter.event(event));
        }
    })
    .map_err(refused("watching for signals"))?;
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(output::unwritable(error)),
        _ => Ok(totals.exit()),
    }
}

/// What is wrong, on standard output, as whoever asked for JSON reads it.
fn diagnosed(stop: &Stop) -> Result<Exit, Stop> {
    let line = |one| format!("{}\n", report::diagnostic(one));
    output::print(&stop.reports.iter().map(line).collect::<String>())?;
    Ok(stop.exit)
}

fn refused(what: &'static str) -> impl Fn(io::Error) -> Stop {
    move |source| Stop {
        exit: Exit::Internal,
        reports: vec![CliError::System { what, source }.report()],
    }
}
