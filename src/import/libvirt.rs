//! libvirt's domains, whole or in excerpts, as the command line that libvirt makes of them
//! (libvirt 10.0 `src/qemu/qemu_command.c`): interfaces, character devices, iothreads, `qemu:arg`.

use std::collections::BTreeMap;

use super::xml::{self, Element};

mod character;
mod interface;

/// Whether the text is of a domain.
pub(super) fn is_domain(text: &str) -> bool {
    ["<domain", "<qemu:arg", "<qemu:commandline", "<interface "]
        .iter()
        .any(|mark| text.contains(mark))
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Domain {
    pub(super) words: Vec<String>,
    /// What of the net layer is not on it, a line each.
    pub(super) left_out: Vec<String>,
}

/// Elements whose children count where they stand.
const AROUND: &[&str] = &["domain", "devices", "qemu:commandline"];

/// Reads a domain as far as it is XML.
pub(super) fn read(text: &str) -> Domain {
    let mut reading = Reading::default();
    let root = xml::read(text);
    reading.leave_out_text(&root);
    for element in &root.children {
        reading.take(element, false);
    }
    let Reading { name, elsewhere, iothreads, devices, args, left_out, .. } = reading;
    let name = name.into_iter().flat_map(|name| ["-name".to_owned(), name]);
    let objects = iothreads.into_iter().flat_map(|id| {
        let object = format!("iothread,id=iothread{id}");
        ["-object".to_owned(), object]
    });
    let words = elsewhere.into_iter().chain(name).chain(objects);
    let words = words.chain(devices).chain(args);
    Domain { words: words.map(|word| word.replace("${", "$${")).collect(), left_out }
}

#[derive(Debug, Default)]
struct Reading {
    name: Option<String>,
    /// Elements that are not of the net layer.
    elsewhere: Vec<String>,
    iothreads: Vec<String>,
    devices: Vec<String>,
    args: Vec<String>,
    left_out: Vec<String>,
    /// The number of the next one that libvirt gives an alias, by what that begins with.
    next: BTreeMap<&'static str, u32>,
    serial: Option<String>,
}

impl Reading {
    fn take(&mut self, element: &Element, inside: bool) {
        match element.name.as_str() {
            name if AROUND.contains(&name) => {
                self.leave_out_text(element);
                // A console may show a serial port, wherever that stands.
                let is_console = |child: &&Element| child.name == "console";
                let (consoles, others): (Vec<_>, Vec<_>) =
                    element.children.iter().partition(is_console);
                for child in others.into_iter().chain(consoles) {
                    self.take(child, true);
                }
            }
            "name" if inside => self.name = Some(element.text.trim().to_owned()),
            "interface" => self.interface(element),
            "serial" | "parallel" | "channel" | "console" => self.character(element),
            "iothreads" => {
                let count = element.text.trim().parse().unwrap_or(0).min(64);
                if self.iothreads.is_empty() {
                    self.iothreads = (1..=count).map(|id: u32| id.to_string()).collect();
                }
            }
            "iothreadids" => {
                let ids = element.children.iter().filter_map(|child| child.get("id"));
                self.iothreads = ids.map(str::to_owned).collect();
            }
            "qemu:arg" => self.args.extend(element.get("value").map(str::to_owned)),
            "qemu:env" => {
                let (name, value) = (element.get("name"), element.get("value"));
                let (name, value) = (name.unwrap_or_default(), value.unwrap_or_default());
                self.left_out.push(format!("{name}={value}"));
            }
            // What changes the command line, and may be about a NIC.
            name if name.starts_with("qemu:") => self.left_out.push(whole(element)),
            // Markup of another format: `<pre>`, `<snip>`.
            _ if has_devices(element) => {
                self.leave_out_text(element);
                for child in &element.children {
                    self.take(child, inside);
                }
            }
            name => self.elsewhere.push(format!("<{name}>")),
        }
    }

    /// The alias that an element has, or that libvirt gives it: with the number behind the highest
    /// (libvirt `qemu_alias.c`, `qemuAssignDeviceNetAlias`, `qemuAssignDeviceChrAlias`).
    fn alias(&mut self, element: &Element, stem: &'static str) -> String {
        let next = self.next.entry(stem).or_default();
        let Some(given) = element.of("alias", "name") else {
            *next += 1;
            return format!("{stem}{}", *next - 1);
        };
        let number = given.strip_prefix(stem).and_then(|rest| rest.parse().ok());
        if let Some(number) = number.filter(|number: &u32| *number < u32::from(u16::MAX)) {
            *next = (*next).max(number + 1);
        }
        given.to_owned()
    }

    fn leave_out_text(&mut self, element: &Element) {
        let lines = element.text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty()).map(str::to_owned);
        self.left_out.extend(lines);
    }

    /// Says what of an element's children had no part in what was made of it: all but what
    /// `carried` names of each, its attributes and children.
    fn leave_out<'k>(
        &mut self,
        of: &str,
        element: &Element,
        carried: impl Fn(&Element) -> (&'k [&'k str], &'k [&'k str]),
    ) {
        let left = element.children.iter().filter_map(|child| match carried(child) {
            (&[], &[]) => Some(whole(child)),
            (attributes, children) => Some(whole(&child.rest(attributes, children)?)),
        });
        let left: Vec<String> = left.collect();
        if !left.is_empty() {
            self.left_out.push(format!("{of}: {}", left.join(" ")));
        }
    }
}

