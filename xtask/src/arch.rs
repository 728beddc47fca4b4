//! The walls of the house: which part may import which, in the whole crate and inside the rooms that
//! have floors of their own, what the pure parts may not touch, and that QEMU's words stay in `qapi`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    chore::{ChoreError, root},
    words,
};

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
    ("reading", &["base", "frame", "record"]),
    ("guest", &["base"]),
    ("scenario", &["base", "capture", "diag", "file", "frame", "guest", "qapi", "record"]),
    ("drawing", &["base", "diag", "qapi", "record", "scenario", "terminal"]),
    ("import", &["diag", "qapi", "scenario", "terminal"]),
    ("machine", &["base", "qapi", "record"]),
    ("conflict", &["base", "machine", "qapi", "record"]),
    ("redirect", &["base", "diag", "machine", "qapi", "record", "sys"]),
    (
        "backend",
        &["base", "diag", "frame", "guest", "machine", "qapi", "record", "scenario", "sys"],
    ),
    ("wording", &["base", "frame", "reading", "record"]),
    ("format", &["base", "frame", "reading", "record", "wording"]),
    ("compare", &["base", "capture", "format", "frame", "reading", "record", "wording"]),
    ("snapshot", &["base", "compare", "diag", "file", "format", "reading", "record"]),
    (
        "runner",
        &[
            "backend", "base", "capture", "compare", "diag", "file", "format", "frame", "reading",
            "record", "scenario", "snapshot", "sys", "wording",
        ],
    ),
    (
        "report",
        &[
            "base", "compare", "diag", "drawing", "file", "format", "frame", "reading", "record",
            "runner", "scenario", "terminal", "wording",
        ],
    ),
    (
        "fuzz",
        &[
            "backend", "base", "compare", "diag", "file", "format", "qapi", "reading", "record",
            "runner", "scenario", "sys",
        ],
    ),
    (
        "cli",
        &[
            "backend", "base", "capture", "compare", "conflict", "diag", "drawing", "file",
            "format", "frame", "fuzz", "import", "machine", "qapi", "reading", "record",
            "redirect", "report", "runner", "scenario", "snapshot", "sys", "terminal", "wording",
        ],
    ),
];

/// Parts without I/O, clock and randomness.
const PURE: &[&str] = &[
    "base", "conflict", "drawing", "format", "frame", "guest", "import", "machine", "qapi",
    "record", "wording",
];

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

/// A folder of `src` whose parts stand on floors: its files and folders, from the lowest up, and what
/// each may import of the others.
struct Room {
    /// The folder's modules below `crate`; none is the crate itself.
    path: &'static [&'static str],
    may_import: &'static [(&'static str, &'static [&'static str])],
    /// Imports that lead up all the same, and why.
    exceptions: &'static [Exception],
    /// Whether tests keep to the floors too. Those of a low part may use the whole room.
    with_tests: bool,
}

struct Exception {
    from: &'static str,
    to: &'static str,
    why: &'static str,
}

const ROOMS: &[Room] = &[
    Room { path: &[], may_import: MAY_IMPORT, exceptions: &[], with_tests: true },
    Room { path: &["machine"], may_import: MACHINE, exceptions: &[], with_tests: false },
    Room { path: &["format"], may_import: FORMAT, exceptions: &[], with_tests: false },
    Room { path: &["compare"], may_import: COMPARE, exceptions: &[], with_tests: false },
    Room { path: &["backend"], may_import: BACKEND, exceptions: &[], with_tests: false },
    Room { path: &["backend", "builtin"], may_import: BUILTIN, exceptions: &[], with_tests: false },
    Room { path: &["backend", "netns"], may_import: NETNS, exceptions: &[], with_tests: false },
    Room { path: &["backend", "sim"], may_import: SIM, exceptions: &[], with_tests: false },
    Room { path: &["backend", "qemu"], may_import: QEMU, exceptions: &[], with_tests: false },
    Room { path: &["reading"], may_import: READING, exceptions: &[], with_tests: false },
    Room { path: &["snapshot"], may_import: SNAPSHOT, exceptions: &[], with_tests: false },
    Room {
        path: &["runner"],
        may_import: RUNNER,
        exceptions: RUNNER_EXCEPTIONS,
        with_tests: false,
    },
    Room { path: &["report"], may_import: REPORT, exceptions: &[], with_tests: false },
    Room { path: &["redirect"], may_import: REDIRECT, exceptions: &[], with_tests: false },
    Room { path: &["scenario"], may_import: SCENARIO, exceptions: &[], with_tests: false },
];

