//! `filter-dump`: writes every packet into a classic pcap file and passes it on (QEMU 10.2.2
//! `net/dump.c`).

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

use crate::{
    base::{ObjectId, Opened, QemuVersion, Quirk, Sink, VirtualTime, opened},
    machine::{
        core::{ChardevKey, Core, DescriptorZero, ObjectKey, Packet},
        error::generic,
        part::{Action, Context, Part, Verdict},
    },
    qapi::Spec,
    record::{CommandError, DropReason, EventKind, Place},
};

/// Bytes of each packet that are kept unless `maxlen` says otherwise.
const MAXLEN: u64 = 65_536;

#[derive(Debug)]
struct Dump {
    /// Its file's name; empty for a device.
    file: String,
    /// `maxlen` when it was made; a later one is only shown.
    maxlen: u32,
    descriptor: Descriptor,
}

/// What a dump writes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Descriptor {
    /// One of its own, and where in its file it writes next.
    Own(u64),
    /// One of its own, of a device.
    Sink(Sink),
    /// Number 0, which was free when the file was opened, and which others may close.
    Zero,
    /// None: a write failed.
    Closed,
}

/// The files that dumps of the machine write; none for one that writes through descriptor 0.
#[derive(Debug, Default)]
struct Files(BTreeMap<ObjectKey, Option<String>>);

pub(super) fn make(cx: &mut Context<'_>, spec: &Spec) -> Result<Box<dyn Part>, CommandError> {
    let path = spec.text("file").unwrap_or_default();
    let target = opened(path).map_err(|error| {
        generic(match cx.core.profile.version() {
            QemuVersion::Qemu111 => format!("Could not open '{path}': {error}"),
            _ => format!("net dump: can't open {path}: {error}"),
        })
    })?;
    let maxlen = spec.values.get("maxlen").and_then(Value::as_u64);
    let maxlen = u32::try_from(maxlen.unwrap_or(MAXLEN)).unwrap_or(u32::MAX);
    let file = match target {
        Opened::File(name) => name.to_owned(),
        Opened::Sink(sink) => {
            let descriptor = match cx.core.descriptor_opened(DescriptorZero::Sink(sink)) {
                true => Descriptor::Zero,
                false => Descriptor::Sink(sink),
            };
            return Ok(Box::new(Dump { file: String::new(), maxlen, descriptor }));
        }
    };
    if let Some(other) = other_dump_of(cx.core, &file) {
        let notice = format!(
            "{file} is {other}'s file too: it is emptied, and each writes at its own place in it, \
             over what the other wrote"
        );
        cx.event(None, EventKind::Notice(notice));
    }
    let header = header(maxlen);
    let next = header.len() as u64;
    let descriptor = match cx.core.descriptor_opened(DescriptorZero::File(file.clone(), next)) {
        true => Descriptor::Zero,
        false => Descriptor::Own(next),
    };
    let of_its_own = (descriptor != Descriptor::Zero).then(|| file.clone());
    cx.core.shared.of::<Files>().0.insert(cx.key, of_its_own);
    cx.core.file_out(file.clone(), 0, header, None);
    Ok(Box::new(Dump { file, maxlen, descriptor }))
}

/// A dump that has this file open.
fn other_dump_of(core: &mut Core, file: &str) -> Option<ObjectId> {
    let zero = matches!(&core.descriptor_zero, DescriptorZero::File(name, _) if name == file);
    let writes = |of: &Option<String>| of.as_ref().map_or(zero, |name| name == file);
    let mut files = core.shared.of::<Files>().0.iter();
    let (key, _) = files.find(|(_, of)| writes(of))?;
    core.objects.get(key).map(|object| object.id.clone())
}

/// The file's header, in the host's byte order: the magic of microseconds, version 2.4, UTC,
/// `maxlen`, Ethernet.
fn header(maxlen: u32) -> Bytes {
    let mut header = BytesMut::with_capacity(24);
    header.put_u32_ne(0xa1b2_c3d4);
    header.put_u16_ne(2);
    header.put_u16_ne(4);
    header.put_u32_ne(0);
    header.put_u32_ne(0);
    header.put_u32_ne(maxlen);
    header.put_u32_ne(1);
    header.freeze()
}

