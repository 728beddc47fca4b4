//! Finds the scenario files of paths, and reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::RunnerError;
use crate::{
    diag::Report,
    scenario::{self, Files, Scenario},
};

/// The directory that holds a project's suite, by convention.
const SUITE_DIRECTORY: &str = "scenarios";

/// A scenario file and the directory that its name is counted from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioFile {
    /// The file, as far as possible as the user wrote it.
    pub path: PathBuf,
    /// The suite's root; always a prefix of `path`.
    pub root: PathBuf,
    /// It was found in a folder, and nobody named it.
    pub found: bool,
}

impl ScenarioFile {
    /// Reads and checks the scenario. One that was found is not looked for outside of its project.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self, files: &dyn Files) -> Result<Scenario, Vec<Report>> {
        let load = if self.found { scenario::load_found } else { scenario::load };
        load(&self.path, &self.root, files)
    }

    /// The path below the root without its extension.
    fn name(&self) -> PathBuf {
        self.path.strip_prefix(&self.root).unwrap_or(&self.path).with_extension("")
    }
}

/// Stack of a thread that reads scenarios, in bytes: as much as a process's first thread has.
pub(super) const STACK: usize = 8 << 20;

/// Fewer files than this are read by the calling thread: others would not be worth their start.
const FEW: usize = 8;

/// Reads and checks scenarios, on as many threads as there are processors. Each scenario, or everything
/// that is wrong with it, is given to `keep` on its thread, and what that keeps comes in the order of the
/// files.
pub fn load<T: Send + Sync>(
    found: &[ScenarioFile],
    files: &(dyn Files + Sync),
    keep: impl Fn(Result<Scenario, Vec<Report>>) -> T + Sync,
) -> Vec<T> {
    let loaded: Vec<OnceLock<_>> = found.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let read = || {
        let rest = std::iter::from_fn(|| {
            let at = next.fetch_add(1, Ordering::Relaxed);
            Some((found.get(at)?, loaded.get(at)?))
        });
        for (file, loaded) in rest {
            loaded.get_or_init(|| keep(file.load(files)));
        }
    };
    if found.len() >= FEW {
        thread::scope(|scope| {
            let others = thread::available_parallelism().map_or(1, NonZeroUsize::get) - 1;
            for _ in 0..others {
                let thread = thread::Builder::new().name("read".to_owned()).stack_size(STACK);
                // Where there is none to be had, those that are there read everything.
                drop(thread.spawn_scoped(scope, read));
            }
            read();
        });
    } else {
        read();
    }
    loaded.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// Finds the scenario files below `paths`, each a file or a directory, in the order of their paths.
///
/// A scenario's root is the innermost directory named `scenarios` above it, so that a case has one
/// name however it is reached; without one it is the directory that was given, or the parent of the
/// file that was given. Hidden directories are passed over, links to directories are not followed.
///
/// # Errors
/// Every path that does not exist, can't be read or is no YAML file, and every two files of one
/// name, together.
pub fn find(paths: &[PathBuf]) -> Result<Vec<ScenarioFile>, Vec<RunnerError>> {
    let mut found = BTreeMap::new();
    let mut errors = Vec::new();
    for path in paths {
        if let Err(error) = find_below(path, &mut found) {
            errors.push(error);
        }
    }
    let files: Vec<ScenarioFile> = found.into_values().collect();
    errors.extend(same_names(&files));
    if errors.is_empty() { Ok(files) } else { Err(errors) }
}

/// Keyed by absolute path, so that overlapping arguments give each file once.
type Found = BTreeMap<PathBuf, ScenarioFile>;

/// A directory that is named like a scenario is taken for one, so that it is refused and not
/// passed over as empty.
fn find_below(path: &Path, found: &mut Found) -> Result<(), RunnerError> {
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => RunnerError::NoSuchPath { path: path.to_owned() },
        _ => RunnerError::Unreadable { path: path.to_owned(), source },
    })?;
    if metadata.is_dir() && !is_yaml(path) {
        return walk(path, path, found);
    }
    if !is_yaml(path) {
        return Err(RunnerError::NotYaml { path: path.to_owned() });
    }
    add(path, None, found)
}

