//! What a run is to do: its cases, backends and limits.

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use super::{Lane, Pause, Selection, exec::world_digest};
use crate::{
    backend::uses_af_packet,
    base::Profile,
    file::Scope,
    format,
    scenario::{Case, Scenario},
    snapshot::Mode,
};

/// Everything that decides a run.
pub struct Plan {
    /// What runs.
    pub cases: Vec<Planned>,
    /// On which backends, each case on each; more than one are compared.
    pub lanes: Vec<Lane>,
    /// How snapshots are treated.
    pub mode: Mode,
    /// How far snapshots that are links are followed.
    pub scope: Scope,
    /// How often each case runs.
    pub repeat: NonZeroUsize,
    /// Executions at once.
    pub jobs: NonZeroUsize,
    /// How long an execution may take.
    pub timeout: Duration,
    /// After how long an execution is told to be slow.
    pub slow_after: Option<Duration>,
    /// Nothing begins after the first failure.
    pub fail_fast: bool,
    /// Where captures go.
    pub out: PathBuf,
    /// Holds each case that fails, in its world, before that is taken down.
    pub pause: Option<Arc<dyn Pause>>,
    /// Snapshots and sections of them that no scenario uses: told at the end.
    pub unreferenced: usize,
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
    /// Why it runs on no backend: it is not about the QEMU that is asked.
    pub unasked: Option<String>,
}

/// What a case's run has to know of its scenario.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Tells scenarios apart.
    pub(super) number: usize,
    /// Every section that its snapshot file has, in order.
    pub(super) sections: Vec<String>,
    /// The values of the matrix for each of its probes; none for a scenario with steps.
    pub(super) probes: Option<Vec<Vec<String>>>,
    /// The profile of its first case, under which a table of probes is kept.
    pub(super) profile: Profile,
}

impl Facts {
    fn of(number: usize, scenario: &Scenario) -> Self {
        Self {
            number,
            sections: sections(scenario),
            probes: scenario.probes.then(|| scenario.cases.iter().map(|case| row(case)).collect()),
            profile: scenario.cases.first().map(|case| case.profile.clone()).unwrap_or_default(),
        }
    }
}

/// A probe's row in the table of its scenario.
pub(super) fn row(case: &Case) -> Vec<String> {
    case.matrix.iter().map(|(_, value)| value.clone()).collect()
}

/// Every section that a scenario's snapshot file has, in order.
#[must_use]
pub fn sections(scenario: &Scenario) -> Vec<String> {
    if scenario.probes {
        return vec![format::PROBES.to_owned()];
    }
    scenario.cases.iter().map(|case| format::section_name(&case.id).to_owned()).collect()
}

/// The cases of the scenarios that are selected, in order, under another profile where one is given.
/// A snapshot belongs to the profile it was made with, so it isn't consulted under another.
#[must_use]
pub fn select(
    scenarios: Vec<Scenario>,
    selection: &Selection,
    profile: Option<&Profile>,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (number, scenario) in scenarios.into_iter().enumerate() {
        let facts = Arc::new(Facts::of(number, &scenario));
        for mut case in scenario.cases.into_iter().filter(|case| selection.selects(case)) {
            let other = profile.filter(|profile| **profile != case.profile);
            if let Some(profile) = other {
                Arc::make_mut(&mut case).profile = profile.clone();
            }
            let (facts, consult) = (Arc::clone(&facts), other.is_none());
            planned.push(Planned { case, facts, consult, unasked: None });
        }
    }
    planned
}

/// The cases that are asked of a QEMU: all run under its profile. Where a scenario has cases of this
/// profile the others are left out. A case that can't be asked of this QEMU, because it is about
/// another version or about properties of the RFC, is skipped with that reason. A snapshot is
/// consulted where it is of this profile, and none where backends are `compared`.
#[must_use]
pub fn select_for(
    scenarios: Vec<Scenario>,
    selection: &Selection,
    profile: &Profile,
    compared: bool,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (number, scenario) in scenarios.into_iter().enumerate() {
        let facts = Arc::new(Facts::of(number, &scenario));
        let has_own = scenario.cases.iter().any(|case| case.profile == *profile);
        for mut case in scenario.cases.into_iter().filter(|case| selection.selects(case)) {
            let own = case.profile == *profile;
            if has_own && !own {
                continue;
            }
            let unasked = unasked(&case, profile);
            if !own {
                Arc::make_mut(&mut case).profile = profile.clone();
            }
            let (facts, consult) = (Arc::clone(&facts), own && !compared);
            planned.push(Planned { case, facts, consult, unasked });
        }
    }
    planned
}

