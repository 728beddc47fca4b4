//! From a path to a checked scenario.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use super::{
    case::Scenario,
    context::{Context, Files},
    fault::{Fault, Found},
    lower,
    matrix::{self, Values},
    node::{Node, short},
    yaml,
};
use crate::{
    base::CaseId,
    diag::{Report, Source, Span},
    file::FileError,
};

/// Reads and checks a scenario that a person named. Its name is its path below `suite_root`,
/// without the extension.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
///
/// # Examples
/// ```
/// use std::path::Path;
///
/// use tapwright::scenario::{self, Disk};
///
/// let path = Path::new("scenarios/redirector/rx-outdev.yaml");
/// let scenario = scenario::load(path, Path::new("scenarios"), &Disk).expect("it is shipped");
/// assert_eq!(scenario.cases[0].id.as_str(), "redirector/rx-outdev@profile=qemu-7.2");
/// ```
pub fn load(path: &Path, suite_root: &Path, files: &dyn Files) -> Result<Scenario, Vec<Report>> {
    check(path, suite_root, files.scenario(path), files)
}

/// The same with a scenario that stood in a folder, where a link may have been put in its place.
///
/// # Errors
/// As [`load`], and where it leads out of the root of that folder.
pub fn load_found(
    path: &Path,
    suite_root: &Path,
    files: &dyn Files,
) -> Result<Scenario, Vec<Report>> {
    check(path, suite_root, files.found(path), files)
}

fn check(
    path: &Path,
    suite_root: &Path,
    read: Result<Vec<u8>, FileError>,
    files: &dyn Files,
) -> Result<Scenario, Vec<Report>> {
    let bytes = read.map_err(|error| match error.outside(path) {
        Some(report) => vec![report],
        None => vec![unread(path, &error)],
    })?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(offset).copied().unwrap_or_default();
            // Positions still need the text; the wrong byte keeps its line and column.
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let source = Arc::new(Source { path: path.to_owned(), text });
            let span = Some(Span { start: offset, end: offset + '\u{fffd}'.len_utf8() });
            let found = Found { fault: Fault::NotUtf8 { offset, byte }, span, related: None };
            return Err(vec![found.report(&source)]);
        }
    };
    // The mark is not part of the text (YAML 1.2.2, section 5.2).
    let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned);
    let source = Arc::new(Source { path: path.to_owned(), text });
    parse(source, &scenario_name(path, suite_root), files)
}

/// Checks the text of a scenario. Captures are read from `files`, relative to the source's folder.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn parse(source: Arc<Source>, name: &str, files: &dyn Files) -> Result<Scenario, Vec<Report>> {
    let context = Context::new(Arc::clone(&source), files);
    let scenario = read(&context, name);
    match scenario {
        Some(scenario) if context.is_clean() => Ok(scenario),
        _ => Err(context.reports()),
    }
}

fn read(context: &Context<'_>, name: &str) -> Option<Scenario> {
    let mut root = yaml::read(context)?;
    if root.is_null() {
        context.fault(root.span, Fault::Empty { what: "the scenario is empty" });
        return None;
    }
    if root.map().is_none() {
        context.fault(root.span, Fault::Empty { what: "the scenario is not a map of keys" });
        return None;
    }
    yaml::drop_duplicates(&mut root, context);
    let before = context.noted();
    let matrix = matrix::read(context, &root);
    // Without its values every reference would be wrong again in its own way.
    if context.noted() > before {
        return None;
    }
    matrix::check(context, &root, &matrix);
    // Only a key with a reference may become one that stands there already.
    let keys_vary = matrix::has_reference_in_key(&root);
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for values in matrix.combinations() {
        let tree = tree(context, name, &root, values, &mut names);
        let case = tree.and_then(|(mut tree, id, pairs)| {
            if keys_vary {
                yaml::drop_duplicates(&mut tree, context);
            }
            lower::case(context, &tree, id, pairs)
        });
        cases.extend(case.map(Arc::new));
        if context.is_full() {
            break;
        }
    }
    let probes = cases.iter().all(|case| case.steps.is_empty());
    Some(Scenario {
        name: name.to_owned(),
        source: Arc::clone(context.source()),
        cases,
        probes,
        reads_captures: context.has_captures(),
    })
}

/// Names and values of a combination.
type Pairs = Vec<(String, String)>;

/// The tree of one combination, the case's name, and its values.
fn tree(
    context: &Context<'_>,
    name: &str,
    root: &Node,
    values: Values<'_>,
    names: &mut BTreeSet<CaseId>,
) -> Option<(Node, CaseId, Pairs)> {
    context.begin_case();
    let pairs = values.pairs(context)?;
    let combination = combination(&pairs);
    context.name_case(&combination);
    let tree = matrix::substitute(context, root, values)?;
    let id = case_id(name, &combination);
    if !names.insert(id.clone()) {
        let span = root.get("matrix").map_or(root.span, |entry| entry.key_span);
        context.fault(span, Fault::DuplicateCase { id: short(id.as_str()) });
    }
    Some((tree, id, pairs))
}

/// `queue=tx,vhost=on`; empty without a matrix.
fn combination(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

fn case_id(name: &str, combination: &str) -> CaseId {
    if combination.is_empty() {
        CaseId::from(name)
    } else {
        CaseId::from(format!("{name}@{combination}"))
    }
}

/// The path below the suite's root without its extension, with `/` between its parts.
fn scenario_name(path: &Path, suite_root: &Path) -> String {
    let below = path.strip_prefix(suite_root).unwrap_or(path).with_extension("");
    let parts: Vec<_> = below
        .components()
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

fn unread(path: &Path, error: &FileError) -> Report {
    let fault = match error {
        FileError::TooLarge { most } => Fault::TooLong { most: *most },
        error => Fault::Unreadable { path: path.to_owned(), reason: error.to_string() },
    };
    let source = Arc::new(Source { path: path.to_owned(), text: String::new() });
    Found { fault, span: None, related: None }.report(&source)
}
