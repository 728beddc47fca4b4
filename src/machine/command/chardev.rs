//! `chardev-add`, `chardev-change`, `chardev-remove`, `query-chardev`, `ringbuf-read` (QEMU 10.2.2
//! `chardev/char.c`, `chardev/char-ringbuf.c`).

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Args, Named, Options, arg, done, text};
use crate::{
    base::{Interface, NetdevId, QemuVersion, Quirk},
    machine::{
        AfPacketMode, CharBackend, ChardevConfig, Output,
        chardev::{ring_read, ring_write},
        core::{Chardev, ChardevKey, Core},
        error::generic,
        net::Net,
        property::NOT_BUILT,
    },
    qapi::{self, Kind, Property, Role, Source, visit_members},
    record::CommandError,
};

/// Every value of `ChardevBackendKind` on Linux (QEMU 10.2.2 `qapi/char.json`).
const TYPES: &[&str] = &[
    "file",
    "serial",
    "parallel",
    "pipe",
    "socket",
    "udp",
    "pty",
    "null",
    "mux",
    "hub",
    "msmouse",
    "wctablet",
    "braille",
    "testdev",
    "stdio",
    "spicevmc",
    "spiceport",
    "qemu-vdagent",
    "dbus",
    "vc",
    "ringbuf",
    "memory",
];

/// What every chardev takes (QEMU 10.2.2 `qapi/char.json`, `ChardevCommon`).
const COMMON: &[Property] = &[
    arg("logfile", Kind::Str, false).naming(Role::WriteFile),
    arg("logappend", Kind::Bool, false),
];

const FILE: &[Property] = &[
    arg("in", Kind::Str, false).naming(Role::ReadFile),
    arg("out", Kind::Str, true).naming(Role::WriteFile),
    arg("append", Kind::Bool, false),
];

const RINGBUF: &[Property] = &[arg("size", Kind::Int, false)];

const SOCKET: &[Property] = &[
    arg("addr", Kind::Struct, true).naming(Role::Socket),
    arg("server", Kind::Bool, false),
    arg("wait", Kind::Bool, false),
    arg("nodelay", Kind::Bool, false),
    arg("telnet", Kind::Bool, false),
    arg("tn3270", Kind::Bool, false),
    arg("websocket", Kind::Bool, false),
    // Measured: 7.2 has the one in seconds alone, 10.0 both, 11.1 that in milliseconds alone; 10.2
    // has no `reconnect` either (its docs/about/removed-features.rst).
    Property {
        exists: |version| matches!(version, QemuVersion::Qemu72 | QemuVersion::Qemu100),
        ..arg("reconnect", Kind::Int, false)
    },
    Property {
        exists: |version| !matches!(version, QemuVersion::Qemu72),
        ..arg("reconnect-ms", Kind::Int, false)
    },
];

/// The options of a type, each with what it names. Every other type opens something of the host's:
/// `pty` a terminal, `udp` a port.
pub(in crate::machine) fn options(name: &str) -> Named {
    let properties: &[&[Property]] = match name {
        "file" => &[FILE, COMMON],
        "null" => &[COMMON],
        "ringbuf" | "memory" => &[RINGBUF, COMMON],
        "socket" => &[SOCKET, COMMON],
        other if TYPES.contains(&other) => return Named::NotBuilt,
        _ => return Named::Unknown,
    };
    Named::Built(Options { properties, complete: false })
}

/// The member that the RFC's fourth version adds to a socket.
const AF_PACKET_MODE: &str = "af-packet-mode";

const MODES: &[Property] = &[arg(AF_PACKET_MODE, Kind::Enum(&["capture", "inject"]), false)];

/// What it refuses, in texts of ours: the mails have none.
const NO_DESCRIPTOR: &str = "'af-packet-mode' needs an address of type 'fd'";
const NO_PACKET_SOCKET: &str = "'af-packet-mode' needs an AF_PACKET socket";

static BACKEND: &[Property] =
    &[arg("type", Kind::Enum(TYPES), true), arg("data", Kind::Struct, true)];

pub(super) fn add(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let backend = backend(&net.core, args)?;
    let id = text(args, "id");
    if net.core.chardev_of(id).is_some() {
        return Err(generic(format!("Chardev with id '{id}' already exists")));
    }
    let backend = made(&net.core, args, backend?)?;
    Ok(put(net, id, backend))
}

