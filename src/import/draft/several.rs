//! Several command lines: names for the machines, and servers for their clients.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use crate::{import::machine::Machine, qapi::Options, scenario::Address};

impl Draft {
    /// Each machine has a name of its own: QEMU's, or its part in COLO.
    pub(super) fn name_machines(&mut self) {
        let mut taken: Vec<String> = Vec::new();
        let names: Vec<Option<String>> =
            self.machines.iter().map(|machine| machine.name.clone()).collect();
        for (number, machine) in self.machines.iter_mut().enumerate() {
            let has = |kind: &str| machine.objects.iter().any(|object| object.is_a(kind));
            // Hosts may call their guests alike.
            let shared = names.iter().filter(|name| **name == machine.name).count() > 1;
            let (first, second) = match (&machine.name, &machine.part) {
                (name, part @ Some(_)) if shared => (part, name),
                (name, part) => (name, part),
            };
            let given = first.as_deref().or(second.as_deref()).map(plain_name);
            let mut name = match given.filter(|name| !name.is_empty()) {
                Some(name) => name,
                None if has("colo-compare") => "primary".to_owned(),
                None if has("filter-rewriter") => "secondary".to_owned(),
                None => format!("vm{}", number + 1),
            };
            while taken.contains(&name) {
                name = format!("{name}-{}", number + 1);
            }
            if machine.name.as_ref().is_some_and(|old| *old != name) {
                let old = machine.name.as_deref().unwrap_or_default();
                machine.notes.push(format!("-name {old} is {name} here"));
            }
            taken.push(name.clone());
            machine.name = Some(name);
        }
    }

    /// The steps of ways to go on have the machines' names too.
    pub(super) fn name_ways(&mut self) {
        for machine in &self.machines {
            let (Some(part), Some(name)) = (&machine.part, &machine.name) else {
                continue;
            };
            let (old, new) = (format!("machine: {part}"), format!("machine: {name}"));
            for line in self.ways.iter_mut().flat_map(|(_, lines)| lines) {
                if part != name && line.contains(&old) {
                    *line = line.replace(&old, &new);
                }
            }
        }
    }

    /// Two servers at one path are on two hosts: each but the first has a path of its own, and so have the clients
    /// beside it.
    pub(super) fn part_paths(&mut self) {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for at in 0..self.machines.len() {
            let servers = self.machines[at].chardevs.iter().filter(|one| is_server(one));
            let paths: BTreeSet<String> =
                servers.filter_map(|one| one.get("path").map(str::to_owned)).collect();
            for path in paths {
                let first = *taken.entry(path.clone()).or_insert(at);
                if first != at {
                    self.machines[at].move_socket(&path);
                }
            }
        }
    }

    /// Gives every client a server. Two command lines that were tried on one host reach each other
    /// at a loopback address; here each machine is a host.
    pub(super) fn join(&mut self) {
        let servers: Vec<(String, Address)> = self
            .machines
            .iter()
            .flat_map(|machine| {
                let name = machine.name.clone().unwrap_or_default();
                let listening = machine.chardevs.iter().filter(|one| is_server(one));
                let listening = listening.filter_map(address).map(move |one| (name.clone(), one));
                listening.collect::<Vec<_>>()
            })
            .collect();
        // Servers at a loopback address that another machine reaches on one host.
        let mut opened: Vec<(String, u16)> = Vec::new();
        for machine in &mut self.machines {
            let name = machine.name.clone().unwrap_or_default();
            for chardev in machine.chardevs.iter_mut().filter(|one| !is_server(one)) {
                let Some(wanted) = address(chardev) else {
                    continue;
                };
                let here = name.as_str().into();
                let reached = |wanted: &Address| {
                    let mut servers = servers.iter();
                    let reach = |(at, server): &&(String, Address)| {
                        wanted.reaches(&here, server, &at.as_str().into()).is_some()
                    };
                    servers.find(reach).map(|(at, _)| at.clone())
                };
                let id = chardev.id().unwrap_or("?").to_owned();
                if reached(&wanted).is_some() {
                    continue;
                }
                // Any name but a loopback one reaches a server that listens on all addresses.
                let elsewhere = match &wanted {
                    Address::Tcp { port, .. } => {
                        reached(&Address::Tcp { host: "elsewhere".to_owned(), port: *port })
                    }
                    Address::Unix(_) => None,
                };
                let loopback = match &wanted {
                    Address::Tcp { host, port } if is_loopback(host) => {
                        let mut servers = servers.iter();
                        let found = servers.find(|(_, server)| {
                            matches!(server, Address::Tcp { host, port: other }
                                if is_loopback(host) && other == port)
                        });
                        found.map(|(at, _)| (at.clone(), *port))
                    }
                    _ => None,
                };
                if let Some((at, port)) = &loopback {
                    opened.push((at.clone(), *port));
                }
                if let Some(other) = elsewhere.or(loopback.map(|(at, _)| at)) {
                    machine.notes.push(format!(
                        "chardev {id} has host={other} for host={}: each machine is a host of its \
                         own here",
                        chardev.get("host").unwrap_or("")
                    ));
                    chardev.set("host", &other);
                } else {
                    machine.notes.push(format!(
                        "chardev {id} has connected=on: none of the machines listens at {wanted}, \
                         so the scenario is its far end"
                    ));
                    chardev.push("connected", "on");
                }
            }
        }
        for machine in &mut self.machines {
            let name = machine.name.clone().unwrap_or_default();
            for chardev in machine.chardevs.iter_mut().filter(|one| is_server(one)) {
                let Some(Address::Tcp { host, port }) = address(chardev) else {
                    continue;
                };
                if is_loopback(&host) && opened.contains(&(name.clone(), port)) {
                    let id = chardev.id().unwrap_or("?").to_owned();
                    machine.notes.push(format!(
                        "chardev {id} has host=0.0.0.0 for host={host}: another machine reaches it"
                    ));
                    chardev.set("host", "0.0.0.0");
                }
            }
        }
    }
}

impl Machine {
    /// Gives the chardevs at a path one that has the machine's name in it.
    fn move_socket(&mut self, path: &str) {
        let name = self.name.clone().unwrap_or_default();
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let slash = if folder.is_empty() && !path.starts_with('/') { "" } else { "/" };
        let moved = format!("{folder}{slash}{name}-{file}");
        for chardev in self.chardevs.iter_mut().filter(|one| one.get("path") == Some(path)) {
            chardev.set("path", &moved);
            let id = chardev.id().unwrap_or("?");
            // A path that stands for a descriptor is the importer's own.
            let own = format!("chardev {id} has path={path} for ");
            match self.notes.iter_mut().find(|note| note.starts_with(&own)) {
                Some(note) => *note = note.replacen(path, &moved, 1),
                None => self.notes.push(format!(
                    "chardev {id} has path={moved} for path={path}: each machine is a host of its own here"
                )),
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "::1" || host.starts_with("127.")
}

fn is_server(chardev: &Options) -> bool {
    chardev.is_on("server")
}

/// Where a socket listens or connects to.
fn address(chardev: &Options) -> Option<Address> {
    if chardev.get("backend") != Some("socket") {
        return None;
    }
    let host = || {
        Some(Address::Tcp {
            host: chardev.get("host")?.to_owned(),
            port: chardev.get("port")?.parse().ok()?,
        })
    };
    let path = chardev.get("path").map(str::to_owned);
    path.map(Address::Unix).or_else(host)
}

/// A name that a machine can have: letters, digits, `-` and `_`, a letter first.
fn plain_name(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .collect();
    let start = plain.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(plain.len());
    plain[start..].trim_end_matches('-').to_owned()
}
