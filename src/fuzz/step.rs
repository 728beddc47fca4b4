//! The steps of random scenarios: traffic and changes at run time.

use serde_json::{Map, Value, json};

use super::{
    draft::{Chardev, Dialect, Draft, FarEnd, PortFraming, Tap},
    frame::{self, At},
    object,
    rng::Rng,
};

/// Something that a step can be.
struct Choice {
    weight: usize,
    draw: Draw,
}

/// One step, or several that belong together. None where the draft has nothing to do it with.
#[derive(Clone, Copy)]
enum Draw {
    One(fn(&mut Draft, &mut Rng) -> Option<Value>),
    Scene(fn(&mut Draft, &mut Rng) -> Option<Vec<Value>>),
}

const fn choice(weight: usize, draw: fn(&mut Draft, &mut Rng) -> Option<Value>) -> Choice {
    let draw = Draw::One(draw);
    Choice { weight, draw }
}

/// How many of them there were when seeds were first reported.
const OLD_CHOICES: usize = 20;

/// What steps are, and how often. A new row goes to the end: a seed that never draws it gives the same
/// scenario as before.
static CHOICES: &[Choice] = &[
    choice(50, send),
    choice(9, write),
    choice(10, qom_set),
    choice(2, qom_get),
    choice(4, object_add),
    choice(4, object_risky),
    choice(4, object_del),
    choice(5, chardev_close),
    choice(5, chardev_open),
    choice(3, chardev_stall),
    choice(4, chardev_resume),
    choice(2, chardev_remove),
    choice(2, chardev_add),
    choice(4, set_link),
    choice(3, stop_or_cont),
    choice(3, link_set),
    choice(1, link_del),
    choice(1, netdev_del),
    choice(2, advance),
    Choice { weight: 70, draw: Draw::Scene(scene) },
    choice(2, announce),
];

/// Several steps. The last sends something, so that what was changed before shows itself.
pub(super) fn steps(draft: &mut Draft, rng: &mut Rng) -> Value {
    let mut steps = Vec::new();
    let count = rng.within(2, 11);
    while steps.len() < count && !draft.over {
        let draw = rng
            .weighted_growing(CHOICES, OLD_CHOICES, |choice| choice.weight)
            .map_or(Draw::One(send), |choice| choice.draw);
        match draw {
            Draw::One(draw) => steps.extend(draw(draft, rng)),
            Draw::Scene(draw) => steps.extend(draw(draft, rng).into_iter().flatten()),
        }
    }
    if !draft.over {
        steps.extend(send(draft, rng));
    }
    steps.into()
}

/// A port at which frames can be sent, mostly one that matters to an object.
fn port(draft: &Draft, rng: &mut Rng) -> Option<(String, At)> {
    let interesting: Vec<String> =
        draft.objects.iter().flat_map(|made| (made.kind.traffic)(made, draft)).collect();
    let mut ports: Vec<String> = draft
        .taps
        .iter()
        .flat_map(|tap| [format!("{}.guest", tap.id), format!("{}.host", tap.id)])
        .collect();
    ports.extend(draft.chardev_ports().iter().map(|port| port.id.clone()));
    let name = if rng.chance(80) {
        rng.pick(&interesting).or(ports.first())?.clone()
    } else {
        rng.pick(&ports)?.clone()
    };
    let at = match name.split_once('.') {
        Some((tap, _)) => At::tap(draft, tap),
        None => match draft.chardevs.iter().find(|chardev| chardev.id == name)?.end {
            FarEnd::Port(PortFraming::Raw) | FarEnd::Joined | FarEnd::Nobody => return None,
            FarEnd::Port(framing) => At::chardev(framing),
        },
    };
    Some((name, at))
}

