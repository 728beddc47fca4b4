use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use super::{Lane, Selection, share_world};
use crate::{
    base::Profile,
    scenario::{Case, Scenario},
    snapshot::{self, Mode},
};

/// Everything that decides a run.
pub struct Plan {
    /// What runs.
    pub cases: Vec<Planned>,
    /// On which backends, each case on each; more than one are compared.
    pub lanes: Vec<Lane>,
    /// How snapshots are treated.
    pub mode: Mode,
    /// How often each case runs.
    pub repeat: NonZeroUsize,
    /// Executions at once.
    pub jobs: NonZeroUsize,
    /// How long an execution may take.
    pub timeout: Duration,
    /// Nothing begins after the first failure.
    pub fail_fast: bool,
    /// Where captures go.
    pub out: PathBuf,
}

/// A selected case.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The case.
    pub case: Arc<Case>,
    /// What is to be known of its scenario.
    pub facts: Arc<Facts>,
    /// Its snapshot is consulted.
    pub consult: bool,
}

/// What a case's run has to know of its scenario.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Tells scenarios apart.
    pub(super) number: usize,
    /// Every section that its snapshot file has, in order.
    pub(super) sections: Vec<String>,
    /// How many probes it has; none for a scenario with steps.
    pub(super) probes: Option<usize>,
    /// The profile of its first case, under which a table of probes is kept.
    pub(super) profile: Profile,
}

impl Facts {
    fn of(number: usize, scenario: &Scenario) -> Self {
        Self {
            number,
            sections: sections(scenario),
            probes: scenario.probes.then_some(scenario.cases.len()),
            profile: scenario
                .cases
                .first()
                .map(|case| case.profile.clone())
                .unwrap_or_default(),
        }
    }
}

/// Every section that a scenario's snapshot file has, in order.
#[must_use]
pub fn sections(scenario: &Scenario) -> Vec<String> {
    if scenario.probes {
        return vec![snapshot::PROBES.to_owned()];
    }
    scenario
        .cases
        .iter()
        .map(|case| snapshot::section_name(&case.id).to_owned())
        .collect()
}

/// The cases of the scenarios that are selected, in order, under another profile where one is given.
/// A snapshot belongs to the profile it was made with, so it isn't consulted under another.
#[must_use]
pub fn select(
    scenarios: &[Scenario],
    selection: &Selection,
    profile: Option<&Profile>,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let facts = Arc::new(Facts::of(number, scenario));
        for case in scenario.cases.iter().filter(|case| selection.selects(case)) {
            let consult = profile.is_none_or(|profile| *profile == case.profile);
            let mut case = case.clone();
            case.profile = profile.cloned().unwrap_or(case.profile);
            planned.push(Planned {
                case: Arc::new(case),
                facts: Arc::clone(&facts),
                consult,
            });
        }
    }
    planned
}

/// The cases with which backends are compared with a QEMU: all run under its profile. Of a matrix
/// that has this profile the cases of others are left out, and no snapshot is consulted.
#[must_use]
pub fn select_for(
    scenarios: &[Scenario],
    selection: &Selection,
    profile: &Profile,
) -> Vec<Planned> {
    let own: Vec<Scenario> = scenarios
        .iter()
        .map(|scenario| {
            let mut own = scenario.clone();
            if own.cases.iter().any(|case| case.profile == *profile) {
                own.cases.retain(|case| case.profile == *profile);
            }
            own
        })
        .collect();
    let mut planned = select(&own, selection, Some(profile));
    for planned in &mut planned {
        planned.consult = false;
    }
    planned
}

/// Cases that run on one thread, in one world: places in the plan's list.
pub(super) type Group = Vec<usize>;

/// Each case by itself, and probes of a scenario together where their worlds are the same.
pub(super) fn groups(cases: &[Planned]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, planned) in cases.iter().enumerate() {
        let shares = |group: &&mut Group| {
            let first = &cases[group[0]];
            first.facts.probes.is_some()
                && first.facts.number == planned.facts.number
                && first.case.requires == planned.case.requires
                && share_world(&first.case, &planned.case)
        };
        match groups
            .iter_mut()
            .find(shares)
            .filter(|_| planned.facts.probes.is_some())
        {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::QemuVersion, runner::fixture};

    fn scenario(name: &str, probes: bool, profiles: &[QemuVersion]) -> Scenario {
        let case = |(number, version): (usize, &QemuVersion)| {
            let mut case = fixture::case(&format!("{name}@n={number}"));
            case.profile = Profile::new(*version);
            case
        };
        let cases: Vec<Case> = profiles.iter().enumerate().map(case).collect();
        Scenario {
            name: name.to_owned(),
            source: cases[0].source.clone(),
            cases,
            probes,
        }
    }

    #[test]
    fn probes_share_a_world_where_it_is_the_same() {
        use QemuVersion::{Qemu72, Rfc};
        let scenarios = [
            scenario("a", true, &[Rfc, Qemu72, Rfc]),
            scenario("b", false, &[Rfc, Rfc]),
            scenario("c", true, &[Rfc]),
        ];
        let cases = select(&scenarios, &Selection::default(), None);
        assert_eq!(
            groups(&cases),
            [vec![0, 2], vec![1], vec![3], vec![4], vec![5]]
        );
    }

    #[test]
    fn another_profile_leaves_the_snapshot_aside() {
        let scenarios = [scenario(
            "a",
            false,
            &[QemuVersion::Rfc, QemuVersion::Qemu72],
        )];
        let rfc = Profile::new(QemuVersion::Rfc);
        let cases = select(&scenarios, &Selection::default(), Some(&rfc));
        assert!(cases.iter().all(|planned| planned.case.profile == rfc));
        assert_eq!(
            cases.iter().map(|case| case.consult).collect::<Vec<_>>(),
            [true, false]
        );
    }
}
