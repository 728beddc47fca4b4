//! Which of the frames that were sent each frame that came out is, by the recorded bytes alone. The
//! text of a record prints these labels, and what compares or draws records numbers frames by them.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
};

use bytes::Bytes;

use super::{Entry, Reading};
use crate::{
    base::{Origin, PortId},
    frame::{self, FieldChange},
    record::SentFrame,
};

/// Frames up to this length may be a shorter one that was padded: `ETH_ZLEN`, 60, and a VLAN tag
/// (Linux `include/uapi/linux/if_ether.h`).
const PADDED: usize = 64;

/// Most frames of a flow that a changed frame is held against, the oldest unmatched first.
const CANDIDATES: usize = 64;

/// Most of those that are taken apart into fields: the ones with the fewest differing bytes.
const DISSECTED: usize = 8;

/// Lists of frames up to this length are searched from their beginning each time.
const SHORT: usize = 16;

/// How an arrived frame is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// A frame that was sent, perhaps padded, perhaps with changed fields.
    Sent {
        /// `#n`.
        number: u32,
        /// The length it was padded to with zeros.
        padded: Option<usize>,
        /// What differs; applied to the sent frame they give the arrived one.
        changes: Vec<FieldChange>,
    },
    /// The beginning of a frame that was sent.
    Cut {
        /// `#n`.
        number: u32,
    },
    /// Nothing like it was sent.
    New,
}

/// `[step][port][frame]`.
pub(crate) type Labels = Vec<Vec<Vec<Label>>>;

/// Labels for what came out of each port in each step. Only frames sent in the same step or before
/// are considered; each port matches the oldest that it has not matched yet, and the newest again
/// when it has matched them all.
pub(super) fn labels(reading: &Reading) -> Labels {
    let mut known = Known::default();
    let mut receivers: Vec<_> =
        reading.ports().iter().map(|port| Receiver::new(&port.id)).collect();
    let mut labels = Vec::new();
    for step in reading.all_steps() {
        known.of_this_step = known.frames.len();
        known.came_out = came_out(&receivers, known.of_this_step);
        for sent in &step.step.sent {
            known.add(sent);
        }
        let mut of_step = Vec::new();
        for (entries, receiver) in step.entries.iter().zip(&mut receivers) {
            receiver.matched.resize(known.frames.len(), false);
            let frames = entries.iter().filter_map(|entry| match entry {
                Entry::Frame { frame, whole, .. } => Some((&frame.data, *whole)),
                Entry::Begun(_) | Entry::Pcap(_) | Entry::Raw(_) | Entry::Eof => None,
            });
            let labelled = frames.map(|(data, whole)| match whole {
                Some(whole) => known.cut(data, whole, receiver),
                None => known.label(data, receiver),
            });
            of_step.push(labelled.collect());
        }
        labels.push(of_step);
    }
    labels
}

/// Which of the first `count` frames came out at any port.
fn came_out(receivers: &[Receiver], count: usize) -> Vec<bool> {
    let anywhere = |index: usize| receivers.iter().any(|receiver| receiver.had(index));
    (0..count).map(anywhere).collect()
}

/// A port, and what came out of it so far.
struct Receiver {
    port: PortId,
    /// For each frame sent.
    matched: Vec<bool>,
    /// The ports where those were sent.
    from: BTreeSet<PortId>,
    /// How far a list of frames has been searched for one that is not matched, by its first frame and
    /// where the search began: what is matched stays so.
    searched: RefCell<HashMap<(usize, usize), usize>>,
}

impl Receiver {
    fn new(port: &PortId) -> Self {
        let (matched, from, searched) = Default::default();
        Self { port: port.clone(), matched, from, searched }
    }

    fn had(&self, index: usize) -> bool {
        self.matched.get(index) == Some(&true)
    }

    /// The position of the first of these frames, from `start` on, that the port has not had yet.
    fn first_unmatched(&self, indices: &[usize], start: usize) -> Option<usize> {
        let unmatched = |from: usize| {
            let mut left = indices.iter().skip(from);
            left.position(|index| !self.had(*index)).map(|found| from + found)
        };
        if indices.len() - start <= SHORT {
            return unmatched(start);
        }
        let mut searched = self.searched.borrow_mut();
        let from = searched.entry((indices[0], start)).or_insert(start);
        let found = unmatched(*from);
        *from = found.unwrap_or(indices.len());
        found
    }
}