/// The floors of the machine: what it says, what it knows of bytes and properties, its tables, what a
/// part is; then, beside each other, the net layer that calls parts and the parts themselves, which
/// do not see each other; the commands, and the main loop.
const MACHINE: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("error", &[]),
    ("clock", &[]),
    ("framing", &[]),
    ("colo", &[]),
    ("core", &["api", "clock", "framing"]),
    ("property", &["core", "error"]),
    ("chardev", &["api", "core", "error", "framing"]),
    ("part", &["api", "chardev", "core", "framing"]),
    ("net", &["api", "core", "error", "framing", "part", "property"]),
    ("filter", &["api", "clock", "colo", "core", "error", "framing", "part"]),
    ("compare", &["api", "chardev", "clock", "colo", "core", "error", "framing", "part"]),
    (
        "command",
        &["api", "chardev", "compare", "core", "error", "filter", "net", "part", "property"],
    ),
    ("alone", &["command", "filter"]),
    ("argument", &["command"]),
    ("config", &["api", "core", "net"]),
    ("drive", &["api", "config", "core", "net", "part"]),
];

/// The floors of the format: pieces of lines, then sections and tables, then what writes and what reads
/// them back.
const FORMAT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("token", &[]),
    ("title", &[]),
    ("repeat", &[]),
    ("line", &["error", "token"]),
    ("arrived", &["error"]),
    ("section", &["error", "token"]),
    ("table", &["error", "token"]),
    ("write", &["line", "repeat", "title", "token"]),
    ("parse", &["arrived", "error", "line", "repeat", "title", "token", "write"]),
    ("fixture", &["title", "write"]),
    ("tests", &["fixture", "parse", "write"]),
];

/// The floors of the comparison: what it says, what it finds, its passes, and the comparison that
/// carries them out; beside the passes, what words and lays out a mismatch.
const COMPARE: &[(&str, &[&str])] = &[
    ("frame_pair", &[]),
    ("mismatch", &["frame_pair"]),
    ("found", &["frame_pair", "mismatch"]),
    ("align", &[]),
    ("reorder", &["align"]),
    ("fields", &["align", "mismatch"]),
    ("trace", &["mismatch"]),
    ("number", &["mismatch"]),
    ("framing_fault", &["found", "mismatch"]),
    ("port", &["align", "fields", "found", "framing_fault", "mismatch", "reorder", "trace"]),
    ("capture_digest", &["fields", "frame_pair", "mismatch"]),
    ("captures", &["align", "fields", "frame_pair", "mismatch", "reorder"]),
    ("explanation", &["frame_pair", "mismatch"]),
    ("misplaced", &["mismatch", "trace"]),
    ("probe", &["frame_pair", "mismatch"]),
    (
        "comparison",
        &[
            "align",
            "capture_digest",
            "explanation",
            "fields",
            "found",
            "frame_pair",
            "misplaced",
            "mismatch",
            "number",
            "port",
            "probe",
        ],
    ),
    ("wording", &["mismatch"]),
    ("render", &["mismatch", "wording"]),
    ("hexdump", &["mismatch", "render"]),
    ("tests", &["comparison", "hexdump", "mismatch", "render"]),
];

/// The floors of the backends: what a backend is, what the built-in world needs, then the three that open one.
const BACKEND: &[(&str, &[&str])] = &[
    ("deadline", &[]),
    ("lower", &[]),
    ("title", &[]),
    ("api", &["deadline"]),
    ("builtin", &["api", "deadline", "lower", "title"]),
    ("netns", &["api", "builtin", "deadline"]),
    ("sim", &["api", "builtin", "deadline", "lower"]),
    ("qemu", &["api", "builtin", "deadline", "lower", "netns", "title"]),
];

