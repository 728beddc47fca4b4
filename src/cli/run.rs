use std::{
    env,
    fs::File,
    io::{self, BufWriter},
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    thread,
    time::Duration,
};

use clap::builder::{OsStringValueParser, TypedValueParser};

use super::{
    CliError, Stop, ci,
    lanes::{self, BackendName, Opened, QemuArgs},
    list,
    output::{self, RunFormat},
    suite::SuiteArgs,
};
use crate::{
    base::Profile,
    diag::{Diagnose, Report},
    report::{
        self, AgreementTable, AtEnd, Events, Human, Json, Progress, ReportError, ReportFiles,
        ReportKind, Reporter, WantedReport,
        record::{Collector, DiagnosticRecord, RunFacts, RunRecord},
    },
    runner::{self, Exit, Plan, RunEvent},
    scenario::Scenario,
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
    #[arg(long, value_enum, default_value_t = RunFormat::Human)]
    format: RunFormat,
    /// In JSON: what explains the record of every case, not of failures only, and their packets
    #[arg(long)]
    events: bool,
    /// Write a report of the whole run at its end; several with several [kinds: html, json, junit, markdown]
    #[arg(long = "report", value_name = "KIND=PATH", conflicts_with = "list")]
    #[arg(value_parser = report_parser())]
    reports: Vec<WantedReport>,
    /// Where the captures go
    #[arg(long, value_name = "DIRECTORY", default_value = "target/tapwright")]
    out: PathBuf,
}

/// Reads `KIND=PATH`, whose path need not be UTF-8.
pub(super) fn report_parser() -> impl TypedValueParser<Value = WantedReport> {
    OsStringValueParser::new().try_map(WantedReport::try_from)
}

pub(super) fn run(args: &RunArgs) -> Result<Exit, Stop> {
    let mode = args.mode(ci::is_ci())?;
    args.check_agree()?;
    let scenarios = args.suite.load();
    if let (true, Ok(scenarios)) = (args.list, &scenarios) {
        let selection = args.suite.selection();
        let cases = runner::select(scenarios, &selection, args.profile.as_ref());
        return list::list(&cases, args.format.of_list());
    }
    // Made before the process is isolated, where every path is still what the user meant.
    let mut files = ReportFiles::create(&args.reports).map_err(not_reported)?;
    if args.format == RunFormat::Github {
        summarise(&mut files)?;
    }
    let mut collector = Collector::new(args.facts(), args.recorded());
    let planned = scenarios.and_then(|scenarios| args.plan(mode, &scenarios));
    let (plan, reporters) = match planned.and_then(|plan| Ok((plan, args.reporters()?))) {
        Ok(planned) => planned,
        Err(stop) => return stopped(stop, args.format, collector.record(), &mut files),
    };
    let interrupt = Interrupt::install().map_err(refused("catching signals"))?;
    told(&plan, interrupt, reporters, collector, files)
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

    /// Opens the backends and says what runs on them. No thread may run before: see
    /// [`crate::sys::Isolated`].
    fn plan(&self, mode: Mode, scenarios: &[Scenario]) -> Result<Plan, Stop> {
        let selection = self.suite.selection();
        let cases = runner::select(scenarios, &selection, self.profile.as_ref());
        let names = if cases.is_empty() {
            &[]
        } else {
            self.backends()
        };
        let Opened { lanes, probed } = lanes::open(names, &self.qemu)?;
        let cases = match probed {
            Some(probed) => {
                if self.profile.is_none() {
                    anstream::eprintln!("tapwright: {}", probed.announcement());
                }
                let profile = self.profile.as_ref().unwrap_or(&probed.profile);
                runner::select_for(scenarios, &selection, profile, !self.agree.is_empty())
            }
            None => cases,
        };
        Ok(Plan {
            cases,
            lanes,
            mode,
            repeat: self.repeat,
            jobs: self.jobs(),
            timeout: Duration::from_secs(self.timeout.get()),
            fail_fast: self.fail_fast,
            out: self.out.clone(),
            unreferenced: self.suite.unreferenced(scenarios),
        })
    }

    /// What a report tells of what was asked for.
    fn facts(&self) -> RunFacts {
        let backends = self.backends().iter();
        RunFacts {
            backends: backends.map(|backend| backend.name().to_owned()).collect(),
            repeat: self.repeat.get(),
            profile: self.profile.as_ref().map(Profile::to_string),
            ..self.suite.facts()
        }
    }

    const fn events(&self) -> Events {
        if self.events {
            Events::OfAll
        } else {
            Events::OfFailures
        }
    }

    /// A page shows the packets of every case.
    fn recorded(&self) -> Events {
        let page = |report: &WantedReport| report.kind == ReportKind::Html;
        if self.reports.iter().any(page) {
            Events::OfAll
        } else {
            self.events()
        }
    }

    fn backends(&self) -> &[BackendName] {
        if self.agree.is_empty() {
            std::slice::from_ref(&self.backend)
        } else {
            &self.agree
        }
    }

    fn jobs(&self) -> NonZeroUsize {
        self.jobs
            .or_else(|| thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN)
    }

    fn reporters(&self) -> Result<Vec<Told>, Stop> {
        let mut reporters = vec![Told::new(self.reporter(), STDOUT)];
        if let Some(path) = &self.agree_table {
            let file = File::create(path).map_err(refused(AGREE_TABLE))?;
            let table = AgreementTable::new(BufWriter::new(file));
            reporters.push(Told::new(Box::new(table), AGREE_TABLE));
        }
        Ok(reporters)
    }

    fn reporter(&self) -> Box<dyn Reporter> {
        let out = output::stdout();
        match self.format {
            RunFormat::Human => Box::new(Progress::new(Human::new(out))),
            RunFormat::Json => Box::new(Json::new(out, self.events())),
            RunFormat::Junit => Box::new(Progress::new(AtEnd::new(
                ReportKind::Junit,
                out,
                self.facts(),
            ))),
            RunFormat::Github => Box::new(output::github(out)),
        }
    }
}

