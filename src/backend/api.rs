//! What a backend is to its callers: `Backend` opens a `World` for a case, and a world acts,
//! settles and reports what it observed. The runner and the fuzzer drive every backend through
//! these traits.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;

use super::Deadline;
use crate::{
    base::{Frame, MachineId, PortId, Tag, VirtualTime},
    diag::Report,
    record::{Answer, Arrival, Event, SentFrame},
    scenario::{Case, Client, ColoEvent, Impair, LinkSet, Object},
};

/// A way to carry scenarios out.
pub trait Backend: Send + Sync {
    /// Its name on the command line: `netns`, `sim`, `qemu`.
    fn name(&self) -> &'static str;

    /// What it can do on this machine; asked once.
    ///
    /// # Errors
    /// When it can do nothing here.
    fn probe(&self) -> Result<Capabilities, BackendError>;

    /// Whether it can carry a case out, and may. It is asked of each case before that is given to a
    /// world, also of those that share one.
    ///
    /// # Errors
    /// What the case needs and this backend has not, or does not do.
    fn takes(&self, case: &Case) -> Result<(), Missing> {
        let _ = case;
        Ok(())
    }

    /// The case that a world is built for: with less than the case at hand declares, where the
    /// backend sees that nothing asks for the rest. Cases whose worlds are the same may share one.
    fn narrowed(&self, case: &Arc<Case>) -> Arc<Case> {
        Arc::clone(case)
    }

    /// Builds the world of a case: its interfaces, netdevs and chardevs, not yet its objects.
    ///
    /// # Errors
    /// When the case can't be built here; see [`BackendError`].
    fn open(&self, case: &Case) -> Result<Box<dyn World>, BackendError>;

    /// What is worth saying of all cases that ran on it, once they have; none where that is nothing.
    fn remark(&self) -> Option<String> {
        None
    }

    /// As [`Backend::open`], in a world that no case has used before.
    ///
    /// # Errors
    /// As for [`Backend::open`].
    fn open_fresh(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
        self.open(case)
    }
}

/// What a backend can do on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Names that a scenario's `requires` may use: `tap`, `host-stack`, `af-packet`, `vhost`.
    pub has: Vec<&'static str>,
}

/// Something that a case needs and this backend has not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

