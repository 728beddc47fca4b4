use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use serde_json::Map;

use super::{QemuWorld, Target, system};
use crate::{
    backend::{
        BackendError, Observations,
        builtin::Flights,
        lower::{self, FIRST_GUEST_HUB},
        netns::NetnsCarrier,
        qemu::{
            OWN,
            chardev::{Cutter, FarEnd, Side},
            command,
            file::DumpFile,
            machine::{Machine, Tap},
            process::{Arguments, Process},
            stream::Stream,
            version::Version,
        },
    },
    base::{ChardevId, NetdevId, PortId, VirtualTime},
    record::{Framing, PortKind},
    scenario::{Case, Chardev, ChardevFar, NetdevType},
    sys::Isolated,
};

impl QemuWorld {
    /// Builds the interfaces, starts QEMU and makes the chardevs.
    pub(in crate::backend::qemu) fn open(
        isolated: &Isolated,
        program: &Path,
        version: Version,
        case: &Case,
    ) -> Result<Self, BackendError> {
        let mut carrier = NetnsCarrier::open(isolated, case)?;
        let mut arguments = Arguments::default();
        let taps = netdevs(case, &mut carrier, &mut arguments)?;
        let folder = isolated.directory().join(isolated.unique("files"));
        fs::create_dir(&folder).map_err(|error| system("a folder for files", error))?;
        arguments.run_in(&folder);
        let dumps = case.ports.iter().filter(|port| port.kind == PortKind::File);
        let dumps = dumps.map(|port| DumpFile::new(port.id.clone(), folder.join(port.id.as_str())));
        let mut ports = BTreeMap::new();
        for (id, tap) in &taps {
            ports.insert(tap.port.clone(), Target::Guest(id.clone()));
        }
        for port in &case.ports {
            if matches!(port.kind, PortKind::Host | PortKind::LinkEnd) {
                ports.insert(port.id.clone(), Target::Host);
            }
        }
        let (process, qmp) = Process::start(program, arguments)
            .map_err(|error| system(&program.display().to_string(), error))?;
        let machine = Machine::new(process, qmp, taps).map_err(unstarted)?;
        let mut world = Self {
            machine,
            program: program.to_owned(),
            directory: isolated.clone(),
            parser: case.profile.version(),
            carrier,
            ports,
            files: Vec::new(),
            dumps: dumps.collect(),
            folder: folder.clone(),
            clock: VirtualTime::ZERO,
            advancing: None,
            flights: Flights::default(),
            inside: BTreeSet::new(),
            write_count: 0,
            seen: Observations::default(),
        };
        world.chardevs(case, version)?;
        Ok(world)
    }

    /// Makes the chardevs, those that listen first.
    fn chardevs(&mut self, case: &Case, version: Version) -> Result<(), BackendError> {
        let machine = case.machines.first().cloned().unwrap_or_default();
        let lowered = lower::lower(case, &machine);
        let mut paths: BTreeMap<ChardevId, PathBuf> = BTreeMap::new();
        let (servers, clients): (Vec<&Chardev>, Vec<&Chardev>) =
            case.chardevs.iter().partition(|chardev| chardev.server);
        for chardev in servers.into_iter().chain(clients) {
            let joined = match &chardev.far {
                ChardevFar::Joined(other) => paths.get(other).cloned(),
                _ => None,
            };
            let path = joined.unwrap_or_else(|| self.file());
            paths.insert(chardev.id.clone(), path.clone());
            let vnet_hdr_len = lowered
                .chardevs
                .get(&chardev.id)
                .map_or(0, |wiring| wiring.vnet_hdr_len);
            self.chardev(chardev, version, path, vnet_hdr_len)?;
        }
        // QEMU has accepted its clients when it answers.
        self.must("query-chardev", None)
    }

    fn chardev(
        &mut self,
        chardev: &Chardev,
        version: Version,
        path: PathBuf,
        vnet_hdr_len: usize,
    ) -> Result<(), BackendError> {
        let id = chardev.id.as_str();
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
                ChardevFar::Port { connected, framing } => Some((connected, framing)),
                ChardevFar::Joined(_) | ChardevFar::Nobody => None,
            };
            let (connected, framing) = far.unwrap_or((false, Framing::Plain));
            let port = PortId::from(id);
            let mut end = FarEnd::new(port.clone(), framing, vnet_hdr_len, side, path.clone());
            let listener = if connected {
                end.listen().map_err(failed)?
            } else {
                None
            };
            self.must("chardev-add", Some(&args))?;
            match listener {
                Some(listener) => end.accept(&listener).map_err(failed)?,
                None if connected => end.open().map_err(failed)?,
                None => {}
            }
            if far.is_some() {
                self.ports.insert(port, Target::Chardev(chardev.id.clone()));
                self.machine.ends.insert(chardev.id.clone(), end);
            }
        }
        if chardev.backend != "socket" {
            self.must("chardev-add", Some(&command::other(chardev, &path, &base)))?;
        }
        Ok(())
    }

    /// A command of our own, which must succeed.
    fn must(
        &mut self,
        command: &str,
        args: Option<&Map<String, serde_json::Value>>,
    ) -> Result<(), BackendError> {
        let done = self.machine.must(command, args);
        done.map_err(unstarted)
    }
}

fn unstarted(text: String) -> BackendError {
    system("QEMU can't be started", std::io::Error::other(text))
}

/// The netdevs, with the names of the model: those that a scenario does not know of begin with our
/// own.
fn netdevs(
    case: &Case,
    carrier: &mut NetnsCarrier,
    arguments: &mut Arguments,
) -> Result<BTreeMap<NetdevId, Tap>, BackendError> {
    let mut taps = BTreeMap::new();
    for (index, netdev) in (0..).zip(&case.netdevs) {
        let id = &netdev.id;
        match &netdev.kind {
            NetdevType::Hubport { hub } => {
                arguments.push("-netdev", &format!("hubport,id={id},hubid={hub}"));
            }
            NetdevType::User => arguments.push("-netdev", &format!("user,id={id}")),
            NetdevType::Tap { vhost, queues, .. } => {
                let failed = |error| system(&format!("netdev {id}"), error);
                let mut queue = || {
                    let fd = carrier.hand_over(id).map_err(failed)?;
                    Ok::<_, BackendError>(arguments.inherit(fd).to_string())
                };
                let fds = (0..*queues)
                    .map(|_| queue())
                    .collect::<Result<Vec<_>, _>>()?;
                let key = if fds.len() > 1 { "fds" } else { "fd" };
                let vhost = if *vhost { ",vhost=on" } else { "" };
                let fds = fds.join(":");
                arguments.push("-netdev", &format!("tap,id={id},{key}={fds}{vhost}"));
                let (ours, theirs) = UnixStream::pair().map_err(failed)?;
                let fd = arguments.inherit(theirs.into());
                let hub = FIRST_GUEST_HUB + index;
                let guest = format!("{OWN}-guest-{id}");
                for option in [
                    format!("hubport,id={OWN}-hub-{id},hubid={hub},netdev={id}"),
                    format!("socket,id={guest},fd={fd}"),
                    format!("hubport,id={OWN}-wire-{id},hubid={hub},netdev={guest}"),
                ] {
                    arguments.push("-netdev", &option);
                }
                let tap = Tap {
                    port: PortId::from(format!("{id}.guest")),
                    wire: Stream::new(ours).map_err(failed)?,
                    cutter: Cutter::new(Framing::Plain),
                };
                taps.insert(id.clone(), tap);
            }
        }
    }
    Ok(taps)
}
