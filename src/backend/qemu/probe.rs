//! What a QEMU is, and behind which fences it runs here.
//!
//! All fences are tried at once, and nearly always that is all. A fence that the kernel refuses is
//! left out. Modules of another build, which end a QEMU that loads them, are hidden. Where QEMU itself does not come to answer, it is started without any; what it then has
//! loaded from folders that were empty is shown to it, with the folders that it was told of, then it may read what root may not, and if
//! that was not it, each fence is tried by itself.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use nix::libc;
use serde_json::{Map, Value, json};

use super::{
    OWN,
    patch::{PATCHES, Patch, Sign},
    process::{Arguments, Process},
    program::{Fence, Program},
    quiescence::Threads,
    version::Version,
    world::TELL_FILTERS,
};
use crate::{
    base::Profile,
    qapi::{is_modelled, object_types},
    record::Outcome,
    sys::{self, InterfaceName, Isolated, LaunchError, Tap, TapHeader},
};

/// What a QEMU is.
#[derive(Clone, Debug)]
pub struct Probed {
    pub version: Version,
    /// The profile that models it.
    pub profile: Profile,
    /// The version of the RFC that it has.
    pub patch: Option<&'static Patch>,
    /// Whether QMP can notify the filters of a COLO checkpoint without a migration.
    pub has_checkpoint: bool,
    /// Types of object that its profile has, and this build has not: colo-compare and
    /// filter-rewriter where it was configured without them.
    pub lacks: Vec<&'static str>,
    /// Whether it has netdevs of type user, which a build without libslirp has not.
    pub has_user: bool,
    /// The fences that it runs without.
    pub missing: Vec<MissingFence>,
}

/// A fence that a QEMU runs without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingFence {
    pub fence: Fence,
    /// What the machine, or the QEMU behind it, said.
    pub reason: String,
}

/// Why a QEMU could not be asked.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    /// A fence can't be put up, or the program can't be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// It was started, and is of no use.
    #[error("{0}")]
    Useless(String),
}

impl From<String> for ProbeError {
    fn from(text: String) -> Self {
        Self::Useless(text)
    }
}

/// Asks a QEMU what it is, behind as many fences as it bears.
pub(super) fn examine(isolated: &Isolated, name: &Path) -> Result<(Program, Probed), String> {
    let folder = isolated.directory().join(isolated.unique("probe"));
    // Where there is no TAP, nothing of the backend runs, and its probe says so.
    let tap = TAP
        .parse()
        .ok()
        .and_then(|name: InterfaceName| Tap::create(isolated, &name, TapHeader::Long, false).ok());
    let lab = Lab { folder: &folder, tap };
    fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let examined = Program::fenced(isolated, name)
        .map_err(|error| error.to_string())
        .and_then(|program| lab.examine(program));
    let removed = fs::remove_dir_all(&folder);
    let (mut program, probed) = examined?;
    removed.map_err(|error| format!("{}: {error}", folder.display()))?;
    if probed.patch.is_some() {
        // It opens packet sockets itself.
        program.keep_packet_sockets();
    }
    Ok((program, probed))
}

/// Where QEMUs are tried.
struct Lab<'a> {
    folder: &'a Path,
    /// What a netdev with vhost is tried on.
    tap: Option<Tap>,
}

