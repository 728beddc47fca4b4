//! Where QEMUs are tried, and what is asked of them and of the kernel about them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tapwright::{
    backend::qemu::{Arguments, Process, Program, Qmp},
    record::Outcome,
    sys::Isolated,
};

/// A QEMU that bears all fences, and where it is tried.
#[derive(Clone)]
pub(crate) struct Lab {
    pub(crate) isolated: Isolated,
    /// The program's name, as it is given on a command line.
    pub(crate) name: PathBuf,
    pub(crate) program: Program,
    /// The network namespace of the process before it was isolated.
    pub(crate) host: PathBuf,
}

impl Lab {
    /// A case's folder.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = self.isolated.directory().join(self.isolated.unique("trial"));
        fs::create_dir(&folder).expect("a folder in the private tmpfs");
        folder
    }

    /// A QEMU behind all fences.
    pub(crate) fn start(&self) -> Running {
        self.start_as(&self.program)
    }

    /// A QEMU that is started so.
    pub(crate) fn start_as(&self, program: &Program) -> Running {
        let folder = self.folder();
        let mut arguments = Arguments::default();
        arguments.write_in(&folder);
        let (process, qmp) = Process::start(program, arguments).expect("QEMU starts");
        let mut running = Running { process, qmp, folder };
        running.ask("qmp_capabilities", "{}").expect("QEMU answers");
        running
    }
}

/// A QEMU that does what it is asked, whatever that is.
pub(crate) struct Running {
    pub(crate) process: Process,
    qmp: Qmp,
    pub(crate) folder: PathBuf,
}

impl Running {
    /// Its answer; how it ended when it ended of that.
    pub(crate) fn ask(&mut self, command: &str, arguments: &str) -> Result<Outcome, String> {
        let arguments: Value = serde_json::from_str(arguments).expect("JSON");
        self.process.ask(&mut self.qmp, command, arguments.as_object())
    }

    /// What it answers when it refuses.
    pub(crate) fn refusal(&mut self, command: &str, arguments: &str) -> String {
        match self.ask(command, arguments) {
            Ok(Outcome::Refused(error)) => error.desc,
            other => panic!("{command} {arguments}: {other:?}"),
        }
    }

    /// `chardev-add` of a file.
    pub(crate) fn write_to(&mut self, id: &str, path: &Path) -> Result<Outcome, String> {
        let path = path.display();
        let arguments = format!(
            r#"{{"id": "{id}", "backend": {{"type": "file", "data": {{"out": "{path}"}}}}}}"#
        );
        self.ask("chardev-add", &arguments)
    }

    /// Its number in this process's `/proc`.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().expect("it has answered")
    }

    /// A file of its own below `/proc`.
    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.id())).join(name)
    }

    /// What stands behind a name in `/proc/PID/status`.
    pub(crate) fn status(&self, name: &str) -> String {
        let text = fs::read_to_string(self.proc("status")).expect("its status");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).trim().to_owned()
    }

    /// The names in a folder as it sees that.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let folder = self.proc("root").join(folder);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// The processes whose command line holds this.
pub(crate) fn processes(text: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    let holds = |number: &i32| {
        let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(text)
    };
    numbers.filter(holds).collect()
}