/// Whether something in an element is carried over.
fn has_devices(element: &Element) -> bool {
    let of_domain =
        |name: &str| AROUND.contains(&name) || ["interface", "qemu:arg"].contains(&name);
    let mut children = element.children.iter();
    children.any(|child| of_domain(&child.name) || has_devices(child))
}

/// An element with all that is in it, in a line.
fn whole(element: &Element) -> String {
    if element.children.is_empty() {
        return element.shown();
    }
    let shown = element.shown();
    let (before, after) = shown.split_once("...").unwrap_or((&shown, ""));
    let inner: String = element.children.iter().map(whole).collect();
    format!("{before}{inner}{after}")
}

/// Options of QEMU's as libvirt writes them: commas in values are doubled.
struct Options(String);

impl Options {
    fn new(first: &str) -> Self {
        Self(first.to_owned())
    }

    fn push(&mut self, key: &str, value: &str) {
        self.0 += &format!(",{key}={}", value.replace(',', ",,"));
    }

    fn push_some(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.push(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn line(text: &str) -> String {
        read(text).words.join(" ")
    }

    #[test]
    fn an_excerpt_is_read() {
        let text = "here it is:\n<qemu:commandline>\n <qemu:arg value='-object'/>\n\
                    <qemu:arg value='x,a=&quot;b&quot;'/>";
        assert_eq!(read(text).words, ["-object", "x,a=\"b\""]);
    }

    #[rstest]
    #[case::ethernet(
        "<interface type='ethernet'><mac address='52:54:00:00:00:01'/><target dev='tap0'/>\
         <model type='virtio'/><driver name='qemu'/></interface>",
        "-netdev tap,id=hostnet0,ifname=tap0 -device virtio-net-pci,netdev=hostnet0,id=net0,\
         mac=52:54:00:00:00:01"
    )]
    #[case::queues_of_vhost(
        "<interface type='bridge'><source bridge='br0'/><model type='virtio'/>\
         <driver name='vhost' queues='4' packed='on'/><mtu size='9000'/></interface>",
        "-netdev tap,id=hostnet0,vhost=on,queues=4 -device virtio-net-pci,netdev=hostnet0,id=net0,\
         mq=on,vectors=10,packed=on,host_mtu=9000"
    )]
    #[case::alias(
        "<interface type='user'><model type='e1000'/><alias name='ua-colo'/></interface>",
        "-netdev user,id=hostua-colo -device e1000,netdev=hostua-colo,id=ua-colo"
    )]
    #[case::vhost_user(
        "<interface type='vhostuser'><source type='unix' path='/tmp/v,1' mode='server'/>\
         <model type='virtio'/></interface>",
        "-chardev socket,id=charnet0,path=/tmp/v,,1,server=on -netdev \
         vhost-user,id=hostnet0,chardev=charnet0 -device virtio-net-pci,netdev=hostnet0,id=net0"
    )]
    #[case::udp(
        "<interface type='udp'><source address='127.0.0.1' port='11115'><local \
         address='127.0.0.1' port='11116'/></source></interface>",
        "-netdev socket,id=hostnet0,udp=127.0.0.1:11115,localaddr=127.0.0.1:11116 -device \
         rtl8139,netdev=hostnet0,id=net0"
    )]
    fn an_interface_is_a_netdev_and_its_nic(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(line(text), expected);
    }

    #[rstest]
    #[case::bound(
        "<channel type='unix'><source mode='bind' path='/tmp/m'/><target type='virtio' \
         name='colo.0'/></channel>",
        "-chardev socket,id=charchannel0,path=/tmp/m,server=on,wait=off -device \
         virtserialport,chardev=charchannel0,id=channel0,name=colo.0"
    )]
    #[case::connects(
        "<serial type='tcp'><source mode='connect' host='::1' service='9004'><reconnect \
         enabled='yes' timeout='3'/></source><protocol type='telnet'/></serial>",
        "-chardev socket,id=charserial0,host=::1,port=9004,reconnect=3,telnet=on -device \
         isa-serial,chardev=charserial0,id=serial0"
    )]
    #[case::udp(
        "<serial type='udp'><source mode='bind' host='0.0.0.0' service='1'/><source \
         mode='connect' host='10.0.0.1' service='2'/></serial>",
        "-chardev udp,id=charserial0,host=10.0.0.1,port=2,localaddr=0.0.0.0,localport=1 -device \
         isa-serial,chardev=charserial0,id=serial0"
    )]
    #[case::a_console_of_its_own(
        "<console type='pty'><target type='virtio' port='1'/></console>",
        "-chardev pty,id=charconsole0 -device virtconsole,chardev=charconsole0,id=console0"
    )]
    fn a_character_device_is_a_chardev(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(line(&format!("<domain>{text}</domain>")), expected);
    }

    #[test]
    fn what_is_not_carried_over_is_named() {
        let text = "<domain><memory>1</memory><iothreads>2</iothreads><devices><interface \
                    type='network'><source network='default'/><link state='down'/><driver \
                    name='qemu' txmode='timer'><host mrg_rxbuf='off'/></driver></interface>\
                    <interface type='hostdev'/><serial type='pty'/><console type='pty'><target \
                    type='serial'/></console></devices><qemu:commandline><qemu:env name='A' \
                    value='b'/></qemu:commandline><qemu:override/></domain>";
        let Domain { words, left_out } = read(text);
        assert_eq!(words[0], "<memory>");
        assert_eq!(words[2], "iothread,id=iothread1");
        let expected = [
            "hostnet0: <source network='default'/> <link state='down'/> <driver \
             txmode='timer'><host mrg_rxbuf='off'/></driver>",
            "<interface type='hostdev'/>",
            "<console type='pty'><target type='serial'/></console>, which is serial0 once more",
            "A=b",
            "<qemu:override/>",
        ];
        assert_eq!(left_out, expected);
    }

    #[test]
    fn what_is_around_is_named_and_no_element() {
        let text = "On Monday Ann <ann@x.org> wrote:\n<pre><domain><name>p</name><devices>\
                    <interface type='user'/></devices></domain></pre>\n<qemu:commandline>\nAny idea?";
        let Domain { words, left_out } = read(text);
        assert_eq!(words[..2], ["-name", "p"]);
        assert_eq!(words[3], "user,id=hostnet0");
        assert_eq!(left_out, ["On Monday Ann <ann@x.org> wrote:", "Any idea?"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[<>/'=a-z: &;]{0,60}") {
            read(&text);
        }
    }
}
