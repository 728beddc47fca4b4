//! What is released: a tarball and a Debian package around one binary, static where that can be built,
//! with completions, man pages and checksums. What can't be made here is said with its reason.

mod deb;
mod notices;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sha2::{Digest, Sha256};

use crate::chore::{self, ChoreError, root, target_folder};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder that is filled, and emptied before; by default `dist` in cargo's target folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Takes the debug build of this machine instead, to try the packaging.
    #[arg(long)]
    debug: bool,
}

/// The binary that is packed.
struct Binary {
    path: PathBuf,
    /// As Rust names the target.
    target: String,
    is_static: bool,
}

/// Something that could not be made, and why.
struct Missing {
    what: &'static str,
    why: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), ChoreError> {
    let mut missing = Vec::new();
    let out = match &arguments.out {
        Some(out) => std::path::absolute(out).map_err(|source| unwritable(out, source))?,
        None => target_folder().join("dist"),
    };
    empty(&out)?;
    let binary = build(arguments.debug, &mut missing)?;
    let parts = tree::Parts::new(&out.join("parts"), &binary.path)?;
    if !parts.stripped {
        let what = "a small binary";
        let why = "`strip` (Debian: binutils) does not run, so debug information is in it".into();
        missing.push(Missing { what, why });
    }
    let without = notices::write(&parts.notices, &binary.target)?;
    if !without.is_empty() {
        let what = "every crate's licence text";
        let why = format!("these are published without one: {}", without.join(", "));
        missing.push(Missing { what, why });
    }
    let mut made = vec![tarball(&out, &parts, &binary)?];
    let debian = deb::package(&out, &parts, &binary, arguments.debug, &mut missing)?;
    made.extend(debian);
    made.push(checksums(&out, &made)?);
    for path in &made {
        anstream::println!("made      {}", path.display());
    }
    anstream::println!("made      {} (completions, man pages)", parts.folder.display());
    for Missing { what, why } in &missing {
        anstream::println!("not made  {what}: {why}");
    }
    Ok(())
}

/// Takes away what an earlier run left; a folder with anything else in it is left as it is.
fn empty(out: &Path) -> Result<(), ChoreError> {
    if !out.exists() {
        return Ok(());
    }
    let unreadable = |source| ChoreError::Unreadable { path: out.to_owned(), source };
    for entry in fs::read_dir(out).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.to_string_lossy();
        let ours = ["parts", "tarball", "deb", "SHA256SUMS"].contains(&&*name)
            || (name.starts_with("tapwright-") && name.ends_with(".tar.gz"))
            || (name.starts_with("tapwright_") && name.ends_with(".deb"));
        if !ours {
            let entry = out.join(&*name);
            return Err(ChoreError::NotOurs(entry));
        }
    }
    fs::remove_dir_all(out).map_err(|source| unwritable(out, source))
}

pub(crate) fn unwritable(path: &Path, source: std::io::Error) -> ChoreError {
    let path = path.to_owned();
    ChoreError::Unwritable { path, source }
}

/// The version of what is released.
fn version() -> String {
    let command = tapwright::cli::command();
    command.get_version().unwrap_or_default().to_owned()
}

/// A static binary where the target is installed, else one that needs this machine's libc.
fn build(debug: bool, missing: &mut Vec<Missing>) -> Result<Binary, ChoreError> {
    let arch = std::env::consts::ARCH;
    let musl = format!("{arch}-unknown-linux-musl");
    let native = format!("{arch}-unknown-linux-gnu");
    let mut without = |why: String| {
        let what = "a static binary";
        missing.push(Missing { what, why });
    };
    if debug {
        without("--debug takes the build that is there".to_owned());
        chore::cargo(&["build", "--locked", "--bin", "tapwright"], &[])?;
        return Ok(Binary {
            path: target_folder().join("debug/tapwright"),
            target: native,
            is_static: false,
        });
    }
    let is_static = has_target(&musl)?;
    if !is_static {
        without(format!("the target is not installed: rustup target add {musl}"));
    }
    let target = if is_static { musl } else { native };
    let arguments = ["build", "--release", "--locked", "--bin", "tapwright", "--target", &target];
    chore::cargo(&arguments, &[("CARGO_ENCODED_RUSTFLAGS", &without_folders())])?;
    Ok(Binary { path: target_folder().join(&target).join("release/tapwright"), target, is_static })
}

