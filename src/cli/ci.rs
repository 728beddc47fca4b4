//! Whether the process runs in CI. `run` asks before it writes snapshots.

use std::ffi::OsStr;

/// Whether the process runs in a continuous integration: the variable `CI` is set, and to something
/// other than nothing and `false`, as GitHub, GitLab and others set it.
pub(super) fn is_ci() -> bool {
    means_ci(std::env::var_os("CI").as_deref())
}

fn means_ci(value: Option<&OsStr>) -> bool {
    value.is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, false)]
    #[case(Some(""), false)]
    #[case(Some("false"), false)]
    #[case(Some("0"), false)]
    #[case(Some("true"), true)]
    #[case(Some("1"), true)]
    fn the_variable_says_it(#[case] value: Option<&str>, #[case] expected: bool) {
        assert_eq!(means_ci(value.map(OsStr::new)), expected);
    }
}
