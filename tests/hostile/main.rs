//! Scenarios that try to do something to the host through a real QEMU, each one thing, as root; and
//! a look whether it happened. Everything is tried twice: as it is, when the list of what reaches a
//! QEMU stands before it, and with `--unsafe-qemu`, when only the fences around the process do.

mod host;
mod way;

use std::process::Command;

use host::Host;
use libtest_mimic::{Arguments, Failed, Trial};
use way::{Fence, Outcome, WAYS, Way};

fn main() {
    let arguments = Arguments::from_args();
    let reason = why_not();
    let trial = |name: String, run: fn(&Way) -> Result<(), Failed>, way: &'static Way| {
        Trial::test(name, move || run(way)).with_ignored_flag(reason.is_some())
    };
    let listed = WAYS.iter().map(|way| trial(format!("listed: {}", way.name), listed, way));
    let fenced = WAYS.iter().filter(|way| way.fence == Fence::Holds);
    let fenced = fenced.map(|way| trial(format!("fenced: {}", way.name), fenced_in, way));
    let pasted =
        Trial::test("a paste that is imported", imported).with_ignored_flag(reason.is_some());
    let endless = Trial::test("a ring of hubs", endless).with_ignored_flag(reason.is_some());
    let trials = listed.chain(fenced).chain([pasted, endless]).collect();
    if let Some(reason) = reason {
        anstream::println!("skipped: {reason}");
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Why a real QEMU can't be attacked here.
fn why_not() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("an attack shows nothing unless it is made as root");
    }
    let asked = Command::new("qemu-system-x86_64").arg("--version").output();
    match asked {
        Ok(output) if output.status.success() => None,
        _ => Some("there is no qemu-system-x86_64"),
    }
}

/// Nothing but what is listed reaches QEMU, so that nothing of the host is even opened.
fn listed(way: &Way) -> Result<(), Failed> {
    let host = Host::new();
    let run = host.run(way, &[]);
    if let Some(happened) = host.happened() {
        return Err(format!("{happened}\n{}", run.text).into());
    }
    match way.outcome {
        Outcome::Replaced if matches!(run.code, Some(0 | 5)) => Ok(()),
        Outcome::Refused if matches!(run.code, Some(2 | 3)) || run.text.contains("TW-E070") => {
            Ok(())
        }
        expected => Err(format!("expected {expected:?}: {:?}\n{}", run.code, run.text).into()),
    }
}

/// Everything reaches QEMU, which can do nothing with it.
fn fenced_in(way: &Way) -> Result<(), Failed> {
    let host = Host::new();
    let run = host.run(way, &["--unsafe-qemu"]);
    // A file that is refused while it is read reaches nothing.
    if run.code != Some(2) && !run.text.contains("--unsafe-qemu") {
        return Err(format!("it is not said that everything is sent\n{}", run.text).into());
    }
    match host.changed() {
        Some(changed) => Err(format!("{changed}\n{}", run.text).into()),
        None => Ok(()),
    }
}

/// A frame that goes round for ever is a storm, on QEMU as in the model.
fn endless() -> Result<(), Failed> {
    let ring = "netdevs: { hn0: {} }\nsteps:\n\
        \x20 - netdev_add: { type: hubport, id: a1, hubid: 7 }\n\
        \x20 - netdev_add: { type: hubport, id: b1, hubid: 8, netdev: a1 }\n\
        \x20 - netdev_add: { type: hubport, id: a2, hubid: 7 }\n\
        \x20 - netdev_add: { type: hubport, id: b2, hubid: 8, netdev: a2 }\n\
        \x20 - netdev_add: { type: hubport, id: a3, hubid: 7 }\n\
        \x20 - netdev_add: { type: hubport, id: b3, hubid: 1073741824, netdev: a3 }\n\
        \x20 - send: hn0.guest\n    frames: [{ payload: x }]\n";
    let way =
        Way { name: "a ring of hubs", body: ring, outcome: Outcome::Replaced, fence: Fence::None };
    // Every frame of the storm is read, and the machine may be slow.
    let run = Host::new().run(&way, &["--timeout", "200"]);
    match run.code {
        Some(1) if run.text.contains("storm") => Ok(()),
        code => Err(format!("{code:?}\n{}", run.text).into()),
    }
}

/// What a bug report brings is as harmless as a scenario.
fn imported() -> Result<(), Failed> {
    let host = Host::new();
    let paste = "I did this in the monitor:\n\
        {\"execute\": \"netdev_add\", \"arguments\": {\"type\": \"bridge\", \"id\": \"b0\", \
        \"br\": \"br0\", \"helper\": \"/bin/sh -c 'id >@OUT@/pwned'\"}}\n{\"return\": {}}\n\
        $ qemu-system-x86_64 -netdev tap,id=hn0,ifname=tap0 -object \
        filter-dump,id=d0,netdev=hn0,file=@OUT@/pwned\n";
    let scenario = host.import(paste);
    if !scenario.contains("helper") {
        return Err(format!("the command is not in the scenario:\n{scenario}").into());
    }
    let run = host.run_text(&scenario, &[]);
    match host.happened() {
        None if run.text.contains("TW-E070") => Ok(()),
        happened => Err(format!("{happened:?}\n{}", run.text).into()),
    }
}
