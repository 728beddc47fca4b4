//! Programs that were started, as strace and the kernel's audit write them.

/// The words of a call that a line has: `31879 execve("/usr/bin/q", ["q", "-S"], 0x7ff... /* 31 vars */) = 0`.
fn execve(line: &str) -> Option<Vec<String>> {
    let (_, call) = line.split_once("execve(\"")?;
    let list = &call[call.find("\", [")? + 3..];
    let mut values = serde_json::Deserializer::from_str(list).into_iter::<Vec<String>>();
    values.next()?.ok()
}

/// The words of a program that a line shows to be started: by strace, or by the kernel's audit.
pub(super) fn started(line: &str) -> Option<Vec<String>> {
    execve(line).or_else(|| audited(line))
}

/// `type=EXECVE ... argc=2 a0="qemu" a1=2D53`: an argument with blanks or quotes is in hexadecimal
/// (audit-userspace, `auparse`).
fn audited(line: &str) -> Option<Vec<String>> {
    let (_, rest) = line.split_once("type=EXECVE")?.1.split_once(" argc=")?;
    let mut words = Vec::new();
    for word in rest.split_whitespace().skip(1) {
        let (name, value) = word.split_once('=')?;
        if name.strip_prefix('a').and_then(|number| number.parse::<usize>().ok())
            != Some(words.len())
        {
            break;
        }
        words.push(match value.strip_prefix('"') {
            Some(text) => text.trim_end_matches('"').to_owned(),
            None => hexadecimal(value)?,
        });
    }
    (!words.is_empty()).then_some(words)
}

fn hexadecimal(text: &str) -> Option<String> {
    let bytes =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
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

    #[test]
    fn the_audit_names_arguments() {
        let line =
            "type=EXECVE msg=audit(1.2:3): argc=3 a0=\"qemu-system-arm\" a1=\"-append\" a2=612062";
        assert_eq!(started(line).unwrap(), ["qemu-system-arm", "-append", "a b"]);
        assert_eq!(started("type=SYSCALL a0=55b1"), None);
    }
}
