//! Each fence by itself.

use std::{
    fs::{self, File},
    os::{fd::AsFd, unix::net::UnixListener},
    path::Path,
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::signal::{Signal, kill},
    unistd::{Pid, getsid},
};
use tapwright::{
    backend::qemu::{Fence, Program},
    record::Outcome,
    sys::Fence as Kernel,
};

use crate::{Try, lab::Lab};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("no_program_is_started", no_program_is_started),
    ("nothing_is_written_but_in_the_folder", nothing_is_written_but_in_the_folder),
    ("so_it_is_on_a_kernel_without_mount_setattr", so_it_is_on_a_kernel_without_mount_setattr),
    ("no_socket_of_the_host_is_reached", no_socket_of_the_host_is_reached),
    ("no_folder_of_the_host_is_seen", no_folder_of_the_host_is_seen),
    ("no_device_is_there_but_harmless_ones", no_device_is_there_but_harmless_ones),
    ("no_process_is_seen_but_its_own", no_process_is_seen_but_its_own),
    ("no_privileges_are_new", no_privileges_are_new),
    ("no_capability_is_left", no_capability_is_left),
    ("it_is_in_a_pid_namespace_below_its_first_process", it_is_in_a_pid_namespace),
    ("all_ends_with_the_first_process", all_ends_with_the_first_process),
    ("an_abort_is_seen_as_one", an_abort_is_seen_as_one),
    ("the_environment_is_a_list_of_ours", the_environment_is_a_list_of_ours),
    ("no_descriptor_is_there_but_its_own", no_descriptor_is_there_but_its_own),
    ("no_core_and_no_file_without_bounds", no_core_and_no_file_without_bounds),
    ("the_network_is_not_the_hosts", the_network_is_not_the_hosts),
    ("no_key_of_the_terminal_reaches_it", no_key_of_the_terminal_reaches_it),
];