/// The floors of the built-in world: what a carrier is and how frames are found again, then the world.
const BUILTIN: &[(&str, &[&str])] = &[
    ("carrier", &[]),
    ("dice", &[]),
    ("ethernet", &[]),
    ("file", &[]),
    ("flight", &[]),
    ("process", &[]),
    ("socket", &[]),
    ("storm", &[]),
    ("far_end", &["socket"]),
    ("impair", &["dice"]),
    ("traffic", &["impair"]),
    ("world", &["carrier", "far_end", "file", "flight", "process", "socket", "storm", "traffic"]),
];

/// The floors of the real interfaces: addresses and the kernel's answers, what proves a namespace fresh, the topology
/// that is built, the worlds that are kept, and the carrier.
const NETNS: &[(&str, &[&str])] = &[
    ("cidr", &[]),
    ("expected", &[]),
    ("explanation", &[]),
    ("served", &[]),
    ("reason", &["served"]),
    ("fingerprint", &[]),
    ("network", &["cidr"]),
    ("namespace", &["fingerprint", "network"]),
    ("topology", &["cidr", "expected", "fingerprint", "namespace", "network"]),
    ("probe", &["network", "topology"]),
    ("source", &["served", "topology"]),
    ("worlds", &["fingerprint", "source", "topology"]),
    ("carrier", &["reason", "source", "topology", "worlds"]),
    ("backend", &["carrier", "probe", "topology", "worlds"]),
];

/// The floors of the modelled kernel: super-frames and offloads, queues and bridges, the fabric, and the carrier.
const SIM: &[(&str, &[&str])] = &[
    ("bridge", &[]),
    ("segment", &[]),
    ("tap", &[]),
    ("offload", &["segment"]),
    ("fabric", &["bridge", "offload", "tap"]),
    ("carrier", &["bridge", "fabric", "tap"]),
];

/// The floors of a real QEMU: processes and their streams, what it is and may be asked, then its world.
const QEMU: &[(&str, &[&str])] = &[
    ("file", &[]),
    ("program", &[]),
    ("stream", &[]),
    ("patch", &[]),
    ("version", &[]),
    ("admission", &["version"]),
    ("chardev", &["stream"]),
    ("command", &["version"]),
    ("qmp", &["stream"]),
    ("process", &["program", "qmp"]),
    ("quiescence", &["process"]),
    ("machine", &["chardev", "process", "qmp", "quiescence", "stream"]),
    (
        "world",
        &[
            "admission",
            "chardev",
            "command",
            "file",
            "machine",
            "process",
            "program",
            "quiescence",
            "stream",
            "version",
        ],
    ),
    ("probe", &["patch", "process", "program", "quiescence", "version", "world"]),
    ("fit", &["command", "probe"]),
    ("backend", &["admission", "fit", "probe", "program", "world"]),
];

/// The floors of the reading.
const READING: &[(&str, &[&str])] = &[
    ("framing", &[]),
    ("label", &[]),
    ("tests", &[]),
    ("reader", &["framing"]),
    ("way", &["label"]),
];

/// The floors of the store.
const SNAPSHOT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("tests", &[]),
    ("file", &["error"]),
    ("store", &["error", "file"]),
    ("pending", &["error", "file", "store"]),
    ("run", &["error", "file", "store"]),
];

/// The floors of the runner: results and their totals, one case, its comparison, then the whole run.
const RUNNER: &[(&str, &[&str])] = &[
    ("account", &[]),
    ("error", &[]),
    ("outcome", &[]),
    ("pcapng", &[]),
    ("threads", &[]),
    ("pool", &["threads"]),
    ("select", &[]),
    ("title", &[]),
    ("totals", &[]),
    ("capture", &["error"]),
    ("expect", &["outcome"]),
    ("problem", &["outcome"]),
    ("suite", &["error"]),
    ("event", &["problem", "totals"]),
    ("exec", &["account", "expect", "outcome", "title"]),
    ("failing", &["event", "problem"]),
    ("judge", &["event", "outcome", "problem"]),
    ("planned", &[]),
    ("cases", &["planned", "suite"]),
    ("plan", &["cases", "exec", "planned", "select"]),
    ("archive", &["capture", "error", "judge", "outcome", "pcapng", "planned"]),
    ("fixture", &["outcome", "planned"]),
    ("pause", &["account", "archive", "capture", "error", "event", "judge", "outcome", "planned"]),
    ("attempt", &["exec", "outcome", "pause"]),
    ("front", &["attempt", "outcome", "pool"]),
    ("tally", &["attempt", "event", "failing", "judge", "outcome", "planned", "problem"]),
    ("dry_run", &["attempt", "front", "pool"]),
    (
        "run",
        &[
            "archive", "attempt", "event", "front", "judge", "pause", "plan", "planned", "pool",
            "tally", "totals",
        ],
    ),
];

