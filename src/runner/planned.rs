//! A case that was selected, with what its run has to know of its scenario. Read by all that plans and
//! runs.

use std::sync::Arc;

use crate::{
    base::Profile,
    format,
    scenario::{Case, Scenario},
};

/// A selected case.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The case.
    pub case: Arc<Case>,
    /// What is to be known of its scenario.
    pub facts: Arc<Facts>,
    /// Its snapshot is consulted.
    pub consult: bool,
    /// What its scenario expects is judged: it was written for this profile, or for any.
    pub judged: bool,
    /// Why it runs on no backend: it is not about the QEMU that is asked.
    pub unasked: Option<String>,
    /// The places of the lanes that it runs on, in order; none for all of them.
    pub lanes: Option<Arc<[usize]>>,
}

/// What a case's run has to know of its scenario.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Every section that its snapshot file has, in order.
    pub(super) sections: Arc<[String]>,
    /// The values of the matrix for each of its probes; none for a scenario with steps.
    pub(super) probes: Option<Vec<Vec<String>>>,
    /// The profile of its first case, under which a table of probes is kept.
    pub(super) profile: Profile,
}

impl Facts {
    pub(super) fn of(scenario: &Scenario) -> Self {
        Self {
            sections: sections(scenario).into(),
            probes: scenario.probes.then(|| scenario.cases.iter().map(|case| row(case)).collect()),
            profile: scenario.cases.first().map(|case| case.profile.clone()).unwrap_or_default(),
        }
    }
}

impl Planned {
    /// The places of the lanes that it runs on, of so many.
    pub(super) fn lanes(&self, count: usize) -> Vec<usize> {
        self.lanes.as_ref().map_or_else(|| (0..count).collect(), |lanes| lanes.to_vec())
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
