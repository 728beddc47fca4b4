//! Filters of the kernel's traffic control that mirror what an interface receives or sends to another
//! interface: `tc filter ... bpf bytecode '1,6 0 0 4294967295' action mirred egress mirror dev ... continue`,
//! asked for by rtnetlink(7). Each carries a cookie that says whose it is.
//!
//! The classifier is bpf with the shortest program, and not u32, which needs no program either: that keeps
//! the filters of both hooks of an interface in one list, and shows those of one priority at each.

use std::io;

use netlink_packet_core::{
    DefaultNla, Emitable, NLM_F_CREATE, NLM_F_EXCL, Nla, NlasIterator, Parseable,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{
        TcAction, TcActionAttribute, TcActionMirror, TcActionMirrorOption, TcActionOption,
        TcActionType, TcAttribute, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcMirror,
        TcMirrorActionType, TcOption, TcStats2,
    },
};
use nix::libc;

use crate::sys::{Granted, InterfaceIndex, Netlink};

/// Where an interface's frames are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// Those that it receives: what comes from a TAP's guest.
    Ingress,
    /// Those that it sends.
    Egress,
}

impl Hook {
    pub(super) const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    const fn parent(self) -> TcHandle {
        let minor = match self {
            Self::Ingress => TcHandle::MIN_INGRESS,
            Self::Egress => TcHandle::MIN_EGRESS,
        };
        TcHandle { major: TcHandle::CLSACT.major, minor }
    }
}

/// What the kernel counted at an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) packets: u64,
    /// As the kernel has them there: an ingress frame is counted without its Ethernet header.
    pub(super) bytes: u64,
    /// Frames that could not be handed to the other interface.
    pub(super) refused: u64,
}

impl Counted {
    pub(super) fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.refused += other.refused;
    }
}

/// A filter that there is, anybody's.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    handle: TcHandle,
    /// Priority and protocol, as the header has them.
    info: u32,
    kind: String,
    cookie: Vec<u8>,
    pub(super) counted: Counted,
}

impl Filter {
    pub(super) const fn priority(&self) -> u32 {
        self.info >> 16
    }

    /// The cookie of its action; none has no bytes.
    pub(super) fn cookie(&self) -> &[u8] {
        &self.cookie
    }
}

/// The kernel's traffic control in a network namespace.
#[derive(Debug)]
pub(super) struct Mirred(Netlink);

/// The kind of the queueing discipline that has both hooks.
const CLSACT: &str = "clsact";

/// Bytes of `struct nlmsghdr` and `struct tcmsg` are the library's; the kind of a request for filters is
/// the kernel's `RTM_GETTFILTER`, and that of an answer `RTM_NEWTFILTER`.
const GET_FILTER: u16 = libc::RTM_GETTFILTER;
const NEW_FILTER: u16 = libc::RTM_NEWTFILTER;

/// `TCA_BPF_ACT`, `TCA_BPF_OPS_LEN` and `TCA_BPF_OPS` of `include/uapi/linux/pkt_cls.h`.
const ACTIONS: u16 = 1;
const PROGRAM_LENGTH: u16 = 4;
const PROGRAM: u16 = 5;

/// `TCA_STATS_PKT64` of Linux 6.18 `include/uapi/linux/gen_stats.h`: packets, once they are more than 32
/// bits hold.
const PACKETS_64: u16 = 8;

impl Mirred {
    pub(super) fn open(granted: Granted) -> io::Result<Self> {
        Netlink::granted(granted).map(Self)
    }

