//! The fences around a real QEMU: each is tried by itself, with what a QEMU that does anybody's
//! bidding could do without it. A trial fails when its fence alone is taken down.
//!
//! The process isolates itself before any thread starts, which libtest can't; so this is a harness
//! of its own. Where there is no QEMU, or the kernel does not give a fence, the trials are ignored
//! with the reason.

mod fence;
mod lab;
mod wrapper;

use std::{env, fs, process::ExitCode, thread};

use libtest_mimic::{Arguments, Completion, Trial};
use tapwright::{
    backend::{Qemu, netns::unavailable, qemu::Admission},
    sys::isolate,
};

use crate::lab::Lab;

/// A trial on QEMU.
type Try = fn(&Lab);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let lab = open();
    let groups: [(&str, &[(&str, Try)]); 2] =
        [("fence", fence::TRIALS), ("wrapper", wrapper::TRIALS)];
    let mut trials = Vec::new();
    for (group, tries) in groups {
        for (name, run) in tries {
            trials.push(on_qemu(format!("{group}::{name}"), *run, lab.clone()));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn open() -> Result<Lab, String> {
    let host = fs::read_link("/proc/self/ns/net").map_err(|error| error.to_string())?;
    let isolated = isolate().map_err(|error| unavailable(&error).to_string())?;
    let name = env::var_os("TAPWRIGHT_QEMU").unwrap_or_else(|| "qemu-system-x86_64".into());
    let qemu = Qemu::new(isolated.clone(), name.clone().into(), Admission::Listed)
        .map_err(|error| error.to_string())?;
    if let Some(warning) = qemu.probed().warning() {
        return Err(warning);
    }
    Ok(Lab { isolated, name: name.into(), program: qemu.program().clone(), host })
}

/// A trial on a thread of its own, with which its QEMUs end.
fn on_qemu(name: String, run: Try, lab: Result<Lab, String>) -> Trial {
    Trial::ignorable_test(name, move || match lab {
        Err(reason) => Ok(Completion::ignored_with(reason)),
        Ok(lab) => {
            let ended = thread::spawn(move || run(&lab)).join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(Completion::Completed)
        }
    })
}
