//! Two captures of any length, packet by packet, in memory that does not grow with them. Read by the command
//! `diff`.
//!
//! Packets that are the same go by. Where two differ, some of either side are lined up as those of a port
//! are, until the two go on alike. A packet that only one side has waits for as many packets as the
//! window has: until then it may come on the other side, and is late or early.

use std::{
    collections::{HashMap, VecDeque},
    io::Read,
};

use bytes::Bytes;

use super::{
    align::Pair,
    fields,
    frame_pair::FramePair,
    mismatch::{Difference, FieldDifference, What},
    reorder::{self, LinedUp},
};
use crate::{
    base::{Frame, VnetHdr},
    capture::{Link, PacketRef, Stream, StreamError},
    frame::{self, Dissection},
};

/// Packets of a side that are lined up at first; twice as many each time that does not do.
const FIRST: usize = 128;

/// Packets of a side that are lined up at once at the most, unless the window is longer.
const MOST: usize = 512;

/// So many packets that are the same, one behind the other, mean that the two go on alike.
const ALIKE: usize = 6;

/// How two captures are compared.
#[derive(Clone, Copy, Debug)]
pub struct CaptureRules<'r> {
    /// Fields that are not compared.
    pub masks: &'r [&'r str],
    /// Fields by which a packet is known: packets in which they are equal are the same packet, whatever else
    /// differs. Without any, all bytes count.
    pub key: &'r [&'r str],
    /// So many packets later a packet still counts as late, and not as lost.
    pub window: usize,
}

/// How many packets there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Packets of either side.
    pub expected: usize,
    pub actual: usize,
    /// Packets that both have in the same place.
    pub same: usize,
    pub changed: usize,
    /// Packets that only the expected side has.
    pub missing: usize,
    /// Packets that only the actual side has.
    pub extra: usize,
    pub moved: usize,
    /// Whether more packets in a row differed than can be lined up, so that a longer window may find other
    /// differences.
    pub beyond_window: bool,
}

impl CaptureCounts {
    /// Whether nothing differs.
    #[must_use]
    pub const fn is_same(&self) -> bool {
        self.changed + self.missing + self.extra + self.moved == 0
    }
}

