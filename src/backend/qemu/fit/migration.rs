//! What of a migration a QEMU without a guest can be asked for.

use serde_json::{Map, Value};

use crate::scenario::{Case, Verb};

/// Why a case's migrations and announcements can't be carried out: what announces itself is a NIC,
/// and the guest's side of a TAP is a socket here.
pub(super) fn unfit(case: &Case) -> Option<String> {
    case.steps.iter().find_map(|step| match &step.verb {
        Verb::Migrate { .. } => {
            Some("a migration moves a guest and its NICs, and there are none here".to_owned())
        }
        Verb::Qmp { command, args, .. }
            if command == "announce-self" && step.error.is_none() && announces(args) =>
        {
            Some("announce-self is for NICs, and the guests of TAPs have none here".to_owned())
        }
        _ => None,
    })
}

/// Whether a NIC would announce itself.
fn announces(args: &Map<String, Value>) -> bool {
    let names = args.get("interfaces").and_then(Value::as_array);
    args.get("rounds") != Some(&Value::from(0)) && names.is_none_or(|names| !names.is_empty())
}
