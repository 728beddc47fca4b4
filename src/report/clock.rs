/// Seconds as a column: `[   0.003s]`.
pub(super) fn column(seconds: f64) -> String {
    format!("[{seconds:>8.3}s]")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0034, "[   0.003s]")]
    #[case(3599.999, "[3599.999s]")]
    fn seconds_are_a_column(#[case] seconds: f64, #[case] expected: &str) {
        assert_eq!(column(seconds), expected);
    }
}
