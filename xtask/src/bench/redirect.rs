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
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
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
    sys::{
        Batch, Granted, Injector, InjectorOptions, InterfaceIndex, Isolated, PacketOptions,
        PacketSocket, Tap, TapHeader, Unit, enter_fresh,
    },
};

use super::{
    BenchError, Lab, io_error,
    lap::{Lap, Row, timed},
    machine::frame,
};

/// Frames of a lap.
const FRAMES: u32 = 200_000;

/// Frames that a TAP's queue surely takes while nobody reads it.
const IN_QUEUE: u64 = 900;

/// Frames that a ring of the default size surely takes.
const IN_RING: u64 = 3_500;

/// Frames whose times are taken.
const PACED: usize = 20_000;

/// Without an arrival for so long, frames were lost.
const LOST: Duration = Duration::from_secs(5);

/// Frames between two looks at what has arrived.
const BURST: u64 = 32;

/// From one TAP to another, beside the kernel's own way.
pub(super) fn beside_mirred(lab: &Lab, length: usize) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let mut mirred = Course::taps(isolated, length, IN_QUEUE)?;
    mirred.mirror()?;
    let goal = if length < 1000 { 0.65 } else { 0.85 };
    row(Course::redirect(isolated, length)?, ("tc mirred", mirred), Some(goal))
}

/// The same where the kernel does the work for both, and the redirector sets the filters.
pub(super) fn offload_beside_mirred(lab: &Lab, length: usize) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let mut mirred = Course::taps(isolated, length, IN_QUEUE)?;
    mirred.mirror()?;
    row(Course::offload(isolated, length)?, ("tc mirred", mirred), None)
}

/// How long a frame takes that is one of many: a quantile of frames at half the peak rate.
pub(super) fn latency(lab: &Lab, quantile: f64) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let mut mirred = Course::taps(isolated, 64, IN_QUEUE)?;
    mirred.mirror()?;
    let mut redirect = Course::redirect(isolated, 64)?;
    let peak = redirect.lap(FRAMES)?.min(redirect.lap(FRAMES)?);
    let rate = 0.5 * f64::from(FRAMES) / peak.as_secs_f64();
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
pub(super) fn beside_loop(lab: &Lab, length: usize) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let mut looped = Course::taps(isolated, length, IN_QUEUE)?;
    looped.copy(isolated)?;
    row(Course::redirect(isolated, length)?, ("recv, send", looped), None)
}

/// From a TAP to a socket, beside a real QEMU.
pub(super) fn beside_qemu(lab: &Lab, qemu: &Path, length: usize) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let program = Program::bare(qemu).map_err(|error| BenchError::Skipped(error.to_string()))?;
    let qemu = Course::qemu(isolated, &program, length)?;
    row(Course::to_socket(isolated, length)?, ("a real QEMU's", qemu), Some(5.0))
}

