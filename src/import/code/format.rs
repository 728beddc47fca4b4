//! Strings with values in them: `%s`, `{}`, `{name}`, `${name}`, `#{name}`. An open mark is kept as
//! U+FFFC until its value is known.

/// Where a value will stand whose name the string does not say.
const HOLE: char = '\u{fffc}';
/// Around how a value is written that stands in a hole.
const SPEC: [char; 2] = ['\u{fff9}', '\u{fffa}'];

/// Whether a value is open.
pub(super) fn has_hole(text: &str) -> bool {
    text.contains(HOLE)
}

/// The string with its named values; marks without a name become holes. `look_up` gives the text of a
/// name, and gets how it is written.
pub(in crate::import) fn names(
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
                if let Some(spec) = spec_of(written) {
                    out.push(SPEC[0]);
                    out.push_str(spec);
                    out.push(SPEC[1]);
                }
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
pub(in crate::import) fn fill(text: &str, value: &mut dyn FnMut() -> String) -> String {
    let mut out = String::new();
    for (number, part) in text.split(HOLE).enumerate() {
        let mut part = part;
        if number > 0 {
            let spec = part.strip_prefix(SPEC[0]).and_then(|rest| rest.split_once(SPEC[1]));
            part = spec.map_or(part, |(_, rest)| rest);
            out.push_str(&with_spec(&value(), spec.map(|(spec, _)| spec)));
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

/// How a mark says that its value is written: `02x` of `%02x` and of `{n:02x}`.
pub(in crate::import) fn spec_of(written: &str) -> Option<&str> {
    let spec = match written.strip_prefix('%') {
        Some(spec) => spec.rsplit(')').next()?,
        None => written.strip_suffix('}')?.rsplit_once(':')?.1,
    };
    let is_plain = matches!(spec, "" | "s" | "d" | "i" | "u" | "v" | "q");
    let digits = spec.trim_end_matches(['d', 'i', 'u', 'x', 'X', 's']);
    let is_spec = digits.chars().all(|c| c.is_ascii_digit()) && spec.len() - digits.len() <= 1;
    (is_spec && !is_plain).then_some(spec)
}

/// A value as a mark says that it is written.
pub(in crate::import) fn with_spec(value: &str, spec: Option<&str>) -> String {
    let Some((number, spec)) = number(value).zip(spec) else {
        return value.to_owned();
    };
    let (digits, kind) = match spec.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => spec.split_at(at),
        None => (spec, "d"),
    };
    let width = digits.parse::<usize>().unwrap_or(0).min(64);
    let text = match kind {
        "x" => format!("{number:x}"),
        "X" => format!("{number:X}"),
        _ => number.to_string(),
    };
    match digits.starts_with('0') {
        true => format!("{text:0>width$}"),
        false => format!("{text:>width$}"),
    }
}

/// A number, in decimal or as `0x`.
pub(super) fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// What an expression such as `BASE + 1` gives.
pub(super) fn sum(text: &str, known: &mut dyn FnMut(&str) -> Option<String>) -> Option<String> {
    let at = text.rfind(['+', '-', '*']).filter(|at| *at > 0)?;
    let mut one = |part: &str| {
        let part = part.trim();
        number(part).or_else(|| number(&known(part).or_else(|| sum(part, known))?))
    };
    let (left, right) = (one(&text[..at])?, one(&text[at + 1..])?);
    let result = match &text[at..=at] {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        _ => left.checked_mul(right),
    };
    result.map(|number| number.to_string())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.[]()".contains(c))
}
