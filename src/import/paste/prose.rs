//! Prose around command lines: what only speaks of options, and what says that QEMU ended.

use std::collections::BTreeSet;

use super::Piece;

/// Whether a text is sentences with options in backquotes, and no program with strings.
pub(super) fn is_prose(text: &str) -> bool {
    let outside: Vec<&str> = text.split('`').step_by(2).collect();
    let words = || outside.iter().flat_map(|part| part.split_whitespace());
    let is_word = |word: &&str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        !word.is_empty() && word.chars().all(|c| c.is_alphabetic() || "'-".contains(c))
    };
    let is_line_of_code = |line: &str| line.trim_end().ends_with(['{', ';', ',', '[', '(', '+']);
    let all = words().count();
    outside.len() > 1
        && all >= LEAST_WORDS
        && words().filter(is_word).count() * 5 >= all * 4
        && !text.lines().any(is_line_of_code)
}

/// Fewest words of a sentence.
const LEAST_WORDS: usize = 4;

/// Words with which prose speaks of what is not there.
const WITHOUT: &[&str] =
    &["drop", "without", "remov", "instead of", "go away", "goes away", "leaving out", "delet"];

/// Whether a line of prose speaks of how it is without the options in its backquotes.
pub(in crate::import) fn is_without(line: &str) -> bool {
    let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ").to_lowercase();
    line.contains('`') && WITHOUT.iter().any(|word| outside.contains(word)) && is_prose(line)
}

/// Whether prose only speaks of options: of what a command line above has, or of how it is without them.
pub(super) fn is_said(pieces: &[Piece], inside: &[&str], outside: &str) -> bool {
    let lines = || {
        pieces.iter().filter_map(|piece| match piece {
            Piece::CommandLine { words, whole: true } => Some(words),
            _ => None,
        })
    };
    let has = |part: &str| {
        let words: Vec<&str> = part.split_whitespace().collect();
        lines().any(|line| line.windows(words.len().max(1)).any(|some| some == words))
    };
    let lower = outside.to_lowercase();
    let is_without = WITHOUT.iter().any(|word| lower.contains(word));
    lines().next().is_some()
        && inside
            .iter()
            .all(|part| part.starts_with('-') && (has(part) || is_without || part.contains('…')))
}

/// What is to be said where a text shows that QEMU ended, and has commands.
pub(super) fn ends(text: &str, pieces: &[Piece]) -> Vec<String> {
    if !pieces.iter().any(|piece| matches!(piece, Piece::Command(..))) {
        return Vec::new();
    }
    let lines: BTreeSet<&str> = text.lines().map(str::trim).filter(|line| is_crash(line)).collect();
    let said = lines.into_iter().map(|line| {
        format!(
            "QEMU ended at `{line}`: what the text has below that is another run, and stands here after it"
        )
    });
    said.collect()
}

/// Whether a line says that a program was ended by a signal.
fn is_crash(line: &str) -> bool {
    let line = line.strip_suffix("(core dumped)").unwrap_or(line).trim();
    matches!(line, "Aborted" | "Segmentation fault" | "Bus error" | "Floating point exception")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Dropping `-object a,id=b` makes it go away, for once.\n", true)]
    #[case("cmd = [`-netdev`, `tap,id=a`]\n", false)]
    #[case("call(\n  `-netdev tap,id=a`,\n);\n", false)]
    fn sentences_are_no_program(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_prose(text), expected);
    }

    #[rstest]
    #[case("-netdev tap,id=a", "It is as", true)]
    #[case("-netdev tap,id=b", "Without it is", true)]
    #[case("-netdev tap,id=b", "I have added too", false)]
    fn options_may_only_be_spoken_of(
        #[case] part: &str,
        #[case] prose: &str,
        #[case] expected: bool,
    ) {
        let words = ["-S", "-netdev", "tap,id=a"].map(str::to_owned).to_vec();
        let pieces = [Piece::CommandLine { words, whole: true }];
        assert_eq!(is_said(&pieces, &[part], prose), expected);
    }
}
