//! A case's world on a real QEMU, ready for its first step, beside that QEMU's own start.

use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    thread,
    time::{Duration, Instant},
};

use tapwright::{
    backend::{
        Action, Backend, Deadline,
        qemu::{Admission, Arguments, Process, Program, Qemu, Qmp},
    },
    record::Outcome,
    scenario::Case,
    sys::{Isolated, Tap, TapHeader, enter_fresh},
};

use super::{
    BenchError, Lab,
    case::parse,
    io_error,
    lap::{Row, timed},
};

const SCENARIO: &str = "description: one filter
profile: qemu-7.2
netdevs: {hn0: {type: tap}}
chardevs: {r0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,outdev=r0
";

/// How long a QEMU may take before something is wrong with it.
const LONGEST: Duration = Duration::from_secs(20);

pub(super) fn row(lab: &Lab) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?.clone();
    let case = parse(SCENARIO)?;
    let qemu = Qemu::new(isolated.clone(), lab.qemu.clone(), Admission::Listed)
        .map_err(|error| BenchError::Skipped(error.to_string()))?;
    // As anybody starts it.
    let program = Program::bare(&lab.qemu).map_err(io_error("QEMU"))?;
    Ok(Row {
        subject: ("the backend", Box::new(move || world(&qemu, &case))),
        baseline: ("QEMU until it answers QMP", Box::new(move || raw(&isolated, &program))),
        of: "start",
        count: 1,
        baseline_count: 1,
        goal: None,
    })
}

fn world(qemu: &Qemu, case: &Case) -> Result<Duration, BenchError> {
    let mut opened = None;
    let time = timed(|| {
        let world = opened.insert(qemu.open(case)?);
        for object in &case.objects {
            let answer = world.act(Action::ObjectAdd(object))?;
            let done =
                answer.as_ref().is_some_and(|answer| matches!(answer.outcome, Outcome::Done(_)));
            if !done {
                return Err(BenchError::Wrong(format!("{answer:?}")));
            }
        }
        world.settle(&Deadline::NEVER)?;
        Ok(())
    })?;
    let residue = opened.map(|world| world.finish().errors).unwrap_or_default();
    match residue.first() {
        None => Ok(time),
        Some(error) => Err(BenchError::Wrong(error.clone())),
    }
}

/// The backend's command line, without the backend: its TAP is there already.
fn raw(isolated: &Isolated, program: &Program) -> Result<Duration, BenchError> {
    enter_fresh(isolated).map_err(|error| BenchError::Wrong(error.to_string()))?;
    let tap = Tap::create(isolated, &"tap0".parse()?, TapHeader::None, true)?;
    let tap: OwnedFd = tap.as_fd().try_clone_to_owned().map_err(io_error("a TAP's descriptor"))?;
    let (ours, theirs) = UnixStream::pair().map_err(io_error("a pair of sockets"))?;
    let mut arguments = Arguments::default();
    for word in ["-nodefaults", "-no-user-config"] {
        arguments.word(word);
    }
    arguments.push("-display", "none");
    arguments.push("-machine", "none");
    let tap = arguments.inherit(tap);
    let guest = arguments.inherit(theirs.into());
    for netdev in [
        format!("tap,id=hn0,fd={tap}"),
        "hubport,id=h0,hubid=0,netdev=hn0".to_owned(),
        format!("socket,id=guest,fd={guest}"),
        "hubport,id=h1,hubid=0,netdev=guest".to_owned(),
    ] {
        arguments.push("-netdev", &netdev);
    }
    let mut qmp = arguments.monitor("qmp").map_err(io_error("QMP"))?;
    let mut started = None;
    let time = timed(|| {
        let process =
            Process::spawn(program, &arguments).map_err(|error| io_error("QEMU")(error.into()))?;
        answered(&mut qmp, started.insert(process))
    })?;
    drop((ours, started));
    Ok(time)
}

fn answered(qmp: &mut Qmp, process: &mut Process) -> Result<(), BenchError> {
    qmp.send("qmp_capabilities", None);
    let until = Instant::now() + LONGEST;
    while Instant::now() < until {
        let answers = qmp.read().map_err(|error| BenchError::Wrong(error.to_string()))?;
        if !answers.is_empty() {
            return Ok(());
        }
        if qmp.is_closed() {
            let said = process.read_lines().join("; ");
            return Err(BenchError::Wrong(format!("QEMU: {said}")));
        }
        thread::yield_now();
    }
    Err(BenchError::Wrong("QEMU does not answer".to_owned()))
}
