//! A guest that goes from one machine to another while the network sends to it: capture at the source,
//! injection at the destination, a bridge whose ports move, announcements.

use serde_json::{Map, Value, json};

use super::rng::Rng;

/// The guest's address, at both machines.
const MAC: &str = "52:54:00:12:34:56";
const MACHINES: [&str; 2] = ["source", "dest"];
/// The objects, with their machines.
const OBJECTS: [(&str, &str); 3] = [("source", "cap"), ("dest", "inj"), ("dest", "hold")];

/// The keys of a scenario but for its description.
pub(super) fn draw(rng: &mut Rng) -> Map<String, Value> {
    let vhost = [rng.chance(50), rng.chance(50)];
    let nic = rng.word(&["plain", "plain", "virtio"]);
    let with_stack = nic == "plain" && rng.chance(40);
    let netdev = |number: usize| {
        let mut netdev = json!({
            "netns": "net", "ifname": format!("tap{number}"), "mac": MAC, "vhost": vhost[number],
            "nic": nic,
        });
        if number == 0 && with_stack {
            netdev["guest"] = json!({ "address": "10.0.0.2/24", "services": { "7": "echo" } });
        }
        json!({ "hn0": netdev })
    };
    let stopped_too = rng.word(&["", ",enable_when_stopped=on", ",enable_when_stopped=on"]);
    let status = rng.word(&["off", "on"]);
    let mut taken = vec![match rng.chance(60) {
        true => "filter-redirector,id=inj,netdev=hn0,queue=tx,indev=mig,out_netdev=hn0",
        false if vhost[1] => {
            "filter-redirector,id=inj,netdev=hn0,queue=all,indev=mig,out_netdev=hn0"
        }
        false => "filter-redirector,id=inj,netdev=hn0,queue=tx,indev=mig",
    }];
    if !vhost[1] && rng.chance(50) {
        taken.push("filter-buffer,id=hold,netdev=hn0,queue=tx,interval=20000");
    }
    let machines = json!({
        "source": {
            "stopped": rng.chance(10),
            "netdevs": netdev(0),
            "chardevs": { "mig": { "path": "mig" } },
            "objects": [format!(
                "filter-redirector,id=cap,netdev=hn0,queue={},in_netdev=hn0,outdev=mig,\
                 status={status}{stopped_too}",
                rng.word(&["tx", "tx", "all"]),
            )],
        },
        "dest": {
            "incoming": true,
            "stopped": rng.chance(40),
            "netdevs": netdev(1),
            "chardevs": { "mig": { "path": "mig", "server": "on" } },
            "objects": taken,
        },
    });
    let ports = rng.word(&["source", "both"]);
    let held: &[&str] = if ports == "both" { &["source/hn0", "dest/hn0"] } else { &["source/hn0"] };
    let mut root = Map::new();
    root.insert("namespaces".to_owned(), json!(["net"]));
    let ends = json!([
        { "name": "l0", "netns": "net", "bridge": "br0" },
        { "name": "l1", "netns": "net", "mac": "02:00:00:00:00:99" },
    ]);
    root.insert("links".to_owned(), json!({ "lan": { "ends": ends } }));
    root.insert("bridges".to_owned(), json!({ "br0": { "netns": "net", "ports": held } }));
    root.insert("machines".to_owned(), machines);
    root.insert("steps".to_owned(), steps(rng));
    root
}

fn steps(rng: &mut Rng) -> Value {
    let mut steps = Vec::new();
    let count = rng.within(4, 16);
    for number in 0..count {
        let machine = rng.word(&MACHINES);
        steps.push(match rng.below(100) {
            0..35 => from_network(rng, number),
            35..45 => json!({ "send": format!("{machine}/hn0.guest"), "frames": [{
                "eth": { "src": MAC, "dst": "02:00:00:00:00:99", "type": 0x88b5 },
                "payload": format!("from the guest, {number}"),
            }] }),
            45..60 => {
                let verb = rng.word(&["stop", "cont"]);
                json!({ verb: null, "machine": machine })
            }
            60..72 => json!({ "migrate": { "from": "source", "to": "dest" } }),
            72..84 => {
                let bridge = rng.chance(60).then_some("br0");
                json!({ "link-set": format!("{machine}/hn0.host"), "bridge": bridge })
            }
            84..89 => json!({
                "announce-self": {
                    "initial": rng.number(&[0, 10, 50]), "max": 550,
                    "rounds": rng.number(&[0, 1, 3]), "step": 100,
                },
                "machine": machine,
            }),
            89..94 => json!({ "advance": rng.word(&["10ms", "100ms", "1s"]) }),
            _ => {
                let (machine, id) = OBJECTS[rng.below(OBJECTS.len())];
                let value = rng.word(&["on", "off"]);
                let path = format!("/objects/{id}");
                let set = json!({ "path": path, "property": "status", "value": value });
                json!({ "qom-set": set, "machine": machine })
            }
        });
    }
    steps.into()
}

fn from_network(rng: &mut Rng, number: usize) -> Value {
    let to = rng.word(&[MAC, MAC, "ff:ff:ff:ff:ff:ff", "52:54:00:00:00:77"]);
    let frame = json!({
        "eth": { "dst": to },
        "ipv4": { "src": "10.0.0.9", "dst": "10.0.0.2" },
        "udp": { "sport": 4000, "dport": 9 },
        "payload": format!("a frame from the network, {number}"),
    });
    json!({ "send": "lan.l1", "frames": [frame] })
}