const RUNNER_EXCEPTIONS: &[Exception] = &[
    Exception {
        from: "plan",
        to: "attempt",
        why: "a plan holds the lanes on which its cases are attempted",
    },
    Exception { from: "plan", to: "pause", why: "a plan holds what a failed case is held with" },
    Exception {
        from: "totals",
        to: "event",
        why: "totals count results, and the last event carries the totals",
    },
];

/// The floors of the reports: paint and words, the record, then a file for each report.
const REPORT: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("paint", &[]),
    ("progress", &[]),
    ("timeline", &[]),
    ("why", &[]),
    ("record", &["timeline", "why"]),
    ("agreement", &["record"]),
    ("failure", &["record", "why"]),
    ("fixture", &["record"]),
    ("json", &["record"]),
    ("otherwise", &["record"]),
    ("human", &["clock", "failure", "otherwise", "paint", "record"]),
    ("schema", &["json", "record"]),
    ("github", &["failure", "human", "record"]),
    ("html", &["failure", "human", "record", "timeline", "why"]),
    ("junit", &["failure", "human", "record"]),
    ("markdown", &["failure", "human", "record"]),
    ("tap", &["failure", "record"]),
    ("kind", &["html", "junit", "markdown", "record", "tap"]),
    ("at_end", &["kind", "record"]),
    ("file", &["kind", "record"]),
];

/// The floors of the redirector: what is asked for and counted, the two ends, and the loop.
const REDIRECT: &[(&str, &[&str])] = &[
    ("counter", &[]),
    ("error", &[]),
    ("held", &[]),
    ("watch", &[]),
    ("address", &["error"]),
    ("config", &["address", "error"]),
    ("link", &["address", "error"]),
    ("metrics", &["link"]),
    ("mirred", &[]),
    ("notice", &["counter", "watch"]),
    ("signal", &["error"]),
    ("receive", &["counter", "held"]),
    ("capture", &["config", "counter", "error", "held", "watch"]),
    ("outlet", &["capture", "config", "counter", "error", "held", "link", "watch"]),
    (
        "engine",
        &[
            "capture", "config", "counter", "error", "held", "link", "metrics", "notice", "outlet",
            "receive", "signal", "watch",
        ],
    ),
    (
        "offload",
        &[
            "capture", "config", "counter", "error", "metrics", "mirred", "notice", "signal",
            "watch",
        ],
    ),
];

/// The floors of the language: the tree, faults, keys and values, then what reads them.
const SCENARIO: &[(&str, &[&str])] = &[
    ("address", &[]),
    ("budget", &[]),
    ("impairment", &[]),
    ("key", &[]),
    ("node", &[]),
    ("stack", &[]),
    ("tests", &[]),
    ("write", &[]),
    ("case", &["address", "impairment", "stack"]),
    ("remark", &["case"]),
    ("run_state", &["case"]),
    ("fault", &["budget", "key"]),
    ("schema", &["key"]),
    ("suggest", &["node"]),
    ("context", &["budget", "fault", "node"]),
    ("matrix", &["budget", "context", "fault", "node", "suggest"]),
    ("value", &["context", "fault", "node", "suggest"]),
    ("yaml", &["context", "fault", "node"]),
    ("fields", &["context", "fault", "key", "node", "suggest", "value"]),
    ("tree", &["context", "matrix", "yaml"]),
    (
        "lower",
        &[
            "address",
            "budget",
            "case",
            "context",
            "fault",
            "fields",
            "impairment",
            "key",
            "matrix",
            "node",
            "stack",
            "suggest",
            "value",
        ],
    ),
    ("load", &["case", "context", "fault", "lower", "matrix", "node", "yaml"]),
];

