use serde_json::{Map, Value};

use super::{
    draft::{Dialect, Draft},
    object,
    rng::Rng,
    step,
};

/// Of a hundred scenarios, so many in the words that every QEMU has.
const COMMON: usize = 65;

/// The tree of one case of a seed. It depends on nothing else: not on the machine, the backends or
/// the other cases. It passes `check`: its `objects` are such that QEMU makes them, and what may be
/// refused is a step.
#[must_use]
pub fn scenario(seed: u64, case: u64) -> Value {
    let mut rng = Rng::of(seed, case);
    let rng = &mut rng;
    let dialect = if rng.chance(COMMON) {
        Dialect::Common
    } else {
        Dialect::Rfc
    };
    let profile = profile(dialect, rng);
    let mut draft = Draft::new(dialect, rng);
    let objects: Vec<Value> = (0..rng.within(1, 4))
        .filter_map(|_| {
            let made = object::make(&mut draft, rng)?;
            Some(made.written(rng))
        })
        .collect();
    let steps = step::steps(&mut draft, rng);
    let mut root = Map::new();
    let mut insert = |key: &str, value: Value| {
        root.insert(key.to_owned(), value);
    };
    insert(
        "description",
        format!("Case {case} of seed {seed}: a random scenario.").into(),
    );
    insert("tags", Value::from(vec!["fuzz"]));
    if let Some(profile) = profile {
        insert("profile", profile.into());
    }
    insert("netdevs", draft.netdevs());
    if !draft.chardevs.is_empty() {
        insert("chardevs", draft.chardevs());
    }
    if !objects.is_empty() {
        insert("objects", objects.into());
    }
    insert("steps", steps);
    root.into()
}

/// Mostly the default; the quirks that others have or have not are worth a look too.
fn profile(dialect: Dialect, rng: &mut Rng) -> Option<&'static str> {
    let profiles: &[(Option<&str>, usize)] = match dialect {
        Dialect::Common => &[
            (None, 60),
            (Some("qemu-7.2"), 15),
            (Some("qemu-10.2"), 10),
            (Some("ideal"), 15),
        ],
        Dialect::Rfc => &[(None, 80), (Some("ideal"), 20)],
    };
    rng.weighted(profiles, |each| each.1)
        .and_then(|(profile, _)| *profile)
}
