//! `tapwright redirect` as it is run, a process of its own, beside what does the same: the kernel
//! alone (`tc mirred`, whose mirror leaves the original alone too), the simplest program (recv, send),
//! a real QEMU's filter-redirector.
//!
//! Each lap is a closed loop: as many frames are on their way as are surely not dropped, and the time
//! is that until the last one has arrived. So the rate is the highest one without loss.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        signal::{Signal, kill},
        socket::{MsgFlags, recv, send},
    },
    unistd::{Pid, read},
};
use tapwright::{
    backend::{
        BackendError,
        netns::Network,
        qemu::{Arguments, Process, Program},
    },
    machine::framing::Head,
    sys::{
        Batch, Granted, Injector, InjectorOptions, InterfaceIndex, Isolated, PacketOptions,
        PacketSocket, Tap, enter_fresh,
    },
};

use super::{
    BenchError, Lab,
    course::Course,
    io_error,
    lap::{Lap, Row},
    load::{Load, Sent},
};

/// Bytes of a frame's length in a stream.
pub(super) const FRAMING: usize = Head::bytes(false);

/// From one TAP to another, beside the kernel's own way.
pub(super) fn beside_mirred(lab: &Lab, load: Load) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let mirred = mirrored(isolated, load)?;
    let goal = match load {
        Load::Frames(..1000) => Some(0.65),
        Load::Frames(_) => Some(0.85),
        Load::SuperFrames => None,
    };
    Ok(row(load, kept(redirected(isolated, load)?), ("tc mirred", mirred), goal))
}

/// The same where the kernel does the work for both, and the redirector sets the filters.
pub(super) fn offload_beside_mirred(lab: &Lab, load: Load) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let mirred = mirrored(isolated, load)?;
    Ok(row(load, offloaded(isolated, load)?, ("tc mirred", mirred), None))
}

/// How long a frame takes that is one of many: a quantile of frames at half the peak rate.
pub(super) fn latency(lab: &Lab, quantile: f64) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let load = Load::Frames(64);
    let mirred = mirrored(isolated, load)?;
    let mut redirect = kept(redirected(isolated, load)?);
    let rate = 0.5 * redirect.peak(load.count())?;
    let lap = |mut course: Course| -> Lap { Box::new(move || course.latency(rate, quantile)) };
    Ok(Row {
        subject: ("redirect", lap(redirect)),
        baseline: ("tc mirred", lap(mirred)),
        of: "frame at half the peak",
        count: 1,
        baseline_count: 1,
        goal: None,
    })
}

/// From one TAP to another, beside a loop of two system calls.
pub(super) fn beside_loop(lab: &Lab, load: Load) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let looped = copied(isolated, load)?;
    Ok(row(load, kept(redirected(isolated, load)?), ("recv, send", looped), None))
}

/// From a TAP to a socket, beside a real QEMU.
pub(super) fn beside_qemu(lab: &Lab, qemu: &Path, load: Load) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let program = Program::bare(qemu).map_err(|error| BenchError::Skipped(error.to_string()))?;
    let qemu = by_qemu(isolated, &program, load)?;
    Ok(row(load, to_socket(isolated, load)?, ("a real QEMU's", qemu), Some(5.0)))
}

