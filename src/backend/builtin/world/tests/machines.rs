//! Several machines in one world: whose input it is, what reaches the other, and what does not stop
//! it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Rig, frame};
use crate::{
    backend::{Action, Observations, Settled},
    base::{MachineId, Tag},
    record::{CommandError, DropReason, EventKind, NoAnswer, Outcome},
};

const PAIR: &str = "machines:
  primary:
    netdevs: {hn0: {type: tap}}
    chardevs: [\"socket,id=mirror0,host=0.0.0.0,port=9003,server=on,wait=off\"]
    objects: [\"filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=mirror0\"]
  secondary:
    netdevs: {hn0: {type: tap}}
    chardevs: [\"socket,id=red0,host=3.3.3.3,port=9003,reconnect-ms=1000\"]
    objects: [\"filter-redirector,id=f1,netdev=hn0,queue=tx,indev=red0\"]
profile: rfc";

const TEXT: &str = "a frame that is too long to be padded to 60 bytes, so it is whole";

impl Rig {
    fn ask(&mut self, machine: &str, command: &str, args: &Value) -> Outcome {
        let args = args.as_object().expect("an object");
        let machine = &MachineId::from(machine);
        let answer = self.act(Action::Qmp { machine, command, args });
        answer.expect("an answer").outcome
    }

    fn done(&mut self, machine: &str, command: &str, args: &Value) {
        let outcome = self.ask(machine, command, args);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    fn add_server(&mut self, machine: &str) -> Outcome {
        let addr = json!({"type": "inet", "data": {"host": "0.0.0.0", "port": "9003"}});
        let backend = json!({"type": "socket", "data": {"addr": addr, "wait": false}});
        self.ask(machine, "chardev-add", &json!({"id": "mirror0", "backend": backend}))
    }

    fn remove_mirror(&mut self) {
        self.done("primary", "object-del", &json!({"id": "m0"}));
        self.done("primary", "chardev-remove", &json!({"id": "mirror0"}));
    }

    fn add_mirror(&mut self) {
        let mirror = json!({
            "qom-type": "filter-mirror", "id": "m0", "netdev": "hn0", "queue": "tx",
            "outdev": "mirror0",
        });
        self.done("primary", "object-add", &mirror);
    }

    fn advance(&mut self, milliseconds: u64) -> Observations {
        self.act(Action::Advance(Duration::from_millis(milliseconds)));
        self.look()
    }

    /// Whether what the primary mirrors now reaches the secondary's guest.
    fn is_mirrored(&mut self) -> bool {
        self.send("primary/hn0.host", TEXT);
        let seen = self.look();
        assert_eq!(seen.frames("primary/hn0.guest").len(), 1);
        !seen.frames("secondary/hn0.guest").is_empty()
    }
}

fn logs(seen: &Observations) -> Vec<(String, &str)> {
    let logs = seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::Log(text) => Some((event.place.to_string(), text.as_str())),
        _ => None,
    });
    logs.collect()
}

#[test]
fn a_frame_crosses_from_one_machine_to_the_other() {
    let mut rig = Rig::new(PAIR);
    rig.send("primary/hn0.host", TEXT);
    let seen = rig.look();
    let expected = [(frame(TEXT), Tag::sent(1))];
    assert_eq!(seen.frames("primary/hn0.guest"), expected);
    assert_eq!(seen.frames("secondary/hn0.guest"), expected);
    let seen_at: Vec<String> = seen
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Seen { .. }))
        .map(|event| event.place.to_string())
        .collect();
    assert_eq!(seen_at, ["primary/m0", "secondary/f1"]);
}

#[test]
fn a_client_comes_back_on_the_clock_and_says_once_that_it_could_not() {
    let mut rig = Rig::new(PAIR);
    rig.remove_mirror();
    let seen = rig.advance(2500);
    let refused = "Unable to connect character device red0: Failed to connect to '3.3.3.3:9003': \
                   Connection refused";
    let place = "chardev secondary/red0".to_owned();
    assert_eq!(logs(&seen), [(place, refused)]);
    assert!(matches!(rig.add_server("primary"), Outcome::Done(_)));
    rig.add_mirror();
    assert!(!rig.is_mirrored());
    rig.advance(499);
    assert!(!rig.is_mirrored());
    rig.advance(1);
    assert!(rig.is_mirrored());
}

#[test]
fn a_port_is_taken_in_its_own_machine_only() {
    let mut rig = Rig::new(PAIR);
    assert!(matches!(rig.add_server("secondary"), Outcome::Done(_)));
    let addr = json!({"type": "inet", "data": {"host": "127.0.0.1", "port": "9003"}});
    let backend = json!({"type": "socket", "data": {"addr": addr, "wait": false}});
    let taken = json!({"id": "again", "backend": backend});
    let desc = "Failed to add chardev 'again': Failed to find an available port: Address already \
                in use";
    let expected = CommandError { class: "GenericError".to_owned(), desc: desc.to_owned() };
    // One whose client is the scenario keeps its port as well.
    for machine in ["primary", "secondary"] {
        let outcome = rig.ask(machine, "chardev-add", &taken);
        assert_eq!(outcome, Outcome::Refused(expected.clone()));
    }
}

#[test]
fn a_dead_machine_hangs_up_and_the_other_goes_on() {
    let mut rig = Rig::new(
        &PAIR
            .replace(
                "chardevs: [\"socket,id=mirror0",
                "chardevs: [\"socket,id=mon,path=mon,server=on,mux=on\", \"socket,id=mirror0",
            )
            .replace(
                "outdev=mirror0\"]",
                "outdev=mirror0\", \
                 \"filter-redirector,id=end,netdev=hn0,queue=tx,indev=mon\"]",
            )
            .replace(
                "reconnect-ms=1000\"]",
                "reconnect-ms=1000\", \"socket,id=out0,path=out0,server=on\"]",
            )
            .replace(
                "queue=tx,indev=red0\"]",
                "queue=tx,indev=red0\", \
                 \"filter-mirror,id=m1,netdev=hn0,queue=tx,outdev=out0\"]",
            ),
    );
    rig.write("primary/mon", b"\x01x");
    let seen = rig.look();
    let crash = seen.events.iter().find(|event| matches!(event.kind, EventKind::Crash(_)));
    assert_eq!(crash.expect("a crash").place.to_string(), "machine primary");
    rig.send("primary/hn0.host", TEXT);
    assert_eq!(rig.look().drops(), [(Tag::sent(1), DropReason::MachineDead)]);
    rig.send("secondary/hn0.host", TEXT);
    let seen = rig.look();
    assert_eq!(seen.frames("secondary/hn0.guest").len(), 1);
    assert!(!seen.bytes("secondary/out0").is_empty());
    // Nobody listens in a dead machine.
    assert_eq!(logs(&rig.advance(5000)).len(), 1);
}

#[test]
fn a_chardev_that_nobody_reads_freezes_who_writes_to_it_until_somebody_does() {
    let mut rig = Rig::new(PAIR);
    rig.done("secondary", "object-del", &json!({"id": "f1"}));
    let text = "x".repeat(1400);
    for _ in 0..160 {
        rig.send("primary/hn0.host", &text);
    }
    let seen = rig.look();
    let frozen = seen.events.iter().find(|event| event.kind == EventKind::Frozen);
    assert_eq!(frozen.expect("a wait").place.to_string(), "chardev primary/mirror0");
    let before = seen.frames("primary/hn0.guest").len();
    assert!(before < 160, "{before}");
    let late = rig.ask("primary", "qom-get", &json!({"path": "/objects/m0", "property": "status"}));
    assert_eq!(late, Outcome::Unanswered(NoAnswer::Frozen));
    rig.send("secondary/hn0.host", &text);
    assert_eq!(rig.look().frames("secondary/hn0.guest").len(), 1);
    let reader = json!({
        "qom-type": "filter-redirector", "id": "f1", "netdev": "hn0", "queue": "tx",
        "indev": "red0",
    });
    rig.done("secondary", "object-add", &reader);
    let seen = rig.look();
    assert_eq!(seen.frames("primary/hn0.guest").len(), 160 - before);
    assert_eq!(seen.frames("secondary/hn0.guest").len(), 160);
    assert!(rig.finish().events.is_empty());
}

#[test]
fn a_client_that_an_earlier_one_keeps_out_has_its_turn() {
    let mut rig = Rig::new(
        "machines:
  a:
    netdevs: {hn0: {type: tap}}
    chardevs: {s: {path: wire, server: on}}
    objects: [\"filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=s\"]
  b: {chardevs: {c: {path: wire}}}
  c:
    netdevs: {hn0: {type: tap}}
steps:
  - chardev-add: {id: d, backend: {type: socket, data: {addr: {type: unix, data: {path: wire}}, server: false}}}
    machine: c",
    );
    let addr = json!({"type": "unix", "data": {"path": "wire"}});
    let backend = json!({"type": "socket", "data": {"addr": addr, "server": false}});
    rig.done("c", "chardev-add", &json!({"id": "d", "backend": backend}));
    let reader = json!({
        "qom-type": "filter-redirector", "id": "f1", "netdev": "hn0", "queue": "tx", "indev": "d",
    });
    rig.done("c", "object-add", &reader);
    rig.look();
    rig.send("a/hn0.host", TEXT);
    assert!(rig.look().frames("c/hn0.guest").is_empty());
    rig.done("b", "chardev-remove", &json!({"id": "c"}));
    rig.look();
    rig.send("a/hn0.host", TEXT);
    assert_eq!(rig.look().frames("c/hn0.guest").len(), 1);
}

#[test]
fn a_client_without_a_server_is_refused() {
    let mut rig = Rig::new(
        "machines:
  a: {chardevs: {s: {path: wire, server: on}}}
steps:
  - chardev-add: {id: d, backend: {type: socket, data: {addr: {type: unix, data: {path: wire}}, server: false}}}
    machine: a",
    );
    rig.done("a", "chardev-remove", &json!({"id": "s"}));
    let addr = json!({"type": "unix", "data": {"path": "wire"}});
    let backend = json!({"type": "socket", "data": {"addr": addr, "server": false}});
    let outcome = rig.ask("a", "chardev-add", &json!({"id": "d", "backend": backend}));
    let Outcome::Refused(error) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        error.desc,
        "Failed to add chardev 'd': Failed to connect to 'wire': No such file or directory"
    );
}

#[test]
fn a_storm_between_machines_names_both() {
    let mut rig = Rig::new(
        "machines:
  a:
    netdevs: {hn0: {type: tap}}
    chardevs: {out: {path: there, server: on}, in: {path: back, server: on}}
    objects:
      - filter-redirector,id=f0,netdev=hn0,queue=tx,indev=in
      - filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=out
  b:
    netdevs: {hn0: {type: tap}}
    chardevs: {in: {path: there}, out: {path: back}}
    objects:
      - filter-redirector,id=f0,netdev=hn0,queue=tx,indev=in
      - filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=out",
    );
    rig.send("a/hn0.host", TEXT);
    let Settled::Storm(cycle) = rig.settle() else {
        panic!("a storm");
    };
    for place in ["chardev a/in", "chardev b/in"] {
        assert!(cycle.iter().any(|step| step == place), "{cycle:?}");
    }
}

#[test]
fn a_client_that_waited_for_a_server_that_went_is_not_the_next_one_s() {
    let mut rig = Rig::new(
        "machines:
  a:
    netdevs: {hn0: {type: tap}}
    chardevs: {s: {path: wire, server: on}}
  b: {chardevs: {c: {path: wire}}}
  c:
    netdevs: {hn0: {type: tap}}
steps:
  - chardev-add: {id: d, backend: {type: socket, data: {addr: {type: unix, data: {path: wire}}, server: false}}}
    machine: c",
    );
    let backend = |server: bool| {
        let addr = json!({"type": "unix", "data": {"path": "wire"}});
        json!({"type": "socket", "data": {"addr": addr, "server": server}})
    };
    let client = json!({"id": "d", "backend": backend(false)});
    rig.done("c", "chardev-add", &client);
    rig.done("a", "chardev-remove", &json!({"id": "s"}));
    rig.done("a", "chardev-add", &json!({"id": "s", "backend": backend(true)}));
    rig.look();
    let mirror = json!({
        "qom-type": "filter-mirror", "id": "m0", "netdev": "hn0", "queue": "tx", "outdev": "s",
    });
    rig.done("a", "object-add", &mirror);
    let reader = json!({
        "qom-type": "filter-redirector", "id": "f1", "netdev": "hn0", "queue": "tx", "indev": "d",
    });
    rig.done("c", "object-add", &reader);
    rig.send("a/hn0.host", TEXT);
    assert!(rig.look().frames("c/hn0.guest").is_empty());
}
