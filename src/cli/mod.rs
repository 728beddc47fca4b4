//! The command line: one file for each command. Nothing imports it.

pub mod review;
