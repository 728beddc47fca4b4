//! The schema of the language against the language: what is shipped fits, what is wrong does not.

use std::{path::Path, sync::Arc};

use jsonschema::Validator;
use rstest::rstest;
use serde_json::Value;
use tapwright::{diag::Source, runner, scenario};

fn validator() -> Validator {
    jsonschema::draft7::new(&scenario::schema()).expect("a schema")
}

fn tree(path: &Path, text: &str) -> Value {
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    scenario::tree::read(&Arc::new(source)).expect("YAML")
}

/// Why a scenario does not fit, with the place of each fault.
fn faults(validator: &Validator, tree: &Value) -> Vec<String> {
    validator.iter_errors(tree).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn every_shipped_scenario_fits() {
    let validator = validator();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [root.join("scenarios"), root.join("src/cli/template")];
    let files = runner::find(&files).expect("the suite");
    assert!(files.len() > 300, "{}", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file.path).expect("a scenario");
        let faults = faults(&validator, &tree(&file.path, &text));
        assert!(faults.is_empty(), "{}: {faults:#?}", file.path.display());
    }
}

#[rstest]
#[case::an_unknown_key("netdevz: {}")]
#[case::an_unknown_key_below("netdevs: {hn0: {vhots: true}}")]
#[case::another_type("netdevs: {hn0: {mtu: many}}")]
#[case::beyond_the_range("netdevs: {hn0: {mtu: 5}}")]
#[case::another_word("netdevs: {hn0: {nic: e1000}}")]
#[case::no_boolean("chardevs: {c0: {server: maybe}}")]
#[case::no_list("objects: filter-mirror")]
#[case::no_map("netdevs: 5")]
#[case::an_unknown_verb("steps: [{sent: hn0.guest}]")]
#[case::an_unknown_key_of_a_step("steps: [{send: hn0.guest, frame: []}]")]
#[case::a_verb_without_its_arguments("steps: [send]")]
#[case::an_unknown_layer("steps: [{send: hn0.guest, frames: [{ip: {}}]}]")]
#[case::a_missing_key("steps: [{send: hn0.guest, frames: [{ipv4: {src: 10.0.0.1}}]}]")]
#[case::no_address("steps: [{send: hn0.guest, frames: [{ipv4: {src: host, dst: 10.0.0.2}}]}]")]
#[case::no_duration("steps: [{advance: soon}]")]
#[case::a_number_for_a_duration("steps: [{advance: 3}]")]
#[case::no_mac("netdevs: {hn0: {mac: \"52:54:00\"}}")]
#[case::no_count("expect: {out0: some}")]
#[case::no_profile("profile: qemu-1.0")]
#[case::a_matrix_of_one("matrix: {queue: rx}")]
fn what_is_wrong_is_refused(#[case] text: &str) {
    let text = format!("description: A fault.\n{text}\n");
    let tree = tree(Path::new("a.yaml"), &text);
    assert_ne!(faults(&validator(), &tree), Vec::<String>::new());
    // The language says the same.
    let source = Source { path: "a.yaml".into(), text };
    assert!(scenario::parse(Arc::new(source), "a", &scenario::Disk).is_err());
}

#[test]
fn a_scenario_says_what_it_shows() {
    let tree = tree(Path::new("a.yaml"), "netdevs: {hn0: {}}\n");
    let faults = faults(&validator(), &tree);
    assert!(faults[0].contains("description"), "{faults:?}");
}

#[rstest]
#[case("netdevs: {hn0: {mtu: \"${mtu}\"}}")]
#[case("netdevs: {hn0: {vhost: \"${vhost}\"}}")]
#[case("steps: [{send: hn0.guest, frames: [{udp: {sport: \"40${i}\", dport: 0x10}}]}]")]
#[case("expect: {\"${port}\": 1}")]
#[case("steps: [stop, {cont: }]")]
#[case("chardevs: {c0: , c1: \"socket,path=a\"}")]
fn what_the_language_takes_is_taken(#[case] text: &str) {
    let tree = tree(Path::new("a.yaml"), &format!("description: Right.\n{text}\n"));
    assert_eq!(faults(&validator(), &tree), Vec::<String>::new());
}
