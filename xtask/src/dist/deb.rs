use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Binary, Missing, moment, tree, unwritable, version};
use crate::chore::{self, ChoreError, root};

/// The program that Debian makes packages with.
const DPKG_DEB: &str = "dpkg-deb";

/// Who answers for a package that names nobody.
const NOBODY: &str = "The tapwright authors <tapwright@localhost>";

/// What lintian says that is so on purpose.
const OVERRIDES: &str = "\
# Symbols stay: without them a backtrace has no names.
tapwright: unstripped-binary-or-object [usr/bin/tapwright]
# It is static.
tapwright: shared-library-lacks-prerequisites [usr/bin/tapwright]
";

/// A Debian package where one can be made; of a debug build it is not compressed.
pub(super) fn package(
    out: &Path,
    parts: &tree::Parts,
    binary: &Binary,
    debug: bool,
    missing: &mut Vec<Missing>,
) -> Result<Option<PathBuf>, ChoreError> {
    let runs = Command::new(DPKG_DEB)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let Some(architecture) = architecture().filter(|_| runs) else {
        let what = "a .deb";
        let why = if runs {
            format!("Debian's name of {} is not known", std::env::consts::ARCH)
        } else {
            format!("{DPKG_DEB} (Debian: dpkg) does not run")
        };
        missing.push(Missing { what, why });
        return Ok(None);
    };
    let maintainer = maintainer().unwrap_or_else(|| {
        let what = "a .deb that says who answers for it";
        let why = "DEBFULLNAME and DEBEMAIL are not set".to_owned();
        missing.push(Missing { what, why });
        NOBODY.to_owned()
    });
    let folder = out.join("deb");
    fill(&folder, parts, binary, &maintainer)?;
    let sums = sums(&folder)?;
    let control = control(architecture, &maintainer, binary, installed_size(&folder)?);
    write(&folder.join("DEBIAN/control"), &control)?;
    write(&folder.join("DEBIAN/md5sums"), &sums)?;
    tree::settle(&folder)?;
    let path = out.join(format!("tapwright_{}_{architecture}.deb", version()));
    chore::run(
        DPKG_DEB,
        Command::new(DPKG_DEB)
            .env("SOURCE_DATE_EPOCH", moment())
            .arg("--root-owner-group")
            // A debug build is large, and is only unpacked again.
            .args(debug.then_some("-Znone"))
            .arg("--build")
            .arg(&folder)
            .arg(&path)
            .stdout(Stdio::null()),
    )?;
    fs::remove_dir_all(&folder).map_err(|source| unwritable(&folder, source))?;
    Ok(Some(path))
}

fn architecture() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("amd64"),
        "aarch64" => Some("arm64"),
        _ => None,
    }
}

/// As Debian's own tools are told it.
fn maintainer() -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    Some(format!("{} <{}>", set("DEBFULLNAME")?, set("DEBEMAIL")?))
}

/// The files where Debian has them (Debian Policy 4.6.2, chapters 9.1 and 12).
fn fill(
    folder: &Path,
    parts: &tree::Parts,
    binary: &Binary,
    maintainer: &str,
) -> Result<(), ChoreError> {
    let usr = folder.join("usr");
    tree::copy(&parts.binary, &usr.join("bin/tapwright"))?;
    let share = usr.join("share");
    for (name, place) in [
        ("tapwright.bash", "bash-completion/completions/tapwright"),
        ("_tapwright", "zsh/vendor-completions/_tapwright"),
        ("tapwright.fish", "fish/vendor_completions.d/tapwright.fish"),
    ] {
        tree::copy(&parts.completions.join(name), &share.join(place))?;
    }
    for page in tree::files(&parts.man)? {
        let place = share.join("man/man1").join(page.file_name().unwrap_or_default());
        tree::copy(&page, &place)?;
        compress(&place)?;
    }
    if binary.is_static {
        write(&share.join("lintian/overrides/tapwright"), OVERRIDES)?;
    }
    let doc = share.join("doc/tapwright");
    tree::documents(&doc)?;
    tree::copy(&parts.notices, &doc.join(super::notices::NAME))?;
    write(&doc.join("copyright"), &copyright()?)?;
    write(&doc.join("changelog"), &changelog(maintainer)?)?;
    compress(&doc.join("changelog"))
}