impl Lab<'_> {
    fn examine(&self, mut program: Program) -> Result<(Program, Probed), String> {
        let mut missing = Vec::new();
        let reason = loop {
            let error = match self.ask(&program) {
                Ok((probed, paths)) => {
                    let (program, probed) = self.with_its_own(program, probed, &paths);
                    return Ok((program, Probed { missing, ..probed }));
                }
                Err(error) => error,
            };
            if foreign_modules(&error).is_some_and(|folder| program.hide(&folder)) {
                continue;
            }
            match refused(&error).filter(|fence| program.has(*fence)) {
                Some(_) if lacks_mount_setattr(&error) && program.remount_one_by_one() => {}
                Some(fence) => leave_out(&mut program, fence, &error.to_string(), &mut missing),
                None => break error.to_string(),
            }
        };
        // Without fences it says what is wrong with it, when it is not them.
        let (bare, files) = self.ask(&program.unfenced()).map_err(|error| error.to_string())?;
        for file in &files {
            program.show(file);
        }
        if let Ok((probed, _)) = self.ask(&program) {
            return Ok((program, Probed { missing, ..probed }));
        }
        // Root without capabilities can't read what is in somebody's private folder.
        let capabilities = Fence::Kernel(sys::Fence::Capabilities);
        if program.has(capabilities) {
            let mut reads = program.clone();
            reads.keep_reading();
            if let Ok((probed, _)) = self.ask(&reads) {
                let reason = format!("it keeps CAP_DAC_READ_SEARCH, without which: {reason}");
                missing.push(MissingFence { fence: capabilities, reason });
                return Ok((reads, Probed { missing, ..probed }));
            }
        }
        let up: Vec<Fence> = Fence::all().filter(|fence| program.has(*fence)).collect();
        for fence in &up {
            let mut others = program.clone();
            others.set(*fence, false);
            if let Ok((probed, _)) = self.ask(&others) {
                missing.push(MissingFence { fence: *fence, reason });
                return Ok((others, Probed { missing, ..probed }));
            }
        }
        let mut some = program.clone();
        up.iter().for_each(|fence| some.set(*fence, false));
        let mut probed = bare;
        for fence in up {
            some.set(fence, true);
            match self.ask(&some) {
                Ok((more, _)) => probed = more,
                Err(error) => {
                    some.set(fence, false);
                    missing.push(MissingFence { fence, reason: error.to_string() });
                }
            }
        }
        Ok((some, Probed { missing, ..probed }))
    }

    /// A QEMU that answers may lack what it only needs later, such as the folder of its modules:
    /// where it was told of one that it does not see, it sees it.
    fn with_its_own(
        &self,
        program: Program,
        probed: Probed,
        paths: &BTreeSet<PathBuf>,
    ) -> (Program, Probed) {
        let mut sees = program.clone();
        let new = paths.iter().filter(|path| sees.show(path)).count();
        let asked = (new > 0).then(|| self.ask(&sees));
        match asked {
            Some(Ok((probed, _))) => (sees, probed),
            _ => (program, probed),
        }
    }

    /// Asks a QEMU what it is; the files that it has mapped come with that, and the folders that it
    /// was told of.
    fn ask(&self, program: &Program) -> Result<(Probed, BTreeSet<PathBuf>), ProbeError> {
        let mut arguments = Arguments::default();
        arguments.write_in(self.folder);
        let tap = self.tap.as_ref().and_then(|tap| tap.as_fd().try_clone_to_owned().ok());
        let tap = tap.map(|tap| arguments.inherit(tap));
        let (mut process, mut qmp) = Process::start(program, arguments)?;
        let mut ask =
            |command: &str, args: Option<&Map<String, Value>>| process.ask(&mut qmp, command, args);
        ask("qmp_capabilities", None)?;
        let version = match ask("query-version", None)? {
            Outcome::Done(value) => {
                Version::read(&value).ok_or_else(|| format!("no version: {value}"))
            }
            other => Err(format!("query-version: {other:?}")),
        }?;
        let mut of = Map::new();
        of.insert("typename".to_owned(), "filter-redirector".into());
        let properties = match ask("qom-list-properties", Some(&of))? {
            Outcome::Done(properties) => properties,
            other => return Err(format!("filter-redirector: {other:?}").into()),
        };
        let has_checkpoint = match ask("query-commands", None)? {
            Outcome::Done(Value::Array(commands)) => commands.iter().any(|command| {
                let name = command.get("name").and_then(Value::as_str);
                name == Some(TELL_FILTERS)
            }),
            other => return Err(format!("query-commands: {other:?}").into()),
        };
        // The properties of colo-compare are not asked for: listing them makes one and destroys it,
        // which kills QEMU 7.2.22.
        let types =
            ask("qom-list-types", Some(&members(&json!({"implements": "user-creatable"}))))?;
        let schema = match ask("query-qmp-schema", None)? {
            Outcome::Done(schema) => schema,
            _ => Value::Null,
        };
        // Without this nothing shows that a case has settled.
        let id = process.id().unwrap_or_default();
        Threads::of_qemu(&process)
            .map_err(|error| format!("its threads can't be watched in /proc/{id}/task: {error}"))?;
        let files = mapped(id).into_iter().chain(told(id)).collect();
        // Last, since one that dies of it is a QEMU all the same.
        let mut ask =
            |command: &str, args: Option<&Map<String, Value>>| process.ask(&mut qmp, command, args);
        let user = json!({"type": "user", "id": format!("{OWN}-user")});
        let has_user = matches!(ask("netdev_add", Some(&members(&user))), Ok(Outcome::Done(_)));
        let takes_vhost = tap.is_some_and(|fd| takes_vhost(&mut ask, fd).unwrap_or_default());
        let patch = PATCHES.iter().find(|patch| match patch.sign {
            Sign::Property(name) => has_named(&properties, name),
            Sign::Member(name) => schema.as_array().is_some_and(|entries| {
                entries.iter().any(|entry| has_named(&entry["members"], name))
            }),
            Sign::Vhost => takes_vhost,
        });
        let profile = patch.map_or_else(|| version.profile(), |patch| Profile::new(patch.version));
        let lacks = match &types {
            Outcome::Done(types) => object_types(profile.version())
                .filter(|kind| is_modelled(kind).unwrap_or_default() && !has_named(types, kind))
                .collect(),
            _ => Vec::new(),
        };
        let probed = Probed {
            version,
            profile,
            patch,
            has_checkpoint,
            lacks,
            has_user,
            missing: Vec::new(),
        };
        Ok((probed, files))
    }
}

/// The name of the TAP that a netdev with vhost is tried on.
const TAP: &str = "tapwright-vhost";

