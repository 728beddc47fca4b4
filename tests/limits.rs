//! What the real binary says and how it ends when the process may have too little of something:
//! descriptors, threads, memory, the size of a file. It never ends by a signal or with the exit
//! status of a panic, and never calls a limit a bug of its own.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};

use rstest::rstest;

const SCENARIO: &str = "description: One frame.\nnetdevs: { hn0: { type: tap } }\nsteps:\n  \
                        - send: hn0.guest\n    frames: [{ payload: x }]\n";

/// Runs the binary in a folder of its own, behind a line of the shell that sets a limit.
fn limited(limit: &str, arguments: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one.yaml"), SCENARIO).unwrap();
    Command::new("sh")
        .arg("-c")
        .arg(format!("{limit} && exec \"$0\" {arguments}"))
        .arg(env!("CARGO_BIN_EXE_tapwright"))
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .env_remove("CI")
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap()
}

/// The same as a user who may have this many processes and threads; none where this process can't
/// become another user, or that user can't reach the binary.
fn as_nobody(threads: usize, arguments: &str) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(folder.path().join("one.yaml"), SCENARIO).unwrap();
    let program = env!("CARGO_BIN_EXE_tapwright");
    let nobody = |limits: &[&str], arguments: &str| {
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(limits)
            .arg(program)
            .args(arguments.split(' '))
            .current_dir(folder.path())
            .env("NO_COLOR", "1")
            .env_remove("CI")
            .env_remove("RUST_BACKTRACE")
            .output()
    };
    if !nobody(&[], "--version").is_ok_and(|version| version.status.success()) {
        drop(writeln!(std::io::stderr(), "skipped: {program} can't be run as nobody"));
        return None;
    }
    // What root may have is not limited so.
    Some(nobody(&["prlimit", &format!("--nproc={threads}")], arguments).unwrap())
}

#[rstest]
#[case::of_memory("run one.yaml --backend sim")]
#[case::of_interfaces("run one.yaml")]
#[case::of_a_fuzz("fuzz --cases 2 --agree sim,netns")]
#[case::of_doctor("doctor")]
fn where_there_is_no_thread_that_is_said(#[case] arguments: &str) {
    let Some(output) = as_nobody(1, arguments) else {
        return;
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("ulimit -u"), "{text}");
    assert!(!text.contains("panicked") && !text.contains("bug of tapwright"), "{text}");
}

#[rstest]
#[case::descriptors_at_the_probe("ulimit -n 8", "run one.yaml", 3, "ulimit -n")]
#[case::descriptors_of_a_case("ulimit -n 12", "run one.yaml -j1", 1, "Too many open files")]
#[case::size_of_a_report(
    "ulimit -f 0",
    "run one.yaml --backend sim --report junit=x.xml",
    70,
    "File too large"
)]
fn a_limit_is_said_by_its_name(
    #[case] limit: &str,
    #[case] arguments: &str,
    #[case] exit: i32,
    #[case] says: &str,
) {
    let output = limited(limit, arguments);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(exit), "{text}");
    assert!(text.contains(says), "{text}");
    assert!(!text.contains("No such file"), "{text}");
    assert!(!text.contains("bug of tapwright"), "{text}");
}