/// The side whose capture can't be read on, and why.
#[derive(Debug, thiserror::Error)]
pub enum CompareError<E> {
    #[error("{0}")]
    Expected(#[source] StreamError),
    #[error("{0}")]
    Actual(#[source] StreamError),
    /// What differs could not be told.
    #[error("{0}")]
    Told(E),
}

/// Compares two captures; `tell` gets the differences, in the order of the packets.
///
/// # Errors
/// When a capture can't be read to its end, or a difference can't be told.
pub fn compare_captures<A: Read, B: Read, E>(
    expected: Stream<A>,
    actual: Stream<B>,
    rules: CaptureRules<'_>,
    tell: impl FnMut(Difference) -> Result<(), E>,
) -> Result<CaptureCounts, CompareError<E>> {
    let mut comparison = Comparison {
        rules,
        expected: Side::new(expected),
        actual: Side::new(actual),
        counts: CaptureCounts::default(),
        waiting: Waiting::default(),
        tell,
    };
    comparison.run()?;
    let Comparison { expected, actual, counts, .. } = comparison;
    Ok(CaptureCounts { expected: expected.read, actual: actual.read, ..counts })
}

/// A packet that is kept for a while.
#[derive(Clone, Debug)]
struct Held {
    /// From 1.
    number: usize,
    frame: Frame,
    original_len: usize,
    link: Link,
    key: Key,
}

/// What makes two packets the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key(Bytes);

impl Held {
    fn new(number: usize, packet: PacketRef<'_>, rules: CaptureRules<'_>) -> Self {
        let data = Bytes::copy_from_slice(packet.data);
        let PacketRef { original_len, link, .. } = packet;
        let key = Key::of(&data, (original_len, link), rules);
        Self { number, frame: Frame { data, vnet: VnetHdr::default() }, original_len, link, key }
    }
}

impl Key {
    fn of(data: &Bytes, (original_len, link): (usize, Link), rules: CaptureRules<'_>) -> Self {
        let mut key = Vec::new();
        if !rules.key.is_empty() {
            let dissection = Dissection::of(data);
            for field in dissection.fields().filter(|field| rules.key.contains(&field.name)) {
                key.extend(field.name.bytes());
                key.extend(field.value().bytes());
                key.push(0);
            }
        }
        // A packet without any of the fields is known by all that it has.
        if key.is_empty() {
            key = match rules.masks {
                [] => data.to_vec(),
                masks => frame::mask(data, masks),
            };
            key.extend(original_len.to_be_bytes());
            key.extend(link.0.to_be_bytes());
        }
        Self(key.into())
    }
}

/// One of the two captures.
struct Side<R> {
    stream: Stream<R>,
    /// Packets that were read.
    read: usize,
    ended: bool,
    /// Why it ended before its end.
    failed: Option<StreamError>,
    /// What is read and not yet compared.
    held: VecDeque<Held>,
}

impl<R: Read> Side<R> {
    fn new(stream: Stream<R>) -> Self {
        Self { stream, read: 0, ended: false, failed: None, held: VecDeque::new() }
    }

    /// The next packet, which is not kept.
    fn pass(&mut self) -> Option<PacketRef<'_>> {
        if self.ended {
            return None;
        }
        match self.stream.next_packet() {
            Ok(next) => {
                self.ended = next.is_none();
                self.read += usize::from(next.is_some());
                next
            }
            Err(error) => {
                self.ended = true;
                self.failed = Some(error);
                None
            }
        }
    }

    /// Keeps packets until there are `count`, or no more.
    fn fill(&mut self, count: usize, rules: CaptureRules<'_>) {
        while self.held.len() < count && !self.ended {
            let number = self.read + 1;
            let held = self.pass().map(|packet| Held::new(number, packet, rules));
            self.held.extend(held);
        }
    }
}

/// Differences that are found and not yet told: packets that only one side has may still come on the other.
#[derive(Default)]
struct Waiting {
    /// In their order.
    found: VecDeque<Slot>,
    /// How many were told: the place of the first of `found`.
    told: usize,
    /// The places of packets that only one side has.
    missing: Places,
    extra: Places,
}

type Places = HashMap<Key, VecDeque<usize>>;

enum Slot {
    Difference(Box<Difference>),
    Missing(Held),
    Extra(Held),
    /// It came on the other side, and is told there.
    Gone,
}

impl Waiting {
    fn push(&mut self, slot: Slot) {
        let place = self.told + self.found.len();
        let places = match &slot {
            Slot::Missing(held) => Some((&mut self.missing, &held.key)),
            Slot::Extra(held) => Some((&mut self.extra, &held.key)),
            Slot::Difference(_) | Slot::Gone => None,
        };
        if let Some((places, key)) = places {
            places.entry(key.clone()).or_default().push_back(place);
        }
        self.found.push_back(slot);
    }

    /// The slot of the first packet of a key that waits.
    fn slot(
        found: &mut VecDeque<Slot>,
        told: usize,
        places: &mut Places,
        key: &Key,
    ) -> Option<Slot> {
        let place = forget(places, key)?;
        found.get_mut(place - told).map(|slot| std::mem::replace(slot, Slot::Gone))
    }

    /// A packet of the expected side that is not where it was: it came before, or waits.
    fn missing(&mut self, held: Held) -> bool {
        match Self::slot(&mut self.found, self.told, &mut self.extra, &held.key) {
            Some(Slot::Extra(came)) => {
                self.push(Slot::Difference(Box::new(moved(&held, &came, Vec::new()))));
                true
            }
            _ => {
                self.push(Slot::Missing(held));
                false
            }
        }
    }

    /// A packet of the actual side that is not expected there: it is late, or waits.
    fn extra(&mut self, held: Held) -> bool {
        let place = self.missing.get(&held.key).and_then(|places| places.front().copied());
        match Self::slot(&mut self.found, self.told, &mut self.missing, &held.key) {
            Some(Slot::Missing(missed)) => {
                let slot = place.and_then(|place| self.found.get_mut(place - self.told));
                if let Some(slot) = slot {
                    *slot = Slot::Difference(Box::new(moved(&missed, &held, Vec::new())));
                }
                true
            }
            _ => {
                self.push(Slot::Extra(held));
                false
            }
        }
    }

