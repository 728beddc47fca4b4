//! What people paste, to a scenario, and back: text to command lines and monitor commands, these to
//! options, these to a tree. Pure: files are read and objects are tried by who calls.
//!
//! - `paste`: the pieces of a text: command lines, configuration, QMP, HMP, and what is none of it.
//! - `recording`, `chat`, `decode`, `mail`, `column`: what terminals, chats, mail and web pages do to characters
//!   and lines.
//! - `held`: notebooks, exports of chats and threads, XML and tables of cells, as the texts that they hold.
//! - `block`: fences, paragraphs, compound commands and here-documents.
//! - `line`: which lines are a shell's, and where one goes on.
//! - `part`: headings, and the machine that each is about.
//! - `spoken`: at which machine a sentence says that something is done.
//! - `shell`: commands of shells, parsed by rable and expanded, and what they write to monitors, which `paste/talk`
//!   takes; `openness`: whether one goes on.
//! - `make`: Makefiles, units, Dockerfiles and batch files, as a shell's text.
//! - `program`: programs that compute a command line and talk to monitors, followed statement by statement;
//!   `code`: the strings of those that are not understood so.
//! - `data`: lists and texts in YAML and JSON, with what templates are filled with; `hcl`: Terraform's variables.
//! - `proxmox`: configurations of Proxmox, as command lines.
//! - `setting`: `name = value` lines that hold options.
//! - `title`: lines that name the file whose text follows.
//! - `table`: tables with a column for each machine; `trace`: what strace says of a start.
//! - `choice`: of several readings of a text, the one that loses least.
//! - `audit`: the options that stand in a text, so that none is lost; `salvage`: command lines of them, where
//!   no form is understood.
//! - `command`: monitor commands wherever they stand, so that none is lost.
//! - `config`, `libvirt` (over `xml`), `qmp`, `hmp`: the other forms that QEMU's options and commands are written in.
//! - `option`: QEMU's option strings and JSON, letter for letter.
//! - `flag`: the names of QEMU's own options.
//! - `machine`: options to netdevs, chardevs and objects; `netdev`, `nic`, `chardev` and `object`
//!   know what the language has of each.
//! - `standin`: a value for each variable of which the text says nothing.
//! - `step`: monitor commands to steps.
//! - `export`: the way back, from a tree to command lines and QMP.
//! - `draft`: the scenario that is made, with remarks about it as comments.
//! - `limit`: how much a paste may be, and what it may grow to.

mod audit;
mod block;
mod chardev;
mod chat;
mod choice;
mod code;
mod column;
mod command;
mod config;
mod data;
mod decode;
mod draft;
mod export;
mod flag;
mod hcl;
mod held;
mod hmp;
mod libvirt;
mod limit;
mod line;
mod machine;
mod mail;
mod make;
mod netdev;
mod nic;
mod object;
mod openness;
mod part;
mod paste;
mod program;
mod proxmox;
mod qmp;
mod recording;
mod salvage;
mod setting;
mod shell;
mod spoken;
mod standin;
mod step;
mod table;
mod title;
mod trace;
mod xml;

pub use draft::{Draft, Traffic};
pub use export::export;
pub use limit::{MAX_BYTES, PasteError};

/// The scenario of pasted text. None where there is nothing of QEMU's in it.
///
/// # Errors
/// When it is too large, or grows too large: shell variables are written out.
///
/// # Examples
/// ```
/// let draft = tapwright::import::paste(
///     "> qemu-system-x86_64 -netdev tap,id=hn0 -chardev socket,id=out0,path=/tmp/out0,server,nowait\n\
///      > -object filter-redirector,id=f0,netdev=hn0,queue=rx,outdev=out0\n\
///      > and nothing arrives.\n",
/// );
/// let draft = draft.expect("it is short").expect("it has a command line");
/// let text = draft.text();
/// assert!(text.contains("filter-redirector,id=f0,netdev=hn0,queue=rx,outdev=out0"), "{text}");
/// assert_eq!(tapwright::import::paste("Good morning.").map(|draft| draft.is_none()), Ok(true));
/// ```
pub fn paste(text: &str) -> Result<Option<Draft>, PasteError> {
    let draft = Draft::new(paste::read(text)?)?;
    draft.map_or_else(|| Draft::new(paste::options_alone(text)?), |draft| Ok(Some(draft)))
}

/// The scenario of one command line whose words a shell has already made.
///
/// # Errors
/// As for [`paste`].
pub fn words(words: &[String]) -> Result<Option<Draft>, PasteError> {
    Draft::new(paste::of_words(words)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of pastes, in any order and number.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "qemu-system-x86_64 ",
            "-netdev ",
            "tap,id=a.b",
            "id=",
            ",",
            "=",
            "\\\n",
            "\n",
            "> ",
            " ",
            "'",
            "\"",
            "$",
            "${",
            "}",
            "(",
            ")",
            "A=(",
            "-object ",
            "filter-dump,id=d,netdev=a.b,file=/x",
            "-chardev ",
            "socket,id=c,fd=3",
            "{\"execute\": ",
            "\"stop\"}",
            "(qemu) ",
            "object_add x",
            "Error: no",
            "[netdev \"n\"]",
            "type = \"tap\"",
            "<qemu:arg value='",
            "'/>",
            "#",
            ";",
            "|",
            "-net nic",
            " -net tap ",
            "-nic user ",
            "-name p ",
            "^\n",
            "é",
            "if ",
            "; then\n",
            "else\n",
            "fi\n",
            "for i in a b; do ",
            "done\n",
            "case $1 in primary) ",
            ";; esac\n",
            "f() {\n",
            "}\n",
            "$(f",
            ")",
            "`",
            "<<E\n",
            "E\n",
            "Primary:\n",
            "## Failover\n",
            "```\n",
            "[",
            "]",
            "\"-netdev\", ",
            "'tap,id=b' + ",
            "\"\"\"",
            "{{ x }}",
            "- ",
            "key: ",
            "\t",
            "=3D",
            "&lt;",
            "<pre>",
            "\0",
            "%s",
            "f\"{x}",
            "cmd += ",
            ".append(",
            "@@ ",
            "| ",
            "ExecStart=",
            "CMD [",
            "set A=b\n",
            "ifeq (a,b)\n",
            "endif\n",
            "V := ",
            "$(V)",
            "run:\n",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_paste_is_read(text in text()) {
            if let Ok(Some(draft)) = paste(&text) {
                let tree = draft.tree();
                let path = "a.yaml".into();
                let source = crate::diag::Source { path, text: draft.text() };
                // Comments change nothing in the scenario.
                let read = crate::scenario::tree::read(&std::sync::Arc::new(source));
                prop_assert_eq!(read.ok(), Some(tree), "{}", draft.text());
            }
        }
    }
}
