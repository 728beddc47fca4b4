//! Nodes to values, each with the message for what isn't one.

use std::{net::IpAddr, time::Duration};

use super::{
    context::Context,
    fault::{self, Fault},
    node::{Node, ScalarKind, short},
    suggest::{list, nearest},
};
use crate::diag::Span;

/// Text. A number or a boolean isn't: YAML has lost how it was meant (`0012`, `1.10`).
pub(crate) fn text<'a>(context: &Context<'_>, node: &'a Node) -> Option<&'a str> {
    if let Some(text) = node.text() {
        return Some(text);
    }
    if let Some(scalar) = node.scalar().filter(|scalar| scalar.substituted && !scalar.is_null()) {
        return Some(&scalar.text);
    }
    let help = node
        .scalar()
        .filter(|scalar| !scalar.is_null())
        .map(|scalar| format!("quote it: \"{}\"", short(&scalar.text)));
    mismatch(context, node, "text", help);
    None
}

/// A boolean, in YAML's words or in QEMU's.
pub(crate) fn boolean(context: &Context<'_>, node: &Node) -> Option<bool> {
    match node.scalar().map(|scalar| (scalar.kind, scalar.text.as_str())) {
        Some((ScalarKind::Bool(value), _)) => Some(value),
        Some((ScalarKind::Text, "on")) => Some(true),
        Some((ScalarKind::Text, "off")) => Some(false),
        _ => {
            let help = "write true or false, or QEMU's on or off".to_owned();
            mismatch(context, node, "a boolean", Some(help));
            None
        }
    }
}

pub(crate) fn integer(
    context: &Context<'_>,
    node: &Node,
    key: &str,
    least: u64,
    most: u64,
) -> Option<u64> {
    let scalar = node.scalar();
    // A substituted text that is a number is one: `sport: "40${i}"`.
    let number = scalar.and_then(|scalar| match scalar.kind {
        ScalarKind::Integer(number) => Some(number),
        ScalarKind::Text => parse_integer(&scalar.text),
        ScalarKind::Null | ScalarKind::Bool(_) | ScalarKind::Float(_) => None,
    });
    let Some(number) = number else {
        mismatch(
            context,
            node,
            "a whole number",
            Some(format!("write a number from {least} to {most}, decimal or as 0x...")),
        );
        return None;
    };
    match u64::try_from(number) {
        Ok(number) if (least..=most).contains(&number) => Some(number),
        _ => {
            let found = scalar.map_or_else(String::new, |scalar| short(&scalar.text));
            context.fault(node.span, Fault::Range { key: key.to_owned(), found, least, most });
            None
        }
    }
}

pub(crate) fn parse_integer(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            i128::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None if !text.starts_with('+') => text.parse().ok(),
        None => None,
    }
}

pub(crate) fn choice(
    context: &Context<'_>,
    node: &Node,
    key: &str,
    words: &'static [&'static str],
) -> Option<&'static str> {
    let found = text(context, node)?;
    let word = words.iter().copied().find(|word| *word == found);
    if word.is_none() {
        context.fault(
            node.span,
            Fault::Choice {
                key: key.to_owned(),
                found: short(found),
                near: nearest(found, words.iter().copied()),
                known: list(words.iter().copied()),
            },
        );
    }
    word
}

pub(crate) fn duration(context: &Context<'_>, node: &Node) -> Option<Duration> {
    const HELP: &str = "write a number and a unit: 3s, 200ms, 50us, 10ns, 2m; at most a day";
    let shown = node.scalar().map(|scalar| scalar.shown().to_owned());
    let duration = shown.as_deref().and_then(parse_duration);
    if duration.is_none() {
        let found = shown.map_or_else(|| node.shown(), |text| format!("\"{}\"", short(&text)));
        let reason = format!("{found} is not a duration");
        context.fault(node.span, Fault::Format { reason, help: HELP, code: fault::BAD_DURATION });
    }
    duration
}

/// Reads `1.5s`, exactly: no floating point.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    const DAY: u128 = 86_400 * 1_000_000_000;
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let nanos: u128 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let plain = |part: &str| {
        !part.is_empty() && part.len() <= 15 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !plain(whole) || !plain(fraction) {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = fraction.parse::<u128>().ok()? * nanos;
    if !part.is_multiple_of(scale) {
        return None;
    }
    let total = whole.parse::<u128>().ok()? * nanos + part / scale;
    (total <= DAY).then(|| Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX)))
}

