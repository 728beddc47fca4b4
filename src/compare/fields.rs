//! Which fields of two frames differ, and what is known of each. Read by the comparison of a port.

use super::{
    align::{ALIKE, UNLIKE},
    mismatch::FieldDifference,
};
use crate::{
    base::{Frame, VnetHdr},
    format::token,
    frame::{self, Dissection},
};

/// A VLAN tag: its type and its control word, behind both addresses (IEEE 802.1Q).
const TAG: std::ops::Range<usize> = 12..16;

/// Set in a virtio-net header whose frame has only the sum of the pseudo header in its checksum
/// (virtio 1.2, section 5.1.6).
const NEEDS_CSUM: u8 = 1;

/// The fields in which two frames differ, less the masked ones.
pub(super) fn between(expected: &Frame, actual: &Frame, masks: &[&str]) -> Vec<FieldDifference> {
    let masked = |frame: &Frame| frame::mask(&frame.data, masks);
    let (a, b) = (masked(expected), masked(actual));
    let mut fields = vnet_fields(expected.vnet, actual.vnet);
    if a == b {
        return fields;
    }
    let before = fields.len();
    match tag(&a, &b) {
        Some((tag, a, b)) => {
            fields.push(tag);
            fields.extend(differing(&a, &b));
        }
        None => fields.extend(differing(&a, &b)),
    }
    if fields.len() == before {
        fields.push(FieldDifference {
            name: "bytes".to_owned(),
            expected: token::raw_hex(&a),
            actual: token::raw_hex(&b),
            bytes: Some((0, b.len())),
            remark: None,
        });
    }
    if actual.vnet.flags & NEEDS_CSUM == 0 {
        for field in &mut fields {
            field.remark = wrong_checksum(&actual.data, &field.name);
        }
    }
    fields
}

/// How unlike two frames are, for lining them up: few fields that differ make a pair, and so does a common
/// flow.
pub(super) fn unlikeness(expected: &Frame, actual: &Frame, masks: &[&str]) -> usize {
    let flow = frame::flow(&expected.data);
    match 1 + between(expected, actual, masks).len() {
        few if few <= ALIKE => few,
        _ if flow.is_some() && flow == frame::flow(&actual.data) => ALIKE,
        _ => UNLIKE,
    }
}

/// A difference in what stands beside a frame.
pub(super) fn beside(name: &str, expected: &str, actual: &str) -> FieldDifference {
    let (name, expected, actual) = (name.to_owned(), expected.to_owned(), actual.to_owned());
    FieldDifference { name, expected, actual, bytes: None, remark: None }
}

fn differing(expected: &[u8], actual: &[u8]) -> impl Iterator<Item = FieldDifference> {
    frame::diff(expected, actual).into_iter().map(|field| FieldDifference {
        name: field.name,
        expected: field.expected,
        actual: field.actual,
        bytes: Some((field.range.start, field.range.end)),
        remark: None,
    })
}

/// A tag that only one of two frames has, and both frames without it; none where that is not what
/// makes their headers others.
fn tag(expected: &[u8], actual: &[u8]) -> Option<(FieldDifference, Vec<u8>, Vec<u8>)> {
    let names = |frame: &[u8]| -> Vec<&str> {
        let dissection = Dissection::of(frame);
        dissection.layers.iter().map(|layer| layer.name).collect()
    };
    let tags = |frame: &[u8]| names(frame).iter().filter(|name| **name == "vlan").count();
    let without = |frame: &[u8]| [&frame[..TAG.start], &frame[TAG.end..]].concat();
    let (left, right) = match (tags(expected), tags(actual)) {
        (one, other) if one == other + 1 => (without(expected), actual.to_vec()),
        (one, other) if one + 1 == other => (expected.to_vec(), without(actual)),
        _ => return None,
    };
    if names(&left) != names(&right) {
        return None;
    }
    let lost = left.len() < expected.len();
    let text = tag_text(if lost { expected } else { actual })?;
    let none = "none".to_owned();
    let (from, to) = if lost { (text, none) } else { (none, text) };
    let difference = FieldDifference {
        name: "vlan".to_owned(),
        expected: from,
        actual: to,
        bytes: Some((TAG.start, TAG.end)),
        remark: None,
    };
    Some((difference, left, right))
}

/// `0x8100 id 100 pcp 3`.
fn tag_text(frame: &[u8]) -> Option<String> {
    let dissection = Dissection::of(frame);
    let value = |name| dissection.field(name).map(frame::Field::value);
    let (kind, id, pcp) = (value("eth.type")?, value("vlan.id")?, value("vlan.pcp")?);
    Some(match pcp.as_str() {
        "0" => format!("{kind} id {id}"),
        pcp => format!("{kind} id {id} pcp {pcp}"),
    })
}

/// What a checksum should be, where it is another. UDP over IPv4 has none where the field is 0
/// (RFC 768).
fn wrong_checksum(frame: &[u8], field: &str) -> Option<String> {
    let due = frame::checksum_due(frame, field)?;
    let dissection = Dissection::of(frame);
    let is = dissection.field(field)?.number();
    let none = is == 0 && field == "udp.checksum";
    (is != u32::from(due) && !none).then(|| format!("wrong: {due:#06x} is due"))
}

/// The header's fields by name; `VnetHdr` prints them all, in one order.
fn vnet_fields(expected: VnetHdr, actual: VnetHdr) -> Vec<FieldDifference> {
    let (a, b) = (expected.to_string(), actual.to_string());
    let pairs = a.split(' ').zip(b.split(' ')).filter(|(a, b)| a != b);
    let fields = pairs.filter_map(|(a, b)| {
        let ((name, a), (_, b)) = (a.split_once('=')?, b.split_once('=')?);
        Some(beside(&format!("vnet.{name}"), a, b))
    });
    fields.collect()
}
