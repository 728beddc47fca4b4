//! What mail and web pages do to characters: quoted-printable, entities, tags; and the ends of words
//! that the kernel writes as NUL.

use std::{borrow::Cow, ops::Range};

use super::{flag, libvirt};
use crate::diag::shell_word;

/// The text as it was written.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    let text = quoted_printable(text);
    let text = shown_words(typeset(text));
    match html(&text) {
        Some(text) => Cow::Owned(text),
        None => with_variables(text),
    }
}

/// The words of a `/proc/PID/cmdline`.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let words = text.trim_end_matches(['\0', '\n']);
    words.contains('\0').then(|| words.split('\0').map(str::to_owned).collect())
}

/// The mark with which `cat -v` shows a NUL.
const SHOWN_NUL: &str = "^@";

/// Lines in which each word ends with a shown NUL, as lines of a shell: `/proc/PID/cmdline` as `cat -v` shows it.
fn shown_words(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(SHOWN_NUL) {
        return text;
    }
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        // A program, an option and its value.
        let is_whole = line.matches(SHOWN_NUL).count() >= 3;
        if !is_whole || !flag::is_qemus(&line.replace(SHOWN_NUL, " ")) {
            out += line;
            continue;
        }
        let words = line.trim_end_matches('\n').trim_end_matches(SHOWN_NUL).split(SHOWN_NUL);
        out += &words.map(shell_word).collect::<Vec<_>>().join(" ");
        out.push('\n');
    }
    Cow::Owned(out)
}

/// Most bytes between the marks of such a place: no line makes its reader look through the rest again and again.
const LONGEST_PLACE: usize = 64;

/// The places of a line in which its reader is to put a value of his own, as `host=<IP-A>`: where each is,
/// and its name as a variable's. `id=<id>` is a synopsis.
fn open_places(line: &str) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = line[from..].find('<').map(|at| at + from) {
        from = at + 1;
        let mut near = line[from..].bytes().take(LONGEST_PLACE);
        let Some(length) = near.position(|byte| byte == b'>') else { continue };
        let name = &line[from..from + length];
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let plain = |c: char| c.is_ascii_alphanumeric() || " _-.".contains(c);
        let before = &line[..at];
        let key = before.strip_suffix('=').map(|rest| {
            rest.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
        });
        let in_value = before.ends_with(['=', ':', '/', '-', '_', '.'])
            || before.ends_with(|c: char| c.is_ascii_alphanumeric());
        let is_synopsis = key.is_some_and(|key| key.eq_ignore_ascii_case(name));
        if begins && name.chars().all(plain) && in_value && !is_synopsis {
            let to = from + length + 1;
            let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            found.push((at..to, name));
            from = to;
        }
    }
    found
}

/// Fewest and most letters of a place such as `XX`: six and more are a file's that `mktemp` names.
const LETTERS: std::ops::RangeInclusive<usize> = 2..=4;

/// The places of a line that are nothing but `X`, as `mac=52:54:00:00:XX:01` and `port=90XX`: where each is, and
/// its name.
fn crossed_places(line: &str) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = line[from..].find(['X', 'x']).map(|at| at + from) {
        let letter = &line[at..=at];
        let rest = line[at..].trim_start_matches(letter);
        let to = line.len() - rest.len();
        from = to;
        let before = line[..at].chars().next_back();
        let after = rest.chars().next();
        let is_octet = before == Some(':') && after.is_none_or(|c| !c.is_alphanumeric());
        let is_part = before.is_some_and(|c| ".:=-_".contains(c) || c.is_ascii_digit())
            && after.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let is_place = is_octet || letter == "X" && is_part;
        let word = line[..at].rsplit(char::is_whitespace).next().unwrap_or_default();
        if is_place && LETTERS.contains(&(to - at)) && word.contains('=') {
            found.push((at..to, line[at..to].to_owned()));
        }
    }
    found
}

/// Lines with options and open places, where these are variables that are not set.
fn with_variables(text: Cow<'_, str>) -> Cow<'_, str> {
    let has_marks = text.contains('<') && !text.contains("</");
    if !has_marks && !text.contains("XX") && !text.contains(":xx") {
        return text;
    }
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut from = 0;
        if flag::is_qemus(line) && !line.contains("[,") {
            let places = if has_marks { open_places(line) } else { Vec::new() };
            let places = if places.is_empty() { crossed_places(line) } else { places };
            for (range, name) in places {
                out.push_str(&line[from..range.start]);
                out.push_str(&format!("${{{name}}}"));
                from = range.end;
            }
        }
        out.push_str(&line[from..]);
    }
    Cow::Owned(out)
}

/// What the text has for the variables that stand for its open places: name and text of each.
pub(super) fn written_places(text: &str) -> impl Iterator<Item = (String, &str)> {
    text.lines().flat_map(|line| {
        let places = open_places(line).into_iter().chain(crossed_places(line));
        places.map(|(range, name)| (name, &line[range]))
    })
}

/// Decodes where the text says so, or where it has `=3D`, which nothing else has.
fn quoted_printable(text: &str) -> Cow<'_, str> {
    let says = text.to_lowercase().contains("content-transfer-encoding: quoted-printable");
    if !says && !text.contains("=3D") {
        return Cow::Borrowed(text);
    }
    let robust = quoted_printable::ParseMode::Robust;
    match quoted_printable::decode(text, robust).map(String::from_utf8) {
        Ok(Ok(decoded)) => Cow::Owned(decoded.replace("\r\n", "\n")),
        _ => Cow::Borrowed(text),
    }
}

