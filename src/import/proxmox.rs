//! Configurations of Proxmox VE's machines, as `qm config` prints them and `/etc/pve/qemu-server` has them: each as
//! the command line that `qm start` makes of its `args`, its name and its NICs.

use crate::qapi::Options;

/// Keys of such a configuration. One alone may be any file's.
const KEYS: &[&str] = &[
    "agent", "args", "bios", "boot", "bootdisk", "cores", "cpu", "machine", "memory", "meta",
    "name", "numa", "onboot", "ostype", "scsihw", "smbios1", "sockets", "vmgenid",
];

/// Fewest keys of a configuration.
const LEAST: usize = 3;

/// The models of NICs that Proxmox calls otherwise than QEMU.
const MODELS: &[(&str, &str)] =
    &[("virtio", "virtio-net-pci"), ("rtl8139", "rtl8139"), ("vmxnet3", "vmxnet3")];

/// A text in which each configuration stands below its command line, without `args`; and what is to be said of
/// each NIC. None where there is no configuration.
pub(super) fn with_command_lines(text: &str) -> Option<(String, Vec<String>)> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut out, mut remarks, mut is_any) = (String::new(), Vec::new(), false);
    let mut number = None;
    let mut at = 0;
    while at < lines.len() {
        number = number_in(lines[at]).or(number);
        let length = lines[at..].iter().take_while(|line| setting(line).is_some()).count();
        let config = &lines[at..at + length];
        let known = config.iter().filter_map(|line| setting(line));
        let count = known.clone().filter(|(key, _)| KEYS.contains(key)).count();
        // What `qm showcmd` prints, or `ps`, is the command line itself.
        let is_shown = number.is_some_and(|number| text.contains(&format!("-id {number} ")));
        let is_config = count >= LEAST && known.clone().any(|(key, _)| is_of_net(key));
        if length == 0 || !is_config || is_shown {
            out += &format!("{}\n", lines[at]);
            at += 1;
            continue;
        }
        out += &command_line(config, number.take(), &mut remarks);
        for line in config.iter().filter(|line| !line.trim_start().starts_with("args:")) {
            out += &format!("{line}\n");
        }
        out.push('\n');
        (at, is_any) = (at + length, true);
    }
    is_any.then_some((out, remarks))
}

/// `key: value`, and a comment at the head of the file.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_end();
    if let Some(comment) = line.strip_prefix('#').filter(|comment| !comment.starts_with([' ', '!']))
    {
        return Some(("#", comment));
    }
    let (key, value) = line.split_once(':')?;
    let is_key = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    (is_key && value.starts_with(' ')).then(|| (key, value.trim()))
}

/// Whether a key has options of QEMU's, or is a NIC.
fn is_of_net(key: &str) -> bool {
    key == "args" || nic_number(key).is_some()
}

fn nic_number(key: &str) -> Option<u32> {
    key.strip_prefix("net")?.parse().ok()
}

/// The machine's number in the line of a shell that prints its configuration, or in a heading of it.
fn number_in(line: &str) -> Option<&str> {
    let name = ["qemu-server/", "qm config ", "qm showcmd ", "VM "].iter().find_map(|mark| {
        let at = line.find(mark)? + mark.len();
        Some(&line[at..])
    });
    let name = name.or_else(|| line.trim().strip_suffix(".conf:"))?;
    let end = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    (end > 1).then(|| &name[..end])
}

fn command_line(config: &[&str], number: Option<&str>, remarks: &mut Vec<String>) -> String {
    let value = |key: &str| {
        let mut settings = config.iter().filter_map(|line| setting(line));
        settings.find(|(other, _)| *other == key).map(|(_, value)| value)
    };
    let mut line = "qemu-system-x86_64".to_owned();
    line += &number.map(|number| format!(" -id {number}")).unwrap_or_default();
    let name = value("name").map(str::to_owned).or_else(|| Some(format!("vm{}", number?)));
    line += &name.as_ref().map(|name| format!(" -name {name}")).unwrap_or_default();
    line += &value("args").map(|args| format!(" {args}")).unwrap_or_default();
    for (key, nic) in config.iter().filter_map(|line| setting(line)) {
        let Some(count) = nic_number(key) else { continue };
        let options = Options::read(nic, "model");
        let Some(first) = options.elements().first().filter(|first| first.key != "model") else {
            continue;
        };
        let (model, mac) = (first.key.as_str(), &first.value);
        let model =
            MODELS.iter().find(|(name, _)| *name == model).map_or(model, |(_, model)| model);
        let ifname = number.map(|number| format!(",ifname=tap{number}i{count}"));
        line += &format!(
            " -netdev tap,id={key}{} -device {model},id={key},netdev={key},mac={mac}",
            ifname.unwrap_or_default()
        );
        let of = name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        remarks.push(format!("{of}{key} is the TAP that Proxmox makes of `{key}: {nic}`"));
    }
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_a_command_line() {
        let text = "# cat /etc/pve/qemu-server/104.conf\n#shop\nargs: -object x,id=a\ncores: 4\nname: shop\n\
                    net0: virtio=BC:24:11:5E:01:04,bridge=vmbr0\nostype: l26\n# qm list\n";
        let expected = "# cat /etc/pve/qemu-server/104.conf\nqemu-system-x86_64 -id 104 -name shop -object x,id=a \
                        -netdev tap,id=net0,ifname=tap104i0 -device \
                        virtio-net-pci,id=net0,netdev=net0,mac=BC:24:11:5E:01:04\n#shop\ncores: 4\nname: shop\n\
                        net0: virtio=BC:24:11:5E:01:04,bridge=vmbr0\nostype: l26\n\n# qm list\n";
        let (text, remarks) = with_command_lines(text).unwrap();
        assert_eq!(text, expected);
        assert_eq!(remarks.len(), 1);
    }

    #[test]
    fn other_lists_are_left() {
        assert_eq!(with_command_lines("name: a\nnet: b\nmemory: 3\n"), None);
        assert_eq!(with_command_lines("args: -nic user\nuser: a\n"), None);
        let shown = "# qm config 104\nargs: -nic user\ncores: 4\nname: a\n# qm showcmd 104\nkvm -id 104 -nic user\n";
        assert_eq!(with_command_lines(shown), None);
    }
}
