//! Events of COLO's frame, as far as a QEMU without a migration can be notified of them.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{QemuWorld, system};
use crate::{
    backend::{BackendError, Title},
    base::{ChardevId, MachineId},
    record::Outcome,
    scenario::ColoEvent,
};

/// What a colo-compare receives on its `notify_dev` (QEMU 7.2.22 `net/colo-compare.c`,
/// `compare_notify_rs_finalize`).
const CHECKPOINT: &[u8] = b"COLO_CHECKPOINT";

/// Tells a machine's filters of a checkpoint, and needs no Xen (measured on QEMU 7.2.22).
pub(in crate::backend::qemu) const TELL_FILTERS: &str = "xen-colo-do-checkpoint";

impl QemuWorld {
    /// A checkpoint reaches those that compare first, each on its `notify_dev`; then come the
    /// filters. No case with another event is opened here.
    pub(super) fn colo(
        &mut self,
        _event: ColoEvent,
        machine: Option<&MachineId>,
    ) -> Result<(), BackendError> {
        let chosen = |id: &MachineId| machine.is_none_or(|machine| machine == id);
        let of: Vec<usize> = (0..self.machines.len())
            .filter(|at| chosen(&self.machines[*at].id) && !self.machines[*at].is_dead())
            .collect();
        let (mut comparing, mut others) = (Vec::new(), Vec::new());
        for at in of {
            let devices = self.notify_devices(at)?;
            let group = if devices.is_empty() { &mut others } else { &mut comparing };
            group.push((at, devices));
        }
        for (at, devices) in comparing.into_iter().chain(others) {
            for (chardev, vnet) in devices {
                let length = u32::try_from(CHECKPOINT.len()).unwrap_or_default();
                let mut frame = length.to_be_bytes().to_vec();
                if vnet {
                    frame.extend([0; 4]);
                }
                frame.extend(CHECKPOINT);
                self.write(&chardev, &Bytes::from(frame), None)?;
            }
            let title = Title { text: "colo checkpoint".to_owned(), subject: None };
            self.ask(at, TELL_FILTERS, &Map::new(), title)?;
        }
        Ok(())
    }

    /// The `notify_dev` of each colo-compare that there is, and whether its frames announce a
    /// virtio-net header.
    fn notify_devices(&mut self, at: usize) -> Result<Vec<(ChardevId, bool)>, BackendError> {
        let mut devices = Vec::new();
        for (name, class) in self.objects(at)? {
            if class != "child<colo-compare>" {
                continue;
            }
            let path = format!("/objects/{name}");
            let device = self.query(at, "qom-get", &at_path(&path, Some("notify_dev")))?;
            let vnet = self.query(at, "qom-get", &at_path(&path, Some("vnet_hdr_support")))?;
            let id: ChardevId = self.machines[at].id.qualified(device.as_str().unwrap_or_default());
            devices.push((id, vnet == Value::Bool(true)));
        }
        Ok(devices)
    }

    /// Whether there is none of this id; false while the machine is frozen, when nobody knows.
    pub(super) fn has_no_object(&mut self, at: usize, id: &str) -> Result<bool, BackendError> {
        Ok(!self.machines[at].is_frozen() && self.objects(at)?.iter().all(|(name, _)| name != id))
    }

    /// The ids of the objects that there are and their types, as `child<TYPE>`.
    fn objects(&mut self, at: usize) -> Result<Vec<(String, String)>, BackendError> {
        let listed = self.query(at, "qom-list", &at_path("/objects", None))?;
        let text = |object: &Value, key: &str| {
            object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let listed = listed.as_array().into_iter().flatten();
        Ok(listed.map(|object| (text(object, "name"), text(object, "type"))).collect())
    }

    /// A question of our own; nothing while the machine is frozen.
    fn query(
        &mut self,
        at: usize,
        command: &str,
        args: &Map<String, Value>,
    ) -> Result<Value, BackendError> {
        let title = Title { text: command.to_owned(), subject: None };
        match self.ask(at, command, args, title)?.outcome {
            Outcome::Done(value) => Ok(value),
            Outcome::Unanswered(_) => Ok(Value::Null),
            other => Err(system(command, std::io::Error::other(format!("{other:?}")))),
        }
    }
}

/// The arguments of `qom-list` and `qom-get`.
fn at_path(path: &str, property: Option<&str>) -> Map<String, Value> {
    let mut args = Map::new();
    args.insert("path".to_owned(), path.into());
    args.extend(property.map(|name| ("property".to_owned(), name.into())));
    args
}
