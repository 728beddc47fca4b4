//! `filter-dump`: writes every packet into a classic pcap file and passes it on (QEMU 10.2.2
//! `net/dump.c`). And QEMU's descriptor 0, which a refused dump closes.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

use super::{
    core::{ChardevKey, Core, ObjectKey, generic},
    filter::{self, FilterClass, FilterState},
    netqueue::Packet,
    property::Spec,
};
use crate::{
    base::{ObjectId, Quirk, VirtualTime, file_name},
    record::{CommandError, DropReason, EventKind, Place},
};

pub(super) static CLASS: FilterClass = FilterClass {
    name: "filter-dump",
    setup,
    receive,
    read: |_, _, _, _| true,
    closed: |_, _| {},
    changed: |_, _| {},
    deadline: |_, _| None,
    due: |_, _| {},
    colo: filter::colo,
    unfinished: |_, _| Vec::new(),
    cleanup,
    refused,
};

/// Bytes of each packet that are kept unless `maxlen` says otherwise.
const MAXLEN: u64 = 65_536;

/// What a dump keeps.
#[derive(Debug)]
pub(super) struct Dump {
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
    /// Number 0, which was free when the file was opened, and which others may close.
    Zero,
    /// None: a write failed.
    Closed,
}

/// What QEMU's descriptor 0 is. Only files of dumps and connections of chardevs are followed: what
/// else takes a number is never closed by mistake here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum DescriptorZero {
    /// Standard input.
    #[default]
    Stdin,
    /// Nothing: the next descriptor that is opened takes the number.
    Free,
    /// The file of a dump, and where in it the next write goes.
    File(String, u64),
    /// A chardev's connection.
    Chardev(ChardevKey),
}

fn setup(core: &mut Core, key: ObjectKey, spec: &Spec) -> Result<(), CommandError> {
    let path = spec.text("file").unwrap_or_default();
    let file = file_name(path)
        .map_err(|error| generic(format!("net dump: can't open {path}: {error}")))?
        .to_owned();
    let maxlen = spec.values.get("maxlen").and_then(Value::as_u64);
    let maxlen = u32::try_from(maxlen.unwrap_or(MAXLEN)).unwrap_or(u32::MAX);
    if let Some(other) = other_dump_of(core, &file) {
        let said = format!(
            "{file} is {other}'s file too: it is emptied, and each writes at its own place in it, \
             over what the other wrote"
        );
        core.event(core.object_place(key), None, EventKind::Notice(said));
    }
    let header = header(maxlen);
    let next = header.len() as u64;
    let descriptor = match core.descriptor_opened(DescriptorZero::File(file.clone(), next)) {
        true => Descriptor::Zero,
        false => Descriptor::Own(next),
    };
    core.file_out(file.clone(), 0, header, None);
    if let Some(filter) = core.filter_mut(key) {
        filter.state = FilterState::Dump(Dump { file, maxlen, descriptor });
    }
    Ok(())
}

/// A dump that has this file open.
fn other_dump_of(core: &Core, file: &str) -> Option<ObjectId> {
    let writes = |key: &ObjectKey| match &core.filter(*key)?.state {
        FilterState::Dump(dump) if dump.descriptor == Descriptor::Zero => {
            Some(matches!(&core.descriptor_zero, DescriptorZero::File(name, _) if name == file))
        }
        FilterState::Dump(dump) => Some(dump.descriptor != Descriptor::Closed && dump.file == file),
        _ => None,
    };
    let mut keys = core.objects.keys();
    let other = keys.find(|key| writes(key) == Some(true))?;
    core.objects.get(other).map(|object| object.id.clone())
}