impl Room {
    fn folder(&self) -> PathBuf {
        self.path.iter().collect()
    }

    /// The part of the room that a file of `src` belongs to; none for what is outside of the room,
    /// and for the file that says which parts there are.
    fn part_of(&self, relative: &Path) -> Option<String> {
        let inside = relative.strip_prefix(self.folder()).ok()?;
        let first = inside.components().next()?.as_os_str().to_string_lossy().into_owned();
        let name = first.strip_suffix(".rs").unwrap_or(&first);
        (!["mod", "lib", "main"].contains(&name)).then(|| name.to_owned())
    }

    /// What the room's own file shows under another name than its part's: `pub use part::Name`.
    fn shown(&self, text: &str) -> BTreeMap<String, String> {
        let uses = code_lines(text).into_iter().filter(|(_, code)| is_use(code));
        let trees = uses.flat_map(|(_, code)| {
            let tree = code.split_once("use ").map(|(_, tree)| tree.to_owned());
            tree.map(|tree| leaves(&tree)).unwrap_or_default()
        });
        let shown = trees.filter_map(|path| Some((path.last()?.clone(), path.first()?.clone())));
        shown.filter(|(_, part)| self.knows(part)).collect()
    }

    fn knows(&self, part: &str) -> bool {
        self.may_import.iter().any(|(name, _)| *name == part)
    }

    fn may_import(&self, part: &str, imported: &str) -> bool {
        let excepted = |exception: &Exception| exception.from == part && exception.to == imported;
        part == imported
            || self.may_import.iter().any(|(name, all)| *name == part && all.contains(&imported))
            || self.exceptions.iter().any(excepted)
    }

    /// The lines of a file that import what its part may not know. `shown` is what the room's own file
    /// shows.
    fn violations(
        &self,
        relative: &Path,
        text: &str,
        shown: &BTreeMap<String, String>,
    ) -> Vec<(usize, String)> {
        let Some(part) = self.part_of(relative) else {
            return Vec::new();
        };
        if !self.knows(&part) {
            return vec![(1, format!("`{part}` is not in the table of {}", self.name()))];
        }
        let text = if self.with_tests { text } else { untested(relative, text) };
        let module = module_of(relative);
        let mut found = Vec::new();
        for (line, code) in code_lines(text) {
            let mut imported: Vec<String> =
                paths(&code, &module).iter().filter_map(|path| self.target(path, shown)).collect();
            imported.dedup();
            imported.retain(|imported| !self.may_import(&part, imported));
            found.extend(
                imported
                    .into_iter()
                    .map(|imported| (line, format!("`{part}` may not import `{imported}`"))),
            );
        }
        found
    }

    /// The part of the room that a path from the crate leads to.
    fn target(&self, path: &[String], shown: &BTreeMap<String, String>) -> Option<String> {
        let inside = path.strip_prefix(
            &self.path.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()[..],
        )?;
        let name = inside.first()?;
        if self.knows(name) { Some(name.clone()) } else { shown.get(name).cloned() }
    }

    fn name(&self) -> String {
        if self.path.is_empty() { "parts".to_owned() } else { self.path.join("::") }
    }
}

