//! QEMUs that are started by a script, or lie where nothing is seen: they work, behind the fences.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tapwright::backend::{
    Qemu,
    qemu::{Admission, Fence, Program},
};
use tempfile::TempDir;

use crate::{
    Try,
    lab::{Lab, processes},
};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("what_a_script_leaves_running_ends_with_qemu", what_a_script_leaves_running_ends_with_qemu),
    ("the_first_process_tells_nothing", the_first_process_tells_nothing),
    ("a_script_without_exec_is_not_qemu", a_script_without_exec_is_not_qemu),
    ("what_it_died_of_is_told_through_a_shell", what_it_died_of_is_told_through_a_shell),
    ("a_program_in_an_empty_folder_is_seen", a_program_in_an_empty_folder_is_seen),
    ("somebody_elses_build_is_run", somebody_elses_build_is_run),
    ("a_private_build_is_read", a_private_build_is_read),
    ("a_qemu_without_a_sandbox_runs_without_that_alone", a_qemu_without_a_sandbox),
    ("a_script_that_needs_a_folder_gets_it", a_script_that_needs_a_folder_gets_it),
    ("a_script_that_starts_a_script_is_followed", a_script_that_starts_a_script_is_followed),
    ("folders_that_a_script_hands_over_are_seen", folders_that_a_script_hands_over_are_seen),
    ("what_a_script_names_in_shared_folders_is_not_seen", shared_folders_are_not_seen),
    ("modules_of_another_build_are_hidden", modules_of_another_build_are_hidden),
    ("what_is_no_qemu_is_said_to_be_none", what_is_no_qemu_is_said_to_be_none),
];

/// A script, in a folder that goes with it.
fn script(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("qemu");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script");
    (folder, path)
}

/// A copy of QEMU, which finds what belongs to it as one in a build tree does.
fn copy(lab: &Lab, folder: &Path) -> PathBuf {
    let path = folder.join("qemu");
    fs::copy(lab.program.file(), &path).expect("a copy");
    let bundle = folder.join("qemu-bundle");
    fs::create_dir(&bundle).expect("a folder");
    symlink("/usr", bundle.join("usr")).expect("a link");
    path
}

/// It bears all fences.
fn fenced(lab: &Lab, path: &Path) -> Program {
    let qemu =
        Qemu::new(lab.isolated.clone(), path.to_owned(), Admission::Listed).expect("QEMU answers");
    assert_eq!(qemu.probed().missing, []);
    qemu.program().clone()
}

fn what_a_script_leaves_running_ends_with_qemu(lab: &Lab) {
    let sleep = format!("sleep 3000{}", std::process::id());
    let name = lab.program.file().display();
    let (_folder, path) = script(&format!("{sleep} &\nexec {name} \"$@\""));
    let qemu = lab.start_as(&fenced(lab, &path));
    let while_it_runs = processes(&sleep);
    drop(qemu);
    let left = processes(&sleep);
    for one in &left {
        kill(Pid::from_raw(*one), Signal::SIGKILL).expect("it is there");
    }
    assert_eq!((while_it_runs.len(), left.len()), (1, 0), "those of the first look are gone too");
}

/// It is a copy of this process, with the memory and the environment of that.
fn the_first_process_tells_nothing(lab: &Lab) {
    let name = lab.program.file().display();
    let (_folder, path) =
        script(&format!("cat /proc/1/environ /proc/$$/environ >$TMPDIR/read\nexec {name} \"$@\""));
    let qemu = lab.start_as(&fenced(lab, &path));
    let read = fs::read_to_string(qemu.folder.join("read")).expect("what it could read");
    assert!(read.contains("LC_ALL=C") && !read.contains("CARGO"), "{read}");
}

fn a_script_without_exec_is_not_qemu(lab: &Lab) {
    let name = lab.program.file().display();
    let (_folder, path) = script(&format!("{name} \"$@\"\nexit $?"));
    let qemu = lab.start_as(&fenced(lab, &path));
    let line = fs::read_to_string(qemu.proc("comm")).expect("its name");
    assert!(line.starts_with("qemu"), "{line}");
    let parent = qemu.status("PPid");
    let line = fs::read_to_string(format!("/proc/{parent}/cmdline")).expect("the script");
    assert!(line.starts_with("/bin/sh"), "{line}");
    let id = qemu.id();
    drop(qemu);
    assert!(!Path::new(&format!("/proc/{id}/status")).exists());
}

