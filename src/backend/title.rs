//! How a command is titled in transcripts. Both kinds of world title their answers with it.

use serde_json::{Map, Value};

use crate::{
    base::MachineId,
    scenario::{Client, Object, ObjectForm},
};

/// A command as the transcript prints it, and the object, netdev or chardev it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    /// `object-add f0`, `qom-set f0.status = off`, `stop`.
    pub text: String,
    /// `f0`.
    pub subject: Option<String>,
}

#[must_use]
pub fn qmp_title(machine: &MachineId, command: &str, args: &Map<String, Value>) -> Title {
    let qualified = |local: &str| machine.qualified::<String>(local);
    let word = |key: &str| args.get(key).and_then(Value::as_str);
    let object =
        || word("path").map(|path| qualified(path.strip_prefix("/objects/").unwrap_or(path)));
    match (command, object(), word("property")) {
        ("qom-set", Some(object), Some(property)) => Title {
            text: format!("qom-set {object}.{property} = {}", value(args.get("value"))),
            subject: Some(object),
        },
        ("qom-get", Some(object), Some(property)) => {
            Title { text: format!("qom-get {object}.{property}"), subject: Some(object) }
        }
        _ => {
            let mut ids = ["id", "name", "path", "device"].into_iter();
            let subject = ids.find_map(word).map(qualified);
            let whole = machine.is_named().then_some(machine.as_str());
            let mut text = command.to_owned();
            if let Some(about) = subject.as_deref().or(whole) {
                text.push(' ');
                text.push_str(about);
            }
            if let ("set_link", Some(Value::Bool(up))) = (command, args.get("up")) {
                text.push_str(if *up { " up" } else { " down" });
            }
            Title { text, subject }
        }
    }
}

#[must_use]
pub fn object_title(object: &Object) -> Title {
    if let ObjectForm::Qmp(args) = &object.form {
        return qmp_title(&object.machine, "object-add", args);
    }
    let subject = object.id.as_ref().map(|id| id.as_str().to_owned());
    let text =
        subject.as_ref().map_or_else(|| "object-add".to_owned(), |id| format!("object-add {id}"));
    Title { text, subject }
}

#[must_use]
pub fn migrate_title(from: &MachineId, to: &MachineId) -> Title {
    Title { text: format!("migrate {from} to {to}"), subject: Some(from.to_string()) }
}

#[must_use]
pub fn client_title(client: &Client) -> Title {
    let Client { from, call, within } = client;
    let mut text = format!("client {from} to {}", call.to);
    if !call.send.is_empty() {
        text.push_str(&format!(", {} B", call.send.len()));
    }
    if !call.close {
        text.push_str(", stays open");
    }
    if let Some(within) = within {
        text.push_str(&format!(", within {within:?}"));
    }
    Title { text, subject: Some(from.to_string()) }
}

fn value(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(machine: &str, command: &str, args: &Value) -> String {
        let args = args.as_object().expect("an object");
        qmp_title(&machine.into(), command, args).text
    }

    #[test]
    fn titles_name_the_machine_where_there_are_several() {
        let status = json!({"path": "/objects/f0", "property": "status", "value": "off"});
        let id = json!({"id": "f0"});
        assert_eq!(of("primary", "qom-set", &status), "qom-set primary/f0.status = off");
        assert_eq!(of("primary", "object-del", &id), "object-del primary/f0");
        assert_eq!(of("primary", "stop", &json!({})), "stop primary");
    }

    fn title(command: &str, args: Value) -> String {
        of("", command, &args)
    }

    #[test]
    fn titles_name_the_object_and_the_change() {
        let status = json!({"path": "/objects/f0", "property": "status", "value": "off"});
        assert_eq!(title("qom-set", status), "qom-set f0.status = off");
        assert_eq!(title("set_link", json!({"name": "hn0", "up": false})), "set_link hn0 down");
        assert_eq!(title("object-del", json!({"id": "f0"})), "object-del f0");
        assert_eq!(title("stop", json!({})), "stop");
    }
}
