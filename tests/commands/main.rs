//! Commands for people, with the real binary: conflicts, doctor, enter, bundles.

mod bundle;
mod conflicts;
mod doctor;
mod enter;
mod trace;
