//! The pieces of a paste, in their order. `region`: the form of a text and the texts that it holds; `piece`: its lines;
//! `start`: commands of a shell.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::qapi::Options;

use super::{
    audit::{self, Mention},
    block, chat, choice,
    code::Code,
    column, command,
    config::Section,
    decode, flag, held, hmp, libvirt,
    limit::{MAX_BYTES, PasteError},
    line::{on_host, unticked, without_prompt},
    mail, proxmox, qmp, recording, salvage,
    shell::{Shell, Simple},
    title,
};

mod piece;
mod prose;
mod region;
mod start;
mod talk;

pub(super) use prose::is_without;

/// What is of QEMU's.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// The words after the program.
    CommandLine {
        words: Vec<String>,
        /// Options without a program's name are a fragment of a command line.
        whole: bool,
    },
    /// A section of a configuration file.
    Section(Section),
    /// A monitor command that QMP has.
    Command(String, Map<String, Value>),
    /// `object_add`, with its option string.
    ObjectAdd(String),
    /// The refusal of the last monitor command: class and text. HMP has no class.
    Error(Option<String>, String),
    /// What follows is this machine's; none where nothing names it.
    Part(Option<String>),
    /// What follows is one of several ways to go on, by its title.
    Branch(Option<String>),
    /// The command that follows is in the block of this number: nothing but commands and answers stands between those
    /// of one. And whether what stands beside it names its machine.
    Block(usize, bool),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Paste {
    pub(super) pieces: Vec<Piece>,
    /// Lines that are none of QEMU's options or commands.
    pub(super) unread: Vec<String>,
    /// Shell variables that the paste uses and doesn't set: the placeholder's name, and how it is
    /// written.
    pub(super) unset: Vec<(String, String)>,
    /// Which branches were taken, and what stands in the others.
    pub(super) branches: Vec<String>,
    /// What is not understood of the text's own program, and what to do.
    pub(super) remarks: Vec<String>,
    /// The options that stand in the text.
    pub(super) mentions: Vec<Mention>,
    /// Those of them that stand in comments of a program.
    pub(super) commented: Vec<Mention>,
    /// The commands that stand in the text and are no step, each with the reason.
    pub(super) commands: Vec<String>,
    /// The commands that stand in the text and name something.
    pub(super) heard: Vec<command::Mention>,
    /// The lines of scripts that were followed to what they write to monitors: its commands are among the pieces.
    pub(super) followed: BTreeSet<String>,
    /// The options are read as they stand: what is around them is not understood.
    pub(super) is_salvaged: bool,
    /// The text's program was followed, and says which commands it gives, and to whom.
    pub(super) is_followed: bool,
}

impl Paste {
    /// Whether a line is of a script that was followed.
    pub(super) fn has_followed(&self, line: &str) -> bool {
        let line = line.trim();
        !self.followed.is_empty()
            && (self.followed.contains(line) || self.followed.contains(without_prompt(line).trim()))
    }

    /// How many of these options no command line has.
    pub(super) fn lost(&self, options: &[(String, String)]) -> usize {
        options.iter().filter(|option| !self.has(option)).count()
    }

    /// Whether a command line has an option. Its value may say more than the text does at the option's
    /// place, but has no signs behind it that are no value's.
    fn has(&self, (name, value): &(String, String)) -> bool {
        let option = Options::read(value, "type");
        let kind = |options: &Options| options.elements().first().map(|first| first.value.clone());
        let is_it = |read: &str| match read.strip_prefix(value.as_str()) {
            Some(rest) if rest.starts_with("[/") => false,
            Some(rest) => rest.is_empty() || rest.contains(|c: char| c.is_ascii_alphanumeric()),
            None => {
                let read = Options::read(read, "type");
                read.id() == option.id() && (option.id().is_some() || kind(&read) == kind(&option))
            }
        };
        self.pieces.iter().any(|piece| match piece {
            Piece::CommandLine { words, .. } => {
                words.windows(2).any(|pair| flag::name(&pair[0]) == Some(name) && is_it(&pair[1]))
            }
            _ => false,
        })
    }
}

/// The command line whose words these are, or the text that one word is.
pub(super) fn of_words(words: &[String]) -> Result<Paste, PasteError> {
    if let [text] = words {
        return read(text);
    }
    let mut reader = Reader::default();
    let words = words.iter().map(|word| word.replace("${", "$${")).collect();
    reader.take(Simple { words, ..Simple::default() });
    Ok(reader.paste)
}