    /// The first difference, once nothing can change it any more: when `read` packets were read.
    fn next(&mut self, read: usize, window: usize) -> Option<Difference> {
        loop {
            let waits = |held: &Held| held.number.saturating_add(window) >= read;
            match self.found.front()? {
                Slot::Missing(held) | Slot::Extra(held) if waits(held) => return None,
                _ => {}
            }
            self.told += 1;
            match self.found.pop_front()? {
                Slot::Gone => {}
                Slot::Difference(difference) => return Some(*difference),
                Slot::Missing(held) => {
                    forget(&mut self.missing, &held.key);
                    return Some(missing(&held));
                }
                Slot::Extra(held) => {
                    forget(&mut self.extra, &held.key);
                    return Some(extra(&held));
                }
            }
        }
    }
}

/// Takes the first place of a key.
fn forget(places: &mut Places, key: &Key) -> Option<usize> {
    let list = places.get_mut(key)?;
    let place = list.pop_front();
    if list.is_empty() {
        places.remove(key);
    }
    place
}

struct Comparison<'r, A, B, F> {
    rules: CaptureRules<'r>,
    expected: Side<A>,
    actual: Side<B>,
    counts: CaptureCounts,
    waiting: Waiting,
    tell: F,
}

impl<A: Read, B: Read, E, F: FnMut(Difference) -> Result<(), E>> Comparison<'_, A, B, F> {
    fn run(&mut self) -> Result<(), CompareError<E>> {
        loop {
            if self.expected.held.is_empty() && self.actual.held.is_empty() {
                self.pass();
            }
            self.fill(1);
            match (self.expected.held.front(), self.actual.held.front()) {
                _ if self.has_failed() => return self.give_up(),
                (None, None) => return self.tell(usize::MAX),
                (Some(a), Some(b)) if self.same(a, b) => {
                    self.counts.same += 1;
                    self.expected.held.pop_front();
                    self.actual.held.pop_front();
                }
                _ => {
                    // What was lost so long ago is lost.
                    self.tell(self.expected.read.max(self.actual.read))?;
                    self.differ();
                }
            }
        }
    }

    /// Lets packets go by while they are the same; keeps the first two that are not.
    fn pass(&mut self) {
        loop {
            let numbers = (self.expected.read + 1, self.actual.read + 1);
            let (a, b) = (self.expected.pass(), self.actual.pass());
            if let (Some(a), Some(b)) = (a, b)
                && a.data == b.data
                && (a.original_len, a.link) == (b.original_len, b.link)
            {
                self.counts.same += 1;
                continue;
            }
            let (a, b) = (
                a.map(|packet| Held::new(numbers.0, packet, self.rules)),
                b.map(|packet| Held::new(numbers.1, packet, self.rules)),
            );
            self.expected.held.extend(a);
            self.actual.held.extend(b);
            return;
        }
    }

    fn fill(&mut self, count: usize) {
        self.expected.fill(count, self.rules);
        self.actual.fill(count, self.rules);
    }

    const fn has_failed(&self) -> bool {
        self.expected.failed.is_some() || self.actual.failed.is_some()
    }

    /// Ends where a capture can't be read on. What both had up to there is told; of what is behind the last
    /// packet that both have nobody knows whether it is missing.
    fn give_up(&mut self) -> Result<(), CompareError<E>> {
        self.fill(self.most());
        let lined_up = self.line_up();
        if let Some(end) = self.alike(&lined_up, 1) {
            self.take(&lined_up, end);
        }
        self.tell(usize::MAX)?;
        let failed = self.expected.failed.take().map(CompareError::Expected);
        failed.or_else(|| self.actual.failed.take().map(CompareError::Actual)).map_or(Ok(()), Err)
    }

    fn same(&self, a: &Held, b: &Held) -> bool {
        match self.rules.key {
            [] => a.key == b.key,
            _ => a.key == b.key && self.fields(a, b).is_empty(),
        }
    }

    /// What differs in two packets.
    fn fields(&self, a: &Held, b: &Held) -> Vec<FieldDifference> {
        let mut fields = match a.frame == b.frame {
            true => Vec::new(),
            false => fields::between(&a.frame, &b.frame, self.rules.masks),
        };
        // The length of what the file holds is a field of the frame.
        let cut = |held: &Held| held.original_len.saturating_sub(held.frame.data.len());
        if a.original_len != b.original_len && (cut(a), cut(b)) != (0, 0) {
            let [a, b] = [a, b].map(|held| held.original_len.to_string());
            fields.push(fields::beside("length on the wire", &a, &b));
        }
        if a.link != b.link {
            let [a, b] = [a, b].map(|held| held.link.to_string());
            fields.push(fields::beside("link type", &a, &b));
        }
        fields
    }

    /// Lines up packets of either side, and takes those up to where the two go on alike.
    fn differ(&mut self) {
        let mut count = FIRST;
        loop {
            self.fill(count);
            if self.has_failed() {
                return;
            }
            let lined_up = self.line_up();
            let longest = self.expected.held.len().max(self.actual.held.len());
            let is_end = self.expected.ended && self.actual.ended && count >= longest;
            let end = match is_end {
                true => Some(lined_up.pairs.len()),
                false => self.alike(&lined_up, ALIKE),
            };
            let last = count >= self.most();
            if let Some(end) = end.or_else(|| self.alike(&lined_up, 1).filter(|_| last)) {
                return self.take(&lined_up, end);
            }
            if last {
                self.counts.beyond_window = true;
                return self.take(&lined_up, half(&lined_up));
            }
            count = (2 * count).min(self.most());
        }
    }

    /// Packets of a side that are lined up at once at the most: so many may be missing in a row.
    fn most(&self) -> usize {
        MOST.max(self.rules.window)
    }

    /// What is held of either side, lined up.
    fn line_up(&self) -> LinedUp {
        let (left, right) = (&self.expected.held, &self.actual.held);
        let keys = |side: &VecDeque<Held>| -> Vec<Key> {
            side.iter().map(|held| held.key.clone()).collect()
        };
        let cost = |a: usize, b: usize| {
            fields::unlikeness(&left[a].frame, &right[b].frame, self.rules.masks)
        };
        reorder::line_up(&keys(left), &keys(right), |_| true, cost)
    }

    /// The end of the last `run` pairs that are the same, one behind the other, up to which all packets of
    /// either side are paired.
    fn alike(&self, lined_up: &LinedUp, run: usize) -> Option<usize> {
        let mut reach = Reach::default();
        let (mut found, mut length) = (None, 0);
        for (at, &pair) in lined_up.pairs.iter().enumerate() {
            reach.add(pair);
            let is_same = matches!(pair, (Some(a), Some(b)) if lined_up.moved.get(&a) != Some(&b)
                && self.same(&self.expected.held[a], &self.actual.held[b]));
            length = if is_same { length + 1 } else { 0 };
            if length >= run && reach.is_whole() {
                found = Some(at + 1);
            }
        }
        found
    }

    /// Takes the pairs up to `end`.
    fn take(&mut self, lined_up: &LinedUp, end: usize) {
        let LinedUp { pairs, moved: elsewhere } = lined_up;
        let mut reach = Reach::default();
        for &pair in &pairs[..end] {
            reach.add(pair);
            match pair {
                (Some(a), Some(b)) => {
                    let (left, right) = (&self.expected.held[a], &self.actual.held[b]);
                    if elsewhere.get(&a) == Some(&b) {
                        let passed = reorder::passed(pairs, a, b);
                        let numbers = passed.iter().map(|place| self.expected.held[*place].number);
                        let moved = moved(left, right, numbers.collect());
                        self.counts.moved += 1;
                        self.waiting.push(Slot::Difference(Box::new(moved)));
                        continue;
                    }
                    match self.fields(left, right) {
                        fields if fields.is_empty() => self.counts.same += 1,
                        fields => {
                            let changed = changed(left, right, fields);
                            self.counts.changed += 1;
                            self.waiting.push(Slot::Difference(Box::new(changed)));
                        }
                    }
                }
                (Some(a), None) => {
                    let came = self.waiting.missing(self.expected.held[a].clone());
                    self.counts.alone(came, true);
                }
                (None, Some(b)) => {
                    let came = self.waiting.extra(self.actual.held[b].clone());
                    self.counts.alone(came, false);
                }
                (None, None) => {}
            }
        }
        self.expected.held.drain(..reach.lefts);
        self.actual.held.drain(..reach.rights);
    }

    /// Tells what nothing can change any more.
    fn tell(&mut self, read: usize) -> Result<(), CompareError<E>> {
        while let Some(difference) = self.waiting.next(read, self.rules.window) {
            (self.tell)(difference).map_err(CompareError::Told)?;
        }
        Ok(())
    }
}

