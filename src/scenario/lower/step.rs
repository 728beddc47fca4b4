//! Reads the steps: one verb each, with its arguments.

use ::bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    bytes, capture,
    expect::{self, Known},
    host, machine, migrate,
    port::Endpoint,
    send,
    stack::Interfaces,
    traffic,
};
use crate::{
    base::{MachineId, PortId},
    diag::Span,
    record::PortKind,
    scenario::{
        case::{BridgeChange, Burst, ColoEvent, LinkSet, Step, Verb},
        context::Context,
        fault::Fault,
        fields::Fields,
        key::{self, QMP_VERBS, VERB_NAMES},
        node::{Entry, Node, Tree, json_map, short},
        suggest::nearest,
        value,
    },
};

pub(super) fn lower(fields: &Fields<'_>, known: &Known<'_>) -> Vec<Step> {
    let Some(node) = fields.node("steps") else {
        return Vec::new();
    };
    let Some(nodes) = node.list() else {
        let help = "write each step as `- verb: ...`".to_owned();
        value::mismatch(fields.context(), node, "a list of steps", Some(help));
        return Vec::new();
    };
    nodes
        .iter()
        .enumerate()
        .filter_map(|(number, node)| step(fields, number, node, known))
        .collect()
}

fn step(root: &Fields<'_>, number: usize, node: &Node, known: &Known<'_>) -> Option<Step> {
    let context = root.context();
    // `- stop` is `- stop:`.
    if let Some(word) = node.text().filter(|word| key::LONE_VERBS.contains(word)) {
        let verb = Verb::Qmp {
            machine: machine::only(root, node.span, known.machines)?,
            command: word.to_owned(),
            args: Map::new(),
        };
        return Some(Step { span: node.span, error: None, verb });
    }
    let entry = verb_entry(context, node)?;
    let keys = key::verb_keys(&entry.key)?;
    let map = Fields::open(context, node, keys)?;
    let error = match keys.key("error") {
        Some(_) => map.node("error").and_then(|node| expect::error(context, node)),
        None => None,
    };
    let step = Step { span: entry.key_span, error, verb: verb(&map, entry, number, known)? };
    Some(step)
}

/// The one entry of a step whose key is a verb.
fn verb_entry<'a>(context: &Context<'_>, node: &'a Node) -> Option<&'a Entry> {
    let Some(entries) = node.map() else {
        let fault = match node.text().filter(|text| !text.contains(char::is_whitespace)) {
            Some(word) if VERB_NAMES.contains(&word) => {
                Fault::StepShape { reason: format!("`{word}` needs its arguments") }
            }
            Some(word) => unknown_verb(word),
            None => Fault::StepShape { reason: format!("a step can't be {}", node.shown()) },
        };
        context.fault(node.span, fault);
        return None;
    };
    let verbs: Vec<&Entry> =
        entries.iter().filter(|entry| VERB_NAMES.contains(&entry.key.as_str())).collect();
    match verbs.as_slice() {
        [verb] => Some(verb),
        [first, second, ..] => {
            let reason = format!("`{}` and `{}` are two steps", first.key, second.key);
            context.fault_with(
                second.key_span,
                Fault::StepShape { reason },
                first.key_span,
                "the first verb",
            );
            None
        }
        [] => {
            match entries.first() {
                Some(entry) => context.fault(entry.key_span, unknown_verb(&entry.key)),
                None => {
                    let reason = "the step is empty".to_owned();
                    context.fault(node.span, Fault::StepShape { reason });
                }
            }
            None
        }
    }
}

fn unknown_verb(word: &str) -> Fault {
    let help = match word {
        "exec" => "use `client` for an exchange over TCP, else `send` the program's packets",
        _ => {
            let near = nearest(word, VERB_NAMES.iter().copied());
            return Fault::UnknownVerb { verb: short(word), near };
        }
    };
    Fault::NotYet { what: word.to_owned(), help }
}

fn verb(map: &Fields<'_>, entry: &Entry, number: usize, known: &Known<'_>) -> Option<Verb> {
    let context = map.context();
    let name = entry.key.as_str();
    if QMP_VERBS.contains(&name) {
        let machine = machine::of_step(map, entry.key_span, known.machines)?;
        if let Some(object) = known.added.get(&number) {
            return Some(Verb::ObjectAdd(object.clone()));
        }
        return qmp(context, machine, entry);
    }
    match name {
        "colo" => colo(map, entry, known),
        "migrate" => migrate::lower(map, entry, known),
        "advance" => map.duration("advance").map(Verb::Advance),
        "expect" => Some(Verb::Expect(expect::lower(context, &entry.value, known))),
        "note" => map.text("note").map(Verb::Note),
        "client" => traffic::client(context, &entry.value, known).map(Verb::Client),
        "impair" => {
            let all = traffic::impairs(context, &entry.value, known.ports, &known.interfaces);
            Some(Verb::Impair(all))
        }
        _ => {
            let target = value::text(context, &entry.value)?;
            let verb = key::VERB_NAMES.iter().copied().find(|verb| *verb == name)?;
            let endpoint = known.ports.find(context, target, entry.value.span, verb)?;
            at_port(map, verb, endpoint, entry.value.span, known)
        }
    }
}

