use crate::{
    backend::{client_title, object_title, qmp_title},
    scenario::{Burst, LinkSet, Verb},
};

/// A step as the transcript prints it.
pub(super) fn of(verb: &Verb) -> String {
    match verb {
        Verb::Qmp { machine, command, args } => qmp_title(machine, command, args).text,
        Verb::ObjectAdd(object) => object_title(object).text,
        Verb::Send { port, burst, chunk, .. } => {
            let burst = if *burst == Burst::AllFirst { ", burst" } else { "" };
            let chunk = chunk.map(|size| format!(", {size} B at a time")).unwrap_or_default();
            format!("send {port}{burst}{chunk}")
        }
        Verb::Write { port, chunk, .. } => {
            let chunk = chunk.map(|size| format!(", {size} B at a time")).unwrap_or_default();
            format!("write {port}{chunk}")
        }
        Verb::ChardevOpen(port) => format!("chardev-open {port}"),
        Verb::ChardevClose { port, half: false } => format!("chardev-close {port}"),
        Verb::ChardevClose { port, half: true } => format!("chardev-close {port}, half"),
        Verb::ChardevStall(port) => format!("chardev-stall {port}"),
        Verb::ChardevResume(port) => format!("chardev-resume {port}"),
        Verb::LinkSet(change) => link_set(change),
        Verb::LinkDel(port) => format!("link-del {port}"),
        Verb::Colo { event, machine } => match machine {
            Some(machine) => format!("colo {} {machine}", event.name()),
            None => format!("colo {}", event.name()),
        },
        Verb::Advance(span) => format!("advance {span:?}"),
        Verb::Client(client) => client_title(client).text,
        Verb::Impair(changes) => {
            let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
            format!("impair {}", changes.join(", "))
        }
        Verb::Expect(_) => "expect".to_owned(),
        Verb::Note(text) => format!("note {text}"),
    }
}

fn link_set(change: &LinkSet) -> String {
    let mut text = format!("link-set {}", change.port);
    if let Some(up) = change.up {
        text.push_str(if up { " up" } else { " down" });
    }
    if let Some(mtu) = change.mtu {
        text.push_str(&format!(" mtu {mtu}"));
    }
    if let Some(address) = &change.address {
        text.push_str(&format!(" address {address}"));
    }
    text
}
