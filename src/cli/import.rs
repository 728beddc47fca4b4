//! The command `import`: pasted command lines and monitor commands as a scenario.

use std::{
    fs,
    io::Write,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    CliError, ReachArgs, Stop, check,
    fuzz::{unwritable, with_folder},
    output,
};
use crate::{
    backend::BackendError,
    base::Profile,
    capture::{self, Packet},
    diag::{Diagnose, Report, Source},
    file,
    import::{self, Draft, Traffic},
    runner::Exit,
    scenario::{self, Files, Scenario},
};

/// Makes a scenario of QEMU command lines and monitor commands.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// Text with command lines in it: scripts, Makefiles, units, programs, YAML, mail, documents, QMP or
    /// HMP logs, -readconfig files, libvirt XML; each command line is a machine [default: standard
    /// input]
    #[arg(value_name = "FILE")]
    named: Vec<PathBuf>,
    /// A command line, after `--`
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["named", "files"])]
    command: Vec<String>,
    /// The same as FILE; may be repeated
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A capture of the frames that were sent
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// The port at which the capture is sent, such as hn0.guest or primary/hn0.host [default: the
    /// side of the first TAP that its first filter listens to]
    #[arg(long, value_name = "PORT", requires = "pcap")]
    at: Option<String>,
    /// The QEMU that is modelled [default: rfc if its properties are used, otherwise qemu-10.2]
    #[arg(long, value_name = "NAME", value_parser = profile)]
    profile: Option<String>,
    /// The file to write the scenario to [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Most bytes of a text, of one file or of standard input.
const MAX_BYTES: usize = 4 << 20;

