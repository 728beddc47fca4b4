//! The command `trace`: the ways of frames through a case, step by step.

use std::{
    fmt::Write as _,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{CliError, ReachArgs, Stop, backends, output};
use crate::{
    backend::{Backend, BackendError, Deadline, Sim},
    base::PortId,
    diag::Diagnose,
    drawing::{Machine, Topology},
    frame,
    reading::{Passage, Reading, Way},
    record::{Event, EventKind},
    report::Whys,
    runner::{Exit, Pattern, exec},
    scenario::{self, Case, ColoEvent, Scenario, Verb, nearest},
    terminal::visible,
    wording::{Requests, way},
};

/// Stations of a way that is told in a line.
const STATIONS: usize = 16;

/// Names of cases that are listed where several are selected.
const NAMED: usize = 8;

/// Runs a case, and prints the way of a frame through it: where it was sent, what each filter, queue
/// and chardev did with it, and where it came out or was dropped.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct TraceArgs {
    /// The scenario
    file: PathBuf,
    /// A frame by its number, such as '#3', or a port, for every frame that was sent at it or came
    /// out of it [default: every frame, in a line each]
    #[arg(value_name = "FRAME|PORT")]
    what: Option<String>,
    /// The case, if there are several: its name contains this text, or matches it as a pattern if
    /// it has * or ?
    #[arg(short = 'k', long = "name", value_name = "PATTERN")]
    name: Option<String>,
    /// Where the case runs
    #[arg(long, value_enum, default_value_t = TraceBackend::Sim)]
    backend: TraceBackend,
    /// Seconds after which the run ends
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    timeout: NonZeroU64,
    #[command(flatten)]
    reach: ReachArgs,
}

/// The backends that know what becomes of a frame on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TraceBackend {
    /// In memory, without privileges
    Sim,
    /// Real namespaces, TAPs and packet sockets
    Netns,
}

pub(super) fn run(args: &TraceArgs) -> Result<Exit, Stop> {
    let root = args.file.parent().unwrap_or(Path::new(""));
    let scenario = scenario::load(&args.file, root, args.reach.files()).map_err(Stop::invalid)?;
    let case = case(args, &scenario)?;
    // No thread may run before: see `sys::isolate`.
    let backend: Arc<dyn Backend> = match args.backend {
        TraceBackend::Sim => Arc::new(Sim),
        TraceBackend::Netns => backends::netns()?,
    };
    let world = backend.open(case).map_err(unopened)?;
    let until = Instant::now() + Duration::from_secs(args.timeout.get());
    let executed = exec(case, world, backend.name(), &Deadline::at(until));
    let whys = Whys::new(case, &executed.reading);
    let mut text = match &args.what {
        None => brief(&whys),
        Some(what) => asked(what, &executed.reading, &whys)?,
    };
    text += &unheard(case);
    for failure in executed.failures.iter().filter(|failure| failure.kind.ends_the_run()) {
        line(&mut text, format_args!("the run ended early: {}", visible(&failure.kind)));
    }
    output::print(&text)?;
    Ok(Exit::Success)
}

/// The one case that is meant.
fn case<'s>(args: &TraceArgs, scenario: &'s Scenario) -> Result<&'s Arc<Case>, Stop> {
    let pattern = args.name.as_deref().map(Pattern::from);
    let selected = scenario
        .cases
        .iter()
        .filter(|case| pattern.as_ref().is_none_or(|pattern| pattern.matches(&case.id)));
    let selected: Vec<&Arc<Case>> = selected.collect();
    let names = |cases: &[&Arc<Case>]| {
        let named = cases.iter().take(NAMED).map(|case| case.id.to_string());
        let more = (cases.len() > NAMED).then(|| "...".to_owned());
        named.chain(more).collect::<Vec<_>>().join(", ")
    };
    let error = match (selected.as_slice(), &args.name) {
        ([case], _) => return Ok(case),
        ([], name) => {
            let name = name.clone().unwrap_or_default();
            let ids = scenario.cases.iter().map(|case| case.id.as_str());
            let near = nearest(&name, ids).or_else(|| nearest_part(&name, scenario));
            let known = near.unwrap_or_else(|| names(&scenario.cases.iter().collect::<Vec<_>>()));
            CliError::NoSuchCase { name, known }
        }
        (several, _) => CliError::SeveralCases { names: names(several) },
    };
    Err(Stop::invalid(vec![error.report()]))
}

/// The case whose values of the matrix are the nearest to a name.
fn nearest_part(name: &str, scenario: &Scenario) -> Option<String> {
    let parts = scenario.cases.iter().filter_map(|case| {
        let (_, values) = case.id.as_str().split_once('@')?;
        Some((values, &case.id))
    });
    let near = nearest(name, parts.clone().map(|(values, _)| values))?;
    let mut parts = parts;
    parts.find(|(values, _)| *values == near).map(|(_, id)| id.to_string())
}

