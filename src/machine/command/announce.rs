//! `announce-self` (QEMU 10.2.2 `net/announce.c`, `qapi/net.json`).

use serde_json::Value;

use super::{Args, arg, done};
use crate::{
    machine::net::{AnnounceParameters, Net},
    qapi::{Kind, Property},
    record::CommandError,
};

pub(super) const ARGS: &[Property] = &[
    arg("initial", Kind::Int, true),
    arg("max", Kind::Int, true),
    arg("rounds", Kind::Int, true),
    arg("step", Kind::Int, true),
    arg("interfaces", Kind::Strings, false),
    arg("id", Kind::Str, false),
];

/// Without an id, the one that is empty.
pub(super) fn announce_self(net: &mut Net, args: &Args) -> Result<Value, CommandError> {
    let number = |name| args.get(name).and_then(Value::as_i64).unwrap_or_default();
    let names = args.get("interfaces").and_then(Value::as_array);
    let parameters = AnnounceParameters {
        initial: number("initial"),
        max: number("max"),
        rounds: number("rounds"),
        step: number("step"),
        interfaces: names.map(|names| {
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }),
    };
    net.announce_self(Some(super::text(args, "id").to_owned()), parameters);
    Ok(done())
}
