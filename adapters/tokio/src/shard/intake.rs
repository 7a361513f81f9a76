//! From the socket to the session: whose is a datagram, and what does the application get from it.

use core::hash::BuildHasher;

use tokio::sync::mpsc;
use whimbrel_core::{ConnectionId, DecodeError, DeviceId, Hello, Instant, Received, Route};

use super::table::{Entry, stream_bit};
use super::{Downlink, Forwarded, Inbox, Shard};
use crate::error::DownlinkError;
use crate::event::{GatewayEvent, Reading, SessionKey};
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
        match self.owner(bytes) {
            Some(shard) if shard != self.number => self.forward(shard, path, bytes),
            _ => self.on_owned_datagram(path, bytes, inbox, events),
        }
    }

    /// The shard that has the session, or would have it; `None` when it is nobody's.
    fn owner(&self, bytes: &[u8]) -> Option<usize> {
        if self.config.shards == 1 {
            return Some(self.number);
        }
        match whimbrel_core::route(bytes).ok()? {
            Route::Session(cid) => {
                let (shard, _) = self.table.layout().parse(cid)?;
                (shard < self.config.shards).then_some(shard)
            }
            Route::Hello => Hello::parse(bytes).ok().map(|hello| self.shard_of(hello.device())),
            _ => None,
        }
    }

    fn shard_of(&self, device: DeviceId) -> usize {
        (self.links.hasher.hash_one(device) % self.config.shards as u64) as usize
    }

    fn forward(&mut self, shard: usize, path: Path, bytes: &[u8]) {
        let forwarded = Forwarded { path, bytes: bytes.to_vec() };
        match self.links.forward.get(shard).map(|way| way.try_send(forwarded)) {
            Some(Ok(())) => self.stats.rx_forwarded += 1,
            _ => self.stats.rx_forward_full += 1,
        }
    }

    /// A datagram that no other shard owns.
    pub(super) fn on_owned_datagram(
        &mut self,
        path: Path,
        bytes: &mut [u8],
        inbox: &mut Inbox,
        events: &mpsc::Sender<GatewayEvent>,
    ) {
        match whimbrel_core::route(bytes) {
            Ok(Route::Session(cid)) => self.on_session_datagram(cid, path, bytes, inbox),
            Ok(Route::Hello) => self.on_hello(path, bytes, events),
            Ok(_) => self.stats.rx_unexpected += 1,
            Err(error) => self.count_undecodable(error),
        }
    }

    pub(super) fn count_undecodable(&mut self, error: DecodeError) {
        match error {
            DecodeError::Truncated => self.stats.rx_truncated += 1,
            DecodeError::Version => self.stats.rx_version += 1,
            _ => self.stats.rx_malformed += 1,
        }
    }

    fn on_session_datagram(&mut self, cid: ConnectionId, path: Path, bytes: &mut [u8], inbox: &mut Inbox) {
        let place = self.table.layout().parse(cid).filter(|(shard, _)| *shard == self.number);
        let found = place.and_then(|(_, index)| self.table.entry(index).map(|entry| (index, entry)));
        let Some((index, entry)) = found.filter(|(_, entry)| entry.cid == cid) else {
            self.stats.rx_unknown_connection += 1;
            self.reset(path, bytes);
            return;
        };
        let path = entry.paths.id(path);
        let dropped = entry.session.stats().rx_dropped.total();
        let source = Source::of(entry);
        let mut received = entry.session.handle_datagram(self.now, path, bytes);
        let all = take(&mut received, &source, inbox);
        drop(received);
        if entry.session.stats().rx_dropped.total() == dropped {
            entry.heard = self.now;
        }
        self.touch(index);
        if !all {
            self.defer(index);
        }
    }

    /// Tells a device that its connection is not known here.
    fn reset(&mut self, path: Path, cause: &[u8]) {
        if self.answer_stranger(path, cause, whimbrel_core::reset) {
            self.stats.resets_sent += 1;
        }
        if self.noise.check().is_ok() {
            let unknown = self.stats.rx_unknown_connection;
            tracing::debug!(peer = %path.peer, unknown, "packets of unknown connections");
        }
    }

    /// Answers somebody whom nothing is known about, at a limited rate, with less than was received.
    pub(super) fn answer_stranger(
        &mut self,
        path: Path,
        cause: &[u8],
        write: impl FnOnce(&[u8], &mut [u8]) -> Option<usize>,
    ) -> bool {
        let allowed = self.resets.as_ref().is_some_and(|limit| limit.check().is_ok());
        if !allowed {
            self.stats.resets_limited += 1;
            return false;
        }
        let written = self.outgoing.room(cause.len()).and_then(|room| write(cause, room));
        if let Some(len) = written {
            self.outgoing.push(path, len);
        }
        written.is_some()
    }

    /// Messages that the application had no room for, now that it may have.
    pub(super) fn retry_deferred(&mut self, inbox: &mut Inbox) {
        while inbox.has_room() {
            let Some(index) = self.deferred.pop() else {
                return;
            };
            let now = self.now;
            let Some(entry) = self.table.entry(index).filter(|entry| entry.deferred) else {
                continue;
            };
            entry.deferred = false;
            let all = drain(entry, now, inbox);
            self.touch(index);
            if !all {
                self.defer(index);
            }
        }
    }

    fn defer(&mut self, index: usize) {
        if let Some(entry) = self.table.entry(index).filter(|entry| !entry.deferred) {
            entry.deferred = true;
            self.deferred.push(index);
            self.stats.readings_deferred += 1;
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

/// What the readings of one session have in common.
struct Source {
    session: SessionKey,
    device: DeviceId,
    durable: u128,
}

impl Source {
    fn of(entry: &Entry) -> Self {
        Self { session: entry.key, device: entry.device, durable: entry.durable }
    }
}

/// Takes what lies ready in the session. Returns whether that was all.
pub(super) fn drain(entry: &mut Entry, now: Instant, inbox: &mut Inbox) -> bool {
    let source = Source::of(entry);
    take(&mut entry.session.poll_received(now), &source, inbox)
}

fn take(received: &mut Received<'_>, source: &Source, inbox: &mut Inbox) -> bool {
    while inbox.has_room() {
        let Some(message) = received.next() else {
            return true;
        };
        inbox.readings.push(Reading {
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
        });
    }
    false
}
