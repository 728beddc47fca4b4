//! The order in which the setters of an object run.

use serde_json::json;

use super::*;
use crate::{
    base::QemuVersion::Qemu102,
    qapi::{Source, spec},
};

#[test]
fn setters_run_in_the_order_of_their_buckets() {
    let args = json!({"qom-type": "filter-buffer", "id": "b", "netdev": "n", "interval": 0});
    let core = Core::new(crate::base::Profile::new(Qemu102));
    let refused = |spec: &Spec| run_setters(spec, &core).unwrap_err().desc;
    let mut spec = spec(Source::Json(args.as_object().unwrap()), Qemu102, false).unwrap();
    assert_eq!(refused(&spec), "Property 'filter-buffer.interval' requires a positive value");
    spec.values.insert("status", "zz".into());
    assert_eq!(refused(&spec), "Invalid value for netfilter status, should be 'on' or 'off'");
}
