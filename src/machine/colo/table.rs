//! What is kept for each connection (QEMU 10.2.2 net/colo.c:141-252).

use std::collections::BTreeMap;

use super::Key;

/// `HASHTABLE_MAX_SIZE` (QEMU 10.2.2 net/colo.h:23).
pub(in crate::machine) const LIMIT: usize = 16384;

/// Connections, each with its `T`, in the order in which they were first seen.
#[derive(Debug)]
pub(in crate::machine) struct Table<T> {
    limit: Option<usize>,
    serials: BTreeMap<Key, u64>,
    connections: BTreeMap<u64, (Key, T)>,
    next: u64,
}

impl<T> Table<T> {
    /// An empty table. When more than `limit` connections are tracked, the next new one empties it
    /// first, as QEMU does with [`LIMIT`]; so it holds `limit` + 1 at most.
    pub(in crate::machine) const fn new(limit: Option<usize>) -> Self {
        Self { limit, serials: BTreeMap::new(), connections: BTreeMap::new(), next: 0 }
    }

    /// Connections that are tracked.
    pub(in crate::machine) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(in crate::machine) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let serial = self.serials.get(&key)?;
        self.connections.get_mut(serial).map(|(_, kept)| kept)
    }

    /// The connection, made when it is new; and what was forgotten for that, oldest first.
    pub(in crate::machine) fn entry(
        &mut self,
        key: Key,
        make: impl FnOnce() -> T,
    ) -> (&mut T, Vec<T>) {
        let mut forgotten = Vec::new();
        let serial = match self.serials.get(&key) {
            Some(serial) => *serial,
            None => {
                if self.limit.is_some_and(|limit| self.len() > limit) {
                    forgotten = self.clear();
                }
                self.next += 1;
                self.serials.insert(key, self.next);
                self.next
            }
        };
        let (_, kept) = self.connections.entry(serial).or_insert_with(|| (key, make()));
        (kept, forgotten)
    }

    pub(in crate::machine) fn remove(&mut self, key: Key) -> Option<T> {
        let serial = self.serials.remove(&key)?;
        self.connections.remove(&serial).map(|(_, kept)| kept)
    }

    /// Empties the table: what was kept, oldest first.
    pub(in crate::machine) fn clear(&mut self) -> Vec<T> {
        self.serials.clear();
        std::mem::take(&mut self.connections).into_values().map(|(_, kept)| kept).collect()
    }

    /// What is kept, in the order in which the connections were first seen.
    pub(in crate::machine) fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.connections.values().map(|(_, kept)| kept)
    }

    /// [`Table::values`], to change.
    pub(in crate::machine) fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.connections.values_mut().map(|(_, kept)| kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::colo::Headers;

    /// The key of a connection from this port.
    fn key(port: u16) -> Key {
        let mut data = vec![0; 20];
        data.extend(port.to_be_bytes());
        data.extend([0, 80]);
        let headers = Headers { ethernet: 0, network: 0, transport: 20, protocol: 17, vlans: 0 };
        Key::of(&data, &headers).unwrap()
    }

    fn add(table: &mut Table<u16>, port: u16) -> Vec<u16> {
        table.entry(key(port), || port).1
    }

    #[test]
    fn one_more_than_the_limit_fits_and_the_next_empties_it() {
        let mut table = Table::new(Some(3));
        for port in [9, 4, 7, 1] {
            assert!(add(&mut table, port).is_empty());
        }
        assert!(add(&mut table, 4).is_empty(), "it is known");
        assert_eq!(table.len(), 4);
        assert_eq!(add(&mut table, 2), [9, 4, 7, 1]);
        assert_eq!(table.values().copied().collect::<Vec<_>>(), [2]);
        assert_eq!(table.get_mut(key(9)), None);
    }

    #[test]
    fn without_a_limit_nothing_is_forgotten() {
        let mut table = Table::new(None);
        for port in 0..=u16::MAX {
            assert!(add(&mut table, port).is_empty());
        }
        assert_eq!(table.get_mut(key(0)), Some(&mut 0));
    }

    #[test]
    fn a_removed_connection_is_new_again() {
        let mut table = Table::new(Some(LIMIT));
        add(&mut table, 1);
        add(&mut table, 2);
        *table.entry(key(1), || 0).0 = 11;
        assert_eq!(table.remove(key(1)), Some(11));
        assert_eq!(table.remove(key(1)), None);
        add(&mut table, 1);
        table.values_mut().for_each(|kept| *kept *= 10);
        assert_eq!(table.values().copied().collect::<Vec<_>>(), [20, 10]);
        assert_eq!(table.clear(), [20, 10]);
        assert_eq!(table.len(), 0);
    }
}
