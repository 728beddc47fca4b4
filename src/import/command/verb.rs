//! The names of monitor commands, and whether a text is one with its arguments.

use serde_json::{Map, Value, json};

use super::{
    Call,
    literal::{Constants, Literal, fill},
};
use crate::{import::hmp, scenario::QMP_VERBS};

/// QMP's commands of the layer that have no step of their own, and those that go with them (QEMU 11.1.3,
/// `query-commands`). The ones that ask are not among them: they change nothing.
const QMP: &[&str] = &[
    "blockdev-add",
    "blockdev-del",
    "blockdev-mirror",
    "chardev-change",
    "chardev-send-break",
    "closefd",
    "device_add",
    "device_del",
    "getfd",
    "human-monitor-command",
    "migrate",
    "migrate-continue",
    "migrate-incoming",
    "migrate-pause",
    "migrate-recover",
    "migrate-set-capabilities",
    "migrate-set-parameters",
    "migrate-start-postcopy",
    "migrate_cancel",
    "nbd-server-add",
    "nbd-server-remove",
    "nbd-server-start",
    "nbd-server-stop",
    "qom-list",
    "quit",
    "ringbuf-read",
    "ringbuf-write",
    "system_powerdown",
    "system_reset",
    "system_wakeup",
    "x-blockdev-change",
    "x-colo-lost-heartbeat",
    "xen-colo-do-checkpoint",
    "xen-set-replication",
    "yank",
];

/// QMP's other commands (QEMU 7.2.22 and 11.1.3, `query-commands`), which are known where they are given and
/// not in prose.
const OTHERS: &str = "\
    add-fd add_client balloon block-commit block-dirty-bitmap-add block-dirty-bitmap-clear \
    block-dirty-bitmap-disable block-dirty-bitmap-enable block-dirty-bitmap-merge \
    block-dirty-bitmap-remove block-export-add block-export-del block-job-cancel block-job-change \
    block-job-complete block-job-dismiss block-job-finalize block-job-pause block-job-resume \
    block-job-set-speed block-latency-histogram-set block-set-write-threshold block-stream block_resize \
    block_set_io_throttle blockdev-backup blockdev-change-medium blockdev-close-tray blockdev-create \
    blockdev-insert-medium blockdev-open-tray blockdev-remove-medium blockdev-reopen \
    blockdev-set-active blockdev-snapshot blockdev-snapshot-delete-internal-sync \
    blockdev-snapshot-internal-sync blockdev-snapshot-sync calc-dirty-rate cancel-vcpu-dirty-limit \
    change-backing-file change-vnc-password client_migrate_info cxl-add-dynamic-capacity \
    cxl-inject-correctable-error cxl-inject-dram-event cxl-inject-general-media-event \
    cxl-inject-memory-module-event cxl-inject-poison cxl-inject-uncorrectable-errors \
    cxl-release-dynamic-capacity device-sync-config display-reload display-update drive-backup \
    drive-mirror dump-guest-memory dump-skeys dumpdtb eject expire_password inject-ghes-v2-error \
    inject-nmi input-send-event job-cancel job-complete job-dismiss job-finalize job-pause job-resume \
    memsave pmemsave remove-fd replay-break replay-delete-break replay-seek request-ebpf \
    rtc-reset-reinjection screendump send-key set-action set-cpu-topology set-numa-node \
    set-vcpu-dirty-limit set_password sev-inject-launch-secret snapshot-delete snapshot-load \
    snapshot-save trace-event-get-state trace-event-set-state transaction watchdog-set-action \
    x-accel-stats x-blockdev-amend x-blockdev-set-iothread x-debug-block-dirty-bitmap-sha256 \
    x-exit-preconfig xen-event-inject xen-event-list xen-load-devices-state xen-save-devices-state \
    xen-set-global-dirty-log";

