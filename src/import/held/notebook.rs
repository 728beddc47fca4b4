//! Notebooks of Jupyter: their cells, whose lines are strings of a list, as Markdown with fences.

use serde_json::Value;

use crate::import::flag;

/// The cells of a notebook; none where the text is another.
pub(super) fn text(text: &str) -> Option<String> {
    let whole = text.trim_start();
    if !whole.starts_with('{') || !whole.contains("\"cells\"") {
        return None;
    }
    let root: Value = serde_json::from_str(whole).ok()?;
    let mut out = String::new();
    // Cells of one language are one program.
    let mut open = String::new();
    for cell in root.get("cells")?.as_array()? {
        let source = joined(cell.get("source")?);
        let is_code = cell.get("cell_type").and_then(Value::as_str) == Some("code");
        let (is_shell, source) = if is_code { of_code(&source) } else { (false, source) };
        if is_code && !is_shell {
            open += &source;
            open.push('\n');
        } else {
            fenced(&mut std::mem::take(&mut open), &mut out);
            match is_code {
                true => fenced(&mut source.clone(), &mut out),
                false => out += &format!("{source}\n\n"),
            }
        }
        let outputs = cell.get("outputs").and_then(Value::as_array);
        let shown: Vec<String> = outputs.into_iter().flatten().filter_map(output).collect();
        if !shown.is_empty() {
            fenced(&mut std::mem::take(&mut open), &mut out);
            shown.into_iter().for_each(|mut text| fenced(&mut text, &mut out));
        }
    }
    fenced(&mut open, &mut out);
    (!out.is_empty()).then_some(out)
}

fn fenced(text: &mut String, out: &mut String) {
    if !text.trim().is_empty() {
        *out += &format!("```\n{}\n```\n\n", text.trim_end());
    }
    text.clear();
}

/// The lines of a cell, which may be one text.
fn joined(source: &Value) -> String {
    match source {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

/// A cell without the marks that say what runs it, and whether that is a shell.
fn of_code(source: &str) -> (bool, String) {
    let first = source.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let shells = ["%%bash", "%%sh", "%%script", "%%!"];
    let is_cell = shells.iter().any(|mark| first.starts_with(mark));
    // A command of the shell may go on over several lines.
    let is_shell = is_cell || first.starts_with('!');
    let line = |line: &str| match line.strip_prefix('!') {
        Some(rest) => format!("{}\n", rest.trim_start()),
        None if line.starts_with('%') => String::new(),
        None => format!("{line}\n"),
    };
    (is_shell, source.lines().map(line).collect())
}

/// What a cell wrote, where it has something of QEMU's.
fn output(output: &Value) -> Option<String> {
    let text = output.get("text").or_else(|| output.get("data")?.get("text/plain"))?;
    Some(joined(text)).filter(|text| flag::is_qemus(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_texts() {
        let notebook = r##"{"cells": [
            {"cell_type": "markdown", "source": ["# A\n", "b"]},
            {"cell_type": "code", "source": ["%%bash\n", "qemu-system-arm \\\n", " -nic user"],
             "outputs": [{"text": ["no option\n"]}]},
            {"cell_type": "code", "source": "vm.cmd('stop',\n  {})"},
            {"cell_type": "code", "source": ["%time\n", "vm.cmd('cont')"]}
        ]}"##;
        let expected = "# A\nb\n\n```\nqemu-system-arm \\\n -nic user\n```\n\n\
                        ```\nvm.cmd('stop',\n  {})\n\nvm.cmd('cont')\n```\n\n";
        assert_eq!(text(notebook).as_deref(), Some(expected));
        assert_eq!(text("{\"a\": 1}"), None);
    }
}
