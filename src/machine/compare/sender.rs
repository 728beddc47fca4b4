//! What a comparer writes: to outdev, to notify_dev. Each is written by a coroutine of its own, so
//! a reader that is away stops nobody (QEMU 10.2.2 net/colo-compare.c:724-833).

use std::collections::VecDeque;

use bytes::Bytes;

use super::Compare;
use crate::{
    base::{Quirk, Tag},
    machine::{chardev::WriteError, core::ChardevKey, framing, part::Context},
    record::DropReason,
};

/// The senders of a comparer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Out,
    Notify,
}

/// What is written to a chardev, and what waits to be.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) chardev: ChardevKey,
    /// The unit whose writes have begun.
    current: Option<Entry>,
    /// In the order in which they were given.
    waiting: VecDeque<Entry>,
}

/// A unit of the stream: its words and its bytes, each a write of its own.
#[derive(Debug)]
pub(super) struct Entry {
    writes: VecDeque<Bytes>,
    tag: Option<Tag>,
}

impl Entry {
    /// A unit with the words in front; none for an empty one, which is never written.
    pub(super) fn new(data: Bytes, vnet_len: Option<u32>, tag: Option<Tag>) -> Option<Self> {
        if data.is_empty() {
            return None;
        }
        let mut writes: VecDeque<Bytes> = framing::words(data.len(), vnet_len).collect();
        writes.push_back(data);
        Some(Self { writes, tag })
    }
}

impl Sender {
    pub(super) const fn new(chardev: ChardevKey) -> Self {
        Self { chardev, current: None, waiting: VecDeque::new() }
    }

    /// Tags of what has not been written whole.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Tag> {
        let entries = self.current.iter().chain(&self.waiting);
        entries.filter_map(|entry| entry.tag)
    }

    /// Whether a unit's writes have begun and could not be ended.
    pub(super) const fn is_stuck(&self) -> bool {
        self.current.is_some()
    }

    /// Forgets what has not been written.
    pub(super) fn forget(&mut self) -> Backlog {
        let mut tags: Vec<Tag> = self.waiting().collect();
        let current = self.current.as_ref();
        let last = current.filter(|entry| entry.writes.len() == 1);
        let ending = last.and_then(|entry| entry.tag);
        tags.retain(|tag| Some(*tag) != ending);
        let entries = self.current.take().into_iter().chain(self.waiting.drain(..));
        let writes = entries.flat_map(|entry| {
            let tag = entry.tag;
            entry.writes.into_iter().map(move |write| (write, tag))
        });
        Backlog { writes: writes.collect(), ending, tags }
    }
}

/// What a sender had not written.
#[derive(Debug)]
pub(super) struct Backlog {
    /// The rest of the write that was under way first.
    pub(super) writes: Vec<(Bytes, Option<Tag>)>,
    /// The tag whose unit ends with that write.
    pub(super) ending: Option<Tag>,
    /// The tags of the other bytes.
    pub(super) tags: Vec<Tag>,
}

impl Compare {
    /// Gives a unit to a sender. An error is one that shows at once; what waits may fail later,
    /// unsaid.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        line: Line,
        entry: Entry,
    ) -> Result<(), WriteError> {
        let Some(sender) = self.sender(line) else {
            return Ok(());
        };
        sender.waiting.push_back(entry);
        if sender.is_stuck() {
            return Ok(());
        }
        self.carry_on(cx, line)
    }

    /// A chardev takes bytes again, or its far end has gone.
    pub(super) fn write_on(&mut self, cx: &mut Context<'_>, chardev: ChardevKey) {
        for line in [Line::Out, Line::Notify] {
            let stuck = self
                .sender(line)
                .is_some_and(|sender| sender.chardev == chardev && sender.is_stuck());
            if stuck {
                // Nobody waits for this result any more.
                let _ = self.carry_on(cx, line);
            }
        }
    }

    /// Writes until nothing waits or the chardev takes no more. The first failure throws away all
    /// that waits.
    fn carry_on(&mut self, cx: &mut Context<'_>, line: Line) -> Result<(), WriteError> {
        let newest_first = cx.has(Quirk::CompareBacklogNewestFirst);
        let Some(sender) = self.sender(line) else {
            return Ok(());
        };
        let chardev = sender.chardev;
        loop {
            let waiting = &mut sender.waiting;
            let begun = sender.current.take();
            let Some(mut entry) = begun
                .or_else(|| if newest_first { waiting.pop_back() } else { waiting.pop_front() })
            else {
                return Ok(());
            };
            while let Some(mut write) = entry.writes.pop_front() {
                match cx.core.chardev_offer(chardev, &mut write, entry.tag) {
                    Ok(()) if write.is_empty() => {}
                    Ok(()) => {
                        entry.writes.push_front(write);
                        sender.current = Some(entry);
                        return Ok(());
                    }
                    Err(error) => {
                        let waiting = std::mem::take(&mut sender.waiting);
                        discard(cx, line, entry, waiting, error.reason());
                        return Err(error);
                    }
                }
            }
        }
    }

    fn sender(&mut self, line: Line) -> Option<&mut Sender> {
        match line {
            Line::Out => Some(&mut self.out),
            Line::Notify => self.notify_out.as_mut(),
        }
    }
}

/// A write failed: everything that waits behind it goes too.
fn discard(
    cx: &mut Context<'_>,
    line: Line,
    entry: Entry,
    waiting: VecDeque<Entry>,
    reason: DropReason,
) {
    if line == Line::Notify {
        return;
    }
    for entry in std::iter::once(entry).chain(waiting) {
        cx.drop_frame(entry.tag, reason);
    }
}
