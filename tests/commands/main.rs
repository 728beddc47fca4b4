//! Commands for people, with the real binary: conflicts, diff, doctor, enter, bundles.

mod bundle;
mod conflicts;
mod diff;
mod doctor;
mod enter;
mod trace;
