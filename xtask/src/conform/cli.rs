//! Command lines: what QEMU prints on standard error, and whether it goes on.

use tapwright::{
    machine::{ChardevConfig, Command, NetdevConfig, NetdevKind},
    qapi::Properties,
    record::Outcome,
};

use super::{
    Verdict,
    error::{mask_crash, not_built, verdict},
    record::{CliRecord, RecordError, profile},
    setup::{Bench, hubport, monitor, netdev, parse_chardev},
};

const PROGRAM: &str = "qemu-system-x86_64";

/// The hint that follows a bad id where a person reads it (QEMU 10.2.2 `qapi/error.c`).
const ID_HINT: &str =
    "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.\n";

/// What a run of QEMU printed, and its exit code when it ended.
struct Run {
    stderr: String,
    rc: Option<i64>,
}

pub(super) fn replay(record: &CliRecord) -> Result<Verdict, RecordError> {
    let Parts { netdevs, mut chardevs, objects } = split(&record.args)?;
    // The machine knows no folder but that of the run.
    let objects: Vec<String> = objects.iter().map(|object| object.replace("@D/", "")).collect();
    chardevs.push(monitor());
    let config = tapwright::machine::Config {
        profile: profile(&record.qemu)?,
        netdevs: netdevs.clone(),
        chardevs,
        iothreads: Vec::new(),
        ..tapwright::machine::Config::default()
    };
    let version = config.profile.version();
    let mut bench = Bench::new(config)?;
    let mut run = Run { stderr: String::new(), rc: None };
    // Every -object is parsed before any is made (QEMU 10.2.2 system/vl.c:1852-1884).
    let mut ids: Vec<String> = Vec::new();
    for object in &objects {
        let properties = Properties::of_option(object);
        let id = properties.option_id().map(str::to_owned);
        let help = properties.help(version);
        let warnings = match properties.check(version) {
            _ if id.as_ref().is_some_and(|id| ids.contains(id)) => {
                let id = id.unwrap_or_default();
                let text = format!("Duplicate ID '{id}' for object");
                run.refuse(Some(object), &text);
                break;
            }
            // The properties are printed on standard output, which no record has.
            _ if help.is_some() => {
                run.warn(object, &help.unwrap_or_default());
                run.rc = Some(0);
                break;
            }
            Ok(warnings) => warnings,
            Err(refused) => {
                run.warn(object, &refused.warnings);
                run.refuse(Some(object), &refused.error.desc);
                break;
            }
        };
        run.warn(object, &warnings);
        ids.extend(id);
    }
    let mut frozen = false;
    for object in &objects {
        if run.rc.is_some() || frozen {
            break;
        }
        let outcome = bench.command(Command::ObjectOption(object.clone()));
        if let Some(what) = not_built(&outcome) {
            return Ok(Verdict::NotBuilt(what));
        }
        match outcome {
            Outcome::Refused(error) => run.refuse(None, &error.desc),
            Outcome::Aborts(abort) => {
                run.stderr.push_str(&abort.assertion);
                run.rc = Some(-6);
            }
            Outcome::Unanswered(_) => frozen = true,
            Outcome::Done(_) => {}
        }
    }
    if run.rc.is_none() && !frozen {
        run.stderr.push_str(&peer_warnings(&netdevs));
    }
    let mut differences = Vec::new();
    if run.rc != record.rc {
        differences.push(format!("exit code: QEMU {:?}, machine {:?}", record.rc, run.rc));
    }
    let same = match run.rc {
        Some(-6) => mask_crash(&run.stderr) == mask_crash(&record.stderr),
        _ => run.stderr == plain(&record.stderr),
    };
    if !same {
        differences.push(format!("QEMU printed:    {:?}", record.stderr));
        differences.push(format!("machine printed: {:?}", run.stderr));
    }
    Ok(verdict(differences))
}

/// What QEMU printed without what is not about its objects: that 11.1 warns of the recorder's own
/// `-mon`, GLib's complaints, and the folder of the run.
fn plain(stderr: &str) -> String {
    let monitor = format!("{PROGRAM}: -mon ");
    let glib = format!("{PROGRAM}: GLib: ");
    let lines = stderr.split_inclusive('\n');
    let lines = lines.filter(|line| !line.starts_with(&monitor) && !line.starts_with(&glib));
    lines.collect::<String>().replace("@D/", "")
}

impl Run {
    fn warn(&mut self, object: &str, warnings: &[String]) {
        for warning in warnings {
            self.stderr.push_str(&format!("{PROGRAM}: -object {object}: warning: {warning}\n"));
        }
    }

    fn refuse(&mut self, object: Option<&String>, text: &str) {
        let option = object.map(|object| format!("-object {object}: ")).unwrap_or_default();
        self.stderr.push_str(&format!("{PROGRAM}: {option}{text}\n"));
        if text == "Parameter 'id' expects an identifier" {
            self.stderr.push_str(ID_HINT);
        }
        self.rc = Some(1);
    }
}

/// What a command line makes.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) netdevs: Vec<NetdevConfig>,
    pub(super) chardevs: Vec<ChardevConfig>,
    /// The texts of `-object`.
    pub(super) objects: Vec<String>,
}

/// Reads `-netdev`, `-chardev` and `-object`.
pub(super) fn split(args: &[String]) -> Result<Parts, RecordError> {
    let mut parts = Parts::default();
    let mut args = args.iter();
    while let Some(option) = args.next() {
        let value = args.next().ok_or_else(|| RecordError::Option(option.clone()))?;
        match option.as_str() {
            "-netdev" => parts.netdevs.push(parse_netdev(value)?),
            "-chardev" => parts.chardevs.push(parse_chardev(value)?.0),
            "-object" => parts.objects.push(value.clone()),
            _ => return Err(RecordError::Option(option.clone())),
        }
    }
    Ok(parts)
}

fn parse_netdev(text: &str) -> Result<NetdevConfig, RecordError> {
    let unknown = || RecordError::Option(format!("-netdev {text}"));
    let options: Vec<(&str, &str)> =
        text.split(',').filter_map(|item| item.split_once('=')).collect();
    let get = |name: &str| options.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let id = get("id").ok_or_else(unknown)?;
    match text.split(',').next() {
        Some("hubport") => {
            let hub = get("hubid").and_then(|hub| hub.parse().ok()).ok_or_else(unknown)?;
            Ok(hubport(id, hub, get("netdev")))
        }
        Some("user") => Ok(netdev(id, NetdevKind::User, None)),
        Some("socket") => Ok(netdev(id, NetdevKind::Socket, None)),
        _ => Err(unknown()),
    }
}

/// What QEMU says of netdevs that nobody uses: of hub ports the newest first, then of all in order
/// (QEMU 10.2.2 `net/net.c` `net_check_clients`, `net/hub.c` `net_hub_check_clients`).
fn peer_warnings(netdevs: &[NetdevConfig]) -> String {
    let joined = |netdev: &NetdevConfig| {
        netdev.peer.is_some() || netdevs.iter().any(|other| other.peer.as_ref() == Some(&netdev.id))
    };
    let lonely = netdevs.iter().filter(|netdev| !joined(netdev));
    let ports = lonely.clone().filter(|netdev| matches!(netdev.kind, NetdevKind::Hubport { .. }));
    let ports =
        ports.rev().map(|port| format!("{PROGRAM}: warning: hub port {} has no peer\n", port.id));
    let all =
        lonely.map(|netdev| format!("{PROGRAM}: warning: netdev {} has no peer\n", netdev.id));
    ports.chain(all).collect()
}
