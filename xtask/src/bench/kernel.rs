//! A guest's frame through real interfaces: written to a TAP, captured with AF_PACKET, taken to a
//! chardev. Beside it the system calls that a redirector can't do without.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use tapwright::{
    backend::{Action, Backend, BackendError, Deadline, Netns, netns::Network},
    base::{Frame, PortId},
    sys::{
        InterfaceIndex, InterfaceName, Isolated, PacketOptions, PacketSocket, Tap, TapHeader,
        enter_fresh,
    },
};

use super::{
    BenchError, Lab,
    case::parse,
    io_error,
    lap::{Lap, Row, timed},
    machine::{frame, send},
};

const FRAMES: u32 = 5_000;

const SCENARIO: &str = "description: a redirector that captures
netdevs: {hn0: {type: tap, vhost: true}}
chardevs: {r0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=rx,in_netdev=hn0,outdev=r0
";

pub(super) fn row(lab: &Lab, length: usize) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?;
    let bare = bare(isolated, length)?;
    let case = parse(SCENARIO)?;
    let mut world = Netns::new(isolated.clone()).open(&case)?;
    for object in &case.objects {
        world.act(Action::ObjectAdd(object))?;
    }
    world.settle(&Deadline::NEVER)?;
    let (port, frame) = (PortId::from("hn0.guest"), Frame::plain(frame(length)));
    // The host's stack gets its copy; the chardev a length word and the frame.
    let subject = move || timed(|| send(world.as_mut(), &port, &frame, FRAMES, 3));
    Ok(Row {
        subject: ("a world of netns", Box::new(subject)),
        baseline: ("write, recv, send, read", bare),
        of: "frame",
        count: FRAMES,
        baseline_count: FRAMES,
        goal: None,
    })
}

/// A TAP, a packet socket on it, and a pair of sockets; nothing else.
fn bare(isolated: &Isolated, length: usize) -> Result<Lap, BenchError> {
    let system = |source| BenchError::Io { what: "a bare TAP", source };
    enter_fresh(isolated).map_err(|error| BenchError::Skipped(error.to_string()))?;
    let network = Network::open(isolated).map_err(BackendError::from)?;
    let name: InterfaceName = "tap0".parse()?;
    let tap = Tap::create(isolated, &name, TapHeader::None, true)?;
    let index = InterfaceIndex::of(&name).map_err(system)?;
    network
        .set_up(network.index(&name).map_err(BackendError::from)?, true)
        .map_err(BackendError::from)?;
    let mut socket =
        PacketSocket::open(isolated, index, PacketOptions::default()).map_err(system)?;
    let (mut ours, mut theirs) = UnixStream::pair().map_err(system)?;
    let (frame, mut read) = (frame(length), vec![0; 4 + length]);
    Ok(Box::new(move || {
        timed(|| {
            for _ in 0..FRAMES {
                tap.write(&[], &frame).map_err(|error| BenchError::Wrong(error.to_string()))?;
                let received = socket.recv();
                let Ok(Some(received)) = received else {
                    return Err(BenchError::Wrong(format!("{received:?}")));
                };
                let word = (received.data.len() as u32).to_be_bytes();
                ours.write_all(&word)
                    .and_then(|()| ours.write_all(&received.data))
                    .and_then(|()| theirs.read_exact(&mut read))
                    .map_err(io_error("a pair of sockets"))?;
            }
            Ok(())
        })
    }))
}
