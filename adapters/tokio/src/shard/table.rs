//! A shard's sessions and handshakes, by place and by device.

use core::mem;
use std::collections::HashMap;

use slab::Slab;
use whimbrel_core::wire::Claim;
use whimbrel_core::{ConnectionId, DeviceId, Host, Instant, Session, Stats, StreamId};

use super::cid::CidLayout;
use super::paths::Paths;
use super::request::Request;
use crate::event::SessionKey;
use crate::limits::{Allowance, Seat, Waiting};
use crate::socket::Path;

/// A session's memory on this side, allocated when it is accepted. What comes early waits in it, so
/// that it bounds how long a message of a device may be and how far behind a loss it may send on.
pub(crate) type GatewayMemory = Host;

/// One place of the table.
pub(crate) enum Slot {
    /// The application was asked and has not answered.
    Asking(Asking),
    /// A session, established or not.
    Open(Box<Entry>),
}

/// A handshake that awaits the application.
pub(crate) struct Asking {
    key: SessionKey,
    device: DeviceId,
    path: Path,
    request: Option<Request>,
    seat: Seat,
}

/// A session and what the shard knows about it.
pub(crate) struct Entry {
    pub(crate) session: Session<GatewayMemory>,
    pub(crate) key: SessionKey,
    pub(crate) device: DeviceId,
    /// The number of the attempt that opened it, if it is sealed.
    pub(crate) counter: Option<u64>,
    /// Which of our keys the device knows, if any.
    pub(crate) gateway_key_id: Option<u8>,
    pub(crate) cid: ConnectionId,
    pub(crate) paths: Paths,
    /// One bit per stream, by its byte on the wire (0 to 127).
    pub(crate) durable: u128,
    /// Established; until then the device's former session stays.
    pub(crate) live: bool,
    /// On the list of those to pump.
    pub(crate) dirty: bool,
    /// On the list of those whose messages the application had no room for.
    pub(crate) deferred: bool,
    /// Leave was taken.
    pub(crate) leaving: bool,
    /// The application wants no more of it.
    pub(crate) cut: bool,
    /// On the list of those of which too much waits for the application.
    pub(crate) waits: bool,
    /// The device has sent too much; by then its messages are taken again.
    pub(crate) limited: Option<Instant>,
    pub(crate) allowance: Allowance,
    pub(crate) waiting: Waiting,
    /// Its place among those of its network.
    pub(crate) seat: Option<Seat>,
    pub(crate) armed: Option<Instant>,
    /// Before, the request that opened it is not answered again.
    pub(crate) repeat_at: Instant,
    /// When the last good datagram came.
    pub(crate) heard: Instant,
    /// What of the session's counters is in the shard's.
    pub(crate) counted: Stats,
}

/// A stream's bit in a set of all.
pub(crate) fn stream_bit(stream: StreamId) -> u128 {
    1 << (stream.to_wire() & 0x7f)
}

/// The places of one device.
#[derive(Clone, Copy, Default)]
pub(crate) struct Places {
    pub(crate) live: Option<usize>,
    pub(crate) pending: Option<usize>,
    pub(crate) asking: Option<usize>,
}

/// What a device's request finds.
pub(crate) enum Found {
    /// The session that the same request made.
    Session(usize),
    /// The application is thinking about this device.
    Asking,
    /// No room.
    Full,
    /// Something new.
    New,
}

/// All of them.
pub(crate) struct Table {
    shard: usize,
    layout: CidLayout,
    sessions_max: usize,
    pending_max: usize,
    slots: Slab<Slot>,
    devices: HashMap<DeviceId, Places>,
    serial: u64,
    /// Places whose session is not established, and questions.
    pending: usize,
}

impl Table {
    /// For shard number `shard` of `shards`; the limits are for all of them together.
    pub(crate) fn new(shard: usize, shards: usize, sessions_max: usize, pending_max: usize) -> Self {
        let layout = CidLayout::new(shards, Self::entries(shards, sessions_max, pending_max));
        let (sessions_max, pending_max) = (sessions_max.div_ceil(shards), pending_max.div_ceil(shards));
        let slots = Slab::new();
        Self { shard, layout, sessions_max, pending_max, slots, devices: HashMap::new(), serial: 0, pending: 0 }
    }

    /// Places of one shard of them.
    pub(crate) fn entries(shards: usize, sessions_max: usize, pending_max: usize) -> usize {
        sessions_max.div_ceil(shards) + pending_max.div_ceil(shards)
    }

    pub(crate) fn layout(&self) -> CidLayout {
        self.layout
    }

    pub(crate) fn entry(&mut self, index: usize) -> Option<&mut Entry> {
        match self.slots.get_mut(index) {
            Some(Slot::Open(entry)) => Some(entry),
            _ => None,
        }
    }

