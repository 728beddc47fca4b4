//! Asks a real QEMU what the records ask, and writes its answers in the records' own form.
//!
//! A record is a question (set-up, commands, steps) with its answer. Recording takes the questions
//! of files that exist and keeps everything of a line but its answers and its version, so that a
//! file can be remade from any QEMU, and a new question is one line written by hand.

mod cli;
mod command;
mod datapath;
mod endpoint;
mod idle;
mod line;
mod process;
mod tap;
mod vhost;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::{Map, Value};
use tapwright::{
    backend::{
        BackendError, Qemu,
        netns::{Network, unavailable},
        qemu::{self, Admission, Program},
    },
    sys::{
        Fence, InterfaceName, InterfaceNameError, Isolated, NamespaceError, enter_fresh, isolate,
    },
};

use super::record::{Record, RecordError};
use process::Version;

/// The name of the monitor's chardev, which questions speak of.
const MONITOR: &str = "qmp0";

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("a recording is one file, not {0}")]
    Files(usize),
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("{}:{line}: {source}", file.display())]
    Question { file: PathBuf, line: usize, source: Box<AskError> },
    #[error("nothing could be asked: {places}: {reason}")]
    Nothing { places: String, reason: String },
    #[error("{0}")]
    Record(#[from] RecordError),
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("{0}")]
    Backend(#[from] BackendError),
    #[error("{0}")]
    Namespace(#[from] NamespaceError),
    #[error("{0}")]
    Name(#[from] InterfaceNameError),
    #[error("QEMU can't be started with this set-up: {0}")]
    NotStarted(String),
    #[error("QEMU does not answer")]
    Silent,
    #[error("QEMU: {0}")]
    Qmp(String),
    #[error("no client can connect to chardev {0}")]
    NotAccepted(String),
}

/// What a recording is made of.
#[derive(Debug)]
struct Recording<'a> {
    /// The QEMU that is asked.
    qemu: &'a Path,
    /// Files of records; their answers are not looked at.
    questions: &'a [PathBuf],
    /// The file that is written.
    out: &'a Path,
}

/// What a recording came to.
#[derive(Debug)]
struct Made {
    /// How many answers there are.
    count: usize,
    /// Why questions could not be asked, and where they stand.
    unanswered: BTreeMap<String, Vec<String>>,
}

/// Places that a reason names.
const MOST_PLACES: usize = 3;

/// The first of some places, and how many more there are.
fn listed(places: &[String]) -> String {
    let shown = places.iter().take(MOST_PLACES).cloned().collect::<Vec<_>>().join(", ");
    match places.len().saturating_sub(MOST_PLACES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Records into the one file of `files`, and says how many answers there are. Without `questions`
/// those of the newest shipped records are asked. A question that can't be asked is named with its
/// reason, and the others are asked all the same.
pub(crate) fn run(qemu: &Path, questions: &[PathBuf], files: &[PathBuf]) -> ExitCode {
    let recorded = match files {
        [out] => newest(questions).and_then(|questions| {
            let recording = Recording { qemu, questions: &questions, out };
            Ok((out, recording.make()?))
        }),
        _ => Err(AskError::Files(files.len())),
    };
    match recorded {
        Ok((out, made)) => {
            for (reason, places) in &made.unanswered {
                anstream::eprintln!("conform: not asked: {}: {reason}", listed(places));
            }
            anstream::println!("{}: {} answers", out.display(), made.count);
            if made.unanswered.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => {
            anstream::eprintln!("conform: {error}");
            ExitCode::from(2)
        }
    }
}

/// These files, or of the shipped ones the newest of each name.
fn newest(questions: &[PathBuf]) -> Result<Vec<PathBuf>, AskError> {
    if !questions.is_empty() {
        return Ok(questions.to_vec());
    }
    let folder = crate::chore::root().join("fixtures/qemu");
    let failed = |source| AskError::File { file: folder.clone(), source };
    let mut newest: BTreeMap<String, ((u32, u32), PathBuf)> = BTreeMap::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let Some((name, version)) = name_and_version(&file) else {
            continue;
        };
        if newest.get(&name).is_none_or(|(other, _)| *other < version) {
            newest.insert(name, (version, file));
        }
    }
    Ok(newest.into_values().map(|(_, file)| file).collect())
}

/// `errors`, 10 and 2 of `errors-10.2.jsonl`.
fn name_and_version(file: &Path) -> Option<(String, (u32, u32))> {
    let stem = file.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    let (name, version) = stem.rsplit_once('-')?;
    let (major, minor) = version.split_once('.')?;
    Some((name.to_owned(), (major.parse().ok()?, minor.parse().ok()?)))
}

impl Recording<'_> {
    fn make(&self) -> Result<Made, AskError> {
        let questions = self.read()?;
        // Opened now, since isolation may hide its directory, and written when all went well.
        let file = || self.out.to_owned();
        let mut out = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.out)
            .map_err(|source| AskError::File { file: file(), source })?;
        let mut lab = Lab::open(self.qemu)?;
        let mut text = String::new();
        let mut rest = questions.as_slice();
        let mut made = Made { count: 0, unanswered: BTreeMap::new() };
        while !rest.is_empty() {
            let (case, others) = rest.split_at(length_of_case(rest));
            match lab.ask(case) {
                Ok(answers) => {
                    for answer in answers {
                        text.push_str(&line::render(&Value::Object(answer)));
                        text.push('\n');
                        made.count += 1;
                    }
                }
                Err(error) => {
                    let places = case.iter().map(|question| shown(&question.place));
                    made.unanswered.entry(error.to_string()).or_default().extend(places);
                }
            }
            rest = others;
        }
        if made.count == 0
            && let Some((reason, places)) = made.unanswered.pop_first()
        {
            return Err(AskError::Nothing { places: listed(&places), reason });
        }
        out.set_len(0)
            .and_then(|()| out.rewind())
            .and_then(|()| out.write_all(text.as_bytes()))
            .map_err(|source| AskError::File { file: file(), source })?;
        Ok(made)
    }

    fn read(&self) -> Result<Vec<Question>, AskError> {
        let mut questions = Vec::new();
        for file in self.questions {
            let text = fs::read_to_string(file)
                .map_err(|source| AskError::File { file: file.clone(), source })?;
            for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let place = (file.clone(), at + 1);
                questions.push(
                    Question::parse(line, place.clone()).map_err(|error| at_line(&place, error))?,
                );
            }
        }
        Ok(questions)
    }
}

