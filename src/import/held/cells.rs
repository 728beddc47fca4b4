//! Tables with quoted cells or tabs, as spreadsheets write them: a row has a command, and the machine that it is
//! for in another column.

use crate::import::{command, flag};

/// Fewest rows of a table.
const LEAST: usize = 3;
/// Titles of the column that has machines.
const TITLES: &[&str] = &[
    "guest", "host", "machine", "monitor", "name", "node", "on", "role", "side", "system",
    "target", "vm", "where", "who",
];

/// The rows of a table that have something of QEMU's, each as it is typed on its machine, and the others as they
/// are; none where the text is no table.
pub(super) fn text(text: &str) -> Option<String> {
    if !flag::is_qemus(text) {
        return None;
    }
    let rows = [',', ';', '\t'].into_iter().find_map(|divides| rows(text, divides))?;
    let column = machines(&rows);
    let mut out = String::new();
    for row in &rows {
        let commands: Vec<String> = row.iter().filter_map(|cell| typed(cell)).collect();
        let others = row.iter().filter(|cell| typed(cell).is_none() && !cell.is_empty());
        let others: Vec<&str> = others.map(|cell| cell.as_str()).collect();
        let name = column.and_then(|column| row.get(column)).filter(|name| is_name(name));
        for command in &commands {
            match name {
                Some(name) => out += &format!("root@{name}:~# {command}\n"),
                None => out += &format!("{command}\n"),
            }
        }
        if commands.is_empty() {
            out += &format!("{}\n", others.join(", "));
        }
    }
    Some(out)
}

/// A cell's command as a person types it: a command line, one of QMP, one of the human monitor.
fn typed(cell: &str) -> Option<String> {
    let cell = cell.trim();
    let bare = cell.strip_prefix("(qemu)").map_or(cell, str::trim);
    let is_object = cell.starts_with('{') && cell.contains("execute");
    if command::typed(bare).is_some() && !is_object {
        return Some(format!("(qemu) {bare}"));
    }
    (flag::is_qemus(cell) || is_object).then(|| cell.replace(['\n', '\r'], " "))
}

/// The column that has a machine's name in each row with a command.
fn machines(rows: &[Vec<String>]) -> Option<usize> {
    let with: Vec<&Vec<String>> =
        rows.iter().filter(|row| row.iter().any(|cell| typed(cell).is_some())).collect();
    let columns = rows.iter().map(Vec::len).max()?;
    let is_filled = |column: &usize| {
        let mut cells = with.iter().map(|row| row.get(*column).map(String::as_str));
        cells.all(|cell| cell.is_some_and(|cell| is_name(cell) && typed(cell).is_none()))
    };
    let titled = |column: &usize| {
        let mut titles =
            rows.iter().filter_map(|row| row.get(*column)).map(|cell| cell.to_lowercase());
        titles.any(|title| TITLES.contains(&title.as_str()))
    };
    let named = |column: &usize| {
        let mut names = with.iter().filter_map(|row| row.get(*column));
        names.any(|name| rows.iter().flatten().any(|cell| cell.contains(&format!("-name {name} "))))
    };
    let filled: Vec<usize> = (0..columns).filter(is_filled).collect();
    let found =
        filled.iter().find(|column| named(column)).or(filled.iter().find(|column| titled(column)));
    found.copied()
}

fn is_name(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_alphabetic())
        && cell.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The rows of a table whose cells this sign divides. In quotes it is text, and a quote is written twice.
fn rows(text: &str, divides: char) -> Option<Vec<Vec<String>>> {
    // An option has commas itself.
    if divides != '\t'
        && !text.contains(&format!("{divides}\""))
        && !text.contains(&format!("\"{divides}"))
    {
        return None;
    }
    let mut rows: Vec<Vec<String>> = vec![Vec::new()];
    let mut cell = String::new();
    let mut is_quoted = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if is_quoted && rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                is_quoted = true;
            }
            c if c == divides && !is_quoted => {
                rows.last_mut()?.push(std::mem::take(&mut cell).trim().to_owned());
            }
            '\n' if !is_quoted => {
                rows.last_mut()?.push(std::mem::take(&mut cell).trim().to_owned());
                rows.push(Vec::new());
            }
            c => cell.push(c),
        }
    }
    rows.last_mut()?.push(cell.trim().to_owned());
    rows.retain(|row| row.iter().any(|cell| !cell.is_empty()));
    let width = rows.first()?.len();
    // A list of words, each in quotes.
    if rows.iter().flatten().any(|cell| flag::is_option(cell)) {
        return None;
    }
    // Prose above and below a table has another number of cells.
    let regular = rows.iter().filter(|row| row.len() == width).count();
    (!is_quoted && width > 1 && rows.len() >= LEAST && regular * 10 >= rows.len() * 9)
        .then_some(rows)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::quotes(
        "Step,Where,Action\n1,a,\"qemu-kvm -nic user,id=b\"\n2,b,\"{\"\"execute\"\": \"\"stop\"\"}\"\n3,lab,\"ping, once\"\n",
        "Step, Where, Action\nroot@a:~# qemu-kvm -nic user,id=b\nroot@b:~# {\"execute\": \"stop\"}\n3, lab, ping, once\n"
    )]
    #[case::tabs(
        "vm\twhat\na\tqemu-kvm -nic user\nb\tobject_del f\n",
        "vm, what\nroot@a:~# qemu-kvm -nic user\nroot@b:~# (qemu) object_del f\n"
    )]
    fn rows_are_typed_on_machines(#[case] table: &str, #[case] expected: &str) {
        assert_eq!(text(table).as_deref(), Some(expected));
    }

    #[rstest]
    #[case("a, b\nqemu-kvm -nic user,id=a\nso it is\n")]
    #[case("cmd = [\"qemu-kvm\",\n  \"-nic\", \"user\",\n]\n")]
    fn others_are_left_alone(#[case] other: &str) {
        assert_eq!(text(other), None);
    }
}
