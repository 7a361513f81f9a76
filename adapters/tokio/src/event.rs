//! What an endpoint tells the application, and what the application answers with.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use whimbrel_core::{DeviceId, SchemaId, SeqNo, StreamEpoch, StreamId};

use crate::hello::HelloRequest;
use crate::limits::Progress;

/// Names one session of one endpoint; never used again while the endpoint lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    pub(crate) shard: u16,
    pub(crate) index: u32,
    pub(crate) serial: u64,
}

/// One message of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The session it came by.
    pub session: SessionKey,
    /// Whose it is.
    pub device: DeviceId,
    /// Its stream.
    pub stream: StreamId,
    /// The stream's epoch: with device, channel and number it names the message for ever.
    pub epoch: StreamEpoch,
    /// Its number in the stream.
    pub seq: SeqNo,
    /// On an ordered stream, those from here to `seq` were given up by the device; on others it is `seq`.
    pub after: SeqNo,
    /// What the payload means.
    pub schema: SchemaId,
    /// Whether the device keeps it until [`crate::Handle::commit`] says that it is stored.
    pub durable: bool,
    /// When its datagram was taken from the socket.
    pub received_at: SystemTime,
    /// What the device sent.
    pub payload: Vec<u8>,
}

/// Everything of a stream below a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The session to tell.
    pub session: SessionKey,
    /// The stream.
    pub stream: StreamId,
    /// The first message that is not stored.
    pub next: SeqNo,
}

/// What happens at an endpoint, in order.
#[derive(Debug)]
pub enum GatewayEvent {
    /// A device asks for a session. Dropped: silence, and the device asks again.
    Hello(HelloRequest),
    /// Messages of one or more sessions; those of a stream in the order of the stream. At most
    /// [`crate::EndpointConfig::READINGS_MAX`].
    Readings(Vec<Reading>),
    /// A session is gone: closed, superseded by a newer one of the same device, or idle for too long.
    Closed {
        /// The session.
        session: SessionKey,
        /// Whose it was.
        device: DeviceId,
    },
}

/// The events of an endpoint. When it is full the sessions keep their messages, and the devices theirs.
#[derive(Debug)]
pub struct Events {
    pub(crate) receiver: mpsc::Receiver<GatewayEvent>,
    /// One for each shard.
    pub(crate) progress: Vec<Arc<Progress>>,
}

impl Events {
    /// The next event; `None` when the endpoint is gone, or after [`Events::close`] all were taken.
    /// Cancel safe.
    pub async fn recv(&mut self) -> Option<GatewayEvent> {
        let event = self.receiver.recv().await;
        self.note_taken(event.as_ref());
        event
    }

    /// The next event, if there is one now.
    pub fn try_recv(&mut self) -> Option<GatewayEvent> {
        let event = self.receiver.try_recv().ok();
        self.note_taken(event.as_ref());
        event
    }

    /// Up to `limit` events at once, appended to `events`; waits for the first. 0: there will be no more.
    /// Cancel safe.
    pub async fn recv_many(&mut self, events: &mut Vec<GatewayEvent>, limit: usize) -> usize {
        let before = events.len();
        let count = self.receiver.recv_many(events, limit).await;
        self.note_taken(events.get(before..).unwrap_or_default());
        count
    }

    /// Takes no more: what is here already can still be received, what comes later stays with the
    /// devices. The first step of a graceful end, before the last commits and [`crate::Endpoint::shutdown`].
    pub fn close(&mut self) {
        self.receiver.close();
    }

    /// What the application has does not wait for it any more.
    fn note_taken<'a>(&self, events: impl IntoIterator<Item = &'a GatewayEvent>) {
        for event in events {
            let GatewayEvent::Readings(readings) = event else { continue };
            let shard = readings.first().map(|reading| usize::from(reading.session.shard));
            if let Some(progress) = shard.and_then(|shard| self.progress.get(shard)) {
                progress.on_taken();
            }
        }
    }
}
