//! Which file a path of QEMU's leads to in a case's own folder. The model opens the files of
//! filter-dumps by it.

/// Longest name of a file in bytes: `NAME_MAX` (Linux `include/uapi/linux/limits.h`).
const NAME_MAX: usize = 255;

/// Why a file can't be opened; the texts are those of `strerror(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// ENOENT.
    #[error("No such file or directory")]
    NotFound,
    /// EISDIR.
    #[error("Is a directory")]
    IsDirectory,
    /// ENAMETOOLONG.
    #[error("File name too long")]
    NameTooLong,
}

/// The file that a path leads to, seen from a case's own folder, which has no directories: what a
/// machine opens for writing.
///
/// # Errors
/// As open(2) with `O_CREAT`, where no directory but the folder itself exists.
pub fn file_name(path: &str) -> Result<&str, OpenError> {
    if path.is_empty() {
        return Err(OpenError::NotFound);
    }
    let mut name = path;
    while let Some(rest) = name.strip_prefix("./") {
        name = rest.trim_start_matches('/');
    }
    match name {
        "" | "." | ".." => Err(OpenError::IsDirectory),
        // The host's own.
        _ if name.bytes().all(|byte| byte == b'/') => Err(OpenError::IsDirectory),
        _ if name.split('/').any(|part| part.len() > NAME_MAX) => Err(OpenError::NameTooLong),
        _ if name.contains('/') => Err(OpenError::NotFound),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As QEMU 7.2.22 answered in a folder without directories.
    #[rstest]
    #[case("x.pcap", Ok("x.pcap"))]
    #[case("./x", Ok("x"))]
    #[case("", Err(OpenError::NotFound))]
    #[case("no/x.pcap", Err(OpenError::NotFound))]
    #[case("a/../x", Err(OpenError::NotFound))]
    #[case("/nonexistent/x.pcap", Err(OpenError::NotFound))]
    #[case("/", Err(OpenError::IsDirectory))]
    #[case(".", Err(OpenError::IsDirectory))]
    #[case(&"a".repeat(300), Err(OpenError::NameTooLong))]
    fn a_path_leads_to_a_file(#[case] path: &str, #[case] expected: Result<&str, OpenError>) {
        assert_eq!(file_name(path), expected);
    }
}
