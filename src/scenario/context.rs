//! What the reading of one file shares: its source, the files it names, what was found wrong.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use super::{
    fault::{Fault, Found},
    node::short,
    yaml,
};
use crate::{
    capture::{self, Packet},
    diag::{Report, Source, Span},
    file::{self, FileError, Scope},
};

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
        file::read(path, yaml::MAX_BYTES)
    }

    fn found(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        file::read_found(path, Scope::Root, yaml::MAX_BYTES)
    }

    fn capture(&self, scenario: &Path, name: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        file::read_named(scenario, name, Scope::Root, most)
    }
}

impl Files for Anywhere {
    fn scenario(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        file::read(path, yaml::MAX_BYTES)
    }

    fn capture(&self, scenario: &Path, name: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        file::read_named(scenario, name, Scope::Anywhere, most)
    }
}

/// The real files that may be read.
#[must_use]
pub const fn disk(scope: Scope) -> &'static dyn Files {
    match scope {
        Scope::Root => &Disk,
        Scope::Anywhere => &Anywhere,
    }
}

/// Most frames that all cases of a file may send or expect together.
const MAX_FRAMES: usize = 1_000_000;
/// Most bytes of these frames and of everything written.
const MAX_BYTES: usize = 64 << 20;
/// Most bytes of all captures that a scenario names.
pub const MAX_CAPTURED: usize = 64 << 20;
/// Most packets in them, sent or not.
const MAX_PACKETS: usize = capture::MAX_PACKETS;
/// Most different faults that are reported; the rest is usually an echo of the first.
const MAX_FAULTS: usize = 100;

/// The packets of a capture, or why there are none.
pub(crate) type Packets = Result<Rc<Vec<Packet>>, Fault>;

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
    /// A limit was passed and reported.
    spent: Cell<bool>,
    frames: Cell<usize>,
    bytes: Cell<usize>,
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
            spent: Cell::new(false),
            frames: Cell::new(MAX_FRAMES),
            bytes: Cell::new(MAX_BYTES),
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

    fn note(&self, found: Found) {
        self.noted.set(self.noted.get() + 1);
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

    /// Begins a case with these values of the matrix.
    pub(crate) fn begin_case(&self, values: &[(String, String)]) {
        self.cases.set(self.cases.get() + 1);
        let pairs: Vec<String> =
            values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        *self.case.borrow_mut() = pairs.join(",");
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// How often something was found wrong so far, the same in another case counted again.
    pub(crate) fn noted(&self) -> usize {
        self.noted.get()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.found.borrow().len() >= MAX_FAULTS
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
        if noted.last > 0 && noted.seen < self.cases.get() && !noted.first.is_empty() {
            report.message += &format!(" (with {})", short(&noted.first));
        }
        report
    }

    /// Takes frames and bytes from what the file may hold; says so once when there is no more.
    pub(crate) fn spend(&self, span: Span, frames: usize, bytes: usize) -> bool {
        if self.spent.get() {
            return false;
        }
        let take = |left: &Cell<usize>, wanted: usize| {
            let rest = left.get().checked_sub(wanted);
            left.set(rest.unwrap_or(left.get()));
            rest.is_some()
        };
        if !take(&self.frames, frames) {
            self.spent.set(true);
            self.fault(span, Fault::TooMuch { what: "the frames of all cases", most: MAX_FRAMES });
            return false;
        }
        if !take(&self.bytes, bytes) {
            self.spent.set(true);
            self.fault(span, Fault::TooMuch { what: "the bytes of all cases", most: MAX_BYTES });
            return false;
        }
        true
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

    fn read_capture(&self, name: &Path) -> Packets {
        let scenario = &self.source.path;
        let path = scenario.parent().unwrap_or(Path::new("")).join(name);
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
            Err(error) => return Err(Fault::CaptureBroken { path, reason: error.to_string() }),
        };
        let Some(left) = packets.checked_sub(read.len()) else {
            let (what, most) = ("packets", MAX_PACKETS);
            return Err(Fault::CapturesTooLarge { path, what, most });
        };
        self.room.set((bytes - file.len(), left));
        Ok(Rc::new(read))
    }
}
