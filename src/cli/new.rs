//! The command `new`: a commented scenario to begin with.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::{CliError, Stop, output};
use crate::{
    diag::{Diagnose, shell_word},
    file,
    runner::Exit,
    terminal::visible,
};

/// Writes a commented scenario to begin with.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct NewArgs {
    /// The file to write; .yaml is added if it has no extension
    name: PathBuf,
    /// What the scenario is for
    #[arg(long, value_enum, default_value_t = Kind::Redirector)]
    kind: Kind,
}

/// The kinds of scenario, by who uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// For a suite: a filter-redirector beside a vhost TAP
    Redirector,
    /// For a suite: a filter-mirror, and many frames
    Mirror,
    /// For a suite: a guest that answers, a client, a bad network
    Guest,
    /// For a bug report: command lines as they were pasted
    Import,
    /// For a bug report: a colo-compare by itself
    Compare,
    /// For a bug report: a COLO pair with guests and a client
    Colo,
    /// For property conflicts: a matrix and its table of answers
    Conflict,
    /// For property conflicts: the texts of refusals, under each QEMU
    Refusal,
}

impl Kind {
    const fn template(self) -> &'static str {
        match self {
            Self::Redirector => include_str!("template/redirector.yaml"),
            Self::Mirror => include_str!("template/mirror.yaml"),
            Self::Guest => include_str!("template/guest.yaml"),
            Self::Import => include_str!("template/import.yaml"),
            Self::Compare => include_str!("template/compare.yaml"),
            Self::Colo => include_str!("template/colo.yaml"),
            Self::Conflict => include_str!("template/conflict.yaml"),
            Self::Refusal => include_str!("template/refusal.yaml"),
        }
    }
}

pub(super) fn run(args: &NewArgs) -> Result<Exit, Stop> {
    let path = with_extension(&args.name);
    write(&path, args.kind.template()).map_err(|error| Stop::invalid(vec![error.report()]))?;
    let shown = visible(path.display());
    let word = shell_word(&path.display().to_string());
    let word = visible(&word);
    output::print(&format!(
        "{shown}\n  check it:  tapwright check {word}\n  run it:    tapwright run {word}\n"
    ))?;
    Ok(Exit::Success)
}

/// A scenario is found by its extension.
fn with_extension(name: &Path) -> PathBuf {
    let is_scenario =
        name.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if is_scenario {
        return name.to_owned();
    }
    let mut path = name.as_os_str().to_owned();
    path.push(".yaml");
    path.into()
}

/// Writes a file that is not there yet, with its folders.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let unwritable = |source| CliError::Unwritable { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let mut file = match file::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(CliError::Exists { path: path.to_owned() });
        }
        Err(error) => return Err(unwritable(error)),
    };
    file.write_all(text.as_bytes()).map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a", "a.yaml")]
    #[case("scenarios/a.b", "scenarios/a.b.yaml")]
    #[case("a.yaml", "a.yaml")]
    #[case("a.yml", "a.yml")]
    fn a_scenario_has_its_extension(#[case] name: &str, #[case] path: &str) {
        assert_eq!(with_extension(Path::new(name)), Path::new(path));
    }
}
