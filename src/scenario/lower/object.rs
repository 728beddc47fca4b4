//! Objects, and what follows from the chardevs and files that they name.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    declared,
    machine::{self, Part},
};
use crate::{
    base::{ChardevId, MachineId, NetdevId, Opened, PortId, VnetHdr, opened},
    diag::Span,
    qapi::{Flow, Role},
    record::Framing,
    scenario::{
        address::Address,
        case::{Netdev, NetdevType, Nic, Object, ObjectForm, Wiring},
        context::Context,
        fields::Fields,
        node::{Node, json_map},
        value,
    },
};

/// The objects of a machine.
pub(super) fn lower(part: &Part<'_>) -> Vec<Object> {
    let fields = &part.fields;
    let Some(node) = fields.node("objects") else {
        return Vec::new();
    };
    let Some(nodes) = node.list() else {
        let help = "write a list: `objects: [\"filter-mirror,id=m0,...\"]`".to_owned();
        value::mismatch(fields.context(), node, "a list of objects", Some(help));
        return Vec::new();
    };
    nodes.iter().filter_map(|node| object(fields.context(), part.id(), node)).collect()
}

/// An object in either form.
fn object(context: &Context<'_>, machine: &MachineId, node: &Node) -> Option<Object> {
    let form = form(node);
    if form.is_none() {
        let help = "write QEMU's -object string, or a map with `qom-type` and `id`".to_owned();
        value::mismatch(context, node, "an option string or a map", Some(help));
    }
    Some(Object::new(machine.clone(), node.span, form?))
}

fn form(node: &Node) -> Option<ObjectForm> {
    match (node.text(), node.map()) {
        (Some(text), _) => Some(ObjectForm::Option(text.to_owned())),
        (None, Some(entries)) => Some(ObjectForm::Qmp(json_map(entries))),
        (None, None) => None,
    }
}

/// The object of each step that adds one, by the step's number from 0.
pub(super) fn added(fields: &Fields<'_>) -> BTreeMap<usize, Object> {
    let added = steps(fields).enumerate().filter_map(|(number, step)| {
        let entry = step.get("object-add")?;
        let form = form(&entry.value)?;
        Some((number, Object::new(machine::written(step), entry.value.span, form)))
    });
    added.collect()
}

/// What an object has to do with a chardev that it names.
#[derive(Clone, Debug)]
pub(super) struct Use {
    flow: Flow,
    vnet: bool,
    /// The netdev that the object filters.
    pub(super) netdev: Option<NetdevId>,
    /// `queue=tx`.
    pub(super) towards_guest: bool,
}

/// The first use of each chardev, and the virtio-net headers of the netdevs.
pub(super) struct Uses {
    first: BTreeMap<ChardevId, Use>,
    headers: BTreeMap<NetdevId, usize>,
}

impl Uses {
    /// Those of the objects, in their order.
    pub(super) fn new<'a>(objects: impl Iterator<Item = &'a Object>, netdevs: &[Netdev]) -> Self {
        let headers = netdevs.iter().filter_map(|netdev| match &netdev.kind {
            NetdevType::Tap { nic: Nic::Virtio { vnet_hdr_len }, .. } => {
                Some((netdev.id.clone(), *vnet_hdr_len))
            }
            NetdevType::Tap { .. } | NetdevType::Hubport { .. } | NetdevType::User => None,
        });
        let headers = headers.collect();
        let mut first = BTreeMap::new();
        for (chardev, used) in objects.flat_map(uses) {
            first.entry(chardev).or_insert(used);
        }
        Self { first, headers }
    }

    /// The first use of a chardev.
    pub(super) fn of(&self, chardev: &ChardevId) -> Option<&Use> {
        self.first.get(chardev)
    }

    /// How frames stand in a chardev's bytes, where the scenario gives its framing or leaves it open.
    pub(super) fn wiring(&self, chardev: &ChardevId, framing: Option<Framing>) -> Wiring {
        let used = self.of(chardev);
        Wiring {
            framing: framing.or(used.map(Use::framing)).unwrap_or_default(),
            vnet_hdr_len: used.map_or(0, |used| self.header(used)),
        }
    }

    /// A filter's frames have the header of its netdev. A comparer has no netdev: with
    /// `vnet_hdr_support` its frames have what a modern virtio NIC gives them.
    fn header(&self, used: &Use) -> usize {
        match (&used.netdev, used.flow) {
            (_, Flow::Messages) => 0,
            (Some(netdev), _) => self.headers.get(netdev).copied().unwrap_or(0),
            (None, _) if used.vnet => VnetHdr::LONG,
            (None, _) => 0,
        }
    }
}

