//! What the reading of one file shares: its source, the files it names, what was found wrong.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use super::{
    budget::{Budget, Kind, Overrun},
    fault::{Fault, Found},
    node::short,
};
use crate::{
    capture::{self, Capture},
    diag::{Report, Source, Span},
    file::{self, FileError, Scope},
};

/// Most bytes of a scenario's file.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Where scenarios and the captures that they name are read from.
pub trait Files {
    /// The whole content of a scenario that a person named.
    ///
    /// # Errors
    /// Why there is none.
    fn scenario(&self, path: &Path) -> Result<Vec<u8>, FileError>;

    /// The whole content of a scenario that stood in a folder.
    ///
    /// # Errors
    /// Why there is none.
    fn found(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        self.scenario(path)
    }

    /// The whole content, at most `most` bytes, of the capture that a scenario calls by this name.
    ///
    /// # Errors
    /// Why there is none.
    fn capture(&self, scenario: &Path, name: &Path, most: usize) -> Result<Vec<u8>, FileError>;
}

/// The real files: those that a person named, and what is below the root of a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

/// The real files, wherever they are: `--allow-outside`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anywhere;

impl Files for Disk {
    fn scenario(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        file::read(path, MAX_BYTES)
    }

    fn found(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        file::read_found(path, Scope::Root, MAX_BYTES)
    }

    fn capture(&self, scenario: &Path, name: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        file::read_named(scenario, name, Scope::Root, most)
    }
}

impl Files for Anywhere {
    fn scenario(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        file::read(path, MAX_BYTES)
    }

    fn capture(&self, scenario: &Path, name: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        file::read_named(scenario, name, Scope::Anywhere, most)
    }
}

/// The real files that may be read.
#[must_use]
pub const fn disk(scope: Scope) -> &'static (dyn Files + Sync) {
    match scope {
        Scope::Root => &Disk,
        Scope::Anywhere => &Anywhere,
    }
}

/// Most bytes of all captures that a scenario names.
pub const MAX_CAPTURED: usize = 64 << 20;
/// Most packets in them, sent or not.
const MAX_PACKETS: usize = capture::MAX_PACKETS;
/// Most different faults that are reported; the rest is usually an echo of the first.
const MAX_FAULTS: usize = 100;
/// Most faults that are found, the same one in each case counted again.
const MAX_NOTED: usize = 2_000;

/// The packets of a capture, or why there are none.
pub(crate) type Packets = Result<Rc<Capture>, Fault>;

/// A fault, and the cases that have it.
struct Noted {
    found: Found,
    /// The values of the first case that has it.
    first: String,
    /// The number of the last case that has it; 0 before the first case.
    last: usize,
    /// How many cases have it.
    seen: usize,
}