pub(crate) fn texts(context: &Context<'_>, node: &Node) -> Vec<(String, Span)> {
    let nodes = match node.list() {
        Some(nodes) => nodes,
        None if node.scalar().is_some_and(|scalar| !scalar.is_null()) => std::slice::from_ref(node),
        None => {
            mismatch(context, node, "a text or a list of texts", None);
            return Vec::new();
        }
    };
    nodes
        .iter()
        .filter_map(|node| text(context, node).map(|text| (text.to_owned(), node.span)))
        .collect()
}

/// Whether a text is an address with its prefix length.
pub(crate) fn is_network(context: &Context<'_>, text: &str, span: Span) -> bool {
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = prefix.parse().ok().filter(|_| !prefix.starts_with('+'))?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(())
    });
    if parsed.is_none() {
        context.fault(
            span,
            Fault::Format {
                reason: format!("\"{}\" is not an address with its prefix", short(text)),
                help: "write the address and the bits of its network: 10.0.0.1/24, fd00::1/64",
                code: fault::BAD_ADDRESS,
            },
        );
    }
    parsed.is_some()
}

/// Pairs of hexadecimal digits; blanks are free.
pub(crate) fn hex(context: &Context<'_>, node: &Node) -> Option<Vec<u8>> {
    const HELP: &str = "write pairs of hexadecimal digits in quotes: \"ffffffffffff 0806 00\"";
    let text = match node.scalar().filter(|scalar| !scalar.substituted).map(|scalar| scalar.kind) {
        Some(ScalarKind::Integer(_) | ScalarKind::Float(_)) => {
            let reason = format!("{} is a number to YAML", node.shown());
            context.fault(node.span, Fault::Format { reason, help: HELP, code: fault::BAD_HEX });
            return None;
        }
        _ => text(context, node)?,
    };
    let bytes = parse_hex(text);
    if let Err(reason) = &bytes {
        let reason = reason.clone();
        context.fault(node.span, Fault::Format { reason, help: HELP, code: fault::BAD_HEX });
    }
    bytes.ok()
}

fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut digits = Vec::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != ':' && *c != '_') {
        match c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()) {
            Some(digit) => digits.push(digit),
            None => return Err(format!("'{}' is not a hexadecimal digit", c.escape_debug())),
        }
    }
    if digits.len() % 2 == 1 {
        return Err(format!("{} hexadecimal digits: the last byte has only one", digits.len()));
    }
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Reports another kind of value.
pub(crate) fn mismatch(context: &Context<'_>, node: &Node, expected: &str, help: Option<String>) {
    context
        .fault(node.span, Fault::Type { expected: expected.to_owned(), found: node.shown(), help });
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("3s", Some(3_000_000_000))]
    #[case("200ms", Some(200_000_000))]
    #[case("1.5s", Some(1_500_000_000))]
    #[case("0s", Some(0))]
    #[case("2m", Some(120_000_000_000))]
    #[case("1.5ns", None)]
    #[case("3", None)]
    #[case("s", None)]
    #[case("-1s", None)]
    #[case("3 s", None)]
    #[case("3h", None)]
    #[case("1441m", None)]
    #[case("99999999999999999999s", None)]
    fn durations(#[case] text: &str, #[case] nanos: Option<u64>) {
        assert_eq!(parse_duration(text), nanos.map(Duration::from_nanos));
    }

    #[rstest]
    #[case("", Ok(vec![]))]
    #[case("00 fF", Ok(vec![0, 255]))]
    #[case("0", Err("1 hexadecimal digits: the last byte has only one".to_owned()))]
    #[case("0g", Err("'g' is not a hexadecimal digit".to_owned()))]
    fn hexadecimal(#[case] text: &str, #[case] bytes: Result<Vec<u8>, String>) {
        assert_eq!(parse_hex(text), bytes);
    }

    #[rstest]
    #[case("4000", Some(4000))]
    #[case("0x88b5", Some(0x88b5))]
    #[case("-1", Some(-1))]
    #[case("+1", None)]
    #[case("0x-1", None)]
    #[case("", None)]
    fn integers(#[case] text: &str, #[case] number: Option<i128>) {
        assert_eq!(parse_integer(text), number);
    }
}
