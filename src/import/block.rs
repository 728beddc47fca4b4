//! How a text falls into parts: what stands in fences, paragraphs, compound commands, here-documents.

use std::{borrow::Cow, collections::BTreeSet};

use super::flag;

/// The mark of a fence.
const FENCE: &str = "```";

/// The text with each fence in a line of its own: chats put the first line of what is fenced behind the mark that
/// opens it, and the mark that closes it behind the last one.
pub(super) fn fenced(text: &str) -> Cow<'_, str> {
    if !text.contains(FENCE) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut is_open) = (String::new(), false);
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let mut rest = line;
        // What stands in a string of a program is that string's.
        let is_string = line.contains("\\n");
        while let Some((before, after)) = rest.split_once(FENCE).filter(|_| !is_string) {
            let after = after.trim_start_matches('`');
            let is_first = out.is_empty() || out.ends_with('\n');
            if is_first && before.trim().is_empty() {
                out += before;
            } else {
                out += before.trim_end();
                out += if out.ends_with('\n') { "" } else { "\n" };
            }
            out += FENCE;
            is_open = !is_open;
            if is_open && is_info(after) {
                out += after;
                rest = "";
                break;
            }
            rest = after;
            if !rest.trim().is_empty() {
                out.push('\n');
            }
        }
        out += rest;
        out += end;
    }
    Cow::Owned(out)
}

/// Whether what stands behind the mark of a fence says what is in it: `sh`, `{.bash}`, `yaml title="a.yml"`.
fn is_info(text: &str) -> bool {
    let text = text.trim();
    let word = text.split([' ', ',']).next().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "+-_.{}#=\"".contains(c);
    let is_command = flag::is_program(word) || ["cont", "quit", "stop"].contains(&word);
    let is_word = word.chars().all(is_name) && !text.contains(FENCE) && !is_command;
    is_word
        && (text == word
            || text.contains('=') && !flag::is_qemus(text) && !word.contains(['_', '-']))
}

/// What stands in fences, and between them. A fence may stand in the line of its text, as chats write it.
pub(super) fn regions(text: &str) -> Vec<String> {
    let mut regions = vec![String::new()];
    for line in text.lines() {
        let mark = line.trim();
        let fence = ["```", "~~~"].into_iter().find(|fence| mark.starts_with(fence));
        let behind = fence.map_or("", |fence| mark.trim_start_matches(fence)).trim();
        // What stands behind a fence alone is a language.
        let is_text = behind.contains(' ') && !behind.starts_with('{');
        let (line, opens) = match fence {
            Some(_) if is_text => (behind, true),
            Some(_) => {
                regions.push(String::new());
                continue;
            }
            None => (line, false),
        };
        if opens {
            regions.push(String::new());
        }
        let inside = line.trim_end().strip_suffix("```").filter(|inside| !inside.ends_with('`'));
        // A command's name in prose may be marked so, too.
        let inside = inside.filter(|inside| !inside.contains("```"));
        if let Some(region) = regions.last_mut() {
            region.push_str(inside.unwrap_or(line));
            region.push('\n');
        }
        if inside.is_some() {
            regions.push(String::new());
        }
    }
    regions.retain(|region| !region.trim().is_empty());
    regions
}

/// A listing without the numbers of its lines.
pub(super) fn unnumbered(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut next = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let line = line.trim_start();
        let end = line.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = line[..end].parse().ok()?;
        if next.is_some_and(|next| next != number) {
            return None;
        }
        next = Some(number.checked_add(1)?);
        let rest = line[end..].strip_prefix([' ', '\t', ':', '|'])?;
        out.push_str(rest);
        out.push('\n');
    }
    next.map(|_| out)
}

/// A text without its empty lines, in parts; brackets and triple quotes that are open hold a part
/// together.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    let mut depth = 0i32;
    let mut triple = false;
    let mut held = 0;
    let mut document: Option<&str> = None;
    let ends: BTreeSet<&str> = text.lines().map(str::trim).collect();
    for line in text.lines() {
        let last = paragraphs.last_mut();
        let Some(last) = last else { break };
        last.push_str(line);
        last.push('\n');
        triple ^= (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
        let opens = line.matches(['[', '(', '{']).count();
        let closes = line.matches([']', ')', '}']).count();
        depth += i32::try_from(opens).unwrap_or(0) - i32::try_from(closes).unwrap_or(0);
        if document.is_none() {
            document = document_mark(line).filter(|mark| ends.contains(mark));
        } else if document == Some(line.trim()) {
            document = None;
        }
        held += 1;
        // Prose has brackets that nothing closes.
        let open = depth > 0 || triple || document.is_some();
        if line.trim().is_empty() && !(open && held < MOST_HELD) {
            (depth, triple, held, document) = (0, false, 0, None);
            paragraphs.push(String::new());
        }
    }
    paragraphs.retain(|text| !text.trim().is_empty());
    paragraphs
}

