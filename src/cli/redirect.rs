//! The command `redirect`: parses what is asked for, and words what happens.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Stop,
    output::{self, json_line},
};
use crate::{
    base::VnetHdr,
    diag::Diagnose,
    redirect::{Config, Notice, Offload, Properties, RedirectError, Redirector, Status},
    runner::Exit,
    sys::{CAP_NET_ADMIN, Granted, enter_mounted, give_up_privileges},
    terminal::visible,
};

/// Take frames from an interface or a socket to another, as QEMU's filter-redirector does with the
/// RFC's properties: what an interface sends or receives is captured with AF_PACKET, what a socket
/// brings is injected. Sockets have QEMU's framing, so the other end may be a QEMU. It runs until
/// SIGTERM, SIGINT or SIGHUP, sends on what it holds, and prints its counters as JSON; SIGUSR1
/// prints them on standard error.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RedirectArgs {
    /// Capture what this TAP sends and receives
    #[arg(long, value_name = "IFNAME", help_heading = "Ends")]
    in_netdev: Option<String>,
    /// Read frames from this socket: unix:PATH or tcp:HOST:PORT, with ,server or
    /// ,reconnect=SECONDS behind it
    #[arg(long, value_name = "CHARDEV", help_heading = "Ends")]
    indev: Option<String>,
    /// Send frames on this TAP, to its guest
    #[arg(long, value_name = "IFNAME", help_heading = "Ends")]
    out_netdev: Option<String>,
    /// Write frames to this socket
    #[arg(long, value_name = "CHARDEV", help_heading = "Ends")]
    outdev: Option<String>,
    /// The frames that are captured: rx from the guest, tx to the guest, all both [default: all]
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// Frames travel with their virtio-net header: on, off [default: off]
    #[arg(long, value_name = "ON|OFF")]
    vnet_hdr_support: Option<String>,
    /// Bytes of the header that is captured: 12 where the receiving NIC merges its buffers
    #[arg(long, value_name = "BYTES", default_value = "10", value_parser = vnet_len,
        conflicts_with = "offload")]
    vnet_hdr_len: usize,
    /// Let the ends be other interfaces than TAPs
    #[arg(long)]
    any_interface: bool,
    /// Send through the interface's queueing discipline, so that tc and other sockets see the
    /// frames; else they go to its driver at once
    #[arg(long)]
    qdisc: bool,
    /// Let the kernel mirror the frames from one interface to the other, with filters of tc; it
    /// counts less, which is said at the start, and sends as with --qdisc
    #[arg(long)]
    offload: bool,
    /// The network namespace of the interfaces and of tcp sockets: a name of `ip netns`, or a path
    #[arg(long, value_name = "NAME|PATH")]
    netns: Option<String>,
    /// Memory for frames that were captured and not yet sent on, in KiB
    #[arg(long, value_name = "KIB", default_value_t = (Config::BACKLOG >> 10) as u32,
        value_parser = clap::value_parser!(u32).range(256..=1 << 20), conflicts_with = "offload")]
    backlog: u32,
    /// How long frames that are held may take to be sent on at the end, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, conflicts_with = "offload")]
    drain: u32,
    /// Become this user once all is open
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Answer Prometheus on this socket: unix:PATH
    #[arg(long, value_name = "unix:PATH", value_parser = socket)]
    metrics: Option<PathBuf>,
}

fn vnet_len(text: &str) -> Result<usize, String> {
    let known = [VnetHdr::SHORT, VnetHdr::LONG];
    let found = known.into_iter().find(|length| length.to_string() == text);
    found.ok_or_else(|| "a header has 10 or 12 bytes".to_owned())
}

fn socket(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix:").filter(|path| !path.is_empty());
    path.map(PathBuf::from).ok_or_else(|| "write unix:PATH".to_owned())
}

