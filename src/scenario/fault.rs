//! Everything that can be wrong with a scenario: the messages.

use std::path::PathBuf;

use super::budget;
use crate::diag::{Code, Label, Report, Span};

/// Why a scenario can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file can't be read.
    #[error("can't read {}: {reason}", path.display())]
    Unreadable {
        /// As the user gave it.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is not UTF-8.
    #[error("the file is not UTF-8 text: byte {offset} is 0x{byte:02x}")]
    NotUtf8 {
        /// From 0.
        offset: usize,
        /// The first wrong byte.
        byte: u8,
    },
    /// The file is too long.
    #[error("the file has more than {most} bytes, and a scenario has not")]
    TooLong {
        /// The limit.
        most: usize,
    },
    /// The YAML has too many nodes, is too deep, or its aliases add too much.
    #[error("the YAML is too large: {reason}")]
    Budget {
        /// Most nodes.
        nodes: usize,
        /// Deepest nesting.
        depth: usize,
        /// What the parser said.
        reason: String,
    },
    /// The file is not YAML.
    #[error("this is not YAML: {reason}")]
    Syntax {
        /// What the parser said.
        reason: String,
        /// What usually lies behind it.
        help: String,
    },
    /// More than one document.
    #[error("a second YAML document begins here; a scenario is one document")]
    SeveralDocuments,
    /// A YAML tag.
    #[error("YAML tags are not used here: {reason}")]
    Tag {
        /// What the parser said.
        reason: String,
    },
    /// A key that is a list, a map or nothing.
    #[error("a key must be text")]
    KeyNotText,
    /// A key stands twice.
    #[error("the key `{key}` stands twice in this map")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// Nothing to do.
    #[error("{what}")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// A key that the map doesn't have.
    #[error("unknown key `{key}` in {map}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The kind of map.
        map: &'static str,
        /// The nearest one.
        near: Option<String>,
        /// All of them.
        known: String,
    },
    /// A key is missing.
    #[error("{map} needs the key `{key}`")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// The kind of map.
        map: &'static str,
        /// What it is for.
        doc: &'static str,
    },
    /// Another kind of value was expected.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What was expected.
        expected: String,
        /// What stands there.
        found: String,
        /// What to write.
        help: Option<String>,
    },
    /// Not in the range.
    #[error("`{key}` is {found}; it must be from {least} to {most}")]
    Range {
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// Not one of the words.
    #[error("`{key}` can't be \"{found}\"")]
    Choice {
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// The nearest word.
        near: Option<String>,
        /// All words.
        known: String,
    },
    /// Two keys that exclude one another.
    #[error("`{first}` and `{second}` can't stand together")]
    Conflict {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// Why.
        help: &'static str,
    },
    /// A key that needs another.
    #[error("`{key}` has no effect without {needs}")]
    Needs {
        /// The key.
        key: String,
        /// What it needs.
        needs: &'static str,
    },
    /// Part of the language, but not built yet.
    #[error("`{what}` is not supported yet")]
    NotYet {
        /// The key or verb.
        what: String,
        /// What can be done instead.
        help: &'static str,
    },
    /// Not a possible id.
    #[error("\"{id}\" can't name {what}")]
    BadId {
        /// As written.
        id: String,
        /// What it names.
        what: &'static str,
        /// What an id is made of.
        rule: &'static str,
    },
    /// An id is used twice.
    #[error("{what} \"{id}\" is there already")]
    DuplicateId {
        /// The id.
        id: String,
        /// What it names.
        what: &'static str,
    },
    /// A matrix that gives no cases.
    #[error("the matrix gives no cases: {reason}")]
    Matrix {
        /// Why.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// `${name}` that nothing defines.
    #[error("`${{{name}}}` names nothing in `matrix`")]
    UnknownVariable {
        /// The name.
        name: String,
        /// What to do.
        help: String,
    },
    /// `${` without its end, or with something that is not a name.
    #[error("`{found}` is not a reference of the form `${{name}}`")]
    BadReference {
        /// As written.
        found: String,
    },
    /// More combinations than can be run.
    #[error("the matrix has {cases} combinations; at most {most} are allowed")]
    TooManyCases {
        /// The product, saturated.
        cases: usize,
        /// The limit.
        most: usize,
    },
    /// A null that should become a part of a text.
    #[error("`${{{name}}}` is null here and stands in the middle of a text")]
    NullInText {
        /// The name.
        name: String,
    },
    /// A name of the matrix that no string uses.
    #[error("no string uses `${{{name}}}`")]
    UnusedVariable {
        /// The name.
        name: String,
    },
    /// Two combinations have one name.
    #[error("two cases would have the name \"{id}\"")]
    DuplicateCase {
        /// The name.
        id: String,
    },
    /// A text that is not of its format.
    #[error("{reason}")]
    Format {
        /// What is wrong.
        reason: String,
        /// What is right.
        help: &'static str,
        /// Its code, one for each format.
        code: Code,
    },
    /// Not a QEMU option string.
    #[error("not an option string of QEMU: {reason}")]
    OptionString {
        /// Why.
        reason: String,
    },
    /// No profile has this name.
    #[error("unknown profile \"{name}\"")]
    UnknownProfile {
        /// As written.
        name: String,
        /// The nearest.
        near: Option<String>,
    },
    /// No quirk has this name.
    #[error("unknown quirk \"{name}\"")]
    UnknownQuirk {
        /// As written.
        name: String,
        /// The nearest.
        near: Option<String>,
    },
    /// The profile doesn't have the quirk anyway.
    #[error("the profile {profile} doesn't have the quirk {quirk}")]
    QuirkNotThere {
        /// The quirk.
        quirk: &'static str,
        /// The profile.
        profile: &'static str,
    },
    /// A name that nothing has.
    #[error("there is no {what} \"{name}\"")]
    UnknownName {
        /// What it should name.
        what: &'static str,
        /// As written.
        name: String,
        /// The nearest.
        near: Option<String>,
        /// What there is.
        known: String,
    },
    /// The thing is there but not of the kind that is needed.
    #[error("\"{name}\" {is}; {verb} needs {needs}")]
    WrongPort {
        /// The name.
        name: String,
        /// What it is.
        is: &'static str,
        /// The verb or key.
        verb: &'static str,
        /// What it should be.
        needs: &'static str,
        /// What to do.
        help: String,
    },
    /// Chardevs that can't be joined.
    #[error("{reason}")]
    Join {
        /// Why.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// A step without a verb, or with several.
    #[error("{reason}")]
    StepShape {
        /// What is wrong.
        reason: String,
    },
    /// A verb that isn't there.
    #[error("unknown verb `{verb}`")]
    UnknownVerb {
        /// As written.
        verb: String,
        /// The nearest.
        near: Option<String>,
    },
    /// A command for one of several machines.
    #[error("this command doesn't say which machine it is for")]
    WhichMachine {
        /// All of them.
        known: String,
    },
    /// Nothing is sent, written or changed.
    #[error("{what}")]
    Nothing {
        /// What is missing.
        what: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// What stands in the file comes to more, written out, than all its cases may have.
    #[error("too many {what}: {factors}; {}", limit(*most))]
    TooMuch {
        /// What.
        what: &'static str,
        /// How it comes to so much.
        factors: String,
        /// Its own limit; none where all that the cases take together is too much.
        most: Option<usize>,
        /// It is frames, or bytes of theirs.
        is_traffic: bool,
    },
    /// Layers that don't fit together.
    #[error("{reason}")]
    Layers {
        /// Why.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// The frame can't be built.
    #[error("this frame can't be built: {reason}")]
    Build {
        /// What the builder said.
        reason: String,
    },
    /// A virtio-net header where none can travel.
    #[error("the virtio-net header is lost at {port}")]
    VnetLost {
        /// The port.
        port: String,
        /// What to do.
        help: &'static str,
    },
    /// The capture file can't be opened.
    #[error("can't read the capture {}: {reason}", path.display())]
    CaptureUnreadable {
        /// As found.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The capture is not below the scenario's root.
    #[error("the capture {} is outside of the root '{}': {reason}", path.display(), root.display())]
    CaptureOutside {
        /// As found.
        path: PathBuf,
        /// The root, as the working directory sees it.
        root: PathBuf,
        /// What leads out of it.
        reason: String,
    },
    /// The captures of the scenario are more than it may name.
    #[error(
        "with {} the captures of this scenario have more than {most} {what}", path.display()
    )]
    CapturesTooLarge {
        /// The first that there is no room for.
        path: PathBuf,
        /// Bytes or packets.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// The capture file is broken.
    #[error("{} is not a usable capture: {reason}", path.display())]
    CaptureBroken {
        /// As found.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// Frames that the capture doesn't have.
    #[error("{} has {has} packets; there is no packet {wanted}", path.display())]
    CaptureSelection {
        /// The file.
        path: PathBuf,
        /// Its packets.
        has: usize,
        /// The first that is missing.
        wanted: usize,
    },
    /// A packet that was cut when it was captured.
    #[error("packet {number} of {} was cut to {has} of {was} bytes", path.display())]
    CaptureCut {
        /// The file.
        path: PathBuf,
        /// From 1.
        number: usize,
        /// Bytes in the file.
        has: usize,
        /// Bytes on the wire.
        was: usize,
    },
    /// No field has this name.
    #[error("unknown field \"{name}\"")]
    UnknownField {
        /// As written.
        name: String,
        /// The nearest.
        near: Option<String>,
        /// All of them.
        known: String,
    },
    /// A known bug that nothing could show.
    #[error("a known bug needs an `expect` that fails while the bug is there")]
    BugWithoutExpect,
}

fn limit(most: Option<usize>) -> String {
    match most {
        Some(most) => format!("all cases of a file have at most {most}"),
        None => format!("all cases of a file take at most {} MiB of memory", budget::MEMORY >> 20),
    }
}

/// A fault and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) fault: Fault,
    pub(crate) span: Option<Span>,
    /// A second place that explains the first.
    pub(crate) related: Option<(Span, &'static str)>,
}

impl Found {
    /// The fault as a report on the source.
    pub(crate) fn report(&self, source: &std::sync::Arc<crate::diag::Source>) -> Report {
        let mut report =
            Report::error(self.fault.code(), self.fault.to_string()).with_help(self.fault.help());
        if let Some(span) = self.span {
            report = report.at(source, span, self.fault.label());
        } else {
            report.source = Some(std::sync::Arc::clone(source));
        }
        if let Some((span, text)) = self.related {
            report.labels.push(Label { span, text: text.to_owned() });
        }
        report
    }
}
