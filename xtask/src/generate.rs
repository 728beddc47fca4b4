//! The files that are made from the code's own tables, and whether they still are what these say.

use std::{fs, path::PathBuf};

use crate::{
    chore::{ChoreError, root},
    quirk, reference,
};

/// A file's path in the repository, and what it should hold.
type File = (&'static str, String);

const SCHEMA: &str = "docs/scenario.schema.json";

fn schema() -> File {
    (SCHEMA, format!("{:#}\n", tapwright::scenario::schema()))
}

/// The marks between which README has the table of profiles.
const MARKS: [&str; 2] = ["<!-- profiles -->\n", "<!-- end of profiles -->\n"];

/// README with the table of profiles as it is now.
fn readme() -> Result<File, ChoreError> {
    let path = root().join("README.md");
    let text = fs::read_to_string(&path)
        .map_err(|source| ChoreError::Unreadable { path: path.clone(), source })?;
    let ends = text.find(MARKS[0]).zip(text.find(MARKS[1]));
    let Some((start, end)) = ends.filter(|(start, end)| start < end) else {
        return Err(ChoreError::NoMarks { path, marks: MARKS });
    };
    let start = start + MARKS[0].len();
    Ok(("README.md", [&text[..start], "\n", &quirk::profiles(), "\n", &text[end..]].concat()))
}

fn all() -> Result<Vec<File>, ChoreError> {
    Ok(vec![
        schema(),
        ("docs/language.md", reference::text()?),
        ("docs/profiles.md", quirk::text()?),
        readme()?,
    ])
}

/// Writes the schema.
pub(crate) fn write_schema() -> Result<(), ChoreError> {
    write(&[schema()])
}

/// Writes every file.
pub(crate) fn write_all() -> Result<(), ChoreError> {
    write(&all()?)
}

fn write(files: &[File]) -> Result<(), ChoreError> {
    for (path, text) in files {
        let full = root().join(path);
        if fs::read_to_string(&full).is_ok_and(|found| found == *text) {
            anstream::eprintln!("xtask: {path} is current");
            continue;
        }
        fs::write(&full, text).map_err(|source| ChoreError::Unwritable { path: full, source })?;
        anstream::eprintln!("xtask: {path} written");
    }
    Ok(())
}

/// Fails where a file is not what the code makes of it now.
pub(crate) fn check() -> Result<(), ChoreError> {
    let stale: Vec<PathBuf> = all()?
        .into_iter()
        .filter(|(path, text)| {
            !fs::read_to_string(root().join(path)).is_ok_and(|found| found == *text)
        })
        .map(|(path, _)| path.into())
        .collect();
    if stale.is_empty() { Ok(()) } else { Err(ChoreError::Stale(stale)) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_files_are_current() {
        super::check().unwrap();
    }
}
