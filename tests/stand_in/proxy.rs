//! A QEMU that stands in for another: it runs the installed one, hands QMP on in both directions,
//! and answers in its place what a part of this test says of the other. Its main thread waits by
//! ppoll(2), as QEMU's does.

use std::{
    env,
    ffi::OsString,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    path::Path,
    process::{self, Child, Command, ExitStatus},
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::signal::{Signal, raise},
};
use serde_json::{Value, json};

use crate::build::Build;

/// Says which build is stood in for; a program that has it in its environment is no test.
pub(crate) const BUILD: &str = "TAPWRIGHT_STAND_IN";

/// The QEMU that does the work.
pub(crate) const QEMU: &str = "TAPWRIGHT_STAND_IN_QEMU";

/// What becomes of a command.
pub(crate) enum Fate {
    /// QEMU is given this line, and its answer is changed on the way back.
    Forward(Value),
    /// It is refused with this text.
    Refused(String),
    /// It succeeds with this value.
    Done(Value),
}

/// A script that is such a QEMU. It finds the descriptor of QMP, which the stand-in gets as its
/// standard input.
pub(crate) fn script(path: &Path, build: &str, qemu: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let own = env::current_exe()?;
    let text = format!(
        "#!/bin/bash\n\
         for word; do case $word in\n\
         socket,id=tapwright-qmp,fd=*|socket,id=qmp0,fd=*) qmp=${{word##*fd=}};;\n\
         esac; done\n\
         export {BUILD}={build} {QEMU}='{qemu}'\n\
         [ -n \"$qmp\" ] || exec '{qemu}' \"$@\"\n\
         exec 0<&\"$qmp\"\n\
         eval \"exec $qmp<&-\"\n\
         exec '{own}' \"$@\"\n",
        qemu = qemu.display(),
        own = own.display(),
    );
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// Stands in until QEMU has ended, and ends as it did.
pub(crate) fn run(build: &str) -> ! {
    let end = Proxy::start(Build::named(build)).and_then(Proxy::serve);
    match end {
        Ok(status) => end_as(status),
        Err(error) => {
            drop(writeln!(io::stderr(), "{error}"));
            process::exit(1)
        }
    }
}

fn end_as(status: ExitStatus) -> ! {
    let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
    if let Some(Err(errno)) = signal.map(raise) {
        drop(writeln!(io::stderr(), "stand-in: {errno}"));
    }
    process::exit(status.code().unwrap_or(1))
}

struct Proxy {
    build: Build,
    child: Child,
    client: UnixStream,
    qemu: UnixStream,
    from_client: Vec<u8>,
    from_qemu: Vec<u8>,
}

impl Proxy {
    fn start(build: Build) -> io::Result<Self> {
        let client = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let (qemu, theirs) = UnixStream::pair()?;
        let name = env::var_os(QEMU).ok_or(io::ErrorKind::NotFound)?;
        let said = env::args().skip(1).collect::<Vec<_>>();
        if let Some(refusal) = build.refuses(&said) {
            return Err(io::Error::other(refusal));
        }
        let words = env::args_os().skip(1).map(with_stdin);
        let child = Command::new(name).args(words).stdin(OwnedFd::from(theirs)).spawn()?;
        client.set_nonblocking(false)?;
        let (from_client, from_qemu) = (Vec::new(), Vec::new());
        Ok(Self { build, child, client, qemu, from_client, from_qemu })
    }

    fn serve(mut self) -> io::Result<ExitStatus> {
        loop {
            let mut polled = [
                PollFd::new(self.client.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.qemu.as_fd(), PollFlags::POLLIN),
            ];
            ppoll(&mut polled, None, None)?;
            let ready = polled.map(|one| one.any() == Some(true));
            if ready[1] && !read(&mut self.qemu, &mut self.from_qemu)? {
                return self.child.wait();
            }
            if ready[0] && !read(&mut self.client, &mut self.from_client)? {
                self.child.kill()?;
                return self.child.wait();
            }
            for line in lines(&mut self.from_qemu)? {
                let line = self.build.answered(line);
                self.tell(line)?;
            }
            for line in lines(&mut self.from_client)? {
                self.hear(line)?;
            }
        }
    }

    fn hear(&mut self, line: Value) -> io::Result<()> {
        let id = line["id"].clone();
        match self.build.fate(line) {
            Fate::Forward(line) => self.qemu.write_all(format!("{line}\n").as_bytes()),
            Fate::Done(value) => self.tell(json!({"return": value, "id": id})),
            Fate::Refused(desc) => {
                self.tell(json!({"error": {"class": "GenericError", "desc": desc}, "id": id}))
            }
        }
    }

    fn tell(&mut self, line: Value) -> io::Result<()> {
        self.client.write_all(format!("{line}\r\n").as_bytes())
    }
}

/// A chardev of a descriptor, as one of standard input.
fn with_stdin(word: OsString) -> OsString {
    match word.to_str().and_then(|text| text.split_once(",fd=")) {
        Some((chardev @ ("socket,id=tapwright-qmp" | "socket,id=qmp0"), _)) => {
            format!("{chardev},fd=0").into()
        }
        _ => word,
    }
}

/// Whether there is more to come.
fn read(stream: &mut UnixStream, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 65536];
    let length = stream.read(&mut buffer)?;
    into.extend_from_slice(&buffer[..length]);
    Ok(length > 0)
}

/// The whole lines, taken out.
fn lines(bytes: &mut Vec<u8>) -> io::Result<Vec<Value>> {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let whole: Vec<u8> = bytes.drain(..end).collect();
    let lines = whole.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(io::Error::other)).collect()
}
