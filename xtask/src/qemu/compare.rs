//! What `cargo xtask ci` does with QEMUs that this machine has not installed: each is unpacked, and
//! asked what the suite asks. One that can't be had, or is another version by now, is reported before the
//! tests and fails nothing: the archive is not the project's.

use std::{
    fmt,
    process::{Command, ExitStatus},
};

use super::{Provided, provide};
use crate::{
    chore::{self, ChoreError},
    debian::Source,
};

/// The versions that have a profile and are not the one that the tests run.
const VERSIONS: [&str; 2] = ["10.0", "11.1"];

/// The exit code of a run whose backend can't run here.
const UNAVAILABLE: i32 = 3;

/// How the comparison with a QEMU went.
#[derive(Debug)]
pub(crate) struct Compared {
    wanted: &'static str,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    /// It agrees.
    Agrees { version: String },
    /// It does not, and is the one that was asked for.
    Differs { version: String, status: ExitStatus },
    /// It is another version; how that went.
    MovedOn { text: String, status: ExitStatus },
    /// There was none, or nothing to run it on.
    Without { reason: String },
}

impl Compared {
    pub(crate) const fn fails(&self) -> bool {
        matches!(self.verdict, Verdict::Differs { .. })
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted;
        match &self.verdict {
            Verdict::Agrees { version } => {
                write!(f, "QEMU {wanted}: the model agrees with {version}")
            }
            Verdict::Differs { version, status } => {
                write!(f, "QEMU {wanted}: the model differs from {version} ({status})")
            }
            Verdict::MovedOn { text, status } if status.success() => {
                write!(f, "WARNING: QEMU {wanted}: {text}; the model agrees with it")
            }
            Verdict::MovedOn { text, status } => {
                write!(f, "WARNING: QEMU {wanted}: {text}; the model differs from it ({status})")
            }
            Verdict::Without { reason } => {
                write!(f, "WARNING: QEMU {wanted}: NOT COMPARED: {reason}")
            }
        }
    }
}

/// Compares the model with each.
///
/// # Errors
/// When tapwright can't be built or started.
pub(crate) fn all() -> Result<Vec<Compared>, ChoreError> {
    chore::cargo(&["build", "--bin", "tapwright"], &[])?;
    VERSIONS.iter().map(|wanted| one(wanted)).collect()
}

fn one(wanted: &'static str) -> Result<Compared, ChoreError> {
    let provided = wanted.parse().and_then(|wanted| provide(&wanted, false, &Source::default()));
    let provided = match provided {
        Ok(provided) => provided,
        Err(error) => {
            let verdict = Verdict::Without { reason: error.to_string() };
            return Ok(Compared { wanted, verdict });
        }
    };
    let status = run(&provided)?;
    Ok(Compared { wanted, verdict: verdict(provided, status) })
}

fn run(provided: &Provided) -> Result<ExitStatus, ChoreError> {
    let folder = chore::target_folder();
    let program = folder.join("debug/tapwright");
    let out = folder.join("qemu/out");
    let mut command = Command::new(&program);
    command
        .args(["run", "scenarios", "--agree", "sim,qemu", "--ci", "--qemu"])
        .arg(&provided.launcher)
        .arg("--out")
        .arg(out)
        .current_dir(chore::root());
    let name = program.display().to_string();
    anstream::eprintln!("xtask: the suite on {}", provided.version);
    command.status().map_err(|source| ChoreError::NotStarted { command: name, source })
}

fn verdict(provided: Provided, status: ExitStatus) -> Verdict {
    let Provided { version, moved_on, .. } = provided;
    match moved_on {
        _ if status.code() == Some(UNAVAILABLE) => Verdict::Without {
            reason: "the backend qemu can't run here, as the lines above say".to_owned(),
        },
        Some(text) => Verdict::MovedOn { text, status },
        None if status.success() => Verdict::Agrees { version },
        None => Verdict::Differs { version, status },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::agrees(0, None, false, "QEMU 11.1: the model agrees with QEMU emulator version 11.1.3")]
    #[case::differs(
        1,
        None,
        true,
        "QEMU 11.1: the model differs from QEMU emulator version 11.1.3"
    )]
    #[case::no_taps(3, None, false, "WARNING: QEMU 11.1: NOT COMPARED: ")]
    #[case::another_agrees(
        0,
        Some("12.0 now"),
        false,
        "WARNING: QEMU 11.1: 12.0 now; the model agrees"
    )]
    #[case::another_differs(
        1,
        Some("12.0 now"),
        false,
        "WARNING: QEMU 11.1: 12.0 now; the model differs"
    )]
    fn only_the_version_that_was_asked_for_fails(
        #[case] code: i32,
        #[case] moved_on: Option<&str>,
        #[case] fails: bool,
        #[case] text: &str,
    ) {
        let provided = Provided {
            launcher: "/qemu".into(),
            version: "QEMU emulator version 11.1.3".to_owned(),
            moved_on: moved_on.map(str::to_owned),
        };
        let verdict = verdict(provided, ExitStatus::from_raw(code << 8));
        let compared = Compared { wanted: "11.1", verdict };
        assert_eq!(compared.fails(), fails);
        assert!(compared.to_string().starts_with(text), "{compared}");
    }
}
