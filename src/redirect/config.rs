//! What is asked for: two ends and what holds for them, checked as the machine checks a redirector.

use std::{path::PathBuf, time::Duration};

use super::{Chardev, RedirectError};
use crate::{
    base::{Queue, VnetHdr},
    machine::alone,
    qapi::Options,
    record::CommandError,
    sys::InterfaceName,
};

/// The properties as they are written, under their names in QEMU.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    pub in_netdev: Option<String>,
    pub indev: Option<String>,
    pub out_netdev: Option<String>,
    pub outdev: Option<String>,
    pub queue: Option<String>,
    pub vnet_hdr_support: Option<String>,
}

/// An end of a redirector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Netdev(InterfaceName),
    Chardev(Chardev),
}

/// A redirector that may be opened.
#[derive(Clone, Debug)]
pub struct Config {
    pub input: End,
    pub output: End,
    pub queue: Queue,
    pub vnet_hdr_support: bool,
    /// Bytes of the virtio-net header that is captured: 10 or 12.
    pub vnet_len: usize,
    /// An interface need not be a TAP.
    pub any_interface: bool,
    /// What is injected passes the interface's queueing discipline, and other sockets see it.
    pub qdisc: bool,
    /// Bytes of memory for what was captured and has not been sent on.
    pub backlog: usize,
    /// How long what is held may take to be sent on at the end.
    pub drain: Duration,
    /// A socket that the counters can be read from.
    pub metrics: Option<PathBuf>,
}

impl Config {
    /// Bytes of memory that are used where nothing else is asked for.
    pub const BACKLOG: usize = 32 << 20;

    /// Reads the properties.
    ///
    /// # Errors
    /// What is refused, in the machine's words and in its order.
    pub fn read(properties: &Properties) -> Result<Self, RedirectError> {
        let refused = |refusal| RedirectError::Refused { refusal };
        let spec = alone::redirector(&options(properties)).map_err(refused)?;
        let netdev = |side: &str, name: &str| {
            let unknown = |_| refused(alone::not_found(side, name));
            name.parse().map(End::Netdev).map_err(unknown)
        };
        let end = |side: &str, interface: &str, chardev: &str| {
            let interface = spec.text(interface).map(|name| netdev(side, name));
            interface
                .or_else(|| spec.text(chardev).map(|text| Chardev::read(text).map(End::Chardev)))
        };
        let input = end("IN", "in_netdev", "indev").ok_or(RedirectError::NoInput)??;
        let output = end("OUT", "out_netdev", "outdev").ok_or(RedirectError::NoOutput)??;
        if let (End::Netdev(one), End::Netdev(other)) = (&input, &output)
            && one == other
        {
            return Err(RedirectError::SameInterface { name: one.to_string() });
        }
        Ok(Self {
            input,
            output,
            queue: spec.text("queue").and_then(Queue::parse).unwrap_or_default(),
            vnet_hdr_support: spec.flag("vnet_hdr_support"),
            vnet_len: VnetHdr::SHORT,
            any_interface: false,
            qdisc: false,
            backlog: Self::BACKLOG,
            drain: Duration::from_secs(5),
            metrics: None,
        })
    }
}

/// The refusal of an interface that there is none of, or that is no TAP.
pub(super) fn refusal(is_input: bool, name: &InterfaceName, exists: bool) -> CommandError {
    let side = if is_input { "IN" } else { "OUT" };
    match exists {
        true => alone::not_a_tap(side, name.as_str()),
        false => alone::not_found(side, name.as_str()),
    }
}

/// The text of `-object` that says the same, in a chain that there is none of.
fn options(properties: &Properties) -> Options {
    let mut options = Options::default();
    let given = [
        ("indev", &properties.indev),
        ("outdev", &properties.outdev),
        ("in_netdev", &properties.in_netdev),
        ("out_netdev", &properties.out_netdev),
        ("queue", &properties.queue),
        ("vnet_hdr_support", &properties.vnet_hdr_support),
    ];
    let own = [("qom-type", "filter-redirector"), ("id", "redirect"), ("netdev", "none")];
    let given = given.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
    own.into_iter().chain(given).for_each(|(key, value)| options.push(key, value));
    options
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn properties(text: &str) -> Properties {
        let given = Options::read(text, "none");
        let get = |key: &str| given.get(key).map(str::to_owned);
        Properties {
            in_netdev: get("in_netdev"),
            indev: get("indev"),
            out_netdev: get("out_netdev"),
            outdev: get("outdev"),
            queue: get("queue"),
            vnet_hdr_support: get("vnet_hdr_support"),
        }
    }

    // The texts of scenarios/rfc and of QEMU 11.1.
    #[rstest]
    #[case(
        "",
        "filter redirector needs 'indev', 'outdev', 'in_netdev' or 'out_netdev' at least one property set"
    )]
    #[case(
        "in_netdev=tap0,indev=unix:/a",
        "'in_netdev' and 'indev' are mutually exclusive for filter redirector"
    )]
    #[case(
        "in_netdev=tap0,out_netdev=tap1,outdev=unix:/a",
        "'out_netdev' and 'outdev' are mutually exclusive for filter redirector"
    )]
    #[case(
        "indev=unix:/a,outdev=unix:/a",
        "'indev' and 'outdev' could not be same for filter redirector"
    )]
    #[case("in_netdev=tap0,queue=up", "Parameter 'queue' does not accept value 'up'")]
    #[case(
        "in_netdev=tap0,vnet_hdr_support=maybe",
        "Parameter 'vnet_hdr_support' expects 'on' or 'off'"
    )]
    #[case("in_netdev=a/b,out_netdev=tap1", "IN netdev 'a/b' not found")]
    #[case("in_netdev=tap0,out_netdev=a/b", "OUT netdev 'a/b' not found")]
    #[case("in_netdev=tap0", "nothing says where frames go")]
    #[case("out_netdev=tap0", "nothing says where frames come from")]
    #[case("in_netdev=tap0,out_netdev=tap0", "'tap0' is both the input and the output")]
    fn what_is_refused(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Config::read(&properties(text)).unwrap_err().to_string(), expected);
    }

    #[test]
    fn what_is_taken() {
        let text = "in_netdev=tap0,out_netdev=tap1,queue=rx,vnet_hdr_support=on";
        let config = Config::read(&properties(text)).unwrap();
        assert_eq!(config.input, End::Netdev("tap0".parse().unwrap()));
        assert_eq!(config.output, End::Netdev("tap1".parse().unwrap()));
        assert_eq!((config.queue, config.vnet_hdr_support), (Queue::Rx, true));
    }
}