const STDOUT: &str = "writing to standard output";
const AGREE_TABLE: &str = "--agree-table";

/// A reporter, until it can't write.
struct Told {
    reporter: Box<dyn Reporter>,
    /// What it writes to.
    what: &'static str,
    error: Option<io::Error>,
}

impl Told {
    const fn new(reporter: Box<dyn Reporter>, what: &'static str) -> Self {
        Self {
            reporter,
            what,
            error: None,
        }
    }

    fn event(&mut self, event: &RunEvent) {
        if self.error.is_none() {
            self.error = self.reporter.event(event).err();
        }
    }

    /// What is wrong with it. A reader that went away wants to know no more, and that is no failure.
    fn report(self) -> Option<Report> {
        let error = self.error?;
        let what = self.what;
        (error.kind() != io::ErrorKind::BrokenPipe).then(|| {
            let error = CliError::System {
                what,
                source: error,
            };
            error.report()
        })
    }
}

/// Runs and tells. Whoever can't be told any more stops neither the run nor what others are told.
fn told(
    plan: &Plan,
    interrupt: Interrupt,
    mut reporters: Vec<Told>,
    mut collector: Collector,
    mut files: ReportFiles,
) -> Result<Exit, Stop> {
    let mut unwritten = Vec::new();
    let totals = runner::run(plan, Some(&interrupt), &mut |event| {
        reporters
            .iter_mut()
            .for_each(|reporter| reporter.event(event));
        if !files.is_empty()
            && let Some(record) = collector.event(event)
        {
            unwritten = files.write(record);
        }
    })
    .map_err(refused("watching for signals"))?;
    let mut reports: Vec<Report> = reporters.into_iter().filter_map(Told::report).collect();
    reports.extend(
        unwritten
            .into_iter()
            .map(|error| CliError::from(error).report()),
    );
    if reports.is_empty() {
        return Ok(totals.exit());
    }
    let exit = if totals.interrupted {
        Exit::Interrupted
    } else {
        Exit::Internal
    };
    Err(Stop { exit, reports })
}

/// Nothing ran: why is told in the reports too, so that whoever reads only those knows.
fn stopped(
    mut stop: Stop,
    format: RunFormat,
    record: &mut RunRecord,
    files: &mut ReportFiles,
) -> Result<Exit, Stop> {
    let diagnostics = stop.reports.iter().map(DiagnosticRecord::from).collect();
    record.stop(stop.exit, diagnostics);
    let unwritten = files.write(record);
    stop.reports.extend(
        unwritten
            .into_iter()
            .map(|error| CliError::from(error).report()),
    );
    match format {
        RunFormat::Json => diagnosed(&stop),
        RunFormat::Junit => {
            output::whole(format, record)?;
            Err(stop)
        }
        RunFormat::Github => {
            output::print(&report::annotations(record, None))?;
            Err(stop)
        }
        RunFormat::Human => Err(stop),
    }
}

/// The summary of a GitHub job is a file that the variable names, and that earlier commands of the
/// same step may have written to.
pub(super) fn summarise(files: &mut ReportFiles) -> Result<(), Stop> {
    let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let summary = WantedReport {
        kind: ReportKind::Markdown,
        path: path.into(),
    };
    files
        .append(summary)
        .map_err(|error| not_reported(vec![error]))
}

/// The reports can't be written where they are wanted.
pub(super) fn not_reported(errors: Vec<ReportError>) -> Stop {
    let report = |error| CliError::from(error).report();
    Stop::invalid(errors.into_iter().map(report).collect())
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
