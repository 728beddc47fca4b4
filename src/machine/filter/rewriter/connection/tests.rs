//! The states of a rewritten connection, segment by segment.

use rstest::rstest;

use super::*;
use crate::base::QemuVersion;
use flag::{ACK, FIN, RST, SYN};

/// The client's first number, the primary's and the secondary's.
const CLIENT: u32 = 1999;
const PRIMARY: u32 = 5000;
const SECONDARY: u32 = 9000;
const OFFSET: u32 = SECONDARY - PRIMARY;

/// A segment, and whose it is.
#[derive(Clone, Copy)]
struct Sent {
    client: bool,
    flags: u8,
    seq: u32,
    ack: u32,
    payload: u32,
}

const fn client(flags: u8, seq: u32, ack: u32) -> Sent {
    Sent { client: true, flags, seq, ack, payload: 0 }
}

const fn guest(flags: u8, seq: u32, ack: u32) -> Sent {
    Sent { client: false, ..client(flags, seq, ack) }
}

const HANDSHAKE: [Sent; 3] = [
    client(SYN, CLIENT, 0),
    guest(SYN | ACK, SECONDARY, CLIENT + 1),
    client(ACK, CLIENT + 1, PRIMARY + 1),
];

/// What happened to a segment.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Shift(u32),
    /// Shifted, and the connection is forgotten.
    Last(u32),
    Held,
}
use Fate::{Held, Last, Shift};

/// Plays segments; a connection that was forgotten begins anew, as it does in the table.
fn play(profile: &Profile, sent: &[Sent]) -> Vec<Fate> {
    let mut connection = Connection::default();
    let mut fate = |sent: &Sent| {
        let tcp = TcpHeader { seq: sent.seq, ack: sent.ack, length: 20, flags: sent.flags };
        let payload = sent.payload;
        let segment = Segment { tcp, payload };
        let verdict = if sent.client {
            connection.client_sends(profile, &segment)
        } else {
            connection.guest_sends(profile, &segment)
        };
        if verdict.forget {
            connection = Connection::default();
        }
        match verdict {
            Verdict { hold: true, .. } => Held,
            Verdict { forget: true, shift, .. } => Last(shift),
            Verdict { shift, .. } => Shift(shift),
        }
    };
    sent.iter().map(&mut fate).collect()
}

fn qemu(without: Option<Quirk>) -> Profile {
    Profile::new(QemuVersion::Qemu102).without(without)
}

fn after_handshake(profile: &Profile, sent: &[Sent]) -> Vec<Fate> {
    let fates = play(profile, &[&HANDSHAKE, sent].concat());
    fates.into_iter().skip(HANDSHAKE.len()).collect()
}

#[rstest]
#[case::qemu(QemuVersion::Qemu72)]
#[case::mended(QemuVersion::Ideal)]
fn the_client_opens(#[case] version: QemuVersion) {
    let profile = Profile::new(version);
    let data = [client(ACK, CLIENT + 1, PRIMARY + 1), guest(ACK, SECONDARY + 1, CLIENT + 1)];
    let fates = play(&profile, &[&HANDSHAKE[..], &data].concat());
    let expected = [Shift(0), Shift(0), Shift(OFFSET), Shift(OFFSET), Shift(OFFSET)];
    assert_eq!(fates, expected);
}

#[rstest]
#[case::same(PRIMARY, 0)]
#[case::below(PRIMARY - 1, u32::MAX)]
#[case::past_the_end(4, 4_u32.wrapping_sub(PRIMARY))]
fn offsets_wrap(#[case] secondary: u32, #[case] offset: u32) {
    let opening = [HANDSHAKE[0], guest(SYN | ACK, secondary, CLIENT + 1), HANDSHAKE[2]];
    let fates = play(&qemu(None), &opening);
    assert_eq!(fates[2], Shift(offset));
}

/// T2 without an answer, T3 on a connection that never opened: nothing is known, nothing is done.
#[rstest]
fn a_connection_in_the_middle(
    #[values(client(ACK, 77, 88), guest(ACK, 88, 77), client(FIN | ACK, 77, 88), guest(FIN, 88, 0))]
    sent: Sent,
    #[values(QemuVersion::Qemu72, QemuVersion::Ideal)] version: QemuVersion,
) {
    let profile = Profile::new(version);
    assert_eq!(play(&profile, &[sent, sent]), [Shift(0), Shift(0)]);
}

