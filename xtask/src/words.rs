//! QEMU's words are in one room: outside of `qapi` nothing has a list of types of object or of their
//! properties, and nothing splits option text. `cargo xtask arch` asks this of every file of `src`.

use std::{collections::BTreeSet, path::Path};

use tapwright::{
    base::QemuVersion,
    qapi::{object_types, properties_of},
};

/// Where lists of such names are about something else.
const NAMED: &[(&str, &str)] = &[
    ("qapi", "the tables themselves"),
    ("machine/filter", "each filter reads its own properties"),
    ("machine/compare", "the comparer reads its own properties"),
    ("conflict/object.rs", "values that are tried"),
    ("fuzz/object", "values that are drawn"),
    ("import/flag.rs", "options of the command line"),
    ("redirect/config.rs", "each property is an option of the command line"),
    ("scenario/remark.rs", "what hears of a checkpoint"),
];

/// Where something else than option text is split.
const SPLIT: &[(&str, &str)] = &[
    ("qapi", "the parser itself"),
    ("frame", "values of packets, as masks and changes write them"),
    ("format", "the text of a snapshot"),
    ("compare/fields.rs", "the fields of a virtio-net header, as they print"),
    ("report/html/case.rs", "the names of backends"),
    ("runner/select.rs", "tags"),
    ("import/config.rs", "lines of a configuration file"),
    ("import/mail.rs", "words of a mail, to find where a command line ends"),
    ("import/hmp.rs", "the names that announce_self takes"),
    ("import/shell", "assignments of a shell"),
    ("import/shell.rs", "assignments of a shell"),
    ("import/make.rs", "assignments of makefiles, units and other scripts"),
    ("import/make", "conditions and references of makefiles"),
    ("import/code.rs", "assignments of programs"),
    ("import/code", "assignments and arguments of programs"),
    ("import/data/template.rs", "settings of an inventory, and arguments of Jinja's filters"),
    ("import/hcl.rs", "settings of Terraform's blocks"),
    ("import/line.rs", "options that are written NAME=VALUE"),
    ("import/audit.rs", "JSON in whatever quotes"),
    ("import/standin.rs", "the properties around a place that is still open"),
    ("import/trace.rs", "arguments of an audit record"),
    ("import/command", "constants and assignments of programs, and arguments of qmp-shell"),
];

/// What takes option text apart.
const SPLITS: &[&str] = &[
    "split(',')",
    "split(\",\")",
    "split('=')",
    "split_once(',')",
    "split_once('=')",
    "split_terminator(',')",
    "split(['=', ','])",
    "split([',', '='])",
    "split(&[',', '='])",
];

/// The names of all types and properties, of any version.
pub(crate) fn names() -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    for version in QemuVersion::ALL {
        for kind in object_types(version) {
            names.insert(kind);
            names.extend(properties_of(kind, version).unwrap_or_default());
        }
    }
    names
}

/// The lines of a file that know what `qapi` is to be asked for. `lines` are its code without comments.
pub(crate) fn outside(
    relative: &Path,
    lines: &[(usize, String)],
    names: &BTreeSet<&str>,
) -> Vec<(usize, String)> {
    let within = |rooms: &[(&str, &str)]| rooms.iter().any(|(room, _)| relative.starts_with(room));
    let mut found = Vec::new();
    if !within(SPLIT) {
        for (line, code) in lines {
            if SPLITS.iter().any(|split| code.contains(split)) {
                found.push((*line, "only `qapi` splits option text".to_owned()));
            }
        }
    }
    if !within(NAMED) {
        for (line, listed) in lists(&literals(lines), names) {
            let listed: Vec<&str> = listed.into_iter().collect();
            let listed = listed.join("`, `");
            found.push((line, format!("a list of `{listed}` is for `qapi`: ask for roles")));
        }
    }
    found
}

/// A string in the code, what stands between it and the one before, and whether an arm of a `match`
/// begins with it.
struct Literal {
    line: usize,
    text: String,
    before: String,
    is_arm: bool,
}

fn literals(lines: &[(usize, String)]) -> Vec<Literal> {
    let mut found = Vec::new();
    let mut before = String::new();
    for (line, code) in lines {
        let mut rest = code.as_str();
        while let Some(start) = rest.find('"') {
            before.push_str(&rest[..start]);
            let inside = &rest[start + 1..];
            let Some(end) = closing(inside) else {
                break;
            };
            let text = inside[..end].to_owned();
            rest = &inside[end + 1..];
            let is_arm = matches!(rest.trim_start().get(..2), Some("=>" | "if"));
            found.push(Literal { line: *line, text, before: std::mem::take(&mut before), is_arm });
        }
        before.push_str(rest);
        before.push('\n');
    }
    found
}

/// Where a string ends whose opening quote has been read.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// The lists in which more than one name stands: one beside another, or as arms of a file's matches.
fn lists<'l>(literals: &'l [Literal], names: &BTreeSet<&str>) -> Vec<(usize, BTreeSet<&'l str>)> {
    let is_name = |literal: &&Literal| names.contains(literal.text.as_str());
    let between = |text: &str| text.chars().all(|c| c.is_whitespace() || ",|&[]()".contains(c));
    let mut runs: Vec<Vec<&Literal>> = Vec::new();
    for literal in literals {
        match runs.last_mut() {
            Some(run) if between(&literal.before) => run.push(literal),
            _ => runs.push(vec![literal]),
        }
    }
    runs.push(literals.iter().filter(|literal| literal.is_arm).collect());
    let listed = runs.into_iter().filter_map(|run| {
        let named: Vec<&Literal> = run.into_iter().filter(is_name).collect();
        let line = named.first()?.line;
        let listed: BTreeSet<&str> = named.iter().map(|literal| literal.text.as_str()).collect();
        (listed.len() > 1).then_some((line, listed))
    });
    listed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<usize> {
        let lines: Vec<(usize, String)> = (1..).zip(text.lines().map(str::to_owned)).collect();
        outside(Path::new(file), &lines, &names()).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_list_and_a_parser_are_found() {
        let cases: [(&str, &[usize]); 9] = [
            ("const CHARDEVS: &[&str] = &[\n    \"indev\",\n    \"outdev\",\n];", &[2]),
            ("matches!(name, \"filter-mirror\" | \"filter-redirector\")", &[1]),
            ("match name {\n \"indev\" => Way::In,\n \"outdev\" => Way::Out,\n}", &[2]),
            ("[(\"netdev\", \"hn0\"), (\"queue\", \"rx\")]", &[1]),
            ("text.split(',').find_map(|part| part.strip_prefix(\"id=\"))", &[1]),
            ("let (key, value) = part.split_once('=')?;", &[1]),
            ("has(\"colo-compare\") && has(\"filter-rewriter\")", &[]),
            ("[\"netdev\", \"nic\", \"chardev\"]", &[]),
            ("text.split(' ')", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(found("drawing/object.rs", text), expected, "{text}");
            assert!(found("qapi/table.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn an_exception_is_from_one_of_the_rules() {
        assert!(found("machine/filter/x.rs", "[\"indev\", \"outdev\"]").is_empty());
        assert_eq!(found("machine/filter/x.rs", "text.split(',')"), [1]);
        assert_eq!(found("snapshot/x.rs", "[\"indev\", \"outdev\"]"), [1]);
    }
}
