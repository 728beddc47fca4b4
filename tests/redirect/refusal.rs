//! What is refused, in QEMU's and the RFC's words, with its exit code.

use tapwright::sys::TapHeader;

use crate::{Try, lab::Lab};

pub(crate) const TRIALS: &[(&str, Try)] = &[
    ("texts_and_exit_codes", texts_and_exit_codes),
    ("a_served_socket_is_not_taken_over", a_served_socket_is_not_taken_over),
];

fn texts_and_exit_codes(lab: &Lab) {
    let _tap = lab.tap("tap0", TapHeader::None);
    let nowhere = lab.path("nowhere");
    let nowhere = format!("unix:{}", nowhere.display());
    let a = nowhere.as_str();
    let rows: &[(&[&str], i32, &str)] = &[
        (
            &[],
            2,
            "filter redirector needs 'indev', 'outdev', 'in_netdev' or 'out_netdev' at least one property set",
        ),
        (
            &["--in-netdev", "tap0", "--indev", a],
            2,
            "'in_netdev' and 'indev' are mutually exclusive for filter redirector",
        ),
        (
            &["--in-netdev", "tap0", "--outdev", a, "--out-netdev", "tap1"],
            2,
            "'out_netdev' and 'outdev' are mutually exclusive for filter redirector",
        ),
        (
            &["--indev", a, "--outdev", a],
            2,
            "'indev' and 'outdev' could not be same for filter redirector",
        ),
        (&["--in-netdev", "tap9", "--outdev", a], 2, "IN netdev 'tap9' not found"),
        (&["--in-netdev", "tap0", "--out-netdev", "tap9"], 2, "OUT netdev 'tap9' not found"),
        (&["--in-netdev", "lo", "--outdev", a], 2, "IN netdev 'lo' is not a TAP"),
        (
            &["--in-netdev", "tap0", "--outdev", a, "--queue", "up"],
            2,
            "Parameter 'queue' does not accept value 'up'",
        ),
        (&["--in-netdev", "tap0", "--outdev", "pty:x"], 2, "it begins with neither unix: nor tcp:"),
        (&["--in-netdev", "tap0"], 2, "nothing says where frames go"),
        (&["--in-netdev", "tap0", "--outdev", a], 1, "No such file or directory"),
        (&["--in-netdev", "tap0", "--outdev", a, "--netns", "no-such"], 3, "/run/netns/no-such"),
        (
            &["--in-netdev", "tap0", "--outdev", &format!("{a},server"), "--user", "no such"],
            3,
            "user 'no such'",
        ),
    ];
    for (arguments, expected, text) in rows {
        let (code, counters, said) = lab.start(arguments).ended();
        assert_eq!(code, Some(*expected), "{arguments:?}: {said}");
        // A long line is folded.
        let said = said.replace("\n  | ", " ");
        assert!(said.contains(text), "{arguments:?}: {said}");
        assert!(counters.is_null(), "{arguments:?}: {counters}");
    }
}

fn a_served_socket_is_not_taken_over(lab: &Lab) {
    let _tap = lab.tap("tap0", TapHeader::None);
    let path = lab.path("served");
    let outdev = format!("unix:{},server", path.display());
    let arguments = ["--in-netdev", "tap0", "--outdev", &outdev];
    let first = lab.redirect(&arguments);
    let (code, _, said) = lab.start(&arguments).ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("another process has this"), "{said}");
    assert!(path.exists(), "it still serves");
    first.end();
    assert!(!path.exists(), "its name goes with it");
}
