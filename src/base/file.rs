//! What a path that QEMU opens for writing leads to: a file in a case's own folder, or a device that
//! every host has. The model opens the files of filter-dumps by it.

/// Longest name of a file in bytes: `NAME_MAX` (Linux `include/uapi/linux/limits.h`).
const NAME_MAX: usize = 255;

/// Directories of every host (Filesystem Hierarchy Standard 3.0).
const DIRECTORIES: &[&str] = &[
    "/bin", "/dev", "/dev/shm", "/etc", "/home", "/lib", "/mnt", "/opt", "/proc", "/root", "/run",
    "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/log",
];

/// Why a file can't be opened; the texts are those of `strerror(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// ENOENT.
    #[error("No such file or directory")]
    NotFound,
    /// EISDIR.
    #[error("Is a directory")]
    IsDirectory,
    /// ENOTDIR.
    #[error("Not a directory")]
    NotDirectory,
    /// ENAMETOOLONG.
    #[error("File name too long")]
    NameTooLong,
}

/// A device that takes what is written and keeps nothing (null(4), full(4)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// `/dev/null` or `/dev/zero`.
    Null,
    /// `/dev/full`: each write fails.
    Full,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// A file of this name in the case's own folder.
    File(&'a str),
    /// A device, which belongs to no case.
    Sink(Sink),
}

/// What a path leads to, seen from a case's own folder, which has no directories: what a machine
/// opens for writing.
///
/// # Errors
/// As open(2) with `O_CREAT`, where no directory exists but the folder itself and those that every
/// host has, and in these no file but the devices of [`Sink`].
pub fn opened(path: &str) -> Result<Opened<'_>, OpenError> {
    if path.is_empty() {
        return Err(OpenError::NotFound);
    }
    let mut name = path;
    while let Some(rest) = name.strip_prefix("./") {
        name = rest.trim_start_matches('/');
    }
    match name {
        "" | "." | ".." => return Err(OpenError::IsDirectory),
        "/dev/null" | "/dev/zero" => return Ok(Opened::Sink(Sink::Null)),
        "/dev/full" => return Ok(Opened::Sink(Sink::Full)),
        _ => {}
    }
    let directory = name.trim_end_matches('/');
    let in_device = ["/dev/null/", "/dev/zero/", "/dev/full/"];
    if directory.is_empty() || DIRECTORIES.contains(&directory) {
        Err(OpenError::IsDirectory)
    } else if name.split('/').any(|part| part.len() > NAME_MAX) {
        Err(OpenError::NameTooLong)
    } else if in_device.iter().any(|prefix| name.starts_with(prefix)) {
        Err(OpenError::NotDirectory)
    } else if !directory.contains('/') && directory.len() < name.len() {
        // `O_CREAT` makes no directory, and the name's last character asks for one.
        Err(OpenError::IsDirectory)
    } else if name.contains('/') {
        Err(OpenError::NotFound)
    } else {
        Ok(Opened::File(name))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As QEMU 7.2.22 and 11.1.3 answered in a folder without directories.
    #[rstest]
    #[case("x.pcap", Ok(Opened::File("x.pcap")))]
    #[case("./x", Ok(Opened::File("x")))]
    #[case("", Err(OpenError::NotFound))]
    #[case("no/x.pcap", Err(OpenError::NotFound))]
    #[case("a/../x", Err(OpenError::NotFound))]
    #[case("/nonexistent/x.pcap", Err(OpenError::NotFound))]
    #[case("x/", Err(OpenError::IsDirectory))]
    #[case("/dev/null", Ok(Opened::Sink(Sink::Null)))]
    #[case("/dev/zero", Ok(Opened::Sink(Sink::Null)))]
    #[case("/dev/full", Ok(Opened::Sink(Sink::Full)))]
    #[case("/dev/null/x", Err(OpenError::NotDirectory))]
    #[case("/dev/shm", Err(OpenError::IsDirectory))]
    #[case("/tmp/", Err(OpenError::IsDirectory))]
    #[case("/", Err(OpenError::IsDirectory))]
    #[case(".", Err(OpenError::IsDirectory))]
    #[case(&"a".repeat(300), Err(OpenError::NameTooLong))]
    fn a_path_leads_to_a_file_or_a_device(
        #[case] path: &str,
        #[case] expected: Result<Opened<'_>, OpenError>,
    ) {
        assert_eq!(opened(path), expected);
    }
}
