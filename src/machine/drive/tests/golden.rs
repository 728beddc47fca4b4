//! Random drives whose complete outputs are held to a recorded digest: everything that comes out of
//! a machine, in its order, and what is left in it at the end. The other tests say what is right;
//! this one says that a change of the machine's insides changes nothing, above all where packets
//! re-enter the net layer: hubs in a ring, a rewriter that holds, a redirector that reads what it
//! writes, a machine that dies on the way.
//!
//! A change that is meant to change outputs gets new digests: the failure prints them.

use std::fmt::{self, Write};

use super::*;
use crate::machine::{ColoEvent, colo::sample::Sample};

/// SplitMix64, so that a drive is the same in every version of every library.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// FNV-1a of 64 bits.
struct Digest(u64);

impl Digest {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn output(&mut self, output: &Output) {
        // Long runs of bytes are taken as they are: their text would cost most of the time.
        let data = match output {
            Output::NetdevFrame { data, .. }
            | Output::ChardevBytes { data, .. }
            | Output::FileBytes { data, .. } => data.clone(),
            Output::Event(Event { kind: EventKind::Seen { data, .. }, .. }) => data.clone(),
            other => {
                let _ = writeln!(self, "{other:?}");
                return;
            }
        };
        let _ = match output {
            Output::NetdevFrame { netdev, tag, .. } => writeln!(self, "{netdev} {tag:?}"),
            Output::ChardevBytes { chardev, tag, .. } => writeln!(self, "{chardev} {tag:?}"),
            Output::FileBytes { file, at, tag, .. } => writeln!(self, "{file} {at} {tag:?}"),
            Output::Event(Event { tag, place, kind: EventKind::Seen { direction, .. } }) => {
                writeln!(self, "{place:?} {direction:?} {tag:?}")
            }
            _ => Ok(()),
        };
        let _ = writeln!(self, "{}", data.len());
        let step = if data.len() > 200 { 97 } else { 1 };
        for byte in data.iter().step_by(step) {
            self.bytes(&[*byte]);
        }
    }
}

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

const CHARDEVS: &[&str] = &["c0", "c1", "c2", "c3", "away", "null", "mux", "ring", "pty", "none"];
const STREAMS: &[&str] = &["c0", "c1", "c2", "c3", "away", "mux"];
const OBJECTS: &[&str] = &["f0", "f1", "f2", "f3", "f4", "cc0", "cc1", "io0", "none"];

/// What stands around the objects of a drive.
type Netdevs = fn(&mut Dice) -> Vec<NetdevConfig>;

fn hub(id: &str, hub: u32, peer: Option<&str>) -> NetdevConfig {
    netdev(id, NetdevKind::Hubport { hub }, peer)
}

/// Two stream netdevs on one hub.
fn pair(_: &mut Dice) -> Vec<NetdevConfig> {
    vec![
        netdev("n0", NetdevKind::Socket, None),
        hub("h0", 0, Some("n0")),
        netdev("n1", NetdevKind::Socket, None),
        hub("h1", 0, Some("n1")),
    ]
}

/// Two hubs joined twice: what goes round comes again.
fn ring(_: &mut Dice) -> Vec<NetdevConfig> {
    vec![
        netdev("n0", NetdevKind::Socket, None),
        hub("h0", 0, Some("n0")),
        hub("a0", 0, None),
        hub("a1", 1, Some("a0")),
        hub("b0", 0, None),
        hub("b1", 1, Some("b0")),
        netdev("n1", NetdevKind::Datagram, None),
        hub("h1", 1, Some("n1")),
    ]
}

/// TAPs with and without vhost, their NICs, a netdev without a peer.
fn taps(dice: &mut Dice) -> Vec<NetdevConfig> {
    let lengths = [0, 10, 12];
    let (t, nic) = (dice.pick(&lengths), dice.pick(&lengths));
    let tap = |vhost, vnet_hdr_len| NetdevKind::Tap { queues: 1, vhost, vnet_hdr_len };
    vec![
        netdev("n0", tap(false, t), None),
        netdev("nic0", NetdevKind::Nic { vnet_hdr_len: nic }, Some("n0")),
        netdev("n1", tap(true, t), None),
        netdev("nic1", NetdevKind::Nic { vnet_hdr_len: nic }, Some("n1")),
        netdev("h0", NetdevKind::User, None),
    ]
}