/// `colo: checkpoint`, or `colo: {event: checkpoint, machine: primary}`.
fn colo(step: &Fields<'_>, entry: &Entry, known: &Known<'_>) -> Option<Verb> {
    const WORDS: &[&str] = &["checkpoint", "failover"];
    let (word, machine) = if entry.value.map().is_some() {
        let map = Fields::open(step.context(), &entry.value, &key::COLO)?;
        let machine = match map.node("machine") {
            Some(node) => Some(machine::find(&map, node, known.machines)?),
            None => None,
        };
        (map.choice("event")?, machine)
    } else {
        let word = value::choice(step.context(), &entry.value, "colo", WORDS)?;
        (word, None)
    };
    let event = match word {
        "checkpoint" => ColoEvent::Checkpoint,
        _ => ColoEvent::Failover,
    };
    Some(Verb::Colo { event, machine })
}

fn at_port(
    map: &Fields<'_>,
    verb: &'static str,
    endpoint: &Endpoint,
    span: Span,
    known: &Known<'_>,
) -> Option<Verb> {
    let port = endpoint.port.id.clone();
    match verb {
        "send" => {
            let takes = endpoint.port.kind != PortKind::File;
            need(map, endpoint, span, verb, takes, "a port that takes frames")?;
            return send_verb(map, endpoint, span);
        }
        "link-set" | "link-del" => {
            let there = matches!(endpoint.port.kind, PortKind::Host | PortKind::LinkEnd);
            need(map, endpoint, span, verb, there, "a host port or a link end")?;
            return if verb == "link-del" {
                Some(Verb::LinkDel(port))
            } else {
                link_set(map, endpoint, &known.interfaces)
            };
        }
        _ => need(map, endpoint, span, verb, endpoint.is_chardev(), "the port of a chardev")?,
    }
    Some(match verb {
        "write" => Verb::Write { port, data: Bytes::from(data(map)?), chunk: map.integer("chunk") },
        "chardev-open" => Verb::ChardevOpen(port),
        "chardev-close" => Verb::ChardevClose { port, half: map.boolean_or_default("half") },
        "chardev-stall" => Verb::ChardevStall(port),
        _ => Verb::ChardevResume(port),
    })
}

/// Reports a port of the wrong kind.
fn need(
    map: &Fields<'_>,
    endpoint: &Endpoint,
    span: Span,
    verb: &'static str,
    holds: bool,
    needs: &'static str,
) -> Option<()> {
    if !holds {
        let is = match endpoint.port.kind {
            PortKind::Guest => "is a guest port",
            PortKind::Host => "is a host port",
            PortKind::LinkEnd => "is a link end",
            PortKind::Chardev(_) => "is the port of a chardev",
            PortKind::File => "is the file of a filter-dump",
        };
        map.fault(
            span,
            Fault::WrongPort {
                name: endpoint.port.id.to_string(),
                is,
                verb,
                needs,
                help: format!("name {needs}, or use another verb"),
            },
        );
    }
    holds.then_some(())
}

fn qmp(context: &Context<'_>, machine: MachineId, entry: &Entry) -> Option<Verb> {
    let command = entry.key.to_string();
    let args = match &entry.value.tree {
        Tree::Map(entries) => json_map(entries),
        Tree::Scalar(scalar) if scalar.is_null() && matches!(&*command, "stop" | "cont") => {
            Map::new()
        }
        Tree::Scalar(scalar)
            if matches!(&*command, "object-del" | "netdev_del" | "chardev-remove")
                && entry.value.text().is_some() =>
        {
            Map::from_iter([("id".to_owned(), Value::String(scalar.text.to_string()))])
        }
        Tree::Scalar(_) | Tree::List(_) => {
            let help = key::verb_keys(&command)
                .and_then(|keys| keys.key(&command))
                .map(|key| format!("write {}", key.doc));
            value::mismatch(context, &entry.value, "a map of QMP's arguments", help);
            return None;
        }
    };
    Some(Verb::Qmp { machine, command, args })
}