/// The human monitor's commands of the layer, and those that go with them (QEMU 11.1.3, `help`), each with the
/// fewest and the most words that follow it.
const HMP: &[(&str, usize, usize)] = &[
    ("announce_self", 0, 2),
    ("chardev-add", 1, 1),
    ("chardev-change", 2, 2),
    ("chardev-remove", 1, 1),
    ("chardev-send-break", 1, 1),
    ("cont", 0, 0),
    ("device_add", 1, 1),
    ("device_del", 1, 1),
    ("hostfwd_add", 1, 3),
    ("hostfwd_remove", 1, 3),
    ("info", 1, 3),
    ("migrate", 1, 4),
    ("migrate_cancel", 0, 0),
    ("migrate_continue", 1, 1),
    ("migrate_incoming", 1, 1),
    ("migrate_pause", 0, 0),
    ("migrate_recover", 1, 1),
    ("migrate_set_capability", 2, 2),
    ("migrate_set_parameter", 2, 3),
    ("migrate_start_postcopy", 0, 0),
    ("nbd_server_add", 1, 3),
    ("nbd_server_start", 1, 3),
    ("nbd_server_stop", 0, 0),
    ("netdev_add", 1, 1),
    ("netdev_del", 1, 1),
    ("object_add", 1, 1),
    ("object_del", 1, 1),
    ("qom-get", 2, 2),
    ("qom-list", 0, 1),
    ("qom-set", 3, 3),
    ("quit", 0, 0),
    ("ringbuf_read", 2, 2),
    ("ringbuf_write", 2, 9),
    ("set_link", 2, 2),
    ("stop", 0, 0),
    ("system_powerdown", 0, 0),
    ("system_reset", 0, 0),
    ("system_wakeup", 0, 0),
    ("x_colo_lost_heartbeat", 0, 0),
];

/// Words that follow a command's name in a call without their keys.
const POSITIONS: &[(&str, &[&str])] = &[
    ("chardev-remove", &["id"]),
    ("device_del", &["id"]),
    ("migrate", &["uri"]),
    ("migrate-incoming", &["uri"]),
    ("netdev_del", &["id"]),
    ("object-add", &["qom-type", "id"]),
    ("object-del", &["id"]),
    ("qom-get", &["path", "property"]),
    ("qom-set", &["path", "property", "value"]),
    ("set_link", &["name", "up"]),
];

/// The keys of the words that follow a command in a call.
pub(super) fn positions(name: &str) -> &'static [&'static str] {
    POSITIONS.iter().find(|(other, _)| *other == name).map_or(&[], |(_, keys)| keys)
}

/// Whether a command of this name needs arguments.
pub(super) fn needs(name: &str) -> bool {
    !positions(name).is_empty() || name.ends_with("_add") || name.ends_with("-add")
}

/// Whether QMP has a command of this name that does something.
pub(super) fn is_qmp(name: &str) -> bool {
    QMP_VERBS.contains(&name)
        || QMP.contains(&name)
        || OTHERS.split_whitespace().any(|other| other == name)
}

/// Whether a command of this name is nothing else in prose: `object_add`, and not `stop`.
pub(super) fn is_distinct(name: &str) -> bool {
    name.contains(['_', '-'])
}

/// Whether a text is a command's name, in QMP or for a person.
pub(super) fn is_name(name: &str) -> bool {
    is_qmp(name) || names().any(|other| other == name)
}

/// Every name of a command of the layer, that of QMP and that of the human monitor.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let hmp = HMP.iter().map(|(name, ..)| *name);
    QMP_VERBS.iter().chain(QMP).copied().chain(hmp)
}

/// A command that is written in one text, for a person or for qmp-shell, with its arguments.
pub(super) fn typed(text: &str, constants: &Constants) -> Option<Call> {
    let (text, is_open) = fill(text.trim(), constants);
    let text = text.trim();
    let text = text.strip_prefix("execute=").unwrap_or(text);
    let name = text.split(char::is_whitespace).next()?;
    let rest = text[name.len()..].trim();
    let call = shell(name, rest).or_else(|| human(text, name, rest))?;
    Some(Call { is_open: call.is_open | is_open, ..call })
}

/// A command for a person.
fn human(text: &str, name: &str, rest: &str) -> Option<Call> {
    let (_, least, most) = HMP.iter().find(|(other, ..)| *other == name)?;
    let count = rest.split_whitespace().count();
    if !(*least..=*most).contains(&count) || text.contains('\n') || rest.ends_with([':', '?', '!'])
    {
        return None;
    }
    let listed = |rest: &str| rest.contains(['=', ',', '{', '$', '%']);
    let is_whole = match name {
        "object_add" | "chardev-add" | "netdev_add" | "device_add" => listed(rest),
        "set_link" => matches!(rest.split_whitespace().nth(1), Some("on" | "off")),
        "migrate" => {
            rest.split_whitespace().all(|word| word.starts_with('-') || word.contains(':'))
        }
        "migrate_set_capability" => matches!(rest.split_whitespace().nth(1), Some("on" | "off")),
        "info" => rest.chars().all(|c| c.is_ascii_alphanumeric() || " -_/".contains(c)),
        _ => true,
    };
    is_whole.then(|| Call::of_hmp(hmp::command(text)))
}

