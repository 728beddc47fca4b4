//! Each way in which a scenario may try to reach the host through a real QEMU: one a row. A reader
//! of `docs/threat-model.md` finds here what was tried.

/// What becomes of an attempt, where nothing is lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The case is skipped with TW-E070, or the file is refused while it is read.
    Refused,
    /// QEMU gets a file or an address of the case's own folder instead.
    Replaced,
}

/// Which fence holds once everything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Nothing is written, made, run or connected to.
    Holds,
    /// Only the list stands against this.
    None,
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// The scenario behind its description and profile. `@OUT@` is a folder of the host's that QEMU
    /// can see, `@RUN@` one below /tmp.
    pub(crate) body: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) fence: Fence,
}

const fn refused(name: &'static str, body: &'static str) -> Way {
    Way { name, body, outcome: Outcome::Refused, fence: Fence::Holds }
}

const fn replaced(name: &'static str, body: &'static str) -> Way {
    Way { outcome: Outcome::Replaced, ..refused(name, body) }
}

/// A way that no fence stops, such as one that only reads.
const fn by_list_alone(name: &'static str, body: &'static str) -> Way {
    Way { fence: Fence::None, ..refused(name, body) }
}

/// A frame through a chardev, so that something is written.
macro_rules! through {
    ($chardev:literal) => {
        concat!(
            "netdevs: { hn0: {} }\nsteps:\n  - chardev-add: ",
            $chardev,
            "\n  - object-add: { qom-type: filter-mirror, id: f0, netdev: hn0, queue: rx, outdev: c1 }\
             \n  - send: hn0.guest\n    frames: [{ payload: x }]\n"
        )
    };
}

/// One step.
macro_rules! step {
    ($step:literal) => {
        concat!("netdevs: { hn0: {} }\nsteps:\n  - ", $step, "\n")
    };
}

/// A filter-dump, and a frame for it.
macro_rules! dump {
    ($object:literal) => {
        concat!(
            "netdevs: { hn0: {} }\nobjects:\n  - ",
            $object,
            "\nsteps:\n  - send: hn0.guest\n    frames: [{ payload: x }]\n"
        )
    };
}

