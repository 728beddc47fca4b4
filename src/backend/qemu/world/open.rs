//! Starts the QEMUs of a case with the arguments that its netdevs and chardevs need, and connects
//! their far ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::net::UnixStream,
    path::PathBuf,
};

use nix::sys::socket::{
    setsockopt,
    sockopt::{SndBuf, SndBufForce},
};
use serde_json::Map;

use super::{Directory, QemuWorld, Target, flood::Flood, join::Joins, longest_command, system};
use crate::{
    backend::{
        BackendError, Missing, Observations,
        builtin::Flights,
        lower::FIRST_GUEST_HUB,
        netns::NetnsCarrier,
        qemu::{
            Admission, OWN,
            chardev::{Cutter, FarEnd, Side},
            command,
            file::DumpFile,
            machine::{Machine, Tap},
            process::{Arguments, Process},
            program::Program,
            stream::Stream,
            version::Version,
        },
    },
    base::{MachineId, NetdevId, PortId, VirtualTime},
    record::{Framing, PortKind},
    scenario::{Case, Chardev, ChardevFar, NetdevType},
    sys::Isolated,
};

impl QemuWorld {
    /// Builds the interfaces, starts QEMU and makes the chardevs.
    pub(in crate::backend::qemu) fn open(
        isolated: &Isolated,
        program: &Program,
        version: Version,
        admission: Admission,
        case: &Case,
    ) -> Result<Self, BackendError> {
        let mut carrier = NetnsCarrier::open(isolated, case)?;
        let folder = isolated.directory().join(isolated.unique("files"));
        let sockets = folder.join("sockets");
        let files = folder.join("run");
        let made = fs::create_dir_all(&sockets).and_then(|()| fs::create_dir(&files));
        made.map_err(|error| system("folders", error))?;
        let dumps = case.ports.iter().filter(|port| port.kind == PortKind::File);
        let dumps = dumps.map(|port| DumpFile::new(port.id.clone(), files.join(port.id.as_str())));
        let mut ports = BTreeMap::new();
        for port in &case.ports {
            if matches!(port.kind, PortKind::Host | PortKind::LinkEnd) {
                ports.insert(port.id.clone(), Target::Host);
            }
        }
        let mut machines = Vec::new();
        for machine in &case.machines {
            let id = machine.id.clone();
            let mut arguments = Arguments::default();
            let taps = netdevs(case, &id, &mut carrier, &mut arguments)?;
            for (netdev, tap) in &taps {
                ports.insert(tap.port.clone(), Target::Guest(netdev.clone()));
            }
            // Files of a machine with a name begin with it, as their ports do.
            let run = files.join(id.as_str());
            fs::create_dir_all(&run).map_err(|error| system("a folder for files", error))?;
            if machine.stopped {
                arguments.word("-S");
            }
            if machine.incoming {
                arguments.push("-incoming", "defer");
            }
            arguments.write_in(&folder);
            arguments.run_in(&run);
            let (process, qmp) = Process::start(program, arguments)
                .map_err(|error| system(&program.name().display().to_string(), error))?;
            let parser = case.profile_of(&id).version();
            let machine = Machine::new(id, parser, process, qmp, taps);
            machines.push(machine.map_err(|text| no_vhost(text, version))?);
        }
        let mut world = Self {
            machines,
            joins: Joins::new(sockets),
            joined: case.joined.clone(),
            added_chardevs: case.added_chardevs.clone(),
            version,
            admission,
            program: program.clone(),
            directory: Directory { folder, isolated: isolated.clone() },
            carrier,
            ports,
            files: Vec::new(),
            dumps: dumps.collect(),
            clock: VirtualTime::ZERO,
            advancing: None,
            flights: Flights::default(),
            inside: BTreeSet::new(),
            write_count: 0,
            seen: Observations::default(),
            flood: Flood::default(),
            held: false,
        };
        world.chardevs(case, version)?;
        Ok(world)
    }

    /// Makes the chardevs of all machines, those that listen first.
    fn chardevs(&mut self, case: &Case, version: Version) -> Result<(), BackendError> {
        let (servers, clients): (Vec<&Chardev>, Vec<&Chardev>) =
            case.chardevs.iter().partition(|chardev| chardev.server);
        for group in [servers, clients] {
            for chardev in group {
                let path = match (&chardev.far, &chardev.address) {
                    (ChardevFar::Joined(_), Some(address)) => {
                        self.joins.path(&chardev.machine, address, chardev.server)
                    }
                    _ => self.file(),
                };
                self.link()?;
                self.chardev(chardev, version, path)?;
            }
        }
        // QEMU has accepted its clients when it answers.
        for machine in &mut self.machines {
            machine.must("query-chardev", None).map_err(unstarted)?;
        }
        if !self.joined.is_empty() {
            self.quiesce(&longest_command())?;
        }
        Ok(())
    }

