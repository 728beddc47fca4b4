//! A scenario as a plain tree, for what changes scenarios and writes them back.

use std::sync::Arc;

use serde_json::Value;

use super::{
    context::{Context, Disk},
    matrix, yaml,
};
use crate::diag::{Report, Source};

/// The tree of a scenario's text, its matrix and references as they stand there. The language is
/// not checked.
///
/// # Errors
/// When it is not YAML, or says a key twice.
pub fn read(source: &Arc<Source>) -> Result<Value, Vec<Report>> {
    let context = Context::new(Arc::clone(source), &Disk);
    let mut root = yaml::read(&context).ok_or_else(|| context.reports())?;
    yaml::drop_duplicates(&mut root, &context);
    if context.is_clean() { Ok(root.to_json()) } else { Err(context.reports()) }
}

/// The tree of one combination of the matrix, from 0, its values put in and the matrix gone. None
/// if the text has no matrix or fewer combinations.
#[must_use]
pub fn combination(source: &Arc<Source>, number: usize) -> Option<Value> {
    let context = Context::new(Arc::clone(source), &Disk);
    let root = yaml::read(&context)?;
    let matrix = matrix::read(&context, &root);
    if matrix.is_empty() {
        return None;
    }
    let values = matrix.combinations().nth(number)?;
    let mut tree = matrix::substitute(&context, &root, values)?.to_json();
    tree.as_object_mut()?.shift_remove("matrix");
    context.is_clean().then_some(tree)
}

#[cfg(test)]
pub(super) fn read_text(text: &str) -> Result<Value, Vec<Report>> {
    read(&Arc::new(Source { path: "a.yaml".into(), text: text.to_owned() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_combination_has_its_values_in_place() {
        let source = Arc::new(Source {
            path: "a.yaml".into(),
            text: "matrix: { q: [rx, tx], n: [1, 2] }\nobjects: [\"x,queue=${q}\"]\nn: ${n}\n"
                .to_owned(),
        });
        assert_eq!(combination(&source, 3), Some(json!({ "objects": ["x,queue=tx"], "n": 2 })));
        assert_eq!(combination(&source, 4), None);
    }
}
