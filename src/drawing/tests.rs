use std::sync::Arc;

use rstest::rstest;

use super::{Hit, HitKind, Ladder, Row, Topology, dot, ladder, mermaid, svg, text};
use crate::{
    diag::Source,
    scenario::{self, Disk},
};

/// A pair of machines, and everything that has a shape of its own.
const PAIR: &str = r#"
description: A pair.
namespaces: [lan]
links:
  l0: { ends: [{ name: a, bridge: br0 }, { name: b, netns: lan, address: [10.0.0.9/24] }] }
bridges:
  br0: { address: [10.0.0.1/24] }
machines:
  primary:
    netdevs: { hn0: { type: tap, netns: lan } }
    chardevs:
      - socket,id=mirror0,host=0.0.0.0,port=9003,server=on,wait=off
      - socket,id=c0,host=127.0.0.1,port=9001,server=on,wait=off
      - socket,id=c1,host=127.0.0.1,port=9001
      - socket,id=sec,path=sec,server=on,wait=off
    objects:
      - filter-mirror,id=m0,netdev=hn0,queue=tx,outdev=mirror0
      - filter-redirector,id=r0,netdev=hn0,queue=rx,outdev=c0
      - filter-dump,id=d0,netdev=hn0,file=all.pcap
      - iothread,id=io0
      - colo-compare,id=comp0,primary_in=c1,secondary_in=sec,outdev=gone,iothread=io0
  secondary:
    profile: qemu-10.2
    netdevs: { hn0: { type: tap } }
    chardevs:
      - socket,id=red0,host=3.3.3.3,port=9003,reconnect-ms=1000
    objects:
      - filter-redirector,id=f1,netdev=hn0,queue=tx,indev=red0
expect: { error: { primary/comp0: "Device 'gone' not found" } }
"#;

/// One machine: packet sockets, a hub, positions in the chain, what steps add.
const ONE: &str = r#"
description: One machine.
matrix: { queue: [rx, tx] }
netdevs:
  hn0: { type: tap, vhost: true, guest: { address: 10.0.0.2/24, services: { 80: echo } } }
  hp0: { type: hubport, hubid: 7 }
  u0: { type: user }
chardevs:
  out0: {}
  odd: { path: "a<b>&\"c'd|e", server: on, connected: false }
impair: { hn0.guest: { out: { loss: 10%, seed: 7 } } }
objects:
  - "filter-redirector,id=f0,netdev=hn0,queue=${queue},in_netdev=hn0,outdev=out0"
  - filter-rewriter,id=f1,netdev=hn0,position=head,status=off
  - { qom-type: filter-buffer, id: f2, netdev: hn0, interval: 1000, position: id=f0, insert: before }
steps:
  - object-add: filter-mirror,id=f3,netdev=hn0,queue=rx,outdev=nowhere
    error: "Device 'nowhere' not found"
  - chardev-add: { id: late, backend: { type: socket, data: { addr: { type: unix, data: { path: late } } } } }
"#;

fn topology(text: &str, case: usize) -> Topology {
    let source = Source { path: "a.yaml".into(), text: text.to_owned() };
    let scenario = scenario::parse(Arc::new(source), "a", &Disk)
        .unwrap_or_else(|reports| panic!("{reports:?}"));
    Topology::of(&scenario.cases[case])
}

#[test]
fn a_topology_as_text() {
    insta::assert_snapshot!("pair_text", text(&topology(PAIR, 0)));
    insta::assert_snapshot!("one_text", text(&topology(ONE, 0)));
}

#[test]
fn a_topology_as_mermaid() {
    insta::assert_snapshot!("pair_mermaid", mermaid(&topology(PAIR, 0)));
    insta::assert_snapshot!("one_mermaid", mermaid(&topology(ONE, 0)));
}

#[test]
fn a_topology_as_dot() {
    insta::assert_snapshot!("pair_dot", dot(&topology(PAIR, 0)));
    insta::assert_snapshot!("one_dot", dot(&topology(ONE, 0)));
}

#[test]
fn a_topology_as_svg() {
    let picture = |topology| super::symbol(&topology).body.replace("><", ">\n<");
    insta::assert_snapshot!("pair_svg", picture(topology(PAIR, 0)));
    insta::assert_snapshot!("one_svg", picture(topology(ONE, 0)));
}

#[rstest]
#[case(PAIR)]
#[case(ONE)]
fn what_is_drawn_is_well_formed(#[case] text: &str) {
    let picture = svg(&topology(text, 0), "a <case> & \"more\"\u{1}");
    let mut reader = quick_xml::Reader::from_str(&picture);
    while reader.read_event().unwrap() != quick_xml::events::Event::Eof {}
    assert!(!picture.contains("<case>"));
}

#[test]
fn the_case_decides() {
    assert_ne!(topology(ONE, 0), topology(ONE, 1));
}

#[test]
fn no_two_figures_cover_each_other() {
    for topology in [topology(PAIR, 0), topology(ONE, 0), topology(ONE, 1)] {
        let sheet = super::layout::layout(&topology);
        for (at, one) in sheet.figures.iter().enumerate() {
            let a = one.rect;
            assert!(a.x >= 0 && a.right() <= sheet.width && a.bottom() <= sheet.height);
            for other in &sheet.figures[at + 1..] {
                let b = other.rect;
                let apart =
                    a.right() <= b.x || b.right() <= a.x || a.bottom() <= b.y || b.bottom() <= a.y;
                assert!(apart, "{:?} and {:?}", one.lines, other.lines);
            }
        }
    }
}

#[test]
fn a_topology_crosses_into_json_and_back() {
    let topology = topology(PAIR, 0);
    let json = serde_json::to_string(&topology).unwrap();
    assert_eq!(serde_json::from_str::<Topology>(&json).unwrap(), topology);
}

#[test]
fn a_ladder_as_svg() {
    let hit = |lane, kind, text: Option<&str>| Hit { lane, kind, text: text.map(str::to_owned) };
    let packet = |label: &str, from, hits, lost: &[&str]| Row::Packet {
        label: label.to_owned(),
        from,
        hits,
        lost: lost.iter().map(ToString::to_string).collect(),
        notes: vec!["consumed by f0".to_owned()],
        href: Some("#p1".to_owned()),
    };
    let rows = vec![
        Row::Step { title: "[1] send hn0.guest <now>".to_owned(), wrong: true },
        packet("#1 same", Some(0), vec![hit(1, HitKind::Same, None)], &[]),
        packet("#2 lost", Some(0), vec![], &["dropped at f0: off"]),
        packet(
            "#3 wrong",
            Some(2),
            vec![
                hit(0, HitKind::Wrong, Some("tcp.ack 1 -> 2")),
                hit(1, HitKind::Changed, Some("ipv4.ttl 64 -> 63")),
            ],
            &[],
        ),
        packet("from elsewhere", None, vec![hit(2, HitKind::Extra, Some("not expected"))], &[]),
        packet("#4 missing", Some(1), vec![hit(2, HitKind::Missing, Some("missing"))], &[]),
        Row::Remark { text: "crash: an assertion & more".to_owned(), grave: true },
    ];
    let lanes = ["primary/hn0.guest", "primary/hn0.host", "out0"];
    let picture = ladder(&Ladder { lanes: lanes.map(str::to_owned).to_vec(), rows });
    insta::assert_snapshot!("ladder_svg", picture.body.replace("><", ">\n<"));
}
