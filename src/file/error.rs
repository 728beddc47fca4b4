//! Why a file can't be used, and the code of the one reason that every reader shares.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Kind;
use crate::{
    diag::{Code, Explanation, Report},
    sys::{BeneathError, Escape},
};

/// Why a file can't be read. The texts are about "it", so that a message can say whose file it is.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{}", reason(.0))]
    System(#[from] io::Error),
    /// Something that is no file.
    #[error("it is {0}")]
    Kind(Kind),
    /// A file that the kernel makes up while it is read.
    #[error("it is a file of {0}, and not one that is kept")]
    Pseudo(&'static str),
    /// More than is read of a file of its use.
    #[error("it has more than {most} bytes")]
    TooLarge { most: usize },
    /// It has more in it than it says.
    #[error("it gave more bytes than it has: it was changed while it was read, or is no real file")]
    Lies,
    /// It was to be text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// It is not below the root.
    #[error("it is not below the root '{}': {escape}", root.display())]
    Outside {
        /// The root, as the working directory sees it.
        root: PathBuf,
        /// What leads out of it.
        escape: Escape,
    },
}

impl FileError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// The report of a file that a folder brought along and that leads out of the root; none for
    /// other reasons, which the caller words itself.
    #[must_use]
    pub fn outside(&self, path: &Path) -> Option<Report> {
        let Self::Outside { .. } = self else {
            return None;
        };
        let message = format!("'{}' is not used: {self}", path.display());
        Some(Report::error(OUTSIDE, message).with_help(OUTSIDE_HELP))
    }

    pub(super) fn beneath(error: BeneathError, root: PathBuf) -> Self {
        match error {
            BeneathError::Escapes(escape) => Self::Outside { root, escape },
            BeneathError::System(error) => Self::System(error),
        }
    }
}

/// What the system said, without the number that differs between systems.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// A file of a folder that leads out of the root.
const OUTSIDE: Code = Code("TW-E016");

/// What to do about it.
const OUTSIDE_HELP: &str = "put the file itself there; or name it on the command line, or give \
                            --allow-outside, where you trust whoever made the link";

pub const EXPLANATIONS: &[Explanation] = &[Explanation {
    code: OUTSIDE,
    title: "a file that leads out of the root",
    text: "A folder has a scenario or a snapshot in it that is a link, and the link goes out of the \
           project that the folder belongs to; or `scenarios` or `target/tapwright`, which are taken \
           where no other folder is named, is such a link. Whoever made it chose what would be read or \
           written, so nothing is. The root is the nearest folder above with `tapwright.toml` or `.git` \
           in it, else the nearest with `Cargo.toml`, else the folder itself. What is named on the \
           command line is taken wherever it is; --allow-outside takes everything.",
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_out_of_the_root_has_this_code() {
        let error = FileError::Outside { root: ".".into(), escape: Escape::Link("a".into()) };
        let report = error.outside(Path::new("b/a")).unwrap();
        assert_eq!(report.code, EXPLANATIONS[0].code);
        assert_eq!(
            report.message,
            "'b/a' is not used: it is not below the root '.': the link 'a' leads elsewhere"
        );
        assert!(FileError::Lies.outside(Path::new("a")).is_none());
    }
}
