//! Where joined sockets meet: unix sockets in the case's folder, whatever address the scenario
//! gives.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    base::MachineId,
    scenario::{Address, Reach},
};

/// The files at which joined sockets meet.
///
/// A path is one file for all machines, so that QEMU itself decides who listens there. A host and a
/// port are a file of each machine that listens there. Which server a client's address means
/// depends on who listens just then, so a client is given a link to that server's file, which
/// always leads to the right one.
#[derive(Debug)]
pub(super) struct Joins {
    folder: PathBuf,
    meetings: Vec<Meeting>,
}

#[derive(Debug)]
struct Meeting {
    address: Address,
    /// The machine that it belongs to; any machine's if the address is a path.
    machine: MachineId,
    listens: bool,
    file: PathBuf,
}

impl Joins {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder, meetings: Vec::new() }
    }

    /// The path of a socket with this address.
    pub(super) fn path(&mut self, machine: &MachineId, address: &Address, server: bool) -> PathBuf {
        let is_path = matches!(address, Address::Unix(_));
        let (machine, listens) =
            if is_path { (MachineId::default(), true) } else { (machine.clone(), server) };
        let known = self.meetings.iter().find(|meeting| {
            meeting.address == *address && meeting.machine == machine && meeting.listens == listens
        });
        if let Some(meeting) = known {
            return meeting.file.clone();
        }
        let file = self.folder.join(self.meetings.len().to_string());
        self.meetings.push(Meeting {
            address: address.clone(),
            machine,
            listens,
            file: file.clone(),
        });
        file
    }

    /// Lets each client's link lead to the server that its address means now, if there is one. QEMU
    /// removes the file of a server that listens no more.
    pub(super) fn link(&self, lives: impl Fn(&MachineId) -> bool) -> io::Result<()> {
        for client in self.meetings.iter().filter(|meeting| !meeting.listens) {
            let mut best: Option<(Reach, &Path)> = None;
            for server in self.meetings.iter().filter(|meeting| meeting.listens) {
                let (from, at) = (&client.machine, &server.machine);
                if let Some(reach) = client.address.reaches(from, &server.address, at)
                    && lives(at)
                    && server.file.exists()
                    && best.is_none_or(|(other, _)| reach > other)
                {
                    best = Some((reach, &server.file));
                }
            }
            let Some((_, server)) = best else {
                remove(&client.file)?;
                continue;
            };
            if fs::read_link(&client.file).is_ok_and(|now| now == server) {
                continue;
            }
            // A client that tries meanwhile finds either.
            let new = self.folder.join("new");
            symlink(server, &new)?;
            fs::rename(&new, &client.file)?;
        }
        Ok(())
    }

    /// What QEMU says, with the scenario's addresses.
    pub(super) fn in_words_of_the_scenario(&self, text: String) -> String {
        let Some(meeting) =
            self.meetings.iter().find(|meeting| text.contains(&quoted(&meeting.file)))
        else {
            return text;
        };
        let said = text.replace(&quoted(&meeting.file), &format!("'{}'", meeting.address));
        match meeting.address {
            Address::Unix(_) => said,
            // What a port at which nobody listens answers.
            Address::Tcp { .. } => said.replace("No such file or directory", "Connection refused"),
        }
    }
}

/// A path as QEMU's texts have it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn tcp(host: &str) -> Address {
        let host = host.to_owned();
        Address::Tcp { host, port: 9003 }
    }

    #[test]
    fn a_client_finds_the_server_that_its_address_means_now() {
        let folder = tempfile::tempdir().unwrap();
        let mut joins = Joins::new(folder.path().to_owned());
        let (one, two) = (MachineId::from("one"), MachineId::from("two"));
        let any = joins.path(&one, &tcp("0.0.0.0"), true);
        let same = joins.path(&two, &tcp("3.3.3.3"), true);
        let client = joins.path(&two, &tcp("3.3.3.3"), false);
        joins.link(|_| true).unwrap();
        assert!(fs::symlink_metadata(&client).is_err(), "nobody listens");
        let any = (UnixListener::bind(&any).unwrap(), any);
        joins.link(|_| true).unwrap();
        assert_eq!(fs::read_link(&client).unwrap(), any.1);
        let same = (UnixListener::bind(&same).unwrap(), same);
        joins.link(|_| true).unwrap();
        assert_eq!(fs::read_link(&client).unwrap(), same.1);
        UnixStream::connect(&client).unwrap();
        joins.link(|machine| *machine == one).unwrap();
        assert_eq!(fs::read_link(&client).unwrap(), any.1);
        let text = format!("to '{}': No such file or directory", client.display());
        assert_eq!(joins.in_words_of_the_scenario(text), "to '3.3.3.3:9003': Connection refused");
    }

    #[test]
    fn a_path_is_one_file_for_all() {
        let mut joins = Joins::new(PathBuf::from("/x"));
        let path = Address::Unix("wire".to_owned());
        let server = joins.path(&"one".into(), &path, true);
        assert_eq!(joins.path(&"two".into(), &path, false), server);
    }
}
