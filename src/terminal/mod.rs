//! What of a text from outside may reach a terminal, a log or the runner of a CI system: of a
//! scenario, a file's name, a packet, QEMU, the kernel, the environment and the command line. Every
//! part that prints reads this.
//!
//! - [`visible`]: a value in a printed line, every control character of it written as an escape. So a
//!   value can neither end its line nor colour what follows.
//! - [`visible_lines`]: the same for a text that has lines of its own.
//! - [`visible_members`]: the same for every text of a record.
//! - [`json`]: JSON in which such characters are escapes, so that nothing is lost.
//! - [`Fence`]: the writer in front of standard output and standard error. It passes colours and lines,
//!   and nothing else that a terminal or a CI system obeys, so that a value that was forgotten is
//!   harmless.
//! - [`bar_target`]: the same for progress bars, which move the cursor.
//!
//! The notation is that of Rust's `char::escape_default`: `\n`, `\r`, `\t`, `\u{1b}`. A backslash
//! of the text stays as it is: what is shown is to be read by people, and JSON has the text itself.
//! Bytes that are no text are `\xff`.

mod bar;
mod character;
mod fence;
mod json;
mod member;
mod visible;

pub use bar::bar_target;
pub use character::is_control;
pub use fence::Fence;
pub use json::json;
pub use member::visible_members;
pub use visible::{Visible, visible, visible_lines};
