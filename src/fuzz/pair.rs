//! A primary and a secondary as COLO joins them (QEMU 10.2.2 docs/COLO-FT.txt), and a client.

use serde_json::{Map, Value, json};

use super::{
    conversation::{self, Conversation, Speaker},
    draft::Dialect,
    rng::Rng,
};

/// What a step can speak of: objects, each with its machine.
struct Pair {
    dialect: Dialect,
    objects: Vec<(&'static str, &'static str)>,
    notify: bool,
    vnet: bool,
}

/// `machines` and `steps` of a scenario.
pub(super) fn draw(dialect: Dialect, rng: &mut Rng) -> (Value, Value) {
    let mut pair = Pair {
        dialect,
        objects: vec![
            ("primary", "m0"),
            ("primary", "redire0"),
            ("primary", "redire1"),
            ("primary", "comp0"),
            ("secondary", "f1"),
            ("secondary", "f2"),
        ],
        notify: rng.chance(50),
        vnet: rng.chance(12),
    };
    let vnet = if pair.vnet { ",vnet_hdr_support=on" } else { "" };
    let mirrored = if rng.chance(90) { "tx" } else { "all" };
    let notify = if pair.notify { ",notify_dev=ntf0" } else { "" };
    let primary = json!([
        format!("filter-mirror,id=m0,netdev=hn0,queue={mirrored},outdev=mirror0{vnet}"),
        format!("filter-redirector,netdev=hn0,id=redire0,queue=rx,indev=compare_out{vnet}"),
        format!("filter-redirector,netdev=hn0,id=redire1,queue=rx,outdev=compare0{vnet}"),
        "iothread,id=io0",
        format!(
            "colo-compare,id=comp0,primary_in=compare0-0,secondary_in=compare1,\
             outdev=compare_out0,iothread=io0,compare_timeout=3600000{notify}{vnet}"
        ),
    ]);
    let mut secondary = vec![
        format!("filter-redirector,id=f1,netdev=hn0,queue=tx,indev=red0{vnet}"),
        format!("filter-redirector,id=f2,netdev=hn0,queue=rx,outdev=red1{vnet}"),
    ];
    if rng.chance(80) {
        pair.objects.push(("secondary", "rew0"));
        secondary.push(format!("filter-rewriter,id=rew0,netdev=hn0,queue=all{vnet}"));
    }
    let server = |path: &str| json!({ "server": "on", "path": path });
    let client = |path: &str| json!({ "path": path });
    let mut chardevs = Map::new();
    for (id, chardev) in [
        ("mirror0", server("mirror")),
        ("compare1", server("compare1")),
        ("compare0", server("compare0")),
        ("compare0-0", client("compare0")),
        ("compare_out", server("out")),
        ("compare_out0", client("out")),
    ] {
        chardevs.insert(id.to_owned(), chardev);
    }
    if pair.notify {
        chardevs.insert("ntf0".to_owned(), json!({}));
    }
    let netdevs = json!({ "hn0": { "type": "tap" } });
    let machines = json!({
        "primary": { "netdevs": netdevs, "chardevs": chardevs, "objects": primary },
        "secondary": {
            "netdevs": netdevs,
            "chardevs": { "red0": client("mirror"), "red1": client("compare1") },
            "objects": secondary,
        },
    });
    (machines, steps(&pair, rng))
}

fn steps(pair: &Pair, rng: &mut Rng) -> Value {
    let mut talks: Vec<Conversation> =
        (0..rng.within(1, 2)).map(|n| Conversation::new(n, rng)).collect();
    let mut steps = Vec::new();
    let count = rng.within(3, 16);
    while steps.len() < count {
        match rng.below(100) {
            0..76 => {
                let index = rng.below(talks.len());
                speak(&mut talks[index], rng, &mut steps);
            }
            76..84 => datagram(rng, &mut steps),
            84..89 if pair.notify => {
                let mut pieces = vec![json!({ "u32": 15 })];
                if pair.vnet {
                    pieces.push(json!({ "u32": 0 }));
                }
                pieces.push(json!({ "text": "COLO_CHECKPOINT" }));
                steps.push(json!({ "write": "primary/ntf0", "data": pieces }));
            }
            89..93 => steps.push(json!({ "colo": "checkpoint" })),
            93..94 if pair.dialect == Dialect::Rfc => steps.push(json!({ "colo": "failover" })),
            94..97 => {
                let Some((machine, id)) = rng.pick(&pair.objects) else {
                    continue;
                };
                let value = rng.word(&["off", "on"]);
                let path = format!("/objects/{id}");
                let set = json!({ "path": path, "property": "status", "value": value });
                if *id != "comp0" {
                    steps.push(json!({ "qom-set": set, "machine": machine }));
                }
            }
            97..99 => {
                if let Some((machine, id)) = rng.pick(&pair.objects) {
                    steps.push(json!({ "object-del": id, "machine": machine }));
                }
            }
            _ => {
                let machine = rng.word(&["primary", "secondary"]);
                let verb = rng.word(&["stop", "cont"]);
                steps.push(json!({ verb: null, "machine": machine }));
            }
        }
    }
    steps.into()
}

/// The client's next segment, or what both guests answer.
fn speak(talk: &mut Conversation, rng: &mut Rng, steps: &mut Vec<Value>) {
    let segment = talk.next(rng);
    if segment.from == Speaker::Client {
        let mut frame = talk.frame(&segment, false);
        if rng.chance(15) {
            conversation::season(&mut frame, false, rng);
        }
        steps.push(json!({ "send": "primary/hn0.host", "frames": [frame] }));
        return;
    }
    let mut guests = ["primary", "secondary"];
    if rng.chance(40) {
        guests.reverse();
    }
    let missing = rng.chance(8);
    for guest in guests.iter().skip(usize::from(missing)) {
        let mut frame = talk.frame(&segment, *guest == "secondary");
        if rng.chance(5) {
            conversation::season(&mut frame, false, rng);
        }
        if rng.chance(4) && frame.contains_key("payload") {
            frame.insert("payload".to_owned(), "other".into());
        }
        steps.push(from_guest(guest, frame));
    }
}

fn datagram(rng: &mut Rng, steps: &mut Vec<Value>) {
    let payload = rng.word(&["one", "two", "three"]);
    let dport = rng.within(4000, 4001);
    for guest in ["primary", "secondary"] {
        let mut frame = Map::new();
        let ipv4 = json!({ "src": "10.0.0.2", "dst": "10.0.0.9" });
        frame.insert("ipv4".to_owned(), ipv4);
        frame.insert("udp".to_owned(), json!({ "sport": 53, "dport": dport }));
        let same = rng.chance(85);
        let payload = if same { payload } else { "other" };
        frame.insert("payload".to_owned(), payload.into());
        steps.push(from_guest(guest, frame));
    }
}

/// Both guests have the same address.
fn from_guest(guest: &str, mut frame: Map<String, Value>) -> Value {
    let eth = frame.entry("eth").or_insert_with(|| json!({}));
    eth["src"] = "52:54:00:12:34:56".into();
    eth["dst"] = "02:00:00:00:00:01".into();
    json!({ "send": format!("{guest}/hn0.guest"), "frames": [frame] })
}