pub(crate) const WAYS: &[Way] = &[
    // Programs.
    refused(
        "netdev_add bridge: helper",
        step!(
            "netdev_add: { type: bridge, id: b0, br: br0, helper: \"/bin/sh -c 'id >@OUT@/pwned'\" }"
        ),
    ),
    refused(
        "netdev_add bridge: helper from a matrix",
        "matrix: { h: [\"/bin/sh -c 'id >@OUT@/pwned'\"] }\nsteps:\n  - netdev_add: { type: bridge, id: b0, helper: \"${h}\" }\n",
    ),
    refused(
        "netdev_add whose type is put together",
        "matrix: { t: [bri] }\nsteps:\n  - netdev_add: { type: \"${t}dge\", id: b0, helper: @OUT@/run.sh }\n",
    ),
    refused(
        "netdev_add tap: helper",
        step!("netdev_add: { type: tap, id: b0, br: br0, helper: @OUT@/run.sh }"),
    ),
    refused(
        "netdev_add tap: script",
        step!(
            "netdev_add: { type: tap, id: b0, ifname: x0, script: @OUT@/run.sh, downscript: \"no\" }"
        ),
    ),
    refused(
        "netdev_add tap: downscript",
        "steps:\n  - netdev_add: { type: tap, id: b0, ifname: x0, script: \"no\", downscript: @OUT@/run.sh }\n  - netdev_del: b0\n",
    ),
    refused("netdev_add tap: a descriptor", step!("netdev_add: { type: tap, id: b0, fd: \"3\" }")),
    refused(
        "netdev_add user: guestfwd to a program",
        step!(
            "netdev_add: { type: user, id: u0, guestfwd: [{ str: \"tcp:10.0.2.100:80-cmd:touch @OUT@/pwned\" }] }"
        ),
    ),
    refused("netdev_add user: smb", step!("netdev_add: { type: user, id: u0, smb: @OUT@ }")),
    refused(
        "netdev_add user: tftp",
        step!("netdev_add: { type: user, id: u0, tftp: @OUT@, bootfile: victim }"),
    ),
    refused(
        "netdev_add user: hostfwd",
        step!("netdev_add: { type: user, id: u0, hostfwd: [{ str: \"tcp::2222-:22\" }] }"),
    ),
    refused("netdev_add passt", step!("netdev_add: { type: passt, id: p0, path: @OUT@/run.sh }")),
    replaced(
        "a declared tap: script",
        "netdevs: [\"tap,id=hn0,script=@OUT@/run.sh,downscript=@OUT@/run.sh\"]\nsteps: [{ note: x }]\n",
    ),
    replaced(
        "a declared tap: helper",
        "netdevs: [\"tap,id=hn0,helper=/bin/touch @OUT@/pwned\"]\nsteps: [{ note: x }]\n",
    ),
    refused(
        "an id that goes on as options",
        "netdevs: { \"hn0,script=@OUT@/run.sh\": {} }\nsteps: [{ note: x }]\n",
    ),
    // Sockets of the host.
    refused(
        "netdev_add stream: a client of a unix socket",
        "netdevs: { hn0: {} }\nsteps:\n  - netdev_add: { type: stream, id: s0, server: false, addr: { type: unix, path: @RUN@/host.sock } }\n  - netdev_add: { type: hubport, id: h1, hubid: 1073741824, netdev: s0 }\n  - send: hn0.guest\n    frames: [{ payload: x }]\n",
    ),
    refused(
        "netdev_add stream: a server",
        step!(
            "netdev_add: { type: stream, id: s0, server: true, addr: { type: unix, path: @OUT@/listen } }"
        ),
    ),
    refused(
        "netdev_add stream: a descriptor",
        step!(
            "netdev_add: { type: stream, id: s0, server: false, addr: { type: fd, str: \"3\" } }"
        ),
    ),
    refused(
        "netdev_add dgram: unix",
        step!(
            "netdev_add: { type: dgram, id: s0, local: { type: unix, path: @OUT@/dgram }, remote: { type: unix, path: @RUN@/host.sock } }"
        ),
    ),
    refused(
        "netdev_add dgram: inet",
        step!(
            "netdev_add: { type: dgram, id: s0, remote: { type: inet, host: 127.0.0.1, port: \"53\" } }"
        ),
    ),
    refused(
        "netdev_add socket: connect",
        step!("netdev_add: { type: socket, id: s0, connect: \"127.0.0.1:22\" }"),
    ),
    refused(
        "netdev_add socket: a descriptor",
        step!("netdev_add: { type: socket, id: s0, fd: \"3\" }"),
    ),
    refused(
        "netdev_add l2tpv3",
        step!("netdev_add: { type: l2tpv3, id: s0, src: 127.0.0.1, dst: 127.0.0.1, txsession: 1 }"),
    ),
    refused("netdev_add vde", step!("netdev_add: { type: vde, id: s0, sock: @OUT@ }")),
    refused(
        "netdev_add vhost-user",
        "chardevs: { c0: {} }\nsteps:\n  - netdev_add: { type: vhost-user, id: s0, chardev: c0 }\n",
    ),
    refused(
        "netdev_add vhost-vdpa",
        step!("netdev_add: { type: vhost-vdpa, id: s0, vhostdev: @OUT@/victim }"),
    ),
    refused(
        "object-add pr-manager-helper",
        step!("object-add: { qom-type: pr-manager-helper, id: p0, path: @RUN@/host.sock }"),
    ),
    refused(
        "object-add dbus-vmstate",
        step!("object-add: { qom-type: dbus-vmstate, id: v, addr: \"unix:path=@RUN@/host.sock\" }"),
    ),
    refused(
        "object-add qtest with a log",
        "chardevs: { c0: {} }\nsteps:\n  - object-add: { qom-type: qtest, id: q, chardev: c0, log: @OUT@/pwned }\n",
    ),
    replaced(
        "chardev-add socket: a unix socket of the host",
        through!(
            "{ id: c1, backend: { type: socket, data: { addr: { type: unix, data: { path: @RUN@/host.sock } }, server: false } } }"
        ),
    ),
    replaced(
        "chardev-add socket: a descriptor",
        through!(
            "{ id: c1, backend: { type: socket, data: { addr: { type: fd, data: { str: \"3\" } }, server: false } } }"
        ),
    ),
    replaced(
        "a declared socket: a unix socket of the host",
        "netdevs: { hn0: {} }\nchardevs: [\"socket,id=c1,path=@RUN@/host.sock\"]\nobjects: [\"filter-mirror,id=f0,netdev=hn0,queue=rx,outdev=c1\"]\nsteps:\n  - send: hn0.guest\n    frames: [{ payload: x }]\n",
    ),
    // Files that are written.
    refused(
        "chardev-add file: out, append",
        through!("{ id: c1, backend: { type: file, data: { out: @OUT@/victim, append: true } } }"),
    ),
    refused(
        "chardev-add file: out above its folder",
        through!(
            "{ id: c1, backend: { type: file, data: { out: \"../../../../../../../..@OUT@/victim\" } } }"
        ),
    ),
    refused(
        "chardev-add null: logfile",
        through!("{ id: c1, backend: { type: \"null\", data: { logfile: @OUT@/pwned } } }"),
    ),
    refused(
        "chardev-add ringbuf: logfile",
        through!(
            "{ id: c1, backend: { type: ringbuf, data: { size: 1024, logfile: @OUT@/pwned } } }"
        ),
    ),
    refused(
        "chardev-add socket: logfile",
        through!(
            "{ id: c1, backend: { type: socket, data: { logfile: @OUT@/pwned, addr: { type: unix, data: { path: x } }, server: true, wait: false } } }"
        ),
    ),
    replaced(
        "a declared file: path, logfile",
        "netdevs: { hn0: {} }\nchardevs: [\"file,id=c0,path=@OUT@/pwned,logfile=@OUT@/log\"]\nobjects: [\"filter-mirror,id=f0,netdev=hn0,queue=rx,outdev=c0\"]\nsteps:\n  - send: hn0.guest\n    frames: [{ payload: x }]\n",
    ),
    refused(
        "filter-dump: an absolute file",
        dump!("filter-dump,id=d0,netdev=hn0,file=@OUT@/victim"),
    ),
    refused(
        "filter-dump: a file above",
        dump!("filter-dump,id=d0,netdev=hn0,file=../../../../../../../..@OUT@/victim"),
    ),
    refused(
        "filter-dump: a file above, behind a dot",
        dump!("filter-dump,id=d0,netdev=hn0,file=.//../../../../../../../..@OUT@/victim"),
    ),
    refused(
        "filter-dump: the first of two files",
        dump!("filter-dump,id=d0,netdev=hn0,file=@OUT@/victim,file=x"),
    ),
    refused(
        "filter-dump: the last of two files",
        dump!("filter-dump,id=d0,netdev=hn0,file=x,file=@OUT@/victim"),
    ),
    refused(
        "filter-dump: JSON without a blank",
        dump!(
            "'{\"qom-type\":\"filter-dump\",\"id\":\"d0\",\"netdev\":\"hn0\",\"file\":\"@OUT@/victim\"}'"
        ),
    ),
    refused(
        "filter-dump: JSON with an escape",
        dump!(
            "'{\"qom-type\":\"filter-dump\",\"id\":\"d0\",\"netdev\":\"hn0\",\"f\\u0069le\":\"\\u002e./../../../../../../..@OUT@/victim\"}'"
        ),
    ),
    refused(
        "filter-dump: a map",
        dump!("{ qom-type: filter-dump, id: d0, netdev: hn0, file: @OUT@/victim }"),
    ),
    refused(
        "filter-dump: from a matrix",
        "matrix: { p: [\"@OUT@/victim\"] }\nnetdevs: { hn0: {} }\nsteps:\n  - object-add: { qom-type: filter-dump, id: d0, netdev: hn0, file: \"${p}\" }\n",
    ),
    refused(
        "filter-dump: a step's text",
        step!("object-add: filter-dump,id=d0,netdev=hn0,file=@OUT@/victim"),
    ),
    refused(
        "filter-dump: one of many probes",
        "matrix: { p: [x, \"@OUT@/victim\"] }\nnetdevs: { hn0: {} }\nobjects: [\"filter-dump,id=d0,netdev=hn0,file=${p}\"]\n",
    ),
    refused(
        "filter-dump: qom-set of its file",
        "netdevs: { hn0: {} }\nobjects: [\"filter-dump,id=d0,netdev=hn0,file=x\"]\nsteps:\n  - qom-set: { path: /objects/d0, property: file, value: @OUT@/victim }\n  - send: hn0.guest\n    frames: [{ payload: x }]\n",
    ),
    refused(
        "memory-backend-file makes a file",
        step!(
            "object-add: { qom-type: memory-backend-file, id: m0, mem-path: @OUT@/pwned, size: 1048576, share: true }"
        ),
    ),
    refused(
        "memory-backend-file as text",
        step!("object-add: memory-backend-file,id=m0,mem-path=@OUT@/pwned,size=1M,share=on"),
    ),
    refused(
        "memory-backend-file as QEMU's own JSON",
        step!(
            "object-add: \"{'qom-type': 'memory-backend-file', 'id': 'm0', 'mem-path': '@OUT@/pwned', 'size': 1048576}\""
        ),
    ),
    refused(
        "memory-backend-file, declared",
        "objects: [\"memory-backend-file,id=m0,mem-path=@OUT@/pwned,size=1M\"]\nsteps: [{ note: x }]\n",
    ),
    refused(
        "a second type behind the first",
        step!(
            "object-add: iothread,id=m0,qom-type=memory-backend-file,mem-path=@OUT@/pwned,size=1M"
        ),
    ),
    refused(
        "memory-backend-file destroys what is in a file",
        "objects: [{ qom-type: memory-backend-file, id: m0, mem-path: @OUT@/victim, size: 4096, share: true, discard-data: true }]\nsteps: [{ object-del: m0 }]\n",
    ),
    // Files that are read, and devices.
    by_list_alone(
        "chardev-add file: in",
        step!(
            "chardev-add: { id: c1, backend: { type: file, data: { in: @OUT@/victim, out: x } } }"
        ),
    ),
    by_list_alone(
        "chardev-add file: in, of what it writes itself",
        "netdevs: { hn0: {} }\nsteps:\n  - chardev-add: { id: c1, backend: { type: file, data: { in: x, out: x } } }\n",
    ),
    by_list_alone("secret", step!("object-add: { qom-type: secret, id: s0, file: @OUT@/victim }")),
    by_list_alone(
        "secret of a FIFO",
        step!("object-add: { qom-type: secret, id: s0, file: @OUT@/fifo }"),
    ),
    by_list_alone(
        "rng-random",
        step!("object-add: { qom-type: rng-random, id: r0, filename: @OUT@/victim }"),
    ),
    by_list_alone(
        "input-linux",
        step!("object-add: { qom-type: input-linux, id: i0, evdev: @OUT@/victim }"),
    ),
    by_list_alone(
        "authz-listfile",
        step!("object-add: { qom-type: authz-listfile, id: a0, filename: @OUT@/victim }"),
    ),
    by_list_alone(
        "tls-creds-psk",
        step!("object-add: { qom-type: tls-creds-psk, id: t0, dir: @OUT@, endpoint: server }"),
    ),
    by_list_alone(
        "chardev-add pipe",
        step!("chardev-add: { id: c1, backend: { type: pipe, data: { device: @OUT@/fifo } } }"),
    ),
    by_list_alone(
        "chardev-add serial",
        step!("chardev-add: { id: c1, backend: { type: serial, data: { device: @OUT@/victim } } }"),
    ),
    by_list_alone(
        "chardev-add parallel",
        step!(
            "chardev-add: { id: c1, backend: { type: parallel, data: { device: @OUT@/victim } } }"
        ),
    ),
    refused("chardev-add pty", step!("chardev-add: { id: c1, backend: { type: pty, data: {} } }")),
    refused(
        "chardev-add stdio",
        step!("chardev-add: { id: c1, backend: { type: stdio, data: {} } }"),
    ),
    refused(
        "chardev-add udp",
        step!(
            "chardev-add: { id: c1, backend: { type: udp, data: { remote: { type: inet, data: { host: 127.0.0.1, port: \"53\" } } } } }"
        ),
    ),
    // What is QEMU's own, and ours.
    refused(
        "qom-set of the machine",
        step!("qom-set: { path: /machine, property: dumpdtb, value: @OUT@/pwned }"),
    ),
    refused(
        "qom-set of the machine by the end of its path",
        step!("qom-set: { path: machine, property: dumpdtb, value: @OUT@/pwned }"),
    ),
    refused("chardev-remove of the monitor", step!("chardev-remove: tapwright-qmp")),
    refused(
        "a mirror into the monitor",
        step!(
            "object-add: { qom-type: filter-mirror, id: f0, netdev: hn0, outdev: tapwright-qmp }"
        ),
    ),
    refused("netdev_del of the wire to a guest", step!("netdev_del: tapwright-guest-hn0")),
];
