//! What a run is to do: its cases, backends and limits.

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use super::{Cases, Facts, Lane, Pause, Planned, Selection, exec::world_digest};
use crate::{
    backend::uses_af_packet,
    base::{CaseId, Profile},
    diag::Source,
    file::Scope,
    scenario::{self, Case, Files, Scenario},
    snapshot::Mode,
};

/// Everything that decides a run.
pub struct Plan {
    /// What runs.
    pub cases: Cases,
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

/// The cases of the scenarios that are selected, in order, under another profile where one is given.
/// A snapshot belongs to the profile it was made with, so it isn't consulted under another.
#[must_use]
pub fn select(
    scenarios: Vec<Scenario>,
    selection: &Selection,
    profile: Option<&Profile>,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for scenario in scenarios {
        let facts = Arc::new(Facts::of(&scenario));
        for mut case in scenario.cases.into_iter().filter(|case| selection.selects(case)) {
            let other = profile.filter(|profile| **profile != case.profile);
            if let Some(profile) = other {
                Arc::make_mut(&mut case).profile = profile.clone();
            }
            let (facts, consult) = (Arc::clone(&facts), other.is_none());
            planned.push(Planned {
                case,
                facts,
                consult,
                judged: true,
                unasked: None,
                lanes: None,
            });
        }
    }
    planned
}

/// Adds the selected cases of a scenario to a plan, so many, without holding them: its text is read again
/// when they are to run. Its frames must not come from captures, which may be others by then.
pub fn add_later(
    cases: &mut Cases,
    count: usize,
    (source, name): (Arc<Source>, String),
    selection: Selection,
    files: &'static (dyn Files + Sync),
) {
    cases.add_later(count, move || {
        let again = scenario::parse(Arc::clone(&source), &name, files);
        let again = again.into_iter().collect();
        select(again, &selection, None)
    });
}

/// The cases that are asked of a QEMU: all run under its profile. Where a scenario has cases of this
/// profile the others are left out; where backends are `compared` and it has none, those of the newest
/// version that it has are asked instead, and what they expect of that version is not judged. A case that can't be asked of this QEMU, because it is about
/// another version or about properties of the RFC, is skipped with that reason. A snapshot is
/// consulted where it is of this profile, and none where backends are compared.
#[must_use]
pub fn select_for(
    scenarios: Vec<Scenario>,
    selection: &Selection,
    profile: &Profile,
    compared: bool,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for scenario in scenarios {
        let facts = Arc::new(Facts::of(&scenario));
        let has_own = scenario.cases.iter().any(|case| case.profile == *profile);
        let deputy = newest(&scenario).filter(|_| compared && !has_own);
        for mut case in scenario.cases.into_iter().filter(|case| selection.selects(case)) {
            let own = case.profile == *profile;
            let is_deputy = deputy.as_ref() == Some(&case.profile);
            if (has_own && !own) || (deputy.is_some() && !is_deputy) {
                continue;
            }
            let unasked = unasked(&case, profile).filter(|_| !is_deputy);
            if is_deputy {
                stand_in(Arc::make_mut(&mut case), profile);
            } else if !own {
                Arc::make_mut(&mut case).profile = profile.clone();
            }
            let (facts, consult) = (Arc::clone(&facts), own && !compared);
            planned.push(Planned {
                case,
                facts,
                consult,
                judged: !is_deputy,
                unasked,
                lanes: None,
            });
        }
    }
    planned
}

/// The cases of several QEMUs, each group of which runs under a profile and on lanes of its own: a
/// case's name says which profile it is.
#[must_use]
pub fn select_for_each(
    scenarios: &[Scenario],
    selection: &Selection,
    groups: &[(Profile, Vec<usize>)],
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (profile, lanes) in groups {
        let lanes: Arc<[usize]> = lanes.as_slice().into();
        for mut one in select_for(scenarios.to_vec(), selection, profile, true) {
            one.lanes = Some(Arc::clone(&lanes));
            if groups.len() > 1 {
                name_profile(&mut one.case, profile);
            }
            planned.push(one);
        }
    }
    planned
}

/// Names the case as a matrix with its profile would.
fn name_profile(case: &mut Arc<Case>, profile: &Profile) {
    if case.matrix.iter().any(|(name, _)| name == "profile") {
        return;
    }
    let joint = if case.id.as_str().contains('@') { ',' } else { '@' };
    let name = format!("{}{joint}profile={profile}", case.id);
    Arc::make_mut(case).id = CaseId::from(name.as_str());
}

/// Makes the case of one version the case of another, in its name too.
fn stand_in(case: &mut Case, profile: &Profile) {
    const NAME: &str = "profile";
    for (name, value) in &mut case.matrix {
        if name == NAME {
            *value = profile.to_string();
        }
    }
    let (old, new) = (format!("{NAME}={}", case.profile), format!("{NAME}={profile}"));
    case.id = case.id.to_string().replacen(&old, &new, 1).as_str().into();
    case.profile = profile.clone();
    case.known_bug = None;
}

/// The newest QEMU whose profile a scenario names. What its cases ask can be asked of any other QEMU.
fn newest(scenario: &Scenario) -> Option<Profile> {
    let named = scenario.cases.iter().map(|case| &case.profile);
    let real = named.filter(|profile| {
        **profile == Profile::new(profile.version()) && profile.version().is_release()
    });
    real.max().cloned()
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
            let Planned { case, facts, unasked, lanes, .. } = planned;
            (Arc::as_ptr(facts), &case.requires, unasked, lanes, world_digest(case))
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
    use crate::{
        base::QemuVersion,
        runner::{fixture, planned::row},
    };

    fn scenario(name: &str, probes: bool, profiles: &[QemuVersion]) -> Scenario {
        let case = |(number, version): (usize, &QemuVersion)| {
            let mut case = fixture::case(&format!("{name}@n={number}"));
            case.profile = Profile::new(*version);
            case
        };
        let cases: Vec<Arc<Case>> =
            profiles.iter().enumerate().map(|one| Arc::new(case(one))).collect();
        let (name, source) = (name.to_owned(), cases[0].source.clone());
        Scenario { name, source, cases, probes, reads_captures: false }
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
                let judged = if planned.judged { "" } else { " not judged" };
                format!("{} {:?}{judged}", planned.case.id, planned.unasked.as_deref())
            })
            .collect();
        assert_eq!(told, ["a@n=0 None", "b@n=0 None", "c@n=0 None not judged"]);
        let alone = select_for(scenarios, &Selection::default(), &qemu, false);
        let consulted: Vec<_> = alone.iter().map(|planned| planned.consult).collect();
        assert_eq!(consulted, [true, false, false]);
        assert_eq!(
            alone[2].unasked.as_deref(),
            Some("it is about qemu-10.2, and this is qemu-7.2")
        );
    }

    #[test]
    fn a_case_that_stands_in_for_another_version_is_named_after_it() {
        use QemuVersion::{Ideal, Qemu72, Qemu102, Qemu111, RfcV1};
        let mut scenario = scenario("a", false, &[Qemu72, Qemu102, RfcV1, Ideal]);
        for case in &mut scenario.cases {
            let case = Arc::make_mut(case);
            let profile = case.profile.to_string();
            case.id = format!("a@queue=rx,profile={profile}").as_str().into();
            case.matrix =
                vec![("queue".to_owned(), "rx".to_owned()), ("profile".to_owned(), profile)];
        }
        let qemu = Profile::new(Qemu111);
        let [one] = &select_for(vec![scenario], &Selection::default(), &qemu, true)[..] else {
            panic!("one case of four stands in");
        };
        assert_eq!(one.case.id.to_string(), "a@queue=rx,profile=qemu-11.1");
        assert_eq!(row(&one.case), ["rx", "qemu-11.1"]);
        assert!(!one.judged && !one.consult && one.unasked.is_none());
    }

    #[test]
    fn each_profile_of_several_qemus_has_cases_and_lanes_of_its_own() {
        use QemuVersion::{Qemu72, Qemu102, RfcV1};
        let scenarios = [scenario("a", false, &[RfcV1]), scenario("b", true, &[RfcV1, Qemu72])];
        let (old, new) = (Profile::new(Qemu72), Profile::new(Qemu102));
        let groups = [(old.clone(), vec![0, 1]), (new, vec![0, 2])];
        let cases = select_for_each(&scenarios, &Selection::default(), &groups);
        let told: Vec<_> = cases
            .iter()
            .map(|planned| {
                assert!(!planned.consult);
                (planned.case.id.to_string(), planned.case.profile.to_string(), planned.lanes(3))
            })
            .collect();
        let case = |name: &str, profile: &str, lane| {
            (format!("{name},profile={profile}"), profile.to_owned(), vec![0, lane])
        };
        assert_eq!(
            told,
            [
                case("a@n=0", "qemu-7.2", 1),
                case("b@n=1", "qemu-7.2", 1),
                case("a@n=0", "qemu-10.2", 2),
                case("b@n=1", "qemu-10.2", 2),
            ]
        );
        let one = select_for_each(&scenarios, &Selection::default(), &[(old, vec![0, 1, 2])]);
        assert_eq!(one[0].case.id.as_str(), "a@n=0");
    }

    #[test]
    fn cases_that_are_not_held_are_read_again() {
        let text = "description: x\nmatrix: {n: [1, 2, 3]}\nnetdevs: {hn0: {}}\n\
                    steps: [note: \"${n}\"]\n";
        let source = Arc::new(Source { path: "a.yaml".into(), text: text.to_owned() });
        let files = scenario::disk(Scope::Root);
        let read = scenario::parse(Arc::clone(&source), "a", files).unwrap();
        let selection =
            Selection { names: vec!["n=2".into(), "n=3".into()], ..Selection::default() };
        let held = select(vec![read], &selection, None);
        let mut later = Cases::default();
        add_later(&mut later, held.len(), (source, "a".to_owned()), selection, files);
        let again: Vec<_> = later.parts().flat_map(|part| part.into_owned()).collect();
        assert_eq!(format!("{again:?}"), format!("{held:?}"));
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
