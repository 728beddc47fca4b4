//! Which cases a command line selects, by paths, names, tags and shards. Every command that takes a
//! suite loads it here.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{ReachArgs, Stop, remark::remarks};
use crate::{
    diag::{Diagnose, Report, Source},
    report::record::{RunFacts, ShardRecord},
    runner::{self, Partition, Pattern, RunnerError, Selection, TagRule},
    scenario::{Case, Scenario},
    snapshot,
};

/// The selection of cases.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SuiteArgs {
    /// Scenario files, or directories of them [default: scenarios if it exists, otherwise .]
    paths: Vec<PathBuf>,
    /// Only cases whose name contains this text, or matches it as a pattern if it has * or ?; may
    /// be repeated to select more
    #[arg(short = 'k', long = "name", value_name = "PATTERN")]
    names: Vec<String>,
    /// Only cases with this tag, or without it (!TAG), or with any of several (A,B); if repeated,
    /// all must hold
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<TagRule>,
    /// Only this shard of the cases, such as hash:1/4
    #[arg(long, value_name = "SHARD")]
    partition: Option<Partition>,
    #[command(flatten)]
    pub(super) reach: ReachArgs,
}

impl SuiteArgs {
    /// The selected cases of the scenarios.
    pub(super) fn selection(&self) -> Selection {
        Selection {
            names: self.names.iter().map(|name| Pattern::from(name.as_str())).collect(),
            tags: self.tags.clone(),
            partition: self.partition,
        }
    }

    /// The selection as reports show it.
    pub(super) fn facts(&self) -> RunFacts {
        RunFacts {
            paths: self.paths.iter().map(|path| path.display().to_string()).collect(),
            names: self.names.clone(),
            tags: self.tags.iter().map(TagRule::to_string).collect(),
            partition: self.partition.map(ShardRecord::from),
            ..RunFacts::default()
        }
    }

    /// Reads every scenario; what is wrong with any of them is reported together, and nothing runs.
    pub(super) fn load(&self) -> Result<Vec<Scenario>, Stop> {
        self.load_each(|scenario| scenario)
    }

    /// Reads every scenario, and holds so many cases at least; of the scenarios behind them only what a
    /// plan has to know.
    pub(super) fn load_at_most(&self, most: usize) -> Result<Vec<Loaded>, Stop> {
        let selection = self.selection();
        let held = AtomicUsize::new(0);
        self.load_each(|scenario| {
            let before = held.fetch_add(scenario.cases.len(), Ordering::Relaxed);
            match before < most || scenario.reads_captures {
                true => Loaded::Held(scenario),
                false => Loaded::Outlined(Outline::of(&scenario, &selection)),
            }
        })
    }

    fn load_each<T: Send + Sync>(
        &self,
        keep: impl Fn(Scenario) -> T + Sync,
    ) -> Result<Vec<T>, Stop> {
        let found = runner::find(&self.paths()?)
            .map_err(|errors| Stop::invalid(errors.iter().map(RunnerError::report).collect()))?;
        let (mut scenarios, mut reports) = (Vec::new(), Vec::new());
        for loaded in runner::load(&found, self.reach.files(), |loaded| loaded.map(&keep)) {
            match loaded {
                Ok(scenario) => scenarios.push(scenario),
                Err(faults) => reports.extend(faults),
            }
        }
        if reports.is_empty() { Ok(scenarios) } else { Err(Stop::invalid(reports)) }
    }

    /// How many snapshots, and sections of them, no scenario uses. One that can't be read is
    /// reported by its own case.
    pub(super) fn unreferenced(&self, scenarios: &[Loaded]) -> usize {
        let absolute = |path: &Path| std::path::absolute(path).ok();
        let sections: BTreeMap<_, _> =
            scenarios.iter().map(|one| (absolute(&one.source().path), one.sections())).collect();
        let of = |path: &Path| sections.get(&absolute(path)).cloned();
        let Ok(paths) = self.paths() else {
            return 0;
        };
        snapshot::unreferenced(&paths, &of, self.reach.scope()).map_or(0, |found| found.len())
    }

    /// The files and directories that are meant.
    pub(super) fn paths(&self) -> Result<Vec<PathBuf>, Stop> {
        if !self.paths.is_empty() {
            return Ok(self.paths.clone());
        }
        let suite = Path::new("scenarios");
        if !suite.is_dir() {
            return Ok(vec![PathBuf::from(".")]);
        }
        self.reach.inside(suite)?;
        Ok(vec![suite.to_owned()])
    }
}

/// A scenario that was read.
pub(super) enum Loaded {
    /// It is held with all of its cases.
    Held(Scenario),
    /// Its cases are read again when they are to run.
    Outlined(Outline),
}

/// What a plan has to know of a scenario before its cases run.
pub(super) struct Outline {
    pub(super) name: String,
    pub(super) source: Arc<Source>,
    sections: Vec<String>,
    /// How many of its cases are selected.
    pub(super) selected: usize,
    /// What is remarked on those.
    pub(super) remarks: Vec<Report>,
}

impl Loaded {
    /// Whether any of its cases is selected.
    pub(super) fn is_selected(&self, selection: &Selection) -> bool {
        match self {
            Self::Held(scenario) => scenario.cases.iter().any(|case| selection.selects(case)),
            Self::Outlined(outline) => outline.selected > 0,
        }
    }

    fn source(&self) -> &Source {
        match self {
            Self::Held(scenario) => &scenario.source,
            Self::Outlined(outline) => &outline.source,
        }
    }

    fn sections(&self) -> Vec<String> {
        match self {
            Self::Held(scenario) => runner::sections(scenario),
            Self::Outlined(outline) => outline.sections.clone(),
        }
    }
}

impl Outline {
    fn of(scenario: &Scenario, selection: &Selection) -> Self {
        let selected: Vec<&Case> = scenario
            .cases
            .iter()
            .map(|case| &**case)
            .filter(|case| selection.selects(case))
            .collect();
        Self {
            name: scenario.name.clone(),
            source: Arc::clone(&scenario.source),
            sections: runner::sections(scenario),
            selected: selected.len(),
            remarks: remarks(selected.into_iter()),
        }
    }
}