fn what_it_died_of_is_told_through_a_shell(lab: &Lab) {
    let name = lab.program.file().display();
    let (_folder, path) = script(&format!("{name} \"$@\"\nexit $?"));
    let mut qemu = lab.start_as(&fenced(lab, &path));
    let id = i32::try_from(qemu.id()).expect("a number");
    kill(Pid::from_raw(id), Signal::SIGABRT).expect("it is there");
    let ended = qemu.ask("query-status", "{}").expect_err("it is ended");
    assert!(ended.contains("signal 6, SIGABRT"), "{ended}");
}

/// As in a build tree.
fn a_program_in_an_empty_folder_is_seen(lab: &Lab) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let build = folder.path().join("build");
    fs::create_dir(&build).expect("a folder");
    let path = copy(lab, &build);
    fs::write(folder.path().join("other"), "").expect("a file");
    let qemu = lab.start_as(&fenced(lab, &path));
    let within = folder.path().strip_prefix("/").expect("from the root").to_string_lossy();
    assert_eq!(qemu.names(&within), ["build"]);
    assert_eq!(qemu.names(&format!("{within}/build")), ["qemu", "qemu-bundle"]);
}

/// A copy in a folder of another user's, in a private folder of that user's.
fn private(lab: &Lab, mode: u32) -> (TempDir, PathBuf) {
    const SOMEBODY: u32 = 1000;
    let home = tempfile::tempdir().expect("a temporary folder");
    let build = home.path().join("build");
    fs::create_dir(&build).expect("a folder");
    let path = copy(lab, &build);
    for (folder, mode) in [(&build, mode), (&home.path().to_owned(), 0o700)] {
        chown(folder, Some(SOMEBODY), Some(SOMEBODY)).expect("a user");
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).expect("permissions");
    }
    (home, path)
}

fn somebody_elses_build_is_run(lab: &Lab) {
    if lab.isolated.in_user_namespace() {
        return;
    }
    let (_home, path) = private(lab, 0o755);
    let qemu = lab.start_as(&fenced(lab, &path));
    assert_eq!(u64::from_str_radix(&qemu.status("CapEff"), 16), Ok(0));
}

fn a_private_build_is_read(lab: &Lab) {
    const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
    if lab.isolated.in_user_namespace() {
        return;
    }
    let (_home, path) = private(lab, 0o700);
    let qemu = Qemu::new(lab.isolated.clone(), path, Admission::Listed).expect("QEMU answers");
    let missing = &qemu.probed().missing;
    let capabilities = Fence::Kernel(tapwright::sys::Fence::Capabilities);
    assert!(missing.len() == 1 && missing[0].fence == capabilities, "{missing:?}");
    assert!(missing[0].reason.contains("Permission denied"), "{missing:?}");
    let running = lab.start_as(qemu.program());
    assert_eq!(u64::from_str_radix(&running.status("CapBnd"), 16), Ok(CAP_DAC_READ_SEARCH));
}

fn a_qemu_without_a_sandbox(lab: &Lab) {
    let name = lab.program.file().display();
    let (_folder, path) = script(&format!(
        "case \"$*\" in *-sandbox*) echo \"$0: -sandbox on: not built\" >&2; exit 1;; esac\n\
         exec {name} \"$@\""
    ));
    let qemu = Qemu::new(lab.isolated.clone(), path, Admission::Listed).expect("QEMU answers");
    let missing = &qemu.probed().missing;
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(missing[0].fence, Fence::Sandbox);
    assert!(missing[0].reason.contains("not built"), "{missing:?}");
    assert!(qemu.probed().warning().is_some_and(|text| text.contains("sandbox")));
    assert_eq!(lab.start_as(qemu.program()).status("NoNewPrivs"), "1");
}

