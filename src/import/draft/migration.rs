//! Which guests run from the start, and to which machine each `migrate` leads.

use serde_json::{Map, Value, json};

use super::{Draft, route::shown_command};
use crate::{
    import::{
        machine::{Machine, shown},
        step::Step,
    },
    qapi::{Properties, Role},
};

/// The address of the guest's first NIC where the command line gives none; those of others follow it
/// (QEMU 10.2.2 `net/net.c`, `qemu_macaddr_default_if_unset`).
const FIRST_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

/// What a command that is no step says about migrations.
pub(super) fn told(name: &str, args: &Map<String, Value>, machine: &mut Machine) {
    match name {
        "migrate-incoming" => machine.listens.extend(uri(args)),
        "migrate-set-capabilities" => {
            let list = args.get("capabilities").and_then(Value::as_array);
            machine.has_colo |= list.into_iter().flatten().any(|one| {
                let named = one.get("capability").and_then(Value::as_str) == Some("x-colo");
                named && one.get("state") == Some(&json!(true))
            });
        }
        _ => {}
    }
}

/// Where a migration goes: `uri`, or the address of the one channel that newer QEMUs take instead of it.
fn uri(args: &Map<String, Value>) -> Option<String> {
    if let Some(uri) = args.get("uri").and_then(Value::as_str) {
        return Some(uri.to_owned());
    }
    let addr = args.get("channels")?.as_array()?.first()?.get("addr")?;
    let text = |key: &str| addr.get(key).and_then(Value::as_str);
    match text("type")? {
        "inet" => Some(format!("tcp:{}:{}", text("host")?, text("port")?)),
        "unix" => Some(format!("unix:{}", text("path")?)),
        _ => None,
    }
}

/// The part of an address that both sides write alike: a path, or a port.
fn meeting(uri: &str) -> &str {
    let address = uri.find(',').map_or(uri, |end| &uri[..end]);
    let port = address.strip_prefix("tcp:").and_then(|rest| Some(rest.rsplit_once(':')?.1));
    port.unwrap_or(address)
}

impl Draft {
    /// `-S` and `-incoming`, where they say that a guest does not run: COLO starts both guests itself, and
    /// libvirt starts its own.
    pub(super) fn settle_starts(&mut self) {
        let has_colo = self.machines.iter().any(is_colo);
        for machine in &mut self.machines {
            let by_libvirt = machine.is_libvirts && machine.stopped;
            if has_colo && (machine.stopped || machine.incoming.is_some()) {
                let text = "-S and -incoming are for COLO's start: it runs both guests, as here";
                machine.notes.push(text.to_owned());
            } else if by_libvirt {
                let text = "-S is libvirt's, which continues the guest by itself: it runs here";
                machine.notes.push(text.to_owned());
            }
            if machine.stopped && (has_colo || by_libvirt) {
                machine.stopped = false;
                machine.elsewhere.push("-S".to_owned());
            }
            if let Some(uri) = machine.incoming.take_if(|_| has_colo) {
                machine.elsewhere.push(format!("-incoming {}", shown(&uri)));
            }
            if let Some(uri) = &machine.incoming {
                machine.notes.push(format!(
                    "-incoming {} is `incoming: true`: the guest comes by a step `migrate`",
                    shown(uri)
                ));
            }
            let goes_on = machine.steps.iter().any(|step| step.verb == "cont");
            if machine.stopped && machine.incoming.is_none() && !goes_on {
                let text =
                    "-S is `stopped: true`: the guest gets and sends nothing before a step `cont`";
                machine.notes.push(text.to_owned());
            }
        }
    }

    /// Gives each `migrate` its two machines; one that leads to none of the paste's is no step.
    pub(super) fn settle_migrations(&mut self) {
        let has_colo = self.machines.iter().any(is_colo);
        for at in 0..self.machines.len() {
            for mut step in std::mem::take(&mut self.machines[at].steps) {
                if step.verb != "migrate" {
                    self.machines[at].steps.push(step);
                    continue;
                }
                let args = step.value.as_object().cloned().unwrap_or_default();
                let to = self.destination(at, &args).filter(|_| !has_colo);
                let mut notes = vec![format!("no step for {}", shown_command("migrate", &args))];
                match to {
                    None if has_colo => {}
                    None => notes.push("  no machine of the paste waits for it".to_owned()),
                    Some(to) => match self.same_guest(at, to) {
                        Some(reason) => notes.push(format!("  {reason}")),
                        None => {
                            step.value =
                                json!({ "from": self.name_of(at), "to": self.name_of(to) });
                            self.machines[at].steps.push(step);
                            notes.clear();
                        }
                    },
                }
                self.machines[at].notes.extend(notes);
            }
        }
    }