fn send_verb(map: &Fields<'_>, endpoint: &Endpoint, span: Span) -> Option<Verb> {
    let context = map.context();
    if !send::has_frames(context, endpoint, span, "`send`") {
        return None;
    }
    if let Some(entry) = map.entry("chunk").filter(|_| !endpoint.is_chardev()) {
        let key = "chunk".to_owned();
        map.fault(entry.key_span, Fault::Needs { key, needs: "the port of a chardev" });
    }
    let before = context.noted();
    let times: usize = map.integer_or_default("repeat");
    let mut frames = match (map.node("pcap"), map.node("frames")) {
        (Some(pcap), _) => {
            let factor = capture::timing(map).unwrap_or_default();
            let once = capture::packets(map, &endpoint.sending(), factor).unwrap_or_default();
            send::alike(context, once, pcap.span, times)
        }
        (None, Some(node)) if map.has("repeat") => send::repeated(context, node, endpoint, times),
        (None, Some(node)) => send::frames(context, node, endpoint, &endpoint.sending()),
        (None, None) => Vec::new(),
    };
    for name in ["as", "cut", "timing"] {
        if let Some(entry) = map.entry(name).filter(|_| !map.has("pcap")) {
            map.fault(entry.key_span, Fault::Needs { key: name.to_owned(), needs: "`pcap`" });
        }
    }
    let given = map.has("pcap") || map.node("frames").is_some_and(|node| node.list() != Some(&[]));
    if !given || frames.is_empty() && context.noted() == before {
        let what = "this `send` sends nothing";
        let help = "add `frames: [...]` or `pcap: FILE` with at least one frame";
        map.fault(span, Fault::Nothing { what, help });
    }
    frames.shrink_to_fit();
    let burst = if map.boolean_or_default("burst") { Burst::AllFirst } else { Burst::OneAtATime };
    if burst == Burst::AllFirst {
        map.conflict("timing", "burst", "a burst is sent at one time");
    }
    let chunk = map.integer("chunk");
    Some(Verb::Send { port: endpoint.port.id.clone(), frames, burst, chunk })
}

fn data(map: &Fields<'_>) -> Option<Vec<u8>> {
    let forms: Vec<&str> =
        ["data", "text", "hex"].into_iter().filter(|form| map.has(form)).collect();
    if let [first, second, ..] = forms.as_slice() {
        map.conflict(first, second, "a `write` has one of them; write a list under `data`");
    }
    let node = |name: &str| map.node(name);
    let bytes = match forms.first() {
        Some(&"data") => bytes::lower(map.context(), node("data")?)?,
        Some(&"text") => map.text("text")?.into_bytes(),
        Some(_) => value::hex(map.context(), node("hex")?)?,
        None => Vec::new(),
    };
    if bytes.is_empty() {
        let what = "this `write` writes nothing";
        let help = "add `data: \"text\"`, `data: {hex: \"...\"}` or a list of pieces";
        map.fault(map.span, Fault::Nothing { what, help });
    }
    map.context().spend(map.span, 0, bytes.len()).then_some(bytes)
}

/// The ports that a step puts into a bridge, as the steps are written.
pub(super) fn bridged(root: &Fields<'_>) -> Vec<PortId> {
    let steps = root.node("steps").and_then(Node::list).unwrap_or(&[]);
    let port = |step: &Node| {
        let moves = step.get("bridge").is_some_and(|entry| !entry.value.is_null());
        step.get("link-set").filter(|_| moves)?.value.text().map(PortId::from)
    };
    steps.iter().filter_map(port).collect()
}

/// What becomes of an interface as the port of a bridge.
fn bridge_change(
    map: &Fields<'_>,
    endpoint: &Endpoint,
    interfaces: &Interfaces<'_>,
) -> Option<BridgeChange> {
    let node = map.node("bridge")?;
    if node.is_null() {
        return Some(BridgeChange::OutOf);
    }
    let name = value::text(map.context(), node)?;
    let Some(bridge) = interfaces.bridges.iter().find(|bridge| bridge.id == name) else {
        let names = interfaces.bridges.iter().map(|bridge| bridge.id.as_str());
        map.fault(node.span, host::unknown("bridge", name, names));
        return None;
    };
    let own = interfaces.namespace(&endpoint.port.id);
    if bridge.netns.as_deref() != own {
        let shown = |namespace: Option<&str>| match namespace {
            Some(name) => format!("the namespace {name}"),
            None => "the scenario's own namespace".to_owned(),
        };
        let fault = Fault::OtherNamespace {
            port: endpoint.port.id.to_string(),
            of: shown(own),
            bridge: bridge.id.clone(),
            bridge_of: shown(bridge.netns.as_deref()),
        };
        map.fault(node.span, fault);
    }
    Some(BridgeChange::Into(bridge.id.clone()))
}

fn link_set(map: &Fields<'_>, endpoint: &Endpoint, interfaces: &Interfaces<'_>) -> Option<Verb> {
    let set = LinkSet {
        port: endpoint.port.id.clone(),
        up: map.boolean("up"),
        mtu: map.integer("mtu"),
        address: map.addresses("address").into_iter().next(),
        bridge: bridge_change(map, endpoint, interfaces),
    };
    if !["up", "mtu", "address", "bridge"].iter().any(|key| map.has(key)) {
        let what = "this `link-set` changes nothing";
        let help = "add `up`, `mtu`, `address` or `bridge` beside it";
        map.fault(map.span, Fault::Nothing { what, help });
    }
    Some(Verb::LinkSet(set))
}
