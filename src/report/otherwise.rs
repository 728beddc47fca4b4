//! What a QEMU without a profile of its own does otherwise than the profile that it is held
//! against: the table at the end of a run that compares it, and with which a new profile begins.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

use super::record::{CaseRecord, VerdictRecord};
use crate::{
    base::Profile,
    compare::{Difference, FieldDifference, What},
};

/// Places that a row names.
const MOST_PLACES: usize = 4;

/// Characters of a value that are shown.
const LONGEST: usize = 160;

/// Differences of several QEMUs, gathered as cases end.
#[derive(Debug, Default)]
pub(super) struct Otherwise {
    qemus: Vec<Held>,
}

/// A QEMU, the profile that it is held against, and what differed.
#[derive(Debug)]
struct Held {
    name: String,
    profile: String,
    /// Cases that were compared, and those of them that differ.
    compared: usize,
    differ: usize,
    rows: BTreeMap<Kind, Row>,
}

/// A kind of difference: what is alike in the differences of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    /// What it is about: the answer to a command, frames, bytes.
    what: String,
    /// What distinguishes it from others about the same: the two texts, or the fields.
    detail: Vec<String>,
}

/// The differences of one kind.
#[derive(Debug)]
struct Row {
    /// What the model does and what QEMU does, at the first of the places.
    example: (Place, [String; 2]),
    places: BTreeSet<Place>,
}

/// Where a difference is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    case: String,
    step: usize,
    line: usize,
}

impl Otherwise {
    /// A run begins with these QEMUs, each of which is held against a profile.
    pub(super) fn begin(&mut self, stand_ins: &[(Arc<str>, Profile)]) {
        let held = |(name, profile): &(Arc<str>, Profile)| Held {
            name: name.to_string(),
            profile: profile.to_string(),
            compared: 0,
            differ: 0,
            rows: BTreeMap::new(),
        };
        self.qemus = stand_ins.iter().map(held).collect();
    }

    /// A case that is over, as people are shown it.
    pub(super) fn add(&mut self, case: &CaseRecord) {
        self.qemus.iter_mut().for_each(|qemu| qemu.add(case));
    }

    /// The tables, one for each QEMU; empty where each has a profile of its own.
    pub(super) fn text(&self) -> String {
        let several = self.qemus.len() > 1;
        self.qemus.iter().map(|qemu| qemu.text(several)).collect()
    }
}

impl Held {
    fn add(&mut self, case: &CaseRecord) {
        let is_model = |name: &String| !name.starts_with("qemu");
        // Where several models ran, the first of them that differs speaks for all.
        let pairs = case.agreement.iter().filter(|pair| {
            pair.backends.contains(&self.name)
                && pair.backends.iter().any(is_model)
                && pair.verdict != VerdictRecord::Skipped
        });
        let pairs: Vec<_> = pairs.collect();
        if pairs.is_empty() {
            return;
        }
        self.compared += 1;
        let Some(pair) = pairs.iter().find(|pair| pair.verdict == VerdictRecord::Differ) else {
            return;
        };
        self.differ += 1;
        let is_first = pair.backends[0] == self.name;
        for difference in &pair.differences {
            let (kind, mut sides) = kind(difference);
            if is_first {
                sides.swap(0, 1);
            }
            let place =
                Place { case: case.case.clone(), step: difference.step, line: difference.line };
            let row = self.rows.entry(kind).or_insert_with(|| Row {
                example: (place.clone(), sides.clone()),
                places: BTreeSet::new(),
            });
            // So that it does not depend on which case was faster.
            if place.cmp(&row.example.0) == Ordering::Less {
                row.example = (place.clone(), sides);
            }
            row.places.insert(place);
        }
    }

    fn text(&self, several: bool) -> String {
        let Self { name, profile, compared, differ, rows } = self;
        let who = if several { name.as_str() } else { "this QEMU" };
        let mut text = format!("What {who} does otherwise than {profile}: ");
        if rows.is_empty() {
            return text + &format!("nothing, in {compared} cases\n\n");
        }
        text += &format!("{differ} of {compared} cases\n");
        let width = profile.len().max(who.len());
        for (kind, row) in rows {
            let (place, [model, qemu]) = &row.example;
            debug_assert!(row.places.contains(place), "an example is at a place");
            let places = shown_places(&row.places);
            // A String takes everything.
            let written = writeln!(
                text,
                "  {}\n    {profile:width$}  {model}\n    {who:width$}  {qemu}\n    {:width$}  {}",
                kind.what, "in", places
            );
            debug_assert!(written.is_ok(), "a String takes everything");
        }
        text.push('\n');
        text
    }
}

