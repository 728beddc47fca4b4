//! QEMU's options: which take a value (QEMU 10.2.2 and 7.2.22, `qemu-options.hx`, and names that
//! older versions had).

use super::netdev;
use crate::qapi::{Element, Options};

const ALONE: &[&str] = &[
    "S",
    "alt-grab",
    "async-teardown",
    "ctrl-grab",
    "curses",
    "daemonize",
    "enable-fips",
    "enable-kvm",
    "enable-sync-profile",
    "full-screen",
    "h",
    "help",
    "localtime",
    "mem-prealloc",
    "no-acpi",
    "no-fd-bootchk",
    "no-frame",
    "no-hax",
    "no-hpet",
    "no-kvm",
    "no-kvm-irqchip",
    "no-kvm-pit",
    "no-kvm-pit-reinjection",
    "no-quit",
    "no-reboot",
    "no-shutdown",
    "no-user-config",
    "nodefaults",
    "nodefconfig",
    "nographic",
    "old-param",
    "only-migratable",
    "portrait",
    "preconfig",
    "rtc-td-hack",
    "s",
    "sdl",
    "semihosting",
    "show-cursor",
    "singlestep",
    "snapshot",
    "usb",
    "version",
    "win2k-hack",
    "xen-attach",
    "xen-domid-restrict",
];

/// Options that take a value.
const WITH_VALUE: &[&str] = &[
    "D",
    "G",
    "L",
    "M",
    "accel",
    "action",
    "add-fd",
    "append",
    "audio",
    "audiodev",
    "balloon",
    "bios",
    "blockdev",
    "boot",
    "cdrom",
    "chardev",
    "chroot",
    "clock",
    "compat",
    "cpu",
    "d",
    "debugcon",
    "device",
    "dfilter",
    "display",
    "drive",
    "dtb",
    "dump-vmstate",
    "echr",
    "fda",
    "fdb",
    "fsdev",
    "fw_cfg",
    "g",
    "gdb",
    "global",
    "hda",
    "hdb",
    "hdc",
    "hdd",
    "icount",
    "incoming",
    "initrd",
    "iscsi",
    "k",
    "kernel",
    "loadvm",
    "m",
    "machine",
    "mem-path",
    "mon",
    "monitor",
    "msg",
    "mtdblock",
    "name",
    "net",
    "netdev",
    "nic",
    "numa",
    "object",
    "option-rom",
    "overcommit",
    "p",
    "parallel",
    "perfmap",
    "pflash",
    "pidfile",
    "plugin",
    "prom-env",
    "qmp",
    "qmp-pretty",
    "qtest",
    "qtest-log",
    "readconfig",
    "rotate",
    "rtc",
    "run-with",
    "runas",
    "sandbox",
    "sd",
    "seed",
    "semihosting-config",
    "serial",
    "set",
    "smbios",
    "smp",
    "soundhw",
    "spice",
    "startdate",
    "t",
    "tb-size",
    "tpmdev",
    "trace",
    "usbdevice",
    "uuid",
    "vga",
    "virtfs",
    "virtioconsole",
    "vnc",
    "watchdog",
    "watchdog-action",
    "writeconfig",
    "xen-domid",
];

/// Those that a scenario is made of.
const NET: &[&str] = &["chardev", "net", "netdev", "nic", "object", "readconfig"];

/// The option's name, of `-name` or `--name`.
pub(super) fn name(word: &str) -> Option<&str> {
    let rest = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    (!rest.is_empty() && !rest.starts_with('-')).then_some(rest)
}

/// Whether the word after this one is its value. A name that isn't known takes one.
pub(super) fn takes_value(name: &str) -> bool {
    !ALONE.contains(&name)
}

/// Whether a word is an option of QEMU's.
pub(super) fn is_option(word: &str) -> bool {
    name(word).is_some_and(|name| ALONE.contains(&name) || WITH_VALUE.contains(&name))
}

/// Whether a word is an option that a scenario is made of.
pub(super) fn is_net(word: &str) -> bool {
    name(word).is_some_and(is_net_name)
}

/// Whether an option of this name is one that a scenario is made of.
pub(super) fn is_net_name(name: &str) -> bool {
    NET.contains(&name)
}

/// Whether something in a text is QEMU's: a program of its, or an option of the net layer.
pub(super) fn is_qemus(text: &str) -> bool {
    // `(qemu)` is a prompt.
    let is_program = |word: &str| is_program(word) && word.contains("qemu-");
    tokens(text).any(|word| is_program(word) || is_net(word) || word == "-device")
}

/// The words of any text, without what quotes and joins them.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let between = |c: char| c.is_whitespace() || "\"'`()[]{}<>;|&,=\\".contains(c);
    text.split(between).filter(|word| !word.is_empty())
}

/// Whether a word can be the value of such an option, and not prose after its name.
pub(super) fn is_value(name: &str, value: &str) -> bool {
    let open = value.contains("${") || value.starts_with(['$', '%', '{', '@']);
    let options = Options::read(value, "kind");
    let kind = options.elements().first().map(|first| first.value.as_str()).unwrap_or_default();
    match name {
        "net" | "nic" => {
            open || value.contains('=')
                || ["nic", "none"].contains(&kind)
                || netdev::KINDS.contains(&kind)
        }
        "readconfig" => true,
        _ => open || value.contains('='),
    }
}

/// Whether a value is a synopsis: it says what may stand there.
pub(super) fn is_synopsis(value: &str) -> bool {
    let marks = ["[,", "[=", "[:", "=<", "...", ",[", "]["];
    let named = |element: &Element| {
        element.key == "id"
            && matches!(element.value.as_str(), "id" | "ID" | "str" | "string" | "name")
            || value.contains('|') && !value.contains("${")
    };
    marks.iter().any(|mark| value.contains(mark))
        && !value.starts_with('{')
        && !value.contains("${")
        || Options::read(value, "kind").elements().iter().any(named)
}

/// Whether a word is an option that waits for its value.
pub(super) fn is_open(word: &str) -> bool {
    name(word).is_some_and(|name| WITH_VALUE.contains(&name))
}

/// Whether a word is a program that takes QEMU's options.
pub(super) fn is_program(word: &str) -> bool {
    let base = word.rsplit(['/', '\\']).next().unwrap_or(word);
    let base = base.strip_suffix(".exe").unwrap_or(base);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    let named = base.strip_prefix("qemu-system-").is_some_and(|rest| !rest.is_empty());
    base.chars().all(plain) && (named || matches!(base, "qemu" | "qemu-kvm" | "qemu-dm" | "kvm"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("qemu-system-x86_64", true)]
    #[case("./build/qemu-system-x86_64", true)]
    #[case("C:\\Program Files\\qemu\\qemu-system-x86_64.exe", true)]
    #[case("qemu-system-x86_64:", false)]
    #[case("/usr/libexec/qemu-kvm", true)]
    #[case("qemu.log", false)]
    #[case("qemu-img", false)]
    fn programs_are_known_by_name(#[case] word: &str, #[case] expected: bool) {
        assert_eq!(is_program(word), expected);
    }

    #[test]
    fn no_option_is_of_both_kinds() {
        assert!(ALONE.iter().all(|name| !WITH_VALUE.contains(name)));
        assert!(NET.iter().all(|name| WITH_VALUE.contains(name)));
    }
}
