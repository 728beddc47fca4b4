//! Why packages can't be had, each reason with its remedy.

use std::{
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error(
        "{program} can't be started: {source}; Debian and its derivatives have it (package {package}), \
         elsewhere run this in a container of Debian"
    )]
    NoProgram { program: &'static str, package: &'static str, source: io::Error },
    #[error(
        "there are no keys of Debian's archive in /usr/share/keyrings: install the package \
         debian-archive-keyring, or name a file that has them with --keyring"
    )]
    NoKeys,
    #[error("{}: there is no such keyring", .0.display())]
    NoKeyring(PathBuf),
    #[error("{0:?} is no address of an archive: it has a blank or a bracket")]
    Mirror(String),
    #[error(
        "{mirror} has no suite {suite}; a suite that is no longer supported is at \
         http://archive.debian.org/debian, which --mirror names: {said}"
    )]
    Suite { suite: String, mirror: String, said: String },
    #[error("{mirror} has no package {packages} for {architecture} in {suite}: {said}")]
    NoPackage {
        packages: String,
        suite: String,
        mirror: String,
        architecture: String,
        said: String,
    },
    #[error(
        "{mirror} can't be reached: {said}; look at the network and at apt's proxy, or name another \
         archive with --mirror"
    )]
    Network { mirror: String, said: String },
    #[error(
        "the signature of {mirror} is not one of {}: {said}; a newer debian-archive-keyring has newer \
         keys, and --keyring names another file", keyring.display()
    )]
    Signature { mirror: String, keyring: PathBuf, said: String },
    #[error(
        "there is no room left below {}: {said}; about 500 MB are needed there until \
         everything is unpacked, and 200 MB then", folder.display()
    )]
    Full { folder: PathBuf, said: String },
    #[error("{command}: {said}")]
    Failed { command: String, said: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// What a command that failed was about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) command: &'a str,
    pub(super) packages: &'a str,
    pub(super) folder: &'a Path,
    pub(super) mirror: &'a str,
    pub(super) suite: &'a str,
    pub(super) architecture: &'a str,
    pub(super) keyring: &'a Path,
}

impl Default for About<'_> {
    fn default() -> Self {
        let nowhere = Path::new("");
        Self {
            command: "",
            packages: "",
            folder: nowhere,
            mirror: "",
            suite: "",
            architecture: "",
            keyring: nowhere,
        }
    }
}

impl ArchiveError {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::Full { folder: path, said: source.to_string() };
        }
        Self::File { path, source }
    }

    /// What a command means that said this (apt 2.6 and 3.0, dpkg 1.21 and 1.22; `LC_ALL=C`).
    pub(super) fn said_by(about: About<'_>, output: &str) -> Self {
        let About { command, packages, folder, mirror, suite, architecture, keyring } = about;
        let has = |texts: &[&str]| texts.iter().any(|text| output.contains(text));
        let said = essence(output);
        let (mirror, suite) = (mirror.to_owned(), suite.to_owned());
        if has(&["No space left on device", "enough free space", "Disk quota exceeded"]) {
            Self::Full { folder: folder.to_owned(), said }
        } else if has(&["404  Not Found", "404 Not Found", "File not found"])
            && has(&["does not have a Release file", "no longer has a Release file"])
        {
            Self::Suite { suite, mirror, said }
        } else if has(&["Unable to locate package", "has no installation candidate"]) {
            let (packages, architecture) = (packages.to_owned(), architecture.to_owned());
            Self::NoPackage { packages, suite, mirror, architecture, said }
        } else if has(&[
            "NO_PUBKEY",
            "EXPKEYSIG",
            "KEYEXPIRED",
            "BADSIG",
            "is not signed",
            "Sub-process",
        ]) {
            Self::Signature { mirror, keyring: keyring.to_owned(), said }
        } else if has(&[
            "Could not resolve",
            "Temporary failure resolving",
            "Could not connect",
            "Cannot initiate the connection",
            "Connection failed",
            "Unable to connect",
            "Connection timed out",
            "Failed to fetch",
        ]) {
            Self::Network { mirror, said }
        } else {
            Self::Failed { command: command.to_owned(), said }
        }
    }

    /// Whether no archive of Debian can be used from here: there is no network, or no Debian.
    pub(crate) const fn is_out_of_reach(&self) -> bool {
        matches!(self, Self::NoProgram { .. } | Self::NoKeys | Self::Network { .. })
    }

    /// Whether another archive may have what this one has not.
    pub(super) const fn is_of_the_mirror(&self) -> bool {
        matches!(self, Self::Suite { .. } | Self::NoPackage { .. } | Self::Network { .. })
    }
}

/// The first line that says what is wrong, and how many more there are.
fn essence(output: &str) -> String {
    let lines = || output.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut errors = lines().filter(|line| {
        ["E: ", "W: GPG", "W: Failed to fetch", "dpkg-deb: error", "tar: "]
            .iter()
            .any(|start| line.starts_with(start))
    });
    let first = errors.next().or_else(|| lines().next_back()).unwrap_or("it said nothing");
    ["E: ", "W: "].iter().find_map(|start| first.strip_prefix(start)).unwrap_or(first).to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::suite(
        "Err:2 http://m/debian x Release\n  404  Not Found [IP: 192.0.2.1 80]\n\
         E: The repository 'http://m/debian x Release' does not have a Release file.",
        "has no suite sid"
    )]
    #[case::name(
        "E: Failed to fetch http://m/debian/dists/sid/InRelease  Could not resolve 'm'\n\
         E: Some index files failed to download. They have been ignored, or old ones used instead.",
        "can't be reached: Failed to fetch http://m/debian/dists/sid/InRelease  Could not resolve 'm'; \
         look at the network"
    )]
    #[case::refused(
        "E: Failed to fetch http://m/debian/dists/sid/InRelease  Could not connect to 127.0.0.1:1 \
         (127.0.0.1). - connect (111: Connection refused)",
        "can't be reached"
    )]
    #[case::key(
        "W: GPG error: http://m/debian sid InRelease: The following signatures couldn't be verified \
         because the public key is not available: NO_PUBKEY 6ED0E7B82643E131\n\
         E: The repository 'http://m/debian sid InRelease' is not signed.",
        "is not one of /keys.gpg: GPG error"
    )]
    #[case::full_for_apt(
        "E: You don't have enough free space in /t/archives/.",
        "no room left below /t: You don't have enough free space"
    )]
    #[case::full_for_dpkg(
        "tar: ./usr/bin/x: Cannot write: No space left on device\n\
         dpkg-deb: error: tar subprocess returned error exit status 2",
        "no room left below /t: tar: ./usr/bin/x"
    )]
    #[case::package(
        "E: Unable to locate package qemu-system-x86",
        "no package qemu-system-x86 for amd64"
    )]
    #[case::other("E: Something else", "apt-get update: Something else")]
    #[case::nothing("", "apt-get update: it said nothing")]
    fn what_a_command_says_is_explained(#[case] output: &str, #[case] expected: &str) {
        let about = About {
            command: "apt-get update",
            packages: "qemu-system-x86",
            folder: Path::new("/t"),
            mirror: "http://m/debian",
            suite: "sid",
            architecture: "amd64",
            keyring: Path::new("/keys.gpg"),
        };
        let text = ArchiveError::said_by(about, output).to_string();
        assert!(text.contains(expected), "{text}");
    }
}
