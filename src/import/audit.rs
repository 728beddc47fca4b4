//! The options of the net layer that stand in a text, wherever they stand: what the scenario has not
//! and no comment names is listed, so that nothing is lost in silence.

use std::ops::Range;

use super::flag;
use crate::qapi::{Form, Options};

/// Most characters between an option and its value: quotes, commas, blanks.
const MOST_BETWEEN: usize = 80;
/// Most bytes of an option that are shown.
const MOST_SHOWN: usize = 300;

/// An option that stands in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    /// As it is shown.
    pub(super) shown: String,
    /// Its name and value, where that is whole.
    pub(super) option: Option<(String, String)>,
    /// What of it does not depend on a variable.
    head: String,
    /// A variable follows.
    cut: bool,
    /// Its kind and id, where it has one.
    id: Option<(String, String)>,
}

impl Mention {
    /// Whether a text has it or names it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let by_id = |(kind, id): &(String, String)| {
            !text.contains(&format!("{id} is made up"))
                && text.lines().any(|line| line.contains(kind.as_str()) && has_word(line, id))
        };
        let goes_on = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let has_head = text.match_indices(&self.head).any(|(at, head)| {
            let after = text[at + head.len()..].chars().next();
            self.cut || head.ends_with('=') || !after.is_some_and(goes_on)
        });
        has_head || self.id.as_ref().is_some_and(by_id)
    }

    /// Its name and value as a shell's words; of a value that is not whole what is known of it.
    pub(super) fn as_words(&self) -> String {
        let Some((name, value)) = &self.option else {
            return self.shown.clone();
        };
        format!("-{name} '{}'", value.replace('\'', "'\\''"))
    }
}

/// Whether a line has an id that does not go on.
fn has_word(line: &str, id: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    line.match_indices(id).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + id.len()..].chars().next();
        !before.is_some_and(goes_on) && !after.is_some_and(goes_on)
    })
}

/// Properties of filters, of which a list that lost its beginning is known.
const PROPERTIES: &[&str] = &[
    "queue=",
    "outdev=",
    "indev=",
    "netdev=",
    "primary_in=",
    "secondary_in=",
    "in_netdev=",
    "out_netdev=",
    "notify_dev=",
];

/// Each option of a text, with the bytes from its name to the end of its value.
pub(super) fn spans(text: &str) -> Vec<(Range<usize>, Mention)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('-') {
        // Of several dashes the last one begins the name.
        if text[at + 1..].starts_with('-') {
            continue;
        }
        let before = text[..at].trim_end_matches('-').chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || "_./".contains(c)) {
            continue;
        }
        let rest = &text[at + 1..];
        let name = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())];
        let is_net = flag::is_net(&text[at..=at + name.len()]) && name != "readconfig";
        if (is_net || name == "device")
            && let Some((length, mention)) = mention(name, &rest[name.len()..])
        {
            found.push((at..at + 1 + name.len() + length, mention));
        }
    }
    found
}

/// Each option of a text, and each list that goes on with a filter's properties.
pub(super) fn mentions(text: &str) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    let mut add = |mention: Mention| {
        if !found.contains(&mention) {
            found.push(mention);
        }
    };
    spans(text).into_iter().for_each(|(_, mention)| add(mention));
    let ends = |c: char| c.is_whitespace() || "\"'`;<>|()\\".contains(c);
    for word in text.split(ends) {
        let lost = PROPERTIES.iter().any(|key| word.starts_with(key)) && !word.contains("${");
        if lost && let Some(head) = head(word) {
            let cut = head.len() < word.len();
            add(Mention { shown: word.to_owned(), option: None, head, cut, id: None });
        }
    }
    found
}

/// The option, and how long what follows its name is.
fn mention(name: &str, rest: &str) -> Option<(usize, Mention)> {
    let next = rest.chars().next()?;
    if next.is_alphanumeric() || "-_".contains(next) {
        return None;
    }
    let start = value_at(rest).filter(|start| *start <= MOST_BETWEEN)?;
    let rest = &rest[start..];
    if rest.starts_with('{') && rest[1..].starts_with([' ', '\\', '"', '\'', '\n']) {
        let mention = json(name, rest)?;
        return Some((start + rest.find('}').map_or(rest.len(), |end| end + 1), mention));
    }
    let ends = |c: char| c.is_whitespace() || "\"'`;<>|\\\0".contains(c);
    let end = rest.find(ends).unwrap_or(rest.len());
    // `[/code]` of a forum.
    let end = rest[..end].find("[/").unwrap_or(end);
    let value = &rest[..end];
    let value = value.trim_end_matches([',', ')', ']', '.']);
    let head = head(value)?;
    let options = Options::read(value, "type");
    let head_options = Options::read(&head, "type");
    let first = head_options.elements().first();
    let kind = first.map(|element| match element.form {
        Form::Implied => element.value.clone(),
        Form::Pair | Form::Flag => element.key.clone(),
    });
    let kind = kind.unwrap_or_default();
    let whole = |id: &&str| !id.is_empty() && !id.contains(['$', '%', '{', '#', '@']);
    let id = options.id().filter(whole).map(|id| (kind.clone(), id.to_owned()));
    if id.is_none() && !flag::is_value(name, value) {
        return None;
    }
    if name == "device" && !value.contains("netdev=") {
        return None;
    }
    let mut shown = format!("-{name} {value}");
    let end = (0..=MOST_SHOWN.min(shown.len())).rev().find(|end| shown.is_char_boundary(*end));
    shown.truncate(end.unwrap_or(0));
    let cut = head.len() < value.len();
    let whole = !cut && !flag::is_synopsis(value);
    let option = whole.then(|| (name.to_owned(), value.to_owned()));
    Some((start + value.len(), Mention { shown, option, head, cut, id }))
}

