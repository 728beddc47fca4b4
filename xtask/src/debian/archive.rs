//! Fetches a suite's packages with `apt-get`: with lists, an archive and a status of its own, as if
//! nothing were installed, so that all that is wanted comes along. The host's proxy and mirror are used.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    Source,
    error::{About, ArchiveError},
    unpack::remove_tree,
};

/// Where Debian is when the host does not know.
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// Where the package debian-archive-keyring puts its keys; the first that is there is taken.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

/// What the name of a suite of backports ends with. Such a suite holds no more than what it has newer than
/// the suite in front of the end.
const BACKPORTS: &str = "-backports";

/// Which packages are fetched besides those that are named.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Closure {
    /// All that they depend on, down to the C library.
    Everything,
    /// Those that they depend on whose names begin with one of these.
    Beginning(&'static [&'static str]),
}

/// What apt keeps below a folder of its own.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Where the tree is made, too.
    folder: PathBuf,
    suite: String,
    packages: &'static [&'static str],
    closure: Closure,
    architecture: String,
}

impl Archive {
    /// One for these packages of a suite, which keeps its things in `folder`.
    ///
    /// # Errors
    /// When there is no dpkg.
    pub(crate) fn new(
        folder: &Path,
        suite: &str,
        packages: &'static [&'static str],
        closure: Closure,
    ) -> Result<Self, ArchiveError> {
        let dpkg = ("dpkg", "dpkg");
        let said = output(dpkg, Command::new(dpkg.0).arg("--print-architecture"))?;
        let architecture = said.out.trim().to_owned();
        let (folder, suite) = (folder.to_owned(), suite.to_owned());
        Ok(Self { folder, suite, packages, closure, architecture })
    }

    /// The architecture of this machine, as Debian names it.
    pub(crate) fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The files of the packages. What an earlier call has fetched is not fetched again.
    ///
    /// # Errors
    /// Whatever keeps them from being fetched.
    pub(crate) fn fetch(&self, source: &Source) -> Result<Vec<PathBuf>, ArchiveError> {
        let keyring = match &source.keyring {
            Some(path) if !path.is_file() => return Err(ArchiveError::NoKeyring(path.clone())),
            Some(path) => {
                std::path::absolute(path).map_err(|error| ArchiveError::file(path, error))?
            }
            None => {
                let found = KEYRINGS.iter().map(PathBuf::from).find(|path| path.is_file());
                found.ok_or(ArchiveError::NoKeys)?
            }
        };
        let mirrors = match &source.mirror {
            Some(mirror) => vec![mirror.clone()],
            None => mirrors(&hosts()?),
        };
        let mut mirrors = mirrors.iter().peekable();
        loop {
            let Some(mirror) = mirrors.next() else {
                return Err(ArchiveError::NoKeys);
            };
            match self.fetch_from(mirror, &keyring) {
                Err(error) if error.is_of_the_mirror() && mirrors.peek().is_some() => {
                    anstream::eprintln!("xtask: {error}");
                }
                done => return done,
            }
        }
    }

    fn fetch_from(&self, mirror: &str, keyring: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
        // They would end a word of sources.list(5), or begin its options.
        if mirror.contains([' ', '\t', '\n', '[', ']']) {
            return Err(ArchiveError::Mirror(mirror.to_owned()));
        }
        let packages = self.packages.join(", ");
        anstream::eprintln!("xtask: {packages} of {} from {mirror}", self.suite);
        for folder in ["lists/partial", "cache/archives/partial"] {
            let path = self.apt().join(folder);
            fs::create_dir_all(&path).map_err(|error| ArchiveError::file(&path, error))?;
        }
        let Self { suite, architecture, .. } = self;
        let keys = keyring.display();
        let sources: String = suites(suite)
            .map(|suite| {
                format!("deb [arch={architecture} signed-by={keys}] {mirror} {suite} main\n")
            })
            .collect();
        for (name, text) in [("sources.list", sources.as_str()), ("status", "")] {
            let path = self.apt().join(name);
            fs::write(&path, text).map_err(|error| ArchiveError::file(&path, error))?;
        }
        let about = |command| About {
            command,
            packages: &packages,
            folder: &self.folder,
            mirror,
            suite,
            architecture,
            keyring,
        };
        self.apt_get(about("apt-get update"), &["update"])?;
        // What an earlier call fetched of versions that are gone.
        self.apt_get(about("apt-get autoclean"), &["autoclean"])?;
        self.download(about("apt-get install"))?;
        self.fetched()
    }

    /// Puts the files of the packages below [`Archive::archives`].
    fn download(&self, about: About<'_>) -> Result<(), ArchiveError> {
        let release = format!("--target-release={}", self.suite);
        let mut install = vec!["install", "--yes", "--no-install-recommends", release.as_str()];
        let prefixes = match self.closure {
            Closure::Everything => {
                install.push("--download-only");
                install.extend(self.packages);
                return self.apt_get(about, &install).map(drop);
            }
            Closure::Beginning(prefixes) => prefixes,
        };
        install.push("--simulate");
        install.extend(self.packages);
        let simulated = self.apt_get(about, &install)?;
        let wanted = installed(&simulated).filter(|(name, _)| {
            self.packages.contains(name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
        });
        let wanted: Vec<String> =
            wanted.map(|(name, version)| format!("{name}={version}")).collect();
        let mut download = vec!["download"];
        download.extend(wanted.iter().map(String::as_str));
        let about = About { command: "apt-get download", ..about };
        self.apt_get(about, &download).map(drop)
    }

    fn fetched(&self) -> Result<Vec<PathBuf>, ArchiveError> {
        let archives = self.archives();
        let unreadable = |error| ArchiveError::file(&archives, error);
        let entries = fs::read_dir(&archives).map_err(unreadable)?;
        let mut packages = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(unreadable)?;
        packages.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
        packages.sort();
        Ok(packages)
    }

    /// Runs apt-get where packages are downloaded to; what it says on standard output.
    fn apt_get(&self, about: About<'_>, arguments: &[&str]) -> Result<String, ArchiveError> {
        let apt = self.apt();
        let mut command = Command::new("apt-get");
        command.current_dir(self.archives());
        command.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive");
        let folders = [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::State", ""),
            ("Dir::State::Lists", "lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
            ("Dir::Cache::Archives", "cache/archives"),
        ];
        for (name, folder) in folders {
            command.arg("-o").arg(format!("{name}={}", apt.join(folder).display()));
        }
        let architecture = &self.architecture;
        for option in [
            "Dir::Etc::SourceParts=/dev/null",
            "Dir::Etc::Preferences=/dev/null",
            "Dir::Etc::PreferencesParts=/dev/null",
            // Its user can't write here.
            "APT::Sandbox::User=root",
            "Debug::NoLocking=1",
            // An old suite has a Release file that is no longer renewed.
            "Acquire::Check-Valid-Until=false",
            "Acquire::Languages=none",
            "Acquire::Retries=2",
            "Acquire::http::Timeout=30",
            "Acquire::https::Timeout=30",
            &format!("APT::Architecture={architecture}"),
            &format!("APT::Architectures::={architecture}"),
        ] {
            command.args(["-o", option]);
        }
        let said = output(("apt-get", "apt"), command.args(arguments))?;
        // Without all of its lists `update` calls itself done, with a warning.
        if said.succeeded && !said.err.contains("Failed to fetch") {
            return Ok(said.out);
        }
        Err(ArchiveError::said_by(about, &[said.out, said.err].concat()))
    }

    /// Takes away what is not needed once everything is unpacked.
    ///
    /// # Errors
    /// When it stays.
    pub(crate) fn remove(&self) -> Result<(), ArchiveError> {
        remove_tree(&self.apt())
    }

    fn archives(&self) -> PathBuf {
        self.apt().join("cache/archives")
    }

    fn apt(&self) -> PathBuf {
        self.folder.join("apt")
    }
}

/// What a command said.
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) succeeded: bool,
}

