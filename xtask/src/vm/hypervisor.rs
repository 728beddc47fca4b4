//! The QEMU that a VM runs on: which one, how it is started, and with which accelerator.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io::{self, PipeReader, PipeWriter, Write, pipe},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread::available_parallelism,
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use tapwright::sys::end_with_starter;

use super::{VmError, kernel::Kernel};
use crate::{chore, debian::Source, qemu};

/// The one that this machine has installed.
const INSTALLED: &str = "qemu-system-x86_64";

/// The one that is unpacked where none is installed.
const UNPACKED: &str = "11.1";

/// The memory of a VM, of which it only takes what it uses.
const MEMORY: &str = "2048";

/// More processors make a VM on TCG no quicker.
const MOST_PROCESSORS: usize = 4;

/// What the kernel is told: to say nothing, to end at a panic, and to measure nothing that TCG has no
/// need of.
const APPEND: &str =
    "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off random.trust_cpu=on";

/// And under TCG: a processor's counter, whose speed is measured at the start, runs at several times that
/// speed where the machine was busy then.
const CLOCK: &str = "clocksource=hpet";

/// A VM that runs, and what comes out of it. It ends with this process.
#[derive(Debug)]
pub(super) struct Vm {
    pub(super) child: Child,
    /// What the command writes.
    pub(super) stdout: PipeReader,
    pub(super) stderr: PipeReader,
    /// `started`, and `exited N`, a line each.
    pub(super) status: PipeReader,
    /// What its kernel and QEMU say.
    pub(super) console: PipeReader,
}

/// The QEMU to take: the one that was named, or is installed, or is unpacked.
pub(super) fn program(named: Option<&OsStr>, source: &Source) -> Result<OsString, VmError> {
    let variable = std::env::var_os("TAPWRIGHT_QEMU");
    if let Some(program) = named.or(variable.as_deref()) {
        let failed = |how| VmError::NoQemu { program: program.display().to_string(), how };
        if chore::runs(program) {
            return Ok(program.to_owned());
        }
        return Err(failed("it does not say its version".to_owned()));
    }
    if chore::runs(INSTALLED) {
        return Ok(INSTALLED.into());
    }
    let unpacked = UNPACKED.parse().and_then(|wanted| qemu::provide(&wanted, false, source));
    unpacked.map(|provided| provided.launcher.into_os_string()).map_err(|error| VmError::NoQemu {
        program: INSTALLED.to_owned(),
        how: format!("it is not installed, and none could be unpacked: {error}"),
    })
}

/// Starts a VM whose first root is the kernel's modules and `archive`.
pub(super) fn start(
    program: &OsStr,
    kernel: &Kernel,
    archive: &[u8],
    target: &Path,
) -> Result<Vm, VmError> {
    let root = first_root(kernel, archive).map_err(VmError::system("the VM's first root"))?;
    let made = || VmError::system("a pipe");
    let (stdout, to_stdout) = pipe().map_err(made())?;
    let (stderr, to_stderr) = pipe().map_err(made())?;
    let (status, to_status) = pipe().map_err(made())?;
    let (console, to_console) = pipe().map_err(made())?;
    let words = to_console.try_clone().map_err(made())?;

    let (accelerator, append) = match has_kvm() {
        true => (["-accel", "kvm", "-cpu", "max"], APPEND.to_owned()),
        false => (["-accel", "tcg,thread=multi", "-cpu", "max"], format!("{APPEND} {CLOCK}")),
    };
    let mut command = Command::new(program);
    command
        .args(["-machine", "pc", "-m", MEMORY, "-smp", &processors()])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .args(accelerator)
        .arg("-kernel")
        .arg(kernel.program())
        .args(["-append", &append, "-initrd", &path_of(&root)])
        .args(["-chardev", &chardev("console", &to_console), "-serial", "chardev:console"])
        .args(["-device", "virtio-serial-pci"]);
    for (name, writer) in [("stdout", &to_stdout), ("stderr", &to_stderr), ("status", &to_status)] {
        command.args(["-chardev", &chardev(name, writer), "-device"]);
        command.arg(format!("virtserialport,chardev={name},name={name}"));
    }
    command.args(shared("root", Path::new("/"), true)).args(shared("target", target, false));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
    let inherited = [root.as_fd(), to_stdout.as_fd(), to_stderr.as_fd(), to_status.as_fd()];
    for descriptor in inherited.into_iter().chain([to_console.as_fd()]) {
        fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))
            .map_err(|errno| VmError::system("a pipe")(errno.into()))?;
    }
    end_with_starter(&mut command);
    let child = command.spawn().map_err(|source| VmError::NoQemu {
        program: program.display().to_string(),
        how: source.to_string(),
    })?;
    Ok(Vm { child, stdout, stderr, status, console })
}

/// The image in memory, so that no file is left behind.
fn first_root(kernel: &Kernel, archive: &[u8]) -> io::Result<OwnedFd> {
    let descriptor = memfd_create(c"first root", MFdFlags::MFD_CLOEXEC)?;
    let mut image = File::from(descriptor);
    io::copy(&mut File::open(kernel.modules())?, &mut image)?;
    image.write_all(archive)?;
    Ok(image.into())
}

/// Under which path a QEMU that inherits a descriptor opens it.
fn path_of(descriptor: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd())
}

fn chardev(name: &str, writer: &PipeWriter) -> String {
    format!("file,id={name},path={}", path_of(writer))
}

/// A folder of the host's, over 9p. No daemon and no privileges are needed: the VM may do there what the
/// user may that starts it.
fn shared(name: &str, folder: &Path, read_only: bool) -> [OsString; 4] {
    let mut export = OsString::from(format!("local,id={name},security_model=none,multidevs=remap"));
    if read_only {
        export.push(",readonly=on");
    }
    export.push(",path=");
    // A comma in a value is doubled.
    let path = folder.as_os_str().as_bytes().split(|byte| *byte == b',').collect::<Vec<_>>();
    export.push(OsString::from_vec(path.join(&b",,"[..])));
    let device = format!("virtio-9p-pci,fsdev={name},mount_tag={name}");
    ["-fsdev".into(), export, "-device".into(), device.into()]
}

/// The processors of this machine, as far as they are of use.
fn processors() -> String {
    available_parallelism().map_or(1, |count| count.get().min(MOST_PROCESSORS)).to_string()
}

/// Whether KVM can run a kernel as it is. `kvm_pvm`, which guests of some clouds have, makes VMs and then
/// interprets them, until it fails.
fn has_kvm() -> bool {
    let opens = OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    let has = |module: &str| Path::new("/sys/module").join(module).exists();
    opens && !has("kvm_pvm") && (has("kvm_intel") || has("kvm_amd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_folder_is_doubled() {
        let [_, export, _, device] = shared("target", Path::new("/a,b"), false);
        let export = export.into_string().unwrap();
        assert!(export.ends_with(",path=/a,,b") && !export.contains("readonly"), "{export}");
        assert_eq!(device, "virtio-9p-pci,fsdev=target,mount_tag=target");
    }
}
