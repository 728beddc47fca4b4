//! QEMU's option strings: `a,key=value,flag`, with `,,` for a comma.

/// An element of an option string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    /// None for a first element without `=`: the implied key.
    pub(crate) key: Option<String>,
    /// `on` for a bare name after the first.
    pub(crate) value: String,
    /// Where the element begins in the string, in bytes.
    pub(crate) at: usize,
    /// Its bytes.
    pub(crate) len: usize,
}

/// Splits as `get_opt_value` does (QEMU 10.2.2, `util/qemu-option.c`).
pub(crate) fn split(text: &str) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (raw, len) = element(&text[at..]);
        let first = elements.is_empty();
        let (key, value) = match raw.split_once('=') {
            Some((key, value)) => (Some(key.to_owned()), value.to_owned()),
            None if first => (None, raw),
            None => match raw.strip_prefix("no").filter(|rest| is_flag(rest)) {
                Some(rest) => (Some(rest.to_owned()), "off".to_owned()),
                None => (Some(raw), "on".to_owned()),
            },
        };
        elements.push(Element { key, value, at, len });
        at += len + 1;
    }
    elements
}

/// The short negative forms that command lines still have: `nowait`, `nodelay` is a name itself.
fn is_flag(name: &str) -> bool {
    matches!(name, "wait" | "server" | "telnet" | "ipv4" | "ipv6" | "mux" | "append")
}

/// The text up to the next single comma, with doubled ones made one, and its length as written.
fn element(text: &str) -> (String, usize) {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if c == ',' {
            match characters.peek() {
                Some((_, ',')) => {
                    characters.next();
                }
                _ => return (value, at),
            }
        }
        value.push(c);
    }
    (value, text.len())
}

/// The value of a key; the last one counts, as in QEMU.
pub(crate) fn get<'a>(elements: &'a [Element], key: &str) -> Option<&'a str> {
    elements
        .iter()
        .rev()
        .find(|element| element.key.as_deref() == Some(key))
        .map(|element| element.value.as_str())
}

/// Whether QEMU reads this as true (QEMU 10.2.2, `qapi/qapi-util.c`, `qapi_bool_parse`).
pub(crate) fn is_true(value: &str) -> bool {
    matches!(value, "on" | "yes" | "true" | "y")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("socket,id=a,server,nowait", "[socket] id=a server=on wait=off")]
    #[case("socket,path=/a,,b,id=c", "[socket] path=/a,b id=c")]
    #[case("id=a", "id=a")]
    #[case("socket,nodelay", "[socket] nodelay=on")]
    #[case("a,b=c=d", "[a] b=c=d")]
    #[case("", "")]
    #[case(",", "[]")]
    fn strings_are_split(#[case] text: &str, #[case] expected: &str) {
        let shown: Vec<String> = split(text)
            .iter()
            .map(|element| match &element.key {
                Some(key) => format!("{key}={}", element.value),
                None => format!("[{}]", element.value),
            })
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn the_last_value_counts() {
        assert_eq!(get(&split("f,queue=rx,queue=tx"), "queue"), Some("tx"));
    }
}
