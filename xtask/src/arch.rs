use std::{fs, path::PathBuf};

use crate::chore::{ChoreError, root};

/// Each part and what it may import. The lower a part stands, the less it knows.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("terminal", &[]),
    ("diag", &["terminal"]),
    ("file", &["diag", "sys"]),
    ("base", &[]),
    ("qapi", &["base"]),
    ("frame", &["base", "diag"]),
    ("capture", &["base", "diag", "frame"]),
    ("record", &["base"]),
    ("guest", &["base"]),
    ("scenario", &["base", "capture", "diag", "file", "frame", "guest", "qapi", "record"]),
    ("drawing", &["base", "diag", "qapi", "record", "scenario", "terminal"]),
    ("import", &["diag", "qapi", "scenario", "terminal"]),
    ("machine", &["base", "qapi", "record"]),
    ("conflict", &["base", "machine", "qapi", "record"]),
    (
        "backend",
        &["base", "diag", "frame", "guest", "machine", "qapi", "record", "scenario", "sys"],
    ),
    ("snapshot", &["base", "capture", "diag", "file", "frame", "record"]),
    (
        "runner",
        &["backend", "base", "capture", "diag", "file", "frame", "record", "scenario", "snapshot"],
    ),
    (
        "report",
        &[
            "base", "diag", "drawing", "file", "frame", "record", "runner", "scenario", "snapshot",
            "terminal",
        ],
    ),
    (
        "fuzz",
        &[
            "backend", "base", "diag", "file", "qapi", "record", "runner", "scenario", "snapshot",
            "sys",
        ],
    ),
    (
        "cli",
        &[
            "backend", "base", "capture", "conflict", "diag", "drawing", "file", "frame", "fuzz",
            "import", "machine", "qapi", "record", "report", "runner", "scenario", "snapshot",
            "sys", "terminal",
        ],
    ),
];

/// Parts without I/O, clock and randomness.
const PURE: &[&str] =
    &["base", "conflict", "drawing", "frame", "guest", "import", "machine", "qapi", "record"];

/// Modules of `std` that a pure part may not name, alone or in a group.
const IMPURE_MODULES: &[&str] = &["fs", "process", "thread"];

/// Words that a pure part may not say: clocks, sockets (addresses it may), and maps whose order
/// changes from run to run.
const IMPURE_WORDS: &[&str] = &[
    "Instant",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
    "HashMap",
    "HashSet",
];

/// A time that is told from outside, and no clock, whatever its name.
const TIME_AS_DATA: &str = "smoltcp::time::Instant";

/// The files that write to standard output and standard error: through the fence of `terminal`, and,
/// where a person named `/dev/stdout` for a report, as the report itself escapes what is in it.
const WRITERS: &[&str] = &["cli/output.rs", "terminal/bar.rs", "file/create.rs"];

/// What gives a way to them, and asking whether they are a terminal, which does not.
const WAYS: &[(&str, &[&str])] = &[
    ("io::", &["stdout", "stderr"]),
    ("anstream::", &["print", "println", "eprint", "eprintln", "stdout", "stderr"]),
    ("Term::", &["stdout", "stderr", "buffered_stdout", "buffered_stderr"]),
    ("ProgressDrawTarget::", &["stdout", "stderr"]),
];
const ASKED: &str = "io::stdout().is_terminal()";

/// Checks every `use crate::...` and `crate::...` path under `src/` against the table.
pub(crate) fn run() -> Result<(), ChoreError> {
    let src = root().join("src");
    let mut files = Vec::new();
    collect(&src, &mut files)?;
    let mut wrong = 0;
    for file in &files {
        let text = fs::read_to_string(file)
            .map_err(|source| ChoreError::Unreadable { path: file.clone(), source })?;
        let relative = file.strip_prefix(&src).unwrap_or(file);
        let Some(part) = part_of(relative) else {
            continue;
        };
        let is_writer = WRITERS.iter().any(|writer| relative == std::path::Path::new(writer));
        let unfenced = if is_writer { Vec::new() } else { unfenced(&text) };
        for (line, message) in violations(&part, &text).into_iter().chain(unfenced) {
            wrong += 1;
            anstream::eprintln!("src/{}:{line}: {message}", relative.display());
        }
    }
    if wrong > 0 {
        return Err(ChoreError::Arch(wrong));
    }
    anstream::eprintln!("xtask: arch: {} files import only downwards", files.len());
    Ok(())
}

/// The part that a file belongs to; none for `lib.rs` and `main.rs`.
fn part_of(relative: &std::path::Path) -> Option<String> {
    let mut components = relative.components();
    let first = components.next()?;
    components.next()?;
    Some(first.as_os_str().to_string_lossy().into_owned())
}

/// The lines of a file that import what its part may not know.
fn violations(part: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == part) else {
        return vec![(1, format!("`{part}` is not in the table of parts"))];
    };
    for (line, code) in code_lines(text) {
        for imported in imports(&code) {
            if imported != part && !allowed.contains(&imported.as_str()) {
                found.push((line, format!("`{part}` may not import `{imported}`")));
            }
        }
        if PURE.contains(&part) {
            for word in impurities(&code) {
                found.push((line, format!("`{part}` is pure: {word}")));
            }
        }
        if part != "sys" && code.contains("unsafe ") && !code.contains("unsafe_code") {
            found.push((line, "`unsafe` outside sys".to_owned()));
        }
    }
    found
}

