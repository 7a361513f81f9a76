//! From the socket to the session: whose is a datagram?

use core::hash::BuildHasher;

use tokio::sync::mpsc;
use whimbrel_core::{ConnectionId, DeviceId, Hello, Route, Stats};

use super::delivery::{Inbox, Source, take};
use super::table::Entry;
use super::{Downlink, Forwarded, Shard};
use crate::error::DownlinkError;
use crate::event::GatewayEvent;
use crate::limits::Refusal;
use crate::socket::Path;

impl Shard {
    /// A datagram of this shard's socket; it may belong to another shard.
    pub(super) fn on_datagram(
        &mut self,
        path: Path,
        bytes: &mut [u8],
        inbox: &mut Inbox,
        events: &mpsc::Sender<GatewayEvent>,
    ) {
        self.stats.rx_datagrams += 1;
        self.stats.rx_bytes += bytes.len() as u64;
        if path.peer.port() == 0 {
            // Nobody can be answered there; sending to port 0 is an error of the socket.
            self.stats.rx_unexpected += 1;
            return;
        }
        if !self.permits(path) {
            return;
        }
        match whimbrel_core::route(bytes) {
            // It may be authentic wherever it comes from: that is seen when it is opened.
            Ok(Route::Session(cid)) => match self.elsewhere(cid) {
                Some(shard) => self.forward(shard, path, bytes),
                None => self.on_session_datagram(cid, path, bytes, inbox),
            },
            Ok(Route::Hello) if self.links.guard.is_sealed() => {
                let blocked = self.links.shared.strikes.is_blocked(path.peer.ip(), self.now);
                self.on_sealed_hello(path, bytes, blocked, events);
            }
            _ if self.is_blocked(path) => {}
            Ok(Route::Hello) => match Hello::parse(bytes).map(|hello| self.shard_of(hello.device())) {
                Ok(shard) if shard != self.number => self.forward(shard, path, bytes),
                _ => self.on_plain_hello(path, bytes, events),
            },
            Ok(_) => {
                self.stats.rx_unexpected += 1;
                self.strike(path.peer.ip());
            }
            Err(error) => self.on_undecodable(path, error),
        }
    }

    /// The other shard that has the session now. Nobody else's packets may crowd the way to it.
    fn elsewhere(&self, cid: ConnectionId) -> Option<usize> {
        let (shard, index) = self.table.layout().parse(cid).filter(|(shard, _)| *shard != self.number)?;
        self.links.open.get(shard)?.has(index, cid).then_some(shard)
    }

    /// A datagram that reached another shard's socket.
    pub(super) fn on_forwarded(
        &mut self,
        path: Path,
        bytes: &mut [u8],
        inbox: &mut Inbox,
        events: &mpsc::Sender<GatewayEvent>,
    ) {
        match whimbrel_core::route(bytes) {
            Ok(Route::Session(cid)) => self.on_session_datagram(cid, path, bytes, inbox),
            _ if self.links.guard.is_sealed() => self.on_forwarded_hello(path, bytes, events),
            _ => self.on_plain_hello(path, bytes, events),
        }
    }

    /// The shard that has the device's sessions.
    pub(super) fn shard_of(&self, device: DeviceId) -> usize {
        (self.links.hasher.hash_one(device) % self.config.shards as u64) as usize
    }

    pub(super) fn forward(&mut self, shard: usize, path: Path, bytes: &[u8]) {
        let forwarded = Forwarded { path, bytes: bytes.to_vec() };
        match self.links.forward.get(shard).map(|way| way.try_send(forwarded)) {
            Some(Ok(())) => self.stats.rx_forwarded += 1,
            _ => self.stats.rx_forward_full += 1,
        }
    }

    fn on_session_datagram(&mut self, cid: ConnectionId, path: Path, bytes: &mut [u8], inbox: &mut Inbox) {
        let place = self.table.layout().parse(cid).filter(|(shard, _)| *shard == self.number);
        let found = place.and_then(|(_, index)| self.table.entry(index).map(|entry| (index, entry)));
        let Some((index, entry)) = found.filter(|(_, entry)| entry.cid == cid) else {
            return self.on_unknown_connection(path, bytes);
        };
        if entry.cut {
            self.stats.rx_unexpected += 1;
            return;
        }
        if entry.allowance.is_overdrawn() {
            self.stats.session_rx_limited += 1;
            return self.report(Refusal::DeviceRate, path);
        }
        let source = Source::of(entry);
        let Entry { session, allowance, waiting, paths, heard, .. } = entry;
        let before = *session.stats();
        let id = paths.id(path);
        let mut received = session.handle_datagram(self.now, id, bytes);
        let taken = take(&mut received, &source, Some((allowance, waiting)), inbox);
        drop(received);
        let what = Judged::of(&before, session.stats());
        if what.good {
            *heard = self.now;
        }
        if what.authentic {
            paths.learn(path);
            allowance.charge_datagram(bytes.len());
        }
        self.note_taken(index, taken);
        self.touch(index);
        if what.forged {
            self.strike(path.peer.ip());
        }
    }

    /// The session must be pumped in this turn.
    pub(super) fn touch(&mut self, index: usize) {
        if let Some(entry) = self.table.entry(index).filter(|entry| !entry.dirty) {
            entry.dirty = true;
            self.dirty.push(index);
        }
    }

    pub(super) fn on_downlink(&mut self, message: Downlink) {
        let now = self.now;
        let result = match self.table.entry_of(message.session).filter(|(_, entry)| entry.live) {
            Some((index, entry)) => {
                let result = entry.session.send(now, message.channel, &message.payload);
                self.touch(index);
                result.map_err(DownlinkError::Refused)
            }
            None => Err(DownlinkError::UnknownSession),
        };
        // The caller may have gone; the message is on its way all the same.
        let _ = message.reply.send(result);
    }
}

/// What a session said to a datagram, by its counters.
struct Judged {
    /// Taken.
    good: bool,
    /// The device's own: new, and opened.
    authentic: bool,
    /// Nobody's who has the session.
    forged: bool,
}

impl Judged {
    fn of(before: &Stats, after: &Stats) -> Self {
        let (before, after) = (&before.rx_dropped, &after.rx_dropped);
        let good = before.total() == after.total();
        let opened = before.malformed != after.malformed || before.no_room != after.no_room;
        let forged = before.unauthentic != after.unauthentic
            || before.truncated != after.truncated
            || before.oversized != after.oversized;
        Self { good, authentic: good || opened, forged }
    }
}
