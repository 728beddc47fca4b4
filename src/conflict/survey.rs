//! Tries every combination of a table's values on a machine of its own. `conflicts` prints what
//! comes of it.

use serde_json::{Map, Value};

use super::{Cell, ObjectTable};
use crate::{
    base::{Profile, Quirk, VirtualTime},
    machine::{
        CharBackend, ChardevConfig, Command, CommandId, Config, ConfigError, Input, Machine,
        NetdevConfig, NetdevKind, Output,
    },
    record::{CommandError, Outcome},
};

/// What a combination came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The object is made.
    Accepted,
    /// It is refused, with this.
    Refused(CommandError),
    /// QEMU dies.
    Dies {
        /// What it says.
        words: String,
        /// What one says that survives, where that is known.
        survivor: Option<CommandError>,
    },
    /// QMP is never answered again.
    Freezes {
        /// What one says that goes on.
        survivor: Option<CommandError>,
    },
}

/// Every combination of a table's values, under one profile or several.
#[derive(Clone, Debug)]
pub struct Survey {
    /// What was tried.
    pub table: ObjectTable,
    /// Under which profiles.
    pub profiles: Vec<Profile>,
    /// The different outcomes: a reply of each profile.
    pub outcomes: Vec<Vec<Reply>>,
    /// Of each combination its place among the outcomes; the last axis varies fastest.
    pub rows: Vec<usize>,
}

impl Survey {
    /// Asks the machine of each profile for each combination.
    ///
    /// # Errors
    /// Never: the machine that is asked is the same for all of them, and sound.
    pub fn of(table: ObjectTable, profiles: &[Profile]) -> Result<Self, ConfigError> {
        let combinations = table.combinations();
        let mut survey = Self {
            table,
            profiles: profiles.to_vec(),
            outcomes: Vec::new(),
            rows: Vec::with_capacity(combinations),
        };
        for row in 0..combinations {
            let args = survey.table.arguments(row);
            let replies = profiles
                .iter()
                .map(|profile| reply(profile, &args))
                .collect::<Result<Vec<_>, _>>()?;
            let known = survey.outcomes.iter().position(|known| *known == replies);
            survey.rows.push(known.unwrap_or_else(|| {
                survey.outcomes.push(replies);
                survey.outcomes.len() - 1
            }));
        }
        Ok(survey)
    }

    /// The axes whose value never matters.
    #[must_use]
    pub fn indifferent(&self) -> Vec<bool> {
        let mut free = vec![true; self.table.axes.len()];
        let mut stride = 1;
        for (axis, count) in self.table.shape().into_iter().enumerate().rev() {
            let first = |row: usize| row - row / stride % count * stride;
            free[axis] = (0..self.rows.len()).all(|row| self.rows[row] == self.rows[first(row)]);
            stride *= count;
        }
        free
    }

    /// Whether an outcome is what needs no word: that the object is made, or, where profiles are
    /// compared, that they agree.
    #[must_use]
    pub fn is_plain(&self, outcome: usize) -> bool {
        let replies = &self.outcomes[outcome];
        match replies.as_slice() {
            [one] => *one == Reply::Accepted,
            [first, others @ ..] => others.iter().all(|other| other == first),
            [] => true,
        }
    }
}

impl ObjectTable {
    /// How many values each axis has.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.values.len()).collect()
    }

    /// How many combinations there are.
    #[must_use]
    pub fn combinations(&self) -> usize {
        self.shape().iter().product()
    }

    /// Of each axis the place of a combination's value.
    #[must_use]
    pub fn places(&self, row: usize) -> Vec<usize> {
        let mut rest = row;
        let mut places: Vec<usize> = self
            .shape()
            .into_iter()
            .rev()
            .map(|count| {
                let place = rest % count;
                rest /= count;
                place
            })
            .collect();
        places.reverse();
        places
    }

    /// The values of a combination, axis by axis.
    #[must_use]
    pub fn cells(&self, row: usize) -> Vec<Cell> {
        let places = self.places(row);
        let cells = self.axes.iter().zip(places);
        cells.map(|(axis, place)| axis.values[place]).collect()
    }

    /// The arguments of the `object-add` of a combination.
    #[must_use]
    pub fn arguments(&self, row: usize) -> Map<String, Value> {
        let kind = [("qom-type", Cell::Text(self.qom_type))];
        let varied = self.axes.iter().map(|axis| axis.name).zip(self.cells(row));
        kind.into_iter()
            .chain(self.fixed.iter().copied())
            .chain(varied)
            .filter_map(|(name, cell)| Some((name.to_owned(), cell.value()?)))
            .collect()
    }
}

