//! Reads a whole case: the order in which the parts of a scenario are lowered.

use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

use super::{
    chardev, expect, growth, host, join, machine, netdev,
    object::{self, Uses},
    port::{Devices, Ports},
    stack::{self, Interfaces},
    step, traffic,
};
use crate::{
    base::{CaseId, MachineId, Profile, QemuVersion, Quirk},
    diag::Span,
    frame,
    scenario::{
        case::{Case, KnownBug, Netdev, Object, SnapshotRules},
        context::Context,
        fault::Fault,
        fields::Fields,
        key,
        node::{Node, short},
        suggest::{list, nearest},
    },
};

/// Lowers a tree from which references are gone. None only when it is no map; other faults leave a
/// gap, so that the rest is checked too.
pub(in crate::scenario) fn case(
    context: &Context<'_>,
    root: &Node,
    id: CaseId,
    matrix: Vec<(String, String)>,
) -> Option<Case> {
    let fields = Fields::open(context, root, &key::ROOT)?;
    let has_content = ["netdevs", "chardevs", "objects", "links", "bridges", "steps", "machines"]
        .iter()
        .any(|key| fields.node(key).is_some_and(|node| !is_empty(node)));
    if !has_content {
        let what = "the scenario declares nothing and does nothing";
        fields.fault(first_key(root), Fault::Empty { what });
    }

    let parts = machine::parts(&fields);
    if !growth::take(&fields, &parts) {
        return None;
    }
    let names: Vec<MachineId> = parts.iter().map(|part| part.id().clone()).collect();
    let mut host = host::lower(&fields, &names);
    let mut taps = 0;
    let netdevs: Vec<Netdev> =
        parts.iter().flat_map(|part| netdev::lower(part, &host, &mut taps)).collect();
    host::join_bridges(&fields, &mut host, &netdevs);
    host::check_interfaces(&fields, &host, &netdevs);
    let objects: Vec<Object> = parts.iter().flat_map(object::lower).collect();
    let added_objects = object::added(&fields);
    let all_objects = || objects.iter().chain(added_objects.values());
    let uses = Uses::new(all_objects(), &netdevs);
    let added = object::added_chardevs(&fields);
    let profile = profile(&fields);
    let halves = parts.iter().flat_map(|part| chardev::lower(part, &netdevs, &profile)).collect();
    let (chardevs, joined) = join::join(&fields, halves, &added, &uses);
    let added_chardevs = join::added_wirings(&chardevs, &added, &uses);
    let files = object::files(context, all_objects());
    let devices = Devices {
        netdevs: &netdevs,
        chardevs: &chardevs,
        joined: &joined,
        added: &added,
        uses: &uses,
        files: &files,
    };
    let ports = Ports::new(&fields, &names, &devices, &host.links);
    let interfaces = Interfaces {
        netdevs: &netdevs,
        links: &host.links,
        bridges: &host.bridges,
        bridged: [host::bridged(&host), step::bridged(&fields)].concat(),
    };
    let mut stacks: Vec<_> = parts.iter().flat_map(|part| stack::guests(part, &netdevs)).collect();
    stack::clients(&fields, &ports, &interfaces, &mut stacks);
    let impair = fields
        .node("impair")
        .map(|node| traffic::impairs(context, node, &ports, &interfaces))
        .unwrap_or_default();
    let known = expect::Known {
        machines: &names,
        incoming: parts
            .iter()
            .filter(|part| part.machine.incoming)
            .map(|part| part.id().clone())
            .collect(),
        ports: &ports,
        ids: object::known_ids(all_objects(), &added),
        added: &added_objects,
        interfaces,
        stacks: RefCell::new(stacks),
        arrivals: RefCell::default(),
    };
    let steps = step::lower(&fields, &known);
    let expect =
        fields.node("expect").map(|node| expect::lower(context, node, &known)).unwrap_or_default();
    let known_bug = known_bug(&fields, &steps);
    let stacks = known.stacks.into_inner();
    if context.is_spent() {
        return None;
    }
    Some(Case {
        id,
        matrix,
        source: Arc::clone(context.source()),
        description: description(&fields),
        tags: words(&fields, "tags"),
        profile,
        requires: words(&fields, "requires"),
        namespaces: host.namespaces.into_iter().map(|(name, _)| name).collect(),
        links: host.links,
        bridges: host.bridges,
        routes: host.routes,
        snapshot: snapshot(&fields, &ports),
        ports: ports.declared(),
        machines: parts.into_iter().map(|part| part.machine).collect(),
        netdevs,
        chardevs,
        joined,
        added_chardevs,
        objects,
        stacks,
        impair,
        steps,
        expect,
        known_bug,
    })
}

fn is_empty(node: &Node) -> bool {
    node.is_null()
        || node.list().is_some_and(<[_]>::is_empty)
        || node.map().is_some_and(<[_]>::is_empty)
}

fn first_key(root: &Node) -> Span {
    root.map().and_then(<[_]>::first).map_or(root.span, |entry| entry.key_span)
}

fn description(fields: &Fields<'_>) -> String {
    let text = fields.text("description").unwrap_or_default();
    if let Some(node) = fields.node("description")
        && node.text().is_some()
        && text.trim().is_empty()
    {
        fields.fault(
            node.span,
            Fault::Nothing {
                what: "the description is empty",
                help: "say in a sentence what the scenario shows",
            },
        );
    }
    text
}