/// Some places: one for each line of a scenario, and how many cases it stands for.
fn shown_places(places: &BTreeSet<Place>) -> String {
    let mut lines: BTreeMap<(&str, usize), Vec<&Place>> = BTreeMap::new();
    for place in places {
        let scenario = place.case.split('@').next().unwrap_or_default();
        lines.entry((scenario, place.line)).or_default().push(place);
    }
    let shown = lines.iter().take(MOST_PLACES).map(|((scenario, line), places)| {
        let cases: BTreeSet<&str> = places.iter().map(|place| place.case.as_str()).collect();
        let name = match cases.len() {
            1 => places[0].case.as_str(),
            _ => scenario,
        };
        let line = if *line == 0 { String::new() } else { format!(":{line}") };
        match cases.len() {
            1 => format!("{name}{line}"),
            count => format!("{name}{line} ({count} cases)"),
        }
    });
    let mut shown: Vec<String> = shown.collect();
    if lines.len() > MOST_PLACES {
        shown.push(format!("and {} more", lines.len() - MOST_PLACES));
    }
    shown.join(", ")
}

/// The kind of a difference, and what each side does.
fn kind(difference: &Difference) -> (Kind, [String; 2]) {
    let port = difference.port.as_deref().unwrap_or_default();
    let of_frame = |what: &str, model: String, qemu: String| {
        (Kind { what: what.to_owned(), detail: Vec::new() }, [model, qemu])
    };
    match &difference.what {
        What::Value { name, expected, actual } => {
            let what = name.split_whitespace().next().unwrap_or(name).to_owned();
            // Bytes are those of one case; a text may be that of many.
            let is_text = !matches!(name.as_str(), "bytes" | "written");
            let detail = if is_text { vec![expected.clone(), actual.clone()] } else { Vec::new() };
            let sides = [shown(expected), shown(actual)];
            (Kind { what, detail }, sides)
        }
        What::Frame { fields, .. } | What::Sent { fields, .. } => {
            let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
            let side = |value: fn(&FieldDifference) -> &String| {
                let each = fields.iter().map(|field| format!("{} {}", field.name, value(field)));
                each.collect::<Vec<_>>().join(", ")
            };
            let sides = [side(|field| &field.expected), side(|field| &field.actual)];
            (Kind { what: format!("a frame's {}", names.join(", ")), detail: names }, sides)
        }
        What::Missing { summary, .. } => {
            of_frame("a frame less", format!("{port}: {summary}"), "nothing".to_owned())
        }
        What::Extra { summary, .. } => {
            of_frame("a frame more", "nothing".to_owned(), format!("{port}: {summary}"))
        }
        What::Moved { frame, came, summary, .. } => of_frame(
            "the order of frames",
            format!("{port}: as frame {frame}: {summary}"),
            format!("as frame {came}"),
        ),
        What::OtherStep { came, summary, .. } => of_frame(
            "the step of a frame",
            format!("{port}: in step {}: {summary}", difference.step),
            format!("in step {}", came.step),
        ),
        What::OtherPort { port: other, summary, .. } => {
            of_frame("the port of a frame", format!("{port}: {summary}"), other.clone())
        }
        What::Length { expected, actual, .. } => {
            of_frame("a length word", format!("{port}: {expected}"), actual.to_string())
        }
        What::StepGone => of_frame("a step", difference.title.clone(), "nothing".to_owned()),
        What::StepNew => of_frame("a step", "nothing".to_owned(), difference.title.clone()),
        What::Explained { gone, new } => {
            of_frame("what explains the record", gone.join("; "), new.join("; "))
        }
        What::Unreadable { reason } => of_frame("a record", reason.clone(), String::new()),
    }
}

