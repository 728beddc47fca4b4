//! Pieces of a section's lines, read back. Read by the parser, and by the comparison for frames of
//! captures.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use super::{
    error::Reason,
    token::{take_word, unquote},
};
use crate::{
    base::VnetHdr,
    record::{Abort, Accounting, CommandError, NoAnswer, Outcome, SourceFrame},
};

/// What follows an assertion that QEMU would have died of.
pub(super) const ABORTS: &str = " (this QEMU aborts here; refused)";

/// `3 sent, 5 arrivals, 0 dropped, 0 unexplained`.
pub(super) fn parse_accounting(sums: &str) -> Option<Accounting> {
    let mut numbers = ["sent", "arrivals", "dropped", "unexplained"].into_iter();
    let mut sums = sums.split(", ").map(|sum| {
        let (number, name) = sum.split_once(' ')?;
        (Some(name) == numbers.next()).then(|| number.parse::<usize>().ok())?
    });
    let mut next = || sums.next().flatten();
    Some(Accounting { sent: next()?, arrivals: next()?, dropped: next()?, unexplained: next()? })
}

/// `3`, `0.25`.
pub(super) fn parse_seconds(text: &str) -> Option<Duration> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let nanos = (fraction.len() <= 9).then(|| format!("{fraction:0<9}"))?.parse().ok()?;
    Some(Duration::new(seconds.parse().ok()?, nanos))
}

/// `N B`.
pub(super) fn parse_size(words: &str) -> Option<usize> {
    words.strip_suffix(" B")?.parse().ok()
}

/// The header and the size of what `described` wrote; the summary is for people.
pub(super) fn parse_described(words: &str) -> Result<(VnetHdr, usize), Reason> {
    let size = words.rsplit(", ").next().and_then(parse_size);
    let vnet = match words.split_once(", ") {
        Some((vnet, _)) if vnet.starts_with("vnet ") => {
            parse_vnet(vnet).ok_or("not a vnet header")?
        }
        _ => VnetHdr::default(),
    };
    Ok((vnet, size.ok_or("a frame without a size")?))
}

/// `vnet flags=1 csum_start=34`.
pub(super) fn parse_vnet(words: &str) -> Option<VnetHdr> {
    let mut vnet = VnetHdr::default();
    for word in words.strip_prefix("vnet ")?.split(' ') {
        let (name, value) = word.split_once('=')?;
        match name {
            "flags" => vnet.flags = value.parse().ok()?,
            "gso_type" => vnet.gso_type = value.parse().ok()?,
            "hdr_len" => vnet.hdr_len = value.parse().ok()?,
            "gso_size" => vnet.gso_size = value.parse().ok()?,
            "csum_start" => vnet.csum_start = value.parse().ok()?,
            "csum_offset" => vnet.csum_offset = value.parse().ok()?,
            "num_buffers" => vnet.num_buffers = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(vnet)
}

/// `http.pcap[12] sha=0123456789abcdef `, and what follows.
pub(crate) fn parse_source(words: &str) -> Option<(SourceFrame, String, &str)> {
    let (file, rest) = take_word(words, &['['])?;
    let (number, rest) = rest.strip_prefix('[')?.split_once("] sha=")?;
    let (sha, rest) = rest.split_once(' ')?;
    let source = SourceFrame { file: PathBuf::from(file).into(), number: number.parse().ok()? };
    Some((source, sha.to_owned(), rest))
}

/// A return value.
pub(super) fn parse_return(words: &str) -> Result<Outcome, Reason> {
    let value: Value = serde_json::from_str(words).map_err(|error| error.to_string())?;
    Ok(Outcome::Done(value))
}

/// A refusal, an abort, or that no answer came.
pub(super) fn parse_refusal(words: &str) -> Result<Outcome, Reason> {
    let unanswered = |why: &NoAnswer| why.to_string() == words;
    if let Some(why) = NoAnswer::ALL.into_iter().find(unanswered) {
        return Ok(Outcome::Unanswered(why));
    }
    if let Some(abort) = words.strip_prefix("aborts: ") {
        let assertion = abort.strip_suffix(ABORTS).and_then(unquote);
        let assertion = assertion.ok_or("not an assertion")?;
        return Ok(Outcome::Aborts(Abort { assertion, survivor: None }));
    }
    let (class, rest) = take_word(words, &[':']).ok_or("not an error's class")?;
    let desc = rest.strip_prefix(": ").and_then(unquote).ok_or("not an error's text")?;
    Ok(Outcome::Refused(CommandError { class, desc }))
}
