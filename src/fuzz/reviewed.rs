//! The reviewed snapshot of a scenario that was made smaller: without it nothing would differ. Used by
//! `minimise`.

use serde_json::Value;

use super::{Court, Exhibit, Finding, reproducer::the_case, trial};
use crate::format::section_name;

/// A section of a snapshot file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// Its name.
    pub section: String,
    /// The profile, as it prints.
    pub profile: String,
    /// What was reviewed.
    pub body: String,
}

/// The snapshot that a smaller scenario differs from as `finding` says: what was reviewed of the whole
/// one, under the name that the smaller one's case has. None where the finding is no difference from a
/// snapshot.
#[must_use]
pub fn reviewed(
    court: &Court,
    exhibit: Exhibit<'_>,
    tree: &Value,
    finding: &Finding,
) -> Option<Reviewed> {
    let (Finding::Snapshot { .. }, Some(section)) = (finding, &court.snapshot) else {
        return None;
    };
    let loaded = trial::load(tree, exhibit.path, exhibit.name, exhibit.scope).ok()?;
    let case = court.summon(the_case(loaded, exhibit.case)?);
    Some(Reviewed {
        section: section_name(&case.id).to_owned(),
        profile: case.profile.to_string(),
        body: section.clone(),
    })
}
