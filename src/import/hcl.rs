//! Terraform's language around texts: what `variable` and `locals` set is put in place of `${var.NAME}` and
//! `${local.NAME}`, and `$${` is the text's own `${`.

use std::collections::BTreeMap;

use super::limit::MAX_WRITTEN;

/// Most variables in one another.
const MAX_DEPTH: usize = 4;

/// The text with its variables in place; none where it has none.
pub(super) fn filled(text: &str) -> Option<String> {
    if !["${var.", "${local."].iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let set = variables(text);
    let mut budget = MAX_WRITTEN;
    let mut out = text.to_owned();
    for _ in 0..MAX_DEPTH {
        out = once(&out, &set, &mut budget);
    }
    Some(out.replace("$${", "${"))
}

fn once(text: &str, set: &BTreeMap<String, String>, budget: &mut usize) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, inner)) = rest.split_once("${") {
        out.push_str(before);
        let known = inner.split_once('}').filter(|_| !before.ends_with('$'));
        let known = known.and_then(|(name, after)| Some((set.get(name.trim())?, after)));
        match known.filter(|(value, _)| value.len() <= *budget) {
            Some((value, after)) => {
                *budget -= value.len();
                out += value;
                rest = after;
            }
            None => {
                out.push_str("${");
                rest = inner;
            }
        }
    }
    out + rest
}

/// `var.NAME` and `local.NAME`, each with its value.
fn variables(text: &str) -> BTreeMap<String, String> {
    let mut set = BTreeMap::new();
    // The block that is open: what its settings are called.
    let mut block: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("variable ").map(|rest| rest.trim_end_matches('{')) {
            block = Some(format!("var.{}", name.trim().trim_matches('"')));
        } else if line.starts_with("locals") && line.ends_with('{') {
            block = Some("local.".to_owned());
        } else if line == "}" {
            block = None;
        } else if let (Some(block), Some((name, value))) = (&block, line.split_once('=')) {
            let value = value.trim().trim_end_matches('}').trim();
            let value = value.split(" #").next().unwrap_or(value).trim().trim_matches('"');
            match block.as_str() {
                "local." => {
                    set.insert(format!("local.{}", name.trim()), value.to_owned());
                }
                block if name.trim() == "default" => {
                    set.insert(block.to_owned(), value.to_owned());
                }
                _ => {}
            }
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_place() {
        let text = "variable \"port\" {\n  default = 7\n}\nlocals {\n  tap = \"t${var.port}\"\n}\n\
                    ${local.tap} ${var.none} $${DIR}\n";
        let filled = filled(text).unwrap();
        assert_eq!(filled.lines().last(), Some("t7 ${var.none} ${DIR}"));
        assert_eq!(super::filled("a ${b}"), None);
    }
}