/// The flags that are set, and those that keep the folders of this machine out of the binary: where it
/// was built is nobody's business, and the same sources make the same binary anywhere.
fn without_folders() -> String {
    let set = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let mut flags: Vec<String> = match (set("CARGO_ENCODED_RUSTFLAGS"), set("RUSTFLAGS")) {
        (Some(flags), _) => flags.split('\x1f').map(str::to_owned).collect(),
        (None, Some(flags)) => flags.split_whitespace().map(str::to_owned).collect(),
        (None, None) => Vec::new(),
    };
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let folders = [
        (Some(root().to_owned()), "/tapwright"),
        (Some(target_folder()), "/target"),
        (home, "/cargo"),
    ];
    for (folder, name) in folders {
        let Some(folder) = folder else { continue };
        flags.push(format!("--remap-path-prefix={}={name}", folder.display()));
    }
    flags.join("\x1f")
}

/// Whether the standard library of a target is there.
fn has_target(target: &str) -> Result<bool, ChoreError> {
    let name = format!("rustc --print target-libdir --target {target}");
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .stderr(Stdio::null())
        .output()
        .map_err(|source| ChoreError::NotStarted { command: name, source })?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success() && Path::new(&folder).is_dir())
}

/// The seconds that files in archives have, so that one commit makes one archive.
fn moment() -> String {
    let commit = Command::new("git")
        .args(["log", "-1", "--format=%ct"])
        .current_dir(root())
        .stderr(Stdio::null())
        .output();
    let seconds = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match std::env::var("SOURCE_DATE_EPOCH").ok().or(seconds.ok()) {
        Some(seconds) if !seconds.is_empty() => seconds,
        _ => "0".to_owned(),
    }
}

fn tarball(out: &Path, parts: &tree::Parts, binary: &Binary) -> Result<PathBuf, ChoreError> {
    let name = format!("tapwright-{}-{}", version(), binary.target);
    let folder = out.join("tarball");
    let top = folder.join(&name);
    tree::copy(&parts.binary, &top.join("tapwright"))?;
    tree::copy(&parts.notices, &top.join(notices::NAME))?;
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        tree::copy(&root().join(file), &top.join(file))?;
    }
    tree::documents(&top)?;
    for (from, to) in [(&parts.completions, "completions"), (&parts.man, "man")] {
        for file in tree::files(from)? {
            let place = top.join(to).join(file.file_name().unwrap_or_default());
            tree::copy(&file, &place)?;
        }
    }
    tree::settle(&folder)?;
    let path = out.join(format!("{name}.tar.gz"));
    chore::run(
        "tar",
        Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--mtime=@{}", moment()))
            .arg("-C")
            .arg(&folder)
            .arg("-czf")
            .arg(&path)
            .arg(&name),
    )?;
    fs::remove_dir_all(&folder).map_err(|source| unwritable(&folder, source))?;
    Ok(path)
}

/// SHA256SUMS, as `sha256sum --check` reads it.
fn checksums(out: &Path, made: &[PathBuf]) -> Result<PathBuf, ChoreError> {
    let mut text = String::new();
    for path in made {
        let bytes = fs::read(path)
            .map_err(|source| ChoreError::Unreadable { path: path.clone(), source })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let digits: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        text += &format!("{digits}  {name}\n");
    }
    let path = out.join("SHA256SUMS");
    fs::write(&path, text).map_err(|source| unwritable(&path, source))?;
    Ok(path)
}
