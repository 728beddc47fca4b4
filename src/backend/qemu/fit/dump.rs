//! Which files of filter-dumps can be read beside a real QEMU.

use serde_json::Value;

use super::is_of;
use crate::{
    base::{MachineId, ObjectId},
    scenario::{Case, Object, Verb},
};

/// Why the files of a case can't be.
pub(super) fn unfit(case: &Case) -> Option<String> {
    let file = file_of_two_dumps(case)?;
    Some(format!(
        "two filter-dumps write over each other in {file}, and their times are of the wall's clock \
         here"
    ))
}

/// A file that a filter-dump opens while another one of its machine has it.
fn file_of_two_dumps(case: &Case) -> Option<String> {
    /// The dumps that are there: their machine, id and file.
    #[derive(Default)]
    struct Dumps<'c>(Vec<(&'c MachineId, &'c str, &'c str)>);

    impl<'c> Dumps<'c> {
        /// An object is made; the file, where it shares one.
        fn add(&mut self, object: &'c Object) -> Option<&'c str> {
            let properties = &object.properties;
            let file = properties.get("file").filter(|_| is_of(object, "filter-dump"))?;
            let id = properties.id().unwrap_or_default();
            let machine = &object.machine;
            let shared = self.0.iter().any(|(of, _, open)| *of == machine && *open == file);
            self.0.push((machine, id, file));
            shared.then_some(file)
        }
    }

    let refused = |id: Option<&ObjectId>| {
        let errors = &case.expect.errors;
        errors.iter().any(|(of, _)| Some(of) == id)
    };
    let mut dumps = Dumps::default();
    for object in &case.objects {
        if !refused(object.id.as_ref())
            && let Some(file) = dumps.add(object)
        {
            return Some(file.to_owned());
        }
    }
    for step in case.steps.iter().filter(|step| step.error.is_none()) {
        let shared = match &step.verb {
            Verb::ObjectAdd(object) => dumps.add(object),
            Verb::Qmp { machine, command, args } if command == "object-del" => {
                let gone = args.get("id").and_then(Value::as_str);
                let is_gone = |of: &MachineId, id: &str| of == machine && Some(id) == gone;
                dumps.0.retain(|(of, id, _)| !is_gone(of, id));
                None
            }
            _ => None,
        };
        if shared.is_some() {
            return shared.map(str::to_owned);
        }
    }
    None
}