/// Tags and capabilities: words that can stand in a filter expression.
fn words(fields: &Fields<'_>, key: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for (word, span) in fields.texts(key) {
        let ok = !word.is_empty()
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
        if ok {
            words.insert(word);
        } else {
            fields.fault(
                span,
                Fault::BadId {
                    id: short(&word),
                    what: if key == "tags" { "a tag" } else { "a capability" },
                    rule: "use letters, digits, `-`, `_`, `.` and `+`",
                },
            );
        }
    }
    words
}

/// The profile of the scenario or of one of its machines.
pub(super) fn profile(fields: &Fields<'_>) -> Profile {
    let Some(node) = fields.node("profile") else {
        return Profile::default();
    };
    if node.map().is_none() {
        let name = crate::scenario::value::text(fields.context(), node).unwrap_or("rfc");
        return Profile::parse(name).unwrap_or_else(|_| {
            fields.fault(node.span, unknown_profile(name));
            Profile::default()
        });
    }
    let Some(map) = Fields::open(fields.context(), node, &key::PROFILE) else {
        return Profile::default();
    };
    let base = map.choice("base").and_then(|name| Profile::parse(name).ok()).unwrap_or_default();
    let quirks = |key: &str| -> Vec<(Quirk, Span)> {
        let named = map.texts(key).into_iter();
        let new = key == "with";
        named
            .filter_map(|(name, span)| Some((quirk(&map, &base, new, &name, span)?, span)))
            .collect()
    };
    let (with, without) = (quirks("with"), quirks("without"));
    let only =
        |quirks: &[(Quirk, Span)]| quirks.iter().map(|(quirk, _)| *quirk).collect::<Vec<_>>();
    let profile = base.clone().with(only(&with)).without(only(&without));
    for (quirk, span) in with.into_iter().filter(|(quirk, _)| !base.has(*quirk)) {
        if let Some(reason) = profile.never_shows(quirk) {
            let (profile, quirk) = (profile.version().name(), quirk.name());
            map.fault(span, Fault::QuirkNeverShows { quirk, profile, reason });
        }
    }
    profile
}

/// A quirk that is `new` to the profile, or mended in it.
fn quirk(fields: &Fields<'_>, base: &Profile, new: bool, name: &str, span: Span) -> Option<Quirk> {
    let Some(quirk) = Quirk::parse(name) else {
        let near = nearest(name, Quirk::ALL.iter().map(|quirk| quirk.name()));
        fields.fault(span, Fault::UnknownQuirk { name: short(name), near });
        return None;
    };
    let (profile, name) = (base.version().name(), quirk.name());
    match (base.has(quirk), new) {
        (false, false) => fields.fault(span, Fault::QuirkNotThere { quirk: name, profile }),
        (true, true) => fields.fault(span, Fault::QuirkThere { quirk: name, profile }),
        _ => {}
    }
    Some(quirk)
}

fn unknown_profile(name: &str) -> Fault {
    let near = nearest(name, QemuVersion::NAMES.iter().copied());
    Fault::UnknownProfile { name: short(name), near }
}

fn snapshot(fields: &Fields<'_>, ports: &Ports) -> SnapshotRules {
    let Some(node) = fields.node("snapshot") else {
        return SnapshotRules::default();
    };
    let Some(map) = Fields::open(fields.context(), node, &key::SNAPSHOT) else {
        return SnapshotRules::default();
    };
    let mut masks = Vec::new();
    for (name, span) in map.texts("masks") {
        if frame::FIELD_NAMES.contains(&name.as_str()) {
            masks.push(name);
        } else {
            map.fault(
                span,
                Fault::UnknownField {
                    near: nearest(&name, frame::FIELD_NAMES.iter().copied()),
                    known: list(frame::FIELD_NAMES.iter().copied()),
                    name: short(&name),
                },
            );
        }
    }
    let without = map
        .texts("without")
        .into_iter()
        .filter_map(|(name, span)| ports.find(fields.context(), &name, span, "snapshot"))
        .map(|port| port.port.id.clone())
        .collect();
    SnapshotRules { masks, without }
}

fn known_bug(fields: &Fields<'_>, steps: &[crate::scenario::Step]) -> Option<KnownBug> {
    let entry = fields.entry("known_bug")?;
    let map = Fields::open(fields.context(), &entry.value, &key::KNOWN_BUG)?;
    let has_expect = fields.has("expect")
        || steps.iter().any(|step| {
            step.error.is_some() || matches!(step.verb, crate::scenario::Verb::Expect(_))
        });
    if !has_expect {
        fields.fault(entry.key_span, Fault::BugWithoutExpect);
    }
    let mut profiles = Vec::new();
    for (name, span) in map.texts("profiles") {
        if Profile::parse(&name).is_err() {
            map.fault(span, unknown_profile(&name));
        }
        profiles.push(name);
    }
    if let Some(entry) = map.entry("profiles").filter(|entry| is_empty(&entry.value)) {
        map.fault(
            entry.value.span,
            Fault::Nothing {
                what: "the known bug is in no profile",
                help: "name the profiles that have it, or take `known_bug` out",
            },
        );
    }
    Some(KnownBug { id: map.text("id")?, profiles, reason: map.text("reason")? })
}
