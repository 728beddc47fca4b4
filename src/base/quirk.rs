//! The table of quirks: where a QEMU departs from what it documents, since when, and the evidence
//! for it. The machine asks for them, and the reference is generated from the table.

use std::fmt;

use super::QemuVersion;

/// What a quirk is, where it is seen, and what its mended behaviour is.
#[derive(Clone, Copy, Debug)]
pub struct QuirkInfo {
    /// The name a scenario uses.
    pub name: &'static str,
    /// What this QEMU does.
    pub behaviour: &'static str,
    /// What a mended QEMU does, and the profile `ideal`.
    pub mended: &'static str,
    /// Where it was read or measured: QEMU file, record, bug number.
    pub evidence: &'static str,
    /// The versions that have it.
    pub versions: &'static [QemuVersion],
}

/// Declares the quirks: the enum and its table can't drift apart.
macro_rules! quirks {
    ($($(#[$doc:meta])* $variant:ident = $name:literal in $versions:ident {
        behaviour: $behaviour:literal,
        mended: $mended:literal,
        evidence: $evidence:literal,
    })+) => {
        /// A named way in which a QEMU version departs from what its documentation promises.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Quirk {
            $($(#[$doc])* $variant,)+
        }

        impl Quirk {
            /// Every quirk, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            #[must_use]
            pub const fn info(self) -> QuirkInfo {
                match self {
                    $(Self::$variant => QuirkInfo {
                        name: $name,
                        behaviour: $behaviour,
                        mended: $mended,
                        evidence: $evidence,
                        versions: $versions,
                    },)+
                }
            }
        }
    };
}

/// The released versions `$qemu`, and those of the RFC's four trees.
macro_rules! and_the_rfc {
    ($($qemu:ident),*) => {
        &[
            $(QemuVersion::$qemu,)*
            QemuVersion::RfcV1,
            QemuVersion::RfcV2,
            QemuVersion::RfcV3,
            QemuVersion::RfcV4,
        ]
    };
}

const EVERY_QEMU: &[QemuVersion] = and_the_rfc![Qemu72, Qemu100, Qemu102, Qemu111];
const ONLY_7_2: &[QemuVersion] = &[QemuVersion::Qemu72];
const SINCE_10_0: &[QemuVersion] = and_the_rfc![Qemu100, Qemu102, Qemu111];
/// Before QEMU commit 5193528b9f7c, which let `status` attach and detach the handlers of `indev`.
const BEFORE_INDEV_STATUS: &[QemuVersion] =
    &[QemuVersion::Qemu72, QemuVersion::Qemu100, QemuVersion::Qemu102];
/// With that commit.
const SINCE_INDEV_STATUS: &[QemuVersion] = and_the_rfc![Qemu111];
const BEFORE_11_1: &[QemuVersion] = and_the_rfc![Qemu72, Qemu100, Qemu102];
/// The versions of the RFC in which a redirector captures by itself.
const CAPTURES_BY_ITSELF: &[QemuVersion] = &[QemuVersion::RfcV2, QemuVersion::RfcV3];
const SINCE_11_1: &[QemuVersion] = &[QemuVersion::Qemu111];

quirks! {
    /// After the first disconnect an `indev` is never read again.
    IndevDeafAfterClose = "indev-deaf-after-close" in BEFORE_INDEV_STATUS {
        behaviour: "after its first disconnect an indev is never read again, though its chardev accepts the next client",
        mended: "the next client's frames are injected; a frame cut by the disconnect is discarded",
        evidence: "net/filter-mirror.c:176-189; measured: 'R indev close at boundary, reconnect'",
    }
    /// A status of `off` does not stop `indev`.
    OffIndevInjects = "off-indev-injects" in BEFORE_INDEV_STATUS {
        behaviour: "a redirector with status=off still injects what its indev receives",
        mended: "the indev of a filter that is off is not read; what was sent meanwhile waits, and is injected when the filter is on again",
        evidence: "net/filter-mirror.c:137-155; QEMU commit 5193528b9f7c; measured: 'R status=off indev still injects?'",
    }
    /// A bogus length is found out only when the bytes have been swallowed.
    OversizeFoundLate = "oversize-found-late" in EVERY_QEMU {
        behaviour: "a length over 69632 is accepted; up to 69632 bytes are swallowed before the error, then the indev is deaf and its connection stays open",
        mended: "the length is refused when its word is complete, and the connection is closed",
        evidence: "net/net.c:2079-2174; measured: 'R indev length 0xffffffff header then few bytes'",
    }
    /// An empty frame stops the traffic of a netdev for good.
    EmptyFrameWedges = "empty-frame-wedges" in EVERY_QEMU {
        behaviour: "a frame of length 0 waits for the next byte, then blocks its direction of the netdev for ever",
        mended: "empty frames are dropped at once",
        evidence: "net/socket.c:96-112, net/queue.c; measured: 'X zero-length from A with no filter'",
    }
    /// An unread `outdev` freezes the main loop.
    OutdevStallFreezes = "outdev-stall-freezes" in EVERY_QEMU {
        behaviour: "a connected outdev that nobody reads freezes the main loop, QMP included, once its socket is full; one that only this main loop reads, for good, when a filter-buffer releases more than a socket takes",
        mended: "frames for a stalled outdev queue without limit and the rest of the machine goes on",
        evidence: "net/filter-mirror.c:127-134, chardev/char.c qemu_chr_write_buffer with write_all",
    }
    /// Every failed write is reported as EPERM.
    SendErrorSaysEperm = "send-error-says-eperm" in EVERY_QEMU {
        behaviour: "every failed write to an outdev is logged as 'Operation not permitted': -1 is printed as an errno",
        mended: "the log says 'Input/output error', the errno of the failed write",
        evidence: "net/filter-mirror.c:191-232, chardev/char-socket.c:136-140; measured: 'R queue=tx outdev not connected'",
    }
    /// `queue=all` injects what `indev` receives in both directions.
    IndevAllInjectsTwice = "indev-all-injects-twice" in EVERY_QEMU {
        behaviour: "with queue=all a frame from indev is injected twice, towards the guest and towards the host",
        mended: "it is injected once, towards the guest",
        evidence: "net/filter-mirror.c:137-155; measured: 'R queue=all indev connected'",
    }
    /// `position=id=` may name an object that is not a filter.
    PositionCastAborts = "position-cast-aborts" in SINCE_10_0 {
        behaviour: "position=id= naming an object that is not a filter aborts in a build with QOM cast debugging",
        mended: "refused: filter '%s' belongs to a different netdev",
        evidence: "net/filter.c:260-273; measured: 'R position=id=<iothread object>'",
    }
    /// Properties that fix the wiring can be changed, to no effect.
    QomSetWithoutEffect = "qom-set-without-effect" in EVERY_QEMU {
        behaviour: "qom-set of netdev, indev, outdev and position is accepted and shown but changes nothing",
        mended: "refused: the property can only be set when the object is created",
        evidence: "net/filter.c:129-134, net/filter-mirror.c:413-457; measured: 'R qom-set outdev after create has no effect'",
    }
    /// A packet that is sent now overtakes those that wait.
    QueueOvertakes = "queue-overtakes" in EVERY_QEMU {
        behaviour: "a packet sent when the receiver is ready again is delivered before those that were queued",
        mended: "packets are delivered in the order in which they were sent",
        evidence: "net/queue.c:196-244; measured: 'X stop/cont: tx outdev and rx indev while stopped'",
    }
    /// Injected packets beyond 10,000 vanish.
    InjectDropsWhenFull = "inject-drops-when-full" in EVERY_QEMU {
        behaviour: "packets injected by a filter are dropped in silence when 10000 already wait for the receiver",
        mended: "they wait without limit",
        evidence: "net/queue.c:102,127",
    }
    /// Half of `vnet_hdr_support` can be changed at run time.
    VnetSetReachesOutdevOnly = "vnet-set-reaches-outdev-only" in EVERY_QEMU {
        behaviour: "qom-set vnet_hdr_support changes what is written to outdev but not how indev is read",
        mended: "it changes both, from the next frame on",
        evidence: "net/filter-mirror.c:270-325; measured: 'X indev vnet hdr_support set by qom-set after creation'",
    }
    /// The announced virtio-net header length is not looked at.
    IndevIgnoresVnetLen = "indev-ignores-vnet-len" in EVERY_QEMU {
        behaviour: "the virtio-net header length that indev receives is read and ignored: the header is injected as part of the frame, whatever the netdev has",
        mended: "the header is brought to the length of the netdev it is injected into, or taken off",
        evidence: "net/filter-mirror.c:270-276, net/net.c:2100-2160",
    }
    /// A buffer that is full loses packets without a word.
    BufferDropsWhenFull = "buffer-drops-when-full" in EVERY_QEMU {
        behaviour: "a filter-buffer holds 10000 packets; what comes after them vanishes, and its sender is told that it was sent",
        mended: "packets are held without limit",
        evidence: "net/filter-buffer.c:63-84, net/queue.c:127; measured on 7.2.22: 10050 frames sent within an interval, the first 10000 released",
    }
    /// A dump has the virtio-net header in front of each frame.
    DumpKeepsVnetHeader = "dump-keeps-vnet-header" in ONLY_7_2 {
        behaviour: "filter-dump writes the netdev's virtio-net header into the file as if it were the beginning of the frame",
        mended: "the header is left out, as the file's link type, Ethernet, promises",
        evidence: "net/dump.c before QEMU commit 481c52320a26 (8.0); measured on 7.2.22: a frame of 64 bytes to a virtio NIC has 74 in the file",
    }
    /// A frame that is shorter than the virtio-net header kills QEMU.
    DumpShortFrameAborts = "dump-short-frame-aborts" in SINCE_10_0 {
        behaviour: "a frame that is shorter than the netdev's virtio-net header aborts QEMU when it reaches a filter-dump",
        mended: "such a frame is not written, and passes",
        evidence: "net/dump.c:61-90 leaves out more than the frame has, util/iov.c iov_copy asserts that it can; read, not measured",
    }
    /// A refused dump closes a descriptor that is not its own.
    DumpRefusalClosesStdin = "dump-refusal-closes-stdin" in EVERY_QEMU {
        behaviour: "a filter-dump that is refused closes descriptor 0: first standard input, later whatever has taken its number, the file of another dump or a chardev's connection",
        mended: "nothing is closed",
        evidence: "net/dump.c:99-103; measured on 7.2.22: the next dump's file is descriptor 0, and the next refusal stops it with 'network dump write error'",
    }
    /// The end of a burst is lost when its writer closes.
    HangupLosesTail = "hangup-loses-tail" in ONLY_7_2 {
        behaviour: "when a peer writes more than 4096 bytes and closes at once, only the first read's worth is processed",
        mended: "everything that was written is read before the hang-up is honoured",
        evidence: "chardev/char-socket.c before QEMU commit 8bd8b04adc9f; measured: 64 of 200 frames arrived",
    }
    /// A multiplexer's slots are never given back.
    MuxSlotsLeak = "mux-slots-leak" in ONLY_7_2 {
        behaviour: "a multiplexed chardev counts the users it ever had: the fifth is refused though others have gone, and chardev-remove is always refused",
        mended: "a slot is free again when its user has gone",
        evidence: "chardev/char-fe.c, chardev/char.c qemu_chr_is_busy of 7.2; a bit set in 10.2.2",
    }
    /// A connection that the client closes first is never forgotten.
    RewriterPassiveClose = "rewriter-passive-close" in EVERY_QEMU {
        behaviour: "the number of the guest's FIN is kept as the client counts and compared with an acknowledgement as the guest counts, and the FIN's own data is not counted: unless both guests chose the same number and the FIN is bare, a connection that the client closes first is never forgotten, and what comes later on its ports is translated with its offset",
        mended: "the connection is forgotten when both FINs are acknowledged",
        evidence: "net/filter-rewriter.c:123-127,226-230; measured on 7.2.22: 'W passive close, other ISN, stray ACK'",
    }
    /// A connection that the guest closes first is never forgotten.
    RewriterActiveClose = "rewriter-active-close" in EVERY_QEMU {
        behaviour: "the guest's FIN is noticed only in a segment without ACK, which no TCP sends: a connection that the guest closes first is never forgotten; and if it is, the guest's last acknowledgement goes out untranslated",
        mended: "the connection is forgotten when both FINs are acknowledged",
        evidence: "net/filter-rewriter.c:164-172,236-240; measured on 7.2.22: 'W active close with ACK, stray ACK', 'W active close without ACK'",
    }
    /// Before the handshake is over, the guest's numbers are shifted by a whole number.
    RewriterHalfOpenShift = "rewriter-half-open-shift" in EVERY_QEMU {
        behaviour: "between the guest's SYN,ACK and the client's ACK the guest's whole initial number counts as the offset: a segment that the guest sends then gets a number near 0",
        mended: "nothing is translated before the offset is known",
        evidence: "net/filter-rewriter.c:190-221; measured on 7.2.22: 'W guest segment between SYN,ACK and ACK'",
    }
    /// The client's ACK before the guest's SYN,ACK spoils the connection.
    RewriterEarlyAck = "rewriter-early-ack" in EVERY_QEMU {
        behaviour: "when the client's ACK, which answers the primary, overtakes the secondary's SYN,ACK, the offset lacks the secondary's number for as long as the connection lives: the ACK arrives as 1, and what the secondary sends is shifted the wrong way",
        mended: "the ACK waits for the secondary's SYN,ACK",
        evidence: "net/filter-rewriter.c:95-112; measured on 7.2.22: 'W ACK before the SYN,ACK'",
    }
    /// A repeated SYN shifts a connection twice.
    RewriterSynAgain = "rewriter-syn-again" in EVERY_QEMU {
        behaviour: "a SYN that the client repeats after the handshake begins the handshake anew but keeps the offset: the next ACK is subtracted from it a second time",
        mended: "a SYN with the same number changes nothing, one with another number begins a connection",
        evidence: "net/filter-rewriter.c:88-112; measured on 7.2.22: 'W SYN again after the handshake'",
    }
    /// A connection that the guest opens is not translated.
    RewriterGuestOpens = "rewriter-guest-opens" in EVERY_QEMU {
        behaviour: "a connection that the guest opens is never translated: the client acknowledges the primary's number, which the secondary refuses",
        mended: "the client's SYN,ACK tells the offset; it is translated, and so is all that follows",
        evidence: "net/filter-rewriter.c:76-88,200-206; measured on 7.2.22: 'W guest opens'",
    }
    /// RST means nothing.
    RewriterIgnoresRst = "rewriter-ignores-rst" in EVERY_QEMU {
        behaviour: "RST ends no connection: what comes later on its ports is translated with its offset; and the number of a guest's RST without ACK is not translated",
        mended: "it is translated, and ends the connection",
        evidence: "net/filter-rewriter.c:71-250; measured on 7.2.22: 'W RST from the client, stray ACK', 'W RST from the guest'",
    }
    /// Selective acknowledgements are not translated.
    RewriterSackUntranslated = "rewriter-sack-untranslated" in EVERY_QEMU {
        behaviour: "selective acknowledgements keep the primary's numbers while the acknowledgement beside them is translated",
        mended: "they are translated too",
        evidence: "net/filter-rewriter.c:102-118; measured on 7.2.22: 'W SACK'",
    }
    /// A wrong checksum becomes right.
    RewriterLaundersCorruption = "rewriter-launders-corruption" in EVERY_QEMU {
        behaviour: "the checksum of a translated segment is made anew: a segment that was damaged on its way arrives with a right one",
        mended: "the checksum is updated by what changed (RFC 1624): a wrong one stays wrong",
        evidence: "net/filter-rewriter.c:112-118, net/checksum.c:60-183; measured on 7.2.22: 'W bad checksum, translated'",
    }
    /// With IP options the checksum lands in the middle of the header.
    RewriterIpOptions = "rewriter-ip-options" in EVERY_QEMU {
        behaviour: "the checksum is made as if the IPv4 header had 20 bytes: with IP options it is written over TCP's flags or acknowledgement",
        mended: "the header's own length counts",
        evidence: "net/checksum.c:60-183; measured on 7.2.22: 'W IP options'",
    }
    /// Fragments are taken for segments.
    RewriterManglesFragments = "rewriter-mangles-fragments" in EVERY_QEMU {
        behaviour: "the payload of a later fragment is taken for a TCP header and rewritten; so is a packet of another IP version",
        mended: "only what has a TCP header is translated",
        evidence: "net/colo.c:43-98; measured on 7.2.22: 'W later fragment', 'W IP version 6 in an IPv4 header'",
    }
    /// A checksum that the device shall complete is completed twice.
    RewriterPartialChecksum = "rewriter-partial-checksum" in EVERY_QEMU {
        behaviour: "a translated segment whose virtio-net header says NEEDS_CSUM gets a whole checksum and keeps the flag: whoever completes it makes it wrong",
        mended: "the sum of the pseudo-header does not depend on the numbers and is left alone",
        evidence: "net/filter-rewriter.c:112-118, net/checksum.c:60-183; read, not measured: it takes a virtio NIC",
    }
    /// Segments that had to wait go on only behind a later one.
    RewriterStrandsQueue = "rewriter-strands-queue" in EVERY_QEMU {
        behaviour: "segments that come while the VM is stopped wait in the rewriter until it sends a later segment, or is deleted; then they come out behind that one",
        mended: "they go on at once and wait for the receiver like any other packet",
        evidence: "net/filter-rewriter.c:46-54,366-377, net/queue.c:196-244; measured on 7.2.22: 'W stop, packets wait, cont'",
    }
    /// A checkpoint in the middle of a handshake spoils the connection.
    RewriterCheckpointInHandshake = "rewriter-checkpoint-in-handshake" in EVERY_QEMU {
        behaviour: "a checkpoint between SYN,ACK and ACK forgets the secondary's number but not that the handshake is open: the ACK arrives as 1, and the connection stays shifted by the whole number",
        mended: "a handshake that is open at a checkpoint is the primary's, and needs no translation",
        evidence: "net/filter-rewriter.c:345-352; measured on 7.2.22: 'W checkpoint in the handshake'",
    }
    /// Too many connections, and all are forgotten.
    RewriterForgetsAll = "rewriter-forgets-all" in EVERY_QEMU {
        behaviour: "a new connection when 16385 are tracked makes filter-rewriter forget all of them: those that live are not translated any more",
        mended: "the table grows",
        evidence: "net/colo.c:225-252; measured on 7.2.22: one connection of a SYN flood more or less",
    }
    /// TCP in an 802.1Q frame is left alone.
    RewriterIgnoresVlan = "rewriter-ignores-vlan" in EVERY_QEMU {
        behaviour: "802.1Q frames are not looked into, though 802.1ad ones are, and VLANs do not tell connections apart",
        mended: "up to two tags of either kind are looked behind, and are part of the connection",
        evidence: "net/colo.c:68-90; measured on 7.2.22: 'W 802.1Q', 'W 802.1ad', 'W VLANs are not part of the key'",
    }
    /// An empty frame kills QEMU.
    RewriterEmptyFrameAborts = "rewriter-empty-frame-aborts" in EVERY_QEMU {
        behaviour: "an empty frame aborts QEMU when it reaches filter-rewriter; one missing vnet_hdr_support on the way makes such frames of others",
        mended: "it passes",
        evidence: "net/colo.c:51; measured on 7.2.22: 'W empty frame'",
    }
    /// A refused `colo-compare` kills QEMU.
    CompareErrorCrashes = "compare-error-crashes" in BEFORE_11_1 {
        behaviour: "a colo-compare that is refused after its schema was checked kills QEMU: the destructor of what was never completed destroys a mutex that was never made",
        mended: "it is refused with the text that QEMU has for it",
        evidence: "net/colo-compare.c:1407-1445, util/qemu-thread-posix.c:81; measured: 'CC unknown primary_in'; P08",
    }
    /// An empty frame kills colo-compare.
    CompareEmptyFrameAborts = "compare-empty-frame-aborts" in EVERY_QEMU {
        behaviour: "an empty frame on primary_in or secondary_in aborts QEMU",
        mended: "empty frames are dropped at once",
        evidence: "net/colo.c:51,169, net/colo-compare.c:251-261; P03",
    }
    /// A slow reader of outdev gets the newest packet first.
    CompareBacklogNewestFirst = "compare-backlog-newest-first" in EVERY_QEMU {
        behaviour: "what waits for a slow reader of outdev is written newest first",
        mended: "it is written in the order in which it was released",
        evidence: "net/colo-compare.c:731,819; QEMU commit a5f038e2c5e2; P01",
    }
    /// The newest packet that is not TCP is compared and flushed first.
    CompareNontcpNewestFirst = "compare-nontcp-newest-first" in EVERY_QEMU {
        behaviour: "of a connection that is not TCP the primary's newest packet is compared first, and a checkpoint releases the newest first: equal traffic asks for checkpoints and is reordered",
        mended: "the oldest first",
        evidence: "net/colo-compare.c:233,673,1340; QEMU commit a5f038e2c5e2; P02",
    }
    /// TCP is compared pair by pair, wherever the two packets begin.
    CompareSegmentsPairwise = "compare-segments-pairwise" in EVERY_QEMU {
        behaviour: "the two TCP packets with the lowest sequence numbers are compared wherever they begin: an overlapping or reordered segment asks for a checkpoint though the bytes are equal, and a packet without payload goes on with any packet of the secondary",
        mended: "a packet goes on, in the order of arrival, when the secondary has sent the same bytes at the same place of the stream and acknowledged as much",
        evidence: "net/colo-compare.c:351-500; P30, P46, P53",
    }
    /// The last acknowledgement counts as the highest.
    CompareLastAck = "compare-last-ack" in EVERY_QEMU {
        behaviour: "of what a guest acknowledged the last number counts, not the highest, and numbers are compared as if they did not wrap",
        mended: "the highest counts, as TCP counts sequence numbers",
        evidence: "net/colo-compare.c:211, 399-420; P32",
    }
    /// A comparison up to sequence number 0 is forgotten.
    CompareSeqZeroUnset = "compare-seq-zero-unset" in EVERY_QEMU {
        behaviour: "a pair that ends exactly at sequence number 0 counts as not compared: its retransmission is compared with what follows",
        mended: "0 is a number like any other",
        evidence: "net/colo-compare.c:431-445; P33",
    }
    /// Ethernet's padding is compared.
    ComparePaddingIsPayload = "compare-padding-is-payload" in EVERY_QEMU {
        behaviour: "what pads a short frame counts as payload: a padded frame and an unpadded one with the same packet differ",
        mended: "a packet ends where its IPv4 header says",
        evidence: "net/colo-compare.c:201-217, 507-560; P34",
    }
    /// Payload lengths are counted in 16 bits.
    CompareLengthsWrap = "compare-lengths-wrap" in EVERY_QEMU {
        behaviour: "the length of what is compared is kept in 16 bits: of 65536 bytes and more only the rest is compared",
        mended: "every byte is compared",
        evidence: "net/colo.h:37-58, net/colo-compare.c:201-217, 320-349",
    }
    /// Protocols that are not known are compared with all their headers.
    CompareOthersWhole = "compare-others-whole" in EVERY_QEMU {
        behaviour: "of protocols other than TCP, UDP and ICMP the whole frame is compared: addresses of Ethernet, IP id and time to live differ where nothing is wrong",
        mended: "what follows the IPv4 header is compared",
        evidence: "net/colo-compare.c:570-598; P35",
    }
    /// Fragments that differ are never compared.
    CompareFragmentsApart = "compare-fragments-apart" in EVERY_QEMU {
        behaviour: "what stands where the ports would be counts as the ports of a later fragment, which has none: fragments that differ there are of different connections, and each waits for its like until it has waited too long; one of TCP is read as if it began with a TCP header",
        mended: "later fragments of two hosts and a protocol are compared as they are",
        evidence: "net/colo.c:100-139; measured on 7.2.22: two later fragments that differ, no request; P36",
    }
    /// The primary's header lengths are used on the secondary's packet.
    CompareVnetOfPrimary = "compare-vnet-of-primary" in EVERY_QEMU {
        behaviour: "the virtio-net and IPv4 header lengths of the primary's packet are taken for the secondary's too, and sizes are compared with them: the same packet behind another header differs",
        mended: "each packet is compared from where its own headers end",
        evidence: "net/colo-compare.c:507-560; P40",
    }
    /// A full queue loses the primary's packets.
    CompareQueueFullDrops = "compare-queue-full-drops" in EVERY_QEMU {
        behaviour: "when max_queue_size packets and one more are held, the next is discarded in silence, the primary's too",
        mended: "it is held all the same, and a checkpoint is asked for",
        evidence: "net/colo-compare.c:219-242, 276-293; P37, H48",
    }
    /// Too many connections destroy what is held of all of them.
    CompareTableClearDestroys = "compare-table-clear-destroys" in EVERY_QEMU {
        behaviour: "when more than 16384 connections are tracked, the next one makes colo-compare forget all of them, and what it held of them is lost",
        mended: "connections are tracked without a limit",
        evidence: "net/colo.c:220-252; QEMU commit a18d436954c5; P29; measured on 7.2.22: of 16386 connections with a packet each a checkpoint releases the last one's",
    }
    /// `max_queue_size` is one for all comparers.
    MaxQueueSizeGlobal = "max-queue-size-global" in EVERY_QEMU {
        behaviour: "max_queue_size of the comparer that was set last is that of all comparers, even if that one was refused or deleted",
        mended: "each comparer has its own",
        evidence: "net/colo-compare.c:63,1123-1147; P37",
    }
    /// `qom-set` of `max_queue_size` keeps 32 bits.
    MaxQueueSizeCut = "max-queue-size-cut" in EVERY_QEMU {
        behaviour: "qom-set of max_queue_size takes 64 bits and keeps 32: 4294967296 is 0, and a queue holds one packet",
        mended: "refused: Parameter 'max_queue_size' expects uint32_t",
        evidence: "net/colo-compare.c:1123-1147; P37, seen on 7.2.22",
    }
    /// `notify_dev` is read with the virtio-net word and written without it.
    CompareNotifyVnetAsymmetry = "compare-notify-vnet-asymmetry" in EVERY_QEMU {
        behaviour: "with vnet_hdr_support messages on notify_dev need the virtio-net length word to be understood; what is written there never has it",
        mended: "messages never have it, either way",
        evidence: "net/colo-compare.c:742,1296-1297; P39",
    }
    /// Half a frame that a disconnect cut is completed by the next client's bytes.
    CompareKeepsHalfFrame = "compare-keeps-half-frame" in EVERY_QEMU {
        behaviour: "what a disconnect cut on an input of colo-compare is completed with the next client's bytes: a mixed frame, and a stream that is read out of step",
        mended: "the cut frame is discarded, and the next client begins anew",
        evidence: "net/colo-compare.c:969-989; P06",
    }
    /// What a comparer holds is lost when it is deleted.
    CompareDeleteLosesHeld = "compare-delete-loses-held" in EVERY_QEMU {
        behaviour: "object-del of colo-compare lets go of outdev first: what it held, and what waited for a slow reader, is lost",
        mended: "it is released before",
        evidence: "net/colo-compare.c:1426-1445; P19",
    }
    /// Deleting a comparer waits for the reader of its outdev.
    CompareDeleteWaits = "compare-delete-waits" in EVERY_QEMU {
        behaviour: "object-del of colo-compare freezes the main loop until a write that waits for a slow reader of outdev has ended",
        mended: "object-del answers at once",
        evidence: "net/colo-compare.c:1426-1445; P18",
    }
    /// A `notify_dev` that is set late hangs the deletion.
    CompareNotifySetHangs = "compare-notify-set-hangs" in EVERY_QEMU {
        behaviour: "qom-set of notify_dev on a colo-compare that was made without one changes the name alone, nothing is ever sent there; object-del then waits for ever for the sender that was never made, and QMP answers no more",
        mended: "object-del answers at once",
        evidence: "net/colo-compare.c:1426-1445; measured on 7.2.22 by random agreement",
    }
    /// Half a frame that a disconnect cut is completed by the next client's bytes.
    IndevKeepsHalfFrame = "indev-keeps-half-frame" in SINCE_INDEV_STATUS {
        behaviour: "what a disconnect cut on an indev is completed with the next client's bytes: a mixed frame, and a stream that is read out of step",
        mended: "the cut frame is discarded, and the next client begins anew",
        evidence: "net/filter-mirror.c since QEMU commit 5193528b9f7c; measured on 11.1.3",
    }
    /// What a guest sends is not captured.
    CaptureHostToGuestOnly = "capture-host-to-guest-only" in CAPTURES_BY_ITSELF {
        behaviour: "a packet socket captures only what goes to the guest (PACKET_OUTGOING); what the guest sends is not captured, whatever queue says",
        mended: "queue says what is captured: tx what goes to the guest, rx what the guest sends, all both",
        evidence: "v2 of the RFC, March 2026: of what the socket has, PACKET_OUTGOING alone is taken",
    }
    /// A refused `colo-compare` freezes QEMU.
    CompareErrorFreezes = "compare-error-freezes" in SINCE_11_1 {
        behaviour: "a colo-compare that is refused once its iothread is set freezes QEMU for good: the destructor waits for what was never begun, QMP answers no more, and SIGTERM does not end it",
        mended: "it is refused with the text that QEMU has for it",
        evidence: "net/colo-compare.c; measured on 11.1.3: 'CC unknown primary_in' freezes, 'CC unknown iothread' and 'CC max_queue_size=0', which are found out before, are refused",
    }
}

impl Quirk {
    /// The name a scenario uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|quirk| quirk.name() == name)
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
