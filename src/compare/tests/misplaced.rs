//! Frames that came in another place, twice, or behind a wrong length word.

use super::*;
use crate::compare::{hexdump, render};

fn told(expected: &Transcript, actual: &Transcript) -> String {
    render(&differs(expected, actual)).into_plain()
}

fn differs(expected: &Transcript, actual: &Transcript) -> Mismatch {
    compare(&text(expected), actual, Rules::default()).unwrap()
}

/// Two steps; the frame is sent in the first.
fn two_steps(data: &[u8]) -> Transcript {
    let mut first = step(1, "send hn0.guest");
    first.sent = vec![sent(1, "hn0.guest", data)];
    transcript(vec![first, step(2, "advance 1 s")])
}

#[test]
fn late_early_and_out_of_another_port() {
    let frame = tcp(1, 1);
    let at = |step: usize, port: &str| {
        let mut transcript = two_steps(&frame);
        transcript.steps[step - 1].arrivals = vec![frame_at(port, &frame)];
        transcript
    };
    let (in_time, late) = (at(1, "hn0.host"), at(2, "hn0.host"));
    insta::assert_snapshot!(told(&in_time, &late), @"  hn0.host   frame 1 of 1 (#1) came late, in step 2 (line 12), as frame 1: IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP [ACK] seq 1 ack 1 win 8192, 0 B payload");
    insta::assert_snapshot!(told(&late, &in_time), @"  hn0.host   frame 1 of 1 (#1) came early, in step 1 (line 11), as frame 1: IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP [ACK] seq 1 ack 1 win 8192, 0 B payload");
    insta::assert_snapshot!(told(&in_time, &at(1, "out0")), @"  hn0.host   frame 1 of 1 (#1) came out of out0 instead, as frame 1 there: IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP [ACK] seq 1 ack 1 win 8192, 0 B payload");
}

#[test]
fn a_copy_that_was_expected_stays_where_it_is() {
    let frame = tcp(1, 1);
    let mut expected = two_steps(&frame);
    expected.steps[0].arrivals =
        vec![frame_at("hn0.host", &frame), bytes_at("out0", &framed(&frame))];
    let mut actual = expected.clone();
    actual.steps[0].arrivals.remove(0);
    insta::assert_snapshot!(told(&expected, &actual), @"  hn0.host   frame 1 of 1 (#1) is missing: IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP [ACK] seq 1 ack 1 win 8192, 0 B payload");
}

#[test]
fn what_comes_again_in_a_later_step_says_where_it_was() {
    let frame = ethernet(b"once");
    let mut expected = two_steps(&frame);
    expected.steps[0].arrivals = vec![frame_at("hn0.host", &frame)];
    let mut actual = expected.clone();
    actual.steps[1].arrivals = vec![frame_at("hn0.host", &frame)];
    insta::assert_snapshot!(told(&expected, &actual), @"
    hn0.host   frame 1 of 1 (#1) was not expected: 0x88b5
      the same bytes as frame 1 of step 1
    ");
}

/// Frames of one flow at a chardev, whose stream is changed.
fn stream(change: impl FnOnce(&mut Vec<u8>)) -> (Transcript, Transcript) {
    let frames = [tcp(1, 1), tcp(2, 1), tcp(3, 1)];
    let mut bytes: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
    let mut expected = two_steps(&frames[0]);
    expected.steps[0].arrivals = vec![bytes_at("out0", &bytes)];
    change(&mut bytes);
    let mut actual = expected.clone();
    actual.steps[0].arrivals = vec![bytes_at("out0", &bytes)];
    (expected, actual)
}

#[test]
fn behind_a_wrong_length_word_the_rest_is_compared() {
    let (expected, actual) = stream(|bytes| {
        bytes[3] = 200;
        bytes[58 + 3] = 50;
        bytes[2 * 58 + 4 + 45] = 9;
    });
    insta::assert_snapshot!(told(&expected, &actual), @"
    out0   frame 1 of 3 (#1) has a wrong length word
      length   54 -> 200     bytes 0..4 of what came here
      the frame behind it is as expected; what follows is read with 54
    out0   frame 2 of 3 (#1) has a wrong length word
      length   54 -> 50     bytes 58..62 of what came here
      the frame behind it is as expected; what follows is read with 54
    out0   frame 3 of 3 (#1)
      tcp.ack   1 -> 9     bytes 42..46
    ");
}

#[test]
fn padding_is_no_wrong_length_word() {
    let (expected, actual) = stream(|bytes| {
        bytes[3] += 6;
        bytes.splice(58..58, [0; 6]);
    });
    insta::assert_snapshot!(told(&expected, &actual), @"
    out0   frame 1 of 3 (#1)
      padding   none -> 000000000000     bytes 54..54
      length    54 B -> 60 B             bytes 0..54
    ");
}

#[test]
fn a_tag_that_was_put_in_and_a_checksum_that_is_wrong() {
    let plain = tcp(1, 1);
    let mut tagged = plain.clone();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x64]);
    tagged[16 + 2 + 11] ^= 0xff;
    let mut expected = two_steps(&plain);
    expected.steps[0].arrivals = vec![frame_at("hn0.host", &plain)];
    let mut actual = expected.clone();
    actual.steps[0].arrivals = vec![frame_at("hn0.host", &tagged)];
    insta::assert_snapshot!(told(&expected, &actual), @"
    hn0.host   frame 1 of 1 (#1)
      vlan            none -> 0x8100 id 100     bytes 12..16
      ipv4.checksum   0x66cd -> 0x6632          bytes 24..26   wrong: 0x66cd is due
    ");
    let hex = hexdump(&differs(&expected, &actual));
    insta::assert_snapshot!(hex, @"
    step 1, hn0.host   frame 1 of 1 (#1)
    - 0000   52 54 00 12 34 57 52 54  00 12 34 56 08 00 45 00   RT..4WRT..4V..E.
    + 0000   52 54 00 12 34 57 52 54  00 12 34 56 81 00 00 64   RT..4WRT..4V...d
    - 0010   00 28 00 01 00 00 40 06  66 cd 0a 00 00 01 0a 00   .(....@.f.......
    + 0010   08 00 45 00 00 28 00 01  00 00 40 06 66 32 0a 00   ..E..(....@.f2..
    - 0020   00 02 0f a0 00 50 00 00  00 01 00 00 00 01 50 10   .....P........P.
    + 0020   00 01 0a 00 00 02 0f a0  00 50 00 00 00 01 00 00   .........P......
    - 0030   20 00 00 00 00 00                                   .....
    + 0030   00 01 50 10 20 00 00 00  00 00                     ..P. .....
    ");
}

#[test]
fn of_a_long_text_the_part_that_differs_is_shown() {
    let long = format!("{}here{}", "a".repeat(100), "b".repeat(100));
    let other = long.replace("here", "there");
    let shown = crate::compare::side_by_side(["expected", "got"], &long, &other);
    insta::assert_snapshot!(shown, @"
    expected   …aaaaaaaaaaaaaaaaaaaaaaaaherebbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
    got        …aaaaaaaaaaaaaaaaaaaaaaaatherebbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
                                        ^ differs from character 101 on
    ");
}