fn unopened(error: BackendError) -> Stop {
    match error {
        BackendError::Case(report) => Stop::invalid(vec![*report]),
        error => {
            let error = CliError::Unavailable { reason: error.to_string(), remedy: None };
            Stop { exit: Exit::Unavailable, reports: vec![error.report()] }
        }
    }
}

/// Every frame in a line.
fn brief(whys: &Whys<'_>) -> String {
    let mut text = String::new();
    for way in whys.ways().all() {
        let stations = way::stations(way);
        let stations = stations.iter().map(|(step, what)| (*step, what.as_str()));
        let words = way::line(stations, STATIONS);
        line(&mut text, format_args!("{}: {}", way.tag, visible(&words)));
    }
    if text.is_empty() {
        text.push_str("no frame was sent\n");
    }
    text
}

/// The frame, or the frames at a port, that a word means.
fn asked(what: &str, reading: &Reading, whys: &Whys<'_>) -> Result<String, Stop> {
    let number = what.strip_prefix('#').unwrap_or(what);
    if what.starts_with('#') || number.bytes().all(|byte| byte.is_ascii_digit()) {
        let found = number.parse().ok().and_then(|number| whys.ways().numbered(number));
        return found.map(|way| told(way, reading, whys)).ok_or_else(|| {
            let sent = whys.ways().all().filter(|way| way.sent().is_some()).count();
            let error = CliError::NoSuchFrame { frame: format!("#{number}"), sent };
            Stop::invalid(vec![error.report()])
        });
    }
    let port = PortId::from(what);
    if reading.position(&port).is_none() {
        let ports = reading.ports().iter().map(|port| port.id.as_str());
        let near = nearest(what, ports.clone());
        let known = near.unwrap_or_else(|| ports.collect::<Vec<_>>().join(", "));
        let error = CliError::NoSuchPort { port: what.to_owned(), known };
        return Err(Stop::invalid(vec![error.report()]));
    }
    let here = whys.ways().all().filter(|way| {
        way.came_out_of(&port, usize::MAX) || way.sent().is_some_and(|sent| sent.port == port)
    });
    let ways: Vec<String> = here.map(|way| told(way, reading, whys)).collect();
    Ok(match ways.is_empty() {
        true => format!("no frame was sent at {port}, and none came out of it\n"),
        false => ways.join("\n"),
    })
}

/// A frame's way, a station in a line.
fn told(way: &Way<'_>, reading: &Reading, whys: &Whys<'_>) -> String {
    let transcript = reading.transcript();
    let requests = Requests::of(transcript);
    let summary = way.sent().map(|sent| frame::summary(&sent.frame.data)).unwrap_or_default();
    let mut text = String::new();
    line(&mut text, format_args!("{}  {}", way.tag, visible(&summary)));
    let mut step = None;
    for (at, station) in way.stations.iter().enumerate() {
        if step.replace(station.step) != Some(station.step) {
            let title = transcript.steps.iter().find(|step| step.index == station.step);
            if let Some(title) = title {
                let place = if title.line > 0 && title.index > 0 {
                    format!(", line {}", title.line)
                } else {
                    String::new()
                };
                line(
                    &mut text,
                    format_args!("  step {}{place}: {}", title.index, visible(&title.title)),
                );
            }
        }
        let next = way.stations.get(at + 1).map(|next| &next.what);
        if let Some(words) = station_words(&station.what, next, &requests) {
            line(&mut text, format_args!("    {}", visible(&words)));
        }
    }
    line(&mut text, format_args!("  {}", visible(&whys.became(way, None, None))));
    text
}

/// A station in words, with all that is known of it.
fn station_words(
    what: &Passage<'_>,
    next: Option<&Passage<'_>>,
    requests: &Requests<'_>,
) -> Option<String> {
    if let Passage::Event(Event { place, kind: EventKind::Checkpoint(request), .. }) = what {
        return Some(format!("{place} asked for a checkpoint: {}", requests.describe(request)));
    }
    way::passage(what, next)
}

/// Checkpoints of which nothing comes, because no machine compares.
fn unheard(case: &Case) -> String {
    let topology = Topology::of(case);
    let mut objects = topology.machines.iter().flat_map(Machine::all_objects);
    if objects.any(|object| object.kind == "colo-compare" && object.refused.is_none()) {
        return String::new();
    }
    let mut text = String::new();
    for (number, step) in (1..).zip(&case.steps) {
        if matches!(step.verb, Verb::Colo { event: ColoEvent::Checkpoint, .. }) {
            let row = case.source.position(step.span.start).0;
            line(
                &mut text,
                format_args!(
                    "step {number}, line {row}: colo: checkpoint is heard by no colo-compare, for \
                     there is none: no frame is released, and no guest's state is carried over"
                ),
            );
        }
    }
    text
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(words);
    debug_assert!(written.is_ok(), "a String takes everything");
    text.push('\n');
}
