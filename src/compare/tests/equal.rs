use rstest::rstest;

use super::*;
use crate::record::Fate;

/// A step for each line: the port that sends, its frame's last byte, and the ports where as much
/// comes out.
fn record(steps: &str) -> Transcript {
    let steps = (1..).zip(steps.lines()).map(|(number, line)| {
        let mut words = line.split_whitespace();
        let (port, byte) = (words.next().unwrap(), words.next().unwrap());
        let data = ethernet(byte.as_bytes());
        let mut of = step(number as usize, &format!("send {port}"));
        of.sent = vec![sent(number, port, &data)];
        let arrivals = words.map(|port| match port {
            "out0" => bytes_at("out0", &framed(&data)),
            port => frame_at(port, &data),
        });
        of.arrivals = arrivals.collect();
        of
    });
    transcript(steps.collect())
}

/// What came out of each port, in order.
fn labels(record: &Transcript) -> Vec<String> {
    let text = text(record);
    let lines = text.lines().filter(|line| line.contains("<-"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Two ports send the same bytes.
#[rstest]
#[case::held_until_the_other_sent_it(
    "hn0.guest a
     hn0.host a out0",
    &["out0 <- #1"]
)]
#[case::whom_the_port_heard_before(
    "hn0.host a out0
     hn0.guest b
     hn0.host b out0",
    &["out0 <- #1", "out0 <- #3"]
)]
#[case::what_came_out_elsewhere_waits_no_more(
    "hn0.guest a hn0.host
     hn0.host a out0",
    &["hn0.host <- #1", "out0 <- #2"]
)]
#[case::not_its_own(
    "hn0.guest a
     hn0.host a hn0.guest",
    &["hn0.guest <- #2"]
)]
#[case::what_was_lost_before_is_not_what_is_sent_again(
    "hn0.guest a
     hn0.guest a out0",
    &["out0 <- #2"]
)]
#[case::both_came_out(
    "hn0.guest a out0
     hn0.host a out0",
    &["out0 <- #1", "out0 <- #2"]
)]
fn whose_frame_came_out(#[case] steps: &str, #[case] expected: &[&str]) {
    assert_eq!(labels(&record(steps)), expected);
}

#[test]
fn what_a_comparer_lets_go_keeps_its_order() {
    let mut record = record("hn0.guest a\nhn0.guest b");
    let fate = Fate::Checkpoint;
    let released = EventKind::Released { fate, with: None };
    let spent = EventKind::Spent { fate, with: None };
    let order = |kind: EventKind| [2, 1].map(|number| event(Some(number), "comp0", kind.clone()));
    record.steps[1].events = [order(released), order(spent)].concat();
    let text = text(&record);
    assert!(
        text.contains("    ~ released #2 #1 by comp0: checkpoint\n    ~ spent #1 #2 by comp0"),
        "{text}"
    );
}
