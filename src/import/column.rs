//! What a terminal of so many columns makes of long lines: they break in the middle of words.

use super::flag;

/// Widths that a terminal may have.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=400;

/// The text with its lines as they were, where those of the greatest width break words of QEMU's.
pub(super) fn unbroken(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let width = |line: &str| line.chars().count();
    let most = lines.iter().map(|line| width(line)).max().filter(|most| WIDTHS.contains(most))?;
    let breaks = |pair: &[&str]| {
        let (before, after) = (pair[0].rsplit(' ').next(), pair[1].split(' ').next());
        let (Some(before), Some(after)) = (before, after) else {
            return false;
        };
        let whole = format!("{before}{after}");
        let is_new = |word: &str| !flag::is_option(word) && flag::is_option(&whole);
        // Nothing begins with a comma but the rest of a word.
        let goes_on = after.starts_with([',', '=']) && !after.starts_with("==");
        width(pair[0]) == most && goes_on
            || width(pair[0]) == most
                && !after.is_empty()
                && is_new(before)
                && before.starts_with('-')
    };
    let full = lines.iter().filter(|line| width(line) == most).count();
    if full < 2 || !lines.windows(2).any(breaks) {
        return None;
    }
    let mut out = String::new();
    let begins = |line: &str| line.starts_with("QEMU ") || line.starts_with("(qemu)");
    for (at, line) in lines.iter().enumerate() {
        out.push_str(line);
        // A line that is full may be whole.
        if width(line) < most || lines.get(at + 1).is_some_and(|next| begins(next)) {
            out.push('\n');
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_again() {
        let whole = "user@host:~$ qemu-system-x86_64 -name one -m 1G -display none -monitor stdio -netdev tap,id=hn0,\
                     ifname=tap0,script=no,downscript=no -device e1000,netdev=hn0 -chardev null,id=c0\nend\n";
        let broken: Vec<String> = whole
            .lines()
            .flat_map(|line| {
                let characters: Vec<char> = line.chars().collect();
                characters.chunks(79).map(|part| part.iter().collect()).collect::<Vec<String>>()
            })
            .collect();
        assert_eq!(unbroken(&broken.join("\n")).as_deref(), Some(whole));
        assert_eq!(unbroken(whole), None);
    }
}
