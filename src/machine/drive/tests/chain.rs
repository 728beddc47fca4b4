//! The order of a chain, and who is in it.

use super::*;

#[test]
fn tx_walks_from_the_head_and_rx_from_the_tail() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-redirector,id=r0,netdev=n0,outdev=c1")
        .add("filter-mirror,id=m0,netdev=n0,outdev=c0");
    rig.send("n0", b"out", 1);
    assert_eq!(rig.bytes("c0"), b"");
    rig.send("n9", b"in", 2);
    assert_eq!(rig.bytes("c0"), encode(b"in", None));
}

#[rstest]
#[case("before", b"\0\0\0\x01x")]
#[case("behind", b"")]
fn a_position_beside_a_filter(#[case] insert: &str, #[case] copied: &[u8]) {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-redirector,id=r0,netdev=n0,queue=tx,outdev=c1");
    rig.add(&format!(
        "filter-mirror,id=m0,netdev=n0,queue=tx,outdev=c0,position=id=r0,insert={insert}"
    ));
    rig.send("n0", b"x", 1);
    assert_eq!(rig.bytes("c0"), copied);
}

#[test]
fn a_filter_that_is_off_sees_nothing() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-mirror,id=m0,netdev=n0,queue=tx,outdev=c0,status=off");
    rig.send("n0", b"x", 1);
    assert_eq!(rig.bytes("c0"), b"");
}

#[test]
fn a_close_without_a_client_does_not_deafen() {
    let mut rig = Rig::new(qemu(None));
    rig.add("filter-redirector,id=f0,netdev=n0,queue=rx,indev=away");
    rig.state("away", ChardevState::Closed).state("away", ChardevState::Opened);
    rig.write("away", encode(b"first", None), 1);
    assert_eq!(rig.frames("n0"), ["first"]);
}
