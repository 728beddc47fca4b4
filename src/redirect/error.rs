//! Why a redirector can't begin, or can't go on.

use std::io;

use crate::{
    diag::{Advice, Diagnose, Report, errors},
    record::CommandError,
};

errors! {
    /// Why a redirector can't begin, or can't go on.
    #[derive(Debug, thiserror::Error)]
    pub enum RedirectError;

    "TW-R010" "a redirector that is refused",
        "`tapwright redirect` has the properties of the RFC's filter-redirector, and refuses what the machine of a scenario refuses, in its words: an unknown value, two inputs, two outputs, one chardev at both ends, an interface that there is none of or that is no TAP. Only in_netdev together with out_netdev is allowed here, for there is no filter chain that would make a loop of them. --any-interface lets an end be another interface than a TAP.";
        Refused { refusal: CommandError }
            error("{}", refusal.desc)
            help("");
    "TW-R011" "a redirector without an end",
        "A filter has its chain at one end; `tapwright redirect` has none, and so needs both: where frames come from, --in-netdev or --indev, and where they go, --out-netdev or --outdev. The two can't be one interface: what is injected on a TAP reaches the guest that sent it.";
        NoInput
            error("nothing says where frames come from")
            help("name an interface with --in-netdev, or a socket with --indev");
        NoOutput
            error("nothing says where frames go")
            help("name an interface with --out-netdev, or a socket with --outdev");
        SameInterface { name: String }
            error("'{name}' is both the input and the output")
            help("name another interface with --out-netdev");
    "TW-R012" "a chardev that can't be read",
        "A chardev of `tapwright redirect` is a socket in QEMU's short form: unix:PATH or tcp:HOST:PORT, behind it options as -chardev has them: server=on, wait=off, reconnect=SECONDS, reconnect-ms=MILLISECONDS, nodelay=on. A comma in a path is written twice. A server has one client at a time; the next one waits until that is gone.";
        Chardev { text: String, reason: String }
            error("chardev '{text}': {reason}")
            help("write unix:PATH[,server] or tcp:HOST:PORT[,server]");
    "TW-R013" "an offload that can't be",
        "With --offload the kernel mirrors frames from one interface to the other, and nothing of them comes to user space. So both ends must be interfaces, and no virtio-net header can be put before a frame: the kernel itself segments what has to be segmented and fills in checksums.";
        NoOffload { reason: &'static str }
            error("--offload: {reason}")
            help("leave --offload out");
    "TW-E100" "the system refused something that redirect needs",
        "`tapwright redirect` opens packet sockets, for which it needs CAP_NET_RAW in the network namespace of the interface, and then gives that up; with --offload it sets filters of traffic control, for which it needs CAP_NET_ADMIN there. For --user it has to be root. The message says what was refused. Memory for the ring is --backlog in size.";
        System { what: String, source: io::Error }
            error("{what}: {source}")
            help(remedy(source));
    "TW-E101" "a connection is over",
        "A client chardev without reconnect has one connection. When that can't be made, or is over, nothing can reach the other end any more, and the command ends with the exit code 1, after it has written its counters.";
        Over { chardev: String, reason: String }
            error("the connection to {chardev} is over: {reason}")
            help("let it try again: ,reconnect=SECONDS; or let it be the server: ,server");
    "TW-E102" "a kernel that can't mirror",
        "--offload sets filters of the kernel's traffic control: the queueing discipline clsact (CONFIG_NET_SCH_INGRESS), the classifier bpf (CONFIG_NET_CLS_BPF) and the action mirred (CONFIG_NET_ACT_MIRRED). This kernel has not all of them, or may not load the modules. Without --offload the redirector needs none of them.";
        KernelLacks { what: String, source: io::Error }
            error("{what}: the kernel has no filter that mirrors: {source}")
            help("leave --offload out, or load the modules sch_ingress, cls_bpf and act_mirred");
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "run it as root, or with CAP_NET_RAW, and CAP_NET_ADMIN for --offload: systemd has \
             AmbientCapabilities for them"
        }
        io::ErrorKind::AddrInUse => "another process has this: stop it first",
        io::ErrorKind::OutOfMemory => "a smaller --backlog needs less memory",
        _ => "the message says what was refused",
    }
}

impl RedirectError {
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

impl Diagnose for RedirectError {
    fn report(&self) -> Report {
        let report = Report::error(self.code(), self.to_string());
        match self.help() {
            help if help.is_empty() => report,
            help => report.with_help(help),
        }
    }
}