    pub(crate) fn entry_of(&mut self, key: SessionKey) -> Option<(usize, &mut Entry)> {
        let index = key.index as usize;
        self.entry(index).filter(|entry| entry.key == key).map(|entry| (index, entry))
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.slots.iter().filter_map(|(index, slot)| match slot {
            Slot::Open(entry) => Some((index, &**entry)),
            Slot::Asking(_) => None,
        })
    }

    pub(crate) fn places(&self, device: DeviceId) -> Places {
        self.devices.get(&device).copied().unwrap_or_default()
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    pub(crate) fn established(&self) -> usize {
        self.slots.len() - self.pending
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The lowest number that the device's next attempt may have, as far as its sessions here tell.
    pub(crate) fn lowest(&self, device: DeviceId) -> u64 {
        let places = self.places(device);
        let counter = |index: usize| match self.slots.get(index)? {
            Slot::Open(entry) => entry.counter,
            Slot::Asking(_) => None,
        };
        let highest = [places.live, places.pending].into_iter().flatten().filter_map(counter).max();
        highest.map_or(0, |counter| counter.saturating_add(1))
    }

    pub(crate) fn find(&mut self, hello: &Claim<'_>) -> Found {
        let places = self.places(hello.device());
        let same = [places.live, places.pending]
            .into_iter()
            .flatten()
            .find(|index| self.entry(*index).is_some_and(|entry| entry.session.hello_id() == hello.id()));
        if let Some(index) = same {
            return Found::Session(index);
        }
        if places.asking.is_some() {
            return Found::Asking;
        }
        // A device that has a session may replace it even when the table is full.
        let extra = if places.live.is_some() { self.pending_max } else { 0 };
        if self.pending >= self.pending_max || self.slots.len() >= self.sessions_max + extra {
            return Found::Full;
        }
        Found::New
    }

    /// Keeps a question; its key names the session to be.
    pub(crate) fn ask(&mut self, device: DeviceId, path: Path, request: Request, seat: Seat) -> SessionKey {
        self.serial += 1;
        let index = self.slots.vacant_key();
        let key = SessionKey { shard: self.shard as u16, index: index as u32, serial: self.serial };
        self.slots.insert(Slot::Asking(Asking { key, device, path, request: Some(request), seat }));
        self.devices.entry(device).or_default().asking = Some(index);
        self.pending += 1;
        key
    }

    /// The question that `key` names, once: where it came from and the request. Its place stays
    /// taken until [`Table::open_pending`] or [`Table::drop_question`].
    pub(crate) fn take_question(&mut self, key: SessionKey) -> Option<(Path, Request)> {
        match self.slots.get_mut(key.index as usize) {
            Some(Slot::Asking(asking)) if asking.key == key => Some((asking.path, asking.request.take()?)),
            _ => None,
        }
    }

    /// Frees the place of a question.
    pub(crate) fn drop_question(&mut self, index: usize) {
        if let Some(Slot::Asking(asking)) = self.slots.get(index) {
            let device = asking.device;
            self.slots.remove(index);
            self.pending -= 1;
            self.release(device, |places| places.asking = None);
        }
    }

    /// All questions.
    pub(crate) fn questions(&self) -> Vec<usize> {
        let asking = |(index, slot)| matches!(slot, &Slot::Asking(_)).then_some(index);
        self.slots.iter().filter_map(asking).collect()
    }

    /// Puts a new session in the place of its question, beside the live one. Returns the place
    /// of the pending session that it replaces.
    pub(crate) fn open_pending(&mut self, index: usize, entry: Entry) -> Option<usize> {
        let device = entry.device;
        let slot = self.slots.get_mut(index)?;
        if let Slot::Asking(asking) = mem::replace(slot, Slot::Open(Box::new(entry)))
            && let Slot::Open(entry) = slot
        {
            entry.seat = Some(asking.seat);
        }
        let places = self.devices.entry(device).or_default();
        places.asking = None;
        places.pending.replace(index)
    }

    /// The pending session is established: it is the device's live one. Returns the former.
    pub(crate) fn promote(&mut self, index: usize) -> Option<usize> {
        let entry = self.entry(index)?;
        if entry.live {
            return None;
        }
        entry.live = true;
        let device = entry.device;
        self.pending -= 1;
        let places = self.devices.entry(device).or_default();
        places.pending = None;
        places.live.replace(index)
    }

    /// Takes a session out.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Box<Entry>> {
        self.entry(index)?;
        let Slot::Open(entry) = self.slots.try_remove(index)? else {
            return None;
        };
        if !entry.live {
            self.pending -= 1;
        }
        self.release(entry.device, |places| {
            for place in [&mut places.live, &mut places.pending] {
                if *place == Some(index) {
                    *place = None;
                }
            }
        });
        Some(entry)
    }

    fn release(&mut self, device: DeviceId, change: impl FnOnce(&mut Places)) {
        let Some(places) = self.devices.get_mut(&device) else {
            return;
        };
        change(places);
        if let Places { live: None, pending: None, asking: None } = places {
            self.devices.remove(&device);
        }
    }
}

#[cfg(test)]
mod tests;
