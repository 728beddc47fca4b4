use std::{io, path::PathBuf};

use crate::{
    diag::{Code, Diagnose, Explanation, Report, Severity},
    file::FileError,
    import::PasteError,
    report::{
        ReportError,
        record::{Oddity, ReadRecordError},
    },
    sys::{IsolationError, exhaustion_remedy},
};

/// What a command can't do, beside what its parts say themselves.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The process can't be isolated, so nothing that touches interfaces can run.
    #[error("the netns backend can't run here: {0}")]
    Isolation(#[from] IsolationError),
    /// A backend can do nothing here.
    #[error("{reason}")]
    Unavailable {
        /// Which, and why.
        reason: String,
        /// How to repair it.
        remedy: Option<String>,
    },
    /// The system refused something that every run needs.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Snapshots would be written in CI.
    #[error("--accept writes snapshots, and CI never does")]
    AcceptInCi,
    /// A backend would be compared with itself.
    #[error("--agree compares backends: it needs two different ones")]
    AgreeWithItself,
    /// There is no case, or the arguments leave none.
    #[error("no case is selected")]
    NothingSelected,
    /// There is nothing to make smaller.
    #[error("the scenario does not fail")]
    NothingFails,
    /// A failure that did not come again.
    #[error("the failure did not come again when the scenario was run once more")]
    Unsteady,
    /// A file that a command makes can't be written.
    #[error("'{}' can't be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Changes of files can't be watched.
    #[error("files can't be watched: {0}")]
    Unwatched(String),
    /// A report of a run can't be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file that is to be merged is not the record of a run.
    #[error("'{}' can't be merged: {source}", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadRecordError,
    },
    /// Something is odd about runs that were merged.
    #[error(transparent)]
    Merged(#[from] Oddity),
    /// A paste that is too large, or grows too large.
    #[error(transparent)]
    Paste(#[from] PasteError),
    /// A paste without anything to make a scenario of.
    #[error("there is no netdev, chardev or object of QEMU's in it")]
    NothingToImport,
    /// A file that a command would make is there.
    #[error("'{}' is there already", .0.display())]
    Exists(PathBuf),
    /// A file that a command reads can't be read.
    #[error("'{}' can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// Nothing is held that could be entered.
    #[error("no case is paused by a run whose captures go to '{}'", .0.display())]
    NothingPaused(PathBuf),
    /// More than one case is held.
    #[error("several cases are paused: {0}")]
    SeveralPaused(String),
    /// The namespaces of a case can't be entered.
    #[error("{case} can't be entered: {source}")]
    NoEntry {
        /// The case.
        case: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A backend without namespaces would pause.
    #[error("--pause-on-fail holds a case's namespaces, and sim has none")]
    NothingToEnter,
    /// A file that is not the scenario's to give away.
    #[error("'{}' has no place in a bundle: {source}", path.display())]
    NoPlace {
        /// The capture or snapshot.
        path: PathBuf,
        /// Where it is.
        source: FileError,
    },
    /// No code of this name.
    #[error("there is no code '{0}'")]
    NoSuchCode(String),
}

/// What the codes of this part mean.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code("TW-E001"),
        title: "this machine can't run the backend",
        text: "The netns backend builds real TAPs in private namespaces. It needs root, or user \
               namespaces together with a /dev/net/tun that you may open. The message says what \
               was refused; the help says how to allow it. `--backend sim` needs no privileges \
               and runs the same objects in memory.",
    },
    Explanation {
        code: Code("TW-E002"),
        title: "the system refused something that every run needs",
        text: "A pipe, a signal handler or the terminal was refused. Most often the process has \
               too few file descriptors left: raise `ulimit -n`, or lower --jobs.",
    },
    Explanation {
        code: Code("TW-E003"),
        title: "--accept in CI",
        text: "A snapshot says what a person reviewed, so CI never writes one: where the \
               environment variable CI is set, --accept is refused. Accept on your own machine \
               and commit the file, or unset CI for this one command.",
    },
    Explanation {
        code: Code("TW-E004"),
        title: "no such code",
        text: "A code is `TW-`, a letter and three digits, as the diagnostics print it: S for \
               scenarios, R for redirectors and other objects, N for the network, P for packets \
               and snapshots, E for the environment.",
    },
    Explanation {
        code: Code("TW-E005"),
        title: "--agree with fewer than two backends",
        text: "`--agree sim,netns` runs every case on each backend and compares what can be \
               observed. One backend agrees with itself always; to look for cases that pass only \
               sometimes, use --repeat.",
    },
    Explanation {
        code: Code("TW-E006"),
        title: "no case is selected",
        text: "The paths hold no scenario, or no case has a name that --name matches, the tags that \
               --tag asks for, and a place in the shard of --partition. The exit code is 4, so \
               that a misspelt tag is not taken for a suite that passed. `tapwright list` without \
               these options shows every case; with `--format json` its tags as well.",
    },
    Explanation {
        code: Code("TW-E020"),
        title: "the scenario does not fail",
        text: "`tapwright minimise` makes a failing scenario smaller, and this one does what it \
               says: its expectations hold, its record is its snapshot, and with `--agree` the \
               backends agree. Run it as it failed: with the same --backend or --agree, and the \
               same --profile. The exit code is 4.",
    },
    Explanation {
        code: Code("TW-E021"),
        title: "the failure did not come again",
        text: "The scenario failed once and not the second time, so that nothing can be said of a \
               smaller one. `tapwright run --repeat 100` shows how often it fails.",
    },
    Explanation {
        code: Code("TW-E022"),
        title: "a file can't be written",
        text: "The command makes a scenario and the system refuses to write it there; the message \
               says why. Choose another place with --out.",
    },
    Explanation {
        code: Code("TW-E030"),
        title: "nothing to import",
        text: "`tapwright import` makes a scenario of QEMU's -netdev, -chardev and -object options, \
               in any form that people post, and of the monitor commands that change them. What it \
               was given has none. Text comes with --file or on standard input; a command line \
               comes after `--`.",
    },
    Explanation {
        code: Code("TW-E031"),
        title: "a file is there already",
        text: "The command makes a scenario, and a file of this name is there. It may have been \
               worked on, so nothing is written. Choose another name with --out, or remove the \
               file first.",
    },
    Explanation {
        code: Code("TW-E032"),
        title: "a file can't be read",
        text: "The command reads this file and can't; the message says why. Text that is to be \
               imported must be UTF-8 of at most 4 MiB, and the record of a run has at most 1 GiB. \
               A file, standard input, or a pipe of the shell will do; a pipe with a name, a device, \
               and the files of /proc and /sys will not: `cat FILE | tapwright import`.",
    },
    Explanation {
        code: Code("TW-E033"),
        title: "a paste is too large",
        text: "`tapwright import` reads at most 256 KiB, writes at most 1 MiB of shell variables out, \
               follows variables and arrays at most 16 deep into one another, and makes a scenario of \
               at most 2,000 netdevs, chardevs, objects and commands. A few lines of a script can come \
               to more than any memory holds. Paste the command line itself, with the variables \
               written out, and of a log the part that matters.",
    },
    Explanation {
        code: Code("TW-E060"),
        title: "a report can't be written",
        text: "The files of --report are made before anything runs, so that a place that can't be \
               written is told at once, with the exit code 2: a report goes into a file, to a \
               terminal or to what the command has open (/dev/stdout), and into no named pipe and \
               through no link. Where writing fails at the end of \
               the run (a full disk), the other reports are written all the same, and the exit code \
               is 70, however the run went. A report that is empty belongs to a run that did not \
               come to its end.",
    },
    Explanation {
        code: Code("TW-E064"),
        title: "files can't be watched",
        text: "`--watch` asks the kernel (inotify) to tell of changes below the paths that are given, \
               and it refused. Each directory below them takes a watch: where there are too many, \
               name the suite and not a whole tree, or raise fs.inotify.max_user_watches.",
    },
    Explanation {
        code: Code("TW-E061"),
        title: "a file is not the record of a run",
        text: "`tapwright merge` reads what `tapwright run --report json=FILE` wrote, of its own \
               version or an earlier one. A file that is empty was made by a run that did not come \
               to its end: it was killed, or its machine went away. The other files are merged all \
               the same, and the exit code is 2, because nobody knows what that run would have \
               said.",
    },
    Explanation {
        code: Code("TW-E062"),
        title: "a shard is not there",
        text: "The runs that are merged are shards (`--partition hash:K/N`), and some K of 1 to N \
               has no file. What is there is merged, and the exit code is 2: a suite of which a \
               part did not run did not pass. See whether the job of that shard was started, and \
               whether its report was kept though the job failed.",
    },
    Explanation {
        code: Code("TW-E063"),
        title: "something ran twice",
        text: "The same shard, or the same case on the same backend under the same profile, is in \
               several of the files that are merged. It counts once, as if it had been repeated: a \
               case that passed in one and failed in the other is flaky, and failed. Where a job \
               was started again, merge the files of its last run only.",
    },
    Explanation {
        code: Code("TW-E050"),
        title: "no case is paused",
        text: "`tapwright enter` goes into the namespaces of a case that failed while `tapwright run \
               --pause-on-fail` waits. No such run is there, or its captures go to another folder \
               (--out), or none of its cases has this name. The exit code is 4.",
    },
    Explanation {
        code: Code("TW-E051"),
        title: "several cases are paused",
        text: "More than one run waits at a case that failed. Name one: by its case, or by the process \
               id of its run.",
    },
    Explanation {
        code: Code("TW-E052"),
        title: "a case can't be entered",
        text: "Its namespaces belong to whoever started the run: enter as that user, or as root, in \
               the same container. A case that has gone on in between can't be entered either.",
    },
    Explanation {
        code: Code("TW-E053"),
        title: "nothing to pause at",
        text: "--pause-on-fail keeps the namespaces of a case that failed, so that a person can look \
               at its interfaces. The backend sim has none: everything that it knows is in the record \
               and in the capture.",
    },
    Explanation {
        code: Code("TW-E054"),
        title: "a file has no place in a bundle",
        text: "`tapwright export --bundle` packs a scenario with the captures it names, so that it runs \
               wherever it is unpacked. A file that is named by an absolute path, or that is outside \
               of the project which the scenario is in, is not found there, and it may be one that \
               nobody else should have. It is not packed, with --allow-outside neither: put it below \
               the root (`tapwright explain S084`), and name it relative to the scenario.",
    },
    Explanation {
        code: Code("TW-R001"),
        title: "an object is refused",
        text: "This QEMU refuses the object as it is written, with the text that is shown. If \
               that is what the scenario wants to show, say so: `expect: {error: {ID: text}}`. \
               Otherwise change the object; another `profile` may allow it.",
    },
    Explanation {
        code: Code("TW-R002"),
        title: "an object is not refused as expected",
        text: "The scenario expects an error when this object is created, and this QEMU creates \
               it, or refuses it with another text. The texts are compared letter for letter; \
               they differ between versions of QEMU.",
    },
];