/// The number that a transcript writes as `#n`.
pub(crate) fn number_of(sent: &SentFrame) -> u32 {
    let (Origin::Sent(number) | Origin::Written(number) | Origin::Host(number)) = sent.tag.0;
    number
}

/// The frames sent so far, in order. The maps are only looked up.
#[derive(Default)]
struct Known {
    frames: Vec<KnownFrame>,
    by_bytes: HashMap<Bytes, Senders>,
    by_flow: HashMap<frame::FlowKey, Vec<usize>>,
    /// Which lengths up to [`PADDED`] they have: a bit each.
    lengths: u128,
    /// The first frame of the step that is being labelled.
    of_this_step: usize,
    /// Which of those sent before it came out anywhere before it.
    came_out: Vec<bool>,
}

/// Frames that are the same, by the port that sent them: mostly it is one.
type Senders = Vec<(PortId, Vec<usize>)>;

fn add_to(senders: &mut Senders, port: &PortId, index: usize) {
    match senders.iter_mut().find(|(known, _)| known == port) {
        Some((_, indices)) => indices.push(index),
        None => senders.push((port.clone(), vec![index])),
    }
}

/// A frame that was sent.
struct KnownFrame {
    number: u32,
    data: Bytes,
    port: PortId,
}

impl Known {
    fn add(&mut self, sent: &SentFrame) {
        let index = self.frames.len();
        let data = &sent.frame.data;
        if data.len() <= PADDED {
            self.lengths |= 1 << data.len();
        }
        add_to(self.by_bytes.entry(data.clone()).or_default(), &sent.port, index);
        if let Some(flow) = frame::flow(data) {
            self.by_flow.entry(flow).or_default().push(index);
        }
        self.frames.push(KnownFrame {
            number: number_of(sent),
            data: data.clone(),
            port: sent.port.clone(),
        });
    }

    fn label(&self, data: &Bytes, receiver: &mut Receiver) -> Label {
        let found = self
            .equal(data, receiver)
            .or_else(|| self.padded(data, receiver))
            .or_else(|| self.changed(data, receiver));
        let Some((index, padded, changes)) = found else {
            return Label::New;
        };
        Label::Sent { number: self.give(index, receiver), padded, changes }
    }

    /// The beginning of a frame that had `whole` bytes.
    fn cut(&self, data: &[u8], whole: usize, receiver: &mut Receiver) -> Label {
        let alike = |sent: &KnownFrame| sent.data.len() == whole && sent.data.starts_with(data);
        let mut senders = Senders::new();
        for (index, sent) in self.frames.iter().enumerate() {
            if alike(sent) {
                add_to(&mut senders, &sent.port, index);
            }
        }
        self.choose(&senders, receiver)
            .map_or(Label::New, |index| Label::Cut { number: self.give(index, receiver) })
    }

    /// Notes that a frame came out there, and tells its number.
    fn give(&self, index: usize, receiver: &mut Receiver) -> u32 {
        let KnownFrame { number, port, .. } = &self.frames[index];
        receiver.matched[index] = true;
        receiver.from.insert(port.clone());
        *number
    }

    fn equal(&self, data: &[u8], receiver: &Receiver) -> Option<Match> {
        let index = self.choose(self.by_bytes.get(data)?, receiver)?;
        Some((index, None, Vec::new()))
    }

    /// Of frames that are the same, one that the port has not had yet, of the sender that it most
    /// likely hears; of that sender's the oldest of this step, then the oldest of any step: what is
    /// sent again is not taken for what was lost before.
    fn choose(&self, senders: &[(PortId, Vec<usize>)], receiver: &Receiver) -> Option<usize> {
        let unmatched = |indices: &[usize], start| {
            receiver.first_unmatched(indices, start).map(|at| indices[at])
        };
        let nearest = match senders {
            [only] => Some(only),
            several => {
                let left = several.iter().filter(|(_, all)| unmatched(all, 0).is_some());
                left.min_by_key(|sender| self.distance(sender, receiver))
            }
        };
        let left = nearest.and_then(|(_, indices)| {
            let of_this_step = indices.partition_point(|index| *index < self.of_this_step);
            unmatched(indices, of_this_step).or_else(|| unmatched(indices, 0))
        });
        let newest = || senders.iter().filter_map(|(_, indices)| indices.last()).max();
        left.or_else(|| newest().copied())
    }

