//! Bytes as the records write them: hex, and `(5a*69633)` for a run of one byte.

use super::record::RecordError;

pub(super) fn decode(text: &str) -> Result<Vec<u8>, RecordError> {
    let bad = || RecordError::Hex(text.chars().take(40).collect());
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(run) = rest.strip_prefix('(') {
            let (run, tail) = run.split_once(')').ok_or_else(bad)?;
            let (byte, count) = run.split_once('*').ok_or_else(bad)?;
            let byte = octet(byte).ok_or_else(bad)?;
            let count: usize = count.parse().map_err(|_| bad())?;
            bytes.resize(bytes.len() + count, byte);
            rest = tail;
        } else {
            let (byte, tail) = rest.split_at_checked(2).ok_or_else(bad)?;
            bytes.push(octet(byte).ok_or_else(bad)?);
            rest = tail;
        }
    }
    Ok(bytes)
}

fn octet(text: &str) -> Option<u8> {
    (text.len() == 2).then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// The shortest run of one byte that is written as one.
const RUN: usize = 64;

/// The text that [`decode`] reads.
pub(super) fn encode(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|one, next| one == next);
    let texts = runs.map(|run| match run {
        [byte, ..] if run.len() >= RUN => format!("({byte:02x}*{})", run.len()),
        _ => run.iter().map(|byte| format!("{byte:02x}")).collect(),
    });
    texts.collect()
}

/// The first bytes, for a difference that a person reads.
pub(super) fn show(bytes: &[u8]) -> String {
    let head: String = bytes.iter().take(48).map(|byte| format!("{byte:02x}")).collect();
    let more = if bytes.len() > 48 { "..." } else { "" };
    format!("{} B {head}{more}", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (bytes, text) in [
            (vec![], ""),
            (vec![0, 1, 0xff], "0001ff"),
            (vec![0x5a; 63], "5a".repeat(63).as_str()),
            ([vec![1], vec![0x5a; 64], vec![2]].concat(), "01(5a*64)02"),
        ] {
            assert_eq!(encode(&bytes), text);
            assert_eq!(decode(text).unwrap(), bytes);
        }
    }
}
