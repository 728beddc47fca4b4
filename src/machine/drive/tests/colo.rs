//! Events of COLO's frame, and what the objects do.

use super::*;
use crate::machine::ColoEvent;

#[test]
fn a_failover_switches_filters_off() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=tx,outdev=c0");
    rig.send("n0", b"taken", 1);
    assert!(!rig.bytes("c0").is_empty());
    let outcome = rig.command(Command::Colo(ColoEvent::Failover));
    assert_eq!(outcome, Outcome::Done(json!({})));
    rig.send("n0", b"passed on", 2);
    assert_eq!(rig.frames("n9"), [&b"passed on"[..]]);
    let status = rig.qmp("qom-get", json!({"path": "/objects/f0", "property": "status"}));
    assert_eq!(status, Outcome::Done("off".into()));
}

#[test]
fn a_checkpoint_leaves_filters_as_they_are() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=tx,outdev=c0");
    rig.command(Command::Colo(ColoEvent::Checkpoint));
    rig.send("n0", b"taken", 1);
    assert!(!rig.bytes("c0").is_empty());
}