fn send(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let (port, at) = port(draft, rng)?;
    let is_chardev = !port.contains('.');
    let mut step = Map::new();
    step.insert("send".to_owned(), port.into());
    step.insert("frames".to_owned(), frame::frames(at, rng));
    if rng.chance(15) {
        step.insert("burst".to_owned(), true.into());
    }
    let mut most = 60;
    if is_chardev && rng.chance(30) {
        let chunk = rng.number(&[1, 3, 7, 64, 1000, 4096]);
        step.insert("chunk".to_owned(), chunk.into());
        // A QEMU that a broken TAP keeps busy takes a millisecond for each piece.
        most = if chunk < 64 { 3 } else { most };
    }
    if rng.chance(6) {
        let times = rng.number(&[2, 3, 20, 60]);
        if times > 3 && draft.objects.iter().any(|made| made.kind.paced) {
            // What a comparer finds waiting for a slow reader depends on how slow that is.
            step.remove("burst");
        }
        step.insert("repeat".to_owned(), times.min(most).into());
    }
    Some(step.into())
}

/// Bytes to a chardev that an object reads, or to any.
fn write(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let ports = draft.chardev_ports();
    let read: Vec<_> = ports
        .iter()
        .filter(|port| {
            draft.objects.iter().any(|made| made.read_chardevs().any(|id| id == port.id))
        })
        .collect();
    let port = if rng.chance(85) {
        rng.pick(&read).map(|port| **port)
    } else {
        rng.pick(&ports).copied()
    }?;
    let vnet = draft
        .objects
        .iter()
        .find(|made| made.read_chardevs().any(|id| id == port.id))
        .is_some_and(|made| made.is_on("vnet_hdr_support"));
    let mut step = Map::new();
    step.insert("write".to_owned(), port.id.as_str().into());
    step.insert("data".to_owned(), frame::pieces(vnet, rng));
    if rng.chance(40) {
        step.insert("chunk".to_owned(), rng.number(&[1, 3, 5, 64, 4096]).into());
    }
    Some(step.into())
}

fn qom_set(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let made = rng.pick(&draft.objects)?;
    let (property, values) = *rng.pick(made.kind.live)?;
    let value = rng.word(values);
    let boolean = property == "vnet_hdr_support";
    let value = match value {
        "on" | "off" if boolean => json!(value == "on"),
        _ => value.parse::<i64>().map_or_else(|_| json!(value), Value::from),
    };
    let path = format!("/objects/{}", made.id);
    Some(json!({ "qom-set": { "path": path, "property": property, "value": value } }))
}

fn qom_get(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let made = rng.pick(&draft.objects)?;
    let mut properties = object::READ.to_vec();
    properties.extend(made.properties.iter().map(|(name, _)| *name));
    let property = rng.word(&properties);
    let path = format!("/objects/{}", made.id);
    Some(json!({ "qom-get": { "path": path, "property": property } }))
}

fn object_add(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let made = object::make(draft, rng)?;
    Some(json!({ "object-add": made.written(rng) }))
}

fn object_risky(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let made = object::risky(draft, rng)?;
    draft.over = made.kind.deadly;
    Some(json!({ "object-add": made.written(rng) }))
}

/// The draft keeps what is deleted: later steps may speak of it, and be refused.
fn object_del(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let made = rng.pick(&draft.objects)?;
    let id = match rng.below(100) {
        0..92 => made.id.as_str(),
        92..96 => "nope",
        _ => "io0",
    };
    Some(json!({ "object-del": id }))
}

/// What an object's kind makes of several steps.
fn scene(draft: &mut Draft, rng: &mut Rng) -> Option<Vec<Value>> {
    let players: Vec<_> = draft.objects.iter().filter(|made| made.kind.scene.is_some()).collect();
    let made = (*rng.pick(&players)?).clone();
    (made.kind.scene?)(&made, draft, rng)
}

/// A step at a chardev's port: mostly one that an object has.
fn at_chardev(verb: &str, draft: &Draft, rng: &mut Rng) -> Option<Map<String, Value>> {
    let ports = draft.chardev_ports();
    let port = rng.pick(&ports)?;
    let mut step = Map::new();
    step.insert(verb.to_owned(), port.id.as_str().into());
    Some(step)
}

fn chardev_close(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let mut step = at_chardev("chardev-close", draft, rng)?;
    if rng.chance(25) {
        step.insert("half".to_owned(), true.into());
    }
    Some(step.into())
}

fn chardev_open(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    at_chardev("chardev-open", draft, rng).map(Value::from)
}

