//! Words as a shell takes them, for commands that are printed to be pasted, or read again.

/// As a shell takes it for one word.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@=,._/-+:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_was_meant() {
        assert_eq!(shell_word("a@queue=rx"), "a@queue=rx");
        assert_eq!(shell_word("it's $1"), r"'it'\''s $1'");
    }
}