impl Use {
    /// Messages have no virtio-net header, whatever is set (QEMU 10.2.2, net/colo-compare.c,
    /// notify_remote_frame).
    fn framing(&self) -> Framing {
        match self.flow {
            Flow::In | Flow::Out if self.vnet => Framing::Vnet,
            Flow::In | Flow::Out | Flow::Messages => Framing::Plain,
        }
    }
}

fn uses(object: &Object) -> Vec<(ChardevId, Use)> {
    let Object { machine, properties, .. } = object;
    let vnet = properties.is_on("vnet_hdr_support");
    let (netdev, towards_guest) = (filtered(object), is_towards_guest(object));
    let members = properties.members();
    let used = members.iter().filter_map(|member| match member.role {
        Some(Role::Chardev(flow)) => {
            let used = Use { flow, vnet, netdev: netdev.clone(), towards_guest };
            Some((machine.qualified(member.text()?), used))
        }
        _ => None,
    });
    used.collect()
}

/// The netdev that an object filters.
fn filtered(object: &Object) -> Option<NetdevId> {
    object.properties.with(Role::Filtered).map(|id| object.machine.qualified(id))
}

/// Whether an object sees the frames to the guest alone.
fn is_towards_guest(object: &Object) -> bool {
    object.properties.with(Role::Queue) == Some("tx")
}

/// The file of a filter-dump.
#[derive(Clone, Debug)]
pub(super) struct DumpFile {
    pub(super) machine: MachineId,
    pub(super) port: PortId,
    /// Where it is named.
    pub(super) span: Span,
    /// The netdev whose frames it has.
    pub(super) netdev: Option<NetdevId>,
    /// `queue=tx`.
    pub(super) towards_guest: bool,
}

/// The files of all filter-dumps.
pub(super) fn files<'a>(
    context: &Context<'_>,
    objects: impl Iterator<Item = &'a Object>,
) -> Vec<DumpFile> {
    let mut files: Vec<DumpFile> = Vec::new();
    for object in objects {
        let members = object.properties.members();
        let is_file = |role| role == Some(Role::WriteFile);
        for member in members.iter().filter(|member| member.belongs && is_file(member.role)) {
            // A path that leads nowhere is refused when the object is made, and of what goes into a
            // device nothing is kept.
            let Some(Ok(Opened::File(file))) = member.text().map(opened) else {
                continue;
            };
            let machine = object.machine.clone();
            let port: PortId = machine.qualified(file);
            if files.iter().all(|known| known.port != port) {
                files.push(DumpFile {
                    port,
                    span: place_of(context, object, member.name),
                    netdev: filtered(object),
                    towards_guest: is_towards_guest(object),
                    machine,
                });
            }
        }
    }
    files
}

/// Where a property of an object stands, else the object.
fn place_of(context: &Context<'_>, object: &Object, property: &str) -> Span {
    match (&object.form, object.properties.range(property)) {
        (ObjectForm::Option(text), Some(range)) => {
            declared::places(context, text, object.span)(range)
        }
        _ => object.span,
    }
}

fn steps<'a>(fields: &Fields<'a>) -> impl Iterator<Item = &'a Node> + use<'a> {
    fields.node("steps").and_then(Node::list).unwrap_or_default().iter()
}

/// A chardev that a step adds.
pub(super) struct Added {
    pub(super) machine: MachineId,
    pub(super) id: ChardevId,
    /// Where it stands in the file.
    pub(super) span: Span,
    /// A socket's address, and whether it listens there.
    pub(super) socket: Option<(Address, bool)>,
}

/// The chardevs that steps add.
pub(super) fn added_chardevs(fields: &Fields<'_>) -> Vec<Added> {
    let added = steps(fields).filter_map(|step| {
        let machine = machine::written(step);
        let value = &step.get("chardev-add")?.value;
        let args = value.map().map(json_map)?;
        Some(Added {
            span: value.span,
            id: machine.qualified(args.get("id")?.as_str()?),
            socket: Address::of_backend(&args),
            machine,
        })
    });
    added.collect()
}

/// Every id that an expected error may be about.
pub(super) fn known_ids<'a>(
    objects: impl Iterator<Item = &'a Object>,
    chardevs: &[Added],
) -> BTreeSet<String> {
    objects
        .filter_map(|object| object.id.as_ref().map(ToString::to_string))
        .chain(chardevs.iter().map(|added| added.id.to_string()))
        .collect()
}
