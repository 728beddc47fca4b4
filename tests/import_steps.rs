//! Monitor commands in whatever a text puts around them: exports of chats, strings of JSON and YAML, mail, pages,
//! notebooks; and the words that name their machine. Each is a step of its machine, in order, and none is lost.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

/// A part of a text: what a person says, and what he types or shows below it.
struct Part {
    prose: String,
    shown: String,
}

/// What a text stands in.
const CONTAINERS: &[fn(&[Part]) -> String] = &[
    slack,
    mattermost,
    teams,
    discord,
    telegram,
    matrix,
    whatsapp,
    irc,
    python,
    yaml_string,
    yaml_block,
    page,
    mail,
    notebook,
    markdown,
    excerpt,
];

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn all(parts: &[Part], one: impl Fn(&Part) -> String) -> String {
    parts.iter().map(one).collect()
}

fn slack(parts: &[Part]) -> String {
    let message = |part: &Part| {
        let text = escaped(&format!("{}\n```{}```", part.prose, part.shown));
        json!({ "type": "message", "user": "U01", "ts": "1.2", "text": text })
    };
    serde_json::to_string_pretty(&parts.iter().map(message).collect::<Vec<_>>()).unwrap()
}

fn mattermost(parts: &[Part]) -> String {
    all(parts, |part| {
        let message = format!("{}\n```\n{}\n```\n", part.prose, part.shown);
        format!("{}\n", json!({ "type": "post", "post": { "user": "mira", "message": message } }))
    })
}

fn teams(parts: &[Part]) -> String {
    let message = |part: &Part| {
        let content = format!("<p>{}</p><pre>{}</pre>", part.prose, escaped(&part.shown));
        json!({ "createdDateTime": "2024-05-01", "body": { "contentType": "html", "content": content } })
    };
    json!({ "value": parts.iter().map(message).collect::<Vec<_>>() }).to_string()
}

fn discord(parts: &[Part]) -> String {
    let message = |part: &Part| {
        let content = format!("{}\n```sh\n{}\n```", part.prose, part.shown);
        json!({ "timestamp": "2024-05-01", "content": content, "author": { "name": "mira" } })
    };
    json!({ "channel": { "name": "lab" }, "messages": parts.iter().map(message).collect::<Vec<_>>() }).to_string()
}

fn telegram(parts: &[Part]) -> String {
    let message = |part: &Part| {
        let text = json!([format!("{}\n", part.prose), { "type": "pre", "text": part.shown }]);
        json!({ "id": 1, "date": "2024-05-01", "from": "Mira", "text": text })
    };
    json!({ "name": "lab", "messages": parts.iter().map(message).collect::<Vec<_>>() }).to_string()
}

fn matrix(parts: &[Part]) -> String {
    let message = |part: &Part| {
        let body = format!("{}\n```\n{}\n```", part.prose, part.shown);
        let html = format!("<p>{}</p><pre><code>{}</code></pre>", part.prose, escaped(&part.shown));
        json!({ "sender": "@mira:lab", "content": { "body": body, "formatted_body": html } })
    };
    json!({ "messages": parts.iter().map(message).collect::<Vec<_>>() }).to_string()
}

fn whatsapp(parts: &[Part]) -> String {
    all(parts, |part| format!("12/03/24, 10:11 - Mira Sand: {}\n{}\n", part.prose, part.shown))
}

fn irc(parts: &[Part]) -> String {
    all(parts, |part| {
        let lines = part.shown.lines().map(|line| format!("[10:11] <mira> {line}\n"));
        format!("[10:11] <mira> {}\n{}", part.prose, lines.collect::<String>())
    })
}

fn python(parts: &[Part]) -> String {
    let message = |part: &Part| {
        let text = format!("{}\n```{}```", part.prose, part.shown);
        let text = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
        format!("{{'user': 'mira', 'ok': True, 'text': '{text}'}},\n")
    };
    format!("[{}]\n", all(parts, message))
}

