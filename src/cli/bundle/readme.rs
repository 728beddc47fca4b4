//! The README of a bundle: how to run it, and what its last run reported. `export --bundle` adds
//! it.

use std::{fs, path::Path};

use crate::{
    backend::qemu::Probed,
    compare::{self, Mismatch},
    diag::shell_word,
    format,
    runner::Executed,
    scenario::Case,
    terminal::{visible, visible_lines, visible_members},
};

/// The facts in the README of a bundle.
pub(super) struct Readme<'a> {
    pub(super) case: &'a Case,
    pub(super) executed: &'a Executed,
    pub(super) probed: Option<&'a Probed>,
    /// The scenario, below the bundle's folder.
    pub(super) scenario: &'a Path,
    /// The scenario has several cases.
    pub(super) several: bool,
    /// Its snapshot is in the bundle.
    pub(super) reviewed: bool,
    /// How the record differs from its snapshot.
    pub(super) mismatch: Option<Mismatch>,
    /// Every file, below the bundle's folder.
    pub(super) files: Vec<String>,
}

impl Readme<'_> {
    pub(super) fn text(&self) -> String {
        let Self { case, executed, .. } = self;
        let record = executed.reading.transcript();
        let mut text = String::new();
        let description = visible_lines(&case.description);
        text += &format!("# {}\n\n{description}\n\n", visible(&case.id));
        text += &format!("- tapwright {}\n", env!("CARGO_PKG_VERSION"));
        text += &format!("- profile {}\n- backend {}\n", record.profile, record.backend);
        text += &format!("- kernel {}\n", kernel());
        if let Some(probed) = self.probed {
            text += &format!("- {}\n", visible(probed.announcement()));
        }
        text += "\n## What came of it\n\n";
        if executed.failures.is_empty() {
            text += "Everything that the scenario expects.\n";
        }
        for failure in &executed.failures {
            text += &format!("- step {}: {}\n", failure.step, visible(&failure.kind));
        }
        if let Some(mismatch) = &self.mismatch {
            text += "\nThe record differs from the snapshot:\n\n```text\n";
            text += compare::render(&visible_members(mismatch, &[])).plain();
            text += "```\n";
        }
        text += "\n`record.txt` is the record of this run, `record.pcapng` its packets (one interface \
                 for each port, the step in each comment), `qemu.txt` the command line and the QMP \
                 commands.\n";
        if self.reviewed {
            text += "The snapshot beside the scenario is what was reviewed.\n";
        }
        text += "\n## To run it again\n\nIn this folder:\n\n";
        for command in self.commands() {
            text += &format!("    {}\n", visible(command));
        }
        text += "\n`run` exits 0 when everything is as it was reviewed, 1 when a case failed";
        text += if self.reviewed {
            ".\n"
        } else {
            ", 5 when nothing else is wrong:\nthere is no reviewed snapshot yet, and what comes out is \
             proposed as one (`tapwright review`).\n"
        };
        text += "\n## Files\n\n";
        for file in &self.files {
            text += &format!("- {}\n", visible(file));
        }
        text
    }

    fn commands(&self) -> Vec<String> {
        let scenario = shell_word(&self.scenario.display().to_string());
        let one = if self.several {
            let stem = self.scenario.file_stem().unwrap_or_default();
            let section = format::section_name(&self.case.id);
            let name = format!("{}@{section}", stem.to_string_lossy());
            format!(" -k {}", shell_word(&name))
        } else {
            String::new()
        };
        let backend = self.executed.reading.transcript().backend;
        vec![
            format!("tapwright check {scenario}{one}"),
            format!("tapwright run --backend {backend} {scenario}{one}"),
        ]
    }
}

fn kernel() -> String {
    let text = |name| fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    let told = [text("ostype"), text("osrelease")];
    let words: Vec<String> =
        told.into_iter().flatten().map(|word| word.trim().to_owned()).collect();
    words.join(" ")
}
