//! What mail does to a paste: quoting, and wrapped lines.

use super::{flag, hmp};

/// The line without the marks of a reply: `> `, `>> `, `> > `.
pub(super) fn unquote(line: &str) -> &str {
    let mut rest = line;
    loop {
        let inner = rest.strip_prefix(' ').unwrap_or(rest);
        match inner.strip_prefix('>') {
            Some(inner) => rest = inner,
            None if rest.len() < line.len() => return rest.strip_prefix(' ').unwrap_or(rest),
            None => return line,
        }
    }
}

/// How a command goes on in the next line, which nothing announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrap {
    /// Between two words.
    Word,
    /// Inside an option's list.
    List,
}

/// Whether mail wrapped a command line here: an option waits for its value, a list ends in a comma,
/// or the next line begins with an option.
pub(super) fn wrapped(line: &str, next: &str) -> Option<Wrap> {
    let first = next.split_whitespace().next()?;
    let last = line.split_whitespace().next_back()?;
    if last.ends_with(',') && !last.ends_with(",,") && is_list(first) {
        Some(Wrap::List)
    } else if (flag::is_open(last) && !flag::is_option(first)) || flag::is_option(first) {
        Some(Wrap::Word)
    } else {
        None
    }
}

/// The text with commands of monitors whole that mail wrapped: one that ends in a comma goes on in the next line.
pub(super) fn rejoined(text: &str) -> Option<String> {
    let goes_on = |line: &str, next: &str| {
        let typed = line.trim_start().trim_start_matches("(qemu)").trim_start();
        let is_command = hmp::read(typed).is_some() && !typed.starts_with('{');
        is_command && !next.trim().contains(' ') && wrapped(line, next) == Some(Wrap::List)
    };
    let lines: Vec<&str> = text.lines().collect();
    if !lines.windows(2).any(|pair| goes_on(pair[0], pair[1])) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut begin = 0;
    for (at, line) in lines.iter().enumerate() {
        match lines.get(at + 1) {
            Some(next) if out.len() == begin && goes_on(line, next) => out += line.trim_end(),
            Some(next)
                if out.len() > begin
                    && !next.trim().contains(' ')
                    && wrapped(line, next) == Some(Wrap::List) =>
            {
                out += line.trim();
            }
            _ => {
                out += if out.len() == begin { line } else { line.trim() };
                out.push('\n');
                begin = out.len();
            }
        }
    }
    Some(out)
}

/// `key=value,...`, or a bare word of a list such as `nowait`.
fn is_list(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let key = word.split(['=', ',']).next().unwrap_or(word);
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(plain)
        && (word.contains('=')
            || matches!(word.trim_end_matches(','), "server" | "nowait" | "wait"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("> a", "a")]
    #[case(">> a", "a")]
    #[case("> >  a", " a")]
    #[case(">", "")]
    #[case("  a > b", "  a > b")]
    fn marks_are_taken_off(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(unquote(line), expected);
    }

    #[rstest]
    #[case(
        "(qemu) object_add a,id=b,\nc=d,\ne=f\nso",
        Some("(qemu) object_add a,id=b,c=d,e=f\nso\n")
    )]
    #[case("object_del a,\nthanks for it", None)]
    #[case("x,\ny=z", None)]
    fn commands_are_whole(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(rejoined(text).as_deref(), expected);
    }

    #[rstest]
    #[case("qemu -netdev", "tap,id=a", Some(Wrap::Word))]
    #[case("qemu -chardev socket,host=1.1.1.1,", "port=1", Some(Wrap::List))]
    #[case("qemu -m 1", "-object x,id=y", Some(Wrap::Word))]
    #[case("qemu -S", "-object x,id=y", Some(Wrap::Word))]
    #[case("qemu -m 1", "- nothing comes", None)]
    #[case("qemu -m 1", "Which version?", None)]
    #[case("qemu -object a,id=b,", "thanks for it", None)]
    fn wrapped_lines_are_seen(
        #[case] line: &str,
        #[case] next: &str,
        #[case] expected: Option<Wrap>,
    ) {
        assert_eq!(wrapped(line, next), expected);
    }
}