/// A place as messages name it.
fn shown((file, line): &(PathBuf, usize)) -> String {
    format!("{}:{line}", file.display())
}

fn at_line((file, line): &(PathBuf, usize), error: impl Into<AskError>) -> AskError {
    AskError::Question { file: file.clone(), line: *line, source: Box::new(error.into()) }
}

/// A record of which only the question counts.
struct Question {
    record: Record,
    /// The line as it was, with its keys in their order.
    line: Map<String, Value>,
    place: (PathBuf, usize),
}

impl Question {
    fn parse(line: &str, place: (PathBuf, usize)) -> Result<Self, RecordError> {
        Ok(Self { record: Record::parse(line)?, line: serde_json::from_str(line)?, place })
    }

    /// The line without these keys and with the version, for new answers to be appended.
    fn without(&self, answers: &[&str], version: &str) -> Map<String, Value> {
        let mut line = self.line.clone();
        for key in answers {
            line.shift_remove(*key);
        }
        line.insert("qemu".to_owned(), version.into());
        line
    }
}

/// How many questions at the front are asked of one machine: the steps on a TAP of one case.
fn length_of_case(questions: &[Question]) -> usize {
    let Some((first, others)) = questions.split_first() else {
        return 0;
    };
    let Record::Tap(first) = &first.record else {
        return 1;
    };
    let same = |question: &&Question| match &question.record {
        Record::Tap(other) => super::tap::same_machine(first, other),
        _ => false,
    };
    1 + others.iter().take_while(same).count()
}

/// Where QEMUs are asked: in namespaces of this process's own.
struct Lab {
    isolated: Isolated,
    program: Program,
    version: Version,
    started: usize,
}

impl Lab {
    fn open(program: &Path) -> Result<Self, AskError> {
        let isolated = isolate().map_err(|error| unavailable(&error))?;
        let qemu = Qemu::new(isolated.clone(), program.to_owned(), Admission::Listed)?;
        let mut program = qemu.program().clone();
        // The records' own questions are about TAPs that QEMU makes itself, and about terminals.
        for fence in [Fence::Devices, Fence::Capabilities] {
            program.set(qemu::Fence::Kernel(fence), false);
        }
        let mut lab = Self { isolated, program, version: Version::default(), started: 0 };
        let place = lab.place()?;
        lab.version = process::version(&lab, &place)?;
        Ok(lab)
    }

