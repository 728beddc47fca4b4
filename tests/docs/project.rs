use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use tapwright::{diag::Source, scenario::tree};
use tempfile::TempDir;

use super::{
    block::{self, Block},
    compare, root,
};

/// What was made of a block.
pub(crate) enum Done {
    /// It was tried.
    Run,
    /// Nothing, for this reason.
    Shown(String),
}

/// Keys without which a scenario declares nothing and does nothing.
const CONTENT: &[&str] =
    &["netdevs", "chardevs", "objects", "links", "bridges", "steps", "machines"];

/// The folder that a document's blocks are run in, the root of its scenarios. It has the
/// repository's fixtures, and of its suite what the commands name.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    pub(crate) fn new(blocks: &[Block]) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        for name in ["tapwright.toml", "fixtures"] {
            // A copy: a link would lead out of the folder.
            copy(&root().join(name), &folder.path().join(name))
                .map_err(|error| format!("{name}: {error}"))?;
        }
        let commands = blocks.iter().filter(|block| block.language == "console");
        let words = commands.flat_map(|block| block.text.split_whitespace());
        for word in words.filter(|word| word.starts_with("scenarios/")) {
            let from = root().join(word);
            if from.exists() {
                copy(&from, &folder.path().join(word)).map_err(|e| format!("{word}: {e}"))?;
            }
        }
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Result<String, String> {
        fs::read_to_string(self.path(name)).map_err(|error| format!("{name}: {error}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| format!("{name}: {error}"))
    }

    /// Whether what a block needs is here: `tap`, or a program.
    pub(crate) fn has(&self, what: &str) -> bool {
        if what != "tap" {
            return self.shell(&format!("command -v {what}")).status.success();
        }
        let place = tempfile::tempdir().expect("a folder");
        let text = "description: A TAP.\nnetdevs: {hn0: {}}\nsteps: [{note: nothing}]\n";
        fs::write(place.path().join("a.yaml"), text).expect("a scenario");
        let run = Command::new(env!("CARGO_BIN_EXE_tapwright"))
            .arg("run")
            .current_dir(place.path())
            .output();
        run.is_ok_and(|output| output.status.code() != Some(3))
    }

    fn shell(&self, command: &str) -> Output {
        let folder = Path::new(env!("CARGO_BIN_EXE_tapwright"));
        let folder = folder.parent().unwrap_or(folder).display();
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("sh")
            .arg("-c")
            .arg(format!("exec 2>&1\n{command}"))
            .current_dir(self.folder.path())
            .env("PATH", format!("{folder}:{path}"))
            .env("NO_COLOR", "1")
            .env_remove("CI")
            .env_remove("GITHUB_ACTIONS")
            .output()
            .expect("a shell")
    }

    /// Runs the commands, and compares what each prints.
    pub(crate) fn console(&self, block: &Block) -> Result<Done, String> {
        for (command, shown) in block::commands(&block.text)? {
            let output = self.shell(&command);
            let found = String::from_utf8_lossy(&output.stdout);
            compare::same(&shown, &found).map_err(|fault| format!("$ {command}: {fault}"))?;
        }
        Ok(Done::Run)
    }

    /// Checks a scenario, or a part of one, and runs what is whole in memory.
    pub(crate) fn scenario(&self, block: &Block) -> Result<Done, String> {
        let name = match block.value("file") {
            Some(name) => name.to_owned(),
            None => format!("block-{}.yaml", block.line),
        };
        let (text, is_whole) = completed(&block.text)?;
        self.write(&name, &text)?;
        let checked = self.shell(&format!("tapwright check {name}"));
        let done = if block.is("refused") {
            expect(&checked, &[2])
        } else if is_whole {
            // 3: only a host's stack could answer. 5: nobody has reviewed it.
            let codes: &[i32] = if block.is("fails") { &[1] } else { &[0, 3, 5] };
            expect(&checked, &[0]).and_then(|()| {
                expect(&self.shell(&format!("tapwright run --backend sim {name}")), codes)
            })
        } else {
            expect(&checked, &[0])
        };
        let pending = Path::new(&name).with_extension("snap.new");
        // It is there only where the run proposed one.
        drop(fs::remove_file(self.folder.path().join(pending)));
        if block.value("file").is_none() {
            fs::remove_file(self.path(&name)).map_err(|error| error.to_string())?;
        }
        done.map(|()| Done::Run)
    }
}

/// The text with what a part of a scenario leaves out, and whether it was whole.
fn completed(text: &str) -> Result<(String, bool), String> {
    let source = Source { path: "block.yaml".into(), text: text.to_owned() };
    // What is no YAML is refused by the check.
    let Ok(tree) = tree::read(&Arc::new(source)) else {
        return Ok((text.to_owned(), true));
    };
    let keys = tree.as_object().ok_or("a scenario is a map")?;
    if keys.contains_key("description") {
        return Ok((text.to_owned(), true));
    }
    let mut text = format!("description: A part of a scenario.\n{text}");
    if !CONTENT.iter().any(|key| keys.contains_key(*key)) {
        text += "steps:\n  - note: nothing\n";
    }
    Ok((text, false))
}

fn expect(output: &Output, codes: &[i32]) -> Result<(), String> {
    match output.status.code() {
        Some(code) if codes.contains(&code) => Ok(()),
        code => {
            let text = String::from_utf8_lossy(&output.stdout);
            Err(format!("exit code {code:?}, not {codes:?}\n{text}"))
        }
    }
}

/// Copies a file with its snapshot, or a folder.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_name() != "target" {
                copy(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to)?;
    let snapshot = from.with_extension("snap");
    if from.extension().is_some_and(|extension| extension == "yaml") && snapshot.is_file() {
        fs::copy(&snapshot, to.with_extension("snap"))?;
    }
    Ok(())
}
