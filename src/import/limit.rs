//! How much a paste may be, and what it may grow to.

pub const MAX_BYTES: usize = 256 << 10;
/// Most bytes that variables and commands write, each as often as it is used.
pub(super) const MAX_WRITTEN: usize = 1 << 20;
/// Deepest nesting of what stands for unset variables, and of arrays.
pub(super) const MAX_DEPTH: usize = 16;
/// Most netdevs, chardevs, objects and commands.
pub(super) const MAX_PARTS: usize = 2000;

/// Why a paste is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasteError {
    #[error("the paste has {bytes} bytes; at most {MAX_BYTES} are read")]
    TooLong {
        /// How long it is, as far as it was read.
        bytes: usize,
    },
    /// Its variables, written out, are too long.
    #[error(
        "the variables, loops and functions of the paste, written out wherever they are used, come to \
         {written} bytes and more; at most {MAX_WRITTEN} are written"
    )]
    Written {
        /// How much was asked for when it became too much.
        written: usize,
    },
    /// Its variables or arrays stand in one another.
    #[error("variables or arrays of the paste are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// It has too many parts.
    #[error("the paste has more than {MAX_PARTS} netdevs, chardevs, objects and commands")]
    TooMany,
}
