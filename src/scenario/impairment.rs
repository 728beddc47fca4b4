//! What an impairment is, and its texts: shares, rates. Lowering reads them; `builtin::impair`
//! carries them out.

use std::{fmt, time::Duration};

use crate::base::PortId;

/// A share of frames in parts per million, at most a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub(super) u32);

impl Share {
    pub const ALL: Self = Self(1_000_000);

    /// Parts per million; more than all is all.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(if ppm > Self::ALL.0 { Self::ALL.0 } else { ppm })
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// Reads `10%`, `0.5%`, exactly: at most four digits after the point.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let plain = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !plain(whole, 3) || !plain(fraction, 4) {
            return None;
        }
        let ppm =
            whole.parse::<u32>().ok()? * 10_000 + format!("{fraction:0<4}").parse::<u32>().ok()?;
        (ppm <= Self::ALL.0).then_some(Self(ppm))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:04}", self.0 / 10_000, self.0 % 10_000);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The direction of the frames that an impairment affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Those that arrive there.
    In,
    /// Those that are sent there.
    Out,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// What a bad network does to frames, in the words of tc-netem(8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impairment {
    /// The share that is lost.
    pub loss: Share,
    /// How long each is on its way.
    pub delay: Duration,
    /// Each is delayed by up to this much more or less, all equally likely.
    pub jitter: Duration,
    /// The share that is not delayed, and so overtakes the others.
    pub reorder: Share,
    /// The share that comes twice.
    pub duplicate: Share,
    /// The share of frames in which one bit is flipped.
    pub corrupt: Share,
    /// Bits in a second; zero for as many as there are.
    pub rate: u64,
    /// Every decision follows from it.
    pub seed: u64,
}

impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if !self.delay.is_zero() {
            words.push(format!("delay {:?}", self.delay));
        }
        if !self.jitter.is_zero() {
            words.push(format!("jitter {:?}", self.jitter));
        }
        let shares = [
            ("loss", self.loss),
            ("reorder", self.reorder),
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
        ];
        let shares = shares.into_iter().filter(|(_, share)| share.0 > 0);
        words.extend(shares.map(|(name, share)| format!("{name} {share}")));
        if self.rate > 0 {
            words.push(format!("rate {}", rate(self.rate)));
        }
        if words.is_empty() {
            return f.write_str("none");
        }
        if self.seed > 0 {
            words.push(format!("seed {}", self.seed));
        }
        f.write_str(&words.join(" "))
    }
}

/// The units of a rate, the largest first (tc(8), of 1000 each).
pub(super) const RATE_UNITS: [(&str, u64); 4] =
    [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

/// Bits in a second in the largest unit that fits.
fn rate(bits: u64) -> String {
    let unit = RATE_UNITS.iter().find(|(_, unit)| bits.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bits}bit"), |(name, unit)| format!("{}{name}", bits / unit))
}

/// Reads `1mbit`; zero is no rate.
pub(super) fn parse_rate(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, unit) = RATE_UNITS.iter().find(|(name, _)| *name == unit)?;
    if number.len() > 9 {
        return None;
    }
    number.parse::<u64>().ok().filter(|number| *number > 0)?.checked_mul(*unit)
}

/// The impairment of one direction of a port, in place of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impair {
    /// The guest port, host port or link end.
    pub port: PortId,
    pub way: Way,
    /// What happens there; the default is nothing.
    pub impairment: Impairment,
}

impl fmt::Display for Impair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.port, self.way, self.impairment)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10%", Some(100_000))]
    #[case("0.1%", Some(1_000))]
    #[case("0.0001%", Some(1))]
    #[case("100%", Some(1_000_000))]
    #[case("100.0001%", None)]
    #[case("0.00001%", None)]
    #[case("10", None)]
    #[case("-1%", None)]
    #[case(".5%", None)]
    #[case("%", None)]
    #[case("1000%", None)]
    fn shares(#[case] text: &str, #[case] ppm: Option<u32>) {
        assert_eq!(Share::parse(text).map(Share::ppm), ppm);
        if let Some(share) = Share::parse(text) {
            assert_eq!(share.to_string(), text);
        }
    }

    #[rstest]
    #[case("1mbit", Some(1_000_000))]
    #[case("1500kbit", Some(1_500_000))]
    #[case("10gbit", Some(10_000_000_000))]
    #[case("8bit", Some(8))]
    #[case("0bit", None)]
    #[case("1", None)]
    #[case("1mbps", None)]
    #[case("1.5mbit", None)]
    #[case("mbit", None)]
    #[case("", None)]
    fn rates(#[case] text: &str, #[case] bits: Option<u64>) {
        assert_eq!(parse_rate(text), bits);
        if let Some(bits) = bits {
            assert_eq!(rate(bits), text);
        }
    }

    #[test]
    fn an_impairment_is_written_in_tc_netems_words() {
        let impairment = Impairment {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(1),
            loss: Share(100_000),
            rate: 1_000_000,
            seed: 7,
            ..Impairment::default()
        };
        let text = "delay 5ms jitter 1ms loss 10% rate 1mbit seed 7";
        assert_eq!(impairment.to_string(), text);
        assert_eq!(Impairment::default().to_string(), "none");
    }
}
