//! From the session to the application: what it gets in this turn, and what waits in its session.

use std::time::SystemTime;

use whimbrel_core::{DeviceId, Instant, Received};

use super::Shard;
use super::table::{Entry, stream_bit};
use crate::config::EndpointConfig;
use crate::event::{Reading, SessionKey};
use crate::limits::{Allowance, Waiting, cost};

/// What the application gets from one turn, and whether it has room for it.
pub(crate) struct Inbox {
    pub(super) room: bool,
    pub(super) readings: Vec<Reading>,
    bytes: usize,
    received_at: SystemTime,
    /// The batch's number, and how many of those before it the application has taken.
    batch: u64,
    taken: u64,
}

impl Inbox {
    pub(super) fn new(room: bool, batch: u64, taken: u64) -> Self {
        Self { room, readings: Vec::new(), bytes: 0, received_at: SystemTime::now(), batch, taken }
    }

    fn has_room(&self) -> bool {
        let full = self.readings.len() >= EndpointConfig::READINGS_MAX;
        self.room && !full && self.bytes < EndpointConfig::READINGS_BYTES_MAX
    }
}

/// Why nothing more was taken from a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// There is nothing more.
    All,
    /// The application has no room for more, of whatever session.
    NoRoom,
    /// The device has sent too much; by then it may go on.
    Limited(Instant),
    /// Too much of the session waits for the application.
    Waiting,
}

impl Shard {
    /// Notes what must be tried again.
    pub(super) fn note_taken(&mut self, index: usize, taken: Taken) {
        let Some(entry) = self.table.entry(index) else {
            return;
        };
        match taken {
            Taken::All => {}
            Taken::NoRoom if !entry.deferred => {
                entry.deferred = true;
                self.deferred.push(index);
                self.stats.readings_deferred += 1;
            }
            Taken::Limited(at) => {
                self.stats.readings_limited += u64::from(entry.limited.is_none());
                entry.limited = Some(at);
            }
            Taken::Waiting if !entry.waits => {
                entry.waits = true;
                self.waiting.push(index);
                self.stats.readings_waiting += 1;
            }
            Taken::NoRoom | Taken::Waiting => {}
        }
    }

    /// Messages that the application had no room for, now that it may have.
    pub(super) fn retry_deferred(&mut self, inbox: &mut Inbox) {
        while inbox.has_room() {
            let Some(index) = self.deferred.pop() else {
                return;
            };
            if let Some(entry) = self.table.entry(index).filter(|entry| entry.deferred) {
                entry.deferred = false;
                self.drain(index, inbox);
            }
        }
    }

    /// Messages of a device that had sent too much, when it may go on.
    pub(super) fn retry_limited(&mut self, index: usize, inbox: &mut Inbox) {
        let now = self.now;
        if let Some(entry) = self.table.entry(index).filter(|entry| entry.limited.is_some_and(|at| at <= now)) {
            entry.limited = None;
            self.drain(index, inbox);
        }
    }

    /// Messages of sessions of which too much waited, now that the application has taken some.
    pub(super) fn retry_waiting(&mut self, inbox: &mut Inbox) {
        if inbox.taken == self.caught_up {
            return;
        }
        self.caught_up = inbox.taken;
        for index in core::mem::take(&mut self.waiting) {
            if let Some(entry) = self.table.entry(index).filter(|entry| entry.waits) {
                entry.waits = false;
                self.drain(index, inbox);
            }
        }
    }

    /// Whether the application took something since the turn began that a session waits for.
    pub(super) fn may_go_on(&self, inbox: &Inbox) -> bool {
        !self.waiting.is_empty() && self.links.progress.awaits() != inbox.taken
    }

    /// Takes what lies ready in the session.
    pub(super) fn drain(&mut self, index: usize, inbox: &mut Inbox) {
        let now = self.now;
        if let Some(entry) = self.table.entry(index).filter(|entry| !entry.cut) {
            let taken = take_waiting(entry, now, inbox);
            self.note_taken(index, taken);
            self.touch(index);
        }
    }
}

/// What the readings of one session have in common.
pub(super) struct Source {
    session: SessionKey,
    device: DeviceId,
    durable: u128,
}

impl Source {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { session: entry.key, device: entry.device, durable: entry.durable }
    }
}

fn take_waiting(entry: &mut Entry, now: Instant, inbox: &mut Inbox) -> Taken {
    let source = Source::of(entry);
    let Entry { session, allowance, waiting, .. } = entry;
    take(&mut session.poll_received(now), &source, Some((allowance, waiting)), inbox)
}

/// The same of a session that is about to end, whatever its device may send: there is no later.
pub(super) fn take_last(entry: &mut Entry, now: Instant, inbox: &mut Inbox) {
    let source = Source::of(entry);
    take(&mut entry.session.poll_received(now), &source, None, inbox);
}

/// Takes messages as far as the application has room and the limits allow.
pub(super) fn take(
    received: &mut Received<'_>,
    source: &Source,
    mut limits: Option<(&mut Allowance, &mut Waiting)>,
    inbox: &mut Inbox,
) -> Taken {
    loop {
        if !inbox.has_room() {
            return Taken::NoRoom;
        }
        if let Some((allowance, waiting)) = &mut limits {
            if let Err(at) = allowance.settle() {
                return Taken::Limited(at);
            }
            if waiting.is_full(inbox.taken) {
                return Taken::Waiting;
            }
        }
        let Some(message) = received.next() else {
            return Taken::All;
        };
        let reading = Reading {
            session: source.session,
            device: source.device,
            stream: message.stream,
            epoch: message.epoch,
            seq: message.seq,
            after: message.after,
            schema: message.schema,
            durable: source.durable & stream_bit(message.stream) != 0,
            received_at: inbox.received_at,
            payload: message.payload.to_vec(),
        };
        inbox.bytes += cost(&reading);
        if let Some((allowance, waiting)) = &mut limits {
            allowance.charge_message();
            waiting.add(&reading, inbox.batch);
        }
        inbox.readings.push(reading);
    }
}
