//! `tapwright redirect`: the redirector as a program of its own, between interfaces and sockets of a
//! real machine. Frames stay where the kernel put them: in the ring of a packet socket, or in the buffer
//! that a stream is read into. From there they are sent on, many with one system call.
//!
//! What it refuses, and how streams are framed, it asks the [`machine`](crate::machine), so that a
//! scenario tells what it will do. The command (`cli`) words its [`Notice`]s.
//!
//! | part | subject |
//! |---|---|
//! | `address` | a chardev as it is written |
//! | `config` | what is asked for, checked |
//! | `counter` | what is counted, and its three forms |
//! | `capture` | frames from an interface |
//! | `receive` | frames from a stream |
//! | `held` | the frames that have come in and not gone out |
//! | `outlet` | frames on their way out |
//! | `link` | the connection of a chardev |
//! | `watch` | interfaces that go and come back |
//! | `metrics` | the counters on a socket |
//! | `notice` | what happens beside the frames |
//! | `signal` | what signals ask for |
//! | `engine` | the loop |
//! | `mirred` | filters of the kernel's that mirror frames |
//! | `offload` | a redirector whose work the kernel does |

mod address;
mod capture;
mod config;
mod counter;
mod engine;
mod error;
mod held;
mod link;
mod metrics;
mod mirred;
mod notice;
mod offload;
mod outlet;
mod receive;
mod signal;
mod watch;

pub use address::Chardev;
pub use config::{Config, End, Properties};
pub use counter::{Counters, DropReason, Status, Traffic};
pub use engine::Redirector;
pub use error::{EXPLANATIONS, RedirectError};
pub use notice::Notice;
pub use offload::Offload;