fn profile(name: &str) -> Result<String, String> {
    match Profile::parse(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn run(args: &ImportArgs) -> Result<Exit, Stop> {
    if let Some(path) = args.out.as_ref().filter(|path| path.exists()) {
        return Err(invalid(&CliError::Exists { path: path.clone() }));
    }
    let draft = if args.command.is_empty() {
        import::paste(&text(args)?)
    } else {
        import::words(&args.command)
    };
    let draft = draft.map_err(|error| invalid(&CliError::Paste { source: error }))?;
    let mut draft = draft.ok_or_else(|| invalid(&CliError::NothingToImport))?;
    if let Some(profile) = &args.profile {
        draft.set_profile(profile);
    }
    let path = args.out.clone().unwrap_or_else(|| "import.yaml".into());
    let files = args.reach.files();
    let unfit = draft.fit(&mut |draft| {
        draft.expect_no_error();
        expect_refusals(draft, &path, files);
        faults(&draft.text(), &path, files)
    });
    if !unfit.is_empty() {
        return Err(Stop::invalid(unfit));
    }
    if let Some(pcap) = &args.pcap {
        let (to_ethernet, keeps_cut) = needs_of(pcap);
        draft.set_traffic(Traffic {
            pcap: seen_from(pcap, args.out.as_deref()),
            to_ethernet,
            keeps_cut,
            at: args.at.clone(),
        });
    }
    let text = draft.text();
    // First: a capture is looked for from the folder of the scenario, which has to be there.
    if let Some(path) = &args.out {
        // Nothing is there, not even a link that something could be written through.
        let made = with_folder(path).and_then(|()| file::create_new(path));
        let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|source| unwritable(path, source))?;
    }
    let reports = faults(&text, &path, files);
    let traffic = of_traffic(args, &reports);
    if !traffic.is_empty() {
        if let Some(path) = &args.out {
            fs::remove_file(path).map_err(|source| unwritable(path, source))?;
        }
        return Err(Stop::invalid(traffic));
    }
    if args.out.is_none() {
        output::document(&text)?;
    }
    if reports.is_empty() { Ok(Exit::Success) } else { Err(Stop::invalid(reports)) }
}

/// Whether a capture has packets of another link type, and packets that were cut off. What can't be
/// read is reported when the scenario is checked.
fn needs_of(pcap: &Path) -> (bool, bool) {
    let file = file::read(pcap, scenario::MAX_CAPTURED).ok();
    let capture = file.and_then(|file| capture::read(&file).ok()).unwrap_or_default();
    let any = |is: fn(&Packet) -> bool| capture.packets.iter().any(is);
    (any(|packet| !packet.link.is_ethernet()), capture.breaks_off() || any(Packet::is_cut))
}

/// What is wrong with the capture or its port. The command line has them, so that no scenario is
/// left that would be in the way when it is given again.
fn of_traffic(args: &ImportArgs, reports: &[Report]) -> Vec<Report> {
    let option = |report: &Report| match report.code.0 {
        "TW-S050" => args.at.as_ref().map(|_| "--at"),
        "TW-S080" | "TW-S081" | "TW-S084" | "TW-S085" => args.pcap.as_ref().map(|_| "--pcap"),
        _ => None,
    };
    let of_option = |report: &Report| {
        let option = option(report)?;
        let help = report.help.as_deref().unwrap_or_default();
        let help = format!("no scenario is left: give another {option}; {help}");
        Some(report.clone().with_help(help))
    };
    reports.iter().filter_map(of_option).collect()
}

fn invalid(error: &CliError) -> Stop {
    Stop::invalid(vec![error.report()])
}

fn text(args: &ImportArgs) -> Result<String, Stop> {
    let text = |path: &Path, read: Result<Vec<u8>, file::FileError>| {
        read.and_then(file::text).map_err(|source| {
            let path = path.to_owned();
            invalid(&CliError::Unreadable { path, source })
        })
    };
    let files = || args.named.iter().chain(&args.files);
    if files().next().is_none() {
        return text(Path::new("standard input"), file::read_stdin(MAX_BYTES));
    }
    let texts = files().map(|path| text(path, file::read_input(path, MAX_BYTES)));
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n\n"))
}

/// What QEMU refuses is what the paste shows, so the scenario expects it.
fn expect_refusals(draft: &mut Draft, path: &Path, files: &dyn Files) {
    let Ok(scenario) = parse(&draft.text(), path, files) else {
        return;
    };
    for case in &scenario.cases {
        for (id, text) in check::refusals(case).unwrap_or_default() {
            draft.expect_error(&id, &text);
        }
    }
}

fn parse(text: &str, path: &Path, files: &dyn Files) -> Result<Scenario, Vec<Report>> {
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    scenario::parse(Arc::new(source), "import", files)
}

/// What `tapwright check` would say of it.
fn faults(text: &str, path: &Path, files: &dyn Files) -> Vec<Report> {
    let scenario = match parse(text, path, files) {
        Ok(scenario) => scenario,
        Err(reports) => return reports,
    };
    let found = scenario.cases.iter().flat_map(|case| match check::dry_run(case) {
        Ok(reports) => reports,
        Err(BackendError::Case(report)) => vec![*report],
        // What can't be tried here is tried when it runs.
        Err(_) => Vec::new(),
    });
    found.collect()
}

/// A path as it is seen from the folder of the scenario.
fn seen_from(path: &Path, scenario: Option<&Path>) -> String {
    // The folder of a bare name is the one here.
    let folder = match scenario.and_then(Path::parent) {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return path.display().to_string(),
    };
    let (Ok(folder), Ok(path)) = (std::path::absolute(folder), std::path::absolute(path)) else {
        return path.display().to_string();
    };
    let shared = folder.components().zip(path.components());
    let shared = shared.take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    let down = path.components().skip(shared);
    up.chain(down).collect::<PathBuf>().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_found_from_the_scenario() {
        let seen = |path: &str, scenario| seen_from(Path::new(path), scenario);
        assert_eq!(seen("a/b.pcap", None), "a/b.pcap");
        assert_eq!(seen("a/b.pcap", Some(Path::new("c/d/e.yaml"))), "../../a/b.pcap");
        assert_eq!(seen("a/b.pcap", Some(Path::new("e.yaml"))), "a/b.pcap");
    }
}
