//! Times as the human report and the bar show them.

use std::time::Duration;

/// Seconds as a column: `[   0.003s]`.
pub(super) fn column(seconds: f64) -> String {
    format!("[{seconds:>8.3}s]")
}

/// A lower limit as a column: `[> 10.000s]`.
pub(super) fn longer_than(limit: Duration) -> String {
    format!("[>{:>7.3}s]", limit.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_limit_is_as_wide_as_a_time() {
        let limit = longer_than(Duration::from_secs(10));
        assert_eq!(limit, "[> 10.000s]");
        assert_eq!(limit.len(), column(10.0).len());
    }

    #[rstest]
    #[case(0.0034, "[   0.003s]")]
    #[case(3599.999, "[3599.999s]")]
    fn seconds_are_a_column(#[case] seconds: f64, #[case] expected: &str) {
        assert_eq!(column(seconds), expected);
    }
}
