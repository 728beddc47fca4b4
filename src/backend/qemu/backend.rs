use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{
    Admission, NAME, fit,
    process::{Arguments, Process},
    rest::Threads,
    version::Version,
    world::{QemuWorld, TELL_FILTERS},
};
use crate::{
    backend::{Backend, BackendError, Capabilities, Missing, World, netns},
    base::Profile,
    record::Outcome,
    scenario::Case,
    sys::Isolated,
};

/// What a QEMU is.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Its version.
    pub version: Version,
    /// The profile that models it.
    pub profile: Profile,
    /// Whether filter-redirector has `in_netdev` and `out_netdev`.
    pub has_in_netdev: bool,
    /// Whether QMP can tell the filters of a COLO checkpoint without a migration.
    pub has_checkpoint: bool,
    /// Whether it has colo-compare, which a build without replication has not.
    pub has_compare: bool,
}

/// The backend `qemu`.
#[derive(Clone, Debug)]
pub struct Qemu {
    isolated: Isolated,
    program: PathBuf,
    probed: Probed,
    admission: Admission,
}

impl Qemu {
    /// Asks a QEMU what it is, in a process that is isolated.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when there is no QEMU or it does not speak QMP.
    pub fn new(
        isolated: Isolated,
        program: PathBuf,
        admission: Admission,
    ) -> Result<Self, BackendError> {
        let unavailable = |reason: String| BackendError::Unavailable {
            backend: NAME,
            reason: format!("{}: {reason}", program.display()),
            remedy: "install QEMU (Debian: qemu-system-x86), or name another with --qemu or \
                     TAPWRIGHT_QEMU"
                .to_owned(),
        };
        let probed = probe(&program).map_err(unavailable)?;
        Ok(Self { isolated, program, probed, admission })
    }

    /// What it is.
    #[must_use]
    pub const fn probed(&self) -> &Probed {
        &self.probed
    }
}

impl Probed {
    /// What is run and as what it is modelled, in a sentence.
    #[must_use]
    pub fn announcement(&self) -> String {
        let Self { version, profile, .. } = self;
        let exact = if self.version.is_modelled() {
            ""
        } else {
            ", the nearest that is known; --profile names another"
        };
        format!("QEMU {version} is run under the profile {profile}{exact}")
    }
}

impl Backend for Qemu {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Result<Capabilities, BackendError> {
        netns::probe(&self.isolated)
    }

    fn takes(&self, case: &Case) -> Result<(), Missing> {
        self.admission.case(case, self.probed.version)?;
        fit::check(case, &self.probed)
    }

    fn open(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
        let Self { isolated, program, probed, admission } = self;
        let world = QemuWorld::open(isolated, program, probed.version, *admission, case)?;
        Ok(Box::new(world))
    }
}

fn probe(program: &std::path::Path) -> Result<Probed, String> {
    let (mut process, mut qmp) =
        Process::start(program, Arguments::default()).map_err(|error| error.to_string())?;
    let mut ask =
        |command: &str, args: Option<&Map<String, Value>>| process.ask(&mut qmp, command, args);
    ask("qmp_capabilities", None)?;
    let version = match ask("query-version", None)? {
        Outcome::Done(value) => Version::read(&value).ok_or_else(|| format!("no version: {value}")),
        other => Err(format!("query-version: {other:?}")),
    }?;
    let mut of = Map::new();
    of.insert("typename".to_owned(), "filter-redirector".into());
    let listed = ask("qom-list-properties", Some(&of))?;
    let has_in_netdev = match listed {
        Outcome::Done(Value::Array(properties)) => properties.iter().any(|property| {
            let name = property.get("name").and_then(Value::as_str);
            name == Some(fit::PROPERTIES[0])
        }),
        other => return Err(format!("filter-redirector: {other:?}")),
    };
    let has_checkpoint = match ask("query-commands", None)? {
        Outcome::Done(Value::Array(commands)) => commands.iter().any(|command| {
            let name = command.get("name").and_then(Value::as_str);
            name == Some(TELL_FILTERS)
        }),
        other => return Err(format!("query-commands: {other:?}")),
    };
    // Not by its properties: to list them makes one and destroys it, of which QEMU 7.2.22 dies.
    let mut of = Map::new();
    of.insert("implements".to_owned(), "colo-compare".into());
    let listed = ask("qom-list-types", Some(&of))?;
    let has_compare = matches!(&listed, Outcome::Done(Value::Array(types)) if !types.is_empty());
    // Without this no case could be told to have settled.
    Threads::of(process.id()).map_err(|error| {
        format!("its threads can't be watched in /proc/{}/task: {error}", process.id())
    })?;
    Ok(Probed {
        version,
        profile: version.profile(has_in_netdev),
        has_in_netdev,
        has_checkpoint,
        has_compare,
    })
}
