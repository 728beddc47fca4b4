//! Text to the tree of a shell's commands, by rable. A text that is no shell's, such as prose around
//! a command line, is read with its brackets and quotes as they are.

use rable::Node;

/// Most brackets and keywords that may stand in one another, as far as that is told by their number:
/// the parser descends for each. More need a stack of its own.
const ON_THIS_STACK: usize = 16;
/// Most of them at all.
const MOST: usize = 400;
/// Most backquotes; a text in them is read again for each around it.
const MOST_BACKQUOTES: usize = 40;
/// Bytes of the parser's own stack.
const STACK: usize = 32 << 20;

/// The commands of a text.
pub(super) fn parse(text: &str) -> Vec<Node> {
    let texts = [
        Some(text.to_owned()),
        Some(escaped(text, "()<>&|")),
        Some(escaped(text, "()<>&|{}!'")),
        Some(escaped(text, "()<>&|{}!'\"`$;#\\")),
    ];
    texts.into_iter().flatten().find_map(|text| attempt(&text)).unwrap_or_default()
}

/// The text with characters that mean themselves.
fn escaped(text: &str, characters: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if characters.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// None where it is no shell's text, or would descend too far.
fn attempt(text: &str) -> Option<Vec<Node>> {
    let nesting = nesting(text);
    if nesting <= ON_THIS_STACK {
        return rable::parse(text, false).ok();
    }
    if nesting > MOST || text.matches('`').count() > MOST_BACKQUOTES {
        return None;
    }
    let parse = || rable::parse(text, false).ok();
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK);
        builder.spawn_scoped(scope, parse).ok()?.join().ok()?
    })
}

/// How many things may stand in one another at most: all that begin, but for `${NAME}`.
fn nesting(text: &str) -> usize {
    let brackets = text.matches(['(', '{', '`', '?', '~']).count() + text.matches("[[").count();
    let simple = text.match_indices("${").filter(|(at, _)| {
        let inner = &text[at + 2..];
        let name = |c: char| c.is_ascii_alphanumeric() || "_@*[]".contains(c);
        inner.trim_start_matches(name).starts_with('}')
    });
    let words = text.split(|c: char| c.is_whitespace() || c == ';');
    let deep = |word: &&str| {
        matches!(
            *word,
            "if" | "elif" | "while" | "until" | "for" | "select" | "case" | "coproc" | "!" | "time"
        )
    };
    let tests = if text.contains("[[") || text.contains("((") || text.contains("$[") {
        (text.matches(['-', '+', '*', '!', '|', '&']).count()) / 2
    } else {
        0
    };
    brackets - simple.count() + words.filter(deep).count() + tests
}
