//! Reads bytes in any form that the language has. Payloads and the verb `write` are made of them.

use crate::{
    guest,
    scenario::{
        context::Context,
        fault::{self, Fault},
        fields::Fields,
        key,
        node::{Node, ScalarKind, short},
        value,
    },
};

/// Text, `{hex}`, `{fill, len}`, `{pattern}`, `{u16}`, `{u32}`, or a list of these, one after the
/// other.
pub(super) fn lower(context: &Context<'_>, node: &Node) -> Option<Vec<u8>> {
    let Some(nodes) = node.list() else {
        return piece(context, node);
    };
    let pieces: Vec<Option<Vec<u8>>> = nodes.iter().map(|node| piece(context, node)).collect();
    pieces.into_iter().collect::<Option<Vec<_>>>().map(|pieces| pieces.concat())
}

fn piece(context: &Context<'_>, node: &Node) -> Option<Vec<u8>> {
    if node.map().is_none() {
        return value::text(context, node).map(|text| text.as_bytes().to_vec());
    }
    let map = Fields::open(context, node, &key::BYTES)?;
    let forms: Vec<&str> = ["text", "hex", "fill", "pattern", "u16", "u32"]
        .into_iter()
        .filter(|form| map.has(form))
        .collect();
    let form = match forms.as_slice() {
        [form] => *form,
        [first, second, ..] => {
            map.conflict(first, second, "a piece is one of them; write a list of pieces");
            return None;
        }
        [] => {
            let what = "a piece of bytes needs `text`, `hex`, `fill`, `pattern`, `u16` or `u32`";
            let help = "write for example {fill: \"5a\", len: 100}";
            map.fault(node.span, Fault::Nothing { what, help });
            return None;
        }
    };
    if let Some(entry) = map.entry("len").filter(|_| form != "fill") {
        map.fault(entry.key_span, Fault::Needs { key: "len".to_owned(), needs: "`fill`" });
    }
    match form {
        "text" => map.text("text").map(String::into_bytes),
        "hex" => value::hex(context, map.node("hex")?),
        "fill" => fill(context, &map),
        "pattern" => {
            let count: usize = map.integer("pattern")?;
            let affordable = context.spend(map.span, 0, count);
            affordable.then(|| guest::pattern(0, count))
        }
        "u16" => map.integer::<u16>("u16").map(|number| number.to_be_bytes().to_vec()),
        _ => map.integer::<u32>("u32").map(|number| number.to_be_bytes().to_vec()),
    }
}

fn fill(context: &Context<'_>, map: &Fields<'_>) -> Option<Vec<u8>> {
    let node = map.node("fill")?;
    let scalar = node.scalar();
    let byte = scalar.and_then(|scalar| match scalar.kind {
        ScalarKind::Integer(number) => u8::try_from(number).ok(),
        ScalarKind::Text if scalar.text.len() == 2 => u8::from_str_radix(&scalar.text, 16)
            .ok()
            .filter(|_| scalar.text.bytes().all(|byte| byte.is_ascii_hexdigit())),
        _ => None,
    });
    if byte.is_none() {
        let shown = scalar.map_or_else(|| node.shown(), |scalar| short(scalar.shown()));
        map.fault(
            node.span,
            Fault::Format {
                reason: format!("{shown} is not one byte"),
                help: "write a number from 0 to 255, or two hexadecimal digits in quotes: \"5a\"",
                code: fault::BAD_FILL,
            },
        );
    }
    let Some(len) = map.node("len") else {
        let (key, needs) = ("fill".to_owned(), "`len`");
        map.fault(node.span, Fault::Needs { key, needs });
        return None;
    };
    let count: usize = map.integer("len")?;
    // Taken before the memory is.
    context.spend(len.span, 0, count).then(|| vec![byte.unwrap_or(0); count])
}
