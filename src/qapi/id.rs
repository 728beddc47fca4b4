//! The ids of QEMU's objects, netdevs and chardevs: what is one, and what QEMU says of a text that is
//! not.

/// QEMU's text for an id that is not well-formed (QEMU 7.2.22 and 10.2.2, measured).
pub(crate) const BAD_ID: &str = "Parameter 'id' expects an identifier";

/// Whether QEMU takes a text as an id (`id_wellformed`, QEMU 10.2.2 `util/id.c`).
pub(crate) fn id_wellformed(id: &str) -> bool {
    let mut chars = id.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("hn0", true)]
    #[case("a.b-c_d", true)]
    #[case("", false)]
    #[case("0a", false)]
    #[case("_a", false)]
    #[case("a b", false)]
    #[case("ä", false)]
    fn an_id_begins_with_a_letter(#[case] id: &str, #[case] expected: bool) {
        assert_eq!(id_wellformed(id), expected);
    }
}