pub(super) fn run(args: &RedirectArgs) -> Result<Exit, Stop> {
    let config = config(args)?;
    if let Some(name) = &args.netns {
        enter(name)?;
    }
    let (granted, user) = (Granted::by_the_command_line(), args.user.as_deref());
    if args.offload {
        let mut offload = Offload::open(granted, &config).map_err(stopped)?;
        // To set the filters again when an interface comes back, and to take them away at the end.
        give_up(user, &[CAP_NET_ADMIN])?;
        let ended = offload.run(&mut told);
        let status = offload.status();
        let closed = offload.close();
        return end(status, ended.and(closed));
    }
    let mut redirector = Redirector::open(granted, &config).map_err(stopped)?;
    give_up(user, &[])?;
    let ended = redirector.run(&mut told);
    let status = redirector.status();
    drop(redirector);
    end(status, ended)
}

fn told(notice: Notice) {
    output::note(format_args!("{}", worded(&notice)));
}

/// Prints the counters, however it ended.
fn end(
    status: Result<Status, RedirectError>,
    ended: Result<(), RedirectError>,
) -> Result<Exit, Stop> {
    output::print(&json_line(&status.map_err(stopped)?.json()))?;
    ended.map(|()| Exit::Success).map_err(stopped)
}

fn config(args: &RedirectArgs) -> Result<Config, Stop> {
    let properties = Properties {
        in_netdev: args.in_netdev.clone(),
        indev: args.indev.clone(),
        out_netdev: args.out_netdev.clone(),
        outdev: args.outdev.clone(),
        queue: args.queue.clone(),
        vnet_hdr_support: args.vnet_hdr_support.clone(),
    };
    let mut config = Config::read(&properties).map_err(stopped)?;
    config.vnet_len = args.vnet_hdr_len;
    config.any_interface = args.any_interface;
    config.qdisc = args.qdisc;
    config.backlog = (args.backlog as usize) << 10;
    config.drain = Duration::from_secs(args.drain.into());
    config.metrics.clone_from(&args.metrics);
    Ok(config)
}

/// Enters a network namespace: one that `ip netns` made, where the text is no path.
fn enter(name: &str) -> Result<(), Stop> {
    let path = match name.contains('/') {
        true => PathBuf::from(name),
        false => Path::new("/run/netns").join(name),
    };
    enter_mounted(&path).map_err(|source| {
        stopped(RedirectError::System { what: path.display().to_string(), source })
    })
}

/// Gives up every privilege but these: a socket that is open is bound again without any.
fn give_up(user: Option<&str>, kept: &[u32]) -> Result<(), Stop> {
    give_up_privileges(user, kept).map_err(|source| {
        let what = user.map_or_else(|| "privileges".to_owned(), |user| format!("user '{user}'"));
        stopped(RedirectError::System { what, source })
    })
}

fn stopped(error: RedirectError) -> Stop {
    let exit = match error {
        RedirectError::Over { .. } => Exit::Failed,
        RedirectError::System { .. } | RedirectError::KernelLacks { .. } => Exit::Unavailable,
        _ => Exit::Invalid,
    };
    Stop { exit, reports: vec![error.report()] }
}

fn worded(notice: &Notice) -> String {
    match notice {
        Notice::Ready => "redirect: ready".to_owned(),
        Notice::Offloaded => "redirect: the kernel mirrors the frames; it does not count the bytes that \
                              go out, why frames are dropped, or what waits, and a frame from a guest \
                              has 14 bytes less"
            .to_owned(),
        Notice::Connected { chardev } => format!("{}: connected", visible(chardev)),
        Notice::Disconnected { chardev, reason } => {
            format!("{}: disconnected: {reason}", visible(chardev))
        }
        Notice::BadLength { chardev, length } => {
            format!("{}: a frame of {length} bytes was announced", visible(chardev))
        }
        Notice::InterfaceDown { name } => format!("{}: the interface went down", visible(name)),
        Notice::InterfaceUp { name } => format!("{}: the interface is up again", visible(name)),
        Notice::InterfaceGone { name } => format!("{}: the interface is gone", visible(name)),
        Notice::InterfaceBack { name } => format!("{}: the interface is back", visible(name)),
        Notice::Status(status) => format!("redirect: {}", status.text()),
        Notice::Draining => "redirect: ending; what is held is sent on".to_owned(),
        Notice::Withheld { count } => format!("redirect: {count} more messages were withheld"),
    }
}
