//! The report as one page that needs nothing else: it can be read without JavaScript and without a
//! network. What many cases share, topologies and packets, is in it once.

mod case;
mod packet;
mod sides;
mod steps;

use std::io::{self, Write};

use askama::Template;

use self::{
    case::{CaseView, Shared},
    packet::Packet,
};
use super::{
    human,
    record::{CaseStatus, RunRecord},
};
use crate::drawing::{self, Picture};

/// Cases that are open at first: the first that failed.
const OPEN: usize = 3;

/// The page.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'r> {
    record: &'r RunRecord,
    outcome: &'static str,
    sum: String,
    /// Words of states and how many cases are in each.
    states: Vec<(&'static str, usize)>,
    tags: Vec<String>,
    cases: Vec<CaseView>,
    topologies: Vec<Picture>,
    packets: Vec<Packet>,
    graph_style: &'static str,
    style: &'static str,
    script: &'static str,
}

/// Writes the page.
///
/// # Errors
/// When it can't be written.
pub(super) fn write(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    page(&record.visible()).write_into(out)
}

fn page(record: &RunRecord) -> Page<'_> {
    let mut cases: Vec<_> = record.cases.iter().collect();
    let bad_first = |case: &&super::record::CaseRecord| (!case.is_bad(), case.case.clone());
    cases.sort_by_key(bad_first);
    let mut shared = Shared::default();
    let mut open = OPEN;
    let views: Vec<CaseView> = cases
        .iter()
        .map(|case| {
            let opens = case.is_bad() && open > 0;
            open -= usize::from(opens);
            CaseView::of(record, case, opens, &mut shared)
        })
        .collect();
    let mut states: Vec<(&'static str, usize)> = Vec::new();
    for status in STATES {
        let count = cases.iter().filter(|case| case.status == *status).count();
        if count > 0 {
            states.push((case::state(*status), count));
        }
    }
    let mut tags: Vec<String> = cases.iter().flat_map(|case| case.tags.clone()).collect();
    tags.sort();
    tags.dedup();
    Page {
        record,
        outcome: record.sums.outcome(),
        sum: human::sum(&record.sums),
        states,
        tags,
        cases: views,
        topologies: shared.topologies(),
        packets: shared.packets.opened().collect(),
        graph_style: drawing::STYLE,
        style: include_str!("page.css"),
        script: include_str!("page.js"),
    }
}

/// The worst first.
const STATES: &[CaseStatus] = &[
    CaseStatus::Internal,
    CaseStatus::Invalid,
    CaseStatus::Failed,
    CaseStatus::Interrupted,
    CaseStatus::Pending,
    CaseStatus::Skipped,
    CaseStatus::KnownBug,
    CaseStatus::Accepted,
    CaseStatus::Passed,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Events, fixture, record::Collector};

    fn markup(events: Events) -> String {
        let record = Collector::of(&fixture::run(), events);
        let mut out = Vec::new();
        write(&record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Without what is the same on every page.
    fn own(markup: &str) -> String {
        let mut own = String::new();
        let mut rest = markup;
        for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
            let (before, after) = rest.split_once(open).unwrap();
            own += before;
            rest = after.split_once(close).unwrap().1;
        }
        own + rest
    }

    #[test]
    fn a_run_is_a_page() {
        let version = format!("tapwright {}", env!("CARGO_PKG_VERSION"));
        let page = own(&markup(Events::OfFailures));
        insta::assert_snapshot!(page.replace(&version, "tapwright VERSION"));
    }

    #[test]
    fn a_page_asks_for_nothing() {
        let page = markup(Events::OfAll);
        for word in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn what_cases_share_is_there_once() {
        let page = markup(Events::OfAll);
        assert_eq!(page.matches("<symbol").count(), 1);
        assert!(page.matches("<use").count() > 5);
    }

    #[test]
    fn names_and_texts_are_no_markup() {
        let mut record = Collector::of(&fixture::run(), Events::OfAll);
        for case in &mut record.cases {
            case.case = "<b>\"'&".to_owned();
            case.description = "</p><script>".to_owned();
            case.transcript = Some("</pre><i>".to_owned());
            case.tags = vec!["\" onclick=x".to_owned()];
        }
        let page = own(&page(&record).render().unwrap());
        for markup in ["<b>\"", "<script>", "<i>", "\" onclick"] {
            assert!(!page.contains(markup), "{markup}");
        }
    }
}