/// A command of qmp-shell, `NAME KEY=VALUE KEY.SUB=VALUE`: a value is JSON, a number, or a text (QEMU 10.2.2
/// `python/qemu/qmp/qmp_shell.py`).
fn shell(name: &str, rest: &str) -> Option<Call> {
    let words = words(rest);
    if !is_qmp(name) || words.is_empty() {
        return None;
    }
    let mut args = Map::new();
    for word in words {
        let (key, value) = word.trim_start_matches("--").split_once('=')?;
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        // `type=tap,id=a` is an option string of the human monitor.
        let is_string = !value.starts_with(['{', '[', '"', '\'']) && value.contains(",id=");
        if key.is_empty() || !key.chars().all(good) || is_string {
            return None;
        }
        let mut map = &mut args;
        let mut keys: Vec<&str> = key.split('.').collect();
        let last = keys.pop()?;
        for key in keys {
            map = map.entry(key).or_insert_with(|| json!({})).as_object_mut()?;
        }
        map.insert(last.to_owned(), shell_value(value));
    }
    Some(Call::of_qmp(name, args))
}

fn shell_value(text: &str) -> Value {
    let none = Constants::new();
    let nested = text.starts_with(['{', '[', '"', '\'']);
    let whole = || {
        let mut literal = Literal::new(text, &none);
        let value = literal.value(0)?;
        (literal.length() == text.len()).then_some(value)
    };
    match text.to_lowercase().as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match text.parse::<i64>() {
            Ok(number) => Value::from(number),
            Err(_) => whole().filter(|_| nested).unwrap_or_else(|| Value::from(text)),
        },
    }
}

/// The words of a text, with what stands in quotes and braces in one.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut depth, mut quote) = (0usize, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c.is_whitespace() && depth == 0 && quote.is_none() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A key of a command as QMP has it: programs write `_` for `-`, which the properties of filters and netdevs
/// have themselves.
pub(super) fn key(command: &str, key: &str) -> String {
    let has_own = matches!(command, "object-add" | "netdev_add" | "device_add");
    let is_own =
        has_own && !["qom_", "poll_", "aio_", "thread_"].iter().any(|stem| key.starts_with(stem));
    if is_own { key.to_owned() } else { key.replace('_', "-") }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("object_del f0", "object-del {\"id\":\"f0\"}")]
    #[case("object_del the filter", "none")]
    #[case("object-del id=f0", "object-del {\"id\":\"f0\"}")]
    #[case(
        "chardev-add id=a backend={\"type\": \"null\", \"data\": {}}",
        "chardev-add {\"id\":\"a\",\"backend\":{\"type\":\"null\",\"data\":{}}}"
    )]
    #[case(
        "chardev-add id=a backend.type=null",
        "chardev-add {\"id\":\"a\",\"backend\":{\"type\":\"null\"}}"
    )]
    #[case(
        "chardev-add null,id=a",
        "chardev-add {\"id\":\"a\",\"backend\":{\"type\":\"null\",\"data\":{}}}"
    )]
    #[case("set_link name=n up=false", "set_link {\"name\":\"n\",\"up\":false}")]
    #[case("execute=object-del id=f0", "object-del {\"id\":\"f0\"}")]
    #[case("set_link n off", "set_link {\"name\":\"n\",\"up\":false}")]
    #[case("system_reset", "system_reset {}")]
    #[case("object_del $X", "open")]
    #[case("stop the machine", "none")]
    fn a_typed_command_is_read(#[case] text: &str, #[case] expected: &str) {
        let shown = match typed(text, &Constants::new()) {
            Some(call) if call.is_open => "open".to_owned(),
            Some(call) => format!("{} {}", call.name, Value::Object(call.args)),
            None => "none".to_owned(),
        };
        assert_eq!(shown, expected);
    }

    #[rstest]
    #[case("object-add", "qom_type", "qom-type")]
    #[case("object-add", "vnet_hdr_support", "vnet_hdr_support")]
    #[case("migrate-incoming", "exit_on_error", "exit-on-error")]
    fn keys_are_qmps(#[case] command: &str, #[case] name: &str, #[case] expected: &str) {
        assert_eq!(key(command, name), expected);
    }
}