fn walk(directory: &Path, given: &Path, found: &mut Found) -> Result<(), RunnerError> {
    let unreadable = |source| RunnerError::Unreadable { path: directory.to_owned(), source };
    let entries: BTreeSet<PathBuf> = fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(unreadable)?;
    for path in entries {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let linked = fs::symlink_metadata(&path).map_err(unreadable)?.is_symlink();
        if path.is_dir() {
            if !hidden && !linked {
                walk(&path, given, found)?;
            }
        } else if !hidden && is_yaml(&path) {
            add(&path, Some(given), found)?;
        }
    }
    Ok(())
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Adds a file of a folder that was given, or one that was given itself.
fn add(path: &Path, folder: Option<&Path>, found: &mut Found) -> Result<(), RunnerError> {
    let absolute = std::path::absolute(path)
        .map_err(|source| RunnerError::Unreadable { path: path.to_owned(), source })?;
    let given = folder.or(path.parent()).unwrap_or(Path::new(""));
    let (path, root) = match (suite_above(path), suite_above(&absolute)) {
        (Some(root), _) => (path.to_owned(), root),
        (None, Some(root)) => (absolute.clone(), root),
        (None, None) => (path.to_owned(), given.to_owned()),
    };
    let file = ScenarioFile { path, root, found: folder.is_some() };
    // Named and found, it is named.
    let known = found.entry(absolute).or_insert_with(|| file.clone());
    known.found &= file.found;
    Ok(())
}

fn suite_above(path: &Path) -> Option<PathBuf> {
    let named = |directory: &&Path| directory.file_name() == Some(OsStr::new(SUITE_DIRECTORY));
    path.ancestors().skip(1).find(named).map(Path::to_owned)
}

/// Files whose cases would have the same names: two suites at once, or `a.yaml` beside `a.yml`.
fn same_names(files: &[ScenarioFile]) -> Vec<RunnerError> {
    let mut names: BTreeMap<PathBuf, &ScenarioFile> = BTreeMap::new();
    let mut errors = Vec::new();
    for file in files {
        if let Some(first) = names.get(&file.name()) {
            errors.push(RunnerError::SameName {
                name: file.name().display().to_string(),
                first: first.path.clone(),
                second: file.path.clone(),
            });
        } else {
            names.insert(file.name(), file);
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        directory
    }

    fn names(files: &[ScenarioFile]) -> Vec<String> {
        files.iter().map(|file| file.name().display().to_string()).collect()
    }

    #[test]
    fn a_directory_gives_its_yaml_files_in_order() {
        let tree = tree(&["b/z.yaml", "b/a.yml", "a.yaml", "a.snap", ".git/c.yaml", ".d.yaml"]);
        let files = find(&[tree.path().to_owned()]).unwrap();
        assert_eq!(names(&files), ["a", "b/a", "b/z"]);
    }

    #[test]
    fn a_case_has_one_name_however_its_file_is_reached() {
        let tree = tree(&["scenarios/redirector/tx.yaml"]);
        for given in ["", "scenarios", "scenarios/redirector", "scenarios/redirector/tx.yaml"] {
            let files = find(&[tree.path().join(given)]).unwrap();
            assert_eq!(names(&files), ["redirector/tx"], "{given}");
        }
    }

    #[test]
    fn a_lone_file_is_named_after_itself() {
        let tree = tree(&["deep/er/one.yaml"]);
        let files = find(&[tree.path().join("deep/er/one.yaml")]).unwrap();
        assert_eq!(names(&files), ["one"]);
    }

    #[test]
    fn overlapping_arguments_give_a_file_once() {
        let tree = tree(&["a.yaml", "b.yaml"]);
        let files = find(&[tree.path().join("a.yaml"), tree.path().to_owned()]).unwrap();
        assert_eq!(names(&files), ["a", "b"]);
    }

    #[test]
    fn what_is_named_is_not_found() {
        let tree = tree(&["a.yaml", "b.yaml"]);
        let (folder, file) = (tree.path().to_owned(), tree.path().join("b.yaml"));
        for given in [[folder.clone(), file.clone()], [file, folder]] {
            let found: Vec<bool> = find(&given).unwrap().iter().map(|file| file.found).collect();
            assert_eq!(found, [true, false]);
        }
    }

    #[test]
    fn many_are_read_in_their_order_with_what_is_wrong() {
        let tree = tree(&[]);
        for number in 10..60 {
            let text = if number % 7 == 0 {
                "no"
            } else {
                "description: x\nnetdevs: {hn0: {type: tap}}\nsteps: [note: nothing]\n"
            };
            fs::write(tree.path().join(format!("{number}.yaml")), text).unwrap();
        }
        let found = find(&[tree.path().to_owned()]).unwrap();
        let read = load(&found, &scenario::Disk, |loaded| {
            loaded.map(|scenario| scenario.name).map_err(|faults| faults.len())
        });
        let expected: Vec<_> = (10..60)
            .map(|number| if number % 7 == 0 { Err(1) } else { Ok(number.to_string()) })
            .collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn every_bad_path_is_reported() {
        let tree = tree(&["notes.txt", "a.yaml", "a.yml"]);
        let errors = find(&[
            tree.path().join("gone"),
            tree.path().join("notes.txt"),
            tree.path().to_owned(),
        ])
        .unwrap_err();
        assert!(
            matches!(
                errors.as_slice(),
                [
                    RunnerError::NoSuchPath { .. },
                    RunnerError::NotYaml { .. },
                    RunnerError::SameName { .. }
                ]
            ),
            "{errors:?}"
        );
    }
}
