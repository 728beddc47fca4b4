//! What must not be written to.

use std::{fs, os::unix::fs::symlink};

use nix::{sys::stat::Mode, unistd::mkfifo};
use rstest::rstest;

use crate::project::{PLAIN, Project, listing};

const FAILS: &str = "description: Something is expected.\nchardevs: { out0: {} }\nsteps:\n  - note: a\n  \
                     - note: b\n  - expect: { out0: 1 }\n";

fn project(text: &str) -> Project {
    let project = Project::new();
    project.write("project/suite/a.yaml", text);
    project.write("victim", "mine");
    project
}

#[rstest]
fn a_report_goes_into_no_pipe_and_through_no_link(
    #[values("json", "junit", "markdown")] kind: &str,
) {
    let project = project(PLAIN);
    mkfifo(&project.path("project/suite/fifo"), Mode::S_IRWXU).unwrap();
    symlink("../../victim", project.path("project/suite/link")).unwrap();
    for (name, reason) in [("fifo", "it is a pipe (FIFO)"), ("link", "it is a link")] {
        let report = format!("{kind}={name}");
        let done = project.tapwright(&["run", "--backend", "sim", "a.yaml", "--report", &report]);
        done.is_refused(reason);
        done.says("TW-E060");
    }
    assert_eq!(fs::read(project.path("victim")).unwrap(), b"mine");
}

#[test]
fn a_page_is_no_exception() {
    let project = project(PLAIN);
    fs::create_dir(project.path("project/suite/page")).unwrap();
    mkfifo(&project.path("project/suite/page/index.html"), Mode::S_IRWXU).unwrap();
    let run = ["run", "--backend", "sim", "a.yaml", "--report", "html=page"];
    project.tapwright(&run).is_refused("it is a pipe (FIFO)");
}

#[test]
fn a_report_goes_where_a_shell_leads_standard_output() {
    let project = project(PLAIN);
    let report = "json=/dev/stdout";
    let run = ["run", "--backend", "sim", "--accept", "--format", "json", "a.yaml"];
    let run = [&run[..], &["--report", report]].concat();
    let done = project.tapwright(&run);
    done.ends(&[0]);
    done.says("\"format\":1");
    // As a file, too: the report goes behind what is there.
    let done = project.shell("exec \"$@\" >out.json", &run, b"");
    done.ends(&[0]);
    let text = fs::read_to_string(project.path("project/suite/out.json")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() > 1 && lines[0].contains("\"type\""), "{text}");
    assert!(lines[lines.len() - 1].contains("\"format\":1"), "{text}");
    for other in ["json=/dev/null", "junit=/dev/stderr"] {
        let run = ["run", "--backend", "sim", "a.yaml", "--report", other];
        project.tapwright(&run).ends(&[0]);
    }
    let script = "exec \"$@\" 3>third";
    let run = ["run", "--backend", "sim", "a.yaml", "--report", "json=/dev/fd/3"];
    project.shell(script, &run, b"").ends(&[0]);
    let text = fs::read_to_string(project.path("project/suite/third")).unwrap();
    assert!(text.starts_with("{\"format\":1"), "{text}");
}

#[test]
fn a_table_of_agreement_goes_into_no_pipe() {
    let project = project(PLAIN);
    mkfifo(&project.path("project/suite/fifo"), Mode::S_IRWXU).unwrap();
    let run = ["run", "--agree", "sim,netns", "a.yaml", "--agree-table", "fifo"];
    let done = project.tapwright(&run);
    // Where netns can't run the table is not made.
    done.ends(&[3, 70]);
    if done.code == Some(70) {
        done.says("it is a pipe (FIFO)");
    }
}

#[test]
fn a_smaller_scenario_replaces_a_link_and_goes_into_no_pipe() {
    let project = project(FAILS);
    let minimise = ["minimise", "--backend", "sim", "a.yaml"];
    let beside = project.path("project/suite/a.min.yaml");
    symlink("../../victim", &beside).unwrap();
    project.tapwright(&minimise).ends(&[0]);
    assert!(fs::symlink_metadata(&beside).unwrap().is_file());
    fs::remove_file(&beside).unwrap();
    mkfifo(&beside, Mode::S_IRWXU).unwrap();
    project.tapwright(&[&minimise[..], &["--out", "a.min.yaml"]].concat()).is_refused("TW-E022");
    assert_eq!(fs::read(project.path("victim")).unwrap(), b"mine");
    let out = [&minimise[..], &["--out", "/dev/stdout"]].concat();
    project.tapwright(&out).says("description: Something is expected.");
}

#[test]
fn an_import_is_written_over_nothing() {
    let project = project(PLAIN);
    let paste = b"-netdev tap,id=hn0 -object filter-dump,id=d0,netdev=hn0,file=x";
    symlink("../../nothing", project.path("project/suite/b.yaml")).unwrap();
    project.fed(&["import", "--out", "b.yaml"], paste).is_refused("'b.yaml'");
    assert!(!project.path("nothing").exists());
}

#[test]
fn captures_of_a_run_replace_what_is_there() {
    let project = project(
        "description: A frame.\nnetdevs: { h: {} }\nsteps:\n  - send: h.guest\n    \
                           frames: [{ hex: \"ffffffffffff52540012345688b5\" }]\n",
    );
    let out = project.path("project/suite/out/a");
    fs::create_dir_all(&out).unwrap();
    let run = ["run", "--backend", "sim", "--out", "out", "a.yaml"];
    for there in ["fifo", "link"] {
        let capture = out.join("case.pcapng");
        match there {
            "fifo" => mkfifo(&capture, Mode::S_IRWXU).unwrap(),
            _ => symlink("../../../../victim", &capture).unwrap(),
        }
        project.tapwright(&run).ends(&[5]);
        assert!(fs::symlink_metadata(&capture).unwrap().is_file(), "{there}");
        assert_eq!(listing(&out), ["case.pcapng"]);
        fs::remove_file(capture).unwrap();
    }
    assert_eq!(fs::read(project.path("victim")).unwrap(), b"mine");
    // A folder for them that is a link of somebody else gets none of them.
    fs::remove_dir(&out).unwrap();
    symlink("../../..", &out).unwrap();
    let done = project.tapwright(&run);
    done.says("'out/a/case.pcapng' can't be written: it is not below the root 'out'");
    assert_eq!(listing(&project.path("")), ["project", "secret.pcap", "secret.txt", "victim"]);
}