    /// Gives an interface the hooks; whether it had none.
    pub(super) fn add_hooks(&self, index: InterfaceIndex) -> io::Result<bool> {
        let message = RouteNetlinkMessage::NewQueueDiscipline(hooks(index));
        match self.0.ask(message, NLM_F_CREATE | NLM_F_EXCL) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn delete_hooks(&self, index: InterfaceIndex) -> io::Result<()> {
        let message = RouteNetlinkMessage::DelQueueDiscipline(hooks(index));
        self.0.ask(message, 0).map(drop)
    }

    /// Mirrors every frame of a hook to another interface. The frame itself goes on to the next filter.
    pub(super) fn add(
        &self,
        from: InterfaceIndex,
        hook: Hook,
        priority: u32,
        to: InterfaceIndex,
        cookie: &[u8],
    ) -> io::Result<()> {
        let mut message = message(from, hook);
        message.header.info = priority << 16 | u32::from((libc::ETH_P_ALL as u16).to_be());
        let mut mirror = TcMirror::default();
        mirror.generic.action = TcActionType::Unspec;
        mirror.eaction = TcMirrorActionType::EgressMirror;
        mirror.ifindex = to.get();
        let mut action = TcAction::default();
        action.attributes = vec![
            TcActionAttribute::Kind(TcActionMirror::KIND.to_owned()),
            TcActionAttribute::Options(vec![TcActionOption::Mirror(TcActionMirrorOption::Parms(
                mirror,
            ))]),
            TcActionAttribute::Cookie(cookie.to_vec()),
        ];
        let actions = [action];
        let mut written = vec![0; actions.as_slice().buffer_len()];
        actions.as_slice().emit(&mut written);
        let option =
            |kind, bytes| TcOption::Bpf(TcFilterBpfOption::Other(DefaultNla::new(kind, bytes)));
        message.attributes = vec![
            TcAttribute::Kind(TcFilterBpf::KIND.to_owned()),
            TcAttribute::Options(vec![
                option(PROGRAM_LENGTH, 1_u16.to_ne_bytes().to_vec()),
                option(PROGRAM, matches_all().to_vec()),
                option(ACTIONS, written),
            ]),
        ];
        let message = RouteNetlinkMessage::NewTrafficFilter(message);
        self.0.ask(message, NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    /// The filters of a hook, in their order.
    pub(super) fn filters(&self, index: InterfaceIndex, hook: Hook) -> io::Result<Vec<Filter>> {
        let request = message(index, hook);
        let mut body = vec![0; request.buffer_len()];
        request.emit(&mut body);
        let mut found = Vec::new();
        self.0.dump(GET_FILTER, &body, |kind, answer| {
            if kind == NEW_FILTER {
                found.extend(read(answer));
            }
        })?;
        Ok(found)
    }

    pub(super) fn delete(
        &self,
        index: InterfaceIndex,
        hook: Hook,
        filter: &Filter,
    ) -> io::Result<()> {
        let mut message = message(index, hook);
        message.header.handle = filter.handle;
        message.header.info = filter.info;
        message.attributes = vec![TcAttribute::Kind(filter.kind.clone())];
        self.0.ask(RouteNetlinkMessage::DelTrafficFilter(message), 0).map(drop)
    }
}

/// A classic BPF program of one instruction (`struct sock_filter`): it returns -1, a match.
fn matches_all() -> [u8; 8] {
    let [one, other] = 6_u16.to_ne_bytes();
    let [a, b, c, d] = u32::MAX.to_ne_bytes();
    [one, other, 0, 0, a, b, c, d]
}

fn hooks(index: InterfaceIndex) -> TcMessage {
    let mut message = TcMessage::with_index(index.get().cast_signed());
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle { major: TcHandle::CLSACT.major, minor: 0 };
    message.attributes = vec![TcAttribute::Kind(CLSACT.to_owned())];
    message
}

fn message(index: InterfaceIndex, hook: Hook) -> TcMessage {
    let mut message = TcMessage::with_index(index.get().cast_signed());
    message.header.parent = hook.parent();
    message
}

/// A filter of an answer. What the library can't read is not ours, and has no cookie then.
fn read(answer: &[u8]) -> Option<Filter> {
    let message = TcMessage::parse(answer).or_else(|_| {
        // The header alone.
        TcMessage::parse(answer.get(..20).unwrap_or_default())
    });
    let message = message.ok()?;
    let mut filter = Filter {
        handle: message.header.handle,
        info: message.header.info,
        kind: String::new(),
        cookie: Vec::new(),
        counted: Counted::default(),
    };
    for attribute in message.attributes {
        match attribute {
            TcAttribute::Kind(kind) => filter.kind = kind,
            TcAttribute::Options(options) => filter.read_options(&options),
            _ => {}
        }
    }
    Some(filter)
}

impl Filter {
    fn read_options(&mut self, options: &[TcOption]) {
        let actions = options.iter().filter_map(|option| match option {
            TcOption::Bpf(TcFilterBpfOption::Other(other)) if other.kind() == ACTIONS => {
                let mut value = vec![0; other.value_len()];
                other.emit_value(&mut value);
                Some(value)
            }
            _ => None,
        });
        for value in actions {
            let actions = NlasIterator::new(&value).flatten();
            let actions = actions.filter_map(|action| TcAction::parse(&action).ok());
            for attribute in actions.flat_map(|action| action.attributes) {
                match attribute {
                    TcActionAttribute::Cookie(cookie) => self.cookie = cookie,
                    TcActionAttribute::Stats(stats) => self.counted = counted(&stats),
                    _ => {}
                }
            }
        }
    }
}

fn counted(stats: &[TcStats2]) -> Counted {
    let mut counted = Counted::default();
    let mut packets = None;
    for one in stats {
        match one {
            TcStats2::Basic(basic) => {
                (counted.packets, counted.bytes) = (basic.packets.into(), basic.bytes);
            }
            TcStats2::Queue(queue) => counted.refused = queue.overlimits.into(),
            TcStats2::Other(other) if other.kind() == PACKETS_64 => packets = number(other),
            _ => {}
        }
    }
    counted.packets = packets.unwrap_or(counted.packets);
    counted
}

fn number(attribute: &DefaultNla) -> Option<u64> {
    let mut bytes = [0; 8];
    (attribute.value_len() == bytes.len()).then(|| {
        attribute.emit_value(&mut bytes);
        u64::from_ne_bytes(bytes)
    })
}
