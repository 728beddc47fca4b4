//! TCP as a mended comparer sees it: the same bytes at the same place of the stream.

use rstest::rstest;

use super::*;

fn exchange(frames: &[(char, Vec<u8>)]) -> (Vec<usize>, usize) {
    let mut rig = Rig::new(ideal());
    for (side, frame) in frames {
        rig.send(if *side == 'p' { "pri" } else { "sec" }, frame);
    }
    let seen = rig.look();
    let released = seen.released().into_iter().map(|tag| tag as usize - 1);
    (released.collect(), seen.asked())
}

#[rstest]
#[case::whole(&[('p', data(1, b"hello")), ('s', data(1, b"hello"))], &[0], 0)]
#[case::differ(&[('p', data(1, b"hello")), ('s', data(1, b"hellp"))], &[], 1)]
#[case::cut_otherwise(&[('p', data(1, b"abcdef")), ('p', data(7, b"gh")), ('s', data(1, b"ab")), ('s', data(3, b"cdefgh"))], &[0, 1], 0)]
#[case::part_of_it(&[('p', data(1, b"abcdef")), ('s', data(1, b"abc"))], &[], 0)]
#[case::in_order_of_arrival(&[('p', data(6, b"bbbbb")), ('p', data(1, b"aaaaa")), ('s', data(1, b"aaaaa")), ('s', data(6, b"bbbbb"))], &[0, 1], 0)]
#[case::secondary_out_of_order(&[('p', data(1, b"aaaaa")), ('s', data(6, b"bbbbb")), ('s', data(1, b"aaaaa"))], &[0], 0)]
#[case::overlap(&[('p', data(1, b"0123456789")), ('s', data(1, b"0123456789")), ('p', data(6, b"56789abcde")), ('s', data(11, b"abcde"))], &[0, 2], 0)]
#[case::retransmitted(&[('p', data(1, b"ab")), ('s', data(1, b"ab")), ('p', data(1, b"ab"))], &[0, 2], 0)]
#[case::around_0(&[('p', data(0xffff_fffe, b"abcd")), ('s', data(0xffff_fffe, b"ab")), ('s', data(0, b"cd")), ('p', data(0, b"cd"))], &[0, 3], 0)]
#[case::differs_behind_what_waits(&[('p', data(6, b"later")), ('p', data(1, b"first")), ('s', data(1, b"other"))], &[], 1)]
#[case::differs_behind_a_gap(&[('p', data(1, b"0123456789")), ('s', data(6, b"x6789"))], &[], 1)]
#[case::differs_and_is_not_acknowledged(&[('s', tcp(1, b"ab", 5, ACK)), ('p', tcp(1, b"xb", 9, ACK))], &[], 1)]
#[case::equal_behind_a_gap(&[('p', data(1, b"0123456789")), ('s', data(6, b"56789"))], &[], 0)]
#[case::acknowledged(&[('s', tcp(1, b"", 9, ACK)), ('p', tcp(1, b"", 9, ACK))], &[1], 0)]
#[case::not_yet_acknowledged(&[('s', tcp(1, b"x", 5, ACK)), ('p', tcp(1, b"", 9, ACK))], &[], 0)]
#[case::highest_counts(&[('s', tcp(1, b"", 9, ACK)), ('s', tcp(1, b"", 5, ACK)), ('p', tcp(1, b"", 9, ACK))], &[2], 0)]
#[case::acknowledged_around_0(&[('s', tcp(1, b"", 0xffff_fff0, ACK)), ('p', tcp(1, b"", 0x10, ACK))], &[], 0)]
#[case::syn_needs_anything(&[('p', tcp(1, b"", 0, SYN))], &[], 0)]
#[case::syn(&[('p', tcp(1, b"", 0, SYN)), ('s', tcp(77, b"", 0, SYN))], &[0], 0)]
#[case::same_ports_again(&[('p', data(1, b"ab")), ('s', data(1, b"ab")), ('p', tcp(0xffff, b"", 5, SYN | ACK)), ('s', tcp(0xffff, b"", 5, SYN | ACK)), ('p', data(1, b"cd"))], &[0, 2], 0)]
fn a_stream(#[case] frames: &[(char, Vec<u8>)], #[case] released: &[usize], #[case] asked: usize) {
    assert_eq!(exchange(frames), (released.to_vec(), asked));
}

/// A checkpoint makes the secondary what the primary is: repeated bytes need no comparison.
#[test]
fn after_a_checkpoint_what_it_released_counts_as_compared() {
    let mut rig = Rig::new(ideal());
    rig.pri(&tcp(1, b"lost", 9, ACK));
    rig.checkpoint();
    let again = rig.pri(&tcp(1, b"lost", 9, ACK));
    assert_eq!(rig.released(), [1, again]);
    let other = rig.pri(&tcp(5, b"new", 9, ACK));
    assert!(rig.released().is_empty());
    rig.sec(&tcp(5, b"new", 9, ACK));
    assert_eq!(rig.released(), [other]);
}
