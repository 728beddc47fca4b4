//! Names for messages: which one was perhaps meant, and which there are. Every part of the language
//! that looks a name up asks here.

use super::node::short;

/// The nearest of some names, when it is near enough to be meant.
pub(crate) fn nearest<'n>(
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Option<String> {
    // The cost is quadratic in the length, and a name this long was not meant to be a key.
    const LONGEST: usize = 64;
    /// Among more names than that a person finds the right one otherwise.
    const MOST: usize = 300;
    if name.len() > LONGEST {
        return None;
    }
    let names = names.take(MOST).filter(|known| known.len() <= 2 * LONGEST);
    let wanted = name.to_lowercase();
    let near = names
        .clone()
        .map(|known| (strsim::damerau_levenshtein(&wanted, &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= known.len().max(wanted.len()) / 3 + 1)
        .filter(|(distance, known)| *distance < known.chars().count())
        .min_by_key(|(distance, known)| (*distance, !known.starts_with(&wanted)))
        .map(|(_, known)| known);
    // One that only ends otherwise: `ipv4.identification` for `ipv4.id`.
    let begun = || {
        names
            .filter(|known| known.len() >= 3 && wanted.len() >= 3)
            .find(|known| known.starts_with(&wanted) || wanted.starts_with(known))
    };
    near.or_else(begun).map(str::to_owned)
}

/// Names as a list in a message; of many the first, and how many more there are.
pub(crate) fn list<'n>(mut names: impl Iterator<Item = &'n str>) -> String {
    const MOST: usize = 100;
    let first: Vec<String> = names.by_ref().take(MOST).map(short).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{}, and {more} more", first.join(", ")),
    }
}
