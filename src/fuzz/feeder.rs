//! Which objects a port's frames come from. A frame that is missing at a port is the fault of something
//! only as long as something is there to bring it: who makes a scenario smaller keeps these.

use std::collections::BTreeSet;

use crate::{
    base::ObjectId,
    qapi::{Flow, Role},
    scenario::{Case, ChardevFar, Object},
};

/// The chardevs and netdevs, by their ids in the case, that an object's frames come from or go to.
struct Ends {
    from: BTreeSet<String>,
    to: BTreeSet<String>,
}

/// The objects that a port is fed by, directly or through other objects.
pub(super) fn feeders(case: &Case, port: &str) -> BTreeSet<ObjectId> {
    let netdev = port.strip_suffix(".host").or_else(|| port.strip_suffix(".guest"));
    let mut reached = BTreeSet::from([netdev.unwrap_or(port).to_owned()]);
    let mut feeders = BTreeSet::new();
    let mut others: Vec<(&Object, Ends)> =
        case.all_objects().map(|object| (object, ends(object))).collect();
    loop {
        let (feeding, rest): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|(_, ends)| !ends.to.is_disjoint(&reached));
        if feeding.is_empty() {
            return feeders;
        }
        for (object, ends) in feeding {
            feeders.extend(object.id.clone());
            for end in ends.from {
                reached.extend(joined(case, &end));
                reached.insert(end);
            }
        }
        others = rest;
    }
}

fn ends(object: &Object) -> Ends {
    let named = |wanted: &dyn Fn(Role) -> bool| -> BTreeSet<String> {
        let members = object.properties.members();
        let named =
            members.iter().filter(|member| member.belongs && member.role.is_some_and(wanted));
        named
            .filter_map(|member| Some(object.machine.qualified::<String>(member.text()?)))
            .collect()
    };
    let from = named(&|role| role == Role::Chardev(Flow::In));
    let mut to = named(&|role| matches!(role, Role::Chardev(Flow::Out) | Role::Netdev(Flow::Out)));
    if !from.is_empty() {
        // What a filter reads it passes on to the netdev that it is on.
        to.extend(named(&|role| role == Role::Filtered));
    }
    Ends { from, to }
}

/// The chardevs whose far end a chardev is, and the one that is its own.
fn joined<'a>(case: &'a Case, chardev: &'a str) -> impl Iterator<Item = String> + 'a {
    case.chardevs.iter().filter_map(move |other| match &other.far {
        ChardevFar::Joined(far) if far.as_str() == chardev => Some(other.id.to_string()),
        ChardevFar::Joined(far) if other.id.as_str() == chardev => Some(far.to_string()),
        _ => None,
    })
}
