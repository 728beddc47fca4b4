//! What the reading of one file shares: its source, the files it names, what was found wrong.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use super::{
    fault::{Fault, Found},
    node::short,
};
use crate::{
    capture::{self, Packet},
    diag::{Report, Source, Span},
};

/// Where a scenario and the captures it names are read from.
pub trait Files {
    /// The whole content of a file.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The real files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

/// Most frames that all cases of a file may send or expect together.
const MAX_FRAMES: usize = 1_000_000;
/// Most bytes of these frames and of everything written.
const MAX_BYTES: usize = 64 << 20;
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
        let folder = self.source.path.parent().unwrap_or(Path::new(""));
        let path = folder.join(name);
        if let Some(known) = self.captures.borrow().get(&path) {
            return known.clone();
        }
        let packets = self.read_capture(&path);
        self.captures.borrow_mut().insert(path, packets.clone());
        packets
    }

    fn read_capture(&self, path: &Path) -> Packets {
        let bytes = self.files.read(path).map_err(|error| Fault::CaptureUnreadable {
            path: path.to_owned(),
            reason: reason(&error),
        })?;
        capture::read(&bytes).map(Rc::new).map_err(|error| Fault::CaptureBroken {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }
}

/// What the system said, without the number that differs between systems.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
