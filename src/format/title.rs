//! A step's title as the text of a section has it, read back: the text has no other word of what
//! the step did. Nothing but the reader of a section asks here; a record has its deeds as data.

use crate::{base::PortId, record::Deed};

/// What ends a port's name in a title: `send hn0.guest, burst`.
const ENDS: [char; 2] = [' ', ','];

/// What a step of this title did.
pub(crate) fn deed(title: &str) -> Deed {
    let Some((verb, rest)) = title.split_once(' ') else {
        return Deed::Other;
    };
    let (port, options) = rest.split_at(rest.find(ENDS).unwrap_or(rest.len()));
    let port = PortId::from(port);
    match verb {
        "send" => Deed::Sends(port),
        "write" => Deed::Writes(port),
        "chardev-close" if options != HALF => Deed::Closes(port),
        _ => Deed::Other,
    }
}

/// The client closes only its sending side, and goes on to read.
const HALF: &str = ", half";

/// Whether a title says this port's name to the end, so that [`deed`] reads it back.
pub(super) fn says_whole(port: &PortId) -> bool {
    !port.as_str().contains(ENDS)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("send hn0.guest", Deed::Sends("hn0.guest".into()))]
    #[case("send hn0.guest, burst, 3 B at a time", Deed::Sends("hn0.guest".into()))]
    #[case("write out0, 1 B at a time", Deed::Writes("out0".into()))]
    #[case("chardev-close out0", Deed::Closes("out0".into()))]
    #[case("chardev-close out0, half", Deed::Other)]
    #[case("chardev-open out0", Deed::Other)]
    #[case("note send hn0.guest", Deed::Other)]
    #[case("send", Deed::Other)]
    fn a_title_says_what_the_step_did(#[case] title: &str, #[case] expected: Deed) {
        assert_eq!(deed(title), expected);
    }
}
