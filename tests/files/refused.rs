//! What is no file, has no end, or is too long, in the place of every file that is read.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};
use rstest::rstest;

use crate::project::{CAPTURE, PLAIN, Project};

/// What stands in the place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hostile {
    Fifo,
    LinkToFifo,
    Socket,
    /// A sparse file of a tebibyte.
    Long,
    Loop,
    Zero,
    Random,
    Terminal,
    /// A file of /proc that waits for the kernel to say something.
    Kmsg,
    Proc,
    Sys,
}

use Hostile::{Fifo, Kmsg, LinkToFifo, Long, Loop, Proc, Random, Socket, Sys, Terminal, Zero};

const ALL: [Hostile; 11] =
    [Fifo, LinkToFifo, Socket, Long, Loop, Zero, Random, Terminal, Kmsg, Proc, Sys];

impl Hostile {
    /// Puts it there.
    fn make(self, path: &Path) {
        let target = match self {
            Fifo => return mkfifo(path, Mode::S_IRWXU).unwrap(),
            Socket => return drop(UnixListener::bind(path).unwrap()),
            Long => return File::create(path).unwrap().set_len(1 << 40).unwrap(),
            LinkToFifo => {
                let target = path.with_file_name("fifo");
                mkfifo(&target, Mode::S_IRWXU).unwrap();
                target
            }
            Loop => path.file_name().unwrap().into(),
            Zero => "/dev/zero".into(),
            Random => "/dev/urandom".into(),
            Terminal => "/dev/ptmx".into(),
            Kmsg => "/proc/kmsg".into(),
            Proc => "/proc/self/environ".into(),
            Sys => "/sys/kernel/uevent_seqnum".into(),
        };
        symlink(target, path).unwrap();
    }

    /// Whether it leads out of the project.
    fn leads_out(self) -> bool {
        matches!(self, Zero | Random | Terminal | Kmsg | Proc | Sys)
    }

    /// What is said of it where links may lead anywhere.
    fn reason(self) -> &'static str {
        match self {
            Fifo | LinkToFifo => "it is a pipe (FIFO)",
            Socket => "it is a socket",
            Long => "more than ",
            Loop => "Too many levels of symbolic links",
            Zero | Random | Terminal => "it is a device",
            Kmsg | Proc => "it is a file of /proc, and not one that is kept",
            Sys => "it is a file of /sys, and not one that is kept",
        }
    }
}

/// In a new project each, with and without leave to go outside.
fn each(
    mut put: impl FnMut(&Project, Hostile),
    commands: &[&[&str]],
    codes: &[i32],
    outside: &str,
) {
    for hostile in ALL {
        for arguments in commands {
            for allowed in [false, true] {
                let project = Project::new();
                put(&project, hostile);
                let mut arguments = arguments.to_vec();
                if allowed {
                    arguments.push("--allow-outside");
                }
                let done = project.tapwright(&arguments);
                done.ends(codes);
                let is_outside = hostile.leads_out() && !allowed;
                done.says(if is_outside { outside } else { hostile.reason() });
            }
        }
    }
}

#[rstest]
#[case::check(&["check", "a.yaml"])]
#[case::check_folder(&["check"])]
#[case::run(&["run", "--backend", "sim", "a.yaml"])]
#[case::list(&["list", "a.yaml"])]
#[case::graph(&["graph", "a.yaml"])]
#[case::export(&["export", "a.yaml"])]
#[case::minimise(&["minimise", "--backend", "sim", "a.yaml"])]
fn a_capture(#[case] arguments: &[&str]) {
    let put = |project: &Project, hostile: Hostile| {
        project.scenario("x.pcap");
        hostile.make(&project.path("project/suite/x.pcap"));
    };
    each(put, &[arguments], &[2], "is outside of the root");
}

#[test]
fn a_capture_of_a_bundle() {
    for hostile in ALL {
        let project = Project::new();
        project.scenario("x.pcap");
        hostile.make(&project.path("project/suite/x.pcap"));
        let done = project.tapwright(&["export", "a.yaml", "--bundle", "a.tgz"]);
        let outside = "is outside of the root";
        done.is_refused(if hostile.leads_out() { outside } else { hostile.reason() });
        assert!(!project.path("project/suite/a.tgz").exists());
    }
}

/// A person's own word is read wherever it leads, if it is a file.
#[rstest]
#[case::check(&["check", "a.yaml"])]
#[case::run(&["run", "--backend", "sim", "a.yaml"])]
#[case::list(&["list", "a.yaml"])]
#[case::graph(&["graph", "a.yaml"])]
#[case::export(&["export", "a.yaml"])]
#[case::bundle(&["export", "a.yaml", "--bundle", "a.tgz"])]
#[case::minimise(&["minimise", "--backend", "sim", "a.yaml"])]
#[case::import(&["import", "a.yaml"])]
#[case::import_file(&["import", "--file", "a.yaml"])]
fn a_file_that_is_named(#[case] arguments: &[&str]) {
    for hostile in ALL {
        let project = Project::new();
        hostile.make(&project.path("project/suite/a.yaml"));
        project.tapwright(arguments).is_refused(hostile.reason());
    }
}

#[test]
fn a_scenario_that_is_found() {
    let put = |project: &Project, hostile: Hostile| {
        project.write("project/suite/b.yaml", PLAIN);
        hostile.make(&project.path("project/suite/a.yaml"));
    };
    let commands: &[&[&str]] =
        &[&["check", "."], &["list", "."], &["run", "--backend", "sim", "."]];
    each(put, commands, &[2], "is not below the root");
}

