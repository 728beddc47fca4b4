//! The licence to touch interfaces of the host, beside [`Isolated`](super::Isolated), which is the
//! proof that there are none to touch.

/// Proof that a person named the interface on the command line. `tapwright redirect` is made for
/// interfaces of the host; only it asks for this, and no scenario can.
#[derive(Clone, Copy, Debug)]
pub struct Granted(());

impl Granted {
    /// To be called where the names come from the command line, and nowhere else.
    #[must_use]
    pub const fn by_the_command_line() -> Self {
        Self(())
    }
}
