//! Tables of Markdown of which several columns have options: each of them is a machine's.

use super::{flag, part};

/// Most lines that a row is broken into.
const MOST_BROKEN: usize = 16;

/// A machine's name, and the options of its column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) options: String,
}

/// The columns of the table that begins in the first line, and how many lines it takes; none where fewer than
/// two columns have options.
pub(super) fn read(lines: &[&str]) -> Option<(Vec<Column>, usize)> {
    let rule = |line: &str| {
        line.trim().starts_with('|')
            && line.contains("--")
            && line.chars().all(|c| " |:-".contains(c))
    };
    if !rule(lines.get(1)?) {
        return None;
    }
    let head = cells(lines[0])?;
    let (mut rows, mut taken): (Vec<Vec<String>>, usize) = (Vec::new(), 2);
    while let Some(first) = lines.get(taken).filter(|line| line.trim_start().starts_with('|')) {
        let mut row = first.trim().to_owned();
        taken += 1;
        // A line break in a cell.
        let more =
            lines[taken..].iter().take(MOST_BROKEN).take_while(|line| !line.trim().is_empty());
        for line in more {
            if row.ends_with('|') {
                break;
            }
            row = format!("{row} {}", line.trim());
            taken += 1;
        }
        rows.extend(cells(&row));
    }
    let mut columns = Vec::new();
    for (at, title) in head.iter().enumerate() {
        let column = rows.iter().filter_map(|row| row.get(at));
        let options = column.flat_map(|cell| options(cell)).collect::<Vec<_>>().join(" ");
        let name = part::in_words(title).unwrap_or_else(|| title.clone());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if flag::is_qemus(&options) && !name.is_empty() && name.chars().all(plain) {
            columns.push(Column { name, options });
        }
    }
    (columns.len() > 1).then_some((columns, taken))
}

/// The cells of a row, without what marks their text.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let text = |cell: &str| cell.trim().trim_matches(['*', '_']).to_owned();
    Some(inner.split('|').map(text).collect())
}

/// The options of a cell: what stands in backquotes, else all of it where it begins with an option.
fn options(cell: &str) -> Vec<String> {
    if cell.contains('`') {
        let inside = cell.split('`').skip(1).step_by(2);
        return inside.filter(|text| text.starts_with('-')).map(str::to_owned).collect();
    }
    let cell = cell.replace("<br>", " ").replace("<br/>", " ");
    match cell.split_whitespace().next().is_some_and(flag::is_option) {
        true => vec![cell],
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_a_machine() {
        let text = "| what | r1 | **secondary** |\n|--|--|:--|\n| net | `-netdev tap,id=a` | -netdev tap,id=b |\n\
                    | more | `-chardev null,id=c`\n`-S` | – |\n\nend\n";
        let (columns, taken) = read(&text.lines().collect::<Vec<_>>()).unwrap();
        let shown: Vec<String> =
            columns.iter().map(|one| format!("{}: {}", one.name, one.options)).collect();
        let expected =
            ["r1: -netdev tap,id=a -chardev null,id=c -S", "secondary: -netdev tap,id=b"];
        assert_eq!((shown.as_slice(), taken), (expected.map(str::to_owned).as_slice(), 5));
    }

    #[test]
    fn one_column_is_none() {
        let text = "| part | line |\n|--|--|\n| primary | `qemu-system-arm -nic user` |\n";
        assert_eq!(read(&text.lines().collect::<Vec<_>>()), None);
    }
}
