//! The settings of the kernel that forbid user namespaces. `doctor` names them with their remedies.

use std::{fs, path::Path};

/// A setting that may forbid user namespaces to ordinary users.
struct Setting {
    name: &'static str,
    forbids: fn(i64) -> bool,
    /// A value that does not.
    allows: &'static str,
}

const SETTINGS: &[Setting] = &[
    // Linux 6.18 `kernel/ucount.c`.
    Setting { name: "user.max_user_namespaces", forbids: |value| value == 0, allows: "15000" },
    // A patch of Debian's and Ubuntu's.
    Setting { name: "kernel.unprivileged_userns_clone", forbids: |value| value == 0, allows: "1" },
    // A patch of Ubuntu's, since 23.10: namespaces are made, and have no privileges.
    Setting {
        name: "kernel.apparmor_restrict_unprivileged_userns",
        forbids: |value| value != 0,
        allows: "0",
    },
];

/// What confines user namespaces here: each setting that does, as it is, and the command that
/// lifts it.
pub(super) fn confinements(root: &Path) -> Vec<(String, String)> {
    SETTINGS
        .iter()
        .filter_map(|setting| {
            let Setting { name, forbids, allows } = setting;
            let text = fs::read_to_string(root.join(name.replace('.', "/"))).ok()?;
            let value: i64 = text.trim().parse().ok()?;
            forbids(value)
                .then(|| (format!("{name}={value}"), format!("sudo sysctl -w {name}={allows}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_lifted_by_name() {
        let proc_sys = tempfile::tempdir().unwrap();
        for (name, value) in [
            ("user/max_user_namespaces", "0\n"),
            ("kernel/apparmor_restrict_unprivileged_userns", "1\n"),
            ("kernel/unprivileged_userns_clone", "1\n"),
        ] {
            let path = proc_sys.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, value).unwrap();
        }
        let found = confinements(proc_sys.path());
        let lines: Vec<String> =
            found.iter().map(|(is, command)| format!("{is}: {command}")).collect();
        assert_eq!(
            lines,
            [
                "user.max_user_namespaces=0: sudo sysctl -w user.max_user_namespaces=15000",
                "kernel.apparmor_restrict_unprivileged_userns=1: sudo sysctl -w \
                 kernel.apparmor_restrict_unprivileged_userns=0",
            ]
        );
    }
}