fn chardev_stall(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    at_chardev("chardev-stall", draft, rng).map(Value::from)
}

fn chardev_resume(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    at_chardev("chardev-resume", draft, rng).map(Value::from)
}

/// The id of a chardev that is joined to no other.
fn lone_chardev(draft: &Draft, rng: &mut Rng) -> Option<String> {
    let lone = |chardev: &&Chardev| chardev.end != FarEnd::Joined;
    let lone: Vec<_> = draft.chardevs.iter().filter(lone).collect();
    rng.pick(&lone).map(|chardev| chardev.id.clone())
}

fn chardev_remove(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let id = lone_chardev(draft, rng)?;
    Some(json!({ "chardev-remove": id }))
}

/// A chardev of an id that is there, or was.
fn chardev_add(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let id = lone_chardev(draft, rng)?;
    let backend = match rng.below(3) {
        0 => json!({ "type": "null", "data": {} }),
        1 => json!({ "type": "ringbuf", "data": { "size": rng.number(&[1024, 1000]) } }),
        _ => json!({ "type": "socket", "data": {
            "addr": { "type": "unix", "data": { "path": id } }, "server": true, "wait": false
        } }),
    };
    Some(json!({ "chardev-add": { "id": id, "backend": backend } }))
}

fn set_link(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let mut name =
        if rng.chance(95) { rng.pick(&draft.taps)?.id.clone() } else { "nope".to_owned() };
    if rng.chance(25) {
        // The guest's NIC.
        name += ".guest";
    }
    Some(json!({ "set_link": { "name": name, "up": rng.chance(50) } }))
}

fn stop_or_cont(_: &mut Draft, rng: &mut Rng) -> Option<Value> {
    Some(rng.word(&["stop", "cont", "cont"]).into())
}

/// No guest of a real QEMU has a NIC here, so that the common dialect announces nothing, or is refused.
fn announce(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let rounds = match draft.dialect {
        Dialect::Common => 0,
        Dialect::Rfc => rng.number(&[0, 1, 2, 5]),
    };
    let mut args = json!({
        "initial": rng.number(&[0, 10, 50]), "max": 550, "rounds": rounds, "step": 100,
    });
    match rng.below(10) {
        0 => args["max"] = "550".into(),
        1 => args["interfaces"] = json!(["hn0.guest"]),
        2 => args["id"] = "a".into(),
        _ => {}
    }
    Some(json!({ "announce-self": args }))
}

fn link_set(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let tap = present(draft, rng)?;
    let mut step = Map::new();
    step.insert("link-set".to_owned(), format!("{}.host", tap.id).into());
    if rng.chance(75) {
        step.insert("up".to_owned(), rng.chance(60).into());
    } else {
        step.insert("mtu".to_owned(), rng.number(&[68, 1000, 1500, 9000]).into());
    }
    Some(step.into())
}

fn link_del(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let tap = present(draft, rng)?;
    tap.gone = true;
    Some(json!({ "link-del": format!("{}.host", tap.id) }))
}

fn netdev_del(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let tap = present(draft, rng)?;
    tap.gone = true;
    Some(json!({ "netdev_del": tap.id }))
}

/// A TAP that no step has deleted.
fn present<'a>(draft: &'a mut Draft, rng: &mut Rng) -> Option<&'a mut Tap> {
    let mut taps: Vec<_> = draft.taps.iter_mut().filter(|tap| !tap.gone).collect();
    let index = rng.below(taps.len());
    (index < taps.len()).then(|| taps.swap_remove(index))
}

/// A real QEMU's clock is the wall's, so the common dialect waits shortly.
fn advance(draft: &mut Draft, rng: &mut Rng) -> Option<Value> {
    let timed = draft.objects.iter().any(|made| made.kind.timed);
    if timed && !draft.has_own_time() {
        return None;
    }
    draft.waits = true;
    let long: &[&'static str] = &["10ms", "1s", "3s", "60s"];
    let spans = match draft.dialect {
        Dialect::Common => &["10ms", "50ms"],
        Dialect::Rfc => long,
    };
    Some(json!({ "advance": rng.word(spans) }))
}
