//! Captures that are made of letters: a packet for each, whose bytes follow from the letter and, for a small
//! one, differ from the capital's in one field.

use std::{convert::Infallible, time::Duration};

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::capture::ClassicWriter;

/// A UDP packet for a letter, whose ports and data are the letter's; a small letter has the capital's with
/// another TTL. Nothing is done for checksums.
fn packet(letter: char) -> Vec<u8> {
    let ttl = if letter.is_ascii_lowercase() { 9 } else { 64 };
    let letter = u8::try_from(letter.to_ascii_uppercase()).unwrap();
    let ip = [0x45, 0, 0, 32, 0, 0, 0, 0, ttl, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let udp = [0, letter, 0, letter, 0, 12, 0, 0];
    [&[2; 12][..], &[8, 0], &ip, &udp, &[letter; 4]].concat()
}

fn capture(packets: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut writer = ClassicWriter::new(Vec::new()).unwrap();
    for packet in packets {
        writer.packet(Duration::ZERO, &packet).unwrap();
    }
    writer.into_inner()
}

fn rules(window: usize) -> CaptureRules<'static> {
    CaptureRules { masks: &[], key: &[], window }
}

fn compared(
    expected: &[u8],
    actual: &[u8],
    rules: CaptureRules<'_>,
) -> (CaptureCounts, Vec<Difference>) {
    let mut found = Vec::new();
    let tell = |difference| -> Result<(), Infallible> {
        found.push(difference);
        Ok(())
    };
    let (expected, actual) = (Stream::new(expected).unwrap(), Stream::new(actual).unwrap());
    let counts = compare_captures(expected, actual, rules, tell).unwrap();
    (counts, found)
}

/// `A>3 -B +C d`: moved, missing, extra, changed.
fn words(expected: &str, actual: &str, rules: CaptureRules<'_>) -> String {
    let files = [expected, actual].map(|text| capture(text.chars().map(packet)));
    let (_, found) = compared(&files[0], &files[1], rules);
    let word = |difference: &Difference| match &difference.what {
        What::Frame { frame, came, fields, .. } => {
            let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
            format!("{frame}:{came} {}", names.join(","))
        }
        What::Missing { frame, .. } => format!("-{frame}"),
        What::Extra { frame, .. } => format!("+{frame}"),
        What::Moved { frame, came, .. } => format!("{frame}>{came}"),
        other => format!("{other:?}"),
    };
    found.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case::the_same("ABCD", "ABCD", "")]
#[case::empty("", "", "")]
#[case::one_side_is_empty("AB", "", "-1 -2")]
#[case::lost("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABDEFGHIJKLMNOPQRSTUVWXYZ", "-3")]
#[case::extra("ABCDEFGH", "ABCXDEFGH", "+4")]
#[case::again("ABCDEFGH", "ABBCDEFGH", "+3")]
#[case::changed("ABCDEFGH", "ABcDEFGH", "3:3 ipv4.ttl")]
#[case::swapped("ABCDEFGH", "ABDCEFGH", "4>3")]
#[case::late_within_what_is_lined_up("ABCDEFGHIJKLMN", "ACDEFGHBIJKLMN", "2>8")]
#[case::lost_changed_extra("ABCDEFGH", "ACdEFGXH", "-2 4:3 ipv4.ttl +7")]
#[case::begins_later("ABCDEFGHIJ", "FGHIJ", "-1 -2 -3 -4 -5")]
fn captures_are_lined_up(#[case] expected: &str, #[case] actual: &str, #[case] found: &str) {
    assert_eq!(words(expected, actual, rules(100)), found);
}

/// `AB...`, as long as wanted, without a letter twice in many.
fn series(length: usize) -> Vec<Vec<u8>> {
    (0..length)
        .map(|n| {
            [&[0xff; 12][..], &[0x88, 0xb5], &u64::try_from(n).unwrap().to_be_bytes()].concat()
        })
        .collect()
}

#[rstest]
#[case::early_or_late(3000, 4000, "moved 1")]
#[case::beyond_the_window(500, 4000, "missing 1 extra 1")]
fn a_late_packet_is_found_up_to_the_window(
    #[case] window: usize,
    #[case] length: usize,
    #[case] found: &str,
) {
    let packets = series(length);
    let mut late = packets.clone();
    let packet = late.remove(10);
    late.insert(2000, packet);
    for (expected, actual, places) in [(&packets, &late, (11, 2001)), (&late, &packets, (2001, 11))]
    {
        let files = [expected, actual].map(|packets| capture(packets.iter().cloned()));
        let (counts, differences) = compared(&files[0], &files[1], rules(window));
        let moved = differences.iter().find_map(|difference| match difference.what {
            What::Moved { frame, came, .. } => Some((frame, came)),
            _ => None,
        });
        let words = match counts.moved {
            0 => format!("missing {} extra {}", counts.missing, counts.extra),
            moved => format!("moved {moved}"),
        };
        assert_eq!(words, found);
        assert_eq!(moved, (counts.moved > 0).then_some(places));
    }
}

