use serde_json::json;

use super::*;
use crate::{
    base::QemuVersion::{Qemu72, Qemu102},
    machine::filter::CLASSES,
    qapi::{ObjectType, Source, object_type, spec},
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

#[test]
fn every_class_is_of_the_schema() {
    for class in CLASSES {
        assert!(object_type(class.name, Qemu72).is_some_and(ObjectType::is_filter));
    }
}
