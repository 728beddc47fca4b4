//! What a step is called in its record, and what it does there, both from the verb of the scenario.

use crate::{
    backend::{client_title, migrate_title, object_title, qmp_title},
    record::Deed,
    scenario::{BridgeChange, Burst, LinkSet, Verb},
};

/// What a step does at a port.
pub(super) fn deed(verb: &Verb) -> Deed {
    match verb {
        Verb::Send { port, .. } => Deed::Sends(port.clone()),
        Verb::Write { port, .. } => Deed::Writes(port.clone()),
        Verb::ChardevClose { port, half: false } => Deed::Closes(port.clone()),
        _ => Deed::Other,
    }
}

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
        Verb::Migrate { from, to } => migrate_title(from, to).text,
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
    match &change.bridge {
        Some(BridgeChange::Into(bridge)) => text.push_str(&format!(" bridge {bridge}")),
        Some(BridgeChange::OutOf) => text.push_str(" bridge none"),
        None => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use rstest::rstest;

    use super::*;
    use crate::{
        base::Profile,
        format,
        reading::Reading,
        record::{Accounting, Step, Transcript},
    };

    fn send(burst: Burst, chunk: Option<usize>) -> Verb {
        Verb::Send { port: "out0".into(), frames: Vec::new(), burst, chunk }
    }

    fn close(half: bool) -> Verb {
        Verb::ChardevClose { port: "out0".into(), half }
    }

    /// A snapshot has no other word of what a step did than its title.
    #[rstest]
    #[case(send(Burst::OneAtATime, None), Deed::Sends("out0".into()))]
    #[case(send(Burst::AllFirst, Some(3)), Deed::Sends("out0".into()))]
    #[case(
        Verb::Write { port: "out0".into(), data: Bytes::new(), chunk: Some(3) },
        Deed::Writes("out0".into())
    )]
    #[case(close(false), Deed::Closes("out0".into()))]
    #[case(close(true), Deed::Other)]
    #[case(Verb::ChardevOpen("out0".into()), Deed::Other)]
    #[case(Verb::Note("send out0".to_owned()), Deed::Other)]
    fn what_a_step_did_is_in_the_text_of_its_record(#[case] verb: Verb, #[case] expected: Deed) {
        assert_eq!(deed(&verb), expected);
        let step = Step { index: 1, title: of(&verb), deed: deed(&verb), ..Step::default() };
        let profile = Profile::default();
        let record = Transcript {
            case: "a".into(),
            profile: profile.clone(),
            backend: "sim",
            ports: Vec::new(),
            steps: vec![step],
            accounting: Accounting::default(),
            duration: Duration::ZERO,
        };
        let text = format::text(&Reading::of(record));
        let back = format::parse(&text, "a".into(), profile, &|_| None).expect("a record");
        assert_eq!(back.steps[0].deed, expected);
    }
}
