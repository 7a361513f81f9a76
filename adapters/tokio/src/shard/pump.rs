//! From the session to the socket: what it wants to send, when it wants to be woken, how it ends.

use core::mem;

use tokio::sync::mpsc;
use whimbrel_core::{CloseReason, DeviceId, Event, Instant};

use super::Shard;
use super::delivery::{Inbox, take_last};
use crate::clock::span;
use crate::event::GatewayEvent;

/// Most datagrams of one session at a time; the others get their turn before it goes on.
const TRANSMITS: usize = 64;

/// What became of a session that was pumped.
enum Pumped {
    Done,
    /// It has more to send than is due to it now.
    More,
    /// There was no room for what it wants to send.
    Blocked,
    Ended,
}

impl Shard {
    /// Pumps each of the sessions that were touched, until the outgoing queue is full.
    pub(super) fn pump_dirty(&mut self, inbox: &mut Inbox) {
        let mut touched = mem::take(&mut self.dirty);
        while let Some(index) = touched.pop() {
            let Some(entry) = self.table.entry(index).filter(|entry| entry.dirty) else {
                continue;
            };
            entry.dirty = false;
            match self.pump(index, inbox) {
                Pumped::Done => {}
                Pumped::Ended if self.table.entry(index).is_some_and(|entry| entry.cut) => self.end(index),
                Pumped::Ended => {
                    self.stats.sessions_closed += 1;
                    self.drain_and_end(index, inbox);
                }
                Pumped::More => self.touch(index),
                Pumped::Blocked => {
                    self.touch(index);
                    self.dirty.append(&mut touched);
                    return;
                }
            }
        }
    }

    /// The contract of the core: transmit until `None`, events until `None`, then the deadline.
    fn pump(&mut self, index: usize, inbox: &mut Inbox) -> Pumped {
        let len = usize::from(self.config.core.max_datagram);
        let Some(entry) = self.table.entry(index) else {
            return Pumped::Done;
        };
        let mut left = TRANSMITS;
        loop {
            if left == 0 {
                return Pumped::More;
            }
            left -= 1;
            let Some(room) = self.outgoing.room(len) else {
                return Pumped::Blocked;
            };
            let Some(transmit) = entry.session.poll_transmit(self.now, room) else {
                break;
            };
            match entry.paths.choose(transmit.path) {
                Some(path) => self.outgoing.push(path, transmit.len),
                // Pushed out by newer addresses; the next datagram from there brings it back.
                None => self.stats.tx_failed += 1,
            }
        }
        while let Some(event) = entry.session.poll_event() {
            if let Event::Closed { reason } = event {
                tracing::debug!(device = %entry.device, ?reason, "session closed");
            }
        }
        self.stats.add_session(entry.session.stats(), &entry.counted);
        entry.counted = *entry.session.stats();
        if entry.session.is_closed() {
            return Pumped::Ended;
        }
        let wait = if entry.live { self.config.idle_timeout } else { self.config.pending_timeout };
        let dropped_at = entry.heard + span(wait);
        let at = [entry.session.poll_timeout(), entry.limited].into_iter().flatten().fold(dropped_at, Instant::min);
        self.timers.arm(index, &mut entry.armed, Some(at));
        if entry.session.is_established() && !entry.live {
            self.promote(index, inbox);
        }
        Pumped::Done
    }

    /// The device proved that it has the answer: this session is the device's one from now on.
    fn promote(&mut self, index: usize, inbox: &mut Inbox) {
        let former = self.table.promote(index);
        self.stats.sessions_established += 1;
        if let Some(entry) = self.table.entry(index) {
            tracing::debug!(device = %entry.device, session = ?entry.key, "session opened");
        }
        self.announce_key(index);
        // The deadline for the first packet gave way to the one for silence.
        self.touch(index);
        if let Some(former) = former {
            self.stats.sessions_superseded += 1;
            self.drain_and_end(former, inbox);
        }
    }

    /// Deadlines that came due.
    pub(super) fn on_timers(&mut self, inbox: &mut Inbox) {
        while let Some(index) = self.timers.pop_due(self.now) {
            let (now, config) = (self.now, &self.config);
            let Some(entry) = self.table.entry(index) else {
                continue;
            };
            entry.armed = None;
            let silence = now.saturating_since(entry.heard);
            if entry.live && silence >= span(config.idle_timeout) {
                tracing::debug!(device = %entry.device, "session dropped: nothing came for too long");
                self.stats.sessions_idle += 1;
                self.end(index);
            } else if !entry.live && silence >= span(config.pending_timeout) {
                self.stats.handshakes_timed_out += 1;
                self.end(index);
            } else {
                entry.session.handle_timeout(now);
                self.touch(index);
                self.retry_limited(index, inbox);
            }
        }
    }

    /// The application wants no more of this device. Its session has one more packet, which says so.
    pub(super) fn disconnect(&mut self, device: DeviceId) {
        let places = self.table.places(device);
        if let Some(index) = places.asking {
            self.table.drop_question(index);
        }
        if let Some(index) = places.pending {
            self.end(index);
        }
        let now = self.now;
        if let Some((index, entry)) = places.live.and_then(|index| Some((index, self.table.entry(index)?))) {
            tracing::info!(%device, "session ended by the application");
            entry.cut = true;
            entry.session.close(now, CloseReason::Refused);
            self.stats.sessions_disconnected += 1;
            self.touch(index);
        }
    }

    /// Tells every session whose last packets are out that the gateway goes away. Those that are
    /// not established have nothing to lose and end without a word.
    pub(super) fn take_leave(&mut self, inbox: &mut Inbox) {
        let ready = |(index, entry): (usize, &super::table::Entry)| {
            (!entry.dirty && !entry.leaving).then_some((index, entry.live))
        };
        let leaving: Vec<_> = self.table.open().filter_map(ready).collect();
        let now = self.now;
        for (index, live) in leaving {
            if !live {
                self.end(index);
            } else if let Some(entry) = self.table.entry(index) {
                entry.leaving = true;
                entry.session.close(now, CloseReason::GoingAway);
                self.touch(index);
            }
        }
        self.pump_dirty(inbox);
    }

    /// Takes what lies ready in the session, as far as there is room, and ends it.
    fn drain_and_end(&mut self, index: usize, inbox: &mut Inbox) {
        let now = self.now;
        if let Some(entry) = self.table.entry(index) {
            take_last(entry, now, inbox);
        }
        self.end(index);
    }

    /// Removes a session without a word to the device.
    pub(super) fn end(&mut self, index: usize) {
        let Some(mut entry) = self.table.remove(index) else {
            return;
        };
        if let Some(open) = self.links.open.get(self.number) {
            open.publish(index, None);
        }
        self.timers.arm(index, &mut entry.armed, None);
        self.stats.add_session(entry.session.stats(), &entry.counted);
        self.ended.push_back((entry.key, entry.device));
    }

    /// Tells the application which sessions are gone, as far as it has room.
    pub(super) fn tell_ended(&mut self, events: &mpsc::Sender<GatewayEvent>) {
        if events.is_closed() {
            self.ended.clear();
        }
        while !self.ended.is_empty() {
            let Ok(permit) = events.try_reserve() else {
                return;
            };
            if let Some((session, device)) = self.ended.pop_front() {
                permit.send(GatewayEvent::Closed { session, device });
            }
        }
    }
}
