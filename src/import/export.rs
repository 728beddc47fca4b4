//! The way back: a scenario as the command lines of its machines and the QMP commands of its steps.
//! What only the scenario has, such as what is sent, stands in comments.

use serde_json::{Map, Value, json};

use super::{chardev, machine::shown};
use crate::{qapi::Options, scenario::QMP_VERBS, terminal::visible};

/// Keys of netdevs and chardevs that are not QEMU's.
const OWN: &[&str] = &[
    "netns",
    "mac",
    "host_mac",
    "address",
    "mtu",
    "nic",
    "vnet_hdr_len",
    "guest",
    "connected",
    "framing",
];

/// The text of a scenario's tree without a matrix: shell commands, then QMP, for each machine.
#[must_use]
pub fn export(tree: &Value) -> String {
    let steps = tree.get("steps").and_then(Value::as_array);
    let steps = steps.map_or(&[][..], Vec::as_slice);
    let machines = tree.get("machines").and_then(Value::as_object);
    let mut out = refusals(tree);
    match machines {
        None => out += &(machine(None, tree, steps) + &commands(steps)),
        Some(machines) => {
            let lines = machines.iter().map(|(name, parts)| machine(Some(name), parts, steps));
            out += &lines.collect::<Vec<_>>().join("\n");
            let names: Vec<&str> = machines.keys().map(String::as_str).collect();
            out += &commands_of(&names, steps);
        }
    }
    out
}

/// The objects that QEMU is expected to refuse: it will not start.
fn refusals(tree: &Value) -> String {
    let errors = tree.pointer("/expect/error").and_then(Value::as_object);
    let text = |error: &Value| {
        let text = error.get("text").unwrap_or(error).as_str();
        text.unwrap_or_default().to_owned()
    };
    let mut lines = String::new();
    for (id, error) in errors.into_iter().flatten() {
        lines += &comment(&format!("QEMU is to refuse {id}: {}", text(error)));
    }
    lines
}