fn row(
    load: Load,
    subject: Course,
    (name, baseline): (&'static str, Course),
    goal: Option<f64>,
) -> Row {
    let count = load.count();
    Row {
        subject: ("redirect", subject.into_lap(count)),
        baseline: (name, baseline.into_lap(count)),
        of: "frame",
        count,
        baseline_count: count,
        goal,
    }
}

/// A course whose redirector lives as long.
fn kept((mut course, running): (Course, Running)) -> Course {
    course.keep(running);
    course
}

/// What a redirector does at 80 % of its peak, and while there is nothing to do.
pub(super) fn steady(lab: &Lab, seconds: u64) -> Result<String, BenchError> {
    let isolated = lab.isolated()?;
    let load = Load::Frames(64);
    let (mut course, running) = redirected(isolated, load)?;
    let rate = 0.8 * course.peak(load.count())?;
    let (sent, arrived) = course.paced(rate, Duration::from_secs(seconds))?;
    let before = ticks(&running)?;
    thread::sleep(Duration::from_secs(2));
    let idle = ticks(&running)? - before;
    Ok(format!(
        "redirect at 80 % of its peak, {:.0} thousand frames a second for {seconds} s: {} of {sent} \
         lost; {idle} ticks of a processor in 2 s without frames",
        rate / 1e3,
        sent - arrived
    ))
}

/// A child that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// Two TAPs in a fresh namespace: what the first one's guest sends, and what the second one's gets.
/// Nothing is between them yet.
fn taps(isolated: &Isolated, load: Load) -> Result<Course, BenchError> {
    enter_fresh(isolated).map_err(|error| BenchError::Skipped(error.to_string()))?;
    let (from, to) = (tap(isolated, "tap0", load)?, tap(isolated, "tap1", load)?);
    load.take(&to)?;
    let (header, frame) = load.frame();
    let length = header.len() + frame.len();
    let course = Course::new(load.window(), move |count| {
        let written = (0..count).try_for_each(|_| from.write(&header, &frame));
        written.map_err(|error| BenchError::Wrong(error.to_string()))
    });
    let (counter, stamps) = (Arc::clone(&course.arrived), Arc::clone(&course.times));
    let to = blocking(&to)?;
    thread::spawn(move || {
        let mut frame = vec![0; 70_000];
        while let Ok(read) = read(&to, &mut frame) {
            if let Some(times) = stamps.lock().as_deref_mut().ok().and_then(Option::as_mut) {
                times.push(Instant::now());
            }
            counter.fetch_add(u64::from(read == length), Ordering::Relaxed);
        }
    });
    Ok(course)
}

/// The kernel takes frames from one TAP to the other.
fn mirrored(isolated: &Isolated, load: Load) -> Result<Course, BenchError> {
    let course = taps(isolated, load)?;
    tc(&["qdisc", "add", "dev", "tap0", "clsact"])?;
    let filter = "filter add dev tap0 ingress protocol all u32 match u8 0 0 action mirred egress mirror \
                  dev tap1";
    tc(&filter.split(' ').collect::<Vec<_>>())?;
    Ok(course)
}

/// A thread takes frames from one TAP to the other, one by one.
fn copied(isolated: &Isolated, load: Load) -> Result<Course, BenchError> {
    let course = taps(isolated, load)?;
    let to = PacketOptions { vnet_hdr: !load.header().is_empty(), ..PacketOptions::default() };
    let from = PacketOptions { ignore_outgoing: true, receive_buffer: 8 << 20, ..to };
    let from = blocking(&socket(isolated, "tap0", from)?)?;
    let to = blocking(&socket(isolated, "tap1", to)?)?;
    thread::spawn(move || {
        let mut frame = vec![0; 70_000];
        while let Ok(length) = recv(from.as_raw_fd(), &mut frame, MsgFlags::empty()) {
            // A full queue shows as a loss.
            let _ = send(to.as_raw_fd(), &frame[..length], MsgFlags::empty());
        }
    });
    Ok(course)
}

/// A redirector takes frames from one TAP to the other; and its process.
fn redirected(isolated: &Isolated, load: Load) -> Result<(Course, Running), BenchError> {
    let course = taps(isolated, load)?;
    let ends = ["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx"];
    Ok((course, start(&[&ends, load.arguments()].concat())?))
}

/// A redirector has the kernel take frames from one TAP to the other.
fn offloaded(isolated: &Isolated, load: Load) -> Result<Course, BenchError> {
    let mut course = taps(isolated, load)?;
    let ends = ["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx", "--offload"];
    course.keep(start(&ends)?);
    Ok(course)
}

/// A redirector takes what the host sends on a TAP to a socket.
fn to_socket(isolated: &Isolated, load: Load) -> Result<Course, BenchError> {
    let (mut course, tap) = from_host(isolated, load)?;
    let path = isolated.directory().join(isolated.unique("bench"));
    let outdev = format!("unix:{},server", path.display());
    let ends = ["--in-netdev", "tap0", "--queue", "tx", "--outdev", &outdev];
    let running = start(&[&ends, load.arguments()].concat())?;
    load.take(&tap)?;
    course.keep((tap, running));
    let stream = UnixStream::connect(&path).map_err(io_error("a redirector's socket"))?;
    course.read(stream, load.framed());
    Ok(course)
}

/// A QEMU's filter-redirector does.
fn by_qemu(isolated: &Isolated, program: &Program, load: Load) -> Result<Course, BenchError> {
    let (mut course, tap) = from_host(isolated, load)?;
    let (ours, theirs) = pair()?;
    let (guest, guests) = pair()?;
    let mut arguments = Arguments::default();
    let inherited = tap.as_fd().try_clone_to_owned().map_err(io_error("a TAP"))?;
    let inherited = arguments.inherit(inherited);
    let out = arguments.inherit(theirs.into());
    let guests = arguments.inherit(guests.into());
    arguments.push("-chardev", &format!("socket,id=out,fd={out}"));
    for netdev in [
        format!("tap,id=hn0,fd={inherited}"),
        "hubport,id=h0,hubid=0,netdev=hn0".to_owned(),
        format!("socket,id=guest,fd={guests}"),
        "hubport,id=h1,hubid=0,netdev=guest".to_owned(),
    ] {
        arguments.push("-netdev", &netdev);
    }
    arguments.push("-object", "filter-redirector,id=f0,netdev=hn0,queue=tx,outdev=out");
    let running = running(program, arguments)?;
    // QEMU switches it off for a peer that can't take them.
    load.take(&tap)?;
    course.keep((tap, guest, running));
    course.read(ours, FRAMING + load.length());
    Ok(course)
}

/// A QEMU that runs for as long as this lives.
pub(super) fn running(
    program: &Program,
    arguments: Arguments,
) -> Result<impl Sized + 'static, BenchError> {
    let started = Process::start(program, arguments);
    let (mut process, mut qmp) = started.map_err(|error| BenchError::Wrong(error.to_string()))?;
    process.ask(&mut qmp, "qmp_capabilities", None).map_err(BenchError::Wrong)?;
    process.ask(&mut qmp, "cont", None).map_err(BenchError::Wrong)?;
    Ok((process, qmp))
}