impl CaptureCounts {
    /// Counts a packet that only one side has, or that came on the other side at another time.
    fn alone(&mut self, came: bool, expected: bool) {
        match (came, expected) {
            (false, true) => self.missing += 1,
            (false, false) => self.extra += 1,
            (true, expected) => {
                self.moved += 1;
                *(if expected { &mut self.extra } else { &mut self.missing }) -= 1;
            }
        }
    }
}

/// How far pairs go on either side.
#[derive(Default)]
struct Reach {
    lefts: usize,
    rights: usize,
    furthest: (usize, usize),
}

impl Reach {
    fn add(&mut self, pair: Pair) {
        self.lefts += usize::from(pair.0.is_some());
        self.rights += usize::from(pair.1.is_some());
        self.furthest.0 = self.furthest.0.max(pair.0.map_or(0, |a| a + 1));
        self.furthest.1 = self.furthest.1.max(pair.1.map_or(0, |b| b + 1));
    }

    /// Whether the pairs have all packets up to here, and none from further on.
    fn is_whole(&self) -> bool {
        self.furthest == (self.lefts, self.rights)
    }
}

/// About half of the pairs, so that what comes next is lined up with the other half; all, where something
/// went from one half to the other.
fn half(lined_up: &LinedUp) -> usize {
    let mut reach = Reach::default();
    let halves = lined_up.pairs.iter().enumerate().find_map(|(at, pair)| {
        reach.add(*pair);
        (2 * at >= lined_up.pairs.len() && reach.is_whole()).then_some(at + 1)
    });
    halves.unwrap_or(lined_up.pairs.len())
}