fn yaml_string(parts: &[Part]) -> String {
    all(parts, |part| {
        let text = json!(format!("{}\n{}\n", part.prose, part.shown));
        format!("- author: mira\n  text: {text}\n")
    })
}

fn yaml_block(parts: &[Part]) -> String {
    all(parts, |part| {
        let lines = part.shown.lines().map(|line| format!("    {line}\n"));
        format!("- author: mira\n  text: |\n    {}\n\n{}", part.prose, lines.collect::<String>())
    })
}

fn page(parts: &[Part]) -> String {
    let inner = all(parts, |part| {
        format!("<p>{}</p>\n<pre><code>{}</code></pre>\n", part.prose, escaped(&part.shown))
    });
    format!("<html><body>\n{inner}</body></html>\n")
}

fn mail(parts: &[Part]) -> String {
    let text = markdown(parts).replace("```\n", "\n");
    text.lines().map(|line| format!("> > {line}\n")).collect()
}

fn notebook(parts: &[Part]) -> String {
    let cells = |part: &Part| {
        let lines: Vec<String> = part.shown.lines().map(|line| format!("{line}\n")).collect();
        [
            json!({ "cell_type": "markdown", "source": [part.prose] }),
            json!({ "cell_type": "code", "outputs": [], "source": lines }),
        ]
    };
    json!({ "cells": parts.iter().flat_map(cells).collect::<Vec<_>>(), "nbformat": 4 }).to_string()
}

fn markdown(parts: &[Part]) -> String {
    all(parts, |part| format!("{}\n\n```\n{}\n```\n\n", part.prose, part.shown))
}

/// A part of an export, which is no JSON by itself.
fn excerpt(parts: &[Part]) -> String {
    format!("This is what I found:\n\n{}...\n", slack(parts).trim_start_matches("[\n"))
}

/// The words before commands, with the machine's name.
const PROSE: &[&str] = &[
    "on @:",
    "then on @",
    "and back on @",
    "Now in the monitor of @:",
    "this is what I sent to @",
    "@ first:",
    "So I went over to @ and typed, on @,",
    "It did not help on the others, so again on @",
];

/// A command in each of three forms, and its id.
fn command() -> impl Strategy<Value = (String, String)> {
    let kinds = vec![
        "object_del @",
        "chardev-remove @",
        "netdev_del @",
        "qom-set /objects/@ status off",
        "object_add filter-dump,id=@,netdev=n0,file=a.pcap",
        "(qemu) object_del @",
        "{\"execute\": \"object-del\", \"arguments\": {\"id\": \"@\"}}",
        "{'execute': 'chardev-remove', 'arguments': {'id': '@'}}",
        "-> {\"execute\": \"netdev_del\", \"arguments\": {\"id\": \"@\"}}\n<- {\"return\": {}}",
    ];
    (prop::sample::select(kinds), "[a-z]{6}[0-9]{2}")
        .prop_map(|(kind, id)| (kind.replace('@', &id), id))
}