/// What opening a backend makes of it, or why it can't be opened.
fn made(core: &Core, args: &Args, backend: CharBackend) -> Result<CharBackend, CommandError> {
    let id = text(args, "id");
    let failed = |text: &str| Err(generic(format!("Failed to add chardev '{id}': {text}")));
    let mut backend = backend;
    if let Some(packet) = af_packet(core, args, id)? {
        backend = packet;
    }
    if let CharBackend::Ringbuf { size } = backend
        && !size.is_power_of_two()
    {
        return failed("size of ringbuf chardev must be power of two");
    }
    // Both are measured.
    if let CharBackend::Socket { server, reconnect: true, .. } = backend {
        let data = args.get("backend").and_then(|backend| backend.get("data"));
        let has = |name: &str| data.is_some_and(|data| data.get(name).is_some());
        let both = has("reconnect") && has("reconnect-ms");
        // 10.0 takes the one in milliseconds.
        let refused = match core.profile.version() {
            QemuVersion::Qemu72 | QemuVersion::Qemu100 => "reconnect",
            _ => "reconnect-ms",
        };
        if server && has(refused) {
            return failed(&no_reconnect_of_server(refused));
        }
        if both {
            return failed(TWO_RECONNECTS);
        }
    }
    Ok(backend)
}

fn no_reconnect_of_server(option: &str) -> String {
    format!("'{option}' option is incompatible with socket in server listen mode")
}

const TWO_RECONNECTS: &str = "'reconnect' and 'reconnect-ms' are mutually exclusive";

/// What the options of a socket say beside its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketOptions {
    pub(crate) server: bool,
    /// After how long a client tries again; never where there is none.
    pub(crate) reconnect: Option<Duration>,
}

/// Reads the options of a socket as `-chardev` has them, without its address: those of all versions.
pub(in crate::machine) fn socket_options(
    options: &qapi::Options,
) -> Result<SocketOptions, CommandError> {
    let known = ["server", "wait", "nodelay", "reconnect", "reconnect-ms"];
    static MEMBERS: &[Property] = SOCKET;
    let mut members = MEMBERS.iter().filter(|member| known.contains(&member.name));
    let values = visit_members(Source::Options(options), &mut members, "")?;
    let flag = |name: &str| values.get(name).and_then(Value::as_bool);
    let number = |name: &str| values.get(name).and_then(Value::as_i64);
    let server = flag("server").unwrap_or(false);
    if server && number("reconnect").is_some() {
        return Err(generic(no_reconnect_of_server("reconnect")));
    }
    let milliseconds = match (number("reconnect"), number("reconnect-ms")) {
        (Some(_), Some(_)) => return Err(generic(TWO_RECONNECTS)),
        (Some(seconds), None) => seconds.saturating_mul(1000),
        (None, milliseconds) => milliseconds.unwrap_or(0),
    };
    let reconnect = u64::try_from(milliseconds).unwrap_or(0);
    let reconnect = (reconnect > 0).then(|| Duration::from_millis(reconnect));
    Ok(SocketOptions { server, reconnect })
}

fn put(net: &mut Net, id: &str, backend: CharBackend) -> Value {
    let core = &mut net.core;
    let is_pty = backend == CharBackend::Pty;
    let config = ChardevConfig { id: id.into(), backend, connected: false };
    core.chardev_add(&config);
    core.emit(Output::ChardevExists { chardev: config.id, exists: true });
    // The machine has no terminals: one is shown with the chardev's id for a path.
    if is_pty { json!({"pty": id}) } else { done() }
}

/// What `af-packet-mode` makes of a socket, where it is given. The descriptor of a packet socket goes by
/// the id of the netdev whose TAP it is bound to.
fn af_packet(core: &Core, args: &Args, id: &str) -> Result<Option<CharBackend>, CommandError> {
    let data = args.get("backend").and_then(|backend| backend.get("data"));
    let Some(data) =
        data.and_then(Value::as_object).filter(|data| data.contains_key(AF_PACKET_MODE))
    else {
        return Ok(None);
    };
    let known: &[Property] = match core.profile.version().interface() {
        Some(Interface::Chardev) => MODES,
        _ => &[],
    };
    let mode = data.iter().filter(|(name, _)| *name == AF_PACKET_MODE);
    let mode: Map<String, Value> =
        mode.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mode = visit_members(Source::Json(&mode), &mut known.iter(), "backend.data.")?;
    let Some(mode) = AfPacketMode::named(text(&mode, AF_PACKET_MODE)) else {
        return Ok(None);
    };
    let refused = |text: String| Err(generic(format!("Failed to add chardev '{id}': {text}")));
    let address = data.get("addr").and_then(Value::as_object);
    if address.and_then(|address| address.get("type")).and_then(Value::as_str) != Some("fd") {
        return refused(NO_DESCRIPTOR.to_owned());
    }
    let bound = address.and_then(|address| address.get("data")?.get("str")?.as_str());
    let netdev = NetdevId::from(bound.unwrap_or_default());
    if !core.is_tap(&netdev) {
        return refused(format!("{NO_PACKET_SOCKET}, and '{netdev}' is none"));
    }
    Ok(Some(CharBackend::AfPacket { mode, netdev }))
}