/// Most lines that open brackets hold together.
const MOST_HELD: usize = 400;

/// A compound command of the shell, or a function: `if` up to `fi`, `name() {` up to `}`.
pub(super) fn compound(lines: &[&str], budget: &mut Budget) -> Option<(String, usize)> {
    let first = lines[0].trim();
    let word = first.split([' ', ';', '(']).next().unwrap_or_default();
    let named = first.contains("()")
        && first.split("()").next().is_some_and(|name| {
            !name.is_empty()
                && name.trim().chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        });
    let begins = matches!(word, "if" | "for" | "while" | "until" | "case" | "function") || named;
    if let Some(mark) = document_mark(first).filter(|_| !begins) {
        let mut inner = lines.iter().skip(1).take(MOST_COMPOUND);
        let last = inner.position(|line| !budget.take() || line.trim() == mark)?;
        if lines[last + 1].trim() != mark {
            return None;
        }
        let mut text: Vec<&str> = lines[..last + 1].to_vec();
        text.push(mark);
        let text = text
            .iter()
            .enumerate()
            .map(|(number, line)| if number == 0 { line.trim() } else { line });
        return Some((text.collect::<Vec<_>>().join("\n") + "\n", last + 2));
    }
    if !begins {
        return None;
    }
    let mut depth = 0i32;
    let mut opened = false;
    let mut document: Option<&str> = None;
    for (number, line) in lines.iter().enumerate().take(MOST_COMPOUND) {
        if !budget.take() {
            return None;
        }
        if let Some(mark) = document {
            if line.trim() == mark {
                document = None;
            }
            continue;
        }
        let code = line.split(" #").next().unwrap_or(line);
        document = document_mark(code);
        let code = code.replace("$(", " ").replace("()", " ; ").replace(';', " ; ");
        let mut start = true;
        let is_function = code.trim_start().starts_with("function ");
        for word in code.split_whitespace() {
            let change = match word {
                "if" | "case" | "for" | "while" | "until" | "select" if start => 1,
                "{" if start || is_function => 1,
                "fi" | "esac" | "done" | "}" if start => -1,
                _ => 0,
            };
            depth += change;
            opened |= change > 0;
            start = matches!(
                word,
                ";" | "&&" | "||" | "|" | "then" | "else" | "do" | "{" | "elif" | "!" | "&"
            ) || word.ends_with(')')
                || word == ";;";
        }
        if opened && depth <= 0 {
            let text = lines[..=number].join("\n");
            return Some((text, number + 1));
        }
    }
    None
}

/// The mark that ends a here-document which begins in this line.
pub(super) fn document_mark(line: &str) -> Option<&str> {
    let at = line.find("<<").filter(|_| !line.contains("<<<"))?;
    let mark = line[at + 2..].trim_start_matches(['-', '~', ' ']);
    let mark = mark.trim_start_matches(['\'', '"', '\\']);
    let end = mark.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(mark.len());
    (end > 0).then(|| &mark[..end])
}

/// Most lines of a compound command, and of a here-document.
const MOST_COMPOUND: usize = 2000;

/// Lines that may be looked at, in all, for the ends of commands: each that nothing ends is looked at
/// up to the last of them.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(100_000)
    }
}

impl Budget {
    fn take(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a\n```sh\nb\n```\n", "a\n```sh\nb\n```\n")]
    #[case("so:\n```object_del f0\ncont```\nbye\n", "so:\n```\nobject_del f0\ncont\n```\nbye\n")]
    #[case("so ```stop``` now\n", "so\n```\nstop\n```\n now\n")]
    #[case("```qemu-kvm -nic user```\n", "```\nqemu-kvm -nic user\n```\n")]
    #[case("  ```yaml title=\"a\"\n  b\n  ```\n", "  ```yaml title=\"a\"\n  b\n  ```\n")]
    #[case("x ``a`` y\n", "x ``a`` y\n")]
    fn fences_have_lines_of_their_own(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(fenced(text), expected);
    }
}