/// Checks every import under `src/` against the tables.
pub(crate) fn run() -> Result<(), ChoreError> {
    let src = root().join("src");
    let mut files = Vec::new();
    collect(&src, &mut files)?;
    let names = words::names();
    let read = |file: &Path| {
        fs::read_to_string(file)
            .map_err(|source| ChoreError::Unreadable { path: file.to_owned(), source })
    };
    let mut wrong = 0;
    let mut report = |relative: &Path, line: usize, message: &str| {
        wrong += 1;
        anstream::eprintln!("src/{}:{line}: {message}", relative.display());
    };
    for file in &files {
        let relative = file.strip_prefix(&src).unwrap_or(file);
        let Some(part) = ROOMS[0].part_of(relative) else {
            continue;
        };
        let text = read(file)?;
        let is_writer = WRITERS.iter().any(|writer| relative == Path::new(writer));
        let unfenced = if is_writer { Vec::new() } else { unfenced(&text) };
        let lines = code_lines(untested(relative, &text));
        let words = words::outside(relative, &lines, &names);
        for (line, message) in impure(&part, &text).into_iter().chain(unfenced).chain(words) {
            report(relative, line, &message);
        }
    }
    for room in ROOMS {
        let own =
            src.join(room.folder()).join(if room.path.is_empty() { "lib.rs" } else { "mod.rs" });
        let shown = room.shown(&read(&own)?);
        for file in &files {
            let relative = file.strip_prefix(&src).unwrap_or(file);
            for (line, message) in room.violations(relative, &read(file)?, &shown) {
                report(relative, line, &message);
            }
        }
    }
    if wrong > 0 {
        return Err(ChoreError::Arch(wrong));
    }
    let rooms: Vec<String> = ROOMS[1..].iter().map(Room::name).collect();
    anstream::eprintln!(
        "xtask: arch: {} files import only downwards, inside {} too",
        files.len(),
        rooms.join(", ")
    );
    for room in ROOMS {
        for Exception { from, to, why } in room.exceptions {
            anstream::eprintln!("xtask: arch: but `{from}` imports `{to}`: {why}");
        }
    }
    Ok(())
}

/// A file's text without its tests.
fn untested<'t>(relative: &Path, text: &'t str) -> &'t str {
    if is_test(relative) {
        return "";
    }
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

/// Whether a file holds nothing but tests.
fn is_test(relative: &Path) -> bool {
    let mut names = relative.components().map(|name| name.as_os_str().to_string_lossy());
    names.any(|name| name == "tests" || name == "tests.rs")
}

/// The modules that a file of `src` is, from the crate down.
fn module_of(relative: &Path) -> Vec<String> {
    let path = relative.with_extension("");
    let mut names: Vec<String> =
        path.components().map(|name| name.as_os_str().to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        names.pop();
    }
    names
}

/// The lines of a part that say what it may not.
fn impure(part: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, code) in code_lines(text) {
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
    let trees = code.match_indices(root).flat_map(|(at, _)| leaves(&code[at + root.len()..]));
    trees.filter_map(|path| path.into_iter().next()).collect()
}

/// Every path in code that begins at the crate or at a module around it, from the crate down. `module`
/// is where the code stands.
fn paths(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for keyword in ["crate", "super", "self"] {
        for (at, _) in code.match_indices(&format!("{keyword}::")) {
            let before = &code[..at];
            let continues = before.ends_with("::")
                || before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if continues {
                continue;
            }
            let relative = leaves(&code[at..]);
            found.extend(relative.into_iter().map(|path| resolve(path, module)));
        }
    }
    found
}

/// A path from the crate down.
fn resolve(path: Vec<String>, module: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut names = path.into_iter().peekable();
    while let Some(name) = names.peek() {
        match name.as_str() {
            "crate" => base.clear(),
            "super" => {
                base.pop();
            }
            "self" => {}
            _ => break,
        }
        names.next();
    }
    base.extend(names);
    base
}

/// The paths of a tree such as `a::{b, c::{d, e}}`, up to what does not belong to it.
fn leaves(tree: &str) -> Vec<Vec<String>> {
    let mut rest = tree.trim_start();
    let mut path = Vec::new();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let inside = elements(group).into_iter().flat_map(leaves);
            return inside.map(|tail| [path.clone(), tail].concat()).collect();
        }
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            break;
        }
        rest = &rest[name.len()..];
        path.push(name);
        match rest.strip_prefix("::") {
            Some(below) => rest = below,
            None => break,
        }
    }
    if path.is_empty() { Vec::new() } else { vec![path] }
}

