//! The machines that the records were measured on, and a machine that can be asked.

use serde_json::{Value, json};
use tapwright::{
    base::{Profile, VirtualTime},
    machine::{
        CharBackend, ChardevConfig, Command, CommandId, Config, Input, Machine, NetdevConfig,
        NetdevKind, Output, Start,
    },
    record::{CommandError, NoAnswer, Outcome},
};

use super::{host::Host, record::RecordError};

/// A machine and all that came out of it since it was last asked.
pub(super) struct Bench {
    machine: Machine,
    pub(super) now: VirtualTime,
    pub(super) out: Vec<Output>,
    pub(super) host: Host,
    /// It died of a command.
    dead: bool,
    commands: u64,
}

impl Bench {
    pub(super) fn new(config: Config) -> Result<Self, RecordError> {
        let machine = Machine::new(config)?;
        Ok(Self {
            machine,
            now: VirtualTime::ZERO,
            out: Vec::new(),
            host: Host::default(),
            dead: false,
            commands: 0,
        })
    }

    pub(super) fn input(&mut self, input: Input) {
        self.machine.handle(self.now, input, &mut self.out);
    }

    pub(super) fn deadline(&self) -> Option<VirtualTime> {
        self.machine.deadline()
    }

    /// Gives a command and takes its answer out of the outputs; none while the machine is frozen.
    pub(super) fn command(&mut self, command: Command) -> Outcome {
        if self.dead {
            return Outcome::Unanswered(NoAnswer::Dead);
        }
        self.commands += 1;
        let id = CommandId(self.commands);
        self.input(Input::Command { id, command });
        let answer = self.out.iter().position(
            |output| matches!(output, Output::Answer { id: answered, .. } if *answered == id),
        );
        let outcome = match answer.map(|at| self.out.remove(at)) {
            Some(Output::Answer { outcome, .. }) => outcome,
            _ => Outcome::Unanswered(NoAnswer::Frozen),
        };
        self.dead = matches!(outcome, Outcome::Aborts(_));
        outcome
    }

    /// Gives a command; what the host refuses to open is taken away again.
    pub(super) fn qmp(&mut self, name: &str, args: &Value) -> Outcome {
        let args = in_folder(args);
        let chardev = args["id"].as_str().unwrap_or_default().to_owned();
        let outcome = self.machine_qmp(name, args.clone());
        if !matches!(outcome, Outcome::Done(_)) {
            return outcome;
        }
        match name {
            "chardev-remove" => self.host.forget(&chardev),
            "chardev-add" | "chardev-change" => {
                self.host.forget(&chardev);
                if let Err(why) = self.host.open(&chardev, &args["backend"]) {
                    self.machine_qmp("chardev-remove", json!({"id": chardev}));
                    let desc = format!("Failed to add chardev '{chardev}': {why}");
                    return Outcome::Refused(CommandError {
                        class: "GenericError".to_owned(),
                        desc,
                    });
                }
            }
            _ => {}
        }
        outcome
    }

    fn machine_qmp(&mut self, name: &str, args: Value) -> Outcome {
        self.command(Command::Qmp { name: name.to_owned(), args })
    }
}

