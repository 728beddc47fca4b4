//! QEMU's chardevs in the language.

use crate::{qapi::Options, scenario::CHARDEV};

/// Backends of the language (the choice in its table of keys).
const KNOWN: &[&str] = &["socket", "null", "file", "ringbuf", "udp", "pty", "mux"];

/// Other backends of QEMU's (QEMU 10.2.2, `qapi/char.json`, `ChardevBackendKind`).
const STOOD_FOR: &[&str] = &[
    "braille",
    "console",
    "dbus",
    "hub",
    "msmouse",
    "parallel",
    "parport",
    "pipe",
    "qemu-vdagent",
    "serial",
    "spiceport",
    "spicevmc",
    "stdio",
    "testdev",
    "tty",
    "vc",
    "wctablet",
];

/// A chardev that the scenario is at the far end of.
pub(super) fn made_up(id: &str) -> Options {
    Options::read(&format!("socket,id={id},path={id}.sock,server=on,wait=off"), "backend")
}

/// The chardev in the language, or QEMU's refusal. What is left out goes to `notes`.
pub(super) fn language(mut options: Options, notes: &mut Vec<String>) -> Result<Options, String> {
    let id = options.id().unwrap_or("?").to_owned();
    let backend = options.get("backend").unwrap_or("").to_owned();
    if backend == "memory" {
        options.set("backend", "ringbuf");
    } else if STOOD_FOR.contains(&backend.as_str()) {
        notes.push(format!(
            "chardev {id} is a socket here, for {}: its far end is the port {id}",
            options.text()
        ));
        return Ok(made_up(&id));
    } else if !KNOWN.contains(&backend.as_str()) && !backend.contains("${") {
        return Err(format!("'{backend}' is not a valid char driver name"));
    }
    let keys: Vec<String> = options.keys();
    let packet = options.get("af-packet-mode").is_some();
    if let Some(fd) = options.get("fd").filter(|_| packet) {
        notes.push(format!(
            "chardev {id}: write the netdev to whose TAP the descriptor is bound in place of fd={fd}"
        ));
    }
    for key in keys {
        let own = matches!(key.as_str(), "connected" | "framing") || (key == "fd" && !packet);
        while (own || (key != "id" && CHARDEV.key(&key).is_none()))
            && let Some(raw) = options.remove_first(&key)
        {
            if key == "fd" && backend == "socket" {
                options.set("path", &format!("{id}.sock"));
                notes.push(format!(
                    "chardev {id} has path={id}.sock for {raw}, a descriptor that another program \
                     has opened: its far end is the port {id}"
                ));
            } else {
                notes.push(format!("chardev {id} without {raw}: not in the language"));
            }
        }
    }
    if let Some(host) = options.get("host").filter(|host| host.starts_with('['))
        && backend == "socket"
    {
        let port = options.get("port").unwrap_or("");
        notes.push(format!(
            "chardev {id}: QEMU refuses the brackets: address resolution failed for {host}:{port}: \
             Name or service not known"
        ));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("socket,id=a,path=/x,,y,server,nowait", "socket,id=a,path=/x,,y,server,nowait", 0)]
    #[case("socket,id=a,fd=3,server=on", "socket,id=a,server=on,path=a.sock", 1)]
    #[case("socket,id=a,fd=3,af-packet-mode=capture", "socket,id=a,fd=3,af-packet-mode=capture", 1)]
    #[case("socket,id=a,path=x,foo=1,foo=2", "socket,id=a,path=x", 2)]
    #[case("stdio,id=a,signal=off", "socket,id=a,path=a.sock,server=on,wait=off", 1)]
    #[case("memory,id=a,size=64", "ringbuf,id=a,size=64", 0)]
    #[case("foo,id=a", "'foo' is not a valid char driver name", 0)]
    fn chardevs_are_of_the_language(
        #[case] text: &str,
        #[case] expected: &str,
        #[case] said: usize,
    ) {
        let mut notes = Vec::new();
        let made = language(Options::read(text, "backend"), &mut notes);
        let made = made.map_or_else(|refusal| refusal, |options| options.text());
        assert_eq!((made.as_str(), notes.len()), (expected, said), "{notes:?}");
    }
}
