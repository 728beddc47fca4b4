//! Which cases a command line selects, by paths, names, tags and shards. Every command that takes a
//! suite loads it here.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{ReachArgs, Stop};
use crate::{
    diag::Diagnose,
    report::record::{RunFacts, ShardRecord},
    runner::{self, Partition, Pattern, RunnerError, Selection, TagRule},
    scenario::Scenario,
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
        let found = runner::find(&self.paths()?)
            .map_err(|errors| Stop::invalid(errors.iter().map(RunnerError::report).collect()))?;
        let (mut scenarios, mut reports) = (Vec::new(), Vec::new());
        for loaded in runner::load(&found, self.reach.files()) {
            match loaded {
                Ok(scenario) => scenarios.push(scenario),
                Err(faults) => reports.extend(faults),
            }
        }
        if reports.is_empty() { Ok(scenarios) } else { Err(Stop::invalid(reports)) }
    }

    /// How many snapshots, and sections of them, no scenario uses. One that can't be read is
    /// reported by its own case.
    pub(super) fn unreferenced(&self, scenarios: &[Scenario]) -> usize {
        let absolute = |path: &Path| std::path::absolute(path).ok();
        let sections: BTreeMap<_, _> = scenarios
            .iter()
            .map(|scenario| (absolute(&scenario.source.path), runner::sections(scenario)))
            .collect();
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