    fn chardev(
        &mut self,
        chardev: &Chardev,
        version: Version,
        path: PathBuf,
    ) -> Result<(), BackendError> {
        let at = self.machine_of(chardev.id.as_str());
        let id = chardev.machine.local(chardev.id.as_str()).unwrap_or(chardev.id.as_str());
        let is_mux = chardev.backend == "mux";
        // As QEMU itself names the base of a multiplexed -chardev (QEMU 7.2.22 chardev/char.c,
        // qemu_chr_new_from_opts).
        let base = format!("{id}-base");
        let socket = if is_mux { base.as_str() } else { id };
        let failed = |error| system(&format!("chardev {id}"), error);
        if is_mux || chardev.backend == "socket" {
            // A client that may be connected late or again is a server here, unless QEMU itself
            // keeps trying: its far end sees no difference.
            let listens = chardev.server
                || (!matches!(chardev.far, ChardevFar::Joined(_))
                    && !command::reconnects(&chardev.options));
            let mut args = command::socket(socket, &path, listens);
            command::add_reconnect(&mut args, &chardev.options, version);
            let side = if listens { Side::Server } else { Side::Client };
            let far = match chardev.far {
                ChardevFar::Port { connected, wiring } => Some((connected, wiring)),
                ChardevFar::Joined(_) | ChardevFar::Nobody => None,
            };
            let (connected, wiring) = far.unwrap_or_default();
            let port = PortId::from(chardev.id.as_str());
            let mut end = FarEnd::new(port.clone(), wiring, side, path.clone());
            let listener = if connected { end.listen().map_err(failed)? } else { None };
            self.must(at, "chardev-add", &args)?;
            match listener {
                Some(listener) => end.accept(&listener).map_err(failed)?,
                None if connected => end.open().map_err(failed)?,
                None => {}
            }
            if far.is_some() {
                self.ports.insert(port, Target::Chardev(chardev.id.clone()));
                self.machines[at].ends.insert(chardev.id.clone(), end);
            }
        }
        if chardev.backend != "socket" {
            let args = command::other(chardev, id, &path, &base);
            self.must(at, "chardev-add", &args)?;
        }
        Ok(())
    }

    /// A command of our own, which must succeed.
    fn must(
        &mut self,
        at: usize,
        command: &str,
        args: &Map<String, serde_json::Value>,
    ) -> Result<(), BackendError> {
        let done = self.machines[at].must(command, Some(args));
        done.map_err(unstarted)
    }
}

/// What a QEMU says that was built without vhost-net, or may not use it (QEMU 7.2.22 `net/tap.c`,
/// `net_init_tap_one`).
const NO_VHOST: &str = "vhost-net requested but could not be initialized";

/// A QEMU without vhost-net does not start with such a netdev; it lacks that, and nothing else is
/// wrong.
fn no_vhost(text: String, version: Version) -> BackendError {
    if text.contains(NO_VHOST) {
        return BackendError::Missing(Missing(format!("QEMU {version} has no vhost-net here")));
    }
    unstarted(text)
}

fn unstarted(text: String) -> BackendError {
    system("QEMU can't be started", std::io::Error::other(text))
}

/// The netdevs, with the names of the model: those that a scenario does not know of begin with our
/// own.
fn netdevs(
    case: &Case,
    machine: &MachineId,
    carrier: &mut NetnsCarrier,
    arguments: &mut Arguments,
) -> Result<BTreeMap<NetdevId, Tap>, BackendError> {
    let mut taps = BTreeMap::new();
    let of_machine = case.netdevs.iter().filter(|one| one.machine == *machine);
    for (index, netdev) in (0..).zip(of_machine) {
        let qualified = &netdev.id;
        let id = machine.local(qualified.as_str()).unwrap_or(qualified.as_str());
        match &netdev.kind {
            NetdevType::Hubport { hub } => {
                arguments.push("-netdev", &format!("hubport,id={id},hubid={hub}"));
            }
            NetdevType::User => arguments.push("-netdev", &format!("user,id={id}")),
            NetdevType::Tap { vhost, queues, .. } => {
                let failed = |error| system(&format!("netdev {qualified}"), error);
                let mut queue = || {
                    let fd = carrier.hand_over(qualified).map_err(failed)?;
                    Ok::<_, BackendError>(arguments.inherit(fd).to_string())
                };
                let fds = (0..*queues).map(|_| queue()).collect::<Result<Vec<_>, _>>()?;
                let key = if fds.len() > 1 { "fds" } else { "fd" };
                let vhost = if *vhost { ",vhost=on" } else { "" };
                let fds = fds.join(":");
                arguments.push("-netdev", &format!("tap,id={id},{key}={fds}{vhost}"));
                let (ours, theirs) = wire().map_err(failed)?;
                let fd = arguments.inherit(theirs.into());
                let hub = FIRST_GUEST_HUB + index;
                let guest = format!("{OWN}-guest-{id}");
                for option in [
                    format!("hubport,id={},hubid={hub},netdev={id}", hub_port(id)),
                    format!("socket,id={guest},fd={fd}"),
                    format!("hubport,id={OWN}-wire-{id},hubid={hub},netdev={guest}"),
                ] {
                    arguments.push("-netdev", &option);
                }
                let tap = Tap {
                    port: PortId::guest(qualified),
                    wire: Stream::new(ours).map_err(failed)?,
                    cutter: Cutter::new(Framing::Plain),
                };
                taps.insert(qualified.clone(), tap);
            }
        }
    }
    Ok(taps)
}

/// Bytes that a guest's port holds for us: more than any filter lets go of at once.
const WIRE: usize = 256 << 20;

/// Our end and QEMU's of the wire to a guest's port. It is never full, as a NIC takes what a filter
/// lets go of: a frame that did not fit would wait in QEMU, and the next, when there was room
/// again, would overtake it (QEMU 7.2.22 `net/queue.c`, `qemu_net_queue_send`).
fn wire() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    // Without the privilege in the first user namespace, the most that the system allows.
    setsockopt(&theirs, SndBufForce, &WIRE).or_else(|_| setsockopt(&theirs, SndBuf, &WIRE))?;
    Ok((ours, theirs))
}

/// The hub port that is a TAP's peer, in place of a guest's NIC.
pub(super) fn hub_port(id: &str) -> String {
    format!("{OWN}-hub-{id}")
}
