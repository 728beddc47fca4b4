//! Which rules of the RFC differ between its versions, beside what objects they take. The command
//! `conflicts` prints it under the combinations.

use std::fmt::Write;

use crate::base::{Profile, Rfc, Row};

/// A rule of which at least two versions say different things.
#[derive(Debug)]
struct Difference {
    about: &'static str,
    /// What each of the versions says, in the order of the profiles; none where it has no such rule.
    rows: Vec<Option<&'static Row>>,
}

/// What differs between the RFC's versions among the profiles, for people at a terminal; nothing where
/// there are not two of them. A version counts once, whatever quirks its profiles have.
#[must_use]
pub fn rules_text(profiles: &[Profile]) -> String {
    let versions = versions(profiles);
    let differences = differences(&versions);
    if differences.is_empty() {
        return String::new();
    }
    let width = versions.iter().map(|rfc| rfc.version.name().len()).max().unwrap_or_default();
    let mut text = "rules of the RFC that differ (docs/profiles.md has all)\n".to_owned();
    for difference in differences {
        // Writing to a String can't fail.
        let _ = writeln!(text, "\n  {}", difference.about);
        for (rfc, row) in versions.iter().zip(&difference.rows) {
            let (basis, says) =
                row.map_or(("-", "no such rule"), |row| (row.basis.as_str(), row.says));
            let _ = writeln!(text, "    {:width$}  {basis:7}  {says}", rfc.version.name());
        }
    }
    text
}

/// The same as a table of markdown.
#[must_use]
pub fn rules_markdown(profiles: &[Profile]) -> String {
    let versions = versions(profiles);
    let differences = differences(&versions);
    if differences.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = versions.iter().map(|rfc| rfc.version.name()).collect();
    let mut text = format!(
        "### Rules of the RFC that differ\n\n| Rule | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for Difference { about, rows } in differences {
        let cells = rows.iter().map(|row| {
            row.map_or_else(
                || "no such rule".to_owned(),
                |row| format!("{}: {}", row.basis.as_str(), row.says.replace('|', "\\|")),
            )
        });
        let _ = writeln!(text, "| {about} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    text
}

fn versions(profiles: &[Profile]) -> Vec<&'static Rfc> {
    let mut versions: Vec<&'static Rfc> = Vec::new();
    for rfc in profiles.iter().filter_map(|profile| profile.version().rfc()) {
        if versions.iter().all(|known| known.version != rfc.version) {
            versions.push(rfc);
        }
    }
    versions
}

/// In the order in which the versions have their rules, the first version's first.
fn differences(versions: &[&'static Rfc]) -> Vec<Difference> {
    let mut abouts: Vec<&'static str> = Vec::new();
    for row in versions.iter().flat_map(|rfc| rfc.rows()) {
        if !abouts.contains(&row.about) {
            abouts.push(row.about);
        }
    }
    let all = abouts.into_iter().map(|about| {
        let of = |rfc: &&'static Rfc| rfc.rows().find(|row| row.about == about);
        Difference { about, rows: versions.iter().map(of).collect() }
    });
    let says = |row: &Option<&'static Row>| row.map(|row| (row.says, row.basis));
    all.filter(|one| one.rows.iter().any(|row| says(row) != says(&one.rows[0]))).collect()
}
