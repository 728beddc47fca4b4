//! What no scenario can have as the text has it is left out, so that what is imported passes `tapwright check`.

use super::Draft;
use crate::diag::Report;

/// Most parts that are left out, and most that are tried for each.
const MAX_LEFT_OUT: usize = 64;
const MAX_TRIED: usize = 256;

/// A part of a draft that can be left out.
#[derive(Clone, Copy, Debug)]
struct Part {
    machine: usize,
    list: List,
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Steps,
    Objects,
    Chardevs,
    Netdevs,
    Bridges,
    Start,
}

impl Draft {
    /// Leaves out what `check` finds fault with, one part after the other, as long as that leaves fewer faults.
    /// What is still found is the result.
    pub fn fit(&mut self, check: &mut dyn FnMut(&mut Self) -> Vec<Report>) -> Vec<Report> {
        let mut reports = check(self);
        for _ in 0..MAX_LEFT_OUT {
            let Some(report) = reports.first().cloned() else {
                break;
            };
            let Some((better, left)) = self.without_fault(&report, &reports, check) else {
                break;
            };
            *self = better;
            reports = left;
        }
        reports
    }

    fn without_fault(
        &self,
        report: &Report,
        reports: &[Report],
        check: &mut dyn FnMut(&mut Self) -> Vec<Report>,
    ) -> Option<(Self, Vec<Report>)> {
        let mut parts = self.parts();
        // The one that the report points at is tried first.
        let text = report.source.as_ref().map(|source| source.text.as_str()).unwrap_or_default();
        let span = report.labels.first().map(|label| label.span);
        let slice = span.and_then(|span| text.get(span.start..span.end)).unwrap_or_default();
        let slice = slice.trim_matches(['"', '\'', ' ']);
        let is_it = |part: &Part| !slice.is_empty() && self.shown(*part).contains(slice);
        parts.sort_by_key(|part| !is_it(part));
        for part in parts.into_iter().take(MAX_TRIED) {
            let mut draft = self.clone();
            draft.leave_out(part, &report.message);
            let left = check(&mut draft);
            let is_gone = !left.iter().any(|one| one.message == report.message);
            if !draft.is_bare() && (left.len() < reports.len() || is_gone) {
                return Some((draft, left));
            }
        }
        None
    }

    /// Whether nothing is left to be a scenario.
    fn is_bare(&self) -> bool {
        self.machines.iter().all(|machine| {
            machine.netdevs.is_empty() && machine.chardevs.is_empty() && machine.objects.is_empty()
        }) && self.machines.iter().all(|machine| machine.refused.is_empty())
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for (machine, one) in self.machines.iter().enumerate() {
            let lists = [
                (List::Steps, one.steps.len()),
                (List::Objects, one.objects.len()),
                (List::Chardevs, one.chardevs.len()),
                (List::Netdevs, one.netdevs.len()),
                (List::Start, usize::from(one.stopped || one.incoming.is_some())),
            ];
            for (list, length) in lists {
                parts.extend((0..length).map(|at| Part { machine, list, at }));
            }
        }
        parts.extend((0..self.bridges.len()).map(|at| Part {
            machine: 0,
            list: List::Bridges,
            at,
        }));
        parts
    }

    fn shown(&self, part: Part) -> String {
        let machine = &self.machines[part.machine];
        match part.list {
            List::Steps => machine.steps[part.at].tree(machine.name.as_deref()).to_string(),
            List::Objects => format!("-object {}", machine.objects[part.at].text),
            List::Chardevs => format!("-chardev {}", machine.chardevs[part.at].text()),
            List::Netdevs => format!("-netdev {}", machine.netdevs[part.at].text()),
            List::Bridges => {
                let (name, ports) = &self.bridges[part.at];
                format!("the bridge {name} of {}", ports.join(", "))
            }
            List::Start => "-S and -incoming".to_owned(),
        }
    }

    fn leave_out(&mut self, part: Part, reason: &str) {
        let text = self.shown(part);
        let machine = &mut self.machines[part.machine];
        match part.list {
            List::Steps => drop(machine.steps.remove(part.at)),
            List::Objects => drop(machine.objects.remove(part.at)),
            List::Chardevs => drop(machine.chardevs.remove(part.at)),
            List::Netdevs => {
                let id = machine.netdevs.remove(part.at).id().unwrap_or_default().to_owned();
                let port = match &machine.name {
                    Some(name) => format!("{name}/{id}"),
                    None => id,
                };
                self.bridges.retain(|(_, ports)| !ports.contains(&port));
            }
            List::Bridges => drop(self.bridges.remove(part.at)),
            List::Start => {
                machine.stopped = false;
                machine.incoming = None;
            }
        }
        self.unfit.push((text, reason.to_owned()));
    }

    /// Takes back what was said to be refused.
    pub fn expect_no_error(&mut self) {
        self.errors.clear();
    }
}