fn machine(name: Option<&str>, parts: &Value, steps: &[Value]) -> String {
    let mut lines = vec!["qemu-system-x86_64 -nodefaults -display none -qmp stdio".to_owned()];
    if let Some(name) = name {
        lines[0] += &format!(" -name {}", word(name));
    }
    let is_set = |key| parts.get(key).is_some_and(is_on);
    if is_set("stopped") {
        lines.push("-S".to_owned());
    }
    if is_set("incoming") {
        lines.push("-incoming defer".to_owned());
    }
    // What announces itself by name has one.
    let named = steps.iter().any(|step| step.pointer("/announce-self/interfaces").is_some());
    let mut remarks = Vec::new();
    for netdev in declared(parts.get("netdevs"), "type") {
        let (text, nic) = netdev_options(netdev, named, &mut remarks);
        lines.push(format!("-netdev {}", word(&text)));
        lines.extend(nic.map(|nic| format!("-device {}", word(&nic))));
    }
    for chardev in declared(parts.get("chardevs"), "backend") {
        lines.push(format!("-chardev {}", word(&chardev_options(name, chardev))));
    }
    let objects = parts.get("objects").and_then(Value::as_array);
    for object in objects.into_iter().flatten() {
        let text = match object {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push(format!("-object {}", word(&text)));
    }
    let mut out = String::new();
    for remark in remarks {
        out += &comment(&remark);
    }
    out += &lines.join(" \\\n  ");
    out.push('\n');
    out
}

/// The options of what is declared in a list of strings, or in a map under the ids.
fn declared(value: Option<&Value>, implied: &'static str) -> Vec<Options> {
    let text = |text: &str| Options::read(text, implied).without_empty();
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(text).collect(),
        Some(Value::Object(map)) => map
            .iter()
            .map(|(id, value)| {
                let mut options = match value {
                    Value::String(string) => text(string),
                    Value::Object(map) => Options::of_json(map, implied),
                    _ => Options::default(),
                };
                if options.get(implied).is_none() {
                    let default = if implied == "type" { "tap" } else { "socket" };
                    options.insert(0, Options::read(default, implied));
                }
                if options.id().is_none() {
                    options.insert(1, Options::read(&format!("id={id}"), "id"));
                }
                options
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A netdev, and the NIC of the guest in front of a TAP.
fn netdev_options(
    mut netdev: Options,
    named: bool,
    remarks: &mut Vec<String>,
) -> (String, Option<String>) {
    let id = netdev.id().unwrap_or_default().to_owned();
    // Only a virtio NIC has vhost.
    let vhost = netdev.is_on("vhost");
    let driver = match netdev.get("nic") {
        Some("virtio") => "virtio-net-pci",
        None if vhost => "virtio-net-pci",
        _ => "e1000",
    };
    let mut nic = format!("{driver},netdev={id}");
    if named {
        nic += &format!(",id={id}.guest");
    }
    if let Some(mac) = netdev.get("mac") {
        nic += &format!(",mac={mac}");
    }
    let keys: Vec<String> = netdev.keys();
    for key in keys {
        let is_own = OWN.contains(&key.split('.').next().unwrap_or(&key));
        if is_own
            && let Some(raw) = netdev.remove(&key)
            && !matches!(key.as_str(), "nic" | "mac")
        {
            remarks.push(format!("{id} of the scenario: {raw}"));
        }
    }
    let is_tap = netdev.get("type") == Some("tap");
    (netdev.text(), is_tap.then_some(nic))
}

/// A flag in any of the forms that YAML and QEMU have.
fn is_on(value: &Value) -> bool {
    value == &Value::Bool(true) || value.as_str() == Some("on")
}

/// The source's or the destination's part of `migrate`, over a socket that both know; none for other
/// machines.
fn migration(name: Option<&str>, step: &Value) -> Option<Value> {
    let side = |key| step.get(key).and_then(Value::as_str);
    let (from, to) = (side("from")?, side("to")?);
    let uri = format!("unix:{from}-{to}.sock");
    let command = match name? {
        name if name == to => "migrate-incoming",
        name if name == from => "migrate",
        _ => return None,
    };
    Some(json!({ "execute": command, "arguments": { "uri": uri } }))
}

/// A chardev without an address has one here, and those of two machines are not the same.
fn chardev_options(machine: Option<&str>, mut chardev: Options) -> String {
    for key in OWN {
        chardev.remove(key);
    }
    let has_address = ["path", "host", "fd"].iter().any(|key| chardev.get(key).is_some());
    if chardev.get("backend") == Some("socket") && !has_address {
        let id = chardev.id().unwrap_or_default();
        let mut made = chardev::made_up(id);
        if let Some(machine) = machine {
            made.set("path", &format!("{machine}-{id}.sock"));
        }
        return made.text();
    }
    chardev.text()
}

const CAPABILITIES: &str = "{\"execute\": \"qmp_capabilities\"}\n";

/// The commands of the only machine's steps, the others in comments.
fn commands(steps: &[Value]) -> String {
    let lines: Vec<String> = steps.iter().filter_map(|step| command(None, step)).collect();
    let mut out = String::new();
    if !lines.is_empty() {
        out.push('\n');
    }
    if lines.iter().any(|line| !line.starts_with('#')) {
        out += CAPABILITIES;
    }
    out + &lines.iter().map(|line| format!("{line}\n")).collect::<String>()
}

/// The commands of several machines in the order of the steps, below headings that name the machine.
fn commands_of(names: &[&str], steps: &[Value]) -> String {
    let mut out = String::new();
    let (mut begun, mut current): (Vec<&str>, Option<&str>) = (Vec::new(), None);
    for step in steps {
        // A migration begins at the destination, which has to wait before the guest is sent.
        let to = step.pointer("/migrate/to").and_then(Value::as_str);
        let order = to.into_iter().chain(names.iter().copied().filter(|name| Some(*name) != to));
        let mut is_shown = false;
        for name in order {
            let Some(text) = command(Some(name), step) else {
                continue;
            };
            // What is no command is a comment for all machines, and stands once.
            if text.starts_with('#') {
                if !is_shown {
                    out += &format!("\n{text}\n");
                }
                (is_shown, current) = (true, None);
                continue;
            }
            if current != Some(name) {
                out += &format!("\n# on {name}:\n");
                current = Some(name);
            }
            if !begun.contains(&name) {
                out += CAPABILITIES;
                begun.push(name);
            }
            out += &format!("{text}\n");
        }
    }
    out
}

/// A step in QMP, or a comment; none where it is another machine's.
fn command(name: Option<&str>, step: &Value) -> Option<String> {
    let of = step.get("machine").and_then(Value::as_str);
    let (verb, value) = match step {
        Value::String(verb) => (verb.as_str(), &Value::Null),
        Value::Object(map) => map
            .iter()
            .find(|(key, _)| !matches!(key.as_str(), "machine" | "error"))
            .map(|(verb, value)| (verb.as_str(), value))?,
        _ => return None,
    };
    if !QMP_VERBS.contains(&verb) && verb != "migrate" {
        let target = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut text = format!("{verb} {}", target.replace('\n', " "));
        // What stands beside the verb: `up: false` of a link.
        for (key, value) in step.as_object().into_iter().flatten() {
            let is_plain = !value.is_array() && !value.is_object();
            if key != verb && is_plain {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text += &format!(" {key}={value}");
            }
        }
        return Some(comment(&text).trim_end_matches('\n').to_owned());
    }
    if of != name && verb != "migrate" {
        return None;
    }
    let message = match (verb, value) {
        ("migrate", value) => migration(name, value)?,
        // A string has the rules and the texts of the human monitor's command.
        ("object-add", Value::String(text)) => json!({
            "execute": "human-monitor-command",
            "arguments": { "command-line": format!("object_add {}", plain(text)) },
        }),
        (_, Value::String(id)) => json!({ "execute": verb, "arguments": { "id": id } }),
        (_, Value::Object(args)) => {
            let args: Map<String, Value> = args.clone();
            json!({ "execute": verb, "arguments": args })
        }
        _ => json!({ "execute": verb }),
    };
    // It is the source that refuses to send its guest.
    let is_asked = verb != "migrate" || value.get("from").and_then(Value::as_str) == name;
    let error = step.get("error").filter(|_| is_asked).map(|error| {
        let member = |key: &str| error.get(key).and_then(Value::as_str);
        let class = member("class").map(|class| format!(" ({class})")).unwrap_or_default();
        let text = member("text").or(error.as_str()).unwrap_or_default();
        comment(&format!("is refused{class}: {text}")).trim_end().to_owned()
    });
    let error = error.map(|error| format!("\n{error}")).unwrap_or_default();
    Some(format!("{message}{error}"))
}

/// A line that a shell passes over, whatever the text is: a newline in it would begin a command.
fn comment(text: &str) -> String {
    format!("# {}\n", visible(text))
}

/// The text that a scenario's string stands for.
fn plain(text: &str) -> String {
    text.replace("$${", "${")
}

/// A word of a shell. References that nothing has filled are the shell's variables.
fn word(text: &str) -> String {
    let text_of = plain(text);
    if text.replace("$${", "").contains("${") {
        let escaped = text_of.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("\"{}\"", escaped.replace('`', "\\`"));
    }
    if text_of.contains(['$', '[', '{']) {
        return format!("'{}'", text_of.replace('\'', "'\\''"));
    }
    shown(&text_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_strings_and_steps_are_qemus() {
        let tree = json!({
            "netdevs": { "hn0": { "type": "tap", "vhost": true, "nic": "virtio", "mtu": 9000 } },
            "chardevs": { "out0": {}, "in0": "socket,path=/a b" },
            "objects": [{ "qom-type": "filter-mirror", "id": "m0", "vnet_hdr_support": true }],
            "steps": [
                { "send": "hn0.guest", "frames": [] },
                { "object-del": "m0", "error": "no" },
                { "object-add": "filter-mirror,id=m0" },
                "stop",
            ],
        });
        let expected = "\
# hn0 of the scenario: mtu=9000
qemu-system-x86_64 -nodefaults -display none -qmp stdio \\
  -netdev tap,id=hn0,vhost=on \\
  -device virtio-net-pci,netdev=hn0 \\
  -chardev socket,id=out0,path=out0.sock,server=on,wait=off \\
  -chardev 'socket,id=in0,path=/a b' \\
  -object '{\"qom-type\":\"filter-mirror\",\"id\":\"m0\",\"vnet_hdr_support\":true}'

{\"execute\": \"qmp_capabilities\"}
# send hn0.guest
{\"execute\":\"object-del\",\"arguments\":{\"id\":\"m0\"}}
# is refused: no
{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"object_add filter-mirror,id=m0\"}}
{\"execute\":\"stop\"}
";
        assert_eq!(export(&tree), expected);
    }

    #[test]
    fn what_stands_beside_a_verb_is_said() {
        let tree = json!({
            "machines": { "a": { "netdevs": { "hn0": { "vhost": true } }, "chardevs": { "c": {} } } },
            "steps": [
                { "link-set": "a/hn0.host", "up": false },
                { "link-set": "a/hn0.host", "mtu": 1300 },
                { "client": { "from": "hn0.host" }, "send": "GET / HTTP/1.0\r\n\r\n" },
            ],
        });
        let text = export(&tree);
        for expected in [
            "# link-set a/hn0.host up=false\n",
            "# link-set a/hn0.host mtu=1300\n",
            "send=GET / HTTP/1.0\\r\\n\\r\\n\n",
            "-netdev tap,id=hn0,vhost=on \\\n  -device virtio-net-pci,netdev=hn0",
            "-chardev socket,id=c,path=a-c.sock,server=on,wait=off",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn a_migration_is_two_commands() {
        let tree = json!({
            "machines": {
                "a": { "stopped": true, "netdevs": { "hn0": {} } },
                "b": { "incoming": true, "stopped": "on", "netdevs": { "hn0": {} } },
                "c": {},
            },
            "steps": [
                { "migrate": { "from": "a", "to": "b" } },
                { "announce-self": { "initial": 1, "interfaces": ["hn0.guest"] }, "machine": "b" },
            ],
        });
        let expected = "\
qemu-system-x86_64 -nodefaults -display none -qmp stdio -name a \\
  -S \\
  -netdev tap,id=hn0 \\
  -device e1000,netdev=hn0,id=hn0.guest

qemu-system-x86_64 -nodefaults -display none -qmp stdio -name b \\
  -S \\
  -incoming defer \\
  -netdev tap,id=hn0 \\
  -device e1000,netdev=hn0,id=hn0.guest

qemu-system-x86_64 -nodefaults -display none -qmp stdio -name c

# on b:
{\"execute\": \"qmp_capabilities\"}
{\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"unix:a-b.sock\"}}

# on a:
{\"execute\": \"qmp_capabilities\"}
{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:a-b.sock\"}}

# on b:
{\"execute\":\"announce-self\",\"arguments\":{\"initial\":1,\"interfaces\":[\"hn0.guest\"]}}
";
        assert_eq!(export(&tree), expected);
    }

    #[test]
    fn a_text_does_not_leave_its_comment() {
        let text = "a\ntouch /tmp/x\r\u{1b}[2J";
        let tree = json!({
            "netdevs": { "hn0": { "mac": "x", "framing": text } },
            "steps": [{ "note": text }, { "object-del": "m0", "error": text }],
            "expect": { "error": { "m0": text } },
        });
        for line in export(&tree).lines() {
            let is_known =
                ["# ", "qemu", "  -", "{\"execute\""].iter().any(|head| line.starts_with(head));
            assert!(line.is_empty() || is_known, "{line:?}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn a_word_is_one_in_a_shell() {
        assert_eq!(word("a,b=c"), "a,b=c");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("ifname=${TAP}"), "\"ifname=${TAP}\"");
        assert_eq!(word("id=$${x}"), "'id=${x}'");
    }
}
