//! Texts that hold others: notebooks, exported messages, elements of XML, tables of cells. Each becomes the
//! text that a person would have pasted of it.

mod cells;
mod elements;
mod messages;
mod notebook;

/// The text that is held; none where the text is of no such form.
pub(super) fn text(text: &str) -> Option<String> {
    let readers = [notebook::text, messages::text, elements::text, cells::text];
    readers.into_iter().find_map(|read| read(text))
}

/// The text with strings of several lines as these lines: of a document of which only a part is there.
pub(super) fn strings(text: &str) -> Option<String> {
    messages::strings(text)
}
