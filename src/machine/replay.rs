//! `filter-replay`: records and replays a netdev's packets in QEMU's record/replay modes. Without
//! one, and a machine has none, every packet passes (QEMU 10.2.2 `net/filter-replay.c`).

use super::filter::{self, FilterClass};

pub(super) static CLASS: FilterClass = FilterClass {
    name: "filter-replay",
    setup: |_, _, _| Ok(()),
    receive: |_, _, _| 0,
    read: |_, _, _, _| true,
    closed: |_, _| {},
    changed: |_, _| {},
    deadline: |_, _| None,
    due: |_, _| {},
    colo: filter::colo,
    unfinished: |_, _| Vec::new(),
    cleanup: |_, _| {},
    refused: |_| {},
};
