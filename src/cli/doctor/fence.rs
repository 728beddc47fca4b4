//! The fences that a QEMU is started behind, for `tapwright doctor`.

use super::check::{Check, State};
use crate::{
    backend::qemu::{Fence, MissingFence, Program},
    sys,
};

/// A check for each fence.
pub(super) fn fences(program: &Program, missing: &[MissingFence]) -> Vec<Check> {
    let one = |fence: Fence| {
        let (name, found, means, remedy) = words(fence);
        match missing.iter().find(|missing| missing.fence == fence) {
            None if program.has(fence) => Check::ok(name, found),
            None => Check::ok(name, "it was not tried").but(State::Limited, means, Vec::new()),
            Some(missing) => {
                let remedy = vec![remedy.to_owned()];
                Check::ok(name, missing.reason.clone()).but(State::Limited, means, remedy)
            }
        }
    };
    Fence::all().map(one).collect()
}

/// Its name, what it does, what it means that it is missing, and what to do about that.
const fn words(fence: Fence) -> (&'static str, &'static str, &'static str, &'static str) {
    const NAMESPACES: &str = "run as root, or, in a container, with --cap-add SYS_ADMIN --security-opt seccomp=unconfined";
    const MOUNTS: &str = "run as root, or, in a container, with --cap-add SYS_ADMIN \
                          --security-opt apparmor=unconfined; Linux 5.2 or later is needed";
    match fence {
        Fence::Kernel(sys::Fence::Processes) => (
            "fence-processes",
            "QEMU sees no other process, and what it starts ends with it",
            "what a QEMU's wrapper script leaves running outlives a run",
            NAMESPACES,
        ),
        Fence::Kernel(sys::Fence::Files) => (
            "fence-files",
            "QEMU can write to its case's folder alone",
            "QEMU could write to any file, if a command made it",
            MOUNTS,
        ),
        Fence::Kernel(sys::Fence::Folders) => (
            "fence-folders",
            "folders that hold no programs, and the sockets in them, are hidden from QEMU",
            "QEMU could read files in /home, /tmp and the like, and connect to sockets there",
            "put this QEMU and its libraries below /usr or /opt, or into a folder of their own",
        ),
        Fence::Kernel(sys::Fence::Devices) => (
            "fence-devices",
            "QEMU has the devices that it needs alone",
            "QEMU could open any device that the user may open",
            MOUNTS,
        ),
        Fence::Kernel(sys::Fence::Proc) => (
            "fence-proc",
            "/proc shows QEMU its own processes alone",
            "QEMU could read what /proc shows of other processes",
            "in a container, run it with --security-opt systempaths=unconfined",
        ),
        Fence::Kernel(sys::Fence::NoNewPrivileges) => (
            "fence-privileges",
            "nothing that QEMU runs has more privileges than QEMU",
            "a set-user-ID program that QEMU ran would have its privileges",
            "let the program that --qemu names do without sudo and the like",
        ),
        Fence::Kernel(sys::Fence::Capabilities) => (
            "fence-capabilities",
            "QEMU has no capability but, with in_netdev, the one to open packet sockets",
            "QEMU has all or some of the privileges that tapwright has",
            "let root read this QEMU and its libraries by their permissions, and give tapwright \
             CAP_SETPCAP",
        ),
        Fence::Sandbox => (
            "fence-sandbox",
            "QEMU's own filter of system calls lets it start no program",
            "QEMU could start programs, behind the other fences",
            "use a QEMU that was configured with --enable-seccomp",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_fence_is_there_or_its_absence_has_a_reason() {
        let mut program = Program::bare(Path::new("sh")).unwrap();
        program.set(Fence::Kernel(sys::Fence::Files), true);
        let reason = "-sandbox support is not enabled".to_owned();
        let missing = [MissingFence { fence: Fence::Sandbox, reason: reason.clone() }];
        let checks = fences(&program, &missing);
        let named = |name: &str| checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!(checks.len(), Fence::all().count());
        assert_eq!(named("fence-files").state, State::Ok);
        let sandbox = named("fence-sandbox");
        assert_eq!((sandbox.state, &sandbox.found), (State::Limited, &reason));
        assert!(sandbox.remedy[0].contains("--enable-seccomp"));
        assert_eq!(named("fence-proc").state, State::Limited);
    }
}
