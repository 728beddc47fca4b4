//! Faults for as long as one likes: interfaces that go down, are deleted and come back; peers that stall,
//! reset and send garbage; redirectors that are killed and started again. All the while every frame is
//! accounted for, and at the end nothing has grown: neither memory, nor descriptors, nor files, nor
//! sockets, nor namespaces, nor the log. `cargo xtask soak` says for how long.

mod subject;

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    Try,
    lab::{LONGEST, Lab},
};
use subject::{Between, Inward, Outward, Pair, Subject, Tally};

pub(crate) const TRIALS: &[(&str, Try)] = &[("faults_again_and_again", faults_again_and_again)];

/// Says for how many seconds.
const SECONDS: &str = "TAPWRIGHT_SOAK_SECONDS";

/// Where nothing says it.
const SHORT: Duration = Duration::from_secs(10);

/// Rounds after which each fault has been met more than once, and a redirector has all that it needs.
const WARM: u32 = 15;

/// What memory may do between two looks at a process that does the same all the time, in KiB.
const NOISE: u64 = 512;

fn faults_again_and_again(lab: &Lab) {
    let seconds = env::var(SECONDS).ok().map(|text| text.parse().expect(SECONDS));
    let time = seconds.map_or(SHORT, Duration::from_secs);
    let folder = lab.path("soak");
    fs::create_dir(&folder).unwrap();
    let mut subjects: Vec<Box<dyn Subject>> = vec![
        Box::new(Between::open(lab)),
        Box::new(Outward::open(lab, &folder)),
        Box::new(Inward::open(lab, &folder)),
        Box::new(Pair::open(lab, &folder)),
    ];
    let (begun, mut said) = (Instant::now(), 0);
    let (mut rounds, mut first) = (0, None);
    while rounds < 2 * WARM || begun.elapsed() < time {
        for subject in &mut subjects {
            subject.round(lab, rounds);
        }
        rounds += 1;
        let warm = rounds >= WARM && begun.elapsed() >= time / 5;
        if warm && first.is_none() {
            first = Some(Footprint::look(&mut subjects, &folder));
        }
        if begun.elapsed().as_secs() / 60 > said {
            said = begun.elapsed().as_secs() / 60;
            say(&format!("after {said} minutes, {rounds} rounds"));
        }
    }
    let grown = first.unwrap().until_no_more(&mut subjects, &folder);
    let redirects = subjects.iter_mut().flat_map(|it| it.redirects());
    let notices = redirects.map(|it| it.notices()).max().unwrap();
    let minutes = 1 + begun.elapsed().as_secs() / 60;
    assert!(notices <= 61 * minutes, "{notices} notices in {minutes} minutes");
    let tallies: Vec<Tally> = subjects.into_iter().map(|subject| subject.end()).collect();
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    say(&format!(
        "{} s, {rounds} rounds of {} faults each: {} frames sent = {} received + {} dropped and counted + {} \
         sent while nobody captured + {} that a peer threw away; memory grew by {grown} KiB at most, \
         descriptors, files, sockets, interfaces and namespaces by none",
        begun.elapsed().as_secs(),
        tallies.len(),
        sum(|it| it.sent),
        sum(|it| it.arrived),
        sum(|it| it.dropped),
        sum(|it| it.unseen),
        sum(|it| it.thrown),
    ));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "sockets go with their redirectors");
    fs::remove_dir(&folder).unwrap();
}

fn say(text: &str) {
    // Who reads it may have gone.
    let _ = writeln!(io::stderr(), "soak: {text}");
}

/// What all of them hold of the system.
#[derive(Debug)]
struct Footprint {
    /// Of each process that lasts, in KiB.
    memory: Vec<(u64, u64)>,
    held: Held,
}

#[derive(Debug, PartialEq, Eq)]
struct Held {
    descriptors: Vec<usize>,
    files: usize,
    /// Interfaces and sockets of the network namespace.
    network: Vec<(&'static str, usize)>,
    namespaces: BTreeSet<PathBuf>,
}

impl Held {
    fn look(subjects: &mut [Box<dyn Subject>], folder: &Path) -> Self {
        let ids: Vec<u32> =
            subjects.iter_mut().flat_map(|it| it.redirects()).map(|it| it.id()).collect();
        let entries = |path: String| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let lines = |name| {
            let text = fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap();
            (name, text.lines().count())
        };
        let spaces = ids.iter().flat_map(|id| entries(format!("/proc/{id}/ns")));
        Self {
            descriptors: ids.iter().map(|id| entries(format!("/proc/{id}/fd")).count()).collect(),
            files: fs::read_dir(folder).unwrap().count(),
            network: ["dev", "packet", "netlink", "unix"].map(lines).to_vec(),
            namespaces: spaces.map(|path| fs::read_link(path).unwrap()).collect(),
        }
    }
}

impl Footprint {
    fn look(subjects: &mut [Box<dyn Subject>], folder: &Path) -> Self {
        let lasting = subjects.iter_mut().flat_map(|it| it.lasting());
        let memory = lasting.map(|it| (it.memory(), it.status("VmHWM:"))).collect();
        Self { memory, held: Held::look(subjects, folder) }
    }

    /// Waits until no more is held than this, since what a killed process had goes a little later than
    /// the process; by how much memory has grown.
    fn until_no_more(&self, subjects: &mut [Box<dyn Subject>], folder: &Path) -> u64 {
        let until = Instant::now() + LONGEST;
        let mut now = Self::look(subjects, folder);
        while now.held != self.held {
            assert!(Instant::now() < until, "{:#?}\nbecame\n{:#?}", self.held, now.held);
            now = Self::look(subjects, folder);
        }
        let pairs = self.memory.iter().zip(&now.memory);
        let grown = pairs
            .map(|(one, other)| other.0.saturating_sub(one.0).max(other.1.saturating_sub(one.1)));
        let grown = grown.max().unwrap();
        assert!(grown <= NOISE, "KiB {:?} grew to {:?}", self.memory, now.memory);
        grown
    }
}
