//! The type of a diagnostic's stable code. Every part's errors have one.

use std::fmt;

/// A diagnostic's stable code. Families: `TW-S` scenario, `TW-R` redirector and objects, `TW-N`
/// network, `TW-P` packet and snapshot, `TW-E` environment. A code is never used again for another
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
