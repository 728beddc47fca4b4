//! `<serial>`, `<parallel>`, `<channel>`, `<console>`: a chardev and the device that has it.

use super::{Options, Reading};
use crate::import::xml::Element;

impl Reading {
    pub(super) fn character(&mut self, element: &Element) {
        let target = element.of("target", "type");
        let of_serial = element.name == "console" && matches!(target, None | Some("serial"));
        if let Some(serial) = self.serial.as_ref().filter(|_| of_serial) {
            // libvirt shows the first serial port as a console too.
            let text = format!("{}, which is {serial} once more", super::whole(element));
            return self.left_out.push(text);
        }
        let stem = match element.name.as_str() {
            "parallel" => "parallel",
            "channel" => "channel",
            "console" if !of_serial => "console",
            _ => "serial",
        };
        let alias = self.alias(element, stem);
        let id = format!("char{alias}");
        if stem == "serial" && self.serial.is_none() {
            self.serial = Some(alias.clone());
        }
        let Some(chardev) = chardev(element, &id) else {
            return self.left_out.push(super::whole(element));
        };
        let mut device = Options::new(match stem {
            "parallel" => "isa-parallel",
            "channel" => "virtserialport",
            "console" => "virtconsole",
            _ => "isa-serial",
        });
        device.push("chardev", &id);
        device.push("id", &alias);
        device.push_some("name", element.of("target", "name"));
        let words = ["-chardev", &chardev.0, "-device", &device.0];
        self.devices.extend(words.map(str::to_owned));
        self.leave_out(&id, element, |child| match child.name.as_str() {
            "target" => (&["type", "name", "port", "state"], &["model"]),
            "alias" => (&["name"], &[]),
            // Where on its bus the device is says nothing here.
            "address" => (&["type", "controller", "bus", "port"], &[]),
            "log" => (&["file", "append"], &[]),
            "source" => match element.get("type") {
                // Its terminal is known only when it runs.
                Some("pty") => (&["path"], &[]),
                Some("unix" | "file" | "pipe" | "dev") => (&["mode", "path"], &["reconnect"]),
                Some("tcp" | "udp") => (&["mode", "host", "service"], &["reconnect"]),
                _ => (&[], &[]),
            },
            "protocol" if matches!(child.get("type"), Some("raw" | "telnet")) => (&["type"], &[]),
            _ => (&[], &[]),
        });
    }
}

/// The chardev (libvirt 10.0 `qemuBuildChardevStr`); none where its source says too little.
fn chardev(element: &Element, id: &str) -> Option<Options> {
    let source = |mode: &str| {
        let mut sources = element.children.iter().filter(|one| one.name == "source");
        sources.find(|one| one.get("mode").unwrap_or(mode) == mode)
    };
    let first = element.child("source");
    let path = || first?.get("path");
    let kind = element.get("type")?;
    let mut chardev = Options::new(match kind {
        "unix" | "tcp" => "socket",
        // QEMU's word for a device of the host.
        "dev" => "serial",
        other => other,
    });
    chardev.push("id", id);
    match kind {
        "unix" => {
            // Where no path is given libvirt makes one up that ends like this.
            let named = element.of("target", "name").unwrap_or(id);
            chardev.push("path", path().unwrap_or(named));
        }
        "tcp" => {
            chardev.push("host", first?.get("host").unwrap_or_default());
            chardev.push("port", first?.get("service")?);
        }
        "udp" => {
            let connect = source("connect")?;
            chardev.push("host", connect.get("host").unwrap_or_default());
            chardev.push("port", connect.get("service")?);
            let bind = source("bind");
            chardev.push_some("localaddr", bind.and_then(|bind| bind.get("host")));
            chardev.push_some("localport", bind.and_then(|bind| bind.get("service")));
        }
        "file" | "pipe" | "dev" => chardev.push("path", path()?),
        _ => {}
    }
    if matches!(kind, "unix" | "tcp") {
        let default = if kind == "tcp" { "connect" } else { "bind" };
        match first.and_then(|source| source.get("mode")).unwrap_or(default) {
            "bind" => {
                chardev.push("server", "on");
                chardev.push("wait", "off");
            }
            _ => {
                let reconnect = first.and_then(|source| source.child("reconnect"));
                let on = reconnect.filter(|one| one.get("enabled") == Some("yes"));
                chardev.push_some("reconnect", on.and_then(|one| one.get("timeout")));
            }
        }
        if element.of("protocol", "type") == Some("telnet") {
            chardev.push("telnet", "on");
        }
    }
    chardev.push_some("logfile", element.of("log", "file"));
    chardev.push_some("logappend", element.of("log", "append"));
    Some(chardev)
}
