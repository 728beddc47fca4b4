//! What a command can't do, beside what its parts report themselves: one row for each error, below
//! the code that it has. The commands return these errors, and `explain` prints what the codes
//! mean.

use std::{io, path::PathBuf};

use crate::{
    capture::{ReadError, StreamError},
    diag::{Advice, Diagnose, Report, Severity, errors},
    file::FileError,
    import::PasteError,
    report::{
        ReportError,
        record::{Oddity, ReadRecordError},
    },
    sys::{IsolationError, exhaustion_remedy},
};

errors! {
    /// What a command can't do, beside what its parts report themselves.
    #[derive(Debug, thiserror::Error)]
    pub(super) enum CliError;

    "TW-E001" "this machine can't run the backend",
        "The netns backend builds real TAPs in private namespaces. It needs root, or user namespaces together with a /dev/net/tun that you may open. The message says what was refused; the help says how to allow it. `--backend sim` needs no privileges and runs the same objects in memory.";
        Isolation { #[from] source: IsolationError }
            error("the netns backend can't run here: {source}")
            help(source.remedy());
        Unavailable { reason: String, remedy: Option<String> }
            error("{reason}")
            help(remedy.as_deref().unwrap_or_default());
    "TW-E002" "the system refused something that every run needs",
        "A pipe, a signal handler or the terminal was refused. Most often the process has too few file descriptors left: raise `ulimit -n`, or lower --jobs.";
        System { what: &'static str, source: io::Error }
            error("{what}: {source}")
            help(exhaustion_remedy(source).unwrap_or("look at the limits of the process: ulimit -a"));
    "TW-E003" "--accept in CI",
        "A snapshot says what a person reviewed, so CI never writes one: where the environment variable CI is set, --accept is refused. Accept on your own machine and commit the file, or unset CI for this one command.";
        AcceptInCi
            error("--accept writes snapshots, and CI never does")
            help("accept where you review, or unset CI for this command");
    "TW-E004" "no such code",
        "A code is `TW-`, a letter and three digits, as the diagnostics print it: S for scenarios, R for redirectors and other objects, N for the network, P for packets and snapshots, E for the environment.";
        NoSuchCode { code: String }
            error("there is no code '{code}'")
            help("copy the code from a diagnostic: TW-S001");
    "TW-E005" "--agree with fewer than two backends",
        "`--agree sim,netns` runs every case on each backend and compares what can be observed. One backend agrees with itself always; to look for cases that pass only sometimes, use --repeat.";
        AgreeWithItself
            error("--agree compares backends: it needs two different ones")
            help("name two: --agree sim,netns");
    "TW-E006" "no case is selected",
        "The paths hold no scenario, or no case has a name that --name matches, the tags that --tag asks for, and a place in the shard of --partition. The exit code is 4, so that a misspelt tag is not taken for a suite that passed. `tapwright list` without these options shows every case; with `--format json` its tags as well.";
        NothingSelected
            error("no case is selected")
            help("look at the paths, --name, --tag and --partition: tapwright list");
    "TW-E007" "several QEMUs where one is run",
        "`tapwright run --agree sim,qemu --qemu A --qemu B` compares several QEMUs with the model in one run, each under its own profile. Everything else runs one: `run --backend qemu`, whose snapshots are those of one profile, `run --agree` without qemu among its backends, and `fuzz`, `minimise` and `export`, which make a scenario for one QEMU. The exit code is 2.";
        SeveralQemus { count: usize }
            error("--qemu is given {count} times, and one QEMU is run here")
            help("name one, or compare them: tapwright run --agree sim,qemu --qemu A --qemu B");
    "TW-E020" "the scenario does not fail",
        "`tapwright minimise` makes a failing scenario smaller, and this one does what it says: its expectations hold, its record is its snapshot, and with `--agree` the backends agree. Run it as it failed: with the same --backend or --agree, and the same --profile. The exit code is 4.";
        NothingFails
            error("the scenario does not fail")
            help("run it as it failed: the same --backend or --agree, the same --profile");
    "TW-E021" "the failure did not come again",
        "The scenario failed once and not the second time, so that nothing can be said of a smaller one. `tapwright run --repeat 100` shows how often it fails.";
        Unsteady
            error("the failure did not come again when the scenario was run once more")
            help("see how often it fails: run --repeat 100");
    "TW-E022" "a file can't be written",
        "The command makes a scenario and the system refuses to write it there; the message says why. Choose another place with --out.";
        Unwritable { path: PathBuf, source: io::Error }
            error("'{}' can't be written: {source}", path.display())
            help("choose another place");
    "TW-E030" "nothing to import",
        "`tapwright import` makes a scenario of QEMU's -netdev, -chardev and -object options, in any form that people post, and of the monitor commands that change them. What it was given has none. Text comes with --file or on standard input; a command line comes after `--`.";
        NothingToImport
            error("there is no netdev, chardev or object of QEMU's in it")
            help("paste the command line with its -netdev, -chardev and -object options");
    "TW-E031" "a file is there already",
        "The command makes a scenario, and a file of this name is there. It may have been worked on, so nothing is written. Choose another name with --out, or remove the file first.";
        Exists { path: PathBuf }
            error("'{}' is there already", path.display())
            help("choose another name, or remove it");
    "TW-E032" "a file can't be read",
        "The command reads this file and can't; the message says why. Text that is to be imported must be UTF-8 of at most 4 MiB, and the record of a run has at most 1 GiB. A file, standard input, or a pipe of the shell will do; a pipe with a name, a device, and the files of /proc and /sys will not: `cat FILE | tapwright import`.";
        Unreadable { path: PathBuf, source: FileError }
            error("'{}' can't be read: {source}", path.display())
            help(match source {
                FileError::NotText => "name a text file; a capture is given with --pcap FILE --at PORT",
                _ => "name a text file that you may read",
            });
    "TW-E033" "a paste is too large",
        "`tapwright import` reads at most 256 KiB, writes at most 1 MiB of shell variables out, follows variables and arrays at most 16 deep into one another, and makes a scenario of at most 2,000 netdevs, chardevs, objects and commands. A few lines of a script can come to more than any memory holds. Paste the command line itself, with the variables written out, and of a log the part that matters.";
        Paste { #[from] source: PasteError }
            error(transparent)
            help("paste the command line itself, and of a log the part that matters");
    "TW-E050" "no case is paused",
        "`tapwright enter` goes into the namespaces of a case that failed while `tapwright run --pause-on-fail` waits. No such run is there, or its captures go to another folder (--out), or none of its cases has this name. The exit code is 4.";
        NothingPaused { out: PathBuf }
            error("no case is paused by a run whose captures go to '{}'", out.display())
            help("start one: tapwright run --pause-on-fail; name its folder with --out");
    "TW-E051" "several cases are paused",
        "More than one run waits at a case that failed. Name one: by its case, or by the process id of its run.";
        SeveralPaused { names: String }
            error("several cases are paused: {names}")
            help("name the case, or the run by its number");
    "TW-E052" "a case can't be entered",
        "Its namespaces belong to whoever started the run: enter as that user, or as root, in the same container. A case that has gone on in between can't be entered either.";
        NoEntry { case: String, source: io::Error }
            error("{case} can't be entered: {source}")
            help("enter as the user who started the run");
    "TW-E053" "nothing to pause at",
        "--pause-on-fail keeps the namespaces of a case that failed, so that a person can look at its interfaces. The backend sim has none: everything that it knows is in the record and in the capture.";
        NothingToEnter
            error("--pause-on-fail holds a case's namespaces, and sim has none")
            help("use --backend netns or --backend qemu");
    "TW-E054" "a file has no place in a bundle",
        "`tapwright export --bundle` packs a scenario with the captures it names, so that it runs wherever it is unpacked. A file that is named by an absolute path, or that is outside of the project which the scenario is in, is not found there, and it may be one that nobody else should have. It is not packed, with --allow-outside neither: put it below the root (`tapwright explain S084`), and name it relative to the scenario.";
        NoPlace { path: PathBuf, source: FileError }
            error("'{}' has no place in a bundle: {source}", path.display())
            help("put it below the root, and name it from there");
    "TW-E060" "a report can't be written",
        "The files of --report are made before anything runs, so that a place that can't be written is told at once, with the exit code 2: a report goes into a file, to a terminal or to what the command has open (/dev/stdout), and into no named pipe and through no link. Where writing fails at the end of the run (a full disk), the other reports are written all the same, and the exit code is 70, however the run went. A report that is empty belongs to a run that did not come to its end.";
        Report { #[from] source: ReportError }
            error(transparent)
            help("name a place that can be written: --report KIND=PATH");
    "TW-E061" "a file is not the record of a run",
        "`tapwright merge` reads what `tapwright run --report json=FILE` wrote, of its own version or an earlier one. A file that is empty was made by a run that did not come to its end: it was killed, or its machine went away. The other files are merged all the same, and the exit code is 2, because nobody knows what that run would have said.";
        NotARecord { path: PathBuf, source: ReadRecordError }
            error("'{}' can't be merged: {source}", path.display())
            help("name what `tapwright run --report json=FILE` wrote");
    "TW-E062" as MISSING "a shard is not there",
        "The runs that are merged are shards (`--partition hash:K/N`), and some K of 1 to N has no file. What is there is merged, and the exit code is 2: a suite of which a part did not run did not pass. See whether the job of that shard was started, and whether its report was kept though the job failed.";
        Merged { #[from] source: Oddity }
            error(transparent)
            code(if matches!(source, Oddity::Missing { .. }) { MISSING } else { TWICE })
            help(match source {
                Oddity::Missing { .. } => {
                    "merge the reports of all shards; look whether the missing jobs ran"
                }
                _ => "each counts once, as a repeat; merge only the last run of each shard",
            });
    "TW-E063" as TWICE "something ran twice",
        "The same shard, or the same case on the same backend under the same profile, is in several of the files that are merged. It counts once, as if it had been repeated: a case that passed in one and failed in the other is flaky, and failed. Where a job was started again, merge the files of its last run only.";
    "TW-E064" "files can't be watched",
        "`--watch` asks the kernel (inotify) to tell of changes below the paths that are given, and it refused. Each directory below them takes a watch: where there are too many, name the suite and not a whole tree, or raise fs.inotify.max_user_watches.";
        Unwatched { reason: String }
            error("files can't be watched: {reason}")
            help("raise /proc/sys/fs/inotify/max_user_watches, or name fewer paths");
    "TW-E080" "there is nothing of this name to trace",
        "`tapwright trace FILE` runs one case and prints the ways of its frames. A frame has the number that reports and snapshots give it: `tapwright trace FILE '#3'`, quoted for the shell. A port is named as `expect` names it: hn0.guest, out0. Without either every frame is shown; `tapwright list FILE` shows the cases.";
        NoSuchCase { name: String, known: String }
            error("no case of the file matches '{name}'; it has {known}")
            help("see every case: tapwright list FILE");
        NoSuchFrame { frame: String, sent: usize }
            error("the case sends no frame {frame}")
            help(match sent {
                0 => "it sends none at all",
                _ => "see every frame: leave the number out",
            });
        NoSuchPort { port: String, known: String }
            error("the case has no port '{port}'; it has {known}")
            help("name a port as `expect` does, or a frame by its number: '#1'");
    "TW-E081" "several cases could be traced",
        "`tapwright trace` runs one case, and the file has several that match: a matrix makes one of each combination. Name one with -k: its name contains the text, or matches it as a pattern if it has * or ?.";
        SeveralCases { names: String }
            error("several cases match: {names}")
            help("name one: -k TEXT");
    "TW-E082" "a capture can't be compared",
        "`tapwright diff A B` reads two pcap or pcapng captures of any length, each once: files, `-` for standard input, or a pipe of the shell. A pipe with a name, a device, and the files of /proc and /sys are not read. Where a capture breaks off, the differences before that place are printed and the comparison ends there.";
        NoCapture { path: PathBuf, source: FileError }
            error("'{}' can't be read: {source}", path.display())
            help("name a capture that you may read, or - for standard input");
        CaptureBroken { path: PathBuf, source: Box<StreamError> }
            error("'{}' can't be compared to its end: {source}", path.display())
            help(match **source {
                StreamError::Read(ReadError::NotACapture { .. }) => "give a pcap or pcapng file",
                _ => "what comes behind that place is not compared: repair or cut the file",
            });
        StdinTwice
            error("standard input can't be both captures")
            help("give a file for one of the two: tapwright diff expected.pcap -");
    "TW-E083" "there is no such field",
        "--mask and --key of `tapwright diff` take the names of fields as snapshots and mismatches have them, such as ipv4.id, tcp.seq or udp.checksum.";
        NoSuchField { option: &'static str, name: String, known: String }
            error("{option}: there is no field '{name}'; it may be {known}")
            help("take a name from a mismatch: ipv4.id");
    "TW-R001" "an object is refused",
        "This QEMU refuses the object as it is written, with the text that is shown. If that is what the scenario wants to show, say so: `expect: {error: {ID: text}}`. Otherwise change the object; another `profile` may allow it.";
    "TW-R002" "an object is not refused as expected",
        "The scenario expects an error when this object is created, and this QEMU creates it, or refuses it with another text. The texts are compared letter for letter; they differ between versions of QEMU.";
}

impl Diagnose for CliError {
    fn report(&self) -> Report {
        let mut report = Report::error(self.code(), self.to_string());
        if matches!(self, Self::Merged { source } if !source.is_error()) {
            report.severity = Severity::Warning;
        }
        match self.help() {
            help if help.is_empty() => report,
            help => report.with_help(help),
        }
    }
}
