//! A random scenario under construction: the netdevs, chardevs and objects that exist so far, from
//! which later parts choose.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{conversation::Conversation, object::Made, rng::Rng};

/// The words that a scenario may use, and so the backends that can run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// What every QEMU has, without a guest's driver: all backends.
    Common,
    /// vhost, virtio NICs, and the RFC's `in_netdev` and `out_netdev`: the built-in machine.
    Rfc,
}

/// A scenario while it is being made: what there is that later parts can speak of.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) dialect: Dialect,
    pub(super) taps: Vec<Tap>,
    pub(super) chardevs: Vec<Chardev>,
    pub(super) objects: Vec<Made>,
    /// How many iothreads there are: `io0` and up.
    pub(super) iothreads: usize,
    /// Connections between a client and a guest.
    pub(super) talks: Vec<Conversation>,
    /// A step waits: what has a period can't be compared with a QEMU whose clock is the wall's.
    pub(super) waits: bool,
    /// The last step is drawn: a QEMU may have died of it.
    pub(super) over: bool,
    /// Chardevs that an object was given.
    taken: BTreeSet<String>,
    /// Ids that were given out, for new ones.
    count: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Tap {
    pub(super) id: String,
    pub(super) vhost: bool,
    pub(super) virtio: bool,
    pub(super) mtu: usize,
    /// A step deleted its interface or its netdev: the host can't change it any more.
    pub(super) gone: bool,
    options: Map<String, Value>,
}

#[derive(Clone, Debug)]
pub(super) struct Chardev {
    pub(super) id: String,
    pub(super) end: FarEnd,
    /// The chardev that it is joined to.
    peer: Option<String>,
    options: Map<String, Value>,
}

/// What stands at the far end of a chardev.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FarEnd {
    /// A port whose bytes are read so.
    Port(PortFraming),
    /// Another chardev.
    Joined,
    Nobody,
}

/// How a chardev port's bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortFraming {
    /// As its object says.
    Default,
    Vnet,
    Raw,
}

/// Whether an object reads or writes a chardev.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It reads.
    In,
    /// It writes.
    Out,
}

impl Draft {
    pub(super) fn new(dialect: Dialect, rng: &mut Rng) -> Self {
        let count =
            *rng.weighted(&[(1, 6), (2, 3), (3, 1)], |each| each.1).map_or(&1, |(count, _)| count);
        let taps = (0..count).map(|number| tap(dialect, number, rng)).collect();
        Self {
            dialect,
            taps,
            chardevs: Vec::new(),
            objects: Vec::new(),
            iothreads: 0,
            talks: Vec::new(),
            waits: false,
            over: false,
            taken: BTreeSet::new(),
            count: 0,
        }
    }

    /// A number that no id has yet.
    pub(super) const fn number(&mut self) -> usize {
        self.count += 1;
        self.count
    }

    /// Whether no real QEMU can carry the scenario, with its guest's driver, so that time is only
    /// what steps let pass.
    pub(super) fn has_own_time(&self) -> bool {
        self.taps.iter().any(|tap| tap.vhost || tap.virtio)
    }

    /// A chardev for an object, a new one: QEMU's chardevs have one user each.
    pub(super) fn chardev(&mut self, flow: Flow, rng: &mut Rng) -> String {
        if rng.chance(5)
            && let Some(id) = self.joined(rng)
        {
            return id;
        }
        let number = self.number();
        let id = match flow {
            Flow::In => format!("in{number}"),
            Flow::Out => format!("out{number}"),
        };
        let mut options = Map::new();
        let end = match rng.below(100) {
            0..5 => {
                let backend = rng.word(&["null", "ringbuf", "file"]);
                options.insert("backend".to_owned(), backend.into());
                FarEnd::Nobody
            }
            5..20 => {
                options.insert("connected".to_owned(), false.into());
                FarEnd::Port(PortFraming::Default)
            }
            20..25 => {
                options.insert("framing".to_owned(), "vnet".into());
                FarEnd::Port(PortFraming::Vnet)
            }
            25..28 => {
                options.insert("framing".to_owned(), "raw".into());
                FarEnd::Port(PortFraming::Raw)
            }
            _ => FarEnd::Port(PortFraming::Default),
        };
        self.chardevs.push(Chardev { id: id.clone(), end, peer: None, options });
        id
    }

    /// A chardev that an iothread can serve: a socket with a port, or joined to another.
    pub(super) fn socket(&mut self, name: &str, rng: &mut Rng) -> String {
        if rng.chance(4)
            && let Some(id) = self.joined(rng)
        {
            return id;
        }
        let id = format!("{name}{}", self.number());
        let mut options = Map::new();
        if rng.chance(6) {
            options.insert("connected".to_owned(), false.into());
        }
        self.chardevs.push(Chardev {
            id: id.clone(),
            end: FarEnd::Port(PortFraming::Default),
            peer: None,
            options,
        });
        id
    }

