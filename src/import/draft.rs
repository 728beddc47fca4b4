//! The scenario that a paste becomes.

use serde_json::{Map, Value, json};

use super::{
    audit::Mention,
    chardev, command,
    limit::PasteError,
    machine::Machine,
    object::{self, Object},
    paste::Paste,
    standin::{self, StandIn},
    step::Step,
};
use crate::{
    qapi::{Options, Properties, Role, id_wellformed, needs_af_packet},
    scenario,
};

mod comment;
mod fit;
mod migration;
mod owner;
mod route;
mod several;
mod wire;

use route::Route;

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    pub pcap: String,
    /// Whether packets of it have another link type, and become Ethernet frames.
    pub to_ethernet: bool,
    /// Whether packets of it were cut off, or it ends in one, and are sent as they are.
    pub keeps_cut: bool,
    /// The port; by default the one that the draft would propose.
    pub at: Option<String>,
}

/// A scenario in the making: what a paste says, and what QEMU says of it.
#[derive(Clone, Debug)]
pub struct Draft {
    machines: Vec<Machine>,
    unread: Vec<String>,
    /// Values that stand for what the paste does not say.
    stand_ins: Vec<StandIn>,
    /// What `tapwright check` would refuse, each with the reason.
    unfit: Vec<(String, String)>,
    /// Netdevs of several machines on one wire, by the bridge that is the wire here.
    bridges: Vec<(String, Vec<String>)>,
    /// Which branches of the paste were taken, and what stands in the others.
    branches: Vec<String>,
    /// What is not understood of the paste's own program, and what to do.
    remarks: Vec<String>,
    /// The options that stand in the paste.
    mentions: Vec<Mention>,
    /// Those of them that stand in comments of a program.
    commented: Vec<Mention>,
    /// The commands that stand in the paste and are no step, each with the reason.
    commands: Vec<String>,
    /// The commands that stand in the paste and name something.
    heard: Vec<command::Mention>,
    /// Each way to go on, of several: its title and its steps.
    ways: Vec<(String, Vec<String>)>,
    profile: Option<String>,
    traffic: Option<Traffic>,
    /// The objects that QEMU refuses, each with its text.
    errors: Vec<(String, String)>,
}

impl Draft {
    pub(super) fn new(mut paste: Paste) -> Result<Option<Self>, PasteError> {
        let stand_ins = standin::fill(&mut paste);
        let pieces = route::apart(paste.pieces, paste.is_salvaged);
        let Route { mut machines, ways, .. } = route::route(pieces)?;
        retain(&mut machines, &mut paste.commands);
        join_corrected(&mut machines);
        join_repeated(&mut machines);
        join_fragments(&mut machines);
        if let Some(machine) = machines.first_mut().filter(|_| paste.is_salvaged) {
            let text = "the options are read as they stand: what is around them is not understood";
            machine.notes.push(text.to_owned());
        }
        for machine in &mut machines {
            machine.finish();
            complete(machine);
        }
        retain(&mut machines, &mut paste.commands);
        if machines.is_empty() {
            return Ok(None);
        }
        let mut draft = Self {
            machines,
            unread: paste.unread,
            stand_ins,
            unfit: Vec::new(),
            bridges: Vec::new(),
            branches: paste.branches,
            remarks: paste.remarks,
            mentions: paste.mentions,
            commented: paste.commented,
            commands: paste.commands,
            heard: paste.heard,
            ways,
            profile: None,
            traffic: None,
            errors: Vec::new(),
        };
        draft.settle_starts();
        if draft.has_names() {
            draft.name_machines();
            draft.name_ways();
        } else {
            draft.machines.iter_mut().for_each(Machine::leave_out_name);
        }
        if draft.machines.len() > 1 {
            draft.part_paths();
            draft.join();
            draft.join_wires();
        }
        draft.settle_migrations();
        Ok(Some(draft))
    }

    /// The profile instead of the one that the objects need.
    pub fn set_profile(&mut self, profile: &str) {
        self.profile = Some(profile.to_owned());
    }

