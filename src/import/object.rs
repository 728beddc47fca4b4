//! QEMU's objects: which are of the net layer, and what they name.

use serde_json::Value;

use crate::qapi::{Properties, Role, is_modelled};

/// An object of the paste.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    /// An option string or JSON, as it is written where nothing had to change.
    pub(super) text: String,
    pub(super) properties: Properties,
}

impl Object {
    pub(super) fn read(text: &str) -> Self {
        Self { text: text.to_owned(), properties: Properties::of_option(text) }
    }

    /// Gives a member another value, in the text too.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.properties.set(name, value);
        self.text = self.properties.text().unwrap_or_default();
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.properties.id()
    }

    pub(super) fn is_a(&self, kind: &str) -> bool {
        self.properties.qom_type() == Some(kind)
    }
}

/// The members of an object in a step: an option string, or QMP's arguments.
pub(super) fn of_step(value: &Value) -> Properties {
    match value {
        Value::Object(map) => Properties::of_map(map.clone()),
        other => Properties::of_option(other.as_str().unwrap_or_default()),
    }
}

/// Whether an object has nothing to do with netdevs: QEMU has its type, and the net layer has not.
pub(super) fn is_elsewhere(object: &Properties) -> bool {
    object.qom_type().is_some_and(|kind| is_modelled(kind) == Some(false))
}

/// The netdevs (true), then the chardevs that an object names.
pub(super) fn names(object: &Properties) -> Vec<(bool, String)> {
    let members = object.members();
    let of = |is: fn(Role) -> bool, is_netdev: bool| {
        let members = members.iter().filter(move |member| member.role.is_some_and(is));
        members.filter_map(move |member| Some((is_netdev, member.text()?.to_owned())))
    };
    of(Role::is_netdev, true).chain(of(Role::is_chardev, false)).collect()
}

/// A file that is written, in the scenario's own folder.
pub(super) struct OwnFile {
    pub(super) property: String,
    pub(super) file: String,
    pub(super) note: String,
}

/// The file that an object writes, where its path leads out of the scenario's own folder: what a machine
/// opens is a port of the file's name. None where nothing has to change.
pub(super) fn own_file(object: &Properties) -> Option<OwnFile> {
    object.members().iter().find_map(|member| {
        let path = member.text().filter(|_| member.belongs)?;
        let name = path.rsplit(['/', '\\']).next().filter(|name| !name.is_empty())?;
        let leads_out = path.trim_start_matches("./") != name;
        (member.role == Some(Role::WriteFile) && leads_out).then(|| OwnFile {
            property: member.name.to_owned(),
            file: name.to_owned(),
            note: format!(
                "{0}={name} for {0}={path}: the file is a port of the scenario",
                member.name
            ),
        })
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("filter-dump,id=d,file=/tmp/a.pcap", Some("filter-dump,id=d,file=a.pcap"))]
    #[case("filter-dump,id=d,file=./a.pcap", None)]
    #[case("filter-dump,id=d,file=a.pcap", None)]
    #[case("filter-x,file=/tmp/a", None)]
    #[case(
        "{\"qom-type\":\"filter-dump\",\"file\":\"/b\",\"maxlen\":9}",
        Some("{\"qom-type\":\"filter-dump\",\"file\":\"b\",\"maxlen\":9}")
    )]
    fn a_dump_is_a_port(#[case] text: &str, #[case] expected: Option<&str>) {
        let mut object = Object::read(text);
        let own = own_file(&object.properties);
        if let Some(OwnFile { property, file, .. }) = &own {
            object.set(property, file);
        }
        assert_eq!(own.map(|_| object.text.as_str()), expected);
    }

    #[test]
    fn what_has_no_netdev_is_elsewhere() {
        let is_elsewhere = |text: &str| is_elsewhere(&Properties::of_option(text));
        assert!(is_elsewhere("secret,id=s,data=x"));
        assert!(is_elsewhere("igvm-cfg,id=i,file=x"));
        assert!(!is_elsewhere("iothread,id=i"));
        assert!(!is_elsewhere("filter-drop,id=i"));
    }
}
