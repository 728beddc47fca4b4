//! Calls of `execve` as strace writes them.

/// The words of a call that a line has: `31879 execve("/usr/bin/q", ["q", "-S"], 0x7ff... /* 31 vars */) = 0`.
pub(super) fn execve(line: &str) -> Option<Vec<String>> {
    let (_, call) = line.split_once("execve(\"")?;
    let list = &call[call.find("\", [")? + 3..];
    let mut values = serde_json::Deserializer::from_str(list).into_iter::<Vec<String>>();
    values.next()?.ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "31 execve(\"/q\", [\"q\", \"-netdev\", \"tap,id=a\"], 0x7f /* 3 vars */) = 0",
        "q -netdev tap,id=a"
    )]
    #[case("[pid 3] 10:00:00.1 execve(\"/q\", [\"q\"], [\"A=b\"]) = 0", "q")]
    #[case("31 openat(AT_FDCWD, \"/q\") = 3", "none")]
    fn a_call_has_words(#[case] line: &str, #[case] expected: &str) {
        let words = execve(line).map(|words| words.join(" "));
        assert_eq!(words.as_deref().unwrap_or("none"), expected);
    }
}