    fn name_of(&self, at: usize) -> &str {
        self.machines[at].name.as_deref().unwrap_or_default()
    }

    /// The machine that waits at the address; where none does, the only other one that waits.
    fn destination(&self, from: usize, args: &Map<String, Value>) -> Option<usize> {
        let uri = uri(args)?;
        let waits = |at: &usize| self.machines[*at].incoming.is_some() && *at != from;
        let waiting: Vec<usize> = (0..self.machines.len()).filter(waits).collect();
        let is_there = |at: &&usize| {
            let machine = &self.machines[**at];
            let mut places = machine.incoming.iter().chain(&machine.listens);
            places.any(|place| meeting(place) == meeting(&uri))
        };
        match waiting.iter().find(is_there) {
            Some(at) => Some(*at),
            None if waiting.len() == 1 => waiting.first().copied(),
            None => None,
        }
    }

    /// Gives the destination's NICs the addresses of the source's, which come with the guest. What keeps
    /// the guest from finding its NICs there.
    fn same_guest(&mut self, from: usize, to: usize) -> Option<String> {
        let taps = |machine: &Machine| -> Vec<(String, Option<String>)> {
            let taps = machine.netdevs.iter().filter(|netdev| netdev.get("type") == Some("tap"));
            taps.map(|tap| {
                (tap.id().unwrap_or_default().to_owned(), tap.get("nic").map(str::to_owned))
            })
            .collect()
        };
        let (mut one, mut other) = (taps(&self.machines[from]), taps(&self.machines[to]));
        one.sort();
        other.sort();
        if one != other {
            let (from, to) = (self.name_of(from), self.name_of(to));
            return Some(format!(
                "the guest's NICs are not the same at {from} and {to}: a scenario needs TAPs of the same ids"
            ));
        }
        let mut number = 0;
        let mut addresses: Vec<(String, String)> = Vec::new();
        for netdev in &mut self.machines[from].netdevs {
            let (Some(id), Some("tap")) = (netdev.id().map(str::to_owned), netdev.get("type"))
            else {
                number += 1;
                continue;
            };
            let mac = netdev.get("mac").map(str::to_owned);
            if mac.is_none() {
                netdev.set("mac", &nth_mac(number));
            }
            number += usize::from(mac.is_none());
            addresses.push((id, netdev.get("mac").unwrap_or_default().to_owned()));
        }
        for netdev in &mut self.machines[to].netdevs {
            let id = netdev.id().unwrap_or_default();
            if let Some((_, mac)) = addresses.iter().find(|(other, _)| other == id) {
                netdev.set("mac", mac);
            }
        }
        let note =
            "the NICs have `mac`, the same at both machines: the guest brings its address along";
        if !self.machines[from].notes.iter().any(|other| other == note) {
            self.machines[from].notes.push(note.to_owned());
        }
        None
    }
}

/// The address of the guest's NIC of this number, from 0.
fn nth_mac(number: usize) -> String {
    let mut bytes = FIRST_MAC;
    bytes[5] = bytes[5].wrapping_add(u8::try_from(number).unwrap_or_default());
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

/// Whether the machine is one of a COLO pair.
fn is_colo(machine: &Machine) -> bool {
    let added: Vec<Properties> = machine.steps.iter().filter_map(Step::adds_object).collect();
    let of_colo = |object: &Properties| {
        let kind = object.qom_type();
        kind == Some("filter-rewriter") || object.with(Role::Iothread).is_some()
    };
    let declared = machine.objects.iter().map(|object| &object.properties);
    machine.has_colo || declared.chain(&added).any(of_colo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_meet_at_a_port_or_a_path() {
        assert_eq!(meeting("tcp:10.0.0.2:4444"), meeting("tcp:0:4444,ipv4=on"));
        assert_eq!(meeting("tcp:[::]:4444"), "4444");
        assert_eq!(meeting("unix:/tmp/m"), "unix:/tmp/m");
        assert_ne!(meeting("unix:/tmp/m"), meeting("unix:/tmp/n"));
    }

    #[test]
    fn channels_have_an_address() {
        let args = json!({ "channels": [{ "channel-type": "main", "addr": {
            "transport": "socket", "type": "inet", "host": "b", "port": "4444",
        } }] });
        assert_eq!(args.as_object().and_then(uri).as_deref(), Some("tcp:b:4444"));
    }

    #[test]
    fn addresses_are_counted() {
        assert_eq!(nth_mac(0), "52:54:00:12:34:56");
        assert_eq!(nth_mac(2), "52:54:00:12:34:58");
    }
}
