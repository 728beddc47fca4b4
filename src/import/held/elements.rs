//! Documents of XML whose elements are the words of commands: property lists of launchd, tasks of Ant and MSBuild,
//! settings of development environments.

use crate::{
    diag::shell_word,
    import::{
        flag, libvirt,
        xml::{self, Element},
    },
};

/// Attributes that hold a word, and those that hold words as a shell has them.
const WORD: &[&str] = &["value", "arg", "val"];
const WORDS: &[&str] = &["line", "Command", "args", "arguments", "Arguments"];
/// Attributes that name a program.
const PROGRAM: &[&str] = &["executable", "program", "exec", "command", "path"];
/// Most properties that are put in place.
const MOST_PROPERTIES: usize = 64;
/// Tags of web pages.
const PAGES: &[&str] = &["<html", "<pre", "<p>", "<br", "<code", "<div", "<body"];

/// The commands of a document, and what else it says, each in its line; none where the text is another.
pub(super) fn text(text: &str) -> Option<String> {
    let begins = text.trim_start().starts_with('<');
    if !begins || !(text.contains("</") || text.contains("/>")) || !flag::is_qemus(text) {
        return None;
    }
    let lower = text.to_lowercase();
    if libvirt::is_domain(text) || PAGES.iter().any(|tag| lower.contains(tag)) {
        return None;
    }
    let text = &with_properties(text);
    let root = xml::read(text);
    let mut out = String::new();
    let mut is_any = false;
    // What stands before the first element is no document.
    root.children.iter().for_each(|element| walk(element, &mut out, &mut is_any));
    for comment in comments(text).filter(|comment| flag::is_qemus(comment)) {
        out += &format!("# {comment}\n");
    }
    is_any.then_some(out)
}

/// The text with the values of its properties in place: `<property name="tap" value="tap0"/>` of Ant.
fn with_properties(text: &str) -> String {
    let mut out = text.to_owned();
    for part in text.split("<property ").skip(1).take(MOST_PROPERTIES) {
        let tag = part.split('>').next().unwrap_or_default();
        let get = |key: &str| Some(tag.split_once(&format!("{key}=\""))?.1.split_once('"')?.0);
        if let (Some(name), Some(value)) = (get("name"), get("value")) {
            out = out.replace(&format!("${{{name}}}"), value);
        }
    }
    out
}

fn walk(element: &Element, out: &mut String, is_any: &mut bool) {
    if let Some(command) = command(element) {
        *is_any = true;
        *out += &format!("{command}\n\n");
        return;
    }
    for (name, value) in &element.attributes {
        if flag::is_qemus(value) {
            *is_any = true;
            *out += &format!("{value}\n\n");
        } else {
            *out += &format!("{name}: {value}\n");
        }
    }
    let text = element.text.trim();
    if flag::is_qemus(text) {
        *is_any = true;
        *out += &format!("{text}\n\n");
    } else if !text.is_empty() {
        *out += &format!("{}: {text}\n", element.name);
    }
    element.children.iter().for_each(|child| walk(child, out, is_any));
}

/// The command whose words are the children of an element.
fn command(element: &Element) -> Option<String> {
    let is_leaf = |child: &&Element| child.children.is_empty();
    let leaves: Vec<&Element> = element.children.iter().filter(is_leaf).collect();
    let is_option = |child: &&&Element| word(child).is_some_and(|word| flag::is_net(&word));
    let option = leaves.iter().find(is_option)?;
    let of_name = leaves.iter().filter(|child| child.name == option.name);
    let words: Vec<String> = of_name.filter_map(|child| written(child)).collect();
    let program = PROGRAM.iter().find_map(|name| element.get(name));
    let program = program.or_else(|| {
        PROGRAM
            .iter()
            .find_map(|name| Some(element.child(name)?.text.trim()))
            .filter(|text| !text.is_empty())
    });
    let all: Vec<String> = program.map(shell_word).into_iter().chain(words).collect();
    Some(all.join(" "))
}

/// The word that an element is.
fn word(element: &Element) -> Option<String> {
    let attribute = WORD.iter().find_map(|name| element.get(name));
    let text = Some(element.text.trim()).filter(|text| !text.is_empty());
    attribute.or(text).map(str::to_owned)
}

/// The word that an element is, or the words that it has, as a shell has them.
fn written(element: &Element) -> Option<String> {
    let words = WORDS.iter().find_map(|name| element.get(name)).map(str::to_owned);
    let quoted = |word: String| match word.contains("${") && !word.contains(['"', '`']) {
        // What is set elsewhere.
        true => format!("\"{word}\""),
        false => shell_word(&word),
    };
    words.or_else(|| word(element).map(quoted))
}

/// What stands in the comments of a document, without tags.
fn comments(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split("<!--").skip(1);
    parts.filter_map(|part| {
        let (comment, _) = part.split_once("-->")?;
        let mut plain = String::new();
        for piece in comment.split('<') {
            plain += piece.split_once('>').map_or(piece, |(_, text)| text);
            plain.push(' ');
        }
        Some(plain.split_whitespace().collect::<Vec<_>>().join(" "))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_property_list(
        "<plist><dict><key>Label</key><string>x</string><key>ProgramArguments</key><array>\
         <string>qemu-system-arm</string><string>-m</string><string>1G</string>\
         <!-- <string>-nic</string><string>tap</string> -->\
         <string>-nic</string><string>user,id=a &amp; b</string></array></dict></plist>",
        "key: Label\nstring: x\nkey: ProgramArguments\nqemu-system-arm -m 1G -nic 'user,id=a & b'\n\n# -nic tap\n"
    )]
    #[case::a_task(
        "<exec executable=\"qemu-kvm\"><arg value=\"-nic\"/><arg value=\"user\"/><arg line=\"-m 1G\"/></exec>",
        "qemu-kvm -nic user -m 1G\n\n"
    )]
    #[case::an_attribute("<Exec Command=\"qemu-kvm -nic user\"/>", "qemu-kvm -nic user\n\n")]
    #[case::a_text("<run><cmd>qemu-kvm -nic user</cmd></run>", "qemu-kvm -nic user\n\n")]
    fn documents_are_commands(#[case] document: &str, #[case] expected: &str) {
        assert_eq!(text(document).as_deref(), Some(expected));
    }

    #[rstest]
    #[case("<pbro> qemu-kvm -nic user")]
    #[case("<html><b>qemu-kvm -nic user</b></html>")]
    #[case("<domain/> -nic user")]
    fn others_are_left_alone(#[case] other: &str) {
        assert_eq!(text(other), None);
    }
}
