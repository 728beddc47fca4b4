//! Stacks, impairments, and what moves the clock.

use super::{
    super::{
        Carrier,
        process::Process,
        traffic::{Held, Passed},
    },
    BuiltinWorld,
};
use crate::{
    backend::title,
    base::{Frame, Origin, PortId, Tag, VirtualTime},
    guest::Done,
    record::{
        Answer, Arrival, CommandError, DropReason, Event, EventKind, Item, Outcome, Place,
        SentFrame,
    },
    scenario::{Client, Way},
};

impl<C: Carrier> BuiltinWorld<C> {
    /// A frame is sent at a port, through the stretch of network that stands there.
    pub(super) fn emit(&mut self, port: &PortId, frame: &Frame, tag: Tag, chunk: Option<usize>) {
        if let Origin::Sent(number) = tag.0 {
            self.traffic.saw(number);
        }
        if self.passes(port, Way::Out, frame, Some(tag)) {
            self.send(port, frame, tag, chunk);
        }
    }

    /// Something comes out of a port, a frame through the stretch of network that stands there.
    pub(super) fn arrive(&mut self, port: PortId, item: Item, tag: Option<Tag>) {
        match &item {
            Item::Frame(frame) if !self.passes(&port, Way::In, frame, tag) => {}
            _ => self.land(port, item, tag),
        }
    }

    /// It is there: it is recorded, and the stack at the port has it.
    fn land(&mut self, port: PortId, item: Item, tag: Option<Tag>) {
        if let Item::Frame(frame) = &item {
            self.traffic.deliver(&port, frame);
        }
        self.seen.arrivals.push(Arrival { port, item, tag, at: self.clock });
    }

    /// Whether a frame continues at once; anything else that happens to it becomes an event.
    fn passes(&mut self, port: &PortId, way: Way, frame: &Frame, tag: Option<Tag>) -> bool {
        let place = || Place::Port(port.clone());
        match self.traffic.pass(self.clock, port, way, frame, tag) {
            Passed::On => return true,
            Passed::Lost => self.drop_frame(tag, place(), DropReason::ImpairedLoss),
            Passed::Held(done) => {
                let events = done.into_iter().map(|done| Event {
                    tag,
                    place: place(),
                    kind: EventKind::Impaired(done),
                });
                self.seen.events.extend(events);
            }
        }
        false
    }

    /// Once the machine and the interfaces are quiet: the next thing that a stack or a stretch has
    /// to do at this time; whether there was one.
    pub(super) fn stir(&mut self) -> bool {
        // Nothing is inside the carrier.
        // What waits for a vhost-net that is stopped is on its way still.
        self.flights.land(self.unsent.keys().cloned());
        if let Some((port, frame, tag)) = self.traffic.sends() {
            self.storm.note(|| format!("frame from the stack at {port}"));
            self.seen.sent.push(SentFrame {
                tag,
                port: port.clone(),
                frame: frame.clone(),
                source: None,
            });
            self.emit(&port, &frame, tag, None);
            return true;
        }
        if let Some(held) = self.traffic.released(self.clock) {
            let Held { port, way, frame, tag } = held;
            self.storm.note(|| format!("impaired frame at {port}"));
            match (way, tag) {
                (Way::Out, Some(tag)) => self.send(&port, &frame, tag, None),
                (Way::Out, None) => {}
                (Way::In, tag) => self.land(port, Item::Frame(frame), tag),
            }
            return true;
        }
        let machines = self.running_guests();
        self.traffic.poll(self.clock, &machines)
    }

    /// Whether the guest runs, for each machine.
    fn running_guests(&self) -> Vec<bool> {
        self.processes.iter().map(Process::runs_guest).collect()
    }

    /// When something happens by itself: a timer of a machine or of a stack, or a frame that
    /// leaves its stretch.
    fn next_due(&self) -> Option<VirtualTime> {
        let times = [
            self.next_deadline(),
            self.traffic.deadline(&self.running_guests()),
            self.traffic.next_release(),
        ];
        times.into_iter().flatten().min()
    }

    /// The clock moves on to the next timer, or to the end of an `advance` that is under way, each
    /// moment of which has a storm limit of its own; otherwise on behalf of impaired frames or of
    /// an exchange. Whether it moved.
    pub(super) fn tick(&mut self) -> bool {
        let Some(end) = self.until else {
            return self.moves_clock();
        };
        self.storm.calm();
        if let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.clock = self.clock.max(due);
        } else {
            self.clock = end;
            self.until = None;
        }
        true
    }

    /// Moves the clock when a frame is inside a stretch, or when an exchange that is not done may
    /// still wait: to the next time at which something happens. Whether it moved.
    ///
    /// An exchange ends, so each moment of it has a storm limit of its own; impaired frames may go
    /// round without end.
    fn moves_clock(&mut self) -> bool {
        let waits_until = self.traffic.moves_until();
        let due = self.next_due().filter(|due| *due > self.clock);
        if self.traffic.next_release().is_some() {
            self.storm.clock_moved();
            self.clock = due.unwrap_or(self.clock);
            return due.is_some();
        }
        let Some(until) = waits_until.filter(|until| *until > self.clock) else {
            return false;
        };
        self.storm.calm();
        self.clock = due.map_or(until, |due| due.min(until));
        true
    }

    pub(super) fn client(&mut self, client: &Client) {
        let Client { from, call, within } = client;
        let until = self.clock + within.unwrap_or_default();
        self.traffic.call(from, call, self.clock, until);
        self.called = Some(client.clone());
    }

    /// The result of the exchange, as the answer of the step.
    pub(super) fn client_answer(&mut self) -> Option<Answer> {
        let client = self.called.take()?;
        let machines = self.running_guests();
        let outcome = match self.traffic.hang_up(&machines) {
            None => Outcome::Refused(CommandError {
                class: "NoGuest".to_owned(),
                desc: format!("no guest is at {} yet: a migration brings it", client.from),
            }),
            Some(Ok(Done { sent, received, closed })) => {
                let state = if closed { "closed" } else { "open" };
                Outcome::Done(serde_json::json!({
                    "sent": sent, "received": received, "connection": state,
                }))
            }
            Some(Err(refusal)) => Outcome::Refused(CommandError {
                class: refusal.class().to_owned(),
                desc: refusal.to_string(),
            }),
        };
        let title = title::client_title(&client);
        Some(Answer { command: title.text, subject: title.subject, outcome })
    }
}