fn state(core: &mut Core, key: ObjectKey) -> Option<&mut Dump> {
    match &mut core.filter_mut(key)?.state {
        FilterState::Dump(dump) => Some(dump),
        _ => None,
    }
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

/// Passes in any case, unless QEMU dies.
fn receive(core: &mut Core, key: ObjectKey, packet: &Packet) -> isize {
    let keeps_header = core.has(Quirk::DumpKeepsVnetHeader);
    let Some(netdev) = core.filter(key).map(|filter| filter.netdev) else {
        return 0;
    };
    let now = core.vm_now();
    let skipped = match keeps_header {
        true => 0,
        false => core.vnet_hdr_len(netdev),
    };
    let Some(Dump { file, maxlen, descriptor }) = state(core, key) else {
        return 0;
    };
    let (file, maxlen, descriptor) = (file.clone(), *maxlen, *descriptor);
    if descriptor == Descriptor::Closed {
        return 0;
    }
    let Some(frame) = packet.data.get(skipped..) else {
        return too_short(core, key, packet);
    };
    let record = record(now, frame, maxlen);
    let written = record.len() as u64;
    match (descriptor, &mut core.descriptor_zero) {
        (Descriptor::Zero, DescriptorZero::File(file, at)) => {
            let (file, here) = (file.clone(), *at);
            *at += written;
            core.file_out(file, here, record, packet.tag);
        }
        (Descriptor::Zero, DescriptorZero::Chardev(key)) => {
            let key = *key;
            if let Some(id) = core.chardevs.get(&key).map(|chardev| chardev.id.clone()) {
                core.bytes_out(id, record, packet.tag);
            }
        }
        (Descriptor::Zero, _) => {
            if let Some(dump) = state(core, key) {
                dump.descriptor = Descriptor::Closed;
            }
            let place = core.object_place(key);
            core.log(place, None, "network dump write error - stopping dump");
        }
        (Descriptor::Own(at), _) => {
            core.file_out(file, at, record, packet.tag);
            if let Some(dump) = state(core, key) {
                dump.descriptor = Descriptor::Own(at + written);
            }
        }
        (Descriptor::Closed, _) => {}
    }
    0
}

/// A packet that is shorter than the virtio-net header that is to be left out.
fn too_short(core: &mut Core, key: ObjectKey, packet: &Packet) -> isize {
    if !core.has(Quirk::DumpShortFrameAborts) {
        return 0;
    }
    core.drop_frame(core.object_place(key), packet.tag, DropReason::MachineDead);
    core.crash("iov_copy: Assertion `offset == 0' failed.");
    -1
}

fn cleanup(core: &mut Core, key: ObjectKey) {
    if state(core, key).is_some_and(|dump| dump.descriptor == Descriptor::Zero) {
        core.close_descriptor_zero();
    }
}

/// A dump's descriptor is number 0 until its file is open, and is closed with the object whether
/// that has happened or not (QEMU 10.2.2 net/dump.c:99-103).
fn refused(core: &mut Core) {
    if !core.has(Quirk::DumpRefusalClosesStdin) {
        return;
    }
    let what = match &core.descriptor_zero {
        DescriptorZero::Stdin => "standard input".to_owned(),
        DescriptorZero::Free => return,
        DescriptorZero::File(file, _) => format!("the file {file} of a dump"),
        DescriptorZero::Chardev(key) => match core.chardevs.get(key) {
            Some(chardev) => format!("the connection of chardev {}", chardev.id),
            None => "a connection".to_owned(),
        },
    };
    let said = format!("descriptor 0, {what}, is closed by mistake");
    core.event(Place::Machine, None, EventKind::Notice(said));
    core.close_descriptor_zero();
}

impl Core {
    /// A descriptor is opened; whether it takes number 0, which is free only after a mistake.
    pub(super) fn descriptor_opened(&mut self, what: DescriptorZero) -> bool {
        let free = self.descriptor_zero == DescriptorZero::Free;
        if free {
            self.descriptor_zero = what;
        }
        free
    }

    /// A chardev's connection was closed.
    pub(super) fn connection_closed(&mut self, chardev: ChardevKey) {
        if self.descriptor_zero == DescriptorZero::Chardev(chardev) {
            self.descriptor_zero = DescriptorZero::Free;
        }
    }

    /// Closes whatever descriptor 0 is. The far end of a connection sees its end, and who uses it
    /// finds out when it writes.
    fn close_descriptor_zero(&mut self) {
        let closed = std::mem::replace(&mut self.descriptor_zero, DescriptorZero::Free);
        if let DescriptorZero::Chardev(key) = closed {
            self.hang_up(key);
        }
    }
}