/// Two ends of a stream.
pub(super) fn pair() -> Result<(UnixStream, UnixStream), BenchError> {
    UnixStream::pair().map_err(io_error("a pair of sockets"))
}

/// A TAP in a fresh namespace, on which the host sends.
fn from_host(isolated: &Isolated, load: Load) -> Result<(Course, Tap), BenchError> {
    enter_fresh(isolated).map_err(|error| BenchError::Skipped(error.to_string()))?;
    let tap = tap(isolated, "tap0", load)?;
    let options = InjectorOptions { vnet_hdr: true, bypass: false };
    let host = Injector::open(Granted::by_the_command_line(), interface("tap0")?, options)
        .map_err(io_error("a packet socket"))?;
    let (mut sent, mut batch) = (Sent::new(load), Batch::default());
    let course = Course::new(load.window(), move |count| {
        let mut left = count;
        while left > 0 {
            let (memory, unit, frames) = sent.next(left);
            batch
                .send(&host, memory, &[unit])
                .map_err(|errno| BenchError::Wrong(format!("a host's frame: {errno}")))?;
            left -= frames;
        }
        Ok(())
    });
    Ok((course, tap))
}

/// A redirector's time on a processor, in ticks.
fn ticks(running: &Running) -> Result<u64, BenchError> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", running.0.id()));
    let stat = stat.map_err(io_error("/proc"))?;
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks =
        fields.split_whitespace().skip(11).take(2).filter_map(|one| one.parse::<u64>().ok());
    Ok(ticks.sum())
}

/// This very program as `tapwright redirect`, once it is ready.
fn start(arguments: &[&str]) -> Result<Running, BenchError> {
    let itself = env::current_exe().map_err(io_error("this program"))?;
    let child = Command::new(itself)
        .args(["tapwright", "redirect"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut running = Running(child.map_err(io_error("a redirector"))?);
    let Some(stderr) = running.0.stderr.take() else {
        return Err(BenchError::Wrong("no standard error".to_owned()));
    };
    let (mut line, mut read) = (String::new(), 1);
    let mut stderr = BufReader::new(stderr);
    while read > 0 && !line.contains("redirect: ready") {
        read = stderr.read_line(&mut line).map_err(io_error("a redirector"))?;
    }
    // Nobody reads more of it, but it may say more.
    thread::spawn(move || stderr.read_to_string(&mut String::new()));
    if line.contains("ready") { Ok(running) } else { Err(BenchError::Wrong(line)) }
}

fn tap(isolated: &Isolated, name: &str, load: Load) -> Result<Tap, BenchError> {
    let name = name.parse()?;
    let tap = Tap::create(isolated, &name, load.header(), false)?;
    let network = Network::open(isolated).map_err(BackendError::from)?;
    let index = network.index(&name).map_err(BackendError::from)?;
    network.set_up(index, true).map_err(BackendError::from)?;
    Ok(tap)
}

fn interface(name: &str) -> Result<InterfaceIndex, BenchError> {
    InterfaceIndex::of(&name.parse()?).map_err(io_error("an interface"))
}

fn socket(
    isolated: &Isolated,
    name: &str,
    options: PacketOptions,
) -> Result<PacketSocket, BenchError> {
    PacketSocket::open(isolated, interface(name)?, options).map_err(io_error("a packet socket"))
}

/// A descriptor for a thread that waits in its reads and writes.
fn blocking(it: &impl AsFd) -> Result<OwnedFd, BenchError> {
    let fd = it.as_fd().try_clone_to_owned().map_err(io_error("a descriptor"))?;
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty()))
        .map_err(|errno| io_error("a descriptor")(errno.into()))?;
    Ok(fd)
}

fn tc(words: &[&str]) -> Result<(), BenchError> {
    let output = Command::new("tc").args(words).output();
    let output = output.map_err(|error| BenchError::Skipped(format!("tc: {error}")))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(BenchError::Skipped(format!("tc: {}", said.trim())))
        }
    }
}
