//! What a draft says of itself: what it has otherwise than the paste, and what it still needs.

use std::collections::BTreeSet;

use super::Draft;
use crate::{
    import::{command, flag, machine::Machine, standin::StandIn},
    terminal::is_control,
};

/// Most lines of the paste that are repeated because nothing was made of them.
const MOST_LINES: usize = 12;

/// Most columns of a sentence.
const WIDTH: usize = 96;

pub(super) fn head(draft: &Draft) -> String {
    let mut out = String::new();
    let several = draft.machines.len() > 1;
    for machine in &draft.machines {
        let name = machine.name.as_deref().filter(|_| several);
        of_machine(machine, name, &mut out);
    }
    // What a note or a loop's remark names alone is not in the scenario.
    let made = format!("{}{out}", draft.tree());
    for StandIn { written, value, .. } in draft.stand_ins.iter().filter(|one| one.is_in(&made)) {
        // `XX` is in the text, and says nothing.
        let is_crossed = written.chars().all(|c| matches!(c, 'X' | 'x'));
        let stands = match value {
            Some(value) if is_crossed => {
                format!("what {written} is, the text does not say: {value} stands for it")
            }
            Some(value) => format!("{written} is not in the text: {value} stands for it"),
            None => format!("{written} is not in the text: what it adds is left out"),
        };
        say(&stands, &mut out);
    }
    if !draft.unfit.is_empty() {
        sentence("Left out, because no scenario can have it as it is:", &mut out);
        for (written, reason) in &draft.unfit {
            say(&format!("  {written}"), &mut out);
            say(&format!("    {reason}"), &mut out);
        }
    }
    for remark in &draft.remarks {
        let mut letters = remark.chars();
        let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
        sentence(&format!("{first}{}.", letters.as_str()), &mut out);
    }
    if !draft.branches.is_empty() {
        sentence("Of the branches of the text, these are taken:", &mut out);
        let mut listed = BTreeSet::new();
        for line in draft.branches.iter().filter(|line| listed.insert(line.as_str())) {
            say(&format!("  {line}"), &mut out);
        }
    }
    for (title, lines) in &draft.ways {
        sentence(&format!("Left out, {title}"), &mut out);
        for line in lines {
            say(&format!("  {line}"), &mut out);
        }
    }
    if !draft.commands.is_empty() {
        sentence("Commands in the paste that are no step:", &mut out);
        for line in &draft.commands {
            say(&format!("  {line}"), &mut out);
        }
    }
    let (options, prose): (Vec<&String>, Vec<&String>) =
        draft.unread.iter().partition(|line| flag::is_qemus(line));
    if !options.is_empty() {
        sentence("In the paste, and no command line:", &mut out);
        for line in options {
            say(&format!("  {line}"), &mut out);
        }
    }
    if !prose.is_empty() {
        sentence("In the paste, and not QEMU's options:", &mut out);
        for line in prose.iter().take(MOST_LINES) {
            say(&format!("  {line}"), &mut out);
        }
        let more = prose.len().saturating_sub(MOST_LINES);
        if more > 0 {
            say(&format!("  and {more} more"), &mut out);
        }
    }
    out
}

/// The options of the paste that are neither in the scenario nor named by its comments.
pub(super) fn missing(draft: &Draft, text: &str) -> String {
    let mut out = String::new();
    let missing = draft.mentions.iter().filter(|mention| !mention.is_in(text));
    let (commented, missing): (Vec<_>, Vec<_>) =
        missing.partition(|mention| draft.commented.contains(mention));
    if !commented.is_empty() {
        sentence("In comments of the text, and not set up:", &mut out);
        for mention in commented {
            say(&format!("  {}", mention.shown), &mut out);
        }
    }
    if !missing.is_empty() {
        sentence("In the paste, and not read: its place in the text is not understood.", &mut out);
        for mention in missing {
            say(&format!("  {}", mention.shown), &mut out);
        }
    }
    let unheard = command::missing(&draft.heard, text);
    if !unheard.is_empty() {
        sentence(
            "Commands in the paste, and no step: their place in the text is not understood.",
            &mut out,
        );
        for mention in unheard {
            say(&format!("  {}", mention.shown), &mut out);
        }
    }
    out
}

fn of_machine(machine: &Machine, name: Option<&str>, out: &mut String) {
    let of = name.map(|name| format!("{name}: ")).unwrap_or_default();
    if !machine.elsewhere.is_empty() {
        sentence(&format!("{of}Left out, not of the net layer:"), out);
        folded(&machine.elsewhere, out);
    }
    if let Some(file) = &machine.readconfig {
        let text = format!("{of}-readconfig {file} is not in the paste: put its text after it.");
        sentence(&text, out);
    }
    if !machine.refused.is_empty() {
        sentence(&format!("{of}Left out, because QEMU refuses it and does not start:"), out);
        for (written, text) in &machine.refused {
            say(&format!("  {written}"), out);
            say(&format!("    {text}"), out);
        }
    }
    if !machine.notes.is_empty() {
        sentence(&format!("{of}Otherwise than in the paste:"), out);
        for note in &machine.notes {
            say(&format!("  {note}"), out);
        }
    }
}

/// What is to be sent is not in a command line.
pub(super) fn tail(draft: &Draft) -> String {
    let mut out = String::new();
    if draft.traffic.is_some() {
        return out;
    }
    let Some(port) = draft.default_port() else {
        sentence(
            "Nothing here takes frames: hub ports and `user` have no ports. Give the machine a tap.",
            &mut out,
        );
        return out;
    };
    sentence(
        "What was sent? Take the marks away and write it here, or import with --pcap FILE --at PORT.",
        &mut out,
    );
    let mut lines = vec![
        format!("  - send: {port}"),
        "    frames:".to_owned(),
        "      - ipv4: { src: 10.0.0.1, dst: 10.0.0.2 }".to_owned(),
        "        udp: { sport: 4000, dport: 9 }".to_owned(),
        "        payload: \"hello\"".to_owned(),
    ];
    if draft.steps().is_empty() {
        lines.insert(0, "steps:".to_owned());
    }
    for line in lines {
        out += &format!("#{}\n", shown(&line));
    }
    out
}

/// Words of a command line over lines that are not too long.
fn folded(words: &[String], out: &mut String) {
    let mut line = String::from(" ");
    for word in words {
        if line.len() > 1 && line.len() + word.len() + 1 > WIDTH {
            say(&line, out);
            " ".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    say(&line, out);
}

/// A sentence over as many lines as it needs.
fn sentence(text: &str, out: &mut String) {
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + word.len() + 1 > WIDTH {
            say(&line, out);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    say(&line, out);
}

/// One line; what would end a comment or trouble a terminal is not said.
fn say(text: &str, out: &mut String) {
    out.push_str("# ");
    out.push_str(shown(text).trim_end());
    out.push('\n');
}

fn shown(text: &str) -> String {
    let before = std::iter::once('\0').chain(text.chars());
    text.chars()
        .zip(before)
        .map(|(c, previous)| if is_control(c, previous) { ' ' } else { c })
        .collect()
}
