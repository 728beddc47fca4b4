//! Draws the scenario of a seed and a number.

use serde_json::{Map, Value};

use super::{
    draft::{Dialect, Draft},
    migration, object, pair,
    rng::Rng,
    step,
};

/// Percentage of scenarios in the words that every QEMU has.
const COMMON: usize = 65;
/// Percentage with what stands around the comparer of a primary.
const LOOPS: usize = 8;
/// Percentage with two machines.
const PAIRS: usize = 6;
/// Percentage of those in which a guest migrates, where the RFC's properties are there.
const MIGRATIONS: usize = 50;

/// The tree of one case of a seed. It depends on nothing else: not on the machine, the backends or
/// the other cases. It passes `check`: its `objects` are such that QEMU makes them, and what may be
/// refused is a step.
#[must_use]
pub fn scenario(seed: u64, case: u64) -> Value {
    let mut rng = Rng::of(seed, case);
    let rng = &mut rng;
    let dialect = if rng.chance(COMMON) { Dialect::Common } else { Dialect::Rfc };
    let profile = profile(dialect, rng);
    let mut root = Map::new();
    let description = format!("Case {case} of seed {seed}: a random scenario.");
    root.insert("description".to_owned(), description.into());
    root.insert("tags".to_owned(), Value::from(vec!["fuzz"]));
    if let Some(profile) = profile {
        root.insert("profile".to_owned(), profile.into());
    }
    let pairs = rng.chance(PAIRS);
    if pairs && dialect == Dialect::Rfc && rng.chance(MIGRATIONS) {
        root.append(&mut migration::draw(rng));
    } else if pairs {
        let (machines, steps) = pair::draw(dialect, rng);
        root.insert("machines".to_owned(), machines);
        root.insert("steps".to_owned(), steps);
    } else {
        alone(dialect, rng, &mut root);
    }
    root.into()
}

fn alone(dialect: Dialect, rng: &mut Rng, root: &mut Map<String, Value>) {
    let mut draft = Draft::new(dialect, rng);
    let mut made = Vec::new();
    if rng.chance(LOOPS) {
        made.extend(object::comparing_loop(&mut draft, rng).into_iter().flatten());
    }
    made.extend((0..rng.within(1, 4)).filter_map(|_| object::make(&mut draft, rng)));
    let objects: Vec<Value> = made.iter().map(|made| made.written(rng)).collect();
    let steps = step::steps(&mut draft, rng);
    let threads = (0..draft.iothreads).map(|number| format!("iothread,id=io{number}").into());
    let objects: Vec<Value> = threads.chain(objects).collect();
    root.insert("netdevs".to_owned(), draft.netdevs());
    if !draft.chardevs.is_empty() {
        root.insert("chardevs".to_owned(), draft.chardevs());
    }
    if !objects.is_empty() {
        root.insert("objects".to_owned(), objects.into());
    }
    root.insert("steps".to_owned(), steps);
}

/// Mostly the default; the quirks that others have or have not are worth a look too.
fn profile(dialect: Dialect, rng: &mut Rng) -> Option<&'static str> {
    let profiles: &[(Option<&str>, usize)] = match dialect {
        Dialect::Common => {
            &[(None, 60), (Some("qemu-7.2"), 15), (Some("qemu-10.2"), 10), (Some("ideal"), 15)]
        }
        Dialect::Rfc => &[(None, 80), (Some("ideal"), 20)],
    };
    rng.weighted(profiles, |each| each.1).and_then(|(profile, _)| *profile)
}