    pub fn set_traffic(&mut self, traffic: Traffic) {
        self.traffic = Some(traffic);
    }

    /// QEMU refuses the object with this text, and that is what the scenario is to show.
    pub fn expect_error(&mut self, object: &str, text: &str) {
        self.errors.push((object.to_owned(), text.to_owned()));
    }

    /// The port that the first TAP's filters make one look at: where the guest sends for
    /// `queue=rx`, else where the host does. None without a TAP.
    #[must_use]
    pub fn default_port(&self) -> Option<String> {
        let of = |machine: &Machine| {
            let tap = machine.netdevs.iter().find(|netdev| netdev.get("type") == Some("tap"))?;
            let id = tap.id()?;
            let filters = machine.objects.iter().map(|object| &object.properties);
            let first = filters
                .filter(|filter| filter.with(Role::Filtered) == Some(id))
                .find_map(|filter| filter.with(Role::Queue));
            let side = if first == Some("rx") { "guest" } else { "host" };
            Some(self.qualified(machine, &format!("{id}.{side}")))
        };
        self.machines.iter().find_map(of)
    }

    /// Whether the machines stand under their names: several, and one that does not run from the start.
    fn has_names(&self) -> bool {
        let waits = |machine: &Machine| machine.stopped || machine.incoming.is_some();
        self.machines.len() > 1 || self.machines.iter().any(waits)
    }

    fn qualified(&self, machine: &Machine, id: &str) -> String {
        match &machine.name {
            Some(name) if self.has_names() => format!("{name}/{id}"),
            _ => id.to_owned(),
        }
    }

    /// The scenario as a tree, its steps last.
    #[must_use]
    pub fn tree(&self) -> Value {
        let mut root = Map::new();
        root.insert("description".to_owned(), json!(self.description()));
        root.insert("tags".to_owned(), json!(["imported"]));
        root.insert("profile".to_owned(), json!(self.profile()));
        if let ([only], false) = (self.machines.as_slice(), self.has_names()) {
            root.extend(declared(only));
        } else {
            let machines = self.machines.iter().filter_map(|machine| {
                let name = machine.name.clone()?;
                Some((name, Value::Object(declared(machine))))
            });
            root.insert("machines".to_owned(), Value::Object(machines.collect()));
        }
        if !self.bridges.is_empty() {
            let bridges =
                self.bridges.iter().map(|(name, ports)| (name.clone(), json!({ "ports": ports })));
            root.insert("bridges".to_owned(), Value::Object(bridges.collect()));
        }
        if !self.errors.is_empty() {
            let errors: Map<String, Value> =
                self.errors.iter().map(|(id, text)| (id.clone(), json!(text))).collect();
            root.insert("expect".to_owned(), json!({ "error": errors }));
        }
        let steps = self.steps();
        if !steps.is_empty() {
            root.insert("steps".to_owned(), Value::Array(steps));
        }
        Value::Object(root)
    }

    /// The scenario's text, with remarks about it as comments.
    #[must_use]
    pub fn text(&self) -> String {
        let head = comment::head(self);
        let text = scenario::write(&self.tree()) + &comment::tail(self);
        let missing = comment::missing(self, &format!("{head}{text}"));
        format!("{head}{missing}{text}")
    }

