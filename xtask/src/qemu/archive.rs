//! Fetches a suite's packages with `apt-get`: with lists, an archive and a status of its own, as if
//! nothing were installed, so that all libraries come along. The host's proxy and mirror are used.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    Source,
    error::{About, PACKAGE, QemuError},
};

/// Where Debian is when the host does not know.
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// Where the package debian-archive-keyring puts its keys; the first that is there is taken.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

/// What apt keeps below a folder of its own.
#[derive(Debug)]
pub(super) struct Archive {
    /// Where the tree is made, too.
    folder: PathBuf,
    suite: String,
    architecture: String,
}

impl Archive {
    pub(super) fn new(folder: &Path, suite: &str) -> Result<Self, QemuError> {
        let dpkg = ("dpkg", "dpkg");
        let said = output(dpkg, Command::new(dpkg.0).arg("--print-architecture"))?;
        let architecture = said.out.trim().to_owned();
        let (folder, suite) = (folder.to_owned(), suite.to_owned());
        Ok(Self { folder, suite, architecture })
    }

    /// The files of QEMU's package and of all that it depends on. What an earlier call has fetched is
    /// not fetched again.
    pub(super) fn fetch(&self, source: &Source) -> Result<Vec<PathBuf>, QemuError> {
        let keyring = match &source.keyring {
            Some(path) if !path.is_file() => return Err(QemuError::NoKeyring(path.clone())),
            Some(path) => {
                std::path::absolute(path).map_err(|error| QemuError::file(path, error))?
            }
            None => {
                let found = KEYRINGS.iter().map(PathBuf::from).find(|path| path.is_file());
                found.ok_or(QemuError::NoKeys)?
            }
        };
        let mirrors = match &source.mirror {
            Some(mirror) => vec![mirror.clone()],
            None => mirrors(&hosts()?),
        };
        let mut mirrors = mirrors.iter().peekable();
        loop {
            let Some(mirror) = mirrors.next() else {
                return Err(QemuError::NoKeys);
            };
            match self.fetch_from(mirror, &keyring) {
                Err(error) if error.is_of_the_mirror() && mirrors.peek().is_some() => {
                    anstream::eprintln!("xtask: {error}");
                }
                done => return done,
            }
        }
    }

    fn fetch_from(&self, mirror: &str, keyring: &Path) -> Result<Vec<PathBuf>, QemuError> {
        // They would end a word of sources.list(5), or begin its options.
        if mirror.contains([' ', '\t', '\n', '[', ']']) {
            return Err(QemuError::Mirror(mirror.to_owned()));
        }
        anstream::eprintln!("xtask: {PACKAGE} of {} from {mirror}", self.suite);
        for folder in ["lists/partial", "cache/archives/partial"] {
            let path = self.apt().join(folder);
            fs::create_dir_all(&path).map_err(|error| QemuError::file(&path, error))?;
        }
        let Self { suite, architecture, .. } = self;
        let keys = keyring.display();
        let sources = format!("deb [arch={architecture} signed-by={keys}] {mirror} {suite} main\n");
        for (name, text) in [("sources.list", sources.as_str()), ("status", "")] {
            let path = self.apt().join(name);
            fs::write(&path, text).map_err(|error| QemuError::file(&path, error))?;
        }
        let about =
            |command| About { command, folder: &self.folder, mirror, suite, architecture, keyring };
        self.apt_get(about("apt-get update"), &["update"])?;
        // What an earlier call fetched of versions that are gone.
        self.apt_get(about("apt-get autoclean"), &["autoclean"])?;
        let install = ["install", "--yes", "--download-only", "--no-install-recommends", PACKAGE];
        self.apt_get(about("apt-get install"), &install)?;
        let archives = self.apt().join("cache/archives");
        let unreadable = |error| QemuError::file(&archives, error);
        let entries = fs::read_dir(&archives).map_err(unreadable)?;
        let mut packages = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(unreadable)?;
        packages.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
        packages.sort();
        Ok(packages)
    }

    fn apt_get(&self, about: About<'_>, arguments: &[&str]) -> Result<(), QemuError> {
        let apt = self.apt();
        let mut command = Command::new("apt-get");
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
            return Ok(());
        }
        Err(QemuError::said_by(about, &[said.out, said.err].concat()))
    }

    /// Takes away what is not needed once everything is unpacked.
    pub(super) fn remove(&self) -> Result<(), QemuError> {
        let apt = self.apt();
        fs::remove_dir_all(&apt).map_err(|error| QemuError::file(&apt, error))
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
) -> Result<Said, QemuError> {
    let output = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| QemuError::NoProgram { program, package, source })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    Ok(Said { out, err, succeeded: output.status.success() })
}

/// The addresses of all archives that this machine installs from, a line each.
fn hosts() -> Result<String, QemuError> {
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
    fn the_hosts_mirror_comes_first_and_once() {
        assert_eq!(mirrors(""), [DEFAULT_MIRROR]);
        let own = "http://deb.debian.org/debian-security\nhttp://deb.debian.org/debian/\n";
        assert_eq!(mirrors(own), [DEFAULT_MIRROR]);
        let near = "https://vendor.example/apt\nhttp://near.example/debian\n";
        assert_eq!(mirrors(near), ["http://near.example/debian", DEFAULT_MIRROR]);
    }
}