pub(super) fn read(text: &str) -> Result<Paste, PasteError> {
    if text.len() > MAX_BYTES {
        return Err(PasteError::TooLong { bytes: text.len() });
    }
    if let Some(words) = decode::words(text) {
        return of_words(&words);
    }
    let raw = text;
    let text = unwrapped(raw);
    let configured = proxmox::with_command_lines(&text);
    let (text, remarks) = configured.unwrap_or((text, Vec::new()));
    let mut paste = read_forms(&command::without_sent(&text))?;
    if libvirt::is_domain(&text) {
        return Ok(paste);
    }
    let options = salvage::options(&text);
    let lost = paste.lost(&options);
    // What stands in a branch that was not followed is not lost.
    if lost > 0 && paste.branches.is_empty() {
        let salvaged = read_forms(&salvage::rewrite(&text))?;
        let keeps_all = options.iter().all(|option| salvaged.has(option) || !paste.has(option));
        if salvaged.lost(&options) < lost && keeps_all {
            paste = Paste { is_salvaged: true, ..salvaged };
        }
    }
    if let Some(program) = choice::program(&text, &paste) {
        paste = Paste { followed: std::mem::take(&mut paste.followed), ..program };
    }
    for (name, written) in decode::written_places(raw) {
        if let Some(place) = paste.unset.iter_mut().find(|place| place.0 == name) {
            written.clone_into(&mut place.1);
        }
    }
    paste.remarks.extend(remarks);
    let rest = command::merge(&mut paste, &text);
    paste.mentions = audit::mentions(&rest);
    paste.heard = command::mentions(&text);
    paste.remarks.extend(prose::ends(&text, &paste.pieces));
    Ok(paste)
}

/// A text whose forms say nothing of use: its options alone, as one command line.
pub(super) fn options_alone(text: &str) -> Result<Paste, PasteError> {
    let text = unwrapped(text);
    let mentions = audit::mentions(&text);
    Ok(Paste { is_salvaged: true, mentions, ..read_forms(&salvage::alone(&text))? })
}

/// The text as it was written, without what mail and web pages did to it.
fn unwrapped(text: &str) -> String {
    let played = recording::played(text);
    let text = played.as_deref().unwrap_or(text);
    let held = held::text(text);
    let text = held.as_deref().unwrap_or(text);
    let strings = held::strings(text);
    let text = strings.as_deref().unwrap_or(text);
    let said = chat::said(text);
    let text = decode::decode(said.as_deref().unwrap_or(text));
    let lines: Vec<&str> = text.lines().map(mail::unquote).map(unticked).collect();
    let text = lines.join("\n");
    let text = column::unbroken(&text).unwrap_or(text);
    let text = recording::without_echo(&text).unwrap_or(text);
    let text = mail::rejoined(&text).unwrap_or(text);
    block::fenced(&text).into_owned()
}

/// What the forms that are known find in a text.
fn read_forms(text: &str) -> Result<Paste, PasteError> {
    let of_qemu = text.lines().filter_map(on_host).filter(|(_, line)| is_of_qemu(line));
    let hosts = of_qemu.map(|(host, _)| host.to_owned()).collect();
    let mut reader = Reader { hosts, files: title::files(text), ..Reader::default() };
    reader.text(text);
    reader.rest();
    reader.settle_talks();
    if let Some(excess) = reader.shell.excess {
        return Err(excess);
    }
    let mut paste = reader.paste;
    paste.branches.extend(reader.shell.branches);
    paste.unset = reader.shell.unset;
    Ok(paste)
}

/// Whether a line has options of QEMU's, or a command of its monitors.
fn is_of_qemu(line: &str) -> bool {
    flag::is_qemus(line) || qmp::read(&[line]).is_some() || hmp::read(line).is_some()
}

/// Most texts that stand in one another: a here-document in a script of a pipeline.
const MAX_TEXTS: usize = 6;

/// Reads a text into pieces.
#[derive(Default)]
struct Reader {
    paste: Paste,
    shell: Shell,
    code: Code,
    depth: usize,
    /// What command lines call their machines: `-name`.
    names: Vec<String>,
    /// The sockets of their monitors, and the machine of each.
    monitors: Vec<(String, String)>,
    /// The hosts that have something of QEMU's in the text, and that of the last such line.
    hosts: BTreeSet<String>,
    host: Option<String>,
    /// The paragraph of prose that was read last, and whether an empty line ended it.
    prose: (String, bool),
    /// What the files are called whose texts follow their names, where there are several.
    files: BTreeSet<String>,
    /// The last command was typed behind a person's prompt.
    is_human: bool,
    /// Where what is written to a monitor begins among the pieces, and what names its socket.
    talks: Vec<(usize, String)>,
    /// The commands of scripts that were followed.
    followed: BTreeSet<(usize, usize, usize)>,
    /// Bytes of texts that stand in others.
    inner: usize,
    blocks: block::Budget,
}

/// Most bytes of a paragraph that may say whose the commands below it are.
const MOST_PROSE: usize = 2048;

/// Most bytes of texts that stand in others.
const MAX_INNER: usize = 4 * MAX_BYTES;
