use std::fmt::Write;

/// A line that stands for any number of lines.
const ELISION: &str = "...";

/// Most lines of each side that a fault shows.
const MOST: usize = 80;

/// Whether what is shown is what was found, but for times, blanks at the ends of lines, and
/// elisions.
pub(crate) fn same(shown: &str, found: &str) -> Result<(), String> {
    let (shown, found) = (lines(shown), lines(found));
    if fits(&shown, &found) {
        return Ok(());
    }
    let mut text = "it is not what is shown".to_owned();
    for (title, lines) in [("shown", &shown), ("found", &found)] {
        let _ = write!(text, "\n--- {title}");
        for line in lines.iter().take(MOST) {
            let _ = write!(text, "\n{line}");
        }
    }
    Err(text)
}

fn lines(text: &str) -> Vec<String> {
    let lines = text.trim_end().lines();
    lines.map(|line| timeless(line.trim_end())).collect()
}

/// The line with each time, `0.012s` or `[   0.000s]`, made the same.
fn timeless(line: &str) -> String {
    let mut result = String::new();
    for word in line.split_inclusive([' ', '[', ']', ',', '(', ')']) {
        let end = word.len() - word.chars().last().map_or(0, char::len_utf8);
        let bare = if word.ends_with([' ', '[', ']', ',', '(', ')']) { &word[..end] } else { word };
        if is_time(bare) {
            // How many blanks stand before depends on the number.
            result.truncate(result.trim_end().len());
            result.push_str(" TIME");
            result.push_str(&word[bare.len()..]);
        } else {
            result.push_str(word);
        }
    }
    result
}

/// `0.012s`, `33.8ms`.
fn is_time(word: &str) -> bool {
    let number = word.strip_suffix("ms").or(word.strip_suffix('s'));
    number.is_some_and(|number| number.contains('.') && number.parse::<f64>().is_ok())
}

fn fits(shown: &[String], found: &[String]) -> bool {
    match shown.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first.trim() == ELISION => {
            (0..=found.len()).any(|skipped| fits(rest, &found[skipped..]))
        }
        Some((first, rest)) => found.first() == Some(first) && fits(rest, &found[1..]),
    }
}