#[rstest]
#[case::quirk(None, SECONDARY)]
#[case::mended(Some(Quirk::RewriterHalfOpenShift), 0)]
fn a_guest_that_speaks_before_the_handshake_is_over(
    #[case] without: Option<Quirk>,
    #[case] shift: u32,
) {
    let mut sent = HANDSHAKE.to_vec();
    sent.insert(2, guest(ACK, SECONDARY + 1, CLIENT + 1));
    let fates = play(&qemu(without), &sent);
    assert_eq!(fates[2..], [Shift(shift), Shift(OFFSET)]);
}

#[rstest]
#[case::quirk(None, Shift(0_u32.wrapping_sub(PRIMARY)), 0_u32.wrapping_sub(PRIMARY))]
#[case::mended(Some(Quirk::RewriterEarlyAck), Held, OFFSET)]
fn an_ack_before_the_guests_answer(
    #[case] without: Option<Quirk>,
    #[case] early: Fate,
    #[case] later: u32,
) {
    let [syn, answer, ack] = HANDSHAKE;
    let fates = play(&qemu(without), &[syn, ack, answer, ack]);
    assert_eq!(fates, [Shift(0), early, Shift(0), Shift(later)]);
}

#[test]
fn a_reset_does_not_wait_for_the_guests_answer() {
    let profile = Profile::new(QemuVersion::Ideal);
    let reset = client(RST | ACK, CLIENT + 1, PRIMARY + 1);
    let fates = play(&profile, &[HANDSHAKE[0], reset]);
    assert!(matches!(fates[1], Last(_)), "{fates:?}");
}

#[rstest]
#[case::quirk(None, OFFSET.wrapping_sub(PRIMARY))]
#[case::mended(Some(Quirk::RewriterSynAgain), OFFSET)]
fn a_syn_again(#[case] without: Option<Quirk>, #[case] shift: u32) {
    let [syn, _, ack] = HANDSHAKE;
    assert_eq!(after_handshake(&qemu(without), &[syn, ack])[1], Shift(shift));
}

#[rstest]
fn a_port_used_again(#[values(None, Some(Quirk::RewriterSynAgain))] without: Option<Quirk>) {
    let opening = [client(SYN, 70, 0), guest(SYN | ACK, 700, 71), client(ACK, 71, 601)];
    assert_eq!(after_handshake(&qemu(without), &opening)[2], Shift(100));
}

/// The guest opens with 9000, the primary has done so with 5000.
#[rstest]
#[case::quirk(None, 0)]
#[case::mended(Some(Quirk::RewriterGuestOpens), OFFSET)]
fn the_guest_opens(#[case] without: Option<Quirk>, #[case] offset: u32) {
    let sent = [
        guest(SYN, SECONDARY, 0),
        guest(SYN, SECONDARY, 0),
        client(SYN | ACK, 70, PRIMARY + 1),
        guest(ACK, SECONDARY + 1, 71),
        client(ACK, 71, PRIMARY + 1),
        client(SYN | ACK, 70, PRIMARY + 1),
        guest(SYN, SECONDARY, 0),
    ];
    let mut expected = vec![Shift(0), Shift(0)];
    expected.extend((0..5).map(|_| Shift(offset)));
    assert_eq!(play(&qemu(without), &sent), expected);
}

#[test]
fn a_guest_that_opens_on_a_port_used_again() {
    let profile = Profile::new(QemuVersion::Ideal);
    let sent = [guest(SYN, 800, 0), client(SYN | ACK, 90, 401), guest(ACK, 801, 91)];
    let fates = after_handshake(&profile, &sent);
    assert_eq!(fates, [Shift(0), Shift(400), Shift(400)]);
}

/// Client first: FIN, its ACK, the guest's FIN, its ACK, then a stray one.
#[rstest]
#[case::quirk(None, SECONDARY, 0, Shift(OFFSET), Shift(OFFSET))]
#[case::mended(Some(Quirk::RewriterPassiveClose), SECONDARY, 0, Last(OFFSET), Shift(0))]
#[case::quirk_same_number(None, PRIMARY, 0, Last(0), Shift(0))]
#[case::quirk_same_number_with_data(None, PRIMARY, 3, Shift(0), Shift(0))]
#[case::mended_with_data(Some(Quirk::RewriterPassiveClose), SECONDARY, 3, Last(OFFSET), Shift(0))]
fn the_client_closes_first(
    #[case] without: Option<Quirk>,
    #[case] secondary: u32,
    #[case] payload: u32,
    #[case] last: Fate,
    #[case] stray: Fate,
) {
    let [syn, _, ack] = HANDSHAKE;
    let opening = [syn, guest(SYN | ACK, secondary, CLIENT + 1), ack];
    let fin = Sent { payload, ..guest(FIN | ACK, secondary + 1, CLIENT + 2) };
    let closing = [
        client(FIN | ACK, CLIENT + 1, PRIMARY + 1),
        guest(ACK, secondary + 1, CLIENT + 2),
        fin,
        client(ACK, CLIENT + 2, PRIMARY + 2 + payload),
        client(ACK, 3000, 1234),
    ];
    let fates = play(&qemu(without), &[opening.to_vec(), closing.to_vec()].concat());
    assert_eq!(fates[6..], [last, stray]);
}

