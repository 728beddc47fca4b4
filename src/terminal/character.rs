//! The characters that are never shown as they are. `visible` and the fence around output ask.

/// Whether a terminal, a log or a reader takes the character for something else than a sign that
/// can be seen, where it stands behind `previous`:
///
/// - the controls of ASCII and of ISO 6429 (C0, DEL, C1), newline and tab among them;
/// - what turns the direction of text around (Unicode Standard Annex 9);
/// - the separators of lines and paragraphs, U+2028 and U+2029;
/// - what has no width, such as U+200B, U+FEFF and the tags, and so can make two names look alike
///   (`Default_Ignorable_Code_Point` of Unicode 16);
/// - U+FFFE and U+FFFF, which XML does not have.
///
/// The selectors U+FE0E and U+FE0F are part of the sign before them where that is a pictograph.
#[must_use]
pub const fn is_control(c: char, previous: char) -> bool {
    match c {
        '\u{20}'..='\u{7e}' => false,
        '\u{fe0e}' | '\u{fe0f}' => !is_pictograph(previous),
        '\0'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0d}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{fffe}'
        | '\u{ffff}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Where Unicode has signs that are drawn as text or as a picture (emoji-variation-sequences.txt),
/// but for digits.
const fn is_pictograph(c: char) -> bool {
    matches!(
        c,
        '\u{a9}'
            | '\u{ae}'
            | '\u{203c}'
            | '\u{2049}'
            | '\u{2122}'
            | '\u{2139}'
            | '\u{2190}'..='\u{2bff}'
            | '\u{3030}'
            | '\u{303d}'
            | '\u{3297}'
            | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_every_script_are_shown() {
        for text in [
            "Grüße",
            "№ 7 → 8 … «x»",
            "日本語",
            "עברית العربية",
            "e\u{301}",
            "⚠\u{fe0f} 📦",
            "\u{a0}\u{3000}",
        ] {
            let mut previous = '\0';
            for c in text.chars() {
                assert!(!is_control(c, previous), "{text:?}: {c:?}");
                previous = c;
            }
        }
    }

    #[test]
    fn everything_that_std_calls_a_control_is_one() {
        for c in ('\0'..=char::MAX).filter(|c| c.is_control()) {
            assert!(is_control(c, '\0'), "{c:?}");
        }
    }
}
