//! Scenarios that fail for a known reason, and what is left of them when they are made small.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Budget, Verdict, edit::size, pass::PASSES, shrink};
use crate::fuzz::scenario;

const ENOUGH: Budget = Budget { runs: usize::MAX, time: None };

fn verdict(fails: bool) -> Verdict {
    if fails { Verdict::Fails } else { Verdict::Differs }
}

/// Every smaller tree that is one change away.
fn neighbours(tree: &Value) -> Vec<Value> {
    PASSES
        .iter()
        .flat_map(|pass| pass(tree))
        .filter_map(|edit| edit.applied(tree))
        .filter(|other| size(other) < size(tree))
        .collect()
}

/// Failures as far from each other as can be: some part is there; so many of something are there
/// and not fewer; the text has some property that no reason explains.
fn fails(kind: u8, seed: u64, tree: &Value) -> bool {
    let text = tree.to_string();
    match kind {
        0 => text.contains("hn0"),
        1 => tree["steps"].as_array().is_some_and(|steps| steps.len() >= 2),
        2 => text.matches("frames").count() == 1,
        3 => size(tree).1 >= 100,
        4 => text.contains("status") || text.contains("guest"),
        _ => {
            let sum = text
                .bytes()
                .fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
            sum % 3 > 0
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_result_fails_and_no_single_change_makes_it_smaller(
        case in 0u64..1000, kind in 0u8..6, seed: u64,
    ) {
        let tree = scenario(1, case);
        prop_assume!(fails(kind, seed, &tree));
        let shrunk = shrink(tree, ENOUGH, |tree| verdict(fails(kind, seed, tree)));
        prop_assert!(shrunk.complete);
        prop_assert!(fails(kind, seed, &shrunk.tree));
        for other in neighbours(&shrunk.tree) {
            prop_assert!(!fails(kind, seed, &other), "{}", other);
        }
    }

    #[test]
    fn a_budget_is_kept_and_what_is_left_still_fails(case in 0u64..1000, runs in 0usize..40) {
        let tree = scenario(1, case);
        let budget = Budget { runs, time: None };
        let mut tries = 0;
        let shrunk = shrink(tree.clone(), budget, |tree| {
            tries += 1;
            verdict(fails(0, 0, tree))
        });
        prop_assert!(tries <= runs && tries == shrunk.runs);
        prop_assert!(!fails(0, 0, &tree) || fails(0, 0, &shrunk.tree));
    }
}

#[test]
fn what_speaks_of_a_netdev_goes_with_it() {
    let tree = json!({
        "description": "d",
        "netdevs": { "hn0": {}, "hn1": {} },
        "objects": ["filter-mirror,id=m0,netdev=hn1,outdev=o", "filter-mirror,id=m1,netdev=hn0"],
        "steps": [{ "send": "hn1.guest" }, { "qom-set": { "path": "/objects/m1" } }],
        "expect": { "hn1.host": 1, "hn0.host": 1 },
    });
    let edit = super::edit::Edit::Named { id: "hn1".into() };
    assert_eq!(
        edit.applied(&tree),
        Some(json!({
            "description": "d",
            "netdevs": { "hn0": {} },
            "objects": ["filter-mirror,id=m1,netdev=hn0"],
            "steps": [{ "qom-set": { "path": "/objects/m1" } }],
            "expect": { "hn0.host": 1 },
        }))
    );
}

#[test]
fn a_number_is_found_by_halving() {
    let mut tries = 0;
    let tree = json!({ "description": "d", "len": 60_000 });
    let shrunk = shrink(tree, ENOUGH, |tree| {
        tries += 1;
        verdict(tree["len"].as_u64().is_some_and(|len| len >= 1473))
    });
    assert_eq!(shrunk.tree["len"], 1473);
    assert!(tries < 100, "{tries}");
}

#[test]
fn a_frame_goes_with_what_is_expected_of_it() {
    let tree = json!({
        "description": "d",
        "steps": [{ "send": "a", "frames": [{ "hex": "01" }, { "hex": "02" }, { "hex": "03" }] }],
        "expect": { "out0": 3 },
    });
    let count = |tree: &Value| tree["steps"][0]["frames"].as_array().map_or(0, Vec::len) as u64;
    let shrunk = shrink(tree, ENOUGH, |tree| {
        let lacking = tree["expect"]["out0"].as_u64().map(|out| out + 1 - count(tree));
        verdict(count(tree) > 0 && lacking == Some(1))
    });
    assert_eq!((count(&shrunk.tree), &shrunk.tree["expect"]["out0"]), (1, &json!(1)));
}

#[test]
fn a_comma_in_a_value_is_no_end_of_an_option() {
    let tree = json!({"objects": ["filter-dump,id=d,file=a,,b,netdev=n"]});
    let objects: Vec<String> = neighbours(&tree)
        .iter()
        .filter_map(|tree| Some(tree["objects"][0].as_str()?.to_owned()))
        .collect();
    assert_eq!(
        objects,
        [
            "filter-dump,id=d,file=a,,b",
            "filter-dump,id=d,netdev=n",
            "filter-dump,file=a,,b,netdev=n",
        ]
    );
}