const ALL: &[&str] = &[
    "filter-buffer",
    "filter-dump",
    "filter-mirror",
    "filter-redirector",
    "filter-redirector",
    "filter-replay",
    "filter-rewriter",
    "colo-compare",
];

const HOLDING: &[&str] = &["filter-rewriter", "filter-rewriter", "filter-buffer"];
const CHARDEV_ONLY: &[&str] = &["filter-mirror", "filter-redirector", "filter-redirector"];

/// One machine and what is done to it.
struct Drive {
    rig: Rig,
    dice: Dice,
    digest: Digest,
    netdevs: Vec<NetdevConfig>,
    kinds: &'static [&'static str],
    /// A chardev whose bytes come back into another: a redirector may read what it writes.
    wire: Option<(&'static str, &'static str)>,
    /// Whether streams of chardevs have the virtio-net word, most of the time.
    vnet: bool,
    tags: u32,
}

impl Drive {
    fn new(netdevs: Netdevs, kinds: &'static [&'static str], of: Of, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut profile = Profile::new(dice.pick(of.versions()));
        if dice.chance(60) {
            let percent = dice.pick(&[5, 50]);
            profile =
                profile.without(of.quirks().filter(|_| dice.chance(percent)).collect::<Vec<_>>());
        }
        let netdevs = netdevs(&mut dice);
        let chardevs = vec![
            socket("c0", true),
            socket("c1", true),
            socket("c2", true),
            socket("c3", true),
            socket("away", false),
            other("null", CharBackend::Null),
            other("mux", CharBackend::Mux),
            other("ring", CharBackend::Ringbuf { size: 64 }),
            other("pty", CharBackend::Pty),
        ];
        let machine = Machine::new(Config {
            profile,
            netdevs: netdevs.clone(),
            chardevs,
            iothreads: vec!["io0".into()],
            ..Config::default()
        });
        let wire = dice.chance(40).then(|| (dice.pick(STREAMS), dice.pick(STREAMS)));
        let rig =
            Rig { machine: machine.unwrap(), out: Vec::new(), commands: 0, now: VirtualTime::ZERO };
        let digest = Digest(0xcbf2_9ce4_8422_2325);
        let vnet = dice.chance(30);
        Self { rig, dice, digest, netdevs, kinds, wire, vnet, tags: 0 }
    }

    fn version(&self) -> QemuVersion {
        self.rig.machine.net.core.profile.version()
    }

    fn run(mut self) -> u64 {
        let count = self.dice.below(4) + 1;
        for object in &OBJECTS[..count] {
            self.add(object);
        }
        for _ in 0..self.dice.below(50) + 10 {
            self.step();
            self.look();
        }
        let _ = write!(self.digest, "{:?}", self.rig.machine.residue());
        self.digest.0
    }

    /// Digests what came out, and feeds the wire with it.
    fn look(&mut self) {
        for _ in 0..40 {
            let outputs = std::mem::take(&mut self.rig.out);
            let mut fed = Vec::new();
            for output in outputs {
                self.digest.output(&output);
                if let (Output::ChardevBytes { chardev, data, tag }, Some((from, to))) =
                    (output, self.wire)
                    && chardev.as_str() == from
                {
                    fed.push(Input::ChardevBytes { chardev: to.into(), data, tag });
                }
            }
            if fed.is_empty() {
                break;
            }
            for input in fed {
                self.rig.input(input);
            }
        }
        let machine = &self.rig.machine;
        let (deadline, frozen) = (machine.deadline(), machine.is_frozen());
        let _ = write!(self.digest, "{deadline:?} {frozen}");
        for chardev in STREAMS {
            let (reads, waits) = (machine.reads(chardev), machine.waits(chardev));
            let _ = write!(self.digest, "{reads} {waits} ");
        }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..35 => self.send(),
            35..53 => self.write(),
            53..57 => self.state(),
            57..63 => {
                let object = self.dice.pick(OBJECTS);
                self.add(object);
            }
            63..73 => self.command(),
            73..82 => {
                let millis = self.dice.pick(&[1, 3, 10, 700, 4_000]);
                self.rig.advance(millis);
            }
            82..86 => self.capture(),
            86..89 => self.flood(),
            _ => self.burst(),
        }
    }

    fn tag(&mut self) -> Option<Tag> {
        self.tags += 1;
        (!self.dice.chance(10)).then(|| Tag::sent(self.tags))
    }

    /// A frame, most often a segment of one of two connections, whose numbers often fit.
    fn frame(&mut self) -> Vec<u8> {
        let dice = &mut self.dice;
        let mut frame = match dice.below(10) {
            0 if dice.chance(30) => Vec::new(),
            1 | 2 => (0..dice.below(70)).map(|_| 7).collect(),
            3 => vec![dice.pick(&[1, 2]); 3_000],
            _ => {
                let numbers = [0, 1, 1999, 2000, 2001, 5000, 5001, 9000, 9001, u32::MAX];
                let flags = dice.pick(&[0x02, 0x12, 0x10, 0x10, 0x10, 0x11, 0x04, 0x18]);
                let (seq, ack) = (dice.pick(&numbers), dice.pick(&numbers));
                let mut sample = Sample::client(flags, seq, ack);
                sample.from_guest = dice.chance(50);
                sample.port = dice.pick(&[4000, 4001]);
                sample.payload = vec![dice.pick(&[1, 2]); dice.pick(&[0, 0, 1, 9])];
                sample.fragment = dice.pick(&[0, 0, 0, 0, 0x2000, 0x0001]);
                sample.bytes()
            }
        };
        if self.dice.chance(20) {
            let mut header = vec![0; self.dice.pick(&[10, 12])];
            header.append(&mut frame);
            frame = header;
        }
        frame
    }

    fn framed(&mut self) -> Bytes {
        let frame = self.frame();
        let length = self.dice.pick(&[0, 10, 12, 12, 9_999]);
        let vnet = self.vnet != (self.dice.below(80) == 0);
        let framed = encode(&frame, vnet.then_some(length));
        match self.dice.below(20) {
            0 if self.dice.chance(20) => framed.slice(..framed.len() / 2),
            1 => [framed.clone(), framed].concat().into(),
            2 => vec![0, 0, 0, 0].into(),
            3 if self.dice.chance(4) => vec![255; 20].into(),
            _ => framed,
        }
    }

    fn send(&mut self) {
        let at = self.dice.below(self.netdevs.len());
        let NetdevConfig { id, kind, .. } = self.netdevs[at].clone();
        if matches!(kind, NetdevKind::Hubport { .. }) {
            return;
        }
        let tag = self.tag();
        let input = match kind {
            NetdevKind::Socket if self.dice.below(300) == 0 => Input::StreamClosed { netdev: id },
            NetdevKind::Socket => {
                Input::StreamBytes { netdev: id, data: encode(&self.frame(), None), tag }
            }
            _ => Input::NetdevFrame { netdev: id, data: self.frame().into(), tag },
        };
        self.rig.input(input);
    }

    /// The segments of a handshake and what follows it, which a rewriter goes along with.
    fn burst(&mut self) {
        let primary = self.dice.pick(&[8999, 5000]);
        let close = [Sample::client(0x11, 2000, 9000), Sample::guest(0x11, 5001, 2001)];
        let data = [Sample::client(0x18, 2000, 9000), Sample::guest(0x18, 5001, 2000)];
        let data = data.map(|sample| sample.payload(b"data"));
        let samples = Sample::handshake(primary, 5000).into_iter().chain(data).chain(close);
        for sample in samples.take(self.dice.below(8)).collect::<Vec<_>>() {
            let at = if sample.from_guest { "n1" } else { "n0" };
            let (data, tag) = (sample.bytes(), self.tag());
            let stream = self
                .netdevs
                .iter()
                .any(|netdev| netdev.id.as_str() == at && netdev.kind == NetdevKind::Socket);
            let data = if stream { encode(&data, None) } else { data.into() };
            self.rig.input(match stream {
                true => Input::StreamBytes { netdev: at.into(), data, tag },
                false => Input::NetdevFrame { netdev: at.into(), data, tag },
            });
        }
    }

    /// A reader goes away, and what would fill its socket's buffer comes.
    fn flood(&mut self) {
        if self.netdevs.len() > 6 {
            // A ring would carry it round hundreds of times.
            return;
        }
        if self.dice.chance(70) {
            let chardev = self.dice.pick(&["c1", "c1", "c1", "c3", "c3", "c2", "mux"]);
            let state = self.dice.pick(&[ChardevState::Stalled, ChardevState::OwnLoop]);
            self.rig.state(chardev, state);
        }
        let at = self.dice.pick(&["n0", "n1"]);
        let stream = self
            .netdevs
            .iter()
            .any(|netdev| netdev.id.as_str() == at && netdev.kind == NetdevKind::Socket);
        for _ in 0..self.dice.below(8) {
            let (frame, tag) = (vec![3; 60_000], self.tag());
            let data = if stream { encode(&frame, None) } else { frame.into() };
            self.rig.input(match stream {
                true => Input::StreamBytes { netdev: at.into(), data, tag },
                false => Input::NetdevFrame { netdev: at.into(), data, tag },
            });
        }
        if self.dice.chance(50) {
            self.look();
            let chardev = self.dice.pick(&["c1", "c1", "c3", "c2"]);
            let state = self.dice.pick(&[ChardevState::Resumed, ChardevState::Closed]);
            self.rig.state(chardev, state);
        }
    }

    fn write(&mut self) {
        let chardev = self.dice.pick(CHARDEVS);
        let mut data = self.framed();
        if chardev == "mux" && self.dice.chance(20) {
            data = [&data[..], &[1, self.dice.pick(&[1, 1, b'b', b'x'])]].concat().into();
        }
        let tag = self.tag();
        self.rig.input(Input::ChardevBytes { chardev: chardev.into(), data, tag });
    }

    fn state(&mut self) {
        let chardev = self.dice.pick(STREAMS);
        let state = self.dice.pick(&[
            ChardevState::Opened,
            ChardevState::Opened,
            ChardevState::Closed,
            ChardevState::HalfClosed,
            ChardevState::Stalled,
            ChardevState::Resumed,
            ChardevState::Resumed,
            ChardevState::OwnLoop,
        ]);
        self.rig.state(chardev, state);
    }

    fn capture(&mut self) {
        let mut frame = Frame::plain(self.frame());
        if self.dice.chance(30) {
            frame.vnet = VnetHdr::from_bytes(&[1, 0, 0, 0, 0, 0, 4, 0, 6, 0]);
        }
        let netdev = self.dice.pick(&["n0", "n1"]).into();
        let direction = self.dice.pick(&[Direction::Tx, Direction::Rx]);
        let tag = self.tag();
        self.rig.input(Input::Captured { netdev, direction, frame, tag });
    }

    fn add(&mut self, id: &str) {
        let kind = self.dice.pick(self.kinds);
        let dice = &mut self.dice;
        let mut option = format!("{kind},id={id}");
        if kind == "colo-compare" {
            let own = "primary_in=c0,secondary_in=c1,outdev=c2,notify_dev=c3";
            let lines = dice.pick(&[
                own,
                own,
                "primary_in=c0,secondary_in=c1,outdev=c2",
                "primary_in=c0,secondary_in=c1,outdev=null",
                "primary_in=c0,secondary_in=c3,outdev=none",
            ]);
            let _ = write!(option, ",{lines},iothread=io0");
            let limits = ["", ",max_queue_size=1", ",compare_timeout=5,expired_scan_cycle=3"];
            option.push_str(dice.pick(&limits));
        } else {
            let at = if dice.chance(50) { 0 } else { dice.below(self.netdevs.len()) };
            let _ = write!(option, ",netdev={}", self.netdevs[at].id);
            let _ = write!(option, ",queue={}", dice.pick(&["rx", "tx", "all"]));
            option.push_str(dice.pick(&["", "", "", ",status=off", ",position=head"]));
            if dice.chance(6) {
                let _ = write!(option, ",position=id={}", dice.pick(OBJECTS));
                option.push_str(dice.pick(&["", ",insert=before"]));
            }
        }
        let (indev, outdev) = if id == "f0" { ("c0", "c1") } else { ("c2", "c3") };
        let settled = dice.chance(70);
        let chardev = |dice: &mut Dice, usual: &'static str| match dice.chance(80) {
            true if settled => usual,
            true => dice.pick(&["c0", "c1", "c2", "c3", "mux", "away"]),
            false => dice.pick(CHARDEVS),
        };
        match kind {
            "filter-buffer" => {
                let _ = write!(option, ",interval={}", dice.pick(&[1, 1_000, 5_000]));
            }
            "filter-dump" => {
                let _ = write!(
                    option,
                    ",file={}",
                    dice.pick(&["x.pcap", "x.pcap", "y.pcap", "no/x.pcap"])
                );
                option.push_str(dice.pick(&["", ",maxlen=20"]));
            }
            "filter-mirror" => {
                let _ = write!(option, ",outdev={}", chardev(dice, outdev));
            }
            "filter-redirector" => {
                if dice.chance(80) {
                    let _ = write!(option, ",indev={}", chardev(dice, indev));
                } else if dice.chance(70) {
                    let _ = write!(
                        option,
                        ",in_netdev={}",
                        dice.pick(&["n0", "n0", "n1", "n1", "nic0"])
                    );
                }
                if dice.chance(60) {
                    let _ = write!(option, ",outdev={}", chardev(dice, outdev));
                } else if dice.chance(60) {
                    let _ = write!(
                        option,
                        ",out_netdev={}",
                        dice.pick(&["n0", "n0", "n1", "n1", "nic0"])
                    );
                }
            }
            _ => {}
        }
        let header = !matches!(kind, "filter-buffer" | "filter-dump" | "filter-replay");
        if header && self.vnet != (dice.below(20) == 0) {
            option.push_str(",vnet_hdr_support=on");
        }
        let outcome = self.rig.command(Command::ObjectOption(option));
        let _ = write!(self.digest, "{outcome:?}");
    }

    fn command(&mut self) {
        let dice = &mut self.dice;
        let object = dice.pick(OBJECTS);
        let chardev = dice.pick(CHARDEVS);
        let at = dice.below(self.netdevs.len());
        let netdev = self.netdevs[at].id.as_str();
        let path = format!("/objects/{object}");
        let set = |property: &str, value: Value| {
            ("qom-set", json!({"path": path, "property": property, "value": value}))
        };
        let (name, args) = match dice.below(22) {
            0..3 => ("object-del", json!({"id": object})),
            3 | 4 => set("status", dice.pick(&["on", "off", "off"]).into()),
            5 => set("queue", dice.pick(&["rx", "tx", "all"]).into()),
            6 => set("vnet_hdr_support", dice.chance(50).into()),
            7 => set("interval", dice.pick(&[1, 2_000]).into()),
            8 => set(dice.pick(&["compare_timeout", "max_queue_size"]), dice.pick(&[1, 9]).into()),
            9 => set("notify_dev", chardev.into()),
            10 => ("qom-get", json!({"path": path, "property": "max_queue_size"})),
            11 if dice.chance(60) => ("stop", json!({})),
            11..14 => ("cont", json!({})),
            14 => ("set_link", json!({"name": netdev, "up": dice.chance(60)})),
            15 if dice.chance(30) => ("netdev_del", json!({"id": netdev})),
            15 => ("netdev_add", json!({"type": "hubport", "id": "new", "hubid": 0})),
            16 => ("chardev-remove", json!({"id": chardev})),
            17 => (
                dice.pick(&["chardev-add", "chardev-change"]),
                json!({"id": chardev, "backend": {"type": "ringbuf", "data": {"size": 64}}}),
            ),
            18 => ("query-chardev", json!({})),
            19 => ("xen-colo-do-checkpoint", json!({})),
            _ => {
                let event = dice.pick(&[ColoEvent::Checkpoint, ColoEvent::Failover]);
                let outcome = self.rig.command(Command::Colo(event));
                let _ = write!(self.digest, "{outcome:?}");
                return;
            }
        };
        let outcome = self.rig.qmp(name, args);
        let _ = write!(self.digest, "{outcome:?}");
    }
}

