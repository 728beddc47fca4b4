//! The licences of the crates in the binary: MIT, BSD and Apache-2.0 alike ask that their text goes with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use super::{tree, unwritable};
use crate::chore::{self, ChoreError, root};

/// The file's name in the archives.
pub(super) const NAME: &str = "LICENSES-OF-CRATES";

/// How the files begin that have a crate's licence.
const BEGINNINGS: &[&str] = &["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

const HEAD: &str = "\
tapwright is made of the crates below, of Rust's standard library (https://www.rust-lang.org, MIT or
Apache-2.0) and, where it is static, of musl (https://musl.libc.org, MIT). Equal texts stand here once.
";

/// Writes the texts, and gives the crates that have none.
pub(super) fn write(path: &Path, target: &str) -> Result<Vec<String>, ChoreError> {
    let metadata = metadata(target)?;
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut without = Vec::new();
    for package in linked(&metadata) {
        let word = |key: &str| package[key].as_str().unwrap_or_default();
        if word("source").is_empty() {
            continue;
        }
        let name = format!("{} {} ({})", word("name"), word("version"), word("license"));
        let folder = Path::new(word("manifest_path")).parent();
        let found = licences(folder.unwrap_or(Path::new("")))?;
        if found.is_empty() {
            without.push(name);
            continue;
        }
        for text in found {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    without.sort();
    let mut whole = HEAD.to_owned();
    if !without.is_empty() {
        whole += &format!("\nPublished without a text: {}\n", without.join(", "));
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    for (text, names) in texts {
        let names: Vec<_> = names.into_iter().collect();
        whole += &format!("\n{}\n{}\n\n{text}\n", "=".repeat(80), names.join("\n"));
    }
    fs::write(path, whole).map_err(|source| unwritable(path, source))?;
    Ok(without)
}

fn metadata(target: &str) -> Result<Value, ChoreError> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version=1", "--locked", "--filter-platform", target];
    let name = format!("cargo {}", arguments.join(" "));
    let said = chore::said(&name, Command::new(program).args(arguments).current_dir(root()))?;
    serde_json::from_str(&said)
        .map_err(|error| ChoreError::Unreadable { path: name.into(), source: error.into() })
}

/// The packages whose code is in the binary: not what only builds it, nor macros and what they need.
fn linked(metadata: &Value) -> Vec<&Value> {
    let packages = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let ours = packages.iter().find(|(_, one)| one["name"] == "tapwright");
    let mut next: Vec<&str> = ours.map(|(id, _)| *id).into_iter().collect();
    let mut seen = BTreeSet::new();
    let mut linked = Vec::new();
    while let Some(id) = next.pop() {
        let Some(package) = packages.get(id).filter(|one| !is_macro(one)) else {
            continue;
        };
        if !seen.insert(id) {
            continue;
        }
        linked.push(*package);
        let needs = nodes.get(id).map(|node| &node["deps"]);
        for need in needs.and_then(Value::as_array).into_iter().flatten() {
            let mut kinds = need["dep_kinds"].as_array().into_iter().flatten();
            if kinds.any(|kind| kind["kind"].is_null()) {
                next.extend(need["pkg"].as_str());
            }
        }
    }
    linked
}

fn by_id(list: &Value) -> BTreeMap<&str, &Value> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|one| Some((one["id"].as_str()?, one))).collect()
}

fn is_macro(package: &Value) -> bool {
    let mut targets = package["targets"].as_array().into_iter().flatten();
    targets.any(|target| {
        let mut kinds = target["kind"].as_array().into_iter().flatten();
        kinds.any(|kind| kind == "proc-macro")
    })
}

/// The texts that a crate's folder has at its top.
fn licences(folder: &Path) -> Result<Vec<String>, ChoreError> {
    let mut texts = Vec::new();
    for path in tree::files(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_uppercase();
        if BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
            let bytes = fs::read(&path)
                .map_err(|source| ChoreError::Unreadable { path: path.clone(), source })?;
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            texts.push(text.trim_matches('\n').to_owned());
        }
    }
    Ok(texts)
}
