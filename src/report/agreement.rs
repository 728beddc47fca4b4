//! How backends compare on each case, as JSON lines. Asked for by `--agree-table`.

use std::io::{self, Write};

use serde_json::Value;

use super::{
    Event, Reporter,
    record::{AgreementRecord, CaseRecord},
};
use crate::{runner::RunEvent, terminal::json};

/// How backends compare, as JSON lines: one object for each case and pair of backends, with the
/// members `case`, `scenario`, `backends` (two names), `verdict` (`agree`, `differ`, `skipped`), and
/// `reason` where it is skipped, `differences` where it differs: each names the step, its line, the
/// port, the frame and its fields, as a mismatch does in the JSON report.
#[derive(Debug)]
pub struct AgreementTable<W> {
    out: W,
}

impl<W: Write> AgreementTable<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Reporter for AgreementTable<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            RunEvent::CaseFinished(case) => {
                let mut rows = rows(case).into_iter();
                rows.try_for_each(|row| writeln!(self.out, "{}", json(&row.to_string())))
            }
            RunEvent::Finished { .. } => self.out.flush(),
            _ => Ok(()),
        }
    }
}

fn rows(case: &CaseRecord) -> Vec<Value> {
    let row = |agreement: &AgreementRecord| {
        let mut row = serde_json::json!(agreement);
        row["case"] = case.case.as_str().into();
        row["scenario"] = case.scenario.as_str().into();
        row
    };
    case.agreement.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::{Difference, FramePair, What},
        report::fixture,
        runner::{Agreement, Verdict},
    };

    #[test]
    fn each_pair_of_each_case_has_a_row() {
        let mut run = fixture::run();
        let case = run.iter_mut().find_map(|event| match event {
            RunEvent::CaseFinished(case) => Some(case),
            _ => None,
        });
        let difference = Difference {
            step: 2,
            title: "send hn0.guest".to_owned(),
            line: 9,
            port: Some("out0".to_owned()),
            what: What::StepNew,
            frames: FramePair::default(),
        };
        let pair =
            |second: &str, verdict| Agreement { backends: ["sim".into(), second.into()], verdict };
        let pairs = [
            pair("netns", Verdict::Agree),
            pair("qemu", Verdict::Differ(vec![difference])),
            pair("other", Verdict::Skipped("other: not here".to_owned())),
        ];
        case.unwrap().agreement = pairs.iter().map(AgreementRecord::from).collect();
        let mut table = AgreementTable::new(Vec::new());
        run.iter().for_each(|event| table.event(event).unwrap());
        insta::assert_snapshot!(String::from_utf8(table.out).unwrap());
    }
}
