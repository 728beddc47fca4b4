//! What a run tells programs and CI systems, by the real binary: reports, their schemas, merged
//! shards, `--watch`, and the files of `docs/ci.md`.

mod docs;
mod junit;
mod merge;
mod scenario;
mod schema;
mod tap;
mod watch;
mod whole;