    /// Asks the questions of one machine.
    fn ask(&mut self, case: &[Question]) -> Result<Vec<Map<String, Value>>, AskError> {
        let Some(first) = case.first() else {
            return Ok(Vec::new());
        };
        let place = self.place()?;
        match &first.record {
            Record::Error(record) => command::ask(self, &place, first, record).map(|one| vec![one]),
            Record::Cli(record) => cli::ask(self, &place, first, record).map(|one| vec![one]),
            Record::Datapath(record) => {
                datapath::ask(self, &place, first, record).map(|one| vec![one])
            }
            Record::Tap(record) => tap::ask(self, &place, case, record),
        }
    }

    /// A fresh namespace whose `lo` is up, and a folder.
    fn place(&mut self) -> Result<Place, AskError> {
        enter_fresh(&self.isolated)?;
        let network = Network::open(&self.isolated).map_err(BackendError::from)?;
        let lo: InterfaceName = "lo".parse()?;
        network
            .index(&lo)
            .and_then(|index| network.set_up(index, true))
            .map_err(BackendError::from)?;
        self.started += 1;
        let folder = self.isolated.directory().join(self.started.to_string());
        fs::create_dir(&folder).map_err(system("the run's folder"))?;
        Ok(Place { folder })
    }
}

/// The folder of a run, which records call `@D`.
struct Place {
    folder: PathBuf,
}

impl Place {
    /// A text of a question, for QEMU.
    fn expand(&self, text: &str) -> String {
        text.replace("@D", &self.folder.to_string_lossy())
    }

    /// A text of QEMU, for a record.
    fn contract(&self, text: &str) -> String {
        text.replace(&*self.folder.to_string_lossy(), "@D")
    }

    fn expand_all(&self, value: &Value) -> Value {
        line::map_strings(value, &|text| self.expand(text))
    }

    fn contract_all(&self, value: &Value) -> Value {
        line::map_strings(value, &|text| self.contract(text))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // In a private tmpfs, which goes with the process.
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> AskError {
    move |source| AskError::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_records_ask_by_default() {
        let files = newest(&[]).unwrap();
        let named = |name: &str| {
            let found = files.iter().find(|file| file.ends_with(name));
            assert!(found.is_some(), "{name}: {files:?}");
        };
        named("errors-11.1.jsonl");
        named("datapath-11.1.jsonl");
        named("tap-11.1.jsonl");
        assert!(!files.iter().any(|file| file.ends_with("errors-10.2.jsonl")));
        let given = [PathBuf::from("mine.jsonl")];
        assert_eq!(newest(&given).unwrap(), given);
    }

    #[test]
    fn steps_on_one_tap_are_asked_together() {
        let line = |case: &str, step: &str| {
            format!(
                "{{\"case\": \"{case}\", \"qemu\": \"7.2.22\", \"filters\": [], \
                 \"nic\": \"none\", \"vm\": \"none\", \"step\": \"{step}\"}}"
            )
        };
        let question = |line: String| Question::parse(&line, (PathBuf::new(), 1)).unwrap();
        let error = r#"{"case": "e", "qemu": "7.2.22", "setup": "std", "cmd": "stop", "args": {},
            "class": null, "desc": null}"#;
        let questions = [
            question(line("a", "stderr")),
            question(line("a", "stderr")),
            question(line("b", "stderr")),
            question(error.to_owned()),
            question(error.to_owned()),
        ];
        let lengths: Vec<usize> = (0..=5).map(|at| length_of_case(&questions[at..])).collect();
        assert_eq!(lengths, [2, 1, 1, 1, 1, 0]);
    }

    #[test]
    fn answers_go_and_questions_stay() {
        let text = r#"{"case": "a", "qemu": "7.2.22", "setup": "std", "cmd": "stop", "args": {},
            "class": "GenericError", "desc": "no"}"#;
        let question = Question::parse(text, (PathBuf::new(), 1)).unwrap();
        let rest = question.without(&["class", "desc"], "10.3.0");
        assert_eq!(
            line::render(&Value::Object(rest)),
            r#"{"case": "a", "qemu": "10.3.0", "setup": "std", "cmd": "stop", "args": {}}"#
        );
    }
}
