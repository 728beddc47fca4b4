//! Numbers on the command line.

use std::{
    num::{IntErrorKind, ParseIntError},
    str::FromStr,
};

/// A number from 1 on, of a type that has no 0.
pub(super) fn from_one<N: FromStr<Err = ParseIntError>>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "that is too large",
        _ => "it must be a whole number from 1 on",
    })
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU64, NonZeroUsize};

    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(from_one::<NonZeroUsize>("3"), Ok(NonZeroUsize::new(3).unwrap()));
        for text in ["0", "-1", "x", "", "1.5"] {
            let error = from_one::<NonZeroU64>(text).unwrap_err();
            assert_eq!(error, "it must be a whole number from 1 on", "{text}");
        }
        let error = from_one::<NonZeroU64>("99999999999999999999").unwrap_err();
        assert_eq!(error, "that is too large");
    }
}