    /// How unlikely it is that a port's frame came out here, where several sent the same: a port
    /// whose frames came out here before is the nearest, then another one than this, then the one
    /// whose frame waits longest.
    fn distance(
        &self,
        (port, indices): &(PortId, Vec<usize>),
        receiver: &Receiver,
    ) -> (bool, bool, bool, Option<usize>) {
        let waits = |index: &&usize| self.came_out.get(**index) != Some(&true);
        let mut left = indices.iter().filter(|index| !receiver.had(**index));
        let waiting = left.find(waits);
        let heard = receiver.from.contains(port);
        (!heard, *port == receiver.port, waiting.is_none(), waiting.copied())
    }

    fn padded(&self, data: &[u8], receiver: &Receiver) -> Option<Match> {
        if data.len() > PADDED {
            return None;
        }
        let zeros = data.iter().rev().take_while(|byte| **byte == 0).count();
        let lengths = (data.len() - zeros..data.len()).rev();
        let lengths = lengths.filter(|length| *length > 0 && self.lengths & (1 << length) != 0);
        let mut shorter = lengths.filter_map(|length| self.equal(&data[..length], receiver));
        shorter.next().map(|(index, ..)| (index, Some(data.len()), Vec::new()))
    }

    /// The fewest changed fields win, then the fewest bytes, then the oldest; only the winner is put to the proof.
    fn changed(&self, data: &[u8], receiver: &Receiver) -> Option<Match> {
        let flow = self.by_flow.get(&frame::flow(data)?)?;
        let first = receiver.first_unmatched(flow, 0).unwrap_or(flow.len());
        let unmatched = flow[first..].iter().filter(|index| !receiver.had(**index));
        let seen = flow.iter().rev().filter(|index| receiver.had(**index));
        let candidates = unmatched.chain(seen).take(CANDIDATES);
        // A frame of another length is another frame, and clearer when it is written in full.
        let mut bases: Vec<_> = candidates
            .map(|&index| (index, padded_base(&self.frames[index].data, data.len())))
            .filter(|(_, (base, _))| base.len() == data.len())
            .collect();
        bases.sort_by_cached_key(|(_, (base, _))| {
            base.iter().zip(data).filter(|(before, after)| before != after).count()
        });
        bases.truncate(DISSECTED);
        let mut matches: Vec<_> = bases
            .into_iter()
            .filter_map(|(index, (base, padded))| {
                let changes = frame::changes(&base, data)?;
                Some((base, (index, padded, changes)))
            })
            .collect();
        matches.sort_by_key(|(_, (_, _, changes))| changes.len());
        let mut proven = matches.into_iter().filter(|(base, (_, _, changes))| {
            !changes.is_empty() && reproduces(base, changes, data)
        });
        proven.next().map(|(_, found)| found)
    }
}

/// The index of a sent frame, the length it was padded to, and what changed.
type Match = (usize, Option<usize>, Vec<FieldChange>);

/// Whether the changes still turn `base` into `data` after their text was read back.
fn reproduces(base: &[u8], changes: &[FieldChange], data: &[u8]) -> bool {
    frame::parse_changes(&frame::render_changes(changes))
        .and_then(|readable| frame::patch(base, &readable))
        .is_ok_and(|applied| applied == data)
}

/// The sent frame with zeros up to `length`, as far as padding goes.
pub(crate) fn padded_base(sent: &[u8], length: usize) -> (Vec<u8>, Option<usize>) {
    let mut base = sent.to_vec();
    let pads = sent.len() < length && length <= PADDED;
    if pads {
        base.resize(length, 0);
    }
    (base, pads.then_some(length))
}
