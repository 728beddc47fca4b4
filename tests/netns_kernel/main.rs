//! What the kernel does with TAPs, packet sockets, links and bridges: each fact is tried on real
//! interfaces in a fresh network namespace (`netns::`) and on the model in memory (`sim::`), by the
//! same body. What only the kernel can show is tried there alone (`kernel::`), and `parity::` lets
//! both do the same at random.
//!
//! The process isolates itself before any thread starts, which libtest can't; so this is a harness
//! of its own. Where the kernel does not allow it, the trials on real interfaces are ignored with
//! the reason.

mod bridge;
mod frame;
mod host;
mod lab;
mod offload;
mod packet;
mod parity;
mod queue;
mod recycle;
mod state;
mod tap;
mod vhost;
mod world;

use std::{process::ExitCode, thread};

use libtest_mimic::{Arguments, Completion, Trial};
use tapwright::{
    backend::netns::{probe, unavailable},
    sys::{Isolated, VhostNet, isolate},
};

use crate::lab::Lab;

/// A trial on any interfaces.
type Try = fn(&Lab);

/// A trial that only the kernel can stand.
type KernelTry = fn(&Isolated);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let isolated = isolate()
        .map_err(|error| unavailable(&error).to_string())
        .and_then(|isolated| probe(&isolated).map(|_| isolated).map_err(|error| error.to_string()));
    let both: [(&str, &[(&str, Try)]); 6] = [
        ("tap", tap::TRIALS),
        ("packet", packet::TRIALS),
        ("state", state::TRIALS),
        ("queue", queue::TRIALS),
        ("bridge", bridge::TRIALS),
        ("offload", offload::TRIALS),
    ];
    let kernel: [(&str, &[(&str, KernelTry)]); 4] = [
        ("kernel::queue", queue::KERNEL_TRIALS),
        ("kernel::host", host::TRIALS),
        ("kernel::recycle", recycle::TRIALS),
        ("parity", parity::TRIALS),
    ];
    let mut trials = Vec::new();
    for (group, tries) in both {
        for (name, run) in tries {
            let run = *run;
            trials.push(Trial::test(format!("sim::{group}::{name}"), move || {
                run(&Lab::Sim);
                Ok(())
            }));
            let name = format!("netns::{group}::{name}");
            let run = move |isolated: &Isolated| run(&Lab::Netns(isolated.clone()));
            trials.push(on_kernel(name, run, isolated.clone()));
        }
    }
    for (group, tries) in kernel {
        for (name, run) in tries {
            trials.push(on_kernel(format!("{group}::{name}"), *run, isolated.clone()));
        }
    }
    let served = isolated.and_then(|isolated| {
        let device = VhostNet::device();
        device.map(|_| isolated).map_err(|error| format!("{}: {error}", VhostNet::DEVICE))
    });
    for (name, run) in vhost::TRIALS {
        trials.push(on_kernel(format!("vhost::{name}"), *run, served.clone()));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A trial on a thread of its own, whose namespaces it may change.
fn on_kernel(
    name: String,
    run: impl Fn(&Isolated) + Send + 'static,
    isolated: Result<Isolated, String>,
) -> Trial {
    Trial::ignorable_test(name, move || match isolated {
        Err(reason) => Ok(Completion::ignored_with(reason)),
        Ok(isolated) => {
            let ended = thread::spawn(move || run(&isolated)).join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(Completion::Completed)
        }
    })
}