/// What a fresh machine says.
pub(super) fn reply(profile: &Profile, args: &Map<String, Value>) -> Result<Reply, ConfigError> {
    let mut machine = Machine::new(world(profile))?;
    let held = serde_json::json!({
        "qom-type": "filter-buffer", "id": "g0", "netdev": "hn0", "interval": 1000,
    });
    object_add(&mut machine, held);
    let outcome = object_add(&mut machine, Value::Object(args.clone()));
    if machine.is_frozen() {
        let mended = profile.clone().without([Quirk::CompareErrorFreezes]);
        let survivor = match reply(&mended, args)? {
            Reply::Refused(error) => Some(error),
            _ => None,
        };
        return Ok(Reply::Freezes { survivor });
    }
    Ok(match outcome {
        Some(Outcome::Refused(error)) => Reply::Refused(error),
        Some(Outcome::Aborts(abort)) => {
            Reply::Dies { words: abort.assertion, survivor: abort.survivor }
        }
        Some(Outcome::Done(_) | Outcome::Unanswered(_)) | None => Reply::Accepted,
    })
}

fn object_add(machine: &mut Machine, args: Value) -> Option<Outcome> {
    let mut out = Vec::new();
    let command = Command::Qmp { name: "object-add".to_owned(), args };
    let input = Input::Command { id: CommandId(0), command };
    machine.handle(VirtualTime::ZERO, input, &mut out);
    out.into_iter().find_map(|output| match output {
        Output::Answer { outcome, .. } => Some(outcome),
        _ => None,
    })
}

/// What [`WORLD`](super::WORLD) says in words.
fn world(profile: &Profile) -> Config {
    let tap = |queues, vhost| NetdevKind::Tap { queues, vhost, vnet_hdr_len: 0 };
    let netdevs = [
        ("hn0", tap(1, false)),
        ("vh0", tap(1, true)),
        ("mq0", tap(2, false)),
        ("us0", NetdevKind::User),
    ];
    let socket = |monitor| CharBackend::Socket { server: true, reconnect: false, monitor };
    let chardevs = [
        ("c0", socket(false)),
        ("c1", socket(false)),
        ("c2", socket(false)),
        ("c3", socket(false)),
        ("mon0", socket(true)),
        ("null0", CharBackend::Null),
    ];
    Config {
        profile: profile.clone(),
        netdevs: netdevs.map(|(id, kind)| NetdevConfig { id: id.into(), kind, peer: None }).into(),
        chardevs: chardevs
            .map(|(id, backend)| ChardevConfig { id: id.into(), backend, connected: true })
            .into(),
        iothreads: vec!["io0".into()],
        ..Config::default()
    }
}

/// The properties that `qom-list` shows of an object, without its type's.
#[cfg(test)]
pub(super) fn listed(profile: &Profile, args: &Map<String, Value>) -> Vec<String> {
    let mut machine = Machine::new(world(profile)).unwrap();
    object_add(&mut machine, Value::Object(args.clone()));
    let path = format!("/objects/{}", args["id"].as_str().unwrap());
    let mut out = Vec::new();
    let command =
        Command::Qmp { name: "qom-list".to_owned(), args: serde_json::json!({ "path": path }) };
    let input = Input::Command { id: CommandId(1), command };
    machine.handle(VirtualTime::ZERO, input, &mut out);
    let rows = out.into_iter().find_map(|output| match output {
        Output::Answer { outcome: Outcome::Done(value), .. } => value.as_array().cloned(),
        _ => None,
    });
    let names = rows.unwrap().into_iter();
    names
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .filter(|name| name != "type")
        .collect()
}
