//! Random scenarios, and making those that fail small.
//!
//! A random scenario is a tree that is written as a file and read by the language like any other:
//! so whatever is found is a scenario from the first. The same seed and number give the same tree
//! on every machine.
//!
//! | file | subject |
//! |---|---|
//! | `rng` | the random numbers, our own so that seeds stay true |
//! | `generate` | [`scenario()`]: one tree |
//! | `draft` | netdevs and chardevs, and what later parts can speak of |
//! | `object` | the kinds of object, a row and a file each |
//! | `pair` | two machines as COLO joins them |
//! | `conversation` | connections between a client and the two guests |
//! | `frame`, `step` | traffic, and changes at run time |
//! | `trial`, `finding` | [`Court`] tries a scenario on several lanes; a [`Finding`] is what was wrong |
//! | `feeder` | the objects that a port's frames come from |
//! | `shrink` | [`shrink()`]: the smallest tree that fails in the same way |
//! | `reviewed` | the snapshot that a smaller scenario still differs from |
//! | `reproducer` | [`minimise`]: a finding made small; [`finished`]: as a scenario that can be committed |
//!
//! # Adding a kind of object
//!
//! Write `object/NAME.rs` with a `KIND` and put it at the end of the table in `object/mod.rs`. What
//! the object needs it asks of the draft; what it needs that the draft has not yet (an iothread,
//! a second machine) the draft learns to make.

mod conversation;
mod draft;
mod feeder;
mod finding;
mod frame;
mod generate;
mod migration;
mod object;
mod pair;
mod reproducer;
mod reviewed;
mod rng;
mod shrink;
mod step;
#[cfg(test)]
mod tests;
mod trial;

pub use finding::{Broken, Discrepancy, Fates, Finding};
pub use generate::scenario;
pub use reproducer::{Exhibit, Sizes, finished, minimise, random_case, reproduce, shows};
pub use reviewed::{Reviewed, reviewed};
pub use shrink::{Budget, Shrunk, Verdict, shrink};
pub use trial::{Answers, Court, Outcomes, Refusal, load};