/// Why a world could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The case is skipped with this reason.
    #[error("{0}")]
    Missing(#[from] Missing),
    /// The backend can run nothing on this machine.
    #[error("the {backend} backend can't run here: {reason}")]
    Unavailable { backend: &'static str, reason: String, remedy: String },
    /// The case's environment is wrong: it can't be built as written.
    #[error("{0}")]
    Case(Box<Report>),
    /// The kernel refused something that should have worked.
    #[error("{what}: {source}")]
    System { what: String, source: std::io::Error },
}

/// A case's world: all of its machines and what is between them, on one clock. It lives on one
/// thread and never leaves it. Ids and ports are the case's: those of a machine with a name begin
/// with it, but the arguments of a command are the machine's own.
pub trait World {
    /// Does one thing and returns when it has been done; what it causes is carried further by
    /// [`World::settle`]. A command's answer is here unless the machine is frozen; then it is among
    /// the observations of a later [`World::settle`].
    ///
    /// # Errors
    /// When the world itself failed, not when the action was refused.
    fn act(&mut self, action: Action<'_>) -> Result<Option<Answer>, BackendError>;

    /// Carries everything as far as it goes: until one pass over all sources brings no input, no
    /// guest has anything to send, no timer is due, no frame is inside an impairment and the clock
    /// is where it is to be, or the deadline has passed. The clock moves on to when an impaired
    /// frame comes out, and timers fire in order on the way.
    ///
    /// # Errors
    /// When the world itself failed.
    fn settle(&mut self, deadline: &Deadline) -> Result<Settled, BackendError>;

    /// What came out and what happened since the last call.
    fn observe(&mut self) -> Observations;

    fn now(&self) -> VirtualTime;

    /// Waits until something arrives from the kernel's own timers, or the deadline; then settles.
    /// None if nothing can arrive unprompted.
    ///
    /// # Errors
    /// When the world itself failed.
    fn wait(&mut self, deadline: &Deadline) -> Result<Option<Settled>, BackendError>;

    /// Makes the world ready to be looked at from outside while it rests: interfaces carry the
    /// names of their ports. A world without interfaces has nothing to show.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn expose(&mut self) -> Result<Exposed, BackendError> {
        Ok(Exposed::default())
    }

    /// Takes the world down and says what was still on its way.
    fn finish(self: Box<Self>) -> Residue;
}

/// One thing that a scenario does. The frames of a `send` are separate actions.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    ObjectAdd(&'a Object),
    /// A QMP command.
    Qmp {
        /// The machine whose monitor it is given to.
        machine: &'a MachineId,
        command: &'a str,
        args: &'a serde_json::Map<String, serde_json::Value>,
    },
    /// A frame is sent at a port; on a chardev port it is framed first.
    Send {
        port: &'a PortId,
        frame: &'a Frame,
        tag: Tag,
        /// On a chardev port: the most bytes of one write.
        chunk: Option<usize>,
    },
    /// Bytes are written to a chardev's far end.
    Write {
        port: &'a PortId,
        /// The bytes.
        data: &'a Bytes,
        /// The most bytes of one write.
        chunk: Option<usize>,
    },
    ChardevOpen(&'a PortId),
    ChardevClose {
        port: &'a PortId,
        /// Only its sending direction.
        half: bool,
    },
    ChardevStall(&'a PortId),
    ChardevResume(&'a PortId),
    LinkSet(&'a LinkSet),
    LinkDel(&'a PortId),
    /// COLO's frame notifies the machines of an event.
    Colo {
        event: ColoEvent,
        /// The only machine that is notified; none for every machine that the event concerns.
        machine: Option<&'a MachineId>,
    },
    /// The guests of a machine become those of another, and the first stops.
    Migrate {
        from: &'a MachineId,
        to: &'a MachineId,
    },
    /// The machines' clock is to move so far; [`World::settle`] moves it from timer to timer.
    Advance(Duration),
    /// Stretches of bad network change.
    Impair(&'a [Impair]),
    /// A client begins an exchange; [`World::settle`] carries it out, and moves the clock as far as
    /// the exchange may wait.
    Client(&'a Client),
    /// Asks for the result of the exchange, once the world has settled. An unfinished exchange is
    /// given up.
    ClientAnswer,
}

/// How [`World::settle`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing moves any more.
    Idle,
    /// More than 100,000 machine inputs in one step; the cycle, place by place.
    Storm(Vec<String>),
    /// The deadline passed, or the run was interrupted.
    Late,
    /// A process that carries the world died, and no command asked for it: how.
    Died(String),
}

/// What came out of a world.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// What guests and clients sent by themselves, numbered behind what the scenario had sent.
    pub sent: Vec<SentFrame>,
    /// In each port's order.
    pub arrivals: Vec<Arrival>,
    /// In order.
    pub events: Vec<Event>,
    /// Answers that came late, from a machine that had been frozen.
    pub answers: Vec<Answer>,
}

/// What can be seen of a world from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposed {
    /// The interfaces that have a port.
    pub interfaces: Vec<ExposedInterface>,
    /// The namespaces beside the one that the case's thread is in: the name in the scenario, and
    /// where it is mounted in the process's mount namespace.
    pub namespaces: Vec<(String, PathBuf)>,
}

/// An interface, whose alias is its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedInterface {
    pub port: PortId,
    pub name: String,
    /// The name of its namespace; none for the case's own.
    pub namespace: Option<String>,
}

/// What was still on its way when a world was taken down.
#[derive(Clone, Debug, Default)]
pub struct Residue {
    /// Drops of frames that waited in queues, reassemblers and pipes.
    pub events: Vec<Event>,
    /// What could not be taken down; each is a failure of the run.
    pub errors: Vec<String>,
    /// The world had been used before, and what came out may depend on that: the case is to run again
    /// in a fresh one.
    pub in_doubt: bool,
}