fn row(
    subject: Course,
    (name, baseline): (&'static str, Course),
    goal: Option<f64>,
) -> Result<Row, BenchError> {
    Ok(Row {
        subject: ("redirect", subject.into_lap()),
        baseline: (name, baseline.into_lap()),
        of: "frame",
        count: FRAMES,
        baseline_count: FRAMES,
        goal,
    })
}

/// What a redirector does at 80 % of its peak, and while there is nothing to do.
pub(super) fn steady(lab: &Lab, seconds: u64) -> Result<String, BenchError> {
    let isolated = lab.isolated()?;
    let mut course = Course::redirect(isolated, 64)?;
    let peak = course.lap(FRAMES)?.min(course.lap(FRAMES)?);
    let rate = 0.8 * f64::from(FRAMES) / peak.as_secs_f64();
    let (sent, arrived) = course.paced(rate, Duration::from_secs(seconds))?;
    let before = course.ticks()?;
    thread::sleep(Duration::from_secs(2));
    let idle = course.ticks()? - before;
    Ok(format!(
        "redirect at 80 % of its peak, {:.0} thousand frames a second for {seconds} s: {} of {sent} \
         lost; {idle} ticks of a processor in 2 s without frames",
        rate / 1e3,
        sent - arrived
    ))
}

/// A way for frames, from where they are sent to where they arrive.
struct Course {
    /// Sends so many frames.
    send: Box<dyn FnMut(usize) -> Result<(), BenchError>>,
    arrived: Arc<AtomicU64>,
    /// When each frame arrived, while somebody wants to know.
    times: Arc<Mutex<Option<Vec<Instant>>>>,
    window: u64,
    redirect: Option<Running>,
    /// What has to live as long.
    _kept: Vec<Box<dyn std::any::Any>>,
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

impl Course {
    /// Two TAPs in a fresh namespace: what the first one's guest sends, and what the second one's
    /// gets. Nothing is between them yet.
    fn taps(isolated: &Isolated, length: usize, window: u64) -> Result<Self, BenchError> {
        enter_fresh(isolated).map_err(|error| BenchError::Skipped(error.to_string()))?;
        let (from, to) = (tap(isolated, "tap0")?, tap(isolated, "tap1")?);
        let (arrived, to) = (Arc::new(AtomicU64::new(0)), blocking(&to)?);
        let counter = Arc::clone(&arrived);
        let times = Arc::new(Mutex::new(None::<Vec<Instant>>));
        let stamps = Arc::clone(&times);
        thread::spawn(move || {
            let mut frame = vec![0; 70_000];
            while let Ok(read) = read(&to, &mut frame) {
                if let Some(times) = stamps.lock().as_deref_mut().ok().and_then(Option::as_mut) {
                    times.push(Instant::now());
                }
                counter.fetch_add(u64::from(read == length), Ordering::Relaxed);
            }
        });
        let frame = frame(length);
        let send = move |count| {
            let written = (0..count).try_for_each(|_| from.write(&[], &frame));
            written.map_err(|error| BenchError::Wrong(error.to_string()))
        };
        let send = Box::new(send);
        Ok(Self { send, arrived, times, window, redirect: None, _kept: Vec::new() })
    }

    /// The kernel takes frames from one TAP to the other.
    fn mirror(&mut self) -> Result<(), BenchError> {
        tc(&["qdisc", "add", "dev", "tap0", "clsact"])?;
        let filter = "filter add dev tap0 ingress protocol all u32 match u8 0 0 action mirred egress \
                      mirror dev tap1";
        tc(&filter.split(' ').collect::<Vec<_>>())
    }

    /// A thread takes frames from one TAP to the other, one by one.
    fn copy(&mut self, isolated: &Isolated) -> Result<(), BenchError> {
        let options =
            PacketOptions { ignore_outgoing: true, receive_buffer: 8 << 20, vnet_hdr: false };
        let from = blocking(&socket(isolated, "tap0", options)?)?;
        let to = blocking(&socket(isolated, "tap1", PacketOptions::default())?)?;
        thread::spawn(move || {
            let mut frame = vec![0; 70_000];
            while let Ok(length) = recv(from.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                // A full queue shows as a loss.
                let _ = send(to.as_raw_fd(), &frame[..length], MsgFlags::empty());
            }
        });
        Ok(())
    }

    /// A redirector takes frames from one TAP to the other.
    fn redirect(isolated: &Isolated, length: usize) -> Result<Self, BenchError> {
        let mut course = Self::taps(isolated, length, IN_RING)?;
        course.redirect =
            Some(start(&["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx"])?);
        Ok(course)
    }

    /// A redirector has the kernel take frames from one TAP to the other.
    fn offload(isolated: &Isolated, length: usize) -> Result<Self, BenchError> {
        let mut course = Self::taps(isolated, length, IN_QUEUE)?;
        let ends = ["--in-netdev", "tap0", "--out-netdev", "tap1", "--queue", "rx", "--offload"];
        course.redirect = Some(start(&ends)?);
        Ok(course)
    }

    /// A redirector takes what the host sends on a TAP to a socket.
    fn to_socket(isolated: &Isolated, length: usize) -> Result<Self, BenchError> {
        let mut course = Self::from_host(isolated, length, IN_RING)?;
        let path = isolated.directory().join(isolated.unique("bench"));
        let outdev = format!("unix:{},server", path.display());
        course.redirect =
            Some(start(&["--in-netdev", "tap0", "--queue", "tx", "--outdev", &outdev])?);
        let stream = UnixStream::connect(&path).map_err(io_error("a redirector's socket"))?;
        course.read(stream, length);
        Ok(course)
    }

    /// A QEMU's filter-redirector does.
    fn qemu(isolated: &Isolated, program: &Program, length: usize) -> Result<Self, BenchError> {
        let mut course = Self::from_host(isolated, length, IN_QUEUE)?;
        let (ours, theirs) = UnixStream::pair().map_err(io_error("a pair of sockets"))?;
        let (guest, guests) = UnixStream::pair().map_err(io_error("a pair of sockets"))?;
        let mut arguments = Arguments::default();
        let tap = course._kept.pop().and_then(|tap| tap.downcast::<Tap>().ok());
        let tap = tap.ok_or_else(|| BenchError::Wrong("no TAP".to_owned()))?;
        let tap = tap.as_fd().try_clone_to_owned().map_err(io_error("a TAP"))?;
        let tap = arguments.inherit(tap);
        let out = arguments.inherit(theirs.into());
        let guests = arguments.inherit(guests.into());
        arguments.push("-chardev", &format!("socket,id=out,fd={out}"));
        for netdev in [
            format!("tap,id=hn0,fd={tap}"),
            "hubport,id=h0,hubid=0,netdev=hn0".to_owned(),
            format!("socket,id=guest,fd={guests}"),
            "hubport,id=h1,hubid=0,netdev=guest".to_owned(),
        ] {
            arguments.push("-netdev", &netdev);
        }
        arguments.push("-object", "filter-redirector,id=f0,netdev=hn0,queue=tx,outdev=out");
        let started = Process::start(program, arguments);
        let (mut process, mut qmp) =
            started.map_err(|error| BenchError::Wrong(error.to_string()))?;
        process.ask(&mut qmp, "qmp_capabilities", None).map_err(BenchError::Wrong)?;
        process.ask(&mut qmp, "cont", None).map_err(BenchError::Wrong)?;
        course._kept.push(Box::new((process, qmp, guest)));
        course.read(ours, length);
        Ok(course)
    }

    /// A TAP in a fresh namespace, on which the host sends.
    fn from_host(isolated: &Isolated, length: usize, window: u64) -> Result<Self, BenchError> {
        enter_fresh(isolated).map_err(|error| BenchError::Skipped(error.to_string()))?;
        let tap = tap(isolated, "tap0")?;
        let options = InjectorOptions { vnet_hdr: false, bypass: false };
        let host = Injector::open(Granted::by_the_command_line(), interface("tap0")?, options)
            .map_err(io_error("a packet socket"))?;
        let (frame, mut batch) = (frame(length), Batch::default());
        let units = vec![Unit { start: 0, header: 0, frame: 0, end: length }; BURST as usize];
        let send = move |count: usize| {
            let mut left = count;
            while left > 0 {
                left -= match batch.send(&host, &frame, &units[..left.min(units.len())]) {
                    Ok(sent) => sent,
                    Err(errno) => {
                        return Err(BenchError::Wrong(format!("a host's frame: {errno}")));
                    }
                };
            }
            Ok(())
        };
        let arrived = Arc::new(AtomicU64::new(0));
        Ok(Self {
            send: Box::new(send),
            arrived,
            times: Arc::default(),
            window,
            redirect: None,
            _kept: vec![Box::new(tap)],
        })
    }

    /// Counts the frames of a stream.
    fn read(&mut self, mut stream: UnixStream, length: usize) {
        let counter = Arc::clone(&self.arrived);
        thread::spawn(move || {
            let (mut bytes, mut piece) = (0, vec![0; 256 << 10]);
            while let Ok(read @ 1..) = stream.read(&mut piece) {
                bytes += read as u64;
                counter.store(bytes / (4 + length as u64), Ordering::Relaxed);
            }
        });
    }

    fn into_lap(mut self) -> Lap {
        Box::new(move || self.lap(FRAMES))
    }

    /// Sends so many frames, and waits for them.
    fn lap(&mut self, frames: u32) -> Result<Duration, BenchError> {
        let (start, frames) = (self.arrived.load(Ordering::Relaxed), u64::from(frames));
        let (mut sent, mut seen, mut since) = (0, 0, Instant::now());
        timed(|| {
            loop {
                let arrived = self.arrived.load(Ordering::Relaxed) - start;
                if arrived >= frames {
                    return Ok(());
                }
                if arrived > seen {
                    (seen, since) = (arrived, Instant::now());
                } else if since.elapsed() > LOST {
                    let text = format!("{} of {sent} frames have not arrived", sent - arrived);
                    return Err(BenchError::Wrong(text));
                }
                if sent == frames || sent - arrived + BURST > self.window {
                    thread::yield_now();
                    continue;
                }
                let burst = BURST.min(frames - sent);
                (self.send)(burst as usize)?;
                sent += burst;
            }
        })
    }

    /// Sends frames at a rate; how many, and how many arrived.
    fn paced(&mut self, rate: f64, time: Duration) -> Result<(u64, u64), BenchError> {
        let (start, begun) = (self.arrived.load(Ordering::Relaxed), Instant::now());
        let (mut sent, mut skipped) = (0, 0);
        while begun.elapsed() < time {
            let due = (begun.elapsed().as_secs_f64() * rate) as u64 - skipped;
            if sent >= due {
                thread::yield_now();
                continue;
            }
            // After a pause of this process the rest is not sent at once, which would be no pace.
            let burst = (due - sent).min(BURST * BURST);
            skipped += due - sent - burst;
            (self.send)(burst as usize)?;
            sent += burst;
        }
        let (mut arrived, mut since) = (0, Instant::now());
        while arrived < sent && since.elapsed() < LOST {
            let now = self.arrived.load(Ordering::Relaxed) - start;
            if now > arrived {
                (arrived, since) = (now, Instant::now());
            }
            thread::yield_now();
        }
        Ok((sent, arrived))
    }

    /// Sends frames one by one at a rate; the quantile of the times until they arrive, in their order.
    fn latency(&mut self, rate: f64, quantile: f64) -> Result<Duration, BenchError> {
        let poisoned = || BenchError::Wrong("the reader of a TAP has failed".to_owned());
        *self.times.lock().map_err(|_| poisoned())? = Some(Vec::with_capacity(PACED));
        let (start, begun) = (self.arrived.load(Ordering::Relaxed), Instant::now());
        let mut sent = Vec::with_capacity(PACED);
        while sent.len() < PACED {
            if sent.len() as f64 > begun.elapsed().as_secs_f64() * rate {
                thread::yield_now();
                continue;
            }
            sent.push(Instant::now());
            (self.send)(1)?;
        }
        let until = Instant::now() + LOST;
        while self.arrived.load(Ordering::Relaxed) - start < PACED as u64 {
            if Instant::now() > until {
                return Err(BenchError::Wrong("frames at half the peak were lost".to_owned()));
            }
            thread::yield_now();
        }
        let arrived = self.times.lock().map_err(|_| poisoned())?.take().unwrap_or_default();
        let mut took: Vec<Duration> =
            sent.iter().zip(&arrived).map(|(from, to)| *to - *from).collect();
        took.sort_unstable();
        let at = (took.len().saturating_sub(1) as f64 * quantile) as usize;
        took.get(at).copied().ok_or_else(|| BenchError::Wrong("no frame arrived".to_owned()))
    }

    /// The redirector's time on a processor, in ticks.
    fn ticks(&self) -> Result<u64, BenchError> {
        let id = self.redirect.as_ref().map_or(0, |running| running.0.id());
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).map_err(io_error("/proc"))?;
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks =
            fields.split_whitespace().skip(11).take(2).filter_map(|one| one.parse::<u64>().ok());
        Ok(ticks.sum())
    }
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

fn tap(isolated: &Isolated, name: &str) -> Result<Tap, BenchError> {
    let name = name.parse()?;
    let tap = Tap::create(isolated, &name, TapHeader::None, false)?;
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
