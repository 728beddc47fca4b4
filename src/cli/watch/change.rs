//! Waiting for changes of files.

use std::{
    collections::BTreeSet,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    /// Somebody is done with a change.
    Changed,
    /// The run is to end.
    Interrupted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Something may have changed.
    Look,
    /// It was interrupted.
    End,
}

/// Waits for changes below some directories.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    inbox: Receiver<Wake>,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches from now on, in a thread of its own: to be called once the process is isolated.
    ///
    /// # Errors
    /// When the kernel has no more watches.
    pub(super) fn new(interrupt: impl AsFd + Send + 'static) -> Result<Self, notify::Error> {
        let (outbox, inbox) = channel();
        let changes = outbox.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An unknown event, as when the kernel's queue is full, may be a change. The run is
            // over when nobody receives.
            if event.map_or(true, |event| is_change(&event)) {
                _ = changes.send(Wake::Changed);
            }
        })?;
        thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || tell_interrupt(&interrupt, &outbox))
            .map_err(notify::Error::io)?;
        Ok(Self { watcher, inbox, watched: BTreeSet::new() })
    }

    /// Watches a directory and all below it, or the directory of a file: editors put another file
    /// in the place of the one that they change. What is not there yet is watched from above.
    ///
    /// # Errors
    /// When the kernel has no more watches.
    pub(super) fn add(&mut self, path: &Path) -> Result<(), notify::Error> {
        let (directory, mode) = if path.is_dir() {
            (path, RecursiveMode::Recursive)
        } else {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            (parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)
        };
        let there = directory.ancestors().find(|directory| directory.is_dir());
        let directory = there.unwrap_or(Path::new("."));
        // A capture is named from its scenario on: `suite/../captures` is not below `suite`.
        let directory = directory.canonicalize().map_err(notify::Error::io)?;
        if self.watched.iter().any(|watched| directory.starts_with(watched)) {
            return Ok(());
        }
        self.watcher.watch(&directory, mode)?;
        if mode == RecursiveMode::Recursive {
            self.watched.insert(directory);
        }
        Ok(())
    }

    pub(super) fn wait(&self) -> Next {
        match self.inbox.recv() {
            Ok(Wake::Changed) => self.take(),
            Ok(Wake::Interrupted) | Err(_) => Next::End,
        }
    }

    /// Discards all pending changes: a run that starts now sees them.
    pub(super) fn take(&self) -> Next {
        if self.inbox.try_iter().any(|wake| wake == Wake::Interrupted) {
            Next::End
        } else {
            Next::Look
        }
    }
}

/// Whether somebody is done with a change: closed what was written, put it in its place, or took it
/// away. While somebody writes there is nothing to read yet, so that no time need be waited.
fn is_change(event: &Event) -> bool {
    let done = matches!(
        event.kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Create(CreateKind::Folder)
            | EventKind::Remove(_)
            | EventKind::Any
            | EventKind::Other
    );
    done && (event.paths.is_empty() || !event.paths.iter().all(|path| is_by_product(path)))
}

/// What a run writes itself, or an editor while it is at work: no scenario is made of it.
fn is_by_product(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || name.ends_with(b".snap.new")
}

fn tell_interrupt(interrupt: &impl AsFd, outbox: &Sender<Wake>) {
    let mut polled = [PollFd::new(interrupt.as_fd(), PollFlags::POLLIN)];
    while poll(&mut polled, PollTimeout::NONE) == Err(nix::errno::Errno::EINTR) {}
    // The run is over when nobody receives.
    _ = outbox.send(Wake::Interrupted);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_written_or_put_in_place_wakes_the_watch_until_an_interrupt() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("deep");
        fs::create_dir(&below).unwrap();
        let (interrupt, raise) = std::io::pipe().unwrap();
        let mut watch = Watch::new(interrupt).unwrap();
        watch.add(directory.path()).unwrap();
        watch.add(&below.join("a.pcap")).unwrap();
        fs::write(below.join("a.pcap"), "1").unwrap();
        assert_eq!(watch.wait(), Next::Look);
        fs::rename(below.join("a.pcap"), below.join("b.pcap")).unwrap();
        assert_eq!(watch.wait(), Next::Look);
        drop(raise);
        while watch.wait() == Next::Look {}
    }
}