    /// An iothread, a new one or one that others have too.
    pub(super) fn iothread(&mut self, rng: &mut Rng) -> String {
        if self.iothreads == 0 || self.iothreads < 2 && rng.chance(40) {
            self.iothreads += 1;
        }
        format!("io{}", rng.below(self.iothreads))
    }

    /// One of the connections, mostly one that is there.
    pub(super) fn talk(&mut self, rng: &mut Rng) -> &mut Conversation {
        let old = !self.talks.is_empty() && rng.chance(85);
        let place = if old {
            rng.below(self.talks.len())
        } else {
            self.talks.push(Conversation::new(self.talks.len(), rng));
            self.talks.len() - 1
        };
        &mut self.talks[place]
    }

    /// Where frames for a chardev enter that an object reads: at its own port, or where a filter's
    /// outdev is joined to it, at the guest's port of that filter's netdev.
    pub(super) fn entry(&self, id: &str) -> Option<String> {
        let chardev = self.chardevs.iter().find(|chardev| chardev.id == id)?;
        match chardev.end {
            FarEnd::Port(PortFraming::Default) => Some(id.to_owned()),
            FarEnd::Port(_) | FarEnd::Nobody => None,
            FarEnd::Joined => {
                let peer = chardev.peer.as_deref()?;
                let mut objects = self.objects.iter();
                let writer = objects.find(|made| made.text("outdev") == Some(peer))?;
                Some(format!("{}.guest", writer.text("netdev")?))
            }
        }
    }

    /// One of two chardevs that are joined: the other end of a pair, or one of a new pair.
    fn joined(&mut self, rng: &mut Rng) -> Option<String> {
        let free = self
            .chardevs
            .iter()
            .find(|chardev| chardev.end == FarEnd::Joined && !self.taken.contains(&chardev.id));
        if let Some(chardev) = free {
            let id = chardev.id.clone();
            self.taken.insert(id.clone());
            return Some(id);
        }
        let ids = self.pair();
        let id = rng.pick(&ids).cloned()?;
        self.taken.insert(id.clone());
        Some(id)
    }

    /// Two chardevs that are joined, both for somebody who takes both.
    pub(super) fn joined_pair(&mut self) -> [String; 2] {
        let ids = self.pair();
        self.taken.extend(ids.iter().cloned());
        ids
    }

    fn pair(&mut self) -> [String; 2] {
        let number = self.number();
        let path = format!("wire{number}");
        let ids = [format!("a{number}"), format!("b{number}")];
        let [first, second] = &ids;
        for (id, peer, server) in [(first, second, true), (second, first, false)] {
            let mut options = Map::new();
            if server {
                options.insert("server".to_owned(), "on".into());
            }
            options.insert("path".to_owned(), path.as_str().into());
            self.chardevs.push(Chardev {
                id: id.clone(),
                end: FarEnd::Joined,
                peer: Some(peer.clone()),
                options,
            });
        }
        ids
    }

    pub(super) fn tap(&self, id: &str) -> Option<&Tap> {
        self.taps.iter().find(|tap| tap.id == id)
    }

    /// The ports at which the scenario itself can do something, chardevs last.
    pub(super) fn chardev_ports(&self) -> Vec<&Chardev> {
        self.chardevs.iter().filter(|chardev| matches!(chardev.end, FarEnd::Port(_))).collect()
    }

    /// `netdevs` of the scenario.
    pub(super) fn netdevs(&self) -> Value {
        let entries = self.taps.iter();
        Value::Object(
            entries.map(|tap| (tap.id.clone(), Value::Object(tap.options.clone()))).collect(),
        )
    }

    /// `chardevs` of the scenario.
    pub(super) fn chardevs(&self) -> Value {
        let entries = self.chardevs.iter();
        Value::Object(
            entries
                .map(|chardev| (chardev.id.clone(), Value::Object(chardev.options.clone())))
                .collect(),
        )
    }
}

fn tap(dialect: Dialect, number: usize, rng: &mut Rng) -> Tap {
    let mut options = Map::new();
    options.insert("type".to_owned(), "tap".into());
    let mut mtu = 1500;
    if rng.chance(15) {
        mtu = rng.number(&[68, 576, 1280, 9000, 65521]);
        options.insert("mtu".to_owned(), mtu.into());
    }
    let rfc = dialect == Dialect::Rfc;
    let vhost = rfc && rng.chance(40);
    if vhost {
        options.insert("vhost".to_owned(), true.into());
    }
    let virtio = rfc && rng.chance(25);
    if virtio {
        options.insert("nic".to_owned(), "virtio".into());
        if rng.chance(30) {
            options.insert("vnet_hdr_len".to_owned(), json!(10));
        }
    }
    Tap { id: format!("hn{number}"), vhost, virtio, mtu, gone: false, options }
}
