//! What may be on a terminal, in a log and in a file of a report: written down here once more,
//! without what the program itself knows of it.

/// Why something may not be on a terminal or in a log; none where all may.
pub(crate) fn wrong(shown: &[u8]) -> Option<String> {
    if let Some(wrong) = wrong_in_file(shown) {
        return Some(wrong);
    }
    let plain = without_styles(&String::from_utf8_lossy(shown));
    let is_command = |line: &&str| {
        if line.contains("##[") || line.contains("##vso[") {
            return true;
        }
        // Commands of a workflow; those of the program itself have a title, or stop the others.
        let command = line.trim_start().strip_prefix("::").and_then(|rest| rest.split_once("::"));
        let Some((head, _)) = command else {
            return false;
        };
        let word = head.split(' ').next().unwrap_or_default();
        let is_word = word.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
        let own = head.contains("title=") && ["error", "notice", "warning"].contains(&word);
        is_word && !own && head != "stop-commands"
    };
    plain.lines().find(is_command).map(|line| format!("a command: {line:?}"))
}

/// The same of a file, which no CI system reads line by line.
pub(crate) fn wrong_in_file(shown: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(shown) else {
        return Some("bytes that are no text".to_owned());
    };
    let plain = without_styles(text);
    let found = plain.chars().find(|c| *c != '\n' && acts(*c));
    found.map(|c| format!("{c:?} in {plain:?}"))
}

/// Whether a terminal or a reader is misled: controls of ASCII and of ISO 6429, directions,
/// separators of lines, and what has no width.
fn acts(c: char) -> bool {
    c.is_control()
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
        || ('\u{200b}'..='\u{200f}').contains(&c)
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
        || ['\u{61c}', '\u{ad}', '\u{2028}', '\u{2029}', '\u{2060}', '\u{feff}'].contains(&c)
}

/// Without the styles of the program: `ESC [ 1 m`, `ESC [ 3 2 m` and their like.
fn without_styles(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c != '[' && c != ';' && !c.is_ascii_digit());
        match end {
            Some(end) if part.starts_with('[') && part[end..].starts_with('m') => {
                out.push_str(&part[end + 1..]);
            }
            _ => {
                out.push('\u{1b}');
                out.push_str(part);
            }
        }
    }
    out
}

/// Without what a progress bar does to its own lines, and with the newlines that a terminal was
/// given.
pub(crate) fn without_bars(screen: &str) -> String {
    let screen = screen.replace("\r\n", "\n").replace("\u{1b}[2K", "").replace('\r', "\n");
    let mut parts = screen.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        // The cursor is moved up, down, right or left.
        match rest.strip_prefix(['A', 'B', 'C', 'D']) {
            Some(rest) => out.push_str(rest),
            None => out.extend(["\u{1b}[", part]),
        }
    }
    out
}

#[test]
fn what_acts_is_found() {
    for bad in [
        "\u{1b}]0;x\u{7}",
        "\u{1b}[2J",
        "a\u{9b}m",
        "\u{202e}",
        "\n::error::x",
        "  ::error::x",
        "x##[error]",
    ] {
        assert!(wrong(bad.as_bytes()).is_some(), "{bad:?}");
    }
    assert!(wrong(b"\x9b").is_some());
    for good in
        ["\u{1b}[1m\u{1b}[38;2;1;2;3mä\u{1b}[0m\n", "::error title=a::b\n::stop-commands::x\n"]
    {
        assert_eq!(wrong(good.as_bytes()), None);
    }
}
