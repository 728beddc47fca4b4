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

            /// Its entry in the table.
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

const EVERY_QEMU: &[QemuVersion] = &[QemuVersion::Qemu72, QemuVersion::Qemu102, QemuVersion::Rfc];
const ONLY_7_2: &[QemuVersion] = &[QemuVersion::Qemu72];
const SINCE_10_2: &[QemuVersion] = &[QemuVersion::Qemu102, QemuVersion::Rfc];

quirks! {
    /// After the first disconnect an `indev` is never read again.
    IndevDeafAfterClose = "indev-deaf-after-close" in EVERY_QEMU {
        behaviour: "after its first disconnect an indev is never read again, though its chardev accepts the next client",
        mended: "the next client's frames are injected; a frame cut by the disconnect is discarded",
        evidence: "net/filter-mirror.c:176-189; measured: 'R indev close at boundary, reconnect'",
    }
    /// A status of `off` does not stop `indev`.
    OffIndevInjects = "off-indev-injects" in EVERY_QEMU {
        behaviour: "a redirector with status=off still injects what its indev receives",
        mended: "frames from the indev of a filter that is off are dropped",
        evidence: "net/filter-mirror.c:137-155; measured: 'R status=off indev still injects?'",
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
        behaviour: "a connected outdev that nobody reads freezes the main loop, QMP included, once its socket is full",
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
    PositionCastAborts = "position-cast-aborts" in SINCE_10_2 {
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
    DumpShortFrameAborts = "dump-short-frame-aborts" in SINCE_10_2 {
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
}

impl Quirk {
    /// The name a scenario uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The quirk of this name.
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
