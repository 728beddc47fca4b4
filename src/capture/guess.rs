//! What a file is that is no capture. Only its kind is named, never what is in it: the file may be
//! one that the reader of the message must not see.

/// Files that are given for captures by mistake, by what they begin with.
const KINDS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "is compressed (gzip)"),
    (b"\x28\xb5\x2f\xfd", "is compressed (zstd)"),
    (b"\xfd7zXZ\0", "is compressed (xz)"),
    (b"BZh", "is compressed (bzip2)"),
    (b"PK\x03\x04", "is an archive (zip)"),
    (b"\x7fELF", "is a program (ELF)"),
    (b"snoop\0\0\0", "is a capture of snoop"),
    (b"GMBU", "is a capture of Network Monitor"),
];

/// How much of a file is looked at.
const LOOKED_AT: usize = 512;

/// What a file looks like, as "it ..." goes on.
pub(super) fn guess(file: &[u8]) -> &'static str {
    if file.is_empty() {
        return "is empty";
    }
    if let Some((_, kind)) = KINDS.iter().find(|(magic, _)| file.starts_with(magic)) {
        return kind;
    }
    let start = &file[..file.len().min(LOOKED_AT)];
    let is_text = start.utf8_chunks().all(|chunk| {
        // The last character may be cut in two here, and then its beginning is valid.
        let is_cut = std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none());
        is_printed(chunk.valid()) && (chunk.invalid().is_empty() || is_cut)
    });
    if is_text { "is text" } else { "is something else" }
}

fn is_printed(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::guess;

    #[rstest]
    #[case(b"", "is empty")]
    #[case(b"root:$y$j9T$:19000:0:99999:7:::\n", "is text")]
    #[case(b"\x1f\x8b\x08", "is compressed (gzip)")]
    #[case(b"\x7fELF\x02", "is a program (ELF)")]
    #[case(b"\0\0\0\0", "is something else")]
    #[case(b"a\xff", "is something else")]
    fn a_kind_is_named(#[case] file: &[u8], #[case] expected: &str) {
        assert_eq!(guess(file), expected);
    }

    #[test]
    fn text_is_text_where_it_is_cut_in_a_character() {
        for before in ["", "a"] {
            let text = before.to_owned() + &"\u{fc}".repeat(300);
            assert_eq!(guess(text.as_bytes()), "is text");
        }
    }
}
