//! `filter-replay`: records and replays a netdev's packets in QEMU's record/replay modes. Without
//! one, and a machine has none, every packet passes (QEMU 10.2.2 `net/filter-replay.c`).

use crate::{
    machine::part::{Context, Part},
    qapi::Spec,
    record::CommandError,
};

#[derive(Debug)]
struct Replay;

pub(super) fn make(_: &mut Context<'_>, _: &Spec) -> Result<Box<dyn Part>, CommandError> {
    Ok(Box::new(Replay))
}

impl Part for Replay {}
