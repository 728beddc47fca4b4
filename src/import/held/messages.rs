//! Messages and reports in JSON, as chats and trackers export them: the texts that people wrote, in their order.

use serde_json::Value;

use crate::import::flag;

/// Keys of what people write.
const TEXTS: &[&str] =
    &["title", "subject", "body", "text", "message", "comment", "description", "content", "note"];

/// The texts of an export; none where the text is no JSON, or has something of QEMU's elsewhere.
pub(super) fn text(text: &str) -> Option<String> {
    let whole = text.trim_start();
    if !whole.starts_with(['{', '[']) {
        return None;
    }
    let root: Value = serde_json::from_str(whole).ok()?;
    let mut texts = Vec::new();
    walk(&root, &mut texts);
    let has_lines = texts.iter().any(|text| text.contains('\n') && flag::is_qemus(text));
    let options = |text: &str| flag::tokens(text).filter(|word| flag::is_net(word)).count();
    let read: usize = texts.iter().map(|text| options(text)).sum();
    let mut all = Vec::new();
    strings(&root, &mut all);
    let there: usize = all.iter().map(|text| options(text)).sum();
    (has_lines && read == there)
        .then(|| texts.into_iter().map(|text| format!("{text}\n\n")).collect())
}

fn walk<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| walk(one, texts)),
        Value::Object(map) => {
            for key in TEXTS {
                texts.extend(map.get(*key).and_then(Value::as_str));
            }
            map.values().for_each(|one| walk(one, texts));
        }
        _ => {}
    }
}

fn strings<'a>(value: &'a Value, all: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => all.push(text),
        Value::Array(list) => list.iter().for_each(|one| strings(one, all)),
        Value::Object(map) => map.values().for_each(|one| strings(one, all)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_texts() {
        let export = r#"[{"user": "a", "text": "see\nqemu-kvm -nic user"},
                         {"user": "b", "ts": "1", "text": "then object_del f"}]"#;
        assert_eq!(
            text(export).as_deref(),
            Some("see\nqemu-kvm -nic user\n\nthen object_del f\n\n")
        );
        let list = r#"{"text": "a\nb", "argv": ["qemu-kvm", "-nic", "user"]}"#;
        assert_eq!(text(list), None);
    }
}
