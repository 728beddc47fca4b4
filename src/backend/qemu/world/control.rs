//! The scenario's commands, as QEMU takes them.

use std::{io, path::PathBuf};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{QemuWorld, Target, system};
use crate::{
    backend::{
        BackendError,
        qemu::{
            chardev::{FarEnd, Side},
            command,
            process::Process,
        },
        title::{Title, object_title, qmp_title},
    },
    base::{ChardevId, MachineId, NetdevId, PortId},
    machine::ObjectOption,
    record::{Answer, CommandError, Framing, Item, Outcome},
    scenario::{Object, ObjectForm},
};

impl QemuWorld {
    pub(super) fn object_add(&mut self, object: &Object) -> Result<Answer, BackendError> {
        let title = object_title(object);
        let text = match &object.form {
            ObjectForm::Qmp(args) => return self.ask("object-add", args, title),
            ObjectForm::Option(text) => text,
        };
        let id = ObjectOption::id_of(text).unwrap_or_default();
        let earlier = self.machine.by_option.get(&id);
        let members = ObjectOption::members(text, self.parser);
        match (members, earlier) {
            (Ok(args), None) => {
                let answer = self.ask("object-add", &args, title)?;
                if let Outcome::Done(_) = answer.outcome {
                    self.machine.by_option.insert(id, text.clone());
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
                Ok(Answer {
                    command: title.text,
                    subject: title.subject,
                    outcome: Outcome::Refused(CommandError { class, desc }),
                })
            }
        }
    }

    pub(super) fn command(
        &mut self,
        machine: &MachineId,
        command: &str,
        args: &Map<String, Value>,
    ) -> Result<Answer, BackendError> {
        let title = qmp_title(machine, command, args);
        let id = args.get("id").and_then(Value::as_str).unwrap_or_default();
        if command == "chardev-add"
            && args.get("backend").and_then(|backend| backend.get("type")) == Some(&"socket".into())
        {
            return self.socket_add(id, args, title);
        }
        let answer = self.ask(command, args, title)?;
        if let Outcome::Done(_) = answer.outcome {
            match command {
                "object-del" => drop(self.machine.by_option.remove(id)),
                "netdev_del" => {
                    let netdev = NetdevId::from(id);
                    self.let_go(&netdev);
                    if let Some(tap) = self.machine.taps.get(&netdev) {
                        let port = tap.port.clone();
                        self.arrive(port, Item::Eof, &Bytes::new());
                    }
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    /// A socket that a command makes listens in our own folder, whatever address was asked for.
    fn socket_add(
        &mut self,
        id: &str,
        args: &Map<String, Value>,
        title: Title,
    ) -> Result<Answer, BackendError> {
        let path = self.file();
        let mut ours = args.clone();
        ours["backend"]["data"] = command::socket(id, &path, true)["backend"]["data"].clone();
        let answer = self.ask("chardev-add", &ours, title)?;
        if let Outcome::Done(_) = answer.outcome {
            let (chardev, port) = (ChardevId::from(id), PortId::from(id));
            self.ports
                .insert(port.clone(), Target::Chardev(chardev.clone()));
            let end = FarEnd::new(port, Framing::Plain, 0, Side::Server, path);
            self.machine.ends.insert(chardev, end);
        }
        Ok(answer)
    }

    /// A file name of our own.
    pub(super) fn file(&mut self) -> PathBuf {
        let path = self.directory.directory().join(self.directory.unique("q"));
        self.files.push(path.clone());
        path
    }
}
