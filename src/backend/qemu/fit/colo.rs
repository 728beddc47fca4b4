//! What of COLO a QEMU without a migration can be told.

use super::is_of;
use crate::{
    backend::qemu::probe::Probed,
    base::ChardevId,
    qapi::{Flow, Role},
    scenario::{Case, ChardevFar, ColoEvent, Verb},
};

/// Why a case's events of COLO can't be told.
pub(super) fn unfit(case: &Case, probed: &Probed) -> Option<String> {
    let mut events = case.steps.iter().filter_map(|step| match step.verb {
        Verb::Colo { event, .. } => Some(event),
        _ => None,
    });
    let first = events.next()?;
    if first == ColoEvent::Failover || events.any(|event| event == ColoEvent::Failover) {
        return Some("no QMP command tells the net layer alone of a failover".to_owned());
    }
    if !probed.has_checkpoint {
        return Some("no QMP command tells the filters alone of a checkpoint".to_owned());
    }
    let compares = case.all_objects().filter(|object| is_of(object, "colo-compare"));
    let mut deaf = compares.filter(|object| {
        let device = object.properties.with(Role::Chardev(Flow::Messages));
        let device = device.map(|device| object.machine.qualified::<ChardevId>(device));
        !device.is_some_and(|device| is_ours(case, &device))
    });
    deaf.next().map(|_| {
        "a colo-compare is told of a checkpoint on its notify_dev alone, and one has none"
            .to_owned()
    })
}

/// Whether somebody of ours is at its far end.
fn is_ours(case: &Case, chardev: &ChardevId) -> bool {
    let is_port = |far: &ChardevFar| matches!(far, ChardevFar::Port { connected: true, .. });
    let mut chardevs = case.chardevs.iter();
    chardevs.any(|one| one.id == *chardev && is_port(&one.far))
}
