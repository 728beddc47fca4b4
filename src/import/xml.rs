//! Elements of XML, of a whole document or an excerpt, as far as it is one.

use quick_xml::{
    Reader,
    escape::unescape,
    events::{BytesStart, Event},
};

/// Elements that stand deeper are read as if they stood here.
const DEPTH: usize = 32;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    pub(super) text: String,
}

impl Element {
    pub(super) fn get(&self, attribute: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(name, _)| name == attribute);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// An attribute of the first child of this name.
    pub(super) fn of(&self, child: &str, attribute: &str) -> Option<&str> {
        self.child(child)?.get(attribute)
    }

    /// What it has beside these attributes and children, where it has anything.
    pub(super) fn rest(&self, attributes: &[&str], children: &[&str]) -> Option<Element> {
        let mut rest = self.clone();
        let known = |name: &String, all: &[&str]| all.contains(&name.as_str());
        rest.attributes.retain(|(name, _)| !known(name, attributes));
        rest.children.retain(|child| !known(&child.name, children));
        (!rest.attributes.is_empty() || !rest.children.is_empty()).then_some(rest)
    }

    /// Its tag, as it is written.
    pub(super) fn shown(&self) -> String {
        let attributes = self.attributes.iter();
        let attributes: String =
            attributes.map(|(name, value)| format!(" {name}='{value}'")).collect();
        let text = self.text.trim();
        match (self.children.is_empty(), text.is_empty()) {
            (true, true) => format!("<{}{attributes}/>", self.name),
            (true, false) => format!("<{0}{attributes}>{text}</{0}>", self.name),
            (false, _) => format!("<{0}{attributes}>...</{0}>", self.name),
        }
    }
}

/// The outermost elements of a text, as the children of what they are in, and the text around them.
/// Once it is no XML any more, what is open ends.
pub(super) fn read(text: &str) -> Element {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut open = vec![Element::default()];
    loop {
        let event = reader.read_event();
        let may_open = open.len() < DEPTH;
        let Some(parent) = open.last_mut() else { break };
        match event {
            // An address of mail or the web.
            Ok(Event::Start(tag) | Event::Empty(tag)) if !is_name(tag.name().as_ref()) => {
                parent.text.push_str(&format!("<{}>", &*tag));
            }
            Ok(Event::Start(tag)) if may_open => open.push(element(&tag)),
            Ok(Event::Start(tag) | Event::Empty(tag)) => parent.children.push(element(&tag)),
            Ok(Event::Text(text)) => parent.text.push_str(&text),
            Ok(Event::CData(text)) => parent.text.push_str(&text),
            Ok(Event::GeneralRef(name)) => {
                let written = format!("&{};", &*name);
                parent.text.push_str(&unescape(&written).unwrap_or(written.as_str().into()));
            }
            Ok(Event::End(tag)) => {
                let name = tag.name();
                let mut innermost = open.iter().rposition(|one| one.name == name.as_ref());
                // An end that nothing began is left alone.
                innermost = innermost.filter(|at| *at > 0);
                close(&mut open, innermost.unwrap_or(usize::MAX));
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    close(&mut open, 1);
    open.pop().unwrap_or_default()
}

fn is_name(name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    name.chars().all(part) && !name.contains("://")
}

/// Ends all that is open from there on.
fn close(open: &mut Vec<Element>, from: usize) {
    while open.len() > from {
        let Some(ended) = open.pop() else { return };
        if let Some(parent) = open.last_mut() {
            parent.children.push(ended);
        }
    }
}

fn element(tag: &BytesStart<'_>) -> Element {
    let attributes = tag.attributes().flatten().map(|attribute| {
        let value = unescape(&attribute.value);
        let value = value.map_or_else(|_| attribute.value.to_string(), |text| text.into_owned());
        (attribute.key.as_ref().to_owned(), value)
    });
    Element {
        name: tag.name().as_ref().to_owned(),
        attributes: attributes.collect(),
        ..Element::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_excerpt_ends_where_it_ends() {
        let text = "<m@x.org> has:\n<a><b x='1' y=\"&quot;\"/></c><d>text";
        let root = read(text);
        let shown: Vec<_> = root.children[0].children.iter().map(Element::shown).collect();
        assert_eq!(shown, ["<b x='1' y='\"'/>", "<d>text</d>"]);
        assert_eq!((root.children.len(), root.text.as_str()), (1, "<m@x.org> has:\n"));
    }

    #[test]
    fn what_is_deep_is_flat() {
        let text = "<a>".repeat(10_000);
        fn depth(elements: &[Element]) -> usize {
            let deepest = elements.iter().map(|one| depth(&one.children)).max();
            deepest.map_or(0, |deepest| deepest + 1)
        }
        assert_eq!(depth(&read(&text).children), DEPTH);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[<>/'=a-z: &;]{0,60}") {
            read(&text);
        }
    }
}
