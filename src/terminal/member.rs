//! Records as people may see them.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{visible, visible_lines};

/// A record whose texts are all as [`visible`] shows them, in whatever member it is; what has
/// nothing to change is not copied. Texts of the members that `multiline` names keep their lines,
/// as [`visible_lines`].
///
/// A record can be written as JSON and read back. One that can't is returned as it is: see
/// [`Fence`](super::Fence) for what stands behind this.
#[must_use]
pub fn visible_members<'r, T>(record: &'r T, multiline: &[&str]) -> Cow<'r, T>
where
    T: Clone + Serialize + DeserializeOwned,
{
    // Most often nothing is to be changed, which is seen as the record goes by.
    let mut look = Look::default();
    if serde_json::to_writer(&mut look, record).is_ok() && look.is_harmless() {
        return Cow::Borrowed(record);
    }
    let shown = || {
        let mut value = serde_json::to_value(record).ok()?;
        change(&mut value, false, multiline).then_some(())?;
        serde_json::from_value(value).ok()
    };
    shown().map_or(Cow::Borrowed(record), Cow::Owned)
}

/// Sees JSON go by, and whether every text in it is of printable ASCII alone.
#[derive(Default)]
struct Look {
    escapes: bool,
    harmful: bool,
}

impl Look {
    const fn is_harmless(&self) -> bool {
        !self.harmful && !self.escapes
    }
}

impl Write for Look {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match (self.escapes, byte) {
                (false, b'\\') => self.escapes = true,
                (true, b'\\' | b'"') => self.escapes = false,
                (false, b' '..=b'~') => {}
                _ => self.harmful = true,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes every text of a value visible; whether any was not.
fn change(value: &mut Value, is_multiline: bool, multiline: &[&str]) -> bool {
    let mut changed = false;
    match value {
        Value::String(text) => {
            let is_harmless = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !is_harmless {
                let shown =
                    if is_multiline { visible_lines(text) } else { visible(&*text).to_string() };
                changed = shown != *text;
                *text = shown;
            }
        }
        Value::Array(items) => {
            for item in items {
                changed |= change(item, is_multiline, multiline);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                changed |= change(member, multiline.contains(&name.as_str()), multiline);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    changed
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        name: String,
        seconds: f64,
        rendered: Option<String>,
        parts: Vec<Record>,
    }

    fn record(text: &str, parts: Vec<Record>) -> Record {
        Record { name: text.to_owned(), seconds: 0.1, rendered: Some(text.to_owned()), parts }
    }

    #[test]
    fn every_text_is_made_visible_however_deep_it_is() {
        let bad = record("a\u{1b}\nb", vec![record("\u{202e}", Vec::new())]);
        let mut expected = record("a\\u{1b}\\nb", vec![record("\\u{202e}", Vec::new())]);
        expected.rendered = Some("a\\u{1b}\nb".to_owned());
        assert_eq!(*visible_members(&bad, &["rendered"]), expected);
    }

    #[test]
    fn a_look_at_json_sees_what_is_not_printable() {
        for (text, harmless) in [
            ("a\"b\\c", true),
            ("", true),
            ("a\nb", false),
            ("\u{1b}", false),
            ("\u{7f}", false),
            ("ä", false),
        ] {
            let mut look = Look::default();
            serde_json::to_writer(&mut look, text).unwrap();
            assert_eq!(look.is_harmless(), harmless, "{text:?}");
        }
    }

    #[test]
    fn what_is_harmless_is_not_copied() {
        let mut good = record("ä b", vec![record("c", Vec::new())]);
        good.rendered = Some("two\nlines".to_owned());
        assert!(matches!(visible_members(&good, &["rendered"]), Cow::Borrowed(_)));
    }
}
