//! One result of `doctor`, and what all of them amount to, as text and as JSON.

use serde_json::json;

use crate::{cli::output, terminal::visible};

/// How something that was looked at is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, less well or for less than it could.
    Limited,
    /// It does not.
    Missing,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
        }
    }
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) found: String,
    /// What does not run, or is not so good, where it is not ok.
    pub(super) means: &'static str,
    /// What to do about it.
    pub(super) remedy: Vec<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), means: "", remedy: Vec::new() }
    }

    pub(super) fn but(self, state: State, means: &'static str, remedy: Vec<String>) -> Self {
        Self { state, means, remedy, ..self }
    }
}

/// The conclusion from all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) checks: Vec<Check>,
    /// The backends, and whether each can run.
    pub(super) backends: [(&'static str, bool); 3],
}

impl Diagnosis {
    pub(super) fn text(&self) -> String {
        let width = self.checks.iter().map(|check| check.name.len()).max();
        let width = width.unwrap_or_default();
        let mut text = String::new();
        for check in &self.checks {
            let state = check.state.word();
            text += &format!("{state:>7}  {:width$}  {}\n", check.name, visible(&check.found));
            let below = " ".repeat(7 + 2 + width + 2);
            if check.state != State::Ok {
                text += &format!("{below}{}\n", check.means);
            }
            for remedy in &check.remedy {
                text += &format!("{below}-> {}\n", visible(remedy));
            }
        }
        let told: Vec<String> = self
            .backends
            .iter()
            .map(|(name, runs)| format!("{name} {}", if *runs { "runs" } else { "can't run" }))
            .collect();
        format!("{text}\nBackends: {}\n", told.join(", "))
    }

    /// An object a line.
    pub(super) fn json(&self) -> String {
        let checks = self.checks.iter().map(|check| {
            json!({
                "type": "check",
                "name": check.name,
                "state": check.state.word(),
                "found": check.found,
                "means": Some(check.means).filter(|means| !means.is_empty()),
                "remedy": check.remedy,
            })
        });
        let backends: serde_json::Map<_, _> =
            self.backends.iter().map(|(name, runs)| ((*name).to_owned(), (*runs).into())).collect();
        checks
            .chain([json!({ "type": "backends", "runs": backends })])
            .map(|line| output::json_line(&line))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis() -> Diagnosis {
        Diagnosis {
            checks: vec![
                Check::ok("namespace", "private, in a user namespace"),
                Check::ok("vhost", "/dev/vhost-net: No such file or directory").but(
                    State::Missing,
                    "cases that require vhost are skipped",
                    vec!["modprobe vhost_net".to_owned()],
                ),
            ],
            backends: [("sim", true), ("netns", true), ("qemu", false)],
        }
    }

    #[test]
    fn what_is_found_what_it_means_and_what_to_do() {
        insta::assert_snapshot!(diagnosis().text(), @r"
             ok  namespace  private, in a user namespace
        missing  vhost      /dev/vhost-net: No such file or directory
                            cases that require vhost are skipped
                            -> modprobe vhost_net

        Backends: sim runs, netns runs, qemu can't run
        ");
    }

    #[test]
    fn a_program_reads_the_same() {
        insta::assert_snapshot!(diagnosis().json(), @r#"
        {"type":"check","name":"namespace","state":"ok","found":"private, in a user namespace","means":null,"remedy":[]}
        {"type":"check","name":"vhost","state":"missing","found":"/dev/vhost-net: No such file or directory","means":"cases that require vhost are skipped","remedy":["modprobe vhost_net"]}
        {"type":"backends","runs":{"sim":true,"netns":true,"qemu":false}}
        "#);
    }
}
