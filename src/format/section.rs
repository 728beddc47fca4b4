//! A snapshot file: its header and its sections, each with a heading. Read by the store and the review.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{FormError, token};
use crate::base::CaseId;

/// What marks a section's heading. No line of a transcript or a table begins so.
pub(crate) const HEADING: &str = "== ";

/// The section of a scenario without a matrix.
pub(crate) const ONLY: &str = "case";

/// The section of a scenario's probes.
pub const PROBES: &str = "probes";

/// The section of a case: its combination of the matrix, or `case`.
#[must_use]
pub fn section_name(case: &CaseId) -> &str {
    case.as_str().split_once('@').map_or(ONLY, |(_, combination)| combination)
}

/// One section of a snapshot file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// [`section_name`], or [`PROBES`].
    pub name: String,
    /// The profile it was recorded under, as it prints.
    pub profile: String,
    /// The transcript or the table; ends with a newline.
    pub body: String,
}

/// A snapshot file: insta's header (insta 1.49, `src/snapshot.rs`), then sections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapFile {
    /// The lines of the header; each ends with a newline.
    pub header: String,
    /// In the order of the file.
    pub sections: Vec<Section>,
}

impl SnapFile {
    /// A file without sections for a scenario. The header names the scenario's file alone, so that
    /// it is the same wherever the command is run.
    #[must_use]
    pub fn new(scenario: &Path) -> Self {
        let name = scenario.file_name().unwrap_or_default().to_string_lossy();
        let source = serde_json::Value::from(name.as_ref()).to_string();
        let expression = serde_json::Value::from(format!("tapwright run {name}")).to_string();
        let header = format!("source: {source}\nexpression: {expression}\n");
        Self { header, sections: Vec::new() }
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it has not the form of a snapshot file of ours.
    pub fn parse(text: &str) -> Result<Self, FormError> {
        let wrong = |line, reason| FormError { line, reason };
        let mut lines = text.lines().enumerate();
        if lines.next().map(|(_, line)| line.trim_end()) != Some("---") {
            return Err(wrong(1, "a snapshot file begins with a line '---'"));
        }
        let mut header = String::new();
        let closed = lines.by_ref().any(|(_, line)| {
            let end = line.trim_end() == "---";
            if !end {
                header.push_str(line);
                header.push('\n');
            }
            end
        });
        if !closed {
            return Err(wrong(1, "the header is not closed by a line '---'"));
        }
        let mut sections: Vec<Section> = Vec::new();
        let mut names = BTreeSet::new();
        for (index, line) in lines {
            if let Some(heading) = line.strip_prefix(HEADING) {
                let (name, profile) = parse_heading(heading)
                    .ok_or_else(|| wrong(index + 1, "a heading is '== NAME [PROFILE]'"))?;
                if !names.insert(name.clone()) {
                    return Err(wrong(index + 1, "there is a section of this name already"));
                }
                sections.push(Section { name, profile, body: String::new() });
            } else if let Some(section) = sections.last_mut() {
                section.body.push_str(line);
                section.body.push('\n');
            } else if !line.trim().is_empty() {
                return Err(wrong(index + 1, "a section begins with '== NAME [PROFILE]'"));
            }
        }
        for section in &mut sections {
            section.body.truncate(section.body.trim_end().len());
            section.body.push('\n');
        }
        Ok(Self { header, sections })
    }

    /// The file's text. It ends as insta would end it, with one newline, so that accepting it with
    /// insta's own tool changes nothing.
    #[must_use]
    pub fn text(&self) -> String {
        let sections: Vec<_> = self
            .sections
            .iter()
            .map(|section| {
                let name = heading_name(&section.name);
                format!("{HEADING}{name} [{}]\n{}", section.profile, section.body)
            })
            .collect();
        format!("---\n{}---\n{}", self.header, sections.join("\n"))
    }

    /// A section by name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Puts a section in the place of the one of its name, or at the end.
    pub fn put(&mut self, section: Section) {
        match self.sections.iter_mut().find(|other| other.name == section.name) {
            Some(other) => *other = section,
            None => self.sections.push(section),
        }
    }

    /// Sorts sections into this order; those that it does not name stay behind, in theirs.
    pub fn sort_by(&mut self, order: &[String]) {
        let places: BTreeMap<&str, usize> = order.iter().map(String::as_str).zip(0..).collect();
        self.sections.sort_by_cached_key(|section| {
            places.get(section.name.as_str()).copied().unwrap_or(order.len())
        });
    }
}

fn heading_name(name: &str) -> std::borrow::Cow<'_, str> {
    token::quote(name)
}

fn parse_heading(heading: &str) -> Option<(String, String)> {
    let (name, profile) = heading.trim_end().strip_suffix(']')?.rsplit_once(" [")?;
    Some((token::unquote(name)?, profile.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section(name: &str, body: &str) -> Section {
        Section { name: name.into(), profile: "rfc".into(), body: body.into() }
    }

    #[test]
    fn a_file_has_a_section_a_case() {
        let mut file = SnapFile::new(Path::new("scenarios/queue.yaml"));
        file.put(section("queue=tx", "[1] note\n"));
        file.put(section("queue=rx", "[1] note\n"));
        file.sort_by(&["queue=rx".into(), "queue=tx".into()]);
        insta::assert_snapshot!(file.text(), @r#"
        ---
        source: "queue.yaml"
        expression: "tapwright run queue.yaml"
        ---
        == queue=rx [rfc]
        [1] note

        == queue=tx [rfc]
        [1] note
        "#);
    }

    #[test]
    fn what_is_no_snapshot_is_refused_with_its_line() {
        let refused = |text: &str| SnapFile::parse(text).unwrap_err().to_string();
        assert_eq!(refused("hello"), "line 1: a snapshot file begins with a line '---'");
        assert_eq!(
            refused("---\na: b\n---\n[1] note\n"),
            "line 4: a section begins with '== NAME [PROFILE]'"
        );
        assert_eq!(
            refused("---\n---\n== a [rfc]\n== a [rfc]\n"),
            "line 4: there is a section of this name already"
        );
    }

    #[test]
    fn a_section_is_named_by_the_matrix() {
        assert_eq!(section_name(&"redirector/queue@queue=tx,vhost=on".into()), "queue=tx,vhost=on");
        assert_eq!(section_name(&"redirector/vhost".into()), "case");
    }

    proptest! {
        #[test]
        fn text_and_back(
            names in prop::collection::btree_set(any::<String>(), 0..4),
            body in "(\\[[0-9]\\] [a-z =\\[\\]]{0,20}[a-z]\n){1,3}",
        ) {
            let mut file = SnapFile::new(Path::new("a b.yaml"));
            for name in &names {
                file.put(section(name, &body));
            }
            prop_assert_eq!(SnapFile::parse(&file.text()).unwrap(), file);
        }
    }
}
