use std::time::Duration;

/// A duration as a column: `[   0.003s]`.
pub(super) fn column(duration: Duration) -> String {
    format!("[{:>8.3}s]", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Duration::from_micros(3_400), "[   0.003s]")]
    #[case(Duration::from_millis(3_599_999), "[3599.999s]")]
    fn a_duration_is_a_column(#[case] duration: Duration, #[case] expected: &str) {
        assert_eq!(column(duration), expected);
    }
}
