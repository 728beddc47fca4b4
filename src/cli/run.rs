//! The command `run`: its arguments, and a run from the suite to the exit code.

use std::{
    io::BufWriter,
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::builder::{OsStringValueParser, TypedValueParser};

use super::{
    CliError, Stop,
    backends::{self, BackendName, Opened, QemuArgs, Worlds},
    ci, list,
    number::from_one,
    output::{self, RunFormat},
    pause::{DEFAULT_OUT, Holder},
    remark,
    reporting::{self, AGREE_TABLE, GuardedReporter, STDOUT},
    suite::{Loaded, Outline, SuiteArgs},
    watch,
};
use crate::{
    base::Profile,
    diag::{Diagnose, Report},
    file,
    report::{
        AgreementTable, AtEnd, Events, Human, Json, Progress, ReportFiles, ReportKind, Reporter,
        WantedReport,
        record::{Collector, RunFacts},
    },
    runner::{self, Cases, Exit, Pause, Plan, Planned},
    scenario::Scenario,
    snapshot::Mode,
    sys::Interrupt,
};

/// Cases that are held from their check until they run. Of a larger suite the others are read again, so
/// that its memory does not grow with it.
const HELD: usize = 1_000;

/// Runs scenarios.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) suite: SuiteArgs,
    /// List the cases that would run, and run nothing
    #[arg(long)]
    list: bool,
    /// The backend that runs the cases
    #[arg(long, value_enum, default_value = "netns")]
    backend: BackendName,
    /// Run each case on each of these backends, and compare what can be observed
    #[arg(long, value_enum, value_name = "BACKENDS", value_delimiter = ',')]
    #[arg(conflicts_with = "backend")]
    agree: Vec<BackendName>,
    /// With --agree: write one JSON object per case and pair of backends
    #[arg(long, value_name = "FILE", requires = "agree")]
    agree_table: Option<PathBuf>,
    #[command(flatten)]
    qemu: QemuArgs,
    /// Run under this profile instead of the scenarios' own; snapshots of other profiles are
    /// ignored
    #[arg(long, value_name = "NAME", value_parser = Profile::parse)]
    profile: Option<Profile>,
    /// Number of cases to run at once [default: the number of processors]
    #[arg(short = 'j', long, value_name = "N", value_parser = from_one::<NonZeroUsize>)]
    jobs: Option<NonZeroUsize>,
    /// Give every case a fresh world; without it the backend netns uses a namespace again that is
    /// proven to be as it was when it was fresh
    #[arg(long)]
    fresh: bool,
    /// Longest time a case may take
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = from_one::<NonZeroU64>)]
    timeout: NonZeroU64,
    /// Report a running case as slow after this long, and again after each further interval
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = from_one::<NonZeroU64>)]
    slow_after: NonZeroU64,
    /// Start no further case once one has failed
    #[arg(long)]
    fail_fast: bool,
    /// Hold each failing case with its interfaces and namespaces until you have looked at it with
    /// tapwright enter; runs one case at a time
    #[arg(long, conflicts_with_all = ["agree", "jobs", "watch"])]
    pause_on_fail: bool,
    /// Run each case N times, to find flaky ones
    #[arg(long, value_name = "N", default_value = "1", value_parser = from_one::<NonZeroUsize>)]
    repeat: NonZeroUsize,
    /// Until Ctrl-C, run the affected cases again whenever a scenario, its snapshot or a capture
    /// that it names changes
    #[arg(long, conflicts_with_all = ["list", "reports", "agree_table"])]
    watch: bool,
    /// Accept the results as the new snapshots
    #[arg(long, conflicts_with = "ci")]
    accept: bool,
    /// Write no snapshot, and fail if one is missing; implied if the environment variable CI is set
    #[arg(long)]
    ci: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = RunFormat::Human)]
    pub(super) format: RunFormat,
    /// With JSON: include events and packets of every case, not only of failures
    #[arg(long)]
    events: bool,
    /// Write a report of the whole run at its end; may be repeated [kinds: html, json, junit,
    /// ktap, markdown, tap]
    #[arg(long = "report", value_name = "KIND=PATH", conflicts_with = "list")]
    #[arg(value_parser = report_parser())]
    reports: Vec<WantedReport>,
    /// Directory for captures
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_OUT)]
    out: PathBuf,
}

