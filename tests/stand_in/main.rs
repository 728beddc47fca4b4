//! tapwright and QEMUs that are not installed: each is stood in for by a script in front of the
//! installed one, which answers QMP as the other would for the part that matters.
//!
//! The program is its own stand-in: where it has the name of a build in its environment it is no
//! test. It has a harness of its own, since QEMU's main thread waits in its main loop, and that of
//! libtest does not. Where there is no QEMU, or no TAP, the trials are ignored with the reason.

mod build;
mod lab;
mod patched;
mod proxy;
mod several;
mod small;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Completion, Trial};

use crate::lab::Lab;

/// A trial on QEMU.
type Try = fn(&Lab);

fn main() -> ExitCode {
    if let Ok(build) = env::var(proxy::BUILD) {
        proxy::run(&build);
    }
    let arguments = Arguments::from_args();
    let lab = Lab::open();
    let groups: [(&str, &[(&str, Try)]); 3] =
        [("several", several::TRIALS), ("patched", patched::TRIALS), ("small", small::TRIALS)];
    let mut trials = Vec::new();
    for (group, tries) in groups {
        for (name, run) in tries {
            trials.push(on_qemu(format!("{group}::{name}"), *run, lab.clone()));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn on_qemu(name: String, run: Try, lab: Result<Lab, String>) -> Trial {
    Trial::ignorable_test(name, move || match &lab {
        Ok(lab) => {
            run(lab);
            Ok(Completion::Completed)
        }
        Err(reason) => Ok(Completion::ignored_with(reason.clone())),
    })
}