/// Runs a program of a Debian package, in English.
pub(super) fn output(
    (program, package): (&'static str, &'static str),
    command: &mut Command,
) -> Result<Said, ArchiveError> {
    let output = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ArchiveError::NoProgram { program, package, source })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    Ok(Said { out, err, succeeded: output.status.success() })
}

/// The suites that a suite's packages need: backports need what they are built upon.
fn suites(suite: &str) -> impl Iterator<Item = &str> {
    suite.strip_suffix(BACKPORTS).into_iter().chain([suite])
}

/// The names and versions of the packages that a simulated `apt-get install` would install: its lines
/// `Inst NAME (VERSION ...`.
fn installed(simulated: &str) -> impl Iterator<Item = (&str, &str)> {
    simulated.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
        Some((name, rest.split_whitespace().next()?))
    })
}

/// The addresses of all archives that this machine installs from, a line each.
fn hosts() -> Result<String, ArchiveError> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(SITE)", "Created-By: Packages"]);
    Ok(output(("apt-get", "apt"), &mut command)?.out)
}

/// The host's mirror of Debian, where it has one that is known by its name, and the one for all.
fn mirrors(hosts: &str) -> Vec<String> {
    let is_debian = |site: &&str| {
        let path = site.trim_end_matches('/');
        path.starts_with("http") && path.ends_with("/debian")
    };
    let own = hosts.lines().map(str::trim).find(is_debian);
    let own = own.filter(|site| site.trim_end_matches('/') != DEFAULT_MIRROR);
    own.into_iter().chain([DEFAULT_MIRROR]).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_installed_is_read() {
        let said = "Reading package lists...\nInst linux-image-6.1.0-57-amd64 (6.1.176-1 Debian:12.14/oldstable \
                    [amd64])\nInst kmod (30+20221128-1 Debian:12.14/oldstable [amd64])\n\
                    Conf kmod (30+20221128-1 Debian:12.14/oldstable [amd64])\n";
        let expected = [("linux-image-6.1.0-57-amd64", "6.1.176-1"), ("kmod", "30+20221128-1")];
        assert!(installed(said).eq(expected));
    }

    #[test]
    fn backports_need_what_they_are_built_upon() {
        assert!(suites("trixie-backports").eq(["trixie", "trixie-backports"]));
        assert!(suites("sid").eq(["sid"]));
    }

    #[test]
    fn the_hosts_mirror_comes_first_and_once() {
        assert_eq!(mirrors(""), [DEFAULT_MIRROR]);
        let own = "http://deb.debian.org/debian-security\nhttp://deb.debian.org/debian/\n";
        assert_eq!(mirrors(own), [DEFAULT_MIRROR]);
        let near = "https://vendor.example/apt\nhttp://near.example/debian\n";
        assert_eq!(mirrors(near), ["http://near.example/debian", DEFAULT_MIRROR]);
    }
}
