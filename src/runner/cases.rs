//! The cases of a plan, in the order in which they run. Those of a large suite are let go when they have
//! been checked, and read again shortly before their turn. Read by the run.

use std::{
    borrow::Cow,
    fmt, slice,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use super::{Planned, suite::STACK};

/// The cases of a plan.
#[derive(Debug, Default)]
pub struct Cases {
    parts: Vec<Part>,
    count: usize,
}

/// Cases of scenarios that follow one another, all those of a scenario together.
#[derive(Debug)]
enum Part {
    Held(Vec<Planned>),
    Later(Later),
}

/// Cases that are read when their turn comes.
#[derive(Clone)]
struct Later {
    count: usize,
    read: Arc<dyn Fn() -> Vec<Planned> + Send + Sync>,
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").field("count", &self.count).finish_non_exhaustive()
    }
}

impl From<Vec<Planned>> for Cases {
    fn from(cases: Vec<Planned>) -> Self {
        let mut all = Self::default();
        all.add(cases);
        all
    }
}

impl Cases {
    /// Adds cases behind the others.
    pub fn add(&mut self, cases: Vec<Planned>) {
        self.count += cases.len();
        match self.parts.last_mut() {
            Some(Part::Held(held)) => held.extend(cases),
            _ if cases.is_empty() => {}
            _ => self.parts.push(Part::Held(cases)),
        }
    }

    /// Adds as many cases as `read` gives, which is called for each repeat, on a thread of its own and a
    /// little ahead of the run. It gives the same cases each time.
    pub fn add_later(
        &mut self,
        count: usize,
        read: impl Fn() -> Vec<Planned> + Send + Sync + 'static,
    ) {
        if count > 0 {
            self.count += count;
            self.parts.push(Part::Later(Later { count, read: Arc::new(read) }));
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them once, part by part.
    pub(super) fn parts(&self) -> impl Iterator<Item = Cow<'_, [Planned]>> {
        let later = |part: &Part| match part {
            Part::Held(_) => None,
            Part::Later(later) => Some(later.clone()),
        };
        let later: Vec<Later> = self.parts.iter().filter_map(later).collect();
        Parts { rest: self.parts.iter(), ahead: read_ahead(later) }
    }
}

struct Parts<'a> {
    rest: slice::Iter<'a, Part>,
    /// What is read later, in order.
    ahead: Option<Receiver<Vec<Planned>>>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Cow<'a, [Planned]>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rest.next()? {
            Part::Held(cases) => Some(Cow::Borrowed(cases)),
            Part::Later(later) => {
                // Without a thread it is read here.
                let read = self.ahead.as_ref().and_then(|ahead| ahead.recv().ok());
                let cases = read.unwrap_or_else(|| (later.read)());
                assert_eq!(cases.len(), later.count, "what is read again is what was read before");
                Some(Cow::Owned(cases))
            }
        }
    }
}

/// Reads on a thread of its own, one part more than has been asked for.
fn read_ahead(later: Vec<Later>) -> Option<Receiver<Vec<Planned>>> {
    if later.is_empty() {
        return None;
    }
    let (outbox, inbox) = sync_channel(1);
    let read = move || {
        // It ends with whoever runs the cases.
        _ = later.into_iter().try_for_each(|later| outbox.send((later.read)()));
    };
    thread::Builder::new().name("read".to_owned()).stack_size(STACK).spawn(read).ok()?;
    Some(inbox)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::fixture;

    #[test]
    fn cases_come_in_their_order_whether_they_are_held_or_not() {
        let planned = |ids: &[&str]| ids.iter().map(|id| fixture::planned(id)).collect::<Vec<_>>();
        let mut cases = Cases::from(planned(&["a", "b"]));
        cases.add(planned(&["c"]));
        cases.add_later(2, move || planned(&["d", "e"]));
        cases.add_later(0, || unreachable!("nobody asks for none"));
        cases.add_later(1, move || planned(&["f"]));
        cases.add(planned(&["g"]));
        assert_eq!((cases.len(), cases.is_empty()), (7, false));
        for _ in 0..2 {
            let parts: Vec<String> = cases
                .parts()
                .map(|part| part.iter().map(|one| one.case.id.as_str()).collect())
                .collect();
            assert_eq!(parts, ["abc", "de", "f", "g"]);
        }
        assert!(Cases::default().is_empty());
    }
}