/// Lines in which a program for texts has set dashes and quotes, as they were typed: `–netdev`,
/// `“...”`, and `\-netdev` of a manual's source.
fn typeset(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(['–', '—', '“', '”', '„', '‘', '’', '\u{a0}']) && !text.contains("\\-")
    {
        return text;
    }
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let typed = line.replace(" –", " -").replace(" —", " -").replace("\\-", "-");
        let typed = typed.replace(['“', '”', '„'], "\"").replace(['‘', '’'], "'");
        let typed = typed.replace('\u{a0}', " ");
        out += if flag::is_qemus(&typed) { &typed } else { line };
    }
    Cow::Owned(out)
}

/// Tags that a text is marked up with. Others may be a synopsis's `<id>`.
const TAGS: &[&str] = &[
    "a",
    "b",
    "blockquote",
    "body",
    "br",
    "cite",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "html",
    "i",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "samp",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
    "tt",
    "u",
    "ul",
];

/// Tags that end a line.
const LINES: &[&str] =
    &["blockquote", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "li", "p", "pre", "tr"];

/// None where there is no entity and no tag.
fn html(text: &str) -> Option<String> {
    let entities = ["&quot;", "&lt;", "&gt;", "&amp;", "&nbsp;", "&#"];
    let escaped = entities.iter().any(|entity| text.contains(entity));
    let lower = text.to_lowercase();
    let marked = ["<pre", "<code", "<br", "<p>", "<html"].iter().any(|tag| lower.contains(tag));
    if libvirt::is_domain(text) || !(escaped || marked) {
        return None;
    }
    let mut out = String::new();
    let mut rest = text;
    // Where a quotation begins that is open.
    let mut quotation: Option<usize> = None;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let length = tag.find('>').filter(|length| *length < 200);
        let name = length.map(|length| tag[1..length].trim_start_matches('/').to_lowercase());
        let name = name.as_deref().unwrap_or_default();
        let name = name.split([' ', '/', '\n']).next().unwrap_or_default();
        match length.filter(|_| TAGS.contains(&name)) {
            Some(length) => {
                if LINES.contains(&name) && !out.ends_with('\n') {
                    out.push('\n');
                }
                match (name, tag.starts_with("</")) {
                    ("blockquote", false) => quotation = Some(out.len()),
                    ("blockquote", true) => aside(&mut out, quotation.take()),
                    _ => {}
                }
                rest = &tag[length + 1..];
            }
            None => {
                out.push('<');
                rest = &tag[1..];
            }
        }
    }
    out.push_str(rest);
    Some(html_escape::decode_html_entities(&out).replace('\u{a0}', " "))
}

/// Marks a quotation without a program as comments: what others wrote of options is no command line.
fn aside(text: &mut String, start: Option<usize>) {
    let Some(start) = start else { return };
    let quoted = text.split_off(start);
    let has_program =
        flag::tokens(&quoted).any(|word| flag::is_program(word) && word.contains("qemu-"));
    match has_program || !text.contains("qemu-system-") {
        true => text.push_str(&quoted),
        false => text.extend(quoted.lines().map(|line| format!("# {line}\n"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a id=3Dhn0,=\nqueue=3Dtx", "a id=hn0,queue=tx")]
    #[case("tap,id=hn0", "tap,id=hn0")]
    #[case("-name &quot;a b&quot; &amp;&amp; x", "-name \"a b\" && x")]
    #[case("<pre>a<br>b</pre><p>c", "\na\nb\nc")]
    #[case(
        "<p><dd>qemu-system-arm -S</dd></dl>x<blockquote>use -net dump</blockquote>",
        "\nqemu-system-arm -S\nx\n# use -net dump\n"
    )]
    #[case(
        "$ cat -v cmdline\n/usr/bin/qemu-kvm^@-netdev^@tap,id=a^@-object^@x,file=it's a b^@\n",
        "$ cat -v cmdline\n/usr/bin/qemu-kvm -netdev tap,id=a -object 'x,file=it'\\''s a b'\n"
    )]
    #[case(
        "qemu-kvm -netdev tap,id=a -chardev socket,id=b,host=<IP-A>,port=<port>",
        "qemu-kvm -netdev tap,id=a -chardev socket,id=b,host=${IP_A},port=<port>"
    )]
    #[case(
        "qemu-kvm -nic user,mac=52:54:00:00:XX:01 -chardev socket,id=b,host=10.0.XX.1,port=90XX",
        "qemu-kvm -nic user,mac=52:54:00:00:${XX}:01 -chardev socket,id=b,host=10.0.${XX}.1,port=90${XX}"
    )]
    #[case(
        "qemu-kvm -nic user,mac=52:54:00:xx:xx:01",
        "qemu-kvm -nic user,mac=52:54:00:${xx}:${xx}:01"
    )]
    #[case("qemu-kvm -nic tap,script=/tmp/a.XXXXXX", "qemu-kvm -nic tap,script=/tmp/a.XXXXXX")]
    #[case("qemu-kvm -netdev tap,id=a < in > out", "qemu-kvm -netdev tap,id=a < in > out")]
    #[case("press ^@ -netdev", "press ^@ -netdev")]
    #[case("-netdev tap,id=<id>", "-netdev tap,id=<id>")]
    #[case("“qemu-system-x86_64 –nic user” – so", "\"qemu-system-x86_64 -nic user\" - so")]
    #[case("qemu\\-system\\-x86_64 \\-nic user", "qemu-system-x86_64 -nic user")]
    #[case("a – b", "a – b")]
    #[case("<domain>&quot;</domain>", "<domain>&quot;</domain>")]
    fn texts_are_decoded(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(decode(text), expected);
    }

    #[test]
    fn words_end_with_nul() {
        assert_eq!(words("a\0b c\0"), Some(vec!["a".to_owned(), "b c".to_owned()]));
        assert_eq!(words("a b"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_decoded(text in "[a-c<>&;=3D#x\\n \"/é]{0,60}") {
            decode(&text);
        }
    }
}