#[test]
fn a_snapshot() {
    let put = |project: &Project, hostile: Hostile| {
        project.write("project/suite/a.yaml", PLAIN);
        hostile.make(&project.path("project/suite/a.snap"));
    };
    let commands: &[&[&str]] = &[
        &["run", "--backend", "sim", "a.yaml"],
        &["run", "--backend", "sim", "--ci", "."],
        &["run", "--backend", "sim", "--accept", "a.yaml"],
        &["review", "--unreferenced", "."],
    ];
    each(put, commands, &[1, 2], "is not below the root");
}

#[test]
fn a_snapshot_of_a_bundle() {
    for hostile in ALL {
        let project = Project::new();
        project.write("project/suite/a.yaml", PLAIN);
        hostile.make(&project.path("project/suite/a.snap"));
        let done = project.tapwright(&["export", "a.yaml", "--bundle", "a.tgz"]);
        let outside = "is not below the root";
        done.is_refused(if hostile.leads_out() { outside } else { hostile.reason() });
    }
}

#[test]
fn a_pending_snapshot() {
    let put = |project: &Project, hostile: Hostile| {
        project.write("project/suite/a.yaml", PLAIN);
        hostile.make(&project.path("project/suite/a.snap.new"));
    };
    let commands: &[&[&str]] = &[
        &["run", "--backend", "sim", "a.yaml"],
        &["run", "--backend", "sim", "--accept", "a.yaml"],
        &["review", "--list", "."],
        &["review", "--accept-all", "a.yaml"],
        &["review", "--unreferenced", "a.yaml"],
    ];
    each(put, commands, &[1, 2], "is not below the root");
}

#[test]
fn what_minimise_compares_with() {
    for hostile in ALL {
        let project = Project::new();
        project.write("project/suite/a.yaml", PLAIN);
        hostile.make(&project.path("project/suite/a.snap"));
        // Without a snapshot that can be read nothing fails.
        project.tapwright(&["minimise", "--backend", "sim", "a.yaml"]).ends(&[4]);
    }
}

#[test]
fn the_capture_of_an_import() {
    let paste = b"-netdev tap,id=hn0 -object filter-dump,id=d0,netdev=hn0,file=x";
    for hostile in ALL {
        let project = Project::new();
        hostile.make(&project.path("project/suite/x.pcap"));
        let done = project.fed(&["import", "--pcap", "x.pcap", "--out", "a.yaml"], paste);
        let outside = "is outside of the root";
        done.is_refused(if hostile.leads_out() { outside } else { hostile.reason() });
        done.says("no scenario is left");
        assert!(!project.path("project/suite/a.yaml").exists());
    }
}

#[test]
fn the_record_of_a_run() {
    for hostile in ALL {
        let project = Project::new();
        hostile.make(&project.path("project/suite/run.json"));
        project.tapwright(&["merge", "run.json"]).is_refused(hostile.reason());
    }
}

#[test]
fn a_case_that_is_held() {
    for hostile in ALL {
        let project = Project::new();
        hostile.make(&project.path("project/suite/paused-1.json"));
        project.tapwright(&["enter", "--out", "."]).ends(&[4]);
    }
}

#[test]
fn standard_input_has_a_limit() {
    let project = Project::new();
    for script in ["exec \"$@\" </dev/zero", "exec \"$@\" /dev/stdin </dev/zero"] {
        let done = project.shell(script, &["import"], b"");
        done.is_refused("it has more than 4194304 bytes");
    }
}

#[test]
fn a_shell_may_hand_over_a_pipe() {
    let project = Project::new();
    let paste = b"-netdev tap,id=hn0 -object filter-dump,id=d0,netdev=hn0,file=x";
    for script in [
        "exec \"$@\"",
        "exec \"$@\" /dev/stdin",
        "exec \"$@\" --file /dev/fd/3 3<&0",
        "exec \"$@\" /proc/self/fd/3 3<&0",
    ] {
        let done = project.shell(script, &["import"], paste);
        done.ends(&[0]);
        done.says("filter-dump,id=d0,netdev=hn0");
    }
    // As a scenario it is none.
    for script in ["exec \"$@\" /dev/stdin", "exec \"$@\" /dev/fd/3 3<&0"] {
        project.shell(script, &["graph"], PLAIN.as_bytes()).is_refused("it is a pipe (FIFO)");
    }
}

/// A watch reads again and again.
#[test]
fn what_is_watched() {
    for place in ["x.pcap", "a.snap", "b.yaml"] {
        let project = Project::new();
        project.write("project/suite/a.yaml", CAPTURE.replace("NAME", "x.pcap"));
        project.write("project/suite/x.pcap", crate::project::capture(b"ours"));
        let path = project.path("project/suite").join(place);
        drop(std::fs::remove_file(&path));
        Fifo.make(&path);
        let mut watch = Command::new(env!("CARGO_BIN_EXE_tapwright"))
            .args(["run", "--watch", "--backend", "sim", "."])
            .current_dir(project.path("project/suite"))
            .env_remove("CI")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Pid::from_raw(i32::try_from(watch.id()).unwrap());
        let (lines, waits) = channel();
        let stderr = BufReader::new(watch.stderr.take().unwrap());
        let reading = thread::spawn(move || {
            for line in stderr.lines() {
                drop(lines.send(line.unwrap()));
            }
        });
        let waits_for_a_change = loop {
            match waits.recv_timeout(crate::project::DEADLINE) {
                Ok(line) if line.contains("waiting for a change") => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        let signal = if waits_for_a_change { Signal::SIGINT } else { Signal::SIGKILL };
        kill(process, signal).unwrap();
        let status = watch.wait().unwrap();
        reading.join().unwrap();
        assert_eq!(status.code(), Some(130), "{place}");
    }
}