fn difference(what: What, expected: Option<&Held>, actual: Option<&Held>) -> Difference {
    let [expected, actual] = [expected, actual].map(|held| held.map(|held| &held.frame.data));
    let frames = FramePair::of(expected, actual);
    Difference { frames, ..Difference::of_record(what) }
}

fn missing(held: &Held) -> Difference {
    let summary = frame::summary(&held.frame.data);
    let what = What::Missing { frame: held.number, of: 0, sent: None, summary, fate: None };
    difference(what, Some(held), None)
}

fn extra(held: &Held) -> Difference {
    let summary = frame::summary(&held.frame.data);
    let what =
        What::Extra { frame: held.number, of: 0, sent: None, summary, again: None, cause: None };
    difference(what, None, Some(held))
}

fn changed(expected: &Held, actual: &Held, fields: Vec<FieldDifference>) -> Difference {
    let what = What::Frame {
        frame: expected.number,
        of: 0,
        sent: None,
        fields,
        trace: None,
        came: actual.number,
        cause: None,
    };
    difference(what, Some(expected), Some(actual))
}

/// A packet that is at another place on the actual side; `passed` are those that it overtook, or that
/// overtook it.
fn moved(expected: &Held, actual: &Held, passed: Vec<usize>) -> Difference {
    let what = What::Moved {
        frame: expected.number,
        of: 0,
        sent: None,
        came: actual.number,
        passed,
        summary: frame::summary(&expected.frame.data),
        cause: None,
    };
    difference(what, Some(expected), Some(actual))
}

#[cfg(test)]
mod tests;