/// Why a case can't be asked of a QEMU of this profile.
fn unasked(case: &Case, profile: &Profile) -> Option<String> {
    if case.profile == *profile {
        return None;
    }
    let is_default = case.profile == Profile::default();
    if !is_default || case.matrix.iter().any(|(name, _)| name == "profile") {
        return Some(format!("it is about {}, and this is {profile}", case.profile));
    }
    let needs_rfc = !profile.version().has_af_packet() && uses_af_packet(case);
    needs_rfc.then(|| format!("{profile} has no in_netdev and no out_netdev"))
}

/// Cases that run on one thread, in one world: places in the plan's list.
pub(super) type Group = Vec<usize>;

/// Each case by itself, and probes of a scenario together where their worlds are the same.
pub(super) fn groups(cases: &[Planned]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut shared = BTreeMap::new();
    for (place, planned) in cases.iter().enumerate() {
        let is_probe = planned.facts.probes.is_some();
        let alike = is_probe.then(|| {
            let Planned { case, facts, unasked, .. } = planned;
            (facts.number, &case.requires, unasked, world_digest(case))
        });
        match alike {
            Some(alike) => {
                let group = *shared.entry(alike).or_insert_with(|| {
                    groups.push(Vec::new());
                    groups.len() - 1
                });
                groups[group].push(place);
            }
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
        let cases: Vec<Arc<Case>> =
            profiles.iter().enumerate().map(|one| Arc::new(case(one))).collect();
        Scenario { name: name.to_owned(), source: cases[0].source.clone(), cases, probes }
    }

    #[test]
    fn probes_share_a_world_where_it_is_the_same() {
        use QemuVersion::{Qemu72, RfcV1};
        let scenarios = vec![
            scenario("a", true, &[RfcV1, Qemu72, RfcV1]),
            scenario("b", false, &[RfcV1, RfcV1]),
            scenario("c", true, &[RfcV1]),
        ];
        let cases = select(scenarios, &Selection::default(), None);
        assert_eq!(groups(&cases), [vec![0, 2], vec![1], vec![3], vec![4], vec![5]]);
    }

    #[test]
    fn a_comparison_with_a_qemu_asks_it_what_it_can_be_asked() {
        use QemuVersion::{Qemu72, Qemu102, RfcV1};
        let scenarios = vec![
            scenario("a", false, &[Qemu72, Qemu102, RfcV1]),
            scenario("b", false, &[RfcV1]),
            scenario("c", false, &[Qemu102]),
        ];
        let qemu = Profile::new(Qemu72);
        let cases = select_for(scenarios.clone(), &Selection::default(), &qemu, true);
        let told: Vec<_> = cases
            .iter()
            .map(|planned| {
                assert!(!planned.consult && planned.case.profile == qemu);
                format!("{} {:?}", planned.case.id, planned.unasked.as_deref())
            })
            .collect();
        assert_eq!(
            told,
            [
                "a@n=0 None",
                "b@n=0 None",
                "c@n=0 Some(\"it is about qemu-10.2, and this is qemu-7.2\")"
            ]
        );
        let alone = select_for(scenarios, &Selection::default(), &qemu, false);
        let consulted: Vec<_> = alone.iter().map(|planned| planned.consult).collect();
        assert_eq!(consulted, [true, false, false]);
    }

    #[test]
    fn another_profile_leaves_the_snapshot_aside() {
        let scenarios = vec![scenario("a", false, &[QemuVersion::RfcV1, QemuVersion::Qemu72])];
        let rfc = Profile::new(QemuVersion::RfcV1);
        let cases = select(scenarios, &Selection::default(), Some(&rfc));
        assert!(cases.iter().all(|planned| planned.case.profile == rfc));
        assert_eq!(cases.iter().map(|case| case.consult).collect::<Vec<_>>(), [true, false]);
    }
}
