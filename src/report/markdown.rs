//! A run in GitHub's Markdown: job summaries, comments on merge requests.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::{
    failure, human,
    record::{CaseRecord, CaseStatus, RunRecord},
};
use crate::terminal::{visible, visible_lines};

/// Bytes after which no further failure is told in full. GitHub takes a summary of a mebibyte, and
/// shows nothing of a longer one.
const LONGEST: usize = 800 * 1024;

/// Most bytes of a remark in the table.
const REMARK: usize = 200;

/// Writes what a run came to, the cases that did not simply pass, and each failure in full.
pub(super) fn write(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(text(&record.visible()).as_bytes())
}

fn text(record: &RunRecord) -> String {
    let sums = &record.sums;
    let word = sums.outcome();
    let shard = record.run.partition.map_or_else(String::new, |shard| format!(", {shard}"));
    let mut text = format!(
        "### tapwright: {word}\n\n{} in {:.3} s ({}{shard})\n",
        inline(&human::sum(sums)),
        sums.seconds,
        inline(&record.run.backends.join(", ")),
    );
    let mut odd: Vec<&CaseRecord> = record.cases.iter().filter(|case| is_odd(case)).collect();
    odd.sort_by(|a, b| a.case.cmp(&b.case));
    if !odd.is_empty() {
        text.push_str("\n| | case | where | |\n| --- | --- | --- | --- |\n");
        for case in &odd {
            line(
                &mut text,
                format_args!(
                    "| {} | <code>{}</code> [{}] | {} | {} |",
                    human::word(case).1,
                    inline(&case.case),
                    inline(&case.backend),
                    inline(&case.place()),
                    inline(&remark(case)),
                ),
            );
        }
    }
    for diagnostic in &record.diagnostics {
        details(&mut text, &diagnostic.message, &diagnostic.rendered);
    }
    let mut left_out = 0;
    for case in odd.iter().filter(|case| case.is_bad()) {
        let failure = failure::with_ways(case, failure::Ways::Whole).into_plain();
        if text.len() + failure.len() > LONGEST {
            left_out += 1;
        } else {
            details(&mut text, &case.case, &failure);
        }
    }
    if left_out > 0 {
        line(&mut text, format_args!("\n{left_out} more in the JSON report."));
    }
    text
}

const fn is_odd(case: &CaseRecord) -> bool {
    !matches!(case.status, CaseStatus::Passed | CaseStatus::Accepted)
}

/// The first line of what is to be said of a case.
fn remark(case: &CaseRecord) -> String {
    let problem = case.problems.first().map(|problem| problem.message.clone());
    let diagnostic = case.diagnostic.as_ref().map(|one| one.message.clone());
    let remark = problem
        .or(diagnostic)
        .or_else(|| case.panic.clone())
        .or_else(|| case.reason.clone())
        .or_else(|| case.known_bug.clone())
        .unwrap_or_default();
    let line = remark.lines().next().unwrap_or_default();
    line[..line.floor_char_boundary(REMARK)].to_owned()
}

/// What is shown when somebody asks. A `<pre>` goes on to its end, whatever lines are in it.
fn details(text: &mut String, title: &str, body: &str) {
    let body = visible_lines(body).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    line(
        text,
        format_args!(
            "\n<details><summary>{}</summary>\n\n<pre>\n{}</pre>\n\n</details>",
            inline(title),
            body
        ),
    );
}

/// A text on one line of which no character is markup.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).to_string().chars() {
        match c {
            ' ' | ',' | '.' | '/' | ':' | ';' | '-' | '=' | '\'' | '(' | ')' => out.push(c),
            c if c.is_ascii_punctuation() => {
                let written = write!(out, "&#{};", u32::from(c));
                debug_assert!(written.is_ok(), "a String takes everything");
            }
            c => out.push(c),
        }
    }
    out
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(arguments);
    debug_assert!(written.is_ok(), "a String takes everything");
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Events, fixture, record::Collector};

    #[test]
    fn what_did_not_pass_is_in_a_table_and_failures_are_told_in_full() {
        insta::assert_snapshot!(text(&Collector::of(&fixture::run(), Events::OfFailures)));
    }

    #[test]
    fn a_name_is_no_markup() {
        assert_eq!(inline("a|b<c>\n@d_e"), "a&#124;b&#60;c&#62;&#92;n&#64;d&#95;e");
    }

    #[test]
    fn what_is_too_long_is_counted() {
        let mut record = Collector::of(&fixture::run(), Events::OfFailures);
        for case in &mut record.cases {
            case.panic = case.panic.as_ref().map(|_| "x".repeat(LONGEST));
        }
        let text = text(&record);
        assert!(text.ends_with("\n1 more in the JSON report.\n"), "{}", text.len());
    }
}