/// In the folder that it may write to, so that only what starts programs is tried.
fn no_program_is_started(lab: &Lab) {
    let mut qemu = lab.start();
    let mark = qemu.folder.join("mark");
    let helper = format!("/bin/sh -c 'id >{}'", mark.display());
    let arguments = format!(r#"{{"type": "bridge", "id": "b0", "helper": "{helper}"}}"#);
    let ended = qemu.ask("netdev_add", &arguments);
    assert!(!mark.exists(), "{}", fs::read_to_string(mark).unwrap_or_default());
    let ended = ended.expect_err("it is ended");
    assert!(ended.contains("SIGSYS"), "{ended}");
}

fn writes(lab: &Lab, program: &Program) {
    let mut qemu = lab.start_as(program);
    let within = qemu.folder.join("within");
    let done = qemu.write_to("c0", &within);
    assert!(matches!(done, Ok(Outcome::Done(_))) && within.exists(), "{done:?}");
    // In a folder that holds programs, and can be seen.
    let outside = format!("/usr/tapwright-{}", std::process::id());
    let refused = qemu.write_to("c1", Path::new(&outside));
    let written = fs::remove_file(&outside).is_ok();
    let Ok(Outcome::Refused(error)) = refused else {
        panic!("{refused:?}");
    };
    assert!(error.desc.contains("Read-only file system") && !written, "{error}");
}

fn nothing_is_written_but_in_the_folder(lab: &Lab) {
    writes(lab, &lab.program);
}

fn so_it_is_on_a_kernel_without_mount_setattr(lab: &Lab) {
    let mut program = lab.program.clone();
    assert!(program.remount_one_by_one());
    writes(lab, &program);
    let qemu = lab.start_as(&program);
    let mounts = fs::read_to_string(qemu.proc("mountinfo")).expect("its mounts");
    let folder = qemu.folder.display().to_string();
    let is_seen = |line: &&str| !line.contains("/old_root");
    for line in mounts.lines().filter(is_seen) {
        let fields: Vec<&str> = line.split(' ').collect();
        let own = fields[4] == folder;
        // What another mount hides can't be reached.
        let top = mounts.lines().rfind(|other| other.split(' ').nth(4) == Some(fields[4]));
        let hidden = top != Some(line) || is_below_an_empty_folder(fields[4], &mounts, line);
        let is_read_only = fields[5].split(',').any(|option| option == "ro");
        assert!(own != is_read_only || hidden, "{line}\n{mounts}");
    }
}

/// Whether a mount lies in a folder over which another mount was put later.
fn is_below_an_empty_folder(path: &str, mounts: &str, line: &str) -> bool {
    let later = mounts.lines().skip_while(|other| *other != line).skip(1);
    let mut points = later.filter_map(|other| other.split(' ').nth(4));
    points.any(|point| Path::new(path).starts_with(point))
}

fn no_socket_of_the_host_is_reached(lab: &Lab) {
    let mut qemu = lab.start();
    let other = lab.folder();
    for folder in ["/tmp", "/run", "/var/tmp", &*other.to_string_lossy()] {
        let path = format!("{folder}/tapwright-{}.sock", std::process::id());
        let Ok(listener) = UnixListener::bind(&path) else {
            panic!("{path} can't be made");
        };
        let data = format!(
            r#"{{"addr": {{"type": "unix", "data": {{"path": "{path}"}}}}, "server": false}}"#
        );
        let id = folder.replace(['/', '-'], "x");
        let arguments =
            format!(r#"{{"id": "c{id}", "backend": {{"type": "socket", "data": {data}}}}}"#);
        let answer = qemu.ask("chardev-add", &arguments);
        listener.set_nonblocking(true).expect("a listener");
        let reached = listener.accept().is_ok();
        fs::remove_file(&path).expect("the socket's file");
        assert!(!reached, "{path}: {answer:?}");
        let Ok(Outcome::Refused(error)) = answer else {
            panic!("{path}: {answer:?}");
        };
        assert!(error.desc.contains("No such file or directory"), "{error}");
    }
}

fn no_folder_of_the_host_is_seen(lab: &Lab) {
    let qemu = lab.start();
    // Where a user has libraries of his own is seen.
    let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    for folder in ["tmp", "run", "home", "root", "var", "srv", "mnt"] {
        let path = Path::new("/").join(folder);
        let holds_some = std::env::split_paths(&libraries).any(|one| one.starts_with(&path));
        if path.is_dir() && !holds_some {
            assert_eq!(qemu.names(folder), [""; 0], "/{folder}");
        }
    }
    let directory = lab.isolated.directory().strip_prefix("/").expect("from the root");
    let own = qemu.folder.file_name().expect("a name").to_string_lossy();
    assert_eq!(qemu.names(&directory.to_string_lossy()), [own]);
}

fn no_device_is_there_but_harmless_ones(lab: &Lab) {
    let mut qemu = lab.start();
    let known = [
        "fd",
        "full",
        "net",
        "null",
        "random",
        "stderr",
        "stdin",
        "stdout",
        "urandom",
        "vhost-net",
        "zero",
    ];
    let names = qemu.names("dev");
    assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
    assert!(names.contains(&"null".to_owned()), "{names:?}");
    let pty = r#"{"id": "c0", "backend": {"type": "pty", "data": {}}}"#;
    let refused = qemu.refusal("chardev-add", pty);
    assert!(refused.contains("PTY"), "{refused}");
    let null = qemu.write_to("c1", Path::new("/dev/null"));
    assert!(matches!(null, Ok(Outcome::Done(_))), "{null:?}");
}

fn no_process_is_seen_but_its_own(lab: &Lab) {
    let qemu = lab.start();
    let numbers: Vec<u32> =
        qemu.names("proc").iter().filter_map(|name| name.parse().ok()).collect();
    // The first process, and QEMU.
    assert_eq!(numbers.len(), 2, "{numbers:?}");
}

/// QEMU's own filter brings this with it, so it is tried without.
fn no_privileges_are_new(lab: &Lab) {
    let mut program = lab.program.clone();
    program.set(Fence::Sandbox, false);
    let qemu = lab.start_as(&program);
    assert_eq!(qemu.status("NoNewPrivs"), "1");
    program.set(Fence::Kernel(Kernel::NoNewPrivileges), false);
    assert_eq!(lab.start_as(&program).status("NoNewPrivs"), "0", "nobody else sets it");
}

fn no_capability_is_left(lab: &Lab) {
    let mut program = lab.program.clone();
    // Without them nothing else keeps root's.
    program.set(Fence::Sandbox, false);
    program.set(Fence::Kernel(Kernel::NoNewPrivileges), false);
    let qemu = lab.start_as(&program);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let bits = u64::from_str_radix(&qemu.status(set), 16).expect("a set of capabilities");
        assert_eq!(bits, 0, "{set}");
    }
}

fn it_is_in_a_pid_namespace(lab: &Lab) {
    let qemu = lab.start();
    let numbers = qemu.status("NSpid");
    let mut numbers = numbers.split_whitespace().rev();
    let within: u32 = numbers.next().expect("a number").parse().expect("a number");
    assert_eq!(numbers.next(), Some(&*qemu.id().to_string()), "a number on this side");
    assert!(within > 1, "the first process is not QEMU, which the kernel would shield");
}

fn all_ends_with_the_first_process(lab: &Lab) {
    let mut qemu = lab.start();
    let init = qemu.status("PPid").parse().expect("a number");
    kill(Pid::from_raw(init), Signal::SIGKILL).expect("it is there");
    // The others are killed while it ends, which takes as long as it takes.
    let ended = loop {
        if let Err(ended) = qemu.ask("query-status", "{}") {
            break ended;
        }
    };
    assert!(ended.contains("SIGKILL"), "{ended}");
    assert!(!qemu.proc("status").exists());
}

fn an_abort_is_seen_as_one(lab: &Lab) {
    let mut qemu = lab.start();
    let id = i32::try_from(qemu.id()).expect("a number");
    kill(Pid::from_raw(id), Signal::SIGABRT).expect("it is there");
    let ended = qemu.ask("query-status", "{}").expect_err("it is ended");
    assert!(ended.contains("signal 6, SIGABRT"), "{ended}");
}

fn the_environment_is_a_list_of_ours(lab: &Lab) {
    let qemu = lab.start();
    let text = fs::read_to_string(qemu.proc("environ")).expect("its environment");
    // Cargo gives each test some, as a user's shell does.
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO")));
    assert!(!text.contains("CARGO") && text.contains("LC_ALL=C"), "{text}");
}

fn no_descriptor_is_there_but_its_own(lab: &Lab) {
    let path = lab.folder().join("open");
    let file = File::create(&path).expect("a file");
    // As a careless library opens one.
    fcntl(file.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).expect("a flag");
    let qemu = lab.start();
    for id in [qemu.id().to_string(), qemu.status("PPid")] {
        let open = fs::read_dir(format!("/proc/{id}/fd")).expect("descriptors");
        let links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        assert_eq!(links.filter(|link| *link == path).count(), 0, "process {id}");
    }
}

fn no_core_and_no_file_without_bounds(lab: &Lab) {
    let qemu = lab.start();
    let text = fs::read_to_string(qemu.proc("limits")).expect("its limits");
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of("Max core file size"), ["0", "0"]);
    let most = (1_u64 << 30).to_string();
    assert_eq!(of("Max file size"), [most.as_str(), most.as_str()]);
}

fn the_network_is_not_the_hosts(lab: &Lab) {
    let qemu = lab.start();
    let own = fs::read_link(qemu.proc("ns/net")).expect("its network namespace");
    assert_ne!(own, lab.host);
}

fn no_key_of_the_terminal_reaches_it(lab: &Lab) {
    let qemu = lab.start();
    let id = i32::try_from(qemu.id()).expect("a number");
    let session = |process| getsid(process).expect("a session");
    assert_ne!(session(Some(Pid::from_raw(id))), session(None));
}
