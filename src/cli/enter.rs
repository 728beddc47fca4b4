//! The command `enter`: a shell in the namespaces of a paused case.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, ExitStatus},
};

use super::{
    CliError, Stop, output,
    pause::{DEFAULT_OUT, PausedCase, Visit, paused},
};
use crate::{
    diag::Diagnose,
    runner::{Exit, Pattern},
    sys::{self, Entrance},
    terminal::visible,
};

/// Opens a shell in the namespaces of a case that `run --pause-on-fail` holds.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct EnterArgs {
    /// The process id of the run, or the name of the case, if several are held
    #[arg(value_name = "RUN|CASE")]
    target: Option<String>,
    /// The directory that holds the captures of the run
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_OUT)]
    out: PathBuf,
    /// Enter this one of the scenario's `namespaces` instead of the case's own
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,
    /// The command to run there; the case is held until the run goes on [default: $SHELL, or /bin/sh]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Exits as the command did. The case is held as long as it runs, and after a command of one's own
/// until the run is told to go on.
pub(super) fn run(args: &EnterArgs) -> Result<Exit, Stop> {
    let case = args.case()?;
    let refused =
        |source| stop(Exit::Unavailable, &CliError::NoEntry { case: case.case.clone(), source });
    // No thread may run before: see `Entrance::enter`.
    let entrance = Entrance::open(case.tenant()).map_err(refused)?;
    entrance.enter().map_err(refused)?;
    // Open as long as this process lives, and not longer: no child inherits it.
    let visit = if args.command.is_empty() { Visit::Shell } else { Visit::Command };
    let _inside = PausedCase::knock(visit).map_err(refused)?;
    if let Some(name) = &args.netns {
        let path = case
            .namespaces
            .get(name)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no netns '{name}'")));
        path.and_then(|path| sys::enter_mounted(path)).map_err(refused)?;
    }
    if let Err(error) = sys::show_own_interfaces() {
        output::note(format_args!("/sys shows the host's interfaces: {}", visible(error)));
    }
    env::set_current_dir(&case.directory).map_err(refused)?;
    let status = sys::run_in_foreground(&mut args.command(&case)).map_err(|source| {
        let what = "the command can't be started";
        stop(Exit::Invalid, &CliError::System { what, source })
    })?;
    Ok(Exit::Command(code(status)))
}

impl EnterArgs {
    fn case(&self) -> Result<PausedCase, Stop> {
        let out = &self.out;
        let all = paused(out).map_err(|source| {
            let (path, source) = (out.clone(), source.into());
            stop(Exit::Unavailable, &CliError::Unreadable { path, source })
        })?;
        let wanted = |case: &PausedCase| {
            self.target.as_deref().is_none_or(|target| {
                target == case.process.to_string()
                    || Pattern::from(target).matches(&case.case.as_str().into())
            })
        };
        let mut found: Vec<PausedCase> = all.into_iter().filter(wanted).collect();
        match found.len() {
            0 => Err(stop(Exit::NothingSelected, &CliError::NothingPaused { out: out.clone() })),
            1 => Ok(found.remove(0)),
            _ => {
                let names = found.iter().map(|case| format!("{} ({})", case.case, case.process));
                let error = CliError::SeveralPaused { names: names.collect::<Vec<_>>().join(", ") };
                Err(stop(Exit::Invalid, &error))
            }
        }
    }

    fn command(&self, case: &PausedCase) -> Command {
        let mut command = match self.command.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
            None => Command::new(env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())),
        };
        command.env("TAPWRIGHT_CASE", &case.case);
        command
    }
}

/// As shells have it: a signal's number behind 128.
fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map(|signal| 128 + signal);
    let code = status.code().or_else(signal);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255)
}

fn stop(exit: Exit, error: &CliError) -> Stop {
    Stop { exit, reports: vec![error.report()] }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, 0)]
    #[case(7 << 8, 7)]
    #[case(15, 143)]
    fn the_exit_is_the_commands(#[case] wait_status: i32, #[case] expected: u8) {
        assert_eq!(code(ExitStatus::from_raw(wait_status)), expected);
    }
}
