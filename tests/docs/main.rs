//! Every command and every scenario of README.md and docs/*.md does what is written there. The
//! conventions are in CONTRIBUTING.md.

mod block;
mod compare;
mod project;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
};

use libtest_mimic::{Arguments, Failed, Trial};

use block::Block;
use project::{Done, Project};

/// The blocks that nothing was made of, each with its reason.
type Shown = Arc<Mutex<Vec<String>>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let shown = Shown::default();
    let trials = documents()
        .into_iter()
        .map(|path| {
            let shown = Arc::clone(&shown);
            let name = path.display().to_string();
            Trial::test(name, move || document(&path, &shown))
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let mut shown = shown.lock().map(|shown| shown.clone()).unwrap_or_default();
    shown.sort();
    let mut out = std::io::stderr();
    // Where standard error is closed nobody can be told.
    drop(writeln!(out, "{} blocks of the documents are not run:", shown.len()));
    for line in shown {
        drop(writeln!(out, "  {line}"));
    }
    conclusion.exit_code()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and the pages of docs, as paths from the root.
fn documents() -> Vec<PathBuf> {
    let pages = fs::read_dir(root().join("docs")).expect("docs");
    let mut all: Vec<PathBuf> = pages
        .map(|page| PathBuf::from("docs").join(page.expect("a page").file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain([PathBuf::from("README.md")])
        .collect();
    all.sort();
    all
}

/// Runs the blocks of a document one after another in one folder, and tells all that is wrong.
fn document(path: &Path, shown: &Shown) -> Result<(), Failed> {
    let text = fs::read_to_string(root().join(path))?;
    let blocks = block::read(&text);
    let project = Project::new(&blocks)?;
    let mut faults = Vec::new();
    for block in &blocks {
        let place = format!("{}:{}", path.display(), block.line);
        match one(&project, block) {
            Ok(Done::Run) => {}
            Ok(Done::Shown(reason)) => {
                if let Ok(mut shown) = shown.lock() {
                    shown.push(format!("{place} ({reason})"));
                }
            }
            Err(fault) => faults.push(format!("{place}: {fault}")),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n\n").into()) }
}

fn one(project: &Project, block: &Block) -> Result<Done, String> {
    if let Some(reason) = block.value("shown") {
        return Ok(Done::Shown(reason.replace('-', " ")));
    }
    if let Some(what) = block.value("needs").filter(|what| !project.has(what)) {
        return Ok(Done::Shown(format!("there is no {what} here")));
    }
    if let Some(path) = block.value("shipped") {
        let found = fs::read_to_string(root().join(path)).map_err(|e| format!("{path}: {e}"))?;
        return compare::same(&block.text, &found).map(|()| Done::Run);
    }
    if let Some(path) = block.value("from") {
        return compare::same(&block.text, &project.read(path)?).map(|()| Done::Run);
    }
    match block.language.as_str() {
        "yaml" => project.scenario(block),
        "console" => project.console(block),
        language => match block.value("file") {
            Some(path) => project.write(path, &block.text).map(|()| Done::Run),
            None if language.is_empty() => Ok(Done::Shown("no language".to_owned())),
            None => Ok(Done::Shown(language.to_owned())),
        },
    }
}
