//! The command `doctor`: what this machine can run, and what to do about the rest.

mod check;
mod confinement;
mod fence;

use std::{
    env,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use check::{Check, Diagnosis, State};
use confinement::confinements;
use fence::fences;

use super::{
    Stop,
    output::{self, Format},
};
use crate::{
    backend::{
        BackendError, Qemu,
        netns::{self, Tried},
        qemu::Admission,
    },
    runner::Exit,
    sys::{self, Isolated, IsolationError},
};

/// Says what this machine can run.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// A QEMU program that the backend qemu would run; may be given several times
    #[arg(long, value_name = "PATH", env = "TAPWRIGHT_QEMU")]
    #[arg(default_value = "qemu-system-x86_64")]
    qemu: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// Tries everything in namespaces of this process's own; no interface of the host is touched.
pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Stop> {
    // No thread may run before: see `sys::isolate`.
    let isolated = sys::isolate();
    let mut checks = vec![Check::ok("sim", "in memory, everywhere")];
    let (mut runs_netns, mut runs_qemu) = (false, false);
    match &isolated {
        Ok(isolated) => {
            checks.push(namespaces(isolated));
            checks.push(rps(sys::has_rps_default_mask(isolated)));
            let tried = netns::examine(isolated);
            runs_netns = tried.iter().all(|one| one.result.is_ok() || !one.needed);
            checks.extend(tried.into_iter().map(interface));
            runs_qemu = runs_netns;
            for program in &args.qemu {
                let (qemu, found) = ask_qemu(isolated, program);
                runs_qemu &= qemu;
                checks.extend(found);
            }
        }
        Err(error) => checks.push(confined(error)),
    }
    checks.push(tshark());
    checks.push(terminal());
    let diagnosis =
        Diagnosis { checks, backends: [("sim", true), ("netns", runs_netns), ("qemu", runs_qemu)] };
    output::print(&match args.format {
        Format::Human => diagnosis.text(),
        Format::Json => diagnosis.json(),
    })?;
    Ok(if runs_netns { Exit::Success } else { Exit::Unavailable })
}

fn namespaces(isolated: &Isolated) -> Check {
    Check::ok(
        "isolation",
        if isolated.in_user_namespace() {
            "private mount and network namespaces, by a user namespace"
        } else {
            "private mount and network namespaces"
        },
    )
}

fn confined(error: &IsolationError) -> Check {
    let found = confinements(Path::new("/proc/sys"));
    let (settings, mut remedy): (Vec<String>, Vec<String>) = found.into_iter().unzip();
    if remedy.is_empty() {
        remedy.push(error.remedy().to_owned());
    }
    let mut what = error.to_string();
    if !settings.is_empty() {
        what += &format!(" ({})", settings.join(", "));
    }
    Check::ok("isolation", what).but(
        State::Missing,
        "neither netns nor qemu runs, and nothing more was tried; --backend sim runs",
        remedy,
    )
}

fn rps(has_mask: bool) -> Check {
    const NAME: &str = "rps";
    if has_mask {
        return Check::ok(NAME, "net.core.rps_default_mask is 0 in a case's namespaces");
    }
    Check::ok(NAME, "there is no net.core.rps_default_mask").but(
        State::Limited,
        "frames are handled before a send returns, unless this host spreads them by itself",
        vec!["Linux 6.3 or later has it".to_owned()],
    )
}

fn interface(tried: Tried) -> Check {
    let (found, means) = match tried.name {
        "namespace" => ("a network namespace for each case", NOTHING_RUNS),
        "host-stack" => ("rtnetlink", NOTHING_RUNS),
        "tap" => ("a TAP of /dev/net/tun", NOTHING_RUNS),
        "af-packet" => ("a packet socket on it", NOTHING_RUNS),
        "veth" => ("a pair of joined interfaces", "cases with links fail"),
        "bridge" => ("a bridge", "cases with bridges fail"),
        "vhost" => ("/dev/vhost-net can be opened", "cases that require vhost are skipped"),
        _ => ("", ""),
    };
    match tried.result {
        Ok(()) => Check::ok(tried.name, found),
        Err(error) => {
            let (reason, remedy) = match error {
                BackendError::Unavailable { reason, remedy, .. } => (reason, vec![remedy]),
                other => (other.to_string(), Vec::new()),
            };
            Check::ok(tried.name, reason).but(State::Missing, means, remedy)
        }
    }
}

const NOTHING_RUNS: &str = "neither netns nor qemu runs; --backend sim does";

/// Whether there is a QEMU, and what it is.
fn ask_qemu(isolated: &Isolated, program: &Path) -> (bool, Vec<Check>) {
    let qemu = match Qemu::new(isolated.clone(), program.to_owned(), Admission::Listed) {
        Ok(qemu) => qemu,
        Err(error) => {
            let (reason, remedy) = match error {
                BackendError::Unavailable { reason, remedy, .. } => (reason, vec![remedy]),
                other => (other.to_string(), Vec::new()),
            };
            let means = "--backend qemu and --agree with qemu can't run";
            return (false, vec![Check::ok("qemu", reason).but(State::Missing, means, remedy)]);
        }
    };
    let probed = qemu.probed();
    let place = found(program).unwrap_or_else(|| program.to_owned());
    let mut checks =
        vec![Check::ok("qemu", format!("{}: {}", place.display(), probed.announcement()))];
    checks.push(if let Some(patch) = probed.patch {
        Check::ok("qemu-rfc", patch.found)
    } else {
        Check::ok("qemu-rfc", "filter-redirector has neither in_netdev nor out_netdev").but(
            State::Limited,
            "cases about them are skipped on qemu",
            vec![
                "build a QEMU that has them, and name it with --qemu or TAPWRIGHT_QEMU".to_owned(),
            ],
        )
    });
    checks.push(if !probed.lacks.contains(&"colo-compare") {
        Check::ok("qemu-colo", "it has colo-compare")
    } else {
        Check::ok("qemu-colo", "it has no colo-compare").but(
            State::Limited,
            "cases with a colo-compare are skipped on qemu",
            vec!["configure it without --disable-colo-proxy".to_owned()],
        )
    });
    checks.push(if probed.has_checkpoint {
        Check::ok("qemu-checkpoint", "its filters can be told of a checkpoint over QMP")
    } else {
        Check::ok(
            "qemu-checkpoint",
            "it has no xen-colo-do-checkpoint, which tells filters of a checkpoint over QMP",
        )
        .but(
            State::Limited,
            "cases with `colo: checkpoint` are skipped on qemu",
            vec!["configure it with --enable-replication".to_owned()],
        )
    });
    checks.extend(fences(qemu.program(), &probed.missing));
    (true, checks)
}

fn tshark() -> Check {
    match found(Path::new("tshark")) {
        Some(path) => Check::ok("tshark", path.display().to_string()),
        None => Check::ok("tshark", "not in PATH").but(
            State::Limited,
            "nothing of tapwright needs it; it reads the captures, as Wireshark does",
            vec!["sudo apt-get install tshark".to_owned()],
        ),
    }
}

fn terminal() -> Check {
    let output = io::stdout().is_terminal();
    if output && io::stdin().is_terminal() {
        return Check::ok("terminal", "input and output");
    }
    let found = if output { "no input" } else { "output goes elsewhere" };
    Check::ok("terminal", found).but(
        State::Limited,
        "no progress and no colours; review only lists what is pending",
        Vec::new(),
    )
}

/// Where a program is, by PATH where it has no directory.
fn found(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_owned());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}