/// The lines of a file that write where everything from outside has to be fenced.
fn unfenced(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, code) in code_lines(text) {
        let code = code.replace(ASKED, "");
        for (root, ways) in WAYS {
            let named = names_below(&code, root);
            found.extend(
                named
                    .iter()
                    .filter(|name| ways.contains(&name.as_str()))
                    .map(|name| (line, format!("`{root}{name}` is for {}", WRITERS.join(" and ")))),
            );
        }
    }
    found
}

/// Code without comments, a `use` statement that spans lines joined into its first.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split("//").next().unwrap_or("").trim();
        match lines.last_mut() {
            Some((_, joined)) if open => joined.push_str(code),
            _ => lines.push((number, code.to_owned())),
        }
        let starts = lines.last().is_some_and(|(_, joined)| is_use(joined));
        open = starts && !code.ends_with(';');
    }
    lines
}

fn is_use(code: &str) -> bool {
    code.starts_with("use ") || (code.starts_with("pub") && code.contains(" use "))
}

/// The parts named by `crate::part` and `crate::{part::..., part::...}`.
fn imports(code: &str) -> Vec<String> {
    let mut found = names_below(code, "crate::");
    found.retain(|name| MAY_IMPORT.iter().any(|(part, _)| part == name));
    found
}

/// What a pure part may not name.
fn impurities(code: &str) -> Vec<String> {
    let mut found = names_below(code, "std::");
    found.retain(|name| IMPURE_MODULES.contains(&name.as_str()));
    let code = code.replace(TIME_AS_DATA, "");
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    found.extend(words.filter(|word| IMPURE_WORDS.contains(word)).map(str::to_owned));
    found
}

/// The names that stand right below `root`, in paths and in braced groups.
fn names_below(code: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        let rest = &code[at + root.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(top_level_names(group));
        } else {
            found.push(name(rest));
        }
    }
    found
}

/// The first word of each element of a braced group, nested groups passed over.
fn top_level_names(group: &str) -> Vec<String> {
    let mut names = vec![name(group.trim_start())];
    let mut depth = 0usize;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn collect(directory: &std::path::Path, files: &mut Vec<PathBuf>) -> Result<(), ChoreError> {
    let unreadable = |source| ChoreError::Unreadable { path: directory.to_owned(), source };
    let mut entries: Vec<_> =
        fs::read_dir(directory).and_then(Iterator::collect::<Result<_, _>>).map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upward_import_is_found_in_every_form() {
        for text in [
            "use crate::runner::exec;",
            "use crate::{\n    base::Tag,\n    runner::exec,\n};",
            "fn f() { crate::runner::exec(); }",
            "pub(super) use crate::{\n    base::Tag,\n    runner::exec,\n};",
        ] {
            let found = violations("machine", text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].1.contains("`machine` may not import `runner`"));
        }
    }

    #[test]
    fn downward_imports_and_comments_pass() {
        let text = "use crate::{base::{Tag, Frame}, record::Event};\n// crate::runner is above\n";
        assert!(violations("machine", text).is_empty());
    }

    #[test]
    fn pure_parts_do_no_io_and_only_sys_is_unsafe() {
        for text in [
            "let f = std::fs::read(path);",
            "use std::{collections::BTreeMap, fs};",
            "use std::time::{Duration, Instant};",
            "use std::collections::HashMap;",
        ] {
            for part in PURE {
                assert_eq!(violations(part, text).len(), 1, "{part}: {text}");
            }
            assert!(violations("sys", text).is_empty(), "{text}");
        }
        assert!(violations("machine", "use std::{collections::BTreeMap, fmt};").is_empty());
        assert_eq!(violations("frame", "unsafe { go() }").len(), 1);
        assert!(violations("sys", "unsafe { go() }").is_empty());
    }

    #[test]
    fn what_is_printed_goes_through_the_fence() {
        for text in [
            "let mut out = std::io::stdout();",
            "use std::io::{self, stderr};",
            "anstream::eprintln!(\"{error}\");",
            "let term = Term::buffered_stderr();",
            "bar.set_draw_target(ProgressDrawTarget::stderr());",
        ] {
            assert_eq!(unfenced(text).len(), 1, "{text}");
        }
        let text = "io::stdout().is_terminal()\nStdio::piped()\nanstream::adapter::strip_str(text)";
        assert!(unfenced(text).is_empty());
    }

    #[test]
    fn the_table_only_points_down() {
        for (at, (part, allowed)) in MAY_IMPORT.iter().enumerate() {
            for imported in *allowed {
                let place = MAY_IMPORT.iter().position(|(name, _)| name == imported);
                assert!(place.is_some_and(|place| place < at), "{part} imports {imported}");
            }
        }
    }
}