/// Reads `KIND=PATH`, whose path need not be UTF-8.
pub(super) fn report_parser() -> impl TypedValueParser<Value = WantedReport> {
    OsStringValueParser::new().try_map(WantedReport::try_from)
}

pub(super) fn run(args: &RunArgs) -> Result<Exit, Stop> {
    let mode = args.mode(ci::is_ci())?;
    args.check_agree()?;
    if args.out == Path::new(DEFAULT_OUT) {
        args.suite.reach.inside(&args.out)?;
    }
    let pause = args.pause()?;
    if args.watch {
        return watch::run(args, mode);
    }
    let scenarios = match args.list.then(|| args.suite.load()) {
        Some(Ok(scenarios)) => {
            let selection = args.suite.selection();
            let cases = runner::select(scenarios, &selection, args.profile.as_ref());
            return list::list(&cases, args.format.of_list());
        }
        Some(Err(stop)) => Err(stop),
        None => args.suite.load_at_most(args.held()),
    };
    // Made before the process is isolated, where every path is still what the user meant.
    let mut files = ReportFiles::create(&args.reports).map_err(reporting::not_reported)?;
    if args.format == RunFormat::Github {
        reporting::summarise(&mut files)?;
    }
    let mut collector = Collector::new(args.facts());
    let planned = scenarios.and_then(|scenarios| args.plan(mode, scenarios));
    let planned = planned.map(|plan| Plan { pause, ..plan });
    let (plan, reporters) = match planned.and_then(|plan| Ok((plan, args.reporters()?))) {
        Ok(planned) => planned,
        Err(stop) => return reporting::stopped(stop, args.format, collector.record(), &mut files),
    };
    let interrupt = Interrupt::install().map_err(reporting::refused("catching signals"))?;
    let done =
        reporting::run_and_report(&plan, interrupt, reporters, args.recorded(), collector, files);
    for remark in plan.lanes.iter().filter_map(|lane| lane.backend.remark()) {
        output::note(format_args!("{remark}"));
    }
    done
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
            [] => self.qemu.one(),
            [first, others @ ..] if others.iter().any(|other| other != first) => {
                if self.agree.contains(&BackendName::Qemu) { Ok(()) } else { self.qemu.one() }
            }
            _ => Err(Stop::invalid(vec![CliError::AgreeWithItself.report()])),
        }
    }

    /// How many cases are held until they run. Those that are to run as they stand in their files, and
    /// once, may be read again.
    fn held(&self) -> usize {
        let as_it_stands = self.agree.is_empty()
            && self.backend != BackendName::Qemu
            && self.profile.is_none()
            && self.repeat == NonZeroUsize::MIN;
        if as_it_stands { HELD } else { usize::MAX }
    }

    /// Opens the backends and says what runs on them.
    fn plan(&self, mode: Mode, loaded: Vec<Loaded>) -> Result<Plan, Stop> {
        let selection = self.suite.selection();
        let some = loaded.iter().any(|one| one.is_selected(&selection));
        let opened = if some { self.open()? } else { Opened::default() };
        let unreferenced = self.suite.unreferenced(&loaded);
        let (mut cases, mut all) = (Cases::default(), Vec::new());
        let mut held = Vec::new();
        for one in loaded {
            match one {
                Loaded::Held(scenario) => held.push(scenario),
                Loaded::Outlined(Outline { name, source, selected, remarks, .. }) => {
                    cases.add(self.select(&opened, std::mem::take(&mut held), &mut all));
                    remark::add(&mut all, remarks);
                    let (of, files) = ((source, name), self.suite.reach.files());
                    runner::add_later(&mut cases, selected, of, selection.clone(), files);
                }
            }
        }
        cases.add(self.select(&opened, held, &mut all));
        output::reports(&all);
        Ok(Plan { unreferenced, ..self.plan_of(&opened, mode, cases) })
    }

    /// Opens the backends. No thread may run before: see [`crate::sys::Isolated`].
    pub(super) fn open(&self) -> Result<Opened, Stop> {
        // Whoever looks into a world finds the case's own.
        let worlds = match self.fresh || self.pause_on_fail {
            true => Worlds::Fresh,
            false => Worlds::Recycled,
        };
        let opened = backends::open(self.backends(), &self.qemu, worlds)?;
        opened.announce(self.profile.as_ref());
        Ok(opened)
    }

    /// What is selected of some scenarios, on backends that are open.
    pub(super) fn plan_on(&self, opened: &Opened, mode: Mode, scenarios: Vec<Scenario>) -> Plan {
        let mut remarks = Vec::new();
        let cases = self.select(opened, scenarios, &mut remarks);
        output::reports(&remarks);
        self.plan_of(opened, mode, cases.into())
    }

    /// The selected cases, and what is remarked on them.
    fn select(
        &self,
        opened: &Opened,
        scenarios: Vec<Scenario>,
        remarks: &mut Vec<Report>,
    ) -> Vec<Planned> {
        let selection = self.suite.selection();
        let profile = self.profile.as_ref();
        let cases = match opened.qemus() {
            [] => runner::select(scenarios, &selection, profile),
            [qemu] => {
                let profile = profile.unwrap_or(&qemu.probed.profile);
                runner::select_for(scenarios, &selection, profile, !self.agree.is_empty())
            }
            _ => runner::select_for_each(&scenarios, &selection, &opened.groups(profile)),
        };
        remark::add(remarks, remark::remarks(cases.iter().map(|planned| &*planned.case)));
        cases
    }

    fn plan_of(&self, opened: &Opened, mode: Mode, cases: Cases) -> Plan {
        Plan {
            cases,
            lanes: opened.lanes_under(self.profile.as_ref()),
            mode,
            scope: self.suite.reach.scope(),
            repeat: self.repeat,
            jobs: self.jobs(),
            timeout: Duration::from_secs(self.timeout.get()),
            // While a person looks on, time is no matter.
            slow_after: (!self.pause_on_fail).then(|| Duration::from_secs(self.slow_after.get())),
            fail_fast: self.fail_fast,
            out: self.out.clone(),
            pause: None,
            unreferenced: 0,
        }
    }

    /// The request as reports show it.
    pub(super) fn facts(&self) -> RunFacts {
        let backends = self.backends().iter();
        RunFacts {
            backends: backends.map(|backend| backend.name().to_owned()).collect(),
            repeat: self.repeat.get(),
            profile: self.profile.as_ref().map(Profile::to_string),
            ..self.suite.facts()
        }
    }

    pub(super) const fn events(&self) -> Events {
        if self.events { Events::OfAll } else { Events::OfFailures }
    }

    /// A page shows the packets of every case.
    pub(super) fn recorded(&self) -> Events {
        let page = |report: &WantedReport| report.kind == ReportKind::Html;
        if self.reports.iter().any(page) { Events::OfAll } else { self.events() }
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
        if self.agree.is_empty() { std::slice::from_ref(&self.backend) } else { &self.agree }
    }

    fn jobs(&self) -> NonZeroUsize {
        if self.pause_on_fail {
            return NonZeroUsize::MIN;
        }
        self.jobs.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }

    pub(super) fn reporters(&self) -> Result<Vec<GuardedReporter>, Stop> {
        let mut reporters = vec![GuardedReporter::new(self.reporter(), STDOUT)];
        if let Some(path) = &self.agree_table {
            let file = file::create(path).map_err(reporting::refused(AGREE_TABLE))?;
            let table = AgreementTable::new(BufWriter::new(file));
            reporters.push(GuardedReporter::new(Box::new(table), AGREE_TABLE));
        }
        Ok(reporters)
    }

    fn reporter(&self) -> Box<dyn Reporter> {
        let out = output::stdout();
        let at_end = |kind, out| Box::new(Progress::new(AtEnd::new(kind, out, self.facts())));
        match self.format {
            // A bar would be drawn over what a pause says.
            RunFormat::Human if self.pause_on_fail => Box::new(Human::new(out)),
            RunFormat::Human => Box::new(Progress::new(Human::new(out))),
            RunFormat::Json => Box::new(Json::new(output::lines(), self.events())),
            RunFormat::Github => Box::new(output::github()),
            RunFormat::Junit => at_end(ReportKind::Junit, out),
            RunFormat::Tap => at_end(ReportKind::Tap, out),
            RunFormat::Ktap => at_end(ReportKind::Ktap, out),
        }
    }
}