    fn description(&self) -> &'static str {
        let lines = self.machines.iter().filter(|machine| machine.whole).count();
        match lines {
            0 => "Imported from QEMU options and commands: say here what it shows.",
            1 => "Imported from a QEMU command line: say here what it shows.",
            _ => "Imported from several QEMU command lines: say here what it shows.",
        }
    }

    /// The version of the RFC whose properties or chardevs are used, otherwise the newest QEMU's.
    fn profile(&self) -> &str {
        let given = self.profile.as_deref();
        let is_new = |object: &Properties| {
            object.members().iter().any(|member| needs_af_packet(member.name))
        };
        let needed = self.machines.iter().any(|machine| {
            machine.objects.iter().any(|object| is_new(&object.properties))
                || machine.steps.iter().filter_map(Step::adds_object).any(|object| is_new(&object))
        });
        let mut chardevs = self.machines.iter().flat_map(|machine| &machine.chardevs);
        let of_v4 = chardevs.any(|chardev| chardev.get("af-packet-mode").is_some());
        given.unwrap_or(match (of_v4, needed) {
            (true, _) => "rfc-v4",
            (false, true) => "rfc",
            (false, false) => "qemu-10.2",
        })
    }

    fn steps(&self) -> Vec<Value> {
        let has_names = self.has_names();
        let mut ordered: Vec<(usize, Value)> = Vec::new();
        for machine in &self.machines {
            let name = machine.name.as_deref().filter(|_| has_names);
            ordered.extend(machine.steps.iter().map(|step| (step.order, step.tree(name))));
        }
        // What is typed at several machines stands in the paste in the order in which it is done.
        ordered.sort_by_key(|(order, _)| *order);
        let mut steps: Vec<Value> = ordered.into_iter().map(|(_, step)| step).collect();
        if let Some(traffic) = &self.traffic {
            let at = traffic.at.clone().or_else(|| self.default_port());
            // What was captured before a command was given is sent before it.
            let mut send = json!({ "send": at.unwrap_or_default(), "pcap": traffic.pcap });
            if traffic.to_ethernet {
                send["as"] = "ethernet".into();
            }
            if traffic.keeps_cut {
                send["cut"] = "keep".into();
            }
            steps.insert(0, send);
        }
        steps
    }
}

/// Leaves out the machines of which nothing is known; what is said of their commands stays.
fn retain(machines: &mut Vec<Machine>, commands: &mut Vec<String>) {
    let empty = machines.iter().filter(|machine| machine.is_empty());
    commands.extend(empty.flat_map(|machine| machine.unmade().cloned()));
    machines.retain(|machine| !machine.is_empty());
}

/// Joins what a text has twice: a configuration and the command line that is made of it, a script and what
/// `ps` says of it.
fn join_repeated(machines: &mut Vec<Machine>) {
    for at in 0..machines.len() {
        let one = &machines[at];
        let declares = one.netdevs.len() + one.chardevs.len() + one.objects.len();
        let is_same = |other: &Machine| {
            let alike = |one: &Option<String>, other: &Option<String>| {
                one.is_none() || other.is_none() || one == other
            };
            let (holds, held) = (other.holds(one), one.holds(other));
            other.whole
                && holds
                && alike(&one.name, &other.name)
                && alike(&one.part, &other.part)
                && (!one.whole || held && declares > 1)
        };
        if declares == 0 || !one.refused.is_empty() {
            continue;
        }
        if let Some(other) =
            (0..machines.len()).find(|other| *other != at && is_same(&machines[*other]))
        {
            let one = std::mem::take(&mut machines[at]);
            let other = &mut machines[other];
            other.notes.extend(one.unmade().cloned());
            other.steps.extend(one.steps);
            other.name = other.name.take().or(one.name);
            other.part = other.part.take().or(one.part);
            other.notes.push("its options stand in the text once more".to_owned());
        }
    }
    machines.retain(|machine| !machine.is_empty());
}

/// A command line that QEMU refuses is no machine where a later one of the same name is right: the text shows
/// how it is not to be done.
fn join_corrected(machines: &mut Vec<Machine>) {
    for at in 0..machines.len() {
        let (before, after) = machines.split_at_mut(at + 1);
        let Some(one) = before.last_mut().filter(|one| one.whole && !one.refused.is_empty()) else {
            continue;
        };
        let is_right = |other: &&mut Machine| {
            other.whole
                && other.name.is_some()
                && other.name == one.name
                && other.refused.is_empty()
                && other.holds_rest_of(one)
        };
        if let Some(other) = after.iter_mut().find(is_right) {
            let one = std::mem::take(one);
            other.notes.extend(one.unmade().cloned());
            for (written, text) in one.refused {
                other.notes.push(format!(
                    "a command line before it is left out, which QEMU refuses: {written}"
                ));
                other.notes.push(format!("  {text}"));
            }
            other.steps.splice(0..0, one.steps);
        }
    }
    machines.retain(|machine| !machine.is_empty());
}

