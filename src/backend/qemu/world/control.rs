//! The scenario's commands, as QEMU takes them.

use std::{io, path::PathBuf};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{QemuWorld, Target, open, system};
use crate::{
    backend::{
        BackendError, lower,
        qemu::{
            admission::missing,
            chardev::{FarEnd, Side},
            command,
            process::Process,
        },
        title::{Title, object_title, qmp_title},
    },
    base::{ChardevId, MachineId, NetdevId, PortId},
    record::{Answer, CommandError, Item, NoAnswer, Outcome},
    scenario::{Object, ObjectForm},
};

impl QemuWorld {
    pub(super) fn object_add(&mut self, object: &Object) -> Result<Answer, BackendError> {
        self.admission
            .object(object, self.version)
            .map_err(|reason| missing("object-add", &reason))?;
        let title = object_title(object);
        let at = self.named(&object.machine);
        let text = match &object.form {
            ObjectForm::Qmp(args) => return self.ask(at, "object-add", args, title),
            ObjectForm::Option(text) => text,
        };
        let properties = &object.properties;
        let id = properties.option_id().unwrap_or_default().to_owned();
        // A filter goes with its netdev, and its id is free again.
        if self.machines[at].by_option.contains_key(&id) && self.has_no_object(at, &id)? {
            self.machines[at].by_option.remove(&id);
        }
        let machine = &self.machines[at];
        let earlier = machine.by_option.get(&id);
        let members = properties.qmp(machine.parser);
        match (members, earlier) {
            (Ok(args), None) => {
                let answer = self.ask(at, "object-add", &args, title)?;
                if let Outcome::Done(_) = answer.outcome {
                    self.machines[at].by_option.insert(id, text.clone());
                }
                Ok(answer)
            }
            (_, earlier) => {
                let earlier: Vec<&str> = earlier.into_iter().map(String::as_str).collect();
                let refused = Process::option_refusal(&self.program, &earlier, text)
                    .map_err(|error| system("QEMU", error))?;
                let desc = refused.ok_or_else(|| {
                    let taken = format!("QEMU takes what the model's parser refuses: {text}");
                    system("-object", io::Error::other(taken))
                })?;
                let class = "GenericError".to_owned();
                let refused = Outcome::Refused(CommandError { class, desc });
                self.answer_in_its_place(at, refused, title)
            }
        }
    }

    /// What another QEMU answered, when and if this one would have answered.
    fn answer_in_its_place(
        &mut self,
        at: usize,
        outcome: Outcome,
        title: Title,
    ) -> Result<Answer, BackendError> {
        let own = self.ask(at, "query-status", &Map::new(), title)?;
        match own.outcome {
            Outcome::Done(_) => Ok(Answer { outcome, ..own }),
            Outcome::Unanswered(NoAnswer::Frozen) => {
                self.machines[at].will_have_answered(outcome);
                Ok(own)
            }
            _ => Ok(own),
        }
    }

    pub(super) fn command(
        &mut self,
        machine: &MachineId,
        command: &str,
        args: &Map<String, Value>,
    ) -> Result<Answer, BackendError> {
        self.admission
            .command(command, args, self.version)
            .map_err(|reason| missing(command, &reason))?;
        let title = qmp_title(machine, command, args);
        let at = self.named(machine);
        let id = args.get("id").and_then(Value::as_str).unwrap_or_default();
        if command == "chardev-add"
            && args.get("backend").and_then(|backend| backend.get("type")) == Some(&"socket".into())
        {
            return self.socket_add(at, id, args, title);
        }
        let answer = match (command, self.stand_in(at, args)) {
            ("set_link", Some(ours)) => self.ask(at, command, &ours, title)?,
            _ => self.ask(at, command, args, title)?,
        };
        if let Outcome::Done(_) = answer.outcome {
            match command {
                "object-del" => drop(self.machines[at].by_option.remove(id)),
                "netdev_del" => {
                    let netdev: NetdevId = machine.qualified(id);
                    self.let_go(&netdev);
                    if let Some(tap) = self.machines[at].taps.get(&netdev) {
                        let port = tap.port.clone();
                        self.arrive(port, Item::Eof, &Bytes::new());
                    }
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    /// The arguments with the hub port that stands for the guest's NIC of this name.
    fn stand_in(&self, at: usize, args: &Map<String, Value>) -> Option<Map<String, Value>> {
        let (machine, name) = (&self.machines[at], args.get("name")?.as_str()?);
        let ids =
            machine.taps.keys().map(|id| machine.id.local(id.as_str()).unwrap_or(id.as_str()));
        let id = ids.into_iter().find(|id| PortId::guest(&NetdevId::from(*id)).as_str() == name)?;
        let mut ours = args.clone();
        ours.insert("name".to_owned(), open::hub_port(id).into());
        Some(ours)
    }

    /// A socket that a command makes is in our own folder, whatever address was asked for. One with
    /// a port listens, too.
    fn socket_add(
        &mut self,
        at: usize,
        id: &str,
        args: &Map<String, Value>,
        title: Title,
    ) -> Result<Answer, BackendError> {
        let machine = self.machines[at].id.clone();
        let chardev: ChardevId = machine.qualified(id);
        let socket = lower::added_socket(args).filter(|_| self.joined.contains(&chardev));
        let mut ours = args.clone();
        let path = match &socket {
            Some(socket) => self.joins.path(&machine, &socket.address, socket.server),
            None => self.file(),
        };
        let server = socket.as_ref().is_none_or(|socket| socket.server);
        let mut added = command::socket(id, &path, server);
        if let Some(Value::Object(options)) = args["backend"].get("data")
            && !server
        {
            command::add_reconnect(&mut added, options, self.version);
        }
        ours["backend"]["data"] = added["backend"]["data"].clone();
        let answer = self.ask(at, "chardev-add", &ours, title)?;
        if let Outcome::Done(_) = answer.outcome
            && socket.is_none()
        {
            let port = PortId::from(chardev.as_str());
            self.ports.insert(port.clone(), Target::Chardev(chardev.clone()));
            let wiring = self.added_chardevs.get(&chardev).copied().unwrap_or_default();
            let end = FarEnd::new(port, wiring, Side::Server, path);
            self.machines[at].ends.insert(chardev, end);
        }
        Ok(answer)
    }

    fn named(&self, machine: &MachineId) -> usize {
        let mut machines = self.machines.iter();
        machines.position(|one| one.id == *machine).unwrap_or_default()
    }

    /// A file name of our own.
    pub(super) fn file(&mut self) -> PathBuf {
        let path = self.directory.directory().join(self.directory.unique("q"));
        self.files.push(path.clone());
        path
    }
}