/// Where the value begins: behind quotes, commas and blanks, and behind what marks a word up, such as
/// `"/><arg value="` and `" a2="`.
fn value_at(rest: &str) -> Option<usize> {
    let between = |c: char| c.is_whitespace() || "\"'`,=;|\\^+()[\0".contains(c);
    let mut at = rest.find(|c: char| !between(c))?;
    loop {
        let marked = &rest[at..];
        let length = if marked.starts_with('<') && marked[1..].starts_with(is_letter) {
            // The value stands in an attribute, or between the tags.
            let tag = &marked[..marked.find('>')? + 1];
            tag.find('=').map_or(tag.len(), |equals| equals + 1)
        } else if let Some(end) = marked.strip_prefix("</").or_else(|| marked.strip_prefix("/>")) {
            marked.len() - end.trim_start_matches(is_letter).trim_start_matches('>').len()
        } else if let Some(length) = numbered(marked) {
            length
        } else if marked.starts_with("...") {
            3
        } else if marked.starts_with("- ") {
            // The next item of a list.
            2
        } else {
            return Some(at);
        };
        at += length;
        at += rest[at..].find(|c: char| !between(c))?;
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
}

/// The length of `a2="`: the kernel's audit names arguments so.
fn numbered(text: &str) -> Option<usize> {
    let digits = text.strip_prefix('a')?;
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < digits.len() && rest.starts_with("=\"")).then(|| text.len() - rest.len() + 2)
}

/// What stands before the first variable.
fn head(value: &str) -> Option<String> {
    let end = value.find(['$', '%', '{', '#', '@']).unwrap_or(value.len());
    let head = value[..end].trim_end_matches(',');
    (!head.is_empty()).then(|| head.to_owned())
}

/// `{"qom-type": "filter-mirror", "id": "m0"}`, in whatever quotes.
fn json(name: &str, rest: &str) -> Option<Mention> {
    let end = rest.find('}').map_or(rest.len(), |end| end + 1);
    let plain: String = rest[..end].chars().filter(|c| !"\\\"' {}".contains(*c)).collect();
    let of = |key: &str| {
        let mut items = plain.split(',');
        items.find_map(|item| item.strip_prefix(key)?.strip_prefix(':')).map(str::to_owned)
    };
    let kind = of("qom-type").or_else(|| of("type")).or_else(|| of("driver"))?;
    let id = of("id").or_else(|| of("netdev"))?;
    if name == "device" && of("netdev").is_none() {
        return None;
    }
    let shown = format!("-{name} {}", &rest[..end]);
    let head = rest[..end].to_owned();
    let option = Some((name.to_owned(), head.replace('\\', "")));
    Some(Mention { shown, option, head, cut: false, id: Some((kind, id)) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("qemu -netdev tap,id=a -m 1", "-netdev tap,id=a")]
    #[case("[\"-object\",\n  \"filter-x,id=b\"]", "-object filter-x,id=b")]
    #[case("--chardev 'socket,id=c,path=/x'", "-chardev socket,id=c,path=/x")]
    #[case(
        "-object {\"qom-type\":\"filter-x\",\"id\":\"d\"}",
        "-object {\"qom-type\":\"filter-x\",\"id\":\"d\"}"
    )]
    #[case("[rr]-object filter-replay,id=e", "-object filter-replay,id=e")]
    #[case("- -netdev\n  - tap,id=f\n", "-netdev tap,id=f")]
    #[case("-nic user -net nic,model=e1000", "-nic user|-net nic,model=e1000")]
    #[case("queue=tx,outdev=o", "queue=tx,outdev=o")]
    #[case("the -netdev option of x-netdev a", "")]
    #[case("-device usb-tablet -device e1000,netdev=a", "-device e1000,netdev=a")]
    fn options_are_seen(#[case] text: &str, #[case] expected: &str) {
        let found = mentions(text);
        let shown: Vec<&str> = found.iter().map(|mention| mention.shown.as_str()).collect();
        assert_eq!(shown.join("|"), expected);
    }

    #[rstest]
    #[case("-netdev tap,id=hn$i", "- tap,id=hn0", true)]
    #[case("-netdev tap,ifname=$T,id=hn0", "- tap,ifname=${T},id=hn0", true)]
    #[case("-netdev tap,id=hn0", "- tap,id=hn01", false)]
    #[case("-object filter-dump,id=d,file=/tmp/x", "filter-dump,id=d,file=x", true)]
    fn what_is_named_is_found(#[case] text: &str, #[case] draft: &str, #[case] expected: bool) {
        assert_eq!(mentions(text)[0].is_in(draft), expected);
    }
}
