//! What commands print: `echo`, `printf`, `cat` and the like, as long as that is known without running them.

use super::MAX_WRITTEN;

/// Most numbers that `seq` writes.
const MOST_NUMBERS: i64 = 64;

/// What a command prints that reads this; none where that isn't known.
pub(super) fn print(words: &[String], read: Option<&str>) -> Option<String> {
    let (first, rest) = words.split_first()?;
    match (first.as_str(), read) {
        ("echo", _) => Some(echo(rest)),
        ("printf", _) => {
            let rest = rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest);
            let (format, values) = rest.split_first()?;
            printf(format, values)
        }
        ("cat" | "tee" | "stdbuf" | "unbuffer", Some(text)) => Some(text.to_owned()),
        ("seq", _) => seq(rest),
        (
            ":" | "true" | "return" | "exit" | "test" | "[" | "[[" | "sleep" | "wait" | "read"
            | "usleep" | "shift" | "set",
            _,
        ) => Some(String::new()),
        _ => None,
    }
}

/// `echo -n`, `echo -e`: the flags of bash.
fn echo(words: &[String]) -> String {
    let is_flag = |word: &&String| {
        word.strip_prefix('-').is_some_and(|flags| {
            !flags.is_empty() && flags.chars().all(|flag| matches!(flag, 'n' | 'e' | 'E'))
        })
    };
    let flags: String = words.iter().take_while(is_flag).map(String::as_str).collect();
    let rest = words.iter().skip_while(is_flag).map(String::as_str).collect::<Vec<_>>().join(" ");
    let text = if flags.contains('e') { unescaped(&rest) } else { rest };
    if flags.contains('n') { text } else { text + "\n" }
}

/// A format as often as its values need it (POSIX, `printf`).
pub(super) fn printf(format: &str, values: &[String]) -> Option<String> {
    let pieces = pieces(&unescaped(format));
    let holes = pieces.iter().filter(|piece| matches!(piece, Held::Value(_))).count();
    let turns = if holes == 0 { 1 } else { values.len().div_ceil(holes).max(1) };
    if turns.saturating_mul(format.len()) > MAX_WRITTEN {
        return None;
    }
    let mut values = values.iter().map(String::as_str);
    let mut out = String::new();
    for _ in 0..turns {
        for piece in &pieces {
            match piece {
                Held::Text(text) => out += text,
                Held::Value('b') => out += &unescaped(values.next().unwrap_or("")),
                Held::Value(_) => out += values.next().unwrap_or(""),
            }
        }
    }
    Some(out)
}

/// What a format holds.
enum Held {
    Text(String),
    /// A value, by the letter that says how it is written.
    Value(char),
}

fn pieces(format: &str) -> Vec<Held> {
    let (mut pieces, mut text) = (Vec::new(), String::new());
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text += &rest[..at];
        let behind = &rest[at + 1..];
        let letter = behind.find(|c: char| !(c.is_ascii_digit() || "-+ .#l".contains(c)));
        let c = letter.and_then(|letter| behind[letter..].chars().next());
        match (c, letter) {
            (Some('%'), Some(0)) => {
                text.push('%');
                rest = &behind[1..];
            }
            (Some(c), Some(letter)) if "sdiubqcxXoeEfgG".contains(c) => {
                pieces.push(Held::Text(std::mem::take(&mut text)));
                pieces.push(Held::Value(c));
                rest = &behind[letter + 1..];
            }
            _ => {
                text.push('%');
                rest = behind;
            }
        }
    }
    pieces.push(Held::Text(text + rest));
    pieces
}

/// A text whose escapes are what they stand for. A carriage return ends no line of a monitor, and is left out.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => {}
            Some('\\') | None => out.push('\\'),
            Some(quote @ ('"' | '\'')) => out.push(quote),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out
}

/// `seq 3`, `seq 0 2`, `seq 0 2 8`.
fn seq(words: &[String]) -> Option<String> {
    let numbers: Option<Vec<i64>> = words.iter().map(|word| word.parse().ok()).collect();
    let (first, step, last) = match numbers?.as_slice() {
        [last] => (1, 1, *last),
        [first, last] => (*first, 1, *last),
        [first, step, last] if *step > 0 => (*first, *step, *last),
        _ => return None,
    };
    let count = last.checked_sub(first)?.checked_div(step)?;
    if !(0..MOST_NUMBERS).contains(&count) {
        return None;
    }
    Some((0..=count).map(|turn| format!("{}\n", first + turn * step)).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("echo|a|b", Some("a b\n"))]
    #[case("echo|-ne|a\\nb", Some("a\nb"))]
    #[case("echo|-n|a\\nb", Some("a\\nb"))]
    #[case("printf|%s\\r\\n|a|b", Some("a\nb\n"))]
    #[case("printf|{\"id\":\"%s\",\"n\":%d}\\n|f|3", Some("{\"id\":\"f\",\"n\":3}\n"))]
    #[case("printf|100%% %5s|a", Some("100% a"))]
    #[case("printf|a", Some("a"))]
    #[case("seq|0|2", Some("0\n1\n2\n"))]
    #[case("seq|0|9999", None)]
    #[case("date", None)]
    fn a_command_prints(#[case] words: &str, #[case] expected: Option<&str>) {
        let words: Vec<String> = words.split('|').map(str::to_owned).collect();
        assert_eq!(print(&words, None).as_deref(), expected);
    }
}