/// Guest first: FIN, its ACK, the client's FIN, its ACK, then a stray one.
#[rstest]
#[case::quirk(None, FIN | ACK, [Shift(OFFSET), Shift(OFFSET), Shift(OFFSET), Shift(OFFSET)])]
#[case::quirk_fin_without_ack(None, FIN, [Shift(OFFSET), Last(OFFSET), Shift(0), Shift(0)])]
#[case::mended(Some(Quirk::RewriterActiveClose), FIN | ACK, [Shift(OFFSET), Shift(OFFSET), Last(OFFSET), Shift(0)])]
fn the_guest_closes_first(
    #[case] without: Option<Quirk>,
    #[case] fin: u8,
    #[case] expected: [Fate; 4],
) {
    let closing = [
        guest(fin, SECONDARY + 1, CLIENT + 1),
        client(ACK, CLIENT + 1, PRIMARY + 2),
        client(FIN | ACK, CLIENT + 1, PRIMARY + 2),
        guest(ACK, SECONDARY + 2, CLIENT + 2),
        client(ACK, 3000, 1234),
    ];
    let fates = after_handshake(&qemu(without), &closing);
    assert_eq!(fates[1..], expected);
}

#[test]
fn both_close_at_once() {
    let profile = Profile::new(QemuVersion::Ideal);
    let closing = [
        client(FIN | ACK, CLIENT + 1, PRIMARY + 1),
        guest(FIN | ACK, SECONDARY + 1, CLIENT + 1),
        client(ACK, CLIENT + 2, PRIMARY + 2),
        guest(ACK, SECONDARY + 2, CLIENT + 2),
    ];
    let fates = after_handshake(&profile, &closing);
    assert_eq!(fates[2..], [Shift(OFFSET), Last(OFFSET)]);
}

#[rstest]
#[case::client(client(RST | ACK, CLIENT + 1, PRIMARY + 1), Shift(OFFSET), Last(OFFSET))]
#[case::client_alone(client(RST, CLIENT + 1, 0), Shift(0), Last(0))]
#[case::guest(guest(RST | ACK, SECONDARY + 1, CLIENT + 1), Shift(OFFSET), Last(OFFSET))]
#[case::guest_alone(guest(RST, SECONDARY + 1, 0), Shift(0), Last(OFFSET))]
fn a_reset(#[case] reset: Sent, #[case] quirk: Fate, #[case] mended: Fate) {
    let sent = [reset, client(ACK, 3000, 1234)];
    assert_eq!(after_handshake(&qemu(None), &sent), [quirk, Shift(OFFSET)]);
    let without = qemu(Some(Quirk::RewriterIgnoresRst));
    assert_eq!(after_handshake(&without, &sent), [mended, Shift(0)]);
}

#[rstest]
#[case::open(None, 3, 0)]
#[case::quirk_in_the_handshake(None, 2, 0_u32.wrapping_sub(PRIMARY))]
#[case::mended_in_the_handshake(Some(Quirk::RewriterCheckpointInHandshake), 2, 0)]
fn a_checkpoint(#[case] without: Option<Quirk>, #[case] seen: usize, #[case] shift: u32) {
    let profile = qemu(without);
    let mut connection = Connection::default();
    let send = |connection: &mut Connection, sent: &Sent| {
        let tcp = TcpHeader { seq: sent.seq, ack: sent.ack, length: 20, flags: sent.flags };
        let segment = Segment { tcp, payload: 0 };
        if sent.client {
            connection.client_sends(&profile, &segment)
        } else {
            connection.guest_sends(&profile, &segment)
        }
    };
    for sent in &HANDSHAKE[..seen] {
        send(&mut connection, sent);
    }
    assert!(connection.is_shifted());
    connection.checkpoint(&profile);
    assert!(!connection.is_shifted());
    let verdict = send(&mut connection, &HANDSHAKE[2]);
    assert_eq!(verdict.shift, shift);
    // Both guests count as the primary does now.
    let answer = guest(ACK, PRIMARY + 1, CLIENT + 1);
    assert_eq!(send(&mut connection, &answer).shift, shift);
}