/// Which drives a digest is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Those of the versions that were modelled first.
    First,
    /// Those of the same drives that were of the RFC's profiles.
    Rfc,
    /// Drives of the versions that were modelled since.
    Later,
}

impl Of {
    const fn versions(self) -> &'static [QemuVersion] {
        use QemuVersion::{Ideal, Qemu72, Qemu100, Qemu102, Qemu111, RfcV1};
        match self {
            Self::First | Self::Rfc => &[Qemu72, Qemu102, RfcV1, Ideal],
            Self::Later => &[Qemu100, Qemu111],
        }
    }

    fn quirks(self) -> impl Iterator<Item = Quirk> {
        // One that is newer than all digests would change what is drawn for them.
        let newer = |quirk: &Quirk| *quirk == Quirk::CaptureHostToGuestOnly;
        // What a mended `off-indev-injects` means is newer than the first digests.
        let later =
            [Quirk::IndevKeepsHalfFrame, Quirk::CompareErrorFreezes, Quirk::OffIndevInjects];
        let quirks = Quirk::ALL.iter().copied().filter(move |quirk| !newer(quirk));
        quirks.filter(move |quirk| self == Self::Later || !later.contains(quirk))
    }

    fn counts(self, version: QemuVersion) -> bool {
        match self {
            Self::First => !version.has_af_packet(),
            Self::Rfc => version.has_af_packet(),
            Self::Later => true,
        }
    }
}