/// A record. Its time is the VM's clock; QEMU adds the guest's time of day at its start, and a
/// machine starts at 1970.
fn record(now: VirtualTime, frame: &[u8], maxlen: u32) -> Bytes {
    let kept = frame.len().min(maxlen as usize);
    let mut record = BytesMut::with_capacity(16 + kept);
    record.put_u32_ne(u32::try_from(now.elapsed().as_secs()).unwrap_or(u32::MAX));
    record.put_u32_ne(now.elapsed().subsec_micros());
    record.put_u32_ne(kept as u32);
    record.put_u32_ne(frame.len() as u32);
    record.put_slice(&frame[..kept]);
    record.freeze()
}

impl Part for Dump {
    /// Passes in any case, unless QEMU dies.
    fn receive(&mut self, cx: &mut Context<'_>, packet: &Packet) -> Verdict {
        if self.descriptor == Descriptor::Closed {
            return Verdict::Pass;
        }
        let skipped = if cx.has(Quirk::DumpKeepsVnetHeader) { 0 } else { cx.vnet_hdr_len() };
        let Some(frame) = packet.data.get(skipped..) else {
            return too_short(cx, packet);
        };
        let record = record(cx.core.vm_now(), frame, self.maxlen);
        let written = record.len() as u64;
        match self.descriptor {
            Descriptor::Own(at) => {
                cx.core.file_out(self.file.clone(), at, record, packet.tag);
                self.descriptor = Descriptor::Own(at + written);
            }
            Descriptor::Zero => self.write_zero(cx, record, packet),
            Descriptor::Sink(Sink::Full) => self.fail(cx),
            Descriptor::Sink(Sink::Null) | Descriptor::Closed => {}
        }
        Verdict::Pass
    }

    fn cleanup(&mut self, cx: &mut Context<'_>) {
        cx.core.shared.of::<Files>().0.remove(&cx.key);
        if self.descriptor == Descriptor::Zero
            && let Some(chardev) = cx.core.close_descriptor_zero()
        {
            cx.then(Action::HangUp(chardev));
        }
    }
}

impl Dump {
    /// Writes a record to whatever descriptor 0 is by now.
    fn write_zero(&mut self, cx: &mut Context<'_>, record: Bytes, packet: &Packet) {
        match &mut cx.core.descriptor_zero {
            DescriptorZero::File(file, at) => {
                let (file, here) = (file.clone(), *at);
                *at += record.len() as u64;
                cx.core.file_out(file, here, record, packet.tag);
            }
            DescriptorZero::Chardev(key) => {
                let id = cx.core.chardevs.get(key).map(|chardev| chardev.id.clone());
                if let Some(id) = id {
                    cx.core.bytes_out(id, record, packet.tag);
                }
            }
            DescriptorZero::Sink(Sink::Null) => {}
            DescriptorZero::Sink(Sink::Full) => {
                cx.core.close_descriptor_zero();
                self.fail(cx);
            }
            DescriptorZero::Stdin | DescriptorZero::Free => self.fail(cx),
        }
    }

    /// A write failed, and there is no further one.
    fn fail(&mut self, cx: &mut Context<'_>) {
        self.descriptor = Descriptor::Closed;
        cx.core.shared.of::<Files>().0.remove(&cx.key);
        cx.log(None, "network dump write error - stopping dump");
    }
}

/// A packet that is shorter than the virtio-net header that is to be left out.
fn too_short(cx: &mut Context<'_>, packet: &Packet) -> Verdict {
    if !cx.has(Quirk::DumpShortFrameAborts) {
        return Verdict::Pass;
    }
    cx.drop_frame(packet.tag, DropReason::MachineDead);
    cx.then(Action::Crash("iov_copy: Assertion `offset == 0' failed."));
    Verdict::Take
}

/// A dump's descriptor is number 0 until its file is open, and is closed with the object whether
/// that has happened or not (QEMU 10.2.2 net/dump.c:99-103).
pub(super) fn refused(core: &mut Core) -> Option<ChardevKey> {
    if !core.has(Quirk::DumpRefusalClosesStdin) {
        return None;
    }
    let what = match &core.descriptor_zero {
        DescriptorZero::Stdin => "standard input".to_owned(),
        DescriptorZero::Free => return None,
        DescriptorZero::File(file, _) => format!("the file {file} of a dump"),
        DescriptorZero::Sink(_) => "the device of a dump".to_owned(),
        DescriptorZero::Chardev(key) => match core.chardevs.get(key) {
            Some(chardev) => format!("the connection of chardev {}", chardev.id),
            None => "a connection".to_owned(),
        },
    };
    let notice = format!("descriptor 0, {what}, is closed by mistake");
    core.event(Place::Machine, None, EventKind::Notice(notice));
    core.close_descriptor_zero()
}