/// What it runs lies elsewhere, and is found by what the kernel says that it has mapped.
fn a_script_that_needs_a_folder_gets_it(lab: &Lab) {
    let elsewhere = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    let copy = copy(lab, elsewhere.path());
    let (_folder, path) = script(&format!("exec {} \"$@\"", copy.display()));
    let qemu = lab.start_as(&fenced(lab, &path));
    let top = elsewhere.path().file_name().expect("a name").to_string_lossy();
    assert_eq!(qemu.names("var/tmp"), [top]);
}

/// The second script is not mapped by anything, and its folder is as empty as any other.
fn a_script_that_starts_a_script_is_followed(lab: &Lab) {
    let elsewhere = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    let copy = copy(lab, elsewhere.path());
    let (inner_folder, inner) = script(&format!("Q=\"{}\"\nexec \"$Q\" \"$@\"", copy.display()));
    let (_folder, path) = script(&format!("exec {} \"$@\"", inner.display()));
    let qemu = lab.start_as(&fenced(lab, &path));
    let within = inner_folder.path().strip_prefix("/").expect("from the root").to_string_lossy();
    assert_eq!(qemu.names(&within), ["qemu"]);
}

/// Their paths are made by the script, and QEMU answers without them.
fn folders_that_a_script_hands_over_are_seen(lab: &Lab) {
    let elsewhere = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    for folder in ["modules", "data", "other"] {
        fs::create_dir(elsewhere.path().join(folder)).expect("a folder");
    }
    let name = elsewhere.path().file_name().expect("a name").to_string_lossy();
    let program = lab.program.file().display();
    let (_folder, path) = script(&format!(
        "d=var; d=\"/$d/tmp/{name}\"\nexport QEMU_MODULE_DIR=\"$d/modules\"\n\
         exec {program} -L \"$d/data\" \"$@\""
    ));
    let qemu = lab.start_as(&fenced(lab, &path));
    assert_eq!(qemu.names(&format!("var/tmp/{name}")), ["data", "modules"]);
}

/// Of a folder that anybody may write to, a file that is named is seen alone.
fn shared_folders_are_not_seen(lab: &Lab) {
    let shared = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o777)).expect("permissions");
    for file in ["named", "other"] {
        fs::write(shared.path().join(file), "").expect("a file");
    }
    let (folder, program) = (shared.path().display(), lab.program.file().display());
    let (_folder, path) =
        script(&format!("ls /home /var/tmp {folder} {folder}/named >&2\nexec {program} \"$@\""));
    let qemu = lab.start_as(&fenced(lab, &path));
    let name = shared.path().file_name().expect("a name").to_string_lossy();
    assert_eq!(qemu.names("var/tmp"), [&*name]);
    assert_eq!(qemu.names(&format!("var/tmp/{name}")), ["named"]);
}

/// As a QEMU does that finds the modules of another one where it was to be installed.
fn modules_of_another_build_are_hidden(lab: &Lab) {
    let modules = tempfile::tempdir_in("/opt").expect("a temporary folder");
    fs::write(modules.path().join("ui.so"), "").expect("a file");
    let (module, program) = (modules.path().join("ui.so"), lab.program.file().display());
    let module = module.display();
    let (_folder, path) = script(&format!(
        "if [ -e {module} ]; then\n\
         echo 'Only modules from the same build can be loaded.' >&2\n\
         echo 'qemu: failed to initialize module: {module}' >&2\n\
         kill -ABRT $$\nfi\nexec {program} \"$@\""
    ));
    let qemu = lab.start_as(&fenced(lab, &path));
    let within = modules.path().strip_prefix("/").expect("from the root").to_string_lossy();
    assert!(qemu.names(&within).is_empty());
}

fn what_is_no_qemu_is_said_to_be_none(lab: &Lab) {
    let (_folder, path) = script("echo what >&2; exit 3");
    let error =
        Qemu::new(lab.isolated.clone(), path, Admission::Listed).expect_err("no QEMU").to_string();
    assert!(error.contains("what (exit status 3)"), "{error}");
    let missing = Qemu::new(lab.isolated.clone(), lab.name.join("none"), Admission::Listed);
    assert!(missing.is_err());
}
