//! What a record says, in words: the one place for whoever writes it down, compares it or reports it.
//!
//! - `event`: what became of frames, and what objects, ports and the machine said.
//! - [`Requests`]: a comparer's request for a checkpoint.
//! - [`Text`]: a text whose parts have roles, for a terminal to paint.
//! - `way`: the way of a frame, and what became of it.
//! - [`folded`]: words that are repeated, once each.
//!
//! How two records differ is worded in [`compare`](crate::compare), of such texts.

mod event;
mod request;
mod text;
pub(crate) mod way;

pub(crate) use event::{FateWords, Form, asked, name, of_machine, remark, rewritten};
pub use request::Requests;
pub use text::{Role, Text};

use crate::base::{VirtualTime, VnetHdr};

/// So many words of one kind in a row are one with their number.
const SAME_WORDS: usize = 5;

/// The header's fields that are not zero: `vnet flags=1 csum_start=34`.
pub(crate) fn vnet_words(vnet: VnetHdr) -> String {
    let all = vnet.to_string();
    let set = all.split(' ').filter(|word| !word.ends_with("=0"));
    ["vnet"].into_iter().chain(set).collect::<Vec<_>>().join(" ")
}

/// Seconds to the nanosecond, without zeros at the end.
pub(crate) fn seconds(time: VirtualTime) -> String {
    let elapsed = time.elapsed();
    let all = format!("{}.{:09}", elapsed.as_secs(), elapsed.subsec_nanos());
    all.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Words that stand there many times in a row, once each, with their number.
#[must_use]
pub fn folded(words: Vec<String>) -> Vec<String> {
    let runs = words.chunk_by(|one, next| one == next);
    let fold = runs.flat_map(|run| match run {
        [word, ..] if run.len() >= SAME_WORDS => vec![format!("{word} x{}", run.len())],
        few => few.to_vec(),
    });
    fold.collect()
}
