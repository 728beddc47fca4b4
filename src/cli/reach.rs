//! How far the files of a scenario are looked for: the option of every command that loads
//! scenarios.

use std::path::Path;

use super::Stop;
use crate::{
    file::{self, Scope},
    scenario::{self, Files},
};

/// The files that may be read.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ReachArgs {
    /// Read captures and linked files outside of the project that a scenario is in, too
    #[arg(long)]
    pub allow_outside: bool,
}

impl ReachArgs {
    /// Where files may be that a person has not named.
    #[must_use]
    pub const fn scope(self) -> Scope {
        if self.allow_outside { Scope::Anywhere } else { Scope::Root }
    }

    /// Refuses what nobody named, where a link leads it out of the project of the working
    /// directory.
    pub(super) fn inside(self, path: &Path) -> Result<(), Stop> {
        let inside = file::inside(path, self.scope());
        inside.map_err(|error| Stop::invalid(error.outside(path).into_iter().collect()))
    }

    pub(super) const fn files(self) -> &'static (dyn Files + Sync) {
        scenario::disk(self.scope())
    }
}
