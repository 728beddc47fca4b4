//! Files that a stranger gives: every reader of the real binary is handed what is no file, what has
//! no end and what is not the stranger's to name, and must refuse it at once, without a word of
//! what is in it. Every writer is handed what must not be written to.

mod bundle;
mod outside;
mod project;
mod refused;
mod written;