pub(super) fn change(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let core = &net.core;
    let backend = backend(core, args)?;
    let id = text(args, "id");
    let key = core.chardev_of(id);
    let key = key.ok_or_else(|| generic(format!("Chardev '{id}' does not exist")))?;
    let Some(chardev) = core.chardevs.get(&key) else {
        return Ok(done());
    };
    if chardev.backend == CharBackend::Mux {
        // Measured on 7.2.22, 10.0.13 and 11.1.3.
        return Err(generic(match core.profile.version() {
            QemuVersion::Qemu72 => "Mux device hotswap not supported yet",
            _ => "For mux or hub device hotswap is not supported yet",
        }));
    }
    if chardev.has_frontend() {
        return Err(generic("Chardev user does not support chardev hotswap"));
    }
    let backend = backend?;
    // Without a frontend the old one goes before the new one is opened, even where that fails (QEMU
    // 10.2.2 chardev/char.c, qmp_chardev_change; measured).
    take_away(net, key);
    let backend = made(&net.core, args, backend)?;
    Ok(put(net, id, backend))
}

pub(super) fn remove(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let core = &mut net.core;
    let id = text(args, "id");
    let key = core.chardev_of(id);
    let key = key.ok_or_else(|| generic(format!("Chardev '{id}' not found")))?;
    let never_idle = core.has(Quirk::MuxSlotsLeak);
    if core.chardevs.get(&key).is_some_and(|chardev| chardev.is_busy(never_idle)) {
        return Err(generic(format!("Chardev '{id}' is busy")));
    }
    take_away(net, key);
    Ok(done())
}

fn take_away(net: &mut Net, key: ChardevKey) {
    let place = net.core.chardev_place(key);
    for (tag, reason) in net.chardev_residue(key) {
        net.core.drop_frame(place.clone(), Some(tag), reason);
    }
    let removed = net.core.chardevs.get(&key);
    let is_mux = removed.is_some_and(|chardev| chardev.backend == CharBackend::Mux);
    let connected = removed.is_some_and(|chardev| chardev.connected);
    if !is_mux {
        net.hang_up(key);
    }
    let base = net.core.chardevs.values_mut().find(|base| base.below == Some(key));
    if let Some(base) = base {
        base.below = None;
        base.connected = connected;
    }
    let removed = net.core.chardevs.remove(&key);
    if let Some(CharBackend::AfPacket { netdev, .. }) = removed.as_ref().map(|one| &one.backend) {
        net.core.packet_socket_give_back(netdev.clone());
    }
    // A multiplexer does not delete the chardev below it, whose connection lives on and is read no
    // more (QEMU 10.2.2 chardev/char-mux.c, char_mux_finalize; measured on 10.0.13 and 11.1.3).
    if let Some(chardev) = removed.filter(|_| !is_mux) {
        net.core.emit(Output::ChardevExists { chardev: chardev.id, exists: false });
    }
}

/// The machine has no addresses: a socket is shown with its id for a path.
pub(super) fn query(core: &Core) -> Value {
    let entries = core.chardevs.values().map(|chardev| {
        let id = chardev.id.as_str();
        let mux = chardev.below.and_then(|mux| core.chardevs.get(&mux));
        let (monitor, open) = match chardev.backend {
            CharBackend::Socket { monitor, .. } => {
                (monitor, mux.map_or(chardev.connected, |mux| mux.connected))
            }
            _ => (false, true),
        };
        let read = chardev.reader.is_some() || mux.is_some_and(|mux| mux.mux_is_read);
        let filename = match chardev.backend {
            CharBackend::Socket { monitor: true, .. } => "unix:".to_owned(),
            CharBackend::Socket { server: true, .. } => format!("unix:{id},server=on"),
            CharBackend::Socket { server: false, .. } if open => "unix:".to_owned(),
            CharBackend::Socket { server: false, .. } => format!("unix:{id}"),
            CharBackend::Pty => format!("pty:{id}"),
            _ => chardev.type_name().to_owned(),
        };
        let prefix = if open { "" } else { "disconnected:" };
        json!({
            "frontend-open": monitor || read,
            "filename": format!("{prefix}{filename}"),
            "label": id,
        })
    });
    entries.collect()
}

