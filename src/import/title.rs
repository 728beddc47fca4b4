//! Lines that name the file whose text follows: `==> a.cfg <==` of head, `# file: a.sh`, `$ cat a.conf`, the comment of
//! `systemctl cat`. Where a text has several files, each is a machine's, by its name.

use std::collections::BTreeSet;

use super::{config, flag};

/// What the names of such files end with.
const ENDS: &[&str] = &[
    "args", "bash", "bat", "cfg", "cmd", "conf", "env", "ini", "ps1", "py", "qemu", "service",
    "sh", "txt",
];

/// Names of files that say what is in them, and not whose it is.
const PLAIN: &[&str] =
    &["args", "config", "launch", "main", "qemu", "run", "script", "start", "vm"];

/// What the file is called that a line is the title of.
pub(super) fn of_file(line: &str) -> Option<String> {
    let line = line.trim();
    let headed = line.strip_prefix("==>").and_then(|rest| rest.strip_suffix("<=="));
    let commented = || {
        let rest = line.trim_start_matches(['#', '/', ';', '-', '*', ' ', ':']);
        let rest = rest.trim_end_matches(['#', '-', '*', ' ', ':']);
        let named = ["file:", "File:", "FILE:", "file", "File"]
            .iter()
            .find_map(|word| rest.strip_prefix(word));
        // `# /etc/systemd/system/a.service`
        named.or_else(|| (rest.len() < line.len()).then_some(rest))
    };
    let shown = || {
        let at = ["cat ", "less ", "more ", "systemctl cat "].iter().filter_map(|program| {
            let at = line.find(program)?;
            let before = line[..at].trim_end();
            let is_typed = before.is_empty() && line.len() < 80
                || before.ends_with(['$', '#', '%', '>'])
                || before.ends_with("sudo");
            is_typed.then_some(at + program.len())
        });
        at.max().map(|at| &line[at..])
    };
    let path = headed.or_else(shown).or_else(commented)?.trim().trim_matches(['`', '"', '\'']);
    if path.contains(char::is_whitespace) {
        return None;
    }
    let file = path.rsplit(['/', '\\']).next()?;
    let (stem, end) = file.rsplit_once('.')?;
    let stem = stem.trim_end_matches('@');
    // The instance of a template: `qemu@web1.service`.
    let stem = stem.rsplit_once('@').map_or(stem, |(_, instance)| instance);
    let is_name = stem.starts_with(|c: char| c.is_ascii_alphanumeric())
        && stem.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    (ENDS.contains(&end) && is_name && !PLAIN.contains(&stem)).then(|| stem.to_owned())
}

/// The files of a text that hold something of QEMU's, where there are several.
pub(super) fn files(text: &str) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut last = None;
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if let Some(name) = of_file(line) {
            last = Some(name);
        } else if last.is_some() && (flag::is_qemus(line) || config::read(&lines[at..]).is_some()) {
            files.extend(last.take());
        }
    }
    if files.len() < 2 { BTreeSet::new() } else { files }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("==> /etc/qemu/left.cfg <==", Some("left"))]
    #[case("# file: right.sh", Some("right"))]
    #[case("root@a:~# cat /etc/pve/qemu-server/104.conf", Some("104"))]
    #[case("# /etc/systemd/system/colo-a.service", Some("colo-a"))]
    #[case("$ systemctl cat qemu@web1.service", Some("web1"))]
    #[case("--- left.cfg ---", Some("left"))]
    #[case("# see left.cfg for more", None)]
    #[case("left.cfg", None)]
    #[case("#!/bin/sh", None)]
    #[case("# start.sh", None)]
    fn lines_name_files(#[case] line: &str, #[case] expected: Option<&str>) {
        assert_eq!(of_file(line).as_deref(), expected);
    }

    #[test]
    fn several_files_are_several_machines() {
        let text =
            "==> a1.cfg <==\n[netdev \"n\"]\n type = \"tap\"\n==> b1.sh <==\nqemu-kvm -nic user\n";
        assert_eq!(files(text).into_iter().collect::<Vec<_>>(), ["a1", "b1"]);
        assert!(files("==> a1.cfg <==\nqemu-kvm -nic user\n").is_empty());
    }
}