/// Puts options that stand apart to the one machine that has the netdevs and chardevs they name.
fn join_fragments(machines: &mut Vec<Machine>) {
    for at in 0..machines.len() {
        let fragment = &machines[at];
        if fragment.whole || fragment.part.is_some() || !fragment.netdevs.is_empty() {
            continue;
        }
        let names = fragment.objects.iter().flat_map(|object| object::names(&object.properties));
        let has = |list: &[Options], id: &str| list.iter().any(|one| one.id() == Some(id));
        let owns = |machine: &Machine, is_netdev: bool, id: &str| {
            has(if is_netdev { &machine.netdevs } else { &machine.chardevs }, id)
        };
        let names: Vec<(bool, String)> = names.collect();
        let owners: Vec<usize> = (0..machines.len())
            .filter(|other| {
                let completes = |(is_netdev, id): &(bool, String)| {
                    owns(&machines[*other], *is_netdev, id) || owns(fragment, *is_netdev, id)
                };
                *other != at && names.iter().all(completes)
            })
            .collect();
        if let [owner] = owners[..]
            && !names.is_empty()
            && fragment.steps.is_empty()
        {
            let fragment = std::mem::take(&mut machines[at]);
            machines[owner].join(fragment);
        }
    }
    machines.retain(|machine| !machine.is_empty());
}

/// Gives a fragment the netdevs, chardevs and iothreads that its objects name.
fn complete(machine: &mut Machine) {
    if machine.whole {
        return;
    }
    let mut wanted: Vec<(bool, String)> = Vec::new();
    for object in &machine.objects {
        wanted.extend(object::names(&object.properties));
    }
    let mut added: Vec<&str> = Vec::new();
    for step in &machine.steps {
        let names = step.adds_object().map(|object| object::names(&object)).into_iter().flatten();
        wanted.extend(names.filter(|(_, id)| !added.contains(&id.as_str())));
        added.extend(step.adds());
    }
    for (is_netdev, id) in wanted {
        let list = if is_netdev { &mut machine.netdevs } else { &mut machine.chardevs };
        if list.iter().any(|one| one.id() == Some(&id)) || !id_wellformed(&id) {
            continue;
        }
        let (what, made) = if is_netdev {
            ("netdev", Options::read(&format!("tap,id={id}"), "type"))
        } else {
            ("chardev", chardev::made_up(&id))
        };
        list.push(made);
        machine
            .notes
            .push(format!("{what} {id} is made up: the paste names it and doesn't have it"));
    }
    let iothreads: Vec<String> = machine
        .objects
        .iter()
        .filter_map(|object| object.properties.with(Role::Iothread).map(str::to_owned))
        .collect();
    for id in iothreads {
        if !machine.objects.iter().any(|object| object.id() == Some(&id)) {
            machine.objects.insert(0, Object::read(&format!("iothread,id={id}")));
            machine
                .notes
                .push(format!("iothread {id} is made up: the paste names it and doesn't have it"));
        }
    }
}

fn declared(machine: &Machine) -> Map<String, Value> {
    let texts = |list: &[Options]| -> Vec<String> { list.iter().map(Options::text).collect() };
    let objects: Vec<&String> = machine.objects.iter().map(|object| &object.text).collect();
    let mut map = Map::new();
    for (key, is_set) in [("stopped", machine.stopped), ("incoming", machine.incoming.is_some())] {
        if is_set {
            map.insert(key.to_owned(), json!(true));
        }
    }
    for (key, list) in [
        ("netdevs", json!(texts(&machine.netdevs))),
        ("chardevs", json!(texts(&machine.chardevs))),
        ("objects", json!(objects)),
    ] {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            map.insert(key.to_owned(), list);
        }
    }
    map
}
