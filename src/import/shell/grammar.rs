//! Text to the tree of a shell's commands, by rable. A text that is no shell's, such as prose around
//! a command line, is read with its brackets and quotes as they are.

use rable::{Node, NodeKind, Span};

/// Most brackets and keywords that may stand in one another. The parser descends for each: half as many
/// again take 2 MiB of stack in a build without optimisation.
const MOST: usize = 32;

/// Operators of arithmetic and tests that weigh as much as one bracket.
const OPERATORS: usize = 32;

/// The commands of a text.
pub(super) fn parse(text: &str) -> Vec<Node> {
    // What has none of these is a shell's text or none.
    let steps = ["", "()<>&|", "()<>&|{}!'", "()<>&|{}!'\"`$;#\\"];
    let parsed = steps.iter().find_map(|escaped| attempt(text, escaped));
    parsed.unwrap_or_else(|| vec![words(text)])
}

/// The tree of a text whose characters of these mean themselves.
fn attempt(text: &str, characters: &str) -> Option<Vec<Node>> {
    let mut escaped = String::new();
    for c in text.chars() {
        if characters.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    if nesting(&escaped) > MOST {
        return None;
    }
    rable::parse(&escaped, false).ok()
}

/// The words of a text that is not parsed, as they stand.
fn words(text: &str) -> Node {
    let word = |word: &str| {
        let value = word.trim_matches(['"', '\'']).replace('\\', "\\\\");
        let parts = vec![Node::empty(NodeKind::WordLiteral { value: value.clone() })];
        Node::empty(NodeKind::Word { value, parts, spans: Vec::new() })
    };
    let words = text.split_whitespace().map(word).collect();
    let (assignments, redirects) = (Vec::new(), Vec::new());
    let length = text.chars().count();
    Node::new(NodeKind::Command { assignments, words, redirects }, Span::new(0, length))
}

/// How deep things may stand in one another, never less than the parser finds: where quotes could hide
/// what ends, all that begin count.
fn nesting(text: &str) -> usize {
    let text = without_simple(text);
    let mut operators = 0;
    if ["[[", "((", "$["].iter().any(|mark| text.contains(mark)) {
        operators = text.matches(['-', '+', '*', '!', '|', '&', '?', '~']).count() / OPERATORS;
    }
    // `f() f() f()`: each is the body of the one before it.
    let functions = text.matches("()").count();
    let ends_count = quotes_are_flat(&text);
    let (mut depth, mut deepest) = (0usize, 0usize);
    for line in text.lines() {
        let mut quote = None;
        let mut word = String::new();
        for c in line.chars().chain(['\n']) {
            if c.is_ascii_alphabetic() || c == '!' {
                word.push(c);
                continue;
            }
            match std::mem::take(&mut word).as_str() {
                "if" | "elif" | "while" | "until" | "for" | "select" | "case" | "coproc" | "!"
                | "time" => depth += 1,
                "fi" | "done" | "esac" if ends_count && quote.is_none() => {
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
            match (quote, c) {
                (_, '(' | '{' | '`' | '[') => depth += 1,
                (None, ')' | '}' | ']') if ends_count => depth = depth.saturating_sub(1),
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
    }
    deepest + operators + functions
}

/// Whether each line begins and ends outside of quotes, so that an end in none is one.
fn quotes_are_flat(text: &str) -> bool {
    let hidden = ["$(", "${", "`", "<<", "\\\"", "\\'", "\\)", "\\}", "\\]"];
    if hidden.iter().any(|mark| text.contains(mark)) {
        return false;
    }
    text.lines().all(|line| {
        let mut quote = None;
        for c in line.chars() {
            match (quote, c) {
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
        }
        quote.is_none()
    })
}

/// The text without brackets that hold no quotes and no others, such as `${NAME}` and `$(pwd)`: they
/// are whole wherever they stand. Each is a level of its own, and so are few that held those.
fn without_simple(text: &str) -> String {
    const ROUNDS: usize = 3;
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['(', '{', '[']) {
            let (before, inner) = (&rest[..at], &rest[at + 1..]);
            let (close, is_group) = match &rest[at..=at] {
                "(" => (')', false),
                // A group ends only where a command may begin: `{ if a }` does not.
                "{" => ('}', !before.ends_with('$')),
                _ => (']', false),
            };
            let comment = close == '}';
            let plain = |c: char| {
                c.is_ascii_alphanumeric() || "_-+=:,./@*% ".contains(c) || comment && c == '#'
            };
            let end = inner.find(|c| !plain(c)).filter(|end| inner[*end..].starts_with(close));
            match end.filter(|end| !is_group && *end > 0) {
                Some(end) => {
                    out.push_str(before.strip_suffix('$').unwrap_or(before));
                    rest = &inner[end + 1..];
                }
                None => {
                    out.push_str(&rest[..=at]);
                    rest = inner;
                }
            }
        }
        out.push_str(rest);
        text = out;
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a ${b} $(c d) ${e##*/} x", 0)]
    #[case("( ( a 'b' ) )", 2)]
    #[case("if a 'x'; then b; fi\nif c; then d; fi", 1)]
    #[case("if a; then \"\nfi\n\"", 1)]
    #[case("if a 'fi'; then \"fi\"\nif", 2)]
    #[case("\"$(x \"\nif a\nfi\nif a\nfi", 3)]
    fn what_is_open_counts(#[case] text: &str, #[case] expected: usize) {
        assert_eq!(nesting(text), expected);
    }

    #[test]
    fn what_nests_too_deep_is_read_as_words() {
        for piece in [
            "(",
            "{ ",
            "if ",
            "$(",
            "\"$(",
            "`",
            "((",
            "case x in a) ",
            "[[ ( ",
            "{a,",
            "- ",
            "f() ",
            "{ if a }\n",
            "((a) ",
            "$(a # b) ",
        ] {
            let text = format!("q -nic user {}", piece.repeat(20_000));
            let nodes = parse(&text);
            let first = nodes.first().map(|node| &node.kind);
            assert!(matches!(first, Some(NodeKind::Command { .. })), "{piece}");
        }
    }
}