/// What every release says to a filter on a netdev with vhost (QEMU 11.1.3 `net/filter.c`,
/// `netfilter_complete`).
const VHOST_REFUSED: &str = "Vhost is not supported";

/// Whether filter-redirector gets past the check that refuses vhost. What it says then is no matter:
/// behind the fences of a probe it has no packet socket.
fn takes_vhost(
    ask: &mut impl FnMut(&str, Option<&Map<String, Value>>) -> Result<Outcome, String>,
    tap: i32,
) -> Result<bool, String> {
    // Without vhostforce QEMU 7.2.22 aborts where it may not open /dev/vhost-net.
    let netdev = json!({
        "type": "tap", "id": TAP, "fd": tap.to_string(), "vhost": true, "vhostforce": true,
    });
    if !matches!(ask("netdev_add", Some(&members(&netdev)))?, Outcome::Done(_)) {
        return Ok(false);
    }
    let out = format!("{OWN}-out");
    let chardev = json!({"id": out, "backend": {"type": "null", "data": {}}});
    ask("chardev-add", Some(&members(&chardev)))?;
    let redirector = json!({
        "qom-type": "filter-redirector", "id": format!("{OWN}-redirector"), "netdev": TAP,
        "queue": "tx", "outdev": out,
    });
    let answer = ask("object-add", Some(&members(&redirector)))?;
    Ok(!matches!(answer, Outcome::Refused(error) if error.desc == VHOST_REFUSED))
}

/// The members of an object.
fn members(object: &Value) -> Map<String, Value> {
    object.as_object().cloned().unwrap_or_default()
}

/// Whether a list has something of this name.
fn has_named(list: &Value, name: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|one| one["name"] == name))
}

/// The fence that the kernel refuses.
const fn refused(error: &ProbeError) -> Option<Fence> {
    match error {
        ProbeError::Launch(LaunchError { fence: Some(fence), .. }) => Some(Fence::Kernel(*fence)),
        _ => None,
    }
}

/// The folder of a module that QEMU loaded though it is of another build, which ends it (QEMU 11.1
/// `util/module.c`, `module_load_dso`): that of a QEMU which is installed, for one that lies elsewhere
/// and lacks the module.
fn foreign_modules(error: &ProbeError) -> Option<PathBuf> {
    const FOREIGN: &str = "Only modules from the same build can be loaded";
    const MODULE: &str = "failed to initialize module: ";
    let text = error.to_string();
    let (_, rest) = text.split_once(MODULE).filter(|_| text.contains(FOREIGN))?;
    let module = Path::new(rest.split(';').next()?.trim());
    module.parent().filter(|folder| folder.is_absolute() && folder.is_dir()).map(Path::to_owned)
}

fn lacks_mount_setattr(error: &ProbeError) -> bool {
    matches!(error, ProbeError::Launch(LaunchError { fence: Some(sys::Fence::Files), source, .. })
        if source.raw_os_error() == Some(libc::ENOSYS))
}

/// Takes a fence down, and with it one that is nothing without it.
fn leave_out(program: &mut Program, fence: Fence, reason: &str, missing: &mut Vec<MissingFence>) {
    program.set(fence, false);
    missing.push(MissingFence { fence, reason: reason.to_owned() });
    let proc = Fence::Kernel(sys::Fence::Proc);
    if fence == Fence::Kernel(sys::Fence::Processes) && program.has(proc) {
        leave_out(program, proc, "without a pid namespace it shows the host's processes", missing);
    }
}

/// The folders that a QEMU was told of, by its script say: where its modules and libraries are, in
/// variables, and its data and libraries, in options (proc_pid_environ(5), proc_pid_cmdline(5)).
fn told(process: u32) -> BTreeSet<PathBuf> {
    const VARIABLES: [&[u8]; 2] = [b"QEMU_MODULE_DIR=", b"LD_LIBRARY_PATH="];
    const OPTIONS: [&[u8]; 2] = [b"-L", b"--library-path"];
    let read = |name: &str| fs::read(format!("/proc/{process}/{name}")).unwrap_or_default();
    let (environment, line) = (read("environ"), read("cmdline"));
    let values = environment
        .split(|byte| *byte == 0)
        .filter_map(|one| VARIABLES.iter().find_map(|name| one.strip_prefix(*name)));
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let options = words.windows(2).filter(|pair| OPTIONS.contains(&pair[0])).map(|pair| pair[1]);
    let folders = values.chain(options).flat_map(|value| value.split(|byte| *byte == b':'));
    let folders = folders.map(|folder| PathBuf::from(OsStr::from_bytes(folder)));
    folders.filter(|folder| folder.is_absolute() && folder.is_dir()).collect()
}

/// The files that a process has mapped (proc_pid_maps(5)): its program, that of an interpreter, and
/// libraries.
fn mapped(process: u32) -> BTreeSet<PathBuf> {
    let maps: io::Result<String> = fs::read_to_string(format!("/proc/{process}/maps"));
    let maps = maps.unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    paths.map(PathBuf::from).collect()
}