/// In the format that programs read (DEP-5).
fn copyright() -> Result<String, ChoreError> {
    let path = root().join("LICENSE-MIT");
    let text =
        fs::read_to_string(&path).map_err(|source| ChoreError::Unreadable { path, source })?;
    let mit = text.lines().map(|line| match line {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    });
    Ok(format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: tapwright\n\
         Comment: {} has the licences of what is linked into the binary.\n\n\
         Files: *\n\
         Copyright: The tapwright authors\n\
         License: Expat or Apache-2.0\n\n\
         License: Expat\n{}\n\
         License: Apache-2.0\n \
         The text is /usr/share/common-licenses/Apache-2.0.\n",
        super::notices::NAME,
        mit.collect::<String>(),
    ))
}

/// The entry that Debian asks of each package; what changed stands in CHANGELOG.md.
fn changelog(maintainer: &str) -> Result<String, ChoreError> {
    let date = chore::said(
        "date",
        Command::new("date")
            .env("LC_ALL", "C")
            .args(["--utc", "--rfc-email"])
            .arg(format!("--date=@{}", moment())),
    )?;
    Ok(format!(
        "tapwright ({}) unstable; urgency=medium\n\n  \
         * CHANGELOG.md in this folder says what changed.\n\n \
         -- {maintainer}  {}\n",
        version(),
        date.trim()
    ))
}

/// What `dpkg --verify` holds the installed files against.
fn sums(folder: &Path) -> Result<String, ChoreError> {
    let files = tree::below(folder)?;
    let files = files.iter().map(|file| file.strip_prefix(folder));
    chore::said(
        "md5sum",
        Command::new("md5sum")
            .arg("--")
            .args(files.map(|file| file.unwrap_or(Path::new(""))))
            .current_dir(folder),
    )
}

/// Without name and time, so that the same text is the same file.
fn compress(path: &Path) -> Result<(), ChoreError> {
    chore::run("gzip", Command::new("gzip").arg("-9n").arg(path))
}

fn write(path: &Path, text: &str) -> Result<(), ChoreError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
    fs::write(path, text).map_err(|source| unwritable(path, source))
}

/// In KiB, each file rounded up (Debian Policy 4.6.2, section 5.6.20).
fn installed_size(folder: &Path) -> Result<u64, ChoreError> {
    let unreadable = |source| ChoreError::Unreadable { path: folder.to_owned(), source };
    let mut size = 0;
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        size += if path.is_dir() {
            1 + installed_size(&path)?
        } else {
            fs::metadata(&path).map_err(unreadable)?.len().div_ceil(1024)
        };
    }
    Ok(size)
}

fn control(architecture: &str, maintainer: &str, binary: &Binary, size: u64) -> String {
    // What the build needs of this machine's libc is not worked out, so none older is promised.
    let depends = if binary.is_static {
        String::new()
    } else {
        format!("Depends: libc6 (>= {}), libgcc-s1\n", libc_version())
    };
    format!(
        "Package: tapwright\n\
         Version: {}\n\
         Architecture: {architecture}\n\
         Maintainer: {maintainer}\n\
         Installed-Size: {size}\n\
         {depends}\
         Suggests: qemu-system-x86, wireshark\n\
         Section: net\n\
         Priority: optional\n\
         Description: declarative tests for QEMU-style packet redirectors\n \
         A YAML scenario says in QEMU's own words which netdevs, chardevs and filters\n \
         exist, what is sent, and when. tapwright runs it on real TAPs or in memory, and\n \
         compares every packet with a snapshot that a person reviewed.\n",
        version()
    )
}

/// The version of this machine's libc, as `getconf` tells it.
fn libc_version() -> String {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.split_whitespace().nth(1).unwrap_or("2.31").to_owned()
}
