//! Strings with values in them: `%s`, `{}`, `{name}`, `${name}`, `#{name}`. An open mark is kept as
//! U+FFFC until its value is known.

/// Where a value will stand whose name the string does not say.
const HOLE: char = '\u{fffc}';

/// Whether a value is open.
pub(super) fn has_hole(text: &str) -> bool {
    text.contains(HOLE)
}

/// The string with its named values; marks without a name become holes. `look_up` gives the text of a
/// name, and gets how it is written.
pub(super) fn names(
    text: &str,
    format: bool,
    look_up: &mut dyn FnMut(&str, &str) -> String,
) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((name, length)) = named(rest, format) {
            let written = &rest[..length];
            if name.is_empty() {
                out.push(HOLE);
            } else {
                out.push_str(&look_up(name, written));
            }
            rest = &rest[length..];
            continue;
        }
        if format && ["{{", "}}"].iter().any(|twice| rest.starts_with(twice)) {
            rest = &rest[1..];
        }
        if c == '%' && rest.starts_with("%%") {
            rest = &rest[1..];
        }
        if c == '{' && out.ends_with('$') {
            out.push('$');
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// The string with a value in each hole.
pub(super) fn fill(text: &str, value: &mut dyn FnMut() -> String) -> String {
    let mut out = String::new();
    for (number, part) in text.split(HOLE).enumerate() {
        if number > 0 {
            out.push_str(&value());
        }
        out.push_str(part);
    }
    out
}

/// A mark at the start of a text: the name of the value, which may be empty, and the mark's length.
fn named(text: &str, format: bool) -> Option<(&str, usize)> {
    if let Some(inner) = ["${", "#{", "\\("].iter().find_map(|mark| text.strip_prefix(mark)) {
        let close = if text.starts_with("\\(") { ')' } else { '}' };
        let end = inner.find(close)?;
        return Some((inner[..end].trim(), end + 3));
    }
    // Perl, PHP, PowerShell.
    if let Some(inner) = text.strip_prefix('$') {
        let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let end = end.unwrap_or(inner.len());
        return (end > 0).then(|| (&inner[..end], end + 1));
    }
    if let Some(inner) = text.strip_prefix("{{").filter(|_| !format) {
        // Jinja.
        let end = inner.find("}}")?;
        return is_name(inner[..end].trim()).then(|| (inner[..end].trim(), end + 4));
    }
    if let Some(inner) = text.strip_prefix('{') {
        let end = inner.find('}')?;
        let name = inner[..end].split(['!', ':']).next().unwrap_or_default().trim();
        let positional = name.is_empty() || name.chars().all(|c| c.is_ascii_digit());
        if positional
            && inner[..end].chars().all(|c| c.is_ascii_alphanumeric() || "!:?#.".contains(c))
        {
            return Some(("", end + 2));
        }
        return (format || is_name(name))
            .then_some((name, end + 2))
            .filter(|_| !name.contains('"'));
    }
    if let Some(inner) = text.strip_prefix("%(") {
        let end = inner.find(')')?;
        let kind = inner[end + 1..].chars().next()?;
        return "sdiux".contains(kind).then_some((&inner[..end], end + 4));
    }
    let inner = text.strip_prefix('%')?;
    let end = inner.find(|c: char| !(c.is_ascii_digit() || ".-*lzhjq".contains(c)))?;
    let kind = inner[end..].chars().next()?;
    "sdiuxXcpvq".contains(kind).then_some(("", end + 2))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.[]()".contains(c))
}