pub(crate) struct Context<'a> {
    source: Arc<Source>,
    files: &'a dyn Files,
    found: RefCell<Vec<Noted>>,
    cases: Cell<usize>,
    case: RefCell<String>,
    noted: Cell<usize>,
    captures: RefCell<BTreeMap<PathBuf, Packets>>,
    /// How many bytes and packets of captures there is still room for.
    room: Cell<(usize, usize)>,
    budget: Budget,
    /// How many cases the matrix gives, and where it stands.
    matrix: Cell<(usize, Option<Span>)>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(source: Arc<Source>, files: &'a dyn Files) -> Self {
        Self {
            source,
            files,
            found: RefCell::default(),
            cases: Cell::new(0),
            case: RefCell::default(),
            noted: Cell::new(0),
            captures: RefCell::default(),
            room: Cell::new((MAX_CAPTURED, MAX_PACKETS)),
            budget: Budget::default(),
            matrix: Cell::new((1, None)),
        }
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Notes a fault; the same at the same place, as several cases find it, only once.
    pub(crate) fn fault(&self, span: Span, fault: Fault) {
        self.note(Found { fault, span: Some(span), related: None });
    }

    pub(crate) fn fault_with(&self, span: Span, fault: Fault, at: Span, text: &'static str) {
        self.note(Found { fault, span: Some(span), related: Some((at, text)) });
    }

    /// After a limit was passed nothing is whole any more, so that what else is found is an echo.
    fn note(&self, found: Found) {
        if !self.budget.is_spent() {
            self.keep(found);
        }
        self.noted.set(self.noted.get() + 1);
    }

    fn keep(&self, found: Found) {
        let mut all = self.found.borrow_mut();
        let last = self.cases.get();
        let is_full = all.len() >= MAX_FAULTS;
        match all.iter_mut().find(|noted| noted.found == found) {
            Some(noted) if noted.last != last => {
                noted.last = last;
                noted.seen += 1;
            }
            Some(_) => {}
            None if !is_full => {
                all.push(Noted { found, first: self.case.borrow().clone(), last, seen: 1 });
            }
            None => {}
        }
    }

    /// How many cases the matrix gives, and where it stands.
    pub(crate) fn expect_cases(&self, cases: usize, matrix: Span) {
        self.matrix.set((cases, Some(matrix)));
    }

    pub(crate) fn begin_case(&self) {
        self.cases.set(self.cases.get() + 1);
        self.budget.next_case();
    }

    /// The values of the case, as a message has them.
    pub(crate) fn name_case(&self, combination: &str) {
        *self.case.borrow_mut() = short(combination);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// How often something was found wrong so far, the same in another case counted again.
    pub(crate) fn noted(&self) -> usize {
        self.noted.get()
    }

    /// Whether nothing that is found from here on is reported.
    pub(crate) fn is_full(&self) -> bool {
        self.budget.is_spent()
            || self.noted.get() >= MAX_NOTED
            || self.found.borrow().len() >= MAX_FAULTS
    }

    /// Everything that was found, in the order of the file.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let all = self.found.borrow();
        let mut all: Vec<&Noted> = all.iter().collect();
        all.sort_by_key(|noted| noted.found.span);
        all.iter().map(|noted| self.report(noted)).collect()
    }

    /// The report of a fault; one that not every case has says which.
    fn report(&self, noted: &Noted) -> Report {
        let mut report = noted.found.report(&self.source);
        let of_all = matches!(noted.found.fault, Fault::TooMuch { .. });
        let is_some = noted.last > 0 && noted.seen < self.cases.get() && !of_all;
        if is_some && !noted.first.is_empty() {
            report.message += &format!(" (with {})", noted.first);
        }
        report
    }

    /// Whether a limit of what the file may grow to was passed.
    pub(crate) fn is_spent(&self) -> bool {
        self.budget.is_spent()
    }

    /// Takes this many of a kind from what all cases of the file may have, before they are made;
    /// reports so once when there is no more.
    pub(crate) fn take(&self, span: Span, kind: Kind, count: usize) -> bool {
        self.take_of(span, kind, count, String::new)
    }

    /// The same, where it is known what makes this many: `20000 references x 500 bytes`.
    pub(crate) fn take_of(
        &self,
        span: Span,
        kind: Kind,
        count: usize,
        factors: impl FnOnce() -> String,
    ) -> bool {
        let was_spent = self.budget.is_spent();
        let Err(overrun) = self.budget.take(kind, count) else {
            return true;
        };
        self.noted.set(self.noted.get() + 1);
        if !was_spent {
            // What a limit that all share names is perhaps not what was asked for.
            let here = if overrun.kind == kind { factors() } else { String::new() };
            self.keep(self.too_much(span, count, &overrun, &here));
        }
        false
    }

    fn too_much(&self, span: Span, count: usize, overrun: &Overrun, here: &str) -> Found {
        let (cases, matrix) = self.matrix.get();
        let Overrun { kind, per_case, most } = *overrun;
        let product = per_case.saturating_mul(cases);
        let factors = match cases {
            1 if here.is_empty() => per_case.to_string(),
            1 if count < per_case / 2 => per_case.to_string(),
            1 => format!("{per_case}, here {here}"),
            _ if here.is_empty() || count < per_case / 2 => {
                format!("{cases} cases x {per_case} = {product}")
            }
            _ => format!("{cases} cases x {per_case} = {product}, here {here}"),
        };
        let related = matrix.filter(|_| cases > 1).map(|at| (at, "multiplies it"));
        let fault =
            Fault::TooMuch { what: kind.name(), factors, most, is_traffic: kind.is_traffic() };
        Found { fault, span: Some(span), related }
    }

    /// Takes frames and bytes of what is sent, written or expected.
    pub(crate) fn spend(&self, span: Span, frames: usize, bytes: usize) -> bool {
        self.take(span, Kind::Frames, frames) && self.take(span, Kind::Bytes, bytes)
    }

    /// The packets of a capture named in the scenario, read once for all cases.
    pub(crate) fn capture(&self, name: &str) -> Packets {
        let name = Path::new(name);
        if let Some(known) = self.captures.borrow().get(name) {
            return known.clone();
        }
        let packets = self.read_capture(name);
        self.captures.borrow_mut().insert(name.to_owned(), packets.clone());
        packets
    }

    /// Whether the scenario names a capture.
    pub(crate) fn has_captures(&self) -> bool {
        !self.captures.borrow().is_empty()
    }

    /// The path of a file that is named in the scenario.
    pub(crate) fn beside(&self, name: &Path) -> PathBuf {
        self.source.path.parent().unwrap_or(Path::new("")).join(name)
    }

    fn read_capture(&self, name: &Path) -> Packets {
        let scenario = &self.source.path;
        let path = self.beside(name);
        let (bytes, packets) = self.room.get();
        let file = match self.files.capture(scenario, name, bytes) {
            Ok(file) => file,
            Err(FileError::Outside { root, escape }) => {
                return Err(Fault::CaptureOutside { path, root, reason: escape.to_string() });
            }
            Err(FileError::TooLarge { .. }) => {
                let (what, most) = ("bytes", MAX_CAPTURED);
                return Err(Fault::CapturesTooLarge { path, what, most });
            }
            Err(error) => {
                return Err(Fault::CaptureUnreadable { path, reason: error.to_string() });
            }
        };
        let read = match capture::read(&file) {
            Ok(read) => read,
            Err(error) => {
                let (reason, help) =
                    (error.to_string(), "give a pcap or pcapng file of tcpdump or Wireshark");
                return Err(Fault::CaptureBroken { path, reason, help });
            }
        };
        let Some(left) = packets.checked_sub(read.packets.len()) else {
            let (what, most) = ("packets", MAX_PACKETS);
            return Err(Fault::CapturesTooLarge { path, what, most });
        };
        self.room.set((bytes - file.len(), left));
        Ok(Rc::new(read))
    }
}