/// Arguments whose paths stand in the folder of the run: the machine knows no other.
fn in_folder(args: &Value) -> Value {
    match args {
        Value::String(text) => text.strip_prefix("@D/").unwrap_or(text).into(),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| (name.clone(), in_folder(value)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

pub(super) fn netdev(id: &str, kind: NetdevKind, peer: Option<&str>) -> NetdevConfig {
    NetdevConfig { id: id.into(), kind, peer: peer.map(Into::into) }
}

pub(super) fn hubport(id: &str, hub: u32, peer: Option<&str>) -> NetdevConfig {
    netdev(id, NetdevKind::Hubport { hub }, peer)
}

pub(super) fn chardev(id: &str, backend: CharBackend, connected: bool) -> ChardevConfig {
    ChardevConfig { id: id.into(), backend, connected }
}

pub(super) fn socket(server: bool, reconnect: bool, monitor: bool) -> CharBackend {
    CharBackend::Socket { server, reconnect, monitor }
}

/// The monitor's own chardev.
pub(super) fn monitor() -> ChardevConfig {
    chardev("qmp0", socket(false, false, true), true)
}

/// The sockets of those set-ups that listen, each at a path of its own name.
pub(super) fn listeners() -> impl Iterator<Item = String> {
    (0..=8).map(|n| format!("c{n}")).chain(["cmux".to_owned()])
}

/// One of the set-ups of the records of errors.
pub(super) fn machine(setup: &str, profile: Profile) -> Result<Config, RecordError> {
    let tap = |queues| NetdevKind::Tap { queues, vhost: false, vnet_hdr_len: 0 };
    let netdevs = match setup {
        "std" => vec![
            netdev("n0", NetdevKind::Socket, None),
            hubport("h0", 0, Some("n0")),
            hubport("h1", 0, None),
            netdev("n1", NetdevKind::Datagram, None),
            hubport("n1x", 7, None),
            hubport("n2", 1, None),
            hubport("n2b", 1, None),
            netdev("u0", NetdevKind::User, None),
            netdev("s0", NetdevKind::Stream, None),
            netdev("d0", NetdevKind::Datagram, None),
        ],
        "tap" => vec![netdev("t0", tap(1), None)],
        "tapmq" => vec![netdev("t0", tap(2), None)],
        "vhu" => vec![netdev("v0", NetdevKind::VhostUser, None)],
        "pc" => vec![
            netdev("n0", NetdevKind::Socket, None),
            netdev("nic0", NetdevKind::Nic { vnet_hdr_len: 0 }, Some("n0")),
        ],
        _ => return Err(RecordError::Setup(setup.to_owned())),
    };
    let servers = (0..=8).map(|n| chardev(&format!("c{n}"), socket(true, false, false), false));
    let others = [
        chardev("cnull", CharBackend::Null, true),
        chardev("cudp", CharBackend::Udp, true),
        chardev("cfile", CharBackend::File, true),
        chardev("cring", CharBackend::Ringbuf { size: 65536 }, true),
        chardev("cmux", CharBackend::Mux, false),
        chardev("ctcp", socket(true, false, false), false),
        chardev("crec", socket(false, true, false), false),
        chardev("cpty", CharBackend::Pty, false),
        monitor(),
    ];
    let chardevs = servers.chain(others).collect();
    // A machine that could run is not let run.
    let start = Start { stopped: setup == "pc", ..Start::default() };
    let iothreads = vec!["io0".into()];
    Ok(Config { profile, netdevs, chardevs, iothreads, start, ..Config::default() })
}

/// A chardev of a command line: its config and the path of its socket or file.
pub(super) fn parse_chardev(text: &str) -> Result<(ChardevConfig, Option<String>), RecordError> {
    let unknown = || RecordError::Chardev(text.to_owned());
    let mut items = text.split(',');
    let kind = items.next().ok_or_else(unknown)?;
    let options: Vec<(&str, &str)> =
        items.map(|item| item.split_once('=').unwrap_or((item, "on"))).collect();
    let get =
        |name: &str| options.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let on =
        |name: &str| get(name).is_some_and(|value| matches!(value, "on" | "yes" | "true" | "y"));
    let backend = match kind {
        "socket" if on("mux") => CharBackend::Mux,
        "socket" => socket(on("server"), get("reconnect-ms").or(get("reconnect")).is_some(), false),
        "null" => CharBackend::Null,
        "file" => CharBackend::File,
        "ringbuf" | "memory" => CharBackend::Ringbuf {
            size: match get("size") {
                Some(size) => size.parse().map_err(|_| unknown())?,
                None => 65536,
            },
        },
        "udp" => CharBackend::Udp,
        "pty" => CharBackend::Pty,
        _ => return Err(unknown()),
    };
    let id = get("id").ok_or_else(unknown)?;
    Ok((chardev(id, backend, false), get("path").map(str::to_owned)))
}
