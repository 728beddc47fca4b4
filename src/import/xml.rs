//! libvirt's domains, whole or in excerpts: interfaces, and `qemu:arg`.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

/// Whether the text is of a domain.
pub(super) fn is_domain(text: &str) -> bool {
    ["<domain", "<qemu:arg", "<qemu:commandline", "<interface "]
        .iter()
        .any(|mark| text.contains(mark))
}

#[derive(Debug, Default)]
struct Interface {
    kind: String,
    mac: Option<String>,
    dev: Option<String>,
    model: Option<String>,
    driver: Option<String>,
}

impl Interface {
    /// The options that libvirt gives QEMU for it: ids `hostnetN`; vhost for a virtio NIC whose
    /// driver isn't `qemu` (libvirt `qemu_interface.c`, `qemuInterfaceOpenVhostNet`).
    fn words(&self, number: usize) -> [String; 4] {
        let model = self.model.as_deref().unwrap_or("rtl8139");
        let mut netdev = match self.kind.as_str() {
            "user" => format!("user,id=hostnet{number}"),
            _ => format!("tap,id=hostnet{number}"),
        };
        if let Some(dev) = &self.dev {
            netdev += &format!(",ifname={dev}");
        }
        let virtio = model.starts_with("virtio");
        if virtio && self.kind != "user" && self.driver.as_deref() != Some("qemu") {
            netdev += ",vhost=on";
        }
        let driver = if virtio { "virtio-net-pci" } else { model };
        let mut device = format!("{driver},netdev=hostnet{number}");
        if let Some(mac) = &self.mac {
            device += &format!(",mac={mac}");
        }
        ["-netdev".to_owned(), netdev, "-device".to_owned(), device]
    }
}

/// The command line of a domain. It is read as far as it is XML.
pub(super) fn read(text: &str) -> Vec<String> {
    let start = text.find('<').unwrap_or(0);
    let mut reader = Reader::from_str(&text[start..]);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut words = Vec::new();
    let mut args = Vec::new();
    let mut interfaces = 0;
    let mut open: Option<Interface> = None;
    let mut in_name = false;
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                in_name = tag.name().as_ref() == "name" && open.is_none();
                element(&tag, &mut open, &mut args);
            }
            Ok(Event::Empty(tag)) => element(&tag, &mut open, &mut args),
            Ok(Event::Text(text)) if in_name => {
                in_name = false;
                words.extend(["-name".to_owned(), (*text).to_owned()]);
            }
            Ok(Event::End(tag)) => {
                in_name = false;
                if tag.name().as_ref() == "interface"
                    && let Some(interface) = open.take()
                {
                    words.extend(interface.words(interfaces));
                    interfaces += 1;
                }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    words.extend(args);
    words
        .into_iter()
        .map(|word| word.replace("${", "$${"))
        .collect()
}

fn element(tag: &BytesStart<'_>, open: &mut Option<Interface>, args: &mut Vec<String>) {
    let value = |name: &str| {
        let found = tag.try_get_attribute(name).ok()??;
        let text = quick_xml::escape::unescape(&found.value).ok()?;
        Some(text.into_owned())
    };
    let name = tag.name();
    match (name.as_ref(), open) {
        ("qemu:arg", _) => args.extend(value("value")),
        ("interface", open) => {
            *open = Some(Interface {
                kind: value("type").unwrap_or_default(),
                ..Interface::default()
            });
        }
        ("mac", Some(interface)) => interface.mac = value("address"),
        ("target", Some(interface)) => interface.dev = value("dev"),
        ("model", Some(interface)) => interface.model = value("type"),
        ("driver", Some(interface)) => interface.driver = value("name"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_excerpt_is_read() {
        let text = "here it is:\n<qemu:commandline>\n <qemu:arg value='-object'/>\n\
                    <qemu:arg value='x,a=&quot;b&quot;'/>";
        assert_eq!(read(text), ["-object", "x,a=\"b\""]);
    }

    #[test]
    fn an_interface_is_a_netdev_and_its_nic() {
        let text = "<interface type='ethernet'><mac address='52:54:00:00:00:01'/><target \
                    dev='tap0'/><model type='virtio'/><driver name='qemu'/></interface>";
        assert_eq!(
            read(text).join(" "),
            "-netdev tap,id=hostnet0,ifname=tap0 -device \
             virtio-net-pci,netdev=hostnet0,mac=52:54:00:00:00:01"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[<>/'=a-z: &;]{0,60}") {
            read(&text);
        }
    }
}
