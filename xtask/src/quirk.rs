//! docs/profiles.md: the profiles, the rules of each version of the RFC, and every quirk with its evidence
//! and a scenario that shows it.

use std::{fmt::Write, fs, path::PathBuf};

use tapwright::base::{QemuVersion, Quirk, Rfc};

use crate::chore::{ChoreError, root};

/// What stands above the tables.
const INTRODUCTION: &str = include_str!("quirk/introduction.md");

/// What stands above the list of quirks.
const QUIRKS: &str = include_str!("quirk/quirks.md");

/// The whole page.
pub(crate) fn text() -> Result<String, ChoreError> {
    let scenarios = scenarios()?;
    let mut page = INTRODUCTION.replacen("PROFILES", profiles().trim_end(), 1);
    Rfc::ALL.into_iter().for_each(|rfc| page += &rules(rfc));
    page += QUIRKS;
    for quirk in Quirk::ALL {
        page += &section(*quirk, &scenarios);
    }
    Ok(page)
}

/// A table of the profiles.
pub(crate) fn profiles() -> String {
    let mut text = "| Profile | |\n|---|---|\n".to_owned();
    for version in QemuVersion::ALL {
        let names: Vec<String> = version.names().map(|name| format!("`{name}`")).collect();
        // Writing to a String can't fail.
        let _ = writeln!(text, "| {} | {} |", names.join(", "), version.about());
    }
    text
}

/// The rules of a version of the RFC.
fn rules(rfc: &Rfc) -> String {
    let other = rfc.version.other_name().map_or_else(String::new, |name| format!(", `{name}`"));
    let mut text = format!(
        "\n### `{}`{other}: {}\n\n| Rule | What holds | | Source |\n|---|---|---|---|\n",
        rfc.version, rfc.posted
    );
    for row in rfc.rows() {
        let cell = |text: &str| text.replace('|', "\\|");
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            cell(row.about),
            cell(row.says),
            row.basis.as_str(),
            cell(row.source)
        );
    }
    text
}

fn section(quirk: Quirk, scenarios: &[(String, String)]) -> String {
    let info = quirk.info();
    let versions: Vec<&str> = info.versions.iter().map(|version| version.name()).collect();
    let scenario = match shown_by(info.name, scenarios) {
        Some(path) => format!("[{path}](../{path})"),
        None => "none; unit tests of the machine have it".to_owned(),
    };
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "\n### {}\n\n{}.\n\n- Mended: {}.\n- In: {}.\n- Evidence: {}.\n- Scenario: {scenario}.\n",
        info.name,
        capital(info.behaviour),
        info.mended,
        versions.join(", "),
        info.evidence,
    );
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// The scenario of this name, or the first that mends the quirk or says that it is a known bug.
fn shown_by<'a>(quirk: &str, scenarios: &'a [(String, String)]) -> Option<&'a str> {
    let own = format!("scenarios/quirks/{quirk}.yaml");
    let named = scenarios.iter().find(|(path, _)| *path == own);
    let found = named.or_else(|| scenarios.iter().find(|(_, text)| names(text, quirk)));
    found.map(|(path, _)| path.as_str())
}

/// Whether a word of the text, dashes included, is this.
fn names(text: &str, quirk: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == quirk)
}

/// Every shipped scenario, path and text, in the order of paths.
fn scenarios() -> Result<Vec<(String, String)>, ChoreError> {
    let files = tapwright::runner::find(&[root().join("scenarios")]);
    let files = files.map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        ChoreError::Suite(errors.join("; "))
    })?;
    let mut all = Vec::new();
    for file in files {
        let path: PathBuf = file.path;
        let text = fs::read_to_string(&path)
            .map_err(|source| ChoreError::Unreadable { path: path.clone(), source })?;
        let path = path.strip_prefix(root()).unwrap_or(&path);
        all.push((path.display().to_string(), text));
    }
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use tapwright::base::QemuVersion;

    use super::*;

    #[test]
    fn the_page_has_the_table_of_profiles() {
        let page = text().unwrap();
        assert!(page.contains(&profiles()), "{page}");
        assert!(profiles().lines().count() == QemuVersion::ALL.len() + 2);
    }

    #[test]
    fn a_version_s_table_has_a_row_for_each_rule_that_says_whose_it_is() {
        for rfc in Rfc::ALL {
            let text = rules(rfc);
            let rows = text.lines().filter(|line| {
                ["| known |", "| follows |", "| ours |"].iter().any(|basis| line.contains(basis))
            });
            assert_eq!(rows.count(), rfc.rows().count(), "{text}");
        }
    }

    #[test]
    fn a_quirk_is_named_whole() {
        assert!(names("without: [a-b]", "a-b"));
        assert!(!names("without: [a-b-c]", "a-b"));
    }
}
