//! Which cases of a suite run: by name, tag and shard.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::{base::CaseId, scenario::Case};

/// Which cases run: those that every part lets pass.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Any of these must match the case's name; all cases when there is none.
    pub names: Vec<Pattern>,
    /// Each must hold.
    pub tags: Vec<TagRule>,
    /// This shard.
    pub partition: Option<Partition>,
}

impl Selection {
    /// Whether the case runs.
    #[must_use]
    pub fn selects(&self, case: &Case) -> bool {
        (self.names.is_empty() || self.names.iter().any(|name| name.matches(&case.id)))
            && self.tags.iter().all(|rule| rule.holds(|tag| case.tags.contains(tag)))
            && self.partition.is_none_or(|partition| partition.holds(&case.id))
    }
}

/// A pattern for case names: part of the name, or, with `*` or `?` in it, the whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Pattern {
    /// Whether the case's name fits. `*` stands for any characters, `/` among them, `?` for one.
    #[must_use]
    pub fn matches(&self, case: &CaseId) -> bool {
        if self.0.contains(['*', '?']) {
            glob(&self.0, case.as_str())
        } else {
            case.as_str().contains(&self.0)
        }
    }
}

/// Matches the whole text. Where a `*` took too little, the last one takes a character more, so the
/// time is at most the product of the lengths.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// One `--tag`: alternatives separated by commas, each a tag or, with `!`, its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule(Vec<(bool, String)>);

/// A `--tag` that names no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no tag: write 'tag', '!tag' or 'one,other'")]
pub struct ParseTagError(String);

impl FromStr for TagRule {
    type Err = ParseTagError;

    fn from_str(text: &str) -> Result<Self, ParseTagError> {
        let alternative = |part: &str| {
            let (wanted, tag) = part.strip_prefix('!').map_or((true, part), |tag| (false, tag));
            if tag.is_empty() { None } else { Some((wanted, tag.to_owned())) }
        };
        text.split(',')
            .map(|part| alternative(part.trim()))
            .collect::<Option<Vec<_>>>()
            .map(Self)
            .ok_or_else(|| ParseTagError(text.to_owned()))
    }
}

impl fmt::Display for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (wanted, tag)) in self.0.iter().enumerate() {
            let (comma, not) = (if at > 0 { "," } else { "" }, if *wanted { "" } else { "!" });
            write!(f, "{comma}{not}{tag}")?;
        }
        Ok(())
    }
}

impl TagRule {
    fn holds(&self, has: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|(wanted, tag)| has(tag) == *wanted)
    }
}

/// A shard: `hash:2/4` is the second of four. A case's shard depends on its name alone, so it stays
/// where it is when others come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// From 1.
    index: u64,
    /// How many there are.
    of: u64,
}

/// Not `hash:K/N` with 1 <= K <= N.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a partition: write 'hash:K/N' with K from 1 to N")]
pub struct ParsePartitionError(String);

impl FromStr for Partition {
    type Err = ParsePartitionError;

    fn from_str(text: &str) -> Result<Self, ParsePartitionError> {
        let parse = || {
            let (index, of) = text.strip_prefix("hash:")?.split_once('/')?;
            Some(Self { index: index.parse().ok()?, of: of.parse().ok()? })
        };
        parse()
            .filter(|partition| (1..=partition.of).contains(&partition.index))
            .ok_or_else(|| ParsePartitionError(text.to_owned()))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hash:{}/{}", self.index, self.of)
    }
}

impl Partition {
    /// Which it is, from 1.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub const fn of(self) -> u64 {
        self.of
    }

    /// Whether the case is in this shard. SHA-256, so that names that differ in one character
    /// spread evenly and every build agrees.
    #[must_use]
    pub fn holds(self, case: &CaseId) -> bool {
        let digest = Sha256::digest(case.as_str());
        let hash = digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte));
        hash % self.of == self.index - 1
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("tx", "redirector/tx-outdev", true)]
    #[case("redirector/tx-outdev", "redirector/tx-outdev", true)]
    #[case("TX", "redirector/tx-outdev", false)]
    #[case("redirector/*", "redirector/tx-outdev", true)]
    #[case("tx*", "redirector/tx-outdev", false)]
    #[case("*/tx-*", "redirector/tx-outdev", true)]
    #[case("*queue=?x", "redirector/queue@queue=tx", true)]
    #[case("*queue=?x", "redirector/queue@queue=all", false)]
    #[case("a*b*c", "a-b-b-c", true)]
    #[case("a*b*c", "a-b-c-b", false)]
    #[case("*", "anything", true)]
    #[case("**a", "ba", true)]
    fn a_pattern_matches(#[case] pattern: &str, #[case] name: &str, #[case] expected: bool) {
        assert_eq!(Pattern::from(pattern).matches(&name.into()), expected);
    }

    #[rstest]
    #[case("colo", true)]
    #[case("!colo", false)]
    #[case("slow", false)]
    #[case("!slow", true)]
    #[case("slow, colo", true)]
    fn a_tag_rule_holds(#[case] rule: &str, #[case] expected: bool) {
        let rule: TagRule = rule.parse().unwrap();
        assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
        assert_eq!(rule.holds(|tag| tag == "colo"), expected);
    }

    #[rstest]
    #[case("")]
    #[case("!")]
    #[case("a,,b")]
    fn a_tag_rule_names_a_tag(#[case] rule: &str) {
        assert_eq!(rule.parse::<TagRule>(), Err(ParseTagError(rule.to_owned())));
    }

    #[rstest]
    #[case("hash:0/4")]
    #[case("hash:5/4")]
    #[case("hash:1/0")]
    #[case("count:1/4")]
    #[case("hash:1")]
    #[case("hash:-1/4")]
    fn a_partition_is_one_of_its_number(#[case] text: &str) {
        assert_eq!(text.parse::<Partition>(), Err(ParsePartitionError(text.to_owned())));
    }

    #[test]
    fn every_case_is_in_exactly_one_shard_and_no_shard_is_empty() {
        let shards: Vec<Partition> =
            (1..=4).map(|index| format!("hash:{index}/4").parse().unwrap()).collect();
        let mut sizes = [0; 4];
        for number in 0..200 {
            let case = CaseId::from(format!("redirector/case@n={number}"));
            let holding: Vec<usize> = (0..4).filter(|shard| shards[*shard].holds(&case)).collect();
            assert_eq!(holding.len(), 1, "{case}");
            sizes[holding[0]] += 1;
        }
        assert!(sizes.iter().all(|size| *size > 20), "{sizes:?}");
    }

    #[test]
    fn a_shard_does_not_depend_on_the_build() {
        let shard: Partition = "hash:1/2".parse().unwrap();
        let held: Vec<bool> =
            ["a", "b", "c", "d"].iter().map(|name| shard.holds(&(*name).into())).collect();
        assert_eq!(held, [true, true, true, false]);
    }
}
