//! The frames that have come in and not gone out: places in the memory of the input, which is not
//! touched before all of them have gone.

use crate::sys::Unit;

/// Frames in order, and how far the output is.
#[derive(Debug, Default)]
pub(super) struct Held {
    units: Vec<Unit>,
    /// The first one that has not gone out.
    next: usize,
    /// Bytes of it that have been written to a stream.
    written: usize,
}

impl Held {
    /// Forgets what has gone out, for the next frames.
    pub(super) fn clear(&mut self) {
        self.units.clear();
        self.next = 0;
        self.written = 0;
    }

    pub(super) fn push(&mut self, unit: Unit) {
        self.units.push(unit);
    }

    /// The frames that have not gone out.
    pub(super) fn rest(&self) -> &[Unit] {
        &self.units[self.next..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// Bytes of the first one that have been written.
    pub(super) const fn written(&self) -> usize {
        self.written
    }

    /// The first `count` have gone out, or are given up.
    pub(super) fn advance(&mut self, count: usize) {
        self.next = (self.next + count).min(self.units.len());
        self.written = 0;
    }

    /// So many bytes have been written to a stream; `done` learns of every frame that went out whole.
    pub(super) fn advance_bytes(&mut self, bytes: usize, mut done: impl FnMut(Unit)) {
        self.written += bytes;
        while let Some(unit) = self.units.get(self.next) {
            let length = unit.end - unit.start;
            if self.written < length {
                return;
            }
            self.written -= length;
            self.next += 1;
            done(*unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_across_frames() {
        let mut held = Held::default();
        for start in [0, 10, 20] {
            held.push(Unit { start, header: start + 4, frame: start + 4, end: start + 10 });
        }
        let mut gone = Vec::new();
        held.advance_bytes(13, |unit| gone.push(unit.start));
        assert_eq!((held.rest().len(), held.written()), (2, 3));
        held.advance_bytes(17, |unit| gone.push(unit.start));
        assert_eq!((held.is_empty(), held.written()), (true, 0));
        assert_eq!(gone, [0, 10, 20]);
    }
}