fn ringbuf<'n>(net: &'n mut Net, args: &Args) -> Result<&'n mut Chardev, CommandError> {
    let core = &mut net.core;
    let id = text(args, "device");
    let key = core.chardev_of(id);
    let key = key.ok_or_else(|| generic(format!("Device '{id}' not found")))?;
    let chardev = core.chardevs.get_mut(&key);
    let chardev = chardev.filter(|chardev| matches!(chardev.backend, CharBackend::Ringbuf { .. }));
    chardev.ok_or_else(|| generic(format!("{id} is not a ringbuf device")))
}

pub(super) fn ringbuf_read(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let chardev = ringbuf(net, args)?;
    let size = args.get("size").and_then(Value::as_i64).unwrap_or_default();
    let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
        return Err(generic("size must be greater than zero"));
    };
    let bytes = ring_read(&mut chardev.ring, size);
    Ok(match text(args, "format") {
        "base64" => base64(&bytes),
        // The text ends at the first zero byte (QEMU 10.2.2 chardev/char-ringbuf.c).
        _ => {
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        }
    }
    .into())
}

pub(super) fn ringbuf_write(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let chardev = ringbuf(net, args)?;
    let data = text(args, "data");
    let bytes = match text(args, "format") {
        "base64" => {
            from_base64(data).ok_or_else(|| generic("Base64 data contains invalid characters"))?
        }
        _ => data.as_bytes().to_vec(),
    };
    if let CharBackend::Ringbuf { size } = chardev.backend {
        ring_write(&mut chardev.ring, size, &bytes);
    }
    Ok(done())
}

/// A break reaches nobody: no filter has an ear for one.
pub(super) fn send_break(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let id = text(args, "id");
    let known = net.core.chardev_of(id).is_some();
    known.then(done).ok_or_else(|| generic(format!("Chardev '{id}' not found")))
}

/// The types that the machine has; the inner error is for those it has not.
fn backend(core: &Core, args: &Args) -> Result<Result<CharBackend, CommandError>, CommandError> {
    let empty = serde_json::Map::new();
    let given = args.get("backend").and_then(Value::as_object).unwrap_or(&empty);
    let head = visit_members(Source::Json(given), &mut BACKEND.iter(), "backend.")?;
    let data = head.get("data").unwrap_or(&Value::Null);
    let flag = |name: &str| data.get(name).and_then(Value::as_bool);
    let kind = text(&head, "type");
    if let (Named::Built(Options { properties, .. }), Some(members)) =
        (options(kind), data.as_object())
    {
        check_data(core, kind, properties, members)?;
    }
    Ok(Ok(match kind {
        "socket" => CharBackend::Socket {
            server: flag("server").unwrap_or(true),
            reconnect: data.get("reconnect-ms").or(data.get("reconnect")).is_some(),
            monitor: false,
        },
        "null" => CharBackend::Null,
        "file" => CharBackend::File,
        "udp" => CharBackend::Udp,
        "pty" => CharBackend::Pty,
        "ringbuf" | "memory" => CharBackend::Ringbuf {
            size: data
                .get("size")
                .and_then(Value::as_i64)
                // What is negative is no power of two either.
                .map_or(65536, |size| usize::try_from(size).unwrap_or_default()),
        },
        _ => {
            return Ok(Err(CommandError {
                class: NOT_BUILT.to_owned(),
                desc: format!("tapwright has no chardev of type {kind}"),
            }));
        }
    }))
}

/// Names and types of a backend's options.
fn check_data(
    core: &Core,
    kind: &str,
    properties: &'static [&'static [Property]],
    data: &Map<String, Value>,
) -> Result<(), CommandError> {
    let version = core.profile.version();
    let modes: &[Property] = match version.interface() {
        Some(Interface::Chardev) if kind == "socket" => MODES,
        _ => &[],
    };
    let members = properties.iter().copied().flatten().chain(modes);
    let mut members = members.filter(|member| (member.exists)(version));
    let read = visit_members(Source::Json(data), &mut members, "backend.data.")?;
    let address = read.get("addr");
    let path = address.and_then(|address| address.get("data")).and_then(Value::as_object);
    if address.and_then(|address| address.get("type")).and_then(Value::as_str) == Some("unix")
        && path.is_some_and(|path| !path.contains_key("path"))
    {
        return Err(generic("Parameter 'backend.data.addr.data.path' is missing"));
    }
    Ok(())
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let octet = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for digit in 0..4 {
            let shown = digit <= group.len();
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if shown { DIGITS[value as usize] as char } else { '=' });
        }
    }
    text
}

/// What digits in base 64 say, as far as the first `=`; none where there is something else.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    let digits = text.bytes().take_while(|byte| *byte != b'=');
    for digit in digits.filter(|byte| *byte != b'\n') {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        bits = (bits << 6 | value as u32) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}