#[rstest]
#[case::two_that_changed_places(60)]
#[case::two_further_apart(100)]
fn packets_that_changed_places_moved(#[case] apart: usize) {
    let packets = series(400);
    let mut swapped = packets.clone();
    swapped.swap(20, 20 + apart);
    let files = [packets, swapped].map(|packets| capture(packets.into_iter()));
    let (counts, _) = compared(&files[0], &files[1], rules(1000));
    assert_eq!((counts.same, counts.moved), (398, 2));
}

#[rstest]
#[case::within_the_window(700, false)]
#[case::beyond_it(1500, true)]
fn many_may_be_missing_in_a_row(#[case] lost: usize, #[case] beyond: bool) {
    let packets = series(4000);
    let rest: Vec<_> = packets[lost..].to_vec();
    let files = [packets, rest].map(|packets| capture(packets.into_iter()));
    let (counts, _) = compared(&files[0], &files[1], rules(1000));
    assert_eq!(counts.beyond_window, beyond);
    if !beyond {
        assert_eq!((counts.same, counts.missing), (4000 - lost, lost));
    }
}

#[test]
fn masks_are_not_compared_and_keys_tell_packets() {
    let masked = CaptureRules { masks: &["ipv4.ttl"], ..rules(100) };
    assert_eq!(words("ABCD", "AbCd", masked), "");
    // Without the key the two that are left would be a pair that only looks alike.
    let keyed = CaptureRules { key: &["udp.sport"], ..rules(100) };
    assert_eq!(words("AB", "b", keyed), "-1 2:1 ipv4.ttl");
    assert_eq!(words("ABCD", "dcba", keyed).matches("ipv4.ttl").count(), 1);
}

#[test]
fn a_capture_that_loses_nine_of_ten_is_lined_up() {
    let packets = series(5000);
    let few: Vec<_> = packets.iter().step_by(10).cloned().collect();
    let files = [packets, few].map(|packets| capture(packets.into_iter()));
    let (counts, _) = compared(&files[0], &files[1], rules(1000));
    assert_eq!((counts.same, counts.missing, counts.extra), (500, 4500, 0));
}

#[test]
fn a_capture_that_breaks_off_is_an_error_after_what_was_found() {
    let whole = capture("ABC".chars().map(packet));
    let mut found = 0;
    let tell = |_| -> Result<(), Infallible> {
        found += 1;
        Ok(())
    };
    let streams =
        (Stream::new(&whole[..]).unwrap(), Stream::new(&whole[..whole.len() - 70]).unwrap());
    let error = compare_captures(streams.0, streams.1, rules(9), tell).unwrap_err();
    assert!(matches!(error, CompareError::Actual(StreamError::Read(_))), "{error}");
}

proptest! {
    /// Every packet of either side is counted once, and only what is the same has no difference.
    #[test]
    fn every_packet_is_counted_once(
        expected in "[A-Fa-c]{0,60}",
        actual in "[A-Fa-c]{0,60}",
        window in 0_usize..40,
    ) {
        let files = [&expected, &actual].map(|text| capture(text.chars().map(packet)));
        let (counts, found) = compared(&files[0], &files[1], rules(window));
        prop_assert_eq!((counts.expected, counts.actual), (expected.len(), actual.len()));
        let both = counts.same + counts.changed + counts.moved;
        prop_assert_eq!(both + counts.missing, expected.len());
        prop_assert_eq!(both + counts.extra, actual.len());
        prop_assert_eq!(counts.is_same(), expected == actual);
        let differing = counts.changed + counts.moved + counts.missing + counts.extra;
        prop_assert_eq!(found.len(), differing);
    }

    /// A few losses, insertions and changes in a long capture are found as what they are.
    #[test]
    fn few_changes_are_found(at in prop::collection::btree_set(0_usize..80, 0..6)) {
        let packets = series(2000);
        let mut actual = packets.clone();
        for (n, at) in at.iter().rev().enumerate() {
            let at = at * 25;
            match n % 3 {
                0 => { actual.remove(at); }
                1 => actual.insert(at, vec![0xee; 40]),
                _ => actual[at][20] ^= 1,
            }
        }
        let files = [&packets, &actual].map(|packets| capture(packets.iter().cloned()));
        let (counts, _) = compared(&files[0], &files[1], rules(64));
        let lost = (0..at.len()).filter(|n| n % 3 == 0).count();
        let more = (0..at.len()).filter(|n| n % 3 == 1).count();
        prop_assert_eq!((counts.missing, counts.extra, counts.moved), (lost, more, 0));
        prop_assert_eq!(counts.changed, at.len() - lost - more);
    }
}
