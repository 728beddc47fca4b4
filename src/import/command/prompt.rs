//! Prompts of monitors, by whatever name: `(qemu)`, `shadow> `, `primary# `, `QMP(src)> `, `(qemu-vm1) `,
//! `[left] `, `on the right: `.

use super::{literal::Constants, verb};

/// Most bytes of a prompt.
const MOST: usize = 64;
/// Most words of a prompt.
const MOST_WORDS: usize = 5;

/// What stands before a command that is typed in a line, and where the command begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prompt<'a> {
    pub(super) label: &'a str,
    pub(super) start: usize,
    /// Its mark is one that programs wait behind, and not what a person writes before anything.
    pub(super) is_typed: bool,
}

/// The prompt that a line begins with, where a command that is known stands behind it.
pub(super) fn prompt(line: &str) -> Option<Prompt<'_>> {
    let marks = line.char_indices().take_while(|(at, _)| *at < MOST);
    for (at, mark) in marks.filter(|(_, c)| ">)]#$%:|»❯→".contains(*c)) {
        let behind = &line[at + mark.len_utf8()..];
        let typed = behind.trim_start();
        let name = typed.split(char::is_whitespace).next().unwrap_or_default();
        let name = name.strip_prefix("execute=").unwrap_or(name);
        let is_near = typed.len() < behind.len() || ")>]".contains(mark);
        let label = line[..at].trim();
        if !is_near || !verb::is_name(name) || !is_label(label) {
            continue;
        }
        if verb::typed(typed.trim_end(), &Constants::new()).is_some() {
            let is_typed = !":|]→".contains(mark);
            return Some(Prompt { label, start: line.len() - typed.len(), is_typed });
        }
    }
    None
}

/// What waits for commands of its own, and is no monitor.
const OTHERS: &[&str] =
    &["gdb", "lldb", "pdb", "ftp", "sftp", "telnet", "virsh", "mysql", "sqlite"];

/// Whether a text may stand before the mark of a prompt: a few words, one of which is more than a number.
fn is_label(text: &str) -> bool {
    let good = |c: char| c.is_alphanumeric() || " -_.@()[]{}:/~#*`'".contains(c);
    let is_word = |word: &str| word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    text.chars().all(good)
        && text.split_whitespace().count() <= MOST_WORDS
        && text.split(|c: char| !c.is_alphanumeric()).any(is_word)
        && !OTHERS.contains(&text.trim_matches(['(', ' ']))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("mq>     object_del f0", "mq: object_del f0")]
    #[case("shadow> set_link net0 off", "shadow: set_link net0 off")]
    #[case("primary# stop", "primary: stop")]
    #[case("(qemu-pvm) cont", "(qemu-pvm: cont")]
    #[case("QMP(src)> object-del id=f0", "QMP(src): object-del id=f0")]
    #[case("[left] object_del f0", "[left ? object_del f0")]
    #[case("then on pvm: object_del f0", "then on pvm ? object_del f0")]
    #[case("monitor@dst $ migrate_incoming tcp:0:4444", "monitor@dst: migrate_incoming tcp:0:4444")]
    #[case("(gdb) quit", "none")]
    #[case("1) stop", "none")]
    #[case("> stop", "none")]
    #[case("note: stop the guest", "none")]
    #[case("$ object_del f0", "none")]
    fn a_prompt_has_a_label(#[case] line: &str, #[case] expected: &str) {
        let shown = prompt(line).map(|prompt| {
            let mark = if prompt.is_typed { ":" } else { " ?" };
            format!("{}{mark} {}", prompt.label, &line[prompt.start..])
        });
        assert_eq!(shown.as_deref().unwrap_or("none"), expected);
    }
}
