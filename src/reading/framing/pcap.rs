//! The file of a filter-dump as a stream: a header, then records (libpcap `pcap-savefile(5)`), all in
//! the host's byte order.

use bytes::{BufMut, Bytes, BytesMut};

use super::Shape;
use crate::base::VirtualTime;

/// Bytes of the file's header.
pub(crate) const HEADER: usize = 24;

/// What the file begins with: its times have microseconds.
const MAGIC: u32 = 0xa1b2_c3d4;

/// Bytes of a record's header: seconds, microseconds, caplen, len.
const RECORD: usize = 16;

/// The file's header with these most bytes of a frame.
pub(crate) fn header(maxlen: u32) -> Bytes {
    let mut header = BytesMut::with_capacity(HEADER);
    header.put_u32_ne(MAGIC);
    header.put_u16_ne(2);
    header.put_u16_ne(4);
    header.put_u64_ne(0);
    header.put_u32_ne(maxlen);
    header.put_u32_ne(1);
    header.freeze()
}

/// A record of the first bytes of a frame that had `whole`.
pub(crate) fn record(at: VirtualTime, data: &[u8], whole: usize) -> Bytes {
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let mut record = BytesMut::with_capacity(RECORD + data.len());
    record.put_u32_ne(u32::try_from(at.elapsed().as_secs()).unwrap_or(u32::MAX));
    record.put_u32_ne(at.elapsed().subsec_micros());
    record.put_u32_ne(length(data.len()));
    record.put_u32_ne(length(whole));
    record.put_slice(data);
    record.freeze()
}

/// The header, at the beginning and where the file was made or is shown anew, or a whole record. The
/// time of a record is not kept: no two QEMUs begin at the same time. What is neither, where two
/// dumps overwrote each other, ends where the file begins anew.
pub(super) fn shape(stream: &[u8]) -> Option<Shape> {
    let shape = whole(stream);
    let end = shape.as_ref().map_or(stream.len(), Shape::size);
    match (1..end).find(|at| maxlen_of_header(stream, *at).is_some()) {
        Some(anew) => Some(Shape::Raw(anew)),
        None => shape,
    }
}

/// Whether what a file begins with stays so, however it goes on after so many bytes: a header that
/// begins in a record and is not whole yet would end it.
pub(super) const fn is_settled(shape: &Shape, length: usize) -> bool {
    match shape {
        Shape::Raw(_) => true,
        Shape::Frame { .. } | Shape::Pcap { .. } => shape.size() + HEADER <= length + 1,
    }
}

fn maxlen_of_header(stream: &[u8], at: usize) -> Option<u32> {
    let found = stream.get(at..at + HEADER)?;
    if found[..4] != MAGIC.to_ne_bytes() {
        return None;
    }
    let maxlen = u32::from_ne_bytes(found[16..20].try_into().ok()?);
    (found == &header(maxlen)[..]).then_some(maxlen)
}

fn whole(stream: &[u8]) -> Option<Shape> {
    let word = |at: usize| {
        let bytes: [u8; 4] = stream.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    if let Some(maxlen) = maxlen_of_header(stream, 0) {
        return Some(Shape::Pcap { maxlen });
    }
    let kept = usize::try_from(word(8)?).ok()?;
    let whole = usize::try_from(word(12)?).ok()?;
    let size = RECORD + kept;
    (kept <= whole && size <= stream.len()).then_some(Shape::Frame {
        vnet: RECORD..RECORD,
        vnet_len: None,
        whole: (kept < whole).then_some(whole),
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Frame,
        reading::framing::{self, Cut},
        record::Framing,
    };

    #[test]
    fn a_file_is_its_header_and_its_records() {
        let record = |data, whole| record(VirtualTime::ZERO, data, whole);
        let parts = [header(3), record(b"ab", 2), header(3), record(b"abc", 9)];
        let stream = Bytes::from([&parts.concat()[..], b"rest"].concat());
        let frame = |data: &'static [u8], whole, size| Cut::Frame {
            frame: Frame::plain(data),
            vnet_len: None,
            whole,
            size,
        };
        assert_eq!(
            framing::cut(Framing::Pcap, &stream),
            [
                Cut::Pcap { maxlen: 3 },
                frame(b"ab", None, 18),
                Cut::Pcap { maxlen: 3 },
                frame(b"abc", Some(9), 19),
                Cut::Raw(Bytes::from_static(b"rest")),
            ]
        );
    }

    #[test]
    fn what_is_torn_ends_where_the_file_begins_anew() {
        let short = record(VirtualTime::ZERO, b"ab", 2);
        // The rest of a record is no record, and the beginning of one takes in what follows.
        for torn in [&short[5..], &short[..17]] {
            let stream = [&header(3)[..], torn, &header(3)[..], &short[..]].concat();
            let cuts = framing::cut(Framing::Pcap, &Bytes::from(stream));
            let [Cut::Pcap { .. }, raw, Cut::Pcap { .. }, Cut::Frame { .. }] = &cuts[..] else {
                panic!("{cuts:?}");
            };
            assert_eq!(*raw, Cut::Raw(Bytes::copy_from_slice(torn)));
        }
    }
}
