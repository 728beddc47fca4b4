//! Faults that are put into a machine are found and made small, and the first case of a seed never
//! changes.

use std::{path::Path, sync::Arc, time::Duration};

use super::{Budget, Court, Exhibit, Finding, Outcomes, Sizes, minimise, random_case, scenario};
use crate::{
    backend::{Backend, BackendError, Capabilities, Sim, World},
    base::{CaseId, Profile, QemuVersion, Quirk},
    file::Scope,
    runner::Lane,
    scenario::{Case, write},
};

/// The backend `sim` with a fault: one of QEMU's quirks is gone from its machine.
struct Mended(Option<Quirk>);

impl Backend for Mended {
    fn name(&self) -> &'static str {
        if self.0.is_some() { "mended" } else { "sim" }
    }

    fn probe(&self) -> Result<Capabilities, BackendError> {
        Sim.probe()
    }

    fn open(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
        let mut case = case.clone();
        case.profile = Profile::new(QemuVersion::Qemu102).without(self.0);
        Sim.open(&case)
    }
}

fn court(others: impl IntoIterator<Item = Arc<dyn Backend>>) -> Court {
    let sim: Arc<dyn Backend> = Arc::new(Sim);
    Court {
        lanes: std::iter::once(sim).chain(others).map(Lane::probe).collect(),
        profile: Some(Profile::new(QemuVersion::RfcV1)),
        timeout: Duration::from_secs(60),
        interrupt: None,
        refusals: false,
        snapshot: None,
    }
}

fn tried(court: &Court, number: u64) -> Outcomes {
    let case = random_case(&scenario(1, number), "a").unwrap().unwrap();
    court.try_case(court.summon(case), false).unwrap()
}

/// What is left of the first case of seed 1 in which the fault shows itself.
fn smallest(quirk: Quirk) -> (String, Finding) {
    let mut court = court([Arc::new(Mended(Some(quirk))) as Arc<dyn Backend>]);
    court.lanes[0] = Lane::probe(Arc::new(Mended(None)) as Arc<dyn Backend>);
    let (number, finding) = (1..3000)
        .find_map(|number| Some((number, tried(&court, number).findings.into_iter().next()?)))
        .expect("the fault is found");
    let exhibit = Exhibit {
        path: Path::new("a.yaml"),
        name: "a",
        case: &CaseId::from("a"),
        probe: false,
        scope: Scope::Root,
    };
    let budget = Budget { runs: 5000, time: None };
    let mut tree = scenario(1, number);
    tree["description"] = "What is left.".into();
    let shrunk = minimise(&court, exhibit, tree, &finding, budget).unwrap();
    assert!(shrunk.complete);
    let sizes = Sizes::of(&shrunk.tree);
    assert!(sizes.steps <= 4 && sizes.objects <= 1, "{}", write(&shrunk.tree));
    (write(&shrunk.tree), finding)
}

#[test]
fn a_fault_in_an_indev_is_found_and_made_small() {
    let (text, finding) = smallest(Quirk::IndevDeafAfterClose);
    insta::assert_snapshot!(format!("{finding}\n\n{text}"));
}

#[test]
fn a_fault_in_a_queue_is_found_and_made_small() {
    let (text, finding) = smallest(Quirk::OffIndevInjects);
    insta::assert_snapshot!(format!("{finding}\n\n{text}"));
}

#[test]
fn a_backend_that_agrees_has_nothing_found_against_it() {
    let court = court([Arc::new(Sim) as Arc<dyn Backend>]);
    for number in 1..150 {
        let outcomes = tried(&court, number);
        assert_eq!(outcomes.findings, [], "case {number}");
        assert_eq!(outcomes.ran, [0, 1]);
    }
}

#[test]
fn a_machine_that_panics_is_a_finding() {
    struct Panics;
    impl Backend for Panics {
        fn name(&self) -> &'static str {
            "panics"
        }
        fn probe(&self) -> Result<Capabilities, BackendError> {
            Sim.probe()
        }
        fn open(&self, _: &Case) -> Result<Box<dyn World>, BackendError> {
            panic!("frame 12 is lost")
        }
    }
    let court = court([Arc::new(Panics) as Arc<dyn Backend>]);
    let text = "frame ".to_owned();
    let lane = "panics".to_owned();
    assert_eq!(tried(&court, 1).findings, [Finding::Internal { lane, text }]);
}

/// A seed that a report names must go on meaning the same: a change of the generator changes this,
/// and is then worth a line in the change log.
#[test]
fn the_first_case_of_seed_1_is_always_this() {
    insta::assert_snapshot!(write(&scenario(1, 1)));
}