#[rstest]
#[case::everything_on_a_hub(pair, ALL, 300, [0x684c_a0a4_29dc_746e, 0x20a2_ef12_75bf_7f33, 0xa93b_cc92_47f7_d57b])]
#[case::everything_on_a_ring(ring, ALL, 60, [0x2c7d_af44_e724_7165, 0xa275_dd9e_0870_31af, 0xe755_7642_1c03_a268])]
#[case::everything_on_taps(taps, ALL, 300, [0x6af3_b98e_9578_5b0f, 0x1615_53e7_2188_d3a5, 0x7723_e25a_f870_ad89])]
#[case::what_holds_on_a_hub(pair, HOLDING, 300, [0xf219_5983_d5dd_576e, 0xe437_d9f6_5866_92b6, 0x37bb_4916_b246_3c95])]
#[case::what_holds_on_a_ring(ring, HOLDING, 60, [0x8e2c_6087_fe3e_51c5, 0xc67f_2287_de54_f66b, 0xf70f_4fba_36c8_f8c2])]
#[case::chardevs_on_a_hub(pair, CHARDEV_ONLY, 300, [0x73ee_af43_40a2_068c, 0xacb7_b896_12be_4998, 0x572f_40ce_3e93_1331])]
#[case::comparers(pair, &["colo-compare"], 200, [0x7341_f420_bca4_7c18, 0x4328_8cfb_7112_533a, 0x3dc3_ec97_78f6_d9f3])]
fn complete_outputs_are_those_that_were_recorded(
    #[case] netdevs: Netdevs,
    #[case] kinds: &'static [&'static str],
    #[case] drives: u64,
    #[case] recorded: [u64; 3],
) {
    let digest = |of: Of| {
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        for seed in 0..drives {
            let drive = Drive::new(netdevs, kinds, of, seed);
            if of.counts(drive.version()) {
                digest.bytes(&drive.run().to_be_bytes());
            }
        }
        digest.0
    };
    let now = [Of::First, Of::Rfc, Of::Later].map(digest);
    assert_eq!(now, recorded, "the digests are now {now:#018x?}");
}
