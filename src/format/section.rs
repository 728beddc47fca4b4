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
        let (header, parts) = split(text)?;
        let header = header.lines().flat_map(|line| [line, "\n"]).collect();
        let sections = parts.into_iter().map(Part::section).collect();
        Ok(Self { header, sections })
    }

    /// The names of the sections of a file's text, in its order.
    ///
    /// # Errors
    /// As [`SnapFile::parse`].
    pub fn names(text: &str) -> Result<Vec<String>, FormError> {
        let (_, parts) = split(text)?;
        Ok(parts.into_iter().map(|part| part.name).collect())
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

    /// Every section, by name.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<&str, &Section> {
        self.sections.iter().map(|section| (section.name.as_str(), section)).collect()
    }

    /// Puts a section in the place of the one of its name, or at the end.
    pub fn put(&mut self, section: Section) {
        match self.sections.iter_mut().find(|other| other.name == section.name) {
            Some(other) => *other = section,
            None => self.sections.push(section),
        }
    }

    /// Puts many sections, each as [`SnapFile::put`] would.
    pub fn put_all(&mut self, sections: impl IntoIterator<Item = Section>) {
        let names = self.sections.iter().map(|section| section.name.clone());
        let mut places: BTreeMap<String, usize> = names.zip(0..).collect();
        for section in sections {
            match places.get(&section.name) {
                Some(place) => self.sections[*place] = section,
                None => {
                    places.insert(section.name.clone(), self.sections.len());
                    self.sections.push(section);
                }
            }
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

/// A section as it stands in the text of a file.
struct Part<'t> {
    name: String,
    profile: &'t str,
    /// From behind the heading to the next one.
    body: &'t str,
}

impl Part<'_> {
    fn section(self) -> Section {
        let mut body = self.body.trim_end().replace("\r\n", "\n");
        body.push('\n');
        Section { name: self.name, profile: self.profile.to_owned(), body }
    }
}

/// The lines of a text, each with its number and where it ends; without its line break.
fn lines(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let mut end = 0;
    (1..).zip(text.split_inclusive('\n')).map(move |(number, line)| {
        end += line.len();
        let line =
            line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
        (number, end, line)
    })
}

/// Cuts a file's text into its header and its sections.
fn split(text: &str) -> Result<(&str, Vec<Part<'_>>), FormError> {
    let wrong = |line, reason| FormError { line, reason };
    let is_rule = |line: &str| line.trim_end() == "---";
    let mut lines = lines(text);
    let Some((_, header, _)) = lines.next().filter(|(_, _, line)| is_rule(line)) else {
        return Err(wrong(1, "a snapshot file begins with a line '---'"));
    };
    let mut end_of_header = header;
    let mut closed = false;
    for (_, end, line) in lines.by_ref() {
        closed = is_rule(line);
        if closed {
            break;
        }
        end_of_header = end;
    }
    if !closed {
        return Err(wrong(1, "the header is not closed by a line '---'"));
    }
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut names = BTreeSet::new();
    let mut begin = end_of_header;
    for (number, end, line) in lines {
        if let Some(heading) = line.strip_prefix(HEADING) {
            let (name, profile) = parse_heading(heading)
                .ok_or_else(|| wrong(number, "a heading is '== NAME [PROFILE]'"))?;
            if !names.insert(name.clone()) {
                return Err(wrong(number, "there is a section of this name already"));
            }
            begin = end;
            parts.push(Part { name, profile, body: "" });
        } else if let Some(part) = parts.last_mut() {
            part.body = &text[begin..end];
        } else if !line.trim().is_empty() {
            return Err(wrong(number, "a section begins with '== NAME [PROFILE]'"));
        }
    }
    Ok((&text[header..end_of_header], parts))
}

fn heading_name(name: &str) -> std::borrow::Cow<'_, str> {
    token::quote(name)
}

fn parse_heading(heading: &str) -> Option<(String, &str)> {
    let (name, profile) = heading.trim_end().strip_suffix(']')?.rsplit_once(" [")?;
    Some((token::unquote(name)?, profile))
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
    fn line_breaks_of_other_systems_are_ours() {
        let text = "---\r\na: b\r\n---\r\n== a [rfc]\r\n[1] note\r\n\r\n== b [rfc]\r\n";
        let file = SnapFile::parse(text).unwrap();
        assert_eq!(file.header, "a: b\n");
        assert_eq!(file.sections, [section("a", "[1] note\n"), section("b", "\n")]);
        assert_eq!(SnapFile::names(text).unwrap(), ["a", "b"]);
    }

    #[test]
    fn many_are_put_as_one_by_one() {
        let puts = || ["a", "b", "c", "b"].map(|name| section(name, "[1] other\n"));
        let mut one_by_one = SnapFile::new(Path::new("a.yaml"));
        one_by_one.put(section("b", "[1] note\n"));
        let mut at_once = one_by_one.clone();
        puts().into_iter().for_each(|section| one_by_one.put(section));
        at_once.put_all(puts());
        assert_eq!(at_once, one_by_one);
        assert_eq!(at_once.by_name()["c"], &section("c", "[1] other\n"));
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
