//! A record as its line.

use std::io;

use serde::Serialize;
use serde_json::{Serializer, Value, ser::Formatter};

/// The line of a record: a space behind each comma and colon, as all records have it.
pub(super) fn render(record: &Value) -> String {
    let mut line = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut line, Spaced);
    // Writing values into memory does not fail.
    let _ = record.serialize(&mut serializer);
    String::from_utf8_lossy(&line).into_owned()
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

/// A value with each text in it changed; keys stay.
pub(super) fn map_strings(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(items) => items.iter().map(|item| map_strings(item, change)).collect(),
        Value::Object(items) => {
            items.iter().map(|(key, item)| (key.clone(), map_strings(item, change))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_shipped_line_is_rendered_as_it_is() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/qemu");
        let mut lines = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.extension().is_none_or(|extension| extension != "jsonl") {
                continue;
            }
            for line in fs::read_to_string(file).unwrap().lines() {
                assert_eq!(render(&serde_json::from_str(line).unwrap()), line);
                lines += 1;
            }
        }
        assert!(lines > 900);
    }
}