proptest! {
    /// Whatever the commands stand in, each is a step of the machine that the words above it name, in order.
    #[test]
    fn a_command_is_its_machines_in_any_container(
        parts in prop::collection::vec(
            (prop::sample::select(PROSE), prop::sample::select(vec!["left", "right", "web1"]), prop::collection::vec(command(), 1..4)),
            1..4,
        ),
        container in prop::sample::select(CONTAINERS),
    ) {
        let names = ["left", "right", "web1"];
        let start = |name: &&str| Part {
            prose: format!("this is how {name} is started:"),
            shown: format!("qemu-system-x86_64 -name {name} -m 1G \\\n  -netdev tap,id=n0,ifname={name}"),
        };
        let mut all: Vec<Part> = names.iter().map(start).collect();
        let ids: Vec<(&str, &String)> =
            parts.iter().flat_map(|(_, name, commands)| commands.iter().map(|(_, id)| (*name, id))).collect();
        let several: std::collections::BTreeSet<&String> = ids.iter().map(|(_, id)| *id).collect();
        prop_assume!(several.len() == ids.len());
        all.extend(parts.iter().map(|(prose, name, commands)| Part {
            prose: prose.replace('@', name),
            shown: commands.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("\n"),
        }));
        let text = container(&all);
        let draft = tapwright::import::paste(&text).unwrap().unwrap();
        let made = draft.text();
        let tree = draft.tree();
        let steps = tree.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
        let found: Vec<(Option<&str>, bool)> = steps.iter().zip(&ids).map(|(step, (_, id))| {
            (step["machine"].as_str(), step.to_string().contains(id.as_str()))
        }).collect();
        let expected: Vec<(Option<&str>, bool)> = ids.iter().map(|(name, _)| (Some(*name), true)).collect();
        prop_assert_eq!((steps.len(), found), (ids.len(), expected), "{}\n---\n{}", text, made);
        for name in names {
            prop_assert!(made.contains(&format!("ifname={name}")), "{text}\n---\n{made}");
        }
    }
}

/// Whose a command is, by its prompt, by what it names, by the words above it.
#[rstest]
#[case::prompts(
    "left> object_del x1\nright> object_del x2\nleft> stop\n",
    &["object-del: x1\n    machine: left", "object-del: x2\n    machine: right", "stop: null\n    machine: left"]
)]
#[case::prompts_of_shells("right# set_link n0 off\n[left] (qemu) stop\n(qemu-right) cont\n",
    &["up: false }\n    machine: right", "stop: null\n    machine: left", "cont: null\n    machine: right"]
)]
#[case::qmp_prompts("QMP(left)> {\"execute\": \"stop\"}\nright.qmp> {\"execute\": \"cont\"}\n",
    &["stop: null\n    machine: left", "cont: null\n    machine: right"]
)]
#[case::an_id_of_one("On right:\n(qemu) object_del dl\n(qemu) stop\n",
    &["object-del: dl\n    machine: left", "stop: null\n    machine: left"]
)]
#[case::an_id_of_none("On right:\n(qemu) object_del nobody\n",
    &["object-del: nobody\n    machine: right", "the machine has no nobody, which a step names"]
)]
#[case::the_last_of_a_sentence("I stopped left and entered on right\n\n(qemu) cont\n", &["cont: null\n    machine: right"])]
#[case::done_once_more(
    "on left `object_del x1`, then the same line on right\n",
    &["object-del: x1\n    machine: left", "no step for what is done once more: the same line on right"]
)]
#[case::only_named("then object_del x9 would do, I think\n", &["no step for object_del x9"])]
fn a_command_has_its_machine(#[case] text: &str, #[case] has: &[&str]) {
    let start = "qemu-system-x86_64 -name left -netdev tap,id=n0 -object filter-dump,id=dl,netdev=n0,file=a\n\n\
                 qemu-system-x86_64 -name right -netdev tap,id=n0\n\n";
    let draft = tapwright::import::paste(&format!("{start}{text}")).unwrap().unwrap();
    let made = draft.text();
    for part in has {
        assert!(made.contains(part), "{part}\n{made}");
    }
}

/// A text of many dashes, and one of many commands, are read in a time that grows as they do: the debug build would
/// not end otherwise.
#[test]
fn long_texts_are_read() {
    let dashes = format!("qemu-system-x86_64 -netdev tap,id=a,ifname={} -S\n", "-".repeat(100_000));
    assert!(tapwright::import::paste(&dashes).is_ok());
    let commands = "on left:\n(qemu) set_link n0 off\n".repeat(900);
    let text = format!(
        "qemu-kvm -name left -netdev tap,id=n0\nqemu-kvm -name right -netdev tap,id=n0\n{commands}"
    );
    assert!(tapwright::import::paste(&text).unwrap().is_some());
}