/// A value that may be none or long.
fn shown(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None if value.is_empty() => "nothing".to_owned(),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::QemuVersion,
        compare::FramePair,
        report::{fixture, record::AgreementRecord},
        runner::{Agreement, RunEvent, Verdict},
    };

    fn difference(line: usize, what: What) -> Difference {
        let port = Some("out0".to_owned());
        let frames = FramePair::default();
        Difference { step: 2, title: "qom-set".to_owned(), line, port, what, frames }
    }

    fn answer(id: &str, model: &str, qemu: &str) -> What {
        let (expected, actual) = (model.to_owned(), qemu.to_owned());
        What::Value { name: format!("object-add {id}"), expected, actual }
    }

    fn missing() -> What {
        let summary = "ARP".to_owned();
        What::Missing { frame: 1, of: 2, sent: None, summary, fate: None }
    }

    /// A run in which these QEMUs stand in for profiles, and whose cases compare so, in this order.
    fn told(qemus: &[&str], cases: &[(&str, &[(&str, Verdict)])]) -> String {
        let run = fixture::run();
        let mut finished = run.iter().find_map(|event| match event {
            RunEvent::CaseFinished(case) => Some(case.clone()),
            _ => None,
        });
        let case = finished.as_mut().unwrap();
        let mut otherwise = Otherwise::default();
        let profile = Profile::new(QemuVersion::Qemu102);
        let stand_ins: Vec<_> =
            qemus.iter().map(|name| ((*name).into(), profile.clone())).collect();
        otherwise.begin(&stand_ins);
        for (name, pairs) in cases {
            case.case = (*name).to_owned();
            let pairs = pairs.iter().map(|(qemu, verdict)| {
                let backends = ["sim".into(), (*qemu).into()];
                AgreementRecord::from(&Agreement { backends, verdict: verdict.clone() })
            });
            case.agreement = pairs.collect();
            otherwise.add(case);
        }
        otherwise.text()
    }

    #[test]
    fn differences_of_a_kind_are_one_row_in_an_order_of_its_own() {
        let refused = || answer("f0", "ok", "GenericError: no");
        let cases: [(&str, &[(&str, Verdict)]); 4] = [
            ("quirks/b", &[("qemu", Verdict::Differ(vec![difference(9, refused())]))]),
            (
                "quirks/a",
                &[(
                    "qemu",
                    Verdict::Differ(vec![
                        difference(7, answer("f1", "ok", "GenericError: no")),
                        difference(8, missing()),
                    ]),
                )],
            ),
            ("quirks/c", &[("qemu", Verdict::Agree)]),
            ("quirks/d", &[("qemu", Verdict::Skipped("qemu: not here".to_owned()))]),
        ];
        let text = told(&["qemu"], &cases);
        assert_eq!(
            text,
            "What this QEMU does otherwise than qemu-10.2: 2 of 3 cases\n\
             \x20 a frame less\n\
             \x20   qemu-10.2  out0: ARP\n\
             \x20   this QEMU  nothing\n\
             \x20   in         quirks/a:8\n\
             \x20 object-add\n\
             \x20   qemu-10.2  ok\n\
             \x20   this QEMU  GenericError: no\n\
             \x20   in         quirks/a:7, quirks/b:9\n\n"
        );
        let mut backwards = cases;
        backwards.reverse();
        assert_eq!(told(&["qemu"], &backwards), text);
    }

    #[test]
    fn of_many_places_some_are_named() {
        let pairs =
            [("qemu", Verdict::Differ((1..=6).map(|at| difference(at, missing())).collect()))];
        let text = told(&["qemu"], &[("a", &pairs)]);
        assert!(text.contains("in         a:1, a:2, a:3, a:4, and 2 more\n"), "{text}");
    }

    #[test]
    fn cases_of_a_matrix_are_one_place() {
        let pairs = [("qemu", Verdict::Differ(vec![difference(3, missing())]))];
        let cases = [("m@n=1", &pairs[..]), ("m@n=2", &pairs[..]), ("a@n=1", &pairs[..])];
        let text = told(&["qemu"], &cases);
        assert!(text.contains("in         a@n=1:3, m:3 (2 cases)\n"), "{text}");
    }

    #[test]
    fn each_of_several_has_a_table_and_who_agrees_is_said_to() {
        let pairs = [
            ("qemu-10.1.0", Verdict::Differ(vec![difference(3, missing())])),
            ("qemu-11.1.3", Verdict::Agree),
        ];
        let text = told(&["qemu-10.1.0", "qemu-11.1.3"], &[("a", &pairs)]);
        assert!(
            text.contains("What qemu-10.1.0 does otherwise than qemu-10.2: 1 of 1 cases"),
            "{text}"
        );
        assert!(
            text.contains("What qemu-11.1.3 does otherwise than qemu-10.2: nothing, in 1 cases\n"),
            "{text}"
        );
    }

    #[test]
    fn a_qemu_of_its_own_profile_has_no_table() {
        let pairs = [("qemu", Verdict::Differ(vec![difference(3, missing())]))];
        assert_eq!(told(&[], &[("a", &pairs)]), "");
    }
}
