//! Builds that were configured with little.

use test_support::Project;

use crate::{
    Try,
    lab::{Lab, PROBE, run},
};

pub(crate) const TRIALS: &[(&str, Try)] =
    &[("only_what_needs_a_missing_part_is_skipped", only_what_needs_a_missing_part_is_skipped)];

/// Probes, of which one in three names the netdev of type user.
const NETDEVS: &str = "description: A mirror on each netdev.\n\
    matrix: { netdev: [hn0, us0, nope], queue: [rx, tx] }\n\
    netdevs: { hn0: {}, us0: { type: user } }\n\
    chardevs: { out0: {} }\n\
    objects: [\"filter-mirror,id=m0,netdev=${netdev},queue=${queue},outdev=out0\"]\n";

const COLO: &str = "description: A comparer.\n\
    matrix: { id: [a, b] }\n\
    chardevs: { pri: {}, sec: {}, out: {} }\n\
    objects:\n\
    - iothread,id=io0\n\
    - colo-compare,id=${id},primary_in=pri,secondary_in=sec,outdev=out,iothread=io0\n\
    steps: [{ qom-get: { path: \"/objects/${id}\", property: outdev } }]\n";

fn only_what_needs_a_missing_part_is_skipped(lab: &Lab) {
    let suite = [("a.yaml", PROBE), ("netdevs.yaml", NETDEVS), ("colo.yaml", COLO)];
    let project = Project::suite(&suite);
    let whole = run(&project, &["run", "--ci", "--agree", "sim,qemu", "--qemu", lab.qemu()]);
    assert!(whole.text.contains("9 cases run: 9 passed, 0 failed, 0 skipped"), "{}", whole.text);
    let small = lab.stand_in(&project, "small");
    let ran = run(&project, &["run", "--ci", "--agree", "sim,qemu", "--qemu", &small]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("5 cases run: 5 passed, 0 failed, 4 skipped"), "{}", ran.text);
    let version = &lab.version;
    for reason in [
        format!("QEMU {version} has no netdevs of type user"),
        format!("this build of QEMU {version} has no colo-compare"),
    ] {
        let told = format!("2 skipped: not compared: qemu: {reason}\n");
        assert_eq!(ran.stdout.matches(&told).count(), 1, "{reason}: {}", ran.text);
    }
}