impl Diagnose for CliError {
    fn report(&self) -> Report {
        let (code, help) = match self {
            Self::Isolation(error) => ("TW-E001", Some(error.remedy())),
            Self::Unavailable { remedy, .. } => ("TW-E001", remedy.as_deref()),
            Self::System { source, .. } => {
                let remedy = exhaustion_remedy(source);
                ("TW-E002", remedy.or(Some("look at the limits of the process: ulimit -a")))
            }
            Self::AcceptInCi => {
                ("TW-E003", Some("accept where you review, or unset CI for this command"))
            }
            Self::AgreeWithItself => ("TW-E005", Some("name two: --agree sim,netns")),
            Self::NothingSelected => (
                "TW-E006",
                Some("look at the paths, --name, --tag and --partition: tapwright list"),
            ),
            Self::NothingFails => (
                "TW-E020",
                Some("run it as it failed: the same --backend or --agree, the same --profile"),
            ),
            Self::Unsteady => ("TW-E021", Some("see how often it fails: run --repeat 100")),
            Self::Unwritable { .. } => ("TW-E022", Some("choose another place")),
            Self::Unwatched(_) => (
                "TW-E064",
                Some("raise /proc/sys/fs/inotify/max_user_watches, or name fewer paths"),
            ),
            Self::Report(_) => {
                ("TW-E060", Some("name a place that can be written: --report KIND=PATH"))
            }
            Self::NotARecord { .. } => {
                ("TW-E061", Some("name what `tapwright run --report json=FILE` wrote"))
            }
            Self::Merged(Oddity::Missing { .. }) => (
                "TW-E062",
                Some("merge the reports of all shards; look whether the missing jobs ran"),
            ),
            Self::Merged(_) => (
                "TW-E063",
                Some("each counts once, as a repeat; merge only the last run of each shard"),
            ),
            Self::Paste(_) => (
                "TW-E033",
                Some("paste the command line itself, and of a log the part that matters"),
            ),
            Self::NothingToImport => (
                "TW-E030",
                Some("paste the command line with its -netdev, -chardev and -object options"),
            ),
            Self::Exists(_) => ("TW-E031", Some("choose another name, or remove it")),
            Self::Unreadable { source: FileError::NotText, .. } => {
                ("TW-E032", Some("name a text file; a capture is given with --pcap FILE --at PORT"))
            }
            Self::Unreadable { .. } => ("TW-E032", Some("name a text file that you may read")),
            Self::NothingPaused(_) => (
                "TW-E050",
                Some("start one: tapwright run --pause-on-fail; name its folder with --out"),
            ),
            Self::SeveralPaused(_) => ("TW-E051", Some("name the case, or the run by its number")),
            Self::NoEntry { .. } => ("TW-E052", Some("enter as the user who started the run")),
            Self::NothingToEnter => ("TW-E053", Some("use --backend netns or --backend qemu")),
            Self::NoPlace { .. } => {
                ("TW-E054", Some("put it below the root, and name it from there"))
            }
            Self::NoSuchCode(_) => ("TW-E004", Some("copy the code from a diagnostic: TW-S001")),
        };
        let mut report = Report::error(Code(code), self.to_string());
        if matches!(self, Self::Merged(oddity) if !oddity.is_error()) {
            report.severity = Severity::Warning;
        }
        match help {
            Some(help) => report.with_help(help),
            None => report,
        }
    }
}
