//! Frames that came in another step or out of another port than was expected. The last pass over what
//! differs.

use std::collections::{BTreeSet, HashMap};

use crate::{base::Tag, frame, record::Transcript};

use super::{
    mismatch::{Difference, Seat, What},
    trace,
};

/// Frames up to this length may have been padded with zeros on one way and not on the other:
/// `ETH_ZLEN`, 60, and a VLAN tag (Linux `include/uapi/linux/if_ether.h`).
const PADDED: usize = 64;

/// Most frames whose way is looked up: each costs a pass over all events.
const TRACED: usize = 50;

/// Frames that are missing in one place and were not expected in another are one difference: they
/// came out of the port in another step, or in the step out of another port. The tags are those of
/// the frames that came.
pub(super) fn joined(
    differences: Vec<(Difference, Option<Tag>)>,
    actual: &Transcript,
    masks: &[&str],
) -> Vec<Difference> {
    let mut by_port: HashMap<(Vec<u8>, &str), Vec<usize>> = HashMap::new();
    let mut by_step: HashMap<(Vec<u8>, usize), Vec<usize>> = HashMap::new();
    for (index, (extra, _)) in differences.iter().enumerate().rev() {
        if let (What::Extra { .. }, Some(data), Some(port)) =
            (&extra.what, &extra.frames.actual, &extra.port)
        {
            let key = key(data, masks);
            by_port.entry((key.clone(), port)).or_default().push(index);
            by_step.entry((key, extra.step)).or_default().push(index);
        }
    }
    let mut gone = BTreeSet::new();
    let mut found = Vec::new();
    for (index, (missing, _)) in differences.iter().enumerate() {
        let (What::Missing { .. }, Some(data), Some(port)) =
            (&missing.what, &missing.frames.expected, &missing.port)
        else {
            continue;
        };
        let key = key(data, masks);
        let at_port = next(by_port.get_mut(&(key.clone(), port)), &mut gone);
        let extra = at_port.or_else(|| next(by_step.get_mut(&(key, missing.step)), &mut gone));
        found.extend(extra.map(|extra| (index, extra)));
    }
    let mut what: HashMap<usize, What> = HashMap::new();
    for (count, (missing, extra)) in found.into_iter().enumerate() {
        let ((missing_one, _), (extra_one, tag)) = (&differences[missing], &differences[extra]);
        let tag = tag.filter(|_| count < TRACED);
        what.extend(join(missing_one, extra_one, tag, actual).map(|what| (missing, what)));
    }
    let kept = differences.into_iter().enumerate().filter(|(index, _)| !gone.contains(index));
    kept.map(|(index, (difference, _))| match what.remove(&index) {
        Some(what) => Difference { what, ..difference },
        None => difference,
    })
    .collect()
}

/// The first of these that was not taken yet, which is taken then.
fn next(places: Option<&mut Vec<usize>>, gone: &mut BTreeSet<usize>) -> Option<usize> {
    let places = places?;
    while let Some(place) = places.pop() {
        if gone.insert(place) {
            return Some(place);
        }
    }
    None
}

/// What a frame is known by wherever it comes: its bytes, less what is masked and what pads.
fn key(data: &[u8], masks: &[&str]) -> Vec<u8> {
    let mut key = frame::mask(data, masks);
    if key.len() <= PADDED {
        let zeros = key.iter().rev().take_while(|byte| **byte == 0).count();
        key.truncate(key.len() - zeros);
    }
    key
}

fn join(
    missing: &Difference,
    extra: &Difference,
    tag: Option<Tag>,
    actual: &Transcript,
) -> Option<What> {
    let What::Missing { frame, of, sent, ref summary, .. } = missing.what else {
        return None;
    };
    let What::Extra { frame: came, .. } = extra.what else {
        return None;
    };
    let (summary, port) = (summary.clone(), extra.port.clone()?);
    let cause = tag.and_then(|tag| trace::way(actual, tag));
    Some(if missing.port.as_ref() == Some(&port) {
        let (step, line) = (extra.step, extra.line);
        let came = Seat { step, line, frame: came };
        What::OtherStep { frame, of, sent, came, summary, cause }
    } else {
        What::OtherPort { frame, of, sent, port, came, summary, cause }
    })
}
