//! What the kernel does with TAPs, packet sockets, links and bridges: the facts that the model in
//! memory copies, each tried on real interfaces in a fresh network namespace.
//!
//! The process isolates itself before any thread starts, which libtest can't; so this is a harness
//! of its own. Where the kernel does not allow it, every trial is ignored with the reason.

mod bridge;
mod frame;
mod host;
mod packet;
mod queue;
mod state;
mod tap;
mod world;

use std::{process::ExitCode, thread};

use libtest_mimic::{Arguments, Completion, Trial};
use tapwright::{
    backend::netns::{probe, unavailable},
    sys::{Isolated, isolate},
};

/// A trial: it runs on a thread of its own.
type Try = fn(&Isolated);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let isolated = isolate()
        .map_err(|error| unavailable(&error).to_string())
        .and_then(|isolated| {
            probe(&isolated)
                .map(|_| isolated)
                .map_err(|error| error.to_string())
        });
    let groups: [(&str, &[(&str, Try)]); 6] = [
        ("tap", tap::TRIALS),
        ("packet", packet::TRIALS),
        ("state", state::TRIALS),
        ("queue", queue::TRIALS),
        ("bridge", bridge::TRIALS),
        ("host", host::TRIALS),
    ];
    let trials = groups.into_iter().flat_map(|(group, trials)| {
        trials
            .iter()
            .map(move |(name, run)| (format!("{group}::{name}"), *run))
    });
    let trials = trials
        .map(|(name, run)| trial(name, run, isolated.clone()))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: String, run: Try, isolated: Result<Isolated, String>) -> Trial {
    Trial::ignorable_test(name, move || match isolated {
        Err(reason) => Ok(Completion::ignored_with(reason)),
        Ok(isolated) => {
            let run = move || run(&isolated);
            let ended = thread::spawn(run).join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(Completion::Completed)
        }
    })
}
