//! The JSON Schemas of what is written for programs: made from the types, kept in `docs/`.

use std::{borrow::Cow, env, fs, path::Path};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};

use super::{
    json::Line,
    record::{DiagnosticRecord, RunRecord},
};

/// A line of `--format json`: an event, or a diagnostic that keeps a run from beginning.
enum Told {}

impl JsonSchema for Told {
    fn schema_name() -> Cow<'static, str> {
        "Told".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let either = [
            generator.subschema_for::<Line<'static>>(),
            generator.subschema_for::<DiagnosticRecord>(),
        ];
        json_schema!({ "anyOf": either })
    }
}

/// As it is written: what is left out where there is nothing to say is not required.
fn schema<T: JsonSchema>(id: &str, title: &str) -> String {
    let mut schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), id.into());
    schema.insert("title".to_owned(), title.into());
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

/// With `INSTA_UPDATE=always` the files are written, as insta writes its snapshots.
#[test]
fn the_schemas_are_those_of_the_types() {
    let events = schema::<Told>("events.schema.json", "A line of tapwright run --format json");
    let run = schema::<RunRecord>("run.schema.json", "tapwright run --report json=FILE");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let update = env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always");
    for (name, schema) in [("events.schema.json", events), ("run.schema.json", run)] {
        let path = folder.join(name);
        if update {
            fs::write(&path, &schema).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == schema,
            "docs/{name} is stale: INSTA_UPDATE=always cargo test --lib schema"
        );
    }
}
