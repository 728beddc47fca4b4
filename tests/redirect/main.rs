//! `tapwright redirect` on real interfaces, sockets and QEMUs: what goes in comes out, byte for byte,
//! what is lost is counted, and nothing else happens.
//!
//! The process isolates itself before any thread starts, which libtest can't; so this is a harness
//! of its own. As root everything runs a second time in a user namespace.

mod fault;
mod lab;
mod offload;
mod qemu;
mod refusal;
mod restart;
mod soak;
mod stream;
mod tap;

use std::{
    env,
    process::{Command, ExitCode},
    thread,
};

use libtest_mimic::{Arguments, Completion, Trial};
use tapwright::{
    backend::netns::{probe, unavailable},
    sys::{Isolated, isolate},
};

use crate::lab::Lab;

/// A trial in a fresh network namespace.
type Try = fn(&Lab);

/// Set where the trials run in a user namespace.
const INSIDE: &str = "TAPWRIGHT_TEST_USER_NAMESPACE";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let isolated = isolate()
        .map_err(|error| unavailable(&error).to_string())
        .and_then(|isolated| probe(&isolated).map(|_| isolated).map_err(|error| error.to_string()));
    let groups: [(&str, &[(&str, Try)]); 8] = [
        ("tap", tap::TRIALS),
        ("stream", stream::TRIALS),
        ("refusal", refusal::TRIALS),
        ("fault", fault::TRIALS),
        ("restart", restart::TRIALS),
        ("qemu", qemu::TRIALS),
        ("offload", offload::TRIALS),
        ("soak", soak::TRIALS),
    ];
    let mut trials: Vec<Trial> = groups
        .iter()
        .flat_map(|(group, tries)| tries.iter().map(move |(name, run)| (group, name, *run)))
        .map(|(group, name, run)| trial(format!("{group}::{name}"), run, isolated.clone()))
        .collect();
    if env::var_os(INSIDE).is_none() {
        trials.push(Trial::ignorable_test("user_namespace", in_user_namespace));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A trial on a thread of its own, in a namespace of its own.
fn trial(name: String, run: Try, isolated: Result<Isolated, String>) -> Trial {
    Trial::ignorable_test(name, move || match isolated {
        Err(reason) => Ok(Completion::ignored_with(reason)),
        Ok(isolated) => {
            let ended = thread::spawn(move || run(&Lab::new(isolated))).join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(Completion::Completed)
        }
    })
}

/// The same trials, with the privileges of a user namespace alone.
fn in_user_namespace() -> Result<Completion, libtest_mimic::Failed> {
    let itself = env::current_exe()?;
    let available = Command::new("unshare").args(["--user", "--map-root-user", "true"]).output();
    if !available.is_ok_and(|output| output.status.success()) {
        return Ok(Completion::ignored_with("there is no user namespace here"));
    }
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user"])
        .arg(itself)
        .env(INSIDE, "1")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() { Ok(Completion::Completed) } else { Err(text.into_owned().into()) }
}
