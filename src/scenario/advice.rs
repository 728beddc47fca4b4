//! What is said beside a fault's message: its code, the label in the file, the remedy.

use super::{code, fault::Fault};
use crate::diag::Code;

impl Fault {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } => code::UNREADABLE,
            Self::NotUtf8 { .. } => code::NOT_UTF8,
            Self::TooLong { .. } | Self::Budget { .. } => code::BUDGET,
            Self::Syntax { .. } => code::SYNTAX,
            Self::SeveralDocuments => code::DOCUMENTS,
            Self::Tag { .. } => code::TAG,
            Self::KeyNotText => code::KEY_NOT_TEXT,
            Self::DuplicateKey { .. } => code::DUPLICATE_KEY,
            Self::Empty { .. } => code::EMPTY,
            Self::UnknownKey { .. } => code::UNKNOWN_KEY,
            Self::MissingKey { .. } => code::MISSING_KEY,
            Self::Type { .. } => code::TYPE,
            Self::Range { .. } => code::RANGE,
            Self::Choice { .. } => code::CHOICE,
            Self::Conflict { .. } => code::CONFLICT,
            Self::Needs { .. } => code::NEEDS,
            Self::NotYet { .. } => code::NOT_YET,
            Self::BadId { .. } => code::BAD_ID,
            Self::DuplicateId { .. } => code::DUPLICATE_ID,
            Self::Matrix { .. } => code::MATRIX,
            Self::UnknownVariable { .. } => code::UNKNOWN_VARIABLE,
            Self::BadReference { .. } => code::BAD_REFERENCE,
            Self::TooManyCases { .. } => code::TOO_MANY_CASES,
            Self::NullInText { .. } => code::NULL_IN_TEXT,
            Self::UnusedVariable { .. } => code::UNUSED_VARIABLE,
            Self::DuplicateCase { .. } => code::DUPLICATE_CASE,
            Self::Format { code, .. } => *code,
            Self::OptionString { .. } => code::OPTION_STRING,
            Self::UnknownProfile { .. } => code::UNKNOWN_PROFILE,
            Self::UnknownQuirk { .. } => code::UNKNOWN_QUIRK,
            Self::QuirkNotThere { .. } => code::QUIRK_NOT_THERE,
            Self::UnknownName { .. } => code::UNKNOWN_NAME,
            Self::WrongPort { .. } => code::WRONG_PORT,
            Self::Join { .. } => code::JOIN,
            Self::StepShape { .. } => code::STEP_SHAPE,
            Self::UnknownVerb { .. } => code::UNKNOWN_VERB,
            Self::WhichMachine { .. } => code::WHICH_MACHINE,
            Self::Nothing { .. } => code::NOTHING,
            Self::TooMuch { is_traffic: true, .. } => code::TOO_MUCH,
            Self::TooMuch { .. } => code::GROWTH,
            Self::Layers { .. } => code::LAYERS,
            Self::Build { .. } => code::BUILD,
            Self::VnetLost { .. } => code::VNET_LOST,
            Self::CaptureUnreadable { .. } => code::CAPTURE_UNREADABLE,
            Self::CaptureOutside { .. } => code::CAPTURE_OUTSIDE,
            Self::CapturesTooLarge { .. } => code::CAPTURE_UNREADABLE,
            Self::CaptureBroken { .. } => code::CAPTURE_BROKEN,
            Self::CaptureSelection { .. } => code::CAPTURE_SELECTION,
            Self::CaptureCut { .. } => code::CAPTURE_CUT,
            Self::UnknownField { .. } => code::UNKNOWN_FIELD,
            Self::BugWithoutExpect => code::BUG_WITHOUT_EXPECT,
        }
    }

    /// What is written at the place in the file.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Syntax { reason, .. } => reason.clone(),
            Self::SeveralDocuments => "the second document".to_owned(),
            Self::DuplicateKey { .. } => "again here".to_owned(),
            Self::UnknownKey { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::UnknownKey { map, .. } => format!("{map} has no such key"),
            Self::MissingKey { key, .. } => format!("`{key}` is missing here"),
            Self::Type { expected, .. } => format!("must be {expected}"),
            Self::Range { least, most, .. } => format!("must be from {least} to {most}"),
            Self::Choice { near: Some(near), .. }
            | Self::UnknownProfile { near: Some(near), .. }
            | Self::UnknownQuirk { near: Some(near), .. }
            | Self::UnknownName { near: Some(near), .. }
            | Self::UnknownVerb { near: Some(near), .. }
            | Self::UnknownField { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::Conflict { second, .. } => format!("`{second}` stands here"),
            Self::NotYet { .. } => "not yet".to_owned(),
            Self::DuplicateId { .. } => "the second one".to_owned(),
            Self::UnknownName { what, .. } => format!("no such {what}"),
            Self::UnknownVariable { .. } => "not in `matrix`".to_owned(),
            Self::UnusedVariable { .. } => "every value gives the same case".to_owned(),
            Self::WrongPort { needs, .. } => format!("must be {needs}"),
            Self::CaptureOutside { .. } => "leads out of the root".to_owned(),
            Self::CaptureUnreadable { .. }
            | Self::CapturesTooLarge { .. }
            | Self::CaptureBroken { .. }
            | Self::CaptureSelection { .. }
            | Self::CaptureCut { .. } => "asked for here".to_owned(),
            Self::Empty { .. } => "this is all there is".to_owned(),
            Self::Unreadable { .. } | Self::TooLong { .. } => "this file".to_owned(),
            Self::NotUtf8 { .. } => "not UTF-8".to_owned(),
            Self::Budget { .. } | Self::TooMuch { .. } => "the limit is passed here".to_owned(),
            Self::Tag { .. } => "a tag".to_owned(),
            Self::KeyNotText => "not text".to_owned(),
            Self::Choice { .. } => "not one of the words".to_owned(),
            Self::Needs { .. } => "has no effect".to_owned(),
            Self::BadId { .. } => "not a possible name".to_owned(),
            Self::Matrix { .. } => "gives no cases".to_owned(),
            Self::BadReference { .. } => "not a reference".to_owned(),
            Self::TooManyCases { .. } => "multiplies to too many".to_owned(),
            Self::NullInText { .. } => "null in one case".to_owned(),
            Self::DuplicateCase { .. } => "the same name again".to_owned(),
            Self::Format { .. } => "not of this form".to_owned(),
            Self::OptionString { .. } => "not an option string".to_owned(),
            Self::UnknownProfile { .. } => "no such profile".to_owned(),
            Self::UnknownQuirk { .. } => "no such quirk".to_owned(),
            Self::QuirkNotThere { .. } => "not in this profile".to_owned(),
            Self::Join { .. } => "this one".to_owned(),
            Self::StepShape { .. } => "not a step".to_owned(),
            Self::UnknownVerb { .. } => "no such verb".to_owned(),
            Self::WhichMachine { .. } => "for which machine?".to_owned(),
            Self::Nothing { .. } => "to no effect".to_owned(),
            Self::Layers { .. } => "doesn't fit".to_owned(),
            Self::Build { .. } => "this frame".to_owned(),
            Self::VnetLost { .. } => "nothing carries it".to_owned(),
            Self::UnknownField { .. } => "no such field".to_owned(),
            Self::BugWithoutExpect => "without an `expect`".to_owned(),
        }
    }

    /// What to do.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "name a scenario file that exists and that you may read".to_owned()
            }
            Self::NotUtf8 { .. } => {
                "save the file as UTF-8; raw bytes belong into `hex: ...` or a pcap".to_owned()
            }
            Self::TooLong { .. } => "put packets into a pcap and name it with `pcap:`".to_owned(),
            Self::Budget { nodes, depth, .. } => format!(
                "a scenario has at most {nodes} nodes and {depth} levels, and aliases count as \
                 often as they are used: put packets into a pcap, or split the file"
            ),
            Self::Syntax { help, .. } => help.clone(),
            Self::SeveralDocuments => {
                "put each scenario into a file of its own, or use `matrix`".to_owned()
            }
            Self::Tag { .. } => "leave the tag (`!name`) out, or quote the text".to_owned(),
            Self::KeyNotText => "write `key: value`".to_owned(),
            Self::DuplicateKey { .. } => "keep one of the two".to_owned(),
            Self::Empty { .. } => "declare `netdevs`, `objects` and `steps`".to_owned(),
            Self::UnknownKey { known, .. } => format!("its keys are {known}"),
            Self::MissingKey { key, doc, .. } => format!("add `{key}: ...`: {doc}"),
            Self::Type { expected, help, .. } => {
                help.clone().unwrap_or_else(|| format!("write {expected}"))
            }
            Self::Range { least, most, .. } => format!("write a number from {least} to {most}"),
            Self::Choice { known, .. } => format!("it is one of {known}"),
            Self::Conflict { help, .. }
            | Self::NotYet { help, .. }
            | Self::Matrix { help, .. }
            | Self::Format { help, .. }
            | Self::Join { help, .. }
            | Self::Nothing { help, .. }
            | Self::Layers { help, .. }
            | Self::VnetLost { help, .. } => (*help).to_owned(),
            Self::Needs { key, needs } if needs.starts_with('`') => {
                format!("add {needs}, or leave `{key}` out")
            }
            Self::Needs { key, needs } => format!("leave `{key}` out, or name {needs}"),
            Self::BadId { rule, .. } => (*rule).to_owned(),
            Self::DuplicateId { what: "the port", .. } => {
                "a port is called as its chardev, as a filter-dump's file, or NETDEV.guest, \
                  NETDEV.host and LINK.END: name one of the two otherwise"
                    .to_owned()
            }
            Self::DuplicateId { .. } => "give each an id of its own".to_owned(),
            Self::UnknownVariable { help, .. } => help.clone(),
            Self::BadReference { .. } => {
                "write `${name}` with a name of letters, digits, `_` and `-`; `$${` stands for a \
                 literal `${`"
                    .to_owned()
            }
            Self::TooManyCases { .. } => {
                "take values out, or split the scenario into several files".to_owned()
            }
            Self::NullInText { .. } => {
                "null leaves out a whole value or a `key=${name}` of an option string; give the \
                 text in full as a value instead"
                    .to_owned()
            }
            Self::UnusedVariable { name } => {
                format!("use it, for example as `\"${{{name}}}\"`, or take it out of `matrix`")
            }
            Self::DuplicateCase { .. } => {
                "make the values differ; each combination is a case with a name".to_owned()
            }
            Self::OptionString { .. } => {
                "it is `backend,id=NAME,key=value,...`, of a netdev `type,id=NAME,...`, in quotes \
                 where it stands in [ ]; a comma inside a value is written `,,`"
                    .to_owned()
            }
            Self::UnknownProfile { .. } => {
                "the profiles are qemu-7.2, qemu-10.2, rfc and ideal".to_owned()
            }
            Self::UnknownQuirk { .. } => {
                let names: Vec<&str> =
                    crate::base::Quirk::ALL.iter().map(|quirk| quirk.name()).collect();
                format!("the quirks are {}", names.join(", "))
            }
            Self::QuirkNotThere { .. } => {
                "take it out of `without`: there is nothing to switch off".to_owned()
            }
            Self::UnknownName { what, known, .. } if known.is_empty() => {
                format!("this scenario declares no {what}: add one, or take the name out")
            }
            Self::UnknownName { known, .. } => format!("declared here: {known}"),
            Self::WrongPort { help, .. } => help.clone(),
            Self::StepShape { .. } => {
                "a step is a map with one verb: `- send: hn0.guest`, `- advance: 3s`".to_owned()
            }
            Self::UnknownVerb { .. } => {
                format!("the verbs are {}", super::key::VERB_NAMES.join(", "))
            }
            Self::WhichMachine { known } => {
                format!("add `machine: NAME` beside the command; the machines are {known}")
            }
            Self::TooMuch { is_traffic: true, .. } => "send less, or split the scenario".to_owned(),
            Self::TooMuch { .. } => {
                "take factors of the product out (values of `matrix`, references, repetitions, \
                 devices), or split the scenario into several files"
                    .to_owned()
            }
            Self::Build { .. } => "change the layer, or give the whole frame as `hex`".to_owned(),
            Self::CaptureUnreadable { .. } => {
                "name a pcap or pcapng file; the path is relative to the scenario's folder"
                    .to_owned()
            }
            Self::CaptureOutside { .. } => {
                "put the capture below the root, which is the nearest folder above with \
                 `tapwright.toml` or `.git`; or, where you trust the scenario, give \
                 --allow-outside"
                    .to_owned()
            }
            Self::CapturesTooLarge { .. } => {
                "keep the packets that are needed: `editcap -r FILE NEW 1-1000`".to_owned()
            }
            Self::CaptureBroken { .. } => {
                "it must be a complete pcap or pcapng of Ethernet frames; `tcpdump -r` shows \
                 where it ends"
                    .to_owned()
            }
            Self::CaptureSelection { has, .. } => {
                format!("packets are counted from 1: `frames: 1..{has}` takes all of them")
            }
            Self::CaptureCut { .. } => {
                "capture again with `-s 0`, or leave the packet out with `frames:`".to_owned()
            }
            Self::UnknownField { known, .. } => format!("the fields are {known}"),
            Self::BugWithoutExpect => {
                "add `expect:` with the right behaviour; the snapshot shows the wrong one"
                    .to_owned()
            }
        }
    }
}