/// The elements of a braced group whose opening brace has been read, nested groups whole.
fn elements(group: &str) -> Vec<&str> {
    let mut elements = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                elements.push(&group[from..at]);
                return elements;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                elements.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    elements
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), ChoreError> {
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

    fn violations(room: &Room, file: &str, text: &str) -> Vec<(usize, String)> {
        let shown = room.shown("pub use api::{Input, Output};\npub use drive::Machine;");
        room.violations(Path::new(file), text, &shown)
    }

    #[test]
    fn an_upward_import_is_found_in_every_form() {
        for text in [
            "use crate::runner::exec;",
            "use crate::{\n    base::Tag,\n    runner::exec,\n};",
            "fn f() { crate::runner::exec(); }",
            "pub(super) use crate::{\n    base::Tag,\n    runner::exec,\n};",
            "use super::super::runner::exec;",
            "use super::super::{base::Tag, runner::{exec, plan}};",
        ] {
            let found = violations(&ROOMS[0], "machine/core.rs", text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].1.contains("`machine` may not import `runner`"));
        }
    }

    #[test]
    fn downward_imports_and_comments_pass() {
        let text = "use crate::{base::{Tag, Frame}, record::Event};\n// crate::runner is above\n";
        assert!(violations(&ROOMS[0], "machine/core.rs", text).is_empty());
    }

    #[test]
    fn an_arrow_that_is_turned_round_inside_a_room_is_found_in_every_form() {
        let above = "`core` may not import `net`";
        for (file, text) in [
            ("machine/core/mod.rs", "use super::net::Net;"),
            ("machine/core/mod.rs", "use super::{Output, net::{Net}};"),
            ("machine/core/client.rs", "use super::super::net::Net;"),
            ("machine/core/client.rs", "use crate::machine::net::Net;"),
            ("machine/core/client.rs", "use crate::{base::Tag, machine::{Output, net::Net}};"),
            ("machine/core/client.rs", "fn f(net: &crate::machine::net::Net) {}"),
        ] {
            let found = violations(&ROOMS[1], file, text);
            assert_eq!(found, [(1, above.to_owned())], "{text}");
        }
    }

    #[test]
    fn what_the_rooms_own_file_shows_counts_as_its_parts() {
        let text = "use super::{Machine, Output};";
        let found = violations(&ROOMS[1], "machine/error.rs", text);
        let messages: Vec<&str> = found.iter().map(|(_, message)| message.as_str()).collect();
        let expected = ["`error` may not import `drive`", "`error` may not import `api`"];
        assert_eq!(messages, expected);
    }

    #[test]
    fn imports_within_a_part_and_those_of_tests_pass() {
        for (file, text) in [
            ("machine/net/chain.rs", "use super::Net;"),
            ("machine/net/chain.rs", "use super::queue::Delivery;"),
            ("machine/core/mod.rs", "pub(super) use client::Client;"),
            ("machine/core/mod.rs", "\n#[cfg(test)]\nmod tests {\n use crate::machine::net::Net;"),
            ("machine/core/tests.rs", "use crate::machine::net::Net;"),
            ("machine/mod.rs", "use net::Net;"),
        ] {
            assert_eq!(violations(&ROOMS[1], file, text), [], "{text}");
        }
    }

    #[test]
    fn a_part_that_no_table_knows_is_found() {
        let found = violations(&ROOMS[1], "machine/extra.rs", "");
        assert_eq!(found, [(1, "`extra` is not in the table of machine".to_owned())]);
    }

    #[test]
    fn an_exception_holds_in_its_own_direction() {
        let exceptions = &[Exception { from: "core", to: "net", why: "a test" }];
        let room = Room {
            exceptions,
            ..Room { path: &["machine"], may_import: MACHINE, exceptions: &[], with_tests: false }
        };
        assert_eq!(violations(&room, "machine/core/mod.rs", "use super::net::Net;"), []);
        assert_eq!(violations(&room, "machine/core/mod.rs", "use super::part::Part;").len(), 1);
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
                assert_eq!(impure(part, text).len(), 1, "{part}: {text}");
            }
            assert!(impure("sys", text).is_empty(), "{text}");
        }
        assert!(impure("machine", "use std::{collections::BTreeMap, fmt};").is_empty());
        assert_eq!(impure("frame", "unsafe { go() }").len(), 1);
        assert!(impure("sys", "unsafe { go() }").is_empty());
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
    fn the_tables_only_point_down() {
        for room in ROOMS {
            for (at, (part, allowed)) in room.may_import.iter().enumerate() {
                for imported in *allowed {
                    let below = room.may_import[..at].iter().any(|(name, _)| name == imported);
                    assert!(below, "{}: {part} imports {imported}", room.name());
                }
            }
        }
    }
}
